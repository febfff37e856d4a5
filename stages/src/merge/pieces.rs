//! A mergeable section as pieces: where each starts, and which piece an offset falls into.

use crate::model::Section;
use engine::simd::{Splitter, split_records, split_strings};
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
    /// Strings, and a bitmap over the input with a rank a word for lookup.
    Strings(Splitter),
}

impl Pieces {
    /// Splits a section and hashes its pieces.
    pub(super) fn split(section: &Section, seed: u64) -> (Pieces, Vec<[u64; 2]>) {
        let mut hashes = Vec::new();
        let ends = if section.has(SHF_STRINGS) {
            Ends::Strings(split_strings(section.contents, section.entsize as usize, seed, &mut hashes))
        } else {
            split_records(section.contents, section.entsize as usize, seed, &mut hashes);
            Ends::Fixed { size: section.entsize, count: hashes.len() as u32 }
        };
        let owned = vec![0; hashes.len().div_ceil(64)];
        (Pieces { ends, owned }, hashes)
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        match &self.ends {
            Ends::Fixed { count, .. } => *count as usize,
            Ends::Strings(splitter) => splitter.len(),
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
            Ends::Strings(splitter) => splitter.range(piece),
        }
    }

    /// The piece an input offset falls into, and where that piece starts. Offsets behind the end belong to the
    /// last piece.
    pub fn find(&self, offset: u64) -> (usize, u64) {
        let last = self.len().saturating_sub(1);
        let piece = match &self.ends {
            Ends::Fixed { size, .. } => ((offset / u64::from((*size).max(1))) as usize).min(last),
            Ends::Strings(splitter) => splitter.find(offset as usize).min(last),
        };
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
