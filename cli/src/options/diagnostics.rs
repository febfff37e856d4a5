//! Questions, messages, lists and profiles.

use super::values::{choice, number, path};
use super::{Area, Opt, Takes, flag, harmless, maybe, switch, value};
use crate::messages::Color;
use stages::config::Profile;

pub const AREA: Area = Area { title: "Messages and profiles", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    flag(&["help", "target-help"], "Print this list", |t| t.questions.help = true),
    flag(&["version"], "Print the version", |t| t.questions.version = true),
    flag(&["v"], "Print the version; link if there are inputs", |t| t.questions.banner = true),
    flag(&["V"], "Print the version and the emulations; link if there are inputs", |t| {
        t.questions.banner = true;
        t.questions.emulations = true;
    }),
    maybe(
        &["verbose"],
        "LEVEL",
        "Like -V and -t together; print the directories searched by default",
        |t, _| {
            t.questions.banner = true;
            t.questions.emulations = true;
            t.questions.directories = true;
            t.config.trace_inputs = true;
            Ok(())
        },
    ),
    flag(&["print-sysroot"], "Print the sysroot", |t| t.questions.sysroot = true),
    flag(&["print-output-format"], "Print the format of the output", |t| t.questions.output_format = true),
    flag(&["t"], "List the input files", |t| t.config.trace_inputs = true),
    maybe(
        &["trace"],
        "FILE",
        "List the input files and print a profile; with FILE, write it to FILE (.json, .html)",
        |t, v| {
            match v {
                Some(file) => t.config.profile = Profile::File(path(file)),
                None => {
                    t.config.trace_inputs = true;
                    t.config.profile = Profile::Table;
                }
            }
            Ok(())
        },
    ),
    maybe(
        &["time-trace"],
        "FILE",
        "Write a profile for Perfetto to FILE, or to one named after the output",
        |t, v| {
            t.config.profile = Profile::TimeTrace(v.map(path));
            Ok(())
        },
    ),
    harmless(&["time-trace-granularity"], Takes::Value("N"), "every span is recorded"),
    flag(&["stats"], "Print figures about the link", |t| t.config.stats = true),
    flag(&["perf"], "Print a profile", |t| t.config.profile = Profile::Table),
    value(&["error-limit"], "N", "Show at most N errors (default 20), 0 for all", |t, v| {
        t.config.error_limit = usize::try_from(number(v)?).unwrap_or(usize::MAX);
        Ok(())
    }),
    switch(&["fatal-warnings"], "Treat warnings as errors", |t, on| t.config.fatal_warnings = on),
    flag(&["w", "no-warnings"], "Show no warnings", |t| t.style.warnings = false),
    flag(&["noinhibit-exec"], "Write the output in spite of errors", |t| t.config.noinhibit_exec = true),
    maybe(&["color-diagnostics"], "auto|always|never", "Show messages in colour", |t, v| {
        t.style.color = match v {
            None => Color::Always,
            Some(when) => {
                choice(when, &[("auto", Color::Auto), ("always", Color::Always), ("never", Color::Never)])?
            }
        };
        Ok(())
    }),
    flag(&["no-color-diagnostics"], "Show messages without colour", |t| t.style.color = Color::Never),
    maybe(&["demangle"], "STYLE", "Show symbols as the source spells them (default)", |t, _| {
        t.demangle = Some(true);
        Ok(())
    }),
    flag(&["no-demangle"], "Show symbols as the object files spell them", |t| t.demangle = Some(false)),
    switch(&["warn-execstack"], "Warn when an input asks for an executable stack (default)", |t, on| {
        t.config.warn_execstack = on;
    }),
    switch(&["error-execstack"], "An executable stack is an error", |t, on| t.config.execstack_is_error = on),
    switch(&["warn-rwx-segments"], "Warn about a segment both writable and executable", |t, on| {
        t.config.warn_rwx_segments = on;
    }),
    switch(&["error-rwx-segments"], "A segment both writable and executable is an error", |t, on| {
        t.config.rwx_is_error = on;
    }),
    switch(
        &["warn-textrel", "warn-shared-textrel"],
        "Warn about relocations in read-only segments",
        |t, on| {
            t.config.warn_textrel = on;
        },
    ),
    harmless(&["warn-once"], Takes::Nothing, "an undefined symbol is reported once anyway"),
    harmless(&["warn-constructors"], Takes::Switch, "there are no constructor sets in ELF"),
    harmless(&["warn-multiple-gp"], Takes::Switch, "x86-64 has no global pointer"),
    harmless(&["warn-alternate-em"], Takes::Switch, "x86-64 has one machine number"),
    harmless(&["warn-section-align"], Takes::Switch, "it is about a.out files"),
    harmless(&["warn-ifunc-textrel"], Takes::Switch, "text relocations are errors unless asked for"),
    value(
        &["error-handling-script"],
        "FILE",
        "Run FILE with missing-lib NAME or undefined-symbol NAME for such errors",
        |t, v| {
            t.error_script = Some(path(v));
            Ok(())
        },
    ),
    flag(&["vs-diagnostics"], "Begin messages with FILE(LINE), as Visual Studio wants them", |t| {
        t.style.visual_studio = true;
    }),
    value(&["why-live"], "GLOB", "Print why --gc-sections keeps the symbols that match", |t, v| {
        t.config.why_live.push(v.to_vec());
        Ok(())
    }),
    value(
        &["why-extract"],
        "FILE",
        "Write to FILE (- prints) which file brought in each archive member",
        |t, v| {
            t.config.why_extract = Some(path(v));
            Ok(())
        },
    ),
    value(
        &["print-archive-stats"],
        "FILE",
        "Write to FILE (- prints) how many members archives have and how many came in",
        |t, v| {
            t.config.archive_stats = Some(path(v));
            Ok(())
        },
    ),
    flag(&["print-dependencies"], "Print which section of which file uses which for which symbol", |t| {
        t.config.print_dependencies = true;
    }),
    value(
        &["print-symbol-counts"],
        "FILE",
        "Write to FILE (- prints) how many symbols inputs define",
        |t, v| {
            t.config.symbol_counts = Some(path(v));
            Ok(())
        },
    ),
    value(
        &["print-symbol-order"],
        "FILE",
        "Write the symbols of sections that a call graph has put in order to FILE",
        |t, v| {
            t.config.ordering.print_symbol_order = Some(path(v));
            Ok(())
        },
    ),
];
