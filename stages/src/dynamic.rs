//! The dynamic symbol table: who is in it, in which order, under which name and version.
//!
//! In: [`Selection`], [`Scan`], [`Tables`]. Out: [`Dynamic`]: the symbols in final order with name offsets,
//! `.dynstr`, version needs and definitions, and the strings `.dynamic` refers to.
//!
//! Imports stand first, in the order of the libraries that define them; exports follow in the order of their
//! `.gnu.hash` buckets, as that table demands (bucket, then command-line order).

use crate::arch::target::Need;
use crate::config::Config;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, SymbolId};
use crate::report::Problem;
use crate::scan::Scan;
use crate::select::{Class, Selection, VERSION_HIDDEN, seen};
use crate::tables::{NO_SLOT, SymbolRef, Tables};
use std::collections::{HashMap, HashSet};

/// Whether the output names a dynamic linker, if it has anything for one to do.
pub fn has_interpreter(config: &Config) -> bool {
    config.is_executable() && !config.no_dynamic_linker && !config.is_static
}

/// One symbol of `.dynsym`.
#[derive(Debug, Clone, Copy)]
pub struct DynamicSymbol {
    /// Which.
    pub id: SymbolId,
    /// Its name, without a version.
    pub name: &'static [u8],
    /// Offset of the name in `.dynstr`.
    pub name_offset: u32,
    /// For `.gnu.version`.
    pub version: u16,
    /// The GNU hash of the name.
    pub hash: u32,
    /// Defined here (with an address, at least that of a PLT entry or a copy).
    pub is_defined: bool,
}

/// Versions needed of one library.
#[derive(Debug, Clone)]
pub struct VersionNeed {
    /// The library.
    pub file: FileId,
    /// Offset of its soname in `.dynstr`.
    pub soname: u32,
    /// (name, offset of the name in `.dynstr`, index, weak).
    pub versions: Vec<NeededVersion>,
}

/// One version needed of a library.
#[derive(Debug, Clone, Copy)]
pub struct NeededVersion {
    /// Its name.
    pub name: &'static [u8],
    /// Offset of the name in `.dynstr`.
    pub offset: u32,
    /// Index used in `.gnu.version`.
    pub index: u16,
    /// Only weak references ask for it.
    pub is_weak: bool,
}

/// Everything about the dynamic symbol table that does not depend on addresses.
#[derive(Debug, Default)]
pub struct Dynamic {
    /// Whether the output has a `.dynamic`.
    pub exists: bool,
    /// `.dynsym` without its null entry.
    pub symbols: Vec<DynamicSymbol>,
    /// Index in `symbols` of the first symbol that `.gnu.hash` covers.
    pub first_hashed: usize,
    /// Buckets of `.gnu.hash`.
    pub buckets: u32,
    /// `.dynstr`.
    pub strings: DynamicStrings,
    /// DT_NEEDED, as offsets in `.dynstr`.
    pub needed: Vec<u32>,
    /// `.gnu.version_r`.
    pub version_needs: Vec<VersionNeed>,
    /// By [`SymbolId`]: index in `.dynsym` (with the null entry), 0 if not in it.
    index: Vec<u32>,
}

impl Dynamic {
    /// The index of a symbol in `.dynsym`, 0 if it is not there.
    pub fn index_of(&self, id: SymbolId) -> u32 {
        self.index.get(id.index()).copied().unwrap_or(0)
    }
    /// Whether `.gnu.version` exists.
    pub fn has_versions(&self, selection: &Selection) -> bool {
        !self.version_needs.is_empty() || !selection.version_table.definitions.is_empty()
    }
}

/// A string table under construction: equal strings once, offset 0 the empty string.
#[derive(Debug, Clone)]
pub struct DynamicStrings {
    /// The bytes.
    pub bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Default for DynamicStrings {
    fn default() -> Self {
        DynamicStrings { bytes: vec![0], known: HashMap::new() }
    }
}

impl DynamicStrings {
    /// The offset of a string, added if new.
    pub fn add(&mut self, string: &[u8]) -> u32 {
        if string.is_empty() {
            return 0;
        }
        if let Some(offset) = self.known.get(string) {
            return *offset;
        }
        let offset = self.append(string);
        self.known.insert(string.to_vec(), offset);
        offset
    }
    /// The offset of a string that was added, 0 if it was not.
    pub fn find(&self, string: &[u8]) -> u32 {
        self.known.get(string).copied().unwrap_or(0)
    }
    /// Adds a string that is known to be new.
    fn append(&mut self, string: &[u8]) -> u32 {
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        offset
    }
}

/// The hash of `.gnu.hash`: `h * 33 + c`, starting at 5381.
pub fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |h, c| h.wrapping_mul(33).wrapping_add(u32::from(*c)))
}

/// The hash of `.hash` (gABI, "Hash Table").
pub fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |h, c| {
        let h = (h << 4).wrapping_add(u32::from(*c));
        let high = h & 0xf000_0000;
        (h ^ high >> 24) & !high
    })
}

/// Collects the dynamic symbol table.
pub fn collect(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    selection: &Selection,
    scan: &Scan,
    tables: &Tables,
) -> Dynamic {
    let mut dynamic = Dynamic { exists: crate::select::is_dynamic(cx, selection), ..Dynamic::default() };
    if !dynamic.exists {
        if cx.config.z.ifunc_noplt && scan.needs.iter().any(|need| need.has(Need::DYNAMIC_SYMBOL)) {
            let message =
                "-z ifunc-noplt: without a dynamic symbol table nobody could find indirect functions";
            cx.problems.push(Problem::error(message));
        }
        return dynamic;
    }
    for id in &selection.shared {
        let soname = inputs.shared_object(*id).soname;
        let offset = dynamic.strings.add(soname);
        dynamic.needed.push(offset);
    }
    let copied: HashSet<SymbolId> = tables.copies.iter().flat_map(|c| c.aliases.iter().copied()).collect();
    let is_chosen = |id: &SymbolId| {
        let state = selection.state(*id);
        let is_used = scan.needs[id.index()] != Need::NOTHING;
        // The loader is asked for an indirect function by its name, exported or not.
        let is_left = cx.config.z.ifunc_noplt && scan.needs[id.index()].has(Need::DYNAMIC_SYMBOL);
        is_left
            || state.is_exported()
            || state.is_imported() && is_used
            || !copied.is_empty() && copied.contains(id)
    };
    let all = (0..selection.states.len() as u32).map(SymbolId);
    let chosen = crate::tables::in_order(selection, symbols, all.filter(is_chosen));
    let is_defined = |id: SymbolId| {
        let slots = tables.slots(SymbolRef::Global(id));
        selection.def(id).is_local() || slots.is_some_and(|s| s.copy != NO_SLOT)
    };
    // Other modules must find a canonical PLT entry, too: it is the address of the function for all of them.
    let is_canonical = |id: SymbolId| tables.slots(SymbolRef::Global(id)).is_some_and(|s| s.is_canonical);
    let (exports, imports): (Vec<SymbolId>, Vec<SymbolId>) =
        chosen.into_iter().partition(|id| is_defined(*id) || is_canonical(*id));
    let mut versions = NeededVersions::new(selection);
    let mut entries: Vec<DynamicSymbol> = Vec::with_capacity(exports.len() + imports.len());
    for id in imports.iter().chain(&exports).copied() {
        let full = symbols.name(id);
        let def = selection.def(id);
        let mut version = selection.versions[id.index()];
        let mut name = full;
        if def.class() == Class::Shared {
            version = versions.index_for(cx, inputs, selection, id);
            name = &full[..memchr::memchr(b'@', full).filter(|at| *at > 0).unwrap_or(full.len())];
        } else if version & VERSION_HIDDEN != 0 || def.is_undefined() {
            name = &full[..memchr::memchr(b'@', full).filter(|at| *at > 0).unwrap_or(full.len())];
        }
        let hash = gnu_hash(name);
        entries.push(DynamicSymbol { id, name, name_offset: 0, version, hash, is_defined: is_defined(id) });
    }
    dynamic.first_hashed = imports.len();
    dynamic.buckets = ((exports.len() as u32).div_ceil(4)).max(1);
    let buckets = dynamic.buckets;
    entries[imports.len()..].sort_by_key(|e| e.hash % buckets);
    dynamic.index = vec![0; selection.defs.len()];
    for (n, entry) in entries.iter_mut().enumerate() {
        // Names are distinct but for versions of one name; a second copy of those does no harm.
        entry.name_offset = dynamic.strings.append(entry.name);
        dynamic.index[entry.id.index()] = n as u32 + 1;
    }
    dynamic.symbols = entries;
    for (file, list) in versions.finish(inputs, selection, cx) {
        let soname = dynamic.strings.add(inputs.shared_object(file).soname);
        let versions =
            list.into_iter().map(|v| NeededVersion { offset: dynamic.strings.add(v.name), ..v }).collect();
        dynamic.version_needs.push(VersionNeed { file, soname, versions });
    }
    dynamic
}

/// Hands out indices to versions of libraries, behind those the output defines.
struct NeededVersions {
    next: u16,
    by_file: HashMap<FileId, Vec<NeededVersion>>,
}

impl NeededVersions {
    fn new(selection: &Selection) -> NeededVersions {
        let defined = selection.version_table.definitions.len() as u16;
        NeededVersions { next: if defined == 0 { 2 } else { defined + 2 }, by_file: HashMap::new() }
    }

    /// The index for an imported symbol: 1 (global) if its library does not version it.
    fn index_for(&mut self, cx: &Cx, inputs: &Inputs, selection: &Selection, id: SymbolId) -> u16 {
        let def = selection.def(id);
        let shared = inputs.shared_object(def.file());
        let Ok(at) = shared.defined.binary_search_by_key(&def.index(), |s| s.index) else { return 1 };
        let version = shared.defined[at].version;
        let Some(name) =
            shared.versions.get(usize::from(version)).copied().filter(|n| version > 1 && !n.is_empty())
        else {
            if cx.config.default_imported_symver && shared.versions.is_empty() {
                let is_weak = selection.references[id.index()] & seen::STRONG == 0;
                return self.add(def.file(), shared.soname, is_weak);
            }
            return 1;
        };
        let is_weak = selection.references[id.index()] & seen::STRONG == 0;
        self.add(def.file(), name, is_weak)
    }

    fn add(&mut self, file: FileId, name: &'static [u8], is_weak: bool) -> u16 {
        let list = self.by_file.entry(file).or_default();
        if let Some(known) = list.iter_mut().find(|v| v.name == name) {
            known.is_weak &= is_weak;
            return known.index;
        }
        let index = self.next;
        self.next += 1;
        list.push(NeededVersion { name, offset: 0, index, is_weak });
        index
    }

    /// The needs by library, in command-line order. With RELR the C library must be one that understands it.
    fn finish(
        mut self,
        inputs: &Inputs,
        selection: &Selection,
        cx: &Cx,
    ) -> Vec<(FileId, Vec<NeededVersion>)> {
        if cx.config.relr {
            for file in &selection.shared {
                let shared = inputs.shared_object(*file);
                let has_version = shared.versions.iter().any(|v| *v == b"GLIBC_ABI_DT_RELR");
                if shared.soname.starts_with(b"libc.so.") && has_version && self.by_file.contains_key(file) {
                    self.add(*file, b"GLIBC_ABI_DT_RELR", false);
                }
            }
        }
        let mut list: Vec<(FileId, Vec<NeededVersion>)> = self.by_file.into_iter().collect();
        list.sort_unstable_by_key(|(file, _)| *file);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_the_specifications() {
        assert_eq!(gnu_hash(b""), 5381);
        assert_eq!(gnu_hash(b"printf"), 0x156b_2bb8);
        assert_eq!(sysv_hash(b"printf"), 0x077_905a6);
    }

    #[test]
    fn equal_strings_once() {
        let mut strings = DynamicStrings::default();
        let first = strings.add(b"libc.so.6");
        assert_eq!(strings.add(b"libc.so.6"), first);
        assert_eq!(strings.add(b""), 0);
    }
}
