//! Two strong definitions of one name.

use super::{Class, Def, Resolution, is_common};
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, Object, Role};
use crate::report::Problem;
use crate::scan::{location, place};
use object::LittleEndian as LE;
use object::elf::{SHN_ABS, SHN_UNDEF, STB_WEAK};

/// Reports every strong definition that lost to another strong one.
pub(super) fn check(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    objects: &[FileId],
    best: &Resolution,
    discarded: &[bool],
) {
    if cx.config.allow_multiple_definition {
        return;
    }
    cx.pool.for_each("select/duplicates", objects.len(), 16, |i| {
        let object = inputs.object(objects[i]);
        let first = object.first_global as usize;
        for (n, symbol) in object.symbols[first..].iter().enumerate() {
            let index = first + n;
            if symbol.st_shndx.get(LE) == SHN_UNDEF || symbol.st_bind() == STB_WEAK || is_common(symbol) {
                continue;
            }
            let winner = best.get(object.ids[n]);
            if winner.class() != Class::Strong || winner == Def::new(Class::Strong, object.id, index as u32) {
                continue;
            }
            let section = object.symbol_section(index) as usize;
            if section != 0 && discarded[object.section_id(section).index()] {
                continue;
            }
            let other = inputs.object(winner.file());
            let is_told = object.role == Role::Symbols || other.role == Role::Symbols;
            if is_told && !cx.config.multiple_abs_defs_are_errors {
                // What is linked takes the place of what it was linked against (-R), or the other way round.
                continue;
            }
            let first_entry = &other.symbols[winner.index() as usize];
            let same_constant = symbol.st_shndx.get(LE) == SHN_ABS
                && first_entry.st_shndx.get(LE) == SHN_ABS
                && symbol.st_value.get(LE) == first_entry.st_value.get(LE);
            if !same_constant {
                let name = symbols.name(object.ids[n]);
                let problem = Problem::error(format!("duplicate symbol: {}", cx.symbol_text(name)));
                let problem = note_definition(problem, other, winner.index() as usize);
                let problem = note_definition(problem, object, index);
                cx.problems.push(problem.at(object.id.0, index as u64));
            }
        }
    });
}

/// `--warn-common`: says so where a tentative definition meets another definition.
pub(super) fn warn_common(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    objects: &[FileId],
    best: &Resolution,
) {
    cx.pool.for_each("select/commons", objects.len(), 16, |i| {
        let object = inputs.object(objects[i]);
        let first = object.first_global as usize;
        for (n, symbol) in object.symbols[first..].iter().enumerate().filter(|(_, symbol)| is_common(symbol))
        {
            let winner = best.get(object.ids[n]);
            if winner == Def::new(Class::Common, object.id, (first + n) as u32) {
                continue;
            }
            let name = cx.symbol_text(symbols.name(object.ids[n]));
            let what = match winner.class() {
                Class::Common => format!("multiple common definitions of {name}"),
                Class::Strong | Class::Weak => format!("common symbol {name} is overridden by a definition"),
                _ => continue,
            };
            let other = inputs.object(winner.file());
            let size = |entry: &crate::elf::Sym| entry.st_size.get(LE);
            let other_size = size(&other.symbols[winner.index() as usize]);
            let problem = Problem::warning(what)
                .note(format!("defined in {}, {other_size} bytes", other.origin))
                .note(format!("common in {}, {} bytes", object.origin, size(symbol)));
            cx.problems.push(problem.at(object.id.0, (first + n) as u64));
        }
    });
}

/// `defined at a.o:(.text+0x10)`.
fn note_definition(problem: Problem, object: &Object, symbol: usize) -> Problem {
    let offset = object.symbols[symbol].st_value.get(LE);
    match object.symbol_section(symbol) {
        0 => problem.note(format!("defined at {}:(absolute)", object.origin)),
        section => problem.note_place(
            "defined at",
            location(object, section, offset),
            place(object, section, offset),
        ),
    }
}
