//! Which sections stay, which are folded and in what order they stand.

use super::values::choice;
use super::{Area, Opt, Takes, UNSUPPORTED, flag, harmless, rejected, switch, value};
use stages::config::Icf;

pub const AREA: Area = Area { title: "Sections", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    switch(&["gc-sections"], "Leave out sections nothing refers to", |t, on| t.config.gc_sections = on),
    switch(&["print-gc-sections"], "List the sections left out", |t, on| t.config.print_gc_sections = on),
    flag(&["gc-keep-exported"], "Keep sections that define exported symbols", |t| {
        t.config.gc_keep_exported = true;
    }),
    value(&["icf"], "none|safe|all", "Fold identical functions into one", |t, v| {
        t.config.folding.icf = choice(v, &[("none", Icf::None), ("safe", Icf::Safe), ("all", Icf::All)])?;
        Ok(())
    }),
    flag(&["no-icf"], "Same as --icf=none (default)", |t| t.config.folding.icf = Icf::None),
    switch(&["print-icf-sections"], "List what was folded", |t, on| {
        t.config.folding.print_icf_sections = on;
    }),
    value(
        &["keep-unique"],
        "SYMBOL",
        "Fold nothing into the section of SYMBOL, nor it into another",
        |t, v| {
            t.config.folding.keep_unique.push(v.to_vec());
            Ok(())
        },
    ),
    flag(&["ignore-data-address-equality"], "Read-only data need not have addresses of its own", |t| {
        t.config.folding.ignore_data_address_equality = true;
    }),
    harmless(
        &["ignore-function-address-equality"],
        Takes::Nothing,
        "a program may refer to a library's protected function anyway, and gets an address of its own for it",
    ),
    harmless(&["O"], Takes::Value("LEVEL"), "strings are merged and tables kept small at every level"),
    switch(&["relax"], "Make instructions shorter where addresses allow it (default)", |t, on| {
        t.config.relax = on;
    }),
    harmless(
        &["sort-common"],
        Takes::Maybe("ascending|descending"),
        "no order of common symbols is promised",
    ),
    value(&["sort-section"], "none|alignment|name", "Order of sections within an output section", |_, v| {
        // Order by alignment saves padding only; order by name is something programs rely on.
        if choice(v, &[("none", true), ("alignment", true), ("name", false)])? {
            Ok(())
        } else {
            Err(UNSUPPORTED.to_string())
        }
    }),
    harmless(&["no-call-graph-profile-sort"], Takes::Nothing, "it is the default"),
    harmless(
        &["call-graph-profile-sort"],
        Takes::Maybe("none|hfsort|cdsort"),
        "it only changes how fast the program runs; no order of functions is promised",
    ),
    rejected(&["call-graph-ordering-file"], Takes::Value("FILE"), "functions in the order of a call graph"),
    rejected(&["symbol-ordering-file"], Takes::Value("FILE"), "sections in the order of a list of symbols"),
    rejected(&["section-ordering-file"], Takes::Value("FILE"), "sections in the order of a list"),
    rejected(&["section-order"], Takes::Value("ORDER"), "output sections in a given order"),
    harmless(&["warn-symbol-ordering"], Takes::Switch, "there is no symbol ordering file"),
    rejected(&["shuffle-sections"], Takes::Maybe("SEED"), "sections in random order"),
    rejected(&["reverse-sections"], Takes::Nothing, "sections in reverse order"),
    rejected(&["randomize-section-padding"], Takes::Value("SEED"), "random padding"),
    rejected(&["bp-startup-sort"], Takes::Value("none|function"), "sections in the order of first use"),
    rejected(&["bp-compression-sort"], Takes::Value("none|function|data|both"), "similar sections together"),
    rejected(&["unique"], Takes::Maybe("SECTION"), "input sections kept apart"),
    value(&["orphan-handling"], "place|warn|error|discard", "Sections no script mentions", |_, v| {
        // Without a script every section has its place.
        if choice(v, &[("place", true), ("warn", false), ("error", false), ("discard", false)])? {
            Ok(())
        } else {
            Err(UNSUPPORTED.to_string())
        }
    }),
    rejected(&["discard-section"], Takes::Value("GLOB"), "leaving out sections by name"),
    rejected(&["zero-to-bss"], Takes::Nothing, "sections of zeros without file contents"),
    rejected(&["split-by-file"], Takes::Maybe("SIZE"), "output sections split by size"),
    rejected(&["split-by-reloc"], Takes::Maybe("COUNT"), "output sections split by relocations"),
    rejected(&["embedded-relocs"], Takes::Nothing, "relocations in a section of their own"),
    rejected(&["force-group-allocation"], Takes::Nothing, "groups resolved in relocatable output"),
    rejected(&["enable-non-contiguous-regions"], Takes::Nothing, "sections that spill between regions"),
    harmless(
        &["enable-non-contiguous-regions-warnings"],
        Takes::Nothing,
        "it belongs to --enable-non-contiguous-regions",
    ),
    harmless(&["optimize-bb-jumps"], Takes::Switch, "jumps to the next block are merely not removed"),
];
