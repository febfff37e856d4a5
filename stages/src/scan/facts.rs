//! What a relocation may assume about each global symbol, as one byte.

use crate::arch::target::plan::Facts;
use crate::config::UnresolvedPolicy;
use crate::context::Cx;
use crate::elf::{SHF_X86_64_LARGE, SHN_X86_64_LCOMMON};
use crate::model::{Inputs, SectionId, SymbolId};
use crate::select::{Anchor, Class, Provided, Selection, seen};
use object::LittleEndian as LE;
use object::elf::{SHF_TLS, SHN_ABS, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_TLS};

/// Facts by [`SymbolId`].
#[derive(Debug)]
pub struct SymbolFacts(Vec<Facts>);

impl SymbolFacts {
    /// The facts of a symbol.
    pub fn get(&self, id: SymbolId) -> Facts {
        self.0[id.index()]
    }

    /// Collects the facts of all symbols.
    pub fn collect(cx: &Cx, inputs: &Inputs, provided: &Provided, selection: &Selection) -> SymbolFacts {
        const STEP: usize = 1 << 13;
        let bound = selection.defs.len();
        let parts = cx.pool.map("scan/facts", bound.div_ceil(STEP), 1, |i| {
            let end = bound.min((i + 1) * STEP);
            let facts = |n: usize| facts_of(cx, inputs, provided, selection, SymbolId(n as u32));
            (i * STEP..end).map(facts).collect::<Vec<_>>()
        });
        SymbolFacts(parts.concat())
    }
}

fn facts_of(cx: &Cx, inputs: &Inputs, provided: &Provided, selection: &Selection, id: SymbolId) -> Facts {
    let def = selection.def(id);
    let state = selection.state(id);
    let mut facts = if state.is_preemptible() { Facts::PREEMPTIBLE } else { Facts::default() };
    match def.class() {
        Class::None => return facts,
        Class::Forced | Class::Provided => return facts | provided_facts(provided, def.index()),
        Class::Undefined | Class::UndefinedWeak if !state.is_imported() => {
            let is_strong = selection.references[id.index()] & seen::STRONG != 0;
            let is_error = is_strong && cx.config.unresolved.in_objects == UnresolvedPolicy::Error;
            let is_reported = is_strong && cx.config.unresolved.in_objects == UnresolvedPolicy::Warn;
            return if is_error || is_reported { Facts::UNDEFINED } else { Facts::ABSOLUTE };
        }
        Class::UndefinedWeak if !cx.config.is_shared() => facts = facts | Facts::ABSOLUTE,
        Class::Shared if !state.is_imported() => return Facts::UNDEFINED,
        _ => {}
    }
    let Some(entry) = selection.entry(inputs, def) else { return facts };
    let is_function = match entry.st_type() {
        STT_FUNC | STT_GNU_IFUNC => true,
        STT_NOTYPE => entry.st_size.get(LE) == 0,
        _ => false,
    };
    if is_function {
        facts = facts | Facts::FUNCTION;
    }
    if entry.st_type() == STT_TLS {
        facts = facts | Facts::TLS;
    }
    if !def.is_local() {
        return facts;
    }
    if entry.st_type() == STT_GNU_IFUNC && !state.is_preemptible() {
        facts = facts | Facts::IFUNC;
    }
    match entry.st_shndx.get(LE) {
        SHN_ABS => return facts | Facts::ABSOLUTE,
        SHN_X86_64_LCOMMON => return facts | Facts::FAR,
        _ => {}
    }
    let section = selection.sections[id.index()];
    if section != SectionId::NONE {
        let object = inputs.object(def.file());
        let header = &object.sections[(section.0 - object.section_base) as usize];
        if header.has(SHF_X86_64_LARGE) {
            facts = facts | Facts::FAR;
        }
        if header.has(SHF_TLS) {
            facts = facts | Facts::TLS;
        }
    }
    facts
}

fn provided_facts(provided: &Provided, index: u32) -> Facts {
    match &provided.list[index as usize].anchor {
        Anchor::Expr(value) => {
            let mut mentions_symbol = false;
            value.for_each_symbol(&mut |_| mentions_symbol = true);
            if mentions_symbol { Facts::default() } else { Facts::ABSOLUTE }
        }
        Anchor::TlsModuleBase => Facts::TLS,
        _ => Facts::default(),
    }
}
