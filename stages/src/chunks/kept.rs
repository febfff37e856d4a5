//! `.rela.NAME` for every section NAME of a finished program (`--emit-relocs`): the relocations of the inputs, kept.
//!
//! Tools that rearrange programs (BOLT, the kernel's `relocs`) read them. They are not loaded; `sh_link` is `.symtab`,
//! `sh_info` the section they apply to, `r_offset` an address (in what is not loaded, an offset). Each describes the
//! bytes that stand there: the type follows rewritten instructions ([`crate::arch::target::kept`]), a section symbol
//! is that of the output section and the addend grows by the distance, also into merged strings. Left out are
//! relocations against what is not in the output, whose field holds a tombstone, and those of unwind records that
//! are not written.
//!
//! Whatever symbol they name must be in `.symtab`, so reading goes first: [`plan`] counts the entries and notes the
//! symbols, `symtab` numbers these, and the same walk over the same relocations writes the entries.

use super::symtab::Numbers;
use super::{Chunk, Sizing, UnwindPlan, eh_frame};
use crate::arch::target::kept::{Kept, kept, moves_with_address};
use crate::arch::target::{self, Plan, plan::Facts, rows::Calculation};
use crate::context::Cx;
use crate::elf::Rela;
use crate::emit::forgets_folded;
use crate::image::Image;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionId, SectionKind, SymbolId};
use crate::outputs::{Content, ObjectSections, OutputSection};
use crate::scan::{SymbolFacts, environment, local_facts};
use crate::select::Selection;
use crate::unwind::{ObjectUnwind, Record, Unwind};
use object::LittleEndian as LE;
use object::elf::{SHF_INFO_LINK, SHF_WRITE, SHT_RELA, STT_SECTION};
use std::sync::atomic::{AtomicBool, Ordering};

const ENTRY: u64 = size_of::<Rela>() as u64;

/// The relocation tables of the output.
#[derive(Debug, Default)]
pub struct KeptPlan {
    tables: Vec<Table>,
    /// Numbers of the symbols they name.
    pub(super) numbers: Numbers,
}

/// The table of one output section.
#[derive(Debug)]
struct Table {
    /// Position of the output section.
    target: u32,
    parts: Vec<Part>,
    count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    origin: Origin,
    /// Number of the first entry.
    first: u64,
    count: u64,
}

/// Whose relocations a part holds.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// Position of the object, first and number in [`ObjectSections::order`].
    Sections(u32, u32, u32),
    /// The nth contributor to `.eh_frame`, at this position.
    Records(u32, u32),
}

impl KeptPlan {
    pub(super) fn part_count(&self, table: u32) -> usize {
        self.tables[table as usize].parts.len()
    }
    pub(super) fn part_range(&self, table: u32, part: usize) -> (u64, u64) {
        let part = &self.tables[table as usize].parts[part];
        (part.first * ENTRY, part.count * ENTRY)
    }
    /// Position of the output section that a table is about.
    pub(super) fn target(&self, table: u32) -> u32 {
        self.tables[table as usize].target
    }
}

/// The symbols that kept relocations name.
#[derive(Debug)]
pub(super) struct Needed {
    /// By position of the object and index; section symbols do not count.
    locals: Vec<Vec<bool>>,
    /// By [`SymbolId`].
    globals: Vec<bool>,
}

impl Needed {
    /// The local symbols of the object at a position, by index.
    pub(super) fn locals(&self, position: usize) -> &[bool] {
        &self.locals[position]
    }
    pub(super) fn has(&self, id: SymbolId) -> bool {
        self.globals[id.index()]
    }
    pub(super) fn globals(&self) -> impl Iterator<Item = SymbolId> + '_ {
        let ids = self.globals.iter().enumerate();
        ids.filter(|(_, is_needed)| **is_needed).map(|(n, _)| SymbolId(n as u32))
    }
}

/// A relocation that stays.
struct Found {
    /// Index of the symbol in its object.
    symbol: usize,
    kept: Kept,
    /// What was added to the addend that stands in the object.
    change: i64,
    /// The addend goes with the address of the symbol.
    moves: bool,
}

/// Goes through relocations and says which stay and as what.
struct Reader<'a> {
    cx: &'a Cx<'a>,
    inputs: &'a Inputs,
    selection: &'a Selection,
    live: &'a LiveSet,
    unwind: &'a Unwind,
    facts: &'a SymbolFacts,
}

impl<'a> Reader<'a> {
    fn object(&self, position: usize) -> &'a Object {
        self.inputs.object(self.selection.objects[position])
    }

    fn section(&self, object: &Object, index: u32, visit: impl FnMut(Found)) {
        let section = &object.sections[index as usize];
        self.read(object, index, object.relocations(section), section.contents(), 0, visit);
    }

    fn record(&self, object: &Object, unwind: &ObjectUnwind, record: &Record, visit: impl FnMut(Found)) {
        let bytes = ObjectUnwind::bytes(object, record);
        let start = u64::from(record.offset);
        self.read(object, record.section, unwind.relocations_of(record), bytes, start, visit);
    }

    /// `start` is the offset of `bytes` in the section; the offsets of what is found are within `bytes`.
    fn read(
        &self,
        object: &Object,
        index: u32,
        relocations: &[Rela],
        bytes: &[u8],
        start: u64,
        mut visit: impl FnMut(Found),
    ) {
        let section = &object.sections[index as usize];
        let env = environment(self.cx, section.has(SHF_WRITE));
        let forgets_folded = !section.is_alloc() && forgets_folded(object.section_name(index as usize));
        let mut skip = false;
        for relocation in relocations {
            let Some(row) = target::row(relocation.r_type(LE, false)) else { continue };
            let offset = relocation.r_offset.get(LE).wrapping_sub(start) as usize;
            let symbol = relocation.r_sym(LE, false) as usize;
            // What is wrong was reported when it was read or written.
            let is_wrong = symbol >= object.symbols.len() || offset > bytes.len();
            if std::mem::take(&mut skip) || is_wrong || self.is_gone(object, symbol, forgets_folded) {
                continue;
            }
            let addend = relocation.r_addend.get(LE);
            let mut found = Found {
                symbol,
                kept: Kept { r_type: row.number, offset, addend },
                change: 0,
                moves: row.calculation != Calculation::None,
            };
            if section.is_alloc() {
                let facts = self.facts(object, symbol);
                let Ok((plan, _)) = target::plan(row, facts, env, Some((bytes, offset))) else { continue };
                skip =
                    matches!(plan, Plan::GeneralToLocal | Plan::GeneralToInitial | Plan::LocalDynamicToLocal);
                let Some(kept) = kept(row, plan, (bytes, offset), addend) else { continue };
                found.change = kept.addend.wrapping_sub(addend);
                found.moves = moves_with_address(plan);
                found.kept = kept;
            }
            visit(found);
        }
    }

    fn facts(&self, object: &Object, symbol: usize) -> Facts {
        match object.symbol_id(symbol) {
            SymbolId::NONE => local_facts(object, symbol, |section| self.live.has_address(section)),
            id => self.facts.get(id),
        }
    }

    /// Whether a symbol is defined in something that is not in the output, or not at all where it has to be.
    fn is_gone(&self, object: &Object, symbol: usize, forgets_folded: bool) -> bool {
        let has_address = |section| {
            if forgets_folded { self.live.contains(section) } else { self.live.has_address(section) }
        };
        let id = object.symbol_id(symbol);
        if id != SymbolId::NONE {
            let section = self.selection.section(id);
            return self.facts.get(id).has(Facts::UNDEFINED)
                || section != SectionId::NONE && !has_address(section);
        }
        let section = object.symbol_section(symbol) as usize;
        section != 0
            && (object.sections[section].kind == SectionKind::Ignored
                || !has_address(object.section_id(section)))
    }
}

/// What one object's relocations come to.
struct Survey {
    /// By index in [`ObjectSections::order`].
    counts: Vec<u64>,
    locals: Vec<bool>,
}

/// Counts what stays, adds the tables to the output, and says which symbols they need.
pub(super) fn plan(
    s: &Sizing,
    objects: &[ObjectSections],
    unwind_plan: &UnwindPlan,
    list: &mut Vec<OutputSection>,
) -> (KeptPlan, Needed) {
    let reader = Reader {
        cx: s.cx,
        inputs: s.inputs,
        selection: s.selection,
        live: s.live,
        unwind: s.unwind,
        facts: &s.scan.facts,
    };
    let globals: Vec<AtomicBool> = (0..s.selection.defs.len()).map(|_| AtomicBool::new(false)).collect();
    let note = |object: &Object, locals: &mut [bool], found: &Found| match object.symbol_id(found.symbol) {
        SymbolId::NONE if object.symbols[found.symbol].st_type() == STT_SECTION => {}
        SymbolId::NONE => locals[found.symbol] = found.symbol != 0,
        id => globals[id.index()].store(true, Ordering::Relaxed),
    };
    let mut surveys = s.cx.pool.map("size/kept", objects.len(), 8, |position| {
        let object = reader.object(position);
        let mut locals = vec![false; (object.first_global as usize).max(1)];
        let count = |index: &u32| {
            let mut count = 0;
            reader.section(object, *index, |found| {
                note(object, &mut locals, &found);
                count += 1;
            });
            count
        };
        let counts = objects[position].order.iter().map(count).collect();
        Survey { counts, locals }
    });
    let contributors: Vec<usize> = unwind_plan.contributors().collect();
    let records = s.cx.pool.map("size/kept", contributors.len(), 8, |n| {
        let position = contributors[n];
        let (object, unwind) = (reader.object(position), &reader.unwind.objects[position]);
        let mut locals = vec![false; (object.first_global as usize).max(1)];
        let mut count = 0;
        eh_frame::for_each_record(unwind_plan, n, object, unwind, s.live, |record, _| {
            reader.record(object, unwind, record, |found| {
                note(object, &mut locals, &found);
                count += 1;
            });
        });
        (count, locals)
    });
    for (position, (_, locals)) in contributors.iter().zip(&records) {
        let known = &mut surveys[*position].locals;
        known.iter_mut().zip(locals).for_each(|(known, new)| *known |= new);
    }
    let record_counts: Vec<(u32, u64)> =
        contributors.iter().zip(&records).map(|(position, (count, _))| (*position as u32, *count)).collect();
    let plan = tables(list, &surveys, &record_counts);
    let needed = Needed {
        locals: surveys.into_iter().map(|survey| survey.locals).collect(),
        globals: globals.into_iter().map(AtomicBool::into_inner).collect(),
    };
    (plan, needed)
}

/// A table for every output section with relocations that stay.
fn tables(list: &mut Vec<OutputSection>, surveys: &[Survey], records: &[(u32, u64)]) -> KeptPlan {
    let mut plan = KeptPlan::default();
    for position in 0..list.len() {
        let mut table = Table { target: position as u32, parts: Vec::new(), count: 0 };
        let mut push = |origin, count: u64| {
            if count > 0 {
                table.parts.push(Part { origin, first: table.count, count });
                table.count += count;
            }
        };
        for member in &list[position].members {
            match member.content {
                Content::Sections(object, first, count) => {
                    let range = first as usize..(first + count) as usize;
                    let entries = surveys[object as usize].counts[range].iter().sum();
                    push(Origin::Sections(object, first, count), entries);
                }
                Content::Chunk(Chunk::EhFrame) => {
                    for (n, (position, count)) in records.iter().enumerate() {
                        push(Origin::Records(n as u32, *position), *count);
                    }
                }
                _ => {}
            }
        }
        if table.count == 0 {
            continue;
        }
        let name: &'static [u8] = [b".rela", list[position].name].concat().leak();
        let chunk = Chunk::KeptRelocations(plan.tables.len() as u32);
        let mut section = OutputSection::new(name, SHT_RELA, SHF_INFO_LINK);
        section.append(Content::Chunk(chunk), table.count * ENTRY, 3);
        section.entsize = ENTRY;
        list.push(section);
        plan.tables.push(table);
    }
    plan
}

/// Writes a part of a table.
pub(super) fn write(image: &Image, table: u32, part: usize, out: &mut [u8]) {
    let plan = &image.sizes.kept;
    let reader = Reader {
        cx: image.cx,
        inputs: image.inputs,
        selection: image.selection,
        live: image.live,
        unwind: image.unwind,
        facts: &image.scan.facts,
    };
    let mut entries = out.chunks_exact_mut(ENTRY as usize);
    let mut put = |position: usize, object: &Object, start: u64, found: Found| {
        let (number, addend) = meaning(image, &plan.numbers, position, object, &found);
        let offset = start.wrapping_add(found.kept.offset as u64);
        let info = u64::from(number) << 32 | u64::from(found.kept.r_type);
        if let Some(out) = entries.next() {
            out[0..8].copy_from_slice(&offset.to_le_bytes());
            out[8..16].copy_from_slice(&info.to_le_bytes());
            out[16..24].copy_from_slice(&addend.to_le_bytes());
        }
    };
    match plan.tables[table as usize].parts[part].origin {
        Origin::Sections(position, first, count) => {
            let object = image.object(position as usize);
            let order = &image.outputs.objects[position as usize].order;
            for index in &order[first as usize..(first + count) as usize] {
                let start = image.addresses.sections[object.section_id(*index as usize).index()];
                reader.section(object, *index, |found| put(position as usize, object, start, found));
            }
        }
        Origin::Records(contributor, position) => {
            let object = image.object(position as usize);
            let unwind = &image.unwind.objects[position as usize];
            let base = image.addresses.bases.eh_frame;
            let visit = |record: &Record, at: u64| {
                reader.record(object, unwind, record, |found| {
                    put(position as usize, object, base + at, found);
                });
            };
            let plan = &image.sizes.unwind;
            eh_frame::for_each_record(plan, contributor as usize, object, unwind, image.live, visit);
        }
    }
    debug_assert!(entries.next().is_none(), "as many relocations as were counted");
}

/// The number of a symbol in `.symtab`, and the addend for it.
fn meaning(image: &Image, numbers: &Numbers, position: usize, object: &Object, found: &Found) -> (u32, i64) {
    let Found { symbol, kept, .. } = *found;
    let id = object.symbol_id(symbol);
    if id != SymbolId::NONE {
        return (numbers.global(id), kept.addend);
    }
    let entry = &object.symbols[symbol];
    if symbol == 0 || entry.st_type() != STT_SECTION {
        return (numbers.local(position, symbol), kept.addend);
    }
    let index = object.symbol_section(symbol) as usize;
    let section = &object.sections[index];
    let output = match section.kind {
        SectionKind::EhFrame => image.sizes.eh_frame_output,
        _ => image.sizes.names.maps[position][usize::from(section.output)],
    };
    let number = numbers.section(output);
    if !found.moves {
        return (number, kept.addend);
    }
    let base = image.layout.placements[output as usize].address as i64;
    let written = kept.addend.wrapping_sub(found.change);
    let address = if section.kind == SectionKind::Merge {
        // The addend chooses the piece, as where it is applied.
        let inside = written.max(0);
        (image.merged_address(object, index, inside as u64) as i64).wrapping_add(written - inside)
    } else {
        let start = image.addresses.sections[object.section_id(index).index()];
        (start.wrapping_add(entry.st_value.get(LE)) as i64).wrapping_add(written)
    };
    (number, address.wrapping_sub(base).wrapping_add(found.change))
}
