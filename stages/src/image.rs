//! Everything the writers of chunks may read: the whole link, all addresses known.

use crate::arch::target::plan::Facts;
use crate::chunks::Sizes;
use crate::context::Cx;
use crate::debug_names::DebugNames;
use crate::dynamic::Dynamic;
use crate::elf::Rela;
use crate::emit::Target;
use crate::gdb_index::GdbIndex;
use crate::intern::Symbols;
use crate::layout::Layout;
use crate::liveness::LiveSet;
use crate::markers::Markers;
use crate::merge::{MemberId, Merged, Placed};
use crate::model::{Inputs, Object, SectionKind, SymbolId};
use crate::outputs::{OutputSection, Outputs};
use crate::scan::Scan;
use crate::select::{Provided, Selection};
use crate::tables::{PltPlace, Slots, SymbolRef, Tables};
use crate::unwind::Unwind;
use crate::values::Addresses;
use object::LittleEndian as LE;

/// The finished link. Writing any part of the output needs nothing else.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// The surroundings.
    pub cx: &'a Cx<'a>,
    /// The files.
    pub inputs: &'a Inputs,
    /// The names.
    pub symbols: &'a Symbols,
    /// Symbols of the linker's own.
    pub provided: &'a Provided,
    /// Definitions.
    pub selection: &'a Selection,
    /// What is in.
    pub live: &'a LiveSet,
    /// Unwind records.
    pub unwind: &'a Unwind,
    /// What relocations need.
    pub scan: &'a Scan,
    /// Slots.
    pub tables: &'a Tables,
    /// The dynamic symbol table.
    pub dynamic: &'a Dynamic,
    /// Merged loaded sections.
    pub loaded: &'a Merged,
    /// Merged other sections.
    pub debug: &'a Merged,
    /// Sizes of synthesized sections.
    pub sizes: &'a Sizes,
    /// Output sections.
    pub outputs: &'a Outputs,
    /// Where they are.
    pub layout: &'a Layout,
    /// All addresses.
    pub addresses: &'a Addresses,
    /// Address of each pool of loaded pieces.
    pub loaded_pools: &'a [u64],
    /// Offset in its output section of each pool of other pieces.
    pub debug_pools: &'a [u64],
    /// The merged table of names.
    pub debug_names: Option<&'a DebugNames>,
    /// The index of debug information.
    pub gdb_index: Option<&'a GdbIndex>,
    /// Markers for indirect branches that are not needed.
    pub markers: &'a Markers,
    /// What compressed sections consist of.
    pub compressed: &'a [Vec<u8>],
    /// For each live object, the value of each symbol; see [`crate::emit::Target`].
    pub targets: &'a [Vec<Target>],
    /// If anything was folded, the same as debug information sees it.
    pub debug_targets: &'a [Vec<Target>],
}

impl<'a> Image<'a> {
    /// The object at a position of [`Selection::objects`].
    pub fn object(&self, position: usize) -> &'a Object {
        self.inputs.object(self.selection.objects[position])
    }
    /// The symbol a relocation refers to.
    pub fn reference(&self, position: usize, object: &Object, symbol: usize) -> SymbolRef {
        match object.symbol_id(symbol) {
            SymbolId::NONE => SymbolRef::Local(position as u32, symbol as u32),
            id => SymbolRef::Global(id),
        }
    }
    /// What a relocation may assume about a symbol.
    pub fn facts(&self, reference: SymbolRef) -> Facts {
        match reference {
            SymbolRef::Global(id) => self.scan.facts.get(id),
            SymbolRef::Local(position, symbol) => {
                self.scan.objects[position as usize].local_facts[symbol as usize]
            }
        }
    }
    /// The slots of a symbol.
    pub fn slots(&self, reference: SymbolRef) -> Slots {
        self.tables.slots(reference).copied().unwrap_or_default()
    }
    /// The address of a symbol, without an addend.
    pub fn address(&self, reference: SymbolRef) -> u64 {
        match reference {
            SymbolRef::Global(id) => self.addresses.symbols[id.index()],
            SymbolRef::Local(position, symbol) => {
                let place = self.slots(reference).plt;
                if matches!(place, PltPlace::Ifunc(_)) {
                    return self.addresses.bases.plt_entry(place);
                }
                self.local_address(position as usize, symbol as usize)
            }
        }
    }
    /// The address of a local symbol's own bytes.
    pub fn local_address(&self, position: usize, symbol: usize) -> u64 {
        let object = self.object(position);
        let value = object.symbols[symbol].st_value.get(LE);
        match object.symbol_section(symbol) as usize {
            0 => value,
            section if object.sections[section].kind == SectionKind::Merge => {
                self.merged_address(object, section, value)
            }
            section => self.addresses.sections[object.section_id(section).index()].wrapping_add(value),
        }
    }
    /// The address of an IFUNC's resolver: where its own code is.
    pub fn resolver_address(&self, reference: SymbolRef) -> u64 {
        let (position, symbol) = match reference {
            SymbolRef::Local(position, symbol) => (position as usize, symbol as usize),
            SymbolRef::Global(id) => {
                let def = self.selection.def(id);
                let Some(position) = self.selection.position(def.file()) else { return 0 };
                (position, def.index() as usize)
            }
        };
        self.local_address(position, symbol)
    }
    /// Where an offset into a merged section went.
    pub fn merged_address(&self, object: &Object, section: usize, offset: u64) -> u64 {
        let is_loaded = object.sections[section].is_alloc();
        match self.merged(is_loaded).member(object, section) {
            Some(member) => self.piece_address(is_loaded, member, offset),
            None => 0,
        }
    }
    /// The pools of loaded sections, or those of others.
    pub fn merged(&self, is_loaded: bool) -> &'a Merged {
        if is_loaded { self.loaded } else { self.debug }
    }
    /// Where an offset into a section went that became a member of a pool.
    #[inline(always)]
    pub fn piece_address(&self, is_loaded: bool, member: MemberId, offset: u64) -> u64 {
        self.placed(is_loaded, member).address(offset)
    }
    /// A member of a pool for many lookups.
    pub fn placed(&self, is_loaded: bool, member: MemberId) -> Placed<'a> {
        let merged = self.merged(is_loaded);
        let pools = if is_loaded { self.loaded_pools } else { self.debug_pools };
        merged.placed(member, pools[merged.pool_of(member)])
    }
    /// S + A of a symbol that is an address, or the section symbol of a merged section, whose addend chooses a piece. It
    /// does so as it stands: the 4 bytes between a PC-relative field and the end of its instruction do not count.
    /// Assemblers know: where those make a difference they name a symbol, and LLVM names the section for the address right
    /// behind a 4-byte string, which stays right.
    #[inline]
    pub fn pointee_of(&self, target: Target, addend: i64) -> Option<u64> {
        if let Some(address) = target.address() {
            return Some(address.wrapping_add_signed(addend));
        }
        if !target.is_pieces() {
            return None;
        }
        let (is_loaded, member) = target.pieces();
        let inside = addend.max(0);
        let piece = self.piece_address(is_loaded, member, inside as u64);
        Some(piece.wrapping_add_signed(addend - inside))
    }
    /// S + A of a relocation: where it points, all indirections left aside.
    pub fn pointee(&self, position: usize, object: &Object, relocation: &Rela) -> u64 {
        let symbol = relocation.r_sym(LE, false) as usize;
        let addend = relocation.r_addend.get(LE);
        let target = self.targets.get(position).and_then(|targets| targets.get(symbol));
        target.and_then(|target| self.pointee_of(*target, addend)).unwrap_or_else(|| {
            self.address(self.reference(position, object, symbol)).wrapping_add_signed(addend)
        })
    }
    /// An output section by name, with its address.
    pub fn section(&self, name: &[u8]) -> Option<(&'a OutputSection, u64)> {
        let position = self.outputs.sections.iter().position(|s| s.name == name)?;
        Some((&self.outputs.sections[position], self.layout.placements[position].address))
    }
    /// The header index of the output section an input section went to.
    pub fn section_index_of(&self, object: &Object, section: usize) -> HeaderIndex {
        let position = self.selection.position(object.id);
        position.map_or(HeaderIndex::ABSOLUTE, |position| self.section_index_at(position, object, section))
    }
    /// The same of the object at a position.
    pub fn section_index_at(&self, position: usize, object: &Object, section: usize) -> HeaderIndex {
        let output = match object.sections[section].kind {
            SectionKind::EhFrame => self.sizes.eh_frame_output,
            _ => self.sizes.names.maps[position][usize::from(object.sections[section].output)],
        };
        self.layout.placements.get(output as usize).map_or(HeaderIndex::ABSOLUTE, |p| HeaderIndex(p.index))
    }
}

/// What `st_shndx` says of a symbol: a section header index, or one of the special ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderIndex(pub u32);

impl HeaderIndex {
    /// SHN_UNDEF.
    pub const UNDEFINED: HeaderIndex = HeaderIndex(0);
    /// SHN_ABS.
    pub const ABSOLUTE: HeaderIndex = HeaderIndex(Self::SPECIAL | object::elf::SHN_ABS as u32);
    const SPECIAL: u32 = 0xffff_0000;

    /// What an input's `st_shndx` says, unless that is SHN_XINDEX.
    pub fn from_half(shndx: u16) -> HeaderIndex {
        let is_special = shndx >= object::elf::SHN_LORESERVE;
        HeaderIndex(if is_special { Self::SPECIAL | u32::from(shndx) } else { shndx.into() })
    }

    /// As `st_shndx` and `e_shstrndx` hold it; SHN_XINDEX where it does not fit.
    pub fn half(self) -> u16 {
        match self {
            HeaderIndex(special) if special >= Self::SPECIAL => special as u16,
            HeaderIndex(index) if index < u32::from(object::elf::SHN_LORESERVE) => index as u16,
            _ => object::elf::SHN_XINDEX,
        }
    }
    /// As SHT_SYMTAB_SHNDX holds it: the index if `st_shndx` cannot, else 0.
    pub fn extended(self) -> u32 {
        if self.half() == object::elf::SHN_XINDEX { self.0 } else { 0 }
    }
}
