//! Gives every symbol that needs them its slots in the GOT and the PLT, its copy, its common storage.
//!
//! In: [`Scan`]. Out: [`Tables`]: the contents of `.got`, `.got.plt`, `.plt` as lists of what stands in each slot,
//! and for each symbol where its slots are.
//!
//! Slots are handed out in the order of definitions ([`crate::select::Def`]), local symbols behind global ones in
//! the order of their files, so the tables do not depend on the order in which needs were found.

use crate::arch::target::{GOT_PLT_RESERVED, Need, plan::Facts};
use crate::config::CommonSort;
use crate::context::Cx;
use crate::elf::SHN_X86_64_LCOMMON;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, SymbolId};
use crate::report::Problem;
use crate::scan::Scan;
use crate::select::{Class, Def, Selection, is_common};
use object::LittleEndian as LE;
use object::elf::{STT_TLS, STV_PROTECTED};
use std::collections::HashMap;

/// A symbol, global or local to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SymbolRef {
    /// A global one.
    Global(SymbolId),
    /// A local one: position in [`Selection::objects`] and index in the symbol table.
    Local(u32, u32),
}

/// What stands in a slot of `.got`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GotSlot {
    /// The symbol's address.
    Address(SymbolRef),
    /// Its offset from the thread pointer.
    ThreadOffset(SymbolRef),
    /// The module it is in; [`GotSlot::ModuleOffset`] follows.
    Module(SymbolRef),
    /// Its offset in the module's TLS block.
    ModuleOffset(SymbolRef),
    /// This module; [`GotSlot::Zero`] follows.
    ThisModule,
    /// A constant 0.
    Zero,
    /// First half of a TLS descriptor; [`GotSlot::Zero`] follows.
    Descriptor(SymbolRef),
}

/// No slot.
pub const NO_SLOT: u32 = u32::MAX;

/// Where a symbol's PLT entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PltPlace {
    /// It has none.
    #[default]
    None,
    /// The nth lazily bound entry of `.plt`, jumping through a slot of `.got.plt`.
    Lazy(u32),
    /// The nth entry of `.plt.got`, jumping through its slot of `.got`.
    Got(u32),
    /// The nth entry for an IFUNC, behind the lazily bound ones.
    Ifunc(u32),
}

/// The slots of one symbol.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// In `.got`: address.
    pub got: u32,
    /// In `.got`: thread pointer offset.
    pub got_tp: u32,
    /// In `.got`: first of a (module, offset) pair.
    pub general_dynamic: u32,
    /// In `.got`: first of a descriptor.
    pub descriptor: u32,
    /// PLT entry.
    pub plt: PltPlace,
    /// The PLT entry is the function's address.
    pub is_canonical: bool,
    /// Index in [`Tables::copies`].
    pub copy: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Slots {
            got: NO_SLOT,
            got_tp: NO_SLOT,
            general_dynamic: NO_SLOT,
            descriptor: NO_SLOT,
            plt: PltPlace::None,
            is_canonical: false,
            copy: NO_SLOT,
        }
    }
}

/// Data of a shared object that the executable holds for everybody (R_*_COPY).
#[derive(Debug, Clone)]
pub struct Copy {
    /// The symbol the relocation names.
    pub symbol: SymbolId,
    /// All names of the data, in `symbol`'s file.
    pub aliases: Vec<SymbolId>,
    /// Bytes.
    pub size: u64,
    /// log2 of the alignment.
    pub align_log2: u8,
    /// Read-only in the shared object: goes where RELRO protects it.
    pub is_read_only: bool,
    /// Offset in its chunk.
    pub offset: u64,
}

/// Storage for a tentative definition.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// The symbol.
    pub symbol: SymbolId,
    /// Bytes: the largest any object asks for.
    pub size: u64,
    /// log2 of the strictest alignment any object asks for.
    pub align_log2: u8,
    /// Thread-local, or of the large code model, or plain.
    pub place: CommonPlace,
    /// Offset in its chunk.
    pub offset: u64,
}

/// Which output section a tentative definition goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonPlace {
    /// `.bss`
    Bss,
    /// `.tbss`
    Tbss,
    /// `.lbss`
    Lbss,
}

/// All slots.
#[derive(Debug, Default)]
pub struct Tables {
    /// `.got`.
    pub got: Vec<GotSlot>,
    /// The jump slots of `.got.plt`, behind the reserved ones; entry n belongs to the nth lazy PLT entry.
    pub lazy: Vec<SymbolRef>,
    /// `.plt.got`.
    pub plt_got: Vec<SymbolRef>,
    /// IFUNC entries of `.plt` with their slots of `.got.plt`, behind the lazy ones.
    pub ifuncs: Vec<SymbolRef>,
    /// Copy relocations.
    pub copies: Vec<Copy>,
    /// Tentative definitions.
    pub commons: Vec<Common>,
    /// First of this module's pair of slots in `.got`.
    pub local_dynamic: u32,
    /// `.got.plt` must exist.
    pub needs_got_base: bool,
    slots: Vec<Slots>,
    global: Vec<u32>,
    /// By position of the object: the local symbols that have slots, ascending, and which.
    local: Vec<Vec<(u32, u32)>>,
    common_of: HashMap<SymbolId, u32>,
}

impl Tables {
    /// The slots of a symbol.
    pub fn slots(&self, symbol: SymbolRef) -> Option<&Slots> {
        let index = match symbol {
            SymbolRef::Global(id) => *self.global.get(id.index())?,
            SymbolRef::Local(object, symbol) => {
                let list = self.local.get(object as usize)?;
                list[list.binary_search_by_key(&symbol, |(symbol, _)| *symbol).ok()?].1
            }
        };
        self.slots.get(index as usize)
    }
    /// The storage of a tentative definition.
    pub fn common(&self, symbol: SymbolId) -> Option<&Common> {
        self.common_of.get(&symbol).map(|index| &self.commons[*index as usize])
    }
    /// Slots of `.got.plt`, reserved ones included.
    pub fn got_plt_len(&self) -> u64 {
        GOT_PLT_RESERVED + (self.lazy.len() + self.ifuncs.len()) as u64
    }
    /// Whether `.got.plt` exists.
    pub fn has_got_plt(&self) -> bool {
        self.needs_got_base || !self.lazy.is_empty() || !self.ifuncs.is_empty()
    }
}

/// Hands out all slots.
pub fn assign(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, scan: &Scan) -> Tables {
    let mut tables = Tables {
        local_dynamic: NO_SLOT,
        needs_got_base: scan.module.has(Need::GOT_BASE) || names_got(symbols, selection),
        global: vec![NO_SLOT; selection.defs.len()],
        ..Tables::default()
    };
    let needy =
        (0..scan.needs.len() as u32).map(SymbolId).filter(|id| scan.needs[id.index()] != Need::NOTHING);
    let needy = in_order(selection, symbols, needy);
    let locals: usize = scan.objects.iter().map(|object| object.locals.len()).sum();
    tables.slots.reserve_exact(needy.len() + locals);
    tables.got.reserve(needy.len() + locals);
    for id in needy {
        let need = scan.needs[id.index()];
        let slots = tables.take_slots(SymbolRef::Global(id), need, scan.facts.get(id));
        tables.global[id.index()] = tables.slots.len() as u32;
        tables.slots.push(slots);
        if need.has(Need::COPY) {
            tables.copy(cx, inputs, symbols, selection, id);
        }
    }
    for (position, object) in scan.objects.iter().enumerate() {
        let mut list = Vec::with_capacity(object.locals.len());
        for (symbol, need) in &object.locals {
            let file = inputs.object(selection.objects[position]);
            let facts = crate::scan::local_facts(file, *symbol as usize, |_| true);
            let slots = tables.take_slots(SymbolRef::Local(position as u32, *symbol), *need, facts);
            list.push((*symbol, tables.slots.len() as u32));
            tables.slots.push(slots);
        }
        tables.local.push(list);
    }
    if scan.module.has(Need::TLS_LD) {
        tables.local_dynamic = tables.got.len() as u32;
        tables.got.extend([GotSlot::ThisModule, GotSlot::Zero]);
    }
    tables.gather_commons(cx, inputs, symbols, selection);
    tables
}

/// Symbols in the order of their definitions, which does not depend on how they came by their numbers.
pub fn in_order(
    selection: &Selection,
    symbols: &Symbols,
    ids: impl Iterator<Item = SymbolId>,
) -> Vec<SymbolId> {
    let mut keyed: Vec<(Def, SymbolId)> = ids.map(|id| (selection.def(id), id)).collect();
    keyed.sort_unstable_by_key(|(def, _)| *def);
    // Two names of one definition (plain and versioned) are told apart by the name.
    for equal in keyed.chunk_by_mut(|(a, _), (b, _)| a == b).filter(|run| run.len() > 1) {
        equal.sort_unstable_by_key(|(_, id)| symbols.name(*id));
    }
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// `--sort-common` tells alignments of 1, 2, 4, 8 and of 16 or more apart (GNU ld manual).
fn sort_commons(sort: CommonSort, commons: &mut [Common]) {
    let class = |common: &Common| common.align_log2.min(4);
    match sort {
        CommonSort::None => {}
        CommonSort::Ascending => commons.sort_by_key(class),
        CommonSort::Descending => commons.sort_by_key(|common| std::cmp::Reverse(class(common))),
    }
}

/// Whether an object names the GOT.
fn names_got(symbols: &Symbols, selection: &Selection) -> bool {
    symbols.find(b"_GLOBAL_OFFSET_TABLE_").is_some_and(|id| selection.def(id).class() == Class::Provided)
}

impl Tables {
    fn take_slots(&mut self, symbol: SymbolRef, need: Need, facts: Facts) -> Slots {
        let mut slots = Slots::default();
        let is_ifunc = facts.has(Facts::IFUNC);
        if need.has(Need::GOT) {
            slots.got = self.take_got(&[GotSlot::Address(symbol)]);
        }
        if need.has(Need::GOT_TP) {
            slots.got_tp = self.take_got(&[GotSlot::ThreadOffset(symbol)]);
        }
        if need.has(Need::TLS_GD) {
            slots.general_dynamic = self.take_got(&[GotSlot::Module(symbol), GotSlot::ModuleOffset(symbol)]);
        }
        if need.has(Need::TLS_DESC) {
            slots.descriptor = self.take_got(&[GotSlot::Descriptor(symbol), GotSlot::Zero]);
        }
        slots.is_canonical = need.has(Need::CANONICAL_PLT);
        // With `-z ifunc-noplt` the loader may be all that needs it.
        if is_ifunc && need != Need::DYNAMIC_SYMBOL {
            // The address of an IFUNC is its PLT entry, whoever asks for it.
            slots.plt = PltPlace::Ifunc(self.ifuncs.len() as u32);
            self.ifuncs.push(symbol);
        } else if need.has(Need::PLT) {
            // A slot of `.got` is filled at start-up, so the entry can use it instead of a lazy one; but the slot of
            // a canonical entry holds the entry's own address.
            if slots.got != NO_SLOT && !slots.is_canonical {
                slots.plt = PltPlace::Got(self.plt_got.len() as u32);
                self.plt_got.push(symbol);
            } else {
                slots.plt = PltPlace::Lazy(self.lazy.len() as u32);
                self.lazy.push(symbol);
            }
        }
        slots
    }

    fn take_got(&mut self, entries: &[GotSlot]) -> u32 {
        let first = self.got.len() as u32;
        self.got.extend_from_slice(entries);
        first
    }

    /// Reserves room for a shared object's data, for all its names at once.
    fn copy(&mut self, cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, id: SymbolId) {
        let slot = self.global[id.index()] as usize;
        if self.slots[slot].copy != NO_SLOT {
            return;
        }
        let def = selection.def(id);
        let File::Shared(shared) = &inputs.files[def.file().index()] else { return };
        let entry = &shared.symbols[def.index() as usize];
        let value = entry.st_value.get(LE);
        let name = cx.symbol_text(symbols.name(id));
        let may_differ = cx.config.folding.ignore_data_address_equality;
        if entry.st_visibility() == STV_PROTECTED && !may_differ {
            cx.problems.push(
                Problem::error(format!("cannot preempt symbol: {name}"))
                    .note(format!("{} defines it as protected", shared.origin))
                    .note("the program addresses it directly: recompile the program with -fPIC")
                    .at(shared.id.0, def.index().into()),
            );
            return;
        }
        let size = entry.st_size.get(LE);
        if size == 0 {
            cx.problems.push(
                Problem::error(format!("cannot create a copy relocation for symbol {name}: its size is 0"))
                    .note(format!("defined in {}", shared.origin))
                    .note("recompile the program with -fPIC")
                    .at(shared.id.0, def.index().into()),
            );
            return;
        }
        let section = shared
            .sections
            .iter()
            .find(|s| s.address <= value && value < s.address.saturating_add(s.size.max(1)));
        let align_log2 = section.map_or(4, |s| s.align_log2).min(value.trailing_zeros() as u8).min(16);
        let index = self.copies.len() as u32;
        let aliases: Vec<SymbolId> = shared
            .defined
            .iter()
            .filter(|s| s.id != SymbolId::NONE && selection.def(s.id).file() == shared.id)
            .filter(|s| {
                let other = &shared.symbols[s.index as usize];
                other.st_value.get(LE) == value && other.st_shndx.get(LE) == entry.st_shndx.get(LE)
            })
            .map(|s| s.id)
            .collect();
        for alias in &aliases {
            if self.global[alias.index()] == NO_SLOT {
                self.global[alias.index()] = self.slots.len() as u32;
                self.slots.push(Slots::default());
            }
            self.slots[self.global[alias.index()] as usize].copy = index;
        }
        self.slots[slot].copy = index;
        let is_read_only = section.is_some_and(|s| !s.writable);
        let mut offset = 0;
        for other in self.copies.iter().filter(|c| c.is_read_only == is_read_only) {
            offset = offset.max(other.offset + other.size);
        }
        let offset = offset.next_multiple_of(1 << align_log2);
        self.copies.push(Copy { symbol: id, aliases, size, align_log2, is_read_only, offset });
    }

    /// Finds size and alignment of tentative definitions over all live objects.
    fn gather_commons(&mut self, cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) {
        if !selection.defs.iter().any(|def| def.class() == Class::Common) {
            return;
        }
        let mut found: HashMap<SymbolId, Common> = HashMap::new();
        for file in &selection.objects {
            self.gather_commons_of(inputs, selection, *file, &mut found);
        }
        let mut commons: Vec<Common> = found.into_values().collect();
        commons.sort_unstable_by_key(|c| (selection.def(c.symbol), symbols.name(c.symbol)));
        sort_commons(cx.config.ordering.sort_common, &mut commons);
        let mut ends = [0u64; 3];
        for common in &mut commons {
            let end = &mut ends[common.place as usize];
            common.offset = end.next_multiple_of(1 << common.align_log2);
            *end = common.offset + common.size;
        }
        self.common_of = commons.iter().enumerate().map(|(i, c)| (c.symbol, i as u32)).collect();
        self.commons = commons;
    }

    fn gather_commons_of(
        &self,
        inputs: &Inputs,
        selection: &Selection,
        file: FileId,
        found: &mut HashMap<SymbolId, Common>,
    ) {
        let object = inputs.object(file);
        for (n, entry) in object.symbols[object.first_global as usize..].iter().enumerate() {
            let id = object.ids[n];
            if !is_common(entry) || selection.def(id).class() != Class::Common {
                continue;
            }
            let align = entry.st_value.get(LE).max(1);
            let align_log2 = if align.is_power_of_two() { align.trailing_zeros() as u8 } else { 4 };
            let place = if entry.st_type() == STT_TLS {
                CommonPlace::Tbss
            } else if entry.st_shndx.get(LE) == SHN_X86_64_LCOMMON {
                CommonPlace::Lbss
            } else {
                CommonPlace::Bss
            };
            let size = entry.st_size.get(LE);
            let common = found.entry(id).or_insert(Common { symbol: id, size, align_log2, place, offset: 0 });
            common.size = common.size.max(size);
            common.align_log2 = common.align_log2.max(align_log2);
        }
    }

    /// Size and alignment (log2) of the storage for tentative definitions in one place.
    pub fn common_extent(&self, place: CommonPlace) -> (u64, u8) {
        self.commons
            .iter()
            .filter(|c| c.place == place)
            .fold((0, 0), |(size, align), c| (size.max(c.offset + c.size), align.max(c.align_log2)))
    }

    /// Size and alignment (log2) of the storage for copies.
    pub fn copy_extent(&self, is_read_only: bool) -> (u64, u8) {
        self.copies
            .iter()
            .filter(|c| c.is_read_only == is_read_only)
            .fold((0, 0), |(size, align), c| (size.max(c.offset + c.size), align.max(c.align_log2)))
    }
}
