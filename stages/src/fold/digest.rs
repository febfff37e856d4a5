//! What a section is, as a number: two sections with different digests are different.
//!
//! The digest covers bytes, size, output section, flags, relocations and unwind records. What a relocation leads to is
//! part of it unless that is a candidate itself: then only the offset is, and [`Digest::edges`] lists the candidates
//! for `partition` to compare.

use super::candidates::{Candidates, NOT_A_CANDIDATE};
use super::partition::Edges;
use super::{Sources, object_at};
use crate::arch::target::rows::Calculation;
use crate::arch::target::{self};
use crate::context::Cx;
use crate::elf::Rela;
use crate::merge::{MemberId, Merged};
use crate::model::{Object, SectionId, SectionKind, SymbolId};
use crate::outputs::OutputNames;
use crate::parse::output_flags;
use crate::select::Class;
use crate::unwind::{ObjectUnwind, Record};
use engine::simd::{Hash, Kernels, Keys, kernels};
use object::LittleEndian as LE;
use object::elf::{STT_GNU_IFUNC, STT_SECTION};

/// What a symbol means to a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Itself: the loader decides, or it is found through tables, or it is nowhere.
    Name(SymbolId),
    /// The same of a local symbol.
    Local(u32),
    /// A number.
    Absolute(u64),
    /// An offset in a candidate.
    Candidate(u32, u64),
    /// An offset in another section.
    Fixed(SectionId, u64),
    /// An offset in a pool of merged pieces.
    Pooled(u32, u64),
    /// The section symbol of a merged section: the addend says which piece is meant.
    Pieces(MemberId),
}

/// A reference, as it counts for equality.
struct Reference {
    /// Offset within the section or record, type, and what is not a candidate, as words.
    words: [u64; 5],
    /// The candidate it leads to, or [`NOT_A_CANDIDATE`].
    candidate: u32,
}

/// Digests of the candidates.
pub(super) struct Digest<'a> {
    sources: &'a Sources<'a>,
    names: &'a OutputNames,
    loaded: &'a Merged,
    candidates: &'a Candidates,
    /// By [`SymbolId`].
    globals: Vec<Meaning>,
    keys: Keys,
    kernels: &'static Kernels,
}

/// What an FDE says: length and distance to the CIE are the linker's business, and DW_CFA_nop at the end is padding,
/// of which assemblers give the last record of a section more.
fn fde_text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(8..end).unwrap_or(&[])
}

impl<'a> Digest<'a> {
    /// Looks at all global symbols once: they are referred to many times.
    pub fn new(
        cx: &Cx,
        sources: &'a Sources<'a>,
        names: &'a OutputNames,
        loaded: &'a Merged,
        candidates: &'a Candidates,
        keys: Keys,
    ) -> Digest<'a> {
        const STEP: usize = 1 << 12;
        let mut digest =
            Digest { sources, names, loaded, candidates, globals: Vec::new(), keys, kernels: kernels() };
        let mut globals = vec![Meaning::Absolute(0); sources.selection.defs.len()];
        cx.pool.for_each_chunk("fold/symbols", &mut globals, STEP, |chunk, part| {
            for (n, meaning) in part.iter_mut().enumerate() {
                *meaning = digest.global(SymbolId((chunk * STEP + n) as u32));
            }
        });
        digest.globals = globals;
        digest
    }

    /// The digest of each candidate.
    pub fn hashes(&self, cx: &Cx) -> Vec<Hash> {
        let lists = cx.pool.map("fold/digest", self.sources.selection.objects.len(), 2, |position| {
            let object = object_at(self.sources, position as u32);
            let mut words = Vec::new();
            let hash = |number: u32| {
                let (_, index) = self.candidates.place(number);
                cx.pool.tracer().add_bytes(object.sections[index as usize].contents().len());
                self.hash_section(position, object, index, &mut words)
            };
            self.candidates.of_object(position).map(hash).collect::<Vec<_>>()
        });
        lists.concat()
    }

    /// Where some of the candidates lead: to which other candidates, in order.
    pub fn edges(&self, cx: &Cx, items: Vec<u32>) -> Edges {
        const STEP: usize = 64;
        let parts = cx.pool.map("fold/edges", items.len().div_ceil(STEP), 1, |part| {
            let items = &items[part * STEP..items.len().min((part + 1) * STEP)];
            let mut targets = Vec::new();
            let mut ends = Vec::with_capacity(items.len());
            for item in items {
                let (position, index) = self.candidates.place(*item);
                let object = object_at(self.sources, position);
                self.for_each_reference(position as usize, object, index, |reference| {
                    if reference.candidate != NOT_A_CANDIDATE {
                        targets.push(reference.candidate);
                    }
                });
                ends.push(targets.len() as u32);
            }
            (targets, ends)
        });
        let mut edges = Edges { items, starts: vec![0], targets: Vec::new() };
        for (targets, ends) in parts {
            let base = edges.targets.len() as u32;
            edges.starts.extend(ends.iter().map(|end| base + end));
            edges.targets.extend(targets);
        }
        edges
    }

    fn hash(&self, words: &[u64]) -> Hash {
        self.kernels.hash(&self.keys, object::pod::bytes_of_slice(words))
    }

    fn hash_section(&self, position: usize, object: &Object, index: u32, words: &mut Vec<u64>) -> Hash {
        let section = &object.sections[index as usize];
        let output = self.names.maps[position][usize::from(section.output)];
        words.clear();
        words.extend(self.kernels.hash(&self.keys, section.contents()));
        let unwind = &self.sources.unwind.objects[position];
        let fdes = unwind.fdes_of(index);
        words.extend([section.size(), u64::from(output) << 32 | u64::from(output_flags(section))]);
        words.extend([object.relocations(section).len() as u64, fdes.len() as u64]);
        words.extend(fdes.iter().map(|fde| u64::from(fde.record.relocation_count)));
        self.for_each_reference(position, object, index, |reference| words.extend(reference.words));
        for fde in fdes {
            words.extend(self.kernels.hash(&self.keys, fde_text(ObjectUnwind::bytes(object, &fde.record))));
            words.extend(self.hash_cie(object, position, unwind, &unwind.cies[fde.cie as usize]));
        }
        self.hash(words)
    }

    /// Personality routines are few and stay what they are, so a CIE is told by what its relocations name.
    fn hash_cie(&self, object: &Object, position: usize, unwind: &ObjectUnwind, cie: &Record) -> Hash {
        let mut words = Vec::with_capacity(8);
        words.extend(self.kernels.hash(&self.keys, ObjectUnwind::bytes(object, cie)));
        for relocation in unwind.relocations_of(cie) {
            let reference = self.reference(position, object, relocation, u64::from(cie.offset));
            words.extend(reference.words);
            words.push(reference.candidate.into());
        }
        self.hash(&words)
    }

    /// The references of a section, then those of its FDEs.
    fn for_each_reference(
        &self,
        position: usize,
        object: &Object,
        index: u32,
        mut visit: impl FnMut(Reference),
    ) {
        for relocation in object.relocations(&object.sections[index as usize]) {
            visit(self.reference(position, object, relocation, 0));
        }
        let unwind = &self.sources.unwind.objects[position];
        for fde in unwind.fdes_of(index) {
            for relocation in unwind.relocations_of(&fde.record) {
                visit(self.reference(position, object, relocation, u64::from(fde.record.offset)));
            }
        }
    }

    /// `start` is where the section or record starts that holds the relocation.
    fn reference(&self, position: usize, object: &Object, relocation: &Rela, start: u64) -> Reference {
        let symbol = relocation.r_sym(LE, false) as usize;
        let r_type = relocation.r_type(LE, false);
        let addend = relocation.r_addend.get(LE);
        let offset = relocation.r_offset.get(LE).wrapping_sub(start);
        let calculation = target::row(r_type).map_or(Calculation::None, |row| row.calculation);
        let meaning = if symbol >= object.symbols.len() {
            // An error that `scan` reports.
            Meaning::Local(symbol as u32)
        } else {
            match object.symbol_id(symbol) {
                SymbolId::NONE => self.local(object, symbol),
                id => self.globals[id.index()],
            }
        };
        let mut candidate = NOT_A_CANDIDATE;
        let (kind, who, value, addend) = match meaning {
            Meaning::Name(id) => (1, u64::from(id.0), 0, addend),
            Meaning::Local(symbol) => (2, (position as u64) << 32 | u64::from(symbol), 0, addend),
            Meaning::Absolute(value) => (3, 0, value, addend),
            Meaning::Candidate(number, value) => {
                candidate = number;
                (4, 0, value, addend)
            }
            Meaning::Fixed(section, value) => (5, u64::from(section.0), value, addend),
            Meaning::Pooled(pool, value) => (6, u64::from(pool), value, addend),
            Meaning::Pieces(member) => {
                // The addend chooses the piece, as where it is applied.
                let inside = addend.max(0);
                let value = self.loaded.offset(member, inside as u64);
                (6, self.loaded.pool_of(member) as u64, value, addend - inside)
            }
        };
        // Where symbol and addend are only ever added up, it does not matter how the sum is made.
        let (value, addend) = match calculation {
            Calculation::Absolute | Calculation::PcRelative | Calculation::Plt => {
                (value.wrapping_add(addend as u64), 0)
            }
            _ => (value, addend as u64),
        };
        let addend = if calculation == Calculation::Size { self.size_of(object, symbol) } else { addend };
        Reference { words: [offset, u64::from(r_type) << 32 | kind, who, value, addend], candidate }
    }

    fn size_of(&self, object: &Object, symbol: usize) -> u64 {
        let id = object.symbols.get(symbol).map_or(SymbolId::NONE, |_| object.symbol_id(symbol));
        if id == SymbolId::NONE {
            return object.symbols.get(symbol).map_or(0, |entry| entry.st_size.get(LE));
        }
        let selection = self.sources.selection;
        selection.entry(self.sources.inputs, selection.def(id)).map_or(0, |entry| entry.st_size.get(LE))
    }

    fn local(&self, object: &Object, symbol: usize) -> Meaning {
        let entry = &object.symbols[symbol];
        let value = entry.st_value.get(LE);
        match object.symbol_section(symbol) as usize {
            0 => Meaning::Absolute(value),
            _ if entry.st_type() == STT_GNU_IFUNC => Meaning::Local(symbol as u32),
            section => self.in_section(object, section, value, entry.st_type() == STT_SECTION),
        }
    }

    fn global(&self, id: SymbolId) -> Meaning {
        let selection = self.sources.selection;
        let def = selection.def(id);
        let is_plain =
            matches!(def.class(), Class::Strong | Class::Weak) && !selection.state(id).is_preemptible();
        let section = selection.section(id);
        let Some(entry) = selection.entry(self.sources.inputs, def).filter(|_| is_plain) else {
            return Meaning::Name(id);
        };
        if entry.st_type() == STT_GNU_IFUNC {
            return Meaning::Name(id);
        }
        if section == SectionId::NONE {
            return Meaning::Absolute(entry.st_value.get(LE));
        }
        let object = self.sources.inputs.object(def.file());
        self.in_section(object, (section.0 - object.section_base) as usize, entry.st_value.get(LE), false)
    }

    fn in_section(&self, object: &Object, index: usize, value: u64, is_section_symbol: bool) -> Meaning {
        let id = object.section_id(index);
        if object.sections[index].kind == SectionKind::Merge
            && let Some(member) = self.loaded.member(object, index)
        {
            return if is_section_symbol {
                Meaning::Pieces(member)
            } else {
                Meaning::Pooled(self.loaded.pool_of(member) as u32, self.loaded.offset(member, value))
            };
        }
        match self.candidates.number(id) {
            NOT_A_CANDIDATE => Meaning::Fixed(id, value),
            number => Meaning::Candidate(number, value),
        }
    }
}
