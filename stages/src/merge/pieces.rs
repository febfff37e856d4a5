//! A mergeable section as pieces, and what becomes of each.

use super::cuts::{Cuts, Finder, Growing, Starts};
use crate::model::Section;
use engine::simd::{Hash, hash_records, split_and_hash};
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
    owned: Box<[u64]>,
}

/// Bytes of a section that are cut at a time: they and their hashes stay in the cache until their pieces have numbers.
const PART: usize = 128 << 10;

/// Cuts sections into pieces, one after the other in the same memory.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    part: engine::simd::Pieces,
    strings: Growing,
    numbers: Numbers,
}

/// What the pieces of a section are numbered.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    by_piece: Vec<u32>,
    /// One bit a piece.
    owned: Vec<u64>,
}

impl Numbers {
    /// Gives a piece its number, and says whether this section is the first to have it.
    #[inline(always)]
    pub(super) fn set(&mut self, piece: usize, number: u32, is_first: bool) {
        self.by_piece[piece] = number;
        if is_first {
            self.owned[piece / 64] |= 1 << (piece % 64);
        }
    }

    /// Makes room for more pieces. Returns the index of the first of them.
    fn add(&mut self, count: usize) -> usize {
        let first = self.by_piece.len();
        self.by_piece.resize(first + count, 0);
        self.owned.resize((first + count).div_ceil(64), 0);
        first
    }

    fn clear(&mut self) {
        self.by_piece.clear();
        self.owned.clear();
    }
}

impl Cutter {
    /// Cuts a section of strings or records of `entsize` bytes. Of one part after the other `number` hears the index of
    /// its first piece and the hashes of all, and gives them numbers.
    pub(super) fn cut(
        &mut self,
        section: &Section,
        entsize: u32,
        seed: u64,
        number: impl FnMut(usize, &[Hash], &mut Numbers),
    ) -> Pieces {
        self.numbers.clear();
        let cuts = match section.has(SHF_STRINGS) {
            true => self.cut_strings(section.contents(), entsize, seed, number),
            false => self.cut_records(section.contents(), entsize.max(1), seed, number),
        };
        Pieces::new(cuts, &self.numbers)
    }

    fn cut_records(
        &mut self,
        contents: &[u8],
        size: u32,
        seed: u64,
        mut number: impl FnMut(usize, &[Hash], &mut Numbers),
    ) -> Cuts {
        let records = (PART / size as usize).max(1);
        for part in contents.chunks(records * size as usize) {
            hash_records(part, size as usize, seed, &mut self.part.hashes);
            let first = self.numbers.add(self.part.hashes.len());
            number(first, &self.part.hashes, &mut self.numbers);
        }
        Cuts::Fixed { size }
    }

    fn cut_strings(
        &mut self,
        contents: &[u8],
        entsize: u32,
        seed: u64,
        mut number: impl FnMut(usize, &[Hash], &mut Numbers),
    ) -> Cuts {
        self.strings.clear();
        let (mut start, mut length) = (0, PART);
        while start < contents.len() {
            let part = &contents[start..contents.len().min(start + length)];
            let covered = split_and_hash(part, entsize as usize, seed, &mut self.part);
            if covered == 0 {
                // No string ends here: it is a long one, or what is left ends no string and is no piece.
                if start + length >= contents.len() {
                    break;
                }
                length *= 2;
                continue;
            }
            let first = self.numbers.add(self.part.hashes.len());
            self.strings.add(start as u32, &self.part.ends);
            number(first, &self.part.hashes, &mut self.numbers);
            (start, length) = (start + covered, PART);
        }
        Cuts::Strings(self.strings.finish())
    }
}

impl Pieces {
    fn new(cuts: Cuts, numbers: &Numbers) -> Pieces {
        Pieces { cuts, moves: numbers.by_piece.as_slice().into(), owned: numbers.owned.as_slice().into() }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.moves.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where pieces start, to be asked in ascending order.
    pub(super) fn starts(&self) -> Starts<'_> {
        self.cuts.starts()
    }

    /// The number of a piece in the table of all, while merging.
    pub(super) fn number(&self, piece: usize) -> u32 {
        self.moves[piece]
    }

    /// Puts in the place of numbers how far pieces moved: `offset` says where the piece of a number is.
    pub(super) fn set_moves(&mut self, offset: impl Fn(u32) -> u32) {
        self.cuts.change(&mut self.moves, |number, start| offset(number).wrapping_sub(start));
    }

    /// How to look up many offsets.
    #[inline(always)]
    pub(super) fn lookup(&self) -> Lookup<'_> {
        Lookup { moves: &self.moves, finder: Finder::new(&self.cuts) }
    }

    /// Says that this section is not the first to have the piece after all.
    pub(super) fn disown(&mut self, piece: usize) {
        self.owned[piece / 64] &= !(1 << (piece % 64));
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
    finder: Finder<'a>,
}

impl Lookup<'_> {
    /// How far the byte at an input offset moved (modulo 2^32). Offsets behind the end belong to the last piece.
    #[inline(always)]
    pub(super) fn moved(&self, offset: u64) -> u32 {
        self.moves.get(self.finder.piece(offset)).or(self.moves.last()).copied().unwrap_or(0)
    }

    /// Asks for all that looking up reads.
    pub(super) fn prefetch(&self) {
        engine::prefetch_all(self.moves);
        self.finder.prefetch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The piece each offset belongs to, by giving piece `n` the place `1000 n` in the pool.
    fn found(pieces: &Pieces, offset: u64) -> usize {
        let start = |piece| pieces.starts().of(piece);
        let moved = pieces.lookup().moved(offset);
        (0..pieces.len()).find(|n| (1000 * *n as u32).wrapping_sub(start(*n)) == moved).unwrap()
    }

    fn moved(mut pieces: Pieces) -> Pieces {
        pieces.set_moves(|number| 1000 * number);
        pieces
    }

    /// Pieces whose numbers are their indices.
    fn numbers(count: usize, owned: &[usize]) -> Numbers {
        let mut numbers = Numbers::default();
        numbers.add(count);
        (0..count).for_each(|piece| numbers.set(piece, piece as u32, owned.contains(&piece)));
        numbers
    }

    fn cut(contents: &'static [u8], flags: u32, entsize: u32) -> (Pieces, Vec<Hash>) {
        let mut all = Vec::new();
        let section = Section::ignored(flags, contents);
        let pieces = Cutter::default().cut(&section, entsize, 1, |first, hashes, numbers| {
            assert_eq!(first, all.len());
            all.extend_from_slice(hashes);
            (first..all.len()).for_each(|piece| numbers.set(piece, piece as u32, true));
        });
        (pieces, all)
    }

    #[test]
    fn every_offset_is_found() {
        // Short strings, empty ones, and one of several blocks.
        let ends = [1u32, 2, 3, 4, 5, 6, 7, 40, 127, 128, 129, 130, 600, 601, 640];
        let mut contents = vec![b'x'; 640];
        ends.iter().for_each(|end| contents[*end as usize - 1] = 0);
        let (pieces, _) = cut(contents.leak(), SHF_STRINGS, 1);
        let pieces = moved(pieces);
        for offset in 0..640u32 {
            let expected = ends.iter().position(|end| *end > offset).unwrap();
            assert_eq!(found(&pieces, offset.into()), expected, "{offset}");
        }
        for offset in [640, 641, 1 << 20, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(found(&pieces, offset), ends.len() - 1, "{offset}");
        }
    }

    #[test]
    fn parts_make_no_difference() {
        // Strings of all lengths, on both sides of where parts end; one is longer than several parts.
        let mut contents = Vec::new();
        for n in 0..3 * PART / 200 {
            contents.extend(std::iter::repeat_n(b'a' + (n % 26) as u8, n % 400));
            contents.push(0);
        }
        contents.extend(vec![b'l'; 5 * PART]);
        contents.extend(b"\0last\0");
        let contents: &'static [u8] = contents.leak();
        let (pieces, hashes) = cut(contents, SHF_STRINGS, 1);
        let mut at_once = engine::simd::Pieces::default();
        split_and_hash(contents, 1, 1, &mut at_once);
        assert_eq!(hashes, at_once.hashes);
        assert_eq!(pieces.len(), hashes.len());
        assert!(pieces.owned_runs().eq(std::iter::once(0..hashes.len())));
        let mut starts = pieces.starts();
        let ends: Vec<u32> = (1..=pieces.len()).map(|piece| starts.of(piece)).collect();
        assert_eq!(ends, at_once.ends);

        let (records, hashes) = cut(&contents[..contents.len() / 24 * 24], 0, 24);
        let mut at_once = Vec::new();
        hash_records(contents, 24, 1, &mut at_once);
        assert_eq!((records.len(), hashes), (contents.len() / 24, at_once));
    }

    #[test]
    fn what_no_terminator_ends_is_no_piece() {
        for entsize in [1, 2, 4, 3] {
            let (pieces, hashes) = cut(&[b'x'; 3 * PART], SHF_STRINGS, entsize);
            assert!(pieces.is_empty() && hashes.is_empty());
        }
    }

    fn of_bits(count: usize, owned: &[usize]) -> Pieces {
        Pieces::new(Cuts::Fixed { size: 4 }, &numbers(count, owned))
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
        pieces.disown(4);
        assert_eq!(pieces.owned_runs().collect::<Vec<_>>(), [1..2, 5..6]);
    }

    #[test]
    fn offsets_behind_the_end_belong_to_the_last_piece() {
        let pieces = moved(of_bits(3, &[]));
        assert_eq!([0, 3, 4, 11, 12, u64::MAX].map(|offset| found(&pieces, offset)), [0, 0, 1, 2, 2, 2]);
    }
}
