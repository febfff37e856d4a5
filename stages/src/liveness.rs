//! Marks the input sections the output needs (`--gc-sections`).
//!
//! In: [`Selection`], [`Unwind`]. Out: [`LiveSet`], one flag an input section.
//! Not here: folding equal sections (`fold`); leaving out symbols (`chunks/symtab`).
//!
//! A section is live if a root names it or a live section relocates against it. Roots are the entry point and
//! what the command line asks to keep, exported symbols, sections that run or are found without being referred to
//! (`.init`, the arrays, notes, SHF_GNU_RETAIN, sections behind `__start_NAME`). Beyond relocations there are
//! three edges: code keeps its exception tables (through its FDEs) and their personality routines; a section keeps
//! those that follow it by SHF_LINK_ORDER; the members of a group keep each other.
//!
//! Without `--gc-sections` everything that belongs to a live file is live. Sections that are not loaded (debug
//! information) are always live and keep nothing.
//!
//! Invariants
//! - Flags are only set here, never cleared: the order of visits cannot change the result.
//! - A section that lost its COMDAT election is never live.
//!
//! Cost: one pass over the relocations of live sections.

mod why;

use crate::config::OutputKind;
use crate::context::Cx;
use crate::gdb_index;
use crate::intern::Symbols;
use crate::model::{Inputs, Object, Section, SectionId, SectionKind, SymbolId};
use crate::parse::{is_c_identifier, is_structural};
use crate::select::{Anchor, Provided, Selection};
use crate::unwind::Unwind;
use engine::{Distance, Walk};
use object::LittleEndian as LE;
use object::elf::{SHF_GNU_RETAIN, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_NOTE, SHT_PREINIT_ARRAY};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU8, Ordering};

/// What is known of a section: one byte, so that a reference to a section that is live already, as nearly all
/// are, costs no more than that byte.
mod state {
    /// Not for the output, whoever refers to it.
    pub const BARRED: u8 = 0;
    /// Nobody has referred to it so far.
    pub const WAITING: u8 = 1;
    /// In the output.
    pub const LIVE: u8 = 2;
    /// Not in the output: an equal section stands for it.
    pub const FOLDED: u8 = 3;
}

/// Which input sections reach the output.
#[derive(Debug)]
pub struct LiveSet {
    states: Vec<u8>,
    /// By [`SectionId`], or empty if nothing was folded: the twin that stands for the section.
    keepers: Vec<SectionId>,
}

impl LiveSet {
    /// Whether the bytes of a section are in the output.
    pub fn contains(&self, id: SectionId) -> bool {
        self.states[id.index()] == state::LIVE
    }
    /// Whether a section has an address: its bytes are in the output, or those of its twin.
    pub fn has_address(&self, id: SectionId) -> bool {
        self.states[id.index()] >= state::LIVE
    }
    /// Whether a twin stands for a section.
    pub fn is_folded(&self, id: SectionId) -> bool {
        self.states[id.index()] == state::FOLDED
    }
    /// The section whose bytes stand for a section: its twin, or itself.
    pub fn keeper(&self, id: SectionId) -> SectionId {
        if self.is_folded(id) { self.keepers[id.index()] } else { id }
    }
    /// Whether a twin stands for any section.
    pub fn has_folded(&self) -> bool {
        !self.keepers.is_empty()
    }
    /// The sections that twins stand for: (section, twin).
    pub fn folded(&self) -> impl Iterator<Item = (SectionId, SectionId)> + '_ {
        let pairs = self.keepers.iter().enumerate().map(|(n, keeper)| (SectionId(n as u32), *keeper));
        pairs.filter(|(_, keeper)| *keeper != SectionId::NONE)
    }
    /// Lets a twin stand for a section.
    pub(crate) fn fold(&mut self, section: SectionId, keeper: SectionId) {
        if self.keepers.is_empty() {
            self.keepers = vec![SectionId::NONE; self.states.len()];
        }
        self.states[section.index()] = state::FOLDED;
        self.keepers[section.index()] = keeper;
    }
    /// Leaves a section out after all.
    pub(crate) fn drop(&mut self, section: SectionId) {
        self.states[section.index()] = state::BARRED;
    }
}

/// Finds the live sections.
pub fn mark(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &Provided,
    selection: &Selection,
    unwind: &Unwind,
) -> LiveSet {
    // One more for symbols that are in no section.
    let states: Vec<AtomicU8> = (0..=inputs.section_bound).map(|_| AtomicU8::new(state::BARRED)).collect();
    let mut marking = Marking { cx, inputs, selection, unwind, states: &states, reached: Vec::new() };
    if cx.config.gc_sections {
        marking.run(symbols, provided);
        if cx.config.print_gc_sections {
            marking.report();
        }
        if !cx.config.why_live.is_empty() {
            why::explain(&marking, symbols, provided);
        }
    } else {
        marking.keep_all();
    }
    LiveSet { states: states.into_iter().map(AtomicU8::into_inner).collect(), keepers: Vec::new() }
}

/// A section on its way through the walk: position of its object, and its index.
type Place = (u32, u32);

struct Marking<'a> {
    cx: &'a Cx<'a>,
    inputs: &'a Inputs,
    selection: &'a Selection,
    unwind: &'a Unwind,
    states: &'a [AtomicU8],
    /// For each object, in the order of [`Selection::objects`]: the section each symbol is in, as an index into
    /// `states`. A walk jumps about: what it asks for again and again must be near, and one step away.
    reached: Vec<Box<[u32]>>,
}

/// References that are looked at together, so that their memory comes together.
const TOGETHER: usize = 16;

impl Marking<'_> {
    fn is_candidate(&self, object: &Object, index: usize, section: &Section) -> bool {
        section.kind != SectionKind::Ignored
            && !self.selection.discarded[object.section_id(index).index()]
            && !gdb_index::is_replaced(self.cx.config, object, index)
    }

    fn keep_all(&self) {
        self.cx.pool.for_each("liveness/keep", self.selection.objects.len(), 8, |i| {
            let object = self.inputs.object(self.selection.objects[i]);
            for (index, section) in object.sections.iter().enumerate() {
                if self.is_candidate(object, index, section) {
                    self.state(object.section_id(index)).store(state::LIVE, Ordering::Relaxed);
                }
            }
        });
    }

    fn object(&self, position: usize) -> &Object {
        self.inputs.object(self.selection.objects[position])
    }

    fn state(&self, id: SectionId) -> &AtomicU8 {
        &self.states[id.index()]
    }

    /// Makes a section live; true if it was not before and may be at all.
    #[inline]
    fn claim(&self, id: SectionId) -> bool {
        let state = self.state(id);
        state.load(Ordering::Relaxed) == state::WAITING
            && state.swap(state::LIVE, Ordering::Relaxed) == state::WAITING
    }

    fn run(&mut self, symbols: &Symbols, provided: &Provided) {
        let started = self.started(provided);
        let kept: Vec<Vec<Place>> =
            self.cx.pool.map("liveness/roots", self.selection.objects.len(), 16, |i| {
                let object = self.inputs.object(self.selection.objects[i]);
                let mut places = Vec::new();
                let found = found_outputs(object, &started);
                for (index, section) in object.sections.iter().enumerate() {
                    if !self.is_candidate(object, index, section) {
                        continue;
                    }
                    let is_root = !section.is_alloc() || is_kept(object, index, &found);
                    let known = if is_root { state::LIVE } else { state::WAITING };
                    self.state(object.section_id(index)).store(known, Ordering::Relaxed);
                    if is_root && section.is_alloc() {
                        places.push((i as u32, index as u32));
                    }
                }
                places
            });
        self.reached =
            self.cx.pool.map("liveness/reached", self.selection.objects.len(), 16, |i| self.reached_by(i));
        let mut roots = kept.concat();
        for (id, _) in self.root_symbols(symbols) {
            self.push_symbol(id, &mut |place| roots.push(place));
        }
        self.cx.pool.walk_ahead(
            "liveness/mark",
            roots,
            |place, distance| self.announce(*place, distance),
            |place, walk| self.visit(place, walk),
        );
    }

    /// The names of sections that are found through `__start_NAME` and `__stop_NAME`.
    fn started<'p>(&self, provided: &'p Provided) -> HashSet<&'p [u8]> {
        let starts = if self.cx.config.start_stop_gc { &[] } else { provided.list.as_slice() };
        let name = |p: &'p crate::select::Provision| match &p.anchor {
            Anchor::SectionStart(name) | Anchor::SectionEnd(name) if is_c_identifier(name) => Some(*name),
            _ => None,
        };
        starts.iter().filter_map(name).collect()
    }

    /// Entry point, command line, what `--defsym` expressions mention, and then exports, each with what makes it a root.
    fn root_symbols(&self, symbols: &Symbols) -> Vec<(SymbolId, &'static str)> {
        let config = self.cx.config;
        let default_entry: &[u8] = if config.kind == OutputKind::Relocatable { b"" } else { b"_start" };
        let entry = config.entry.as_deref().unwrap_or(default_entry);
        let mut named =
            vec![(entry, "entry point"), (&config.init, "init function"), (&config.fini, "fini function")];
        named.extend(config.undefined.iter().map(|name| (name.as_slice(), "--undefined")));
        named.extend(config.require_defined.iter().map(|name| (name.as_slice(), "--require-defined")));
        let mut roots: Vec<(SymbolId, &'static str)> =
            named.into_iter().filter_map(|(name, why)| Some((symbols.find(name)?, why))).collect();
        for (_, value) in &config.defsyms {
            value.for_each_symbol(&mut |name| roots.extend(symbols.find(name).map(|id| (id, "--defsym"))));
        }
        for (n, state) in self.selection.states.iter().enumerate() {
            let id = SymbolId(n as u32);
            let is_kept = || config.gc_keep_exported && self.is_visible(id);
            if state.is_exported() || is_kept() {
                roots.push((id, EXPORTED));
            }
        }
        roots
    }

    /// Whether other files could see a symbol if the output exported it.
    fn is_visible(&self, id: SymbolId) -> bool {
        matches!(self.selection.visibility(id), object::elf::STV_DEFAULT | object::elf::STV_PROTECTED)
    }

    fn push_symbol(&self, id: SymbolId, push: &mut impl FnMut(Place)) {
        let section = self.selection.section(id);
        if section != SectionId::NONE && self.claim(section) {
            self.push_definition(id, section, push);
        }
    }

    /// Asks for what the visit of a section will read. Its header was asked for by [`push_to`].
    fn announce(&self, (position, index): Place, distance: Distance) {
        let position = position as usize;
        let object = self.object(position);
        let relocations = object.relocations(&object.sections[index as usize]);
        match distance {
            Distance::Far => {
                engine::prefetch(relocations, 0);
                engine::prefetch(relocations, 3);
                self.unwind.objects[position].announce_index(index);
            }
            Distance::Near => {
                let reached = &self.reached[position];
                for relocation in relocations.iter().take(6) {
                    engine::prefetch(reached, relocation.r_sym(LE, false) as usize);
                }
                self.unwind.objects[position].announce_fdes(index);
            }
        }
    }

    fn visit(&self, (position, index): Place, walk: &mut Walk<Place>) {
        let position = position as usize;
        let object = self.object(position);
        let section = &object.sections[index as usize];
        if section.kind.is_unwind() {
            // Its records are followed from the code they describe.
            return;
        }
        let mut push = |place| walk.push(place);
        self.follow(object, position, object.relocations(section), &mut push);
        let unwind = &self.unwind.objects[position];
        for fde in unwind.fdes_of(index) {
            // The first relocation names the code itself.
            let others = unwind.relocations_of(&fde.record).get(1..).unwrap_or(&[]);
            self.follow(object, position, others, &mut push);
            let cie = &unwind.cies[fde.cie as usize];
            self.follow(object, position, unwind.relocations_of(cie), &mut push);
        }
        self.follow_companions(object, position, index, &mut push);
    }

    /// The sections that the symbols of the object at a position are in.
    fn reached_by(&self, position: usize) -> Box<[u32]> {
        let object = self.object(position);
        let nothing = self.inputs.section_bound as u32;
        let locals = (object.first_global as usize).min(object.symbols.len());
        let mut reached = Vec::with_capacity(object.symbols.len());
        reached.extend((0..locals).map(|symbol| match object.symbol_section(symbol) {
            0 => nothing,
            section => object.section_base + section,
        }));
        reached.extend(object.ids.iter().map(|id| self.selection.section(*id).0.min(nothing)));
        reached.into_boxed_slice()
    }

    /// Makes live what relocations refer to.
    fn follow(
        &self,
        object: &Object,
        position: usize,
        relocations: &[crate::elf::Rela],
        push: &mut impl FnMut(Place),
    ) {
        let reached = &self.reached[position];
        let nothing = self.inputs.section_bound as u32;
        for relocations in relocations.chunks(TOGETHER) {
            let mut sections = [nothing; TOGETHER];
            for (section, relocation) in sections.iter_mut().zip(relocations) {
                *section = reached.get(relocation.r_sym(LE, false) as usize).copied().unwrap_or(nothing);
            }
            let mut waiting = 0u32;
            for (n, section) in sections.iter().enumerate() {
                let state = self.states[*section as usize].load(Ordering::Relaxed);
                waiting |= u32::from(state == state::WAITING) << n;
            }
            while waiting != 0 {
                let n = waiting.trailing_zeros() as usize;
                waiting &= waiting - 1;
                let symbol = relocations[n].r_sym(LE, false) as usize;
                self.reach(object, position, SectionId(sections[n]), symbol, push);
            }
        }
    }

    /// Makes the section of a symbol live that an object refers to.
    fn reach(
        &self,
        object: &Object,
        position: usize,
        section: SectionId,
        symbol: usize,
        push: &mut impl FnMut(Place),
    ) {
        if !self.claim(section) {
            return;
        }
        let index = section.0.wrapping_sub(object.section_base);
        if (index as usize) < object.sections.len() {
            return push_to(object, position, index, push);
        }
        self.push_definition(object.symbol_id(symbol), section, push);
    }

    /// Puts the section that defines a global symbol on the way to its visit.
    fn push_definition(&self, id: SymbolId, section: SectionId, push: &mut impl FnMut(Place)) {
        if let Some(position) = self.selection.position(self.selection.def(id).file()) {
            let object = self.object(position);
            push_to(object, position, section.0 - object.section_base, push);
        }
    }

    /// Sections that follow this one by SHF_LINK_ORDER, and the other members of its group.
    fn follow_companions(&self, object: &Object, position: usize, index: u32, push: &mut impl FnMut(Place)) {
        for companion in object.companions_of(index) {
            if self.claim(object.section_id(companion as usize)) {
                push((position as u32, companion));
            }
        }
    }

    fn report(&self) {
        for id in &self.selection.objects {
            let object = self.inputs.object(*id);
            for (index, section) in object.sections.iter().enumerate() {
                let id = object.section_id(index);
                if section.is_alloc()
                    && self.is_candidate(object, index, section)
                    && !section.kind.is_unwind()
                    && self.state(id).load(Ordering::Relaxed) != state::LIVE
                {
                    let name = String::from_utf8_lossy(object.section_name(index)).into_owned();
                    self.cx.problems.say(format!("removing unused section {}:({name})", object.origin));
                }
            }
        }
    }
}

/// Puts a section on the way to its visit, and asks for its header and the one of its relocations, which mostly
/// follows.
fn push_to(object: &Object, position: usize, index: u32, push: &mut impl FnMut(Place)) {
    engine::prefetch(&object.sections, index as usize);
    engine::prefetch(&object.sections, index as usize + 1);
    push((position as u32, index));
}

/// What makes a symbol a root that other files may see.
const EXPORTED: &str = "exported";

/// Whether a section stays because of its type.
fn is_kept_type(object: &Object, index: usize) -> bool {
    match object.section_type(index) {
        SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY => true,
        SHT_NOTE => !object.sections[index].has(object::elf::SHF_GROUP),
        _ => false,
    }
}

/// Of each of the names of output sections that an object's sections ask for: whether such sections are found without
/// being referred to.
fn found_outputs(object: &Object, started: &HashSet<&[u8]>) -> Vec<bool> {
    let is_found = |name: &[u8]| is_structural(name) || is_c_identifier(name) && started.contains(name);
    object.outputs.iter().map(|output| is_found(output.name)).collect()
}

/// Whether a section stays although nothing refers to it; `found` is from [`found_outputs`].
fn is_kept(object: &Object, index: usize, found: &[bool]) -> bool {
    let section = &object.sections[index];
    found[usize::from(section.output)]
        || section.kind.is_unwind()
        || section.has(SHF_GNU_RETAIN)
        || section.kind == SectionKind::Typed && is_kept_type(object, index)
}
