//! Symbols: entry point, definitions, exports, versions and what to do about undefined ones.

use super::values::{choice, list, pair, path};
use super::{Answer, Area, Opt, flag, switch, value};
use crate::typed::Typed;
use stages::config::{Bsymbolic, ExcludeLibs, UnresolvedPolicy};
use stages::script::parse_expr;

pub const AREA: Area = Area { title: "Symbols", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    value(&["e", "entry"], "SYMBOL", "Start the program at SYMBOL, or at an address", |t, v| {
        t.config.entry = Some(v.to_vec());
        Ok(())
    }),
    value(&["init"], "SYMBOL", "Call SYMBOL when the output is loaded (default _init)", |t, v| {
        t.config.init = v.to_vec();
        Ok(())
    }),
    value(&["fini"], "SYMBOL", "Call SYMBOL when the output is unloaded (default _fini)", |t, v| {
        t.config.fini = v.to_vec();
        Ok(())
    }),
    value(&["u", "undefined"], "SYMBOL", "Begin with an undefined reference to SYMBOL", |t, v| {
        t.config.undefined.push(v.to_vec());
        Ok(())
    }),
    value(&["require-defined"], "SYMBOL", "Like -u; an error if SYMBOL stays undefined", |t, v| {
        t.config.require_defined.push(v.to_vec());
        Ok(())
    }),
    value(
        &["undefined-glob"],
        "GLOB",
        "Begin with undefined references to all symbols that match GLOB",
        |t, v| {
            t.config.undefined_globs.push(v.to_vec());
            Ok(())
        },
    ),
    value(&["defsym"], "SYMBOL=EXPR", "Define SYMBOL as the value of an expression", defsym),
    value(&["wrap"], "SYMBOL", "Send references to SYMBOL to __wrap_SYMBOL", |t, v| {
        t.config.wraps.push(v.to_vec());
        Ok(())
    }),
    switch(&["export-dynamic"], "Export all global symbols of a program", |t, on| {
        t.config.export_dynamic = on
    }),
    flag(&["E"], "Same as --export-dynamic", |t| t.config.export_dynamic = true),
    value(&["export-dynamic-symbol"], "GLOB", "Export symbols that match GLOB", |t, v| {
        t.config.export_dynamic_symbols.add_glob(v);
        Ok(())
    }),
    value(&["export-dynamic-symbol-list"], "FILE", "Export symbols that match a pattern in FILE", |t, v| {
        t.config.export_dynamic_symbol_lists.push(path(v));
        Ok(())
    }),
    value(&["dynamic-list"], "FILE", "Export the symbols that FILE lists", |t, v| {
        t.config.dynamic_lists.push(path(v));
        Ok(())
    }),
    flag(&["dynamic-list-data"], "Put all data symbols on the dynamic list", |t| {
        t.config.dynamic_list_data = true;
    }),
    flag(&["dynamic-list-cpp-new"], "Put the C++ operators new and delete on the dynamic list", |t| {
        t.config.dynamic_list_cpp_new = true;
    }),
    flag(&["dynamic-list-cpp-typeinfo"], "Put C++ type information on the dynamic list", |t| {
        t.config.dynamic_list_cpp_typeinfo = true;
    }),
    value(&["version-script"], "FILE", "Read symbol versions and visibility from FILE", |t, v| {
        t.config.version_scripts.push(path(v));
        Ok(())
    }),
    value(
        &["version-exports-section"],
        "VERSION",
        "Export the symbols that sections .exports list, as VERSION, and no others",
        |t, v| {
            t.config.version_exports_section = Some(v.to_vec());
            t.config.discard_sections.push(stages::exports::SECTION.to_vec());
            Ok(())
        },
    ),
    switch(&["undefined-version"], "Let a version script name absent symbols (default)", |t, on| {
        t.config.no_undefined_version = !on;
    }),
    flag(&["default-symver"], "Version exported symbols by the soname, without a version script", |t| {
        t.config.default_symver = true;
    }),
    flag(
        &["default-imported-symver"],
        "Version imports from libraries without versions by the soname",
        |t| {
            t.config.default_imported_symver = true;
        },
    ),
    value(&["exclude-libs"], "LIB,LIB,..", "Hide the symbols of these archives, or of ALL", |t, v| {
        exclude_libs(t, v);
        Ok(())
    }),
    value(&["retain-symbols-file"], "FILE", "Keep only the symbols listed in FILE", |t, v| {
        t.config.retain_symbols_file = Some(path(v));
        Ok(())
    }),
    flag(&["Bsymbolic"], "Bind references within a shared library to itself", |t| {
        t.config.bsymbolic = Bsymbolic::All;
    }),
    flag(&["Bsymbolic-functions"], "The same for functions only", |t| {
        t.config.bsymbolic = Bsymbolic::Functions
    }),
    flag(&["Bsymbolic-non-weak"], "The same for symbols that are not weak", |t| {
        t.config.bsymbolic = Bsymbolic::NonWeak;
    }),
    flag(&["Bsymbolic-non-weak-functions"], "The same for functions that are not weak", |t| {
        t.config.bsymbolic = Bsymbolic::NonWeakFunctions;
    }),
    flag(&["Bno-symbolic"], "Undo -Bsymbolic and its relatives", |t| t.config.bsymbolic = Bsymbolic::None),
    flag(&["Bgroup"], "Look symbols up within the library and what it needs alone", |t| {
        t.config.z.group = true;
        t.unresolved = Some(UnresolvedPolicy::Error);
    }),
    flag(&["no-undefined"], "Report undefined symbols of a shared library too", |t| {
        t.unresolved = Some(UnresolvedPolicy::Error);
    }),
    value(
        &["unresolved-symbols"],
        "report-all|ignore-all|ignore-in-object-files|ignore-in-shared-libs",
        "What to do about undefined symbols",
        unresolved_symbols,
    ),
    flag(&["warn-unresolved-symbols"], "Only warn about undefined symbols", |t| t.warn_unresolved = true),
    flag(&["error-unresolved-symbols"], "Undefined symbols are errors (default)", |t| {
        t.warn_unresolved = false;
    }),
    value(&["ignore-unresolved-symbol"], "SYMBOL", "Say nothing if SYMBOL is undefined", |t, v| {
        t.config.ignored_undefined.push(v.to_vec());
        Ok(())
    }),
    switch(&["allow-shlib-undefined"], "Let shared libraries have undefined symbols", |t, on| {
        t.config.allow_shlib_undefined = Some(on);
    }),
    switch(&["allow-multiple-definition"], "Take the first of several definitions", |t, on| {
        t.config.allow_multiple_definition = on;
    }),
    switch(&["warn-common"], "Warn when a common symbol meets another definition", |t, on| {
        t.config.warn_common = on;
    }),
    switch(&["warn-backrefs"], "Warn where other linkers would need archives in another order", |t, on| {
        t.config.warn_backrefs = on;
    }),
    value(&["warn-backrefs-exclude"], "GLOB", "Do not warn about what refers to files like GLOB", |t, v| {
        t.config.warn_backrefs_exclude.push(v.to_vec());
        Ok(())
    }),
    value(&["y", "trace-symbol"], "SYMBOL", "Print which files define and use SYMBOL", |t, v| {
        t.config.trace_symbols.push(v.to_vec());
        Ok(())
    }),
    switch(&["gnu-unique"], "Keep STB_GNU_UNIQUE symbols what they are (default)", |t, on| {
        t.config.plain_unique = !on;
    }),
    switch(
        &["fortran-common"],
        "Let definitions in archives take the place of common symbols (default)",
        |t, on| t.config.fortran_common = on,
    ),
    flag(&["no-define-common"], "Leave common symbols of a shared library to the program", |t| {
        t.config.no_define_common = true;
    }),
    flag(&["disable-multiple-abs-defs"], "Definitions of what -R brings along are errors", |t| {
        t.config.multiple_abs_defs_are_errors = true;
    }),
    value(&["task-link"], "SYMBOL", "Same as -Ur, as ld has it for ELF", |t, _| {
        t.relocatable = true;
        Ok(())
    }),
    flag(&["d", "dc", "dp"], "Allocate common symbols under -r, too", |t| t.config.define_common = true),
    switch(
        &["detect-odr-violations"],
        "Say which C++ functions have definitions of different size in different source lines",
        |t, on| t.config.detect_odr_violations = on,
    ),
];

fn defsym(t: &mut Typed, v: &[u8]) -> Answer {
    let (name, expression) = pair(v, "SYMBOL=EXPRESSION")?;
    let expression = parse_expr(expression).map_err(|wrong| wrong.to_string())?;
    t.config.defsyms.push((name.to_vec(), expression));
    Ok(())
}

fn exclude_libs(t: &mut Typed, v: &[u8]) {
    let mut named = match std::mem::replace(&mut t.config.exclude_libs, ExcludeLibs::None) {
        ExcludeLibs::All => {
            t.config.exclude_libs = ExcludeLibs::All;
            return;
        }
        ExcludeLibs::Named(named) => named,
        ExcludeLibs::None => Vec::new(),
    };
    named.extend(list(v).map(<[u8]>::to_vec));
    t.config.exclude_libs =
        if named.iter().any(|n| n == b"ALL") { ExcludeLibs::All } else { ExcludeLibs::Named(named) };
}

fn unresolved_symbols(t: &mut Typed, v: &[u8]) -> Answer {
    use UnresolvedPolicy::{Error, Ignore};
    let (in_objects, allow_in_shared) = choice(
        v,
        &[
            ("report-all", (Error, false)),
            ("ignore-all", (Ignore, true)),
            ("ignore-in-object-files", (Ignore, false)),
            ("ignore-in-shared-libs", (Error, true)),
        ],
    )?;
    t.unresolved = Some(in_objects);
    t.config.allow_shlib_undefined = Some(allow_in_shared);
    Ok(())
}
