//! The link map (`-Map`, `-M`) and the cross reference table (`--cref`): where everything went, as text.
//!
//! In: [`Image`], once the output is in its place. Out: a file, or lines for standard output.
//!
//! The map is a table in file order, in the columns lld uses: address, load address (always the same), size,
//! alignment; then, further right for each level, an output section, the input sections in it, the symbols in
//! those. What the linker made itself goes by `<internal>`. Merged sections have lost their borders; a line
//! stands for all of them.
//!
//! Cost: all symbols of the linked objects are sorted. Nothing here is fast, and nobody pays for it who does not ask.

use crate::context::Cx;
use crate::image::Image;
use crate::intern::Symbols;
use crate::model::{File, Inputs, Object, SymbolId};
use crate::outputs::{Content, Member};
use crate::report::{Failed, Problem};
use crate::select::{Def, Selection};
use object::LittleEndian as LE;
use object::elf::{SHF_ALLOC, SHN_UNDEF, STT_FILE, STT_SECTION};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Writes what the options ask for.
pub fn write(cx: &Cx, image: &Image) -> Result<(), Failed> {
    let mut text = String::new();
    if cx.config.map_file.is_some() {
        heading(&mut text);
        map(image, &mut text);
    }
    let Image { inputs, symbols, selection, .. } = *image;
    save(cx, inputs, symbols, selection, text)
}

/// Writes a map, if there is one, and the cross reference table, if the options ask for one.
pub(crate) fn save(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    selection: &Selection,
    mut text: String,
) -> Result<(), Failed> {
    let config = cx.config;
    if config.cref {
        if !text.is_empty() {
            text.push('\n');
        }
        cross_references(cx, inputs, symbols, selection, &mut text);
    }
    if text.is_empty() {
        return Ok(());
    }
    let Some(file) = config.map_file.as_deref().filter(|path| *path != Path::new("-")) else {
        cx.problems.say(text);
        return Ok(());
    };
    let file = in_directory(file, &config.output);
    std::fs::write(&file, text).map_err(|error| {
        let why = crate::open::reason(&error);
        cx.problems.fail(Problem::error(format!("cannot write map file {}: {why}", file.display())))
    })
}

/// Of a directory: the file in it that is named after the output.
fn in_directory(file: &Path, output: &Path) -> PathBuf {
    match output.file_name() {
        Some(name) if file.is_dir() => {
            let mut name = name.to_os_string();
            name.push(".map");
            file.join(name)
        }
        _ => file.to_path_buf(),
    }
}

/// One line of the map.
pub(crate) fn line(text: &mut String, address: u64, size: u64, align: u64, indent: usize, what: &str) {
    // Formatting into a string cannot fail.
    let _ = writeln!(text, "{address:>16x} {address:>16x} {size:>8x} {align:>5} {:indent$}{what}", "");
}

/// Levels of the table.
pub(crate) const INPUT: usize = 8;
pub(crate) const SYMBOL: usize = 16;

/// The first line of the map.
pub(crate) fn heading(text: &mut String) {
    let _ = writeln!(
        text,
        "{:>16} {:>16} {:>8} {:>5} {:8}{:8}Symbol",
        "VMA", "LMA", "Size", "Align", "Out", "In"
    );
}

fn map(image: &Image, text: &mut String) {
    let symbols: Vec<Vec<(u32, u64, usize)>> =
        image.cx.pool.map("map", image.selection.objects.len(), 4, |position| {
            symbols_of(image.selection, image.object(position))
        });
    for position in &image.layout.order {
        let section = &image.outputs.sections[*position as usize];
        let address = image.layout.placements[*position as usize].address;
        let name = String::from_utf8_lossy(section.name);
        line(text, address, section.size, 1 << section.align_log2, 0, &name);
        let is_loaded = section.has(SHF_ALLOC);
        for member in &section.members {
            let start = address + member.offset;
            match member.content {
                Content::Sections(object, first, count) => {
                    let range = first as usize..(first + count) as usize;
                    inputs(image, &symbols, object as usize, range, start, is_loaded, text);
                }
                Content::Pool(..) => made(text, start, member, &format!("<internal>:({name}, merged)")),
                _ => made(text, start, member, &format!("<internal>:({name})")),
            }
        }
    }
}

fn made(text: &mut String, address: u64, member: &Member, what: &str) {
    if member.size != 0 {
        line(text, address, member.size, 1 << member.align_log2, INPUT, what);
    }
}

/// The lines of a run of sections of one object, and of the symbols in them.
fn inputs(
    image: &Image,
    symbols: &[Vec<(u32, u64, usize)>],
    position: usize,
    range: std::ops::Range<usize>,
    start: u64,
    is_loaded: bool,
    text: &mut String,
) {
    let object = image.object(position);
    let gathered = &image.outputs.objects[position];
    for i in range {
        let index = gathered.order[i];
        let section = &object.sections[index as usize];
        let address = start + gathered.inner[i];
        let name = String::from_utf8_lossy(object.section_name(index as usize));
        line(text, address, section.size(), section.align(), INPUT, &format!("{}:({name})", object.origin));
        if !is_loaded {
            continue;
        }
        let list = &symbols[position];
        let first = list.partition_point(|(section, ..)| *section < index);
        for (_, value, symbol) in list[first..].iter().take_while(|(section, ..)| *section == index) {
            let size = object.symbols[*symbol].st_size.get(LE);
            line(text, address.wrapping_add(*value), size, 1, SYMBOL, &name_of(image, object, *symbol));
        }
    }
}

/// The symbols an object contributes: (section, value, index), ascending.
pub(crate) fn symbols_of(selection: &Selection, object: &Object) -> Vec<(u32, u64, usize)> {
    let is_shown = |index: usize| {
        let entry = &object.symbols[index];
        let id = object.symbol_id(index);
        let is_winner = id == SymbolId::NONE || {
            let def: Def = selection.def(id);
            def.file() == object.id && def.index() as usize == index
        };
        is_winner
            && !matches!(entry.st_type(), STT_FILE | STT_SECTION)
            && object.symbol_section(index) != 0
            && !object.symbol_name(index).is_empty()
            && !object.symbol_name(index).starts_with(b".L")
    };
    let place = |index: usize| (object.symbol_section(index), object.symbols[index].st_value.get(LE), index);
    let mut list: Vec<_> = (1..object.symbols.len()).filter(|index| is_shown(*index)).map(place).collect();
    list.sort_unstable();
    list
}

fn name_of(image: &Image, object: &Object, symbol: usize) -> String {
    image.cx.symbol_text(object.symbol_name(symbol))
}

/// Which files define and use each symbol that an object of the link mentions: the one that defines it first.
fn cross_references(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, text: &mut String) {
    const WIDTH: usize = 50;
    let mut mentions: Vec<(&[u8], bool, u32)> = Vec::new();
    for file in &inputs.files {
        match file {
            File::Object(object) if selection.live[object.id.index()] => {
                for (n, id) in object.ids.iter().enumerate() {
                    let entry = &object.symbols[object.first_global as usize + n];
                    let is_use = entry.st_shndx.get(LE) == SHN_UNDEF;
                    mentions.push((symbols.name(*id), is_use, object.id.0));
                }
            }
            _ => {}
        }
    }
    let named: std::collections::HashSet<&[u8]> = mentions.iter().map(|(name, ..)| *name).collect();
    for id in &selection.shared {
        let shared = inputs.shared_object(*id);
        let defined = shared.defined.iter().map(|symbol| (symbol, false));
        for (symbol, is_use) in defined.chain(shared.undefined.iter().map(|symbol| (symbol, true))) {
            let name = shared.symbol_name(symbol.index);
            if named.contains(name) {
                mentions.push((name, is_use, id.0));
            }
        }
    }
    mentions.sort_unstable();
    mentions.dedup();
    let _ = writeln!(text, "Cross Reference Table\n\n{:WIDTH$}File", "Symbol");
    let mut last: &[u8] = b"";
    for (name, _, file) in mentions {
        let origin = inputs.files[file as usize].origin();
        let shown = if name == last { String::new() } else { cx.symbol_text(name) };
        // A name that fills its column gets a line of its own.
        if shown.chars().count() >= WIDTH {
            let _ = writeln!(text, "{shown}\n{:WIDTH$}{origin}", "");
        } else {
            let _ = writeln!(text, "{shown:WIDTH$}{origin}");
        }
        last = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut text = String::new();
        line(&mut text, 0x1000, 0x20, 16, SYMBOL, "main");
        assert_eq!(text, "            1000             1000       20    16                 main\n");
    }

    #[test]
    fn a_directory_gets_a_file_named_after_the_output() {
        let file = in_directory(Path::new("/"), Path::new("out/prog"));
        assert_eq!(file, Path::new("/prog.map"));
        assert_eq!(in_directory(Path::new("x.map"), Path::new("prog")), Path::new("x.map"));
    }
}
