//! What later stages want to know of each symbol's definition, side by side.
//!
//! A definition is an entry of some object's symbol table, and the section it is in has a record of its own: two
//! places far apart. They are visited once, here, for every symbol; what follows reads 16 bytes a symbol, in order.

use super::{Class, Def, Selection};
use crate::context::Cx;
use crate::elf::{SHF_X86_64_LARGE, SHN_X86_64_LCOMMON, Sym};
use crate::model::{Inputs, Object, SectionId, SectionKind, SymbolId};
use object::LittleEndian as LE;
use object::elf::{SHF_TLS, SHN_ABS, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_TLS};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a symbol's entry and its section say, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits(u8);

impl Traits {
    /// A function, or so small and untyped that it may be one.
    pub const FUNCTION: Traits = Traits(1);
    /// Thread-local, by its type or its section.
    pub const TLS: Traits = Traits(2);
    /// STT_GNU_IFUNC.
    pub const IFUNC: Traits = Traits(4);
    /// SHN_ABS.
    pub const ABSOLUTE: Traits = Traits(8);
    /// In a section of the large model, or SHN_X86_64_LCOMMON.
    pub const FAR: Traits = Traits(16);
    /// In a section that is merged.
    pub const MERGED: Traits = Traits(32);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Traits) -> bool {
        self.0 & other.0 == other.0
    }
    fn when(self, condition: bool) -> Traits {
        if condition { self } else { Traits::default() }
    }
}

impl std::ops::BitOr for Traits {
    type Output = Traits;
    fn bitor(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

/// What is known of a symbol's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defined {
    /// `st_value` of a definition by an object.
    pub value: u64,
    /// The section it is in, `NONE` if in none.
    pub section: SectionId,
    /// What its entry and its section say.
    pub traits: Traits,
}

impl Defined {
    const NOWHERE: Defined = Defined { value: 0, section: SectionId::NONE, traits: Traits(0) };
}

/// The definitions of all symbols.
#[derive(Debug, Default)]
pub struct Definitions(Vec<Cell>);

/// A [`Defined`] that whoever finds it may write: only one does.
#[derive(Debug)]
struct Cell {
    value: AtomicU64,
    section_and_traits: AtomicU64,
}

impl Cell {
    fn new(defined: Defined) -> Cell {
        let cell = Cell { value: AtomicU64::new(0), section_and_traits: AtomicU64::new(0) };
        cell.set(defined);
        cell
    }
    fn set(&self, Defined { value, section, traits }: Defined) {
        self.value.store(value, Ordering::Relaxed);
        self.section_and_traits.store(u64::from(traits.0) << 32 | u64::from(section.0), Ordering::Relaxed);
    }
    fn get(&self) -> Defined {
        let word = self.section_and_traits.load(Ordering::Relaxed);
        let (section, traits) = (SectionId(word as u32), Traits((word >> 32) as u8));
        Defined { value: self.value.load(Ordering::Relaxed), section, traits }
    }
}

/// Cells of fresh memory a claim.
const FRESH: usize = 1 << 14;

impl Definitions {
    /// The definition of a symbol.
    pub fn get(&self, id: SymbolId) -> Defined {
        self.0[id.index()].get()
    }

    /// Reads all definitions. An object's entries are read in order, those of a symbol are not: objects, not symbols,
    /// are what workers share.
    pub(super) fn collect(cx: &Cx, inputs: &Inputs, selection: &Selection) -> Definitions {
        // Fresh memory is as dear as what is put there: everybody takes a part.
        let count = selection.defs.len();
        let cells: Vec<Cell> = cx.pool.map("select/defined", count, FRESH, |_| Cell::new(Defined::NOWHERE));
        cx.pool.for_each("select/defined", selection.objects.len(), 8, |i| {
            let object = inputs.object(selection.objects[i]);
            for (n, id) in object.ids.iter().enumerate() {
                let index = object.first_global as usize + n;
                let def = selection.def(*id);
                if def.file() == object.id && def.index() as usize == index {
                    cells[id.index()].set(in_object(object, index, def));
                }
            }
        });
        for shared in inputs.shared.iter().map(|id| inputs.shared_object(*id)) {
            for symbol in &shared.defined {
                for id in [symbol.id, symbol.versioned_id].into_iter().filter(|id| *id != SymbolId::NONE) {
                    let def = selection.def(id);
                    if def.file() == shared.id && def.index() == symbol.index {
                        let traits = traits_of(&shared.symbols[symbol.index as usize]);
                        cells[id.index()].set(Defined { traits, ..Defined::NOWHERE });
                    }
                }
            }
        }
        Definitions(cells)
    }
}

/// What a symbol table entry alone says.
fn traits_of(entry: &Sym) -> Traits {
    let r#type = entry.st_type();
    let is_function = match r#type {
        STT_FUNC | STT_GNU_IFUNC => true,
        STT_NOTYPE => entry.st_size.get(LE) == 0,
        _ => false,
    };
    Traits::FUNCTION.when(is_function)
        | Traits::TLS.when(r#type == STT_TLS)
        | Traits::IFUNC.when(r#type == STT_GNU_IFUNC)
}

fn in_object(object: &Object, index: usize, def: Def) -> Defined {
    let entry = &object.symbols[index];
    let mut traits = traits_of(entry);
    if !def.is_local() {
        return Defined { traits, ..Defined::NOWHERE };
    }
    let shndx = entry.st_shndx.get(LE);
    traits = traits | Traits::ABSOLUTE.when(shndx == SHN_ABS) | Traits::FAR.when(shndx == SHN_X86_64_LCOMMON);
    if def.class() == Class::Common {
        return Defined { traits, ..Defined::NOWHERE };
    }
    let value = entry.st_value.get(LE);
    let index = object.symbol_section(index) as usize;
    if index == 0 {
        return Defined { value, section: SectionId::NONE, traits };
    }
    let section = &object.sections[index];
    traits = traits
        | Traits::FAR.when(section.has(SHF_X86_64_LARGE))
        | Traits::TLS.when(section.has(SHF_TLS))
        | Traits::MERGED.when(section.kind == SectionKind::Merge);
    Defined { value, section: object.section_id(index), traits }
}
