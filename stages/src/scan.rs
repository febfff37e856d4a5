//! Reads the relocations of everything that is loaded and notes what they need.
//!
//! In: [`Selection`], [`LiveSet`], [`Unwind`]. Out: [`Scan`]: for every symbol the tables it needs an entry in,
//! for every object how many dynamic relocations of each kind its sections ask for.
//! Not here: how an entry is placed (`tables`), how a relocation is written (`emit`). What a relocation comes to
//! is decided by `arch` and decided the same way again when it is written.
//!
//! Problems that only uses show are found here: undefined symbols, references to discarded sections, relocations
//! that the output cannot have.
//!
//! Invariants
//! - Needs are bits that are only set; counts are per object. The order of visits cannot change the result.
//! - Sections that are not loaded are not scanned: they never need anything.

mod facts;
mod undefined;

pub use facts::SymbolFacts;

use crate::arch::target::{self, Environment, Need, Plan, Refusal};
use crate::context::Cx;
use crate::elf::Rela;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionId, SectionKind, SymbolId};
use crate::report::{Place, Problem};
use crate::select::{Provided, Selection};
use crate::unwind::{ObjectUnwind, Unwind};
use object::LittleEndian as LE;
use std::sync::atomic::{AtomicU16, Ordering};
use target::plan::Facts;

/// What the relocations of one object ask for.
#[derive(Debug, Default)]
pub struct ObjectScan {
    /// Dynamic relocations without a symbol.
    pub relative: u32,
    /// Dynamic relocations against a symbol.
    pub symbolic: u32,
    /// Places for `.relr.dyn`: section and offset, ascending.
    pub relr: Vec<(u32, u64)>,
    /// Sections with dynamic relocations in `.rela.dyn`, ascending.
    pub dynamic_sections: Vec<u32>,
    /// Local symbols that need an entry somewhere, ascending, once each.
    pub locals: Vec<(u32, Need)>,
    /// Needs of no symbol in particular.
    pub module: Need,
    /// There are relocations against read-only sections (`-z notext`).
    pub has_text_relocations: bool,
    /// What a relocation may assume about each local symbol.
    pub local_facts: Vec<Facts>,
}

/// What all relocations together ask for.
#[derive(Debug)]
pub struct Scan {
    /// In the order of [`Selection::objects`].
    pub objects: Vec<ObjectScan>,
    /// By [`SymbolId`].
    pub needs: Vec<Need>,
    /// Needs of no symbol in particular.
    pub module: Need,
    /// By [`SymbolId`]: what a relocation may assume.
    pub facts: SymbolFacts,
}

/// Scans all live, loaded sections.
pub fn scan(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &Provided,
    selection: &Selection,
    live: &LiveSet,
    unwind: &Unwind,
) -> Scan {
    let facts = SymbolFacts::collect(cx, provided, selection);
    let needs: Vec<AtomicU16> = (0..selection.defs.len()).map(|_| AtomicU16::new(0)).collect();
    let undefined = undefined::Undefined::default();
    let scanning = Scanning {
        cx,
        inputs,
        symbols,
        selection,
        live,
        facts: &facts,
        needs: &needs,
        undefined: &undefined,
    };
    let objects = cx.pool.map("scan", selection.objects.len(), 4, |i| {
        scanning.object(inputs.object(selection.objects[i]), &unwind.objects[i])
    });
    undefined.report(cx, inputs, symbols, selection);
    if cx.config.warn_textrel {
        let relocated = selection.objects.iter().zip(&objects).filter(|(_, scan)| scan.has_text_relocations);
        for (id, _) in relocated {
            let message = format!("{}: needs relocations in read-only segments", inputs.object(*id).origin);
            cx.problems.push(Problem::warning(message).note("recompile with -fPIC").at(id.0, 0));
        }
    }
    let module = objects.iter().fold(Need::NOTHING, |all, o| all | o.module);
    let needs = needs.into_iter().map(|n| Need(n.into_inner())).collect();
    Scan { objects, needs, module, facts }
}

/// The part of the environment that depends on the output alone.
pub fn environment(cx: &Cx, is_writable: bool) -> Environment {
    let config = cx.config;
    Environment {
        is_pic: config.is_pic(),
        is_shared: config.is_shared(),
        may_write: is_writable || !config.z.text,
        may_relax: config.relax,
        may_copy: config.may_copy(),
        keeps_ifuncs: config.z.ifunc_noplt,
    }
}

/// Whether a relative relocation goes to `.relr.dyn`, which can only express even addresses.
pub fn fits_relr(cx: &Cx, align_log2: u8, offset: u64) -> bool {
    cx.config.relr && align_log2 >= 1 && offset.is_multiple_of(2)
}

struct Scanning<'a> {
    cx: &'a Cx<'a>,
    inputs: &'a Inputs,
    symbols: &'a Symbols,
    selection: &'a Selection,
    live: &'a LiveSet,
    facts: &'a SymbolFacts,
    needs: &'a [AtomicU16],
    undefined: &'a undefined::Undefined,
}

impl Scanning<'_> {
    fn object(&self, object: &Object, unwind: &ObjectUnwind) -> ObjectScan {
        let locals = 0..(object.first_global as usize).min(object.symbols.len());
        let is_live = |section: SectionId| self.live.has_address(section);
        let local_facts = locals.map(|symbol| local_facts(object, symbol, is_live)).collect();
        let mut result = ObjectScan { local_facts, ..ObjectScan::default() };
        for (index, section) in object.sections.iter().enumerate() {
            if !section.kind.is_copied()
                || section.rela == 0
                || !section.is_alloc()
                || !self.live.contains(object.section_id(index))
            {
                continue;
            }
            let before = (result.relative, result.symbolic);
            self.section(object, index as u32, object.relocations(section), &mut result);
            if (result.relative, result.symbolic) != before {
                result.dynamic_sections.push(index as u32);
            }
        }
        let mut has_cie = vec![false; unwind.cies.len()];
        for fde in &unwind.fdes {
            if self.live.contains(object.section_id(fde.target as usize)) && fde.target != 0 {
                has_cie[fde.cie as usize] = true;
                // The first relocation names the code itself.
                let others = unwind.relocations_of(&fde.record).get(1..).unwrap_or(&[]);
                self.section(object, fde.record.section, others, &mut result);
            }
        }
        for (cie, _) in unwind.cies.iter().zip(&has_cie).filter(|(_, has)| **has) {
            self.section(object, cie.section, unwind.relocations_of(cie), &mut result);
        }
        result.locals.sort_unstable_by_key(|(symbol, _)| *symbol);
        result.locals.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 = first.1 | later.1;
            }
            same
        });
        result
    }

    fn section(&self, object: &Object, index: u32, relocations: &[Rela], result: &mut ObjectScan) {
        let section = &object.sections[index as usize];
        let is_writable = section.has(object::elf::SHF_WRITE);
        let env = environment(self.cx, is_writable);
        let mut skip = false;
        for relocation in relocations {
            if std::mem::take(&mut skip) {
                continue;
            }
            let r_type = relocation.r_type(LE, false);
            let offset = relocation.r_offset.get(LE);
            let symbol = relocation.r_sym(LE, false) as usize;
            let Some(row) = target::row(r_type) else {
                self.problem(object, index, offset, format!("unknown relocation type {r_type}"));
                continue;
            };
            if symbol >= object.symbols.len() {
                self.problem(
                    object,
                    index,
                    offset,
                    format!("{} refers to symbol {symbol}, which does not exist", row.name),
                );
                continue;
            }
            let id = object.symbol_id(symbol);
            let facts = if id == SymbolId::NONE { result.local_facts[symbol] } else { self.facts.get(id) };
            if target::plan::is_plain_pc(row, facts) {
                continue;
            }
            if facts.has(Facts::UNDEFINED) || facts.has(Facts::DEAD) {
                self.unusable(object, index, offset, symbol, facts);
                continue;
            }
            match target::plan(row, facts, env, Some((section.contents(), offset as usize))) {
                Ok((plan, need)) => {
                    self.note_need(result, id, symbol, need);
                    match plan {
                        Plan::Relative if fits_relr(self.cx, section.align_log2, offset) => {
                            result.relr.push((index, offset));
                        }
                        Plan::Relative => result.relative += 1,
                        Plan::Symbolic | Plan::LeftToLoader => result.symbolic += 1,
                        Plan::GeneralToLocal | Plan::GeneralToInitial | Plan::LocalDynamicToLocal => {
                            skip = true
                        }
                        _ => {}
                    }
                    if matches!(plan, Plan::Relative | Plan::Symbolic | Plan::LeftToLoader) {
                        result.has_text_relocations |= !is_writable;
                    }
                }
                Err(refusal) => self.refused(object, index, relocation, refusal),
            }
        }
    }

    fn note_need(&self, result: &mut ObjectScan, id: SymbolId, symbol: usize, need: Need) {
        if need == Need::NOTHING {
            return;
        }
        result.module = result.module | need;
        if id == SymbolId::NONE {
            result.locals.push((symbol as u32, need));
            return;
        }
        let cell = &self.needs[id.index()];
        if cell.load(Ordering::Relaxed) & need.0 != need.0 {
            cell.fetch_or(need.0, Ordering::Relaxed);
        }
    }

    /// A reference to something that is not there.
    fn unusable(&self, object: &Object, index: u32, offset: u64, symbol: usize, facts: Facts) {
        let id = object.symbol_id(symbol);
        if facts.has(Facts::UNDEFINED) {
            self.undefined.add(id, object.id, index, offset);
            return;
        }
        let output = object.outputs[usize::from(object.sections[index as usize].output)].name;
        // Exception tables of code that is gone refer to it, and nobody reads them.
        if matches!(output, b".gcc_except_table" | b".eh_frame") {
            return;
        }
        let section = object.symbol_section(symbol) as usize;
        let target = String::from_utf8_lossy(object.section_name(section)).into_owned();
        let name = self.symbol_text(object, symbol);
        let kept = self.keeper_of(object, section as u32);
        let mut problem =
            Problem::error(format!("relocation refers to a symbol in a discarded section: {name}"))
                .note(format!("defined in {}:({target})", object.origin))
                .note_place("referenced by", location(object, index, offset), place(object, index, offset));
        if let Some(kept) = kept {
            problem = problem.note(format!("section group kept from {kept}"));
        }
        self.cx.problems.push(problem.at(object.id.0, u64::from(index) << 32));
    }

    /// The file whose copy of a discarded group stayed.
    fn keeper_of(&self, object: &Object, section: u32) -> Option<String> {
        let group = object.groups.iter().find(|g| object.members_of(g).any(|member| member == section))?;
        self.selection
            .objects
            .iter()
            .map(|id| self.inputs.object(*id))
            .find(|other| other.groups.iter().any(|g| g.signature == group.signature))
            .map(|other| other.origin.to_string())
    }

    fn symbol_text(&self, object: &Object, symbol: usize) -> String {
        symbol_text(self.cx, self.symbols, object, symbol)
    }

    fn problem(&self, object: &Object, index: u32, offset: u64, what: String) {
        let problem = Problem::error(format!("{}: {what}", location(object, index, offset)));
        let problem = problem.note_place("in", location(object, index, offset), place(object, index, offset));
        self.cx.problems.push(problem.at(object.id.0, u64::from(index) << 32 | offset & 0xffff_ffff));
    }

    fn refused(&self, object: &Object, index: u32, relocation: &Rela, refusal: Refusal) {
        let symbol = relocation.r_sym(LE, false) as usize;
        let name = self.symbol_text(object, symbol);
        let row = target::rows::name(relocation.r_type(LE, false));
        let kind = if self.cx.config.is_shared() { "-shared" } else { "-pie" };
        let id = object.symbol_id(symbol);
        let of = if id == SymbolId::NONE { "local symbol" } else { "symbol" };
        let what = match refusal {
            Refusal::NotPositionIndependent => {
                format!("relocation {row} cannot be used against {of} '{name}'; recompile with -fPIC")
            }
            Refusal::LocalExecInShared => {
                format!("relocation {row} against {name} cannot be used with {kind}; recompile with -fPIC")
            }
            Refusal::CannotCopy => format!(
                "unresolvable relocation {row} against symbol '{name}'; recompile with -fPIC or remove '-z {}'",
                if self.cx.config.z.no_copy_reloc { "nocopyreloc" } else { "indirect-extern-access" }
            ),
            Refusal::TlsMismatch => {
                format!("relocation {row} mixes TLS and ordinary data: '{name}' is defined as the other kind")
            }
            Refusal::DynamicOnly => {
                format!("relocation {row} is for the dynamic loader only and cannot be in an object")
            }
        };
        let definition = self.definition_of(object, symbol);
        let offset = relocation.r_offset.get(LE);
        let mut problem = Problem::error(what);
        if let Some(definition) = definition {
            problem = problem.note(format!("defined in {definition}"));
        }
        problem = problem.note_place(
            "referenced by",
            location(object, index, offset),
            place(object, index, offset),
        );
        let is_word = target::row(relocation.r_type(LE, false)).is_some_and(|row| row.field.width() == 8);
        if refusal == Refusal::NotPositionIndependent && is_word {
            problem =
                problem.note("the section is read-only; -z notext would allow relocating it at load time");
        }
        self.cx.problems.push(problem.at(object.id.0, u64::from(index) << 32 | offset & 0xffff_ffff));
    }

    fn definition_of(&self, object: &Object, symbol: usize) -> Option<String> {
        let id = object.symbol_id(symbol);
        if id == SymbolId::NONE {
            return Some(object.origin.to_string());
        }
        let def = self.selection.def(id);
        self.selection.entry(self.inputs, def).filter(|_| !def.is_undefined())?;
        Some(self.inputs.files[def.file().index()].origin().to_string())
    }
}

/// A place in an object, for [`Problem::note_place`].
pub fn place(object: &Object, section: u32, offset: u64) -> Place {
    Place { file: object.id.0, section, offset }
}

/// `a.o:(.text+0x10)`.
pub fn location(object: &Object, section: u32, offset: u64) -> String {
    let name = String::from_utf8_lossy(object.section_name(section as usize)).into_owned();
    format!("{}:({name}+{offset:#x})", object.origin)
}

/// A symbol's name as messages show it; a section symbol goes by its section's name.
pub fn symbol_text(cx: &Cx, symbols: &Symbols, object: &Object, symbol: usize) -> String {
    let id = object.symbol_id(symbol);
    if id != SymbolId::NONE {
        return cx.symbol_text(symbols.name(id));
    }
    let name = object.symbol_name(symbol);
    if name.is_empty() {
        let section = object.symbol_section(symbol) as usize;
        return String::from_utf8_lossy(object.section_name(section)).into_owned();
    }
    cx.symbol_text(name)
}

/// What a relocation may assume about a local symbol.
pub fn local_facts(object: &Object, symbol: usize, is_live: impl Fn(SectionId) -> bool) -> Facts {
    let entry = &object.symbols[symbol];
    let section = object.symbol_section(symbol);
    if section == 0 {
        return Facts::ABSOLUTE;
    }
    let header = &object.sections[section as usize];
    let mut facts = Facts::default();
    if header.kind != SectionKind::Ignored && !is_live(object.section_id(section as usize)) {
        facts = facts | Facts::DEAD;
    }
    if header.has(object::elf::SHF_TLS) {
        facts = facts | Facts::TLS;
    }
    if entry.st_type() == object::elf::STT_GNU_IFUNC {
        facts = facts | Facts::IFUNC;
    }
    if header.has(crate::elf::SHF_X86_64_LARGE) {
        facts = facts | Facts::FAR;
    }
    facts
}
