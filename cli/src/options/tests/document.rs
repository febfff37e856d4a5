//! `OPTIONS.md`, the list of all options, is what the table says.

use super::super::{AREAS, KEYWORDS, Opt, Status, Takes};
use std::fmt::Write;
use std::path::Path;

/// Set to write the file instead of comparing with it.
const WRITE: &str = "MANIFOLD_WRITE_OPTIONS";

fn document() -> String {
    let all = AREAS.iter().flat_map(|area| area.options).chain(KEYWORDS);
    let (mut done, mut ignored, mut foreign, mut refused) = (0, 0, 0, 0);
    for option in all {
        *match option.status {
            Status::Acts(_) => &mut done,
            Status::Harmless => &mut ignored,
            Status::Foreign => &mut foreign,
            Status::Rejected => &mut refused,
        } += 1;
    }
    let mut text = format!(
        "# Options

Every option manifold knows, from the table that parses them (`cli/src/options.rs`). The {} entries: {done} act; {ignored} are
accepted and ignored because that changes nothing that matters; without meaning for x86-64 programs: {foreign}; not built: {refused}.
The last two kinds are errors that name the option, and so is whatever is not listed.

A name of one letter takes one dash, a longer one takes one or two. `[no-]` marks switches that can be turned off.

This file is written by `{WRITE}=1 cargo test -p manifold the_document`.
",
        done + ignored + foreign + refused
    );
    for area in &AREAS {
        section(&mut text, area.title, area.options, |name, takes| {
            let dashes = if name.chars().count() == 1 { "-" } else { "--" };
            let no = if takes == Takes::Switch { "[no-]" } else { "" };
            let (joint, what) = match takes {
                Takes::Nothing | Takes::Switch => ("", String::new()),
                Takes::Maybe(what) => ("", format!("[={what}]")),
                Takes::Value(what) | Takes::Rest(what) if dashes == "-" => (" ", what.to_string()),
                Takes::Value(what) | Takes::Rest(what) => ("=", what.to_string()),
            };
            format!("{dashes}{no}{name}{joint}{what}")
        });
    }
    section(&mut text, "-z keywords", KEYWORDS, |name, takes| match takes {
        Takes::Nothing => format!("-z {name}"),
        Takes::Switch => format!("-z [no]{name}"),
        Takes::Value(what) | Takes::Rest(what) => format!("-z {name}={what}"),
        Takes::Maybe(what) => format!("-z {name}[={what}]"),
    });
    text
}

fn section(text: &mut String, title: &str, options: &[Opt], spell: impl Fn(&str, Takes) -> String) {
    write!(text, "\n## {title}\n\n| option | status | |\n|---|---|---|\n").unwrap();
    for option in options {
        let names: Vec<String> =
            option.names.iter().map(|name| format!("`{}`", spell(name, option.takes))).collect();
        let status = match option.status {
            Status::Acts(_) => "acts",
            Status::Harmless => "ignored",
            Status::Foreign => "foreign",
            Status::Rejected => "refused",
        };
        let escape = |text: &str| text.replace('|', "\\|");
        writeln!(text, "| {} | {status} | {} |", escape(&names.join(", ")), escape(option.text)).unwrap();
    }
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPTIONS.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == document(),
        "cli/OPTIONS.md is not up to date: run {WRITE}=1 cargo test -p manifold the_document"
    );
}
