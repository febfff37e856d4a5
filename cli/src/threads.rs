//! How many threads this link may use.
//!
//! `--threads=N` is taken at its word. Without it a link uses all processors, as far as the jobserver of a make or
//! cargo that runs it has tokens left, and a small link goes on for a while before it wakes anybody.

use engine::jobserver::{Claimed, claim as claim_tokens};
use std::num::NonZeroUsize;

/// The right to use a number of threads, given back when dropped.
pub struct Claim {
    threads: NonZeroUsize,
    /// What decided how many.
    decided_by: &'static str,
    /// Held for its tokens.
    _tokens: Option<Claimed>,
}

impl Claim {
    /// How many threads to use.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// What decided how many: `asked`, `processors` or `jobserver`.
    pub fn decided_by(&self) -> &'static str {
        self.decided_by
    }
}

/// Claims as many threads as asked for, or as there are processors and tokens.
pub fn claim(asked: Option<NonZeroUsize>) -> Claim {
    if let Some(threads) = asked {
        return Claim { threads, decided_by: "asked", _tokens: None };
    }
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let tokens = claim_tokens(processors.get());
    let threads = NonZeroUsize::new(tokens.threads).unwrap_or(NonZeroUsize::MIN);
    let decided_by = if threads < processors { "jobserver" } else { "processors" };
    Claim { threads, decided_by, _tokens: Some(tokens) }
}
