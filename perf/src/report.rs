//! A comparison as Markdown, for people, and the numbers behind it.
//!
//! Of each quantity the minimum tells what the linker can do, the median what one gets, and the spread
//! (from the least to the greatest, in percent of the median) how quiet the machine was. A ratio is
//! that of the first linker to the one in the row, of minima; below one the first linker is better.

use std::fmt::Write;

use crate::compare::{Comparison, Contender, Group};
use crate::linkers::Mode;
use crate::measure::Cost;

/// Minimum, median and spread of one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The least value.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// Greatest less least, in percent of the median.
    pub spread_percent: f64,
}

impl Summary {
    /// Sums up `values`; nothing if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        let spread_percent = if median > 0.0 { 100.0 * (max - min) / median } else { 0.0 };
        Some(Summary { min, median, spread_percent })
    }

    /// Time on the clock.
    pub fn wall(costs: &[Cost]) -> Option<Summary> {
        Summary::of(costs.iter().map(|cost| cost.wall_ms))
    }

    /// Time on the processors.
    pub fn cpu(costs: &[Cost]) -> Option<Summary> {
        Summary::of(costs.iter().map(|cost| cost.cpu_ms))
    }
}

/// The comparison as a page of Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let mut page = String::from("# Linkers side by side\n\n");
    // Writing to a string cannot fail.
    let _ = head(&mut page, comparison);
    let base = comparison.linkers.first().map(|linker| linker.name.as_str()).unwrap_or_default();
    let _ = overview(&mut page, comparison, base);
    for group in &comparison.groups {
        let _ = table(&mut page, group, base);
    }
    page
}

fn head(page: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let machine = &comparison.machine;
    writeln!(
        page,
        "{}, {} cores, {:.0} GB, Linux {}, huge pages: {}; load average at the start: {:.1}.\n",
        machine.processor,
        machine.cores,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel,
        machine.huge_pages,
        machine.load
    )?;
    for linker in &comparison.linkers {
        writeln!(page, "- {}: {}", linker.name, linker.version)?;
    }
    let runs = comparison.groups.iter().flat_map(|group| &group.contenders).map(|one| one.costs.len()).max();
    writeln!(
        page,
        "\n{} runs of each, in turns, after a warm-up; every output was checked. Times are in ms, \
         sizes in MB. Ratios are minima of {} divided by minima of the row: below 1 it is better.\n",
        runs.unwrap_or(0),
        comparison.linkers.first().map_or("nobody", |linker| &linker.name)
    )
}

/// One line a group, one column a peer: the ratio of walls and of processor times.
fn overview(page: &mut String, comparison: &Comparison, base: &str) -> std::fmt::Result {
    let peers: Vec<_> = comparison.linkers.iter().skip(1).map(|linker| linker.name.as_str()).collect();
    if peers.is_empty() {
        return Ok(());
    }
    writeln!(page, "## Overview: {base} to each, wall / processor time\n")?;
    writeln!(page, "| corpus | output on | threads | {} |", peers.join(" | "))?;
    writeln!(page, "|---|---|--:|{}", "--:|".repeat(peers.len()))?;
    for group in &comparison.groups {
        write!(page, "| {} | {} | {} |", group.corpus.name, group.place, group.threads)?;
        for peer in &peers {
            let find =
                |name| group.contenders.iter().find(|one| one.linker == name && one.mode == Mode::Usual);
            let cell = find(*peer).map_or(String::new(), |one| match ratios(group, base, one) {
                Some((wall, cpu)) => format!("{wall:.2} / {cpu:.2}"),
                None => "–".to_owned(),
            });
            write!(page, " {cell} |")?;
        }
        writeln!(page)?;
    }
    writeln!(page)
}

/// Wall and processor time of `base` divided by those of `other`, in the same mode if `base` has it.
fn ratios(group: &Group, base: &str, other: &Contender) -> Option<(f64, f64)> {
    let of = |mode| group.contenders.iter().find(|one| one.linker == base && one.mode == mode);
    let base = of(other.mode).or_else(|| of(Mode::Usual))?;
    if base.failure.is_some() || other.failure.is_some() {
        return None;
    }
    let wall = Summary::wall(&base.costs)?.min / Summary::wall(&other.costs)?.min;
    let cpu = Summary::cpu(&base.costs)?.min / Summary::cpu(&other.costs)?.min;
    Some((wall, cpu))
}

fn table(page: &mut String, group: &Group, base: &str) -> std::fmt::Result {
    let corpus = &group.corpus;
    writeln!(
        page,
        "## {}: output on {} ({}), {} thread{}\n",
        corpus.name,
        group.place,
        group.file_system,
        group.threads,
        if group.threads == 1 { "" } else { "s" }
    )?;
    writeln!(
        page,
        "{}: {} files, {:.0} MB{}; load average {:.1}.\n",
        corpus.about,
        corpus.files,
        corpus.bytes as f64 / 1e6,
        if corpus.gc_sections { ", --gc-sections" } else { "" },
        group.load
    )?;
    writeln!(
        page,
        "| linker | wall min | median | spread | CPU min | median | spread | peak MB | output MB | wall ratio | CPU ratio |"
    )?;
    writeln!(page, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for one in &group.contenders {
        write!(page, "| {}{} |", one.linker, one.mode)?;
        if let Some(failure) = &one.failure {
            writeln!(page, " failed: {} | | | | | | | | | |", failure.replace('|', "/").replace('\n', " "))?;
            continue;
        }
        costs(page, &one.costs)?;
        write!(page, " {:.1} |", one.output_bytes as f64 / 1e6)?;
        match ratios(group, base, one) {
            Some((wall, cpu)) if one.linker != base => writeln!(page, " {wall:.2} | {cpu:.2} |")?,
            _ => writeln!(page, " | |")?,
        }
    }
    if !group.copies.is_empty() {
        write!(page, "| cp |")?;
        costs(page, &group.copies)?;
        writeln!(page, " | | |")?;
    }
    writeln!(page)
}

fn costs(page: &mut String, costs: &[Cost]) -> std::fmt::Result {
    for summary in [Summary::wall(costs), Summary::cpu(costs)] {
        match summary {
            Some(Summary { min, median, spread_percent }) => {
                write!(page, " {min:.1} | {median:.1} | {spread_percent:.0} % |")?;
            }
            None => write!(page, " | | |")?,
        }
    }
    let peak = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or(0);
    write!(page, " {:.0} |", peak as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_least_the_middle_and_the_spread() {
        let summary = Summary::of([30.0, 10.0, 20.0]).unwrap();
        assert_eq!(summary, Summary { min: 10.0, median: 20.0, spread_percent: 100.0 });
        assert_eq!(Summary::of([1.0, 3.0]).unwrap().median, 2.0);
        assert_eq!(Summary::of([]), None);
    }
}
