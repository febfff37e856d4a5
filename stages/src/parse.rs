//! Takes one input file apart: headers, sections, symbols, groups of an object; exports and needs of a
//! shared object.
//!
//! In: [`MappedInput`]s, in batches. Out: [`Object`]s and [`SharedObject`]s whose indices are all valid, and
//! the names they use, hashed and sorted into shards for `intern`.
//!
//! This is the one place that distrusts the bytes of a file. Every offset, count and index that a later stage
//! follows is checked here, with an error that names the file and what is wrong with it; later stages index
//! without asking. Contents of sections (relocations, `.eh_frame`, notes) are checked where they are read.
//!
//! Section headers are reduced to [`Section`](crate::model::Section) records once: what kind of section this is, and
//! which output section it goes to, is decided here from its flags first and its name only where needed. Most members of
//! archives are not wanted, and their sections are not read: those of the wanted ones are when that is known
//! ([`complete`]).

mod names;
mod apart;
mod object;
mod sections;
mod shared;

pub use names::{is_c_identifier, is_debug_name, is_stripped, is_structural};
pub use object::is_slim;
pub use sections::{can_merge, output_flags, put_wide_debug_last};

use crate::config::{Config, ExcludeLibs};
use crate::context::Cx;
use crate::intern::{NameSink, Symbols};
use crate::model::{File, FileId, Group, Inputs, Object, Origin, Role};
use crate::report::Problem;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file that has the bytes of an input, for those who read them again (compilers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container {
    /// Its name: the archive's for a member of one, the member's own for one of a thin archive.
    pub path: &'static std::path::Path,
    /// Where the input starts in it, in bytes.
    pub offset: u64,
}

/// A file whose bytes are in memory and whose place in the link is known.
#[derive(Debug, Clone, Copy)]
pub struct MappedInput {
    /// Its rank.
    pub id: FileId,
    /// For messages.
    pub origin: Origin,
    /// Where the bytes are on disk.
    pub container: Container,
    /// The whole file, or the member.
    pub data: &'static [u8],
    /// What `open` found it to be.
    pub is_shared: bool,
    /// What an object stands for.
    pub role: Role,
    /// Linked only if something needs it (archive members, `--start-lib`).
    pub is_lazy: bool,
    /// Came out of an archive (for `--exclude-libs`), lazy or not.
    pub in_archive: bool,
    /// `--as-needed` was in force.
    pub as_needed: bool,
    /// The name a shared object without DT_SONAME is recorded by.
    pub needed_name: &'static [u8],
}

/// Parses one file; its names go to `names`.
pub fn parse(config: &Config, input: &MappedInput, names: &mut NameSink) -> Result<File, Problem> {
    let parsed = if input.is_shared {
        shared::parse(input, names).map(|s| File::Shared(Box::new(s)))
    } else {
        object::parse(config, input, names).map(|o| File::Object(Box::new(o)))
    };
    parsed.map_err(|what| Problem::error(format!("{}: {what}", input.origin)).at(input.id.0, 0))
}

/// Reads the sections of the objects that turned out to be wanted. What the sections bring with them is in
/// [`Object::groups`] then, names included.
pub fn complete(cx: &Cx, inputs: &mut Inputs, live: &[bool], symbols: &mut Symbols) {
    let has_linkonce = AtomicBool::new(false);
    cx.pool.for_each_mut("parse/sections", &mut inputs.files, 8, |i, file| {
        let File::Object(object) = file else { return };
        if !live[i] {
            return;
        }
        if let Err(what) = sections::read(cx.config, object) {
            let problem = Problem::error(format!("{}: {what}", object.origin));
            cx.problems.push(problem.at(object.id.0, 0));
        }
        if !object.linkonce.is_empty() {
            has_linkonce.store(true, Ordering::Relaxed);
        }
    });
    // Rare: nobody looks at all objects again for nothing.
    for file in inputs.files.iter_mut().filter(|_| has_linkonce.load(Ordering::Relaxed)) {
        if let File::Object(object) = file {
            name_linkonce(object, symbols);
        }
    }
}

/// Makes groups of the `.gnu.linkonce` sections of an object, which are called what follows the kind of section.
fn name_linkonce(object: &mut Object, symbols: &mut Symbols) {
    for index in std::mem::take(&mut object.linkonce) {
        let name = object.section_name(index as usize);
        let rest = name.strip_prefix(b".gnu.linkonce.").unwrap_or(name);
        let suffix = rest.iter().position(|c| *c == b'.').map_or(rest, |dot| &rest[dot + 1..]);
        object.groups.push(Group { signature: symbols.add(suffix), section: index });
    }
}

/// Whether `--exclude-libs` names the archive this file came from.
fn is_excluded(config: &Config, input: &MappedInput) -> bool {
    match &config.exclude_libs {
        ExcludeLibs::None => false,
        ExcludeLibs::All => input.in_archive,
        ExcludeLibs::Named(list) => {
            input.in_archive
                && input.origin.path.file_name().is_some_and(|name| {
                    let name = std::os::unix::ffi::OsStrExt::as_bytes(name);
                    list.iter().any(|l| l == name || name.strip_suffix(b".a") == Some(l))
                })
        }
    }
}
