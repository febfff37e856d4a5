//! Which sections stay, which are folded and in what order they stand.

use super::values::{choice, number, page_size, path};
use super::{Answer, Area, Opt, Takes, UNSUPPORTED, flag, foreign, harmless, maybe, switch, value};
use crate::typed::Typed;
use stages::config::{Arranged, CallGraphSort, CommonSort, Group, Icf, Permutation, SectionSort, Shuffle};

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
    value(
        &["O"],
        "LEVEL",
        "From 2 on, let strings share the ends of others; the rest is done at every level",
        |t, v| {
            // Levels in words, which some compilers have, are none of the linker's.
            t.config.merge_tails = number(v).is_ok_and(|level| level >= 2);
            Ok(())
        },
    ),
    switch(&["relax"], "Make instructions shorter where addresses allow it (default)", |t, on| {
        t.config.relax = on;
    }),
    maybe(&["sort-common"], "ascending|descending", "Sort common symbols by alignment", |t, v| {
        let sorts = [("ascending", CommonSort::Ascending), ("descending", CommonSort::Descending)];
        t.config.ordering.sort_common = choice(v.unwrap_or(b"descending"), &sorts)?;
        Ok(())
    }),
    value(&["sort-section"], "none|alignment|name", "Sort sections within their output section", |t, v| {
        let sorts =
            [("none", SectionSort::None), ("alignment", SectionSort::Alignment), ("name", SectionSort::Name)];
        t.config.ordering.sort_section = choice(v, &sorts)?;
        Ok(())
    }),
    flag(&["no-call-graph-profile-sort"], "Same as --call-graph-profile-sort=none", |t| {
        t.config.ordering.call_graph_sort = CallGraphSort::None;
    }),
    maybe(
        &["call-graph-profile-sort"],
        "none|hfsort|cdsort",
        "Put functions together that call each other, if objects have a profile (default: hfsort)",
        |t, v| {
            let sorts = [
                ("none", CallGraphSort::None),
                ("hfsort", CallGraphSort::Hfsort),
                ("cdsort", CallGraphSort::Cdsort),
            ];
            t.config.ordering.call_graph_sort = choice(v.unwrap_or(b"hfsort"), &sorts)?;
            Ok(())
        },
    ),
    value(
        &["call-graph-ordering-file"],
        "FILE",
        "Put functions together by the call graph in FILE",
        |t, v| {
            t.config.ordering.call_graph_ordering_file = Some(path(v));
            Ok(())
        },
    ),
    value(&["symbol-ordering-file"], "FILE", "Put the sections of listed symbols first", |t, v| {
        t.config.ordering.symbol_ordering_file = Some(path(v));
        Ok(())
    }),
    switch(&["warn-symbol-ordering"], "Say which listed symbols have no place (default)", |t, on| {
        t.config.ordering.warn_symbol_ordering = on;
    }),
    value(
        &["section-ordering-file"],
        "FILE",
        "Arrange sections by a list of names (as gold) or a piece of a script (as GNU ld)",
        |t, v| {
            t.config.ordering.section_ordering_file = Some(path(v));
            Ok(())
        },
    ),
    value(
        &["section-order"],
        "ORDER",
        "Order of loaded sections: EHDR PHDR TEXT RODATA DATA BSS, names, =ADDRESS, %ALIGNMENT",
        section_order,
    ),
    maybe(
        &["shuffle-sections"],
        "SEED|GLOB=SEED",
        "Put sections in random order (GLOB=-1: in reverse; GLOB=0: another order each time)",
        |t, v| {
            t.config.ordering.shuffles.push(shuffle(v)?);
            Ok(())
        },
    ),
    flag(&["reverse-sections"], "Put sections in reverse order", |t| {
        let all = Shuffle { glob: b"*".to_vec(), kind: Permutation::Reverse };
        t.config.ordering.shuffles.push(all);
    }),
    value(
        &["randomize-section-padding"],
        "SEED",
        "Leave some room between sections, here and there",
        |t, v| {
            t.config.ordering.padding_seed = Some(number(v)?);
            Ok(())
        },
    ),
    value(&["bp-startup-sort"], "none|function", "Sections in the order of first use", |_, v| {
        // That needs a profile of LLVM's with traces.
        if choice(v, &[("none", true), ("function", false)])? { Ok(()) } else { Err(UNSUPPORTED.to_string()) }
    }),
    value(
        &["bp-compression-sort"],
        "none|function|data|both",
        "Put similar sections together, so that the output packs better",
        |t, v| {
            let kinds = [
                ("none", (false, false)),
                ("function", (true, false)),
                ("data", (false, true)),
                ("both", (true, true)),
            ];
            let ordering = &mut t.config.ordering;
            (ordering.similar_code, ordering.similar_data) = choice(v, &kinds)?;
            Ok(())
        },
    ),
    maybe(
        &["unique"],
        "SECTION",
        "Give sections of this name (or all unknown ones) output sections apart",
        |t, v| {
            match v {
                Some(pattern) => t.config.ordering.unique.push(pattern.to_vec()),
                None => t.config.ordering.unique_orphans = true,
            }
            Ok(())
        },
    ),
    value(&["orphan-handling"], "place|warn|error|discard", "Sections no script mentions", |_, v| {
        // Without a script every section has its place.
        if choice(v, &[("place", true), ("warn", false), ("error", false), ("discard", false)])? {
            Ok(())
        } else {
            Err(UNSUPPORTED.to_string())
        }
    }),
    value(&["discard-section"], "GLOB", "Leave out input sections whose name matches GLOB", |t, v| {
        t.config.discard_sections.push(v.to_vec());
        Ok(())
    }),
    flag(&["no-discard-section"], "Take back --discard-section", |t| t.config.discard_sections.clear()),
    flag(&["zero-to-bss"], "Give writable sections of zeros no room in the file", |t| {
        t.config.zero_to_bss = true;
    }),
    maybe(
        &["split-by-file"],
        "SIZE",
        "Under -r, begin another section for another file where one would have more than SIZE bytes (default 1)",
        |t, v| {
            t.config.split_by_file = Some(v.map_or(Ok(1), number)?);
            Ok(())
        },
    ),
    maybe(
        &["split-by-reloc"],
        "COUNT",
        "Under -r, begin another section where one would have more than COUNT relocations (default 32768)",
        |t, v| {
            t.config.split_by_reloc = Some(v.map_or(Ok(32768), number)?);
            Ok(())
        },
    ),
    foreign(
        &["embedded-relocs"],
        Takes::Nothing,
        "it is for position independent code of a machine without a GOT",
    ),
    flag(&["force-group-allocation"], "Under -r, make members of section groups ordinary sections", |t| {
        t.config.force_group_allocation = true;
    }),
    harmless(
        &["enable-non-contiguous-regions"],
        Takes::Nothing,
        "without memory regions no section runs out of one",
    ),
    harmless(
        &["enable-non-contiguous-regions-warnings"],
        Takes::Nothing,
        "it belongs to --enable-non-contiguous-regions",
    ),
    harmless(&["optimize-bb-jumps"], Takes::Switch, "jumps to the next block are merely not removed"),
];

/// Reads `--section-order`. Headers can only stand in front; an address before them is that of the image.
fn section_order(t: &mut Typed, value: &[u8]) -> Answer {
    let mut list = Vec::new();
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let has_sections = list.iter().any(|item| matches!(item, Arranged::Section(_) | Arranged::Group(_)));
        let item = match word {
            b"EHDR" | b"PHDR" if has_sections => return Err("headers can only stand in front".to_string()),
            b"EHDR" | b"PHDR" => Arranged::Headers,
            b"TEXT" => Arranged::Group(Group::Text),
            b"RODATA" => Arranged::Group(Group::Rodata),
            b"DATA" => Arranged::Group(Group::Data),
            b"BSS" => Arranged::Group(Group::Bss),
            [b'=', address @ ..] => Arranged::Address(number(address)?),
            [b'%', align @ ..] => Arranged::Align(page_size(align)?),
            [b'!', ..] => return Err("symbols in the order are not supported; use --defsym".to_string()),
            name => Arranged::Section(name.to_vec()),
        };
        if let (Arranged::Headers, Some(Arranged::Address(address))) = (&item, list.last()) {
            t.config.image_base = Some(*address);
        }
        list.push(item);
    }
    t.config.ordering.section_order = list;
    Ok(())
}

/// Reads `--shuffle-sections`: nothing, a number (mold's form), or a glob and a number (lld's).
fn shuffle(value: Option<&[u8]>) -> Result<Shuffle, String> {
    let Some(value) = value else {
        return Ok(Shuffle { glob: b"*".to_vec(), kind: Permutation::Random(None) });
    };
    let Some(at) = value.iter().rposition(|byte| *byte == b'=') else {
        return Ok(Shuffle { glob: b"*".to_vec(), kind: Permutation::Random(Some(number(value)?)) });
    };
    let kind = match &value[at + 1..] {
        b"-1" => Permutation::Reverse,
        seed => Permutation::Random(Some(number(seed)?).filter(|seed| *seed != 0)),
    };
    Ok(Shuffle { glob: value[..at].to_vec(), kind })
}
