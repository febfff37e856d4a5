//! Whose bytes a task writes: for accounts of the output, which nobody pays for who does not ask.

use super::Task;
use crate::chunks;
use crate::image::Image;
use crate::model::FileId;
use crate::outputs::Content;

/// A run of the file with one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Position of the output section; `None` for the headers of the file.
    pub output: Option<u32>,
    /// The file whose bytes they are; `None` for what the linker made.
    pub owner: Option<FileId>,
}

/// Calls `visit` for everything a task writes, in file order. What pads the sections of an object apart is the object's.
pub fn for_each_extent(image: &Image, task: &Task, mut visit: impl FnMut(Extent)) {
    if task.is_headers {
        let size =
            crate::layout::HEADER_SIZE + image.layout.segments.len() as u64 * crate::layout::SEGMENT_SIZE;
        visit(Extent { offset: task.offset, size, output: None, owner: None });
    }
    if task.is_section_headers {
        visit(Extent { offset: task.offset, size: task.size, output: None, owner: None });
    }
    for item in &task.items {
        let section = &image.outputs.sections[item.output as usize];
        let member = &section.members[item.member as usize];
        let base = image.layout.placements[item.output as usize].offset + member.offset;
        let mut put = |offset: u64, size: u64, owner: Option<FileId>| {
            visit(Extent { offset: base + offset, size, output: Some(item.output), owner });
        };
        let parts = item.first..item.first + item.count;
        match member.content {
            // Sections of one object, with the padding between them.
            Content::Sections(position, first, count) => {
                let inner = &image.outputs.objects[position as usize].inner;
                let start = inner[parts.start as usize];
                let end = if parts.end == first + count { member.size } else { inner[parts.end as usize] };
                put(start, end - start, Some(image.selection.objects[position as usize]));
            }
            Content::Pool(is_loaded, pool) => {
                let merged = image.merged(is_loaded);
                for part in parts {
                    let (offset, size) = merged.part_range(pool as usize, part as usize);
                    put(offset, size, Some(merged.part_owner(pool as usize, part as usize).0));
                }
            }
            Content::Bytes(_) => {
                let start = u64::from(parts.start) * super::TASK_BYTES;
                let end = (u64::from(parts.end) * super::TASK_BYTES).min(member.size);
                put(start, end - start, None);
            }
            Content::Chunk(chunk) => {
                for part in parts {
                    let (offset, size) = chunks::part_range(image.sizes, chunk, part as usize, member.size);
                    let position = chunks::part_owner(image.sizes, chunk, part as usize);
                    put(offset, size, position.map(|position| image.selection.objects[position]));
                }
            }
        }
    }
}
