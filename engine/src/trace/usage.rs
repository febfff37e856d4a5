//! What the process and its threads use, as the system counts it (getrusage(2), clock_gettime(2), proc(5)).
//!
//! `unsafe` is for the two system calls, which have no safe interface here.

use std::sync::OnceLock;

/// A reading of what the process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// When, in nanoseconds since the tracer's epoch.
    pub time: u64,
    /// Counters of the process so far.
    pub usage: Usage,
    /// Bytes of memory that belong to no file, now.
    pub anonymous: u64,
    /// Bytes of mapped files in memory, now.
    pub mapped: u64,
}

/// Counters of a process since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Nanoseconds in the program.
    pub user: u64,
    /// Nanoseconds in the kernel.
    pub system: u64,
    /// Page faults that needed no reading.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Times a thread gave up the processor by itself.
    pub voluntary_switches: u64,
    /// Times one was taken off it.
    pub involuntary_switches: u64,
    /// Bytes: the most memory it had at once.
    pub peak: u64,
}

impl Sample {
    /// Reads everything, at `time`.
    pub fn now(time: u64) -> Sample {
        let (anonymous, mapped) = memory();
        Sample { time, usage: Usage::now(), anonymous, mapped }
    }
}

impl Usage {
    /// Reads the counters.
    pub fn now() -> Usage {
        // SAFETY: all-zero is a valid rusage: it consists of integers.
        let mut raw: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live local of the type getrusage writes.
        if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut raw) } != 0 {
            return Usage::default();
        }
        let time = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
        Usage {
            user: time(raw.ru_utime),
            system: time(raw.ru_stime),
            minor_faults: raw.ru_minflt as u64,
            major_faults: raw.ru_majflt as u64,
            voluntary_switches: raw.ru_nvcsw as u64,
            involuntary_switches: raw.ru_nivcsw as u64,
            peak: raw.ru_maxrss as u64 * 1024,
        }
    }
}

/// Nanoseconds of processor time the calling thread has used.
pub(super) fn thread_cpu() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live local of the type clock_gettime writes.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if result == 0 { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 } else { 0 }
}

/// Bytes of memory of the process: that of no file, that of files. Zeros where there is no /proc.
fn memory() -> (u64, u64) {
    // size, resident, shared: in pages.
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = text.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap_or(0) * page_size());
    let resident = pages.next().unwrap_or(0);
    let mapped = pages.next().unwrap_or(0);
    (resident.saturating_sub(mapped), mapped)
}

fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    // SAFETY: a question about a constant of the system.
    *SIZE.get_or_init(|| u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_rise() {
        let (before, cpu) = (Usage::now(), thread_cpu());
        let sum = (0..5_000_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let (after, now) = (Usage::now(), thread_cpu());
        assert!(sum < u64::MAX && now > cpu);
        assert!(after.user + after.system >= before.user + before.system);
        assert!(after.peak > 0);
        let (anonymous, mapped) = memory();
        assert!(anonymous + mapped > 0);
    }
}
