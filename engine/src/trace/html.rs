//! The trace as one self-contained page: every span on a time line, and the phase table below it.
//!
//! The page is a fixed text, `page.html`, with the trace as JSON in the middle. It loads nothing, so it can be
//! mailed, attached to a report, and opened years later.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::json::{micros, quoted};
use super::{Label, Trace, WAIT};

/// The page around the data.
const PAGE: &str = include_str!("page.html");

/// What stands in the page where the data go.
const PLACE: &str = "DATA";

impl Trace {
    /// Writes the trace as an HTML page; `process` is its title.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_html(&self, process: &str, out: &mut impl Write) -> io::Result<()> {
        let (before, after) = PAGE.split_once(PLACE).unwrap_or((PAGE, ""));
        out.write_all(before.as_bytes())?;
        // Nothing in the data may end the element they stand in.
        out.write_all(self.page_data(process).replace('<', "\\u003c").as_bytes())?;
        out.write_all(after.as_bytes())
    }

    /// The data of the page, as JSON.
    fn page_data(&self, process: &str) -> String {
        let table = self.table();
        let stages: Vec<&str> = table.rows.iter().map(|row| row.stage.as_str()).collect();
        let (start, end) = self.extent();
        let mut text = String::new();
        let _ = write!(
            text,
            "{{\"process\":{},\n\"summary\":{},\n\"extent\":[{},{}],\n\"stages\":[{}],\n\"lanes\":[",
            quoted(process),
            quoted(&table.summary()),
            micros(start),
            micros(end),
            join(stages.iter().map(|stage| quoted(stage))),
        );
        for (at, lane) in self.lanes.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\n{{\"name\":{},\"spans\":[", quoted(&lane.name));
            for (at, span) in lane.spans.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let stage = stages.iter().position(|&stage| stage == span.stage).unwrap_or(0);
                let label =
                    if span.label == Label::None { "0".to_string() } else { quoted(&span.label.to_string()) };
                let _ = write!(
                    text,
                    "{comma}\n[{stage},{},{},{},{label},{},{}]",
                    micros(span.start),
                    micros(span.end - span.start),
                    span.depth,
                    span.bytes,
                    span.items,
                );
            }
            text.push_str("]}");
        }
        let stage_rows = table.stage_cells(&table.rows).into_iter().enumerate().map(|(at, cells)| match at {
            0 => row(cells.iter().map(|cell| quoted(cell))),
            // Below the head, row and stage have the same number.
            _ => row(cells.iter().enumerate().map(|(column, cell)| match column {
                0 => format!("[{},{}]", quoted(cell), at - 1),
                _ => quoted(cell),
            })),
        });
        let _ = write!(text, "],\n\"table\":[{}],\n\"channels\":[", join(stage_rows));
        let channel_rows = table.channel_cells(usize::MAX);
        text.push_str(&join(channel_rows.iter().map(|cells| row(cells.iter().map(|cell| quoted(cell))))));
        text.push_str("]}");
        debug_assert!(stages.is_empty() || PAGE.contains(WAIT), "the page knows what waiting is called");
        text
    }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    format!("[{}]", join(cells))
}

fn join(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::{SpanRecord, TraceLane};
    use super::*;

    #[test]
    fn the_page_holds_the_spans_and_nothing_ends_its_script() {
        let span = SpanRecord {
            stage: "parse",
            label: "</script><b>\"\u{1f600}".into(),
            start: 1_500,
            end: 3_000,
            bytes: 7,
            items: 0,
            depth: 0,
        };
        let trace =
            Trace { lanes: vec![TraceLane { name: "worker 0".into(), spans: vec![span] }], channels: vec![] };
        let mut out = Vec::new();
        trace.write_html("link of <a.out>", &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        assert!(page.contains("[0,1.500,1.500,0,\"\\u003c/script>\\u003cb>\\\"\u{1f600}\",7,0]"), "{page}");
        assert!(page.contains("\"process\":\"link of \\u003ca.out>\""));
        assert!(page.contains("\"table\":[[\"stage\","));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("http"), "the page must not load anything");
    }

    #[test]
    fn the_page_has_one_place_for_its_data() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        assert!(PAGE.contains(WAIT));
    }
}
