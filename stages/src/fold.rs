//! Folds equal sections into one (`--icf`: identical code folding).
//!
//! In: [`LiveSet`], [`Unwind`], the merged strings ([`Merged`]). Out: [`LiveSet`] again, in which a *twin* stands for
//! each folded section: its symbols get the twin's addresses, its bytes and its unwind records stay out.
//!
//! Two sections are equal if they have the same bytes, go to the same output section, and their relocations are of
//! the same kinds at the same places and lead to the same things: to the same symbol, to the same offset of one
//! section, to equal strings, or to the same offset of two sections that are equal themselves. The last makes it a
//! matter of all sections at once; `partition` finds the classes. What unwinders do with code is part of what it is:
//! the FDEs of a section, the CIEs they use and the exception tables they lead to must be equal, too. (lld folds no
//! function with an exception table; here `.gcc_except_table` sections fold like code.)
//!
//! ```text
//!     significance     whose address may be compared (.llvm_addrsig; else relocations)
//!          |
//!     candidates       which sections may become one at all
//!          |
//!     digest           what each is by itself: 128 bits
//!          |
//!     partition        those that are not alone: where do they lead?
//!          |
//!     apply            one of each class stays
//! ```
//!
//! Of a class the section of the strictest alignment stays, of several the first on the command line. Sections that
//! follow a folded one by SHF_LINK_ORDER describe code that is not there, and go. Debug information treats folded code
//! as gone, but for its line table (`emit/debug`), so that one address belongs to one function.
//!
//! Invariants
//! - A section whose address somebody may compare is never folded under `--icf=safe`.
//! - The outcome depends on the inputs alone: classes are what they are, and order comes from the command line.
//!
//! Cost: one pass over the bytes and relocations of candidates, a second over the relocations of those that look
//! like others. Without `--icf` nothing of this runs.

mod candidates;
mod digest;
mod partition;
mod significance;

use crate::context::Cx;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::merge::Merged;
use crate::model::{Inputs, Object, SectionId};
use crate::outputs::OutputNames;
use crate::select::{Provided, Selection};
use crate::unwind::Unwind;
use candidates::Candidates;
use digest::Digest;
use engine::simd::Keys;
use object::LittleEndian as LE;
use object::elf::SHF_LINK_ORDER;
use partition::Partition;
use significance::Significance;

/// What folding reads and does not change.
pub struct Sources<'a> {
    /// The files.
    pub inputs: &'a Inputs,
    /// The names.
    pub symbols: &'a Symbols,
    /// Symbols of the linker's own.
    pub provided: &'a Provided,
    /// Definitions.
    pub selection: &'a Selection,
    /// Unwind records.
    pub unwind: &'a Unwind,
}

/// Folds what is equal. `seed` is a number that inputs cannot know.
pub fn fold(cx: &Cx, sources: &Sources, names: &OutputNames, loaded: &Merged, live: &mut LiveSet, seed: u64) {
    let significance = Significance::collect(cx, sources, live);
    let candidates = Candidates::find(cx, sources, live, &significance);
    let digest = Digest::new(cx, sources, names, loaded, &candidates, Keys::new(seed));
    let hashes = digest.hashes(cx);
    let mut partition = cx.pool.serial("fold/partition", || Partition::by_hash(cx.pool, &hashes, seed));
    let edges = digest.edges(cx, partition.shared());
    cx.pool.serial("fold/partition", || partition.refine(cx.pool, &edges));
    let groups = partition.groups().into_iter().map(|items| Group::new(sources, &candidates, &items));
    let groups: Vec<Group> = groups.collect();
    if cx.config.folding.print_icf_sections {
        groups.iter().for_each(|group| group.report(cx, sources));
    }
    apply(sources, live, &groups);
}

/// A class of equal sections: positions of objects and indices.
struct Group {
    keeper: (u32, u32),
    folded: Vec<(u32, u32)>,
}

impl Group {
    fn new(sources: &Sources, candidates: &Candidates, items: &[u32]) -> Group {
        let places = || items.iter().map(|item| candidates.place(*item));
        let align =
            |(position, index): (u32, u32)| object_at(sources, position).sections[index as usize].align_log2;
        let strictest = places().map(align).max().unwrap_or(0);
        let keeper = places().find(|place| align(*place) == strictest).unwrap_or((0, 0));
        Group { keeper, folded: places().filter(|place| *place != keeper).collect() }
    }

    /// In the words of lld, which tools read.
    fn report(&self, cx: &Cx, sources: &Sources) {
        let text = |(position, index): (u32, u32)| {
            let object = object_at(sources, position);
            let name = String::from_utf8_lossy(object.section_name(index as usize)).into_owned();
            format!("{}:({name})", object.origin)
        };
        cx.problems.say(format!("selected section {}", text(self.keeper)));
        for place in &self.folded {
            cx.problems.say(format!("  removing identical section {}", text(*place)));
        }
    }
}

/// The object at a position of [`Selection::objects`].
fn object_at<'a>(sources: &Sources<'a>, position: u32) -> &'a Object {
    sources.inputs.object(sources.selection.objects[position as usize])
}

fn apply(sources: &Sources, live: &mut LiveSet, groups: &[Group]) {
    let id = |(position, index): (u32, u32)| -> SectionId {
        object_at(sources, position).section_id(index as usize)
    };
    let mut changed = vec![false; sources.selection.objects.len()];
    for group in groups {
        for place in &group.folded {
            live.fold(id(*place), id(group.keeper));
            changed[place.0 as usize] = true;
        }
    }
    for position in (0..changed.len()).filter(|position| changed[*position]) {
        let object = object_at(sources, position as u32);
        for (index, section) in object.sections.iter().enumerate() {
            let link = object.headers[index].sh_link.get(LE) as usize;
            let follows = section.has(SHF_LINK_ORDER) && link < object.sections.len();
            if follows && live.is_folded(object.section_id(link)) {
                live.drop(object.section_id(index));
            }
        }
    }
}
