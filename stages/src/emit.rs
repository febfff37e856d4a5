//! Copies and relocates: fills the output, task by task, into buffers.
//!
//! In: [`Image`] (every address is known). A [`Task`] is a run of the file of about [`TASK_BYTES`]; [`fill`] makes its
//! bytes in a buffer that its worker uses again and again and that fits the second-level cache, so relocating
//! and hashing happen where the copy just was. Tasks depend on addresses alone: any one can be filled by itself,
//! in any order.
//!
//! Before that, the symbols of every object are reduced to one word each ([`targets`]), so that a relocation against
//! an ordinary symbol is a load, an addition and a store.

mod alloc;
mod debug;
mod overflow;
mod owners;
mod target;

pub use alloc::relocate_record;
pub(crate) use debug::{forgets_folded, tombstone};
pub use owners::{Extent, for_each_extent};
pub use target::{Target, for_debug, targets};

use crate::chunks::{self, Chunk};
use crate::config::Format;
use crate::image::Image;
use crate::open::Used;
use crate::outputs::Content;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS};

/// Bytes of a task, about. A single large section makes a larger one.
pub const TASK_BYTES: u64 = 256 << 10;

/// A part of a task: some of the parts of one member.
#[derive(Debug, Clone, Copy)]
struct Item {
    output: u32,
    member: u32,
    /// Sections in the block, parts of a chunk or a pool.
    first: u32,
    count: u32,
}

/// A run of the file that one worker fills at once.
#[derive(Debug, Clone)]
pub struct Task {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    items: Vec<Item>,
    is_headers: bool,
    is_section_headers: bool,
}

impl Task {
    fn new(offset: u64) -> Task {
        Task { offset, size: 0, items: Vec::new(), is_headers: false, is_section_headers: false }
    }
    /// What it writes, for a trace: the position of its first output section.
    pub fn output(&self) -> Option<u32> {
        self.items.first().map(|item| item.output)
    }
    /// Whether filling it is copying alone, so that writing it takes longer.
    pub fn is_copied(&self, image: &Image) -> bool {
        !self.items.is_empty()
            && self.items.iter().all(|item| {
                let section = &image.outputs.sections[item.output as usize];
                matches!(section.members[item.member as usize].content, Content::Pool(..) | Content::Bytes(_))
            })
    }
}

/// Cuts the file into tasks. The borders depend on the layout alone.
pub fn tasks(image: &Image) -> Vec<Task> {
    let layout = image.layout;
    let mut headers = Task::new(0);
    if image.cx.config.format == Format::Elf {
        headers.is_headers = true;
        headers.size =
            crate::layout::HEADER_SIZE + layout.segments.len() as u64 * crate::layout::SEGMENT_SIZE;
    }
    let mut cutter = Cutter { done: Vec::new(), open: headers };
    for position in &layout.order {
        let section = &image.outputs.sections[*position as usize];
        if section.sh_type == SHT_NOBITS {
            continue;
        }
        let start = layout.placements[*position as usize].offset;
        for (m, member) in section.members.iter().enumerate() {
            let base = start + member.offset;
            if let Content::Sections(_, first, count) = member.content
                && cutter.has_room(base, member.size)
            {
                cutter.add(*position, m as u32, first, count, base, member.size);
                continue;
            }
            let mut add = |part: u32, offset: u64, size: u64| {
                cutter.add(*position, m as u32, part, 1, base + offset, size);
            };
            match member.content {
                Content::Sections(object, first, count) => {
                    // What is between a section and the next one goes with it: where to cut asks for no more, unless
                    // that is a hole.
                    let gathered = &image.outputs.objects[object as usize];
                    let starts = &gathered.inner[first as usize..(first + count) as usize];
                    let ends = starts.iter().skip(1).chain([&member.size]);
                    for (i, (start, end)) in (first..).zip(starts.iter().zip(ends)) {
                        let mut size = end - start;
                        if size > TASK_BYTES {
                            let section = gathered.order[i as usize] as usize;
                            size = image.object(object as usize).sections[section].size();
                        }
                        add(i, *start, size);
                    }
                }
                Content::Pool(is_loaded, pool) => {
                    let merged = if is_loaded { image.loaded } else { image.debug };
                    for part in 0..merged.part_count(pool as usize) {
                        let (offset, size) = merged.part_range(pool as usize, part);
                        add(part as u32, offset, size);
                    }
                }
                Content::Bytes(_) => {
                    for part in 0..member.size.div_ceil(TASK_BYTES) {
                        let offset = part * TASK_BYTES;
                        add(part as u32, offset, (member.size - offset).min(TASK_BYTES));
                    }
                }
                Content::Chunk(chunk) => {
                    for part in 0..chunks::part_count(image.sizes, chunk) {
                        let (offset, size) = chunks::part_range(image.sizes, chunk, part, member.size);
                        add(part as u32, offset, size);
                    }
                }
            }
        }
    }
    cutter.close(layout.section_headers);
    let mut tasks = cutter.done;
    if layout.file_size > layout.section_headers && !image.cx.config.z.no_section_header {
        let mut last = Task::new(layout.section_headers);
        last.size = layout.file_size - layout.section_headers;
        last.is_section_headers = true;
        tasks.push(last);
    }
    tasks
}

struct Cutter {
    done: Vec<Task>,
    open: Task,
}

impl Cutter {
    /// Whether the open task has room for bytes.
    fn has_room(&self, offset: u64, size: u64) -> bool {
        offset + size <= self.open.offset + TASK_BYTES
    }

    /// Adds `count` parts of a member, from `first` on.
    fn add(&mut self, output: u32, member: u32, first: u32, count: u32, offset: u64, size: u64) {
        if size == 0 {
            return;
        }
        if !self.has_room(offset, size) && self.open.size > 0 {
            self.close(offset);
        }
        // A hole that is not worth filling, as between segments, is left to the file system.
        self.open.size = self.open.size.max(offset + size - self.open.offset);
        match self.open.items.last_mut() {
            Some(item) if (item.output, item.member, item.first + item.count) == (output, member, first) => {
                item.count += count;
            }
            _ => self.open.items.push(Item { output, member, first, count }),
        }
    }

    /// Ends the open task; the next one starts at `offset`.
    fn close(&mut self, offset: u64) {
        let task = std::mem::replace(&mut self.open, Task::new(offset));
        if task.size > 0 {
            self.done.push(task);
        }
    }
}

/// Makes the bytes of a task; what `window`, which is as large as the task, held before is overwritten.
pub fn fill(image: &Image, task: &Task, window: &mut [u8]) {
    let mut out = Filling { out: window, done: 0 };
    if task.is_headers {
        let headers = chunks::file_headers(image);
        out.window(0, headers.len(), 0).copy_from_slice(&headers);
    }
    if task.is_section_headers {
        let headers = chunks::section_headers(image);
        out.window(0, headers.len(), 0).copy_from_slice(&headers);
    }
    for item in &task.items {
        fill_item(image, task, item, &mut out);
    }
    out.finish();
}

/// A task's bytes while they are made, front to back: nothing is written twice, and nothing is left as it was.
struct Filling<'b> {
    out: &'b mut [u8],
    /// Bytes that have been made or handed out.
    done: usize,
}

impl Filling<'_> {
    /// The bytes from `start` on, all of which the caller has to write; those before them become `pad`.
    fn window(&mut self, start: usize, size: usize, pad: u8) -> &mut [u8] {
        if self.done < start {
            self.out[self.done..start].fill(pad);
        }
        self.done = self.done.max(start + size);
        &mut self.out[start..start + size]
    }

    /// The same, as zeros.
    fn zeros(&mut self, start: usize, size: usize) -> &mut [u8] {
        let window = self.window(start, size, 0);
        window.fill(0);
        window
    }

    /// Zeros to the end.
    fn finish(self) {
        self.out[self.done..].fill(0);
    }
}

fn fill_item(image: &Image, task: &Task, item: &Item, out: &mut Filling) {
    let section = &image.outputs.sections[item.output as usize];
    let place = image.layout.placements[item.output as usize];
    let member = &section.members[item.member as usize];
    let base = place.offset + member.offset;
    let address = place.address + member.offset;
    let at = |offset: u64| (base + offset - task.offset) as usize;
    // Running off a function's end traps. What is before the first one is not of this member.
    let gap = if section.has(SHF_EXECINSTR) { 0xcc } else { 0 };
    let (mut copied, mut applied) = (Used::default(), Used::default());
    for part in item.first..item.first + item.count {
        let pad = if part == item.first { 0 } else { gap };
        match member.content {
            Content::Sections(position, ..) => {
                let gathered = &image.outputs.objects[position as usize];
                let index = gathered.order[part as usize];
                let inner = gathered.inner[part as usize];
                let from = &image.object(position as usize).sections[index as usize];
                let out = out.window(at(inner), from.size() as usize, pad);
                if section.has(SHF_ALLOC) {
                    alloc::copy_section(image, position as usize, index, address + inner, out);
                } else {
                    debug::copy_section(image, position as usize, index, out);
                }
                copied.add(image.object(position as usize).stored_bytes(index));
                applied.add(image.object(position as usize).relocations(from));
            }
            Content::Pool(is_loaded, pool) => {
                let merged = if is_loaded { image.loaded } else { image.debug };
                let (offset, size) = merged.part_range(pool as usize, part as usize);
                let out = out.window(at(offset), size as usize, 0);
                merged.write_part(image.inputs, pool as usize, part as usize, out);
            }
            Content::Bytes(n) => {
                let offset = u64::from(part) * TASK_BYTES;
                let size = (member.size - offset).min(TASK_BYTES);
                let bytes = &image.compressed[n as usize];
                let out = out.window(at(offset), size as usize, 0);
                out.copy_from_slice(&bytes[offset as usize..(offset + size) as usize]);
            }
            Content::Chunk(chunk) => {
                let (offset, size) = chunks::part_range(image.sizes, chunk, part as usize, member.size);
                let out = out.zeros(at(offset), size as usize);
                chunks::write_part(image, chunk, part as usize, address + offset, out);
            }
        }
    }
}

/// Copies the contents of a section; where it has none, as one of SHT_NOBITS among others, the file has zeros.
fn copy(contents: &[u8], out: &mut [u8]) {
    let (start, rest) = out.split_at_mut(contents.len());
    start.copy_from_slice(contents);
    rest.fill(0);
}

/// A run of an output section, and the tasks that fill it.
#[derive(Debug)]
pub struct SectionRun {
    /// Offset in the file.
    start: u64,
    /// Bytes.
    pub size: u64,
    tasks: Vec<Task>,
}

/// Cuts an output section into runs of about `bytes`, or a little more, at borders of the tasks that would write it.
pub fn section_runs(image: &Image, tasks: &[Task], position: usize, bytes: u64) -> Vec<SectionRun> {
    let start = image.layout.placements[position].offset;
    let end = start + image.outputs.sections[position].size;
    let mut runs = Vec::new();
    let mut open = SectionRun { start, size: 0, tasks: Vec::new() };
    for task in tasks {
        let items: Vec<Item> =
            task.items.iter().filter(|item| item.output as usize == position).copied().collect();
        if items.is_empty() {
            continue;
        }
        if task.offset >= open.start + bytes {
            open.size = task.offset - open.start;
            let next = SectionRun { start: task.offset, size: 0, tasks: Vec::new() };
            runs.push(std::mem::replace(&mut open, next));
        }
        open.tasks.push(Task { items, is_headers: false, is_section_headers: false, ..*task });
    }
    open.size = end - open.start;
    runs.push(open);
    runs
}

/// Makes the bytes of a run. Both buffers are resized, and what they held before is overwritten; the second is for tasks.
pub fn fill_run(image: &Image, run: &SectionRun, buffer: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    buffer.resize(run.size as usize, 0);
    let end = run.start + run.size;
    let mut out = Filling { out: &mut buffer[..], done: 0 };
    for task in &run.tasks {
        // A task may begin before the section or reach beyond it.
        let (from, to) = (run.start.max(task.offset), end.min(task.offset + task.size));
        let window = out.window((from - run.start) as usize, (to - from) as usize, 0);
        if (from, to - from) == (task.offset, task.size) {
            fill(image, task, window);
        } else {
            scratch.resize(task.size as usize, 0);
            fill(image, task, scratch);
            window.copy_from_slice(&scratch[(from - task.offset) as usize..(to - task.offset) as usize]);
        }
    }
    out.finish();
}

/// Where the build ID's bytes are in the file, if there is one.
pub fn build_id_offset(image: &Image) -> Option<u64> {
    image.outputs.sections.iter().zip(&image.layout.placements).find_map(|(section, place)| {
        let is_it = section.members.first().is_some_and(|m| m.content == Content::Chunk(Chunk::BuildId));
        is_it.then_some(place.offset + 16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_of_what_a_buffer_held() {
        let mut buffer = vec![0xee; 16];
        let mut out = Filling { out: &mut buffer, done: 0 };
        out.window(2, 3, 0).copy_from_slice(b"abc");
        out.window(7, 1, 0xcc).copy_from_slice(b"d");
        out.zeros(8, 2);
        // Behind what is already there, as parts of an overlay may be.
        out.window(3, 2, 0xcc).copy_from_slice(b"xy");
        out.window(12, 0, 0);
        out.finish();
        assert_eq!(buffer, b"\0\0axy\xcc\xccd\0\0\0\0\0\0\0\0");
    }
}
