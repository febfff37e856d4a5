//! What every symbol and section came to, in numbers.
//!
//! In: [`Layout`] (every address is known). Out: [`Addresses`]: the address of every input section and every
//! global symbol, and of the tables.

use crate::arch::target::{GOT_PLT_RESERVED, WORD, plt};
use crate::chunks::Chunk;
use crate::context::Cx;
use crate::image::HeaderIndex;
use crate::intern::Symbols;
use crate::layout::{Layout, Placement};
use crate::liveness::LiveSet;
use crate::merge::Merged;
use crate::model::{Inputs, Object, SectionId, SectionKind, SymbolId};
use crate::outputs::{Content, Member, Outputs};
use crate::report::Problem;
use crate::script::{Env, SectionFacts, Value};
use crate::select::{Anchor, Class, Provided, Selection, Traits};
use crate::tables::{NO_SLOT, PltPlace, Slots, SymbolRef, Tables};
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the parts are that other parts refer to; 0 where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bases {
    /// `.got`.
    pub got: u64,
    /// `.got.plt`.
    pub got_plt: u64,
    /// `.plt`.
    pub plt: u64,
    /// `.plt.sec`.
    pub plt_sec: u64,
    /// `.plt.got`.
    pub plt_got: u64,
    /// Copies of writable data.
    pub copies: u64,
    /// Copies of read-only data.
    pub read_only_copies: u64,
    /// Tentative definitions, by [`CommonPlace`].
    pub commons: [u64; 3],
    /// `.eh_frame`.
    pub eh_frame: u64,
    /// What PLT entries consist of.
    pub form: plt::Form,
    /// Size of the first entry of `.plt`, if there is one.
    pub plt_header: u64,
    /// Number of lazy PLT entries.
    pub lazy: u64,
}

/// All addresses.
#[derive(Debug)]
pub struct Addresses {
    /// By [`SectionId`]: the address (of one that is not loaded: the offset in its output section).
    pub sections: Vec<u64>,
    /// By [`SymbolId`].
    pub symbols: Vec<u64>,
    /// Section header index of the symbols the linker provides.
    pub provided_sections: Vec<(SymbolId, HeaderIndex)>,
    /// The tables.
    pub bases: Bases,
}

impl Bases {
    /// The address of a slot of `.got`.
    pub fn got_slot(&self, index: u32) -> u64 {
        self.got + u64::from(index) * WORD
    }
    /// The address of a slot of `.got.plt` for a PLT entry.
    pub fn got_plt_slot(&self, place: PltPlace) -> u64 {
        let index = match place {
            PltPlace::Lazy(n) => u64::from(n),
            PltPlace::Ifunc(n) => self.lazy + u64::from(n),
            PltPlace::Got(_) | PltPlace::None => 0,
        };
        self.got_plt + (GOT_PLT_RESERVED + index) * WORD
    }
    /// The address of a PLT entry.
    pub fn plt_entry(&self, place: PltPlace) -> u64 {
        match place {
            PltPlace::None => 0,
            PltPlace::Lazy(n) if self.form == plt::Form::Tracked => {
                self.plt_sec + u64::from(n) * plt::SECOND_ENTRY_SIZE
            }
            PltPlace::Lazy(n) => self.plt + self.plt_header + u64::from(n) * self.form.entry_size(),
            PltPlace::Ifunc(n) => {
                self.plt + self.plt_header + (self.lazy + u64::from(n)) * self.form.entry_size()
            }
            PltPlace::Got(n) => self.plt_got + u64::from(n) * self.form.got_entry_size(),
        }
    }
}

/// What [`resolve`] reads.
pub struct Resolving<'a> {
    /// The surroundings.
    pub cx: &'a Cx<'a>,
    /// The files.
    pub inputs: &'a Inputs,
    /// The names.
    pub symbols: &'a Symbols,
    /// Symbols of the linker's own.
    pub provided: &'a Provided,
    /// Definitions.
    pub selection: &'a Selection,
    /// What is in.
    pub live: &'a LiveSet,
    /// Slots.
    pub tables: &'a Tables,
    /// Merged loaded sections.
    pub loaded: &'a Merged,
    /// Merged other sections.
    pub debug: &'a Merged,
    /// Output sections.
    pub outputs: &'a Outputs,
    /// Their addresses.
    pub layout: &'a Layout,
    /// What PLT entries consist of.
    pub form: plt::Form,
}

/// Computes all addresses.
pub fn resolve(r: &Resolving) -> Addresses {
    let bases = find_bases(r);
    let sections = section_addresses(r, &bases);
    let mut addresses = Addresses { sections, symbols: Vec::new(), provided_sections: Vec::new(), bases };
    addresses.symbols = symbol_addresses(r, &addresses);
    provide(r, &mut addresses);
    addresses
}

fn find_bases(r: &Resolving) -> Bases {
    let mut bases = Bases {
        form: r.form,
        plt_header: r.form.header_size(!r.tables.lazy.is_empty()),
        lazy: r.tables.lazy.len() as u64,
        ..Bases::default()
    };
    for (section, place) in r.outputs.sections.iter().zip(&r.layout.placements) {
        for member in &section.members {
            let Content::Chunk(chunk) = member.content else { continue };
            let address = place.address + member.offset;
            match chunk {
                Chunk::Got => bases.got = address,
                Chunk::GotPlt => bases.got_plt = address,
                Chunk::Plt => bases.plt = address,
                Chunk::PltSec => bases.plt_sec = address,
                Chunk::PltGot => bases.plt_got = address,
                Chunk::Copies(false) => bases.copies = address,
                Chunk::Copies(true) => bases.read_only_copies = address,
                Chunk::Commons(place) => bases.commons[place as usize] = address,
                Chunk::EhFrame => bases.eh_frame = address,
                _ => {}
            }
        }
    }
    bases
}

/// Where the blocks of all objects start.
struct BlockAddresses {
    /// By position of an object: where its blocks begin in `addresses`.
    firsts: Vec<usize>,
    addresses: Vec<u64>,
}

fn block_addresses(r: &Resolving) -> BlockAddresses {
    let mut count = 0;
    let counted = r.outputs.objects.iter().map(|object| {
        count += object.blocks.len();
        count - object.blocks.len()
    });
    let firsts: Vec<usize> = counted.collect();
    let addresses: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(count).collect();
    let sections = r.outputs.sections.iter().zip(&r.layout.placements);
    let parts =
        sections.flat_map(|(section, place)| section.members.chunks(4096).map(|part| (place.address, part)));
    let parts: Vec<(u64, &[Member])> = parts.collect();
    r.cx.pool.for_each("layout/sections", parts.len(), 1, |n| {
        let (start, members) = parts[n];
        for member in members {
            if let Content::Sections(object, first, _) = member.content {
                let blocks = &r.outputs.objects[object as usize].blocks;
                let n = blocks.partition_point(|block| block.first < first);
                addresses[firsts[object as usize] + n].store(start + member.offset, Ordering::Relaxed);
            }
        }
    });
    let addresses = addresses.into_iter().map(AtomicU64::into_inner).collect();
    BlockAddresses { firsts, addresses }
}

fn section_addresses(r: &Resolving, bases: &Bases) -> Vec<u64> {
    let blocks = block_addresses(r);
    let mut all = vec![0u64; r.inputs.section_bound];
    let parts = split_by_objects(r, &mut all);
    let mut parts: Vec<(usize, &mut [u64])> = parts;
    r.cx.pool.for_each_mut("layout/sections", &mut parts, 16, |_, (position, part)| {
        let object = r.inputs.object(r.selection.objects[*position]);
        let gathered = &r.outputs.objects[*position];
        for (block, start) in gathered.blocks.iter().zip(&blocks.addresses[blocks.firsts[*position]..]) {
            for i in block.first as usize..(block.first + block.count) as usize {
                part[gathered.order[i] as usize] = start + gathered.inner[i];
            }
        }
        for index in object.taken_apart.iter().map(|index| *index as usize) {
            match object.sections[index].kind {
                SectionKind::EhFrame => part[index] = bases.eh_frame,
                SectionKind::Merge => part[index] = merged_address(r, object, index, 0),
                _ => {}
            }
        }
    });
    if r.live.has_folded() {
        r.live.folded().for_each(|(section, keeper)| all[section.index()] = all[keeper.index()]);
    }
    all
}

/// Disjoint parts of an array over all sections, one a live object.
fn split_by_objects<'v>(r: &Resolving, mut all: &'v mut [u64]) -> Vec<(usize, &'v mut [u64])> {
    let mut parts = Vec::with_capacity(r.selection.objects.len());
    let mut start = 0usize;
    for (position, id) in r.selection.objects.iter().enumerate() {
        let object = r.inputs.object(*id);
        let base = object.section_base as usize;
        let (_, rest) = std::mem::take(&mut all).split_at_mut(base - start);
        let (part, rest) = rest.split_at_mut(object.sections.len());
        parts.push((position, part));
        all = rest;
        start = base + object.sections.len();
    }
    parts
}

/// Where an offset into a merged section is; 0 if the section is not in the output.
fn merged_address(r: &Resolving, object: &Object, section: usize, offset: u64) -> u64 {
    let is_alloc = object.sections[section].is_alloc();
    let (merged, outputs) =
        if is_alloc { (r.loaded, &r.outputs.loaded_pools) } else { (r.debug, &r.outputs.debug_pools) };
    let Some(member) = merged.member(object, section) else { return 0 };
    let pool = merged.pool_of(member);
    let start = pool_address(r.outputs, r.layout, outputs[pool], is_alloc, pool as u32);
    start + merged.offset(member, offset)
}

/// The address of a pool (of one that is not loaded: the offset in its output section).
pub fn pool_address(outputs: &Outputs, layout: &Layout, output: u32, is_loaded: bool, pool: u32) -> u64 {
    let section = &outputs.sections[output as usize];
    let member = section.members.iter().rfind(|m| m.content == Content::Pool(is_loaded, pool));
    layout.placements[output as usize].address + member.map_or(0, |m| m.offset)
}

fn symbol_addresses(r: &Resolving, addresses: &Addresses) -> Vec<u64> {
    const STEP: usize = 1 << 12;
    let symbols = r.selection.defs.len();
    r.cx.pool.map("layout/symbols", symbols, STEP, |n| symbol_address(r, addresses, SymbolId(n as u32)))
}

fn symbol_address(r: &Resolving, addresses: &Addresses, id: SymbolId) -> u64 {
    let def = r.selection.def(id);
    let bases = &addresses.bases;
    let slots = |id| r.tables.slots(SymbolRef::Global(id)).copied().unwrap_or_default();
    match def.class() {
        Class::Strong | Class::Weak => {
            let defined = r.selection.defined.get(id);
            if defined.traits.has(Traits::IFUNC) {
                let place = slots(id).plt;
                if matches!(place, PltPlace::Ifunc(_)) {
                    return bases.plt_entry(place);
                }
            }
            if defined.section == SectionId::NONE {
                return defined.value;
            }
            if defined.traits.has(Traits::MERGED) {
                let object = r.inputs.object(def.file());
                let index = (defined.section.0 - object.section_base) as usize;
                return merged_address(r, object, index, defined.value);
            }
            addresses.sections[defined.section.index()].wrapping_add(defined.value)
        }
        Class::Common => match r.tables.common(id) {
            Some(common) => bases.commons[common.place as usize] + common.offset,
            None => 0,
        },
        Class::Shared => imported_address(r.tables, bases, &slots(id)),
        Class::Undefined | Class::UndefinedWeak => {
            let slots = slots(id);
            if slots.is_canonical { bases.plt_entry(slots.plt) } else { 0 }
        }
        _ => 0,
    }
}

/// The address an executable gives to another module's symbol: its copy, its canonical PLT entry, or none.
fn imported_address(tables: &Tables, bases: &Bases, slots: &Slots) -> u64 {
    if slots.copy != NO_SLOT {
        let copy = &tables.copies[slots.copy as usize];
        let base = if copy.is_read_only { bases.read_only_copies } else { bases.copies };
        return base + copy.offset;
    }
    if slots.is_canonical { bases.plt_entry(slots.plt) } else { 0 }
}

/// Computes the symbols the linker provides.
fn provide(r: &Resolving, addresses: &mut Addresses) {
    let mut done = Vec::new();
    for (index, provision) in r.provided.list.iter().enumerate() {
        let def = r.selection.def(provision.id);
        let is_mine = matches!(def.class(), Class::Forced | Class::Provided) && def.index() as usize == index;
        // Of several assignments to one name the last one counts, as in a script.
        let is_forced = provision.is_forced && def.class() == Class::Forced;
        if !is_mine && !is_forced {
            continue;
        }
        let (value, section) = match &provision.anchor {
            Anchor::Expr(_) => continue,
            anchor => anchor_address(r, anchor),
        };
        addresses.symbols[provision.id.index()] = value;
        done.push((provision.id, section));
    }
    let evaluation = Evaluation { r, addresses, pending: RefCell::new(HashSet::new()) };
    let mut results = Vec::new();
    for provision in &r.provided.list {
        let Anchor::Expr(value) = &provision.anchor else { continue };
        if !matches!(r.selection.def(provision.id).class(), Class::Forced | Class::Provided) {
            continue;
        }
        match value.eval(&evaluation) {
            Ok(value) => {
                let section = value.section.map_or(HeaderIndex::ABSOLUTE, |s| header_of(r, s as usize));
                results.push((provision.id, value.value, section));
            }
            Err(error) => {
                let name = String::from_utf8_lossy(r.symbols.name(provision.id)).into_owned();
                r.cx.problems.push(Problem::error(format!("cannot evaluate the value of {name}: {error}")));
            }
        }
    }
    for (id, value, section) in results {
        addresses.symbols[id.index()] = value;
        done.push((id, section));
    }
    addresses.provided_sections = done;
}

fn header_of(r: &Resolving, position: usize) -> HeaderIndex {
    HeaderIndex(r.layout.placements[position].index)
}

fn position_of(r: &Resolving, name: &[u8]) -> Option<usize> {
    r.outputs.sections.iter().position(|s| s.name == name && s.has(SHF_ALLOC))
}

/// Address and section header index of an anchor.
fn anchor_address(r: &Resolving, anchor: &Anchor) -> (u64, HeaderIndex) {
    let start_of = |name: &[u8]| position_of(r, name).map(|i| (r.layout.placements[i].address, i));
    let with_index = |found: Option<(u64, usize)>| {
        found.map_or((0, HeaderIndex::ABSOLUTE), |(value, i)| (value, header_of(r, i)))
    };
    let end_of_last = |wanted: &dyn Fn(&crate::outputs::OutputSection) -> bool| {
        let mut best: Option<(u64, usize)> = None;
        for (i, section) in r.outputs.sections.iter().enumerate() {
            if section.has(SHF_ALLOC)
                && wanted(section)
                && !(section.has(SHF_TLS) && section.sh_type == SHT_NOBITS)
            {
                let end = r.layout.placements[i].address + section.size;
                if best.is_none_or(|(value, _)| end > value) {
                    best = Some((end, i));
                }
            }
        }
        best
    };
    // With -N and -n the headers stand in front of the first segment.
    let first_load = r.layout.segments.iter().find(|s| s.p_type == object::elf::PT_LOAD);
    let image_base = first_load.map_or(0, |s| s.address.wrapping_sub(s.offset));
    let first_section = r.layout.order.first().map_or(HeaderIndex::ABSOLUTE, |i| header_of(r, *i as usize));
    match anchor {
        Anchor::SectionStart(name) => match start_of(name) {
            Some((address, i)) => (address, header_of(r, i)),
            // Start and end of a section that is not there are equal; any loaded address will do.
            None => (image_base, first_section),
        },
        Anchor::SectionEnd(name) => match start_of(name) {
            Some((address, i)) => (address + r.outputs.sections[i].size, header_of(r, i)),
            None => (image_base, first_section),
        },
        Anchor::ImageBase => (image_base, first_section),
        Anchor::TextEnd => with_index(end_of_last(&|s| s.has(SHF_EXECINSTR))),
        Anchor::DataEnd => with_index(
            end_of_last(&|s| s.has(SHF_WRITE) && s.sh_type != SHT_NOBITS).or_else(|| end_of_last(&|_| true)),
        ),
        Anchor::BssStart => match start_of(b".bss") {
            Some((address, i)) => (address, header_of(r, i)),
            None => with_index(end_of_last(&|s| s.has(SHF_WRITE) && s.sh_type != SHT_NOBITS)),
        },
        Anchor::ImageEnd => with_index(end_of_last(&|_| true)),
        Anchor::Dynamic => with_index(start_of(b".dynamic")),
        Anchor::GotBase => with_index(start_of(b".got.plt").or_else(|| start_of(b".got"))),
        Anchor::EhFrameHdr => with_index(start_of(b".eh_frame_hdr")),
        Anchor::IrelativeStart | Anchor::IrelativeEnd => {
            let form = crate::chunks::Form::of(r.cx.config);
            let Some((address, i)) = start_of(form.plt) else { return (image_base, first_section) };
            let size = r.outputs.sections[i].size;
            let ifuncs = r.tables.ifuncs.len() as u64 * form.entry;
            // What relocates itself finds these relocations by DT_JMPREL, and must not apply them twice.
            let is_empty = r.cx.config.is_pic();
            let start = if is_empty { address + size } else { address + size - ifuncs };
            let value = if *anchor == Anchor::IrelativeStart { start } else { address + size };
            (value, header_of(r, i))
        }
        Anchor::TlsModuleBase => (r.layout.tls_start(), first_section),
        Anchor::Expr(_) => (0, HeaderIndex::ABSOLUTE),
    }
}

/// What expressions see.
struct Evaluation<'a> {
    r: &'a Resolving<'a>,
    addresses: &'a Addresses,
    pending: RefCell<HashSet<SymbolId>>,
}

impl Evaluation<'_> {
    fn section_at(&self, id: SymbolId) -> Option<u32> {
        let section = self.r.selection.section(id);
        if section == SectionId::NONE {
            return None;
        }
        let address = self.addresses.symbols[id.index()];
        let placed = self.r.outputs.sections.iter().zip(&self.r.layout.placements);
        placed
            .enumerate()
            .find(|(_, (s, p))| s.has(SHF_ALLOC) && p.address <= address && address <= p.address + s.size)
            .map(|(i, _)| i as u32)
    }
}

impl Env for Evaluation<'_> {
    type Section = u32;

    fn symbol(&self, name: &[u8]) -> Option<Value<u32>> {
        let id = self.r.symbols.find(name)?;
        let def = self.r.selection.def(id);
        if def.is_undefined() {
            return None;
        }
        if matches!(def.class(), Class::Forced | Class::Provided)
            && let Anchor::Expr(value) = &self.r.provided.list[def.index() as usize].anchor
        {
            if !self.pending.borrow_mut().insert(id) {
                return None;
            }
            let value = value.eval(self);
            self.pending.borrow_mut().remove(&id);
            return value.ok();
        }
        let address = self.addresses.symbols[id.index()];
        Some(match self.section_at(id) {
            Some(section) => Value::relative(address, section),
            None if def.class() == Class::Provided => Value::relative(address, 0),
            None => Value::absolute(address),
        })
    }

    fn section(&self, name: &[u8]) -> Option<SectionFacts<u32>> {
        let position = position_of(self.r, name)?;
        let Placement { address, .. } = self.r.layout.placements[position];
        let section = &self.r.outputs.sections[position];
        Some(SectionFacts {
            section: position as u32,
            address,
            load_address: address,
            size: section.size,
            alignment: 1 << section.align_log2,
        })
    }
}
