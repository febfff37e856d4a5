//! The linker under test, and how to make every driver call it.
//!
//! By default that is the `manifold` of this workspace. `LINKER_UNDER_TEST=/usr/bin/ld` (or `ld.lld`, `mold`
//! ...) puts another linker in its place, which tells two things: that a case is right, because a linker the
//! world trusts passes it, and how peers behave where they differ.
//!
//! gcc finds the [`shim`](crate::shim) through `-B`, clang through `--ld-path`, rustc through its
//! `link-arg`, cargo through the flags it gives rustc.

use crate::shim;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A linker that cases run with.
#[derive(Debug, Clone)]
pub struct Linker {
    /// `manifold`, `ld`, `lld`, `mold`, `gold` or `wild`: the value of `{linker}` in cases.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// A directory with an `ld` in it that is the shim.
    pub shims: PathBuf,
}

/// What kind of program the first word of a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    Linker,
    Gcc,
    Clang,
    Rustc,
    Cargo,
    Other,
}

impl Linker {
    /// The linker at `path`, recognized by what `--version` says. `shims` is a directory made by [`shims`].
    ///
    /// # Errors
    /// It cannot be run.
    pub fn at(path: &Path, shims: &Path) -> Result<Linker, String> {
        let said = Command::new(path).arg("--version").output();
        let said = said.map_err(|e| format!("{}: {e}", path.display()))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let known = [
            ("manifold", "manifold"),
            ("mold", "mold"),
            ("LLD", "lld"),
            ("Wild", "wild"),
            ("GNU gold", "gold"),
            ("GNU ld", "ld"),
        ];
        let name = known.iter().find(|(word, _)| said.contains(word)).map_or("manifold", |(_, name)| *name);
        Ok(Linker { name: name.to_owned(), path: path.to_owned(), shims: shims.to_owned() })
    }

    /// Another linker of this machine, by its short name.
    ///
    /// # Errors
    /// It is not installed.
    pub fn peer(&self, name: &str) -> Result<Linker, String> {
        let programs: &[&str] = match name {
            "ld" => &["ld.bfd", "ld"],
            "lld" => &["ld.lld-19", "ld.lld"],
            "mold" => &["mold"],
            "gold" => &["ld.gold"],
            "wild" => &["wild"],
            _ => return Err(format!("`{name}` is no linker to compare with")),
        };
        let path = programs.iter().find_map(|program| find_tool(program));
        let path = path.ok_or_else(|| format!("{name} is not installed"))?;
        Ok(Linker { name: name.to_owned(), path, shims: self.shims.clone() })
    }

    /// Whether this is the linker of this project, which is held to more than its peers: silence, equal
    /// output for all numbers of threads, nothing for the ELF checkers to complain about.
    pub fn is_ours(&self) -> bool {
        self.name == "manifold"
    }

    /// Changes a command so that its driver calls the shim.
    pub fn through_shim(&self, words: &mut Vec<String>) {
        let shim = self.shims.join("ld").display().to_string();
        let at = program_index(words);
        let Some(program) = words.get(at) else { return };
        match driver(program) {
            Driver::Linker => words[at] = shim,
            Driver::Gcc => words.insert(at + 1, format!("-B{}/", self.shims.display())),
            Driver::Clang => words.insert(at + 1, format!("--ld-path={shim}")),
            Driver::Rustc => words.splice(at + 1..at + 1, self.rust_flags()).for_each(drop),
            Driver::Cargo | Driver::Other => {}
        }
    }

    /// Changes a command of `ld` so that it runs the linker itself; other drivers go through the shim.
    pub fn directly(&self, words: &mut Vec<String>) {
        let at = program_index(words);
        match words.get(at).map(|program| driver(program)) {
            Some(Driver::Linker) => words[at] = self.path.display().to_string(),
            _ => self.through_shim(words),
        }
    }

    /// What the shim and cargo need to know.
    pub fn environment(&self, reports: &Path, threads: &str) -> Vec<(String, String)> {
        vec![
            (shim::LINKER.into(), self.path.display().to_string()),
            (shim::REPORTS.into(), reports.display().to_string()),
            (shim::THREADS.into(), threads.to_owned()),
            ("CARGO_ENCODED_RUSTFLAGS".into(), self.rust_flags().join("\u{1f}")),
            ("CARGO_NET_OFFLINE".into(), "true".into()),
        ]
    }

    /// Since 1.90 rustc has lld by itself on x86-64 Linux, so that has to be turned off first.
    fn rust_flags(&self) -> Vec<String> {
        vec!["-Clinker-features=-lld".into(), format!("-Clink-arg=-B{}/", self.shims.display())]
    }
}

/// Whether the files a command makes are known from its words: true for linkers and C compilers.
pub fn has_plain_output(words: &[String]) -> bool {
    let program = words.get(program_index(words));
    program.is_some_and(|p| matches!(driver(p), Driver::Linker | Driver::Gcc | Driver::Clang))
}

/// Whether running the command again links again: not so for cargo, which remembers.
pub fn is_repeatable(words: &[String]) -> bool {
    words.get(program_index(words)).is_some_and(|p| driver(p) != Driver::Cargo)
}

/// The index of the program in `env -C directory NAME=value ... program argument ...`.
fn program_index(words: &[String]) -> usize {
    if words.first().is_none_or(|w| w != "env") {
        return 0;
    }
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-C" | "-u" => at += 2,
            word if word.contains('=') => at += 1,
            _ => return at,
        }
    }
    0
}

fn driver(program: &str) -> Driver {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name {
        "ld" => Driver::Linker,
        "rustc" => Driver::Rustc,
        "cargo" => Driver::Cargo,
        _ if name.starts_with("clang") => Driver::Clang,
        _ if ["gcc", "g++"].iter().any(|n| name.starts_with(n) || name.ends_with(n)) => Driver::Gcc,
        _ => Driver::Other,
    }
}

/// Makes a directory in which the shim is called `ld`.
///
/// # Errors
/// The file system says no.
pub fn shims(directory: &Path, shim: &Path) -> Result<PathBuf, String> {
    let shims = directory.join("shims");
    let link = shims.join("ld");
    std::fs::create_dir_all(&shims).map_err(|e| format!("{}: {e}", shims.display()))?;
    if std::fs::read_link(&link).ok().as_deref() != Some(shim) {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(shim, &link).map_err(|e| format!("{}: {e}", link.display()))?;
    }
    Ok(shims)
}

/// Finds a program in PATH.
pub fn find_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{line, words};

    #[test]
    fn each_driver_is_led_to_the_shim() {
        let linker = Linker { name: "ld".into(), path: "/usr/bin/ld".into(), shims: "/s".into() };
        let adapted = |text: &str| {
            let mut words = words(text).expect("words");
            linker.through_shim(&mut words);
            line(&words)
        };
        assert_eq!(adapted("gcc a.c -o a"), "gcc -B/s/ a.c -o a");
        assert_eq!(adapted("musl-gcc a.c"), "musl-gcc -B/s/ a.c");
        assert_eq!(adapted("clang++-19 a.cc"), "clang++-19 --ld-path=/s/ld a.cc");
        assert_eq!(adapted("env A=b ld x.o"), "env A=b /s/ld x.o");
        assert_eq!(adapted("env -C dir gcc"), "env -C dir gcc -B/s/");
        assert_eq!(adapted("objcopy a b"), "objcopy a b");
        assert!(adapted("rustc a.rs").starts_with("rustc -Clinker-features=-lld -Clink-arg=-B/s/"));
    }
}
