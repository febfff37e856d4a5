//! Classes of equal things: partition refinement (Hopcroft 1971; Paige and Tarjan 1987).
//!
//! In: a hash of what each item is by itself, and the items it refers to, in order. Out: the coarsest partition in
//! which the members of a class have equal hashes and refer, place by place, to members of equal classes. Items that
//! refer to each other in a circle can be equal: nothing is ever compared, things are only told apart.
//!
//! Items start in classes by hash. An item's *sum* adds up, over its references, a mix of the place and the class
//! referred to; within a class, items with different sums are different. When a class falls apart, its largest part
//! keeps the class's number, so only the smaller parts are renamed; the sums of those who refer to the renamed change
//! by a difference, and only they are looked at in the next round. An item is renamed at most log n times, because
//! the class it is in halves each time: O(e log n) steps for e references, and a chain of a hundred thousand
//! functions that call the next one costs as little as a heap of them. (Hashing everything anew each round, as is
//! usual, is quadratic there.)
//!
//! Invariants
//! - Hashes and sums have 128 bits and depend on a key that inputs cannot know; equal ones count as proof.
//! - Numbers of classes have no meaning and may differ from run to run; the classes do not.

use crate::starts::starts_of;
use engine::Pool;
use engine::simd::Hash;
use std::ops::Range;

/// Items that start alike, and where they lead.
#[derive(Debug)]
pub(super) struct Edges {
    /// The items whose references are listed.
    pub items: Vec<u32>,
    /// First reference of each of them, and the end of the last.
    pub starts: Vec<u32>,
    /// The items referred to.
    pub targets: Vec<u32>,
}

impl Edges {
    fn of(&self, n: usize) -> &[u32] {
        &self.targets[self.starts[n] as usize..self.starts[n + 1] as usize]
    }
}

/// A partition of items.
#[derive(Debug)]
pub(super) struct Partition {
    /// Class by item.
    class_of: Vec<u32>,
    /// By class: where its members stand in `members`.
    classes: Vec<Range<usize>>,
    /// The items, class by class.
    members: Vec<u32>,
    /// By item: its place in `members`.
    places: Vec<u32>,
    key: u64,
}

/// Something to be sorted into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    class: u32,
    sum: Hash,
    /// The item, or its place in [`Edges::items`].
    item: u32,
}

impl Partition {
    /// Puts items with equal hashes into one class each.
    pub fn by_hash(pool: &Pool, hashes: &[Hash], key: u64) -> Partition {
        let entries: Vec<Entry> = hashes
            .iter()
            .enumerate()
            .map(|(n, hash)| Entry { class: 0, sum: *hash, item: n as u32 })
            .collect();
        let mut partition = Partition {
            class_of: vec![0; hashes.len()],
            classes: Vec::new(),
            members: Vec::with_capacity(hashes.len()),
            places: vec![0; hashes.len()],
            key,
        };
        for bucket in sorted(pool, &entries, |entry| entry.sum[0]) {
            for group in bucket.chunk_by(|a, b| a.sum == b.sum) {
                let start = partition.members.len();
                for entry in group {
                    partition.class_of[entry.item as usize] = partition.classes.len() as u32;
                    partition.places[entry.item as usize] = partition.members.len() as u32;
                    partition.members.push(entry.item);
                }
                partition.classes.push(start..partition.members.len());
            }
        }
        partition
    }

    /// The items that are not alone in their class, ascending.
    pub fn shared(&self) -> Vec<u32> {
        let is_shared = |item: &u32| self.classes[self.class_of[*item as usize] as usize].len() > 1;
        (0..self.class_of.len() as u32).filter(is_shared).collect()
    }

    /// The classes of more than one item: their members ascending, in the order of their first members.
    pub fn groups(&self) -> Vec<Vec<u32>> {
        let mut places = vec![u32::MAX; self.classes.len()];
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for item in self.shared() {
            let place = &mut places[self.class_of[item as usize] as usize];
            if *place == u32::MAX {
                *place = groups.len() as u32;
                groups.push(Vec::new());
            }
            groups[*place as usize].push(item);
        }
        groups
    }

    /// Tells apart what refers to different things. `edges` are those of all items [`Partition::shared`] gave.
    pub fn refine(&mut self, pool: &Pool, edges: &Edges) {
        let incoming = Incoming::new(self.class_of.len(), edges);
        let mut sums: Vec<Hash> = pool.map("fold/refine", edges.items.len(), 256, |n| {
            let classes = edges.of(n).iter().map(|target| self.class_of[*target as usize]);
            classes.enumerate().fold([0; 2], |sum, (place, class)| add(sum, self.mix(place as u32, class)))
        });
        let mut touched: Vec<u32> = (0..edges.items.len() as u32).collect();
        // The round in which an item was last touched.
        let mut rounds = vec![0u32; edges.items.len()];
        let mut round = 0;
        loop {
            let renamed = self.split(pool, edges, &sums, &touched);
            if renamed.is_empty() {
                return;
            }
            round += 1;
            touched.clear();
            for (item, old) in renamed {
                let new = self.class_of[item as usize];
                for (source, place) in incoming.of(item) {
                    let sum = &mut sums[*source as usize];
                    *sum = add(subtract(*sum, self.mix(*place, old)), self.mix(*place, new));
                    if rounds[*source as usize] != round {
                        rounds[*source as usize] = round;
                        touched.push(*source);
                    }
                }
            }
        }
    }

    /// Splits the classes of touched items by their sums. Returns the items that got a new class, with the old one.
    ///
    /// Members of a class that were not touched have equal sums, which those of touched ones now differ from.
    fn split(&mut self, pool: &Pool, edges: &Edges, sums: &[Hash], touched: &[u32]) -> Vec<(u32, u32)> {
        let mut entries = Vec::with_capacity(touched.len());
        for n in touched {
            let class = self.class_of[edges.items[*n as usize] as usize];
            if self.classes[class as usize].len() > 1 {
                entries.push(Entry { class, sum: sums[*n as usize], item: *n });
            }
        }
        let mut renamed = Vec::new();
        for bucket in sorted(pool, &entries, |entry| u64::from(entry.class)) {
            for members in bucket.chunk_by(|a, b| a.class == b.class) {
                self.split_class(edges, members, &mut renamed);
            }
        }
        renamed
    }

    /// `touched` are members of one class, sorted by their sums.
    fn split_class(&mut self, edges: &Edges, touched: &[Entry], renamed: &mut Vec<(u32, u32)>) {
        let class = touched[0].class;
        let parts = || touched.chunk_by(|a, b| a.sum == b.sum);
        let untouched = self.classes[class as usize].len() - touched.len();
        // The part that keeps the number: the largest, the first of several.
        let largest = parts().map(<[Entry]>::len).max().unwrap_or(0);
        let keeper = if untouched >= largest { None } else { parts().find(|part| part.len() == largest) };
        let is_keeper = |part: &&[Entry]| keeper.is_some_and(|keeper| std::ptr::eq(keeper, *part));
        for part in parts().filter(|part| !is_keeper(part)) {
            let part = self.split_off(class, edges, part);
            self.rename(part, class, renamed);
        }
        if let Some(keeper) = keeper.filter(|_| untouched > 0) {
            // What is left are the keeper and those that were not touched, which are fewer.
            let keeper = self.split_off(class, edges, keeper);
            let rest = std::mem::replace(&mut self.classes[class as usize], keeper);
            self.rename(rest, class, renamed);
        }
    }

    /// Takes items out of a class: moves them behind its other members, whose range no longer has them.
    fn split_off(&mut self, class: u32, edges: &Edges, part: &[Entry]) -> Range<usize> {
        let end = self.classes[class as usize].end;
        for (n, entry) in part.iter().enumerate() {
            let item = edges.items[entry.item as usize];
            let (from, to) = (self.places[item as usize] as usize, end - 1 - n);
            let other = self.members[to];
            self.members.swap(from, to);
            self.places[item as usize] = to as u32;
            self.places[other as usize] = from as u32;
        }
        self.classes[class as usize].end = end - part.len();
        end - part.len()..end
    }

    /// Makes a class of a range of members.
    fn rename(&mut self, range: Range<usize>, old: u32, renamed: &mut Vec<(u32, u32)>) {
        for item in &self.members[range.clone()] {
            self.class_of[*item as usize] = self.classes.len() as u32;
            renamed.push((*item, old));
        }
        self.classes.push(range);
    }

    /// What a reference to a class adds to a sum.
    fn mix(&self, place: u32, class: u32) -> Hash {
        let word = (u64::from(place) << 32 | u64::from(class)).wrapping_add(self.key);
        [scramble(word), scramble(word ^ 0x5bf0_3635_dd2c_5a1b)]
    }
}

fn add(a: Hash, b: Hash) -> Hash {
    [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])]
}

fn subtract(a: Hash, b: Hash) -> Hash {
    [a[0].wrapping_sub(b[0]), a[1].wrapping_sub(b[1])]
}

/// A permutation of 64-bit words without structure (the finalizer of SplitMix64, with more of it).
fn scramble(mut word: u64) -> u64 {
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xff51_afd7_ed55_8ccd] {
        word = (word ^ (word >> 31)).wrapping_mul(factor);
    }
    word ^ (word >> 32)
}

/// Sorts into buckets that concatenated are in some fixed order by `bucket`, each sorted by itself.
fn sorted(pool: &Pool, entries: &[Entry], bucket: impl Fn(&Entry) -> u64) -> Vec<Vec<Entry>> {
    const BUCKETS: usize = 64;
    /// Fewer are sorted sooner than shared out.
    const SMALL: usize = 4096;
    if entries.len() < SMALL {
        let mut only = entries.to_vec();
        only.sort_unstable();
        return vec![only];
    }
    let number = |entry: &Entry| bucket(entry) as usize % BUCKETS;
    let mut counts = [0usize; BUCKETS];
    entries.iter().for_each(|entry| counts[number(entry)] += 1);
    let mut buckets: Vec<Vec<Entry>> = counts.iter().map(|count| Vec::with_capacity(*count)).collect();
    entries.iter().for_each(|entry| buckets[number(entry)].push(*entry));
    pool.for_each_mut("fold/sort", &mut buckets, 1, |_, bucket| bucket.sort_unstable());
    buckets
}

/// References turned around.
struct Incoming {
    /// By item: first place in `sources`; one more at the end.
    starts: Vec<u32>,
    /// Who refers to the item (place in [`Edges::items`]), and by which of its references.
    sources: Vec<(u32, u32)>,
}

impl Incoming {
    fn new(items: usize, edges: &Edges) -> Incoming {
        let starts = starts_of(items, edges.targets.iter().map(|target| *target as usize));
        let mut next = starts.clone();
        let mut sources = vec![(0, 0); edges.targets.len()];
        for n in 0..edges.items.len() {
            for (place, target) in edges.of(n).iter().enumerate() {
                let cursor = &mut next[*target as usize];
                sources[*cursor as usize] = (n as u32, place as u32);
                *cursor += 1;
            }
        }
        Incoming { starts, sources }
    }

    fn of(&self, item: u32) -> &[(u32, u32)] {
        &self.sources[self.starts[item as usize] as usize..self.starts[item as usize + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Tracer;
    use std::num::NonZeroUsize;

    /// The groups of items given by what they are and what they refer to.
    fn groups(items: &[(u64, &[u32])]) -> Vec<Vec<u32>> {
        engine::run(NonZeroUsize::new(3).unwrap(), &Tracer::off(), |pool| {
            let hashes: Vec<Hash> = items.iter().map(|(hash, _)| [*hash, 1]).collect();
            let mut partition = Partition::by_hash(pool, &hashes, 99);
            let shared = partition.shared();
            let mut edges = Edges { items: shared.clone(), starts: vec![0], targets: Vec::new() };
            for item in shared {
                edges.targets.extend_from_slice(items[item as usize].1);
                edges.starts.push(edges.targets.len() as u32);
            }
            partition.refine(pool, &edges);
            partition.groups()
        })
        .unwrap()
    }

    #[test]
    fn equal_leaves_make_equal_callers() {
        assert_eq!(groups(&[(1, &[1]), (2, &[]), (1, &[3]), (2, &[])]), [vec![0, 2], vec![1, 3]]);
        assert_eq!(groups(&[(1, &[1]), (2, &[]), (1, &[3]), (3, &[])]), [[0; 0]; 0]);
        assert_eq!(groups(&[]), [[0; 0]; 0]);
    }

    #[test]
    fn places_of_references_count() {
        assert_eq!(groups(&[(1, &[2, 3]), (1, &[3, 2]), (2, &[]), (3, &[])]), [[0; 0]; 0]);
        assert_eq!(groups(&[(1, &[2, 3]), (1, &[2, 3]), (2, &[]), (3, &[])]), [[0, 1]]);
    }

    #[test]
    fn circles_are_equal() {
        assert_eq!(groups(&[(1, &[0]), (1, &[1])]), [[0, 1]]);
        assert_eq!(groups(&[(1, &[1]), (1, &[0]), (1, &[2])]), [[0, 1, 2]]);
        // Two circles of two; one has a member that is different.
        assert_eq!(groups(&[(1, &[1]), (2, &[0]), (1, &[3]), (3, &[2])]), [[0; 0]; 0]);
    }

    /// Compared with the definition, on many small graphs.
    #[test]
    fn agrees_with_hashing_everything_each_round() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = scramble(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            state % below
        };
        for _ in 0..2000 {
            let count = 2 + random(60);
            let kinds = 1 + random(6);
            let lists: Vec<(u64, Vec<u32>)> = (0..count)
                .map(|_| {
                    // One kind is much more frequent than others, so that classes stay large for some rounds.
                    let kind = random(20).min(kinds - 1);
                    (kind, (0..kind % 4).map(|_| random(count) as u32).collect())
                })
                .collect();
            let items: Vec<(u64, &[u32])> = lists.iter().map(|(kind, list)| (*kind, &list[..])).collect();
            assert_eq!(groups(&items), naive(&items));
        }
    }

    fn naive(items: &[(u64, &[u32])]) -> Vec<Vec<u32>> {
        let mut classes: Vec<u64> = items.iter().map(|(kind, _)| *kind).collect();
        for _ in 0..items.len() {
            classes = items
                .iter()
                .enumerate()
                .map(|(n, (_, list))| {
                    list.iter().fold(scramble(classes[n]), |all, target| {
                        scramble(all.wrapping_add(scramble(classes[*target as usize] ^ 5)))
                    })
                })
                .collect();
        }
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        for (n, class) in classes.iter().enumerate() {
            let place = *seen.entry(*class).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(n as u32);
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    #[test]
    fn a_long_chain_ends_soon() {
        const LENGTH: u32 = 200_000;
        let targets: Vec<[u32; 1]> = (0..LENGTH).map(|n| [(n + 1).min(LENGTH)]).collect();
        let mut items: Vec<(u64, &[u32])> = targets.iter().map(|target| (1, &target[..])).collect();
        items.push((2, &[]));
        assert_eq!(groups(&items), [[0; 0]; 0]);
    }
}
