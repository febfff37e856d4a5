//! The allocator of the command.
//!
//! A link takes its memory in pieces of all sizes, at once, and gives none back, so that the kernel's work of handing out pages
//! is a good part of it: huge pages save a tenth of the processor time of a large link. A small one would fill none of them,
//! and clearing what is not filled costs more than it saves. So the memory of the allocator is given to it in advance, before
//! anything is allocated, and has small pages, whatever is the rule of the system, until it turns out that there is [much to
//! link](when_large). And the kernel is asked for huge pages only while it has many: what it has not, it makes by moving
//! others' pages out of the way, for which a link would wait.
//!
//! `unsafe` is for telling the kernel and the allocator, which have no safe interface for this.

use stages::config::WhenLarge;
use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`; -1 is never.
const PURGE_DELAY: c_int = 15;

/// Bytes of address space that are given to the allocator. What it needs beyond, it gets by itself.
const SIZE: usize = 1 << 30;

/// Bytes of a huge page, on which the memory is aligned.
const HUGE_PAGE: usize = 2 << 20;

/// Bytes of input for each worker from which on huge pages are worth it: a worker leaves a dozen megabytes of them unfilled.
const LARGE: u64 = 128 << 20;

/// Where the memory is that was given to the allocator.
static MEMORY: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Run by the loader before `main` and what the standard library does before that, which allocates.
#[used]
#[unsafe(link_section = ".init_array")]
static PROVIDE: extern "C" fn() = provide;

extern "C" fn provide() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: fresh memory, that nobody else knows of, becomes the allocator's for good; it consists of zeros, and its
    // start is aligned as the allocator wants it (64 KB).
    unsafe {
        let memory = libc::mmap(null_mut(), SIZE + HUGE_PAGE, access, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return;
        }
        let start = memory.byte_add(memory.align_offset(HUGE_PAGE));
        libc::madvise(start, SIZE, libc::MADV_NOHUGEPAGE);
        libmimalloc_sys::mi_process_init();
        let mut arena = std::mem::zeroed();
        if libmimalloc_sys::mi_manage_os_memory_ex(start, SIZE, true, false, true, -1, false, &raw mut arena)
        {
            MEMORY.store(start, Ordering::Relaxed);
        }
    }
}

/// What prepares for a large link on so many threads.
pub fn when_large(threads: NonZeroUsize) -> WhenLarge {
    WhenLarge { bytes: LARGE * threads.get() as u64, prepare: ask_for_huge_pages }
}

/// From now on memory comes in huge pages, if the kernel has enough of them for all that a link may take.
fn ask_for_huge_pages() {
    let memory = MEMORY.load(Ordering::Relaxed);
    let ready = || std::fs::read_to_string("/proc/buddyinfo").map_or(0, |info| in_huge_pages(&info));
    if !memory.is_null() && ready() >= SIZE {
        // SAFETY: this is the allocator's own memory, of which nothing but the sizes of its pages changes.
        unsafe { libc::madvise(memory, SIZE, libc::MADV_HUGEPAGE) };
    }
}

/// Bytes of free memory that lie together as huge pages or more, by `/proc/buddyinfo`: a line has the free blocks of a zone,
/// in the column n those of 2^n pages (proc_buddyinfo(5)).
fn in_huge_pages(buddyinfo: &str) -> usize {
    const PAGE: usize = 4 << 10;
    let of_zone = |line: &str| {
        let blocks = line.split_whitespace().skip_while(|&word| word != "zone").skip(2).enumerate();
        let bytes = |(order, count): (usize, &str)| count.parse::<usize>().unwrap_or(0) * (PAGE << order);
        blocks.filter(|&(order, _)| PAGE << order >= HUGE_PAGE).map(bytes).sum::<usize>()
    };
    buddyinfo.lines().map(of_zone).sum()
}

/// Keeps the allocator from giving memory back while the link runs: it would be asked for again, and what the kernel
/// hands out it clears first.
pub fn keep() {
    // SAFETY: sets a number in the allocator's options; there is one thread.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_huge_pages_are_those_of_all_zones() {
        let info = "\
Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3
Node 0, zone   Normal  18249   6768   3222   2007   1272    526    260     81     28    321   4243
Node 1, zone   Normal      9      9      9      9      9      9      9      9      9      0      0
";
        assert_eq!(in_huge_pages(info), (1 + 321) * (2 << 20) + (3 + 4243) * (4 << 20));
        assert_eq!(in_huge_pages(""), 0);
    }
}
