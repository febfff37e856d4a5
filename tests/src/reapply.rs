//! Applies the relocations that a finished program kept (`--emit-relocs`) once more, and finds its bytes unchanged.
//!
//! In: an [`Elf`]. Each entry of each `.rela.NAME` that is not loaded is calculated from type, symbol, addend and place
//! as the psABI says (table 4.9) and compared with what stands there. Where the calculation goes through a table, the
//! slot must be in the table and hold the symbol, by value or by a dynamic relocation. That is what a tool that
//! rearranges programs relies on.

use crate::elf::{Elf, Section, Symbol};

const SHT_RELA: u32 = 4;
const SHF_ALLOC: u64 = 2;
const SHF_TLS: u64 = 0x400;
const SHF_COMPRESSED: u64 = 0x800;
const STT_SECTION: u8 = 3;
const STT_TLS: u8 = 6;
const STT_GNU_IFUNC: u8 = 10;

/// One kept relocation.
struct Entry<'e> {
    offset: u64,
    kind: u32,
    symbol: Option<&'e Symbol>,
    addend: u64,
}

/// The number of relocations checked.
///
/// # Errors
/// The first one that the bytes contradict.
pub fn check(elf: &Elf) -> Result<usize, String> {
    let program = Program::new(elf);
    let mut count = 0;
    for table in elf.sections.iter().filter(|s| s.kind == SHT_RELA && s.flags & SHF_ALLOC == 0) {
        let target = elf.sections.get(table.info as usize).filter(|_| table.info != 0);
        let target = target.ok_or_else(|| format!("{} applies to no section", table.name))?;
        if format!(".rela{}", target.name) != table.name {
            return Err(format!("{} applies to {}", table.name, target.name));
        }
        if target.flags & SHF_COMPRESSED != 0 {
            continue;
        }
        for raw in elf.contents(table)?.chunks_exact(24) {
            let word = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().expect("eight bytes"));
            let symbol = match (word(8) >> 32) as usize {
                0 => None,
                n => Some(elf.symbols.get(n - 1).ok_or_else(|| format!("{}: no symbol {n}", table.name))?),
            };
            let entry = Entry { offset: word(0), kind: word(8) as u32, symbol, addend: word(16) };
            program.check(target, &entry).map_err(|what| {
                let name = entry.symbol.map_or("", |s| s.name.as_str());
                let (offset, kind, addend) = (entry.offset, entry.kind, entry.addend as i64);
                format!("{}: type {kind} at {offset:#x} against `{name}` + {addend:#x}: {what}", table.name)
            })?;
            count += 1;
        }
    }
    Ok(count)
}

/// What calculations ask for.
struct Program<'e> {
    elf: &'e Elf,
    tls_start: u64,
    thread_pointer: u64,
    got: u64,
}

impl<'e> Program<'e> {
    fn new(elf: &'e Elf) -> Program<'e> {
        let tls = elf.segments.iter().find(|s| s.kind == 7);
        let (tls_start, thread_pointer) =
            tls.map_or((0, 0), |s| (s.address, (s.address + s.memory_size).next_multiple_of(s.align.max(1))));
        let named = |name: &str| elf.sections.iter().find(|s| s.name == name).map(|s| s.address);
        let got = named(".got.plt").or_else(|| named(".got")).unwrap_or(0);
        Program { elf, tls_start, thread_pointer, got }
    }

    fn is_in(&self, address: u64, prefix: &str) -> bool {
        self.elf.section_at(address).is_some_and(|s| s.name.starts_with(prefix))
    }

    /// S.
    fn address(&self, symbol: Option<&Symbol>) -> u64 {
        match symbol {
            None => 0,
            Some(s) if s.kind == STT_TLS && s.section != 0 => self.tls_start.wrapping_add(s.value),
            Some(s) => s.value,
        }
    }

    fn check(&self, target: &Section, entry: &Entry) -> Result<(), String> {
        let field = |width: usize| -> Result<u64, String> {
            let start = entry.offset.wrapping_sub(target.address) as usize;
            let end = start.checked_add(width).ok_or("outside its section")?;
            let bytes = self.elf.contents(target)?.get(start..end).ok_or("outside its section")?;
            let mut word = [0; 8];
            word[..width].copy_from_slice(bytes);
            // Narrow fields are compared sign-extended.
            let shift = 64 - 8 * width as u32;
            Ok(((i64::from_le_bytes(word) << shift) >> shift) as u64)
        };
        let equal = |width: usize, wanted: u64| {
            let (found, shift) = (field(width)?, 64 - 8 * width as u32);
            match found << shift == wanted << shift {
                true => Ok(()),
                false => Err(format!("the field holds {found:#x}, not {wanted:#x}")),
            }
        };
        let (s, a, p) = (self.address(entry.symbol), entry.addend, entry.offset);
        let value = s.wrapping_add(a);
        let is_ifunc = entry.symbol.is_some_and(|s| s.kind == STT_GNU_IFUNC);
        // Through a table: where the field leads to.
        let slot =
            |width: usize, base: u64| Ok::<u64, String>(field(width)?.wrapping_sub(a).wrapping_add(base));
        match entry.kind {
            0 | 35 => Ok(()),
            1 => self.word(entry, field(8)?, value),
            10 | 11 if is_ifunc => self.plt(field(4)? & 0xffff_ffff),
            10 | 11 => equal(4, value),
            12 => equal(2, value),
            14 => equal(1, value),
            2 => equal(4, value.wrapping_sub(p)),
            24 if is_ifunc => self.plt(slot(8, p)?),
            24 => equal(8, value.wrapping_sub(p)),
            13 => equal(2, value.wrapping_sub(p)),
            15 => equal(1, value.wrapping_sub(p)),
            4 => equal(4, value.wrapping_sub(p)).or_else(|what| self.plt(slot(4, p)?).map_err(|_| what)),
            9 | 41..=43 | 46 | 49 => self.got_slot(entry, slot(4, p)?, s),
            28 => self.got_slot(entry, slot(8, p)?, s),
            3 => self.got_slot(entry, slot(4, self.got)?, s),
            27 | 30 => self.got_slot(entry, slot(8, self.got)?, s),
            22 | 44 | 47 | 50 => self.got_slot(entry, slot(4, p)?, s.wrapping_sub(self.thread_pointer)),
            19 | 20 | 34 | 45 | 48 | 51 if self.is_in(slot(4, p)?, ".got") => Ok(()),
            23 => equal(4, value.wrapping_sub(self.thread_pointer)),
            18 => equal(8, value.wrapping_sub(self.thread_pointer)),
            21 => equal(4, value.wrapping_sub(self.tls_start)),
            17 => equal(8, value.wrapping_sub(self.tls_start)),
            25 => equal(8, value.wrapping_sub(self.got)),
            26 => equal(4, self.got.wrapping_add(a).wrapping_sub(p)),
            29 => equal(8, self.got.wrapping_add(a).wrapping_sub(p)),
            31 => equal(8, value.wrapping_sub(self.got)).or_else(|_| self.plt(slot(8, self.got)?)),
            32 => equal(4, entry.symbol.map_or(0, |s| s.size).wrapping_add(a)),
            33 => equal(8, entry.symbol.map_or(0, |s| s.size).wrapping_add(a)),
            kind => Err(format!("type {kind} does not describe what is there")),
        }
    }

    fn plt(&self, address: u64) -> Result<(), String> {
        if self.is_in(address, ".plt") || self.is_in(address, ".iplt") {
            return Ok(());
        }
        Err(format!("{address:#x} is in no PLT"))
    }

    /// A word that may be left to the loader.
    fn word(&self, entry: &Entry, found: u64, wanted: u64) -> Result<(), String> {
        if found == wanted || self.is_left_to_loader(entry.offset, entry.symbol, wanted, entry.addend) {
            return Ok(());
        }
        if entry.symbol.is_some_and(|s| s.kind == STT_GNU_IFUNC) && self.plt(found).is_ok() {
            return Ok(());
        }
        Err(format!("the word holds {found:#x}, not {wanted:#x}"))
    }

    /// Whether a dynamic relocation at a place puts a symbol there: by value, or by name and addend.
    fn is_left_to_loader(&self, place: u64, symbol: Option<&Symbol>, value: u64, addend: u64) -> bool {
        let dynamic =
            self.elf.relocations.iter().filter(|r| r.table == ".rela.dyn" || r.table == ".rela.plt");
        let name = symbol.map_or("", |s| s.name.split('@').next().unwrap_or_default());
        dynamic.filter(|r| r.offset == place).any(|r| match r.symbol.as_str() {
            "" => r.addend as u64 == value || matches!(r.kind, 16 | 18 | 36 | 37),
            other => other == name && (r.kind != 1 || r.addend as u64 == addend),
        })
    }

    /// A slot of the GOT with a value.
    fn got_slot(&self, entry: &Entry, slot: u64, value: u64) -> Result<(), String> {
        let section = self.elf.section_at(slot).filter(|s| s.name.starts_with(".got"));
        let section = section.ok_or_else(|| format!("{slot:#x} is in no GOT"))?;
        let at = (slot - section.address) as usize;
        let bytes = self.elf.contents(section)?.get(at..at + 8).ok_or("the slot is cut off")?;
        let found = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let is_tls = self.elf.sections.get(entry.symbol.map_or(0, |s| s.section) as usize);
        let is_tls = is_tls.is_some_and(|s| s.flags & SHF_TLS != 0);
        let is_section = entry.symbol.is_some_and(|s| s.kind == STT_SECTION);
        if found == value
            || self.is_left_to_loader(slot, entry.symbol, value, 0)
            || self.plt(found).is_ok()
            || is_section
            || is_tls && self.elf.relocations.iter().any(|r| r.offset == slot)
        {
            return Ok(());
        }
        Err(format!("the slot at {slot:#x} holds {found:#x}, not {value:#x}"))
    }
}
