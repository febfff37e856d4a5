//! Which sections may become one with others.
//!
//! Code, and read-only data of the compilers' own sections. What is found by walking over a section from end to end
//! (`.init`, arrays, names of C identifiers with their `__start_`, anything an assembly author thought up) stays as
//! it is: there the number of entries means something.

use super::significance::Significance;
use super::{Sources, object_at};
use crate::arch::target::significance::may_take_own_address;
use crate::config::Icf;
use crate::context::Cx;
use crate::liveness::LiveSet;
use crate::model::{Object, Section, SectionKind};
use crate::parse::is_c_identifier;
use object::elf::{SHF_EXECINSTR, SHF_GNU_RETAIN, SHF_LINK_ORDER, SHF_TLS, SHF_WRITE};

/// No candidate.
pub(super) const NOT_A_CANDIDATE: u32 = u32::MAX;

/// The sections that may be folded, numbered in the order of the command line.
pub(super) struct Candidates {
    /// By number: position of the object, index of the section.
    places: Vec<(u32, u32)>,
    /// By [`crate::model::SectionId`]: number.
    numbers: Vec<u32>,
    /// By position of the object: the first number, and one more at the end.
    starts: Vec<u32>,
}

impl Candidates {
    /// Finds them.
    pub fn find(cx: &Cx, sources: &Sources, live: &LiveSet, significance: &Significance) -> Candidates {
        let objects = &sources.selection.objects;
        let lists = cx.pool.map("fold/candidates", objects.len(), 8, |position| {
            let object = object_at(sources, position as u32);
            let unwind = &sources.unwind.objects[position];
            let is_candidate = |index: &u32| {
                let section = &object.sections[*index as usize];
                live.contains(object.section_id(*index as usize))
                    && is_suitable(object, section)
                    // A function that cannot be reached may be empty; anything else of no size marks a place.
                    && (section.size() > 0 || !unwind.fdes_of(*index).is_empty())
                    && is_allowed(cx.config.folding.icf, object, *index as usize, significance)
            };
            (1..object.sections.len() as u32).filter(is_candidate).collect::<Vec<_>>()
        });
        let mut candidates = Candidates {
            places: Vec::with_capacity(lists.iter().map(Vec::len).sum()),
            numbers: vec![NOT_A_CANDIDATE; sources.inputs.section_bound],
            starts: Vec::with_capacity(lists.len() + 1),
        };
        for (position, list) in lists.into_iter().enumerate() {
            let object = object_at(sources, position as u32);
            candidates.starts.push(candidates.places.len() as u32);
            for index in list {
                let number = candidates.places.len() as u32;
                candidates.numbers[object.section_id(index as usize).index()] = number;
                candidates.places.push((position as u32, index));
            }
        }
        candidates.starts.push(candidates.places.len() as u32);
        candidates
    }

    /// Position of the object and index of the section.
    pub fn place(&self, number: u32) -> (u32, u32) {
        self.places[number as usize]
    }
    /// The number of a section, or [`NOT_A_CANDIDATE`].
    pub fn number(&self, section: crate::model::SectionId) -> u32 {
        self.numbers[section.index()]
    }
    /// The numbers of an object's candidates.
    pub fn of_object(&self, position: usize) -> std::ops::Range<u32> {
        self.starts[position]..self.starts[position + 1]
    }
}

/// Whether a section is of a kind that may be folded.
fn is_suitable(object: &Object, section: &Section) -> bool {
    let output = object.outputs[usize::from(section.output)].name;
    let is_plain = section.kind == SectionKind::Regular
        && section.is_alloc()
        && !section.has(SHF_LINK_ORDER | SHF_TLS | SHF_GNU_RETAIN);
    is_plain
        && match output {
            // Written by the dynamic loader alone.
            b".data.rel.ro" => !section.has(SHF_EXECINSTR),
            b".rodata" | b".lrodata" | b".gcc_except_table" => !section.has(SHF_WRITE | SHF_EXECINSTR),
            b".init" | b".fini" => false,
            _ => section.has(SHF_EXECINSTR) && !section.has(SHF_WRITE) && !is_c_identifier(output),
        }
}

/// Whether nobody minds if a section loses its own address.
fn is_allowed(icf: Icf, object: &Object, index: usize, significance: &Significance) -> bool {
    let section = &object.sections[index];
    let id = object.section_id(index);
    let is_code = section.has(SHF_EXECINSTR);
    if significance.is_unique(id) {
        return false;
    }
    // Only unwinders look at these, and only for the code that leads there.
    if object.outputs[usize::from(section.output)].name == b".gcc_except_table" {
        return true;
    }
    match icf {
        Icf::None => false,
        Icf::All => is_code || !significance.is_significant(id),
        Icf::Safe if significance.is_significant(id) => false,
        Icf::Safe => {
            !is_code || significance.has_table(object.id) || !may_take_own_address(section.contents())
        }
    }
}
