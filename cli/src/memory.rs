//! The allocator of the command.
//!
//! Its memory is given to it in advance, before anything is allocated: one stretch of address space. So it can be said
//! what pages that has, once it is known what is to be linked. Huge pages save a link of a
//! hundred megabytes a tenth of its time, and larger ones more; but each has to be cleared before the first byte of it is
//! used, and a small link has something in each and fills none: it would need twice the memory, and be no faster.
//!
//! `unsafe` is for telling the kernel and the allocator, which have no safe interface for this.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`; -1 is never.
const PURGE_DELAY: c_int = 15;

/// Bytes of address space that are given to the allocator. What it needs beyond, it gets by itself, with huge pages.
const SIZE: usize = 1 << 30;

/// Bytes of a huge page, on which the memory is aligned.
const HUGE: usize = 2 << 20;

/// Bytes of inputs whose link fills huge pages.
pub const WORTH_HUGE_PAGES: u64 = 64 << 20;

/// Where the memory begins; 0 if there is none, and the allocator has what it took for itself.
static START: AtomicUsize = AtomicUsize::new(0);

/// Run by the loader before `main` and what the standard library does before that, which allocates.
#[used]
#[unsafe(link_section = ".init_array")]
static PROVIDE: extern "C" fn() = provide;

extern "C" fn provide() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: fresh memory, that nobody else knows of, becomes the allocator's for good; it consists of zeros, and its
    // start is aligned on more than the 64 KB that the allocator wants.
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), SIZE + HUGE, access, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return;
        }
        let start = memory.byte_add(memory.align_offset(HUGE));
        libc::madvise(start, SIZE, libc::MADV_NOHUGEPAGE);
        libmimalloc_sys::mi_process_init();
        let mut arena = std::mem::zeroed();
        if libmimalloc_sys::mi_manage_os_memory_ex(start, SIZE, true, false, true, -1, false, &raw mut arena)
        {
            START.store(start.addr(), Ordering::Relaxed);
        }
    }
}

/// Keeps the allocator from giving memory back while the link runs: it would be asked for again, and what the kernel
/// hands out it clears first.
pub fn keep() {
    // SAFETY: sets a number in the allocator's options; there is one thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// Has huge pages in what is used from here on.
pub fn use_huge_pages() {
    let start = START.load(Ordering::Relaxed);
    if start != 0 {
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
        // SAFETY: the memory is the allocator's; this changes how it is backed, not what it holds.
        unsafe { libc::madvise(start, SIZE, libc::MADV_HUGEPAGE) };
    }
}
