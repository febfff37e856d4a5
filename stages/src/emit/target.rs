//! Every symbol of an object reduced to one word.

use crate::arch::target::plan::Facts;
use crate::image::Image;
use crate::merge::MemberId;
use crate::model::{Object, SectionId, SectionKind, SymbolId};
use crate::tables::SymbolRef;
use object::LittleEndian as LE;
use object::elf::SHF_TLS;

/// What a relocation needs to know of its symbol: the address, or that there is more to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(u64);

impl Target {
    const TAG: u64 = 3 << 62;
    const SPECIAL: u64 = 1 << 62;
    const PIECES: u64 = 2 << 62;
    const DEAD: u64 = 3 << 62;
    /// Beside [`Target::PIECES`].
    const LOADED: u64 = 1 << 61;

    /// A symbol in a section that is not in the output.
    pub const GONE: Target = Target(Target::DEAD);
    /// No symbol at all: of a merged section that does not exist.
    pub const NO_PIECES: Target = Target(Target::PIECES | u32::MAX as u64);

    /// The plain address, if a relocation has nothing else to consider. It moves with the program, and is no thread's own.
    #[inline]
    pub fn address(self) -> Option<u64> {
        if self.0 & Target::TAG == 0 { Some(self.0) } else { None }
    }
    /// The section symbol of a merged section: the addend says which piece is meant.
    #[inline]
    pub fn is_pieces(self) -> bool {
        self.0 & Target::TAG == Target::PIECES
    }
    /// A symbol in a section that is not in the output.
    #[inline]
    pub fn is_dead(self) -> bool {
        self.0 & Target::TAG == Target::DEAD
    }
    /// Of a merged section: whether it is loaded, and what it became.
    #[inline]
    pub fn pieces(self) -> (bool, MemberId) {
        (self.0 & Target::LOADED != 0, MemberId(self.0 as u32))
    }

    fn plain(address: u64) -> Target {
        // Addresses with the top bits set (absolute ones of the kernel's half) take the long way.
        if address & Target::TAG == 0 { Target(address) } else { Target(Target::SPECIAL) }
    }
}

/// For each live object the targets of all its symbols.
pub fn targets(image: &Image) -> Vec<Vec<Target>> {
    const STEP: usize = 1 << 12;
    let pool = image.cx.pool;
    // A global symbol is looked at once, and not again by everybody who refers to it.
    let symbols = image.selection.defs.len();
    let globals = pool.map("layout/targets", symbols, STEP, |n| global(image, SymbolId(n as u32)));
    pool.map("layout/targets", image.selection.objects.len(), 8, |position| {
        let object = image.object(position);
        let locals = (object.first_global as usize).min(object.symbols.len());
        let mut list = Vec::with_capacity(object.symbols.len());
        list.extend((0..locals).map(|index| local(image, position, object, index)));
        list.extend(object.ids.iter().map(|id| globals[id.index()]));
        list
    })
}

/// The same for debug information, in which the symbols of folded sections are gone: two functions must not claim
/// the same code.
pub fn for_debug(image: &Image, position: usize, targets: &[Target]) -> Vec<Target> {
    let object = image.object(position);
    let first = object.first_global as usize;
    let debug_target = |(index, target): (usize, &Target)| {
        let id = object.symbol_id(index);
        let section = if index >= first {
            image.selection.section(id)
        } else {
            match object.symbol_section(index) {
                0 => SectionId::NONE,
                section => object.section_id(section as usize),
            }
        };
        let is_folded = section != SectionId::NONE && image.live.is_folded(section);
        if is_folded { Target::GONE } else { *target }
    };
    targets.iter().enumerate().map(debug_target).collect()
}

fn local(image: &Image, position: usize, object: &Object, index: usize) -> Target {
    let entry = &object.symbols[index];
    let section = object.symbol_section(index) as usize;
    if section == 0 {
        // It does not move with the rest.
        return Target(Target::SPECIAL);
    }
    let kind = object.sections[section].kind;
    let id = object.section_id(section);
    if kind == SectionKind::Ignored || !image.live.has_address(id) {
        return Target::GONE;
    }
    if kind == SectionKind::Merge {
        if entry.st_type() == object::elf::STT_SECTION {
            let is_loaded = object.sections[section].is_alloc();
            let loaded = if is_loaded { Target::LOADED } else { 0 };
            return match image.merged(is_loaded).member(object, section) {
                Some(MemberId(member)) => Target(Target::PIECES | loaded | u64::from(member)),
                None => Target::GONE,
            };
        }
        return Target::plain(image.merged_address(object, section, entry.st_value.get(LE)));
    }
    if entry.st_type() == object::elf::STT_GNU_IFUNC || object.sections[section].has(SHF_TLS) {
        return Target(Target::SPECIAL);
    }
    debug_assert_eq!(
        image.reference(position, object, index),
        SymbolRef::Local(position as u32, index as u32)
    );
    Target::plain(image.addresses.sections[id.index()].wrapping_add(entry.st_value.get(LE)))
}

fn global(image: &Image, id: SymbolId) -> Target {
    let facts = image.scan.facts.get(id);
    if facts.has(Facts::PREEMPTIBLE) || facts.has(Facts::IFUNC) || facts.has(Facts::ABSOLUTE) {
        return Target(Target::SPECIAL);
    }
    let section = image.selection.section(id);
    if section != SectionId::NONE && !image.live.has_address(section) || facts.has(Facts::UNDEFINED) {
        return Target::GONE;
    }
    if facts.has(Facts::TLS) {
        return Target(Target::SPECIAL);
    }
    Target::plain(image.addresses.symbols[id.index()])
}
