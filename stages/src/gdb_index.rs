//! Makes the index of debug information that gdb reads at once instead of reading everything (`--gdb-index`; GDB
//! manual, appendix ".gdb_index section format", version 8).
//!
//! In: the debug sections of live objects, [`LiveSet`]. Out: [`GdbIndex`]: the units of the output, the code ranges of
//! each, and for every name the units that define it. `chunks/gdb_index` writes it once addresses are known; its
//! size is known here, because only *which* code is live matters for it.
//!
//! ```text
//!     units    headers, root entries, code ranges    per object, gimli with relocations applied on the fly
//!     pubnames names the compiler has collected      (-ggnu-pubnames, -gsplit-dwarf)
//!     names    names from the entries otherwise      a walk over .debug_info that skips what is in functions
//!     table    equal names once, hash table          per shard of names
//! ```
//!
//! Other linkers take names from `.debug_gnu_pubnames` alone, so that without a compiler option gdb finds no function
//! by its name. Names from the entries cost one more look at `.debug_info`; they are those that
//! gdb itself would write, but for linkage names, which are found through the symbol table anyway, and for functions
//! and variables that are not in the output. The names of type units come from their entries in any case:
//! the compilers' lists assign them to the units that use them.
//!
//! Invariants
//! - Units are numbered in the order of the output's `.debug_info`: all compilation units, then all type units.
//! - Names are ordered by an unkeyed hash and the place of their first occurrence: by the inputs alone.
//! - Damaged debug information costs its object the index entries and the user a warning, never the link.

mod entries;
mod names;
mod pubnames;
mod table;
mod units;

pub use table::{Part, PartKind, Unique};

use crate::config::Config;
use crate::context::Cx;
use crate::dwarf::Debug;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionId};
use crate::report::Problem;
use crate::select::Selection;
use table::NameUse;

/// Everything `.gdb_index` holds but addresses.
#[derive(Debug)]
pub struct GdbIndex {
    /// In the order of [`Selection::objects`].
    pub objects: Vec<ObjectIndex>,
    /// Compilation units, in the order of the output.
    pub unit_count: usize,
    /// Type units.
    pub type_unit_count: usize,
    /// Names, vectors of units, the hash table.
    pub table: table::Table,
}

/// What one object adds to the index.
#[derive(Debug, Default)]
pub struct ObjectIndex {
    /// Its units, in the order of its sections.
    pub units: Vec<Unit>,
    /// Code of its units, as far as it is live.
    pub ranges: Vec<CodeRange>,
    /// Number of its first compilation unit, and of its first type unit among the type units.
    pub first: (u32, u32),
    /// Uses of names.
    uses: Vec<NameUse>,
    /// Numbers of the uses, by shard of the table, and the first of each shard.
    order: Vec<u32>,
    shards: Vec<u32>,
    /// What stands before names: scopes.
    prefixes: Vec<u8>,
    /// Bytes of names that are left; see [`text_max`].
    text_left: usize,
    /// It has a unit whose names are in another file only.
    has_unlisted_skeleton: bool,
}

/// A unit of debug information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// The input section it is in.
    pub section: SectionId,
    /// In that section.
    pub offset: u64,
    /// With its length field.
    pub length: u64,
    /// Of a type unit: offset of the type in the unit, signature.
    pub type_unit: Option<(u64, u64)>,
}

/// Code that a unit describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRange {
    /// Number of the compilation unit in its object.
    pub unit: u32,
    /// The input section.
    pub section: SectionId,
    /// In that section.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// An attribute of our own: of all uses of the name that have it the first one is enough.
const ONCE: u8 = 1;

/// Bytes of names that so many bytes of debug information may make. A short entry can refer to a long name in a deep
/// scope; what compilers write stays far below this.
fn text_max(debug_bytes: usize) -> usize {
    debug_bytes.saturating_mul(64).saturating_add(1 << 20).min(u32::MAX as usize)
}

impl ObjectIndex {
    /// An index for so many bytes of debug information.
    fn new(debug_bytes: usize) -> ObjectIndex {
        ObjectIndex { text_left: text_max(debug_bytes), ..ObjectIndex::default() }
    }

    /// Adds a use of a name. False: there have been too many.
    fn add_name(&mut self, name: Name, attributes: u8, unit: u32, is_type_unit: bool) -> bool {
        let Some(left) = self.text_left.checked_sub(name.len()) else { return false };
        self.text_left = left;
        let name_use = name.with_text(self, |text| NameUse::new(name, text, attributes, unit, is_type_unit));
        self.uses.push(name_use);
        true
    }
}

/// A name: a scope of its object's [`ObjectIndex::prefixes`] and bytes of the input.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    prefix: (u32, u32),
    rest: &'static [u8],
}

impl Name {
    fn new(prefix: std::ops::Range<usize>, rest: &'static [u8]) -> Name {
        // Both are bounded by `text_max`.
        Name { prefix: (prefix.start as u32, prefix.end as u32), rest }
    }

    /// Bytes without the final NUL.
    #[expect(clippy::len_without_is_empty, reason = "names are not empty")]
    pub fn len(&self) -> usize {
        (self.prefix.1 - self.prefix.0) as usize + self.rest.len()
    }

    /// The two parts of the name.
    pub fn parts<'a>(&self, object: &'a ObjectIndex) -> [&'a [u8]; 2] {
        [&object.prefixes[self.prefix.0 as usize..self.prefix.1 as usize], self.rest]
    }

    /// Calls `f` with the whole name.
    fn with_text<T>(&self, object: &ObjectIndex, f: impl FnOnce(&[u8]) -> T) -> T {
        const SHORT: usize = 512;
        let [prefix, rest] = self.parts(object);
        if prefix.is_empty() {
            return f(rest);
        }
        let mut buffer = [0; SHORT];
        match buffer.get_mut(..self.len()) {
            Some(whole) => {
                whole[..prefix.len()].copy_from_slice(prefix);
                whole[prefix.len()..].copy_from_slice(rest);
                f(whole)
            }
            None => f(&[prefix, rest].concat()),
        }
    }
}

impl GdbIndex {
    /// Offset and size of each part that is written at once.
    pub fn parts(&self) -> Vec<(u64, u64)> {
        self.table.parts.iter().map(|part| (part.offset, part.size)).collect()
    }
}

/// Reads all debug information; `None` if there is none or no index can be made of it.
pub fn build(cx: &Cx, inputs: &Inputs, selection: &Selection, live: &LiveSet) -> Option<GdbIndex> {
    if !cx.config.gdb_index {
        return None;
    }
    let mut read = cx.pool.map("gdb-index/read", selection.objects.len(), 1, |position| {
        let object = inputs.object(selection.objects[position]);
        let debug = Debug::new(object, selection);
        let mut index = ObjectIndex::new(debug.bytes());
        let mut has_old_types = false;
        if !debug.is_empty() {
            cx.pool.tracer().add_bytes(debug.bytes());
            has_old_types = debug.has_types_section();
            if let Err(what) = units::read(&debug, live, &mut index) {
                let message = format!("{}:{what}: gdb may not find what is in it", object.origin);
                cx.problems.push(Problem::warning(message).at(object.id.0, 0));
            }
            table::sort(&mut index);
        }
        (index, has_old_types)
    });
    if read.iter().all(|(index, _)| index.units.is_empty()) {
        return None;
    }
    if let Some(problem) = mixed_type_units(inputs, selection, &read) {
        cx.problems.push(problem);
        return None;
    }
    if let Some(first) = read.iter().position(|(index, _)| index.has_unlisted_skeleton) {
        let origin = inputs.object(selection.objects[first]).origin;
        let message = format!("{origin}: --gdb-index: gdb will not find names that are in .dwo files only");
        cx.problems.push(Problem::warning(message).note("compile with -ggnu-pubnames"));
    }
    let mut next = (0u32, 0u32);
    for (index, _) in &mut read {
        index.first = next;
        let types = index.units.iter().filter(|unit| unit.type_unit.is_some()).count() as u32;
        next = (next.0 + index.units.len() as u32 - types, next.1 + types);
    }
    let objects: Vec<ObjectIndex> = read.into_iter().map(|(index, _)| index).collect();
    match table::build(cx, &objects, next) {
        Ok(table) => {
            Some(GdbIndex { objects, unit_count: next.0 as usize, type_unit_count: next.1 as usize, table })
        }
        Err(what) => {
            cx.problems.push(Problem::error(format!("--gdb-index: {what}")));
            None
        }
    }
}

/// The list of type units is about one section: `.debug_types` of DWARF 4, or the `.debug_info` of DWARF 5.
fn mixed_type_units(inputs: &Inputs, selection: &Selection, read: &[(ObjectIndex, bool)]) -> Option<Problem> {
    let origin = |position: usize| inputs.object(selection.objects[position]).origin;
    let old = read.iter().position(|(_, has_old)| *has_old)?;
    let has_new = |(index, has_old): &(ObjectIndex, bool)| {
        !has_old && index.units.iter().any(|unit| unit.type_unit.is_some())
    };
    let new = read.iter().position(has_new)?;
    Some(
        Problem::warning("--gdb-index: type units of DWARF 4 and 5 cannot share an index; none is written")
            .note(format!("DWARF 4: {}", origin(old)))
            .note(format!("DWARF 5: {}", origin(new))),
    )
}

/// Whether a section is left out because what the linker makes of it takes its place.
pub fn is_replaced(config: &Config, object: &Object, section: usize) -> bool {
    (config.gdb_index || config.debug_names) && {
        let name = object.section_name(section);
        config.gdb_index && replaces(name) || config.debug_names && name == b".debug_names"
    }
}

/// Whether a section is left out of an output with an index: because it has been read for it, or because gdb would
/// read it in its place and see only the names of one unit (`.debug_names`; they are not merged).
pub fn replaces(name: &[u8]) -> bool {
    matches!(name, b".debug_gnu_pubnames" | b".debug_gnu_pubtypes" | b".debug_names")
}
