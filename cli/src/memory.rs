//! The allocator of the command.
//!
//! `unsafe` is for setting one of its options, which its Rust interface has no name for.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`; -1 is never.
const PURGE_DELAY: std::ffi::c_int = 15;

/// Keeps the allocator from giving memory back while the link runs: it would be asked for again, and what the kernel
/// hands out it clears first.
pub fn keep() {
    // SAFETY: sets a number in the allocator's options; there is one thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
