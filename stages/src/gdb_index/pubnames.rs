//! Names that compilers have collected: `.debug_gnu_pubnames` and `.debug_gnu_pubtypes` (DWARF 4, 6.1.1, with one byte
//! of attributes before each name, which are bits 24 to 31 of what the index says of it).
//!
//! Each section is a sequence of sets, one a unit.

use crate::dwarf::Debug;

/// The sets of an object.
pub(super) struct Listed {
    sets: Vec<Set>,
}

/// The names of one unit.
#[derive(Clone, Copy)]
pub(super) struct Set {
    unit: u64,
    entries: &'static [u8],
    offset_size: usize,
}

/// A name with its attributes.
pub(super) struct Entry {
    pub name: &'static [u8],
    /// Bit 7: static, bits 4 to 6: kind.
    pub attributes: u8,
}

/// Finds the sets of both sections. What is not understood ends its section: units without a set are read themselves.
pub(super) fn sets(debug: &Debug) -> Listed {
    let mut sets = Vec::new();
    for section in [debug.names, debug.type_names] {
        if section != 0 {
            let relocations = debug.relocations(section);
            add_sets(debug.contents(section), |offset| relocations.value(offset), &mut sets);
        }
    }
    sets.sort_by_key(|set| set.unit);
    Listed { sets }
}

/// `relocated` gives the value of a relocated place.
fn add_sets(bytes: &'static [u8], relocated: impl Fn(u64) -> Option<u64>, sets: &mut Vec<Set>) {
    let mut at = 0;
    while at < bytes.len() {
        let Some((length, header, offset_size)) = initial_length(&bytes[at..]) else { return };
        let start = at + header;
        let Some(body) = start.checked_add(length).and_then(|end| bytes.get(start..end)) else { return };
        // Version, offset of the unit, its length.
        let unit_at = 2;
        let Some(unit) = word(body, unit_at, offset_size) else { return };
        let Some(entries) = body.get(unit_at + 2 * offset_size..) else { return };
        let unit = relocated((start + unit_at) as u64).unwrap_or(unit);
        sets.push(Set { unit, entries, offset_size });
        at = start + length;
    }
}

/// The length of a set, the size of the length field, and the size of offsets (DWARF 5, 7.4).
fn initial_length(bytes: &[u8]) -> Option<(usize, usize, usize)> {
    match word(bytes, 0, 4)? {
        0xffff_ffff => Some((usize::try_from(word(bytes, 4, 8)?).ok()?, 12, 8)),
        length => Some((length as usize, 4, 4)),
    }
}

fn word(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

impl Listed {
    /// The sets of the unit at an offset of `.debug_info`.
    pub fn of_unit(&self, offset: u64) -> &[Set] {
        let first = self.sets.partition_point(|set| set.unit < offset);
        let rest = &self.sets[first..];
        &rest[..rest.partition_point(|set| set.unit == offset)]
    }
}

impl Set {
    /// The names, up to the end of the set or what is not understood.
    pub fn names(&self) -> impl Iterator<Item = Entry> + use<> {
        let (bytes, offset_size) = (self.entries, self.offset_size);
        let mut at = 0;
        std::iter::from_fn(move || {
            let entry = word(bytes, at, offset_size).filter(|entry| *entry != 0)?;
            let _ = entry;
            let attributes = *bytes.get(at + offset_size)?;
            let rest = bytes.get(at + offset_size + 1..)?;
            let name = &rest[..memchr::memchr(0, rest)?];
            at += offset_size + 1 + name.len() + 1;
            Some(Entry { name, attributes })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(unit: u32, names: &[(u8, &str)]) -> Vec<u8> {
        let mut body = 2u16.to_le_bytes().to_vec();
        body.extend(unit.to_le_bytes());
        body.extend(100u32.to_le_bytes());
        for (attributes, name) in names {
            body.extend(42u32.to_le_bytes());
            body.push(*attributes);
            body.extend(name.as_bytes());
            body.push(0);
        }
        body.extend(0u32.to_le_bytes());
        let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
        bytes.extend(body);
        bytes
    }

    #[test]
    fn sets_belong_to_units() {
        let bytes = [set(0, &[(0x30, "main"), (0xa0, "x")]), set(7, &[(0x10, "T")])].concat().leak();
        let mut sets = Vec::new();
        add_sets(bytes, |_| None, &mut sets);
        let listed = Listed { sets };
        let names = |unit| -> Vec<(Vec<u8>, u8)> {
            let sets = listed.of_unit(unit);
            sets.iter().flat_map(|s| s.names()).map(|e| (e.name.to_vec(), e.attributes)).collect()
        };
        assert_eq!(names(0), [(b"main".to_vec(), 0x30), (b"x".to_vec(), 0xa0)]);
        assert_eq!(names(7), [(b"T".to_vec(), 0x10)]);
        assert_eq!(names(1), []);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let whole = set(0, &[(0x30, "main")]);
        for length in 0..whole.len() {
            let mut sets = Vec::new();
            add_sets(whole[..length].to_vec().leak(), |_| None, &mut sets);
            assert!(sets.is_empty());
        }
        let mut claims = whole;
        claims[0] = 0xff;
        claims[1] = 0xff;
        let mut sets = Vec::new();
        add_sets(claims.leak(), |_| None, &mut sets);
        assert!(sets.is_empty());
    }
}
