//! The phase table: what each stage cost, as text of less than forty lines.
//!
//! `busy` is the stage's own time, added over all workers, without that of stages called from inside it; so the
//! column adds up to the work of the run. `from` and `to` say when it was at work, in the run's own time: two
//! stages whose intervals overlap ran side by side, or in turns.

use std::fmt;

use super::{ChannelStats, Trace, WAIT};

/// Rows of stages shown; the smallest beyond are added up in one.
const ROWS_MAX: usize = 24;
/// Rows of channels shown; those with the fewest messages are left out.
const CHANNELS_MAX: usize = 8;

/// What each stage of a run cost. Shows itself as an aligned table.
#[derive(Debug, Clone)]
pub struct PhaseTable {
    /// By first start.
    pub rows: Vec<PhaseRow>,
    /// From the first start to the last end of any span, in nanoseconds.
    pub wall: u64,
    /// How many threads recorded spans.
    pub lanes: usize,
    /// Own time of all spans but waiting, in nanoseconds.
    pub busy: u64,
    /// What went through channels.
    pub channels: Vec<ChannelStats>,
}

/// What one stage cost. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseRow {
    /// The stage.
    pub stage: String,
    /// How many spans it had.
    pub spans: u64,
    /// Its own time, over all workers.
    pub busy: u64,
    /// When it first began, since the run's first span.
    pub from: u64,
    /// When it last ended, since the run's first span.
    pub to: u64,
    /// Bytes its spans said they handled.
    pub bytes: u64,
    /// Items its spans said they handled.
    pub items: u64,
}

impl Trace {
    /// Adds the spans up by stage.
    pub fn table(&self) -> PhaseTable {
        let (start, end) = self.extent();
        let mut rows: Vec<PhaseRow> = Vec::new();
        for lane in &self.lanes {
            for (span, own) in lane.spans.iter().zip(lane.own_times()) {
                let (from, to) = (span.start - start, span.end - start);
                let row = match rows.iter_mut().find(|row| row.stage == span.stage) {
                    Some(row) => row,
                    None => {
                        let stage = span.stage.to_string();
                        rows.push(PhaseRow { stage, spans: 0, busy: 0, from, to, bytes: 0, items: 0 });
                        rows.last_mut().expect("just pushed")
                    }
                };
                row.spans += 1;
                row.busy += own;
                row.from = row.from.min(from);
                row.to = row.to.max(to);
                row.bytes = row.bytes.saturating_add(span.bytes);
                row.items = row.items.saturating_add(span.items);
            }
        }
        rows.sort_by(|a, b| a.from.cmp(&b.from).then_with(|| a.stage.cmp(&b.stage)));
        let busy = rows.iter().filter(|row| row.stage != WAIT).map(|row| row.busy).sum();
        PhaseTable { rows, wall: end - start, lanes: self.lanes.len(), busy, channels: self.channels.clone() }
    }
}

impl PhaseTable {
    /// The stage's part of the busy time, 0 to 1.
    pub fn share(&self, row: &PhaseRow) -> f64 {
        if self.busy == 0 || row.stage == WAIT { 0.0 } else { row.busy as f64 / self.busy as f64 }
    }

    /// The rows to show: all, or the costliest with the rest added up in a last one.
    fn shown(&self) -> Vec<PhaseRow> {
        if self.rows.len() <= ROWS_MAX {
            return self.rows.clone();
        }
        let mut by_cost: Vec<usize> = (0..self.rows.len()).collect();
        by_cost.sort_by_key(|&at| std::cmp::Reverse(self.rows[at].busy));
        let (kept, rest) = by_cost.split_at(ROWS_MAX - 1);
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        let mut shown: Vec<PhaseRow> = kept.iter().map(|&at| self.rows[at].clone()).collect();
        let mut other = PhaseRow {
            stage: format!("({} others)", rest.len()),
            spans: 0,
            busy: 0,
            from: u64::MAX,
            to: 0,
            bytes: 0,
            items: 0,
        };
        for row in rest.iter().map(|&at| &self.rows[at]) {
            other.spans += row.spans;
            // Waiting is nobody's work.
            other.busy += if row.stage == WAIT { 0 } else { row.busy };
            other.from = other.from.min(row.from);
            other.to = other.to.max(row.to);
            other.bytes = other.bytes.saturating_add(row.bytes);
            other.items = other.items.saturating_add(row.items);
        }
        shown.push(other);
        shown
    }
}

fn ms(nanoseconds: u64) -> String {
    format!("{:.2}", nanoseconds as f64 / 1e6)
}

/// Nothing rather than zero: most stages do not count bytes or items.
fn count(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn megabytes(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!("{:.2}", bytes as f64 / 1e6) }
}

/// Writes rows of cells: the first column to the left, the others to the right.
fn write_aligned(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("{cell:width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

impl fmt::Display for PhaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["stage", "busy ms", "%", "from ms", "to ms", "spans", "items", "MB"];
        let mut lines = vec![heads.map(String::from).to_vec()];
        for row in self.shown() {
            let share =
                if row.stage == WAIT { String::new() } else { format!("{:.1}", self.share(&row) * 100.0) };
            lines.push(vec![
                row.stage.clone(),
                ms(row.busy),
                share,
                ms(row.from),
                ms(row.to),
                row.spans.to_string(),
                count(row.items),
                megabytes(row.bytes),
            ]);
        }
        write_aligned(f, &lines)?;
        let capacity = self.wall.saturating_mul(self.lanes as u64);
        let used = if capacity == 0 { 0.0 } else { self.busy as f64 * 100.0 / capacity as f64 };
        writeln!(
            f,
            "wall {} ms, busy {} ms on {} worker{} ({used:.0} % used)",
            ms(self.wall),
            ms(self.busy),
            self.lanes,
            if self.lanes == 1 { "" } else { "s" },
        )?;
        let mut channels: Vec<&ChannelStats> = self.channels.iter().collect();
        if channels.len() > CHANNELS_MAX {
            channels.sort_by_key(|channel| std::cmp::Reverse(channel.messages));
            channels.truncate(CHANNELS_MAX);
        }
        if channels.is_empty() {
            return Ok(());
        }
        let heads = ["channel", "capacity", "messages", "mean", "max", "full", "empty"];
        let mut lines = vec![heads.map(String::from).to_vec()];
        for channel in channels {
            let mean = channel.occupancy_sum as f64 / channel.messages.max(1) as f64;
            lines.push(vec![
                format!("{}/{}", channel.flow, channel.name),
                channel.capacity.to_string(),
                channel.messages.to_string(),
                format!("{mean:.1}"),
                channel.occupancy_max.to_string(),
                channel.full.to_string(),
                channel.empty.to_string(),
            ]);
        }
        write_aligned(f, &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Label, SpanRecord, TraceLane};
    use super::*;

    fn span(stage: &'static str, start: u64, end: u64, depth: u32) -> SpanRecord {
        SpanRecord {
            stage,
            label: Label::None,
            start: start * 1_000_000,
            end: end * 1_000_000,
            bytes: 1_000_000,
            items: 0,
            depth,
        }
    }

    #[test]
    fn stages_are_added_up_without_what_is_inside_them() {
        let lanes = vec![
            TraceLane { name: "worker 0".into(), spans: vec![span("parse", 1, 5, 0), span("hash", 2, 4, 1)] },
            TraceLane { name: "worker 1".into(), spans: vec![span("parse", 1, 2, 0), span(WAIT, 2, 6, 0)] },
        ];
        let channels = vec![ChannelStats {
            flow: "ingest",
            name: "files",
            capacity: 8,
            messages: 4,
            occupancy_sum: 6,
            occupancy_max: 3,
            full: 0,
            empty: 2,
        }];
        let text = Trace { lanes, channels }.table().to_string();
        assert_eq!(
            text,
            "\
stage   busy ms     %  from ms  to ms  spans  items    MB
parse      3.00  60.0     0.00   4.00      2         2.00
(wait)     4.00           1.00   5.00      1         1.00
hash       2.00  40.0     1.00   3.00      1         1.00
wall 5.00 ms, busy 5.00 ms on 2 workers (50 % used)
channel       capacity  messages  mean  max  full  empty
ingest/files         8         4   1.5    3     0      2
"
        );
    }

    #[test]
    fn many_stages_make_less_than_forty_lines() {
        let names: Vec<&'static str> =
            (0..100).map(|i| &*Box::leak(format!("stage {i}").into_boxed_str())).collect();
        let spans =
            names.iter().enumerate().map(|(i, &name)| span(name, i as u64, i as u64 + 1, 0)).collect();
        let channel = |name| ChannelStats {
            flow: "f",
            name,
            capacity: 1,
            messages: 1,
            occupancy_sum: 1,
            occupancy_max: 1,
            full: 0,
            empty: 0,
        };
        let channels = names.iter().map(|&name| channel(name)).collect();
        let table = Trace { lanes: vec![TraceLane { name: "worker 0".into(), spans }], channels }.table();
        let text = table.to_string();
        assert!(text.lines().count() < 40, "{text}");
        assert!(text.contains("(77 others)"), "{text}");
    }

    #[test]
    fn an_empty_trace_has_an_empty_table() {
        assert!(Trace::default().table().to_string().contains("wall 0.00 ms, busy 0.00 ms on 0 workers"));
    }
}
