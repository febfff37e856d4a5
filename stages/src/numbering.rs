//! What merging and interning share: a table that numbers what it has not seen, known by its hash alone, and a list that
//! grows without moving.
//!
//! Equality is equality of 96 bits of a 128-bit hash that is keyed anew in every process: what was hashed is never
//! compared. The table is an extendible one (Fagin et al., 1979): a directory of small open-addressed segments. A full
//! segment becomes two, which touches 64 KB; nothing else moves, and nothing is thrown away at once.

use engine::prefetch;
use engine::simd::Hash;

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u64,
    tag_low: u32,
    /// `EMPTY` or the number.
    number: u32,
}

const EMPTY: u32 = u32::MAX;
const FREE: Slot = Slot { tag: 0, tag_low: 0, number: EMPTY };
/// Slots of a segment that grows no more, but splits.
const FULL_SEGMENT: usize = 1 << 12;
/// Hashes whose slots are asked for at once.
const AHEAD: usize = 16;

impl Slot {
    fn is_free(&self) -> bool {
        self.number == EMPTY
    }
    fn is(&self, hash: Hash) -> bool {
        self.tag == hash[0] && self.tag_low == hash[1] as u32
    }
}

/// An open-addressed table of the entries whose tags begin with the same `depth` bits.
#[derive(Debug)]
struct Segment {
    slots: Vec<Slot>,
    used: usize,
    depth: u32,
}

impl Segment {
    fn new(slots: usize, depth: u32) -> Segment {
        Segment { slots: vec![FREE; slots], used: 0, depth }
    }

    /// Where the search for a hash begins.
    #[inline(always)]
    fn first(&self, hash: Hash) -> usize {
        hash[0] as usize & (self.slots.len() - 1)
    }

    /// Where an entry is, or the free slot where it belongs: there is one.
    #[inline(always)]
    fn find(&self, hash: Hash) -> usize {
        self.find_from(hash, self.first(hash))
    }

    #[inline(always)]
    fn find_from(&self, hash: Hash, mut at: usize) -> usize {
        let mask = self.slots.len() - 1;
        loop {
            let slot = &self.slots[at];
            if slot.is(hash) || slot.is_free() {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn is_full(&self) -> bool {
        self.used * 4 > self.slots.len() * 3
    }

    /// Puts in what was in another segment.
    fn put(&mut self, slot: Slot) {
        let at = self.find([slot.tag, slot.tag_low.into()]);
        self.slots[at] = slot;
        self.used += 1;
    }

    fn entries(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().filter(|slot| !slot.is_free()).copied()
    }
}

/// Hashes to numbers: 0, 1, 2, … in the order in which they come.
#[derive(Debug)]
pub struct Numbering {
    segments: Vec<Segment>,
    /// By the first `depth` bits of a tag: its segment.
    directory: Vec<u32>,
    depth: u32,
    next: u32,
    /// How often segments have grown: then a [`Start`] is void.
    grown: u32,
}

/// Where the search for a hash begins.
#[derive(Debug, Clone, Copy, Default)]
struct Start {
    segment: u32,
    slot: u32,
    grown: u32,
}

impl Numbering {
    /// An empty one with so many slots, a power of two.
    pub fn new(slots: usize) -> Numbering {
        let slots = slots.min(FULL_SEGMENT);
        Numbering { segments: vec![Segment::new(slots, 0)], directory: vec![0], depth: 0, next: 0, grown: 0 }
    }

    /// The place in the directory of a tag.
    #[inline]
    fn place(&self, tag: u64) -> usize {
        // In two steps: no bits at all are a shift by 64.
        (tag >> 1 >> (63 - self.depth)) as usize
    }

    /// The segment of a hash.
    #[inline]
    fn segment(&self, hash: Hash) -> usize {
        self.directory[self.place(hash[0])] as usize
    }

    /// Numbers a list of hashes: `tell` hears of each its place in the list, its number, and whether that is new.
    #[inline(always)]
    pub fn number_all(
        &mut self,
        count: usize,
        hash: impl Fn(usize) -> Hash,
        mut tell: impl FnMut(usize, u32, bool),
    ) {
        let mut starts = [Start::default(); AHEAD];
        for (n, start) in starts.iter_mut().enumerate().take(count) {
            *start = self.start(hash(n));
        }
        for n in 0..count {
            let start = starts[n % AHEAD];
            if n + AHEAD < count {
                starts[n % AHEAD] = self.start(hash(n + AHEAD));
            }
            let (number, is_new) = self.number_from(hash(n), start);
            tell(n, number, is_new);
        }
    }

    /// Where the search for a hash begins, which is asked for.
    #[inline(always)]
    fn start(&self, hash: Hash) -> Start {
        let index = self.segment(hash);
        let segment = &self.segments[index];
        let slot = segment.first(hash);
        prefetch(&segment.slots, slot);
        Start { segment: index as u32, slot: slot as u32, grown: self.grown }
    }

    /// The number of a hash, and whether it is new.
    pub fn number(&mut self, hash: Hash) -> (u32, bool) {
        self.number_from(hash, self.start(hash))
    }

    #[inline(always)]
    fn number_from(&mut self, hash: Hash, start: Start) -> (u32, bool) {
        let start = if start.grown == self.grown { start } else { self.start(hash) };
        let index = start.segment as usize;
        let segment = &mut self.segments[index];
        let at = segment.find_from(hash, start.slot as usize);
        let slot = &mut segment.slots[at];
        if !slot.is_free() {
            return (slot.number, false);
        }
        let number = self.next;
        *slot = Slot { tag: hash[0], tag_low: hash[1] as u32, number };
        self.next += 1;
        segment.used += 1;
        if segment.is_full() {
            self.grow(index, hash[0]);
        }
        (number, true)
    }

    /// The number of a hash, if it has one.
    pub fn find(&self, hash: Hash) -> Option<u32> {
        let segment = &self.segments[self.segment(hash)];
        let slot = &segment.slots[segment.find(hash)];
        (!slot.is_free()).then_some(slot.number)
    }

    /// Makes room in a segment; `tag` is one of its tags.
    #[cold]
    fn grow(&mut self, index: usize, tag: u64) {
        self.grown += 1;
        let Segment { slots, depth, .. } = &self.segments[index];
        let (size, depth) = (slots.len(), *depth);
        if size < FULL_SEGMENT {
            let larger = Segment::new((size * 4).min(FULL_SEGMENT), depth);
            let old = std::mem::replace(&mut self.segments[index], larger);
            old.entries().for_each(|slot| self.segments[index].put(slot));
            return;
        }
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|segment| [*segment; 2]).collect();
            self.depth += 1;
        }
        let mut halves = [Segment::new(size, depth + 1), Segment::new(size, depth + 1)];
        for slot in self.segments[index].entries() {
            halves[(slot.tag >> (63 - depth)) as usize & 1].put(slot);
        }
        let [low, high] = halves;
        self.segments[index] = low;
        // The places that shared the segment are neighbours; the upper half of them gets the new one.
        let shared = 1 << (self.depth - depth);
        let first = self.place(tag) & !(shared - 1);
        self.directory[first + shared / 2..first + shared].fill(self.segments.len() as u32);
        self.segments.push(high);
    }
}

/// A list that grows by pieces of equal size: nothing is copied, and no more is allocated than is used.
#[derive(Debug)]
pub struct Pile<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Pile<T> {
    /// Elements of a piece.
    const PIECE: usize = 1 << 10;

    /// An empty one.
    pub fn new() -> Pile<T> {
        Pile { pieces: Vec::new() }
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * Self::PIECE + last.len())
    }
    /// Adds an element.
    pub fn push(&mut self, element: T) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < Self::PIECE => last.push(element),
            _ => self.add_piece(element),
        }
    }
    #[cold]
    fn add_piece(&mut self, first: T) {
        let mut piece = Vec::with_capacity(Self::PIECE);
        piece.push(first);
        self.pieces.push(piece);
    }
    /// An element.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pieces.get(index / Self::PIECE)?.get(index % Self::PIECE)
    }
    /// An element.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.pieces.get_mut(index / Self::PIECE)?.get_mut(index % Self::PIECE)
    }
    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }
}

impl<T> Default for Pile<T> {
    fn default() -> Self {
        Pile::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 (Steele et al., 2014): hashes of which all bits matter.
    fn mixed(seed: u64) -> u64 {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    #[test]
    fn what_is_numbered_keeps_its_number_while_segments_split() {
        let hash = |i: u64| [mixed(i), mixed(i + 1_000_000)];
        let mut numbering = Numbering::new(16);
        for i in 0..100_000 {
            assert_eq!(numbering.number(hash(i)), (i as u32, true));
        }
        assert!(numbering.depth >= 4, "{}", numbering.depth);
        for i in 0..100_000 {
            assert_eq!(numbering.number(hash(i)), (i as u32, false));
            assert_eq!(numbering.find(hash(i)), Some(i as u32));
        }
        assert_eq!(numbering.find(hash(100_000)), None);
    }

    #[test]
    fn tags_that_differ_in_their_last_bits_alone_are_told_apart() {
        let mut numbering = Numbering::new(64);
        for i in 0..1000 {
            assert_eq!(numbering.number([7, i]), (i as u32, true));
        }
        for i in 0..1000 {
            assert_eq!(numbering.find([7, i]), Some(i as u32));
        }
    }

    #[test]
    fn a_pile_is_a_list() {
        let mut pile = Pile::new();
        assert!(pile.len() == 0 && pile.get(0).is_none());
        (0..5000).for_each(|i| pile.push(i));
        assert_eq!(pile.len(), 5000);
        assert!(pile.iter().copied().eq(0..5000));
        *pile.get_mut(4096).unwrap() = 7;
        assert_eq!((pile.get(4096), pile.get(4999), pile.get(5000)), (Some(&7), Some(&4999), None));
    }
}
