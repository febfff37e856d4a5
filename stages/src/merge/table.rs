//! The table of distinct pieces: numbers them and remembers the first occurrence of each.
//!
//! Shards by hash bits, each behind a lock that a worker holds for the pieces of one section that belong to it.
//! The first occurrence is a minimum over sections, so the order of insertion does not matter: an earlier section
//! that arrives late takes a piece over, and the one it took it from is told in the end. Sections arrive nearly in
//! order, so that is rare, and a shard that has seen no later section need not even look who owns a piece.

use crate::numbering::{Numbering, Pile};
use engine::simd::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Number of shards, a power of two.
pub(super) const SHARDS: usize = 16;

/// Slots of a shard at the start, at most: most sections repeat what others have, so tables stay small.
const FIRST_SLOTS: usize = 1 << 10;

/// Where a piece occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Occurrence {
    /// Which of the sections that are merged.
    pub section: u32,
    /// Which of its pieces.
    pub piece: u32,
}

#[derive(Debug)]
struct Shard {
    numbers: Numbering,
    /// By number: the first occurrence.
    owners: Pile<Occurrence>,
    /// No section behind this one owns a piece.
    last_section: u32,
    /// Those that owned a piece until an earlier section came.
    losers: Vec<Occurrence>,
}

impl Shard {
    fn new(slots: usize) -> Shard {
        Shard { numbers: Numbering::new(slots), owners: Pile::new(), last_section: 0, losers: Vec::new() }
    }

    /// Numbers pieces of one section; see [`Table::insert`].
    fn number(&mut self, section: u32, pieces: &[Piece], mut tell: impl FnMut(usize, u32, bool)) {
        let Shard { numbers, owners, last_section, losers } = self;
        numbers.number_all(
            pieces.len(),
            |n| pieces[n].hash(),
            |n, number, is_new| {
                let occurrence = Occurrence { section, piece: pieces[n].index };
                if is_new {
                    owners.push(occurrence);
                    *last_section = section.max(*last_section);
                }
                let is_first =
                    is_new || section < *last_section && take_over(owners, losers, number, occurrence);
                tell(occurrence.piece as usize, number, is_first);
            },
        );
    }
}

/// Gives a piece to an earlier occurrence, if that is one.
#[cold]
fn take_over(
    owners: &mut Pile<Occurrence>,
    losers: &mut Vec<Occurrence>,
    number: u32,
    occurrence: Occurrence,
) -> bool {
    match owners.get_mut(number as usize) {
        Some(owner) if *owner > occurrence => {
            losers.push(std::mem::replace(owner, occurrence));
            true
        }
        _ => false,
    }
}

/// The growing table.
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
}

fn shard_of(hash: &Hash) -> usize {
    (hash[1] >> 32) as usize % SHARDS
}

/// A piece on its way into the table: what of its hash the table keeps, and which it is.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    tag: u64,
    tag_low: u32,
    index: u32,
}

impl Piece {
    /// A hash that is the same to a [`Numbering`].
    #[inline(always)]
    fn hash(&self) -> Hash {
        [self.tag, self.tag_low.into()]
    }
}

/// The pieces of a part of a section in the order of their shards. Its memory is used again for the next section.
#[derive(Debug, Default)]
pub(super) struct ByShard {
    pieces: Vec<Piece>,
}

impl ByShard {
    /// Sorts pieces from `first` on by shard; the pieces of shard `i` are at `starts[i]..starts[i + 1]`.
    fn sort(&mut self, first: usize, hashes: &[Hash]) -> [u32; SHARDS + 1] {
        let mut starts = [0u32; SHARDS + 1];
        for hash in hashes {
            starts[shard_of(hash) + 1] += 1;
        }
        for shard in 0..SHARDS {
            starts[shard + 1] += starts[shard];
        }
        if self.pieces.len() < hashes.len() {
            self.pieces.resize(hashes.len(), Piece::default());
        }
        let mut next = starts;
        for (index, hash) in (first as u32..).zip(hashes) {
            let cursor = &mut next[shard_of(hash)];
            let piece = Piece { tag: hash[0], tag_low: hash[1] as u32, index };
            self.pieces[*cursor as usize] = piece;
            *cursor += 1;
        }
        starts
    }
}

impl Table {
    /// A table for so many bytes of sections.
    pub(super) fn new(bytes: usize) -> Table {
        // A piece has some 32 bytes.
        let first = (bytes / (32 * SHARDS)).next_power_of_two().clamp(16, FIRST_SLOTS);
        Table { shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(first))).collect() }
    }

    /// Numbers the pieces of a section from `first` on: `tell` hears of each piece its number, and whether nobody before
    /// had it, as far as is known yet.
    pub(super) fn insert(
        &self,
        section: u32,
        first: usize,
        hashes: &[Hash],
        scratch: &mut ByShard,
        mut tell: impl FnMut(usize, u32, bool),
    ) {
        // Pieces of each shard, together: one lock a shard, not one a piece.
        let starts = scratch.sort(first, hashes);
        for (shard_index, range) in starts.windows(2).enumerate() {
            let pieces = &scratch.pieces[range[0] as usize..range[1] as usize];
            if pieces.is_empty() {
                continue;
            }
            let mut shard = self.shards[shard_index].lock().unwrap_or_else(PoisonError::into_inner);
            shard.number(section, pieces, |piece, number, is_first| {
                tell(piece, number * SHARDS as u32 + shard_index as u32, is_first);
            });
        }
    }

    /// Ends insertion: those that thought they were first and were not, and room for the offset of every piece.
    pub(super) fn seal(self) -> (Vec<Occurrence>, Offsets) {
        let mut losers = Vec::new();
        let mut longest = 0;
        for shard in self.shards {
            let shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            longest = longest.max(shard.owners.len());
            losers.extend(shard.losers);
        }
        (losers, Offsets { by_number: (0..longest * SHARDS).map(|_| AtomicU32::new(0)).collect() })
    }
}

/// For every distinct piece its offset in the output.
pub(super) struct Offsets {
    by_number: Vec<AtomicU32>,
}

impl Offsets {
    pub(super) fn set(&self, number: u32, offset: u32) {
        self.by_number[number as usize].store(offset, Ordering::Relaxed);
    }
    pub(super) fn get(&self, number: u32) -> u32 {
        self.by_number[number as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_owns_whoever_comes_first() {
        let table = Table::new(1 << 10);
        let hashes: Vec<Hash> = (0..5000u64).map(|i| [i.wrapping_mul(0x9e37_79b9), i << 32 | 7]).collect();
        let mut scratch = ByShard::default();
        let mut insert = |section, hashes: &[Hash]| {
            let (mut numbers, mut owned) = (vec![0; hashes.len()], Vec::new());
            table.insert(section, 0, hashes, &mut scratch, |piece, number, is_first| {
                numbers[piece] = number;
                if is_first {
                    owned.push(piece as u32);
                }
            });
            owned.sort_unstable();
            (numbers, owned)
        };
        let late = insert(9, &hashes);
        let early = insert(2, &hashes[1000..]);
        let middle = insert(5, &hashes);
        assert_eq!(late.1, (0..5000).collect::<Vec<_>>());
        assert_eq!(early.1, (0..4000).collect::<Vec<_>>());
        assert_eq!(middle.1, (0..1000).collect::<Vec<_>>());
        assert_eq!(late.0, middle.0);
        assert_eq!(late.0[1000..], early.0);
        let (mut losers, offsets) = table.seal();
        losers.sort_unstable();
        assert_eq!(losers, (0..5000).map(|piece| Occurrence { section: 9, piece }).collect::<Vec<_>>());
        offsets.set(late.0[77], 123);
        assert_eq!(offsets.get(middle.0[77]), 123);
    }
}
