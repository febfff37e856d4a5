//! `--print-dependencies`: which section uses which for which symbol, as mold prints it.
//!
//! In: [`Selection`]. Out: lines for standard output, in command-line order: who refers, who defines, `u` or `w` for a weak
//! reference, the symbol; with tabs between them. What a file refers to and defines itself is no dependency. Each is told
//! once a section, however often it is used.

use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{Inputs, Object, SectionKind, SymbolId};
use crate::select::{Class, Selection};
use object::LittleEndian as LE;
use object::elf::{SHN_UNDEF, STB_WEAK};
use std::collections::HashSet;

/// Prints the dependencies, if the option asks for them.
pub fn print(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) {
    if !cx.config.print_dependencies {
        return;
    }
    let lists = cx.pool.map("dependencies", selection.objects.len(), 8, |position| {
        let object = inputs.object(selection.objects[position]);
        (1..object.sections.len())
            .filter(|index| is_told(object, selection, *index))
            .flat_map(|index| of_section(inputs, symbols, selection, object, index))
            .collect::<Vec<_>>()
    });
    cx.problems.say("# user, definition, u (undefined) or w (weak), symbol".to_string());
    lists.into_iter().flatten().for_each(|line| cx.problems.say(line));
}

/// Whether a section is code or data of the output.
fn is_told(object: &Object, selection: &Selection, index: usize) -> bool {
    let section = &object.sections[index];
    let is_content = section.kind.is_copied() || section.kind == SectionKind::Merge;
    is_content && section.is_alloc() && !selection.discarded[object.section_id(index).index()]
}

fn of_section(
    inputs: &Inputs,
    symbols: &Symbols,
    selection: &Selection,
    object: &Object,
    index: usize,
) -> Vec<String> {
    let mut told: HashSet<SymbolId> = HashSet::new();
    let mut lines = Vec::new();
    for relocation in object.relocations(&object.sections[index]) {
        let symbol = relocation.r_sym(LE, false) as usize;
        let Some(entry) = object.symbols.get(symbol) else { continue };
        let id = object.symbol_id(symbol);
        if id == SymbolId::NONE || entry.st_shndx.get(LE) != SHN_UNDEF || !told.insert(id) {
            continue;
        }
        let Some(definition) = definition(inputs, selection, id) else { continue };
        let user = section_text(object, index);
        let kind = if entry.st_bind() == STB_WEAK { "w" } else { "u" };
        let name = String::from_utf8_lossy(symbols.name(id));
        lines.push(format!("{user}\t{definition}\t{kind}\t{name}"));
    }
    lines
}

/// Where a symbol is defined: a section of an object, or a library.
fn definition(inputs: &Inputs, selection: &Selection, id: SymbolId) -> Option<String> {
    let def = selection.def(id);
    match def.class() {
        Class::Shared => Some(inputs.shared_object(def.file()).origin.to_string()),
        Class::Common => Some(format!("{}:(COMMON)", inputs.object(def.file()).origin)),
        Class::Strong | Class::Weak => {
            let object = inputs.object(def.file());
            match object.symbol_section(def.index() as usize) {
                0 => Some(object.origin.to_string()),
                section => Some(section_text(object, section as usize)),
            }
        }
        _ => None,
    }
}

fn section_text(object: &Object, index: usize) -> String {
    format!("{}:({})", object.origin, String::from_utf8_lossy(object.section_name(index)))
}
