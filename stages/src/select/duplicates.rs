//! Two strong definitions of one name.

use super::{Class, Def, Resolution, is_common};
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, Object};
use crate::report::Problem;
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
            let first_entry = &other.symbols[winner.index() as usize];
            let same_constant = symbol.st_shndx.get(LE) == SHN_ABS
                && first_entry.st_shndx.get(LE) == SHN_ABS
                && symbol.st_value.get(LE) == first_entry.st_value.get(LE);
            if !same_constant {
                let name = symbols.name(object.ids[n]);
                let problem = Problem::error(format!("duplicate symbol: {}", cx.symbol_text(name)))
                    .note(format!("defined at {}", place(other, winner.index() as usize)))
                    .note(format!("defined at {}", place(object, index)));
                cx.problems.push(problem.at(object.id.0, index as u64));
            }
        }
    });
}


/// `a.o:(.text+0x10)`.
fn place(object: &Object, symbol: usize) -> String {
    let entry = &object.symbols[symbol];
    match object.symbol_section(symbol) as usize {
        0 => format!("{}:(absolute)", object.origin),
        section => format!(
            "{}:({}+{:#x})",
            object.origin,
            String::from_utf8_lossy(object.section_name(section)),
            entry.st_value.get(LE)
        ),
    }
}
