//! How the time of a link grows with the number of objects.
//!
//! Workloads of different sizes differ in more than their size. So the largest of the synthetic programs is cut short:
//! its originals, and as many whole rounds of copies as make about the number of objects that is asked for. From one
//! length to the next nothing but copies of the same objects is added, and what those cost is what is told: a linker
//! that grows as its input does takes the same for each of them, however many there are already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::arguments::{quoted, split};
use crate::corpora::monorepo::round_of;
use crate::corpus::Corpus;
use crate::linkers::Linker;
use crate::measure::{self, Cost};
use crate::report::Summary;
use crate::scratch::Scratch;

/// What is to be measured.
pub struct Plan {
    /// The linkers.
    pub linkers: Vec<Linker>,
    /// The program that is cut short.
    pub corpus: Corpus,
    /// About how many objects each length has, ascending.
    pub objects: Vec<usize>,
    /// The folder for outputs.
    pub place: PathBuf,
    /// The number of threads.
    pub threads: u32,
    /// Measurements of each.
    pub runs: u32,
}

/// A program of some rounds of copies.
struct Length {
    corpus: Corpus,
    objects: usize,
    bytes: u64,
}

/// Measures everything; the result as Markdown.
pub fn run(plan: &Plan) -> Result<String> {
    measure::adopt_orphans()?;
    let scratch = Scratch::under(&plan.place, "growth")?;
    let words = split(&fs::read_to_string(plan.corpus.directory.join("link.rsp"))?)?;
    let length = |objects: &usize| cut(&plan.corpus, &words, *objects, scratch.path());
    let lengths: Vec<Length> = plan.objects.iter().map(length).collect::<Result<_>>()?;
    let mut text = format!(
        "# Growth of {}, threads: {}, {} runs of each in turns\n",
        plan.corpus.name, plan.threads, plan.runs
    );
    let mut costs = vec![vec![Vec::new(); lengths.len()]; plan.linkers.len()];
    for round in 0..=plan.runs {
        for (n, length) in lengths.iter().enumerate() {
            for (linker, costs) in plan.linkers.iter().zip(&mut costs) {
                let cost = link(plan, linker, length, scratch.path(), round == 0)
                    .with_context(|| format!("{} of {} objects", linker.name, length.objects))?;
                // The first round warms up.
                if round > 0 {
                    costs[n].push(cost);
                }
            }
        }
    }
    for (linker, costs) in plan.linkers.iter().zip(&costs) {
        text += &format!("\n## {} ({})\n\n{}", linker.name, linker.version, table(&lengths, costs)?);
    }
    Ok(text)
}

/// The program, linked by these words, with whole rounds of copies up to a number of objects, in a folder of its own.
fn cut(whole: &Corpus, words: &[String], objects: usize, folder: &Path) -> Result<Length> {
    let is_object = |word: &&String| word.ends_with(".o");
    let of_round =
        |round: usize| words.iter().filter(is_object).filter(|word| round_of(word) == round).count();
    let (originals, copies) = (of_round(0), of_round(1));
    ensure!(copies > 0, "{}: there are no copies", whole.name);
    let last = objects.saturating_sub(originals).div_ceil(copies);
    let kept: Vec<&String> = words.iter().filter(|word| round_of(word) <= last).collect();

    let directory = folder.join(objects.to_string());
    fs::create_dir_all(&directory)?;
    symlink(whole.directory.join("in"), directory.join("in"))?;
    let response: String = kept.iter().map(|word| quoted(word) + "\n").collect();
    fs::write(directory.join("link.rsp"), response)?;
    let sizes = kept.iter().filter_map(|word| fs::metadata(whole.directory.join(word)).ok());
    let bytes = sizes.filter(fs::Metadata::is_file).map(|file| file.len()).sum();
    let objects = kept.into_iter().filter(is_object).count();
    Ok(Length { corpus: Corpus { directory, ..whole.clone() }, objects, bytes })
}

/// A link into a new file, whose output is looked at if it `is_first`.
fn link(plan: &Plan, linker: &Linker, length: &Length, folder: &Path, is_first: bool) -> Result<Cost> {
    let output = folder.join("out");
    let _ = fs::remove_file(&output);
    let mut command = linker.command(&length.corpus, &output, plan.threads, linker.alone());
    let cost = measure::measure(&mut command)?;
    if is_first {
        length.corpus.verify(&output)?;
    }
    Ok(cost)
}

fn table(lengths: &[Length], costs: &[Vec<Cost>]) -> Result<String> {
    let mut text = String::from(
        "| objects | MB | least processor, ms | median | least wall, ms | added: processor, µs an object | ns a byte |\n\
         |--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut before: Option<(&Length, f64)> = None;
    for (length, costs) in lengths.iter().zip(costs) {
        let (wall, cpu) = Summary::wall(costs).zip(Summary::cpu(costs)).context("nothing was measured")?;
        let added = before.map_or(String::from("| |"), |(shorter, least)| {
            let (objects, bytes) = (length.objects - shorter.objects, length.bytes - shorter.bytes);
            let ms = cpu.min - least;
            format!("{:.0} | {:.2} |", ms * 1e3 / objects as f64, ms * 1e6 / bytes as f64)
        });
        text += &format!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {added}\n",
            length.objects,
            length.bytes as f64 / 1e6,
            cpu.min,
            cpu.median,
            wall.min
        );
        before = Some((length, cpu.min));
    }
    Ok(text)
}
