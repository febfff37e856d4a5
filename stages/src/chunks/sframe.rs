//! `.sframe`, merged: one header, the functions of all objects by address, their frames.
//!
//! In: the tables of objects (`elf/sframe`), and what is live. Functions that are not in the output have no entry; the
//! frames of the others are copied as they are. Which function an entry is about only its relocation says, so the
//! order is known when addresses are; sizes do not depend on it.
//!
//! Objects must agree on version and machine. If they do not, or if one has a version that nobody has told of, the
//! output has no `.sframe` and a warning says why: it is one way of unwinding of several.

use super::Sizing;
use crate::elf::Rela;
use crate::elf::sframe::{self, FDE_SORTED, HEADER_SIZE, Kind, MAGIC, Refusal, START_FROM_FIELD, Table};
use crate::image::Image;
use crate::model::{Object, SectionId};
use crate::report::Problem;
use object::LittleEndian as LE;

/// What `.sframe` will consist of.
#[derive(Debug, Default)]
pub struct SFramePlan {
    /// Bytes, 0 for no section.
    pub size: u64,
    /// `sh_type`: that of the inputs.
    pub sh_type: u32,
    kind: Option<Kind>,
    flags: u8,
    entries: Vec<Entry>,
    frames_size: u64,
}

/// A function that is in the output.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Position of its object.
    object: u32,
    /// What names it.
    relocation: &'static Rela,
    frames: &'static [u8],
    size: u32,
    count: u32,
    info: u8,
    block: u8,
}

/// Collects the functions of all objects.
pub(super) fn plan(s: &Sizing) -> SFramePlan {
    let mut plan = SFramePlan { flags: FDE_SORTED, ..SFramePlan::default() };
    for (position, id) in s.selection.objects.iter().enumerate() {
        let object = s.inputs.object(*id);
        for index in &object.sframes {
            if s.live.contains(object.section_id(*index as usize))
                && let Err(what) = plan.add(s, position, object, *index)
            {
                let message = format!("{}:(.sframe): {what}; the output has no .sframe", object.origin);
                s.cx.problems.push(Problem::warning(message).at(id.0, 0));
                return SFramePlan::default();
            }
        }
    }
    if let Some(kind) = plan.kind.filter(|_| !plan.entries.is_empty()) {
        plan.size = HEADER_SIZE + plan.entries.len() as u64 * kind.fde_size() + plan.frames_size;
    }
    plan
}

impl SFramePlan {
    /// Adds the functions of a section that are in the output.
    fn add(&mut self, s: &Sizing, position: usize, object: &Object, index: u32) -> Result<(), String> {
        let section = &object.sections[index as usize];
        let tables = sframe::parse(section.contents()).map_err(|refusal| match refusal {
            Refusal::Version(version) => format!("version {version} is not known"),
            Refusal::Damaged(at) => format!("damaged at offset {at:#x}"),
        })?;
        self.sh_type = self.sh_type.max(object.section_type(index as usize));
        let mut relocations: Vec<&'static Rela> = object.relocations(section).iter().collect();
        relocations.sort_by_key(|relocation| relocation.r_offset.get(LE));
        for table in tables {
            if self.kind.is_some_and(|kind| kind != table.kind) {
                return Err("version or machine differs from that of files before".to_string());
            }
            self.kind = Some(table.kind);
            self.flags |= table.flags & START_FROM_FIELD;
            self.add_table(s, position, object, section.contents(), &relocations, &table)?;
        }
        Ok(())
    }

    fn add_table(
        &mut self,
        s: &Sizing,
        position: usize,
        object: &Object,
        contents: &'static [u8],
        relocations: &[&'static Rela],
        table: &Table,
    ) -> Result<(), String> {
        for function in &table.functions {
            let found = relocations.binary_search_by_key(&function.field, |r| r.r_offset.get(LE));
            let Ok(found) = found else {
                return Err(format!("the entry at offset {:#x} names no function", function.field));
            };
            let symbol = relocations[found].r_sym(LE, false) as usize;
            if symbol >= object.symbols.len() {
                return Err(format!("the entry at offset {:#x} names symbol {symbol}", function.field));
            }
            let code = s.selection.section_of(object, symbol);
            if code == SectionId::NONE || !s.live.contains(code) {
                continue;
            }
            let frames = &contents[function.frames.clone()];
            self.frames_size += frames.len() as u64;
            self.entries.push(Entry {
                object: position as u32,
                relocation: relocations[found],
                frames,
                size: function.size,
                count: function.count,
                info: function.info,
                block: function.block,
            });
        }
        Ok(())
    }
}

/// Writes the section at `address`.
pub(super) fn write(image: &Image, address: u64, out: &mut [u8]) {
    let plan = &image.sizes.sframe;
    let Some(kind) = plan.kind else { return };
    let mut functions: Vec<(u64, u64, &Entry)> = Vec::with_capacity(plan.entries.len());
    let mut frames = 0;
    for entry in &plan.entries {
        let object = image.object(entry.object as usize);
        let start = image.pointee(entry.object as usize, object, entry.relocation);
        functions.push((start, frames, entry));
        frames += entry.frames.len() as u64;
    }
    functions.sort_by_key(|(start, frames, _)| (*start, *frames));
    let fdes_size = functions.len() as u64 * kind.fde_size();
    let (head, body) = out.split_at_mut(HEADER_SIZE as usize);
    put_header(plan, kind, &functions, fdes_size, head);
    let (fdes, fres) = body.split_at_mut(fdes_size as usize);
    for (n, ((start, frames, entry), out)) in
        functions.iter().zip(fdes.chunks_exact_mut(kind.fde_size() as usize)).enumerate()
    {
        let is_from_field = kind.is_wide() || plan.flags & START_FROM_FIELD != 0;
        let from = if is_from_field { HEADER_SIZE + n as u64 * kind.fde_size() } else { 0 };
        let distance = start.wrapping_sub(address).wrapping_sub(from) as i64;
        if kind.is_wide() {
            out[..8].copy_from_slice(&distance.to_le_bytes());
            out[8..12].copy_from_slice(&entry.size.to_le_bytes());
            out[12..16].copy_from_slice(&(*frames as u32).to_le_bytes());
        } else {
            let Ok(distance) = i32::try_from(distance) else {
                let message = format!(".sframe: a function at {start:#x} is out of reach from {address:#x}");
                let note = "--discard-sframe leaves the section out";
                image.cx.problems.push(Problem::error(message).note(note));
                return;
            };
            out[..4].copy_from_slice(&distance.to_le_bytes());
            out[4..8].copy_from_slice(&entry.size.to_le_bytes());
            out[8..12].copy_from_slice(&(*frames as u32).to_le_bytes());
            out[12..16].copy_from_slice(&entry.count.to_le_bytes());
            out[16] = entry.info;
            if let Some(block) = out.get_mut(17) {
                *block = entry.block;
            }
        }
        fres[*frames as usize..][..entry.frames.len()].copy_from_slice(entry.frames);
    }
}

fn put_header(
    plan: &SFramePlan,
    kind: Kind,
    functions: &[(u64, u64, &Entry)],
    fdes_size: u64,
    out: &mut [u8],
) {
    out[..2].copy_from_slice(&MAGIC.to_le_bytes());
    out[2..8].copy_from_slice(&[kind.version, plan.flags, kind.abi, kind.fixed_fp, kind.fixed_ra, 0]);
    let frames: u32 = functions.iter().map(|(_, _, entry)| entry.count).sum();
    let words = [functions.len() as u32, frames, plan.frames_size as u32, 0, fdes_size as u32];
    for (word, out) in words.iter().zip(out[8..].chunks_exact_mut(4)) {
        out.copy_from_slice(&word.to_le_bytes());
    }
}
