//! `--randomize-section-padding`: room between input sections, to tell what addresses alone do to the speed of a program.
//!
//! In: a seed and the object's place in the link. Out: for every other section, about, a few times its alignment of free bytes
//! in front. The same seed gives the same bytes, whatever the threads: each object has a sequence of its own. Only sections
//! of code and data that nothing walks from end to end are moved: those that go to `.text`, `.rodata`, `.data`, `.bss` and
//! `.data.rel.ro`, and variants of these.

use crate::model::{Object, Section};

/// Outputs whose sections may have room between them.
const ROOMY: [&[u8]; 5] = [b".text", b".rodata", b".data", b".bss", b".data.rel.ro"];
/// Most times its alignment that a section is moved.
const STEPS: u64 = 4;

/// The sequence of one object (SplitMix64).
#[derive(Debug)]
pub(super) struct Padding {
    state: u64,
}

impl Padding {
    /// For the object at a position.
    pub(super) fn new(seed: u64, position: usize) -> Padding {
        let mut padding = Padding { state: seed };
        padding.state = padding.next().wrapping_add(position as u64);
        padding
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// How many bytes to leave free in front of a section.
    pub(super) fn before(&mut self, object: &Object, section: &Section) -> u64 {
        let output = object.outputs[usize::from(section.output)].name;
        let is_roomy = ROOMY.iter().any(|name| {
            output.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        });
        let number = self.next();
        // A block of pages would only cost memory.
        if !is_roomy || number & 1 == 0 || section.align() > 4096 {
            return 0;
        }
        section.align() * (1 + (number >> 1) % STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_differ_by_seed_and_object() {
        let first = |seed, position| Padding::new(seed, position).next();
        assert_eq!(first(1, 0), first(1, 0));
        assert_ne!(first(1, 0), first(2, 0));
        assert_ne!(first(1, 0), first(1, 1));
    }
}
