//! Relocations that stay relocations: moved with their section, pointed at the symbols of the output.
//!
//! An entry keeps its type and its place among the others. `r_offset` grows by the place of its section in the output
//! section; a reference by section symbol means the output section's symbol, so its addend grows by the place of the
//! section it meant. Other symbols are only renumbered.
//!
//! Relocations against what is not in the output are left out ([`super::kept`]); the bytes they applied to get the
//! tombstone that a final link would write.

use super::kept::Kept;
use super::sections::{Joined, Member};
use super::symbols::{Source, Table};
use crate::arch::target::row;
use crate::elf::Rela;
use crate::emit::tombstone;
use crate::model::{Object, SymbolId};
use object::LittleEndian as LE;
use object::elf::STT_SECTION;

/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = 24;

/// The relocations of one input section.
pub struct Site<'a> {
    /// What there is.
    pub source: &'a Source<'a>,
    /// What is in the output.
    pub kept: &'a Kept,
    /// The sections of the output.
    pub joined: &'a Joined,
    /// Its symbols.
    pub table: &'a Table,
    /// The input section.
    pub member: Member,
}

impl<'a> Site<'a> {
    fn object(&self) -> &'a Object {
        self.source.inputs.object(self.source.selection.objects[self.member.position as usize])
    }

    fn relocations(&self) -> &'static [Rela] {
        let object = self.object();
        object.relocations(&object.sections[self.member.section as usize])
    }

    /// Writes the contents without relocations applied.
    pub fn write_contents(&self, out: &mut [u8]) {
        let contents = self.object().sections[self.member.section as usize].contents();
        let edited = self.kept.edit(self.member.position as usize, self.member.section as usize);
        let edited = edited.map(|edit| edit.apply(contents));
        // The zero that ends an unwind table may have been cut off.
        let contents = edited.as_deref().unwrap_or(contents);
        let size = out.len().min(contents.len());
        out[..size].copy_from_slice(&contents[..size]);
        self.bury(out);
    }

    /// Writes the entries, [`ENTRY_BYTES`] each.
    pub fn write(&self, out: &mut [u8]) {
        let object = self.object();
        let position = self.member.position as usize;
        let edit = self.kept.edit(position, self.member.section as usize);
        let mut entries = out.chunks_exact_mut(ENTRY_BYTES as usize);
        for relocation in self.relocations() {
            let symbol = relocation.r_sym(LE, false) as usize;
            let offset = relocation.r_offset.get(LE);
            let offset = edit.map_or(Some(offset), |edit| edit.moved(offset));
            let Some(offset) = offset.filter(|_| !self.kept.is_gone(position, symbol)) else { continue };
            let (number, delta) = self.meaning(object, symbol);
            let info = u64::from(number) << 32 | u64::from(relocation.r_type(LE, false));
            let addend = (relocation.r_addend.get(LE) as u64).wrapping_add(delta);
            if let Some(out) = entries.next() {
                out[0..8].copy_from_slice(&offset.wrapping_add(self.member.offset).to_le_bytes());
                out[8..16].copy_from_slice(&info.to_le_bytes());
                out[16..24].copy_from_slice(&addend.to_le_bytes());
            }
        }
        debug_assert!(entries.next().is_none(), "as many relocations as were counted");
    }

    /// Marks references to nothing in the bytes of a section that is not loaded.
    fn bury(&self, out: &mut [u8]) {
        let object = self.object();
        let position = self.member.position as usize;
        if object.sections[self.member.section as usize].is_alloc() || !self.kept.has_gone(position) {
            return;
        }
        let config = self.source.cx.config;
        let tombstone = tombstone(config, object.section_name(self.member.section as usize)).to_le_bytes();
        for relocation in self.relocations() {
            if !self.kept.is_gone(position, relocation.r_sym(LE, false) as usize) {
                continue;
            }
            let offset = usize::try_from(relocation.r_offset.get(LE)).unwrap_or(usize::MAX);
            let width =
                row(relocation.r_type(LE, false)).map_or(0, |row| row.field.width()).min(tombstone.len());
            if let Some(field) = offset.checked_add(width).and_then(|end| out.get_mut(offset..end)) {
                field.copy_from_slice(&tombstone[..width]);
            }
        }
    }

    /// The number of a symbol of the output, and what to add to the addend.
    fn meaning(&self, object: &Object, symbol: usize) -> (u32, u64) {
        if symbol == 0 {
            return (0, 0);
        }
        let entry = &object.symbols[symbol];
        if object.symbol_id(symbol) == SymbolId::NONE && entry.st_type() == STT_SECTION {
            let place = self.joined.place(object, object.symbol_section(symbol) as usize);
            let number = self.table.section_symbol(place.output).unwrap_or(0);
            return (number, place.offset.wrapping_add(entry.st_value.get(LE)));
        }
        (self.table.number(object, self.member.position as usize, symbol), 0)
    }
}
