//! Sorts what is live into output sections and sums up sizes.
//!
//! In: [`Selection`], [`LiveSet`], [`Merged`]. Out: [`Outputs`]: the output sections of input sections and merged
//! pools, each with its members in order and their offsets. Sections the linker synthesizes join in `chunks`.
//!
//! The input sections of one object that go to one output section in one order class form a *block*. Workers lay
//! out the blocks of their objects; a serial pass then strings blocks together, which is a few thousand steps and
//! not hundreds of thousands. A block is aligned as strictly as its strictest section.
//!
//! Order: by [`crate::model::Section::order`] (initialisation priority, hot and cold code), or by [`Order`] if options
//! ask for one, then by command line.

mod padding;

use crate::chunks::Chunk;
use crate::context::Cx;
use crate::liveness::LiveSet;
use crate::merge::{Candidate, Merged, PoolKey, pool_key};
use crate::model::{Inputs, OutputName, SectionId, SectionKind};
use crate::order::Order;
use crate::parse::output_flags;
use crate::select::Selection;
use crate::starts::starts_of;
use object::elf::{
    SHF_ALLOC, SHF_MERGE, SHF_STRINGS, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_NOBITS, SHT_NOTE,
    SHT_PREINIT_ARRAY, SHT_PROGBITS,
};
use padding::Padding;
use std::collections::HashMap;

/// Who writes a part of an output section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Input sections: position of the object, first and number in [`ObjectSections::order`].
    Sections(u32, u32, u32),
    /// A pool of merged pieces: loaded or not, index.
    Pool(bool, u32),
    /// Something the linker makes.
    Chunk(Chunk),
    /// Finished bytes: index in [`crate::image::Image::compressed`].
    Bytes(u32),
}

/// A part of an output section.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Where in the section.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// log2 of its alignment.
    pub align_log2: u8,
    /// Who writes it.
    pub content: Content,
    /// Sorts before members of higher order.
    pub order: u32,
}

/// An output section.
#[derive(Debug, Clone)]
pub struct OutputSection {
    /// Its name.
    pub name: &'static [u8],
    /// `sh_type`.
    pub sh_type: u32,
    /// `sh_flags`.
    pub flags: u32,
    /// log2 of `sh_addralign`.
    pub align_log2: u8,
    /// `sh_entsize`.
    pub entsize: u64,
    /// Bytes in memory.
    pub size: u64,
    /// What it consists of, by ascending offset.
    pub members: Vec<Member>,
}

impl OutputSection {
    /// An empty section.
    pub fn new(name: &'static [u8], sh_type: u32, flags: u32) -> OutputSection {
        OutputSection { name, sh_type, flags, align_log2: 0, entsize: 0, size: 0, members: Vec::new() }
    }
    /// Whether a flag bit is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
    /// Puts a member at the end.
    pub fn append(&mut self, content: Content, size: u64, align_log2: u8) {
        let offset = self.size.next_multiple_of(1 << align_log2);
        self.members.push(Member { offset, size, align_log2, content, order: 0 });
        self.size = offset + size;
        self.align_log2 = self.align_log2.max(align_log2);
    }
}

/// The live sections of one object in output order, with their offsets.
#[derive(Debug, Default, Clone)]
pub struct ObjectSections {
    /// Section indices, by output section, order class, index.
    pub order: Vec<u32>,
    /// Offset of each within its block.
    pub inner: Vec<u64>,
    /// What they make, by `first`.
    pub blocks: Vec<Block>,
}

/// Neighbours in `order` that are one member of an output section.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    output: u32,
    order: u32,
    /// Where they begin in [`ObjectSections::order`].
    pub first: u32,
    /// How many they are.
    pub count: u32,
    size: u64,
    align_log2: u8,
}

/// The output sections that hold input sections.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// All sections, synthesized ones included once `chunks` has added them.
    pub sections: Vec<OutputSection>,
    /// In the order of [`Selection::objects`].
    pub objects: Vec<ObjectSections>,
    /// Output section of each pool of loaded pieces.
    pub loaded_pools: Vec<u32>,
    /// Output section of each pool of other pieces.
    pub debug_pools: Vec<u32>,
}

/// The names of output sections, numbered in the order of first mention.
#[derive(Debug)]
pub struct OutputNames {
    /// By number.
    pub names: Vec<OutputName>,
    /// In the order of [`Selection::objects`]: number by [`crate::model::Section::output`].
    pub maps: Vec<Vec<u32>>,
}

/// Numbers the output sections that live objects mention.
pub fn number_names(inputs: &Inputs, selection: &Selection) -> OutputNames {
    let mut numbers: HashMap<OutputName, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut maps: Vec<Vec<u32>> = Vec::with_capacity(selection.objects.len());
    // What one compiler made mentions the same names in the same order: those of the last object that keeps none apart.
    let mut likely: Option<usize> = None;
    for id in &selection.objects {
        let object = inputs.object(*id);
        let mut map = Vec::with_capacity(object.outputs.len());
        for (slot, output) in object.outputs.iter().enumerate() {
            let add = |names: &mut Vec<OutputName>| {
                names.push(*output);
                names.len() as u32 - 1
            };
            if !object.apart.is_empty() && object.apart.binary_search(&(slot as u16)).is_ok() {
                map.push(add(&mut names));
                continue;
            }
            let guess = likely.and_then(|likely| maps[likely].get(slot).copied());
            let number = match guess.filter(|guess| names[*guess as usize] == *output) {
                Some(number) => number,
                None => *numbers.entry(*output).or_insert_with(|| add(&mut names)),
            };
            map.push(number);
        }
        if object.apart.is_empty() {
            likely = Some(maps.len());
        }
        maps.push(map);
    }
    OutputNames { names, maps }
}

/// The sections to be merged, loaded or not, in command-line order.
pub fn merge_candidates(
    cx: &Cx,
    inputs: &Inputs,
    selection: &Selection,
    names: &OutputNames,
    is_loaded: bool,
    is_live: impl Fn(SectionId) -> bool + Sync,
) -> Vec<Candidate> {
    let lists = cx.pool.map("merge/candidates", selection.objects.len(), 16, |i| {
        let object = inputs.object(selection.objects[i]);
        let candidate = |index: &u32| {
            let index = *index as usize;
            let section = &object.sections[index];
            let is_wanted = section.kind == SectionKind::Merge
                && section.is_alloc() == is_loaded
                && is_live(object.section_id(index));
            if !is_wanted {
                return None;
            }
            let output = names.maps[i][usize::from(section.output)];
            let key: PoolKey = pool_key(object, index, output)?;
            Some(Candidate { file: object.id, section: index as u32, key })
        };
        object.taken_apart.iter().filter_map(candidate).collect::<Vec<_>>()
    });
    lists.concat()
}

/// Sorts everything that is live into output sections.
pub fn gather(
    cx: &Cx,
    inputs: &Inputs,
    selection: &Selection,
    names: &OutputNames,
    live: &LiveSet,
    order: Option<&Order>,
    [loaded, debug]: [&Merged; 2],
) -> Outputs {
    let gathered = cx.pool.map("size/gather", selection.objects.len(), 8, |i| {
        let padding = cx.config.ordering.padding_seed.map(|seed| Padding::new(seed, i));
        gather_object(
            inputs.object(selection.objects[i]),
            &names.maps[i],
            live,
            order,
            names.names.len(),
            padding,
        )
    });
    let mut sections: Vec<OutputSection> = names
        .names
        .iter()
        .map(|n| OutputSection::new(n.name, SHT_NOBITS, if n.is_alloc { SHF_ALLOC } else { 0 }))
        .collect();
    let mut objects = Vec::with_capacity(gathered.len());
    let mut mergeable: Vec<Option<u64>> = vec![None; sections.len()];
    for (position, (object, kinds)) in gathered.into_iter().enumerate() {
        for (section, kind) in sections.iter_mut().zip(&kinds) {
            section.flags |= kind.flags;
            section.sh_type = join_types(section.sh_type, kind.sh_type);
        }
        for block in &object.blocks {
            let content = Content::Sections(position as u32, block.first, block.count);
            let section = &mut sections[block.output as usize];
            section.members.push(Member {
                offset: 0,
                size: block.size,
                align_log2: block.align_log2,
                content,
                order: block.order,
            });
        }
        objects.push(object);
    }
    let mut pools = [Vec::new(), Vec::new()];
    for (is_loaded, merged) in [(true, loaded), (false, debug)] {
        for (index, pool) in merged.pools.iter().enumerate() {
            let section = &mut sections[pool.key.output as usize];
            section.sh_type = join_types(section.sh_type, SHT_PROGBITS);
            let strings = if pool.key.is_strings { SHF_STRINGS } else { 0 };
            let only = section.members.is_empty();
            mergeable[pool.key.output as usize] =
                only.then_some(u64::from(SHF_MERGE | strings) | u64::from(pool.key.entsize) << 32);
            section.members.push(Member {
                offset: 0,
                size: pool.size,
                align_log2: pool.key.align_log2,
                content: Content::Pool(is_loaded, index as u32),
                order: u32::MAX,
            });
            pools[usize::from(!is_loaded)].push(pool.key.output);
        }
    }
    for (section, merge) in sections.iter_mut().zip(mergeable) {
        if let Some(merge) = merge {
            section.flags |= merge as u32;
            section.entsize = merge >> 32;
        }
        finish(section);
    }
    let [loaded_pools, debug_pools] = pools;
    Outputs { sections, objects, loaded_pools, debug_pools }
}

/// Sorts the members and gives them offsets.
fn finish(section: &mut OutputSection) {
    if !section.members.is_sorted_by_key(|m| m.order) {
        section.members.sort_by_key(|m| m.order);
    }
    let mut end = 0u64;
    for member in &mut section.members {
        member.offset = end.next_multiple_of(1 << member.align_log2);
        end = member.offset + member.size;
        section.align_log2 = section.align_log2.max(member.align_log2);
    }
    section.size = end;
    section.sh_type = match section.name {
        b".init_array" => SHT_INIT_ARRAY,
        b".fini_array" => SHT_FINI_ARRAY,
        b".preinit_array" => SHT_PREINIT_ARRAY,
        _ => section.sh_type,
    };
    if matches!(section.sh_type, SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY) {
        section.entsize = 8;
    }
}

/// The type of an output section with members of two types: with any bytes in it, it has all its bytes.
fn join_types(a: u32, b: u32) -> u32 {
    match (a, b) {
        (SHT_NOBITS, other) | (other, SHT_NOBITS) => other,
        (a, b) if a == b => a,
        (SHT_NOTE, _) | (_, SHT_NOTE) => SHT_PROGBITS,
        (a, SHT_PROGBITS) => a,
        (_, b) => b,
    }
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    flags: u32,
    sh_type: u32,
}

fn gather_object(
    object: &crate::model::Object,
    map: &[u32],
    live: &LiveSet,
    order: Option<&Order>,
    outputs: usize,
    mut padding: Option<Padding>,
) -> (ObjectSections, Vec<Kind>) {
    let mut kinds = vec![Kind { flags: 0, sh_type: SHT_NOBITS }; outputs];
    let mut wanted: Vec<Wanted> = Vec::with_capacity(object.sections.len());
    for (index, section) in object.sections.iter().enumerate() {
        let is_wanted = section.kind.is_whole() && live.contains(object.section_id(index));
        let output = match section.kind {
            SectionKind::Ignored => continue,
            _ => map[usize::from(section.output)],
        };
        if is_wanted {
            let rank = order.map_or(section.order, |order| order.rank(object.section_id(index)));
            wanted.push(Wanted { output, rank, index: index as u32 });
            let kind = &mut kinds[output as usize];
            kind.flags |= output_flags(section);
            kind.sh_type = join_types(kind.sh_type, object.section_type(index));
        }
    }
    let wanted = by_output(wanted, outputs);
    let mut result = ObjectSections {
        order: Vec::with_capacity(wanted.len()),
        inner: Vec::with_capacity(wanted.len()),
        blocks: Vec::new(),
    };
    for Wanted { output, rank: order, index } in wanted {
        let section = &object.sections[index as usize];
        let is_same = result.blocks.last().is_some_and(|b| (b.output, b.order) == (output, order));
        if !is_same {
            let first = result.order.len() as u32;
            result.blocks.push(Block { output, order, first, count: 0, size: 0, align_log2: 0 });
        }
        if let Some(block) = result.blocks.last_mut() {
            let room = padding.as_mut().map_or(0, |padding| padding.before(object, section));
            let start = (block.size + room).next_multiple_of(section.align());
            result.order.push(index);
            result.inner.push(start);
            block.size = start + section.size();
            block.align_log2 = block.align_log2.max(section.align_log2);
            block.count += 1;
        }
    }
    (result, kinds)
}

/// A section that goes to the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    output: u32,
    /// Its place among those of the same output section that the linker sorts.
    rank: u32,
    index: u32,
}

/// Sorts sections, which come by ascending index, by output section (of `outputs`), rank and index.
fn by_output(sections: Vec<Wanted>, outputs: usize) -> Vec<Wanted> {
    let mut next = starts_of(outputs, sections.iter().map(|section| section.output as usize));
    let mut sorted = vec![Wanted::default(); sections.len()];
    for section in sections {
        let place = &mut next[section.output as usize];
        sorted[*place as usize] = section;
        *place += 1;
    }
    // Few are ranked: most often this finds them in order.
    sorted.sort_unstable();
    sorted
}

/// Forgets what no byte went to. Positions stay: a section without members is not laid out. An empty section
/// stays if it has a symbol, which must have an address.
pub fn drop_empty(inputs: &Inputs, selection: &Selection, outputs: &mut Outputs) {
    let objects = &outputs.objects;
    let has_symbol = |member: &Member| {
        let Content::Sections(position, first, count) = member.content else { return false };
        let object = inputs.object(selection.objects[position as usize]);
        let sections = &objects[position as usize].order[first as usize..(first + count) as usize];
        (1..object.symbols.len()).any(|symbol| {
            object.symbols[symbol].st_type() != object::elf::STT_SECTION
                && sections.contains(&object.symbol_section(symbol))
        })
    };
    for section in &mut outputs.sections {
        if section.size == 0 {
            section
                .members
                .retain(|member| matches!(member.content, Content::Chunk(_)) || has_symbol(member));
        }
    }
}
