//! Recording: makes a self-contained directory of one link.
//!
//! When the program is called by the name `ld` (through a link in a folder that a compiler driver is
//! pointed to with `-B`), it records the link it is asked for and then runs the real linker, so that
//! the build it stands in goes on. See [`as_linker`].
//!
//! What a record consists of: the folder `in/` with a copy of every file the link may read, and
//! `link.rsp` with the arguments, in which every file is named by its path relative to the record.
//! Libraries (`-lc`) are searched for once, here: a copy of the link names files, so that all linkers
//! read the same ones. Text files that stand for libraries (`libc.so`, `libgcc_s.so`) are replaced by
//! what they say.

use std::collections::{HashMap, HashSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::{CommandLine, Item, quoted};

/// Names the directory a link is recorded into.
pub const INTO: &str = "PERF_RECORD_INTO";
/// Names the linker that does the work.
pub const REAL: &str = "PERF_RECORD_LINKER";

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// How many input files.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
}

/// Acts as `ld`: records the link into `$PERF_RECORD_INTO` and becomes `$PERF_RECORD_LINKER`.
///
/// Returns only if something fails.
pub fn as_linker(arguments: Vec<OsString>) -> Result<()> {
    let words = arguments
        .iter()
        .map(|word| word.to_str().map(str::to_owned).with_context(|| format!("{word:?} is not UTF-8")))
        .collect::<Result<Vec<_>>>()?;
    // A question such as `ld -v` is not a link.
    if words.iter().any(|word| word.starts_with('@') || word == "-o") {
        let into = env::var_os(INTO).with_context(|| format!("{INTO} is not set"))?;
        record(CommandLine::parse(words)?, Path::new(&into))?;
    }
    let real = env::var_os(REAL).unwrap_or_else(|| "ld".into());
    let error = Command::new(&real).args(&arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", real.display()))
}

/// Makes `into` a self-contained copy of the link `line`. What was in `into` before is removed.
pub fn record(line: CommandLine, into: &Path) -> Result<Recorded> {
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("cannot remove {}", into.display()))?;
    }
    fs::create_dir_all(into.join("in")).with_context(|| format!("cannot create {}", into.display()))?;
    let mut copier = Copier {
        into,
        search: &line.search,
        copies: HashMap::new(),
        names: HashSet::new(),
        recorded: Recorded { files: 0, bytes: 0 },
    };
    let mut words = Vec::new();
    for item in &line.items {
        copier.add(item, &mut words)?;
    }
    let text: String = words.iter().map(|word| quoted(word) + "\n").collect();
    fs::write(into.join("link.rsp"), text)?;
    Ok(copier.recorded)
}

struct Copier<'a> {
    into: &'a Path,
    search: &'a [PathBuf],
    /// Original to copy, so that a file given twice is copied once.
    copies: HashMap<PathBuf, String>,
    names: HashSet<String>,
    recorded: Recorded,
}

impl Copier<'_> {
    fn add(&mut self, item: &Item, words: &mut Vec<String>) -> Result<()> {
        match item {
            Item::Plain(plain) => words.extend_from_slice(plain),
            Item::Input(path) => self.input(path, words)?,
            Item::Library { name, prefer_static } => {
                let path = self.find(name, *prefer_static)?;
                self.input(&path, words)?;
            }
            Item::Reads { option, separate, file } => {
                let copy = self.copy(file)?;
                if *separate {
                    words.extend([option.clone(), copy]);
                } else {
                    words.push(format!("{option}{copy}"));
                }
            }
        }
        Ok(())
    }

    /// Adds an input file: itself, or what it says if it is a script of input commands.
    fn input(&mut self, path: &Path, words: &mut Vec<String>) -> Result<()> {
        match input_commands(path)? {
            None => {
                let copy = self.copy(path)?;
                words.push(copy);
            }
            Some(commands) => self.commands(&commands, words).with_context(|| path.display().to_string())?,
        }
        Ok(())
    }

    fn commands(&mut self, tokens: &[String], words: &mut Vec<String>) -> Result<()> {
        let mut open = Vec::new();
        let mut tokens = tokens.iter().map(String::as_str);
        while let Some(token) = tokens.next() {
            match token {
                "OUTPUT_FORMAT" => {
                    tokens.by_ref().take_while(|&token| token != ")").for_each(drop);
                }
                "GROUP" | "INPUT" | "AS_NEEDED" => {
                    ensure!(tokens.next() == Some("("), "{token} without a parenthesis");
                    words.extend(match token {
                        "GROUP" => vec!["--start-group".to_owned()],
                        "AS_NEEDED" => vec!["--push-state".to_owned(), "--as-needed".to_owned()],
                        _ => vec![],
                    });
                    open.push(token);
                }
                ")" => match open.pop() {
                    Some("GROUP") => words.push("--end-group".to_owned()),
                    Some("AS_NEEDED") => words.push("--pop-state".to_owned()),
                    Some(_) => {}
                    None => bail!("a parenthesis too many"),
                },
                "," | ";" => {}
                _ => {
                    let path = match token.strip_prefix("-l") {
                        Some(name) => self.find(name, false)?,
                        None if Path::new(token).is_absolute() => PathBuf::from(token),
                        None => self.find_file(token)?,
                    };
                    self.input(&path, words)?;
                }
            }
        }
        Ok(())
    }

    fn find(&self, name: &str, prefer_static: bool) -> Result<PathBuf> {
        if let Some(file) = name.strip_prefix(':') {
            return self.find_file(file);
        }
        let shared = format!("lib{name}.so");
        let archive = format!("lib{name}.a");
        for folder in self.search {
            let candidates = if prefer_static { vec![&archive] } else { vec![&shared, &archive] };
            for candidate in candidates {
                let path = folder.join(candidate);
                if path.is_file() {
                    return Ok(path);
                }
            }
        }
        bail!("-l{name} is in none of the {} folders given with -L", self.search.len())
    }

    fn find_file(&self, name: &str) -> Result<PathBuf> {
        let found = self.search.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        found.with_context(|| format!("{name} is in none of the folders given with -L"))
    }

    /// Copies a file into `in/`, once; returns the path of the copy relative to the record.
    fn copy(&mut self, path: &Path) -> Result<String> {
        let original = fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
        if let Some(copy) = self.copies.get(&original) {
            return Ok(copy.clone());
        }
        // The name it was asked for by, not the one behind links: it may become a DT_NEEDED.
        let base = path.file_name().and_then(|name| name.to_str()).context("a file name is not UTF-8")?;
        let mut name = base.to_owned();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{number}-{base}");
            number += 1;
        }
        let copy = format!("in/{name}");
        let bytes = fs::copy(&original, self.into.join(&copy))
            .with_context(|| format!("cannot copy {}", original.display()))?;
        ensure!(!is_thin(&self.into.join(&copy))?, "{} is a thin archive: its members are elsewhere", base);
        self.recorded.files += 1;
        self.recorded.bytes += bytes;
        self.copies.insert(original, copy.clone());
        Ok(copy)
    }
}

fn start_of(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(8).read_to_end(&mut start)?;
    Ok(start)
}

fn is_thin(path: &Path) -> Result<bool> {
    Ok(start_of(path)? == b"!<thin>\n")
}

/// The tokens of a linker script that only names inputs; nothing for any other file.
fn input_commands(path: &Path) -> Result<Option<Vec<String>>> {
    let start = start_of(path)?;
    if start.starts_with(b"\x7fELF") || start.starts_with(b"!<") || start.is_empty() {
        return Ok(None);
    }
    let Ok(text) = fs::read_to_string(path) else { return Ok(None) };
    let tokens = script_tokens(&text);
    let names_inputs = tokens.iter().any(|token| token == "GROUP" || token == "INPUT");
    let has_more = tokens.iter().any(|token| token == "SECTIONS" || token == "MEMORY" || token == "{");
    Ok((names_inputs && !has_more).then_some(tokens))
}

fn script_tokens(text: &str) -> Vec<String> {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        bare.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    for mark in ["(", ")", ",", ";"] {
        bare = bare.replace(mark, &format!(" {mark} "));
    }
    bare.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn rsp(record: &Path) -> Vec<String> {
        fs::read_to_string(record.join("link.rsp")).unwrap().lines().map(str::to_owned).collect()
    }

    fn parse(words: &[String]) -> CommandLine {
        CommandLine::parse(words.iter().cloned()).unwrap()
    }

    #[test]
    fn a_record_names_only_its_own_files() {
        let scratch = Scratch::new("record").unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("a.o"), b"\x7fELF 1").unwrap();
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/a.o"), b"\x7fELF two").unwrap();
        fs::write(at("libx.a"), b"!<arch>\n").unwrap();
        fs::write(at("v.map"), b"{ local: *; };").unwrap();
        let text = |path: PathBuf| path.display().to_string();
        let line = parse(&[
            text(at("a.o")),
            text(at("sub/a.o")),
            format!("-L{}", scratch.path().display()),
            "-lx".into(),
            "-lx".into(),
            format!("--version-script={}", text(at("v.map"))),
        ]);
        let recorded = record(line, &at("out")).unwrap();
        assert_eq!(recorded, Recorded { files: 4, bytes: 6 + 8 + 8 + 14 });
        assert_eq!(
            rsp(&at("out")),
            ["in/a.o", "in/2-a.o", "in/libx.a", "in/libx.a", "--version-script=in/v.map"]
        );
    }

    #[test]
    fn a_script_of_inputs_is_replaced_by_what_it_says() {
        let scratch = Scratch::new("script").unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("libc.so.6"), b"\x7fELF").unwrap();
        fs::write(at("libc_nonshared.a"), b"!<arch>\n").unwrap();
        fs::write(at("ld.so"), b"\x7fELF").unwrap();
        let script = format!(
            "/* GNU ld script */ OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( {} libc_nonshared.a AS_NEEDED ( ld.so ) )",
            at("libc.so.6").display()
        );
        fs::write(at("libc.so"), script).unwrap();
        let line = parse(&["-lc".into(), format!("-L{}", scratch.path().display())]);
        record(line, &at("out")).unwrap();
        let expected = "--start-group in/libc.so.6 in/libc_nonshared.a --push-state --as-needed in/ld.so --pop-state --end-group";
        assert_eq!(rsp(&at("out")).join(" "), expected);
    }

    #[test]
    fn static_search_does_not_take_shared_libraries() {
        let scratch = Scratch::new("static").unwrap();
        fs::write(scratch.path().join("libx.so"), b"\x7fELF").unwrap();
        let folder = format!("-L{}", scratch.path().display());
        let into = scratch.path().join("out");
        assert!(record(parse(&[folder.clone(), "-Bstatic".into(), "-lx".into()]), &into).is_err());
        assert!(record(parse(&[folder, "-lx".into()]), &into).is_ok());
    }

    #[test]
    fn thin_archives_are_refused() {
        let scratch = Scratch::new("thin").unwrap();
        let archive = scratch.path().join("thin.a");
        fs::write(&archive, b"!<thin>\nmore").unwrap();
        let error = record(parse(&[archive.display().to_string()]), &scratch.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("thin archive"), "{error}");
    }
}
