//! What options ask to be told about the inputs: `-t`, `-y`, `.gnu.warning.*`, `--dependency-file`.

use crate::config::OutputKind;
use crate::context::Cx;
use crate::depfile::dependency_file as makefile_rule;
use crate::image::Image;
use crate::intern::Symbols;
use crate::model::{File, Inputs};
use crate::open::{Opened, reason};
use crate::report::{Failed, Problem};
use crate::select::{Class, Selection, seen};
use object::LittleEndian as LE;
use std::collections::HashSet;

/// Lists inputs and symbols for `-t` and `-y`, and passes on the warnings objects carry.
pub fn report(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, opened: &Opened) {
    if cx.config.trace_inputs {
        list_inputs(cx, inputs, selection, opened);
    }
    for name in &cx.config.trace_symbols {
        trace_symbol(cx, inputs, symbols, selection, name);
    }
    // The sections stay in the output of -r, for the final link to say it.
    if cx.config.kind != OutputKind::Relocatable {
        pass_on_warnings(cx, inputs, symbols, selection);
    }
}

/// Every file that was opened, members of archives as far as they came in.
fn list_inputs(cx: &Cx, inputs: &Inputs, selection: &Selection, opened: &Opened) {
    let mut members: HashSet<&std::path::Path> = HashSet::new();
    for file in &inputs.files {
        if let File::Object(object) = file
            && object.origin.member.is_some()
        {
            members.insert(object.origin.path);
        }
    }
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (index, file) in inputs.files.iter().enumerate() {
        let is_in = match file {
            File::Object(object) => selection.live[object.id.index()],
            File::Shared(_) => true,
        };
        if is_in {
            lines.push((index as u32, file.origin().to_string()));
        }
    }
    let listed: HashSet<&std::path::Path> = inputs.files.iter().map(|f| f.origin().path).collect();
    // Scripts, and archives none of whose members came in.
    for path in opened.paths.iter().filter(|path| !listed.contains(*path) && !members.contains(*path)) {
        cx.problems.say(path.display().to_string());
    }
    for (_, line) in lines {
        cx.problems.say(line);
    }
}

fn trace_symbol(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, name: &[u8]) {
    let Some(id) = symbols.find(name) else { return };
    let shown = String::from_utf8_lossy(name).into_owned();
    for file in &inputs.files {
        match file {
            File::Object(object) if selection.live[object.id.index()] => {
                for (n, _) in object.ids.iter().enumerate().filter(|(_, other)| **other == id) {
                    let entry = &object.symbols[object.first_global as usize + n];
                    let what = match entry.st_shndx.get(LE) {
                        object::elf::SHN_UNDEF => "reference to",
                        object::elf::SHN_COMMON => "common definition of",
                        _ => "definition of",
                    };
                    cx.problems.say(format!("{}: {what} {shown}", object.origin));
                }
            }
            File::Object(_) => {}
            File::Shared(shared) => {
                if shared.defined.iter().any(|s| s.id == id) {
                    cx.problems.say(format!("{}: shared definition of {shown}", shared.origin));
                }
                if shared.undefined.iter().any(|s| s.id == id) {
                    cx.problems.say(format!("{}: reference to {shown}", shared.origin));
                }
            }
        }
    }
}

/// `.gnu.warning.SYMBOL`: once for each symbol that a live object refers to; `.gnu.warning`: always.
fn pass_on_warnings(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) {
    let mut done: HashSet<&[u8]> = HashSet::new();
    for file in &inputs.files {
        let File::Object(object) = file else { continue };
        if !selection.live[object.id.index()] {
            continue;
        }
        for (symbol, text) in &object.warnings {
            let text = String::from_utf8_lossy(text).into_owned();
            if symbol.is_empty() {
                cx.problems.push(Problem::warning(format!("{}: {text}", object.origin)).at(object.id.0, 0));
                continue;
            }
            let Some(id) = symbols.find(symbol) else { continue };
            let is_used = selection.references[id.index()] & (seen::STRONG | seen::WEAK) != 0;
            let is_defined = selection.def(id).class() != Class::None;
            if is_used && is_defined && done.insert(symbol) {
                let user = user_of(inputs, selection, id).unwrap_or_else(|| object.origin.to_string());
                cx.problems.push(Problem::warning(format!("{user}: {text}")).at(object.id.0, 1));
            }
        }
    }
}

/// The first file that refers to a symbol.
fn user_of(inputs: &Inputs, selection: &Selection, id: crate::model::SymbolId) -> Option<String> {
    selection.objects.iter().map(|file| inputs.object(*file)).find_map(|object| {
        let mut pairs = object.ids.iter().enumerate();
        let refers = pairs.any(|(n, other)| {
            let entry = &object.symbols[object.first_global as usize + n];
            *other == id && entry.st_shndx.get(LE) == object::elf::SHN_UNDEF
        });
        refers.then(|| object.origin.to_string())
    })
}

/// `--stats`.
pub fn statistics(cx: &Cx, image: &Image, opened: &Opened) {
    if cx.config.print_memory_usage {
        // A table of the regions that a script's MEMORY command names: without one, the heading alone.
        cx.problems.say("Memory region         Used Size  Region Size  %age Used".to_string());
    }
    if !cx.config.stats {
        return;
    }
    let Image { inputs, selection, live, layout, .. } = image;
    let objects = || selection.objects.iter().map(|id| inputs.object(*id));
    let sections = objects().flat_map(|o| (1..o.sections.len()).map(|index| o.section_id(index)));
    let kept = sections.filter(|id| live.contains(*id)).count();
    let stored = |o: &crate::model::Object| {
        (0..o.sections.len() as u32).map(|n| o.stored_bytes(n).len()).sum::<usize>()
    };
    let mapped: usize = objects().map(stored).sum();
    let figures = [
        ("files read", opened.paths.len()),
        ("objects found", inputs.objects.len()),
        ("objects linked", selection.objects.len()),
        ("shared objects needed", selection.shared.len()),
        ("bytes of sections read", mapped),
        ("sections read", objects().map(|o| o.sections.len()).sum()),
        ("sections kept", kept),
        ("global symbols", selection.defs.len()),
        ("output sections", layout.order.len()),
        ("segments", layout.segments.len()),
        ("bytes written", layout.file_size as usize),
    ];
    for (what, count) in figures {
        cx.problems.say(format!("{what:<24}{count:>14}"));
    }
}

/// `--dependency-file`.
pub fn dependency_file(cx: &Cx, opened: &Opened) -> Result<(), Failed> {
    let Some(path) = &cx.config.dependency_file else { return Ok(()) };
    let rule = makefile_rule(&cx.config.output, opened.paths.iter().copied());
    std::fs::write(path, rule).map_err(|error| {
        let why = reason(&error);
        cx.problems.fail(Problem::error(format!("cannot write dependency file {}: {why}", path.display())))
    })
}
