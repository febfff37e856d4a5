//! The `-z` keywords.
//!
//! A name is what follows `-z`; the `no` form of a switch has no dash (`-z norelro`). A keyword nobody knows
//! is warned about and ignored, as GNU ld does it.

use super::values::{choice, number, page_size, pair};
use super::{Answer, Opt, Takes, UNSUPPORTED, flag, foreign, harmless, switch, value};
use crate::typed::Typed;
use stages::config::{CetReport, SeparateCode, UnresolvedPolicy, Visibility};

pub const KEYWORDS: &[Opt] = &[
    flag(&["now"], "Resolve all symbols when the output is loaded", |t| t.config.z.now = true),
    flag(&["lazy"], "Resolve functions when they are first called (default)", |t| t.config.z.now = false),
    switch(&["relro"], "Make data read-only after relocation (default)", |t, on| t.config.z.relro = on),
    switch(&["text"], "Relocations in read-only segments are errors (default)", |t, on| t.config.z.text = on),
    flag(&["textoff"], "Same as notext", |t| t.config.z.text = false),
    switch(&["execstack"], "Make the stack executable", |t, on| t.config.z.execstack = on),
    flag(&["execstack-if-needed"], "Make the stack executable if an input asks for it", |t| {
        t.config.z.execstack_if_needed = true;
    }),
    switch(&["gnustack"], "Write a PT_GNU_STACK header (default)", |t, on| t.config.z.no_gnu_stack = !on),
    value(&["stack-size"], "N", "Ask for a stack of N bytes", |t, v| {
        t.config.z.stack_size = number(v)?;
        Ok(())
    }),
    value(&["max-page-size"], "N", "Largest page size the output must work with", |t, v| {
        t.config.z.max_page_size = Some(page_size(v)?);
        Ok(())
    }),
    value(&["common-page-size"], "N", "Page size to lay the output out for", |t, v| {
        t.config.z.common_page_size = Some(page_size(v)?);
        Ok(())
    }),
    flag(&["separate-code"], "Keep code on pages of its own (default)", |t| {
        t.config.z.separate = SeparateCode::Code;
    }),
    flag(&["separate-loadable-segments"], "Keep every segment on pages of its own", |t| {
        t.config.z.separate = SeparateCode::Loadable;
    }),
    flag(&["noseparate-code"], "Let code share pages with read-only data", |t| {
        t.config.z.separate = SeparateCode::No;
    }),
    flag(&["defs"], "Report undefined symbols of a shared library too", |t| {
        t.unresolved = Some(UnresolvedPolicy::Error);
    }),
    flag(&["undefs"], "Ignore undefined symbols", |t| {
        t.unresolved = Some(UnresolvedPolicy::Ignore);
    }),
    flag(&["nodefs"], "Undo -z defs", |t| {
        t.unresolved = None;
    }),
    switch(&["muldefs"], "Take the first of several definitions", |t, on| {
        t.config.allow_multiple_definition = on;
    }),
    switch(&["copyreloc"], "Copy data of shared libraries into a program (default)", |t, on| {
        t.config.z.no_copy_reloc = !on;
    }),
    switch(
        &["dynamic-undefined-weak"],
        "Leave undefined weak symbols to the dynamic linker (default)",
        |t, on| {
            t.config.z.dynamic_undefined_weak = on;
        },
    ),
    harmless(
        &["combreloc"],
        Takes::Switch,
        "dynamic relocations are always sorted; their order has no meaning",
    ),
    switch(&["pack-relative-relocs"], "Pack relative relocations", |t, on| t.config.relr = on),
    flag(&["nodelete"], "Keep the library loaded once it is loaded", |t| t.config.z.nodelete = true),
    flag(&["nodlopen"], "Forbid dlopen to load the library", |t| t.config.z.nodlopen = true),
    flag(&["nodump"], "Forbid dldump to dump the library", |t| t.config.z.nodump = true),
    flag(&["nodefaultlib"], "Search no default directories at run time", |t| t.config.z.nodefaultlib = true),
    flag(&["initfirst"], "Initialise the library before all others", |t| t.config.z.initfirst = true),
    flag(&["interpose"], "Look the library's symbols up before those of others", |t| {
        t.config.z.interpose = true;
    }),
    flag(&["origin"], "$ORIGIN is used", |t| t.config.z.origin = true),
    flag(&["global"], "Make symbols visible to libraries loaded later", |t| t.config.z.global = true),
    flag(&["loadfltr"], "Load the libraries a filter names at once", |t| t.config.z.loadfltr = true),
    flag(&["globalaudit"], "Let auditing libraries watch all libraries", |t| t.config.z.globalaudit = true),
    switch(&["unique"], "Load the library at most once, for all namespaces", |t, on| t.config.z.unique = on),
    flag(&["ibt", "force-ibt"], "Mark the output for indirect branch tracking", |t| t.config.z.ibt = true),
    flag(&["ibtplt"], "Write a PLT for indirect branch tracking", |t| t.config.z.ibtplt = true),
    flag(&["shstk"], "Mark the output for shadow stacks", |t| t.config.z.shstk = true),
    value(&["cet-report"], "none|warning|error", "Report inputs without IBT or SHSTK", |t, v| {
        t.config.z.cet_report = choice(
            v,
            &[("none", CetReport::None), ("warning", CetReport::Warning), ("error", CetReport::Error)],
        )?;
        Ok(())
    }),
    flag(&["x86-64-baseline"], "Record that baseline x86-64 is needed", |t| t.config.z.isa_needed |= 1),
    flag(&["x86-64-v2"], "Record that x86-64-v2 is needed", |t| t.config.z.isa_needed |= 1 << 1),
    flag(&["x86-64-v3"], "Record that x86-64-v3 is needed", |t| t.config.z.isa_needed |= 1 << 2),
    flag(&["x86-64-v4"], "Record that x86-64-v4 is needed", |t| t.config.z.isa_needed |= 1 << 3),
    switch(&["keep-text-section-prefix"], "Keep .text.hot, .text.unlikely and others apart", |t, on| {
        t.config.z.keep_text_section_prefix = on;
    }),
    switch(&["keep-data-section-prefix"], "Keep .data.hot, .rodata.unlikely and others apart", |t, on| {
        t.config.z.keep_data_section_prefix = on;
    }),
    switch(&["start-stop-gc"], "References to __start_ and __stop_ keep no sections", |t, on| {
        t.config.start_stop_gc = on;
    }),
    value(
        &["start-stop-visibility"],
        "default|protected|hidden|internal",
        "Visibility of __start_ and __stop_ symbols",
        |t, v| {
            let visibilities = [
                ("default", Visibility::Default),
                ("protected", Visibility::Protected),
                ("hidden", Visibility::Hidden),
                ("internal", Visibility::Internal),
            ];
            t.config.start_stop_visibility = choice(v, &visibilities)?;
            Ok(())
        },
    ),
    flag(&["rodynamic"], "Make the dynamic section read-only", |t| t.config.z.rodynamic = true),
    switch(&["sectionheader"], "Write section headers (default)", |t, on| {
        t.config.z.no_section_header = !on;
    }),
    value(&["dead-reloc-in-nonalloc"], "GLOB=N", "Value for references to sections left out", dead_reloc),
    switch(&["unique-symbol"], "Append a number to the name of each local symbol", |t, on| {
        t.config.z.unique_symbol = on;
    }),
    switch(
        &["indirect-extern-access"],
        "Promise that data of other libraries is reached through the GOT alone; copy none of it",
        |t, on| t.config.z.indirect_extern_access = Some(on),
    ),
    switch(
        &["mark-plt"],
        "Tell loaders where the PLT is (they must ignore addends of its relocations)",
        |t, on| {
            t.config.z.mark_plt = on;
        },
    ),
    switch(&["memory-seal"], "Ask the loader to seal the mappings of the output", |t, on| {
        t.config.z.memory_seal = on;
    }),
    flag(&["report-relative-reloc"], "List the relative relocations of the output", |t| {
        t.config.z.report_relative_reloc = true;
    }),
    switch(&["rewrite-endbr"], "Replace ENDBR64 in functions that are only called directly", |t, on| {
        t.config.z.rewrite_endbr = on;
    }),
    harmless(
        &["lrodata-after-bss"],
        Takes::Switch,
        "large read-only data is behind .bss with all that is large, where it is in nobody's way",
    ),
    switch(&["common"], "Under -r, give tentative definitions the type STT_COMMON", |t, on| {
        t.config.z.common = Some(on);
    }),
    flag(
        &["rel"],
        "Keep addends of dynamic relocations where they are applied (few loaders know that)",
        |t| {
            t.config.z.rel = true;
        },
    ),
    flag(&["retpolineplt"], "Write a PLT that is safe from branch target injection", |t| {
        t.config.z.retpolineplt = true;
    }),
    foreign(&["hazardplt"], Takes::Nothing, "hazard barriers are for processors that expose their pipeline"),
    flag(
        &["ifunc-noplt"],
        "Leave calls of indirect functions to the dynamic loader (needs -z notext)",
        |t| {
            t.config.z.ifunc_noplt = true;
        },
    ),
    flag(&["wxneeded"], "Write a PT_OPENBSD_WXNEEDED header", |t| t.config.z.wxneeded = true),
    flag(&["nobtcfi"], "Write a PT_OPENBSD_NOBTCFI header", |t| t.config.z.nobtcfi = true),
    flag(&["lam-u48"], "Mark the output for linear address masking, 48 bits and 57", |t| {
        t.config.z.lam_u48 = true;
        t.config.z.lam_u57 = true;
    }),
    flag(&["lam-u57"], "Mark the output for linear address masking, 57 bits", |t| t.config.z.lam_u57 = true),
    value(
        &["lam-report", "lam-u48-report", "lam-u57-report"],
        "none|warning|error",
        "Report inputs without marks for linear address masking",
        |_, v| built_only(v, &[("none", true), ("warning", false), ("error", false)]),
    ),
    value(
        &["isa-level-report"],
        "none|all|needed|used",
        "Report the architecture levels inputs need",
        |_, v| built_only(v, &[("none", true), ("all", false), ("needed", false), ("used", false)]),
    ),
    flag(&["rela"], "Keep addends of dynamic relocations in their tables (default)", |t| {
        t.config.z.rel = false
    }),
    harmless(&["noextern-protected-data"], Takes::Nothing, "protected data is never taken from outside"),
    harmless(&["noreloc-overflow"], Takes::Nothing, "a value that does not fit its place stays an error"),
    harmless(&["call-nop"], Takes::Value("PADDING"), "every padding of a shortened call does nothing"),
    harmless(&["bndplt"], Takes::Nothing, "no processor or system supports MPX any more"),
    harmless(&["force-bti"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["pac-plt"], Takes::Nothing, OTHER_MACHINE),
    harmless(&["bti-report"], Takes::Value("none|warning|error"), OTHER_MACHINE),
    harmless(&["gcs"], Takes::Value("implicit|always|never"), OTHER_MACHINE),
    harmless(&["gcs-report"], Takes::Value("none|warning|error"), OTHER_MACHINE),
    harmless(&["gcs-report-dynamic"], Takes::Value("none|warning|error"), OTHER_MACHINE),
    harmless(&["pauth-report"], Takes::Value("none|warning|error"), OTHER_MACHINE),
];

const OTHER_MACHINE: &str = "it is about another architecture than x86-64";

/// For keywords of which only the default is built: the choices marked true.
fn built_only(value: &[u8], choices: &[(&str, bool)]) -> Answer {
    if choice(value, choices)? { Ok(()) } else { Err(UNSUPPORTED.to_string()) }
}

fn dead_reloc(t: &mut Typed, v: &[u8]) -> Answer {
    let (glob, value) = pair(v, "GLOB=N")?;
    t.config.z.dead_reloc_in_nonalloc.push((glob.to_vec(), number(value)?));
    Ok(())
}
