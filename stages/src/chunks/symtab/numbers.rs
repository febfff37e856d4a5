//! The numbers of symbols in `.symtab`, for relocations that stay in the output.
//!
//! Nobody else asks where in the table a symbol stands, so this is only made when they do (`--emit-relocs`).

use super::SymbolTablePlan;
use crate::chunks::Sizing;
use crate::model::SymbolId;

/// Numbers in `.symtab`; 0 stands for what is not there.
#[derive(Debug, Default)]
pub(in crate::chunks) struct Numbers {
    /// By position of the output section.
    sections: Vec<u32>,
    /// By position of the object and index.
    locals: Vec<Vec<u32>>,
    /// By [`SymbolId`].
    globals: Vec<u32>,
}

impl Numbers {
    /// Of the section symbol of an output section.
    pub(in crate::chunks) fn section(&self, output: u32) -> u32 {
        self.sections.get(output as usize).copied().unwrap_or(0)
    }
    /// Of a local symbol of an object, no section symbol.
    pub(in crate::chunks) fn local(&self, position: usize, symbol: usize) -> u32 {
        self.locals[position].get(symbol).copied().unwrap_or(0)
    }
    /// Of a global symbol.
    pub(in crate::chunks) fn global(&self, id: SymbolId) -> u32 {
        self.globals[id.index()]
    }
    pub(super) fn set_global(&mut self, id: SymbolId, number: u32) {
        self.globals[id.index()] = number;
    }
}

/// Numbers everything as [`super::entries`] writes it.
pub(super) fn number(s: &Sizing, plan: &SymbolTablePlan) -> Numbers {
    let mut numbers = Numbers { globals: vec![0; s.selection.defs.len()], ..Numbers::default() };
    for (n, position) in plan.sections.iter().enumerate() {
        let position = *position as usize;
        numbers.sections.resize(numbers.sections.len().max(position + 1), 0);
        numbers.sections[position] = n as u32 + 1;
    }
    for (share, id) in plan.shares.iter().zip(&s.selection.objects) {
        let object = s.inputs.object(*id);
        let first = object.first_global as usize;
        let mut locals = vec![0; first];
        let (mut local, mut global) = (share.first_local, share.first_global);
        for kept in &share.kept {
            let next = if kept.is_local { &mut local } else { &mut global };
            match (kept.index as usize).checked_sub(first) {
                Some(n) => numbers.globals[object.ids[n].index()] = *next,
                None => locals[kept.index as usize] = *next,
            }
            *next += 1;
        }
        numbers.locals.push(locals);
    }
    for (n, id) in plan.provided_locals.iter().enumerate() {
        numbers.globals[id.index()] = plan.first_provided_local + n as u32;
    }
    for (n, id) in plan.provided_globals.iter().chain(&plan.imports).enumerate() {
        numbers.globals[id.index()] = plan.first_provided_global + n as u32;
    }
    numbers
}
