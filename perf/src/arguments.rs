//! The command line of an `ld`, as far as one must understand it to make it self-contained.
//!
//! In: the arguments a compiler driver gave to `ld`. Out: a list of [`Item`]s, in the same order,
//! that says of each argument whether it names an input file, a library to search for, or a file
//! an option reads. [`crate::record`] copies those files; everything else passes through untouched.
//!
//! Not here: what any option means for the link. Of the state an option may change, only
//! `-Bstatic`/`-Bdynamic` and `-L` matter, because they decide which file a `-l` names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One argument (or an option and its value), sorted by what a copy of the link needs to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Goes into the copy as it is.
    Plain(Vec<String>),
    /// An input file named by its path.
    Input(PathBuf),
    /// `-l` and the name after it, with the search state where it stands.
    Library { name: String, prefer_static: bool },
    /// An option that reads a file: the text before the path (`--version-script=`, or `-T` with the
    /// path in an argument of its own when `separate`).
    Reads { option: String, separate: bool, file: PathBuf },
}

/// A whole command line, sorted.
#[derive(Debug, Default)]
pub struct CommandLine {
    /// The arguments in order, without those a copy must not have.
    pub items: Vec<Item>,
    /// Where `-l` looks, in order.
    pub search: Vec<PathBuf>,
    /// What `-o` says, if anything.
    pub output: Option<PathBuf>,
}

/// Options whose value names a file that is read, with the value joined by `=` or in the next argument.
const READS: &[&str] = &[
    "T",
    "script",
    "version-script",
    "dynamic-list",
    "just-symbols",
    "retain-symbols-file",
    "symbol-ordering-file",
    "export-dynamic-symbol-list",
    "section-ordering-file",
];

/// Options with a value in the next argument (or joined by `=`) that pass through.
const VALUES: &[&str] = &[
    "m",
    "z",
    "u",
    "e",
    "h",
    "y",
    "A",
    "a",
    "b",
    "c",
    "F",
    "f",
    "I",
    "G",
    "soname",
    "entry",
    "undefined",
    "require-defined",
    "init",
    "fini",
    "rpath",
    "dynamic-linker",
    "defsym",
    "wrap",
    "hash-style",
    "section-start",
    "Ttext",
    "Tdata",
    "Tbss",
    "Ttext-segment",
    "exclude-libs",
    "auxiliary",
    "filter",
    "format",
    "architecture",
    "sort-section",
    "trace-symbol",
    "image-base",
    "export-dynamic-symbol",
    "unresolved-symbols",
];

/// Options with a value that a copy of the link must not have: they write files, name places outside the
/// copy, or load a plugin. Without an LTO object among the inputs the plugin does nothing.
const DROPPED: &[&str] =
    &["plugin", "plugin-opt", "Map", "dependency-file", "rpath-link", "sysroot", "out-implib"];

impl CommandLine {
    /// Sorts `arguments`, which do not include the program's own name. Response files are read.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<CommandLine> {
        let mut parser = Parser { line: CommandLine::default(), prefer_static: vec![false] };
        let mut arguments = expand(arguments.into_iter().collect())?.into_iter();
        while let Some(argument) = arguments.next() {
            parser.take(argument, &mut arguments)?;
        }
        Ok(parser.line)
    }
}

struct Parser {
    line: CommandLine,
    /// The `-Bstatic` state; a stack because of `--push-state`.
    prefer_static: Vec<bool>,
}

impl Parser {
    fn take(&mut self, argument: String, rest: &mut impl Iterator<Item = String>) -> Result<()> {
        let Some(option) = argument.strip_prefix('-').filter(|option| !option.is_empty()) else {
            self.line.items.push(Item::Input(PathBuf::from(argument)));
            return Ok(());
        };
        let long = option.strip_prefix('-');
        let name = long.unwrap_or(option);
        let mut value = |joined: Option<&str>| match joined {
            Some(joined) => Ok(joined.to_owned()),
            None => rest.next().with_context(|| format!("{argument}: its value is missing")),
        };
        let (stem, joined) = match name.split_once('=') {
            Some((stem, joined)) => (stem, Some(joined)),
            None => (name, None),
        };
        let state = self.prefer_static.last_mut().context("--pop-state without --push-state")?;
        match stem {
            "Bstatic" | "dn" | "static" | "non_shared" => *state = true,
            "Bdynamic" | "dy" | "call_shared" => *state = false,
            "push-state" => {
                let now = *state;
                self.prefer_static.push(now);
            }
            "pop-state" => {
                self.prefer_static.pop();
            }
            "o" | "output" => {
                self.line.output = Some(PathBuf::from(value(joined)?));
                return Ok(());
            }
            "L" | "library-path" => {
                self.line.search.push(PathBuf::from(value(joined)?));
                return Ok(());
            }
            "l" | "library" => {
                let name = value(joined)?;
                self.line.items.push(Item::Library { name, prefer_static: *state });
                return Ok(());
            }
            _ if DROPPED.contains(&stem) => {
                value(joined)?;
                return Ok(());
            }
            _ if READS.contains(&stem) => {
                let file = PathBuf::from(value(joined)?);
                let separate = joined.is_none();
                let option = match argument.split_once('=') {
                    Some((before, _)) if !separate => format!("{before}="),
                    _ => argument,
                };
                self.line.items.push(Item::Reads { option, separate, file });
                return Ok(());
            }
            _ if VALUES.contains(&stem) => {
                let value = if joined.is_none() { Some(value(None)?) } else { None };
                self.line.items.push(Item::Plain([argument].into_iter().chain(value).collect()));
                return Ok(());
            }
            _ if long.is_none() && name.starts_with('L') => {
                self.line.search.push(PathBuf::from(&name[1..]));
                return Ok(());
            }
            _ if long.is_none() && name.starts_with('l') => {
                self.line.items.push(Item::Library { name: name[1..].to_owned(), prefer_static: *state });
                return Ok(());
            }
            _ if long.is_none() && name.starts_with('o') && !name.starts_with("omagic") => {
                self.line.output = Some(PathBuf::from(&name[1..]));
                return Ok(());
            }
            _ => {}
        }
        self.line.items.push(Item::Plain(vec![argument]));
        Ok(())
    }
}

/// Replaces each `@file` by the arguments in the file.
fn expand(arguments: Vec<String>) -> Result<Vec<String>> {
    let mut all = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.strip_prefix('@') {
            Some(file) if Path::new(file).exists() => {
                let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
                all.extend(expand(split(&text)?)?);
            }
            _ => all.push(argument),
        }
    }
    Ok(all)
}

/// Splits the text of a response file: blanks separate, quotes and backslashes protect.
pub fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().extend(letters.next()),
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        bail!("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// Writes `word` such that [`split`] and every linker read it back as one argument.
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,+:@%^~".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from('"');
    for letter in word.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CommandLine {
        CommandLine::parse(line.split_whitespace().map(str::to_owned)).unwrap()
    }

    fn plain(words: &[&str]) -> Item {
        Item::Plain(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn inputs_libraries_and_options_keep_their_order() {
        let line =
            parse("-pie -m elf_x86_64 -o out crt1.o -L/a -L /b -Bstatic -lx -Bdynamic --library=y -z now");
        assert_eq!(line.output, Some(PathBuf::from("out")));
        assert_eq!(line.search, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(
            line.items,
            [
                plain(&["-pie"]),
                plain(&["-m", "elf_x86_64"]),
                Item::Input("crt1.o".into()),
                plain(&["-Bstatic"]),
                Item::Library { name: "x".into(), prefer_static: true },
                plain(&["-Bdynamic"]),
                Item::Library { name: "y".into(), prefer_static: false },
                plain(&["-z", "now"]),
            ]
        );
    }

    #[test]
    fn pushed_state_is_popped() {
        let line = parse("--push-state -Bstatic -la --pop-state -lb");
        assert!(line.items.contains(&Item::Library { name: "a".into(), prefer_static: true }));
        assert!(line.items.contains(&Item::Library { name: "b".into(), prefer_static: false }));
    }

    #[test]
    fn files_that_options_read_are_found_in_both_spellings() {
        let line = parse("--version-script=v.map -T s.ld -dynamic-list=d");
        let reads = |option: &str, separate, file: &str| Item::Reads {
            option: option.into(),
            separate,
            file: file.into(),
        };
        assert_eq!(
            line.items,
            [
                reads("--version-script=", false, "v.map"),
                reads("-T", true, "s.ld"),
                reads("-dynamic-list=", false, "d"),
            ]
        );
    }

    #[test]
    fn what_only_the_original_place_needs_is_dropped() {
        let line = parse("-plugin lto.so -plugin-opt=-fresolution=x -Map out.map -rpath-link=/x a.o");
        assert_eq!(line.items, [Item::Input("a.o".into())]);
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(CommandLine::parse(["-o".to_owned()]).is_err());
    }

    #[test]
    fn quoted_words_come_back() {
        for word in ["a", "two words", "quo\"te", "back\\slash", "", "$ORIGIN/../lib"] {
            assert_eq!(split(&quoted(word)).unwrap(), [word]);
        }
        assert!(split("\"open").is_err());
    }
}
