//! Rank: how many bits are set before a position. It maps an offset into a section to the piece it lies in.
//!
//! A bitmap (one bit a byte of the section) and the count of bits before each word are 3/16 byte a byte of the
//! section, so one object's fit the second-level cache; a lookup is two loads and a population count. Offsets in
//! the middle of a string need nothing special.

/// Fills `prefix` with how many bits of `bitmap` are set before each word, and a last entry with their number.
pub fn rank_prefix(bitmap: &[u64], prefix: &mut Vec<u32>) {
    prefix.clear();
    prefix.reserve(bitmap.len() + 1);
    let mut sum = 0;
    prefix.extend(bitmap.iter().map(|word| {
        let before = sum;
        sum += word.count_ones();
        before
    }));
    prefix.push(sum);
}

/// How many bits of `bitmap` are set at positions below `position`: the index of the piece that contains the
/// byte at `position`. `None` behind the last word.
///
/// Inlined into a function compiled for `popcnt` it is a handful of instructions.
#[inline(always)]
pub fn rank(bitmap: &[u64], prefix: &[u32], position: usize) -> Option<u32> {
    let word = position / 64;
    let below = *bitmap.get(word)? & !(u64::MAX << (position % 64));
    Some(*prefix.get(word)? + below.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_counts_the_bits_below() {
        let bitmap = [0b1011, 0, u64::MAX, 1 << 63];
        let mut prefix = Vec::new();
        rank_prefix(&bitmap, &mut prefix);
        assert_eq!(prefix, [0, 3, 3, 67, 68]);
        let mut count = 0;
        for position in 0..256 {
            assert_eq!(rank(&bitmap, &prefix, position), Some(count));
            count += (bitmap[position / 64] >> (position % 64) & 1) as u32;
        }
        assert_eq!(rank(&bitmap, &prefix, 256), None);
    }
}
