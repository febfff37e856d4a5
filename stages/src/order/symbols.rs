//! `--symbol-ordering-file`: the sections of the symbols a file lists, one a line, stand in front of all others.
//!
//! A section of several listed symbols stands where the first of them is listed. Local symbols count, of whatever
//! objects have one of the name. What cannot be ordered is warned about, in the words of lld, unless
//! `--no-warn-symbol-ordering`.

use super::{Sources, lines, read};
use crate::model::{Object, SectionId, SectionKind, SymbolId};
use crate::parse::is_structural;
use crate::report::Problem;
use crate::select::{Class, Def};
use object::LittleEndian as LE;
use object::elf::{STT_FILE, STT_SECTION};
use std::collections::HashMap;
use std::path::Path;

/// The sections of listed symbols, and which line each stands for.
pub(super) fn listed(sources: &Sources, path: &Path) -> Vec<(SectionId, u32)> {
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    for name in lines(read(sources.cx, path)) {
        let number = numbers.len() as u32;
        if *numbers.entry(name).or_insert(number) != number {
            warn(sources, format!("{}: duplicate ordered symbol: {}", path.display(), text(name)));
        }
    }
    let mut listed: HashMap<SectionId, u32> = HashMap::new();
    for (section, number) in sections_of(sources, &numbers, "symbol ordering file") {
        listed.entry(section).and_modify(|first| *first = number.min(*first)).or_insert(number);
    }
    let mut listed: Vec<(SectionId, u32)> = listed.into_iter().collect();
    listed.sort_unstable();
    listed
}

/// Writes the names of the symbols that are defined in listed sections, one a line, section by section
/// (`--print-symbol-order`): a file for `--symbol-ordering-file`.
pub(super) fn write(sources: &Sources, listed: &[(SectionId, u32)], path: &Path) {
    let mut sections: Vec<(SectionId, u32)> = listed.to_vec();
    sections.sort_unstable_by_key(|(_, number)| *number);
    let mut text = Vec::new();
    for (section, _) in sections {
        let objects = &sources.selection.objects;
        let position = objects
            .partition_point(|id| sources.inputs.object(*id).section_base <= section.0)
            .wrapping_sub(1);
        let Some(object) = objects.get(position).map(|id| sources.inputs.object(*id)) else { continue };
        let index = section.0 - object.section_base;
        for symbol in 1..object.symbols.len() {
            let kind = object.symbols[symbol].st_type();
            if object.symbol_section(symbol) == index && kind != STT_SECTION && kind != STT_FILE {
                text.extend_from_slice(object.symbol_name(symbol));
                text.push(b'\n');
            }
        }
    }
    if let Err(error) = std::fs::write(path, text) {
        let why = crate::open::reason(&error);
        let message = format!("--print-symbol-order: cannot write {}: {why}", path.display());
        sources.cx.problems.push(Problem::error(message));
    }
}

/// The sections that can be moved of the symbols of these names, each with the name's number: those of global symbols
/// first, then those of local ones in the order of the command line. `file` says who names them, for warnings.
pub(super) fn sections_of(
    sources: &Sources,
    numbers: &HashMap<&[u8], u32>,
    file: &str,
) -> Vec<(SectionId, u32)> {
    let mut names: Vec<(u32, &[u8])> = numbers.iter().map(|(name, number)| (*number, *name)).collect();
    names.sort_unstable();
    let mut is_found = vec![false; names.len()];
    let mut sections = Vec::new();
    for (number, name) in &names {
        let id = sources.symbols.find(name).filter(|id| sources.selection.def(*id).class() != Class::None);
        let Some(id) = id else { continue };
        is_found[*number as usize] = true;
        match section_of(sources, id) {
            Ok(section) => sections.extend(section.map(|section| (section, *number))),
            Err((file, why)) => {
                warn(sources, format!("{file}: unable to order {why} symbol: {}", text(name)))
            }
        }
    }
    for (section, number) in locals(sources, numbers) {
        is_found[number as usize] = true;
        sections.extend(section.map(|section| (section, number)));
    }
    for (number, name) in names {
        if !is_found[number as usize] {
            warn(sources, format!("{file}: no such symbol: {}", text(name)));
        }
    }
    sections
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn warn(sources: &Sources, message: String) {
    if sources.cx.config.ordering.warn_symbol_ordering {
        sources.cx.problems.push(Problem::warning(message));
    }
}

/// The section of a global symbol that can be moved, if it is of a kind that is; or why there is none, and whose symbol
/// it is.
fn section_of(sources: &Sources, id: SymbolId) -> Result<Option<SectionId>, (String, &'static str)> {
    let def = sources.selection.def(id);
    let file = || match def.file() {
        Def::LINKER => "<internal>".to_string(),
        file => sources.inputs.files[file.index()].origin().to_string(),
    };
    match def.class() {
        Class::Strong | Class::Weak => {
            let object = sources.inputs.object(def.file());
            match object.symbol_section(def.index() as usize) {
                0 => Err((file(), "absolute")),
                section => movable(sources, object, section).ok_or_else(|| (file(), "discarded")),
            }
        }
        Class::Common => Ok(None),
        Class::Shared => Err((file(), "shared")),
        Class::Forced | Class::Provided => Err((file(), "synthetic")),
        _ => Err((file(), "undefined")),
    }
}

/// The section to move for a symbol in this one: itself, or its twin. `Some(None)` if it is not moved, `None` if it is
/// not in the output.
fn movable(sources: &Sources, object: &Object, index: u32) -> Option<Option<SectionId>> {
    let id = object.section_id(index as usize);
    let section = &object.sections[index as usize];
    if !sources.live.has_address(id) || section.kind == SectionKind::Ignored {
        return None;
    }
    let is_moved =
        section.kind.is_whole() && !is_structural(object.outputs[usize::from(section.output)].name);
    Some(is_moved.then(|| sources.live.keeper(id)))
}

/// The local symbols that are listed: their sections, if those can be moved, and lines.
fn locals(sources: &Sources, numbers: &HashMap<&[u8], u32>) -> Vec<(Option<SectionId>, u32)> {
    let objects = &sources.selection.objects;
    let lists = sources.cx.pool.map("order/locals", objects.len(), 8, |position| {
        let object = sources.inputs.object(objects[position]);
        let end = (object.first_global as usize).min(object.symbols.len());
        let mut found = Vec::new();
        for symbol in 1..end {
            let entry = &object.symbols[symbol];
            if entry.st_name.get(LE) == 0 || matches!(entry.st_type(), STT_FILE | STT_SECTION) {
                continue;
            }
            if let Some(number) = numbers.get(object.symbol_name(symbol)) {
                let section = object.symbol_section(symbol);
                let movable = if section == 0 { None } else { movable(sources, object, section) };
                found.push((movable.flatten(), *number));
            }
        }
        found
    });
    lists.concat()
}
