//! Relocates sections that are not loaded: debug information.
//!
//! Nearly all of these relocations are 32- or 64-bit absolute ones against section symbols. What refers to code
//! that is not in the output, or was folded, gets a tombstone that readers know to skip: 0, or 1 where two zeros would
//! end a list (`.debug_loc`, `.debug_ranges`), or all ones in `.debug_names`; `-z dead-reloc-in-nonalloc` overrides it.

use super::Target;
use crate::arch::target::apply::{Overflow, write};
use crate::arch::target::rows::{Calculation, Row};
use crate::arch::target::{self};
use crate::config::Config;
use crate::elf::Rela;
use crate::elf::compressed::Compressed;
use crate::image::Image;
use crate::inflate;
use crate::merge::Placed;
use crate::model::Object;
use crate::report::Problem;
use crate::scan::{location, symbol_text};
use crate::script::glob::Glob;
use object::LittleEndian as LE;

/// Copies a section and applies its relocations. `out` has the section's size.
pub(super) fn copy_section(image: &Image, position: usize, index: u32, out: &mut [u8]) {
    let object = image.object(position);
    let section = &object.sections[index as usize];
    match object.packed_section(index) {
        Some(packed) => unpack(image, object, index, packed, out),
        None => super::copy(section.contents(), out),
    }
    let relocations = object.relocations(section);
    if relocations.is_empty() {
        return;
    }
    let name = object.section_name(index as usize);
    let tombstone = tombstone(image.cx.config, name);
    let targets = if image.live.has_folded() && forgets_folded(name) {
        &image.debug_targets[position]
    } else {
        &image.targets[position]
    };
    let site = Site { image, position, object, section: index, tombstone, targets };
    site.relocate(relocations, out);
}

/// Inflates a section that still is as it is in the file.
fn unpack(image: &Image, object: &Object, index: u32, packed: Compressed, out: &mut [u8]) {
    if let Err(what) = packed.decompress_into(out) {
        image.cx.problems.push(inflate::failed(object, index, &what));
        out.fill(0);
    }
}

/// What stands for an address that is not there.
pub(crate) fn tombstone(config: &Config, name: &[u8]) -> u64 {
    for (glob, value) in config.z.dead_reloc_in_nonalloc.iter().rev() {
        if Glob::new(glob).matches(name) {
            return *value;
        }
    }
    match name {
        b".debug_loc" | b".debug_ranges" => 1,
        b".debug_names" => u64::MAX,
        _ => 0,
    }
}

/// Whether a section treats folded code as gone. Line tables do not: a breakpoint on any of the lines that became
/// one piece of code is to work.
pub(crate) fn forgets_folded(name: &[u8]) -> bool {
    name.starts_with(b".debug_") && name != b".debug_line"
}

struct Site<'a> {
    image: &'a Image<'a>,
    position: usize,
    object: &'a Object,
    section: u32,
    tombstone: u64,
    targets: &'a [Target],
}

impl Site<'_> {
    fn relocate(&self, relocations: &[Rela], out: &mut [u8]) {
        self.ask_for_strings(relocations);
        let mut rest = relocations;
        // Nearly all of a section's lookups are in one and the same merged section.
        let mut pieces = (Target::NO_PIECES, Placed::default());
        loop {
            rest = &rest[self.relocate_common(rest, pieces, out)..];
            let Some((relocation, behind)) = rest.split_first() else { return };
            let target = self.targets.get(relocation.r_sym(LE, false) as usize);
            match target.filter(|target| target.is_pieces() && **target != pieces.0) {
                Some(other) => pieces = (*other, self.placed(*other)),
                None => {
                    self.relocate_one(relocation, out);
                    rest = behind;
                }
            }
        }
    }

    /// Applies relocations up to the first that is not as nearly all are; the number of those that it did. They put an
    /// address, an offset into the merged section that `pieces` names, or a tombstone into 4 or 8 bytes.
    fn relocate_common(&self, relocations: &[Rela], pieces: (Target, Placed), out: &mut [u8]) -> usize {
        const AHEAD: usize = 40;
        let (targets, tombstone) = (self.targets, self.tombstone);
        for (n, relocation) in relocations.iter().enumerate() {
            engine::prefetch(relocations, n + AHEAD);
            let offset = relocation.r_offset.get(LE) as usize;
            let addend = relocation.r_addend.get(LE) as u64;
            let Some(target) = targets.get(relocation.r_sym(LE, false) as usize) else { return n };
            let value = if let Some(address) = target.address() {
                address.wrapping_add(addend)
            } else if *target == pieces.0 {
                pieces.1.address(addend)
            } else if target.is_dead() {
                tombstone
            } else {
                return n;
            };
            let result = match relocation.r_type(LE, false) {
                object::elf::R_X86_64_32 => put4(out, offset, value),
                object::elf::R_X86_64_64 => put8(out, offset, value),
                _ => return n,
            };
            if result.is_err() {
                return n;
            }
        }
        relocations.len()
    }

    /// Applies any relocation, or says why it cannot.
    #[cold]
    fn relocate_one(&self, relocation: &Rela, out: &mut [u8]) {
        let symbol = relocation.r_sym(LE, false) as usize;
        let Some(target) = self.targets.get(symbol) else {
            return self.report(relocation, "refers to a symbol that does not exist".into());
        };
        let offset = relocation.r_offset.get(LE) as usize;
        let value = self.value(*target, symbol, relocation.r_addend.get(LE) as u64);
        let result = match relocation.r_type(LE, false) {
            object::elf::R_X86_64_32 => put4(out, offset, value),
            object::elf::R_X86_64_64 => put8(out, offset, value),
            r_type => self.other(r_type, *target, offset, value, out),
        };
        if let Err(overflow) = result {
            self.overflow(relocation, overflow);
        }
    }

    /// The tables of merged strings were made long ago and are looked up all over: read once from end to end they
    /// come in half the time.
    fn ask_for_strings(&self, relocations: &[Rela]) {
        const SAMPLE: usize = 64;
        let mut last = None;
        for relocation in relocations.iter().take(SAMPLE) {
            let Some(target) = self.targets.get(relocation.r_sym(LE, false) as usize) else { continue };
            if !target.is_pieces() || last == Some(*target) {
                continue;
            }
            last = Some(*target);
            let (is_loaded, member) = target.pieces();
            let merged = self.image.merged(is_loaded);
            if merged.piece_count(member) < relocations.len() {
                merged.prefetch(member);
            }
        }
    }

    /// S + A, of any symbol.
    fn value(&self, target: Target, symbol: usize, addend: u64) -> u64 {
        if target.is_dead() {
            return self.tombstone;
        }
        if let Some(address) = target.address() {
            return address.wrapping_add(addend);
        }
        if target.is_pieces() {
            return self.placed(target).address(addend);
        }
        self.image.address(self.image.reference(self.position, self.object, symbol)).wrapping_add(addend)
    }

    /// The merged section that a target names.
    fn placed(&self, target: Target) -> Placed<'_> {
        let (is_loaded, member) = target.pieces();
        self.image.placed(is_loaded, member)
    }

    /// Types that are rare here.
    fn other(
        &self,
        r_type: u32,
        target: Target,
        offset: usize,
        value: u64,
        out: &mut [u8],
    ) -> Result<(), Overflow> {
        let row: &Row = target::row(r_type).ok_or(Overflow::UnknownCode)?;
        let value = match row.calculation {
            Calculation::None => return Ok(()),
            Calculation::Absolute => value,
            // There is no place to be relative to: the offset in the section is what readers take it for.
            Calculation::PcRelative | Calculation::Plt => value.wrapping_sub(offset as u64),
            Calculation::TlsModuleOffset if target.is_dead() => value,
            Calculation::TlsModuleOffset => value.wrapping_sub(self.image.layout.tls_start()),
            Calculation::TlsLocalExec => value.wrapping_sub(self.image.layout.thread_pointer()),
            Calculation::Size | Calculation::RelativeToGot | Calculation::GotBasePc => value,
            _ => return Err(Overflow::UnknownCode),
        };
        if offset.checked_add(row.field.width()).is_none_or(|end| end > out.len()) {
            return Err(Overflow::OutsideSection);
        }
        let value = if target.is_dead() && row.field.width() == 4 { u64::from(value as u32) } else { value };
        write(row.field, out, offset, value)
    }

    fn overflow(&self, relocation: &Rela, overflow: Overflow) {
        let symbol = relocation.r_sym(LE, false) as usize;
        let name = symbol_text(self.image.cx, self.image.symbols, self.object, symbol);
        self.report(
            relocation,
            match overflow {
                Overflow::Range(value, ..) => {
                    format!("against '{name}' is out of range: {value:#x} does not fit; is the debug information larger than 4 GiB?")
                }
                Overflow::OutsideSection => "lies outside its section".into(),
                Overflow::UnknownCode => format!("against '{name}' is not supported in a section that is not loaded"),
            },
        );
    }

    fn report(&self, relocation: &Rela, what: String) {
        let offset = relocation.r_offset.get(LE);
        let name = target::rows::name(relocation.r_type(LE, false));
        let place = location(self.object, self.section, offset);
        let rank = u64::from(self.section) << 32 | offset & 0xffff_ffff;
        self.image
            .cx
            .problems
            .push(Problem::error(format!("{place}: relocation {name} {what}")).at(self.object.id.0, rank));
    }
}

#[inline]
fn put4(out: &mut [u8], offset: usize, value: u64) -> Result<(), Overflow> {
    let bytes =
        out.get_mut(offset..).and_then(|tail| tail.first_chunk_mut()).ok_or(Overflow::OutsideSection)?;
    // A tombstone of all ones fits, too.
    if value > u64::from(u32::MAX) && value != u64::MAX {
        return Err(Overflow::Range(value as i64, 0, u64::from(u32::MAX)));
    }
    *bytes = (value as u32).to_le_bytes();
    Ok(())
}

#[inline]
fn put8(out: &mut [u8], offset: usize, value: u64) -> Result<(), Overflow> {
    let bytes =
        out.get_mut(offset..).and_then(|tail| tail.first_chunk_mut()).ok_or(Overflow::OutsideSection)?;
    *bytes = value.to_le_bytes();
    Ok(())
}
