//! What every stage of one link is given.

use crate::account::Recorder;
use crate::config::Config;
use crate::report::{Failed, Problems};
use engine::Pool;

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
    /// A symbol's name as messages show it.
    pub fn symbol_text(&self, name: &[u8]) -> String {
        if self.config.demangle {
            crate::demangle::demangle(name).into_owned()
        } else {
            String::from_utf8_lossy(name).into_owned()
        }
    }
}
