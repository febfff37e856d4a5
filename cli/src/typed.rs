//! The command line as typed, so far: what the options of the table write to.
//!
//! Most options settle one field of [`Config`] on the spot, the last one winning. What depends on other
//! options or on position is kept here until everything has been read: the positional state that inputs
//! inherit, library directories that wait for `--sysroot`, and questions such as `--version`.
//! [`resolve`](crate::resolve) makes a whole `Config` of it.

use crate::messages::Style;
use crate::reproduce::Spoken;
use stages::config::{Config, Input, InputName, Modifiers, UnresolvedPolicy};
use stages::report::Problem;
use std::path::PathBuf;

/// What has been typed.
#[derive(Debug, Default)]
pub struct Typed {
    /// Everything an option can settle on the spot.
    pub config: Config,
    /// Positional options in force here; the next input inherits them.
    pub here: Modifiers,
    /// States saved by `--push-state`.
    pub saved: Vec<Modifiers>,
    /// Inside `--start-group` … `--end-group`.
    pub in_group: bool,
    /// Groups and `--start-lib` so far.
    pub groups: u32,
    /// `-L`, as typed: `=` and `$SYSROOT` still in place.
    pub library_paths: Vec<Vec<u8>>,
    /// `-Y`: directories to search instead of the system's own.
    pub default_paths: Option<Vec<Vec<u8>>>,
    /// What to do with references from objects that nothing defines, once `--no-undefined`,
    /// `--unresolved-symbols` or `-z defs` has said it. Then it holds for shared libraries too.
    pub unresolved: Option<UnresolvedPolicy>,
    /// `--warn-unresolved-symbols`.
    pub warn_unresolved: bool,
    /// `-plugin-opt` in front of any `-plugin`.
    pub plugin_options: Vec<Vec<u8>>,
    /// `-r`.
    pub relocatable: bool,
    /// `--demangle` or `--no-demangle`, once said.
    pub demangle: Option<bool>,
    /// `--reproduce` with its file, `--repro` without.
    pub reproduce: Option<Option<PathBuf>>,
    /// With one of these: the command line as it was understood.
    pub spoken: Vec<Spoken>,
    /// `-c`: how many inputs stand in front, the positional options in force there, and the file.
    pub mri_scripts: Vec<(usize, Modifiers, PathBuf)>,
    /// `--default-script`.
    pub default_script: Option<PathBuf>,
    /// `--error-handling-script`.
    pub error_script: Option<PathBuf>,
    /// `-C`.
    pub directory: Option<PathBuf>,
    /// `--fork` or `--no-fork`; without either it depends on how much there is to link.
    pub fork: Option<bool>,
    /// What to print instead of, or before, linking.
    pub questions: Questions,
    /// How messages look and which are shown.
    pub style: Style,
    /// What was wrong with the options.
    pub problems: Vec<Problem>,
}

/// What to print before linking, or instead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Questions {
    /// `--help`: print the options and stop.
    pub help: bool,
    /// `--version`: print the version and stop.
    pub version: bool,
    /// `-v`, `-V`, `--verbose`: print the version, and link if there are inputs.
    pub banner: bool,
    /// `-V`, `--verbose`: print the emulations too.
    pub emulations: bool,
    /// `--verbose`: print the directories that are searched by default.
    pub directories: bool,
    /// `--print-sysroot`: print it and stop.
    pub sysroot: bool,
    /// `--print-output-format`: print it and stop.
    pub output_format: bool,
}

impl Typed {
    /// Adds an input with the positional options in force.
    pub fn input(&mut self, name: InputName) {
        self.config.inputs.push(Input { name, modifiers: self.here });
    }

    /// Records an error about an option.
    pub fn error(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::error(message));
    }
}
