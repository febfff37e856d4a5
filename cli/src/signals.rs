//! Leaving nothing behind when the linker is told to stop.
//!
//! A build tool that is interrupted sends SIGINT or SIGTERM to what it runs. The handler removes the
//! unfinished output and lets the signal do what it would have done, so that the parent sees the process
//! end by that signal.

use libc::{SIGHUP, SIGINT, SIGTERM, c_int};

/// Signals that end the process in an orderly way.
const SIGNALS: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Removes temporary files when the process is told to stop.
pub fn clean_up_when_stopped() {
    for signal in SIGNALS {
        handle(signal, stop, libc::SA_RESETHAND);
    }
    handle(libc::SIGBUS, page_is_missing, libc::SA_RESETHAND);
}

/// Removes what an unfinished link leaves. Async-signal-safe.
fn tidy_up() {
    stages::commit::remove_temporaries();
    stages::plugin::remove_leftovers();
}

/// The handler of SIGBUS: a page of a mapped file is not there. It comes to the thread that touched the page, and comes
/// again when the handler returns.
extern "C" fn page_is_missing(_: c_int) {
    const MESSAGE: &str = "manifold: error: a part of a mapped file is missing: an input was made shorter while it was \
read, or there is no room left for the output\n";
    tidy_up();
    // SAFETY: `write` may be called in a handler; the message is as long as it is said to be.
    unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
}

/// Has a signal handled (with these `sa_flags`), unless the parent had it ignored (`nohup`): then it stays ignored.
pub fn handle(signal: c_int, handler: extern "C" fn(c_int), flags: c_int) {
    // SAFETY: both structures are plain data for which all zeros is a valid value, and are filled before use; the
    // handler is a function of the type that `sigaction` calls without SA_SIGINFO.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, std::ptr::null(), &mut old) != 0 || old.sa_sigaction == libc::SIG_IGN {
            return;
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Lives on when the terminal sends a signal, which its other processes get, too: for waiting how they end.
///
/// A handler that does nothing, and not SIG_IGN, which children would inherit.
pub fn leave_to_children() {
    extern "C" fn nothing(_: c_int) {}
    for signal in [SIGINT, libc::SIGQUIT] {
        // SAFETY: the structure is plain data for which all zeros is a valid value; the handler touches nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// The handler: only calls that are allowed in one (signal-safety(7)).
extern "C" fn stop(signal: c_int) {
    tidy_up();
    // SAFETY: `raise` may be called in a handler; SA_RESETHAND has put the default action back, which takes
    // effect when the handler returns.
    unsafe {
        libc::raise(signal);
    }
}
