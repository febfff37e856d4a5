//! `--detect-odr-violations`: C++ functions that several files define, and not alike.
//!
//! The one definition rule ([basic.def.odr]) lets a program have many definitions of an inline function or a template's if all
//! are the same; a linker keeps one of them. In: [`Selection`]. Out: a warning for each name whose weak definitions
//! differ in size and come from different source lines, as gold has it. Sizes alone may differ by optimisation, so objects
//! without lines are not suspected.
//!
//! Only candidates cost anything: debug information is read of files whose definitions differ in size, up to a limit.

use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{FileId, Inputs, SymbolId};
use crate::report::{Place, Problem};
use crate::select::{Class, Selection};
use crate::source_line::Lines;
use object::LittleEndian as LE;
use object::elf::{STB_WEAK, STT_FUNC};
use std::collections::BTreeMap;
use std::path::Path;

/// Definitions that are looked at most.
const DEFINITIONS_MAX: usize = 2000;

/// A weak definition of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Definition {
    id: SymbolId,
    file: FileId,
    symbol: u32,
    size: u64,
}

/// Warns, if the option asks for it.
pub fn check(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) {
    if !cx.config.detect_odr_violations {
        return;
    }
    let lists = cx.pool.map("odr", selection.objects.len(), 8, |position| {
        definitions(inputs, symbols, selection, selection.objects[position])
    });
    let mut all = lists.concat();
    all.sort_unstable();
    // By name: ids depend on arrival.
    let mut suspects: BTreeMap<&[u8], &[Definition]> = BTreeMap::new();
    for same in all.chunk_by(|a, b| a.id == b.id) {
        if same.iter().any(|other| other.size != same[0].size) {
            suspects.insert(symbols.name(same[0].id), same);
        }
    }
    let mut lines = Lines::default();
    let mut left = DEFINITIONS_MAX;
    for (name, definitions) in suspects {
        if definitions.len() > left {
            break;
        }
        left -= definitions.len();
        report(cx, inputs, name, definitions, &mut lines);
    }
}

/// The weak C++ functions of an object, those that lost an election among them.
fn definitions(inputs: &Inputs, symbols: &Symbols, selection: &Selection, file: FileId) -> Vec<Definition> {
    let object = inputs.object(file);
    let first = object.first_global as usize;
    let globals = object.symbols[first..].iter().enumerate();
    let mut list = Vec::new();
    for (n, entry) in globals {
        let (id, size) = (object.ids[n], entry.st_size.get(LE));
        let is_function = entry.st_bind() == STB_WEAK && entry.st_type() == STT_FUNC && size > 0;
        if is_function
            && object.symbol_section(first + n) != 0
            && selection.def(id).class() == Class::Weak
            && symbols.name(id).starts_with(b"_Z")
        {
            list.push(Definition { id, file, symbol: (first + n) as u32, size });
        }
    }
    list
}

/// Warns if the definitions of a name come from different lines.
fn report(cx: &Cx, inputs: &Inputs, name: &[u8], definitions: &[Definition], lines: &mut Lines) {
    // What tells lines apart is the file's name without directories: one header may be found in several ways.
    let mut places: Vec<(String, u64, String)> = Vec::new();
    for definition in definitions {
        let object = inputs.object(definition.file);
        let symbol = definition.symbol as usize;
        let place = Place {
            file: definition.file.0,
            section: object.symbol_section(symbol),
            offset: object.symbols[symbol].st_value.get(LE),
        };
        let Some((path, line)) = lines.of_code(object, place) else { continue };
        let file = Path::new(&path).file_name().map_or(path.clone(), |n| n.to_string_lossy().into_owned());
        if !places.iter().any(|known| (&known.0, known.1) == (&file, line)) {
            let text = format!("{path}:{line} in {}, {} bytes", object.origin, definition.size);
            places.push((file, line, text));
        }
    }
    if places.len() < 2 {
        return;
    }
    let mut problem = Problem::warning(format!(
        "{} is defined in several ways (possibly against the one definition rule)",
        cx.symbol_text(name)
    ));
    for (_, _, text) in places {
        problem = problem.note(format!("defined at {text}"));
    }
    cx.problems.push(problem.at(definitions[0].file.0, definitions[0].symbol.into()));
}
