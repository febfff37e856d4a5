//! Asking for a cache line ahead of its use.

/// Brings the element's cache line closer. Has no other effect, also where there is no such element: whether there is
/// one is not even looked at.
#[inline(always)]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(index).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// Brings the cache lines of a whole slice closer, in order. Has no other effect.
pub fn prefetch_all<T>(slice: &[T]) {
    const LINE: usize = 64;
    let step = (LINE / size_of::<T>().max(1)).max(1);
    for index in (0..slice.len()).step_by(step) {
        prefetch(slice, index);
    }
}
