//! The client of a make jobserver: how many threads a run may use when `make -j`, ninja or cargo share a machine.
//!
//! A build tool that runs jobs side by side holds a pot of tokens, a pipe or fifo named in `MAKEFLAGS`
//! (`--jobserver-auth=R,W`, `--jobserver-auth=fifo:PATH`, formerly `--jobserver-fds=R,W`; cargo uses
//! `CARGO_MAKEFLAGS`). Whoever is started has one token by being started, and takes one more from the pot for every
//! further thread (GNU make manual, 13.1.1).
//!
//! [`claim`] takes what is there at once and never waits: a run is short, and starting small is better than late.
//! Tokens go back when [`Claimed`] is dropped, or with [`give_back`] when the run starts something that takes tokens of its
//! own. A pot that is named but cannot be used (not passed on by the parent,
//! closed, not a pipe) is no pot.

use jobserver::{Acquired, Client};
use std::sync::{Mutex, PoisonError};

/// The tokens this process holds, all but the implicit first.
static TOKENS: Mutex<Vec<Acquired>> = Mutex::new(Vec::new());

/// The right to run a number of threads. Gives back on drop what it took.
#[derive(Debug)]
pub struct Claimed {
    /// How many threads may run, at least one.
    pub threads: usize,
    /// How many tokens were taken from a jobserver.
    tokens: usize,
}

impl Claimed {
    /// How many tokens were taken from a jobserver.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives all tokens back, for what takes tokens of its own (a compiler) and may last. The run keeps its threads, which
/// have nothing to do meanwhile.
pub fn give_back() {
    let tokens = std::mem::take(&mut *TOKENS.lock().unwrap_or_else(PoisonError::into_inner));
    drop(tokens);
}

/// Claims up to `max` threads: all of them if there is no jobserver, else one and as many more as there are tokens.
///
/// To be called early: the environment names file descriptors by number, which must not yet mean other files.
pub fn claim(max: usize) -> Claimed {
    let max = max.max(1);
    // SAFETY: the numbers are those the parent gave us for this purpose, and are checked to be open pipes. The
    // program has opened no files of its own yet.
    let client = unsafe { Client::from_env_ext(true) }.client;
    match client {
        Ok(client) => take(&client, max).unwrap_or(Claimed { threads: max, tokens: 0 }),
        Err(_) => Claimed { threads: max, tokens: 0 },
    }
}

/// Takes up to `max - 1` tokens; `None` if the pot cannot be used.
fn take(client: &Client, max: usize) -> Option<Claimed> {
    let mut tokens = Vec::new();
    while tokens.len() + 1 < max {
        match client.try_acquire() {
            Ok(Some(token)) => tokens.push(token),
            Ok(None) => break,
            // It broke under our hands: what was taken is kept, so that it can be tried to give it back.
            Err(_) if !tokens.is_empty() => break,
            Err(_) => return None,
        }
    }
    let count = tokens.len();
    TOKENS.lock().unwrap_or_else(PoisonError::into_inner).extend(tokens);
    Some(Claimed { threads: count + 1, tokens: count })
}
