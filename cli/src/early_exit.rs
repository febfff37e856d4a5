//! Ends the command before its process is gone.
//!
//! When the output is in its place, a large link still has gigabytes of mapped inputs and memory to give back, which
//! takes the kernel tens of milliseconds that nobody needs to wait for. So the link is made by a second process, which
//! says over a socket when it is done; the first then ends with the code it is told.
//!
//! Both share one address space (`CLONE_VM`, as with `vfork`, but both run): there is no page table to copy, and no page
//! when it is written to, which cost a link of 30 MB a tenth of its time. The last that ends gives the memory back; the
//! second sees to it that it is that one: it waits for the socket to be closed. In return the first must leave everything
//! in that memory alone, above all the storage of the thread it shares with the second: it only waits, and sets `errno`
//! only when a signal interrupts it, which is the end of the link.
//!
//! What a caller may rely on stays as it was: at the end of the command the output and all messages are written, and
//! nobody holds its standard streams (a caller that reads them to their end is not kept waiting). A signal to the first
//! process reaches the second; if the second is killed, the first ends by the same signal. If the first is gone, the
//! second does not work on for nobody.
//!
//! `unsafe` is for `clone` and what goes with it, which have no safe interface.

use libc::{SIGHUP, SIGINT, SIGKILL, SIGTERM, c_int, c_long, c_uint, c_void, pid_t};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of inputs that take the kernel longer to unmap than a second process takes to start and be waited for.
pub const WORTH_IT: u64 = 4 << 20;

/// What the first process forwards.
const FORWARDED: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Bytes of address space for the stack of the process that links; what is not used costs nothing.
const STACK: usize = 64 << 20;

/// The process that links, for the signal handler of the one that waits for it.
static WORKER: AtomicI32 = AtomicI32::new(0);

/// The socket of the linking process; `None` where there is no other process.
#[derive(Debug)]
pub struct Caller {
    socket: Option<c_int>,
}

/// Links, in a second process if `wanted` and possible, and ends the command with the code it gives. There must be no
/// other thread.
pub fn run<F: FnOnce(&Caller) -> u8>(wanted: bool, link: F) -> ! {
    let mut link = Some(link);
    if wanted {
        in_second_process(&mut link);
    }
    let caller = Caller { socket: None };
    let code = link.take().map_or(1, |link| link(&caller));
    caller.end(code)
}

/// What the second process is given.
struct Task<'a, F> {
    link: &'a mut Option<F>,
    first: u32,
    /// The socket of the first, and that of the second.
    theirs: c_int,
    ours: c_int,
}

/// Comes back only if there can be no second process.
fn in_second_process<F: FnOnce(&Caller) -> u8>(link: &mut Option<F>) {
    let mut ends: [c_int; 2] = [0; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: `ends` has room for the two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } != 0 {
        return;
    }
    let [theirs, ours] = ends;
    let mut task = Task { link, first: std::process::id(), theirs, ours };
    let started = stack().map_or(-1, |top| {
        let task: *mut Task<'_, F> = &raw mut task;
        // SAFETY: the stack is the second process's alone. `task` lives until this process ends, and in memory that both
        // share until the second does: this function does not return if there is a second process. Only that looks at
        // what it refers to, and there is one thread.
        unsafe { libc::clone(second::<F>, top, libc::CLONE_VM | libc::SIGCHLD, task.cast()) }
    });
    if started > 0 {
        WORKER.store(started, Ordering::SeqCst);
        for signal in FORWARDED {
            // Every time: who is told twice to stop still waits for the other to tidy up.
            super::signals::handle(signal, forward, 0);
        }
        // SAFETY: `ours` is this function's own; the table of descriptors is not shared.
        unsafe { libc::close(ours) };
        wait(started, theirs)
    }
    // SAFETY: both are this function's own.
    unsafe {
        libc::close(theirs);
        libc::close(ours);
    }
}

/// The upper end of a new stack, below which a page is missing at its lower end. `None` if there is no memory.
fn stack() -> Option<*mut c_void> {
    const PAGE: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: memory of its own, of which nothing is known elsewhere.
    unsafe {
        let low = libc::mmap(std::ptr::null_mut(), STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if low == libc::MAP_FAILED {
            return None;
        }
        // A huge page would have to be cleared for a few kilobytes of stack.
        libc::madvise(low, STACK, libc::MADV_NOHUGEPAGE);
        libc::mprotect(low, PAGE, libc::PROT_NONE);
        Some(low.byte_add(STACK))
    }
}

/// The second process: links.
extern "C" fn second<F: FnOnce(&Caller) -> u8>(task: *mut c_void) -> c_int {
    // SAFETY: `in_second_process` gives a `Task` of this type, and leaves it alone.
    let task = unsafe { &mut *task.cast::<Task<'_, F>>() };
    // SAFETY: `theirs` is this process's own copy; prctl with PR_SET_PDEATHSIG takes a signal.
    unsafe {
        libc::close(task.theirs);
        libc::prctl(libc::PR_SET_PDEATHSIG, SIGTERM);
    }
    if std::os::unix::process::parent_id() != task.first {
        // It was gone before it could have been noticed.
        return 1;
    }
    let caller = Caller { socket: Some(task.ours) };
    // As at the end of any thread, a panic has been told, and makes a code.
    let code = task
        .link
        .take()
        .and_then(|link| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| link(&caller))).ok());
    caller.end(code.unwrap_or(101))
}

/// Passes a signal on; what the second process does then is what the first does.
extern "C" fn forward(signal: c_int) {
    // SAFETY: `kill` may be called in a handler (signal-safety(7)).
    unsafe { libc::kill(WORKER.load(Ordering::SeqCst), signal) };
}

/// The first process: ends as the second says, or as the second ended.
fn wait(worker: pid_t, socket: c_int) -> ! {
    let mut code = 0u8;
    loop {
        // SAFETY: one byte, for which there is room. `syscall`, because `read` writes to the storage of the thread.
        match unsafe { libc::syscall(libc::SYS_read, c_long::from(socket), &raw mut code, 1usize) } {
            // SAFETY: nothing of this process needs to be tidied up.
            1 => unsafe { libc::_exit(code.into()) },
            -1 if interrupted() => {}
            _ => break,
        }
    }
    let mut status: c_int = 0;
    // SAFETY: `status` is where the status goes.
    while unsafe { libc::waitpid(worker, &raw mut status, 0) } == -1 && interrupted() {}
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        // SAFETY: the default action of the signal that ended the other ends this process, too; if it cannot (because
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
        let Some(socket) = self.socket else { return true };
        let mut kept: Vec<c_uint> = kept
            .iter()
            .chain(&stages::commit::replaced())
            .chain([&socket])
            .map(|descriptor| *descriptor as c_uint)
            .collect();
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
            libc::write(socket, (&raw const code).cast::<c_void>(), 1);
        }
        false
    }

    /// Ends the command with a code. Everything that was to be written has been; what is left is for the kernel.
    pub fn end(&self, code: u8) -> ! {
        // If it has been released, nobody reads this any more.
        self.release(code, &[]);
        if let Some(socket) = self.socket {
            // What both share is given back by the last that ends: not the one that is waited for. Its end closes its
            // socket; that nothing is read, or something, or that there is an error, is all the same.
            let mut nothing = 0u8;
            // SAFETY: one byte, for which there is room.
            unsafe { libc::read(socket, (&raw mut nothing).cast::<c_void>(), 1) };
        }
        // SAFETY: buffers of the standard streams have been flushed, and nothing else is to be run at exit.
        unsafe { libc::_exit(code.into()) }
    }
}
