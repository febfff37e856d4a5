//! The allocator of the command.
//!
//! It would have huge pages, of which it never fills many: a link takes its memory in pieces of all sizes, at once. Measured
//! alone, one link after another, they save a tenth of the time. But where another program ran before, as in every build,
//! the kernel has to move pages out of their way first, which costs as much again or more (*monorepo-1000* after a link by
//! another linker: median 1.32 s of wall time with them, 1.04 without), and memory is 5 to 25 % larger. So the memory of the
//! allocator is given to it in advance, before anything is allocated, and has small pages.
//!
//! `unsafe` is for telling the kernel and the allocator, which have no safe interface for this.

use std::ffi::c_int;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`; -1 is never.
const PURGE_DELAY: c_int = 15;

/// Bytes of address space that are given to the allocator. What it needs beyond, it gets by itself.
const SIZE: usize = 1 << 30;

/// What the allocator wants its memory aligned on.
const ALIGNMENT: usize = 64 << 10;

/// Run by the loader before `main` and what the standard library does before that, which allocates.
#[used]
#[unsafe(link_section = ".init_array")]
static PROVIDE: extern "C" fn() = provide;

extern "C" fn provide() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: fresh memory, that nobody else knows of, becomes the allocator's for good; it consists of zeros, and its
    // start is aligned as the allocator wants it.
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), SIZE + ALIGNMENT, access, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return;
        }
        let start = memory.byte_add(memory.align_offset(ALIGNMENT));
        libc::madvise(start, SIZE, libc::MADV_NOHUGEPAGE);
        libmimalloc_sys::mi_process_init();
        let mut arena = std::mem::zeroed();
        libmimalloc_sys::mi_manage_os_memory_ex(start, SIZE, true, false, true, -1, false, &raw mut arena);
    }
}

/// Keeps the allocator from giving memory back while the link runs: it would be asked for again, and what the kernel
/// hands out it clears first.
pub fn keep() {
    // SAFETY: sets a number in the allocator's options; there is one thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
