//! Relocates sections that are loaded.

use super::Target;
use super::overflow::Excess;
use crate::arch::target::apply::Resolver;
use crate::arch::target::plan::{Facts, Need};
use crate::arch::target::rows::{Common, Field};
use crate::arch::target::{self, Applied, Environment, Overflow, Plan, Row};
use crate::elf::Rela;
use crate::image::Image;
use crate::model::{Object, SymbolId};
use crate::report::Problem;
use crate::scan::{self, environment, location, symbol_text};
use crate::tables::{NO_SLOT, SymbolRef};
use crate::unwind::{ObjectUnwind, Record};
use object::LittleEndian as LE;

/// Copies a section and applies its relocations. `out` has the section's size.
pub(super) fn copy_section(image: &Image, position: usize, index: u32, address: u64, out: &mut [u8]) {
    let object = image.object(position);
    let section = &object.sections[index as usize];
    super::copy(section.contents(), out);
    let env = environment(image.cx, section.has(object::elf::SHF_WRITE));
    let site =
        Site { image, position, object, section: index, address, env, targets: &image.targets[position] };
    site.relocate(object.relocations(section), 0, section.contents(), out);
    if !image.markers.is_empty() {
        image.markers.rewrite(position, index, out);
    }
}

/// Applies the relocations of a record of `.eh_frame`, whose bytes are in `out`.
pub fn relocate_record(
    image: &Image,
    position: usize,
    unwind: &ObjectUnwind,
    record: &Record,
    address: u64,
    out: &mut [u8],
) {
    let object = image.object(position);
    let section = &object.sections[record.section as usize];
    let env = environment(image.cx, section.has(object::elf::SHF_WRITE));
    let targets = &image.targets[position];
    let site = Site { image, position, object, section: record.section, address, env, targets };
    let original = ObjectUnwind::bytes(object, record);
    site.relocate(unwind.relocations_of(record), u64::from(record.offset), original, out);
}

struct Site<'a> {
    image: &'a Image<'a>,
    position: usize,
    object: &'a Object,
    section: u32,
    /// Address of the first byte of `out`.
    address: u64,
    env: Environment,
    targets: &'a [Target],
}

impl Site<'_> {
    /// `start` is the offset of `out` within the section, `original` the unchanged bytes of `out`.
    fn relocate(&self, relocations: &[Rela], start: u64, original: &[u8], out: &mut [u8]) {
        const AHEAD: usize = 40;
        let mut skip = false;
        for (n, relocation) in relocations.iter().enumerate() {
            engine::prefetch(relocations, n + AHEAD);
            if std::mem::take(&mut skip) {
                continue;
            }
            let offset = (relocation.r_offset.get(LE) - start) as usize;
            let symbol = relocation.r_sym(LE, false) as usize;
            let r_type = relocation.r_type(LE, false);
            if self.apply_plain(r_type, symbol, relocation.r_addend.get(LE), offset, out) {
                continue;
            }
            let Some(row) = target::row(r_type) else { continue };
            match self.apply(row, relocation, offset, original, out) {
                Ok(Applied::Done) => {}
                Ok(Applied::SkipNext) => skip = true,
                Err(overflow) => self.report(row, relocation, offset, overflow),
            }
        }
    }

    /// The common case: an address against an ordinary symbol or a piece, or a load from the GOT. False if there is more
    /// to it, or it does not fit.
    #[inline]
    fn apply_plain(&self, r_type: u32, symbol: usize, addend: i64, offset: usize, out: &mut [u8]) -> bool {
        let Some(common) = target::rows::common(r_type) else { return false };
        let Some(target) = self.targets.get(symbol) else { return false };
        let pointee = if common == Common::GotPc32 {
            self.got_slot(*target, symbol).map(|slot| slot.wrapping_add_signed(addend))
        } else {
            self.image.pointee_of(*target, addend)
        };
        let Some(value) = pointee else { return false };
        let mut put = |field: &[u8]| match out.get_mut(offset..offset.wrapping_add(field.len())) {
            Some(place) => {
                place.copy_from_slice(field);
                true
            }
            None => false,
        };
        match common {
            Common::Pc32 | Common::GotPc32 => {
                let distance = value.wrapping_sub(self.address.wrapping_add(offset as u64));
                i32::try_from(distance as i64).is_ok_and(|distance| put(&distance.to_le_bytes()))
            }
            Common::Word => put(&value.to_le_bytes()),
            Common::Signed32 => i32::try_from(value as i64).is_ok_and(|value| put(&value.to_le_bytes())),
            Common::Unsigned32 => u32::try_from(value).is_ok_and(|value| put(&value.to_le_bytes())),
        }
    }

    /// The address of a global symbol's slot of the GOT. Of local ones an addend may choose a piece.
    #[inline]
    fn got_slot(&self, target: Target, symbol: usize) -> Option<u64> {
        if target.is_dead() || symbol < self.object.first_global as usize {
            return None;
        }
        let slot = self.image.slots(SymbolRef::Global(self.object.symbol_id(symbol))).got;
        (slot != NO_SLOT).then(|| self.image.addresses.bases.got_slot(slot))
    }

    fn apply(
        &self,
        row: &Row,
        relocation: &Rela,
        offset: usize,
        original: &[u8],
        out: &mut [u8],
    ) -> Result<Applied, Overflow> {
        let image = self.image;
        let symbol = relocation.r_sym(LE, false) as usize;
        let reference = image.reference(self.position, self.object, symbol);
        let facts = image.facts(reference);
        if facts.has(Facts::DEAD) || facts.has(Facts::UNDEFINED) {
            // Reported, or about something nobody will read: the exception table of code that is gone.
            return write_zero(row.field, offset, out);
        }
        // Plans that cannot be carried out were reported when they were first made.
        let Ok((plan, _)) = target::plan(row, facts, self.env, Some((original, offset))) else {
            return Ok(Applied::Done);
        };
        let addend = relocation.r_addend.get(LE);
        let pointee = image.pointee_of(self.targets[symbol], addend);
        let address = pointee.map(|pointee| pointee.wrapping_sub(addend as u64));
        let resolver = Answers { image, reference, address, facts };
        let place = self.address + offset as u64;
        if matches!(plan, Plan::Symbolic | Plan::LeftToLoader) && image.cx.config.z.rel {
            // The loader adds what it finds here to the symbol.
            return write_addend(row.field, offset, addend, out);
        }
        let result = target::apply(row, plan, out, offset, place, addend, &resolver);
        // A call of a weak function that is not there is never made; how far away 0 is does not matter.
        if matches!(result, Err(Overflow::Range(..))) && plan == Plan::Pc && self.is_missing(reference) {
            return write_zero(row.field, offset, out);
        }
        result
    }

    /// Whether a symbol is an undefined weak one.
    fn is_missing(&self, reference: SymbolRef) -> bool {
        match reference {
            SymbolRef::Global(id) => self.image.selection.def(id).is_undefined(),
            SymbolRef::Local(..) => false,
        }
    }

    /// `at` is the offset of the field in what is being written.
    fn report(&self, row: &Row, relocation: &Rela, at: usize, overflow: Overflow) {
        let image = self.image;
        let symbol = relocation.r_sym(LE, false) as usize;
        let name = symbol_text(image.cx, image.symbols, self.object, symbol);
        let offset = relocation.r_offset.get(LE);
        let place = location(self.object, self.section, offset);
        let problem = match overflow {
            Overflow::Range(value, min, max) => {
                let id = self.object.symbol_id(symbol);
                let defined = (id != SymbolId::NONE)
                    .then(|| image.selection.def(id))
                    .filter(|def| image.selection.entry(image.inputs, *def).is_some())
                    .map(|def| image.inputs.files[def.file().index()].origin().to_string());
                let mut problem = Problem::error(format!(
                    "{place}: relocation {} out of range: {value} is not in [{min}, {max}]; references '{name}'",
                    row.name
                ));
                if let Some(defined) = defined {
                    problem = problem.note(format!("defined in {defined}"));
                }
                let place = row.is_distance().then_some(self.address + at as u64);
                let target = row.is_address().then(|| image.pointee(self.position, self.object, relocation));
                let excess = Excess { place, target, value, min, max };
                excess.notes(image).into_iter().fold(problem, Problem::note)
            }
            Overflow::UnknownCode => Problem::error(format!(
                "{place}: relocation {} against '{name}' is not on one of the instruction sequences it is defined for",
                row.name
            )),
            Overflow::OutsideSection => {
                Problem::error(format!("{place}: relocation {} lies outside its section", row.name))
            }
        };
        let problem =
            problem.note_place("referenced by", place, scan::place(self.object, self.section, offset));
        image
            .cx
            .problems
            .push(problem.at(self.object.id.0, u64::from(self.section) << 32 | offset & 0xffff_ffff));
    }
}

fn write_zero(field: Field, offset: usize, out: &mut [u8]) -> Result<Applied, Overflow> {
    match out.get_mut(offset..offset + field.width()) {
        Some(bytes) => {
            bytes.fill(0);
            Ok(Applied::Done)
        }
        None => Err(Overflow::OutsideSection),
    }
}

fn write_addend(field: Field, offset: usize, addend: i64, out: &mut [u8]) -> Result<Applied, Overflow> {
    if offset.checked_add(field.width()).is_none_or(|end| end > out.len()) {
        return Err(Overflow::OutsideSection);
    }
    target::apply::write(field, out, offset, addend as u64)?;
    Ok(Applied::Done)
}

/// Where the things are that a relocation may ask for.
struct Answers<'a> {
    image: &'a Image<'a>,
    reference: SymbolRef,
    /// S, if the symbol's word says it: the addend may choose a piece, and is added once more.
    address: Option<u64>,
    facts: Facts,
}

impl Answers<'_> {
    fn slot(&self, index: u32) -> u64 {
        debug_assert_ne!(
            index,
            NO_SLOT,
            "scan reserves every slot that is used: {:?} {:?}",
            self.reference,
            Need(0)
        );
        self.image.addresses.bases.got_slot(index)
    }
}

impl Resolver for Answers<'_> {
    fn symbol(&self) -> u64 {
        self.address.unwrap_or_else(|| self.image.address(self.reference))
    }
    fn got(&self) -> u64 {
        self.slot(self.image.slots(self.reference).got)
    }
    fn plt(&self) -> u64 {
        let place = self.image.slots(self.reference).plt;
        debug_assert!(place != crate::tables::PltPlace::None || self.facts.has(Facts::DEAD));
        self.image.addresses.bases.plt_entry(place)
    }
    fn got_tp(&self) -> u64 {
        self.slot(self.image.slots(self.reference).got_tp)
    }
    fn general_dynamic(&self) -> u64 {
        self.slot(self.image.slots(self.reference).general_dynamic)
    }
    fn local_dynamic(&self) -> u64 {
        self.slot(self.image.tables.local_dynamic)
    }
    fn descriptor(&self) -> u64 {
        self.slot(self.image.slots(self.reference).descriptor)
    }
    fn got_base(&self) -> u64 {
        self.image.addresses.bases.got_plt
    }
    fn size(&self) -> u64 {
        let (object, index) = match self.reference {
            SymbolRef::Local(position, symbol) => (self.image.object(position as usize), symbol as usize),
            SymbolRef::Global(id) => {
                let entry = self.image.selection.entry(self.image.inputs, self.image.selection.def(id));
                return entry.map_or(0, |e| e.st_size.get(LE));
            }
        };
        object.symbols[index].st_size.get(LE)
    }
    fn tls_start(&self) -> u64 {
        self.image.layout.tls_start()
    }
    fn thread_pointer(&self) -> u64 {
        self.image.layout.thread_pointer()
    }
}
