//! How many threads this link may use.

use std::num::NonZeroUsize;

/// The right to use a number of threads, given back when dropped.
pub struct Claim {
    threads: NonZeroUsize,
}

impl Claim {
    /// How many threads to use.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }
}

/// Claims as many threads as asked for, or as there are processors.
pub fn claim(asked: Option<NonZeroUsize>) -> Claim {
    let threads = asked.or_else(|| std::thread::available_parallelism().ok());
    Claim { threads: threads.unwrap_or(NonZeroUsize::MIN) }
}
