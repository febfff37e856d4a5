//! `.rela.dyn` as Android's loader takes it packed (`--pack-dyn-relocs=android`): SHT_ANDROID_RELA, DT_ANDROID_RELA.
//!
//! In: the entries of an ordinary `.rela.dyn`. Out: `APS2` and numbers as SLEB128: how many entries there are, the offset
//! to start from, and groups. A group has a size, flags, and what is the same for all of it; each entry then has what is
//! not, offsets and addends as differences from the entry before. With `-z rel` there are no addends, and it is called
//! SHT_ANDROID_REL and DT_ANDROID_REL.
//!
//! | flag | meaning |
//! |---|---|
//! | 1 | the group has one `r_info` |
//! | 2 | the group has one difference of offsets |
//! | 4 | the group has one difference of addends |
//! | 8 | there are addends; without it they are 0 |
//!
//! Relative entries stand first, by offset: where eight and more are neighbours, as in tables of pointers, they cost one
//! byte or two each. The others follow by `r_info`. How long it all gets depends on addresses, which depend on it;
//! so layout is repeated until it fits, and what is too long is padded with zeros, which nobody reads.

use super::relocations::{self, Form};
use crate::arch::target::dynamic as rel;
use crate::elf::leb128;
use crate::image::Image;
use object::elf::SHT_REL;

const SHT_ANDROID_REL: u32 = 0x6000_0001;
const SHT_ANDROID_RELA: u32 = 0x6000_0002;

/// `sh_type` of the packed table.
pub(super) fn section_type(form: Form) -> u32 {
    if form.sh_type == SHT_REL { SHT_ANDROID_REL } else { SHT_ANDROID_RELA }
}

const ONE_INFO: i64 = 1;
const ONE_OFFSET_DIFFERENCE: i64 = 2;
const HAS_ADDENDS: i64 = 8;
/// Neighbours that are worth a group.
const RUN: usize = 8;
/// Bytes between neighbours.
const WORD: u64 = 8;

/// An entry of `.rela.dyn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    info: u64,
    offset: u64,
    addend: i64,
}

impl Entry {
    fn is_relative(&self) -> bool {
        self.info == u64::from(rel::RELATIVE)
    }
}

/// The packed table, if it is not what the last layout was made for.
pub(super) fn pack(image: &Image) -> Option<Vec<u8>> {
    let plan = &image.sizes.relocations;
    let size = Form::of(image.cx.config).entry as usize;
    let mut entries = Vec::with_capacity(plan.rela_dyn_size() as usize / size);
    for part in 0..plan.part_count() {
        let mut bytes = vec![0; plan.part_range(part).1 as usize];
        relocations::write_rela_dyn(image, part, &mut bytes);
        let word = |entry: &[u8], at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&entry[at..at + 8]);
            u64::from_le_bytes(word)
        };
        entries.extend(bytes.chunks_exact(size).map(|entry| Entry {
            offset: word(entry, 0),
            info: word(entry, 8),
            addend: if size == 24 { word(entry, 16) as i64 } else { 0 },
        }));
    }
    let mut packed = encode(entries);
    // Never shorter than before, so that repeating comes to an end.
    packed.resize(packed.len().max(image.sizes.packed.len()), 0);
    (packed != image.sizes.packed).then_some(packed)
}

fn encode(mut entries: Vec<Entry>) -> Vec<u8> {
    entries.sort_unstable_by_key(|entry| (!entry.is_relative(), *entry));
    let mut packer = Packer { out: b"APS2".to_vec(), offset: 0, addend: 0 };
    packer.put(entries.len() as i64);
    packer.put(0);
    let mut rest = entries.as_slice();
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|entry| entry.info == first.info).count();
        let (group, others) = rest.split_at(same);
        packer.put_kind(group);
        rest = others;
    }
    packer.out
}

struct Packer {
    out: Vec<u8>,
    offset: u64,
    addend: i64,
}

impl Packer {
    /// Entries with one `r_info`, by offset.
    fn put_kind(&mut self, entries: &[Entry]) {
        let mut pending = 0;
        let mut at = 0;
        while at < entries.len() {
            let is_next = |pair: &&[Entry]| pair[1].offset.wrapping_sub(pair[0].offset) == WORD;
            let run = 1 + entries[at..].windows(2).take_while(is_next).count();
            if run > RUN {
                // The first one ends what came before: the difference of the others is none of its own.
                self.put_group(&entries[pending..=at], None);
                self.put_group(&entries[at + 1..at + run], Some(WORD));
                pending = at + run;
            }
            at += run;
        }
        self.put_group(&entries[pending..], None);
    }

    fn put_group(&mut self, entries: &[Entry], difference: Option<u64>) {
        let Some(first) = entries.first() else { return };
        let has_addends = entries.iter().any(|entry| entry.addend != 0);
        let mut flags = ONE_INFO;
        flags |= if difference.is_some() { ONE_OFFSET_DIFFERENCE } else { 0 };
        flags |= if has_addends { HAS_ADDENDS } else { 0 };
        self.put(entries.len() as i64);
        self.put(flags);
        if let Some(difference) = difference {
            self.put(difference as i64);
        }
        self.put(first.info as i64);
        if !has_addends {
            self.addend = 0;
        }
        for entry in entries {
            if difference.is_none() {
                self.put(entry.offset.wrapping_sub(self.offset) as i64);
            }
            self.offset = entry.offset;
            if has_addends {
                self.put(entry.addend.wrapping_sub(self.addend));
                self.addend = entry.addend;
            }
        }
    }

    fn put(&mut self, number: i64) {
        leb128::signed(&mut self.out, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::Reader as _;

    /// What the loader does.
    fn decode(bytes: &[u8]) -> Vec<Entry> {
        let bytes = bytes.strip_prefix(b"APS2").unwrap();
        let mut reader = gimli::EndianSlice::new(bytes, gimli::LittleEndian);
        let mut number = || reader.read_sleb128().unwrap();
        let (count, mut offset, mut addend) = (number(), number() as u64, 0i64);
        let mut entries = Vec::new();
        while entries.len() < count as usize {
            let (size, flags) = (number(), number());
            let difference = (flags & ONE_OFFSET_DIFFERENCE != 0).then(&mut number);
            let info = (flags & ONE_INFO != 0).then(&mut number);
            addend = if flags & HAS_ADDENDS != 0 { addend } else { 0 };
            for _ in 0..size {
                offset = offset.wrapping_add(difference.unwrap_or_else(&mut number) as u64);
                let info = info.unwrap_or_else(&mut number) as u64;
                let more = if flags & HAS_ADDENDS != 0 { number() } else { 0 };
                addend = addend.wrapping_add(more);
                entries.push(Entry { info, offset, addend });
            }
        }
        entries
    }

    #[test]
    fn what_is_packed_can_be_read_again() {
        let relative = |offset, addend| Entry { info: rel::RELATIVE.into(), offset, addend };
        let mut entries: Vec<Entry> = (0..100).map(|n| relative(0x4000 + n * 8, 0x1000 - n as i64)).collect();
        entries.extend((0..5).map(|n| relative(0x9000 + n * 24, i64::MIN + n as i64)));
        entries.push(relative(0x20, -1));
        for (symbol, addend) in [(7u64, 0), (3, 16), (3, 0), (u64::from(u32::MAX), 5)] {
            entries.push(Entry {
                info: symbol << 32 | 1,
                offset: 0x8000 + symbol * 16 + addend as u64,
                addend,
            });
        }
        let packed = encode(entries.clone());
        entries.sort_unstable_by_key(|entry| (!entry.is_relative(), *entry));
        assert_eq!(decode(&packed), entries);
        assert!(packed.len() < entries.len() * 6, "{}", packed.len());
        assert_eq!(decode(&encode(Vec::new())), []);
    }
}
