//! Which input sections join into one output section, and where in it each one goes.
//!
//! In: [`Kept`]. Out: [`Joined`]. Sections join that agree in name, type and flags;
//! nothing is renamed, because the final link still wants to know `.text.hot` from `.text`. Some stay alone:
//!
//! - members of a section group, which a later link keeps or drops as a whole;
//! - mergeable sections whose concatenation would read differently: constants that padding would shift, strings
//!   without an end, contents that relocations change;
//! - sections that follow others by SHF_LINK_ORDER, unless those joined, too.
//!
//! Options make groups ordinary sections (`--force-group-allocation`) and begin another output section of the same name
//! where one has enough (`--split-by-file`, `--split-by-reloc`).
//!
//! The inputs of `.eh_frame` are put back to back and without the zero that ends them all but in the last one: four
//! zero bytes, even of padding, end the table for its readers.
//!
//! One pass in command-line order, so the result is the same for any number of workers. Not here: relocations and
//! symbols, which follow from the places.

use super::kept::{Kept, group_members, link_of};
use crate::config::Config;
use crate::context::Cx;
use crate::model::{Inputs, Object, Section, SectionKind};
use crate::select::Selection;
use object::LittleEndian as LE;
use object::elf::{
    GRP_COMDAT, SHF_COMPRESSED, SHF_EXECINSTR, SHF_GROUP, SHF_MERGE, SHF_STRINGS, SHT_GROUP, SHT_NOBITS,
    SHT_NOTE, SHT_PROGBITS,
};
use std::collections::HashMap;

/// A part of an output section.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Position of the object in [`Selection::objects`].
    pub position: u32,
    /// Index of the section in its object.
    pub section: u32,
    /// Where in the output section.
    pub offset: u64,
    /// Bytes of it that are taken.
    pub size: u64,
    /// Number of the first relocation of this member among those of the output section.
    pub first_relocation: u64,
}

/// An output section.
#[derive(Debug, Clone)]
pub struct JoinedSection {
    /// Its name.
    pub name: &'static [u8],
    /// `sh_type`.
    pub sh_type: u32,
    /// `sh_flags`.
    pub flags: u32,
    /// `sh_entsize`.
    pub entsize: u64,
    /// log2 of `sh_addralign`.
    pub align_log2: u8,
    /// Bytes.
    pub size: u64,
    /// SHF_LINK_ORDER: the output section it follows.
    pub link: Option<u32>,
    /// Number of relocations that apply to it.
    pub relocations: u64,
    /// What it consists of, by ascending offset.
    pub members: Vec<Member>,
    /// Contents of a section that the linker makes.
    pub made: Vec<u8>,
}

/// A section group (gABI, "Section Groups").
#[derive(Debug, Clone)]
pub struct JoinedGroup {
    /// Position of its object.
    pub position: u32,
    /// Index of its section there.
    pub section: u32,
    /// Its first word: GRP_COMDAT or 0.
    pub flags: u32,
    /// Output sections.
    pub members: Vec<u32>,
}

/// Where an input section went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The output section, [`Place::NOWHERE`] if it is not in the output.
    pub output: u32,
    /// Offset in it.
    pub offset: u64,
}

impl Place {
    /// [`Place::output`] of what is left out.
    pub const NOWHERE: u32 = u32::MAX;

    /// Whether the section is in the output.
    pub fn is_somewhere(self) -> bool {
        self.output != Place::NOWHERE
    }
}

/// The sections of the output.
#[derive(Debug, Default)]
pub struct Joined {
    /// In the order of first mention.
    pub sections: Vec<JoinedSection>,
    /// In command-line order.
    pub groups: Vec<JoinedGroup>,
    /// By [`crate::model::SectionId`].
    pub places: Vec<Place>,
}

impl Joined {
    /// Where a section of an object went.
    pub fn place(&self, object: &Object, section: usize) -> Place {
        self.places[object.section_id(section).index()]
    }

    /// Gives group sections their places, which are numbered behind all other sections: symbols may be defined in them.
    /// The last step.
    pub fn place_groups(&mut self, inputs: &Inputs, selection: &Selection) {
        for (n, group) in self.groups.iter().enumerate() {
            let object = inputs.object(selection.objects[group.position as usize]);
            let output = (self.sections.len() + n) as u32;
            self.places[object.section_id(group.section as usize).index()] = Place { output, offset: 0 };
        }
    }

    /// Puts `size` bytes without contents at the end of a section, which is made if there is none (tentative
    /// definitions under `-d`).
    pub fn reserve(&mut self, name: &'static [u8], flags: u32, size: u64, align_log2: u8) -> Place {
        let is_it = |s: &JoinedSection| (s.name, s.sh_type, s.flags) == (name, SHT_NOBITS, flags);
        let output = self.sections.iter().position(is_it).unwrap_or_else(|| {
            self.sections.push(JoinedSection::new(name, SHT_NOBITS, flags));
            self.sections.len() - 1
        });
        let section = &mut self.sections[output];
        let offset = section.size.next_multiple_of(1 << align_log2);
        section.size = offset.saturating_add(size);
        section.align_log2 = section.align_log2.max(align_log2);
        Place { output: output as u32, offset }
    }

    /// Adds a section that the linker makes.
    pub fn add_made(
        &mut self,
        name: &'static [u8],
        sh_type: u32,
        flags: u32,
        align_log2: u8,
        bytes: Vec<u8>,
    ) {
        let mut section = JoinedSection::new(name, sh_type, flags);
        section.align_log2 = align_log2;
        section.size = bytes.len() as u64;
        section.made = bytes;
        self.sections.push(section);
    }
}

impl JoinedSection {
    fn new(name: &'static [u8], sh_type: u32, flags: u32) -> JoinedSection {
        JoinedSection {
            name,
            sh_type,
            flags,
            entsize: 0,
            align_log2: 0,
            size: 0,
            link: None,
            relocations: 0,
            members: Vec::new(),
            made: Vec::new(),
        }
    }
}

/// What sections must agree in to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    name: &'static [u8],
    sh_type: u32,
    flags: u32,
    /// Of mergeable sections.
    entsize: u64,
    /// Of notes: readers step by the alignment of the section.
    note_align: u8,
    link: Option<u32>,
}

/// Joins the sections of all objects.
pub fn join(cx: &Cx, inputs: &Inputs, selection: &Selection, kept: &Kept) -> Joined {
    let nowhere = Place { output: Place::NOWHERE, offset: 0 };
    let mut joining = Joining {
        config: cx.config,
        kept,
        joined: Joined { places: vec![nowhere; inputs.section_bound], ..Joined::default() },
        by_key: HashMap::new(),
        table_ends: HashMap::new(),
    };
    let mut has_stack_note = false;
    let mut wants_stack = cx.config.z.execstack;
    for (position, id) in selection.objects.iter().enumerate() {
        let object = inputs.object(*id);
        let grouped = joining.add_groups(object, position as u32);
        joining.add_object(object, position as u32, &grouped);
        has_stack_note |= (1..object.sections.len()).any(|index| is_stack_note(object, index));
        wants_stack |= object.wants_executable_stack;
    }
    let mut joined = joining.joined;
    if has_stack_note || cx.config.z.execstack {
        let flags = if wants_stack { SHF_EXECINSTR } else { 0 };
        joined.add_made(b".note.GNU-stack", SHT_PROGBITS, flags, 0, Vec::new());
    }
    joined
}

fn is_stack_note(object: &Object, index: usize) -> bool {
    object.sections[index].kind == SectionKind::Ignored && object.section_name(index) == b".note.GNU-stack"
}

struct Joining<'a> {
    config: &'a Config,
    kept: &'a Kept,
    joined: Joined,
    by_key: HashMap<Key, u32>,
    /// Bytes of the zero that ends an `.eh_frame` output section so far: 4 or 0.
    table_ends: HashMap<u32, u64>,
}

impl Joining<'_> {
    /// The groups of an object that stay. Says by section: the group it belongs to.
    fn add_groups(&mut self, object: &Object, position: u32) -> HashMap<usize, u32> {
        let mut grouped = HashMap::new();
        if self.config.force_group_allocation {
            return grouped;
        }
        for (index, section) in object.sections.iter().enumerate() {
            if object.section_type(index) != SHT_GROUP || !self.kept.has(object, index) {
                continue;
            }
            let words: &[object::U32<LE>] = crate::elf::slice_of(section.contents());
            let flags = words.first().map_or(0, |word| word.get(LE) & GRP_COMDAT);
            let number = self.joined.groups.len() as u32;
            grouped.extend(group_members(object, index).map(|m| (m, number)));
            self.joined.groups.push(JoinedGroup {
                position,
                section: index as u32,
                flags,
                members: Vec::new(),
            });
        }
        grouped
    }

    fn add_object(&mut self, object: &Object, position: u32, grouped: &HashMap<usize, u32>) {
        let mut waiting = Vec::new();
        for index in 1..object.sections.len() {
            if !self.kept.has(object, index) || object.section_type(index) == SHT_GROUP {
                continue;
            }
            if link_of(object, index).is_some() {
                waiting.push(index);
            } else {
                self.add(object, position, index, None, grouped);
            }
        }
        // What follows a section comes after it. Sections that follow each other in a circle follow nothing.
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|index| {
                let target = link_of(object, *index).map_or(0, |link| link as usize);
                let place = self.joined.place(object, target);
                if place.is_somewhere() {
                    self.add(object, position, *index, Some(place.output), grouped);
                }
                !place.is_somewhere()
            });
            if waiting.len() == before {
                waiting.drain(..).for_each(|index| self.add(object, position, index, None, grouped));
            }
        }
    }

    fn add(
        &mut self,
        object: &Object,
        position: u32,
        index: usize,
        link: Option<u32>,
        grouped: &HashMap<usize, u32>,
    ) {
        let section = &object.sections[index];
        let group = grouped.get(&index).copied();
        let is_eh_frame = section.kind == SectionKind::EhFrame;
        let is_merge = section.has(SHF_MERGE);
        let size = self.kept.edit(position as usize, index).map_or(section.size(), |edit| edit.size);
        let entsize = object.headers[index].sh_entsize.get(LE);
        let sh_type = object.section_type(index);
        let group_flag = if group.is_some() { SHF_GROUP } else { 0 };
        let key = Key {
            name: name_of(object, index),
            // Some compilers mark unwind tables by a type of their own; they are one table all the same.
            sh_type: if is_eh_frame { SHT_PROGBITS } else { sh_type },
            flags: section.flags & !SHF_GROUP | group_flag,
            entsize: if is_merge { entsize } else { 0 },
            note_align: if sh_type == SHT_NOTE { section.align_log2 } else { 0 },
            link,
        };
        let is_alone = group.is_some()
            || object.apart.binary_search(&section.output).is_ok()
            || section.has(SHF_COMPRESSED)
            || is_merge
                && !(sh_type == SHT_PROGBITS
                    && can_join(section, entsize, !object.relocations(section).is_empty()));
        let relocations = self.kept.relocations(object, position as usize, index);
        let is_full = self.by_key.get(&key).is_some_and(|output| {
            is_full(self.config, &self.joined.sections[*output as usize], position, size, relocations)
        });
        let sections = &mut self.joined.sections;
        let mut make = || {
            let mut made = JoinedSection::new(key.name, key.sh_type, key.flags);
            made.entsize = entsize;
            made.link = link;
            sections.push(made);
            sections.len() as u32 - 1
        };
        // Unwind records are one table.
        if is_full && !is_alone && !is_eh_frame {
            self.by_key.insert(key, make());
        }
        let output = if is_alone { make() } else { *self.by_key.entry(key).or_insert_with(make) };
        let joined = &mut self.joined.sections[output as usize];
        if joined.entsize != entsize {
            joined.entsize = 0;
        }
        if is_eh_frame {
            // What ended the table so far does not: it goes on.
            let ends_here = if size >= 4 { zero_at_end(section.contents()) } else { 0 };
            let end = self.table_ends.insert(output, ends_here).unwrap_or(0);
            joined.size -= end;
            if let Some(last) = joined.members.last_mut() {
                last.size -= end;
            }
        }
        let align = if is_eh_frame { 1 } else { section.align() };
        let offset = joined.size.checked_next_multiple_of(align).unwrap_or(u64::MAX);
        joined.members.push(Member {
            position,
            section: index as u32,
            offset,
            size,
            first_relocation: joined.relocations,
        });
        joined.size = offset.saturating_add(size);
        joined.align_log2 = joined.align_log2.max(section.align_log2);
        joined.relocations += relocations;
        self.joined.places[object.section_id(index).index()] = Place { output, offset };
        if let Some(group) = group {
            self.joined.groups[group as usize].members.push(output);
        }
    }
}

/// Whether options want a section of the object at `position` to begin an output section of its own, behind `joined`.
fn is_full(config: &Config, joined: &JoinedSection, position: u32, size: u64, relocations: u64) -> bool {
    let is_other_file = joined.members.last().is_some_and(|last| last.position != position);
    let is_too_large = |limit| is_other_file && joined.size.saturating_add(size) > limit;
    let has_too_many =
        |limit| relocations > 0 && joined.relocations > 0 && joined.relocations + relocations > limit;
    config.split_by_file.is_some_and(is_too_large) || config.split_by_reloc.is_some_and(has_too_many)
}

/// The name of a section in the output. Inflated sections of the older form are ordinary ones.
fn name_of(object: &Object, index: usize) -> &'static [u8] {
    let section = &object.sections[index];
    let name = object.section_name(index);
    if name.starts_with(b".zdebug_") && section.kind != SectionKind::Ignored && !section.is_alloc() {
        return object.outputs[usize::from(section.output)].name;
    }
    name
}

/// Whether a mergeable section means the same behind another one: whole constants that padding does not shift, or
/// whole strings.
fn can_join(section: &Section, entsize: u64, has_relocations: bool) -> bool {
    if entsize == 0 || has_relocations || !section.size().is_multiple_of(entsize) {
        return false;
    }
    if section.has(SHF_STRINGS) {
        let end = section.contents().iter().rev().take(entsize as usize);
        return matches!(entsize, 1 | 2 | 4) && end.copied().all(|byte| byte == 0);
    }
    entsize.is_multiple_of(section.align()) || section.align().is_multiple_of(entsize)
}

/// 4 if unwind records end with a zero word (as in `crtend.o`), 0 if not.
fn zero_at_end(contents: &[u8]) -> u64 {
    let mut rest = contents;
    while let Some((word, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*word) as usize;
        match length {
            0 => return if tail.is_empty() { 4 } else { 0 },
            _ => match tail.get(length..) {
                Some(tail) => rest = tail,
                None => return 0,
            },
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_zero_at_the_very_end_ends_a_table() {
        assert_eq!(zero_at_end(&[0, 0, 0, 0]), 4);
        assert_eq!(zero_at_end(&[4, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0]), 4);
        assert_eq!(zero_at_end(&[0, 0, 0, 0, 4, 0, 0, 0, 9, 9, 9, 9]), 0);
        assert_eq!(zero_at_end(&[4, 0, 0, 0, 0, 0, 0, 0]), 0);
        assert_eq!(zero_at_end(&[255, 255, 255, 255, 0, 0, 0, 0]), 0);
        assert_eq!(zero_at_end(&[]), 0);
    }

    fn mergeable(contents: &'static [u8], flags: u32, align_log2: u8) -> Section {
        let mut section = Section::ignored(flags | SHF_MERGE, contents);
        section.kind = SectionKind::Merge;
        section.align_log2 = align_log2;
        section
    }

    #[test]
    fn mergeable_sections_join_if_that_changes_nothing() {
        assert!(can_join(&mergeable(b"ab\0c\0", SHF_STRINGS, 3), 1, false));
        assert!(!can_join(&mergeable(b"ab\0c", SHF_STRINGS, 0), 1, false));
        assert!(can_join(&mergeable(&[1; 32], 0, 4), 8, false));
        assert!(!can_join(&mergeable(&[1; 24], 0, 4), 12, false));
        assert!(!can_join(&mergeable(&[1; 32], 0, 0), 8, true));
        assert!(!can_join(&mergeable(&[1; 30], 0, 0), 8, false));
    }
}
