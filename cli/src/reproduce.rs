//! The command line of a link, rewritten so that it works in the tree that `--reproduce` packs.
//!
//! In: [`Spoken`], every option and input in the order typed. Out: the text of `response.txt`. Paths of inputs become
//! paths below the top of the tree; outputs lose their directories; a plugin stays where it is; the option itself is left
//! out. Library directories are listed as resolved, so that `-l` finds the packed files
//! first; the directory the link ran in comes last, for names in scripts that are relative to it.
//!
//! `--chroot .` makes absolute names in linker scripts mean files of the tree.

use stages::config::Config;
use stages::reproduce::tree_path;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A piece of the command line, as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// An input file.
    Input(Vec<u8>),
    /// An option: the first of its names, the word it stood in, and its value if that was the next word.
    Option {
        /// The name that is first in the table.
        name: &'static str,
        /// As typed.
        word: Vec<u8>,
        /// The value, joined or not.
        value: Option<Vec<u8>>,
        /// The value was the next word.
        is_separate: bool,
    },
}

/// Options whose value is an input file.
const INPUTS: &[&str] = &[
    "T",
    "version-script",
    "dynamic-list",
    "export-dynamic-symbol-list",
    "retain-symbols-file",
    "symbol-ordering-file",
    "call-graph-ordering-file",
    "section-ordering-file",
    "just-symbols",
    "dT",
    "c",
];
/// Options whose value is a list of directories.
const DIRECTORIES: &[&str] = &["rpath-link"];
/// Options whose value is a file to be written.
const OUTPUTS: &[&str] = &["o", "Map", "dependency-file", "trace", "separate-debug-file", "why-extract"];
/// Options that are left out, or given in another form.
const LEFT_OUT: &[&str] = &["L", "Y", "sysroot", "reproduce", "repro", "chroot", "C", "threads"];

/// The text of the response file.
pub fn response(spoken: &[Spoken], config: &Config, directory: &Path) -> Vec<u8> {
    let tree = |path: &[u8]| -> Vec<u8> {
        let path = tree_path(directory, Path::new(OsStr::from_bytes(path)));
        path.into_os_string().into_encoded_bytes()
    };
    let mut text = b"--chroot .\n".to_vec();
    if let Some(sysroot) = &config.sysroot {
        line(&mut text, &[b"--sysroot", &tree(sysroot.as_os_str().as_bytes())]);
    }
    let mut listed = HashSet::new();
    for dir in config.library_paths.iter().map(|dir| dir.as_os_str().as_bytes()).chain([&b"."[..]]) {
        let dir = tree(dir);
        if listed.insert(dir.clone()) {
            line(&mut text, &[b"-L", &dir]);
        }
    }
    for piece in spoken {
        match piece {
            // A name in the sysroot stays one.
            Spoken::Input(name) if name.starts_with(b"=") || name.starts_with(b"$SYSROOT") => {
                line(&mut text, &[name]);
            }
            Spoken::Input(name) => line(&mut text, &[&tree(name)]),
            Spoken::Option { name, .. } if LEFT_OUT.contains(name) => {}
            // A file of the compiler driver's that GCC's plugin writes for it.
            Spoken::Option { name, value: Some(value), .. }
                if *name == "plugin-opt" && value.starts_with(b"-fresolution=") => {}
            Spoken::Option { name, word, value, is_separate } => {
                let Some(value) = value else {
                    line(&mut text, &[word]);
                    continue;
                };
                let changed = if INPUTS.contains(name) {
                    tree(value)
                } else if DIRECTORIES.contains(name) {
                    let dirs: Vec<Vec<u8>> = value.split(|b| *b == b':').map(tree).collect();
                    dirs.join(&b':')
                } else if OUTPUTS.contains(name) {
                    Path::new(OsStr::from_bytes(value)).file_name().unwrap_or_default().as_bytes().to_vec()
                } else {
                    value.clone()
                };
                if *is_separate {
                    line(&mut text, &[word, &changed]);
                } else {
                    let end = word.len() - value.len();
                    line(&mut text, &[&[&word[..end], &changed[..]].concat()]);
                }
            }
        }
    }
    text
}

/// A line of words, quoted where a reader would see more than one or something else in them.
fn line(text: &mut Vec<u8>, words: &[&[u8]]) {
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            text.push(b' ');
        }
        let is_plain =
            |byte: &u8| !byte.is_ascii_whitespace() && !matches!(byte, b'\x0b' | b'"' | b'\'' | b'\\');
        if !word.is_empty() && word.iter().all(is_plain) {
            text.extend_from_slice(word);
            continue;
        }
        text.push(b'"');
        for byte in *word {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.push(b'"');
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{AREAS, Index};
    use crate::parse::parse;
    use crate::resolve::{Environment, resolve};

    fn rewritten(words: &[&str]) -> Vec<String> {
        let words: Vec<_> = words.iter().map(Into::into).collect();
        let environment = Environment { directory: "/home/me".into(), ..Environment::default() };
        let config = resolve(parse(&words), environment).config;
        let response = config.reproduce.expect("it was asked for").response;
        String::from_utf8(response).unwrap().lines().map(str::to_string).collect()
    }

    #[test]
    fn paths_are_moved_and_the_rest_stays() {
        let lines = rewritten(&[
            "--reproduce=r.tar",
            "-nostdlib",
            "-L../lib",
            "-L=/usr/lib",
            "--sysroot=/sys",
            "-o",
            "out/main",
            "-lm",
            "a b.o",
            "-z",
            "now",
            "-znorelro",
            "--version-script=v.map",
            "-T",
            "/x.ld",
            "-rpath-link",
            "d:/e",
            "-soname",
            "q\"x",
            "--Map=d/m",
            "-plugin",
            "/p.so",
            "-plugin-opt=-fresolution=/tmp/x",
            "-plugin-opt=/lib/wrapper",
            "-e_main",
            "@absent",
            "--gc-sections",
        ]);
        assert_eq!(
            lines,
            [
                "--chroot .",
                "--sysroot sys",
                "-L home/lib",
                "-L sys/usr/lib",
                "-L home/me",
                "-nostdlib",
                "-o main",
                "-lm",
                "\"home/me/a b.o\"",
                "-z now",
                "-znorelro",
                "--version-script=home/me/v.map",
                "-T x.ld",
                "-rpath-link home/me/d:e",
                "-soname \"q\\\"x\"",
                "--Map=m",
                "-plugin /p.so",
                "-plugin-opt=/lib/wrapper",
                "-e_main",
                "home/me/@absent",
                "--gc-sections",
            ]
        );
    }

    #[test]
    fn the_named_options_exist() {
        let index = Index::new();
        for name in [INPUTS, DIRECTORIES, OUTPUTS, LEFT_OUT].concat() {
            let is_first = AREAS.iter().flat_map(|area| area.options).any(|option| option.names[0] == name);
            let is_known =
                index.long(name.as_bytes(), true).is_some() || index.short(name.as_bytes()[0]).is_some();
            assert!(is_known && is_first, "{name}");
        }
    }
}
