//! The merged table: names in buckets, their entries, abbreviations for these.
//!
//! Equal names are found in [`SHARDS`] by hash. Then all are sorted into their order in the output; a serial pass
//! gives every entry its offset, which entries of what is in its scope refer to, and workers fill in the bytes.

use super::{Entry, EntryKind, ObjectNames, Parent};
use crate::context::Cx;
use crate::elf::leb128;
use std::collections::HashMap;

/// Parts of the table that are merged at the same time.
const SHARDS: usize = 64;
/// Names whose entries are one part for writing.
const PART_NAMES: usize = 1 << 12;
/// Marks the number of a type unit in another file.
pub(super) const FOREIGN: u32 = 1 << 31;

/// A name of the output.
#[derive(Debug, Clone, Copy)]
pub struct MergedName {
    /// Position of the object that has its text.
    pub object: u32,
    /// Section index and offset of the text.
    pub place: (u32, u64),
    hash: u32,
    /// Orders names of one hash: number of the name in its object.
    number: u32,
    /// Its uses: first and one past the last in the shard's list.
    uses: (u32, u32),
    shard: u32,
}

/// What a run of the section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Header and lists of units.
    Head,
    /// Buckets and hashes.
    Hashes,
    /// Offsets of the texts of these names.
    Strings,
    /// Offsets of entries, and abbreviations.
    Offsets,
    /// Entries: an index of [`Table::pool`].
    Entries,
}

/// A run of the section that is written at once.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// What it holds.
    pub kind: PartKind,
    /// In the section.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
    /// First element.
    pub first: usize,
}

/// The merged table.
#[derive(Debug, Default)]
pub struct Table {
    /// The header without the length: version to augmentation string.
    pub header: Vec<u8>,
    /// Number of the first name of each bucket, from 1; 0 for none.
    pub buckets: Vec<u32>,
    /// By name.
    pub hashes: Vec<u32>,
    /// In the order of the table.
    pub names: Vec<MergedName>,
    /// Of the entries of each name, in the pool.
    pub offsets: Vec<u32>,
    /// The abbreviations.
    pub abbreviations: Vec<u8>,
    /// Runs of entries.
    pub pool: Vec<Vec<u8>>,
    /// The section cut for writing.
    pub parts: Vec<Part>,
    /// Of the section.
    pub size: u64,
}

/// The uses of names in a shard: object, first entry, number of entries.
type Uses = Vec<(u32, u32, u32)>;

/// Merges the tables. `counts` are the numbers of compilation units, type units and type units in other files.
pub(super) fn build(cx: &Cx, objects: &[ObjectNames], counts: [u32; 3]) -> Result<Table, String> {
    let shards = cx.pool.map("debug-names/merge", SHARDS, 1, |shard| merge(objects, shard));
    let mut table = Table::default();
    let (lists, uses): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
    table.names = lists.concat();
    cx.pool.serial("debug-names/sort", || table.sort());
    let kinds = Kinds::new(objects, counts);
    let places = cx.pool.serial("debug-names/place", || table.place(objects, &uses, &kinds))?;
    table.abbreviations = kinds.abbreviations();
    let names = &table.names;
    let filling = Filling { objects, uses: &uses, kinds: &kinds, places: &places, counts };
    table.pool = cx.pool.map("debug-names/fill", names.len().div_ceil(PART_NAMES), 1, |part| {
        let end = names.len().min((part + 1) * PART_NAMES);
        filling.entries(&names[part * PART_NAMES..end])
    });
    table.finish(objects, counts)?;
    Ok(table)
}

/// Finds equal names of a shard.
fn merge(objects: &[ObjectNames], shard: usize) -> (Vec<MergedName>, Uses) {
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut names: Vec<MergedName> = Vec::new();
    let mut uses: Vec<(u32, (u32, u32, u32))> = Vec::new();
    for (position, object) in objects.iter().enumerate() {
        for (number, name) in object.names.iter().enumerate() {
            if name.hash as usize % SHARDS != shard {
                continue;
            }
            let merged = *numbers.entry(name.text).or_insert_with(|| {
                names.push(MergedName {
                    object: position as u32,
                    place: name.place,
                    hash: name.hash,
                    number: number as u32,
                    uses: (0, 0),
                    shard: shard as u32,
                });
                names.len() as u32 - 1
            });
            uses.push((merged, (position as u32, name.first, name.count)));
        }
    }
    uses.sort_by_key(|(merged, _)| *merged);
    for (at, (merged, _)) in uses.iter().enumerate() {
        let range = &mut names[*merged as usize].uses;
        if range.1 == 0 {
            range.0 = at as u32;
        }
        range.1 = at as u32 + 1;
    }
    (names, uses.into_iter().map(|(_, name_use)| name_use).collect())
}

/// How many buckets there are for so many different hashes: short chains, but no table of empty buckets.
fn bucket_count(hashes: usize) -> usize {
    match hashes {
        1025.. => hashes / 4,
        17.. => hashes / 2,
        _ => hashes.max(1),
    }
}

/// The kinds of entries of the output.
struct Kinds {
    /// By code - 1.
    list: Vec<EntryKind>,
    /// By object and kind there: the code.
    codes: Vec<Vec<u32>>,
    /// Bytes of unit numbers.
    unit_size: usize,
    type_unit_size: usize,
}

impl Kinds {
    fn new(objects: &[ObjectNames], counts: [u32; 3]) -> Kinds {
        let mut list: Vec<EntryKind> =
            objects.iter().flat_map(|object| object.kinds.iter().copied()).collect();
        list.sort_unstable();
        list.dedup();
        let code = |kind: &EntryKind| list.binary_search(kind).map_or(0, |n| n as u32 + 1);
        let codes = objects.iter().map(|object| object.kinds.iter().map(code).collect()).collect();
        let size = |count: u32| match count {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        Kinds {
            codes,
            unit_size: size(counts[0]),
            type_unit_size: size(counts[1].saturating_add(counts[2])),
            list,
        }
    }

    /// Code and kind of an entry.
    fn of(&self, object: usize, entry: &Entry) -> (u32, EntryKind) {
        let code = self.codes[object][usize::from(entry.kind)];
        (code, self.list[code as usize - 1])
    }

    fn entry_size(&self, object: usize, entry: &Entry) -> u32 {
        let (code, kind) = self.of(object, entry);
        let sizes = [
            leb128_size(code),
            if kind.has_unit { self.unit_size } else { 0 },
            if kind.has_type_unit { self.type_unit_size } else { 0 },
            4,
            if kind.parent == Parent::Entry { 4 } else { 0 },
            if kind.has_type_hash { 8 } else { 0 },
        ];
        sizes.iter().sum::<usize>() as u32
    }

    /// The abbreviation table (DWARF 5, 6.1.1.4.7).
    fn abbreviations(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let form = |size: usize| match size {
            1 => gimli::DW_FORM_data1,
            2 => gimli::DW_FORM_data2,
            _ => gimli::DW_FORM_data4,
        };
        for (n, kind) in self.list.iter().enumerate() {
            leb128::unsigned(&mut out, n as u64 + 1);
            leb128::unsigned(&mut out, kind.tag.into());
            let mut put = |index: gimli::DwIdx, form: gimli::DwForm| {
                leb128::unsigned(&mut out, index.0.into());
                leb128::unsigned(&mut out, form.0.into());
            };
            if kind.has_unit {
                put(gimli::DW_IDX_compile_unit, form(self.unit_size));
            }
            if kind.has_type_unit {
                put(gimli::DW_IDX_type_unit, form(self.type_unit_size));
            }
            put(gimli::DW_IDX_die_offset, gimli::DW_FORM_ref4);
            match kind.parent {
                Parent::Unknown => {}
                Parent::NotIndexed => put(gimli::DW_IDX_parent, gimli::DW_FORM_flag_present),
                Parent::Entry => put(gimli::DW_IDX_parent, gimli::DW_FORM_ref4),
            }
            if kind.has_type_hash {
                put(gimli::DW_IDX_type_hash, gimli::DW_FORM_data8);
            }
            out.extend([0, 0]);
        }
        out.push(0);
        out
    }
}

/// What entries are made of.
struct Filling<'a> {
    objects: &'a [ObjectNames],
    uses: &'a [Uses],
    kinds: &'a Kinds,
    /// By object and entry: the offset in the pool.
    places: &'a [Vec<u32>],
    counts: [u32; 3],
}

impl Filling<'_> {
    /// The entries of some names.
    fn entries(&self, names: &[MergedName]) -> Vec<u8> {
        let mut out = Vec::new();
        for name in names {
            for (object, entry) in entries_of(self.objects, self.uses, name) {
                self.entry(object, entry, &mut out);
            }
            out.push(0);
        }
        out
    }

    fn entry(&self, object: usize, entry: &Entry, out: &mut Vec<u8>) {
        let (code, kind) = self.kinds.of(object, entry);
        let first = self.objects[object].first;
        leb128::unsigned(out, code.into());
        if kind.has_unit {
            let unit = first[0] + entry.unit;
            out.extend_from_slice(&unit.to_le_bytes()[..self.kinds.unit_size]);
        }
        if kind.has_type_unit {
            let unit = match entry.type_unit & FOREIGN {
                0 => first[1] + entry.type_unit,
                _ => self.counts[1] + first[2] + (entry.type_unit & !FOREIGN),
            };
            out.extend_from_slice(&unit.to_le_bytes()[..self.kinds.type_unit_size]);
        }
        out.extend(entry.die.to_le_bytes());
        if kind.parent == Parent::Entry {
            out.extend(self.places[object][entry.parent as usize].to_le_bytes());
        }
        if kind.has_type_hash {
            out.extend(entry.type_hash.to_le_bytes());
        }
    }
}

/// The entries of a name, in the order of objects.
fn entries_of<'a>(
    objects: &'a [ObjectNames],
    uses: &'a [Uses],
    name: &MergedName,
) -> impl Iterator<Item = (usize, &'a Entry)> {
    uses[name.shard as usize][name.uses.0 as usize..name.uses.1 as usize].iter().flat_map(
        move |(object, first, count)| {
            let entries = &objects[*object as usize].entries[*first as usize..][..*count as usize];
            entries.iter().map(move |entry| (*object as usize, entry))
        },
    )
}

impl Table {
    /// Puts names into buckets.
    fn sort(&mut self) {
        let mut hashes: Vec<u32> = self.names.iter().map(|name| name.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let count = bucket_count(hashes.len()) as u32;
        self.names.sort_unstable_by_key(|name| (name.hash % count, name.hash, name.object, name.number));
        self.buckets = vec![0; count as usize];
        for (n, name) in self.names.iter().enumerate().rev() {
            self.buckets[(name.hash % count) as usize] = n as u32 + 1;
        }
        self.hashes = self.names.iter().map(|name| name.hash).collect();
    }

    /// Gives every entry its offset in the pool.
    fn place(
        &mut self,
        objects: &[ObjectNames],
        uses: &[Uses],
        kinds: &Kinds,
    ) -> Result<Vec<Vec<u32>>, String> {
        let mut places: Vec<Vec<u32>> = objects.iter().map(|object| vec![0; object.entries.len()]).collect();
        let mut at = 0u64;
        for name in &self.names {
            self.offsets.push(at as u32);
            let uses = &uses[name.shard as usize][name.uses.0 as usize..name.uses.1 as usize];
            for (object, first, count) in uses {
                let object = *object as usize;
                for number in *first..first + count {
                    places[object][number as usize] = at as u32;
                    at += u64::from(kinds.entry_size(object, &objects[object].entries[number as usize]));
                }
            }
            at += 1;
            if at > u64::from(u32::MAX) {
                return Err("there are more than 4 GiB of entries".to_string());
            }
        }
        Ok(places)
    }

    /// The header, and the parts for writing.
    fn finish(&mut self, objects: &[ObjectNames], counts: [u32; 3]) -> Result<(), String> {
        let mut augmentations =
            objects.iter().filter(|object| !object.units.is_empty()).map(|o| &o.augmentation);
        // Where producers differ nothing is promised beyond the standard.
        let augmentation = match augmentations.next() {
            Some(first) if augmentations.all(|other| other == first) => first.as_slice(),
            _ => b"",
        };
        let numbers = [
            counts[0],
            counts[1],
            counts[2],
            self.buckets.len() as u32,
            self.names.len() as u32,
            self.abbreviations.len() as u32,
            augmentation.len() as u32,
        ];
        self.header = [5u16.to_le_bytes(), [0; 2]].concat();
        self.header.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.header.extend_from_slice(augmentation);
        let lists = (u64::from(counts[0]) + u64::from(counts[1])) * 4 + u64::from(counts[2]) * 8;
        let mut parts = Vec::new();
        let mut offset = 0u64;
        let mut add = |kind, first: usize, size: u64| {
            parts.push(Part { kind, offset, size, first });
            offset += size;
        };
        add(PartKind::Head, 0, 4 + self.header.len() as u64 + lists);
        add(PartKind::Hashes, 0, (self.buckets.len() + self.hashes.len()) as u64 * 4);
        for first in (0..self.names.len()).step_by(PART_NAMES) {
            add(PartKind::Strings, first, self.names[first..].len().min(PART_NAMES) as u64 * 4);
        }
        add(PartKind::Offsets, 0, self.offsets.len() as u64 * 4 + self.abbreviations.len() as u64);
        for (n, entries) in self.pool.iter().enumerate() {
            add(PartKind::Entries, n, entries.len() as u64);
        }
        self.parts = parts;
        self.size = offset;
        // From here on lengths mean the 64-bit format (DWARF 5, 7.4).
        if offset >= 0xffff_fff0 {
            return Err(format!("the table would be {offset} bytes large; its format ends at 4 GiB"));
        }
        Ok(())
    }
}

fn leb128_size(value: u32) -> usize {
    (32 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debug_names::Name;

    fn object(first: u32, names: &[(&'static str, u32)]) -> ObjectNames {
        let kind = EntryKind {
            tag: 0x2e,
            has_unit: true,
            has_type_unit: false,
            parent: Parent::NotIndexed,
            has_type_hash: false,
        };
        let mut object = ObjectNames { first: [first, 0, 0], kinds: vec![kind], ..ObjectNames::default() };
        for (n, (text, die)) in names.iter().enumerate() {
            let hash = text.bytes().map(u32::from).sum();
            let place = (7, n as u64);
            object.names.push(Name { hash, text: text.as_bytes(), place, first: n as u32, count: 1 });
            object.entries.push(Entry { kind: 0, unit: 0, type_unit: 0, die: *die, parent: 0, type_hash: 0 });
        }
        object
    }

    #[test]
    fn equal_names_share_a_series_of_entries() {
        let objects = [object(0, &[("main", 0x10), ("f", 0x20)]), object(1, &[("f", 0x30)])];
        let shards: Vec<_> = (0..SHARDS).map(|shard| merge(&objects, shard)).collect();
        let (lists, uses): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
        let mut table = Table { names: lists.concat(), ..Table::default() };
        table.sort();
        assert_eq!(table.names.len(), 2);
        let kinds = Kinds::new(&objects, [2, 0, 0]);
        let places = table.place(&objects, &uses, &kinds).unwrap();
        let filling =
            Filling { objects: &objects, uses: &uses, kinds: &kinds, places: &places, counts: [2, 0, 0] };
        let pool = filling.entries(&table.names);
        // Code, unit, offset of the entry: "f" of both units, then "main" or the other way round.
        let of = |name: usize, size: usize| &pool[table.offsets[name] as usize..][..size];
        let f = table.names.iter().position(|name| name.hash == u32::from(b'f')).unwrap();
        assert_eq!(of(f, 13), [1, 0, 0x20, 0, 0, 0, 1, 1, 0x30, 0, 0, 0, 0]);
        assert_eq!(of(1 - f, 7), [1, 0, 0x10, 0, 0, 0, 0]);
        let used: Vec<u32> = table.buckets.iter().copied().filter(|first| *first > 0).collect();
        assert!(used.contains(&1));
    }

    #[test]
    fn lengths_of_numbers() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX] {
            let mut out = Vec::new();
            leb128::unsigned(&mut out, value.into());
            assert_eq!(out.len(), leb128_size(value));
        }
        assert_eq!([1, 16, 17, 1024, 1025].map(bucket_count), [1, 16, 8, 512, 256]);
    }
}
