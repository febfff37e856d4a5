//! The one table of everything the command line understands.
//!
//! An option is one [`Opt`] in the file of its area: its names, what follows them, a line of help and its
//! [`Status`]: it acts, it is accepted because ignoring it cannot change what the output means, or it is
//! refused by name because its feature is not built. Parsing, `--help` and the tests that try every spelling
//! are all driven by this table; nothing else knows an option's name.
//!
//! Names follow the GNU ld manual ("Command-line Options"): a name of one letter takes one dash and its
//! value joined or in the next word (`-ofile`, `-o file`); a longer name takes one dash or two and its value
//! behind `=` or in the next word. Names for which a single dash would read as `-o FILE` or `-l NAME` take
//! two dashes only ([`needs_two_dashes`]). `-z` keywords are entries of the same kind in a table of their
//! own ([`keywords`]).
//!
//! To add an option: one entry in one area file. If it acts, its function says how it changes [`Typed`].

mod inputs;
mod output;
mod symbols;
mod dynamic;
mod debug;
mod sections;
mod keywords;
mod diagnostics;
mod lto;
mod process;
mod compat;
pub mod values;

pub use inputs::{EMULATIONS, TARGETS};
pub use values::path;

use crate::typed::Typed;
use std::collections::HashMap;

/// One option: all its spellings, what it takes and what it does.
#[derive(Debug)]
pub struct Opt {
    /// Names without dashes, the one to show first at the front. A trailing `*` stands for any ending.
    pub names: &'static [&'static str],
    /// What follows the name.
    pub takes: Takes,
    /// One line for `--help`, or the reason to ignore or refuse.
    pub text: &'static str,
    /// What happens when it is given.
    pub status: Status,
}

/// What follows an option's name. The words in it are shown in `--help`; alternatives are separated by `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// Nothing, and the name also exists with `no-` in front (`no` for a `-z` keyword).
    Switch,
    /// A value, joined or in the next word.
    Value(&'static str),
    /// A value that may be missing and is always joined by `=`.
    Maybe(&'static str),
    /// The rest of the command line.
    Rest(&'static str),
}

/// What giving an option does.
#[derive(Debug)]
pub enum Status {
    /// It changes the link.
    Acts(Act),
    /// Accepted in silence; the option's text says why ignoring it changes nothing that matters.
    Harmless,
    /// An error that names the option: what it is about does not exist for this target.
    Foreign,
    /// An error that names the option: its feature is not built. The `no-` form of a refused switch asks
    /// for what happens anyway and is accepted.
    Rejected,
}

/// How an option that acts changes the state of parsing.
#[derive(Debug)]
pub enum Act {
    /// For [`Takes::Nothing`].
    Flag(fn(&mut Typed)),
    /// For [`Takes::Switch`]; false for the negated form.
    Switch(fn(&mut Typed, bool)),
    /// For [`Takes::Value`].
    Value(fn(&mut Typed, &[u8]) -> Answer),
    /// For [`Takes::Maybe`].
    Maybe(fn(&mut Typed, Option<&[u8]>) -> Answer),
}

/// What an option says to its value: fine, or what is wrong with it (shown behind the option's name).
pub type Answer = Result<(), String>;

/// The answer of an option to a value whose feature is not built.
pub const UNSUPPORTED: &str = "not supported yet";

/// The answer of an option that is about other targets.
pub const FOREIGN: &str = "has no meaning for this target";

/// One area of the table.
pub struct Area {
    /// The heading in `--help`.
    pub title: &'static str,
    /// Its options.
    pub options: &'static [Opt],
}

/// All options but the `-z` keywords, in the order of `--help`.
pub static AREAS: [Area; 10] = [
    inputs::AREA,
    output::AREA,
    symbols::AREA,
    dynamic::AREA,
    debug::AREA,
    sections::AREA,
    diagnostics::AREA,
    lto::AREA,
    process::AREA,
    compat::AREA,
];

/// The `-z` keywords.
pub static KEYWORDS: &[Opt] = keywords::KEYWORDS;

const fn flag(names: &'static [&'static str], help: &'static str, act: fn(&mut Typed)) -> Opt {
    Opt { names, takes: Takes::Nothing, text: help, status: Status::Acts(Act::Flag(act)) }
}

const fn switch(names: &'static [&'static str], help: &'static str, act: fn(&mut Typed, bool)) -> Opt {
    Opt { names, takes: Takes::Switch, text: help, status: Status::Acts(Act::Switch(act)) }
}

const fn value(
    names: &'static [&'static str],
    metavar: &'static str,
    help: &'static str,
    act: fn(&mut Typed, &[u8]) -> Answer,
) -> Opt {
    Opt { names, takes: Takes::Value(metavar), text: help, status: Status::Acts(Act::Value(act)) }
}

const fn maybe(
    names: &'static [&'static str],
    metavar: &'static str,
    help: &'static str,
    act: fn(&mut Typed, Option<&[u8]>) -> Answer,
) -> Opt {
    Opt { names, takes: Takes::Maybe(metavar), text: help, status: Status::Acts(Act::Maybe(act)) }
}

const fn harmless(names: &'static [&'static str], takes: Takes, why: &'static str) -> Opt {
    Opt { names, takes, text: why, status: Status::Harmless }
}

const fn foreign(names: &'static [&'static str], takes: Takes, what: &'static str) -> Opt {
    Opt { names, takes, text: what, status: Status::Foreign }
}

const fn rejected(names: &'static [&'static str], takes: Takes, what: &'static str) -> Opt {
    Opt { names, takes, text: what, status: Status::Rejected }
}

/// Whether a long name is only recognised behind two dashes. GNU ld has this rule for names in `o`
/// (`-omagic` writes to `magic`); names in `l` other than `library` follow it so that `-lto` stays a library.
pub fn needs_two_dashes(name: &str) -> bool {
    name.starts_with('o') || (name.starts_with('l') && !name.starts_with("library"))
}

/// An option found by one of its names.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The entry.
    pub option: &'static Opt,
    /// False if the name was the `no-` form of a switch.
    pub on: bool,
}

/// The table, arranged for finding options by name.
pub struct Index {
    long: HashMap<&'static [u8], &'static Opt>,
    short: [Option<&'static Opt>; 128],
    families: Vec<(&'static [u8], &'static Opt)>,
    keywords: HashMap<&'static [u8], &'static Opt>,
}

impl Index {
    /// Arranges the table.
    pub fn new() -> Index {
        let mut index = Index {
            long: HashMap::with_capacity(512),
            short: [None; 128],
            families: Vec::new(),
            keywords: HashMap::with_capacity(128),
        };
        for option in AREAS.iter().flat_map(|area| area.options) {
            for name in option.names {
                if let [letter @ 0..128] = name.as_bytes() {
                    index.short[usize::from(*letter)] = Some(option);
                } else if let Some(family) = name.strip_suffix('*') {
                    index.families.push((family.as_bytes(), option));
                } else {
                    index.long.insert(name.as_bytes(), option);
                }
            }
        }
        for option in KEYWORDS {
            index.keywords.extend(option.names.iter().map(|name| (name.as_bytes(), option)));
        }
        index
    }

    /// The option with this long name (no dashes, no value), typed behind one dash or two.
    pub fn long(&self, name: &[u8], two_dashes: bool) -> Option<Found> {
        let found = find(&self.long, name, b"no-").filter(|found| {
            two_dashes || !found.option.names.iter().any(|n| n.as_bytes() == name && needs_two_dashes(n))
        });
        found.or_else(|| {
            let (_, option) =
                self.families.iter().find(|(family, _)| two_dashes && name.starts_with(family))?;
            Some(Found { option, on: true })
        })
    }

    /// The option whose name is this letter.
    pub fn short(&self, letter: u8) -> Option<&'static Opt> {
        self.short.get(usize::from(letter)).copied().flatten()
    }

    /// The `-z` keyword with this name (no value).
    pub fn keyword(&self, name: &[u8]) -> Option<Found> {
        find(&self.keywords, name, b"no")
    }
}

/// The names of all options but the `-z` keywords, for suggestions.
pub fn long_names() -> impl Iterator<Item = &'static str> + Clone {
    AREAS
        .iter()
        .flat_map(|area| area.options)
        .flat_map(|option| option.names)
        .copied()
        .filter(|n| n.len() > 2)
}

fn find(map: &HashMap<&'static [u8], &'static Opt>, name: &[u8], no: &[u8]) -> Option<Found> {
    if let Some(option) = map.get(name) {
        return Some(Found { option, on: true });
    }
    let option = map.get(name.strip_prefix(no)?)?;
    (option.takes == Takes::Switch).then_some(Found { option, on: false })
}

#[cfg(test)]
mod tests;
