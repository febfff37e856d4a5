//! A mergeable section as pieces: where each starts, and which piece an offset falls into.

use crate::model::Section;
use engine::simd::rank::{rank, rank_prefix};
use engine::simd::{hash_records, split_and_hash};
use object::elf::SHF_STRINGS;
use std::ops::Range;

/// The pieces of one section.
#[derive(Debug)]
pub struct Pieces {
    /// End of each piece; piece `i` starts where `i - 1` ends.
    ends: Ends,
    /// One bit a piece: the first occurrence of its content.
    owned: Vec<u64>,
}

#[derive(Debug)]
enum Ends {
    /// All pieces have this size.
    Fixed { size: u32, count: u32 },
    /// Strings: where each ends, one bit a character that ends one, how many end before each word of bits, and
    /// the size of a character.
    Strings { ends: Vec<u32>, bitmap: Vec<u64>, before: Vec<u32>, unit: u32 },
}

impl Pieces {
    /// Splits a section and hashes its pieces.
    pub(super) fn split(section: &Section, seed: u64) -> (Pieces, Vec<[u64; 2]>) {
        let (ends, hashes) = if section.has(SHF_STRINGS) {
            let mut split = engine::simd::Pieces::default();
            split_and_hash(section.contents, section.entsize as usize, seed, &mut split);
            let mut before = Vec::new();
            rank_prefix(&split.bitmap, &mut before);
            let unit = section.entsize;
            (Ends::Strings { ends: split.ends, bitmap: split.bitmap, before, unit }, split.hashes)
        } else {
            let mut hashes = Vec::new();
            hash_records(section.contents, section.entsize as usize, seed, &mut hashes);
            (Ends::Fixed { size: section.entsize, count: hashes.len() as u32 }, hashes)
        };
        let owned = vec![0; hashes.len().div_ceil(64)];
        (Pieces { ends, owned }, hashes)
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        match &self.ends {
            Ends::Fixed { count, .. } => *count as usize,
            Ends::Strings { ends, .. } => ends.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a piece within the section.
    pub fn range(&self, piece: usize) -> Range<usize> {
        match &self.ends {
            Ends::Fixed { size, .. } => piece * *size as usize..(piece + 1) * *size as usize,
            Ends::Strings { ends, .. } => {
                let start = if piece == 0 { 0 } else { ends[piece - 1] as usize };
                start..ends[piece] as usize
            }
        }
    }

    /// The piece an input offset falls into, and where that piece starts. Offsets behind the end belong to the
    /// last piece.
    pub fn find(&self, offset: u64) -> (usize, u64) {
        let last = self.len().saturating_sub(1);
        let piece = match &self.ends {
            Ends::Fixed { size, .. } => ((offset / u64::from((*size).max(1))) as usize).min(last),
            Ends::Strings { bitmap, before, unit, .. } => {
                rank(bitmap, before, (offset / u64::from(*unit)) as usize)
                    .map_or(last, |n| (n as usize).min(last))
            }
        };
        if self.is_empty() {
            return (0, 0);
        }
        (piece, self.range(piece).start as u64)
    }

    pub(super) fn set_owner(&mut self, piece: usize) {
        self.owned[piece / 64] |= 1 << (piece % 64);
    }

    /// Whether this section is the first to have the piece.
    pub fn is_owner(&self, piece: usize) -> bool {
        self.owned[piece / 64] >> (piece % 64) & 1 != 0
    }
}
