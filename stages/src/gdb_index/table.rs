//! Equal names become one: the symbol table and the constant pool of the index.
//!
//! Names are shared out among [`SHARDS`] by an unkeyed hash, which is the first half of their order in the output;
//! within a shard they keep the order of first occurrence. 96 bits of the hash stand for the name. A shard collects
//! the units of each of its names into a vector; equal vectors are written once, which most are, because most names
//! belong to one unit.
//!
//! The symbol table is an open hash table with a stride, by a hash of gdb's own. It is filled serially: it takes a
//! store for each name, and the place of a name depends on those before it.
//!
//! Cost: for each use of a name two hashes of its bytes, while they are in the cache, and a look-up.

use super::{Name, ONCE, ObjectIndex};
use crate::context::Cx;
use crate::starts::starts_of;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_128;

/// Parts of the table that are made at the same time.
const SHARDS: usize = 64;

/// That a unit defines a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameUse {
    hash: u64,
    /// More bits of the hash, and gdb's.
    low: u32,
    gdb: u32,
    name: Name,
    /// Number in the object; type units have the top bit.
    unit: u32,
    attributes: u8,
}

const TYPE_UNIT: u32 = 1 << 31;

impl NameUse {
    /// `text` is the name's.
    pub fn new(name: Name, text: &[u8], attributes: u8, unit: u32, is_type_unit: bool) -> NameUse {
        let unit = if is_type_unit { unit | TYPE_UNIT } else { unit };
        let hash = xxh3_128(text);
        NameUse { hash: (hash >> 64) as u64, low: hash as u32, gdb: gdb_hash(text), name, unit, attributes }
    }
    fn shard(&self) -> usize {
        (self.low >> 8) as usize % SHARDS
    }
}

/// Orders the names of an object by shard.
pub(super) fn sort(index: &mut ObjectIndex) {
    let starts = starts_of(SHARDS, index.uses.iter().map(NameUse::shard));
    let mut next = starts.clone();
    index.order = vec![0; index.uses.len()];
    for (n, name) in index.uses.iter().enumerate() {
        let slot = &mut next[name.shard()];
        index.order[*slot as usize] = n as u32;
        *slot += 1;
    }
    index.shards = starts;
}

/// A name of the output.
#[derive(Debug, Clone, Copy)]
pub struct Unique {
    /// Position of the object that has its text.
    pub object: u32,
    /// Its text.
    pub name: Name,
    hash: u32,
    /// Offset of its vector in the constant pool.
    vector: u32,
    /// Offset of its text in the constant pool.
    pub place: u32,
}

/// What a run of the section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Header and lists of units.
    Units,
    /// Address ranges of these objects.
    Ranges,
    /// These slots of the hash table.
    Slots,
    /// These words of vectors.
    Vectors,
    /// These names.
    Names,
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
    /// One past the last element.
    pub end: usize,
}

/// The parts of the index that do not depend on addresses.
#[derive(Debug, Default)]
pub struct Table {
    /// All names, in the order of the constant pool.
    pub names: Vec<Unique>,
    /// Vectors of units, each behind its length.
    pub vectors: Vec<u32>,
    /// Pairs of offsets in the constant pool: name and vector.
    pub slots: Vec<(u32, u32)>,
    /// Offsets of the areas: units, type units, addresses, symbols, constants.
    pub areas: [u32; 5],
    /// The section cut for writing.
    pub parts: Vec<Part>,
    /// Of the section.
    pub size: u64,
}

/// Bytes of the header: version and five offsets.
const HEADER: u64 = 24;
/// Bytes of an entry of each list.
pub(crate) const UNIT: u64 = 16;
pub(crate) const TYPE_UNIT_ENTRY: u64 = 24;
pub(crate) const RANGE: u64 = 20;
const SLOT: u64 = 8;
/// The hash table is never smaller: 1024 slots are what gdb itself writes for few names.
const SLOTS_MIN: usize = 1024;
/// Bytes of a part, about.
const PART_BYTES: u64 = 256 << 10;

/// Units are numbered in 24 bits.
const UNITS_MAX: u32 = 1 << 24;

/// [`ONCE`] as it stands in a vector.
const ONCE_WORD: u32 = (ONCE as u32) << 24;

/// The names of a shard.
struct Shard {
    names: Vec<Unique>,
    /// By name: start and length in `words`.
    vectors: Vec<(u32, u32)>,
    words: Vec<u32>,
}

/// Makes the table. `counts` are the numbers of compilation units and type units.
pub(super) fn build(cx: &Cx, objects: &[ObjectIndex], counts: (u32, u32)) -> Result<Table, String> {
    if counts.0.saturating_add(counts.1) > UNITS_MAX {
        return Err("there are more than 2^24 units".to_string());
    }
    let shards = cx.pool.map("gdb-index/merge", SHARDS, 1, |n| merge(objects, n, counts.0));
    let mut table = Table::default();
    cx.pool.serial("gdb-index/table", || table.fill(shards, objects, counts))?;
    Ok(table)
}

/// A hash that is one already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64(bytes);
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The hash of a name in place of the name.
#[derive(PartialEq, Eq)]
struct Key(u64, u32);

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

type HashBuilder = BuildHasherDefault<Identity>;

/// Collects the names of a shard with the units of each.
fn merge(objects: &[ObjectIndex], shard: usize, unit_count: u32) -> Shard {
    let of_shard = |index: &ObjectIndex| match index.shards.get(shard..shard + 2) {
        Some(bounds) => bounds[0] as usize..bounds[1] as usize,
        None => 0..0,
    };
    let total: usize = objects.iter().map(|index| of_shard(index).len()).sum();
    let mut numbers: HashMap<Key, u32, HashBuilder> = HashMap::default();
    numbers.reserve(total / 2);
    let mut names: Vec<Unique> = Vec::new();
    let mut uses: Vec<(u32, u32)> = Vec::with_capacity(total);
    for (position, index) in objects.iter().enumerate() {
        for n in &index.order[of_shard(index)] {
            let NameUse { hash, low, gdb, name, unit, attributes } = index.uses[*n as usize];
            let number = *numbers.entry(Key(hash, low)).or_insert_with(|| {
                names.push(Unique { object: position as u32, name, hash: gdb, vector: 0, place: 0 });
                names.len() as u32 - 1
            });
            let unit = match unit & TYPE_UNIT {
                0 => index.first.0 + unit,
                _ => unit_count + index.first.1 + (unit & !TYPE_UNIT),
            };
            uses.push((number, unit | u32::from(attributes) << 24));
        }
    }
    // By name, then unit; that of equal uses one is left.
    uses.sort_unstable_by_key(|(number, word)| (*number, word & (UNITS_MAX - 1), *word));
    uses.dedup();
    let mut once = None;
    uses.retain_mut(|(number, word)| {
        let is_once = *word & ONCE_WORD != 0;
        *word &= !ONCE_WORD;
        !is_once || once.replace(*number) != Some(*number)
    });
    let words: Vec<u32> = uses.iter().map(|(_, word)| *word).collect();
    let mut vectors = Vec::with_capacity(names.len());
    let mut start = 0;
    while start < uses.len() {
        let number = uses[start].0;
        let length = uses[start..].iter().take_while(|(other, _)| *other == number).count();
        vectors.push((start as u32, length as u32));
        start += length;
    }
    Shard { names, vectors, words }
}

/// The hash of the symbol table (GDB manual: "r = r * 67 + tolower (c) - 113").
///
/// It is a polynomial: eight bytes are weighed at once and added with one multiplication by the eighth power of 67.
fn gdb_hash(name: &[u8]) -> u32 {
    const STEP: usize = 8;
    const POWERS: [u32; STEP + 1] = {
        let mut powers = [1u32; STEP + 1];
        let mut n = 1;
        while n <= STEP {
            powers[n] = powers[n - 1].wrapping_mul(67);
            n += 1;
        }
        powers
    };
    let term = |byte: u8| u32::from(byte.to_ascii_lowercase()).wrapping_sub(113);
    let (whole, rest) = name.as_chunks::<STEP>();
    let hash = whole.iter().fold(0u32, |hash, bytes| {
        let weighed = (0..STEP)
            .fold(0u32, |sum, n| sum.wrapping_add(term(bytes[n]).wrapping_mul(POWERS[STEP - 1 - n])));
        hash.wrapping_mul(POWERS[STEP]).wrapping_add(weighed)
    });
    rest.iter().fold(hash, |hash, byte| hash.wrapping_mul(POWERS[1]).wrapping_add(term(*byte)))
}

impl Table {
    fn fill(
        &mut self,
        shards: Vec<Shard>,
        objects: &[ObjectIndex],
        counts: (u32, u32),
    ) -> Result<(), String> {
        self.join(shards);
        let ranges: usize = objects.iter().map(|index| index.ranges.len()).sum();
        let slots = (self.names.len() * 4 / 3 + 1).next_power_of_two().max(SLOTS_MIN);
        let mut end = HEADER;
        let sizes = [u64::from(counts.0) * UNIT, u64::from(counts.1) * TYPE_UNIT_ENTRY];
        for (n, size) in
            [sizes[0], sizes[1], ranges as u64 * RANGE, slots as u64 * SLOT].into_iter().enumerate()
        {
            self.areas[n] = end as u32;
            end += size;
            self.areas[n + 1] = end as u32;
        }
        let mut place = self.vectors.len() as u64 * 4;
        for name in &mut self.names {
            name.place = place as u32;
            place += name.name.len() as u64 + 1;
        }
        self.size = end + place;
        if self.size > u64::from(u32::MAX) {
            return Err(format!("the index would be {} bytes large; its format ends at 4 GiB", self.size));
        }
        self.fill_slots(slots);
        self.cut(objects);
        Ok(())
    }

    /// Strings the shards together; equal vectors become one.
    fn join(&mut self, shards: Vec<Shard>) {
        self.names.reserve(shards.iter().map(|shard| shard.names.len()).sum());
        let mut places: HashMap<Vec<u32>, u32, HashBuilder> = HashMap::default();
        // Nearly all names are in one unit: those are found without a hash of their vector.
        let mut singles: HashMap<u32, u32> = HashMap::new();
        for shard in shards {
            for (mut name, (start, length)) in shard.names.into_iter().zip(shard.vectors) {
                let words = &shard.words[start as usize..(start + length) as usize];
                let next = self.vectors.len() as u32 * 4;
                let known = match words {
                    [word] => singles.get(word),
                    words => places.get(words),
                };
                name.vector = match known {
                    Some(place) => *place,
                    None => {
                        match words {
                            [word] => singles.insert(*word, next),
                            words => places.insert(words.to_vec(), next),
                        };
                        self.vectors.push(length);
                        self.vectors.extend_from_slice(words);
                        next
                    }
                };
                self.names.push(name);
            }
        }
    }

    fn fill_slots(&mut self, size: usize) {
        self.slots = vec![(0, 0); size];
        let mask = size - 1;
        for name in &self.names {
            let mut at = name.hash as usize & mask;
            let step = (name.hash.wrapping_mul(17) as usize & mask) | 1;
            while self.slots[at] != (0, 0) {
                at = (at + step) & mask;
            }
            self.slots[at] = (name.place, name.vector);
        }
    }

    /// Cuts the section into parts of [`PART_BYTES`] or a little more.
    fn cut(&mut self, objects: &[ObjectIndex]) {
        let end_of_units = self.areas[2].into();
        let units = Part { kind: PartKind::Units, offset: 0, size: end_of_units, first: 0, end: 0 };
        let mut parts = vec![units];
        let mut offset = end_of_units;
        let mut add = |kind, sizes: &mut dyn Iterator<Item = u64>| {
            let mut part = Part { kind, offset, size: 0, first: 0, end: 0 };
            for size in sizes {
                part.size += size;
                part.end += 1;
                if part.size >= PART_BYTES {
                    parts.push(part);
                    let offset = part.offset + part.size;
                    part = Part { kind, offset, size: 0, first: part.end, end: part.end };
                }
            }
            if part.size > 0 {
                parts.push(part);
            }
            offset = part.offset + part.size;
        };
        add(PartKind::Ranges, &mut objects.iter().map(|index| index.ranges.len() as u64 * RANGE));
        add(PartKind::Slots, &mut self.slots.iter().map(|_| SLOT));
        add(PartKind::Vectors, &mut self.vectors.iter().map(|_| 4));
        add(PartKind::Names, &mut self.names.iter().map(|name| name.name.len() as u64 + 1));
        debug_assert_eq!(offset, self.size);
        self.parts = parts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(first: u32, names: &[(&str, u8, u32)]) -> ObjectIndex {
        let mut index = ObjectIndex { first: (first, 0), ..ObjectIndex::new(0) };
        index.prefixes = b"na".to_vec();
        for (name, attributes, unit) in names {
            let name = name.to_string().leak().as_bytes();
            // However a name is cut into parts, it is the same.
            let name = match name.strip_prefix(b"na") {
                Some(rest) if first > 0 => Name::new(0..2, rest),
                _ => Name::new(0..0, name),
            };
            assert!(index.add_name(name, *attributes, *unit, false));
        }
        sort(&mut index);
        index
    }

    fn table(objects: &[ObjectIndex], counts: (u32, u32)) -> Table {
        let shards = (0..SHARDS).map(|n| merge(objects, n, counts.0)).collect();
        let mut table = Table::default();
        table.fill(shards, objects, counts).unwrap();
        table
    }

    fn text(unique: &Unique, objects: &[ObjectIndex]) -> Vec<u8> {
        unique.name.parts(&objects[unique.object as usize]).concat()
    }

    /// Looks a name up as gdb does.
    fn look_up(table: &Table, objects: &[ObjectIndex], name: &str) -> Option<Vec<u32>> {
        let hash = gdb_hash(name.as_bytes()) as usize;
        let mask = table.slots.len() - 1;
        let mut at = hash & mask;
        loop {
            let (place, vector) = table.slots[at];
            if (place, vector) == (0, 0) {
                return None;
            }
            let unique = table.names.iter().find(|unique| unique.place == place).unwrap();
            if text(unique, objects) == name.as_bytes() {
                let start = vector as usize / 4;
                return Some(table.vectors[start + 1..][..table.vectors[start] as usize].to_vec());
            }
            at = (at + ((hash.wrapping_mul(17) & mask) | 1)) & mask;
        }
    }

    #[test]
    fn equal_names_share_an_entry() {
        let objects = [
            object(0, &[("name", 0x30, 0), ("x", 0xa0, 0), ("name", 0x30, 0)]),
            object(1, &[("x", 0xa0, 1), ("name", 0x30, 1), ("y", 0x20, 0), ("z", 0x20, 0)]),
        ];
        let table = table(&objects, (3, 0));
        assert_eq!(look_up(&table, &objects, "name"), Some(vec![0x3000_0000, 0x3000_0002]));
        assert_eq!(look_up(&table, &objects, "x"), Some(vec![0xa000_0000, 0xa000_0002]));
        assert_eq!(look_up(&table, &objects, "y"), Some(vec![0x2000_0001]));
        assert_eq!(look_up(&table, &objects, "nobody"), None);
        let vector = |name: &str| {
            let is_it = |unique: &&Unique| text(unique, &objects) == name.as_bytes();
            table.names.iter().find(is_it).unwrap().vector
        };
        assert_eq!(vector("y"), vector("z"), "equal vectors are written once");
    }

    #[test]
    fn parts_cover_the_section() {
        let names: Vec<String> = (0..50_000).map(|n| format!("name_{n}")).collect();
        let uses: Vec<(&str, u8, u32)> = names.iter().map(|name| (name.as_str(), 0x30, 0)).collect();
        let objects = [object(0, &uses)];
        let table = table(&objects, (1, 0));
        assert!(names.iter().all(|name| look_up(&table, &objects, name).is_some()));
        let mut end = 0;
        for part in &table.parts {
            assert_eq!(part.offset, end);
            end += part.size;
        }
        assert_eq!(end, table.size);
        assert!(table.parts.len() > 4);
    }

    #[test]
    fn gdb_hashes_byte_by_byte_and_folds_case() {
        let plain = |name: &[u8]| {
            name.iter().fold(0u32, |hash, byte| {
                let folded = u32::from(byte.to_ascii_lowercase());
                hash.wrapping_mul(67).wrapping_add(folded).wrapping_sub(113)
            })
        };
        let text = b"std::vector<Int, Alloc>::~Vector [\xff\x80]";
        for end in 0..=text.len() {
            assert_eq!(gdb_hash(&text[..end]), plain(&text[..end]));
        }
        assert_eq!(gdb_hash(b"Main"), gdb_hash(b"main"));
        assert_ne!(gdb_hash(b"main"), gdb_hash(b"niam"));
    }
}
