//! What of each object reaches the output: sections, relocations, unwind records.
//!
//! In: [`Selection`], [`Unwind`], what `--gc-sections` marked. Out: [`Kept`]. It is known before anything has a place, so
//! that sizes can be counted.
//!
//! Left out are the object's own tables, which are made anew; copies of COMDAT groups that lost; what `--gc-sections`
//! removed; what follows a section that is left out (SHF_LINK_ORDER); debug information under `-S`.
//!
//! A reference to something left out is an error in a loaded section, but ordinary elsewhere. In debug information the
//! relocation goes and the bytes get the tombstone that a final link would write. In unwind tables the record goes with
//! the function it describes ([`Edit`]); a final link could not tell any more what it was about.

use crate::config::Strip;
use crate::context::Cx;
use crate::elf::Rela;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionKind, SymbolId};
use crate::parse::{is_debug_name, is_stripped};
use crate::report::Problem;
use crate::scan::{location, symbol_text};
use crate::select::{Class, Selection};
use crate::unwind::{ObjectUnwind, Unwind};
use object::LittleEndian as LE;
use object::elf::{
    SHF_LINK_ORDER, SHT_GROUP, SHT_NULL, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
    STT_SECTION,
};

/// SHT_LLVM_ADDRSIG, SHT_LLVM_CALL_GRAPH_PROFILE and its predecessor: hints for the linker that number the symbols
/// of their own file. They cost nothing to lose.
const SYMBOL_INDEXED: [u32; 3] = [0x6fff_4c03, 0x6fff_4c09, 0x6fff_4c02];

/// What reaches the output.
#[derive(Debug)]
pub struct Kept {
    /// By [`crate::model::SectionId`].
    sections: Vec<bool>,
    /// In the order of [`Selection::objects`].
    objects: Vec<ObjectKept>,
}

/// What of one object reaches the output.
#[derive(Debug, Default)]
struct ObjectKept {
    /// By symbol: it is defined in something that is left out. Empty if no symbol is.
    gone: Vec<bool>,
    /// (section, how many of its relocations stay), for those where not all do; sorted.
    relocations: Vec<(u32, u64)>,
    /// `.eh_frame` sections that lose records; sorted by section.
    edits: Vec<Edit>,
}

/// An `.eh_frame` section without the records of functions that are not in the output.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Edit {
    section: u32,
    /// What stays: start, end, and where it starts now.
    runs: Vec<(u32, u32, u32)>,
    /// Pointers from entries to their CIEs whose distance changed: where they are now, and what they are.
    pointers: Vec<(u32, u32)>,
    /// Bytes that stay.
    pub size: u64,
}

impl Edit {
    /// Where a byte is now, `None` if it is not there.
    pub fn moved(&self, offset: u64) -> Option<u64> {
        let n = self.runs.partition_point(|(start, ..)| u64::from(*start) <= offset).checked_sub(1)?;
        let (start, end, now) = self.runs[n];
        (offset < u64::from(end)).then(|| offset - u64::from(start) + u64::from(now))
    }

    /// What stays of `contents`.
    pub fn apply(&self, contents: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size as usize);
        for (start, end, _) in &self.runs {
            out.extend_from_slice(&contents[*start as usize..*end as usize]);
        }
        for (at, pointer) in &self.pointers {
            out[*at as usize..*at as usize + 4].copy_from_slice(&pointer.to_le_bytes());
        }
        out
    }
}

impl Kept {
    /// Whether a section is in the output.
    pub fn has(&self, object: &Object, section: usize) -> bool {
        self.sections[object.section_id(section).index()]
    }
    /// Whether a symbol, by the position of its object, is defined in something that is left out.
    pub fn is_gone(&self, position: usize, symbol: usize) -> bool {
        self.objects[position].gone.get(symbol).copied().unwrap_or(false)
    }
    /// Whether an object, by its position, has such symbols.
    pub fn has_gone(&self, position: usize) -> bool {
        !self.objects[position].gone.is_empty()
    }
    /// How many relocations of a section stay.
    pub fn relocations(&self, object: &Object, position: usize, section: usize) -> u64 {
        let list = &self.objects[position].relocations;
        match list.binary_search_by_key(&(section as u32), |(index, _)| *index) {
            Ok(n) => list[n].1,
            Err(_) => object.relocations(&object.sections[section]).len() as u64,
        }
    }
    /// How an `.eh_frame` section changes, `None` if it stays as it is.
    pub fn edit(&self, position: usize, section: usize) -> Option<&Edit> {
        let list = &self.objects[position].edits;
        list.binary_search_by_key(&(section as u32), |edit| edit.section).ok().map(|n| &list[n])
    }
}

/// Finds out. `live` is there if sections were marked for `--gc-sections`.
pub fn find(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    selection: &Selection,
    unwind: &Unwind,
    live: Option<&LiveSet>,
) -> Kept {
    let filter = Filter { strip: cx.config.strip, selection, live };
    let flags = cx.pool.map("relocatable/kept", selection.objects.len(), 16, |position| {
        filter.sections(inputs.object(selection.objects[position]))
    });
    let mut sections = vec![false; inputs.section_bound];
    for (id, flags) in selection.objects.iter().zip(&flags) {
        let base = inputs.object(*id).section_base as usize;
        sections[base..base + flags.len()].copy_from_slice(flags);
    }
    let mut kept = Kept { sections, objects: Vec::new() };
    let objects = cx.pool.map("relocatable/kept", selection.objects.len(), 8, |position| {
        let object = inputs.object(selection.objects[position]);
        let counting = Counting { cx, inputs, symbols, selection, kept: &kept, object };
        counting.run(&unwind.objects[position])
    });
    kept.objects = objects;
    kept
}

/// Which sections take part.
struct Filter<'a> {
    strip: Strip,
    selection: &'a Selection,
    live: Option<&'a LiveSet>,
}

impl Filter<'_> {
    fn sections(&self, object: &Object) -> Vec<bool> {
        let mut flags: Vec<bool> =
            (0..object.sections.len()).map(|index| self.keeps(object, index)).collect();
        for index in 0..flags.len() {
            if object.section_type(index) == SHT_GROUP {
                flags[index] = keep_group(object, index, &mut flags);
            }
        }
        // What follows a section goes with it; a chain of followers takes as many rounds as it is long.
        loop {
            let before = flags.iter().filter(|flag| **flag).count();
            for index in 0..flags.len() {
                if let Some(link) = link_of(object, index) {
                    flags[index] &= flags[link as usize];
                }
            }
            if flags.iter().filter(|flag| **flag).count() == before {
                return flags;
            }
        }
    }

    fn keeps(&self, object: &Object, index: usize) -> bool {
        let section = &object.sections[index];
        let sh_type = object.section_type(index);
        let is_made_anew = matches!(
            sh_type,
            SHT_NULL | SHT_SYMTAB | SHT_STRTAB | SHT_SYMTAB_SHNDX | SHT_REL | SHT_RELA | SHT_GROUP
        );
        let id = object.section_id(index);
        if is_made_anew || SYMBOL_INDEXED.contains(&sh_type) || self.selection.discarded[id.index()] {
            return false;
        }
        if section.kind == SectionKind::Ignored {
            let name = object.section_name(index);
            let is_left_out = !section.is_alloc() && is_debug_name(name) && is_stripped(self.strip, name);
            return name != b".note.GNU-stack" && name != b".note.gnu.property" && !is_left_out;
        }
        !section.is_alloc() || self.live.is_none_or(|live| live.contains(id))
    }
}

/// Whether a group is in the output. One whose loaded members are all removed takes the others along.
fn keep_group(object: &Object, group: usize, flags: &mut [bool]) -> bool {
    let is_loaded = |m: &usize| object.sections[*m].is_alloc();
    let mut loaded = group_members(object, group).filter(is_loaded).peekable();
    if loaded.peek().is_some() && !loaded.any(|m| flags[m]) {
        group_members(object, group).for_each(|m| flags[m] = false);
    }
    group_members(object, group).any(|m| flags[m])
}

/// The members of a group, without those that do not exist.
pub fn group_members(object: &Object, group: usize) -> impl Iterator<Item = usize> {
    let words: &[object::U32<LE>] = crate::elf::slice_of(object.sections[group].contents());
    let sections = object.sections.len();
    words.iter().skip(1).map(|m| m.get(LE) as usize).filter(move |m| *m != 0 && *m < sections)
}

/// The section that this one follows by SHF_LINK_ORDER.
pub fn link_of(object: &Object, index: usize) -> Option<u32> {
    let link = object.headers[index].sh_link.get(LE);
    let is_there = link != 0 && (link as usize) < object.sections.len();
    (object.sections[index].has(SHF_LINK_ORDER) && is_there).then_some(link)
}

/// Goes through the relocations of one object.
struct Counting<'a> {
    cx: &'a Cx<'a>,
    inputs: &'a Inputs,
    symbols: &'a Symbols,
    selection: &'a Selection,
    kept: &'a Kept,
    object: &'a Object,
}

impl Counting<'_> {
    fn run(&self, unwind: &ObjectUnwind) -> ObjectKept {
        let object = self.object;
        let gone: Vec<bool> = (0..object.symbols.len()).map(|symbol| self.is_gone(symbol)).collect();
        let gone = if gone.contains(&true) { gone } else { Vec::new() };
        let mut result = ObjectKept { gone, ..ObjectKept::default() };
        for (index, section) in object.sections.iter().enumerate() {
            if !self.kept.has(object, index) {
                continue;
            }
            let edit = (section.kind == SectionKind::EhFrame && !result.gone.is_empty())
                .then(|| self.edit(unwind, index as u32))
                .flatten();
            let relocations = object.relocations(section);
            let is_there = |r: &&Rela| self.is_there(index, r, &result.gone, edit.as_ref());
            let count = relocations.iter().filter(is_there).count();
            if count != relocations.len() {
                result.relocations.push((index as u32, count as u64));
            }
            result.edits.extend(edit);
        }
        result
    }

    fn is_gone(&self, symbol: usize) -> bool {
        let object = self.object;
        let id = object.symbol_id(symbol);
        if id == SymbolId::NONE {
            let section = object.symbol_section(symbol) as usize;
            // A symbol may be defined in a group, but a group has no section symbol.
            let has_none =
                object.symbols[symbol].st_type() == STT_SECTION && object.section_type(section) == SHT_GROUP;
            return section != 0 && (!self.kept.has(object, section) || has_none);
        }
        let def = self.selection.def(id);
        if !matches!(def.class(), Class::Strong | Class::Weak) {
            return false;
        }
        let owner = self.inputs.object(def.file());
        let section = owner.symbol_section(def.index() as usize) as usize;
        section != 0 && !self.kept.has(owner, section)
    }

    /// Whether a relocation stays. Says so if it must stay and cannot.
    fn is_there(&self, index: usize, relocation: &Rela, gone: &[bool], edit: Option<&Edit>) -> bool {
        let offset = relocation.r_offset.get(LE);
        let symbol = relocation.r_sym(LE, false) as usize;
        let section = &self.object.sections[index];
        let report = |problem: Problem| {
            let rank = (index as u64) << 32 | offset & 0xffff_ffff;
            self.cx.problems.push(problem.at(self.object.id.0, rank));
        };
        if symbol >= self.object.symbols.len() || offset > section.size() {
            let place = location(self.object, index as u32, offset);
            let what = if offset > section.size() {
                "lies outside its section"
            } else {
                "names no symbol that exists"
            };
            report(Problem::error(format!("{place}: relocation {what}")));
            return false;
        }
        if edit.is_some_and(|edit| edit.moved(offset).is_none()) {
            return false;
        }
        if !gone.get(symbol).copied().unwrap_or(false) {
            return true;
        }
        let is_table = section.kind == SectionKind::EhFrame
            || self.object.section_name(index).starts_with(b".gcc_except_table");
        if section.is_alloc() && !is_table {
            report(self.reference_to_nothing(index, offset, symbol));
        }
        false
    }

    fn reference_to_nothing(&self, index: usize, offset: u64, symbol: usize) -> Problem {
        let object = self.object;
        let name = symbol_text(self.cx, self.symbols, object, symbol);
        let target = object.section_name(object.symbol_section(symbol) as usize);
        let target = String::from_utf8_lossy(target).into_owned();
        Problem::error(format!("relocation refers to a symbol in a discarded section: {name}"))
            .note(format!("defined in {}:({target})", object.origin))
            .note(format!("referenced by {}", location(object, index as u32, offset)))
    }

    /// Leaves out the records of functions that are not in the output.
    fn edit(&self, unwind: &ObjectUnwind, index: u32) -> Option<Edit> {
        let is_dead = |target: u32| target != 0 && !self.kept.has(self.object, target as usize);
        let mut fdes: Vec<_> = unwind.fdes.iter().filter(|fde| fde.record.section == index).collect();
        fdes.sort_by_key(|fde| fde.record.offset);
        if !fdes.iter().any(|fde| is_dead(fde.target)) {
            return None;
        }
        let mut edit = Edit { section: index, ..Edit::default() };
        let mut start = 0u32;
        let mut size = 0u32;
        let end = self.object.sections[index as usize].contents().len() as u32;
        let cuts =
            fdes.iter().filter(|fde| is_dead(fde.target)).map(|fde| (fde.record.offset, fde.record.size));
        for (cut, bytes) in cuts.chain([(end, 0)]) {
            if cut > start {
                edit.runs.push((start, cut, size));
                size += cut - start;
            }
            start = cut + bytes;
        }
        edit.size = size.into();
        for fde in fdes.iter().filter(|fde| !is_dead(fde.target)) {
            let moved = |offset: u32| edit.moved(offset.into()).map(|now| now as u32);
            let cie = unwind.cies[fde.cie as usize].offset;
            if let (Some(fde), Some(cie)) = (moved(fde.record.offset), moved(cie)) {
                edit.pointers.push((fde + 4, (fde + 4).wrapping_sub(cie)));
            }
        }
        Some(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_moves_what_stays() {
        let edit = Edit {
            section: 1,
            runs: vec![(0, 8, 0), (16, 24, 8)],
            pointers: vec![(12, 0x0403_0201)],
            size: 16,
        };
        assert_eq!(
            [0, 7, 8, 15, 16, 23, 24].map(|at| edit.moved(at)),
            [Some(0), Some(7), None, None, Some(8), Some(15), None]
        );
        let contents: Vec<u8> = (100..124).collect();
        assert_eq!(
            edit.apply(&contents),
            [100, 101, 102, 103, 104, 105, 106, 107, 116, 117, 118, 119, 1, 2, 3, 4]
        );
    }
}
