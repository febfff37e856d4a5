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
//! Section headers are walked once and reduced to [`Section`] records: what kind of section this is, and
//! which output section it goes to, is decided here from its flags first and its name only where needed.

mod names;
mod apart;
mod object;
mod shared;

pub use names::{is_c_identifier, is_debug_name, is_stripped};
pub use object::{can_merge, is_slim, output_flags};

use crate::config::{Config, ExcludeLibs};
use crate::intern::NameSink;
use crate::model::{File, FileId, Origin, Role};
use crate::report::Problem;

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
