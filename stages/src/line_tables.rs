//! Leaves out all debug information but that about source lines (`--strip-debug-non-line`).
//!
//! In: the live objects, inflated. Out: the same objects with smaller debug sections, so that nobody after this stage
//! knows. A debugger or a profiler still finds the file and line of an address, and functions by the symbol table.
//!
//! Which units there are and what code they describe is told by the root entries of `.debug_info` (DWARF 5, 3.1.1);
//! line tables are found through them. So a unit is reduced to its root entry, without children, of which attributes
//! that lead elsewhere are left out, too. Its strings move into the entry: what is left of `.debug_str` is what
//! line tables refer to, mostly nothing. Lists of code ranges stay whole. Type units, and everything else that is
//! called `.debug_*`, goes; most of it does not even get here, see [`is_stripped`](crate::parse::is_stripped).
//!
//! A unit that is not understood costs its object all debug information, with a warning.

use crate::config::Strip;
use crate::context::Cx;
use crate::dwarf::{Debug, Reader, what};
use crate::elf::{Rela, leb128};
use crate::model::{File, Inputs, Object, SectionKind};
use crate::report::Problem;
use crate::select::Selection;
use gimli::{
    Abbreviations, AttributeSpecification, AttributeValue, DebugAbbrev, DebugAbbrevOffset, Encoding, Format,
    LittleEndian, UnitHeader, UnitType,
};
use object::LittleEndian as LE;

/// Reduces the debug sections of live objects if asked to.
pub fn reduce(cx: &Cx, inputs: &mut Inputs, selection: &Selection) {
    if cx.config.strip != Strip::NonLines {
        return;
    }
    cx.pool.for_each_mut("line-tables", &mut inputs.files, 1, |_, file| {
        let File::Object(object) = file else { return };
        if !selection.live[object.id.index()] {
            return;
        }
        let debug = Debug::new(object, selection);
        match Reduced::read(&debug) {
            Ok(reduced) => {
                let (abbrev, unused) = (debug.abbrev, unused(&debug, reduced.home));
                replace(object, abbrev, reduced, &unused);
            }
            Err(reason) => {
                let message =
                    format!("{}:(.debug_info): {reason}: debug information is left out", object.origin);
                cx.problems.push(Problem::warning(message).at(object.id.0, 0));
                for index in 0..object.sections.len() {
                    if !object.sections[index].is_alloc()
                        && crate::parse::is_debug_name(object.section_name(index))
                    {
                        object.sections[index].kind = SectionKind::Ignored;
                    }
                }
            }
        }
    });
}

/// What is left of `.debug_info` and `.debug_abbrev`.
#[derive(Default)]
struct Reduced {
    info: Vec<u8>,
    relocations: Vec<Rela>,
    abbrev: Vec<u8>,
    /// The section for all units: the one that held the first of them.
    home: u32,
}

impl Reduced {
    fn read(debug: &Debug) -> Result<Reduced, String> {
        let mut reduced = Reduced::default();
        for section in &debug.info {
            let mut headers = gimli::DebugInfo::from(debug.reader(*section)).units();
            while let Some(header) = headers.next().map_err(what)? {
                if matches!(header.type_(), UnitType::Compilation | UnitType::Skeleton(_)) {
                    if reduced.home == 0 {
                        reduced.home = *section;
                    }
                    reduced.add(debug, *section, &header).map_err(what)?;
                }
            }
        }
        Ok(reduced)
    }

    fn add(&mut self, debug: &Debug, section: u32, header: &UnitHeader<Reader>) -> gimli::Result<()> {
        let table = DebugAbbrev::new(debug.contents(debug.abbrev), LittleEndian);
        let abbreviations = table.abbreviations(DebugAbbrevOffset(header.debug_abbrev_offset().0))?;
        let encoding = header.encoding();
        let unit_start = header.offset().0;
        let bytes = debug.contents(section);
        let start = self.info.len();
        let abbrev_at = self.add_header(encoding);
        // The relocation of the offset of the abbreviations stays, for another offset.
        let word = usize::from(encoding.format.word_size());
        let old_at = unit_start
            + usize::from(encoding.format.initial_length_size())
            + if encoding.version >= 5 { 4 } else { 2 };
        if !self.add_relocation(debug, section, old_at, abbrev_at, Some(self.abbrev.len() as i64)) {
            self.info[abbrev_at..abbrev_at + word]
                .copy_from_slice(&(self.abbrev.len() as u64).to_le_bytes()[..word]);
        }
        self.info.push(1);
        leb128::unsigned(&mut self.abbrev, 1);
        leb128::unsigned(&mut self.abbrev, gimli::DW_TAG_compile_unit.0.into());
        self.abbrev.push(gimli::DW_CHILDREN_no.0);
        let base = str_offsets_base(header, &abbreviations)?;
        let mut entries = header.entries_raw(&abbreviations, None)?;
        let specifications =
            entries.read_abbreviation()?.map_or(&[][..], |abbreviation| abbreviation.attributes());
        for specification in specifications {
            let from = unit_start + entries.next_offset().0;
            let attribute = entries.read_attribute(*specification)?;
            let to = unit_start + entries.next_offset().0;
            if !is_kept(specification) {
                continue;
            }
            if let Some(text) = text(debug, encoding, base, &attribute.value())? {
                self.add_text(specification, text);
                continue;
            }
            leb128::unsigned(&mut self.abbrev, specification.name().0.into());
            leb128::unsigned(&mut self.abbrev, specification.form().0.into());
            if let Some(value) = specification.implicit_const_value() {
                leb128::signed(&mut self.abbrev, value);
            }
            let at = self.info.len();
            self.info.extend_from_slice(bytes.get(from..to).unwrap_or(&[]));
            self.add_relocation(debug, section, from, at, None);
        }
        // The end of the attributes, and of the table.
        self.abbrev.extend([0, 0, 0]);
        self.end_unit(start, encoding);
        Ok(())
    }

    /// A header with room for the length and the offset of the abbreviations (DWARF 5, 7.5.1); returns where the
    /// offset goes.
    fn add_header(&mut self, encoding: Encoding) -> usize {
        let word = usize::from(encoding.format.word_size());
        self.info.resize(self.info.len() + usize::from(encoding.format.initial_length_size()), 0);
        self.info.extend(encoding.version.to_le_bytes());
        if encoding.version >= 5 {
            self.info.extend([gimli::DW_UT_compile.0, encoding.address_size]);
        }
        let at = self.info.len();
        self.info.resize(at + word, 0);
        if encoding.version < 5 {
            self.info.push(encoding.address_size);
        }
        at
    }

    /// Fills in the length of the unit.
    fn end_unit(&mut self, start: usize, encoding: Encoding) {
        let field = usize::from(encoding.format.initial_length_size());
        let length = (self.info.len() - start - field) as u64;
        if encoding.format == Format::Dwarf64 {
            self.info[start..start + 4].fill(0xff);
            self.info[start + 4..start + field].copy_from_slice(&length.to_le_bytes());
        } else {
            self.info[start..start + field].copy_from_slice(&(length as u32).to_le_bytes());
        }
    }

    /// A string in place.
    fn add_text(&mut self, specification: &AttributeSpecification, text: &[u8]) {
        leb128::unsigned(&mut self.abbrev, specification.name().0.into());
        leb128::unsigned(&mut self.abbrev, gimli::DW_FORM_string.0.into());
        self.info.extend_from_slice(text);
        self.info.push(0);
    }

    /// Moves a relocation, to another offset of what it refers to if one is given. False: there is none.
    fn add_relocation(
        &mut self,
        debug: &Debug,
        section: u32,
        from: usize,
        to: usize,
        offset: Option<i64>,
    ) -> bool {
        let Some(found) = debug.relocations(section).find(from as u64) else { return false };
        let mut relocation = *found;
        relocation.r_offset.set(LE, to as u64);
        if let Some(offset) = offset {
            let symbol = debug.object.symbols.get(found.r_sym(LE, false) as usize);
            let value = symbol.map_or(0, |symbol| symbol.st_value.get(LE)) as i64;
            relocation.r_addend.set(LE, offset.wrapping_sub(value));
        }
        self.relocations.push(relocation);
        true
    }
}

/// Whether an attribute of a root entry is about names, code or lines.
fn is_kept(specification: &AttributeSpecification) -> bool {
    let is_plain = specification.form() != gimli::DW_FORM_indirect;
    is_plain
        && matches!(
            specification.name(),
            gimli::DW_AT_name
                | gimli::DW_AT_comp_dir
                | gimli::DW_AT_producer
                | gimli::DW_AT_language
                | gimli::DW_AT_low_pc
                | gimli::DW_AT_high_pc
                | gimli::DW_AT_ranges
                | gimli::DW_AT_stmt_list
                | gimli::DW_AT_addr_base
                | gimli::DW_AT_GNU_addr_base
                | gimli::DW_AT_rnglists_base
        )
}

/// DW_AT_str_offsets_base of a root entry.
fn str_offsets_base(header: &UnitHeader<Reader>, abbreviations: &Abbreviations) -> gimli::Result<usize> {
    let mut entries = header.entries_raw(abbreviations, None)?;
    let specifications =
        entries.read_abbreviation()?.map_or(&[][..], |abbreviation| abbreviation.attributes());
    for specification in specifications {
        let attribute = entries.read_attribute(*specification)?;
        if let AttributeValue::DebugStrOffsetsBase(base) = attribute.value() {
            return Ok(base.0);
        }
    }
    Ok(0)
}

/// The text of an attribute, `None` if it is no string.
fn text(
    debug: &Debug,
    encoding: Encoding,
    base: usize,
    value: &AttributeValue<Reader>,
) -> gimli::Result<Option<&'static [u8]>> {
    let in_table = |table: u32, offset: usize| Some(crate::elf::c_string(debug.contents(table), offset));
    Ok(match value {
        AttributeValue::String(text) => Some(text.inner().slice()),
        AttributeValue::DebugStrRef(offset) => in_table(debug.str, offset.0),
        AttributeValue::DebugLineStrRef(offset) => in_table(debug.line_str, offset.0),
        AttributeValue::DebugStrOffsetsIndex(index) => {
            let offsets = gimli::DebugStrOffsets::from(debug.reader(debug.str_offsets));
            let base = gimli::DebugStrOffsetsBase(base);
            in_table(debug.str, offsets.get_str_offset(encoding.format, base, *index)?.0)
        }
        _ => None,
    })
}

/// Sections that nothing refers to any more.
fn unused(debug: &Debug, home: u32) -> Vec<u32> {
    let object = debug.object;
    let referred = |by: &[u8], to: u32| {
        (0..object.sections.len()).any(|index| {
            object.section_name(index) == by
                && object.relocations(&object.sections[index]).iter().any(|relocation| {
                    let symbol = relocation.r_sym(LE, false) as usize;
                    symbol < object.symbols.len() && object.symbol_section(symbol) == to
                })
        })
    };
    let mut unused = vec![debug.str_offsets];
    if debug.str != 0 && !referred(b".debug_line", debug.str) {
        unused.push(debug.str);
    }
    unused.extend(debug.info.iter().filter(|index| **index != home));
    unused
}

/// Puts what is left in the place of what was there.
fn replace(object: &mut Object, abbrev: u32, reduced: Reduced, unused: &[u32]) {
    for index in unused {
        object.sections[*index as usize].kind = SectionKind::Ignored;
    }
    if reduced.home == 0 {
        return;
    }
    let rela = object.sections[reduced.home as usize].rela;
    if rela != 0 {
        let relocations = object::pod::bytes_of_slice(reduced.relocations.leak());
        object.sections[rela as usize].set_contents(relocations);
    }
    for (index, bytes) in [(reduced.home, reduced.info), (abbrev, reduced.abbrev)] {
        object.sections[index as usize].set_contents(bytes.leak());
    }
}
