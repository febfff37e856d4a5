//! The borders that ARCHITECTURE.md states, held against the source text.
//!
//! What follows `#[cfg(test)]` in a file does not count, nor do comments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Modules with `unsafe` in them. A new one needs a reason in its page.
const UNSAFE: &[&str] = &[
    "cli/src/early_exit.rs",
    "cli/src/memory.rs",
    "cli/src/run/hook.rs",
    "cli/src/signals.rs",
    "engine/src/jobserver.rs",
    "engine/src/pool.rs",
    "engine/src/pool/board.rs",
    "engine/src/pool/loops.rs",
    "engine/src/prefetch.rs",
    "engine/src/simd/avx2.rs",
    "engine/src/simd/avx512.rs",
    "engine/src/simd/below.rs",
    "engine/src/simd/tests.rs",
    "engine/src/trace/usage.rs",
    "perf/src/measure.rs",
    "stages/src/commit.rs",
    "stages/src/open/map.rs",
    "stages/src/plugin/abi.rs",
    "stages/src/plugin/crash.rs",
    "stages/src/plugin/host.rs",
    "stages/src/plugin/leftovers.rs",
    "stages/src/plugin/message.rs",
];

/// Modules outside `arch/` that name a machine: the file format's own numbers for it, and what messages call
/// foreign files.
const NAMES_MACHINES: &[&str] = &[
    "chunks.rs",
    "elf.rs",
    "elf/identify.rs",
    "emit/debug.rs",
    "layout.rs",
    "open.rs",
    "parse/object.rs",
    "parse/sections.rs",
    "parse/shared.rs",
    "plugin/message.rs",
    "relocatable/symbols.rs",
    "scan.rs",
    "select/defined.rs",
    "select.rs",
    "tables.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace")
}

/// The source files below a directory, as paths relative to it, with their text.
fn sources(directory: &str) -> Vec<(String, String)> {
    let base = root().join(directory);
    let mut open = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of sources").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                let name =
                    path.strip_prefix(&base).expect("below its directory").to_string_lossy().into_owned();
                found.push((name, text));
            }
        }
    }
    assert!(!found.is_empty(), "{directory} has no sources");
    found
}

/// The lines of code before the tests of a file, without comments.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or("");
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a word stands in a text, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// The names of the fields of a structure.
fn fields<'t>(text: &'t str, structure: &str) -> Vec<&'t str> {
    let start = text.find(&format!("pub struct {structure} {{")).expect("the structure is there");
    let body = &text[start..];
    let body = &body[..body.find("\n}").expect("it ends")];
    body.lines().filter_map(|line| line.strip_prefix("    pub ")?.split(':').next()).collect()
}

#[test]
fn every_setting_is_read() {
    let config = std::fs::read_to_string(root().join("stages/src/config.rs")).expect("config.rs");
    let parts = sources("stages/src/config").into_iter().map(|(_, text)| text);
    let config: String = std::iter::once(config).chain(parts).collect();
    let stages = sources("stages/src").into_iter().filter(|(name, _)| !name.starts_with("config"));
    // The front end settles some itself; setting one there is not reading it.
    let front = sources("cli/src")
        .into_iter()
        .filter(|(name, _)| !name.starts_with("options") && name != "parse.rs" && name != "typed.rs");
    let text: String = stages.chain(front).map(|(_, text)| code(&text)).collect();
    let mut unread = Vec::new();
    for structure in ["Config", "Input", "Modifiers", "Unresolved", "ZFlags", "Folding", "Ordering"] {
        for field in fields(&config, structure) {
            let dotted = format!(".{field}");
            let is_read = text.match_indices(&dotted).any(|(at, _)| {
                let rest = &text[at + dotted.len()..];
                let is_longer = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                let is_set = rest.trim_start().starts_with("= ");
                !is_longer && !is_set
            });
            let is_named = text.contains("Input { name, modifiers }") && structure == "Input";
            if !is_read && !is_named {
                unread.push(format!("{structure}::{field}"));
            }
        }
    }
    assert!(unread.is_empty(), "options set these and no stage reads them: {unread:?}");
}

#[test]
fn imports_go_one_way() {
    for (name, text) in sources("engine/src") {
        for word in ["stages", "object", "gimli", "clap"] {
            let import = format!("{word}::");
            assert!(!code(&text).contains(&import), "engine/src/{name} knows {word}");
        }
    }
    for (name, text) in sources("stages/src") {
        for word in ["clap::", "anstream::", "anstyle::", "manifold::"] {
            assert!(!code(&text).contains(word), "stages/src/{name} knows {word}");
        }
    }
    let manifest =
        |room: &str| std::fs::read_to_string(root().join(room).join("Cargo.toml")).expect("a manifest");
    assert!(!has_word(&manifest("engine"), "stages"), "the engine depends on the stages");
    for dependency in ["engine", "stages", "object"] {
        assert!(!has_word(&manifest("cli/profile"), dependency), "reading traces depends on {dependency}");
    }
    for dependency in ["clap", "anstream", "tests", "perf"] {
        assert!(!has_word(&manifest("stages"), dependency), "the stages depend on {dependency}");
    }
}

#[test]
fn unsafe_code_stays_where_it_is() {
    let mut found = BTreeSet::new();
    for room in ["engine/src", "stages/src", "cli/profile/src", "cli/src", "tests/src", "perf/src"] {
        for (name, text) in sources(room) {
            // The tests of a module count, too.
            let lines = text.lines().map(|line| line.split("//").next().unwrap_or(""));
            let has_unsafe = lines.into_iter().any(|line| {
                ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "unsafe("]
                    .iter()
                    .any(|word| line.contains(word))
            });
            if has_unsafe {
                found.insert(format!("{room}/{name}"));
            }
        }
    }
    let listed: BTreeSet<String> = UNSAFE.iter().map(|name| name.to_string()).collect();
    assert_eq!(found, listed, "the modules with unsafe code differ from the list (left: found)");
}

#[test]
fn only_the_front_end_prints() {
    for room in ["engine/src", "stages/src", "cli/profile/src"] {
        for (name, text) in sources(room) {
            // The engine says so before it aborts; nobody else could any more.
            let last_words = room == "engine/src" && name == "pool.rs";
            for word in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
                let prints = has_word(&code(&text), word);
                assert!(!prints || last_words && word == "eprintln!", "{room}/{name} uses {word}");
            }
        }
    }
}

#[test]
fn machines_are_named_under_arch_only() {
    let names = ["x86_64", "x86-64", "aarch64", "riscv", "loongarch"];
    let mut found = BTreeSet::new();
    for (name, text) in sources("stages/src") {
        let text = code(&text).to_lowercase();
        if !name.starts_with("arch") && names.iter().any(|machine| text.contains(machine)) {
            found.insert(name);
        }
    }
    let listed: BTreeSet<String> = NAMES_MACHINES.iter().map(|name| name.to_string()).collect();
    assert_eq!(found, listed, "the modules that name machines differ from the list (left: found)");
}
