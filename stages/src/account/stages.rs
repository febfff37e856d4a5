//! What the items of each stage are numbered by: with it a span says which inputs it was about.

/// What the number of an item means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// A file, by its place on the command line.
    Files,
    /// A position among the linked objects.
    Objects,
    /// A number among the merged sections: loaded ones, or others.
    Merged(bool),
    /// A task of the output.
    Tasks,
    /// Nothing that has to do with one input.
    Other,
}

/// What numbers mean in the spans of a stage.
pub fn numbering(stage: &str) -> Numbering {
    match stage {
        "parse" | "parse/sections" | "seal" | "inflate" | "line-tables" | "select/resolve" => {
            Numbering::Files
        }
        "unwind"
        | "scan"
        | "size/gather"
        | "size/unwind"
        | "size/symtab"
        | "liveness/keep"
        | "liveness/roots"
        | "merge/candidates"
        | "layout/targets"
        | "gdb-index/read"
        | "debug-names/read"
        | "fold/digest"
        | "fold/candidates"
        | "fold/significance"
        | "order/places"
        | "order/locals"
        | "select/needed"
        | "select/duplicates"
        | "select/commons"
        | "map"
        | "relocatable/kept"
        | "relocatable/symbols"
        | "size/kept" => Numbering::Objects,
        "merge/loaded" => Numbering::Merged(true),
        "merge/debug" => Numbering::Merged(false),
        "fill" => Numbering::Tasks,
        _ => Numbering::Other,
    }
}
