//! `--why-live`: what keeps a symbol, told as a chain of references back to a root.
//!
//! In: the marking when it is done. Out: lines for standard output, in the form lld 21 gives them. The walk that marks
//! runs on all workers and does not keep who came first, so it is told again here, one section at a time from the roots
//! in a fixed order, breadth first: the chain is a shortest one, whatever the threads.
//!
//! ```text
//! live symbol: b.o:(g)
//! >>> referenced by: a.o:(main)
//! >>> referenced by: a.o:(_start) (entry point)
//! ```
//!
//! Sections are what is kept; the symbol shown for a reference is the one whose bytes hold it.

use super::{EXPORTED, Marking, Place, found_outputs, is_kept, state};
use crate::intern::Symbols;
use crate::model::{Object, SectionId, SymbolId};
use crate::script::glob::Glob;
use crate::select::Provided;
use object::LittleEndian as LE;
use object::elf::{SHF_GNU_RETAIN, STT_FILE, STT_SECTION};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

/// Why a section is live.
#[derive(Debug, Clone, Copy)]
enum Reason {
    /// A symbol in it, which is wanted for itself.
    Symbol(SymbolId, &'static str),
    /// It is wanted for itself.
    Root(&'static str),
    /// A live section refers to it: by a symbol (an index in the referring object), from an offset.
    Reference { from: Place, symbol: usize, offset: u64 },
    /// It belongs to a live section: by SHF_LINK_ORDER or as a member of its group.
    Companion(Place),
}

/// Prints why the symbols are live that the options name.
pub(super) fn explain(marking: &Marking, symbols: &Symbols, provided: &Provided) {
    let globs: Vec<Glob> = marking.cx.config.why_live.iter().map(|glob| Glob::new(glob)).collect();
    let reasons = Tracing { marking, reasons: HashMap::new(), queue: VecDeque::new() }.run(symbols, provided);
    let story = Story { marking, symbols, reasons };
    for (position, id) in marking.selection.objects.iter().enumerate() {
        let object = marking.inputs.object(*id);
        for index in 1..object.symbols.len() {
            if globs.iter().any(|glob| glob.matches(story.name(object, index))) {
                story.tell(position, object, index);
            }
        }
    }
}

/// The walk.
struct Tracing<'a> {
    marking: &'a Marking<'a>,
    reasons: HashMap<SectionId, Reason>,
    queue: VecDeque<Place>,
}

impl Tracing<'_> {
    fn run(mut self, symbols: &Symbols, provided: &Provided) -> HashMap<SectionId, Reason> {
        self.symbol_roots(symbols);
        self.section_roots(provided);
        while let Some((position, index)) = self.queue.pop_front() {
            self.visit(position, index);
        }
        self.reasons
    }

    fn symbol_roots(&mut self, symbols: &Symbols) {
        let mut roots = self.marking.root_symbols(symbols);
        // Exports come last, by number; names are the same in every link.
        let exports = roots.partition_point(|(_, why)| *why != EXPORTED);
        roots[exports..].sort_by_key(|(id, _)| symbols.name(*id));
        for (id, why) in roots {
            self.reach_symbol(id, Reason::Symbol(id, why));
        }
    }

    fn section_roots(&mut self, provided: &Provided) {
        let started = self.marking.started(provided);
        for (position, id) in self.marking.selection.objects.iter().enumerate() {
            let object = self.marking.inputs.object(*id);
            let found = found_outputs(object, &started);
            for (index, section) in object.sections.iter().enumerate() {
                let is_root = section.is_alloc()
                    && !section.kind.is_unwind()
                    && self.marking.is_candidate(object, index, section)
                    && is_kept(object, index, &found);
                if is_root {
                    let is_retained = section.has(SHF_GNU_RETAIN);
                    let why = if is_retained { "retained" } else { "kept for its name or type" };
                    let place = (position as u32, index as u32);
                    self.reach(object.section_id(index), place, Reason::Root(why));
                }
            }
        }
    }

    fn visit(&mut self, position: u32, index: u32) {
        let marking = self.marking;
        let object = marking.object(position as usize);
        let from = (position, index);
        let section = &object.sections[index as usize];
        self.follow(object, from, object.relocations(section), true);
        let unwind = &marking.unwind.objects[position as usize];
        for fde in unwind.fdes_of(index) {
            let others = unwind.relocations_of(&fde.record).get(1..).unwrap_or(&[]);
            self.follow(object, from, others, false);
            self.follow(object, from, unwind.relocations_of(&unwind.cies[fde.cie as usize]), false);
        }
        for companion in object.companions_of(index) {
            let id = object.section_id(companion as usize);
            self.reach(id, (position, companion), Reason::Companion(from));
        }
    }

    /// What relocations refer to; those of unwind tables stand at no offset of the section.
    fn follow(&mut self, object: &Object, from: Place, relocations: &[crate::elf::Rela], is_own: bool) {
        for relocation in relocations {
            let symbol = relocation.r_sym(LE, false) as usize;
            let offset = if is_own { relocation.r_offset.get(LE) } else { 0 };
            let reason = Reason::Reference { from, symbol, offset };
            if symbol >= object.symbols.len() {
                continue;
            }
            match (object.symbol_id(symbol), object.symbol_section(symbol)) {
                (SymbolId::NONE, 0) => {}
                (SymbolId::NONE, section) => {
                    self.reach(object.section_id(section as usize), (from.0, section), reason);
                }
                (id, _) => self.reach_symbol(id, reason),
            }
        }
    }

    fn reach_symbol(&mut self, id: SymbolId, reason: Reason) {
        let selection = self.marking.selection;
        let section = selection.section(id);
        if section == SectionId::NONE {
            return;
        }
        if let Some(position) = selection.position(selection.def(id).file()) {
            let object = self.marking.object(position);
            self.reach(section, (position as u32, section.0 - object.section_base), reason);
        }
    }

    fn reach(&mut self, id: SectionId, place: Place, reason: Reason) {
        let is_live = self.marking.state(id).load(Ordering::Relaxed) == state::LIVE;
        if is_live && !self.reasons.contains_key(&id) {
            self.reasons.insert(id, reason);
            self.queue.push_back(place);
        }
    }
}

/// The telling.
struct Story<'a> {
    marking: &'a Marking<'a>,
    symbols: &'a Symbols,
    reasons: HashMap<SectionId, Reason>,
}

impl Story<'_> {
    /// The plain name of a symbol.
    fn name<'o>(&'o self, object: &'o Object, index: usize) -> &'o [u8] {
        match object.symbol_id(index) {
            SymbolId::NONE => object.symbol_name(index),
            id => self.symbols.name(id),
        }
    }

    /// Tells why a symbol is live, if it is the definition of its name and in a live section.
    fn tell(&self, position: usize, object: &Object, index: usize) {
        let section = object.symbol_section(index);
        if section == 0 || matches!(object.symbols[index].st_type(), STT_SECTION | STT_FILE) {
            return;
        }
        let id = object.symbol_id(index);
        let is_loser = |id| {
            let def = self.marking.selection.def(id);
            def.file() != object.id || def.index() as usize != index
        };
        if id != SymbolId::NONE && is_loser(id) {
            return;
        }
        let Some(reason) = self.reasons.get(&object.section_id(section as usize)) else { return };
        let mut text = format!("live symbol: {}", self.symbol(object, index));
        let is_meant = match reason {
            Reason::Symbol(other, _) => *other == id,
            Reason::Reference { from, symbol, .. } => {
                let user = self.marking.object(from.0 as usize);
                // Assemblers name the section for a local symbol at its start.
                let is_section = user.symbols[*symbol].st_type() == STT_SECTION;
                let is_start = is_section && object.symbols[index].st_value.get(LE) == 0;
                let is_local = from.0 as usize == position && (*symbol == index || is_start);
                is_local || id != SymbolId::NONE && user.symbol_id(*symbol) == id
            }
            _ => false,
        };
        if !is_meant {
            text.push_str(&format!("\n>>> in live section: {}", self.section(object, section)));
        }
        self.continue_with(*reason, &mut text);
        self.marking.cx.problems.say(text);
    }

    /// Adds the reasons of reasons, down to the root.
    fn continue_with(&self, mut reason: Reason, text: &mut String) {
        loop {
            let (from, line) = match reason {
                Reason::Symbol(_, why) | Reason::Root(why) => {
                    return text.push_str(&format!(" ({why})"));
                }
                Reason::Reference { from, offset, .. } => {
                    let object = self.marking.object(from.0 as usize);
                    let user = match symbol_at(object, from.1, offset) {
                        Some(index) => self.symbol(object, index),
                        None => self.section(object, from.1),
                    };
                    (from, format!("referenced by: {user}"))
                }
                Reason::Companion(from) => {
                    let object = self.marking.object(from.0 as usize);
                    (from, format!("depended on by: {}", self.section(object, from.1)))
                }
            };
            text.push_str(&format!("\n>>> {line}"));
            let object = self.marking.object(from.0 as usize);
            match self.reasons.get(&object.section_id(from.1 as usize)) {
                Some(next) => reason = *next,
                None => return,
            }
        }
    }

    fn symbol(&self, object: &Object, index: usize) -> String {
        format!("{}:({})", object.origin, self.marking.cx.symbol_text(self.name(object, index)))
    }

    fn section(&self, object: &Object, index: u32) -> String {
        let name = String::from_utf8_lossy(object.section_name(index as usize)).into_owned();
        format!("{}:({name})", object.origin)
    }
}

/// The symbol whose bytes an offset of a section is among.
fn symbol_at(object: &Object, section: u32, offset: u64) -> Option<usize> {
    (1..object.symbols.len()).find(|index| {
        let entry = &object.symbols[*index];
        let start = entry.st_value.get(LE);
        object.symbol_section(*index) == section
            && entry.st_type() != STT_SECTION
            && (start..start.saturating_add(entry.st_size.get(LE))).contains(&offset)
    })
}
