//! Makes one `.debug_names` of those of all inputs (`--debug-names`; DWARF 5, 6.1.1).
//!
//! Compilers write a table of names for each unit (`-gpubnames` of clang). Put one behind the other they make a
//! debugger look into thousands of hash tables; merged, into one. In: the `.debug_names` of live objects. Out:
//! [`DebugNames`]; `chunks/debug_names` writes it once addresses are known, because strings and units are told by
//! their offsets.
//!
//! ```text
//!     read     tables to lists of names and entries      per object, gimli
//!     table    equal names once, hash table, entries     per shard of names, then in the order of the output
//! ```
//!
//! An entry tells the tag of what is named, its unit, its offset there, and the entry of its scope. Unit numbers
//! and references to scopes change; forms of unit numbers grow with the number of units. Entries of type units
//! that lost their COMDAT election are left out. Units without a table of their own are not in the result, and
//! debuggers read these themselves.
//!
//! Invariants
//! - Names are ordered by bucket, hash and the place of their first occurrence: by the inputs alone.
//! - A damaged table is left out with a warning, as if its object had none.

mod read;
mod table;

pub use table::{Part, PartKind, Table};

use crate::context::Cx;
use crate::dwarf::Debug;
use crate::liveness::LiveSet;
use crate::model::{Inputs, SectionId};
use crate::report::Problem;
use crate::select::Selection;

/// Everything `.debug_names` holds but offsets in other sections.
#[derive(Debug)]
pub struct DebugNames {
    /// In the order of [`Selection::objects`].
    pub objects: Vec<ObjectNames>,
    /// The merged table.
    pub table: Table,
}

/// A unit: its section, and its offset there.
pub type UnitPlace = (SectionId, u64);

/// The tables of one object.
#[derive(Debug, Default)]
pub struct ObjectNames {
    /// Compilation units.
    pub units: Vec<UnitPlace>,
    /// Type units in the output.
    pub types: Vec<UnitPlace>,
    /// Signatures of type units in other files.
    pub foreign: Vec<u64>,
    /// Numbers of the first of each.
    first: [u32; 3],
    names: Vec<Name>,
    entries: Vec<Entry>,
    /// What entries of the object look like; [`Entry::kind`] indexes it.
    kinds: Vec<EntryKind>,
    /// `augmentation_string`.
    augmentation: Vec<u8>,
}

/// A name of an input.
#[derive(Debug, Clone, Copy)]
struct Name {
    hash: u32,
    text: &'static [u8],
    /// Section index and offset of the text.
    place: (u32, u64),
    /// Its entries.
    first: u32,
    count: u32,
}

/// What is named.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: u16,
    /// Numbers of the units in the object; type units in other files count on behind those that are here.
    unit: u32,
    type_unit: u32,
    /// Offset in the unit.
    die: u32,
    /// Number of the entry of the scope in the object.
    parent: u32,
    type_hash: u64,
}

/// What an entry tells (DWARF 5, table 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct EntryKind {
    tag: u16,
    has_unit: bool,
    has_type_unit: bool,
    parent: Parent,
    has_type_hash: bool,
}

/// What an entry tells of its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Parent {
    Unknown,
    /// It is in no table.
    NotIndexed,
    Entry,
}

/// Reads and merges all tables; `None` if there are none.
pub fn build(cx: &Cx, inputs: &Inputs, selection: &Selection, live: &LiveSet) -> Option<DebugNames> {
    if !cx.config.debug_names {
        return None;
    }
    let mut objects = cx.pool.map("debug-names/read", selection.objects.len(), 1, |position| {
        let object = inputs.object(selection.objects[position]);
        let debug = Debug::new(object, selection);
        read::read(&debug, live).unwrap_or_else(|what| {
            let message = format!("{}:(.debug_names): {what}: the names are left out", object.origin);
            cx.problems.push(Problem::warning(message).at(object.id.0, 0));
            ObjectNames::default()
        })
    });
    let mut next = [0u32; 3];
    for object in &mut objects {
        object.first = next;
        let counts = [object.units.len(), object.types.len(), object.foreign.len()];
        next.iter_mut().zip(counts).for_each(|(next, count)| *next += count as u32);
    }
    if next == [0; 3] {
        return None;
    }
    match table::build(cx, &objects, next) {
        Ok(table) => Some(DebugNames { objects, table }),
        Err(what) => {
            cx.problems.push(Problem::error(format!("--debug-names: {what}")));
            None
        }
    }
}

impl DebugNames {
    /// Offset and size of each part that is written at once.
    pub fn parts(&self) -> Vec<(u64, u64)> {
        self.table.parts.iter().map(|part| (part.offset, part.size)).collect()
    }
}
