//! How many instructions a small link takes: a figure that a busy machine does not disturb.
//!
//! Time says what a link costs, but only on a quiet machine, and tells nothing apart below some percent. The number of
//! instructions executed in the program (not in the kernel), counted by valgrind's callgrind, hardly changes from run
//! to run. It says nothing of memory, so it does not replace a measurement; it shows that a change made more work.
//!
//! The last figures are kept in `results/instructions.json`; a count that is more than [`SLACK`] above is a failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::linkers::Linker;
use crate::scratch::Scratch;

/// By how much a count may exceed the one that was kept: names are hashed with a key of their own in every run, so
/// tables fill a little differently.
const SLACK: f64 = 0.03;

/// Instructions by workload and linker.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Figures(BTreeMap<String, BTreeMap<String, u64>>);

/// Where the figures are kept.
pub fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results/instructions.json")
}

impl Figures {
    /// Counts every linker on every corpus, with one thread and without forking.
    pub fn count(linkers: &[Linker], corpora: &[Corpus]) -> Result<Figures> {
        let mut figures = Figures::default();
        for corpus in corpora {
            for linker in linkers {
                let count =
                    count(linker, corpus).with_context(|| format!("{} on {}", linker.name, corpus.name))?;
                figures.0.entry(corpus.name.clone()).or_default().insert(linker.name.clone(), count);
            }
        }
        Ok(figures)
    }

    /// Reads what was kept; nothing if nothing was.
    pub fn read(file: &Path) -> Result<Figures> {
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| file.display().to_string()),
            Err(_) => Ok(Figures::default()),
        }
    }

    /// Keeps these figures, and those of other workloads and linkers as they were.
    pub fn keep(self, file: &Path) -> Result<()> {
        let mut all = Figures::read(file)?;
        for (corpus, counts) in self.0 {
            all.0.entry(corpus).or_default().extend(counts);
        }
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn of(&self, corpus: &str, linker: &str) -> Option<u64> {
        self.0.get(corpus)?.get(linker).copied()
    }

    /// A table of these figures beside the older ones.
    pub fn table(&self, older: &Figures) -> String {
        let mut text = "| workload | linker | instructions | before | |\n|---|---|---|---|---|\n".to_owned();
        for (corpus, counts) in &self.0 {
            for (linker, count) in counts {
                let (before, change) = match older.of(corpus, linker) {
                    Some(before) => (before.to_string(), format!("{:+.1} %", 100.0 * rise(*count, before))),
                    None => (String::new(), String::new()),
                };
                text += &format!("| {corpus} | {linker} | {count} | {before} | {change} |\n");
            }
        }
        text
    }

    /// Fails if manifold executes notably more than it did.
    pub fn check(&self, older: &Figures) -> Result<()> {
        for (corpus, counts) in &self.0 {
            for (linker, count) in counts.iter().filter(|(linker, _)| *linker == "manifold") {
                if let Some(before) = older.of(corpus, linker) {
                    ensure!(
                        rise(*count, before) <= SLACK,
                        "{corpus}: {count} instructions, {:.1} % more than the {before} that were kept; \
                         if that is as it should be, keep the new figure with --keep",
                        100.0 * rise(*count, before)
                    );
                }
            }
        }
        Ok(())
    }
}

fn rise(count: u64, before: u64) -> f64 {
    count as f64 / before as f64 - 1.0
}

fn count(linker: &Linker, corpus: &Corpus) -> Result<u64> {
    let scratch = Scratch::under(&std::env::temp_dir(), "instructions")?;
    let plain = linker.command(corpus, &scratch.path().join("out"), 1, linker.alone());
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(&corpus.directory);
    let output = command.output().context("cannot run valgrind: install it")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind: {}", said.lines().last().unwrap_or_default());
    collected(&said)
}

/// The figure behind `Collected :` in what callgrind says.
fn collected(said: &str) -> Result<u64> {
    let Some((_, rest)) = said.split_once("Collected :") else { bail!("callgrind has counted nothing") };
    let word = rest.split_whitespace().next().unwrap_or_default();
    word.parse().with_context(|| format!("callgrind says {word:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: u64) -> Figures {
        Figures([("hello-c".into(), [("manifold".into(), count)].into())].into())
    }

    #[test]
    fn the_count_is_found() {
        let said = "==7== \n==7== Events    : Ir\n==7== Collected : 9881234\n==7== \n==7== I   refs:      9,881,234\n";
        assert_eq!(collected(said).unwrap(), 9_881_234);
        assert!(collected("nothing").is_err());
    }

    #[test]
    fn more_is_a_failure_and_less_is_none() {
        assert!(figures(102).check(&figures(100)).is_ok());
        assert!(figures(50).check(&figures(100)).is_ok());
        assert!(figures(104).check(&figures(100)).is_err());
        assert!(figures(104).check(&Figures::default()).is_ok());
    }

    #[test]
    fn what_is_not_counted_again_stays() {
        let scratch = Scratch::new("figures").unwrap();
        let file = scratch.path().join("kept.json");
        figures(100).keep(&file).unwrap();
        Figures([("hello-rust".into(), [("manifold".into(), 7)].into())].into()).keep(&file).unwrap();
        let kept = Figures::read(&file).unwrap();
        assert_eq!((kept.of("hello-c", "manifold"), kept.of("hello-rust", "manifold")), (Some(100), Some(7)));
        assert!(figures(101).table(&kept).contains("| hello-c | manifold | 101 | 100 | +1.0 % |"));
    }
}
