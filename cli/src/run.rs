//! `manifold -run COMMAND ARG..`: any build, linked by manifold.
//!
//! Compilers choose their linker by paths and names of their own, and gcc refuses names it does not know.
//! This mode needs nobody's consent: the command runs with a small library preloaded (`LD_PRELOAD`, see
//! ld.so(8)) that, whenever a process of the build starts a program that [is a linker](linkers), starts
//! manifold in its place. The library (`run/hook.rs`) is built beside the command and finds manifold by its
//! own location, so nothing needs to be configured.
//!
//! With `--trace=DIR` in front of the command every link leaves its trace in a directory ([`traced`]).
//!
//! Out of reach are linkers started by a process that loads no libraries: a statically linked program, or
//! one with raised privileges. What they start in turn (a static `go` starting gcc) is within reach again.
//! Programs that insist on being the first library, as the shared address sanitizer does, have to be told
//! (`ASAN_OPTIONS=verify_asan_link_order=0`).

mod linkers;
mod traced;

use crate::messages::{Rules, Style};
use stages::report::Problem;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The library's file name.
const HOOK: &str = "libmanifold_run.so";

/// Where the library is looked for, from the directory of the command.
const HOOK_PLACES: [&str; 2] = ["", "../lib/manifold"];

/// Runs a command in place of this process; returns only if that is impossible, or if the build is traced.
pub fn run(words: &[OsString]) -> ExitCode {
    let (directory, command) = match traced::directory(words) {
        Ok(found) => found,
        Err(problem) => return fail(problem, 1),
    };
    let (problem, code) = match prepare(command) {
        Ok(mut prepared) => {
            let error = match directory {
                None => prepared.exec(),
                Some(directory) => match traced::run(&mut prepared, command, &directory) {
                    Ok(code) => return code,
                    Err(error) => error,
                },
            };
            let program = prepared.get_program().to_string_lossy();
            // As env(1) has it: 127 if there is no such program, 126 if it cannot be run.
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            (Problem::error(format!("-run: {program}: {error}")), code)
        }
        Err(problem) => (problem, 1),
    };
    fail(problem, code)
}

fn fail(problem: Problem, code: u8) -> ExitCode {
    Rules { style: Style::default(), error_limit: 0, fatal_warnings: false }.print(&[problem]);
    ExitCode::from(code)
}

/// The command to execute, with its environment.
fn prepare(command: &[OsString]) -> Result<Command, Problem> {
    let [program, arguments @ ..] = command else {
        return Err(Problem::error("-run: missing command")
            .note("usage: manifold -run [--trace=DIR] COMMAND [ARG].."));
    };
    let myself = std::env::current_exe()
        .map_err(|error| Problem::error(format!("-run: cannot find my own executable: {error}")))?;
    let hook = find_hook(&myself)?;
    // The first command is started by this process, into which no hook is loaded.
    let mut words = command.iter().map(|word| word.as_bytes());
    let is_linker = linkers::is_replaced(program.as_bytes(), || words.next());
    let mut prepared = Command::new(if is_linker { myself.as_os_str() } else { program });
    if is_linker {
        prepared.arg0(program);
    }
    let others = std::env::var_os("LD_PRELOAD").unwrap_or_default();
    prepared.args(arguments).env("LD_PRELOAD", with_first(hook.as_os_str(), &others));
    Ok(prepared)
}

/// Finds the library to preload.
fn find_hook(myself: &Path) -> Result<PathBuf, Problem> {
    let directory = myself.parent().unwrap_or(Path::new("/"));
    let candidates = HOOK_PLACES.map(|place| directory.join(place).join(HOOK));
    let found = candidates.iter().find_map(|candidate| candidate.canonicalize().ok());
    let hook = found.ok_or_else(|| {
        let missing = Problem::error(format!("-run: cannot find {HOOK}"));
        candidates.iter().fold(missing, |p, candidate| p.note(format!("not at {}", candidate.display())))
    })?;
    let found = linkers::PLACES.map(|place| hook.with_file_name(place));
    if !found.iter().any(|linker| linker.is_file()) {
        // Without this, the build would go on with the linkers it has, and nobody would know.
        let missing = Problem::error(format!("-run: {} finds no linker", hook.display()));
        return Err(found.iter().fold(missing, |p, linker| p.note(format!("not at {}", linker.display()))));
    }
    // LD_PRELOAD is a list separated by colons and white space, without quoting.
    if hook.as_os_str().as_bytes().iter().any(|b| *b == b':' || b.is_ascii_whitespace()) {
        let unusable = format!("-run: {}: a path with spaces or colons cannot be preloaded", hook.display());
        return Err(Problem::error(unusable));
    }
    Ok(hook)
}

/// The list of libraries to preload, this one first and once.
fn with_first(hook: &OsStr, others: &OsStr) -> OsString {
    let mut list = hook.to_os_string();
    let separators = |b: &u8| *b == b':' || b.is_ascii_whitespace();
    for other in others.as_bytes().split(separators).filter(|o| !o.is_empty() && *o != hook.as_bytes()) {
        list.push(":");
        list.push(OsStr::from_bytes(other));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preloading_keeps_what_others_preload() {
        let list = |others: &str| with_first(OsStr::new("/h.so"), OsStr::new(others));
        assert_eq!(list(""), "/h.so");
        assert_eq!(list("/a.so b.so:/c.so"), "/h.so:/a.so:b.so:/c.so");
        assert_eq!(list("/a.so:/h.so"), "/h.so:/a.so");
    }
}
