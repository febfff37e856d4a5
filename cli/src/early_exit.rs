//! Ends the command before its process is gone.
//!
//! When the output is in its place, a large link still has gigabytes of mapped inputs and memory to give back, which
//! takes the kernel tens of milliseconds that nobody needs to wait for. So the command forks at the start, before there
//! are threads: the child links, and says so over a pipe; the parent ends with the code it is told. To fork costs a
//! millisecond itself, so it is only done where there is that much to give back ([`is_worth_it`]).
//!
//! What a caller may rely on stays as it was: at the end of the command the output and all messages are written, and
//! nobody holds its standard streams (a caller that reads them to their end is not kept waiting). A signal to the parent
//! reaches the child; if the child is killed, the parent ends by the same signal. If the parent is gone, the child
//! does not work on for nobody.
//!
//! `unsafe` is for `fork` and what goes with it, which have no safe interface.

use libc::{SIGHUP, SIGINT, SIGKILL, SIGTERM, c_int, c_uint, c_void, pid_t};
use stages::config::{Config, InputName};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of inputs that take the kernel longer to unmap than a second process takes to start and be waited for.
const WORTH_IT: u64 = 32 << 20;

/// Whether the inputs that are named are so large that the end of the link is worth hiding.
pub fn is_worth_it(config: &Config) -> bool {
    let mut bytes = 0u64;
    config.inputs.iter().any(|input| {
        if let InputName::File(path) = &input.name {
            bytes += std::fs::metadata(path).map_or(0, |file| file.len());
        }
        bytes >= WORTH_IT
    })
}

/// What the parent forwards.
const FORWARDED: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// The child, for the parent's signal handler.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// The end of the pipe that the linking process writes to; `None` where there is no other process.
#[derive(Debug)]
pub struct Caller {
    pipe: Option<c_int>,
}

/// Forks, if `wanted` and possible: returns in the process that shall link. There must be no other thread.
pub fn fork(wanted: bool) -> Caller {
    let alone = Caller { pipe: None };
    if !wanted {
        return alone;
    }
    let mut ends: [c_int; 2] = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return alone;
    }
    let [read, write] = ends;
    let parent = std::process::id();
    // SAFETY: there is one thread, so the child may do what the parent could.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: `read` is this function's own; prctl with PR_SET_PDEATHSIG takes a signal.
            unsafe {
                libc::close(read);
                libc::prctl(libc::PR_SET_PDEATHSIG, SIGTERM);
            }
            if std::os::unix::process::parent_id() != parent {
                // It was gone before it could have been noticed.
                std::process::exit(1);
            }
            Caller { pipe: Some(write) }
        }
        child if child > 0 => {
            CHILD.store(child, Ordering::SeqCst);
            for signal in FORWARDED {
                // Every time: who is told twice to stop still waits for the child to tidy up.
                super::signals::handle(signal, forward, 0);
            }
            // SAFETY: `write` is this function's own.
            unsafe { libc::close(write) };
            wait(child, read)
        }
        _ => {
            // SAFETY: both are this function's own.
            unsafe {
                libc::close(read);
                libc::close(write);
            }
            alone
        }
    }
}

/// Passes a signal on; what the child does then is what the parent does.
extern "C" fn forward(signal: c_int) {
    // SAFETY: `kill` may be called in a handler (signal-safety(7)).
    unsafe { libc::kill(CHILD.load(Ordering::SeqCst), signal) };
}

/// The parent: ends as the child says, or as the child ended.
fn wait(child: pid_t, pipe: c_int) -> ! {
    let mut code = 0u8;
    loop {
        // SAFETY: one byte, for which there is room.
        match unsafe { libc::read(pipe, (&raw mut code).cast::<c_void>(), 1) } {
            // SAFETY: nothing of this process needs to be tidied up.
            1 => unsafe { libc::_exit(code.into()) },
            -1 if interrupted() => {}
            _ => break,
        }
    }
    let mut status: c_int = 0;
    // SAFETY: `status` is where the status goes.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 && interrupted() {}
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        // SAFETY: the default action of the signal that ended the child ends this process, too; if it cannot (because
        // the caller had it blocked), the next line does.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
            libc::kill(libc::getpid(), SIGKILL);
        }
    }
    // SAFETY: as above.
    unsafe { libc::_exit(libc::WEXITSTATUS(status)) }
}

fn interrupted() -> bool {
    std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
}

impl Caller {
    /// Ends the command with a code, for its caller: everything the caller waits for has been written. This process may
    /// go on with files it has open, which are named by their descriptors; everything else is closed. True if there is
    /// no other process, and so nothing has ended.
    pub fn release(&self, code: u8, kept: &[RawFd]) -> bool {
        let Some(pipe) = self.pipe else { return true };
        let mut kept: Vec<c_uint> =
            kept.iter().chain([&pipe]).map(|descriptor| *descriptor as c_uint).collect();
        kept.sort_unstable();
        // SAFETY: nothing uses a descriptor but those kept from here on. `close_range` takes a range of descriptors and
        // flags; where the kernel has none, the streams at least are closed.
        unsafe {
            for stream in 0..3 {
                libc::close(stream);
            }
            let mut first: c_uint = 3;
            for descriptor in kept {
                if descriptor > first {
                    libc::syscall(libc::SYS_close_range, first, descriptor - 1, 0 as c_uint);
                }
                first = first.max(descriptor + 1);
            }
            libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 0 as c_uint);
            libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            libc::write(pipe, (&raw const code).cast::<c_void>(), 1);
        }
        false
    }

    /// Ends the command with a code. Everything that was to be written has been; what is left is for the kernel.
    pub fn end(self, code: u8) -> ! {
        // If it has been released, nobody reads this any more.
        self.release(code, &[]);
        // SAFETY: buffers of the standard streams have been flushed, and nothing else is to be run at exit.
        unsafe { libc::_exit(code.into()) }
    }
}
