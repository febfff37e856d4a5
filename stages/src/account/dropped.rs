//! What of the linked objects is not in the output, and why.
//!
//! Only bytes an output could hold count: code, data, debug information, unwind records. Tables of the object file
//! itself (symbols, relocations, groups) are raw material and not dropped.

use crate::chunks::{self, Chunk};
use crate::image::Image;
use crate::model::{FileId, Object, SectionKind};
use crate::outputs::Content;

/// Bytes of one input that are not in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Nothing refers to them (`--gc-sections`), or an index stands for them.
    pub unreferenced: u64,
    /// Another object has the same section group.
    pub group: u64,
    /// An equal function stands for them (`--icf`).
    pub folded: u64,
    /// Equal strings and constants of other sections stand for them.
    pub merged: u64,
    /// Unwind records of code that is not there, or equal to others.
    pub unwind: u64,
}

impl Dropped {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.unreferenced + self.group + self.folded + self.merged + self.unwind
    }
}

/// For each linked object what it lost.
pub(super) fn count(image: &Image) -> Vec<Dropped> {
    let pieces = kept_pieces(image);
    let records = kept_records(image);
    let objects = &image.selection.objects;
    image.cx.pool.map("account", objects.len(), 16, |position| {
        let object = image.object(position);
        let kept = pieces[object.id.index()];
        of_object(image, object, kept, records[position])
    })
}

fn of_object(image: &Image, object: &Object, kept_pieces: u64, kept_records: u64) -> Dropped {
    let mut dropped = Dropped::default();
    let (mut pieces, mut records) = (0, 0);
    for (index, section) in object.sections.iter().enumerate() {
        let id = object.section_id(index);
        match section.kind {
            SectionKind::Ignored => {}
            _ if image.selection.discarded[id.index()] => dropped.group += section.size(),
            _ if image.live.is_folded(id) => dropped.folded += section.size(),
            SectionKind::EhFrame | SectionKind::SFrame => records += section.size(),
            _ if !image.live.contains(id) => dropped.unreferenced += section.size(),
            SectionKind::Merge => pieces += section.size(),
            _ => {}
        }
    }
    dropped.merged = pieces.saturating_sub(kept_pieces);
    dropped.unwind = records.saturating_sub(kept_records);
    dropped
}

/// By file: bytes of pools that are its pieces.
fn kept_pieces(image: &Image) -> Vec<u64> {
    let mut kept = vec![0; image.inputs.files.len()];
    for merged in [image.loaded, image.debug] {
        for pool in 0..merged.pools.len() {
            for part in 0..merged.part_count(pool) {
                let (FileId(file), _) = merged.part_owner(pool, part);
                kept[file as usize] += merged.part_range(pool, part).1;
            }
        }
    }
    kept
}

/// By position: bytes of unwind records it has in the output.
fn kept_records(image: &Image) -> Vec<u64> {
    let mut kept = vec![0; image.selection.objects.len()];
    let members = image.outputs.sections.iter().flat_map(|section| &section.members);
    for member in members.filter(|member| member.content == Content::Chunk(Chunk::EhFrame)) {
        for part in 0..chunks::part_count(image.sizes, Chunk::EhFrame) {
            if let Some(position) = chunks::part_owner(image.sizes, Chunk::EhFrame, part) {
                kept[position] += chunks::part_range(image.sizes, Chunk::EhFrame, part, member.size).1;
            }
        }
    }
    kept
}
