//! Writes the file: flow 2.
//!
//! ```text
//!     fill ==> digest ==> write ==> gather
//! ```
//!
//! In: [`Image`], whose addresses are known. Out: the file in its place. Buffers are filled, hashed and written while
//! others are filled; what was written and the hashes of it come back in file order, for the build ID.

use crate::account;
use crate::build_id::{self, ChunkDigest, chunk_digest};
use crate::commit::{MAPPED_COST, Output, WRITERS_MAX};
use crate::config::BuildId;
use crate::context::Cx;
use crate::emit::{self, Task};
use crate::image::Image;
use crate::layout::Shape;
use crate::link::finish;
use crate::report::{Failed, Problem};
use crate::separate;
use engine::{Flow, Limit};
use std::sync::{Mutex, PoisonError};

/// Writes the output, to one file or two.
pub(crate) fn write(image: &Image, shape: &Shape) -> Result<(), Failed> {
    match &image.cx.config.separate_debug_file {
        Some(path) => separate::write(image, shape, path),
        None if image.cx.config.only_keep_debug => separate::with_debug_alone(image, output),
        None => output(image),
    }
}

/// Flow 2, for an output of one file.
fn output(image: &Image) -> Result<(), Failed> {
    let cx = image.cx;
    let fail = |message: String| cx.problems.fail(Problem::error(message));
    let mut output = Output::create(&cx.config.output, true).map_err(fail)?;
    let (pieces, tasks) = fill_file(image, &mut output)?;
    let digests = pieces.into_iter().map(|piece| piece.digest).collect();
    if let Some((id, offset)) = build_id_of(image, digests)?.zip(emit::build_id_offset(image)) {
        output.write_at(&id, offset).map_err(fail)?;
    }
    cx.checkpoint()?;
    if cx.config.fatal_warnings && cx.problems.has_any() {
        return Err(Failed);
    }
    cx.pool.serial("commit", || output.commit()).map_err(fail)?;
    account::output(image, &cx.config.output, file_size(image), &tasks);
    Ok(())
}

/// The build ID of what has been written, if there is to be one.
pub(crate) fn build_id_of(image: &Image, digests: Vec<ChunkDigest>) -> Result<Option<Vec<u8>>, Failed> {
    if emit::build_id_offset(image).is_none() {
        return Ok(None);
    }
    let cx = image.cx;
    let id = build_id::build_id(&cx.config.build_id, &digests);
    id.map(Some).map_err(|e| cx.problems.fail(Problem::error(format!("--build-id: {e}"))))
}

/// Bytes of the file.
pub(crate) fn file_size(image: &Image) -> u64 {
    let has_sections = !image.cx.config.z.no_section_header;
    if has_sections { image.layout.file_size } else { image.layout.section_headers }
}

/// Flow 2: buffers are filled, hashed and written while others are filled. Returns what was written, in file order, and
/// by which tasks.
pub(crate) fn fill_file(image: &Image, output: &mut Output) -> Result<(Vec<Piece>, Vec<Task>), Failed> {
    let cx = image.cx;
    let list: Vec<Task> = emit::tasks(image);
    let fail = |message: String| cx.problems.fail(Problem::error(message));
    output.set_len(file_size(image)).map_err(fail)?;
    if cx.pool.threads() > WRITERS_MAX {
        output.share(&runs(&list)).map_err(fail)?;
    }
    let output = &*output;
    let wants_digest = !matches!(cx.config.build_id, BuildId::None | BuildId::Uuid | BuildId::Bytes(_));
    let wants_crc = cx.config.separate_debug_file.is_some();
    let buffers = Buffers::for_file_of(file_size(image));
    let mut pieces: Vec<Piece> = Vec::new();
    let order = mixed(image, &list);

    let mut flow = Flow::<Failed>::new("output");
    let (filled, to_digest) = flow.channel::<Filled>("filled", buffers_waiting(cx));
    let (hashed, to_write) = flow.channel::<Filled>("hashed", buffers_waiting(cx));
    let (written, to_gather) = flow.channel::<Piece>("written", 64);
    let (tasks, order) = (&list, &order);
    flow.indexed("fill", order.len(), filled, |n, filled| {
        let task = &tasks[order[n]];
        let (offset, size) = (task.offset, task.size as usize);
        let mut buffer = buffers.take(size);
        emit::fill(image, task, &mut buffer[..size]);
        cx.pool.tracer().add_bytes(size);
        filled.send(Filled { offset, size, buffer, digest: 0, crc: 0 });
        Ok(())
    })
    .labelled(|n| engine::Label::from(order[*n]));
    flow.parallel("digest", to_digest, hashed, |mut filled: Filled, hashed| {
        if wants_digest {
            filled.digest = chunk_digest(filled.bytes());
        }
        if wants_crc {
            filled.crc = crc32fast::hash(filled.bytes());
        }
        hashed.send(filled);
        Ok(())
    });
    // One at a time: who waits for another's write spins in the kernel, instead of filling a buffer.
    let limit = Limit { items: 1, workers: WRITERS_MAX, beyond: MAPPED_COST };
    flow.limited("write", (limit, cx.pool.threads()), to_write, written, |filled: Filled, written| {
        output.write_at(filled.bytes(), filled.offset).map_err(fail)?;
        let length = filled.size as u64;
        let digest = ChunkDigest { offset: filled.offset, length, digest: filled.digest };
        written.send(Piece { digest, crc: filled.crc });
        buffers.put(filled.buffer);
        Ok(())
    });
    flow.serial("gather", to_gather, (), |piece: Piece, ()| {
        pieces.push(piece);
        Ok(())
    });
    finish(cx, flow.run(cx.pool))?;
    pieces.sort_unstable_by_key(|piece| piece.digest.offset);
    Ok((pieces, list))
}

/// The order in which tasks are filled. One is written at a time: those that take longer to write than to fill, as strings
/// do, are spread evenly among the others, so that somebody always has something to fill.
fn mixed(image: &Image, tasks: &[Task]) -> Vec<usize> {
    let (copied, made): (Vec<usize>, Vec<usize>) =
        (0..tasks.len()).partition(|task| tasks[*task].is_copied(image));
    let mut mixed = Vec::with_capacity(tasks.len());
    let mut done = 0;
    for (n, task) in copied.iter().enumerate() {
        let until = (n + 1) * made.len() / (copied.len() + 1);
        mixed.extend(&made[done..until]);
        mixed.push(*task);
        done = until;
    }
    mixed.extend(&made[done..]);
    mixed
}

/// Buffers that have been written and wait to be filled again.
#[derive(Debug)]
pub(crate) struct Buffers {
    waiting: Mutex<Vec<Vec<u8>>>,
    /// Bytes of the smallest.
    least: usize,
}

impl Buffers {
    /// Each is as large as a usual task, or as the whole of a smaller file.
    pub(crate) fn for_file_of(bytes: u64) -> Buffers {
        Buffers { waiting: Mutex::default(), least: bytes.clamp(1, emit::TASK_BYTES) as usize }
    }

    /// A buffer of `size` bytes or more: the smallest that there is, so that the few large tasks use the same large one.
    pub(crate) fn take(&self, size: usize) -> Vec<u8> {
        let mut free = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (0..free.len()).filter(|n| free[*n].len() >= size);
        if let Some(best) = fits.min_by_key(|n| free[*n].len()) {
            return free.swap_remove(best);
        }
        // A smaller one makes room for it: there are never more buffers than were needed at once.
        let small = free.pop();
        drop((free, small));
        vec![0; size.next_multiple_of(self.least)]
    }

    /// Gives a buffer back.
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// How many buffers may wait for a stage: what waits longer leaves the cache.
pub(crate) fn buffers_waiting(cx: &Cx) -> usize {
    cx.pool.threads().clamp(2, 8)
}

/// The runs of the file that tasks write, as (offset, bytes), without the holes between them.
fn runs(tasks: &[Task]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for task in tasks {
        match runs.last_mut() {
            Some((start, size)) if (*start..*start + *size + emit::TASK_BYTES).contains(&task.offset) => {
                *size = (*size).max(task.offset + task.size - *start);
            }
            _ => runs.push((task.offset, task.size)),
        }
    }
    runs
}

/// A task's bytes once they are in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// Place and hash.
    pub digest: ChunkDigest,
    /// CRC-32, where it is wanted.
    pub crc: u32,
}

/// A task's bytes on their way to the file.
struct Filled {
    offset: u64,
    /// How many bytes of the buffer they are. It never becomes shorter: making it longer again would clear it.
    size: usize,
    buffer: Vec<u8>,
    digest: u128,
    crc: u32,
}

impl Filled {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.size]
    }
}
