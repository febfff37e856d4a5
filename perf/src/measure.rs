//! What running a command costs: time on the clock, time on the processors, memory.
//!
//! A linker may return to its caller while a child of it still tidies up. The clock stops when the
//! process that was started ends, as it does for a user; processor time and memory are those of that
//! process *and* of every process it left behind, for which we wait. To be able to, this process makes
//! itself the one that inherits such orphans ([`adopt_orphans`]).
//!
//! Invariant: a measurement starts and ends with no child of this process alive. Therefore only one
//! thread measures, and nothing else is started meanwhile.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The cost of one run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Cost {
    /// Milliseconds on the clock, until the process that was started had ended.
    pub wall_ms: f64,
    /// Milliseconds of processor time in the program and in the kernel, of all processes.
    pub cpu_ms: f64,
    /// The largest peak of memory held by one of the processes, in bytes. The kernel counts what the
    /// child had before it became the program, so this is never less than our own few megabytes.
    pub peak_bytes: u64,
}

impl Cost {
    /// Adds the cost of a run after this one.
    pub fn then(self, next: Cost) -> Cost {
        Cost {
            wall_ms: self.wall_ms + next.wall_ms,
            cpu_ms: self.cpu_ms + next.cpu_ms,
            peak_bytes: self.peak_bytes.max(next.peak_bytes),
        }
    }
}

/// Makes this process the parent of processes whose own parent ends.
pub fn adopt_orphans() -> Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes one integer and touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    ensure!(result == 0, "cannot become a subreaper: {}", io::Error::last_os_error());
    Ok(())
}

/// Runs `command` and says what it cost. It must succeed; what it wrote to standard error is told if not.
pub fn measure(command: &mut Command) -> Result<Cost> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let program = command.get_program().display().to_string();
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let pid = i32::try_from(child.id())?;
    let mut errors = child.stderr.take().context("no pipe for standard error")?;
    let complaints = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has said all it had to say.
        let _ = io::Read::read_to_end(&mut errors, &mut bytes);
        bytes
    });
    let (_, status, own) = wait(pid)?.context("the child vanished")?;
    let wall = start.elapsed();
    let mut cost = own;
    while let Some((_, _, orphan)) = wait(-1)? {
        cost = cost.then(orphan);
    }
    cost.wall_ms = milliseconds(wall);
    let complaints = complaints.join().unwrap_or_default();
    ensure!(status.success(), "{program} ended with {status}: {}", first_lines(&complaints));
    Ok(cost)
}

/// Waits for the child `pid` (or for any, if -1). Nothing if there is no such child.
fn wait(pid: i32) -> Result<Option<(i32, ExitStatus, Cost)>> {
    loop {
        let mut status = 0;
        // SAFETY: all-zero is a valid rusage: it consists of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals of the types wait4 writes.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        if waited > 0 {
            let cost = Cost {
                wall_ms: 0.0,
                cpu_ms: milliseconds(duration(usage.ru_utime) + duration(usage.ru_stime)),
                peak_bytes: u64::try_from(usage.ru_maxrss)? * 1024,
            };
            return Ok(Some((waited, ExitStatus::from_raw(status), cost)));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(error).context("cannot wait for a child"),
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn first_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
    lines.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_and_peaks_do_not() {
        let cost = |wall_ms, cpu_ms, peak_bytes| Cost { wall_ms, cpu_ms, peak_bytes };
        assert_eq!(cost(1.0, 2.0, 30).then(cost(4.0, 5.0, 20)), cost(5.0, 7.0, 30));
    }

    #[test]
    fn only_the_beginning_of_a_complaint_is_told() {
        assert_eq!(first_lines(b"one\n\ntwo\nthree\nfour\n"), "one / two / three");
    }
}
