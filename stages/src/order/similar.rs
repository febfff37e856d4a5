//! `--bp-compression-sort`: sections that have much in common stand together, so that what packs the output finds it near.
//!
//! In: the sections of each output section, and their bytes. Out: ranks. The method is balanced partitioning (Dhulipala et
//! al., "Compressing Graphs and Indexes with Recursive Graph Bisection", 2016): a list is cut in two halves, and sections
//! change sides in pairs as long as that brings those together that share features; then each half is treated the same. A
//! feature is the hash of eight bytes in a row; those of one section alone, and those of nearly all, tell nothing.
//!
//! Everything is done in the order of the command line with sorts that are stable, so the result is the same whatever the
//! threads. The work is bounded: by features a section, rounds a cut, and the depth.

use super::{Place, Sources};
use object::elf::SHF_EXECINSTR;
use std::collections::HashMap;

/// Bytes of a feature, and from one to the next.
const WINDOW: usize = 8;
const STEP: usize = 4;
/// Features of a section at most.
const FEATURES_MAX: usize = 4096;
/// Rounds of exchange at most.
const ROUNDS_MAX: usize = 20;
/// What is not worth a change, and no rounding error.
const LEAST_GAIN: f64 = 1e-6;
/// Lists this short stay as they are.
const SMALLEST: usize = 2;

/// Gives sections ranks by likeness, those of each output section by themselves.
pub(super) fn arrange(sources: &Sources, places: &[Place], ranks: &mut [u32]) {
    let ordering = &sources.cx.config.ordering;
    let is_wanted = |place: &&Place| {
        let section = place.section();
        let is_code = section.has(SHF_EXECINSTR);
        let is_asked = if is_code { ordering.similar_code } else { ordering.similar_data };
        is_asked && !section.contents().is_empty() && section.is_alloc()
    };
    // What has a rank of its own (hot code, constructors by priority) changes places with its like only.
    let mut groups: HashMap<(&[u8], u32), Vec<Place>> = HashMap::new();
    let mut names = Vec::new();
    for place in places.iter().filter(is_wanted) {
        let key = (place.output(), ranks[place.id().index()]);
        groups.entry(key).or_insert_with(|| {
            names.push(key);
            Vec::new()
        });
        groups.entry(key).and_modify(|group| group.push(*place));
    }
    let groups: Vec<Vec<Place>> = names.iter().filter_map(|key| groups.remove(key)).collect();
    let orders = sources.cx.pool.map("order/similar", groups.len(), 1, |n| {
        let features = groups[n].iter().map(|place| features(place.section().contents())).collect();
        partitioned(features)
    });
    let mut within = vec![0u32; ranks.len()];
    for (group, order) in groups.iter().zip(orders) {
        for (n, member) in order.into_iter().enumerate() {
            within[group[member as usize].id().index()] = n as u32;
        }
    }
    refine(ranks, &within);
}

/// Numbers ranks anew, so that those that were equal follow another order.
fn refine(ranks: &mut [u32], within: &[u32]) {
    let mut all: Vec<u32> = (0..ranks.len() as u32).collect();
    let key = |ranks: &[u32], section: u32| (ranks[section as usize], within[section as usize]);
    all.sort_unstable_by_key(|section| key(ranks, *section));
    let mut numbered = vec![0; ranks.len()];
    let mut number = 0;
    for (n, section) in all.iter().enumerate() {
        if n > 0 && key(ranks, all[n - 1]) != key(ranks, *section) {
            number += 1;
        }
        numbered[*section as usize] = number;
    }
    ranks.copy_from_slice(&numbered);
}

/// The features of a section, each once.
fn features(contents: &[u8]) -> Vec<u32> {
    let windows = contents.windows(WINDOW).step_by(STEP);
    let hash = |window: &[u8]| {
        let word = u64::from_le_bytes(window.try_into().unwrap_or_default());
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    };
    let mut list: Vec<u32> = windows.map(hash).take(FEATURES_MAX).collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// The numbers of lists of features, those that share many near each other.
fn partitioned(lists: Vec<Vec<u32>>) -> Vec<u32> {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    lists.iter().flatten().for_each(|feature| *counts.entry(*feature).or_default() += 1);
    let most = (lists.len() as u32).saturating_sub(lists.len() as u32 / 16).max(2);
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let lists: Vec<Vec<u32>> = lists
        .into_iter()
        .map(|list| {
            let telling = list.into_iter().filter(|feature| (2..=most).contains(&counts[feature]));
            telling
                .map(|feature| {
                    let next = numbers.len() as u32;
                    *numbers.entry(feature).or_insert(next)
                })
                .collect()
        })
        .collect();
    let mut sides = vec![[0u32; 2]; numbers.len()];
    // Cutting starts from a list in which those with the same features are neighbours; else a cut that has half of each
    // kind on either side looks as good as can be.
    let mut sorted: Vec<u32> = (0..lists.len() as u32).collect();
    sorted.sort_by_key(|member| &lists[*member as usize]);
    let lists: Vec<&[u32]> = sorted.iter().map(|member| lists[*member as usize].as_slice()).collect();
    let mut order: Vec<u32> = (0..lists.len() as u32).collect();
    cut(&mut order, &lists, &mut sides);
    order.into_iter().map(|member| sorted[member as usize]).collect()
}

/// Cuts a list in halves that have little in common, and these again. `sides` is zero before and after.
fn cut(order: &mut [u32], lists: &[&[u32]], sides: &mut [[u32; 2]]) {
    if order.len() <= SMALLEST {
        return;
    }
    let middle = order.len() / 2;
    let features = |member: u32| lists[member as usize].iter().map(|feature| *feature as usize);
    for (n, member) in order.iter().enumerate() {
        features(*member).for_each(|feature| sides[feature][usize::from(n >= middle)] += 1);
    }
    for _ in 0..ROUNDS_MAX {
        let (left, right) = order.split_at_mut(middle);
        let ranked = |half: &[u32], from: usize| {
            let gain = |member: u32| -> f64 { features(member).map(|f| gain(sides[f], from)).sum() };
            let mut ranked: Vec<(f64, usize)> =
                half.iter().enumerate().map(|(n, member)| (gain(*member), n)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            ranked
        };
        // Of equals, the first of one side meets the last of the other: those are likely to differ.
        let (leaving, mut coming) = (ranked(left, 0), ranked(right, 1));
        coming.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        let mut has_changed = false;
        for ((first, a), (second, b)) in leaving.into_iter().zip(coming) {
            if first + second <= LEAST_GAIN {
                break;
            }
            // What has changed places since may have changed the gain.
            let gained = change_sides(lists[left[a] as usize], sides, 0)
                + change_sides(lists[right[b] as usize], sides, 1);
            if gained <= LEAST_GAIN {
                change_sides(lists[right[b] as usize], sides, 0);
                change_sides(lists[left[a] as usize], sides, 1);
                continue;
            }
            std::mem::swap(&mut left[a], &mut right[b]);
            has_changed = true;
        }
        if !has_changed {
            break;
        }
    }
    for member in order.iter() {
        features(*member).for_each(|feature| sides[feature] = [0, 0]);
    }
    // Who was first stays first: only who is on which side has changed.
    let (left, right) = order.split_at_mut(middle);
    left.sort_unstable();
    right.sort_unstable();
    cut(left, lists, sides);
    cut(right, lists, sides);
}

/// Moves a section's features to the other side; says what that gained.
fn change_sides(list: &[u32], sides: &mut [[u32; 2]], from: usize) -> f64 {
    let mut gained = 0.0;
    for feature in list {
        let sides = &mut sides[*feature as usize];
        gained += gain(*sides, from);
        sides[from] -= 1;
        sides[1 - from] += 1;
    }
    gained
}

/// How much shorter a feature's numbers get if one section that has it leaves a side for the other.
fn gain(sides: [u32; 2], from: usize) -> f64 {
    // Not the C library's: what it rounds differs between systems, and loading its mathematics takes every link its time.
    let cost = |count: f64| -count * libm::log2(count + 1.0);
    let (here, there) = (f64::from(sides[from]), f64::from(sides[1 - from]));
    cost(here) + cost(there) - cost(here - 1.0) - cost(there + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_together() {
        // Two kinds that take turns.
        let lists: Vec<Vec<u32>> =
            (0..16u32).map(|n| (0..20).map(|feature| (n % 2) * 100 + feature).collect()).collect();
        let order = partitioned(lists);
        let kinds: Vec<u32> = order.iter().map(|member| member % 2).collect();
        let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "{order:?}");
        let mut all = order;
        all.sort_unstable();
        assert!(all.into_iter().eq(0..16));
    }

    #[test]
    fn ranks_keep_their_order() {
        let mut ranks = [7, u32::MAX, 7, 0];
        refine(&mut ranks, &[1, 0, 0, 9]);
        assert_eq!(ranks, [2, 3, 1, 0]);
    }

    #[test]
    fn features_are_few_and_distinct() {
        assert_eq!(features(&[0; 100]).len(), 1);
        assert_eq!(features(&[1; 7]).len(), 0);
    }
}
