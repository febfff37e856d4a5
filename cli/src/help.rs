//! What `--help`, `--version` and their relatives print.
//!
//! The list of options is the table, laid out by clap. Configure scripts read these texts: libtool wants
//! `: supported targets:` and `no-whole-archive` in the help, CMake `--push-state`, almost everybody the
//! words `GNU ld` in the version to know which options a linker takes; and those that compare versions
//! (glibc, GCC) read the number behind these words or the last one of the line.

use crate::options::{AREAS, EMULATIONS, KEYWORDS, Opt, Status, TARGETS, Takes};
use crate::resolve::SYSTEM_DIRECTORIES;
use clap::builder::{StyledStr, Styles};
use clap::{Arg, ArgAction, Command};
use std::fmt::Write;

/// The answer to `--version`, `-v` and `-V`. The number is the version of GNU ld whose options are taken.
pub const VERSION: &str = concat!("manifold ", env!("CARGO_PKG_VERSION"), " (compatible with GNU ld 2.40)");

/// Where the description of a `-z` keyword begins, in columns.
const KEYWORD_WIDTH: usize = 34;

/// The answer to `-V`: the emulations, one a line.
pub fn emulations() -> String {
    EMULATIONS.iter().fold("  Supported emulations:\n".to_string(), |text, name| text + "   " + name + "\n")
}

/// What `--verbose` says beside that: the directories searched by default, in the form scripts pick them out of
/// (`ld --verbose | grep SEARCH_DIR`).
pub fn directories() -> String {
    let commands =
        SYSTEM_DIRECTORIES.iter().map(|path| format!("SEARCH_DIR(\"{}\");", String::from_utf8_lossy(path)));
    commands.collect::<Vec<_>>().join(" ")
}

/// The answer to `--help`.
pub fn help() -> StyledStr {
    let mut command = Command::new("manifold")
        .override_usage("manifold [OPTION | FILE | @FILE]..\n       manifold -run [--trace=DIR] COMMAND [ARG]..\n       manifold trace --help")
        .about(VERSION)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .styles(Styles::styled())
        .after_help(keywords() + "\n" + &targets());
    for area in &AREAS {
        command = command.next_help_heading(area.title).args(area.options.iter().map(argument));
    }
    command.render_help()
}

/// One option as clap shows it. A one-letter name becomes a short flag, others long ones; GNU ld takes a
/// long one behind a single dash too.
fn argument(option: &'static Opt) -> Arg {
    let mut argument = Arg::new(option.names[0]).help(described(option));
    for name in option.names {
        let mut letters = name.chars();
        argument = match (letters.next(), letters.next()) {
            (Some(letter), None) if argument.get_short().is_none() => argument.short(letter),
            (Some(letter), None) => argument.visible_short_alias(letter),
            _ if argument.get_long().is_none() => argument.long(*name),
            _ => argument.visible_alias(*name),
        };
        if option.takes == Takes::Switch {
            argument = argument.visible_alias(format!("no-{name}"));
        }
    }
    match option.takes {
        Takes::Nothing | Takes::Switch => argument.action(ArgAction::SetTrue),
        Takes::Value(what) | Takes::Rest(what) => argument.action(ArgAction::Append).value_name(what),
        Takes::Maybe(what) => {
            argument.action(ArgAction::Append).value_name(what).num_args(0..=1).require_equals(true)
        }
    }
}

fn described(option: &Opt) -> String {
    match option.status {
        Status::Acts(_) => option.text.to_string(),
        Status::Harmless => format!("Ignored: {}", option.text),
        Status::Foreign => format!("For other targets: {}", option.text),
        Status::Rejected => format!("Not supported yet: {}", option.text),
    }
}

fn keywords() -> String {
    let mut text = "Keywords:\n".to_string();
    for option in KEYWORDS {
        for name in option.names {
            let no = if option.takes == Takes::Switch { "[no]" } else { "" };
            let value = match option.takes {
                Takes::Value(what) => format!("={what}"),
                _ => String::new(),
            };
            let left = format!("  -z {no}{name}{value}");
            let gap = if left.len() < KEYWORD_WIDTH { "" } else { "\n" };
            let width = if gap.is_empty() { KEYWORD_WIDTH - left.len() } else { KEYWORD_WIDTH };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{left}{gap}{:width$}{}", "", described(option));
        }
    }
    text
}

fn targets() -> String {
    format!(
        "manifold: supported targets: {}\nmanifold: supported emulations: {}\n",
        TARGETS.join(" "),
        EMULATIONS.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configure_scripts_find_their_words() {
        let text = help().to_string();
        for wanted in [
            "manifold: supported targets: elf64-x86-64",
            "supported emulations: elf_x86_64",
            "--push-state",
            "--pop-state",
            " --no-whole-archive",
            "-z [no]relro",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert!(VERSION.contains("GNU ld"));
        assert!(emulations().contains("elf_x86_64"));
    }

    #[test]
    fn every_name_is_listed() {
        let text = help().to_string();
        for name in AREAS.iter().flat_map(|area| area.options).flat_map(|option| option.names) {
            let dashes = if name.len() == 1 { "-" } else { "--" };
            assert!(text.contains(&format!("{dashes}{name}")), "{name}");
        }
        for name in KEYWORDS.iter().flat_map(|option| option.names) {
            assert!(text.contains(name), "{name}");
        }
    }
}
