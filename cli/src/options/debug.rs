//! Symbol tables and debug information in the output: what is kept, left out or packed.

use super::{Area, Opt, Takes, UNSUPPORTED, flag, harmless, maybe, switch, value};
use stages::config::{DebugCompression, Discard, Strip};

pub const AREA: Area = Area { title: "Symbol table and debug information", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    flag(&["s", "strip-all"], "Leave out the symbol table and debug information", |t| {
        t.config.strip = Strip::All;
    }),
    flag(&["S", "strip-debug"], "Leave out debug information", |t| t.config.strip = Strip::Debug),
    flag(&["x", "discard-all"], "Leave out local symbols", |t| t.config.discard = Discard::All),
    flag(&["X", "discard-locals"], "Leave out temporary local symbols", |t| {
        t.config.discard = Discard::Temporaries;
    }),
    flag(&["discard-none"], "Keep all local symbols", |t| t.config.discard = Discard::None),
    value(
        &["compress-debug-sections"],
        "none|zlib|zlib-gabi|zstd[:LEVEL]",
        "Compress debug sections",
        |t, v| {
            t.config.compress_debug = compression(v)?;
            Ok(())
        },
    ),
    value(
        &["compress-sections"],
        "GLOB=FORMAT",
        "Compress sections that match GLOB and are not loaded",
        |t, v| {
            let (glob, format) = super::values::pair(v, "GLOB=FORMAT")?;
            t.config.compress_sections.push((glob.to_vec(), compression(format)?));
            Ok(())
        },
    ),
    switch(&["gdb-index"], "Write an index of debug information for gdb", |t, on| t.config.gdb_index = on),
    switch(&["debug-names"], "Make one .debug_names of those of all inputs", |t, on| {
        t.config.debug_names = on
    }),
    maybe(
        &["separate-debug-file"],
        "FILE",
        "Write debug information to FILE (default: OUTPUT.dbg)",
        |t, v| {
            t.config.separate_debug_file = Some(v.map(super::values::path));
            Ok(())
        },
    ),
    flag(&["no-separate-debug-file"], "Write debug information to the output (default)", |t| {
        t.config.separate_debug_file = None;
    }),
    harmless(&["detach"], Takes::Switch, "the debug file is complete when the linker ends"),
    flag(&["only-keep-debug"], "Write debug information and symbols alone, as objcopy does it", |t| {
        t.config.only_keep_debug = true;
    }),
    flag(&["strip-debug-gdb"], "Leave out debug sections that gdb does not read", |t| {
        t.config.strip = t.config.strip.max(Strip::UnreadByGdb);
    }),
    flag(&["strip-debug-non-line"], "Leave out all debug information but source lines", |t| {
        t.config.strip = t.config.strip.max(Strip::NonLines);
    }),
    harmless(
        &["strip-lto-sections"],
        Takes::Switch,
        "intermediate code in fat objects never reaches the output",
    ),
    harmless(&["strip-discarded"], Takes::Switch, "a symbol without its section has no value to keep"),
    harmless(&["g"], Takes::Nothing, "debug information is kept unless -S or -s is given"),
    flag(&["discard-sframe"], "Leave out .sframe, tables for stack traces", |t| {
        t.config.discard_sframe = true
    }),
    harmless(&["ctf-variables"], Takes::Switch, "CTF type information is not merged"),
    harmless(&["ctf-share-types"], Takes::Value("METHOD"), "CTF type information is not merged"),
];

/// A format, with its level if one is given.
fn compression(value: &[u8]) -> Result<DebugCompression, String> {
    let text = super::values::text(value);
    let (format, level) = match text.split_once(':') {
        Some((format, level)) => {
            (format, Some(level.parse::<i32>().map_err(|_| format!("{level} is not a level"))?))
        }
        None => (text.as_str(), None),
    };
    Ok(match (format, level) {
        ("none", None) => DebugCompression::None,
        // The fastest level: it finds most of what debug information repeats.
        ("zlib" | "zlib-gabi", level) => match u32::try_from(level.unwrap_or(1)) {
            Ok(level @ 0..=9) => DebugCompression::Zlib(level),
            _ => return Err("zlib has the levels 0 to 9".to_string()),
        },
        ("zstd", level @ (None | Some(-7..=22))) => DebugCompression::Zstd(level.unwrap_or(3)),
        ("zstd", _) => return Err("zstd has the levels -7 to 22".to_string()),
        ("zlib-gnu", _) => return Err(UNSUPPORTED.to_string()),
        _ => return Err("it is none, zlib, zlib-gabi or zstd".to_string()),
    })
}
