//! What was asked for in the way of order: of input sections in their output section, and of tentative definitions.

use std::path::PathBuf;

/// Everything about order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordering {
    /// `--symbol-ordering-file`: sections of these symbols come first.
    pub symbol_ordering_file: Option<PathBuf>,
    /// `--no-warn-symbol-ordering` turns this off: say which symbols of the file have no place.
    pub warn_symbol_ordering: bool,
    /// `--section-ordering-file`: a list of names as gold takes it, or a piece of a script as GNU ld takes it.
    pub section_ordering_file: Option<PathBuf>,
    /// `--sort-section`.
    pub sort_section: SectionSort,
    /// `--shuffle-sections`, `--reverse-sections`: one after the other.
    pub shuffles: Vec<Shuffle>,
    /// `--call-graph-profile-sort`.
    pub call_graph_sort: CallGraphSort,
    /// `--call-graph-ordering-file`: a call graph besides those in objects.
    pub call_graph_ordering_file: Option<PathBuf>,
    /// `--section-order`: where loaded sections stand; empty for the usual order.
    pub section_order: Vec<Arranged>,
    /// `--randomize-section-padding`: the seed of what is left free between sections.
    pub padding_seed: Option<u64>,
    /// `--bp-compression-sort`: sections of code that are alike stand together.
    pub similar_code: bool,
    /// `--bp-compression-sort`: sections of data that are alike stand together.
    pub similar_data: bool,
    /// `--print-symbol-order`: write the symbols of sections that a call graph has put in order here.
    pub print_symbol_order: Option<PathBuf>,
    /// `--sort-common`.
    pub sort_common: CommonSort,
    /// `--unique=SECTION`: patterns of input sections that share their output section with nobody.
    pub unique: Vec<Vec<u8>>,
    /// `--unique`: the same for all sections the default script does not mention.
    pub unique_orphans: bool,
}

impl Ordering {
    /// Whether any input section may ask for an output section of its own.
    pub fn wants_apart(&self) -> bool {
        self.unique_orphans || !self.unique.is_empty()
    }
}

/// An item of `--section-order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arranged {
    /// `EHDR`, `PHDR`: the headers of the file.
    Headers,
    /// `=ADDRESS`: what follows starts there.
    Address(u64),
    /// `%NUMBER`: what follows starts at a multiple.
    Align(u64),
    /// A section by its name.
    Section(Vec<u8>),
    /// All sections of a kind that have no place of their own.
    Group(Group),
}

/// Kinds of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Code.
    Text,
    /// Data that is only read.
    Rodata,
    /// Data that is written.
    Data,
    /// Data that is zero at first.
    Bss,
}

impl Default for Ordering {
    fn default() -> Self {
        Ordering {
            symbol_ordering_file: None,
            warn_symbol_ordering: true,
            section_ordering_file: None,
            sort_section: SectionSort::None,
            shuffles: Vec::new(),
            call_graph_sort: CallGraphSort::Hfsort,
            call_graph_ordering_file: None,
            section_order: Vec::new(),
            padding_seed: None,
            similar_code: false,
            similar_data: false,
            print_symbol_order: None,
            sort_common: CommonSort::None,
            unique: Vec::new(),
            unique_orphans: false,
        }
    }
}

/// `--sort-section`: by what the sections of one wildcard of GNU ld's default script are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionSort {
    /// Not at all.
    None,
    /// By name, ascending.
    Name,
    /// By alignment, the strictest first.
    Alignment,
}

/// `--sort-common`: how tentative definitions are sorted by alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonSort {
    /// Not at all.
    None,
    /// The least strict first.
    Ascending,
    /// The strictest first.
    Descending,
}

/// A permutation of the sections whose names match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shuffle {
    /// Which input sections, by name.
    pub glob: Vec<u8>,
    /// Where they go.
    pub kind: Permutation,
}

/// How sections change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permutation {
    /// The last becomes the first.
    Reverse,
    /// At random, the same with the same seed; `None` for another order each time.
    Random(Option<u64>),
}

/// `--call-graph-profile-sort`: how functions that call each other come to stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallGraphSort {
    /// They do not.
    None,
    /// Call-chain clustering.
    Hfsort,
    /// Cache-directed sort.
    Cdsort,
}
