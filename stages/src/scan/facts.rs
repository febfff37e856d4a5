//! What a relocation may assume about each global symbol, as one byte.

use crate::arch::target::plan::Facts;
use crate::config::UnresolvedPolicy;
use crate::context::Cx;
use crate::model::SymbolId;
use crate::select::{Anchor, Class, Provided, Selection, Traits, seen};

/// Facts by [`SymbolId`].
#[derive(Debug)]
pub struct SymbolFacts(Vec<Facts>);

impl SymbolFacts {
    /// The facts of a symbol.
    pub fn get(&self, id: SymbolId) -> Facts {
        self.0[id.index()]
    }

    /// Collects the facts of all symbols.
    pub fn collect(cx: &Cx, provided: &Provided, selection: &Selection) -> SymbolFacts {
        const STEP: usize = 1 << 13;
        SymbolFacts(cx.pool.map("scan/facts", selection.defs.len(), STEP, |n| {
            facts_of(cx, provided, selection, SymbolId(n as u32))
        }))
    }
}

fn facts_of(cx: &Cx, provided: &Provided, selection: &Selection, id: SymbolId) -> Facts {
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
    let traits = selection.defined.get(id).traits;
    let mut add = |of: Traits, fact: Facts| {
        if traits.has(of) {
            facts = facts | fact;
        }
    };
    add(Traits::FUNCTION, Facts::FUNCTION);
    add(Traits::TLS, Facts::TLS);
    add(Traits::ABSOLUTE, Facts::ABSOLUTE);
    add(Traits::FAR, Facts::FAR);
    if def.is_local() && !state.is_preemptible() {
        add(Traits::IFUNC, Facts::IFUNC);
    }
    if !cx.config.discard_sections.is_empty() && selection.is_discarded(id) {
        facts = facts | Facts::DEAD;
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
