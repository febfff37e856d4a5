//! What every stage of one link is given.

use crate::config::Config;
use crate::report::Problems;
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
}

impl Cx<'_> {
    /// A symbol's name as messages show it.
    pub fn symbol_text(&self, name: &[u8]) -> String {
        if self.config.demangle {
            crate::demangle::demangle(name).into_owned()
        } else {
            String::from_utf8_lossy(name).into_owned()
        }
    }
}
