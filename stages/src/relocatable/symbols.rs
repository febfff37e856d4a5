//! The symbol table of the output (gABI, "Symbol Table").
//!
//! In order: the null symbol; a section symbol for each output section (so that the number of one is its section's
//! position plus 1); the local symbols, object by object; the global ones, object by object, each by the object
//! whose definition (or first reference) stands for the name; symbols of `--defsym`.
//!
//! A local symbol stays whatever the options say if a relocation or a group needs it: without it they would mean
//! something else. Counting, prefix sums and writing follow one pattern: count an object at a time, give
//! each its places, and let each write its own part.
//!
//! Names keep their versions (`name@version`): the final link still needs them.

use super::sections::{Joined, Place};
use crate::config::{Discard, Strip};
use crate::context::Cx;
use crate::elf::{SHF_X86_64_LARGE, SHN_X86_64_LCOMMON, Sym};
use crate::intern::Symbols;
use crate::model::{Inputs, Object, SymbolId};
use crate::report::Problem;
use crate::script::{Env, Value};
use crate::select::{Class, Provided, Selection, is_common};
use crate::unique_names::UniqueNames;
use object::LittleEndian as LE;
use object::elf::{
    SHF_ALLOC, SHF_TLS, SHF_WRITE, SHN_ABS, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, SHT_GROUP, STB_GLOBAL,
    STB_GNU_UNIQUE, STB_LOCAL, STB_WEAK, STT_COMMON, STT_FILE, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT,
    STT_SECTION, STT_TLS,
};
use std::collections::HashMap;

/// What one object contributes, and where it goes.
#[derive(Debug, Default)]
struct Share {
    /// By index in the object: number of a local symbol in the output, 0 if it is left out. Until places are given:
    /// number within the share, from 1.
    locals: Vec<u32>,
    /// Indices of the global symbols this object stands for.
    globals: Vec<u32>,
    local_count: u32,
    local_names: u64,
    global_names: u64,
    first_local: u32,
    first_global: u32,
    first_local_name: u64,
    first_global_name: u64,
    /// Has symbols whose meaning GNU defined.
    is_gnu: bool,
}

/// A tentative definition: the largest size and the strictest alignment that any object asks for.
#[derive(Debug, Clone, Copy)]
struct Tentative {
    size: u64,
    align: u64,
    /// Where `-d` put it.
    place: Option<Place>,
}

/// A symbol by `--defsym`.
#[derive(Debug, Clone, Copy)]
struct Forced {
    id: SymbolId,
    value: Value<u32>,
}

/// The symbol table of the output.
#[derive(Debug, Default)]
pub struct Table {
    /// Number of output sections, groups aside.
    sections: u32,
    shares: Vec<Share>,
    /// By [`SymbolId`]: number in the output, 0 if it is not there.
    global_numbers: Vec<u32>,
    tentative: HashMap<SymbolId, Tentative>,
    forced: Vec<Forced>,
    /// With `-z unique-symbol`: the names of local symbols.
    unique_names: UniqueNames,
    first_forced: u32,
    first_forced_name: u64,
    /// `sh_info`: number of the first global symbol.
    pub first_global: u32,
    /// Number of symbols.
    pub count: u32,
    /// Bytes of names.
    pub names_size: u64,
    /// Has symbols whose meaning GNU defined: ELFOSABI_GNU.
    pub is_gnu: bool,
}

/// A part of the table that is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The null symbol and the section symbols.
    Sections,
    /// Local symbols of the object at a position.
    Locals(u32),
    /// Global symbols of the object at a position.
    Globals(u32),
    /// Symbols by `--defsym`.
    Forced,
}

/// What the table is made from.
pub struct Source<'a> {
    /// The surroundings.
    pub cx: &'a Cx<'a>,
    /// All files.
    pub inputs: &'a Inputs,
    /// All names.
    pub symbols: &'a Symbols,
    /// `--defsym`.
    pub provided: &'a Provided,
    /// Who takes part.
    pub selection: &'a Selection,
}

/// A symbol table entry to be. A final link's has an address and a section; this one keeps what its object says.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    bind: u8,
    r#type: u8,
    visibility: u8,
    shndx: u16,
    value: u64,
    size: u64,
}

impl Entry {
    fn put(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&self.name.to_le_bytes());
        out[4] = self.bind << 4 | self.r#type & 15;
        out[5] = self.visibility;
        out[6..8].copy_from_slice(&self.shndx.to_le_bytes());
        out[8..16].copy_from_slice(&self.value.to_le_bytes());
        out[16..24].copy_from_slice(&self.size.to_le_bytes());
    }
}

/// Tentative definitions, and under `-d` their storage.
pub fn allocate(source: &Source, joined: &mut Joined) -> Table {
    let mut table = Table::default();
    let mut order = Vec::new();
    for id in &source.selection.objects {
        let object = source.inputs.object(*id);
        let first = object.first_global as usize;
        for (n, entry) in object.symbols[first..].iter().enumerate() {
            let id = object.ids[n];
            if !is_common(entry) || source.selection.def(id).class() != Class::Common {
                continue;
            }
            let tentative = table.tentative.entry(id).or_insert_with(|| {
                order.push((id, entry));
                Tentative { size: 0, align: 1, place: None }
            });
            tentative.size = tentative.size.max(entry.st_size.get(LE));
            tentative.align = tentative.align.max(entry.st_value.get(LE));
        }
    }
    if !source.cx.config.define_common {
        return table;
    }
    for (id, entry) in order {
        let Some(tentative) = table.tentative.get_mut(&id) else { continue };
        let (name, flags): (&'static [u8], u32) = if entry.st_type() == STT_TLS {
            (b".tbss", SHF_TLS)
        } else if entry.st_shndx.get(LE) == SHN_X86_64_LCOMMON {
            (b".lbss", SHF_X86_64_LARGE)
        } else {
            (b".bss", 0)
        };
        let align_log2 =
            if tentative.align.is_power_of_two() { tentative.align.trailing_zeros() as u8 } else { 4 };
        tentative.place =
            Some(joined.reserve(name, SHF_ALLOC | SHF_WRITE | flags, tentative.size, align_log2.min(40)));
    }
    table
}

/// Counts and places. `table` has the tentative definitions.
pub fn plan(source: &Source, joined: &Joined, mut table: Table) -> Table {
    let objects = source.selection.objects.len();
    let shares = source.cx.pool.map("relocatable/symbols", objects, 8, |position| {
        let object = source.inputs.object(source.selection.objects[position]);
        source.share(object, joined)
    });
    table.shares = shares;
    if source.cx.config.z.unique_symbol {
        rename_locals(source, &mut table);
    }
    table.forced = source.forced(joined, &table);
    table.sections = joined.sections.len() as u32;
    let mut next = 1 + joined.sections.len() as u64;
    let mut name = 1u64;
    for share in &mut table.shares {
        share.first_local = next as u32;
        share.first_local_name = name;
        for number in share.locals.iter_mut().filter(|number| **number != 0) {
            *number = (*number - 1).wrapping_add(next as u32);
        }
        next += u64::from(share.local_count);
        name += share.local_names;
    }
    table.first_global = next as u32;
    table.global_numbers = vec![0; source.symbols.bound()];
    for (share, id) in table.shares.iter_mut().zip(&source.selection.objects) {
        let object = source.inputs.object(*id);
        share.first_global = next as u32;
        share.first_global_name = name;
        for (n, index) in share.globals.iter().enumerate() {
            let id = object.symbol_id(*index as usize);
            table.global_numbers[id.index()] = share.first_global.wrapping_add(n as u32);
        }
        next += share.globals.len() as u64;
        name += share.global_names;
    }
    table.first_forced = next as u32;
    table.first_forced_name = name;
    for (n, forced) in table.forced.iter().enumerate() {
        table.global_numbers[forced.id.index()] = table.first_forced.wrapping_add(n as u32);
        name += source.symbols.name(forced.id).len() as u64 + 1;
    }
    next += table.forced.len() as u64;
    if next > u64::from(u32::MAX) || name > u64::from(u32::MAX) {
        source.cx.problems.push(Problem::error("too many symbols for one object file: use -s, -x or -X"));
    }
    table.count = next as u32;
    table.names_size = name;
    table.is_gnu = table.shares.iter().any(|share| share.is_gnu);
    table
}

/// Gives local symbols names of their own.
fn rename_locals(source: &Source, table: &mut Table) {
    for (position, share) in table.shares.iter_mut().enumerate() {
        let object = source.inputs.object(source.selection.objects[position]);
        for (index, _) in share.locals.iter().enumerate().filter(|(_, number)| **number != 0) {
            let name = object.symbol_name(index);
            if object.symbols[index].st_type() != STT_FILE && !name.is_empty() {
                let unique = table.unique_names.add(position, index, name);
                share.local_names += (unique.len() - name.len()) as u64;
            }
        }
    }
}

impl Source<'_> {
    fn share(&self, object: &Object, joined: &Joined) -> Share {
        let first = object.first_global as usize;
        let needed = self.needed_locals(object, joined);
        let mut share = Share { locals: vec![0; first], ..Share::default() };
        for (index, &is_needed) in needed.iter().enumerate().skip(1) {
            if self.keeps_local(object, joined, index, is_needed) {
                share.local_count += 1;
                share.locals[index] = share.local_count;
                share.local_names += object.symbol_name(index).len() as u64 + 1;
                share.is_gnu |= object.symbols[index].st_type() == STT_GNU_IFUNC;
            }
        }
        for (n, id) in object.ids.iter().enumerate() {
            let index = first + n;
            if index > 0 && self.owns_global(object, joined, index, *id) {
                let entry = &object.symbols[index];
                share.globals.push(index as u32);
                share.global_names += self.global_name(object, index).len() as u64 + 1;
                share.is_gnu |= entry.st_type() == STT_GNU_IFUNC || entry.st_bind() == STB_GNU_UNIQUE;
            }
        }
        share
    }

    /// By index: whether a relocation or a group that stays refers to a local symbol. All false where the options
    /// let every local symbol stay.
    fn needed_locals(&self, object: &Object, joined: &Joined) -> Vec<bool> {
        let mut needed = vec![false; object.first_global as usize];
        let config = self.cx.config;
        if matches!(config.discard, Discard::Default | Discard::None) && config.strip != Strip::All {
            return needed;
        }
        for (index, section) in object.sections.iter().enumerate() {
            if object.section_type(index) == SHT_GROUP
                && let Some(needed) = needed.get_mut(object.headers[index].sh_info.get(LE) as usize)
            {
                *needed = true;
            }
            if joined.place(object, index).is_somewhere() {
                for relocation in object.relocations(section) {
                    if let Some(needed) = needed.get_mut(relocation.r_sym(LE, false) as usize) {
                        *needed = true;
                    }
                }
            }
        }
        needed
    }

    fn keeps_local(&self, object: &Object, joined: &Joined, index: usize, is_needed: bool) -> bool {
        let config = self.cx.config;
        let entry = &object.symbols[index];
        if entry.st_type() == STT_SECTION {
            return false;
        }
        let section = object.symbol_section(index) as usize;
        if section != 0 && !joined.place(object, section).is_somewhere() {
            return false;
        }
        if is_needed {
            return true;
        }
        if config.strip == Strip::All {
            return false;
        }
        match config.discard {
            Discard::All => entry.st_type() == STT_FILE && entry.st_name.get(LE) != 0,
            Discard::Temporaries => !object.symbol_name(index).starts_with(b".L"),
            Discard::Default | Discard::None => true,
        }
    }

    /// Whether this object is the one whose entry stands for a global symbol.
    fn owns_global(&self, object: &Object, joined: &Joined, index: usize, id: SymbolId) -> bool {
        let def = self.selection.def(id);
        if def.file() != object.id || def.index() as usize != index {
            return false;
        }
        match def.class() {
            Class::Strong | Class::Weak => {
                let section = object.symbol_section(index) as usize;
                section == 0 || joined.place(object, section).is_somewhere()
            }
            Class::Common | Class::Undefined | Class::UndefinedWeak => true,
            _ => false,
        }
    }

    /// The name of a global symbol with its version. Under `--wrap` it is that of the symbol that is meant.
    fn global_name(&self, object: &Object, index: usize) -> &'static [u8] {
        let plain = self.symbols.name(object.symbol_id(index));
        let written = object.symbol_name(index);
        if written.strip_prefix(plain).is_some_and(|rest| rest.starts_with(b"@")) { written } else { plain }
    }

    /// The values of `--defsym` and of assignments in scripts.
    fn forced(&self, joined: &Joined, table: &Table) -> Vec<Forced> {
        let mut list = Vec::new();
        for (n, provision) in self.provided.list.iter().enumerate() {
            let def = self.selection.def(provision.id);
            if def.class() != Class::Forced && def.class() != Class::Provided || def.index() as usize != n {
                continue;
            }
            let crate::select::Anchor::Expr(expr) = &provision.anchor else { continue };
            let values = Values { source: self, joined, table, earlier: &list };
            match expr.eval(&values) {
                Ok(value) => list.push(Forced { id: provision.id, value }),
                Err(error) => {
                    let name = self.cx.symbol_text(self.symbols.name(provision.id));
                    self.cx.problems.push(Problem::error(format!("--defsym {name}: {error}")));
                }
            }
        }
        list
    }
}

/// What expressions see: symbols by output section and offset.
struct Values<'a> {
    source: &'a Source<'a>,
    joined: &'a Joined,
    table: &'a Table,
    earlier: &'a [Forced],
}

impl Env for Values<'_> {
    type Section = u32;

    fn symbol(&self, name: &[u8]) -> Option<Value<u32>> {
        let id = self.source.symbols.find(name)?;
        if let Some(forced) = self.earlier.iter().find(|forced| forced.id == id) {
            return Some(forced.value);
        }
        let def = self.source.selection.def(id);
        let entry = self.source.selection.entry(self.source.inputs, def)?;
        let place = match def.class() {
            Class::Strong | Class::Weak => {
                let object = self.source.inputs.object(def.file());
                match object.symbol_section(def.index() as usize) as usize {
                    0 => return Some(Value::absolute(entry.st_value.get(LE))),
                    section => self.joined.place(object, section),
                }
            }
            Class::Common => {
                let place = self.table.tentative.get(&id)?.place?;
                return Some(Value::relative(place.offset, place.output));
            }
            _ => return None,
        };
        let value = place.offset.wrapping_add(entry.st_value.get(LE));
        place.is_somewhere().then(|| Value::relative(value, place.output))
    }
}

impl Table {
    /// The number of a symbol of an object in the output, 0 if it is not there. Not for section symbols.
    pub fn number(&self, object: &Object, position: usize, symbol: usize) -> u32 {
        match self.shares[position].locals.get(symbol) {
            Some(number) => *number,
            None => self.global_numbers[object.symbol_id(symbol).index()],
        }
    }

    /// The number of the section symbol of an output section; groups have none.
    pub fn section_symbol(&self, output: u32) -> Option<u32> {
        (output < self.sections).then(|| output + 1)
    }

    /// All parts, each with the number of its first symbol, how many there are, and offset and size of their names.
    pub fn parts(&self) -> Vec<(Part, u64, u64, u64, u64)> {
        let first_name = self.shares.first().map_or(self.first_forced_name, |share| share.first_local_name);
        let sections = self.shares.first().map_or(self.first_global, |share| share.first_local);
        let mut parts = vec![(Part::Sections, 0, sections.into(), 0, first_name)];
        for (n, share) in self.shares.iter().enumerate() {
            let first = u64::from(share.first_local);
            let count = u64::from(share.local_count);
            parts.push((Part::Locals(n as u32), first, count, share.first_local_name, share.local_names));
        }
        for (n, share) in self.shares.iter().enumerate() {
            let first = u64::from(share.first_global);
            let count = share.globals.len() as u64;
            parts.push((Part::Globals(n as u32), first, count, share.first_global_name, share.global_names));
        }
        let names = self.names_size - self.first_forced_name;
        parts.push((
            Part::Forced,
            self.first_forced.into(),
            self.forced.len() as u64,
            self.first_forced_name,
            names,
        ));
        parts
    }

    /// Names of a part, each behind the other with a NUL.
    pub fn write_names(&self, source: &Source, part: Part, out: &mut [u8]) {
        let mut at = 0;
        self.walk(source, part, |name, _| {
            out[at..at + name.len()].copy_from_slice(name);
            at += name.len() + 1;
        });
    }

    /// Entries of a part, 24 bytes each.
    pub fn write_symbols(
        &self,
        source: &Source,
        joined: &Joined,
        headers: &[u32],
        part: Part,
        out: &mut [u8],
    ) {
        if part == Part::Sections {
            for (header, out) in headers.iter().zip(out.chunks_exact_mut(24).skip(1)) {
                let shndx = short_index(*header);
                let (bind, r#type) = (STB_LOCAL, STT_SECTION);
                Entry { name: 0, bind, r#type, visibility: 0, shndx, value: 0, size: 0 }.put(out);
            }
            return;
        }
        let first_name = match part {
            Part::Sections => 0,
            Part::Locals(n) => self.shares[n as usize].first_local_name,
            Part::Globals(n) => self.shares[n as usize].first_global_name,
            Part::Forced => self.first_forced_name,
        };
        let mut name_offset = first_name as u32;
        let mut entries = out.chunks_exact_mut(24);
        self.walk(source, part, |name, what| {
            let (mut entry, place) = self.entry(source, joined, what);
            entry.name = if name.is_empty() { 0 } else { name_offset };
            if let Some(output) = place {
                entry.shndx = short_index(headers[output as usize]);
            }
            if let Some(out) = entries.next() {
                entry.put(out);
            }
            name_offset += name.len() as u32 + 1;
        });
    }

    /// Section indices of a part that do not fit a symbol's 16 bits, 4 bytes a symbol.
    pub fn write_indices(
        &self,
        source: &Source,
        joined: &Joined,
        headers: &[u32],
        part: Part,
        out: &mut [u8],
    ) {
        let mut words = out.chunks_exact_mut(4);
        let mut put = |header: u32| {
            if let Some(out) = words.next() {
                let word = if short_index(header) == SHN_XINDEX { header } else { 0 };
                out.copy_from_slice(&word.to_le_bytes());
            }
        };
        if part == Part::Sections {
            put(0);
            headers.iter().for_each(|header| put(*header));
            return;
        }
        self.walk(source, part, |_, what| {
            let (_, place) = self.entry(source, joined, what);
            put(place.map_or(0, |output| headers[output as usize]));
        });
    }

    fn walk(&self, source: &Source, part: Part, mut visit: impl FnMut(&'static [u8], What)) {
        let object_at = |n: u32| source.inputs.object(source.selection.objects[n as usize]);
        match part {
            Part::Sections => {}
            Part::Locals(n) => {
                let object = object_at(n);
                for (index, number) in self.shares[n as usize].locals.iter().enumerate() {
                    if *number != 0 {
                        let unique = self.unique_names.get(n as usize, index);
                        let name = unique.unwrap_or_else(|| object.symbol_name(index));
                        visit(name, What::Local(object, index));
                    }
                }
            }
            Part::Globals(n) => {
                let object = object_at(n);
                for index in &self.shares[n as usize].globals {
                    let index = *index as usize;
                    visit(source.global_name(object, index), What::Global(object, index));
                }
            }
            Part::Forced => {
                for forced in &self.forced {
                    visit(source.symbols.name(forced.id), What::Forced(*forced));
                }
            }
        }
    }

    /// An entry without its name, and the output section it is in.
    fn entry(&self, source: &Source, joined: &Joined, what: What) -> (Entry, Option<u32>) {
        match what {
            What::Local(object, index) => defined(object, joined, index, object.symbols[index].st_other),
            What::Global(object, index) => {
                let id = object.symbol_id(index);
                let symbol = &object.symbols[index];
                // The bits beside the visibility are the defining object's own.
                let other = symbol.st_other & !3 | source.selection.visibility(id);
                match source.selection.def(id).class() {
                    Class::Common => {
                        let (mut entry, place) = self.tentative_entry(id, symbol, other);
                        let is_data = matches!(entry.r#type, STT_COMMON | STT_OBJECT);
                        if let Some(as_common) = source.cx.config.z.common.filter(|_| is_data) {
                            entry.r#type = if as_common { STT_COMMON } else { STT_OBJECT };
                        }
                        (entry, place)
                    }
                    class @ (Class::Undefined | Class::UndefinedWeak) => {
                        let bind = if class == Class::Undefined { STB_GLOBAL } else { STB_WEAK };
                        let r#type =
                            if symbol.st_type() == STT_SECTION { STT_NOTYPE } else { symbol.st_type() };
                        let visibility = other;
                        (
                            Entry { name: 0, bind, r#type, visibility, shndx: SHN_UNDEF, value: 0, size: 0 },
                            None,
                        )
                    }
                    _ => defined(object, joined, index, other),
                }
            }
            What::Forced(forced) => {
                let visibility = source.selection.visibility(forced.id);
                let (bind, r#type) = (STB_GLOBAL, STT_NOTYPE);
                let value = forced.value.value;
                (
                    Entry { name: 0, bind, r#type, visibility, shndx: SHN_ABS, value, size: 0 },
                    forced.value.section,
                )
            }
        }
    }

    fn tentative_entry(&self, id: SymbolId, symbol: &Sym, visibility: u8) -> (Entry, Option<u32>) {
        let tentative = self.tentative.get(&id).copied();
        let Tentative { size, align, place } =
            tentative.unwrap_or(Tentative { size: 0, align: 1, place: None });
        let bind = symbol.st_bind();
        let r#type = symbol.st_type();
        let shndx = symbol.st_shndx.get(LE);
        match place {
            None => (Entry { name: 0, bind, r#type, visibility, shndx, value: align, size }, None),
            Some(place) => {
                let r#type = if r#type == STT_COMMON { STT_OBJECT } else { r#type };
                (
                    Entry { name: 0, bind, r#type, visibility, shndx, value: place.offset, size },
                    Some(place.output),
                )
            }
        }
    }
}

/// A symbol table entry on its way.
#[derive(Clone, Copy)]
enum What<'a> {
    Local(&'a Object, usize),
    Global(&'a Object, usize),
    Forced(Forced),
}

/// The entry of a symbol that its object defines, moved with its section.
fn defined(object: &Object, joined: &Joined, index: usize, visibility: u8) -> (Entry, Option<u32>) {
    let symbol = &object.symbols[index];
    let section = object.symbol_section(index) as usize;
    let place = (section != 0).then(|| joined.place(object, section));
    let offset = place.map_or(0, |place| place.offset);
    let entry = Entry {
        name: 0,
        bind: symbol.st_bind(),
        r#type: symbol.st_type(),
        visibility,
        shndx: symbol.st_shndx.get(LE),
        value: symbol.st_value.get(LE).wrapping_add(offset),
        size: symbol.st_size.get(LE),
    };
    (entry, place.map(|place| place.output))
}

/// A section header index for 16 bits; SHN_XINDEX says that it stands in SHT_SYMTAB_SHNDX.
fn short_index(header: u32) -> u16 {
    u16::try_from(header).ok().filter(|index| *index < SHN_LORESERVE).unwrap_or(SHN_XINDEX)
}
