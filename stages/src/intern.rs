//! Names to numbers: every global name of every file becomes a [`SymbolId`].
//!
//! In: batches of hashed names, one batch a shard, as `parse` produces them. Out: [`Symbols`], the proof that
//! every name is known.
//!
//! The table is split by hash into [`SHARDS`] shards, each a [`Numbering`] that one worker at a time fills.
//! Equality is equality of hashes, so names are never compared (a comparison would cost two cache misses a
//! name, three times the insertion itself). The number of a name is its arrival within its shard, interleaved with the shard's
//! number: ids are dense but depend on timing, and nothing that reaches the output is ordered by them.
//!
//! Ids travel back to the files through arrays of atomics that the batch shares with its shards' messages;
//! each element has one writer.
//!
//! Cost: a hash and one slot a name; the slots are prefetched some names ahead.

use crate::model::SymbolId;
use crate::numbering::{Numbering, Pile};
use engine::simd::{Hash, Keys, NameHash, kernels};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of shards, a power of two.
pub const SHARDS: usize = 16;

/// One name to be numbered.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// What of the hash is not said by the shard.
    tag: u64,
    tag_low: u32,
    /// Where the id goes in the batch's array.
    slot: u32,
    name: &'static [u8],
}

const _: () = assert!(size_of::<Request>() == 32);

impl Request {
    fn new(hash: Hash, slot: u32, name: &'static [u8]) -> Request {
        Request { tag: hash[0], tag_low: hash[1] as u32, slot, name }
    }
    /// A hash that is the same to a [`Numbering`].
    fn hash(&self) -> Hash {
        [self.tag, self.tag_low.into()]
    }
}

/// The names of one batch of files that belong to one shard.
#[derive(Debug)]
pub struct NameBatch {
    /// Receives the ids.
    pub ids: Arc<[AtomicU32]>,
    /// The names.
    pub requests: Vec<Request>,
}

/// Memory of batches that have been numbered, for those to come: it has pages already, and need not grow.
#[derive(Debug, Default)]
pub struct Spare {
    requests: Mutex<Vec<Vec<Request>>>,
    scratch: Mutex<Vec<Scratch>>,
}

impl Spare {
    /// An empty sink with the memory of earlier ones.
    pub fn sink(&self, seed: u64) -> NameSink {
        let mut sink = NameSink::new(seed);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &mut sink.shards {
            *shard = requests.pop().unwrap_or_default();
        }
        drop(requests);
        sink.scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        sink
    }
    /// Takes back what a batch of numbered names was in.
    pub fn put(&self, batch: NameBatch) {
        let mut requests = batch.requests;
        requests.clear();
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(requests);
    }
    /// Ends a batch as [`NameSink::finish`] does, and keeps its scratch memory.
    pub fn finish(&self, mut sink: NameSink) -> (Arc<[AtomicU32]>, Vec<(usize, NameBatch)>) {
        let scratch = std::mem::take(&mut sink.scratch);
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        sink.finish()
    }
}

/// What [`NameSink::push_table`] works with.
#[derive(Debug, Default)]
struct Scratch {
    hashes: Vec<NameHash>,
    offsets: Vec<u32>,
}

/// Collects the names of a batch of files on their way from `parse` to the shards.
#[derive(Debug)]
pub struct NameSink {
    keys: Keys,
    shards: [Vec<Request>; SHARDS],
    slots: u32,
    scratch: Scratch,
    /// Where the last table's requests start.
    table_start: u32,
}

impl NameSink {
    /// An empty sink; all sinks of a link share the seed.
    pub fn new(seed: u64) -> NameSink {
        NameSink {
            keys: Keys::new(seed),
            shards: Default::default(),
            slots: 0,
            scratch: Scratch::default(),
            table_start: 0,
        }
    }

    /// Number of names so far: the slot of the next one.
    pub fn len(&self) -> u32 {
        self.slots
    }

    /// Whether there are no names yet.
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// Makes room for about this many more names.
    pub fn reserve(&mut self, names: usize) {
        // Hashes spread them evenly, nearly.
        let each = names / SHARDS + names / (8 * SHARDS) + 1;
        self.shards.iter_mut().for_each(|requests| requests.reserve(each));
    }

    fn push(&mut self, hash: Hash, name: &'static [u8]) {
        self.shards[shard_of(hash)].push(Request::new(hash, self.slots, name));
        self.slots += 1;
    }

    /// Adds one name.
    pub fn push_bytes(&mut self, name: &'static [u8]) {
        self.push(kernels().hash(&self.keys, name), name);
    }

    /// Adds the NUL-terminated names at these offsets of a string table and appends their lengths.
    pub fn push_table(
        &mut self,
        strtab: &'static [u8],
        offsets: impl Iterator<Item = u32>,
        lengths: &mut Vec<u32>,
    ) {
        let Scratch { hashes, offsets: all } = &mut self.scratch;
        all.clear();
        all.extend(offsets);
        hashes.clear();
        kernels().hash_names(&self.keys, strtab, all, hashes);
        self.table_start = self.slots;
        self.reserve(self.scratch.hashes.len());
        for i in 0..self.scratch.hashes.len() {
            let NameHash { hash, len } = self.scratch.hashes[i];
            let start = self.scratch.offsets[i] as usize;
            lengths.push(len);
            self.push(hash, strtab.get(start..start + len as usize).unwrap_or(&[]));
        }
    }

    /// Replaces the `index`th name of the last [`NameSink::push_table`] by another.
    pub fn replace_last_table(&mut self, index: usize, name: &'static [u8]) {
        let slot = self.table_start + index as u32;
        let old = self.scratch.hashes[index].hash;
        let shard = &mut self.shards[shard_of(old)];
        if let Some(at) = shard.iter().rposition(|r| r.slot == slot) {
            shard.swap_remove(at);
        }
        let hash = kernels().hash(&self.keys, name);
        self.shards[shard_of(hash)].push(Request::new(hash, slot, name));
    }

    /// Ends the batch: the array that will receive the ids, and one message a shard that has names.
    pub fn finish(self) -> (Arc<[AtomicU32]>, Vec<(usize, NameBatch)>) {
        let ids: Arc<[AtomicU32]> = (0..self.slots).map(|_| AtomicU32::new(u32::MAX)).collect();
        let batches = self
            .shards
            .into_iter()
            .enumerate()
            .filter(|(_, requests)| !requests.is_empty())
            .map(|(shard, requests)| (shard, NameBatch { ids: ids.clone(), requests }))
            .collect();
        (ids, batches)
    }
}

fn shard_of(hash: Hash) -> usize {
    (hash[1] >> 32) as usize % SHARDS
}

/// One shard of the table. Filled by one worker at a time.
#[derive(Debug)]
pub struct Shard {
    numbers: Numbering,
    names: Pile<&'static [u8]>,
}

impl Shard {
    /// An empty shard; it grows by need.
    pub fn new() -> Shard {
        Shard { numbers: Numbering::new(256), names: Pile::new() }
    }

    /// Numbers the names of a batch.
    pub fn intern(&mut self, shard: usize, batch: &NameBatch) {
        let Shard { numbers, names } = self;
        let requests = &batch.requests;
        numbers.number_all(
            requests.len(),
            |n| requests[n].hash(),
            |n, number, is_new| {
                if is_new {
                    names.push(requests[n].name);
                }
                let id = number * SHARDS as u32 + shard as u32;
                batch.ids[requests[n].slot as usize].store(id, Ordering::Relaxed);
            },
        );
    }

    /// The number of a name, new or known.
    fn number(&mut self, hash: Hash, name: &'static [u8]) -> u32 {
        let (number, is_new) = self.numbers.number(hash);
        if is_new {
            self.names.push(name);
        }
        number
    }
}

impl Default for Shard {
    fn default() -> Self {
        Shard::new()
    }
}

/// Every global name of the link. **Every symbol is known** once this exists.
#[derive(Debug)]
pub struct Symbols {
    shards: Vec<Shard>,
    keys: Keys,
    bound: usize,
}

impl Symbols {
    /// Seals the shards.
    pub fn seal(shards: Vec<Shard>, seed: u64) -> Symbols {
        let mut symbols = Symbols { shards, keys: Keys::new(seed), bound: 0 };
        symbols.update_bound();
        symbols
    }

    fn update_bound(&mut self) {
        self.bound = self.shards.iter().map(|s| s.names.len()).max().unwrap_or(0) * SHARDS;
    }

    /// All ids are below this.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// The name of an id; empty for ids in the gaps between shards of unequal size.
    pub fn name(&self, id: SymbolId) -> &'static [u8] {
        let (shard, number) = (id.index() % SHARDS, id.index() / SHARDS);
        self.shards[shard].names.get(number).copied().unwrap_or(&[])
    }

    /// The id of a name, if any file mentions it.
    pub fn find(&self, name: &[u8]) -> Option<SymbolId> {
        let hash = kernels().hash(&self.keys, name);
        let shard = shard_of(hash);
        let number = self.shards[shard].numbers.find(hash)?;
        Some(SymbolId(number * SHARDS as u32 + shard as u32))
    }

    /// The id of a name the linker itself brings in (`--defsym`, `_end`, …), before resolution starts.
    pub fn add(&mut self, name: &[u8]) -> SymbolId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let hash = kernels().hash(&self.keys, name);
        let shard = shard_of(hash);
        let number = self.shards[shard].number(hash, name.to_vec().leak());
        self.update_bound();
        SymbolId(number * SHARDS as u32 + shard as u32)
    }

    /// All ids with their names, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, &'static [u8])> + '_ {
        self.shards.iter().enumerate().flat_map(|(shard, s)| {
            s.names.iter().enumerate().map(move |(n, name)| (SymbolId((n * SHARDS + shard) as u32), *name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern_all(names: &[&'static [u8]]) -> (Symbols, Vec<SymbolId>) {
        let mut sink = NameSink::new(7);
        for name in names {
            sink.push_bytes(name);
        }
        let (ids, batches) = sink.finish();
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
        for (shard, batch) in &batches {
            shards[*shard].intern(*shard, batch);
        }
        let ids = ids.iter().map(|id| SymbolId(id.load(Ordering::Relaxed))).collect();
        (Symbols::seal(shards, 7), ids)
    }

    #[test]
    fn equal_names_have_equal_ids() {
        let (symbols, ids) = intern_all(&[b"main", b"puts", b"main", b""]);
        assert_eq!(ids[0], ids[2]);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(symbols.name(ids[1]), b"puts");
        assert_eq!(symbols.find(b"main"), Some(ids[0]));
        assert_eq!(symbols.find(b"absent"), None);
    }

    #[test]
    fn tables_and_many_names() {
        let names: Vec<&'static [u8]> =
            (0..20_000).map(|i| &*format!("symbol_{i}").into_bytes().leak()).collect();
        let (symbols, ids) = intern_all(&names);
        for (name, id) in names.iter().zip(&ids) {
            assert_eq!(symbols.find(name), Some(*id));
            assert!(id.index() < symbols.bound());
        }
    }

    #[test]
    fn a_table_gives_the_same_ids_as_single_names() {
        let strtab: &'static [u8] = b"\0foo\0barbar\0foo@V1\0";
        let mut sink = NameSink::new(7);
        sink.push_bytes(b"foo");
        let mut lengths = Vec::new();
        sink.push_table(strtab, [1, 5, 12].into_iter(), &mut lengths);
        sink.replace_last_table(2, b"foo");
        assert_eq!(lengths, [3, 6, 6]);
        let (ids, batches) = sink.finish();
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
        for (shard, batch) in &batches {
            shards[*shard].intern(*shard, batch);
        }
        let id = |i: usize| ids[i].load(Ordering::Relaxed);
        assert_eq!(id(0), id(1));
        assert_eq!(id(0), id(3));
        assert_ne!(id(0), id(2));
    }
}
