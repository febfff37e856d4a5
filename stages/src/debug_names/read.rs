//! Reads the `.debug_names` of an object: one table or, behind `ld -r`, several.
//!
//! gimli reads headers, abbreviations and entries. Lists of offsets are read through their relocations, which tell
//! the section, too: a type unit has a section of its own, and strings stay where they are.

use super::{Entry, EntryKind, Name, ObjectNames, Parent, UnitPlace};
use crate::dwarf::{Debug, Reader, Relocations, what};
use crate::liveness::LiveSet;
use gimli::{NameAttributeValue, NameIndex, NameIndexHeader, NameTableIndex};
use std::collections::HashMap;

/// Bytes of the header behind the length, up to the augmentation string.
const HEADER: usize = 32;

/// Reads all tables; the error tells what is wrong.
pub(super) fn read(debug: &Debug, live: &LiveSet) -> Result<ObjectNames, String> {
    let mut names = ObjectNames::default();
    if debug.debug_names == 0 {
        return Ok(names);
    }
    let section = gimli::DebugNames::from(debug.reader(debug.debug_names));
    let mut headers = section.headers();
    let mut reading = Reading {
        debug,
        live,
        relocations: debug.relocations(debug.debug_names),
        bytes: debug.contents(debug.debug_names),
        kinds: HashMap::new(),
        names: &mut names,
    };
    while let Some(header) = headers.next().map_err(what)? {
        reading.add(header)?;
    }
    Ok(names)
}

struct Reading<'a> {
    debug: &'a Debug<'a>,
    live: &'a LiveSet,
    relocations: Relocations,
    bytes: &'static [u8],
    kinds: HashMap<EntryKind, u16>,
    names: &'a mut ObjectNames,
}

/// Where the lists of a table are, in bytes from the start of the section.
struct Lists {
    word: usize,
    units: usize,
    types: usize,
    foreign: usize,
    hashes: usize,
    strings: usize,
}

/// How the units of a table are numbered in the object; `None` is not in the output.
struct Units {
    compile: u32,
    types: Vec<Option<u32>>,
}

impl Reading<'_> {
    fn add(&mut self, header: NameIndexHeader<Reader>) -> Result<(), String> {
        let lists = self.lists(&header).ok_or("a list is cut off")?;
        let units = self.add_units(&header, &lists).ok_or("a unit is not where it should be")?;
        let has_hashes = header.bucket_count() > 0;
        let index = header.index().map_err(what)?;
        let first_entry = self.names.entries.len();
        // Entries by their offset, and for each the offset of its scope.
        let mut offsets: Vec<(usize, u32)> = Vec::new();
        let mut parents: Vec<Option<usize>> = Vec::new();
        for name in 0..index.name_count() {
            let at = lists.strings + name as usize * lists.word;
            let place = self.relocations.target(at as u64).ok_or("a name is not relocated")?;
            let text = crate::elf::c_string(self.debug.contents(place.0), place.1 as usize);
            let hash = match has_hashes {
                true => {
                    word(self.bytes, lists.hashes + name as usize * 4, 4).ok_or("a hash is cut off")? as u32
                }
                false => case_folding_hash(text),
            };
            let first = self.names.entries.len() as u32;
            self.add_entries(&index, name, &units, &mut offsets, &mut parents)?;
            let count = self.names.entries.len() as u32 - first;
            if count > 0 {
                self.names.names.push(Name { hash, text, place, first, count });
            }
            if offsets.len() > self.bytes.len() {
                return Err("names share their entries".to_string());
            }
        }
        offsets.sort_unstable();
        for (entry, parent) in self.names.entries[first_entry..].iter_mut().zip(parents) {
            let Some(parent) = parent else { continue };
            match offsets.binary_search_by_key(&parent, |(offset, _)| *offset) {
                Ok(found) => entry.parent = offsets[found].1,
                Err(_) => return Err("an entry is in a scope that does not exist".to_string()),
            }
        }
        Ok(())
    }

    fn lists(&self, header: &NameIndexHeader<Reader>) -> Option<Lists> {
        let word_size = usize::from(header.format().word_size());
        let start = header.offset().0 + usize::from(header.format().initial_length_size());
        let augmentation = word(self.bytes, start + HEADER - 4, 4)? as usize;
        let units = start.checked_add(HEADER)?.checked_add(augmentation.checked_next_multiple_of(4)?)?;
        let types = units + header.compile_unit_count() as usize * word_size;
        let foreign = types + header.local_type_unit_count() as usize * word_size;
        let buckets = foreign + header.foreign_type_unit_count() as usize * 8;
        let hashes = buckets + header.bucket_count() as usize * 4;
        let hash_bytes = if header.bucket_count() > 0 { header.name_count() as usize * 4 } else { 0 };
        let strings = hashes + hash_bytes;
        let end = strings.checked_add(header.name_count() as usize * word_size)?;
        (end <= self.bytes.len()).then_some(Lists { word: word_size, units, types, foreign, hashes, strings })
    }

    /// Adds the units of a table to those of the object.
    fn add_units(&mut self, header: &NameIndexHeader<Reader>, lists: &Lists) -> Option<Units> {
        let place = |list: usize, n: u32| -> Option<UnitPlace> {
            let (section, offset) = self.relocations.target((list + n as usize * lists.word) as u64)?;
            Some((self.debug.object.section_id(section as usize), offset))
        };
        let compile = self.names.units.len() as u32;
        for n in 0..header.compile_unit_count() {
            self.names.units.push(place(lists.units, n)?);
        }
        let mut types = Vec::new();
        for n in 0..header.local_type_unit_count() {
            let unit = place(lists.types, n)?;
            let number = self.names.types.len() as u32;
            let is_live = self.live.contains(unit.0);
            types.push(is_live.then_some(number));
            if is_live {
                self.names.types.push(unit);
            }
        }
        for n in 0..header.foreign_type_unit_count() {
            // Told apart from those that are here by the top bit: their number is not known yet.
            types.push(Some(self.names.foreign.len() as u32 | super::table::FOREIGN));
            self.names.foreign.push(word(self.bytes, lists.foreign + n as usize * 8, 8)?);
        }
        if self.names.augmentation.is_empty() {
            let start = lists.units.checked_sub(8)?;
            self.names.augmentation = self.bytes.get(start..lists.units)?.to_vec();
        }
        Some(Units { compile, types })
    }

    /// Adds the entries of a name.
    fn add_entries(
        &mut self,
        index: &NameIndex<Reader>,
        name: u32,
        units: &Units,
        offsets: &mut Vec<(usize, u32)>,
        parents: &mut Vec<Option<usize>>,
    ) -> Result<(), String> {
        let mut list = index.name_entries(NameTableIndex(name)).map_err(what)?;
        while let Some(found) = list.next().map_err(what)? {
            let mut kind = EntryKind {
                tag: found.tag.0,
                has_unit: false,
                has_type_unit: false,
                parent: Parent::Unknown,
                has_type_hash: false,
            };
            let mut entry = Entry { kind: 0, unit: 0, type_unit: 0, die: 0, parent: 0, type_hash: 0 };
            let mut parent = None;
            let mut is_gone = false;
            for attribute in &found.attrs {
                match (attribute.name(), attribute.value().clone()) {
                    (gimli::DW_IDX_compile_unit, NameAttributeValue::Unsigned(n)) => {
                        kind.has_unit = true;
                        entry.unit = units.compile + u32::try_from(n).unwrap_or(u32::MAX / 2);
                    }
                    (gimli::DW_IDX_type_unit, NameAttributeValue::Unsigned(n)) => {
                        kind.has_type_unit = true;
                        match units.types.get(n as usize).ok_or("a type unit does not exist")? {
                            Some(number) => entry.type_unit = *number,
                            None => is_gone = true,
                        }
                    }
                    (gimli::DW_IDX_die_offset, NameAttributeValue::Offset(offset)) => {
                        entry.die = u32::try_from(offset).map_err(|_| "a unit is larger than 4 GiB")?;
                    }
                    (gimli::DW_IDX_parent, NameAttributeValue::Offset(offset)) => {
                        kind.parent = Parent::Entry;
                        parent = Some(offset);
                    }
                    (gimli::DW_IDX_parent, NameAttributeValue::Flag(true)) => {
                        kind.parent = Parent::NotIndexed
                    }
                    (gimli::DW_IDX_type_hash, NameAttributeValue::Unsigned(hash)) => {
                        kind.has_type_hash = true;
                        entry.type_hash = hash;
                    }
                    _ => {}
                }
            }
            if !kind.has_unit && !kind.has_type_unit {
                // Of a table for one unit.
                kind.has_unit = true;
                entry.unit = units.compile;
            }
            if kind.has_unit && entry.unit as usize >= self.names.units.len() {
                return Err("a unit does not exist".to_string());
            }
            if is_gone {
                continue;
            }
            let next = self.kinds.len() as u16;
            entry.kind = *self.kinds.entry(kind).or_insert(next);
            if entry.kind == next && usize::from(next) == self.names.kinds.len() {
                self.names.kinds.push(kind);
            }
            offsets.push((found.offset.0, self.names.entries.len() as u32));
            parents.push(parent);
            self.names.entries.push(entry);
        }
        Ok(())
    }
}

/// A little-endian number.
fn word(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The hash of the table (DWARF 5, 7.33): Bernstein's, of the text in small letters.
fn case_folding_hash(text: &[u8]) -> u32 {
    let hash = |hash: u32, byte: u8| hash.wrapping_mul(33).wrapping_add(byte.into());
    let text = String::from_utf8_lossy(text);
    let mut buffer = [0; 4];
    text.chars()
        .flat_map(char::to_lowercase)
        .fold(5381, |sum, c| c.encode_utf8(&mut buffer).bytes().fold(sum, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_folds_case() {
        // Values that LLVM's tools print for these names.
        assert_eq!(case_folding_hash(b"helper"), 0x1d8_53e5);
        assert_eq!(case_folding_hash(b"inner"), 0xfa9_4021);
        assert_eq!(case_folding_hash(b"Helper"), case_folding_hash(b"hELPER"));
    }
}
