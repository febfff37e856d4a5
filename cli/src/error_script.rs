//! `--error-handling-script`: a program that says what to do about libraries and symbols that are missing.
//!
//! In: the problems of a link. The program runs once for each of those that will be shown, with `missing-lib NAME` or
//! `undefined-symbol NAME`, on the linker's own standard output and error, before the messages. What it says is its own; that
//! it could not run, or failed, becomes a note of the problem.

use stages::report::{About, Problem, Severity};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// Runs `script` for the problems that say what is missing, for as many errors as `limit` says (0: all).
pub fn run(script: &Path, problems: &mut [Problem], limit: usize) {
    let errors = problems.iter_mut().filter(|problem| problem.severity == Severity::Error);
    let shown = if limit == 0 { usize::MAX } else { limit };
    for problem in errors.take(shown) {
        let (what, name) = match problem.about.as_deref() {
            Some(About::Library(name)) => ("missing-lib", name),
            Some(About::Symbol(name)) => ("undefined-symbol", name),
            None => continue,
        };
        let result = Command::new(script).arg(what).arg(OsStr::from_bytes(name)).status();
        let note = match result {
            Ok(status) if status.success() => continue,
            Ok(status) => format!("--error-handling-script: {} ended with {status}", script.display()),
            Err(error) => {
                let why = stages::open::reason(&error);
                format!("--error-handling-script: cannot run {}: {why}", script.display())
            }
        };
        problem.notes.push(note);
    }
}
