//! A mergeable section as pieces: where each starts, and which piece an offset falls into.

use crate::model::Section;
use engine::simd::rank::{rank, rank_prefix};
use engine::simd::{Hash, hash_records, split_and_hash};
use object::elf::SHF_STRINGS;
use std::ops::Range;

/// The pieces of one section.
#[derive(Debug)]
pub struct Pieces {
    cuts: Cuts,
    /// One bit a piece: the first occurrence of its content.
    owned: Vec<u64>,
}

/// Where a section is cut.
#[derive(Debug)]
enum Cuts {
    /// All pieces have this size.
    Fixed { size: u32, count: u32 },
    /// Strings: where each ends, one bit a character that ends one, how many end before each word of bits, and
    /// log2 of the size of a character.
    Strings { ends: Box<[u32]>, bitmap: Box<[u64]>, before: Vec<u32>, unit_log2: u32 },
}

/// What splitting needs and leaves behind: its buffers are used again for the next section.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    split: engine::simd::Pieces,
}

impl Scratch {
    /// The hashes of the pieces that were split last.
    pub(super) fn hashes(&self) -> &[Hash] {
        &self.split.hashes
    }
}

impl Pieces {
    /// Splits a section and hashes its pieces, which `scratch` then holds.
    pub(super) fn split(section: &Section, seed: u64, scratch: &mut Scratch) -> Pieces {
        let split = &mut scratch.split;
        let cuts = if section.has(SHF_STRINGS) {
            split_and_hash(section.contents, section.entsize as usize, seed, split);
            let mut before = Vec::new();
            rank_prefix(&split.bitmap, &mut before);
            Cuts::Strings {
                ends: split.ends.as_slice().into(),
                bitmap: split.bitmap.as_slice().into(),
                before,
                unit_log2: section.entsize.trailing_zeros(),
            }
        } else {
            hash_records(section.contents, section.entsize as usize, seed, &mut split.hashes);
            Cuts::Fixed { size: section.entsize.max(1), count: split.hashes.len() as u32 }
        };
        let owned = vec![0; split.hashes.len().div_ceil(64)];
        Pieces { cuts, owned }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        match &self.cuts {
            Cuts::Fixed { count, .. } => *count as usize,
            Cuts::Strings { ends, .. } => ends.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a piece within the section.
    pub fn range(&self, piece: usize) -> Range<usize> {
        match &self.cuts {
            Cuts::Fixed { size, .. } => piece * *size as usize..(piece + 1) * *size as usize,
            Cuts::Strings { ends, .. } => {
                let start = if piece == 0 { 0 } else { ends[piece - 1] as usize };
                start..ends[piece] as usize
            }
        }
    }

    /// Asks for what [`Pieces::find`] reads.
    pub(super) fn prefetch(&self) {
        if let Cuts::Strings { bitmap, before, .. } = &self.cuts {
            engine::prefetch_all(bitmap);
            engine::prefetch_all(before);
        }
    }

    /// The piece an input offset falls into. Offsets behind the end belong to the last piece.
    #[inline(always)]
    pub fn find(&self, offset: u64) -> usize {
        let (piece, count) = match &self.cuts {
            Cuts::Fixed { size, count } => ((offset / u64::from(*size)) as usize, *count as usize),
            Cuts::Strings { ends, bitmap, before, unit_log2 } => {
                let position = (offset >> unit_log2) as usize;
                (rank(bitmap, before, position).map_or(usize::MAX, |n| n as usize), ends.len())
            }
        };
        piece.min(count.saturating_sub(1))
    }

    /// Says that this section is the first to have the piece, or (`false`) that it is not after all.
    pub(super) fn set_owner(&mut self, piece: usize, is_owner: bool) {
        let bit = 1 << (piece % 64);
        let word = &mut self.owned[piece / 64];
        *word = if is_owner { *word | bit } else { *word & !bit };
    }

    /// Runs of consecutive pieces this section is the first to have.
    pub(super) fn owned_runs(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut next = 0usize;
        std::iter::from_fn(move || {
            let start = self.next_with(next, true)?;
            next = self.next_with(start, false).unwrap_or(self.len());
            Some(start..next)
        })
    }

    /// The first piece at or behind `from` that is, or is not, owned.
    fn next_with(&self, from: usize, is_owned: bool) -> Option<usize> {
        let mut skip = u64::MAX << (from % 64);
        for (n, word) in self.owned.iter().enumerate().skip(from / 64) {
            let found = (if is_owned { *word } else { !*word }) & skip;
            if found != 0 {
                let piece = n * 64 + found.trailing_zeros() as usize;
                return (piece < self.len()).then_some(piece);
            }
            skip = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bits(count: u32, owned: &[usize]) -> Pieces {
        let cuts = Cuts::Fixed { size: 4, count };
        let mut pieces = Pieces { cuts, owned: vec![0; (count as usize).div_ceil(64)] };
        owned.iter().for_each(|piece| pieces.set_owner(*piece, true));
        pieces
    }

    #[test]
    fn runs_are_what_the_bits_say() {
        let runs = |count, owned: &[usize]| of_bits(count, owned).owned_runs().collect::<Vec<_>>();
        assert_eq!(runs(0, &[]), []);
        assert_eq!(runs(70, &[]), []);
        assert_eq!(runs(3, &[0, 1, 2]), [0..3]);
        assert_eq!(runs(200, &[0, 2, 3, 63, 64, 127, 199]), [0..1, 2..4, 63..65, 127..128, 199..200]);
        let all: Vec<usize> = (0..128).collect();
        assert_eq!(runs(128, &all), [0..128]);
    }

    #[test]
    fn an_owner_can_lose_its_piece() {
        let mut pieces = of_bits(10, &[4, 5]);
        pieces.set_owner(4, false);
        assert_eq!(pieces.owned_runs().collect::<Vec<_>>(), [5..6]);
    }

    #[test]
    fn offsets_behind_the_end_belong_to_the_last_piece() {
        let pieces = of_bits(3, &[]);
        assert_eq!([0, 3, 4, 11, 12, u64::MAX].map(|offset| pieces.find(offset)), [0, 0, 1, 2, 2, 2]);
    }
}
