//! `--section-order`: loaded sections in an order that was given, with addresses.
//!
//! In: the usual order and a list of names, groups and addresses. Out: the sections in the order of the list; within a group
//! they keep their usual order. A section that the list names stands where it is named, and in no group. Sections that are not
//! loaded follow, as always.
//!
//! Thread-local sections are one block, so zero-filled ones count as data.

use crate::config::{Arranged, Group};
use crate::outputs::OutputSection;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS};

/// The group a section belongs to.
fn group_of(section: &OutputSection) -> Group {
    if section.has(SHF_EXECINSTR) {
        Group::Text
    } else if !section.has(SHF_WRITE) {
        Group::Rodata
    } else if section.sh_type == SHT_NOBITS && !section.has(SHF_TLS) {
        Group::Bss
    } else {
        Group::Data
    }
}

/// The place of a section in the list.
fn rank(section: &OutputSection, list: &[Arranged]) -> Option<usize> {
    let named = list.iter().position(|item| matches!(item, Arranged::Section(name) if name == section.name));
    named.or_else(|| list.iter().position(|item| *item == Arranged::Group(group_of(section))))
}

/// Sorts positions of sections by their places in the list.
pub(super) fn arrange(order: &mut [u32], sections: &[OutputSection], list: &[Arranged]) {
    order.sort_by_key(|position| {
        let section = &sections[*position as usize];
        if section.has(SHF_ALLOC) { rank(section, list).unwrap_or(list.len()) } else { usize::MAX }
    });
}

/// The address and the alignment that stand in the list directly in front of a section: in front of the first one there is,
/// behind the one before it. No alignment is 1.
pub(super) fn start_of(
    position: u32,
    order: &[u32],
    sections: &[OutputSection],
    list: &[Arranged],
) -> (Option<u64>, u64) {
    let rank_at = |n: usize| rank(&sections[order[n] as usize], list);
    let Some(n) = order.iter().position(|other| *other == position) else { return (None, 1) };
    let Some(end) = rank_at(n).filter(|_| sections[position as usize].has(SHF_ALLOC)) else {
        return (None, 1);
    };
    let start = if n == 0 { 0 } else { rank_at(n - 1).unwrap_or(0) };
    let between = if start <= end { &list[start..end] } else { &[] };
    // What stands in front of the headers is about them.
    let headers = between.iter().rposition(|item| *item == Arranged::Headers).map_or(0, |at| at + 1);
    between[headers..].iter().fold((None, 1), |(address, align), item| match item {
        Arranged::Address(address) => (Some(*address), 1),
        Arranged::Align(align) => (address, *align),
        _ => (address, align),
    })
}

/// The loaded sections that a list has no place for.
pub fn unplaced<'s>(sections: &'s [OutputSection], list: &[Arranged]) -> Vec<&'s OutputSection> {
    let is_loaded = |section: &&OutputSection| section.has(SHF_ALLOC) && !section.members.is_empty();
    sections.iter().filter(is_loaded).filter(|section| rank(section, list).is_none()).collect()
}
