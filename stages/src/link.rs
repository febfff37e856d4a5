//! The whole link.

use crate::config::Config;
use crate::report::Problem;
use engine::Tracer;

/// How a link ended.
#[derive(Debug)]
pub struct Outcome {
    /// What to tell the user, in order.
    pub problems: Vec<Problem>,
    /// Whether the output was written.
    pub succeeded: bool,
    /// Lines for standard output (`-t` and the like).
    pub listing: Vec<String>,
}

/// Links.
pub fn link(config: &Config, _tracer: &Tracer) -> Outcome {
    let problem = Problem::error(format!("{}: linking is not built yet", config.output.display()));
    Outcome { problems: vec![problem], succeeded: false, listing: Vec::new() }
}
