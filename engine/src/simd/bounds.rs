//! Which of a few numbers in ascending order is the first above another: all are compared at once, and nothing branches.
//!
//! x86-64 compares signed numbers only (SSE2, which all its CPUs have), so bounds are kept with their top bit turned
//! over, which puts unsigned numbers into the order of signed ones.

/// An unsigned number that others are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bound(i32);

impl Bound {
    /// How many [`Bound::at_most`] compares.
    pub const WINDOW: usize = 16;
    /// The largest.
    pub const MAX: Bound = Bound(i32::MAX);

    /// A number as a bound.
    #[inline(always)]
    pub fn new(number: u32) -> Bound {
        Bound((number ^ 1 << 31) as i32)
    }

    /// The number.
    #[inline(always)]
    pub fn number(self) -> u32 {
        self.0 as u32 ^ 1 << 31
    }

    /// How many of `ascending` are at most `number`.
    #[inline(always)]
    pub fn at_most(ascending: &[Bound; Bound::WINDOW], number: u32) -> usize {
        above(ascending, Bound::new(number)).trailing_zeros() as usize
    }
}

/// A bit for each of the window that is above `number`, and one behind them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn above(window: &[Bound; Bound::WINDOW], number: Bound) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: each load is of four of the sixteen numbers, from a multiple of four on, and needs no alignment; SSE2 is
    // part of x86-64.
    unsafe {
        let all = _mm_set1_epi32(number.0);
        let four = |n: usize| _mm_cmpgt_epi32(_mm_loadu_si128(window.as_ptr().add(4 * n).cast()), all);
        let halves = [_mm_packs_epi32(four(0), four(1)), _mm_packs_epi32(four(2), four(3))];
        _mm_movemask_epi8(_mm_packs_epi16(halves[0], halves[1])) as u32 | 1 << Bound::WINDOW
    }
}

/// The same everywhere else.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn above(window: &[Bound; Bound::WINDOW], number: Bound) -> u32 {
    let bit = |(n, bound): (usize, &Bound)| u32::from(bound.0 > number.0) << n;
    window.iter().enumerate().map(bit).sum::<u32>() | 1 << Bound::WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_window_is_found() {
        // Around the middle of the range, where the sign would change.
        for first in [0u32, 1 << 31, (1 << 31) - 40, u32::MAX - 100] {
            let numbers: [u32; Bound::WINDOW] = std::array::from_fn(|n| first + 5 * n as u32);
            let window = numbers.map(Bound::new);
            assert_eq!(window.map(Bound::number), numbers);
            for number in first.saturating_sub(3)..=first + 5 * Bound::WINDOW as u32 {
                let expected = numbers.iter().filter(|n| **n <= number).count();
                assert_eq!(Bound::at_most(&window, number), expected, "{first} {number}");
            }
        }
        assert_eq!(Bound::at_most(&[Bound::MAX; Bound::WINDOW], u32::MAX - 1), 0);
    }
}
