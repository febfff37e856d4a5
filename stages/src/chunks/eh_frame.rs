//! `.eh_frame` and `.eh_frame_hdr` (LSB, "Exception Frames").
//!
//! Equal CIEs (bytes and what their relocations point to) are written once, where the first object needs them;
//! FDEs of code that is not in the output are left out. The header is a table of all FDEs by address, which
//! unwinders search; entries with equal addresses appear once.

use super::Sizing;
use crate::emit::relocate_record;
use crate::image::Image;
use crate::liveness::LiveSet;
use crate::model::{Object, SymbolId};
use crate::unwind::{Fde, ObjectUnwind, Record};
use object::LittleEndian as LE;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// What each object contributes to `.eh_frame`.
#[derive(Debug, Default)]
pub struct UnwindPlan {
    /// Bytes, the terminator included; 0 for no section.
    pub size: u64,
    /// FDEs in all.
    pub fde_count: u64,
    parts: Vec<Part>,
}

/// The contribution of one object.
#[derive(Debug)]
struct Part {
    /// Position in the list of live objects.
    object: u32,
    offset: u64,
    size: u64,
    /// How many FDEs come before.
    first_fde: u64,
    /// For each CIE of the object: where its equal stands in `.eh_frame`, and whether this object writes it.
    cies: Vec<Option<(u64, bool)>>,
}

impl UnwindPlan {
    /// Positions of the objects that contribute records, in order.
    pub(super) fn contributors(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().map(|part| part.object as usize)
    }
    /// The object a part is about.
    pub(super) fn part_owner(&self, part: usize) -> Option<usize> {
        self.parts.get(part).map(|part| part.object as usize)
    }
    pub(super) fn part_count(&self) -> usize {
        self.parts.len() + 1
    }
    pub(super) fn part_range(&self, part: usize) -> (u64, u64) {
        match self.parts.get(part) {
            Some(part) => (part.offset, part.size),
            None => (self.size.saturating_sub(4), self.size.min(4)),
        }
    }
}

/// What makes two CIEs equal.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CieKey {
    bytes: &'static [u8],
    /// Offset, type, symbol (global, or object and local index), addend.
    relocations: Vec<(u64, u32, SymbolId, u32, u32, i64)>,
}

/// Decides what goes in and where.
pub(super) fn plan(s: &Sizing) -> UnwindPlan {
    let mut plan = UnwindPlan::default();
    let mut known: HashMap<CieKey, u64> = HashMap::new();
    let live_fdes = s.cx.pool.map("size/unwind", s.selection.objects.len(), 16, |position| {
        let object = s.inputs.object(s.selection.objects[position]);
        let is_live = |fde: &&Fde| fde.target != 0 && s.live.contains(object.section_id(fde.target as usize));
        let mut used = vec![false; s.unwind.objects[position].cies.len()];
        let (mut count, mut size) = (0u64, 0u64);
        for fde in s.unwind.objects[position].fdes.iter().filter(is_live) {
            used[fde.cie as usize] = true;
            count += 1;
            size += u64::from(fde.record.size);
        }
        (used, count, size)
    });
    for (position, (used, count, fdes_size)) in live_fdes.into_iter().enumerate() {
        if count == 0 {
            continue;
        }
        let object = s.inputs.object(s.selection.objects[position]);
        let unwind = &s.unwind.objects[position];
        let mut part = Part {
            object: position as u32,
            offset: plan.size,
            size: fdes_size,
            first_fde: plan.fde_count,
            cies: vec![None; used.len()],
        };
        let mut end = plan.size;
        for (n, cie) in unwind.cies.iter().enumerate().filter(|(n, _)| used[*n]) {
            let mut is_new = false;
            let offset = *known.entry(cie_key(object, position as u32, unwind, cie)).or_insert_with(|| {
                is_new = true;
                end
            });
            if is_new {
                end += u64::from(cie.size);
                part.size += u64::from(cie.size);
            }
            part.cies[n] = Some((offset, is_new));
        }
        plan.size += part.size;
        plan.fde_count += count;
        plan.parts.push(part);
    }
    if plan.fde_count > 0 {
        // The terminator.
        plan.size += 4;
    }
    plan
}

fn cie_key(object: &Object, position: u32, unwind: &ObjectUnwind, cie: &Record) -> CieKey {
    let relocations = unwind.relocations_of(cie).iter().map(|r| {
        let symbol = r.r_sym(LE, false);
        let id = object.symbol_id(symbol as usize);
        let local = if id == SymbolId::NONE { (position, symbol) } else { (0, 0) };
        let offset = r.r_offset.get(LE) - u64::from(cie.offset);
        (offset, r.r_type(LE, false), id, local.0, local.1, r.r_addend.get(LE))
    });
    CieKey { bytes: ObjectUnwind::bytes(object, cie), relocations: relocations.collect() }
}

/// The live FDEs of a part in output order, with their offsets in `.eh_frame`.
fn for_each_fde(
    object: &Object,
    unwind: &ObjectUnwind,
    live: &LiveSet,
    part: &Part,
    mut visit: impl FnMut(&Fde, u64),
) {
    let own: u64 = unwind
        .cies
        .iter()
        .zip(&part.cies)
        .filter(|(_, c)| c.is_some_and(|(_, own)| own))
        .map(|(r, _)| u64::from(r.size))
        .sum();
    let mut at = part.offset + own;
    for fde in &unwind.fdes {
        if fde.target != 0 && live.contains(object.section_id(fde.target as usize)) {
            visit(fde, at);
            at += u64::from(fde.record.size);
        }
    }
}

/// The records that the nth contributor writes, with their offsets in `.eh_frame`: its own CIEs, then its FDEs.
pub(super) fn for_each_record(
    plan: &UnwindPlan,
    contributor: usize,
    object: &Object,
    unwind: &ObjectUnwind,
    live: &LiveSet,
    mut visit: impl FnMut(&Record, u64),
) {
    let part = &plan.parts[contributor];
    for (cie, place) in unwind.cies.iter().zip(&part.cies) {
        if let Some((offset, true)) = place {
            visit(cie, *offset);
        }
    }
    for_each_fde(object, unwind, live, part, |fde, at| visit(&fde.record, at));
}

pub(super) fn write(image: &Image, part: usize, address: u64, out: &mut [u8]) {
    let plan = &image.sizes.unwind;
    // The last part is the terminator: four zeros.
    let Some(part) = plan.parts.get(part) else { return };
    let position = part.object as usize;
    let object = image.object(position);
    let unwind = &image.unwind.objects[position];
    let base = address - part.offset;
    let mut put = |record: &Record, at: u64, cie: Option<u64>| {
        let start = (at - part.offset) as usize;
        let out = &mut out[start..start + record.size as usize];
        out.copy_from_slice(ObjectUnwind::bytes(object, record));
        if let Some(cie) = cie {
            // Distance from this field back to the CIE.
            out[4..8].copy_from_slice(&((at + 4 - cie) as u32).to_le_bytes());
        }
        relocate_record(image, position, unwind, record, base + at, out);
    };
    for (cie, place) in unwind.cies.iter().zip(&part.cies) {
        if let Some((offset, true)) = place {
            put(cie, *offset, None);
        }
    }
    for_each_fde(object, unwind, image.live, part, |fde, at| {
        let cie = part.cies[fde.cie as usize].map(|(offset, _)| offset);
        put(&fde.record, at, cie);
    });
}

/// Bytes of `.eh_frame_hdr`.
pub(super) fn header_size(plan: &UnwindPlan) -> u64 {
    12 + plan.fde_count * 8
}

/// An entry of the table: where code begins and where its FDE is, as signed distances from the table's section.
type Entry = [u8; 8];

fn code_of(entry: &Entry) -> i32 {
    i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])
}

pub(super) fn write_header(image: &Image, address: u64, out: &mut [u8]) {
    let plan = &image.sizes.unwind;
    let base = image.addresses.bases.eh_frame;
    let (head, entries) = out.split_at_mut(12);
    let entries = entries.as_chunks_mut::<8>().0;
    let is_far = AtomicBool::new(false);
    image.cx.pool.for_each_mut("write/eh_frame_hdr", &mut by_part(plan, entries), 16, |n, entries| {
        if !write_entries(image, &plan.parts[n], [address, base], entries) {
            is_far.store(true, Ordering::Relaxed);
        }
    });
    // Nearly in order already: a sort that looks for runs has little to do.
    entries.sort_by_key(code_of);
    let count = without_repeats(entries);
    entries[count..].fill([0; 8]);
    // Version 1; pointer to .eh_frame PC-relative, count absolute, table relative to this section, all 4 bytes.
    head[..4].copy_from_slice(&[1, 0x1b, 0x03, 0x3b]);
    head[4..8].copy_from_slice(&(base.wrapping_sub(address + 4) as u32).to_le_bytes());
    head[8..].copy_from_slice(&(count as u32).to_le_bytes());
    if is_far.into_inner() {
        image.cx.problems.push(crate::report::Problem::error(
            ".eh_frame_hdr: code lies more than 2 GiB away, which its table cannot express",
        ));
    }
}

/// The entries that each part writes.
fn by_part<'e>(plan: &UnwindPlan, mut entries: &'e mut [Entry]) -> Vec<&'e mut [Entry]> {
    let ends = plan.parts.iter().skip(1).map(|part| part.first_fde).chain([plan.fde_count]);
    let counts = plan.parts.iter().zip(ends).map(|(part, end)| (end - part.first_fde) as usize);
    let take = |count: usize| {
        let (mine, rest) = std::mem::take(&mut entries).split_at_mut(count);
        entries = rest;
        mine
    };
    counts.map(take).collect()
}

/// Writes the entries of a part, in the order of its FDEs. Says whether all distances fit.
fn write_entries(image: &Image, part: &Part, [address, base]: [u64; 2], entries: &mut [Entry]) -> bool {
    let position = part.object as usize;
    let unwind = &image.unwind.objects[position];
    let mut fits = true;
    let mut distance = |to: u64| {
        let distance = to.wrapping_sub(address) as i64;
        fits &= i32::try_from(distance).is_ok();
        (distance as u32).to_le_bytes()
    };
    let mut entries = entries.iter_mut();
    for_each_fde(image.object(position), unwind, image.live, part, |fde, at| {
        // Only what has a relocation is an FDE here.
        let code = unwind.relocations_of(&fde.record).first();
        let code = code.map_or(0, |first| image.pointee(position, image.object(position), first));
        if let Some(entry) = entries.next() {
            entry[..4].copy_from_slice(&distance(code));
            entry[4..].copy_from_slice(&distance(base + at));
        }
    });
    fits
}

/// Leaves the first of entries about the same code, and says how many are left.
fn without_repeats(entries: &mut [Entry]) -> usize {
    let mut count = 0;
    for n in 0..entries.len() {
        if count == 0 || code_of(&entries[count - 1]) != code_of(&entries[n]) {
            entries[count] = entries[n];
            count += 1;
        }
    }
    count
}
