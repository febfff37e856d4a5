//! What happens when a plugin crashes.
//!
//! A plugin is a compiler in the linker's process, and some intermediate code that is damaged makes it run wild (GCC's
//! reads tables by sizes that the file says; LLVM's throws, or follows pointers it has not read). Nothing can go on after
//! that, because nobody knows what it wrote to. But the link can end like any other that fails: with a message that says
//! which plugin it was and what it was doing, the status of an error, and nothing left behind.
//!
//! So while a conversation lasts ([`Watch`]) the signals of a crash have a handler, which the front end provides, because
//! it writes to the terminal; it asks [`account`] for what to say. The linker itself sleeps as long as plugins talk: the
//! crash is theirs, or that of a function they call. SIGBUS is left out: it has a handler of its own, since it tells
//! that a file was made shorter.
//!
//! What plugins were doing, and the file they asked for last while they compiled, are texts that are made before they are
//! needed, and never freed: handlers cannot make one.
//!
//! `unsafe` is for `sigaction`, and for reading that text.

use libc::c_int;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A handler of signals.
pub type Handler = extern "C" fn(c_int);

/// The signals of a crash.
const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

static HANDLER: OnceLock<Handler> = OnceLock::new();

/// What is being done: null, or a text that is never freed.
static ACCOUNT: AtomicPtr<String> = AtomicPtr::new(std::ptr::null_mut());

/// The file that was asked for last: null, or a text that is never freed.
static LAST_FILE: AtomicPtr<String> = AtomicPtr::new(std::ptr::null_mut());

/// Has a crash of a plugin handled from now on. The handler must end the process.
pub fn handle_with(handler: Handler) {
    let _ = HANDLER.set(handler);
}

/// What to say of a crash that has happened: which plugin, what it was doing, to which file. Async-signal-safe.
pub fn account() -> &'static str {
    text(&ACCOUNT).unwrap_or("a plugin crashed")
}

/// The file that the plugin that crashed asked for last, while it did what [`account`] says. Async-signal-safe.
pub fn last_file() -> Option<&'static str> {
    text(&LAST_FILE)
}

fn text(place: &AtomicPtr<String>) -> Option<&'static str> {
    // SAFETY: what is stored is null or comes from `Box::leak`, and is not changed.
    unsafe { place.load(Ordering::Acquire).cast_const().as_ref() }.map(String::as_str)
}

/// Takes note of what a plugin is about to do.
pub(super) fn prepare(account: String) {
    LAST_FILE.store(std::ptr::null_mut(), Ordering::Release);
    ACCOUNT.store(Box::leak(Box::new(account)), Ordering::Release);
}

/// Takes note of the file a plugin is about to look at.
pub(super) fn looks_at(file: String) {
    LAST_FILE.store(Box::leak(Box::new(file)), Ordering::Release);
}

/// Handlers that were there before, to be put back.
#[must_use]
pub(super) struct Watch(Vec<(c_int, libc::sigaction)>);

impl Watch {
    /// Has crashes handled for as long as the value lives.
    pub fn start() -> Watch {
        let Some(handler) = HANDLER.get() else { return Watch(Vec::new()) };
        let replace = |signal: c_int| {
            // SAFETY: both structures are plain data for which all zeros is a valid value; the handler is a function of
            // the type that `sigaction` calls without SA_SIGINFO. It has a stack of its own if the thread has one.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = *handler as usize;
                action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND;
                let mut old: libc::sigaction = std::mem::zeroed();
                (libc::sigaction(signal, &action, &mut old) == 0).then_some((signal, old))
            }
        };
        Watch(SIGNALS.into_iter().filter_map(replace).collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (signal, old) in &self.0 {
            // SAFETY: the structure was filled by `sigaction`.
            unsafe { libc::sigaction(*signal, old, std::ptr::null_mut()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_account_counts_and_handlers_are_put_back() {
        extern "C" fn handler(_: c_int) {}
        let current = || {
            // SAFETY: the structure is filled with what is set for a signal that nobody sends here.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGILL, std::ptr::null(), &mut action);
                action.sa_sigaction
            }
        };
        let before = current();
        handle_with(handler);
        let watch = Watch::start();
        assert_eq!(current(), handler as *const () as usize);
        prepare("one".into());
        looks_at("file".into());
        assert_eq!((account(), last_file()), ("one", Some("file")));
        prepare("other".into());
        assert_eq!((account(), last_file()), ("other", None));
        drop(watch);
        assert_eq!(current(), before);
    }
}
