//! Leaving nothing behind when the linker is told to stop.
//!
//! A build tool that is interrupted sends SIGINT or SIGTERM to what it runs. The handler removes the
//! unfinished output and lets the signal do what it would have done, so that the parent sees the process
//! end by that signal.
//!
//! A crash of a compiler's plugin ends the link, too, but as an error that is told: it is no fault of the linker's.

use libc::{SIGHUP, SIGINT, SIGTERM, c_int};
use stages::plugin::crash;

/// Signals that end the process in an orderly way.
const SIGNALS: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Removes temporary files when the process is told to stop.
pub fn clean_up_when_stopped() {
    for signal in SIGNALS {
        handle(signal, stop, libc::SA_RESETHAND);
    }
    handle(libc::SIGBUS, page_is_missing, libc::SA_RESETHAND);
    crash::handle_with(plugin_crashed);
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
    write(MESSAGE);
}

/// The handler of crashes while a plugin works: there is nothing to go on with.
extern "C" fn plugin_crashed(signal: c_int) {
    tidy_up();
    write("manifold: error: ");
    write(crash::account());
    write(match signal {
        libc::SIGABRT => " (it gave up: SIGABRT)",
        libc::SIGFPE => " (SIGFPE)",
        libc::SIGILL => " (SIGILL)",
        _ => " (SIGSEGV)",
    });
    if let Some(file) = crash::last_file() {
        write("\n>>> the last file it asked for is ");
        write(file);
    }
    write(
        "\n>>> the intermediate code may be damaged, or made by another version of the compiler; compile it again\n",
    );
    // SAFETY: `_exit` may be called in a handler; nothing that is to be written is left.
    unsafe { libc::_exit(1) };
}

/// Writes to standard error. Async-signal-safe.
fn write(text: &str) {
    // SAFETY: `write` may be called in a handler; the text is as long as it is said to be.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
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
