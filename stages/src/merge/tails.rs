//! Strings that end others (`-O2`): `world` needs no place of its own where there is `hello world`.
//!
//! In: the pieces that sections are the first to have. Out: which of them end another one, and that one. References into
//! the middle of a string lead into the middle of another then, which is all the same to who reads it.
//!
//! Sorted by their reversed text, a string stands right in front of the strings that it ends, so each has to be
//! compared with its neighbour only. Strings are sorted in buckets by their last bytes, side by side; of the rest a word
//! of the last eight bytes decides nearly always.
//!
//! Invariant: who ends whom depends on the texts alone; of several hosts the first in sorted order counts.
//!
//! Cost: one sort of all distinct strings. Nobody pays for it who does not ask.

use super::table::Occurrence;
use super::{Candidate, Member};
use crate::context::Cx;
use crate::model::Inputs;
use std::cmp::Ordering;

/// A piece that ends another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// The piece.
    pub piece: Occurrence,
    /// The one it ends, which ends no other.
    pub host: Occurrence,
    /// How far behind the start of its host it starts, in bytes.
    pub distance: u32,
}

/// A string without its terminator.
#[derive(Debug, Clone, Copy)]
struct Text {
    /// The last eight bytes, the last one in the highest place.
    key: u64,
    bytes: &'static [u8],
    at: Occurrence,
}

impl Text {
    fn new(bytes: &'static [u8], at: Occurrence) -> Text {
        let mut last = [0; 8];
        let count = bytes.len().min(8);
        last[8 - count..].copy_from_slice(&bytes[bytes.len() - count..]);
        Text { key: u64::from_le_bytes(last), bytes, at }
    }

    /// By reversed text, the shorter one first.
    fn compare(&self, other: &Text) -> Ordering {
        let rest = |text: &Text| text.bytes[..text.bytes.len().saturating_sub(8)].iter().rev();
        let by_key = self.key.cmp(&other.key);
        by_key.then_with(|| rest(self).cmp(rest(other))).then(self.bytes.len().cmp(&other.bytes.len()))
    }
}

/// Finds the tails among the pieces that members own. Candidates and members belong together.
pub(super) fn find(
    cx: &Cx,
    inputs: &Inputs,
    stage: &'static str,
    candidates: &[Candidate],
    members: &[Member],
) -> Vec<Tail> {
    let mut keys: Vec<_> = candidates.iter().map(|candidate| candidate.key).collect();
    keys.sort_unstable();
    keys.dedup();
    // A string may start at any character of another one; one of stricter alignment may not.
    keys.retain(|key| key.is_strings && 1 << key.align_log2 <= u64::from(key.entsize));
    let tails_of = |key| {
        let lists = cx.pool.map(stage, members.len(), 16, |n| {
            if candidates[n].key == key { texts(inputs, &members[n], n as u32) } else { Vec::new() }
        });
        let mut texts = into_buckets(&lists);
        cx.pool.for_each_mut(stage, &mut texts, 1, |_, bucket| bucket.sort_unstable_by(Text::compare));
        tails(&texts.concat())
    };
    keys.into_iter().flat_map(tails_of).collect()
}

/// The strings that a member owns.
fn texts(inputs: &Inputs, member: &Member, number: u32) -> Vec<Text> {
    let object = inputs.object(member.file);
    let section = &object.sections[member.section as usize];
    let terminator = object.entry_size(member.section as usize) as usize;
    let mut starts = member.pieces.starts();
    let text = |piece: usize| {
        let bytes = &section.contents()[starts.of(piece) as usize..starts.of(piece + 1) as usize];
        let at = Occurrence { section: number, piece: piece as u32 };
        Text::new(&bytes[..bytes.len().saturating_sub(terminator)], at)
    };
    member.pieces.owned_runs().flatten().map(text).collect()
}

/// Sorts roughly: into buckets that follow each other in the order of [`Text::compare`].
fn into_buckets(lists: &[Vec<Text>]) -> Vec<Vec<Text>> {
    /// The last byte and half of the one before.
    const BITS: u32 = 12;
    let number = |text: &Text| (text.key >> (u64::BITS - BITS)) as usize;
    let mut counts = vec![0usize; 1 << BITS];
    lists.iter().flatten().for_each(|text| counts[number(text)] += 1);
    let mut buckets: Vec<Vec<Text>> = counts.into_iter().map(Vec::with_capacity).collect();
    lists.iter().flatten().for_each(|text| buckets[number(text)].push(*text));
    buckets.retain(|bucket| !bucket.is_empty());
    buckets
}

/// Those of sorted strings that end their neighbour, or what that one ends.
fn tails(texts: &[Text]) -> Vec<Tail> {
    let mut tails = Vec::new();
    // The string that the one behind belongs to.
    let mut host: Option<&Text> = None;
    for text in texts.iter().rev() {
        match host.filter(|host| host.bytes.ends_with(text.bytes)) {
            Some(host) => {
                let distance = (host.bytes.len() - text.bytes.len()) as u32;
                tails.push(Tail { piece: text.at, host: host.at, distance });
            }
            None => host = Some(text),
        }
    }
    tails
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(piece: u32) -> Occurrence {
        Occurrence { section: 0, piece }
    }

    /// For each string its host, or itself.
    fn hosts(strings: &[&'static str]) -> Vec<&'static str> {
        let list: Vec<Text> =
            strings.iter().enumerate().map(|(n, s)| Text::new(s.as_bytes(), at(n as u32))).collect();
        let mut buckets = into_buckets(&[list]);
        buckets.iter_mut().for_each(|bucket| bucket.sort_unstable_by(Text::compare));
        let mut hosts = strings.to_vec();
        for tail in tails(&buckets.concat()) {
            let (piece, host) = (tail.piece.piece as usize, strings[tail.host.piece as usize]);
            assert_eq!(&host[tail.distance as usize..], strings[piece]);
            hosts[piece] = host;
        }
        hosts
    }

    #[test]
    fn a_string_is_part_of_one_it_ends() {
        // "ld" ends both "old" and "world": the first in sorted order counts.
        assert_eq!(
            hosts(&["world", "hello world", "d", "", "hello", "ld", "old"]),
            ["hello world", "hello world", "old", "old", "hello", "old", "old"]
        );
    }

    #[test]
    fn long_strings_are_compared_to_the_start() {
        assert_eq!(
            hosts(&["xabcdefghijkl", "yabcdefghijkl", "abcdefghijkl", "bcdefghijkl", "efghijkl"]),
            ["xabcdefghijkl", "yabcdefghijkl", "xabcdefghijkl", "xabcdefghijkl", "xabcdefghijkl"]
        );
    }

    #[test]
    fn many_strings_find_what_a_search_finds() {
        let strings: Vec<&'static str> = (0..3000u32)
            .map(|n| {
                let mut n = n.wrapping_mul(2_654_435_761) >> 12;
                let mut text = String::new();
                while n > 0 && text.len() < 11 {
                    text.push(char::from(b'a' + (n % 3) as u8));
                    n /= 3;
                }
                &*text.leak()
            })
            .collect();
        let mut distinct = strings.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for (string, host) in distinct.iter().zip(hosts(&distinct)) {
            let ends_another = distinct.iter().any(|other| other != string && other.ends_with(string));
            assert_eq!(host != *string, ends_another, "{string}");
        }
    }
}
