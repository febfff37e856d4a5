//! The comparison: every linker makes the same link, in turns.
//!
//! One *group* of measurements is one corpus, one place for the output and one number of threads. In it
//! every contender runs once and is checked (the warm-up, whose time is thrown away), then they take
//! turns: A B C, B C A, C A B ..., so that whatever else the machine does hits all of them alike.
//! Every output is checked before its time counts. Every link writes a new file: the old one is
//! removed first, outside the time. The floor of each group is `cp` of an output.
//!
//! A contender whose link fails or whose output is wrong is out, and the result says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::corpus::{Corpus, Verified};
use crate::linkers::{Linker, Mode};
use crate::machine::{self, Machine};
use crate::measure::{self, Cost};
use crate::scratch::Scratch;

/// What is to be compared.
pub struct Plan {
    /// The linkers; the first is the one the others are compared with.
    pub linkers: Vec<Linker>,
    /// The workloads.
    pub corpora: Vec<Corpus>,
    /// Numbers of threads.
    pub threads: Vec<u32>,
    /// Folders for the output, with what to call them.
    pub places: Vec<(String, PathBuf)>,
    /// Measurements of each contender in each group.
    pub runs: u32,
    /// Runs before that which do not count.
    pub warm_ups: u32,
}

/// A whole comparison.
#[derive(Debug, Deserialize, Serialize)]
pub struct Comparison {
    /// Where it was made.
    pub machine: Machine,
    /// Who took part; the first is the one the others are compared with.
    pub linkers: Vec<Linker>,
    /// The measurements.
    pub groups: Vec<Group>,
}

/// One corpus, one place, one number of threads.
#[derive(Debug, Deserialize, Serialize)]
pub struct Group {
    /// The corpus.
    pub corpus: Corpus,
    /// What the place for the output is called.
    pub place: String,
    /// Its file system.
    pub file_system: String,
    /// How many threads each linker was given.
    pub threads: u32,
    /// The load average when the group began, of which one is not ours only from the second group on.
    pub load: f64,
    /// Who took part.
    pub contenders: Vec<Contender>,
    /// Copies of an output of the first contender.
    pub copies: Vec<Cost>,
}

/// One linker in one mode, and what it cost.
#[derive(Debug, Deserialize, Serialize)]
pub struct Contender {
    /// The linker's name.
    pub linker: String,
    /// The mode.
    pub mode: Mode,
    /// What it cost, run by run.
    pub costs: Vec<Cost>,
    /// The size of its output in bytes.
    pub output_bytes: u64,
    /// Why it is out, if it is.
    pub failure: Option<String>,
}

/// Makes the comparison. `progress` is called with a line for each group.
pub fn compare(plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Comparison> {
    measure::adopt_orphans()?;
    let machine = Machine::describe();
    let mut groups = Vec::new();
    for corpus in &plan.corpora {
        // Right is right, wherever the output lies and however many threads made it.
        let mut verified = Verified::default();
        for (place, folder) in &plan.places {
            for (number, &threads) in plan.threads.iter().enumerate() {
                progress(&format!("{}, output on {place}, {threads} threads", corpus.name));
                let single = number == 0;
                groups.push(group(plan, corpus, (place, folder), threads, single, &mut verified)?);
            }
        }
    }
    Ok(Comparison { machine, linkers: plan.linkers.clone(), groups })
}

/// Measures one group. Linkers without threads take part only where `with_single` says so.
fn group(
    plan: &Plan,
    corpus: &Corpus,
    (place, folder): (&str, &Path),
    threads: u32,
    with_single: bool,
    verified: &mut Verified,
) -> Result<Group> {
    let scratch = Scratch::under(folder, "output")?;
    let output = scratch.path().join("output");
    let load = machine::load();
    let mut contenders = Vec::new();
    let mut linkers = Vec::new();
    for linker in plan.linkers.iter().filter(|linker| linker.has_threads() || with_single) {
        for &mode in linker.modes() {
            linkers.push(linker);
            contenders.push(Contender {
                linker: linker.name.clone(),
                mode,
                costs: Vec::new(),
                output_bytes: 0,
                failure: None,
            });
        }
    }

    let mut once = |contender: &mut Contender, linker: &Linker, counts: bool| {
        if contender.failure.is_some() {
            return;
        }
        match link(linker, corpus, &output, threads, contender.mode, verified) {
            Ok((cost, bytes)) => {
                contender.output_bytes = bytes;
                if counts {
                    contender.costs.push(cost);
                }
            }
            Err(error) => contender.failure = Some(format!("{error:#}")),
        }
    };
    for _ in 0..plan.warm_ups.max(1) {
        for (contender, linker) in contenders.iter_mut().zip(&linkers) {
            once(contender, linker, false);
        }
    }
    for round in 0..plan.runs as usize {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            once(&mut contenders[index], linkers[index], true);
        }
    }

    let copies = match contenders.iter().zip(&linkers).find(|(contender, _)| contender.failure.is_none()) {
        Some((contender, linker)) => {
            link(linker, corpus, &output, threads, contender.mode, verified)?;
            copies(&output, plan.runs)?
        }
        None => Vec::new(),
    };
    Ok(Group {
        corpus: corpus.clone(),
        place: place.to_owned(),
        file_system: machine::file_system(&fs::canonicalize(folder)?),
        threads,
        load,
        contenders,
        copies,
    })
}

/// Makes the link as many times as the corpus says, and checks the last output.
fn link(
    linker: &Linker,
    corpus: &Corpus,
    output: &Path,
    threads: u32,
    mode: Mode,
    verified: &mut Verified,
) -> Result<(Cost, u64)> {
    let mut cost = Cost::default();
    for _ in 0..corpus.links {
        remove(output)?;
        cost = cost.then(measure::measure(&mut linker.command(corpus, output, threads, mode))?);
    }
    let bytes = fs::metadata(output).context("there is no output")?.len();
    ensure!(bytes > 0, "the output is empty");
    verified.verify(corpus, output)?;
    Ok((cost, bytes))
}

/// What `cp` of `file` to a new file beside it costs.
fn copies(file: &Path, runs: u32) -> Result<Vec<Cost>> {
    let copy = file.with_extension("copy");
    let mut costs = Vec::new();
    for _ in 0..=runs {
        remove(&copy)?;
        costs.push(measure::measure(Command::new("cp").arg("--reflink=never").arg(file).arg(&copy))?);
    }
    remove(&copy)?;
    costs.remove(0);
    Ok(costs)
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
