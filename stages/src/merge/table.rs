//! The table of distinct pieces: numbers them and remembers the first occurrence of each.
//!
//! Shards by hash bits, each behind a lock that a worker holds for the pieces of one section that belong to it.
//! The first occurrence is a minimum over (section, piece), so the order of insertion does not matter.

use engine::prefetch;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Number of shards, a power of two.
pub(super) const SHARDS: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u64,
    tag_low: u32,
    number: u32,
}

const EMPTY: u32 = u32::MAX;
const FREE: Slot = Slot { tag: 0, tag_low: 0, number: EMPTY };
/// Slots of a shard at the start: most sections repeat what others have, so tables stay small.
const FIRST_SLOTS: usize = 1 << 10;

#[derive(Debug)]
struct Shard {
    slots: Vec<Slot>,
    /// By number: section and piece of the first occurrence.
    owners: Vec<(u32, u32)>,
}

impl Shard {
    fn number(&mut self, hash: [u64; 2], occurrence: (u32, u32)) -> u32 {
        let mask = self.slots.len() - 1;
        let (tag, tag_low) = (hash[0], hash[1] as u32);
        let mut at = tag as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.number == EMPTY {
                let number = self.owners.len() as u32;
                *slot = Slot { tag, tag_low, number };
                self.owners.push(occurrence);
                if self.owners.len() * 2 > self.slots.len() {
                    self.grow();
                }
                return number;
            }
            if slot.tag == tag && slot.tag_low == tag_low {
                let owner = &mut self.owners[slot.number as usize];
                *owner = occurrence.min(*owner);
                return slot.number;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 4;
        let mask = size - 1;
        let old = std::mem::replace(&mut self.slots, vec![FREE; size]);
        for slot in old.into_iter().filter(|s| s.number != EMPTY) {
            let mut at = slot.tag as usize & mask;
            while self.slots[at].number != EMPTY {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }
}

/// The growing table.
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
}

fn shard_of(hash: &[u64; 2]) -> usize {
    (hash[1] >> 32) as usize % SHARDS
}

impl Table {
    pub(super) fn new() -> Table {
        let shard = || Mutex::new(Shard { slots: vec![FREE; FIRST_SLOTS], owners: Vec::new() });
        Table { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Numbers the pieces of a section; `numbers` receives a number a piece.
    pub(super) fn insert(&self, section: u32, hashes: &[[u64; 2]], numbers: &[AtomicU32]) {
        const AHEAD: usize = 8;
        // Pieces of each shard, together: one lock a shard, not one a piece.
        let mut starts = [0u32; SHARDS + 1];
        for hash in hashes {
            starts[shard_of(hash) + 1] += 1;
        }
        for shard in 0..SHARDS {
            starts[shard + 1] += starts[shard];
        }
        let mut order = vec![0u32; hashes.len()];
        let mut next = starts;
        for (piece, hash) in hashes.iter().enumerate() {
            let cursor = &mut next[shard_of(hash)];
            order[*cursor as usize] = piece as u32;
            *cursor += 1;
        }
        for shard_index in 0..SHARDS {
            let pieces = &order[starts[shard_index] as usize..starts[shard_index + 1] as usize];
            if pieces.is_empty() {
                continue;
            }
            let mut shard = self.shards[shard_index].lock().unwrap_or_else(PoisonError::into_inner);
            for (i, piece) in pieces.iter().enumerate() {
                if let Some(later) = pieces.get(i + AHEAD) {
                    let mask = shard.slots.len() - 1;
                    prefetch(&shard.slots, hashes[*later as usize][0] as usize & mask);
                }
                let number = shard.number(hashes[*piece as usize], (section, *piece));
                let number = number * SHARDS as u32 + shard_index as u32;
                numbers[*piece as usize].store(number, Ordering::Relaxed);
            }
        }
    }

    /// Ends insertion.
    pub(super) fn seal(self) -> Owners {
        let shards: Vec<Vec<(u32, u32)>> = self
            .shards
            .into_iter()
            .map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner).owners)
            .collect();
        let offsets = shards.iter().map(|s| s.iter().map(|_| AtomicU32::new(0)).collect()).collect();
        Owners { shards, offsets }
    }
}

/// The first occurrence of every distinct piece, and room for its offset in the output.
pub(super) struct Owners {
    shards: Vec<Vec<(u32, u32)>>,
    offsets: Vec<Vec<AtomicU32>>,
}

impl Owners {
    /// Section and piece of the first occurrence.
    pub(super) fn owner(&self, number: u32) -> (u32, u32) {
        let number = number as usize;
        self.shards[number % SHARDS][number / SHARDS]
    }
    pub(super) fn set_offset(&self, number: u32, offset: u32) {
        let number = number as usize;
        self.offsets[number % SHARDS][number / SHARDS].store(offset, Ordering::Relaxed);
    }
    pub(super) fn offset(&self, number: u32) -> u32 {
        let number = number as usize;
        self.offsets[number % SHARDS][number / SHARDS].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_owns() {
        let table = Table::new();
        let hashes: Vec<[u64; 2]> =
            (0..5000u64).map(|i| [i.wrapping_mul(0x9e37_79b9), i << 32 | 7]).collect();
        let numbers = |_: ()| -> Vec<AtomicU32> { hashes.iter().map(|_| AtomicU32::new(0)).collect() };
        let (late, early) = (numbers(()), numbers(()));
        table.insert(9, &hashes, &late);
        table.insert(2, &hashes, &early);
        let owners = table.seal();
        for piece in 0..hashes.len() {
            let number = late[piece].load(Ordering::Relaxed);
            assert_eq!(number, early[piece].load(Ordering::Relaxed));
            assert_eq!(owners.owner(number), (2, piece as u32));
        }
    }
}
