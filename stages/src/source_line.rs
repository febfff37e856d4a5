//! Where in the source code a place in an object comes from: `main.c:3 (/src/main.c:3) in function main`.
//!
//! In: an [`Object`], a section of it, an offset. Out: a [`Description`], as far as the object can tell: the
//! line from its DWARF sections, the enclosing function or variable from its symbol table.
//! Not here: which places are worth it. Only problems that are shown are explained ([`explain`]), after the
//! link has failed, so a link that succeeds never comes here (but for `--detect-odr-violations`, by [`Lines`]).
//!
//! The debug sections of an object are not relocated yet, and its sections have no addresses. So every section
//! is given one of its own, [`base`], far from all others; the relocations are applied to copies of the debug
//! sections, and the result is what any reader of DWARF takes for an executable.
//!
//! Invariants
//! - Nothing here is ever an error: what cannot be read is left out, the place is still shown.
//! - The work is bounded: by the number of places, the size of debug sections, the number of entries visited.
//! - Places are taken in the order problems are shown in, so limits cannot make the result depend on timing.

use crate::arch::target::{self, apply::write, rows::Calculation};
use crate::context::Cx;
use crate::elf::Rela;
use crate::model::{File, Inputs, Object};
use crate::report::{Description, Place};
use gimli::{AttributeValue, DwarfSections, EndianSlice, LittleEndian};
use object::LittleEndian as LE;
use object::elf::{SHF_GROUP, SHT_RELA, STT_FUNC, STT_GNU_IFUNC, STT_OBJECT, STT_TLS};
use std::collections::HashMap;
use std::path::Path;

/// Places that are looked up at most.
const PLACES_MAX: usize = 200;
/// Bytes of debug sections of one object that are read at most.
const DEBUG_BYTES_MAX: usize = 256 << 20;
/// Entries of `.debug_info` that are visited at most to find a variable.
const ENTRIES_MAX: usize = 1 << 18;

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// Adds source lines and functions to the problems that will be shown.
pub fn explain(cx: &Cx, inputs: &Inputs) {
    let mut debug: HashMap<u32, Option<DwarfSections<Vec<u8>>>> = HashMap::new();
    let mut places = 0;
    cx.problems.describe(cx.config.error_limit, |place| {
        places += 1;
        let File::Object(object) = inputs.files.get(place.file as usize)? else { return None };
        if places > PLACES_MAX {
            return None;
        }
        let sections = debug.entry(place.file).or_insert_with(|| debug_sections(object));
        Some(describe(cx, object, sections.as_ref(), place))
    });
}

/// Source lines of definitions, for a check that is made while the link goes well.
#[derive(Default)]
pub struct Lines {
    debug: HashMap<u32, Option<DwarfSections<Vec<u8>>>>,
}

impl Lines {
    /// File and line that the code at a place of an object comes from, if the object tells.
    pub fn of_code(&mut self, object: &Object, place: Place) -> Option<(String, u64)> {
        let sections = self.debug.entry(place.file).or_insert_with(|| debug_sections(object));
        let dwarf = sections.as_ref()?.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        line_of_code(&dwarf, base(place.section).checked_add(place.offset)?)
    }
}

/// What is known about a place.
fn describe(cx: &Cx, object: &Object, debug: Option<&DwarfSections<Vec<u8>>>, place: Place) -> Description {
    let line = debug.and_then(|sections| {
        let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        let address = base(place.section).checked_add(place.offset)?;
        line_of_code(&dwarf, address).or_else(|| line_of_variable(&dwarf, address))
    });
    Description {
        line: line.map(|(file, line)| line_text(&file, line)),
        within: enclosing(cx, object, place),
    }
}

/// `main.c:3 (/src/main.c:3)`.
fn line_text(file: &str, line: u64) -> String {
    match Path::new(file).file_name().and_then(|name| name.to_str()) {
        Some(name) if name != file => format!("{name}:{line} ({file}:{line})"),
        _ => format!("{file}:{line}"),
    }
}

/// The function or variable a place is in, according to the symbol table.
fn enclosing(cx: &Cx, object: &Object, place: Place) -> Option<String> {
    let candidates = object.symbols.iter().enumerate().filter(|(index, entry)| {
        let start = entry.st_value.get(LE);
        let end = start.saturating_add(entry.st_size.get(LE));
        matches!(entry.st_type(), STT_FUNC | STT_GNU_IFUNC | STT_OBJECT | STT_TLS)
            && (start..end).contains(&place.offset)
            && object.symbol_section(*index) == place.section
    });
    // The innermost one, and of several names the global one, which comes last.
    let (index, entry) = candidates.max_by_key(|(index, entry)| (entry.st_value.get(LE), *index))?;
    let kind = if matches!(entry.st_type(), STT_FUNC | STT_GNU_IFUNC) { "function" } else { "variable" };
    Some(format!("{kind} {}", cx.symbol_text(object.symbol_name(index))))
}

/// The address a section is given: 4 GiB behind that of the section before it.
fn base(section: u32) -> u64 {
    (u64::from(section) + 1) << 32
}

/// Relocated copies of an object's debug sections; `None` if it has none.
fn debug_sections(object: &Object) -> Option<DwarfSections<Vec<u8>>> {
    let mut left = DEBUG_BYTES_MAX;
    let load = |id: gimli::SectionId| -> Result<Vec<u8>, ()> {
        use gimli::SectionId as S;
        match id {
            S::DebugAbbrev
            | S::DebugAddr
            | S::DebugInfo
            | S::DebugLine
            | S::DebugLineStr
            | S::DebugRanges
            | S::DebugRngLists
            | S::DebugStr
            | S::DebugStrOffsets => {}
            _ => return Ok(Vec::new()),
        }
        let Some(index) = find_section(object, id.name()) else { return Ok(Vec::new()) };
        let bytes = relocated(object, index, left).ok_or(())?;
        left -= bytes.len();
        Ok(bytes)
    };
    let sections = DwarfSections::load(load).ok()?;
    (left < DEBUG_BYTES_MAX).then_some(sections)
}

/// A section by its name, also in its `.zdebug_*` form. Type units live in groups of their own and are left out.
fn find_section(object: &Object, name: &str) -> Option<usize> {
    let plain = name.strip_prefix(".debug_")?.as_bytes();
    (1..object.sections.len()).find(|index| {
        let name = object.section_name(*index);
        let rest = name.strip_prefix(b".debug_").or_else(|| name.strip_prefix(b".zdebug_"));
        rest == Some(plain) && !object.sections[*index].has(SHF_GROUP)
    })
}

/// The relocations of a debug section: with `-s` nobody has attached them, so they are found by name.
fn relocations_of(object: &Object, index: usize) -> &'static [Rela] {
    let section = &object.sections[index];
    if section.rela != 0 {
        return object.relocations(section);
    }
    let name = object.section_name(index);
    let found = (1..object.sections.len()).find(|other| {
        let plain = object.section_name(*other);
        object.section_type(*other) == SHT_RELA
            && !object.sections[*other].has(SHF_GROUP)
            && plain.strip_prefix(b".rela").or_else(|| plain.strip_prefix(b".crel")) == Some(name)
    });
    found.map_or(&[], |other| crate::elf::slice_of(object.sections[other].contents()))
}

/// The bytes of a section with its relocations applied, unless there are more than `limit`.
fn relocated(object: &Object, index: usize, limit: usize) -> Option<Vec<u8>> {
    let section = &object.sections[index];
    let mut bytes = match object.compression(index).ok()? {
        Some(compressed) if compressed.size_bytes <= limit => {
            let mut bytes = vec![0; compressed.size_bytes];
            compressed.decompress_into(&mut bytes).ok()?;
            bytes
        }
        None if section.contents().len() <= limit => section.contents().to_vec(),
        _ => return None,
    };
    for relocation in relocations_of(object, index) {
        let symbol = relocation.r_sym(LE, false) as usize;
        let (Some(row), Some(entry)) =
            (target::row(relocation.r_type(LE, false)), object.symbols.get(symbol))
        else {
            continue;
        };
        let Ok(offset) = usize::try_from(relocation.r_offset.get(LE)) else { continue };
        if row.calculation != Calculation::Absolute
            || offset.checked_add(row.field.width()).is_none_or(|end| end > bytes.len())
        {
            continue;
        }
        // Offsets into debug sections stay offsets; what has addresses at run time gets one.
        let start = match object.symbol_section(symbol) {
            section if object.sections.get(section as usize).is_some_and(|s| s.is_alloc()) => base(section),
            _ => 0,
        };
        let value =
            start.wrapping_add(entry.st_value.get(LE)).wrapping_add(relocation.r_addend.get(LE) as u64);
        // What does not fit is no address of ours.
        let _ = write(row.field, &mut bytes, offset, value);
    }
    Some(bytes)
}

/// Looks through the units for something.
fn in_units<'a, T>(
    dwarf: &Dwarf<'a>,
    mut find: impl FnMut(&gimli::Unit<Slice<'a>>) -> Option<T>,
) -> Option<T> {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let found = dwarf.unit(header).ok().and_then(|unit| find(&unit));
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The line the code at an address comes from (DWARF 5, 6.2: the row before the first one behind the address).
fn line_of_code(dwarf: &Dwarf, address: u64) -> Option<(String, u64)> {
    in_units(dwarf, |unit| {
        let mut rows = unit.line_program.clone()?.rows();
        let mut before: Option<(u64, u64, u64)> = None;
        while let Ok(Some((_, row))) = rows.next_row() {
            if let Some((start, file, line)) = before
                && (start..row.address()).contains(&address)
            {
                return Some((file_name(dwarf, unit, file)?, line));
            }
            before = match row.line() {
                Some(line) if !row.end_sequence() => Some((row.address(), row.file_index(), line.get())),
                _ => None,
            };
        }
        None
    })
}

/// The line a variable at an address is declared in.
fn line_of_variable(dwarf: &Dwarf, address: u64) -> Option<(String, u64)> {
    let mut left = ENTRIES_MAX;
    in_units(dwarf, |unit| {
        let mut entries = unit.entries();
        while let Ok(Some(entry)) = entries.next_dfs() {
            left = left.checked_sub(1)?;
            if entry.tag() != gimli::DW_TAG_variable || location_of(dwarf, unit, entry) != Some(address) {
                continue;
            }
            let declaration = match entry.attr_value(gimli::DW_AT_specification) {
                Some(AttributeValue::UnitRef(offset)) => unit.entry(offset).ok(),
                _ => None,
            };
            let number = |name| {
                let plain = |value| match value {
                    AttributeValue::FileIndex(index) => Some(index),
                    other => other.udata_value(),
                };
                let own = entry.attr_value(name).and_then(plain);
                own.or_else(|| plain(declaration.as_ref()?.attr_value(name)?))
            };
            let line = number(gimli::DW_AT_decl_line)?;
            return Some((file_name(dwarf, unit, number(gimli::DW_AT_decl_file)?)?, line));
        }
        None
    })
}

/// The address of a variable that has one place for all its life.
fn location_of<'a>(
    dwarf: &Dwarf<'a>,
    unit: &gimli::Unit<Slice<'a>>,
    entry: &gimli::DebuggingInformationEntry<Slice<'a>>,
) -> Option<u64> {
    let AttributeValue::Exprloc(expression) = entry.attr_value(gimli::DW_AT_location)? else { return None };
    match expression.operations(unit.encoding()).next() {
        Ok(Some(gimli::Operation::Address { address })) => Some(address),
        Ok(Some(gimli::Operation::AddressIndex { index })) => dwarf.address(unit, index).ok(),
        _ => None,
    }
}

/// The path of a file of a unit's line table.
fn file_name<'a>(dwarf: &Dwarf<'a>, unit: &gimli::Unit<Slice<'a>>, index: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let text = |value| Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    let mut path = std::path::PathBuf::new();
    if let Some(directory) = unit.comp_dir {
        path.push(directory.to_string_lossy().as_ref());
    }
    if let Some(directory) = file.directory(header).filter(|_| file.directory_index() != 0) {
        path.push(text(directory)?);
    }
    path.push(text(file.path_name())?);
    Some(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_short_and_whole() {
        assert_eq!(line_text("/src/main.c", 3), "main.c:3 (/src/main.c:3)");
        assert_eq!(line_text("main.c", 3), "main.c:3");
    }

    #[test]
    fn sections_do_not_overlap() {
        assert_eq!(base(0), 1 << 32);
        // `parse` refuses files with more sections.
        let last = u32::MAX / 2;
        assert_eq!(base(last) - base(last - 1), 1 << 32);
    }
}
