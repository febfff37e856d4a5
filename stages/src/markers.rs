//! `-z rewrite-endbr`: functions that nothing jumps to indirectly lose the instruction that would allow it.
//!
//! Where indirect branches are tracked, each function begins with a marker (ENDBR64), as the compiler cannot know who takes
//! its address. The linker does: what only direct calls and jumps refer to needs no marker, and every one that goes is
//! one target less for an attacker. The marker becomes an instruction of the same size that does nothing.
//!
//! In: everything a relocation can say. Out: the places of markers to replace. A section keeps its markers if anything but
//! a direct branch refers to it: data, `lea`, the GOT, a personality routine's CIE; if its own code may compute addresses
//! within it; if it holds the entry point, an exported symbol, an indirect function, or what expressions mention.

use crate::arch::target::{self, marker};
use crate::config::OutputKind;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionId, SymbolId};
use crate::select::{Provided, Selection};
use crate::unwind::Unwind;
use object::LittleEndian as LE;
use object::elf::{SHF_EXECINSTR, STT_FUNC, STT_GNU_IFUNC};
use std::sync::atomic::{AtomicBool, Ordering};

/// What to replace: for each object, in the order of [`Selection::objects`], section and offset, ascending.
#[derive(Debug, Default)]
pub struct Markers(Vec<Vec<(u32, u64)>>);

/// Finds the markers nobody needs; none if the options do not ask.
pub fn find(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &Provided,
    selection: &Selection,
    live: &LiveSet,
    unwind: &Unwind,
) -> Markers {
    if !cx.config.z.rewrite_endbr {
        return Markers::default();
    }
    let taken: Vec<AtomicBool> = (0..inputs.section_bound).map(|_| AtomicBool::new(false)).collect();
    let finding = Finding { selection, live, taken: &taken };
    let config = cx.config;
    let entry = config.entry.as_deref().unwrap_or(b"_start");
    let named = [entry, &config.init, &config.fini].into_iter().filter_map(|name| symbols.find(name));
    named.chain(provided.wanted.iter().copied()).for_each(|id| finding.symbol(id));
    for (_, value) in &config.defsyms {
        value.for_each_symbol(&mut |name| symbols.find(name).into_iter().for_each(|id| finding.symbol(id)));
    }
    for (n, state) in selection.states.iter().enumerate() {
        if state.is_exported() || config.kind == OutputKind::SharedObject && state.is_preemptible() {
            finding.symbol(SymbolId(n as u32));
        }
    }
    let objects = selection.objects.len();
    cx.pool.for_each("markers/taken", objects, 8, |position| {
        let object = inputs.object(selection.objects[position]);
        finding.references(object);
        let unwind = &unwind.objects[position];
        for cie in &unwind.cies {
            unwind
                .relocations_of(cie)
                .iter()
                .for_each(|r| finding.mention(object, r.r_sym(LE, false) as usize));
        }
    });
    Markers(cx.pool.map("markers/find", objects, 8, |n| finding.markers(inputs.object(selection.objects[n]))))
}

struct Finding<'a> {
    selection: &'a Selection,
    live: &'a LiveSet,
    /// By [`SectionId`]: an address in it may be known to somebody.
    taken: &'a [AtomicBool],
}

impl Finding<'_> {
    fn section(&self, id: SectionId) {
        if id != SectionId::NONE {
            self.taken[self.live.keeper(id).index()].store(true, Ordering::Relaxed);
        }
    }

    fn symbol(&self, id: SymbolId) {
        self.section(self.selection.section(id));
    }

    /// A symbol of an object, by its index.
    fn mention(&self, object: &Object, symbol: usize) {
        if symbol < object.symbols.len() {
            self.section(self.selection.section_of(object, symbol));
        }
    }

    /// Everything an object does with addresses but branching to them.
    fn references(&self, object: &Object) {
        for (index, section) in object.sections.iter().enumerate() {
            let is_wanted = section.is_alloc()
                && section.kind.is_copied()
                && self.live.contains(object.section_id(index));
            if !is_wanted {
                continue;
            }
            let is_code = section.has(SHF_EXECINSTR);
            if is_code && target::significance::may_take_own_address(section.contents()) {
                self.section(object.section_id(index));
            }
            for relocation in object.relocations(section) {
                let offset = relocation.r_offset.get(LE) as usize;
                let is_branch = is_code
                    && target::row(relocation.r_type(LE, false)).is_some_and(|row| {
                        target::significance::is_direct_branch(row, section.contents(), offset)
                    });
                if !is_branch {
                    self.mention(object, relocation.r_sym(LE, false) as usize);
                }
            }
        }
        for (index, entry) in object.symbols.iter().enumerate() {
            if entry.st_type() == STT_GNU_IFUNC {
                self.mention(object, index);
            }
        }
    }

    /// The markers at the starts of functions that nobody takes the address of.
    fn markers(&self, object: &Object) -> Vec<(u32, u64)> {
        let mut places = Vec::new();
        for (index, entry) in object.symbols.iter().enumerate() {
            let section = object.symbol_section(index);
            if section == 0 || entry.st_type() != STT_FUNC {
                continue;
            }
            let id = object.section_id(section as usize);
            let header = &object.sections[section as usize];
            let is_free = self.live.contains(id) && !self.taken[id.index()].load(Ordering::Relaxed);
            let start = entry.st_value.get(LE);
            let code = usize::try_from(start).ok().and_then(|start| header.contents().get(start..));
            if is_free && code.is_some_and(|code| code.starts_with(&marker::INSTRUCTION)) {
                places.push((section, start));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

impl Markers {
    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces the markers in the bytes of a section.
    pub fn rewrite(&self, position: usize, section: u32, out: &mut [u8]) {
        let places = &self.0[position];
        let first = places.partition_point(|(other, _)| *other < section);
        for (_, start) in places[first..].iter().take_while(|(other, _)| *other == section) {
            let start = *start as usize;
            out[start..start + marker::INSTRUCTION.len()].copy_from_slice(&marker::REPLACEMENT);
        }
    }
}
