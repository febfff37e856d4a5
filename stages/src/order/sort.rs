//! Orders that come from the sections themselves: `--sort-section`, `--shuffle-sections`, `--reverse-sections`.

use super::Place;
use crate::config::{Permutation, SectionSort, Shuffle};
use crate::script::glob::Glob;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Sorts the sections of each output section that GNU ld's default script fills by wildcards, part by part where that
/// has several (`.text.hot.*` stays in front of other code).
pub(super) fn by_section(sort: SectionSort, places: &[Place], ranks: &mut [u32]) {
    let mut sorted: Vec<(u32, &[u8], u8, Place)> = Vec::new();
    for place in places.iter().filter(|place| sort != SectionSort::None && is_wildcard(place.output())) {
        let rank = ranks[place.id().index()];
        match sort {
            SectionSort::Alignment => sorted.push((rank, b"", u8::MAX - place.section().align_log2, *place)),
            _ => sorted.push((rank, place.name(), 0, *place)),
        }
    }
    sorted.sort_by_key(|(rank, name, align, _)| (*rank, *name, *align));
    let equal = |a: &(u32, &[u8], u8, Place), b: &(u32, &[u8], u8, Place)| (a.0, a.1, a.2) == (b.0, b.1, b.2);
    for (rank, group) in sorted.chunk_by(equal).enumerate() {
        group.iter().for_each(|(.., place)| ranks[place.id().index()] = rank as u32);
    }
}

/// Output sections of wildcards without an order of their own.
fn is_wildcard(output: &[u8]) -> bool {
    const FILLED: [&[u8]; 11] = [
        b".text",
        b".rodata",
        b".data",
        b".data.rel.ro",
        b".bss",
        b".tdata",
        b".tbss",
        b".ldata",
        b".lrodata",
        b".lbss",
        b".gcc_except_table",
    ];
    FILLED.contains(&output) || output.starts_with(b".text.")
}

/// Lets the sections whose names match change places with each other. Their output sections then stand in the order of
/// places alone: hot and cold parts are mixed, too.
pub(super) fn shuffle(shuffle: &Shuffle, places: &[Place], ranks: &mut [u32]) {
    let glob = Glob::new(&shuffle.glob);
    let mut sequence: Vec<usize> = (0..places.len()).collect();
    sequence.sort_by_key(|n| ranks[places[*n].id().index()]);
    let matched: Vec<usize> =
        (0..sequence.len()).filter(|n| glob.matches(places[sequence[*n]].name())).collect();
    let mut moved: Vec<usize> = matched.iter().map(|n| sequence[*n]).collect();
    match shuffle.kind {
        Permutation::Reverse => moved.reverse(),
        Permutation::Random(seed) => {
            permute(&mut moved, seed.unwrap_or_else(|| RandomState::new().hash_one(0u8)));
        }
    }
    let outputs: HashSet<&[u8]> = moved.iter().map(|n| places[*n].output()).collect();
    for (n, moved) in matched.iter().zip(moved) {
        sequence[*n] = moved;
    }
    for (rank, n) in sequence.into_iter().enumerate().filter(|(_, n)| outputs.contains(places[*n].output())) {
        ranks[places[n].id().index()] = rank as u32;
    }
}

/// Fisher and Yates, with SplitMix64 for dice.
fn permute(list: &mut [usize], seed: u64) {
    let mut state = seed;
    for end in (1..list.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut dice = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^= dice >> 31;
        let other = (u128::from(dice) * (end as u128 + 1)) >> 64;
        list.swap(end, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_depends_on_its_seed() {
        let permuted = |seed| {
            let mut list: Vec<usize> = (0..100).collect();
            permute(&mut list, seed);
            list
        };
        assert_eq!(permuted(1), permuted(1));
        assert_ne!(permuted(1), permuted(2));
        let mut sorted = permuted(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        permute(&mut [], 0);
    }
}
