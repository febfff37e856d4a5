//! `.eh_frame` taken apart: CIEs and FDEs of every live object.
//!
//! In: [`Selection`]. Out: [`Unwind`], one table an object. An FDE belongs to the section whose code it
//! describes (the target of its first relocation, LSB "Exception Frames"); it lives and dies with it. Records
//! are kept as ranges into the input; `chunks/eh_frame` writes those that stay.
//!
//! Invariant: relocations of a record are a contiguous range of the section's relocations, because the table is
//! sorted by offset here if the object did not do so.

use crate::config::Icf;
use crate::context::Cx;
use crate::elf::Rela;
use crate::model::{Inputs, Object, SectionKind};
use crate::report::Problem;
use crate::select::Selection;
use crate::starts::starts_of;
use object::LittleEndian as LE;
use std::borrow::Cow;

/// A record of `.eh_frame`: a range of a section and of its relocations.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Index of the `.eh_frame` section.
    pub section: u32,
    /// Offset within the section, of the length field.
    pub offset: u32,
    /// Size in bytes including the length field.
    pub size: u32,
    /// First relocation, in [`ObjectUnwind::relocations`].
    pub first_relocation: u32,
    /// Number of relocations.
    pub relocation_count: u32,
}

/// A frame description entry.
#[derive(Debug, Clone, Copy)]
pub struct Fde {
    /// Where it is.
    pub record: Record,
    /// Its CIE, in [`ObjectUnwind::cies`].
    pub cie: u32,
    /// Index of the section it describes.
    pub target: u32,
}

/// The unwind records of one object.
#[derive(Debug, Default)]
pub struct ObjectUnwind {
    /// Common information entries.
    pub cies: Vec<Record>,
    /// Frame description entries, by the section they describe.
    pub fdes: Vec<Fde>,
    /// The relocations of all `.eh_frame` sections of the object, sorted by offset within each.
    pub relocations: Cow<'static, [Rela]>,
    /// For each section where its entries start in `fdes`, and at the end how many entries there are; empty if there
    /// are none, or if nothing in this link asks by section.
    first_of: Vec<u32>,
}

impl ObjectUnwind {
    /// The entries that describe a section, in links that collect garbage or fold sections.
    pub fn fdes_of(&self, section: u32) -> &[Fde] {
        match self.first_of.get(section as usize..) {
            Some([start, end, ..]) => &self.fdes[*start as usize..*end as usize],
            _ => &[],
        }
    }
    /// Asks for what [`ObjectUnwind::fdes_of`] reads first.
    pub fn announce_index(&self, section: u32) {
        engine::prefetch(&self.first_of, section as usize);
    }
    /// Asks for the entries that describe a section.
    pub fn announce_fdes(&self, section: u32) {
        if let Some(first) = self.first_of.get(section as usize) {
            engine::prefetch(&self.fdes, *first as usize);
        }
    }
    /// Sorts the entries by the section they describe.
    fn sort(&mut self) {
        self.fdes.sort_by_key(|f| (f.target, f.record.section, f.record.offset));
    }
    /// Notes where the entries of each of `sections` begin.
    fn index(&mut self, sections: usize) {
        if self.fdes.is_empty() {
            return;
        }
        self.first_of = starts_of(sections, self.fdes.iter().map(|fde| fde.target as usize));
    }
    /// The relocations of a record.
    pub fn relocations_of(&self, record: &Record) -> &[Rela] {
        let start = record.first_relocation as usize;
        &self.relocations[start..start + record.relocation_count as usize]
    }
    /// The bytes of a record.
    pub fn bytes(object: &Object, record: &Record) -> &'static [u8] {
        let contents = object.sections[record.section as usize].contents();
        &contents[record.offset as usize..(record.offset + record.size) as usize]
    }
}

/// The unwind tables of the live objects, in the order of [`Selection::objects`].
#[derive(Debug)]
pub struct Unwind {
    /// One an object.
    pub objects: Vec<ObjectUnwind>,
}

/// Reads the `.eh_frame` sections of all live objects.
pub fn read(cx: &Cx, inputs: &Inputs, selection: &Selection) -> Unwind {
    // Who follows or compares references asks by section.
    let is_indexed = cx.config.gc_sections || cx.config.folding.icf != Icf::None;
    let objects = cx.pool.map("unwind", selection.objects.len(), 8, |i| {
        let object = inputs.object(selection.objects[i]);
        let mut unwind = ObjectUnwind::default();
        for index in object.taken_apart.iter().map(|index| *index as usize) {
            let section = &object.sections[index];
            if section.kind != SectionKind::EhFrame || selection.discarded[object.section_id(index).index()] {
                continue;
            }
            let (cies, fdes) = (unwind.cies.len(), unwind.fdes.len());
            if let Err(what) = read_section(object, index as u32, &mut unwind) {
                // The link goes on to find more problems: records of a damaged table are none.
                unwind.cies.truncate(cies);
                unwind.fdes.truncate(fdes);
                let message = format!("{}:(.eh_frame): {what}", object.origin);
                cx.problems.push(Problem::error(message).at(object.id.0, index as u64));
            }
        }
        unwind.sort();
        if is_indexed {
            unwind.index(object.sections.len());
        }
        unwind
    });
    Unwind { objects }
}

fn read_section(object: &Object, index: u32, unwind: &mut ObjectUnwind) -> Result<(), String> {
    let section = &object.sections[index as usize];
    let data = section.contents();
    if data.len() > u32::MAX as usize {
        return Err("section is larger than 4 GiB".into());
    }
    let mut relocations = Cow::Borrowed(object.relocations(section));
    if !relocations.is_sorted_by_key(|r| r.r_offset.get(LE)) {
        relocations.to_mut().sort_by_key(|r| r.r_offset.get(LE));
    }
    let base = unwind.relocations.len();
    let first_cie = unwind.cies.len();
    let word =
        |at: usize| -> Option<u32> { Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?)) };
    // An entry that describes something has a relocation, and few have a second one.
    unwind.fdes.reserve_exact(relocations.len());
    let (mut at, mut next) = (0usize, 0usize);
    while at + 4 <= data.len() {
        let length = word(at).unwrap_or(0) as usize;
        if length == 0 {
            break;
        }
        if length == 0xffff_ffff {
            return Err(format!("record at offset {at:#x} uses the 64-bit format, which is not supported"));
        }
        let end =
            at.checked_add(4 + length).filter(|end| *end <= data.len() && length >= 4).ok_or_else(|| {
                format!("record at offset {at:#x} does not fit its section: corrupt or truncated")
            })?;
        while relocations.get(next).is_some_and(|r| r.r_offset.get(LE) < at as u64) {
            next += 1;
        }
        let rest = &relocations[next..];
        let count = rest.iter().position(|r| r.r_offset.get(LE) >= end as u64).unwrap_or(rest.len());
        let record = Record {
            section: index,
            offset: at as u32,
            size: (end - at) as u32,
            first_relocation: (base + next) as u32,
            relocation_count: count as u32,
        };
        let id = word(at + 4).unwrap_or(0);
        if id == 0 {
            unwind.cies.push(record);
        } else {
            let cie_offset = (at as u32 + 4).wrapping_sub(id);
            let cie = unwind.cies[first_cie..]
                .iter()
                .rposition(|c| c.offset == cie_offset)
                .ok_or_else(|| format!("record at offset {at:#x} refers to a CIE that does not exist"))?;
            // An entry without a relocation describes nothing that is in this object.
            if let Some(first) = relocations[next..next + count].first() {
                let symbol = first.r_sym(LE, false) as usize;
                if symbol >= object.symbols.len() {
                    return Err(format!(
                        "relocation at offset {at:#x} refers to symbol {symbol}, which does not exist"
                    ));
                }
                let target = object.symbol_section(symbol);
                unwind.fdes.push(Fde { record, cie: (first_cie + cie) as u32, target });
            }
        }
        next += count;
        at = end;
    }
    for relocation in relocations.iter() {
        if relocation.r_sym(LE, false) as usize >= object.symbols.len() {
            return Err("a relocation refers to a symbol that does not exist".into());
        }
    }
    if unwind.relocations.is_empty() {
        unwind.relocations = relocations;
    } else {
        unwind.relocations.to_mut().extend_from_slice(&relocations);
    }
    Ok(())
}
