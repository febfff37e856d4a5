//! Which of a few small numbers in ascending order is the first that is not below another: all are compared at once, and
//! nothing branches.

/// How many numbers [`below`] looks at.
pub const WINDOW: usize = 16;

/// How many of the window come before the first that is not below `number`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn below(window: &[u8; WINDOW], number: u8) -> usize {
    use std::arch::x86_64::*;
    // SAFETY: the load is of the sixteen numbers, and needs no alignment; SSE2 is part of x86-64.
    let reached = unsafe {
        let numbers = _mm_loadu_si128(window.as_ptr().cast());
        // Unsigned numbers are not below another one where they are the larger of the two.
        let larger = _mm_max_epu8(numbers, _mm_set1_epi8(number as i8));
        _mm_movemask_epi8(_mm_cmpeq_epi8(numbers, larger))
    };
    (reached as u32 | 1 << WINDOW).trailing_zeros() as usize
}

/// The same everywhere else.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn below(window: &[u8; WINDOW], number: u8) -> usize {
    window.iter().take_while(|n| **n < number).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_window_is_found() {
        // Also around the middle of the range, where a sign would change.
        for first in [0u8, 60, 120, 170] {
            let window: [u8; WINDOW] = std::array::from_fn(|n| first + 5 * n as u8);
            for number in 0..=u8::MAX {
                let expected = window.iter().filter(|n| **n < number).count();
                assert_eq!(below(&window, number), expected, "{first} {number}");
            }
        }
    }

    #[test]
    fn what_comes_behind_does_not_count() {
        let mut window = [0; WINDOW];
        window[3] = 9;
        assert_eq!([below(&window, 1), below(&window, 9), below(&window, 10)], [3, 3, WINDOW]);
    }
}
