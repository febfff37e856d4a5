//! `--print-symbol-counts`: how many symbols each input defines, and how many of its definitions the output uses.
//!
//! In: [`Selection`]. Out: a line a file in command-line order, in the form gold gives them: `symbols FILE DEFINED USED`,
//! and `archive FILE MEMBERS TAKEN`. Build systems look there for libraries that are linked for nothing.

use crate::context::Cx;
use crate::model::{File, FileId, Inputs, Object, SymbolId};
use crate::report::Failed;
use crate::select::Selection;
use object::LittleEndian as LE;
use object::elf::SHN_UNDEF;
use std::fmt::Write;

/// Writes the lines, if the options ask for them.
///
/// # Errors
/// The proof that the file could not be written.
pub fn write(cx: &Cx, inputs: &Inputs, selection: &Selection) -> Result<(), Failed> {
    let Some(path) = cx.config.symbol_counts.as_deref() else { return Ok(()) };
    let mut text = String::new();
    for (index, file) in inputs.files.iter().enumerate() {
        match file {
            File::Object(object) => {
                if starts_archive(inputs, index, object) {
                    archive(&mut text, inputs, selection, object);
                }
                if selection.live[index] {
                    let (defined, used) = of_object(selection, object);
                    line(&mut text, "symbols", &object.origin.to_string(), defined, used);
                }
            }
            File::Shared(shared) => {
                let is_used = |id: SymbolId| id != SymbolId::NONE && selection.def(id).file() == shared.id;
                let used = shared.defined.iter().filter(|s| is_used(s.id) || is_used(s.versioned_id)).count();
                line(&mut text, "symbols", &shared.origin.to_string(), shared.defined.len(), used);
            }
        }
    }
    cx.write_table(path, text, "cannot write symbol counts")
}

fn line(text: &mut String, what: &str, name: &str, all: usize, some: usize) {
    // Formatting into a string cannot fail.
    let _ = writeln!(text, "{what} {name} {all} {some}");
}

/// Global symbols that a linked object defines, and those of them that are the ones the output has.
fn of_object(selection: &Selection, object: &Object) -> (usize, usize) {
    let first = object.first_global as usize;
    let (mut defined, mut used) = (0, 0);
    for (n, id) in object.ids.iter().enumerate() {
        if object.symbols[first + n].st_shndx.get(LE) != SHN_UNDEF {
            defined += 1;
            let def = selection.def(*id);
            used += usize::from(def.file() == object.id && def.index() as usize == first + n);
        }
    }
    (defined, used)
}

/// Whether an object is the first member of its archive.
fn starts_archive(inputs: &Inputs, index: usize, object: &Object) -> bool {
    let is_same = |other: &Object| other.origin.member.is_some() && other.origin.path == object.origin.path;
    let previous = index.checked_sub(1).map(|n| &inputs.files[n]);
    object.origin.member.is_some()
        && !previous.is_some_and(|file| matches!(file, File::Object(other) if is_same(other)))
}

fn archive(text: &mut String, inputs: &Inputs, selection: &Selection, first: &Object) {
    let (mut members, mut taken) = (0, 0);
    for file in &inputs.files[first.id.index()..] {
        match file {
            File::Object(object)
                if object.origin.member.is_some() && object.origin.path == first.origin.path =>
            {
                members += 1;
                taken += usize::from(is_taken(selection, object.id));
            }
            _ => break,
        }
    }
    line(text, "archive", &first.origin.path.display().to_string(), members, taken);
}

fn is_taken(selection: &Selection, id: FileId) -> bool {
    selection.live[id.index()]
}
