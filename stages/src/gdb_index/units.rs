//! The units of an object: where they are, which code they describe, and who knows their names.
//!
//! Ranges come from the attributes of the root entry (DWARF 5, 2.17; DWARF 2 to 4 alike): a low and a high address or a
//! list of ranges, in `.debug_ranges` or `.debug_rnglists`. What is not live is left out.
//!
//! A skeleton unit (split DWARF) has no entries below its root; its names are those the compiler has listed.

use super::entries::Abbreviations;
use super::names::{self, UnitNames};
use super::pubnames::{self, Listed};
use super::{CodeRange, Name, ObjectIndex, Unit};
use crate::dwarf::{Debug, Reader, what};
use crate::liveness::LiveSet;
use gimli::{AttributeValue, Encoding, UnitHeader, UnitType};

/// Why names are left out.
pub(super) const TOO_MANY: &str = "the names are too long for the size of the debug information";

/// What the root entry of a unit says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Root {
    /// DW_AT_language; 0 if there is none.
    pub language: u16,
    /// The unit's entries are in another file (split DWARF).
    is_skeleton: bool,
    low_pc: Option<Address>,
    high_pc: Option<High>,
    ranges: Option<Ranges>,
    /// First entry of the unit's string offsets and addresses.
    pub str_offsets_base: usize,
    pub addr_base: usize,
    rnglists_base: usize,
}

#[derive(Debug, Clone, Copy)]
enum Address {
    Plain(u64),
    Index(usize),
}

#[derive(Debug, Clone, Copy)]
enum High {
    At(Address),
    Length(u64),
}

#[derive(Debug, Clone, Copy)]
enum Ranges {
    Offset(usize),
    Index(usize),
}

/// Reads the units of an object; the error tells the first place that is damaged and what is wrong there.
pub(super) fn read(debug: &Debug, live: &LiveSet, index: &mut ObjectIndex) -> Result<(), String> {
    let mut reading = Reading {
        debug,
        live,
        listed: pubnames::sets(debug),
        abbreviations: Abbreviations::new(debug.contents(debug.abbrev)),
        index,
        counts: [0; 2],
        damage: None,
    };
    for (section, is_types) in debug.unit_sections() {
        let reader = debug.reader(section);
        // Where a header is damaged the section ends: nobody knows where the next unit begins.
        if is_types {
            let mut headers = gimli::DebugTypes::from(reader).units();
            while reading.next_unit(section, headers.next()) {}
        } else {
            let mut headers = gimli::DebugInfo::from(reader).units();
            while reading.next_unit(section, headers.next()) {}
        }
    }
    reading.damage.map_or(Ok(()), Err)
}

struct Reading<'a> {
    debug: &'a Debug<'a>,
    live: &'a LiveSet,
    listed: Listed,
    abbreviations: Abbreviations,
    index: &'a mut ObjectIndex,
    /// Compilation units and type units so far.
    counts: [u32; 2],
    damage: Option<String>,
}

impl Reading<'_> {
    /// Reads a unit; false at the end of its section.
    fn next_unit(&mut self, section: u32, header: gimli::Result<Option<UnitHeader<Reader>>>) -> bool {
        let (offset, result) = match &header {
            Ok(Some(header)) => (header.offset().0, self.read_unit(section, header)),
            Ok(None) => return false,
            Err(error) => {
                let id = self.debug.object.section_id(section as usize);
                let last = self.index.units.last().filter(|unit| unit.section == id);
                (last.map_or(0, |unit| unit.offset + unit.length) as usize, Err(what(*error)))
            }
        };
        if let Err(reason) = result {
            let name = String::from_utf8_lossy(self.debug.object.section_name(section as usize));
            self.damage.get_or_insert_with(|| format!("({name}+{offset:#x}): {reason}"));
        }
        header.is_ok()
    }

    fn read_unit(&mut self, section: u32, header: &UnitHeader<Reader>) -> Result<(), String> {
        let offset = header.offset().0;
        let type_unit = match header.type_() {
            UnitType::Type { type_signature, type_offset } => Some((type_offset.0 as u64, type_signature.0)),
            _ => None,
        };
        let is_type_unit = type_unit.is_some();
        let count = &mut self.counts[usize::from(is_type_unit)];
        let number = *count;
        *count += 1;
        self.index.units.push(Unit {
            section: self.debug.object.section_id(section as usize),
            offset: offset as u64,
            length: header.length_including_self() as u64,
            type_unit,
        });
        let table =
            self.abbreviations.table(header.debug_abbrev_offset().0, header.encoding()).map_err(what)?;
        let root = read_root(header, &table.source).map_err(what)?;
        let mut result = Ok(());
        if !is_type_unit {
            let ranges = add_ranges(self.debug, self.live, header.encoding(), &root, number, self.index);
            result = ranges.map_err(what);
            let sets = self.listed.of_unit(offset as u64);
            if !sets.is_empty() {
                let mut names = sets.iter().flat_map(|set| set.names());
                let is_whole = names.all(|entry| {
                    self.index.add_name(Name::new(0..0, entry.name), entry.attributes, number, false)
                });
                return result.and(is_whole.then_some(()).ok_or_else(|| TOO_MANY.to_string()));
            }
        }
        self.index.has_unlisted_skeleton |= root.is_skeleton;
        let unit = UnitNames { number, is_type_unit, section, root };
        let names = names::read(self.debug, self.live, header, unit, table, self.index);
        result.and(names.map_err(str::to_string))
    }
}

/// The attributes of the root entry that matter here.
fn read_root(header: &UnitHeader<Reader>, abbreviations: &gimli::Abbreviations) -> gimli::Result<Root> {
    let encoding = header.encoding();
    let mut entries = header.entries_raw(abbreviations, None)?;
    // Without the attribute the unit's entries come first in the section, behind its header.
    let first =
        if encoding.version >= 5 { usize::from(encoding.format.initial_length_size()) + 4 } else { 0 };
    let mut root = Root { str_offsets_base: first, addr_base: first, ..Root::default() };
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(root) };
    for specification in abbreviation.attributes() {
        let attribute = entries.read_attribute(*specification)?;
        let address = |value| match value {
            AttributeValue::Addr(address) => Some(Address::Plain(address)),
            AttributeValue::DebugAddrIndex(index) => Some(Address::Index(index.0)),
            _ => None,
        };
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_language, AttributeValue::Language(language)) => root.language = language.0,
            (gimli::DW_AT_dwo_name | gimli::DW_AT_GNU_dwo_name, _) => root.is_skeleton = true,
            (gimli::DW_AT_low_pc, value) => root.low_pc = address(value),
            (gimli::DW_AT_high_pc, value) => {
                let length = |value: AttributeValue<Reader>| value.udata_value().map(High::Length);
                root.high_pc = address(value.clone()).map(High::At).or_else(|| length(value));
            }
            (gimli::DW_AT_ranges, AttributeValue::RangeListsRef(offset)) => {
                root.ranges = Some(Ranges::Offset(offset.0));
            }
            (gimli::DW_AT_ranges, AttributeValue::DebugRngListsIndex(index)) => {
                root.ranges = Some(Ranges::Index(index.0));
            }
            (gimli::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => {
                root.str_offsets_base = base.0;
            }
            (gimli::DW_AT_addr_base | gimli::DW_AT_GNU_addr_base, AttributeValue::DebugAddrBase(base)) => {
                root.addr_base = base.0;
            }
            (gimli::DW_AT_rnglists_base, AttributeValue::DebugRngListsBase(base)) => {
                root.rnglists_base = base.0;
            }
            _ => {}
        }
    }
    Ok(root)
}

/// Adds the live code of a compilation unit.
fn add_ranges(
    debug: &Debug,
    live: &LiveSet,
    encoding: Encoding,
    root: &Root,
    unit: u32,
    index: &mut ObjectIndex,
) -> gimli::Result<()> {
    let addresses = gimli::DebugAddr::from(debug.reader(debug.addr));
    let addr_base = gimli::DebugAddrBase(root.addr_base);
    let resolve = |address| match address {
        Address::Plain(address) => Ok(address),
        Address::Index(n) => {
            addresses.get_address(encoding.address_size, addr_base, gimli::DebugAddrIndex(n))
        }
    };
    let low = root.low_pc.map(resolve).transpose()?;
    let mut add = |start: u64, end: u64| {
        // The end may be that of the section, so it is a distance here and no address of its own.
        let length = end.saturating_sub(start);
        let is_within = (start & 0xffff_ffff).checked_add(length).is_some_and(|end| end <= 1 << 32);
        if let Some((section, start)) = debug.locate(start)
            && live.contains(section)
            && length > 0
            && is_within
        {
            index.ranges.push(CodeRange { unit, section, start, end: start + length });
        }
    };
    let Some(ranges) = root.ranges else {
        if let (Some(low), Some(high)) = (low, root.high_pc) {
            let end = match high {
                High::At(address) => resolve(address)?,
                High::Length(length) => low.saturating_add(length),
            };
            add(low, end);
        }
        return Ok(());
    };
    let lists = debug.range_lists();
    let offset = match ranges {
        Ranges::Offset(offset) => gimli::RangeListsOffset(offset),
        Ranges::Index(n) => {
            let base = gimli::DebugRngListsBase(root.rnglists_base);
            lists.get_offset(encoding, base, gimli::DebugRngListsIndex(n))?
        }
    };
    let mut list = lists.ranges(offset, encoding, low.unwrap_or(0), &addresses, addr_base)?;
    while let Some(range) = list.next()? {
        add(range.begin, range.end);
    }
    Ok(())
}
