//! Merges equal strings and constants of SHF_MERGE sections (gABI, "Section Attribute Flags").
//!
//! In: the sections of one kind (debug strings, which depend on the live files only; or loaded ones, which
//! depend on [`crate::liveness::LiveSet`]). Out: [`Merged`]: per section a map from input offset to output offset,
//! and per pool the order of its unique pieces.
//!
//! A *pool* is what may be merged with each other: one output section, entry size, strings or not, alignment. A
//! *piece* is a NUL-terminated string or a fixed-size constant.
//!
//! Every section is split into pieces once (SIMD scan, a 128-bit keyed hash each); the hashes go to the shard
//! of a table their bits name, which numbers each distinct piece and remembers its first occurrence in
//! command-line order. Equality is equality of 96 hash bits. Then every section lays out the pieces it is the
//! first to have: a prefix sum over sections gives each its place, so the order of the output is the order of
//! first occurrence, whatever the threads did and whatever the hash's key.
//!
//! With `-O2` a string that ends another one becomes a part of it (`tails`).
//!
//! Lookup goes from an input offset through an index of blocks to the piece's number, and from there to how far it
//! moved; offsets into the middle of a piece keep their distance from its start.

mod cuts;
mod pieces;
mod table;
mod tails;

pub use pieces::Pieces;

use crate::context::Cx;
use crate::model::{FileId, Inputs, Object, SectionKind};
use crate::report::Problem;
use crate::starts::starts_of;
use cuts::Starts;
use object::elf::SHF_STRINGS;
use pieces::Cutter;
use std::cell::RefCell;
use std::ops::Range;
use table::{ByShard, Occurrence, Offsets, Table};
use tails::Tail;

/// What may be merged with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolKey {
    /// Index of the output section.
    pub output: u32,
    /// `sh_entsize`.
    pub entsize: u32,
    /// SHF_STRINGS.
    pub is_strings: bool,
    /// log2 of the alignment of each piece's section.
    pub align_log2: u8,
}

/// One section on its way into a pool.
#[derive(Debug)]
struct Member {
    file: FileId,
    section: u32,
    pieces: Pieces,
}

/// A pool after merging.
#[derive(Debug)]
pub struct Pool {
    /// What it holds.
    pub key: PoolKey,
    /// Size in bytes.
    pub size: u64,
    /// Members in command-line order, as indices into [`Merged`]'s members, with the offset in the pool of
    /// the first piece each one contributes and the bytes it contributes.
    contributions: Vec<Contribution>,
}

#[derive(Debug, Clone, Copy)]
struct Contribution {
    member: u32,
    start: u64,
    size: u64,
}

/// A merged section and where its pool is, for many lookups.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placed<'a> {
    lookup: pieces::Lookup<'a>,
    pool: u64,
}

impl Placed<'_> {
    /// The address of an offset into the section.
    #[inline(always)]
    pub fn address(&self, offset: u64) -> u64 {
        self.pool + moved(offset, self.lookup)
    }
}

/// Where an offset went in the pool.
#[inline(always)]
fn moved(offset: u64, lookup: pieces::Lookup) -> u64 {
    // Of a section and a pool of less than 4 GiB, 32 bits are enough.
    u64::from((offset as u32).wrapping_add(lookup.moved(offset)))
}

/// All pools of one kind.
#[derive(Debug, Default)]
pub struct Merged {
    /// The pools, ordered by key.
    pub pools: Vec<Pool>,
    members: Vec<Member>,
    /// Which pool each member belongs to.
    pool_of: Vec<u32>,
    /// By [`FileId`]: where its members begin; and where those of the last file end.
    first_of: Vec<u32>,
    /// By member: the index of the section in its file, ascending within a file.
    sections: Vec<u32>,
}

/// A section to be merged.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its file.
    pub file: FileId,
    /// Its index.
    pub section: u32,
    /// The pool it goes to.
    pub key: PoolKey,
}

impl Merged {
    /// The member a section became, if it was merged.
    pub fn member(&self, object: &Object, section: usize) -> Option<MemberId> {
        let file = object.id.index();
        let (first, end) = (*self.first_of.get(file)? as usize, *self.first_of.get(file + 1)? as usize);
        let place = self.sections[first..end].binary_search(&(section as u32)).ok()?;
        Some(MemberId((first + place) as u32))
    }
    /// The pool of a member.
    #[inline(always)]
    pub fn pool_of(&self, member: MemberId) -> usize {
        self.pool_of[member.0 as usize] as usize
    }
    /// Asks for everything [`Merged::offset`] reads of a member: worth it before many lookups.
    pub fn prefetch(&self, member: MemberId) {
        self.members[member.0 as usize].pieces.lookup().prefetch();
    }
    /// Number of pieces of a member.
    pub fn piece_count(&self, member: MemberId) -> usize {
        self.members[member.0 as usize].pieces.len()
    }
    /// Where an input offset of a member went: offset in the pool. Offsets behind the last piece keep their distance.
    #[inline(always)]
    pub fn offset(&self, member: MemberId, offset: u64) -> u64 {
        moved(offset, self.members[member.0 as usize].pieces.lookup())
    }
    /// A member and its pool's address.
    pub fn placed(&self, member: MemberId, pool: u64) -> Placed<'_> {
        Placed { lookup: self.members[member.0 as usize].pieces.lookup(), pool }
    }
    /// Number of parts [`Merged::write_part`] takes for a pool.
    pub fn part_count(&self, pool: usize) -> usize {
        self.pools[pool].contributions.len()
    }
    /// Where a part of a pool starts, and its size in bytes.
    pub fn part_range(&self, pool: usize, part: usize) -> (u64, u64) {
        let contribution = &self.pools[pool].contributions[part];
        (contribution.start, contribution.size)
    }
    /// The section whose pieces a part of a pool is.
    pub fn part_owner(&self, pool: usize, part: usize) -> (FileId, u32) {
        let member = &self.members[self.pools[pool].contributions[part].member as usize];
        (member.file, member.section)
    }
    /// The file of every section that was merged, in the order the merging stages number them.
    pub fn member_files(&self) -> impl Iterator<Item = FileId> + '_ {
        self.members.iter().map(|member| member.file)
    }
    /// Writes the pieces a member contributes to its pool; `out` has the part's size.
    pub fn write_part(&self, inputs: &Inputs, pool: usize, part: usize, out: &mut [u8]) {
        let contribution = &self.pools[pool].contributions[part];
        let member = &self.members[contribution.member as usize];
        let contents = inputs.object(member.file).sections[member.section as usize].contents();
        let align = 1u64 << self.pools[pool].key.align_log2;
        let mut at = 0usize;
        let mut starts = member.pieces.starts();
        for run in member.pieces.owned_runs() {
            for pieces in together(&mut starts, run, align) {
                let bytes = &contents[pieces];
                let start = at.next_multiple_of(align as usize);
                out[at..start].fill(0);
                at = start + bytes.len();
                out[start..at].copy_from_slice(bytes);
            }
        }
        out[at..].fill(0);
    }
}

/// The bytes of a run of pieces, in parts that stay together in the output: all of it, unless each piece is aligned.
fn together(starts: &mut Starts, run: Range<usize>, align: u64) -> impl Iterator<Item = Range<usize>> {
    let step = if align == 1 { run.len().max(1) } else { 1 };
    run.clone()
        .step_by(step)
        .map(move |first| starts.of(first) as usize..starts.of((first + step).min(run.end)) as usize)
}

/// A merged section, as an index into [`Merged`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberId(pub u32);

/// Bytes of sections that are split and looked up at a time: half a millisecond's work.
const CLAIM: usize = 512 << 10;

/// Whether a section is to be merged, and if so by which key (with the output section still open).
pub fn pool_key(object: &Object, index: usize, output: u32) -> Option<PoolKey> {
    let section = &object.sections[index];
    (section.kind == SectionKind::Merge).then_some(PoolKey {
        output,
        entsize: object.entry_size(index),
        is_strings: section.has(SHF_STRINGS),
        align_log2: section.align_log2,
    })
}

/// Merges the candidates, which stand in command-line order.
pub fn merge(cx: &Cx, inputs: &Inputs, stage: &'static str, candidates: &[Candidate], seed: u64) -> Merged {
    let mut keys: Vec<PoolKey> = candidates.iter().map(|c| c.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let pool_index = |key: &PoolKey| keys.binary_search(key).unwrap_or(0) as u32;
    let section_of =
        |candidate: &Candidate| &inputs.object(candidate.file).sections[candidate.section as usize];
    let bytes = candidates.iter().map(|candidate| section_of(candidate).contents().len()).sum();
    let (grain, table) = (grain(candidates.len(), bytes), Table::new(bytes));
    let mut members: Vec<Member> = cx.pool.map(stage, candidates.len(), grain, |i| {
        let candidate = &candidates[i];
        let section = section_of(candidate);
        cx.pool.tracer().add_bytes(section.contents().len());
        // Pieces of different pools never meet: the pool is part of the key.
        let seed = seed ^ u64::from(pool_index(&candidate.key)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        SCRATCH.with_borrow_mut(|(cutter, by_shard)| {
            let pieces = cutter.cut(section, candidate.key.entsize, seed, |first, hashes, numbers| {
                table.insert(i as u32, first, hashes, by_shard, |piece, number, is_first| {
                    numbers.set(piece, number, is_first);
                });
            });
            Member { file: candidate.file, section: candidate.section, pieces }
        })
    });
    let (losers, offsets) = table.seal();
    for loser in losers {
        members[loser.section as usize].pieces.disown(loser.piece as usize);
    }
    let tails = match cx.config.merge_tails {
        true => tails::find(cx, inputs, stage, candidates, &members),
        false => Vec::new(),
    };
    for Tail { piece, .. } in &tails {
        members[piece.section as usize].pieces.disown(piece.piece as usize);
    }
    let sizes = cx.pool.map(stage, members.len(), grain, |i| {
        let size = owned_size(&members[i].pieces, 1 << candidates[i].key.align_log2);
        u32::try_from(size).unwrap_or_else(|_| {
            too_large(cx, inputs, &members[i]);
            0
        })
    });
    let mut pools: Vec<Pool> =
        keys.iter().map(|key| Pool { key: *key, size: 0, contributions: Vec::new() }).collect();
    let mut starts = vec![0u64; members.len()];
    let mut pool_of = Vec::with_capacity(members.len());
    for (i, candidate) in candidates.iter().enumerate() {
        let index = pool_index(&candidate.key);
        pool_of.push(index);
        let pool = &mut pools[index as usize];
        let size = u64::from(sizes[i]);
        starts[i] = pool.size;
        if size > 0 {
            pool.contributions.push(Contribution { member: i as u32, start: pool.size, size });
            pool.size += size;
        }
    }
    for pool in &pools {
        if pool.size > u64::from(u32::MAX) {
            cx.problems.push(Problem::error("a pool of merged strings is larger than 4 GiB"));
        }
    }
    set_offsets(cx, stage, grain, candidates, &members, &starts, &offsets);
    for Tail { piece, host, distance } in tails {
        let number = |at: Occurrence| members[at.section as usize].pieces.number(at.piece as usize);
        offsets.set(number(piece), offsets.get(number(host)).wrapping_add(distance));
    }
    place(cx, stage, grain, &mut members, &offsets);
    let sections = candidates.iter().map(|candidate| candidate.section).collect();
    let first_of = starts_of(inputs.files.len(), candidates.iter().map(|candidate| candidate.file.index()));
    Merged { pools, members, pool_of, first_of, sections }
}

thread_local! {
    /// What a worker uses again for every section.
    static SCRATCH: RefCell<(Cutter, ByShard)> = RefCell::default();
}

/// Bytes that the pieces a section is the first to have take in the output.
fn owned_size(pieces: &Pieces, align: u64) -> u64 {
    let (mut size, mut starts) = (0u64, pieces.starts());
    for run in pieces.owned_runs() {
        for bytes in together(&mut starts, run, align) {
            size = size.next_multiple_of(align) + bytes.len() as u64;
        }
    }
    size.next_multiple_of(align)
}

/// Gives the pieces that sections own their offsets in the pool.
fn set_offsets(
    cx: &Cx,
    stage: &'static str,
    grain: usize,
    candidates: &[Candidate],
    members: &[Member],
    starts: &[u64],
    offsets: &Offsets,
) {
    cx.pool.for_each(stage, members.len(), grain, |i| {
        let member = &members[i];
        let align = 1u64 << candidates[i].key.align_log2;
        let (mut at, mut places) = (starts[i], member.pieces.starts());
        for run in member.pieces.owned_runs() {
            let mut start = places.of(run.start);
            for piece in run {
                at = at.next_multiple_of(align);
                offsets.set(member.pieces.number(piece), at as u32);
                let end = places.of(piece + 1);
                at += u64::from(end - start);
                start = end;
            }
        }
    });
}

/// Tells every piece how far it moved.
fn place(cx: &Cx, stage: &'static str, grain: usize, members: &mut [Member], offsets: &Offsets) {
    cx.pool.for_each_mut(stage, members, grain, |_, member| {
        member.pieces.set_moves(|number| offsets.get(number));
    });
}

/// Sections a claim: about [`CLAIM`] bytes of them, but a piece of the work for everybody.
fn grain(sections: usize, bytes: usize) -> usize {
    let claims = (bytes / CLAIM).max(64);
    sections.div_ceil(claims).max(1)
}

fn too_large(cx: &Cx, inputs: &Inputs, member: &Member) {
    let object = inputs.object(member.file);
    let name = String::from_utf8_lossy(object.section_name(member.section as usize)).into_owned();
    cx.problems.push(
        Problem::error(format!("{}:({name}): more than 4 GiB of mergeable data", object.origin))
            .at(object.id.0, 0),
    );
}
