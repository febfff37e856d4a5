//! The keys of the hash, made from a seed.

/// What a seed becomes: laid out so that the widest variant loads it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Keys {
    /// Keys of the first four blocks: `key + i * step`, each half by itself.
    pub(super) first: [[u64; 2]; 4],
    /// `4 * step`, four times.
    pub(super) stride: [[u64; 2]; 4],
    /// Round keys of a block.
    pub(super) rounds: [[u64; 2]; 4],
    /// Round keys of the end.
    pub(super) last: [[u64; 2]; 2],
    /// Difference of the keys of neighbouring blocks.
    pub(super) step: [u64; 2],
}

impl Keys {
    /// The keys of `seed`.
    pub fn new(seed: u64) -> Keys {
        let mut state = seed;
        let mut pair = || [split_mix(&mut state), split_mix(&mut state)];
        let key = pair();
        // Odd, so that keys repeat as late as possible.
        let step = pair().map(|half| half | 1);
        let at = |i: u64| [0, 1].map(|half| key[half].wrapping_add(step[half].wrapping_mul(i)));
        Keys {
            first: [at(0), at(1), at(2), at(3)],
            stride: [step.map(|half| half.wrapping_mul(4)); 4],
            rounds: [pair(), pair(), pair(), pair()],
            last: [pair(), pair()],
            step,
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit number a call, each 64-bit state gives another.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
