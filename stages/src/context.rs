//! What every stage of one link is given.

use crate::account::Recorder;
use crate::config::Config;
use crate::report::{Failed, Problem, Problems};
use engine::Pool;
use std::path::Path;

/// The surroundings of one link.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// What was asked for.
    pub config: &'a Config,
    /// The workers.
    pub pool: &'a Pool,
    /// Where problems go.
    pub problems: &'a Problems,
    /// Where a traced link says what became of the inputs.
    pub recorder: &'a Recorder,
}

impl Cx<'_> {
    /// `Err` if there has been an error and the output is not wanted all the same (`--noinhibit-exec`).
    pub fn checkpoint(&self) -> Result<(), Failed> {
        if self.config.noinhibit_exec { Ok(()) } else { self.problems.checkpoint() }
    }
    /// Writes a table to a file, or with the path `-` to standard output. `what` begins the message if that fails.
    ///
    /// # Errors
    /// The proof that the file could not be written.
    pub fn write_table(&self, path: &Path, text: String, what: &str) -> Result<(), Failed> {
        if path == Path::new("-") {
            self.problems.say(text);
            return Ok(());
        }
        std::fs::write(path, text).map_err(|error| {
            let why = crate::open::reason(&error);
            self.problems.fail(Problem::error(format!("{what} {}: {why}", path.display())))
        })
    }
    /// A symbol's name as messages show it.
    pub fn symbol_text(&self, name: &[u8]) -> String {
        if self.config.demangle {
            crate::demangle::demangle(name).into_owned()
        } else {
            String::from_utf8_lossy(name).into_owned()
        }
    }
}
