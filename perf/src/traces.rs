//! What traces cost, and whether their predictions come true.
//!
//! Cost: one linker makes the same link without a trace, with the table, with a file of each kind, in turns, each link
//! into a new file. Beside them, if one is given, stands another build of the linker: one without what is measured.
//!
//! Predictions: the fastest of some links on one worker is replayed on several (`manifold trace whatif`) and held
//! against the fastest link on as many workers. Times are those of the traces, from the start of the process until the
//! output is in its place. Only as many workers are tried as the machine has processors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::corpus::Corpus;
use crate::measure::{self, Cost};
use crate::report::Summary;

/// What is to be measured.
pub struct Plan {
    /// The linker.
    pub manifold: PathBuf,
    /// Another build of it to compare with.
    pub baseline: Option<PathBuf>,
    /// The workloads.
    pub corpora: Vec<Corpus>,
    /// The folder for outputs and traces.
    pub place: PathBuf,
    /// Numbers of workers to predict.
    pub threads: Vec<u32>,
    /// Measurements of each.
    pub runs: u32,
}

/// Ways to link, and what each may cost beyond linking without a trace, in percent.
const WAYS: [(&str, &[&str], Option<f64>); 4] = [
    ("no trace", &[], Some(0.5)),
    ("table", &["--trace"], Some(1.0)),
    ("json", &["--trace=TRACE.json"], Some(5.0)),
    ("html", &["--trace=TRACE.html"], Some(5.0)),
];

/// Measures everything; the result as Markdown.
pub fn run(plan: &Plan) -> Result<String> {
    measure::adopt_orphans()?;
    let mut text = String::from("# Traces: cost and predictions\n");
    for corpus in &plan.corpora {
        text += &format!("\n## {}\n\n{}\n", corpus.name, cost(plan, corpus)?);
        text += &predictions(plan, corpus)?;
    }
    Ok(text)
}

/// A link; the old output is removed outside of the time.
fn link(plan: &Plan, linker: &Path, corpus: &Corpus, options: &[&str], threads: u32) -> Result<Cost> {
    let output = plan.place.join("traced-output");
    let _ = fs::remove_file(&output);
    let trace = plan.place.join("traced").display().to_string();
    let options = options.iter().map(|option| option.replace("TRACE", &trace));
    let mut command = Command::new(linker);
    command.current_dir(&corpus.directory).arg(format!("--threads={threads}")).args(options);
    let cost = measure::measure(command.arg("@link.rsp").arg("-o").arg(&output))?;
    ensure!(fs::metadata(&output).is_ok_and(|data| data.len() > 0), "there is no output");
    Ok(cost)
}

fn cost(plan: &Plan, corpus: &Corpus) -> Result<String> {
    let mut ways: Vec<(&str, &Path, &[&str], Option<f64>)> = WAYS
        .iter()
        .map(|(name, options, limit)| (*name, plan.manifold.as_path(), *options, *limit))
        .collect();
    if let Some(baseline) = &plan.baseline {
        ways.insert(0, ("baseline", baseline, &[], None));
    }
    let threads = plan.threads.iter().copied().max().unwrap_or(1);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); ways.len()];
    for round in 0..=plan.runs as usize {
        for turn in 0..ways.len() {
            let n = (round + turn) % ways.len();
            let (_, linker, options, _) = ways[n];
            let cost = link(plan, linker, corpus, options, threads)?;
            // The first round warms up.
            if round > 0 {
                costs[n].push(cost);
            }
        }
    }
    let mut text = format!(
        "{threads} workers, {} runs of each in turns. Limits are the project's own.\n\n\
         | | least wall, ms | median | least processor, ms | wall beyond the first, least | median | limit |\n\
         |---|---|---|---|---|---|---|\n",
        plan.runs
    );
    let summary =
        |costs: &[Cost]| Summary::wall(costs).zip(Summary::cpu(costs)).context("nothing was measured");
    let (first, _) = summary(&costs[0])?;
    for ((name, .., limit), costs) in ways.iter().zip(&costs) {
        let (wall, cpu) = summary(costs)?;
        let beyond = |wall: f64, first: f64| format!("{:+.1} %", (wall / first - 1.0) * 100.0);
        let limit = limit.filter(|_| *name != ways[0].0).map_or(String::new(), |limit| format!("{limit} %"));
        text += &format!(
            "| {name} | {:.1} | {:.1} | {:.1} | {} | {} | {limit} |\n",
            wall.min,
            wall.median,
            cpu.min,
            beyond(wall.min, first.min),
            beyond(wall.median, first.median),
        );
    }
    Ok(text)
}

/// The fastest of some traces on each number of workers, taken in turns: their times in milliseconds. The file of the
/// first is left at `kept`.
fn fastest(plan: &Plan, corpus: &Corpus, threads: &[u32], kept: &Path) -> Result<Vec<f64>> {
    let trace = plan.place.join("traced.json");
    let mut least = vec![f64::INFINITY; threads.len()];
    for round in 0..=plan.runs {
        for (n, threads) in threads.iter().enumerate() {
            link(plan, &plan.manifold, corpus, &["--no-fork", "--trace=TRACE.json"], *threads)?;
            let whole: Value = serde_json::from_slice(&fs::read(&trace)?)?;
            let wall = whole["manifold"]["wall"].as_f64().context("the trace has no time")? / 1e6;
            if round > 0 && wall < least[n] {
                least[n] = wall;
                if n == 0 {
                    fs::rename(&trace, kept)?;
                }
            }
        }
    }
    Ok(least)
}

fn predictions(plan: &Plan, corpus: &Corpus) -> Result<String> {
    let trace = plan.place.join("traced-1.json");
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let tried = plan.threads.iter().copied().filter(|threads| *threads <= processors);
    let tried: Vec<u32> = std::iter::once(1).chain(tried).collect();
    let measured = fastest(plan, corpus, &tried, &trace)?;
    let alone = measured[0];
    let mut text = format!(
        "\nRecorded on one worker: {alone:.1} ms.\n\n| workers | predicted, ms | measured, ms | off by |\n|---|---|---|---|\n"
    );
    for (threads, measured) in tried.iter().zip(measured).skip(1) {
        let mut command = Command::new(&plan.manifold);
        command.args(["trace", "whatif", "--json"]).arg(format!("--threads={threads}")).arg(&trace);
        let output = command.output().context("cannot run manifold")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let predicted: Value = serde_json::from_slice(&output.stdout)?;
        let predicted = predicted[0]["wall"].as_f64().context("there is no prediction")? / 1e6;
        let off = (predicted / measured - 1.0) * 100.0;
        text += &format!("| {threads} | {predicted:.1} | {measured:.1} | {off:+.1} % |\n");
    }
    text += "\nWorkers share memory bandwidth, caches and the kernel's locks on pages, which predictions leave out.\n";
    for name in ["traced.json", "traced.html", "traced-1.json", "traced-output"] {
        let _ = fs::remove_file(plan.place.join(name));
    }
    Ok(text)
}
