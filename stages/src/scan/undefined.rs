//! Undefined symbols, gathered from their uses.

use super::{location, place};
use crate::config::UnresolvedPolicy;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, SymbolId};
use crate::report::{About, Problem, Severity};
use crate::select::{Class, Selection};
use crate::suggest::{Suggestion, suggest};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Uses of undefined symbols, from all workers.
#[derive(Debug, Default)]
pub(super) struct Undefined {
    uses: Mutex<Vec<(SymbolId, FileId, u32, u64)>>,
}

/// Uses that are shown of one symbol.
const SHOWN: usize = 3;

impl Undefined {
    pub(super) fn add(&self, symbol: SymbolId, file: FileId, section: u32, offset: u64) {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner).push((symbol, file, section, offset));
    }

    /// One problem a symbol, at the place of its first use.
    pub(super) fn report(self, cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) {
        let mut by_symbol: BTreeMap<SymbolId, Vec<(FileId, u32, u64)>> = BTreeMap::new();
        for (symbol, file, section, offset) in self.uses.into_inner().unwrap_or_else(PoisonError::into_inner)
        {
            by_symbol.entry(symbol).or_default().push((file, section, offset));
        }
        for (symbol, mut uses) in by_symbol {
            uses.sort_unstable();
            let name = symbols.name(symbol);
            if cx.config.ignored_undefined.iter().any(|ignored| ignored == name) {
                continue;
            }
            let text = cx.symbol_text(name);
            let visibility = match selection.visibility(symbol) {
                object::elf::STV_HIDDEN => "hidden ",
                object::elf::STV_PROTECTED => "protected ",
                object::elf::STV_INTERNAL => "internal ",
                _ => "",
            };
            let mut problem = Problem::error(format!("undefined {visibility}symbol: {text}"))
                .about(About::Symbol(name.to_vec()));
            if cx.config.unresolved.in_objects == UnresolvedPolicy::Warn {
                problem.severity = Severity::Warning;
            }
            for (file, section, offset) in uses.iter().take(SHOWN) {
                let object = inputs.object(*file);
                let at = place(object, *section, *offset);
                problem = problem.note_place("referenced by", location(object, *section, *offset), at);
            }
            if uses.len() > SHOWN {
                problem = problem.note(format!("referenced {} more times", uses.len() - SHOWN));
            }
            let def = selection.def(symbol);
            if def.class() == Class::Shared {
                let origin = inputs.files[def.file().index()].origin();
                problem = problem.note(format!(
                    "{origin} defines it, but a {visibility}symbol must be defined in this output"
                ));
            } else if let Some(suggestion) = suggestion(symbols, selection, symbol, name) {
                problem = problem.note(suggestion.text());
            }
            let (file, section, offset) = uses[0];
            cx.problems.push(problem.at(file.0, u64::from(section) << 32 | offset & 0xffff_ffff));
        }
    }
}

/// A defined name that is close to an undefined one.
fn suggestion(symbols: &Symbols, selection: &Selection, symbol: SymbolId, name: &[u8]) -> Option<Suggestion> {
    let candidates = symbols
        .iter()
        .filter(|(id, _)| *id != symbol && !selection.def(*id).is_undefined())
        .map(|(_, name)| name);
    suggest(name, candidates)
}
