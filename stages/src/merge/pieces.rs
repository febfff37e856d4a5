//! A mergeable section as pieces: where each starts, and which piece an offset falls into.
//!
//! The map from offsets to pieces is an index of blocks: for every [`BLOCK`] bytes the piece its first byte lies in.
//! From there a lookup compares with the ends of the next few pieces at once, without a branch; strings are about half
//! a block long, so that is nearly always enough. All of it takes half the memory of a bitmap of ends with ranks,
//! which matters more than the instructions: the tables of one object are read long after they were made.

use crate::model::Section;
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
    /// Strings: how many, where each ends (and [`WINDOW`] times the end of everything), and for each block the
    /// piece its first byte belongs to.
    Strings { count: u32, ends: Box<[u32]>, blocks: Box<[u32]> },
}

/// log2 of the bytes of a block.
const BLOCK_LOG2: u32 = 7;
/// How many ends a lookup compares at once.
const WINDOW: usize = 4;

/// What splitting needs and leaves behind: its buffers are used again for the next section.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    split: engine::simd::Pieces,
    blocks: Vec<u32>,
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
        let Scratch { split, blocks } = scratch;
        let cuts = if section.has(SHF_STRINGS) {
            split_and_hash(section.contents, section.entsize as usize, seed, split);
            let count = split.ends.len() as u32;
            index_blocks(&split.ends, blocks);
            split.ends.extend([u32::MAX; WINDOW]);
            Cuts::Strings { count, ends: split.ends.as_slice().into(), blocks: blocks.as_slice().into() }
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
            Cuts::Fixed { count, .. } | Cuts::Strings { count, .. } => *count as usize,
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
        if let Cuts::Strings { ends, blocks, .. } = &self.cuts {
            engine::prefetch_all(ends);
            engine::prefetch_all(blocks);
        }
    }

    /// The piece an input offset falls into. Offsets behind the end belong to the last piece.
    #[inline(always)]
    pub fn find(&self, offset: u64) -> usize {
        let (piece, count) = match &self.cuts {
            Cuts::Fixed { size, count } => ((offset / u64::from(*size)) as usize, *count as usize),
            Cuts::Strings { count, ends, blocks } => {
                let block = (offset >> BLOCK_LOG2) as usize;
                let piece = blocks.get(block).map(|first| first_behind(ends, *first as usize, offset as u32));
                (piece.unwrap_or(usize::MAX), *count as usize)
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

/// Fills `blocks` with the piece that the first byte of each block belongs to.
fn index_blocks(ends: &[u32], blocks: &mut Vec<u32>) {
    blocks.clear();
    for (piece, end) in ends.iter().enumerate() {
        let until = u64::from(*end).div_ceil(1 << BLOCK_LOG2) as usize;
        if blocks.len() < until {
            blocks.resize(until, piece as u32);
        }
    }
}

/// The first piece from `piece` on that ends behind an offset.
#[inline(always)]
fn first_behind(ends: &[u32], mut piece: usize, offset: u32) -> usize {
    while let Some(window) = ends.get(piece..piece + WINDOW) {
        let passed = window.iter().map(|end| usize::from(*end <= offset)).sum::<usize>();
        piece += passed;
        if passed < WINDOW {
            break;
        }
    }
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_is_found() {
        // Short strings, empty ones, and one of several blocks.
        let ends = [1u32, 2, 3, 4, 5, 6, 7, 40, 127, 128, 129, 130, 600, 601, 640];
        let mut blocks = Vec::new();
        index_blocks(&ends, &mut blocks);
        let padded: Box<[u32]> = ends.iter().copied().chain([u32::MAX; WINDOW]).collect();
        let cuts = Cuts::Strings { count: ends.len() as u32, ends: padded, blocks: blocks.into() };
        let pieces = Pieces { cuts, owned: Vec::new() };
        for offset in 0..640u32 {
            let expected = ends.iter().position(|end| *end > offset).unwrap();
            assert_eq!(pieces.find(offset.into()), expected, "{offset}");
        }
        for offset in [640, 641, 1 << 20, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(pieces.find(offset), ends.len() - 1, "{offset}");
        }
    }

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
        assert_eq!(runs(5, &[0, 1, 2, 4]), [0..3, 4..5]);
        assert_eq!(runs(200, &[0, 2, 3, 63, 64, 127, 199]), [0..1, 2..4, 63..65, 127..128, 199..200]);
        let all: Vec<usize> = (0..128).chain([130]).collect();
        assert_eq!(runs(131, &all), [0..128, 130..131]);
    }

    #[test]
    fn an_owner_can_lose_its_piece() {
        let mut pieces = of_bits(10, &[1, 4, 5]);
        pieces.set_owner(4, false);
        assert_eq!(pieces.owned_runs().collect::<Vec<_>>(), [1..2, 5..6]);
    }

    #[test]
    fn offsets_behind_the_end_belong_to_the_last_piece() {
        let pieces = of_bits(3, &[]);
        assert_eq!([0, 3, 4, 11, 12, u64::MAX].map(|offset| pieces.find(offset)), [0, 0, 1, 2, 2, 2]);
    }
}
