//! `.symtab` and `.strtab` (gABI, "Symbol Table"): what debuggers and profilers read.
//!
//! Section symbols first, if relocations stay in the output; then local symbols, object by object with their STT_FILE
//! symbols in front; then symbols the linker provides
//! for itself; then global ones, object by object; then what the output imports. Symbols of sections that are not
//! in the output are left out, as are temporary ones (`.L…`) that the options name.
//!
//! Sizes are counted an object at a time, and what is kept is noted; prefix sums give each object its places, and
//! each object's part is written by itself from the notes.

mod numbers;

pub(super) use numbers::Numbers;

use super::Sizing;
use super::kept::Needed;
use crate::config::{Config, Discard};
use crate::context::Cx;
use crate::image::{HeaderIndex, Image};
use crate::liveness::LiveSet;
use crate::model::{Object, SectionKind, SymbolId};
use crate::report::Problem;
use crate::select::{Anchor, Class, Def, Selection, VERSION_LOCAL};
use crate::tables::SymbolRef;
use crate::unique_names::UniqueNames;
use object::LittleEndian as LE;
use object::elf::{
    SHF_TLS, STB_GLOBAL, STB_GNU_UNIQUE, STB_LOCAL, STB_WEAK, STT_COMMON, STT_FILE, STT_GNU_IFUNC,
    STT_NOTYPE, STT_OBJECT, STT_SECTION, STT_TLS, STV_HIDDEN, STV_INTERNAL,
};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many symbols ahead the memory is asked for that an entry is made from.
const AHEAD: usize = 8;

/// A symbol table entry to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub name: u32,
    pub bind: u8,
    pub r#type: u8,
    pub visibility: u8,
    pub shndx: HeaderIndex,
    pub value: u64,
    pub size: u64,
}

impl Entry {
    /// The null symbol; an undefined one without a name.
    const NULL: Entry = Entry {
        name: 0,
        bind: STB_LOCAL,
        r#type: STT_NOTYPE,
        visibility: 0,
        shndx: HeaderIndex::UNDEFINED,
        value: 0,
        size: 0,
    };
}

/// Writes an entry of 24 bytes.
pub(super) fn put_symbol(out: &mut [u8], entry: &Entry) {
    out[0..4].copy_from_slice(&entry.name.to_le_bytes());
    out[4] = entry.bind << 4 | entry.r#type & 15;
    out[5] = entry.visibility;
    out[6..8].copy_from_slice(&entry.shndx.half().to_le_bytes());
    out[8..16].copy_from_slice(&entry.value.to_le_bytes());
    out[16..24].copy_from_slice(&entry.size.to_le_bytes());
}

/// A symbol of an object that goes into the table.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// Index in the object's symbol table.
    index: u32,
    /// Bytes of its name.
    name_length: u32,
    /// A local symbol in the output.
    is_local: bool,
}

/// What one object contributes, and where it goes.
#[derive(Debug, Default)]
struct Share {
    /// Its symbols, those that were local in the object first.
    kept: Box<[Kept]>,
    locals: u32,
    globals: u32,
    /// Bytes of names, those of local symbols first.
    names: u32,
    first_local: u32,
    first_global: u32,
    first_name: u32,
}

/// Sizes and places in `.symtab` and `.strtab`.
#[derive(Debug, Default)]
pub struct SymbolTablePlan {
    /// Positions of the output sections that have a section symbol, for relocations that stay.
    sections: Vec<u32>,
    shares: Vec<Share>,
    /// With `-z unique-symbol`: the names of local symbols.
    unique_names: UniqueNames,
    /// Local symbols the linker provides, and global ones, in the order of the list of provisions.
    provided_locals: Vec<SymbolId>,
    provided_globals: Vec<SymbolId>,
    /// `--retain-symbols-file`: the names to keep.
    retained: Option<HashSet<Vec<u8>>>,
    /// Symbols defined elsewhere.
    imports: Vec<SymbolId>,
    /// Undefined symbols that only relocations which stay mention.
    strays: Vec<SymbolId>,
    first_provided_local: u32,
    first_provided_global: u32,
    /// Offset in `.strtab` of the names of provided and imported symbols, in that order.
    first_other_name: u32,
    other_names: u32,
    symbols: u64,
    /// There are IFUNC or unique symbols, which are GNU's extensions.
    pub has_gnu_symbols: bool,
    /// `sh_info`: index of the first global symbol.
    pub first_global: u32,
    names: u64,
}

impl SymbolTablePlan {
    /// Bytes of `.symtab`.
    pub fn symtab_size(&self) -> u64 {
        self.symbols * 24
    }
    /// Bytes of `.strtab`.
    pub fn strtab_size(&self) -> u64 {
        self.names
    }
    /// Parts: null entry; locals and globals of each object; provided locals; provided globals and imports.
    pub(super) fn symtab_parts(&self) -> usize {
        self.shares.len() * 2 + 3
    }
    pub(super) fn symtab_part(&self, part: usize) -> (u64, u64) {
        let objects = self.shares.len();
        let (first, count) = match part {
            0 => (0, 1 + self.sections.len() as u32),
            n if n <= objects => (self.shares[n - 1].first_local, self.shares[n - 1].locals),
            n if n == objects + 1 => (self.first_provided_local, self.provided_locals.len() as u32),
            n if n <= objects * 2 + 1 => {
                let share = &self.shares[n - objects - 2];
                (share.first_global, share.globals)
            }
            _ => {
                let count = self.provided_globals.len() + self.imports.len() + self.strays.len();
                (self.first_provided_global, count as u32)
            }
        };
        (u64::from(first) * 24, u64::from(count) * 24)
    }
    /// The object a part of `.symtab` is about.
    pub(super) fn symtab_owner(&self, part: usize) -> Option<usize> {
        let objects = self.shares.len();
        match part {
            n if (1..=objects).contains(&n) => Some(n - 1),
            n if (objects + 2..=objects * 2 + 1).contains(&n) => Some(n - objects - 2),
            _ => None,
        }
    }
    /// The object a part of `.strtab` is about.
    pub(super) fn strtab_owner(&self, part: usize) -> Option<usize> {
        (1..=self.shares.len()).contains(&part).then(|| part - 1)
    }
    /// Parts: the empty string; each object; the rest.
    pub(super) fn strtab_parts(&self) -> usize {
        self.shares.len() + 2
    }
    pub(super) fn strtab_part(&self, part: usize) -> (u64, u64) {
        match part {
            0 => (0, 1),
            n if n <= self.shares.len() => {
                let share = &self.shares[n - 1];
                (share.first_name.into(), share.names.into())
            }
            _ => (self.first_other_name.into(), self.other_names.into()),
        }
    }
    fn others(&self) -> impl Iterator<Item = SymbolId> + '_ {
        let provided = self.provided_locals.iter().chain(&self.provided_globals);
        provided.chain(&self.imports).chain(&self.strays).copied()
    }
}

/// What of an object's symbols is kept.
struct Filter<'a> {
    selection: &'a Selection,
    live: &'a LiveSet,
    discard: Discard,
    is_shared: bool,
    retained: Option<&'a HashSet<Vec<u8>>>,
    needed: Option<&'a Needed>,
}

impl<'a> Filter<'a> {
    /// Whether `--retain-symbols-file` lets a name into the table.
    fn retains(&self, name: &[u8]) -> bool {
        self.retained.is_none_or(|names| names.contains(name))
    }

    /// By index: the local symbols of an object that must stay.
    fn needed_locals(&self, object: &Object) -> &'a [bool] {
        let Some(needed) = self.needed else { return &[] };
        self.selection.position(object.id).map_or(&[], |position| needed.locals(position))
    }

    /// Whether a local symbol goes into the table.
    fn keeps_local(&self, object: &Object, index: usize) -> bool {
        let entry = &object.symbols[index];
        if self.retained.is_some() && !self.retains(object.symbol_name(index)) {
            return false;
        }
        match entry.st_type() {
            STT_SECTION => return false,
            STT_FILE => return self.discard != Discard::All || entry.st_name.get(LE) != 0,
            _ => {}
        }
        let section = object.symbol_section(index) as usize;
        if self.discard == Discard::All || section != 0 && !self.is_in_output(object, section) {
            return false;
        }
        // Names are far away: what is left out without a look at them has been.
        let name = entry.st_name.get(LE) as usize;
        if object.strtab.get(name).is_none_or(|byte| *byte == 0) {
            return false;
        }
        let is_temporary = object.strtab[name..].starts_with(b".L");
        match self.discard {
            _ if !is_temporary => true,
            Discard::Temporaries => false,
            Discard::Default => section == 0 || object.sections[section].kind != SectionKind::Merge,
            _ => true,
        }
    }

    /// Whether a relocation that stays names a global symbol.
    fn needs(&self, id: SymbolId) -> bool {
        self.needed.is_some_and(|needed| needed.has(id))
    }

    fn is_in_output(&self, object: &Object, section: usize) -> bool {
        object.sections[section].kind != SectionKind::Ignored
            && self.live.has_address(object.section_id(section))
    }

    /// Whether this object is the one whose entry stands for a global symbol.
    fn owns_global(&self, object: &Object, index: usize, id: SymbolId) -> bool {
        let def = self.selection.def(id);
        if def.file() != object.id || def.index() as usize != index {
            return false;
        }
        match def.class() {
            Class::Strong | Class::Weak => {
                let section = object.symbol_section(index) as usize;
                section == 0 || self.is_in_output(object, section)
            }
            Class::Common => true,
            // Dynamic ones stand with the imports.
            Class::Undefined | Class::UndefinedWeak => !self.selection.state(id).is_imported(),
            _ => false,
        }
    }

    fn is_localized(&self, id: SymbolId) -> bool {
        let def = self.selection.def(id);
        let is_hidden = || matches!(self.selection.visibility(id), STV_HIDDEN | STV_INTERNAL);
        def.is_local()
            && (self.selection.versions[id.index()] == VERSION_LOCAL || self.is_shared && is_hidden())
    }

    /// All symbols of an object that are kept. `kept` is memory that is used again for the next object.
    fn kept(&self, object: &Object, kept: &mut Vec<Kept>) -> Box<[Kept]> {
        kept.clear();
        let mut visit = |index: usize, is_local, name: &[u8]| {
            kept.push(Kept { index: index as u32, name_length: name.len() as u32, is_local });
        };
        let first = object.first_global as usize;
        let needed = self.needed_locals(object);
        for index in 1..first.min(object.symbols.len()) {
            object.prefetch_section_of(index + AHEAD);
            if needed.get(index) == Some(&true) || self.keeps_local(object, index) {
                visit(index, true, object.symbol_name(index));
            }
        }
        for (n, id) in object.ids.iter().enumerate() {
            let index = first + n;
            if let Some(ahead) = object.ids.get(n + AHEAD) {
                engine::prefetch(&self.selection.defs, ahead.index());
            }
            if index > 0 && self.owns_global(object, index, *id) {
                let start = object.symbols[index].st_name.get(LE) as usize;
                let end = start + object.name_lengths[n] as usize;
                let name = object.strtab.get(start..end).unwrap_or(&[]);
                if self.retains(name) || self.selection.def(*id).is_undefined() || self.needs(*id) {
                    visit(index, self.is_localized(*id), name);
                }
            }
        }
        kept.as_slice().into()
    }
}

/// Counts and places. `needed` are the symbols that relocations in the output name, `sections` the positions of the
/// output sections they name; with them come the numbers of all symbols.
pub(super) fn plan(s: &Sizing, needed: Option<Needed>, sections: Vec<u32>) -> (SymbolTablePlan, Numbers) {
    let mut plan = SymbolTablePlan { sections, ..SymbolTablePlan::default() };
    if s.cx.config.strip == crate::config::Strip::All {
        return (plan, Numbers::default());
    }
    let config = s.cx.config;
    let is_shared = config.is_shared();
    plan.retained = config.retain_symbols_file.as_deref().map(|path| read_names(s.cx, path));
    let retained = plan.retained.as_ref();
    let needed = needed.as_ref();
    let filter =
        Filter { selection: s.selection, live: s.live, discard: config.discard, is_shared, retained, needed };
    let has_gnu_symbols = AtomicBool::new(false);
    let objects = s.selection.objects.len();
    plan.shares = s.cx.pool.map_with("size/symtab", objects, 8, Vec::new, |scratch, position| {
        let mut share = Share::default();
        let object = s.inputs.object(s.selection.objects[position]);
        share.kept = filter.kept(object, scratch);
        for kept in &share.kept {
            let symbol = &object.symbols[kept.index as usize];
            if bind_of(config, symbol.st_bind()) == STB_GNU_UNIQUE || symbol.st_type() == STT_GNU_IFUNC {
                has_gnu_symbols.store(true, Ordering::Relaxed);
            }
            *(if kept.is_local { &mut share.locals } else { &mut share.globals }) += 1;
            share.names += kept.name_length + 1;
        }
        share
    });
    plan.has_gnu_symbols = has_gnu_symbols.into_inner();
    if config.z.unique_symbol {
        plan.unique_names = rename_locals(s, &mut plan.shares);
    }
    for (index, provision) in s.provided.list.iter().enumerate() {
        let def = s.selection.def(provision.id);
        let is_defined = def.file() == Def::LINKER && def.is_local() && def.index() as usize == index;
        // A name for code sequences alone; no reader has a use for it.
        let is_internal = provision.anchor == Anchor::TlsModuleBase;
        let is_wanted = !is_internal && filter.retains(s.symbols.name(provision.id));
        if is_defined && (is_wanted || filter.needs(provision.id)) {
            let list =
                if provision.is_hidden { &mut plan.provided_locals } else { &mut plan.provided_globals };
            list.push(provision.id);
        }
    }
    plan.imports =
        s.dynamic.symbols.iter().filter(|d| !s.selection.def(d.id).is_local()).map(|d| d.id).collect();
    let mut next = 1 + plan.sections.len() as u32;
    for share in &mut plan.shares {
        share.first_local = next;
        next += share.locals;
    }
    plan.first_provided_local = next;
    next += plan.provided_locals.len() as u32;
    plan.first_global = next;
    for share in &mut plan.shares {
        share.first_global = next;
        next += share.globals;
    }
    plan.first_provided_global = next;
    next += (plan.provided_globals.len() + plan.imports.len()) as u32;
    let mut numbers = Numbers::default();
    if let Some(needed) = needed {
        numbers = numbers::number(s, &plan);
        let mut strays: Vec<SymbolId> = needed.globals().filter(|id| numbers.global(*id) == 0).collect();
        strays.sort_by_key(|id| s.symbols.name(*id));
        for id in &strays {
            numbers.set_global(*id, next);
            next += 1;
        }
        plan.strays = strays;
    }
    plan.symbols = next.into();
    let mut name = 1u64;
    for share in &mut plan.shares {
        share.first_name = name as u32;
        name += u64::from(share.names);
    }
    plan.first_other_name = name as u32;
    plan.other_names = plan.others().map(|id| plain_name(s.symbols.name(id)).len() as u32 + 1).sum();
    plan.names = name + u64::from(plan.other_names);
    if plan.names > u64::from(u32::MAX) {
        s.cx.problems.push(Problem::error("the names of all symbols are more than 4 GiB: use -s or -x"));
    }
    (plan, numbers)
}

/// Gives local symbols names of their own.
fn rename_locals(s: &Sizing, shares: &mut [Share]) -> UniqueNames {
    let mut unique_names = UniqueNames::default();
    for (position, share) in shares.iter_mut().enumerate() {
        let object = s.inputs.object(s.selection.objects[position]);
        share.names = 0;
        for kept in &mut share.kept {
            let index = kept.index as usize;
            if index < object.first_global as usize && object.symbols[index].st_type() != STT_FILE {
                let start = object.symbols[index].st_name.get(LE) as usize;
                let name = object.strtab.get(start..start + kept.name_length as usize).unwrap_or(&[]);
                kept.name_length = unique_names.add(position, index, name).len() as u32;
            }
            share.names += kept.name_length + 1;
        }
    }
    unique_names
}

/// The names in a file for `--retain-symbols-file`, separated by white space.
fn read_names(cx: &Cx, path: &Path) -> HashSet<Vec<u8>> {
    match crate::open::map_file(path) {
        Ok(text) => {
            text.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
        }
        Err(error) => {
            let why = crate::open::reason(&error);
            cx.problems.push(Problem::error(format!("cannot open {}: {why}", path.display())));
            HashSet::new()
        }
    }
}

/// A name without its version.
fn plain_name(name: &[u8]) -> &[u8] {
    &name[..memchr::memchr(b'@', name).filter(|at| *at > 0).unwrap_or(name.len())]
}

pub(super) fn write_strtab(image: &Image, part: usize, out: &mut [u8]) {
    let plan = &image.sizes.symtab;
    let mut at = 0usize;
    let mut put = |name: &[u8]| {
        out[at..at + name.len()].copy_from_slice(name);
        at += name.len() + 1;
    };
    match part {
        0 => {}
        n if n <= plan.shares.len() => {
            let object = image.object(n - 1);
            let list = &plan.shares[n - 1].kept;
            for (place, kept) in list.iter().enumerate() {
                // Names stand in any order.
                if let Some(ahead) = list.get(place + AHEAD) {
                    engine::prefetch(
                        object.strtab,
                        object.symbols[ahead.index as usize].st_name.get(LE) as usize,
                    );
                }
                if let Some(name) = plan.unique_names.get(n - 1, kept.index as usize) {
                    put(name);
                    continue;
                }
                let start = object.symbols[kept.index as usize].st_name.get(LE) as usize;
                put(object.strtab.get(start..start + kept.name_length as usize).unwrap_or(&[]));
            }
        }
        _ => plan.others().for_each(|id| put(plain_name(image.symbols.name(id)))),
    }
}

pub(super) fn write_symtab(image: &Image, part: usize, out: &mut [u8]) {
    let mut places = out.chunks_exact_mut(24);
    entries(image, part, |entry| {
        if let Some(out) = places.next() {
            put_symbol(out, &entry);
        }
    });
}

/// The entries of a part of `.symtab`, in order.
fn entries(image: &Image, part: usize, mut put: impl FnMut(Entry)) {
    let plan = &image.sizes.symtab;
    let objects = plan.shares.len();
    match part {
        0 => {
            // The null symbol, and section symbols.
            put(Entry::NULL);
            plan.sections.iter().for_each(|position| put(section_entry(image, *position as usize)));
        }
        n if n <= objects => write_object(image, n - 1, true, put),
        n if n == objects + 1 => {
            let mut name = plan.first_other_name;
            for id in &plan.provided_locals {
                put(Entry { bind: STB_LOCAL, visibility: 0, ..global_entry(image, *id, name) });
                name += plain_name(image.symbols.name(*id)).len() as u32 + 1;
            }
        }
        n if n <= objects * 2 + 1 => write_object(image, n - objects - 2, false, put),
        _ => {
            let skipped = plan.provided_locals.len();
            let mut name = plan.first_other_name;
            for (n, id) in plan.others().enumerate() {
                if n >= skipped + plan.provided_globals.len() + plan.imports.len() {
                    let is_weak = image.selection.def(id).class() == Class::UndefinedWeak;
                    let bind = if is_weak { STB_WEAK } else { STB_GLOBAL };
                    put(Entry { name, bind, ..Entry::NULL });
                } else if n >= skipped + plan.provided_globals.len() {
                    let index = image.dynamic.index_of(id) as usize - 1;
                    let is_defined = image.dynamic.symbols[index].is_defined;
                    put(super::dynamic_symbols::entry(image, id, name, is_defined));
                } else if n >= skipped {
                    put(global_entry(image, id, name));
                }
                name += plain_name(image.symbols.name(id)).len() as u32 + 1;
            }
        }
    }
}

fn write_object(image: &Image, position: usize, wants_locals: bool, mut put: impl FnMut(Entry)) {
    let object = image.object(position);
    let share = &image.sizes.symtab.shares[position];
    let mut name = share.first_name;
    let first = object.first_global as usize;
    for (place, Kept { index, name_length, is_local }) in share.kept.iter().enumerate() {
        let index = *index as usize;
        if *is_local == wants_locals {
            if let Some(ahead) = share.kept.get(place + AHEAD) {
                object.prefetch_section_of(ahead.index as usize);
            }
            let mut entry = if index < first {
                local_entry(image, position, object, index, name)
            } else {
                owned_entry(image, position, object, index, name)
            };
            if *is_local {
                entry.bind = STB_LOCAL;
                entry.visibility = 0;
            }
            put(entry);
        }
        name += name_length + 1;
    }
}

/// The section symbol of an output section. That of a thread-local one has an address, too.
fn section_entry(image: &Image, position: usize) -> Entry {
    let place = image.layout.placements[position];
    let shndx = HeaderIndex(place.index);
    Entry { r#type: STT_SECTION, shndx, value: place.address, ..Entry::NULL }
}

/// A symbol as its object has it, and local.
fn local_entry(image: &Image, position: usize, object: &Object, index: usize, name: u32) -> Entry {
    let symbol = &object.symbols[index];
    let section = object.symbol_section(index) as usize;
    let plain = image.targets[position][index].address();
    let mut value = plain.unwrap_or_else(|| image.local_address(position, index));
    let mut shndx = HeaderIndex::ABSOLUTE;
    if section != 0 {
        shndx = image.section_index_at(position, object, section);
        value = tls_relative(image, object.sections[section].has(SHF_TLS), value);
    }
    Entry {
        name,
        bind: STB_LOCAL,
        r#type: symbol.st_type(),
        visibility: symbol.st_visibility(),
        shndx,
        value,
        size: symbol.st_size.get(LE),
    }
}

/// A global symbol that an object defines for all.
fn owned_entry(image: &Image, position: usize, object: &Object, index: usize, name: u32) -> Entry {
    let id = object.symbol_id(index);
    if object.symbol_section(index) == 0 || image.targets[position][index].address().is_none() {
        return global_entry(image, id, name);
    }
    let bind = bind_of(image.cx.config, object.symbols[index].st_bind());
    let visibility = image.selection.visibility(id);
    Entry { bind, visibility, ..local_entry(image, position, object, index, name) }
}

/// A symbol this output defines (or leaves at 0), as `.symtab` shows it.
fn global_entry(image: &Image, id: SymbolId, name: u32) -> Entry {
    let def = image.selection.def(id);
    let source = image.selection.entry(image.inputs, def);
    let (shndx, value) = place(image, id);
    let (bind, r#type, size) =
        source.map_or((STB_GLOBAL, STT_NOTYPE, 0), |s| (s.st_bind(), s.st_type(), s.st_size.get(LE)));
    let bind = bind_of(image.cx.config, bind);
    // Of tentative definitions the largest counts.
    let size = image.tables.common(id).map_or(size, |common| common.size);
    let r#type = if r#type == STT_COMMON { STT_OBJECT } else { r#type };
    if is_tls_base(image, def) {
        // A thread-local symbol at the very start, in the first thread-local section.
        let shndx = tls_start_section(image);
        return Entry { name, r#type: STT_TLS, shndx, ..Entry::NULL };
    }
    let visibility = if def.file() == Def::LINKER && image.provided.list[def.index() as usize].is_hidden {
        STV_HIDDEN
    } else {
        image.selection.visibility(id)
    };
    Entry { name, bind, r#type, visibility, shndx, value, size }
}

/// The binding that the options leave a symbol with.
pub(super) fn bind_of(config: &Config, bind: u8) -> u8 {
    if bind == STB_GNU_UNIQUE && config.plain_unique { STB_GLOBAL } else { bind }
}

/// Whether a definition is that of `_TLS_MODULE_BASE_`.
fn is_tls_base(image: &Image, def: Def) -> bool {
    def.file() == Def::LINKER && image.provided.list[def.index() as usize].anchor == Anchor::TlsModuleBase
}

fn tls_start_section(image: &Image) -> HeaderIndex {
    let is_tls = |position: &&u32| image.outputs.sections[**position as usize].has(SHF_TLS);
    let first = image.layout.order.iter().find(is_tls);
    first.map_or(HeaderIndex::ABSOLUTE, |p| HeaderIndex(image.layout.placements[*p as usize].index))
}

/// Section header index and value of a symbol this output defines, for a symbol table.
pub(super) fn place(image: &Image, id: SymbolId) -> (HeaderIndex, u64) {
    let def = image.selection.def(id);
    let address = image.addresses.symbols[id.index()];
    match def.class() {
        Class::Strong | Class::Weak => {
            let object = image.inputs.object(def.file());
            let section = object.symbol_section(def.index() as usize) as usize;
            if section == 0 {
                return (HeaderIndex::ABSOLUTE, address);
            }
            let is_tls = object.sections[section].has(SHF_TLS);
            // An IFUNC stands for its resolver here, as in its object; its PLT entry has no name.
            let is_ifunc = object.symbols[def.index() as usize].st_type() == STT_GNU_IFUNC;
            let address = if is_ifunc { image.resolver_address(SymbolRef::Global(id)) } else { address };
            (image.section_index_of(object, section), tls_relative(image, is_tls, address))
        }
        Class::Common => {
            let place = image.tables.common(id).map(|c| c.place);
            let name: &[u8] = match place {
                Some(crate::tables::CommonPlace::Tbss) => b".tbss",
                Some(crate::tables::CommonPlace::Lbss) => b".lbss",
                _ => b".bss",
            };
            (section_index(image, name), tls_relative(image, name == b".tbss", address))
        }
        Class::Forced | Class::Provided => {
            let list = &image.addresses.provided_sections;
            let section = list
                .iter()
                .rfind(|(other, _)| *other == id)
                .map_or(HeaderIndex::ABSOLUTE, |(_, section)| *section);
            (section, address)
        }
        _ => (HeaderIndex::UNDEFINED, 0),
    }
}

/// Symbol tables give the offset in the thread-local block for a thread-local symbol.
fn tls_relative(image: &Image, is_tls: bool, address: u64) -> u64 {
    if is_tls { address.wrapping_sub(image.layout.tls_start()) } else { address }
}

/// Header index of a loaded output section by name.
pub(super) fn section_index(image: &Image, name: &[u8]) -> HeaderIndex {
    let position =
        image.outputs.sections.iter().position(|s| s.name == name && s.has(object::elf::SHF_ALLOC));
    position.map_or(HeaderIndex::ABSOLUTE, |p| HeaderIndex(image.layout.placements[p].index))
}

/// `.symtab_shndx`: zeros but for symbols in sections whose index does not fit 16 bits.
pub(super) fn write_shndx(image: &Image, out: &mut [u8]) {
    let plan = &image.sizes.symtab;
    for part in 0..plan.symtab_parts() {
        let first = plan.symtab_part(part).0 as usize / 24;
        let mut words = out[first * 4..].chunks_exact_mut(4);
        entries(image, part, |entry| {
            if let Some(word) = words.next() {
                word.copy_from_slice(&entry.shndx.extended().to_le_bytes());
            }
        });
    }
}
