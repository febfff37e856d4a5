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

pub(super) fn write_header(image: &Image, address: u64, out: &mut [u8]) {
    let plan = &image.sizes.unwind;
    let base = image.addresses.bases.eh_frame;
    let lists = image.cx.pool.map("write/eh_frame_hdr", plan.parts.len(), 16, |n| {
        let part = &plan.parts[n];
        let position = part.object as usize;
        let object = image.object(position);
        let unwind = &image.unwind.objects[position];
        let mut list = Vec::new();
        for_each_fde(object, unwind, image.live, part, |fde, at| {
            if let Some(first) = unwind.relocations_of(&fde.record).first() {
                list.push((image.pointee(position, object, first), base + at));
            }
        });
        list
    });
    let mut table: Vec<(u64, u64)> = lists.concat();
    // Nearly in order already: a sort that looks for runs has little to do.
    table.sort();
    table.dedup_by_key(|(code, _)| *code);
    // Version 1; pointer to .eh_frame PC-relative, count absolute, table relative to this section, all 4 bytes.
    out[..4].copy_from_slice(&[1, 0x1b, 0x03, 0x3b]);
    out[4..8].copy_from_slice(&(base.wrapping_sub(address + 4) as u32).to_le_bytes());
    out[8..12].copy_from_slice(&(table.len() as u32).to_le_bytes());
    let mut is_far = false;
    for ((code, record), out) in table.into_iter().zip(out[12..].chunks_exact_mut(8)) {
        for (value, out) in [code, record].into_iter().zip(out.chunks_exact_mut(4)) {
            let distance = value.wrapping_sub(address) as i64;
            is_far |= i32::try_from(distance).is_err();
            out.copy_from_slice(&(distance as u32).to_le_bytes());
        }
    }
    if is_far {
        image.cx.problems.push(crate::report::Problem::error(
            ".eh_frame_hdr: code lies more than 2 GiB away, which its table cannot express",
        ));
    }
}
