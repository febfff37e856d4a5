//! The call graph of a program, from profiles: which sections call which, how often.
//!
//! Compilers that were given a profile leave a part of it in `.llvm.call-graph-profile` (LLVM, "Extensions":
//! SHT_LLVM_CALL_GRAPH_PROFILE): one 64-bit weight an edge, and for each edge two relocations that name the caller and
//! the callee. `--call-graph-ordering-file` has lines `CALLER CALLEE WEIGHT`. If there is such a file, the profiles in
//! objects count besides.
//!
//! Only edges within an output section count: sections of others cannot come nearer. Calls of a folded function are
//! calls of its twin.

use super::{Place, Sources, cdsort, hfsort, lines, read, symbols};
use crate::config::CallGraphSort;
use crate::model::{Object, SectionId};
use crate::report::Problem;
use object::LittleEndian as LE;
use object::elf::{SHT_REL, SHT_RELA};
use std::collections::HashMap;
use std::path::Path;

/// Sections and the calls between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Size of each section in bytes, at least 1.
    pub sizes: Vec<u64>,
    /// Caller, callee, weight; in the order of first mention, each pair once.
    pub edges: Vec<(u32, u32, u64)>,
}

/// Whether there is a graph to sort by, and it is wanted.
pub(super) fn is_there(sources: &Sources) -> bool {
    let ordering = &sources.cx.config.ordering;
    let has_profile =
        || sources.selection.objects.iter().any(|id| sources.inputs.object(*id).call_graph != 0);
    ordering.call_graph_sort != CallGraphSort::None
        && (ordering.call_graph_ordering_file.is_some() || has_profile())
}

/// The sections of the graph in the order that the calls suggest.
pub(super) fn listed(sources: &Sources, places: &[Place]) -> Vec<(SectionId, u32)> {
    let mut builder = Builder::new(places);
    if let Some(path) = &sources.cx.config.ordering.call_graph_ordering_file {
        read_file(sources, path, &mut builder);
    }
    for id in &sources.selection.objects {
        let object = sources.inputs.object(*id);
        if object.call_graph != 0 {
            read_object(sources, object, &mut builder);
        }
    }
    let order =
        sources.cx.pool.serial("order/call_graph", || match sources.cx.config.ordering.call_graph_sort {
            CallGraphSort::Cdsort => cdsort::sort(&builder.graph),
            _ => hfsort::sort(&builder.graph),
        });
    order.into_iter().enumerate().map(|(n, node)| (builder.sections[node as usize], n as u32)).collect()
}

/// A graph in the making.
struct Builder<'a> {
    graph: Graph,
    /// By node.
    sections: Vec<SectionId>,
    nodes: HashMap<SectionId, u32>,
    edges: HashMap<(u32, u32), usize>,
    /// Size and output section of what may be moved.
    movable: HashMap<SectionId, (u64, &'a [u8])>,
}

impl<'a> Builder<'a> {
    fn new(places: &'a [Place]) -> Builder<'a> {
        let movable = places.iter().map(|place| (place.id(), (place.section().size(), place.output())));
        Builder {
            graph: Graph::default(),
            sections: Vec::new(),
            nodes: HashMap::new(),
            edges: HashMap::new(),
            movable: movable.collect(),
        }
    }

    fn add(&mut self, from: SectionId, to: SectionId, weight: u64) {
        let (Some(caller), Some(callee)) = (self.movable.get(&from), self.movable.get(&to)) else { return };
        if caller.1 != callee.1 {
            return;
        }
        let edge = (self.node(from), self.node(to));
        let edges = &mut self.graph.edges;
        let place = *self.edges.entry(edge).or_insert_with(|| {
            edges.push((edge.0, edge.1, 0));
            edges.len() - 1
        });
        edges[place].2 = edges[place].2.saturating_add(weight);
    }

    fn node(&mut self, section: SectionId) -> u32 {
        let (graph, sections) = (&mut self.graph, &mut self.sections);
        let size = self.movable.get(&section).map_or(1, |(size, _)| (*size).max(1));
        *self.nodes.entry(section).or_insert_with(|| {
            graph.sizes.push(size);
            sections.push(section);
            sections.len() as u32 - 1
        })
    }
}

/// The edges of an object's profile.
fn read_object(sources: &Sources, object: &Object, builder: &mut Builder) {
    let weights = object.sections[object.call_graph as usize].contents().chunks_exact(8);
    let symbols = relocated_symbols(object);
    if symbols.len() != weights.len() * 2 {
        let message = format!("{}: the call-graph profile does not fit its relocations", object.origin);
        sources.cx.problems.push(Problem::warning(message).at(object.id.0, object.call_graph.into()));
        return;
    }
    for (pair, weight) in symbols.chunks_exact(2).zip(weights) {
        let weight = u64::from_le_bytes(weight.try_into().unwrap_or_default());
        if let (Some(from), Some(to)) =
            (section_of(sources, object, pair[0]), section_of(sources, object, pair[1]))
        {
            builder.add(from, to, weight);
        }
    }
}

/// The symbols that the relocations of the profile name, in order.
fn relocated_symbols(object: &Object) -> Vec<usize> {
    let mut symbols = Vec::new();
    for (index, header) in object.headers.iter().enumerate() {
        let size = match object.section_type(index) {
            SHT_REL => 16,
            SHT_RELA => 24,
            _ => continue,
        };
        if header.sh_info.get(LE) == object.call_graph {
            let entries = object.sections[index].contents().chunks_exact(size);
            symbols.extend(entries.map(|entry| {
                // The upper half of r_info, behind r_offset.
                u32::from_le_bytes(entry[12..16].try_into().unwrap_or_default()) as usize
            }));
        }
    }
    symbols
}

/// Where a symbol's code is.
fn section_of(sources: &Sources, object: &Object, symbol: usize) -> Option<SectionId> {
    if symbol >= object.symbols.len() {
        return None;
    }
    let section = sources.selection.section_of(object, symbol);
    (section != SectionId::NONE).then(|| sources.live.keeper(section))
}

/// The edges of `--call-graph-ordering-file`.
fn read_file(sources: &Sources, path: &Path, builder: &mut Builder) {
    let shown = path.display().to_string();
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut edges = Vec::new();
    for line in lines(read(sources.cx, path)) {
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u64>().ok();
        let [from, to, weight] = words[..] else { return refuse(sources, &shown, line) };
        let Some(weight) = number(weight) else { return refuse(sources, &shown, line) };
        let mut name = |name| {
            let next = numbers.len() as u32;
            *numbers.entry(name).or_insert(next)
        };
        edges.push((name(from), name(to), weight));
    }
    let mut sections: HashMap<u32, SectionId> = HashMap::new();
    for (section, number) in symbols::sections_of(sources, &numbers, &shown) {
        sections.entry(number).or_insert(section);
    }
    for (from, to, weight) in edges {
        if let (Some(from), Some(to)) = (sections.get(&from), sections.get(&to)) {
            builder.add(*from, *to, weight);
        }
    }
}

fn refuse(sources: &Sources, file: &str, line: &[u8]) {
    let line = String::from_utf8_lossy(line).into_owned();
    let problem = Problem::error(format!("{file}: expected a caller, a callee and a number, found `{line}`"));
    sources.cx.problems.push(problem);
}
