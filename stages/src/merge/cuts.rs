//! Where a mergeable section is cut, and which piece an offset falls into.
//!
//! Of a piece of strings a single byte is kept: where in its block of 256 bytes its last byte is. For every block there is
//! the piece its first byte lies in; from there a lookup compares with the last bytes of sixteen pieces at once, without a
//! branch. Strings are a quarter of a block long in the mean, so sixteen are nearly always enough. It takes a quarter of
//! the memory of offsets, which matters more than the instructions: the tables of one object are read long after they were
//! made.

use engine::simd::{WINDOW, below};
use std::ops::Range;

/// log2 of the bytes of a block: where something is in it takes a byte.
const BLOCK_LOG2: u32 = u8::BITS;

/// Where a section is cut.
#[derive(Debug)]
pub(super) enum Cuts {
    /// All pieces have this size.
    Fixed { size: u32 },
    /// All pieces end behind a terminator.
    Strings(Strings),
}

/// Where strings end.
#[derive(Debug)]
pub(super) struct Strings {
    /// For each block the piece its first byte belongs to; at the end the number of pieces.
    blocks: Box<[u32]>,
    /// Of each piece the place of its last byte in its block, and as many more as are compared at once.
    lasts: Box<[u8]>,
}

/// Strings of which not all are known yet. Reuse it: its buffers keep their memory.
#[derive(Debug, Default)]
pub(super) struct Growing {
    blocks: Vec<u32>,
    lasts: Vec<u8>,
}

impl Growing {
    /// Forgets all strings.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.lasts.clear();
    }

    /// Adds the next strings, by their ends: offsets behind their terminators, from `start` on.
    pub(super) fn add(&mut self, start: u32, ends: &[u32]) {
        let first = self.lasts.len();
        self.lasts.extend(ends.iter().map(|end| (start + end - 1) as u8));
        for (n, end) in ends.iter().enumerate() {
            let until = ((start + end - 1) >> BLOCK_LOG2) as usize + 1;
            if self.blocks.len() < until {
                self.blocks.resize(until, (first + n) as u32);
            }
        }
    }

    /// All strings.
    pub(super) fn finish(&mut self) -> Strings {
        self.blocks.push(self.lasts.len() as u32);
        self.lasts.extend([0; WINDOW]);
        Strings { blocks: self.blocks.as_slice().into(), lasts: self.lasts.as_slice().into() }
    }
}

/// Says where pieces start, of one after the other.
pub(super) struct Starts<'a> {
    cuts: &'a Cuts,
    block: usize,
}

impl Cuts {
    /// Changes a number that each piece has: `change` gets it, and where the piece starts. Block by block, which is faster
    /// than asking [`Starts`] for each.
    pub(super) fn change(&self, numbers: &mut [u32], change: impl Fn(u32, u32) -> u32) {
        let mut start = 0;
        match self {
            Cuts::Fixed { size } => {
                for number in numbers {
                    *number = change(*number, start);
                    start += size;
                }
            }
            Cuts::Strings(strings) => {
                for (block, pieces) in strings.blocks.windows(2).enumerate() {
                    let base = ((block as u32) << BLOCK_LOG2) + 1;
                    let pieces = pieces[0] as usize..pieces[1] as usize;
                    for (number, last) in numbers[pieces.clone()].iter_mut().zip(&strings.lasts[pieces]) {
                        *number = change(*number, start);
                        start = base + u32::from(*last);
                    }
                }
            }
        }
    }

    /// To ask for starts of pieces.
    pub(super) fn starts(&self) -> Starts<'_> {
        Starts { cuts: self, block: 0 }
    }
}

impl Starts<'_> {
    /// The offset at which a piece starts; of the piece that would follow the last, where that ends. `piece` must not be
    /// less than the one before.
    #[inline]
    pub(super) fn of(&mut self, piece: usize) -> u32 {
        match (self.cuts, piece.checked_sub(1)) {
            (Cuts::Fixed { size }, _) => piece as u32 * size,
            (Cuts::Strings(_), None) => 0,
            (Cuts::Strings(strings), Some(before)) => {
                while strings.blocks[self.block + 1] as usize <= before {
                    self.block += 1;
                }
                ((self.block as u32) << BLOCK_LOG2) + u32::from(strings.lasts[before]) + 1
            }
        }
    }
}

/// Finds the pieces of many offsets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finder<'a> {
    blocks: &'a [u32],
    lasts: &'a [u8],
    /// Of a piece, if all have the same, and 0 of strings.
    size: u32,
}

impl<'a> Finder<'a> {
    /// For the pieces of a section.
    #[inline(always)]
    pub(super) fn new(cuts: &'a Cuts) -> Finder<'a> {
        match cuts {
            Cuts::Fixed { size } => Finder { blocks: &[], lasts: &[], size: *size },
            Cuts::Strings(Strings { blocks, lasts }) => Finder { blocks, lasts, size: 0 },
        }
    }

    /// The piece that the byte at an offset belongs to; behind the end of the section another that does not exist.
    #[inline(always)]
    pub(super) fn piece(&self, offset: u64) -> usize {
        match self.blocks.get((offset >> BLOCK_LOG2) as usize..).and_then(|blocks| blocks.first_chunk()) {
            Some([first, next]) => first_from(self.lasts, *first as usize..*next as usize, offset as u8),
            None => self.record(offset),
        }
    }

    /// The same for records, and for offsets behind the last block.
    #[cold]
    fn record(&self, offset: u64) -> usize {
        offset.checked_div(u64::from(self.size)).map_or(usize::MAX, |piece| piece as usize)
    }

    /// Asks for all that [`Finder::piece`] reads.
    pub(super) fn prefetch(&self) {
        engine::prefetch_all(self.lasts);
        engine::prefetch_all(self.blocks);
    }
}

/// The first of `pieces`, which end in one block, whose last byte is at `place` of the block or behind; or the one behind
/// them.
#[inline(always)]
fn first_from(lasts: &[u8], mut pieces: Range<usize>, place: u8) -> usize {
    while let Some(window) = lasts.get(pieces.start..).and_then(|lasts| lasts.first_chunk()) {
        let passed = below(window, place).min(pieces.len());
        pieces.start += passed;
        if passed < WINDOW {
            break;
        }
    }
    pieces.start
}
