//! A mergeable section as pieces: where each starts, and which piece an offset falls into.
//!
//! The map from offsets to pieces is an index of blocks: for every block of 128 bytes the piece its first byte lies in.
//! From there a lookup compares with the ends of the next sixteen pieces at once, without a branch. Strings are half a
//! block long in the mean, but the short ones are asked for most: of a block's strings four are enough for half of the
//! lookups, sixteen for 98 in 100. All of it takes half the memory of a bitmap of ends with ranks, which matters more
//! than the instructions: the tables of one object are read long after they were made.

use crate::model::Section;
use engine::simd::{Bound, Hash, hash_records, split_and_hash};
use object::elf::SHF_STRINGS;
use std::ops::Range;

/// The pieces of one section.
#[derive(Debug)]
pub struct Pieces {
    cuts: Cuts,
    /// For each its number in the table while merging, then how far it moved (modulo 2^32) from its offset in the
    /// section to its offset in the pool.
    moves: Box<[u32]>,
    /// One bit a piece: the first occurrence of its content.
    owned: Vec<u64>,
}

/// Where a section is cut.
#[derive(Debug)]
enum Cuts {
    /// All pieces have this size.
    Fixed { size: u32 },
    /// All pieces end behind a terminator.
    Strings {
        /// For each block the piece its first byte belongs to.
        blocks: Box<[u32]>,
        /// The offset at which each piece ends, and as many more as are compared at once.
        ends: Box<[Bound]>,
    },
}

/// log2 of the bytes of a block.
const BLOCK_LOG2: u32 = 7;

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
    /// Splits a section of strings or records of `entsize` bytes and hashes its pieces, which `scratch` then holds.
    pub(super) fn split(section: &Section, entsize: u32, seed: u64, scratch: &mut Scratch) -> Pieces {
        let Scratch { split, blocks } = scratch;
        if section.has(SHF_STRINGS) {
            split_and_hash(section.contents(), entsize as usize, seed, split);
            index_blocks(&split.ends, blocks);
            return Pieces::of_strings(&split.ends, blocks);
        }
        hash_records(section.contents(), entsize as usize, seed, &mut split.hashes);
        Pieces::of_records(entsize, split.hashes.len())
    }

    fn of_strings(ends: &[u32], blocks: &[u32]) -> Pieces {
        let mut bounds = Vec::with_capacity(ends.len() + Bound::WINDOW);
        bounds.extend(ends.iter().map(|end| Bound::new(*end)));
        bounds.extend([Bound::MAX; Bound::WINDOW]);
        Pieces::new(Cuts::Strings { blocks: blocks.into(), ends: bounds.into() }, ends.len())
    }

    fn of_records(size: u32, count: usize) -> Pieces {
        Pieces::new(Cuts::Fixed { size: size.max(1) }, count)
    }

    fn new(cuts: Cuts, count: usize) -> Pieces {
        Pieces { cuts, moves: vec![0; count].into(), owned: vec![0; count.div_ceil(64)] }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.moves.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a piece within the section.
    pub fn range(&self, piece: usize) -> Range<usize> {
        match &self.cuts {
            Cuts::Fixed { size } => piece * *size as usize..(piece + 1) * *size as usize,
            Cuts::Strings { ends, .. } => {
                let start = if piece == 0 { 0 } else { ends[piece - 1].number() as usize };
                start..ends[piece].number() as usize
            }
        }
    }

    /// The number of a piece in the table of all, while merging.
    pub(super) fn number(&self, piece: usize) -> u32 {
        self.moves[piece]
    }
    /// Gives a piece its number.
    pub(super) fn set_number(&mut self, piece: usize, number: u32) {
        self.moves[piece] = number;
    }

    /// Puts in the place of numbers how far pieces moved: `offset` says where the piece of a number is.
    pub(super) fn set_moves(&mut self, offset: impl Fn(u32) -> u32) {
        let mut start = 0;
        for (piece, moved) in self.moves.iter_mut().enumerate() {
            *moved = offset(*moved).wrapping_sub(start);
            start = match &self.cuts {
                Cuts::Fixed { size } => start + *size,
                Cuts::Strings { ends, .. } => ends[piece].number(),
            };
        }
    }

    /// How to look up many offsets.
    #[inline(always)]
    pub(super) fn lookup(&self) -> Lookup<'_> {
        match &self.cuts {
            Cuts::Fixed { size } => Lookup { moves: &self.moves, ends: &[], blocks: &[], size: *size },
            Cuts::Strings { blocks, ends } => Lookup { moves: &self.moves, ends, blocks, size: 0 },
        }
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

/// The tables of a section, for finding where offsets went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lookup<'a> {
    moves: &'a [u32],
    ends: &'a [Bound],
    blocks: &'a [u32],
    /// Of a piece, if all have the same, and 0 of strings.
    size: u32,
}

impl Lookup<'_> {
    /// How far the byte at an input offset moved (modulo 2^32). Offsets behind the end belong to the last piece.
    #[inline(always)]
    pub(super) fn moved(&self, offset: u64) -> u32 {
        let found = match self.blocks.get((offset >> BLOCK_LOG2) as usize) {
            Some(first) => first_behind(self.ends, *first as usize, offset as u32),
            None => self.records(offset),
        };
        self.moves.get(found).or(self.moves.last()).copied().unwrap_or(0)
    }

    /// The same for records, and for offsets behind the last block.
    #[cold]
    fn records(&self, offset: u64) -> usize {
        offset.checked_div(u64::from(self.size)).map_or(usize::MAX, |piece| piece as usize)
    }

    /// Asks for all that looking up reads.
    pub(super) fn prefetch(&self) {
        engine::prefetch_all(self.moves);
        engine::prefetch_all(self.ends);
        engine::prefetch_all(self.blocks);
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
fn first_behind(ends: &[Bound], mut piece: usize, offset: u32) -> usize {
    while let Some(window) = ends.get(piece..).and_then(|ends| ends.first_chunk()) {
        let passed = Bound::at_most(window, offset);
        piece += passed;
        if passed < Bound::WINDOW {
            break;
        }
    }
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The piece each offset belongs to, by giving piece `n` the place `1000 n` in the pool.
    fn found(pieces: &Pieces, offset: u64) -> usize {
        let start = |piece| pieces.range(piece).start as u32;
        let moved = pieces.lookup().moved(offset);
        (0..pieces.len()).find(|n| (1000 * *n as u32).wrapping_sub(start(*n)) == moved).unwrap()
    }

    fn numbered(mut pieces: Pieces) -> Pieces {
        (0..pieces.len()).for_each(|piece| pieces.set_number(piece, piece as u32));
        pieces.set_moves(|number| 1000 * number);
        pieces
    }

    #[test]
    fn every_offset_is_found() {
        // Short strings, empty ones, and one of several blocks.
        let ends = [1u32, 2, 3, 4, 5, 6, 7, 40, 127, 128, 129, 130, 600, 601, 640];
        let mut blocks = Vec::new();
        index_blocks(&ends, &mut blocks);
        let pieces = numbered(Pieces::of_strings(&ends, &blocks));
        for offset in 0..640u32 {
            let expected = ends.iter().position(|end| *end > offset).unwrap();
            assert_eq!(found(&pieces, offset.into()), expected, "{offset}");
        }
        for offset in [640, 641, 1 << 20, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(found(&pieces, offset), ends.len() - 1, "{offset}");
        }
    }

    fn of_bits(count: usize, owned: &[usize]) -> Pieces {
        let mut pieces = Pieces::of_records(4, count);
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
        let pieces = numbered(of_bits(3, &[]));
        assert_eq!([0, 3, 4, 11, 12, u64::MAX].map(|offset| found(&pieces, offset)), [0, 0, 1, 2, 2, 2]);
    }
}
