//! Which symbols cross the border of the output: exported, imported, preemptible.

use super::{Class, Selection, VERSION_LOCAL, may_stay_undefined, seen};
use crate::config::{Bsymbolic, UnresolvedPolicy};
use crate::context::Cx;
use crate::dynamic::has_interpreter;
use crate::intern::Symbols;
use crate::model::{Inputs, SymbolId};
use crate::script::SymbolList;
use object::elf::{STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_OBJECT, STV_DEFAULT, STV_PROTECTED};

/// Bits that say how a symbol crosses the border of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SymbolState(u8);

impl SymbolState {
    const EXPORTED: u8 = 1;
    const IMPORTED: u8 = 2;
    const PREEMPTIBLE: u8 = 4;

    /// Defined here and in `.dynsym`.
    pub fn is_exported(self) -> bool {
        self.0 & Self::EXPORTED != 0
    }
    /// Found by the dynamic loader.
    pub fn is_imported(self) -> bool {
        self.0 & Self::IMPORTED != 0
    }
    /// Its address is not known before load time: imported, or exported and replaceable.
    pub fn is_preemptible(self) -> bool {
        self.0 & Self::PREEMPTIBLE != 0
    }
}

/// Whether the output has a dynamic symbol table.
pub fn is_dynamic(cx: &Cx, selection: &Selection) -> bool {
    cx.config.is_pic() || !selection.shared.is_empty() || cx.config.export_dynamic && !cx.config.is_static
}

/// Fills [`Selection::states`].
pub(super) fn decide(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    lists: &SymbolList,
    selection: &mut Selection,
) {
    const STEP: usize = 1 << 13;
    let is_dynamic = is_dynamic(cx, selection);
    let chosen: &Selection = selection;
    let states = cx.pool.map("select/exports", chosen.defs.len(), STEP, |n| match is_dynamic {
        true => state_of(cx, inputs, symbols, lists, chosen, SymbolId(n as u32)),
        false => SymbolState::default(),
    });
    selection.states = states;
}

fn state_of(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    lists: &SymbolList,
    selection: &Selection,
    id: SymbolId,
) -> SymbolState {
    let config = cx.config;
    let def = selection.def(id);
    let visibility = selection.visibility(id);
    let imported = SymbolState(SymbolState::IMPORTED | SymbolState::PREEMPTIBLE);
    match def.class() {
        Class::None => return SymbolState::default(),
        Class::Shared => return if visibility == STV_DEFAULT { imported } else { SymbolState::default() },
        Class::Undefined | Class::UndefinedWeak => {
            let is_weak = selection.references[id.index()] & seen::STRONG == 0;
            let stays = may_stay_undefined(config)
                || is_weak
                    && (config.is_shared() || config.z.dynamic_undefined_weak && has_interpreter(config))
                || !is_weak && !config.is_static && config.unresolved.in_objects != UnresolvedPolicy::Error
                || !config.is_static && is_ignored(cx, symbols, id);
            return if stays && visibility == STV_DEFAULT { imported } else { SymbolState::default() };
        }
        _ => {}
    }
    let may_export = matches!(visibility, STV_DEFAULT | STV_PROTECTED)
        && selection.versions[id.index()] != VERSION_LOCAL
        && !(matches!(def.class(), Class::Strong | Class::Weak | Class::Common)
            && inputs.object(def.file()).exclude)
        && (config.discard_sections.is_empty() || !selection.is_discarded(id));
    if !may_export {
        return SymbolState::default();
    }
    let listed = || {
        !lists.is_empty() && {
            let name = symbols.name(id);
            lists.matches(name, || crate::demangle::demangle_cxx(name))
        } || config.dynamic_list_data && is_data(inputs, selection, id)
    };
    if !config.is_shared() {
        let is_exported =
            config.export_dynamic || selection.references[id.index()] & seen::SHARED != 0 || listed();
        return SymbolState(if is_exported { SymbolState::EXPORTED } else { 0 });
    }
    let has_dynamic_list = config.has_dynamic_list();
    let binds_here = visibility != STV_DEFAULT
        || matches!(def.class(), Class::Provided)
        || match config.bsymbolic {
            Bsymbolic::None => has_dynamic_list && !listed(),
            Bsymbolic::All => !listed(),
            Bsymbolic::Functions => is_function(inputs, selection, id) && !listed(),
            Bsymbolic::NonWeakFunctions => {
                is_function(inputs, selection, id) && def.class() != Class::Weak && !listed()
            }
            Bsymbolic::NonWeak => def.class() != Class::Weak && !listed(),
        };
    SymbolState(SymbolState::EXPORTED | if binds_here { 0 } else { SymbolState::PREEMPTIBLE })
}

/// `--ignore-unresolved-symbol`.
fn is_ignored(cx: &Cx, symbols: &Symbols, id: SymbolId) -> bool {
    let ignored = &cx.config.ignored_undefined;
    !ignored.is_empty() && ignored.iter().any(|name| name == symbols.name(id))
}

fn is_data(inputs: &Inputs, selection: &Selection, id: SymbolId) -> bool {
    selection
        .entry(inputs, selection.def(id))
        .is_some_and(|symbol| matches!(symbol.st_type(), STT_OBJECT | STT_COMMON))
}

fn is_function(inputs: &Inputs, selection: &Selection, id: SymbolId) -> bool {
    selection
        .entry(inputs, selection.def(id))
        .is_some_and(|symbol| matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC))
}
