//! Decides which files and which of their definitions take part.
//!
//! In: [`Inputs`] and [`Symbols`] (every name is known). Out: [`Selection`]: the live files, one definition a
//! symbol, which sections lost their COMDAT election, and the visibility and references every symbol collected.
//!
//! Resolution is a minimum: a definition is one `u64` ([`Def`]) that orders by class first (strong before
//! common before weak …), then by the file's place on the command line, then by place in the file. Every
//! worker lowers `best[symbol]` with an atomic minimum, so the outcome does not depend on who comes first.
//!
//! It takes two passes. The first one takes archive members into account as if they were there already, to
//! learn who *would* define each name; from the files that are linked unconditionally a graph walk then follows
//! undefined references into archives and `--as-needed` libraries (`extract`). Only then are the sections of archive
//! members read. The second pass starts
//! afresh with the files that are in, after the COMDAT election among them (`comdat`), because a member that
//! stayed out must not leave traces.
//!
//! Order does not matter between archives and the objects that need them (as in lld and mold, a superset of
//! what links with GNU ld); among several archives that define a name the first one wins.
//!
//! Not here: errors about undefined names, which need to know where they are used (`scan`).

mod comdat;
mod def;
mod discard;
mod defined;
mod duplicates;
mod exports;
mod extract;
mod provided;
mod versions;

pub use def::{Class, Def};
pub use defined::{Defined, Definitions, Traits};
pub use exports::{SymbolState, is_dynamic};
pub(crate) use extract::needs;
pub use provided::{Anchor, Assignment, Provided, Provision, provide};
pub use versions::{VERSION_GLOBAL, VERSION_HIDDEN, VERSION_LOCAL, VersionDefinition, VersionTable};

use crate::config::{Config, OutputKind};
use crate::context::Cx;
use crate::elf::Sym;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, Object, SectionId, SymbolId};
use crate::parse;
use crate::report::{Failed, Problem};
use object::LittleEndian as LE;
use object::elf::{SHN_COMMON, SHN_UNDEF, STB_WEAK, STV_HIDDEN, STV_INTERNAL, STV_PROTECTED};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What is known of a symbol besides its definition; bits of [`Selection::references`].
pub mod seen {
    /// A live object needs it (not weakly).
    pub const STRONG: u8 = 1;
    /// A live object needs it weakly.
    pub const WEAK: u8 = 2;
    /// A shared object defines or needs it.
    pub const SHARED: u8 = 4;
    /// Some live object gives it STV_PROTECTED.
    pub const PROTECTED: u8 = 8;
    /// Some live object gives it STV_HIDDEN.
    pub const HIDDEN: u8 = 16;
    /// Some live object gives it STV_INTERNAL.
    pub const INTERNAL: u8 = 32;
    /// A shared object that is needed *needs* it (does not only define it).
    pub const NEEDED_BY_SHARED: u8 = 64;
}

/// What takes part in the link.
#[derive(Debug)]
pub struct Selection {
    /// By [`FileId`].
    pub live: Vec<bool>,
    /// The live objects, ascending.
    pub objects: Vec<FileId>,
    /// By [`FileId`]: where a live object stands in `objects`, or `u32::MAX`.
    positions: Vec<u32>,
    /// The shared objects that get a DT_NEEDED, ascending.
    pub shared: Vec<FileId>,
    /// By [`SymbolId`].
    pub defs: Vec<Def>,
    /// By [`SymbolId`]: bits of [`seen`].
    pub references: Vec<u8>,
    /// By [`SectionId`]: the section lost a COMDAT election.
    pub discarded: Vec<bool>,
    /// By [`SymbolId`]: exported, imported, preemptible.
    pub states: Vec<SymbolState>,
    /// By [`SymbolId`]: version index for `.gnu.version`; see [`VersionTable`].
    pub versions: Vec<u16>,
    /// The version definitions of the output.
    pub version_table: VersionTable,
    /// By [`SymbolId`]: where and as what it is defined.
    pub defined: Definitions,
}

impl Selection {
    /// The definition of a symbol.
    pub fn def(&self, id: SymbolId) -> Def {
        self.defs[id.index()]
    }
    /// Where a live object stands in [`Selection::objects`].
    pub fn position(&self, file: FileId) -> Option<usize> {
        self.positions.get(file.index()).filter(|position| **position != u32::MAX).map(|p| *p as usize)
    }
    /// Whether `--discard-section` has left out the section of a symbol's definition.
    pub fn is_discarded(&self, id: SymbolId) -> bool {
        let section = self.section(id);
        section != SectionId::NONE && self.discarded[section.index()]
    }
    /// The section that a symbol of an object, told by its index, is defined in; `NONE` if in none.
    pub fn section_of(&self, object: &Object, symbol: usize) -> SectionId {
        match object.symbol_id(symbol) {
            SymbolId::NONE => match object.symbol_section(symbol) {
                0 => SectionId::NONE,
                section => object.section_id(section as usize),
            },
            id => self.section(id),
        }
    }
    /// The section a symbol is defined in, `NONE` if in none.
    pub fn section(&self, id: SymbolId) -> SectionId {
        self.defined.get(id).section
    }
    /// The state of a symbol.
    pub fn state(&self, id: SymbolId) -> SymbolState {
        self.states[id.index()]
    }
    /// The symbol table entry behind a definition by a file.
    pub fn entry<'i>(&self, inputs: &'i Inputs, def: Def) -> Option<&'i Sym> {
        if matches!(def.class(), Class::Forced | Class::Provided | Class::None) {
            return None;
        }
        Some(match &inputs.files[def.file().index()] {
            File::Object(object) => &object.symbols[def.index() as usize],
            File::Shared(shared) => &shared.symbols[def.index() as usize],
        })
    }
    /// The visibility all mentions of a symbol agree on: the most constraining one.
    pub fn visibility(&self, id: SymbolId) -> u8 {
        let bits = self.references[id.index()];
        if bits & seen::INTERNAL != 0 {
            STV_INTERNAL
        } else if bits & seen::HIDDEN != 0 {
            STV_HIDDEN
        } else if bits & seen::PROTECTED != 0 {
            STV_PROTECTED
        } else {
            object::elf::STV_DEFAULT
        }
    }
}

/// Makes the selection.
pub fn select(
    cx: &Cx,
    inputs: &mut Inputs,
    symbols: &mut Symbols,
    provided: &mut Provided,
    scripts: &[crate::script::VersionScript],
    lists: &crate::script::SymbolList,
) -> Result<Selection, Failed> {
    let mut best = Resolution::new(cx, symbols.bound());
    cx.pool.for_each("select/resolve", inputs.files.len(), 8, |i| match &inputs.files[i] {
        File::Object(object) => best.add_candidates(object),
        File::Shared(shared) => best.add_shared(shared),
    });
    best.add_forced(provided);
    let live = extract::extract(cx, inputs, symbols, &best, provided);
    parse::complete(cx, inputs, &live, symbols);
    cx.checkpoint()?;
    best.extend(symbols.bound());
    if cx.config.kind != OutputKind::Relocatable {
        provided::provide_start_stop(cx.config, inputs, symbols, provided);
    }
    let (inputs, symbols, provided) = (&*inputs, &*symbols, &*provided);

    let discarded = comdat::elect(cx, inputs, &live, symbols.bound());
    best.reset(cx);
    let references: Vec<AtomicU8> = zeroed_bytes(symbols.bound());
    cx.pool.for_each("select/resolve", inputs.files.len(), 8, |i| {
        if !live[i] {
            return;
        }
        match &inputs.files[i] {
            File::Object(object) => best.add_live(object, &discarded, &references),
            File::Shared(shared) => {
                best.add_shared(shared);
                mark_shared(shared, &references);
            }
        }
    });
    best.add_forced(provided);
    best.add_provided(provided, &references);

    let objects: Vec<FileId> = inputs.objects.iter().copied().filter(|id| live[id.index()]).collect();
    duplicates::check(cx, inputs, symbols, &objects, &best, &discarded);
    if cx.config.warn_common {
        duplicates::warn_common(cx, inputs, symbols, &objects, &best);
    }
    let shared = needed(cx, inputs, &objects, &live, &best);
    mark_needs(inputs, &shared, &references);
    let mut is_live = live;
    for id in &inputs.shared {
        is_live[id.index()] = false;
    }
    for id in &shared {
        is_live[id.index()] = true;
    }
    let defs = best.into_defs(&is_live);
    let references: Vec<u8> = references.into_iter().map(AtomicU8::into_inner).collect();
    let mut selection = Selection {
        live: is_live,
        positions: positions(inputs, &objects),
        objects,
        shared,
        defs,
        references,
        discarded,
        states: Vec::new(),
        versions: Vec::new(),
        version_table: VersionTable::default(),
        defined: Definitions::default(),
    };
    selection.defined = Definitions::collect(cx, inputs, &selection);
    if !cx.config.discard_sections.is_empty() {
        discard::by_name(cx, inputs, &mut selection);
    }
    versions::assign(cx, inputs, symbols, scripts, &mut selection);
    exports::decide(cx, inputs, symbols, lists, &mut selection);
    require_defined(cx, symbols, &selection);
    cx.checkpoint()?;
    Ok(selection)
}

fn positions(inputs: &Inputs, objects: &[FileId]) -> Vec<u32> {
    let mut positions = vec![u32::MAX; inputs.files.len()];
    for (position, id) in objects.iter().enumerate() {
        positions[id.index()] = position as u32;
    }
    positions
}

/// `--require-defined`.
fn require_defined(cx: &Cx, symbols: &Symbols, selection: &Selection) {
    for name in &cx.config.require_defined {
        let is_defined = symbols.find(name).is_some_and(|id| !selection.def(id).is_undefined());
        if !is_defined {
            let name = cx.symbol_text(name);
            cx.problems
                .push(Problem::error(format!("required symbol '{name}' is not defined (--require-defined)")));
        }
    }
}

fn zeroed_bytes(n: usize) -> Vec<AtomicU8> {
    (0..n).map(|_| AtomicU8::new(0)).collect()
}

fn set_bits(cell: &AtomicU8, bits: u8) {
    if cell.load(Ordering::Relaxed) & bits != bits {
        cell.fetch_or(bits, Ordering::Relaxed);
    }
}

/// The table that all workers lower.
pub(crate) struct Resolution {
    best: Vec<AtomicU64>,
    /// `--no-define-common`: tentative definitions are references to another module's.
    defines_common: bool,
}

impl Resolution {
    fn new(cx: &Cx, bound: usize) -> Resolution {
        const STEP: usize = 1 << 15;
        let best = cx.pool.map("select/resolve", bound, STEP, |_| AtomicU64::new(Def::NONE.0));
        Resolution { best, defines_common: !cx.config.no_define_common }
    }

    /// Makes room for more symbols.
    fn extend(&mut self, bound: usize) {
        self.best.resize_with(bound, || AtomicU64::new(Def::NONE.0));
    }

    pub(crate) fn get(&self, id: SymbolId) -> Def {
        Def(self.best[id.index()].load(Ordering::Relaxed))
    }

    fn lower(&self, id: SymbolId, def: Def) {
        let cell = &self.best[id.index()];
        if def.0 < cell.load(Ordering::Relaxed) {
            cell.fetch_min(def.0, Ordering::Relaxed);
        }
    }

    fn reset(&self, cx: &Cx) {
        const STEP: usize = 1 << 16;
        cx.pool.for_each("select/reset", self.best.len().div_ceil(STEP), 1, |i| {
            let end = self.best.len().min((i + 1) * STEP);
            for cell in &self.best[i * STEP..end] {
                cell.store(Def::NONE.0, Ordering::Relaxed);
            }
        });
    }

    /// Pass 1: the definitions of an object, those of a lazy one behind those of files that are surely in.
    fn add_candidates(&self, object: &Object) {
        for (i, symbol) in object.symbols[object.first_global as usize..].iter().enumerate() {
            let shndx = symbol.st_shndx.get(LE);
            let class = match (shndx, object.is_lazy) {
                (SHN_UNDEF, _) => continue,
                _ if is_common(symbol) => {
                    if !self.defines_common {
                        continue;
                    }
                    if object.is_lazy { Class::LazyCommon } else { Class::CommonCandidate }
                }
                (_, true) => Class::Shared,
                (_, false) if symbol.st_bind() == STB_WEAK => Class::Weak,
                (_, false) => Class::Strong,
            };
            self.lower(object.ids[i], Def::new(class, object.id, object.first_global + i as u32));
        }
    }

    fn add_shared(&self, shared: &crate::model::SharedObject) {
        for symbol in &shared.defined {
            let def = Def::new(Class::Shared, shared.id, symbol.index);
            for id in [symbol.id, symbol.versioned_id] {
                if id != SymbolId::NONE {
                    self.lower(id, def);
                }
            }
        }
    }

    /// Pass 2: the definitions and references of an object that is in.
    fn add_live(&self, object: &Object, discarded: &[bool], references: &[AtomicU8]) {
        let first = object.first_global as usize;
        for (i, symbol) in object.symbols[first..].iter().enumerate() {
            let id = object.ids[i];
            let is_weak = symbol.st_bind() == STB_WEAK;
            let section = object.symbol_section(first + i);
            let is_reference = symbol.st_shndx.get(LE) == SHN_UNDEF
                || section != 0 && discarded[object.section_id(section as usize).index()];
            let class = match (is_reference, is_weak) {
                (true, false) => Class::Undefined,
                (true, true) => Class::UndefinedWeak,
                _ if is_common(symbol) && !self.defines_common => Class::Undefined,
                _ if is_common(symbol) => Class::Common,
                (false, false) => Class::Strong,
                (false, true) => Class::Weak,
            };
            let mut bits = match class {
                Class::Undefined => seen::STRONG,
                Class::UndefinedWeak => seen::WEAK,
                _ => 0,
            };
            bits |= match symbol.st_visibility() {
                STV_PROTECTED => seen::PROTECTED,
                STV_HIDDEN => seen::HIDDEN,
                STV_INTERNAL => seen::INTERNAL,
                _ => 0,
            };
            set_bits(&references[id.index()], bits);
            self.lower(id, Def::new(class, object.id, (first + i) as u32));
        }
    }

    fn add_forced(&self, provided: &Provided) {
        for (i, provision) in provided.list.iter().enumerate() {
            if provision.is_forced {
                self.lower(provision.id, Def::new(Class::Forced, Def::LINKER, i as u32));
            }
        }
    }

    /// Symbols of the linker's own, where an object asks for them and none defines them.
    fn add_provided(&self, provided: &Provided, references: &[AtomicU8]) {
        for (i, provision) in provided.list.iter().enumerate() {
            let bits = references[provision.id.index()].load(Ordering::Relaxed);
            let is_wanted = bits & (seen::STRONG | seen::WEAK) != 0 || provision.is_wanted;
            if !provision.is_forced && is_wanted {
                if provision.is_hidden {
                    set_bits(&references[provision.id.index()], seen::HIDDEN);
                }
                if provision.is_protected {
                    set_bits(&references[provision.id.index()], seen::PROTECTED);
                }
                self.lower(provision.id, Def::new(Class::Provided, Def::LINKER, i as u32));
            }
        }
    }

    /// Definitions by shared objects that are not needed are none.
    fn into_defs(self, live: &[bool]) -> Vec<Def> {
        self.best
            .into_iter()
            .map(|cell| {
                let def = Def(cell.into_inner());
                if def.class() == Class::Shared && !live[def.file().index()] {
                    Def::new(Class::UndefinedWeak, def.file(), def.index())
                } else {
                    def
                }
            })
            .collect()
    }
}

/// Whether a symbol is a tentative definition: SHN_COMMON, or SHN_X86_64_LCOMMON of the large model.
pub fn is_common(symbol: &Sym) -> bool {
    matches!(symbol.st_shndx.get(LE), SHN_COMMON | crate::elf::SHN_X86_64_LCOMMON)
}

fn mark_shared(shared: &crate::model::SharedObject, references: &[AtomicU8]) {
    for symbol in shared.defined.iter().chain(&shared.undefined) {
        if symbol.id != SymbolId::NONE {
            set_bits(&references[symbol.id.index()], seen::SHARED);
        }
    }
}

fn mark_needs(inputs: &Inputs, shared: &[FileId], references: &[AtomicU8]) {
    for id in shared {
        for symbol in &inputs.shared_object(*id).undefined {
            set_bits(&references[symbol.id.index()], seen::NEEDED_BY_SHARED);
        }
    }
}

/// Shared objects that get a DT_NEEDED: those not under `--as-needed`, and those a live object needs (a weak
/// reference alone does not count).
fn needed(cx: &Cx, inputs: &Inputs, objects: &[FileId], live: &[bool], best: &Resolution) -> Vec<FileId> {
    let used = zeroed_bytes(inputs.files.len());
    cx.pool.for_each("select/needed", objects.len(), 16, |i| {
        let object = inputs.object(objects[i]);
        for (n, symbol) in object.symbols[object.first_global as usize..].iter().enumerate() {
            if symbol.st_shndx.get(LE) != SHN_UNDEF || symbol.st_bind() == STB_WEAK {
                continue;
            }
            let def = best.get(object.ids[n]);
            if def.class() == Class::Shared {
                set_bits(&used[def.file().index()], 1);
            }
        }
    });
    let mut sonames = std::collections::HashSet::new();
    inputs
        .shared
        .iter()
        .copied()
        .filter(|id| {
            let shared = inputs.shared_object(*id);
            let is_used = used[id.index()].load(Ordering::Relaxed) != 0;
            live[id.index()] && (!shared.as_needed || is_used) && sonames.insert(shared.soname)
        })
        .collect()
}

/// Whether undefined symbols may stay for the dynamic loader to find.
pub fn may_stay_undefined(config: &Config) -> bool {
    config.is_shared() && !config.unresolved.in_shared_output
}
