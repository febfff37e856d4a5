//! The debug sections of one object, with relocations applied as they are read.
//!
//! Input sections have no addresses yet. So each is given one of its own, [`base`], 4 GiB apart: a relocated address
//! tells section and offset. Relocations against debug sections give offsets in them.

use crate::elf::Rela;
use crate::model::{Object, SectionId, SectionKind};
use crate::select::Selection;
use gimli::{EndianSlice, LittleEndian, RelocateReader};
use object::LittleEndian as LE;
use std::cell::Cell;

/// Bytes of a section, relocated on the fly.
pub(crate) type Reader = RelocateReader<EndianSlice<'static, LittleEndian>, Relocations>;

/// What an object has of debug information.
pub(crate) struct Debug<'a> {
    pub object: &'a Object,
    /// Section indices of the live `.debug_info` and `.debug_types` sections, ascending.
    pub info: Vec<u32>,
    types: Vec<u32>,
    pub abbrev: u32,
    pub addr: u32,
    pub line_str: u32,
    pub debug_names: u32,
    pub names: u32,
    pub type_names: u32,
    ranges: u32,
    rnglists: u32,
    pub str: u32,
    pub str_offsets: u32,
}

impl<'a> Debug<'a> {
    /// Finds the sections.
    pub fn new(object: &'a Object, selection: &Selection) -> Debug<'a> {
        let mut debug = Debug {
            object,
            info: Vec::new(),
            types: Vec::new(),
            abbrev: 0,
            addr: 0,
            line_str: 0,
            debug_names: 0,
            names: 0,
            type_names: 0,
            ranges: 0,
            rnglists: 0,
            str: 0,
            str_offsets: 0,
        };
        for (index, section) in object.sections.iter().enumerate() {
            if section.is_alloc() || section.kind == SectionKind::Ignored {
                continue;
            }
            let id = object.section_id(index);
            if selection.discarded[id.index()] {
                continue;
            }
            let index = index as u32;
            let name = object.section_name(index as usize);
            // The inflated section goes by the plain name.
            let rest = name.strip_prefix(b".debug_").or_else(|| name.strip_prefix(b".zdebug_"));
            let slot = match rest.unwrap_or(b"") {
                b"info" => {
                    debug.info.push(index);
                    continue;
                }
                b"types" => {
                    debug.types.push(index);
                    continue;
                }
                b"abbrev" => &mut debug.abbrev,
                b"addr" => &mut debug.addr,
                b"line_str" => &mut debug.line_str,
                b"names" => &mut debug.debug_names,
                b"gnu_pubnames" => &mut debug.names,
                b"gnu_pubtypes" => &mut debug.type_names,
                b"ranges" => &mut debug.ranges,
                b"rnglists" => &mut debug.rnglists,
                b"str" => &mut debug.str,
                b"str_offsets" => &mut debug.str_offsets,
                _ => continue,
            };
            if *slot == 0 {
                *slot = index;
            }
        }
        debug
    }

    /// No units.
    pub fn is_empty(&self) -> bool {
        self.info.is_empty() && self.types.is_empty()
    }

    /// Whether there are type units in a section of their own (DWARF 4).
    pub fn has_types_section(&self) -> bool {
        !self.types.is_empty()
    }

    /// Size of what is read.
    pub fn bytes(&self) -> usize {
        self.unit_sections().map(|(index, _)| self.contents(index).len()).sum()
    }

    /// The sections that hold units, and whether they are `.debug_types`.
    pub fn unit_sections(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        let info = self.info.iter().map(|index| (*index, false));
        info.chain(self.types.iter().map(|index| (*index, true)))
    }

    /// The bytes of a section, unrelocated; none for index 0.
    pub fn contents(&self, index: u32) -> &'static [u8] {
        debug_assert!(self.object.packed_section(index).is_none(), "`inflate` does not know of this reader");
        self.object.sections[index as usize].contents()
    }

    /// The relocations of a section.
    pub fn relocations(&self, index: u32) -> Relocations {
        let object = self.object;
        Relocations {
            list: object.relocations(&object.sections[index as usize]),
            symbols: Symbols::of(object),
            hint: Cell::new(0),
        }
    }

    /// A section for gimli.
    pub fn reader(&self, index: u32) -> Reader {
        RelocateReader::new(EndianSlice::new(self.contents(index), LittleEndian), self.relocations(index))
    }

    /// The lists of code ranges.
    pub fn range_lists(&self) -> gimli::RangeLists<Reader> {
        let ranges = self.reader(self.ranges).into();
        gimli::RangeLists::new(ranges, self.reader(self.rnglists).into())
    }

    /// The section that a relocated address is in, and the offset there.
    pub fn locate(&self, address: u64) -> Option<(SectionId, u64)> {
        let index = (address >> 32).checked_sub(1)? as usize;
        let section = self.object.sections.get(index)?;
        section.is_alloc().then(|| (self.object.section_id(index), address & 0xffff_ffff))
    }
}

/// What is wrong, for a message about damaged debug information.
pub(crate) fn what(error: gimli::Error) -> String {
    match error {
        gimli::Error::BadUnsignedLeb128 | gimli::Error::BadSignedLeb128 => {
            "a number is too large".to_string()
        }
        error => error.to_string(),
    }
}

/// The address a section is given: 4 GiB behind that of the section before it.
fn base(section: u32) -> u64 {
    (u64::from(section) + 1) << 32
}

/// The parts of an object that relocations refer to, to be kept in readers without a lifetime of their own.
#[derive(Clone, Copy)]
struct Symbols {
    entries: &'static [crate::elf::Sym],
    headers: &'static [crate::elf::Shdr],
    shndx: &'static [object::U32<LE>],
}

impl Symbols {
    fn of(object: &Object) -> Symbols {
        Symbols { entries: object.symbols, headers: object.headers, shndx: object.shndx_table }
    }

    /// The symbol's section, 0 for none.
    fn section(&self, symbol: usize) -> u32 {
        let shndx = self.entries.get(symbol).map_or(0, |entry| entry.st_shndx.get(LE));
        match shndx {
            object::elf::SHN_XINDEX => self.shndx.get(symbol).map_or(0, |index| index.get(LE)),
            object::elf::SHN_LORESERVE.. => 0,
            plain => u32::from(plain),
        }
    }
}

/// The relocations of a section, found by the offset they apply to.
#[derive(Clone)]
pub(crate) struct Relocations {
    list: &'static [Rela],
    symbols: Symbols,
    /// Where the next one is looked for first.
    hint: Cell<usize>,
}

impl std::fmt::Debug for Relocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} relocations", self.list.len())
    }
}

impl Relocations {
    /// The relocation at an offset. Assemblers write them in the order of offsets, readers mostly ask in that order.
    pub fn find(&self, offset: u64) -> Option<&'static Rela> {
        let list = self.list;
        let at = |n: usize| list.get(n).map_or(u64::MAX, |r| r.r_offset.get(LE));
        let hint = self.hint.get();
        let (mut low, mut high, mut step) = (hint, hint, 1);
        if at(hint) < offset {
            while at(high) < offset {
                low = high;
                high = (high + step).min(list.len());
                step *= 2;
            }
        } else {
            while low > 0 && at(low) >= offset {
                high = low;
                low = low.saturating_sub(step);
                step *= 2;
            }
        }
        let found = low + list[low..high].partition_point(|r| r.r_offset.get(LE) < offset);
        self.hint.set(found);
        list.get(found).filter(|r| r.r_offset.get(LE) == offset)
    }

    /// The section that the relocation at an offset refers to, and the offset there.
    pub fn target(&self, offset: u64) -> Option<(u32, u64)> {
        let relocation = self.find(offset)?;
        let symbol = relocation.r_sym(LE, false) as usize;
        let entry = self.symbols.entries.get(symbol)?;
        let section = self.symbols.section(symbol);
        let is_there = section != 0 && (section as usize) < self.symbols.headers.len();
        let addend = relocation.r_addend.get(LE) as u64;
        is_there.then(|| (section, entry.st_value.get(LE).wrapping_add(addend)))
    }

    /// The value that the relocation at an offset gives, an address as [`Debug::locate`] takes it; `None` if nothing is
    /// relocated there.
    pub fn value(&self, offset: u64) -> Option<u64> {
        let relocation = self.find(offset)?;
        let symbol = relocation.r_sym(LE, false) as usize;
        let entry = self.symbols.entries.get(symbol)?;
        let section = self.symbols.section(symbol);
        let header = self.symbols.headers.get(section as usize)?;
        let is_alloc = header.sh_flags.get(LE) & u64::from(object::elf::SHF_ALLOC) != 0;
        let start = if is_alloc && section != 0 { base(section) } else { 0 };
        let addend = relocation.r_addend.get(LE) as u64;
        Some(start.wrapping_add(entry.st_value.get(LE)).wrapping_add(addend))
    }
}

impl gimli::Relocate for Relocations {
    fn relocate_address(&self, offset: usize, value: u64) -> gimli::Result<u64> {
        Ok(self.value(offset as u64).unwrap_or(value))
    }
    fn relocate_offset(&self, offset: usize, value: usize) -> gimli::Result<usize> {
        Ok(self.value(offset as u64).map_or(value, |relocated| relocated as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relocations_are_found_from_everywhere() {
        let list: Vec<Rela> = (0..100u64)
            .map(|n| {
                let mut entry: Rela = *object::pod::from_bytes(&[0; 24]).unwrap().0;
                entry.r_offset.set(LE, 10 + n * 3);
                entry
            })
            .collect();
        let symbols = Symbols { entries: &[], headers: &[], shndx: &[] };
        let relocations = Relocations { list: list.leak(), symbols, hint: Cell::new(0) };
        for from in [0, 10, 150, 307, 400] {
            for offset in 0..320 {
                relocations.find(from);
                let found = relocations.find(offset).map(|entry| entry.r_offset.get(LE));
                let is_there = (10..=307).contains(&offset) && (offset - 10) % 3 == 0;
                assert_eq!(found, is_there.then_some(offset), "{offset} from {from}");
            }
        }
    }
}
