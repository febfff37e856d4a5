//! The order of input sections in their output sections, where options ask for another one than the usual.
//!
//! In: [`LiveSet`]. Out: [`Order`]: a rank for every input section, which takes the place of
//! [`crate::model::Section::order`]; `None` if nobody asked, and then nothing here costs anything. `outputs` sorts by
//! rank; sections of equal rank keep the order of the command line.
//!
//! | option | what it does | whose meaning |
//! |---|---|---|
//! | `--sort-section` | sorts what one wildcard of the default script takes in | GNU ld |
//! | `--shuffle-sections`, `--reverse-sections` | permutes the sections of an output section | lld, mold |
//! | `--section-ordering-file` | sections of certain names together | gold (a list), GNU ld 2.43 (a script) |
//! | `--call-graph-profile-sort` | functions that call each other together, in front | lld |
//! | `--bp-compression-sort` | similar sections together | lld 20 |
//! | `--symbol-ordering-file` | sections of certain symbols in front, in the order of the list | lld |
//!
//! They are applied in this order, so that a later line of the table has the last word; a list of symbols replaces the
//! call graph, as in lld.
//!
//! Invariant: what runs from end to end (`.init`, `.init_array`, …) keeps its order: there it is the program.
//!
//! Not here: the order of output sections (`layout`), of merged strings (`merge`).

mod sort;
mod sections;
mod symbols;
mod similar;
mod call_graph;
mod hfsort;
mod cdsort;

use crate::config::SectionSort;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::model::{Inputs, Object, SectionId};
use crate::parse::is_structural;
use crate::report::Problem;
use crate::select::Selection;
use std::path::Path;

/// A rank for every input section.
#[derive(Debug)]
pub struct Order {
    ranks: Vec<u32>,
}

impl Order {
    /// The rank of a section: lower ones stand in front.
    pub fn rank(&self, section: SectionId) -> u32 {
        self.ranks[section.index()]
    }
}

/// What the orders are made from.
struct Sources<'a> {
    cx: &'a Cx<'a>,
    inputs: &'a Inputs,
    symbols: &'a Symbols,
    selection: &'a Selection,
    live: &'a LiveSet,
}

/// Finds the order, if it is not the usual one.
pub fn order(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    selection: &Selection,
    live: &LiveSet,
) -> Option<Order> {
    let ordering = &cx.config.ordering;
    let is_asked = ordering.symbol_ordering_file.is_some()
        || ordering.section_ordering_file.is_some()
        || ordering.sort_section != SectionSort::None
        || ordering.similar_code
        || ordering.similar_data
        || !ordering.shuffles.is_empty();
    let sources = Sources { cx, inputs, symbols, selection, live };
    let has_graph = ordering.symbol_ordering_file.is_none() && call_graph::is_there(&sources);
    if !is_asked && !has_graph {
        return None;
    }
    let places = sources.places();
    // Sections that are not moved have their usual places.
    let mut ranks = vec![0; inputs.section_bound];
    for object in selection.objects.iter().map(|id| inputs.object(*id)) {
        let of_object = &mut ranks[object.section_base as usize..][..object.sections.len()];
        of_object.iter_mut().zip(&object.sections).for_each(|(rank, section)| *rank = section.order);
    }
    sort::by_section(ordering.sort_section, &places, &mut ranks);
    for shuffle in &ordering.shuffles {
        sort::shuffle(shuffle, &places, &mut ranks);
    }
    if let Some(path) = &ordering.section_ordering_file {
        sections::arrange(&sources, path, &places, &mut ranks);
    }
    if has_graph {
        let listed = call_graph::listed(&sources, &places);
        if let Some(path) = &ordering.print_symbol_order {
            symbols::write(&sources, &listed, path);
        }
        put_first(&listed, &places, &mut ranks);
    }
    if ordering.similar_code || ordering.similar_data {
        similar::arrange(&sources, &places, &mut ranks);
    }
    if let Some(path) = &ordering.symbol_ordering_file {
        let listed = symbols::listed(&sources, path);
        put_first(&listed, &places, &mut ranks);
    }
    Some(Order { ranks })
}

/// An input section that may be moved.
#[derive(Clone, Copy)]
struct Place<'a> {
    object: &'a Object,
    index: u32,
}

impl<'a> Place<'a> {
    fn id(&self) -> SectionId {
        self.object.section_id(self.index as usize)
    }
    fn section(&self) -> &'a crate::model::Section {
        &self.object.sections[self.index as usize]
    }
    fn name(&self) -> &'static [u8] {
        self.object.section_name(self.index as usize)
    }
    fn output(&self) -> &'static [u8] {
        self.object.outputs[usize::from(self.section().output)].name
    }
}

impl<'a> Sources<'a> {
    /// All sections that may be moved, in the order of the command line.
    fn places(&self) -> Vec<Place<'a>> {
        let objects = &self.selection.objects;
        let lists = self.cx.pool.map("order/places", objects.len(), 16, |position| {
            let object = self.inputs.object(objects[position]);
            let places = (1..object.sections.len() as u32).map(|index| Place { object, index });
            places.filter(|place| self.is_movable(place)).collect::<Vec<_>>()
        });
        lists.concat()
    }

    fn is_movable(&self, place: &Place) -> bool {
        place.section().kind.is_whole() && self.live.contains(place.id()) && !is_structural(place.output())
    }
}

/// Puts listed sections in front of all others, in the order of their numbers.
fn put_first(listed: &[(SectionId, u32)], places: &[Place], ranks: &mut [u32]) {
    let end = listed.iter().map(|(_, number)| number + 1).max().unwrap_or(0);
    places.iter().for_each(|place| ranks[place.id().index()] += end);
    listed.iter().for_each(|(id, number)| ranks[id.index()] = *number);
}

/// Puts listed sections behind all others.
fn put_last(listed: &[(SectionId, u32)], places: &[Place], ranks: &mut [u32]) {
    let end = places.iter().map(|place| ranks[place.id().index()] + 1).max().unwrap_or(0);
    listed.iter().for_each(|(id, number)| ranks[id.index()] = end + number);
}

/// The text of a file an option names; nothing, and an error, if it cannot be read.
fn read(cx: &Cx, path: &Path) -> &'static [u8] {
    crate::open::map_file(path).unwrap_or_else(|error| {
        let why = crate::open::reason(&error);
        cx.problems.push(Problem::error(format!("cannot open {}: {why}", path.display())));
        &[]
    })
}

/// The lines of a list: without blanks around them, empty ones and comments.
fn lines(text: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}
