//! The linkers that are compared: finding them, and asking each for the same link.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::tools;

/// Whose command line a linker has; what differs between them is in the functions of [`Linker`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// manifold.
    Manifold,
    /// wild.
    Wild,
    /// mold.
    Mold,
    /// LLVM's linker, from LLVM or from the Rust toolchain.
    Lld,
    /// GNU ld.
    Gnu,
}

/// A linker on this machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Linker {
    /// What it is called in results.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// Whose command line it has.
    pub family: Family,
    /// What `--version` says first.
    pub version: String,
    /// Whether it leaves its caller waiting for a child of its own only, unless told `--no-fork`.
    pub forks: bool,
}

/// Whether a linker that forks does so.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As users run it.
    Usual,
    /// In one process (`--no-fork`).
    NoFork,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Usual => "",
            Mode::NoFork => " --no-fork",
        })
    }
}

impl Linker {
    /// The linker at `path`; what it is, it says itself.
    pub fn at(name: &str, path: &Path) -> Result<Linker> {
        // Results are taken in other folders; a name without a slash is looked for on the path.
        let path = if path.components().count() > 1 {
            std::path::absolute(path)?
        } else {
            tools::which(&path.to_string_lossy())
                .with_context(|| format!("there is no {}", path.display()))?
        };
        let mut command = Command::new(&path);
        command.args(flavour(&path)).arg("--version");
        let printed = tools::ask(&mut command).with_context(|| format!("cannot use {name}"))?;
        let version = printed.lines().next().unwrap_or_default().to_owned();
        let family =
            family(&version).with_context(|| format!("{}: {version:?} is unknown", path.display()))?;
        let help = tools::ask(Command::new(&path).args(flavour(&path)).arg("--help")).unwrap_or_default();
        let forks = help.contains("--no-fork");
        Ok(Linker { name: name.to_owned(), path, family, version, forks })
    }

    /// A linker given as `NAME=PATH`.
    pub fn given(text: &str) -> Result<Linker> {
        let Some((name, path)) = text.split_once('=') else { bail!("{text}: give NAME=PATH") };
        ensure!(!name.is_empty() && !path.is_empty(), "{text}: give NAME=PATH");
        Linker::at(name, Path::new(path))
    }

    /// The ways to run it that differ: linkers that fork have two.
    pub fn modes(&self) -> &'static [Mode] {
        if self.forks { &[Mode::Usual, Mode::NoFork] } else { &[Mode::Usual] }
    }

    /// The way to run it in one process, if it has such.
    pub fn alone(&self) -> Mode {
        if self.forks { Mode::NoFork } else { Mode::Usual }
    }

    /// Whether it can be told how many threads to use; if not it has one.
    pub fn has_threads(&self) -> bool {
        self.family != Family::Gnu
    }

    /// The command that links `corpus` into `output`. Every linker gets the same response file; only how
    /// threads and forking are said differs, and wild is told to keep sections where nobody asked it
    /// to drop any, which the others do by themselves.
    pub fn command(&self, corpus: &Corpus, output: &Path, threads: u32, mode: Mode) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&corpus.directory).args(flavour(&self.path));
        match self.family {
            Family::Manifold | Family::Wild | Family::Mold | Family::Lld => {
                command.arg(format!("--threads={threads}"));
            }
            Family::Gnu => {}
        }
        if mode == Mode::NoFork {
            command.arg("--no-fork");
        }
        if self.family == Family::Wild && !corpus.gc_sections {
            command.arg("--no-gc-sections");
        }
        command.arg("@link.rsp").arg("-o").arg(output);
        command
    }
}

/// What must stand first when a program of several linkers is called by its own name.
fn flavour(path: &Path) -> &'static [&'static str] {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("rust-lld" | "lld") => &["-flavor", "gnu"],
        _ => &[],
    }
}

fn family(version: &str) -> Option<Family> {
    let lower = version.to_lowercase();
    // The word that names the program, not one of "compatible with GNU ld".
    let own = lower.split('(').next().unwrap_or_default();
    let is = |word: &str| own.split_whitespace().any(|part| part == word);
    [("manifold", Family::Manifold), ("wild", Family::Wild), ("mold", Family::Mold), ("lld", Family::Lld)]
        .into_iter()
        .find_map(|(word, family)| is(word).then_some(family))
        .or_else(|| own.starts_with("gnu ld").then_some(Family::Gnu))
}

/// The peers this machine has: on the path, and in the Rust toolchain.
pub fn peers() -> Vec<Linker> {
    let mut found: Vec<(&str, PathBuf)> =
        ["wild", "mold"].into_iter().filter_map(|name| Some((name, tools::which(name)?))).collect();
    // The newest of LLVM's that is installed.
    let lld = ["ld.lld", "ld.lld-22", "ld.lld-21", "ld.lld-20", "ld.lld-19", "ld.lld-18"];
    found.extend(lld.into_iter().find_map(|name| Some(("lld", tools::which(name)?))));
    found.extend(rust_lld().map(|path| ("rust-lld", path)));
    found.extend(["ld.bfd", "ld"].into_iter().find_map(|name| Some(("ld", tools::which(name)?))));
    found.into_iter().filter_map(|(name, path)| Linker::at(name, &path).ok()).collect()
}

fn rust_lld() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let root = tools::ask(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    let path = Path::new(&root).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_is_known_by_its_version() {
        for (version, expected) in [
            ("manifold 0.1.0 (compatible with GNU ld)", Some(Family::Manifold)),
            ("Wild 0.10.0 non-git-build (compatible with GNU linkers)", Some(Family::Wild)),
            ("mold 2.42.1 (compatible with GNU ld)", Some(Family::Mold)),
            ("Debian LLD 19.1.7 (compatible with GNU linkers)", Some(Family::Lld)),
            ("GNU ld (GNU Binutils for Debian) 2.40", Some(Family::Gnu)),
            ("cc 12", None),
        ] {
            assert_eq!(family(version), expected, "{version}");
        }
    }
}
