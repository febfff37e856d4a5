//! The trace as text for a terminal: less than forty lines.
//!
//! The stages that cost most, in the order they began; the run in a few lines; the inputs that cost most; the advice.
//! `busy` is a stage's own time, over all workers, without that of stages called from inside it; so the column adds up to
//! the work of the run. `from` and `to` say when it was at work: two stages whose intervals overlap ran side by side, or
//! in turns.

use crate::figures::{self, Figures, percent, size, time};
use crate::schema::{Profile, Stage};
use std::fmt::Write;

/// Stages shown; the cheapest beyond are added up in one row.
const STAGES_MAX: usize = 14;
/// Groups of inputs shown.
const GROUPS_MAX: usize = 10;
/// Lines of advice shown.
const ADVICE_MAX: usize = 3;
/// Columns of a line of advice, about.
const WIDTH: usize = 110;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// The text.
pub fn table(profile: &Profile, is_coloured: bool) -> String {
    let paint = |style: &str, text: &str| {
        if is_coloured { format!("{style}{text}{PLAIN}") } else { text.to_string() }
    };
    let mut text = String::new();
    let all = figures::work(profile);
    let mut lines = vec![heading(&[
        "stage", "busy ms", "cpu ms", "%", "from ms", "to ms", "spans", "items", "MB", "MB/s",
    ])];
    let mut heat = vec![BOLD];
    for stage in shown(&profile.stages) {
        let share = percent(stage.busy, all);
        heat.push(match share {
            25.0.. => RED,
            10.0.. => YELLOW,
            _ => "",
        });
        lines.push(stage_cells(&stage, share));
    }
    for (line, style) in aligned(&lines).into_iter().zip(heat) {
        let _ = writeln!(text, "{}", if style.is_empty() { line } else { paint(style, &line) });
    }
    let _ = writeln!(text, "{}", paint(DIM, &summary(profile, all)));
    let _ = writeln!(text, "{}", paint(DIM, &usage(profile)));
    let path = critical(profile);
    if !path.is_empty() {
        let _ = writeln!(text, "{}", paint(DIM, &path));
    }
    let groups = groups(profile);
    if groups.len() > 1 {
        for (n, line) in aligned(&groups).into_iter().enumerate() {
            let _ = writeln!(text, "{}", if n == 0 { paint(BOLD, &line) } else { line });
        }
    }
    for advice in profile.advice.iter().take(ADVICE_MAX) {
        let _ = writeln!(text, "{} {}", paint(CYAN, "=>"), wrapped(&advice.text));
    }
    text
}

/// The rows to show: all, or the costliest with the rest added up in a last one.
fn shown(stages: &[Stage]) -> Vec<Stage> {
    let mut by_cost: Vec<usize> = (0..stages.len()).collect();
    by_cost.sort_by_key(|&n| (stages[n].is_wait(), std::cmp::Reverse(stages[n].busy)));
    if by_cost.len() <= STAGES_MAX {
        by_cost.sort_by_key(|&n| stages[n].from);
        return by_cost.iter().map(|&n| stages[n].clone()).collect();
    }
    let (kept, rest) = by_cost.split_at(STAGES_MAX - 1);
    let mut kept = kept.to_vec();
    kept.sort_by_key(|&n| stages[n].from);
    let mut shown: Vec<Stage> = kept.iter().map(|&n| stages[n].clone()).collect();
    let rest: Vec<&Stage> = rest.iter().map(|&n| &stages[n]).filter(|stage| !stage.is_wait()).collect();
    let sum = |of: fn(&Stage) -> u64| rest.iter().map(|stage| of(stage)).sum();
    shown.push(Stage {
        name: format!("({} others)", rest.len()),
        spans: sum(|stage| stage.spans),
        busy: sum(|stage| stage.busy),
        cpu: sum(|stage| stage.cpu),
        from: rest.iter().map(|stage| stage.from).min().unwrap_or(0),
        to: rest.iter().map(|stage| stage.to).max().unwrap_or(0),
        bytes: sum(|stage| stage.bytes),
        items: sum(|stage| stage.items),
        critical: sum(|stage| stage.critical),
    });
    shown
}

fn heading(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

fn ms(nanoseconds: u64) -> String {
    format!("{:.2}", nanoseconds as f64 / 1e6)
}

/// Nothing rather than zero: most stages do not count bytes or items.
fn count(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn stage_cells(stage: &Stage, share: f64) -> Vec<String> {
    let rate = if stage.bytes == 0 || stage.busy == 0 {
        String::new()
    } else {
        format!("{:.0}", stage.bytes as f64 * 1e3 / stage.busy as f64)
    };
    vec![
        stage.name.clone(),
        ms(stage.busy),
        ms(stage.cpu),
        if stage.is_wait() { String::new() } else { format!("{share:.1}") },
        ms(stage.from),
        ms(stage.to),
        stage.spans.to_string(),
        count(stage.items),
        if stage.bytes == 0 { String::new() } else { format!("{:.2}", stage.bytes as f64 / 1e6) },
        rate,
    ]
}

fn summary(profile: &Profile, busy: u64) -> String {
    let workers = profile.workers.len();
    let capacity = profile.wall.saturating_mul(workers as u64);
    format!(
        "wall {} ms, busy {} ms on {workers} worker{} ({:.0} % used)",
        ms(profile.wall),
        ms(busy),
        if workers == 1 { "" } else { "s" },
        percent(busy, capacity)
    )
}

fn usage(profile: &Profile) -> String {
    let usage = &profile.usage;
    format!(
        "processor {} + {} in the kernel, page faults {} + {} read, peak memory {} ({} own, {} of files), switches {} + {} forced",
        time(usage.user),
        time(usage.system),
        usage.minor_faults,
        usage.major_faults,
        size(usage.peak),
        size(usage.peak_anonymous),
        size(usage.peak_mapped),
        usage.voluntary_switches,
        usage.involuntary_switches,
    )
}

/// The stages with the largest parts of the critical path.
fn critical(profile: &Profile) -> String {
    let mut stages: Vec<&Stage> = profile.stages.iter().filter(|stage| stage.critical > 0).collect();
    stages.sort_by_key(|stage| std::cmp::Reverse(stage.critical));
    let parts = stages.iter().take(6).map(|stage| format!("{} {}", stage.name, ms(stage.critical)));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { String::new() } else { format!("critical path, ms: {}", parts.join(", ")) }
}

/// The groups that cost most: by time, or by bytes in the output where no time is known.
fn groups(profile: &Profile) -> Vec<Vec<String>> {
    let figures = figures::of_groups(profile);
    let mut rows: Vec<(&str, &Figures)> =
        profile.groups.iter().map(|group| group.name.as_str()).zip(&figures).collect();
    rows.sort_by_key(|(name, figures)| (std::cmp::Reverse((figures.time, figures.in_file())), *name));
    let mut lines =
        vec![heading(&["inputs", "ms", "read MB", "in output MB", "debug MB", "dropped MB", "linked"])];
    let mb = |bytes: u64| format!("{:.2}", bytes as f64 / 1e6);
    lines.extend(rows.into_iter().take(GROUPS_MAX).map(|(name, figures)| {
        vec![
            clipped(name),
            ms(figures.time),
            mb(figures.read),
            mb(figures.in_file()),
            mb(figures.written[figures::kind_number("debug")]),
            mb(figures.lost()),
            format!("{}/{}", figures.linked, figures.inputs),
        ]
    }));
    lines
}

/// A name that leaves room for numbers.
fn clipped(name: &str) -> String {
    match name.char_indices().nth(32) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_string(),
    }
}

/// Rows of cells as lines: the first column to the left, the others to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("{cell:width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        line.trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

/// A sentence in lines, the further ones indented.
fn wrapped(text: &str) -> String {
    let mut result = String::new();
    let mut column = 3;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column + length > WIDTH && column > 3 {
            result.push_str("\n   ");
            column = 3;
        } else if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(word);
        column += length + 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Advice, Group, Worker};

    fn stage(name: &str, busy: u64, from: u64, to: u64) -> Stage {
        let (busy, from, to) = (busy * 1_000_000, from * 1_000_000, to * 1_000_000);
        Stage {
            name: name.into(),
            spans: 1,
            busy,
            cpu: busy / 2,
            from,
            to,
            bytes: 1_000_000,
            ..Stage::default()
        }
    }

    #[test]
    fn stages_stand_in_the_order_they_began() {
        let profile = Profile {
            wall: 6_000_000,
            stages: vec![stage("parse", 3, 0, 4), stage("hash", 2, 1, 3), stage("(wait)", 4, 1, 5)],
            workers: vec![Worker::default(); 2],
            advice: vec![Advice { about: "x".into(), text: "Do it.".into() }],
            ..Profile::default()
        };
        let text = table(&profile, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "stage   busy ms  cpu ms     %  from ms  to ms  spans  items    MB  MB/s");
        assert_eq!(lines[1], "parse      3.00    1.50  60.0     0.00   4.00      1         1.00   333");
        assert!(lines[2].starts_with("hash") && lines[3].starts_with("(wait)"), "{text}");
        assert_eq!(lines[4], "wall 6.00 ms, busy 5.00 ms on 2 workers (42 % used)");
        assert_eq!(lines.last(), Some(&"=> Do it."));
        assert!(table(&profile, true).contains("\x1b[31mparse"));
    }

    #[test]
    fn many_stages_make_less_than_forty_lines() {
        let profile = Profile {
            stages: (0..100).map(|n| stage(&format!("stage {n}"), n, n, n + 1)).collect(),
            advice: vec![Advice { text: "word ".repeat(50), ..Advice::default() }; 9],
            groups: vec![Group { name: "x".repeat(80), ..Group::default() }; 30],
            ..Profile::default()
        };
        let text = table(&profile, false);
        assert!(text.lines().count() < 40, "{text}");
        assert!(text.contains("(87 others)"), "{text}");
    }
}
