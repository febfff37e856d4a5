//! What changed between two traces of the same program: by stage, by kind of bytes, by crate.

use crate::Profile;
use crate::figures::{self, Figures, percent};
use crate::schema::KINDS;
use crate::table::aligned;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rows of each table that are shown.
const ROWS_MAX: usize = 20;

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// The whole link, nanoseconds.
    pub wall: Change,
    /// Work of all workers, nanoseconds.
    pub busy: Change,
    /// Bytes written.
    pub size: Change,
    /// Own time by stage, nanoseconds; the largest change first.
    pub stages: Vec<(String, Change)>,
    /// Bytes written, by kind.
    pub kinds: Vec<(String, Change)>,
    /// Bytes written by group; the largest change first.
    pub groups: Vec<(String, Change)>,
    /// Bytes dropped by group.
    pub dropped: Vec<(String, Change)>,
    /// Time by group.
    pub times: Vec<(String, Change)>,
}

/// A number before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

impl Change {
    /// How much more it is.
    pub fn by(self) -> i64 {
        self.after as i64 - self.before as i64
    }
}

/// Compares two traces.
pub fn difference(before: &Profile, after: &Profile) -> Difference {
    let stages =
        |profile: &Profile| profile.stages.iter().map(|stage| (stage.name.clone(), stage.busy)).collect();
    let by_group = |of: fn(&Figures) -> u64| changes(sums(before, of), sums(after, of));
    let kinds = figures::written(before).into_iter().zip(figures::written(after));
    Difference {
        wall: Change { before: before.wall, after: after.wall },
        busy: Change { before: figures::work(before), after: figures::work(after) },
        size: Change { before: figures::output_size(before), after: figures::output_size(after) },
        stages: changes(stages(before), stages(after)),
        kinds: (KINDS.iter().zip(kinds))
            .map(|(kind, (before, after))| ((*kind).to_string(), Change { before, after }))
            .filter(|(_, change)| *change != Change::default())
            .collect(),
        groups: by_group(Figures::in_file),
        dropped: by_group(Figures::lost),
        times: by_group(|figures| figures.time),
    }
}

/// A number of each group, and of the linker itself.
fn sums(profile: &Profile, of: fn(&Figures) -> u64) -> Vec<(String, u64)> {
    let names = profile.groups.iter().map(|group| group.name.clone()).chain(["(linker)".to_string()]);
    names.zip(figures::of_groups(profile).iter().map(of)).collect()
}

/// Numbers by name side by side, those that changed most first.
fn changes(before: Vec<(String, u64)>, after: Vec<(String, u64)>) -> Vec<(String, Change)> {
    let mut both: BTreeMap<String, Change> = BTreeMap::new();
    for (name, number) in before {
        both.entry(name).or_default().before += number;
    }
    for (name, number) in after {
        both.entry(name).or_default().after += number;
    }
    let mut list: Vec<_> = both.into_iter().filter(|(_, change)| change.by() != 0).collect();
    list.sort_by_key(|(_, change)| std::cmp::Reverse(change.by().unsigned_abs()));
    list
}

impl Difference {
    /// The tables as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let whole = [
            ("wall ms".to_string(), self.wall, 1e6),
            ("work ms".to_string(), self.busy, 1e6),
            ("output MB".to_string(), self.size, 1e6),
        ];
        section(&mut text, "link", &whole);
        let rows = |list: &[(String, Change)]| -> Vec<(String, Change, f64)> {
            list.iter().take(ROWS_MAX).map(|(name, change)| (name.clone(), *change, 1e6)).collect()
        };
        section(&mut text, "stage, ms", &rows(&self.stages));
        section(&mut text, "bytes by kind, MB", &rows(&self.kinds));
        section(&mut text, "bytes by crate or archive, MB", &rows(&self.groups));
        section(&mut text, "dropped by crate or archive, MB", &rows(&self.dropped));
        section(&mut text, "time by crate or archive, ms", &rows(&self.times));
        text
    }
}

fn section(text: &mut String, title: &str, rows: &[(String, Change, f64)]) {
    if rows.is_empty() {
        return;
    }
    let mut lines = vec![[title, "before", "after", "change", "%"].map(String::from).to_vec()];
    lines.extend(rows.iter().map(|(name, change, unit)| {
        let share = match change.before {
            0 if change.after == 0 => String::new(),
            0 => "new".to_string(),
            before => format!("{:+.1}", percent(change.after, before) - 100.0),
        };
        let number = |number: u64| format!("{:.2}", number as f64 / unit);
        vec![
            name.clone(),
            number(change.before),
            number(change.after),
            format!("{:+.2}", change.by() as f64 / unit),
            share,
        ]
    }));
    if !text.is_empty() {
        text.push('\n');
    }
    for line in aligned(&lines) {
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Stage;

    fn profile(wall: u64, stages: &[(&str, u64)]) -> Profile {
        let stage =
            |(name, busy): &(&str, u64)| Stage { name: (*name).into(), busy: *busy, ..Stage::default() };
        Profile { wall, stages: stages.iter().map(stage).collect(), ..Profile::default() }
    }

    #[test]
    fn what_changed_most_stands_first() {
        let before = profile(10_000_000, &[("a", 5_000_000), ("b", 1_000_000), ("c", 3)]);
        let after = profile(12_000_000, &[("a", 4_000_000), ("c", 3), ("d", 4_000_000)]);
        let difference = difference(&before, &after);
        let names: Vec<&str> = difference.stages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["d", "a", "b"]);
        let text = difference.text();
        assert!(text.contains("wall ms     10.00  12.00   +2.00  +20.0"), "{text}");
        assert!(text.contains("d            0.00   4.00   +4.00     new"), "{text}");
    }
}
