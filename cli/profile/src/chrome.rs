//! The trace in the Trace Event Format, which Perfetto and Chrome's `about:tracing` show.
//!
//! One process, named after the output, a track a worker, complete events (`"ph":"X"`) with times in microseconds;
//! counters for what channels hold, memory, and bytes written; an arrow from each span that sent an item to the span
//! that ran it. Under `manifold`, which viewers ignore, stands the whole [`Profile`].

use crate::schema::{Profile, Span, kind};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Bytes of text collected before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// Writes the trace.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let mut events = Events { text: String::new(), out, process: profile.link.process.max(1) };
    events.text.push_str("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    let name = profile.link.output.rsplit('/').next().unwrap_or_default();
    let _ = write!(
        events.text,
        "{{\"ph\":\"M\",\"pid\":{},\"name\":\"process_name\",\"args\":{{\"name\":{}}}}}",
        events.process,
        quoted(&format!("link of {name}"))
    );
    for (track, worker) in profile.workers.iter().enumerate() {
        events.track(track, &worker.name);
    }
    let rows = profile.rows();
    for span in &rows {
        events.span(profile, span)?;
    }
    for span in rows.iter().filter(|span| span.cause > 0) {
        events.arrow(&rows[span.cause as usize - 1], span)?;
    }
    counters(profile, &rows, &mut events)?;
    events.text.push_str("\n],\"manifold\":");
    events.flush()?;
    serde_json::to_writer(&mut *events.out, profile)?;
    events.out.write_all(b"}\n")
}

fn counters(profile: &Profile, rows: &[Span], events: &mut Events<impl Write>) -> io::Result<()> {
    for channel in &profile.channels {
        let name = format!("channel {}/{}", channel.flow, channel.name);
        let mut time = 0;
        for (after, value) in channel.points.after.iter().zip(&channel.points.value) {
            time += after;
            events.counter(&name, time, &[("held", *value)])?;
        }
    }
    let samples = &profile.samples;
    let mut time = 0;
    for (n, after) in samples.after.iter().enumerate() {
        time += after;
        let values = [("own", samples.anonymous[n]), ("of files", samples.mapped[n])];
        events.counter("memory", time, &values)?;
    }
    let is_write =
        |span: &&Span| profile.stages[span.stage as usize].name == "write" && span.kind == kind::WORK;
    let mut writes: Vec<(u64, u64)> =
        rows.iter().filter(is_write).map(|span| (span.end, span.bytes)).collect();
    writes.sort_unstable();
    let mut written = 0;
    for (end, bytes) in writes {
        written += bytes;
        events.counter("bytes written", end, &[("bytes", written)])?;
    }
    Ok(())
}

struct Events<'a, W> {
    text: String,
    out: &'a mut W,
    process: u32,
}

impl<W: Write> Events<'_, W> {
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn flush_if_long(&mut self) -> io::Result<()> {
        if self.text.len() > BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn track(&mut self, track: usize, name: &str) {
        let process = self.process;
        let _ = write!(
            self.text,
            ",\n{{\"ph\":\"M\",\"pid\":{process},\"tid\":{track},\"name\":\"thread_name\",\"args\":{{\"name\":{}}}}}\
             ,\n{{\"ph\":\"M\",\"pid\":{process},\"tid\":{track},\"name\":\"thread_sort_index\",\
             \"args\":{{\"sort_index\":{track}}}}}",
            quoted(name)
        );
    }

    fn span(&mut self, profile: &Profile, span: &Span) -> io::Result<()> {
        let stage = &profile.stages[span.stage as usize].name;
        self.text.push_str(",\n{\"ph\":\"X\",\"pid\":");
        let _ = write!(self.text, "{},\"tid\":{},\"ts\":", self.process, span.lane);
        micros(&mut self.text, span.start);
        self.text.push_str(",\"dur\":");
        micros(&mut self.text, span.end - span.start);
        let _ = write!(self.text, ",\"name\":{},\"args\":{{", quoted(stage));
        let mut comma = "";
        if let Some(about) = profile.about(span) {
            let _ = write!(self.text, "\"of\":{}", quoted(&about));
            comma = ",";
        }
        for (name, number) in [("bytes", span.bytes), ("items", span.items)] {
            if number > 0 {
                let _ = write!(self.text, "{comma}\"{name}\":{number}");
                comma = ",";
            }
        }
        self.text.push_str("}}");
        self.flush_if_long()
    }

    fn arrow(&mut self, from: &Span, to: &Span) -> io::Result<()> {
        // An arrow starts and ends inside the spans it joins.
        for (phase, span, time) in
            [("s", from, from.end.saturating_sub(1).max(from.start)), ("f", to, to.start)]
        {
            let _ = write!(
                self.text,
                ",\n{{\"ph\":\"{phase}\",\"bp\":\"e\",\"id\":{},\"cat\":\"item\",\"name\":\"item\",\"pid\":{},\"tid\":{},\"ts\":",
                to.row + 1,
                self.process,
                span.lane,
            );
            micros(&mut self.text, time);
            self.text.push('}');
        }
        self.flush_if_long()
    }

    fn counter(&mut self, name: &str, time: u64, values: &[(&str, u64)]) -> io::Result<()> {
        let _ =
            write!(self.text, ",\n{{\"ph\":\"C\",\"pid\":{},\"name\":{},\"ts\":", self.process, quoted(name));
        micros(&mut self.text, time);
        self.text.push_str(",\"args\":{");
        for (n, (name, value)) in values.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(self.text, "{comma}\"{name}\":{value}");
        }
        self.text.push_str("}}");
        self.flush_if_long()
    }
}

/// Nanoseconds as a number of microseconds.
fn micros(text: &mut String, nanoseconds: u64) {
    let _ = write!(text, "{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Stage, Worker};
    use serde_json::Value;

    #[test]
    fn spans_counters_and_arrows_are_events() {
        let mut profile = Profile { names: vec!["a \"b\"\n.o".into()], ..Profile::default() };
        profile.stages = vec![
            Stage { name: "parse".into(), ..Stage::default() },
            Stage { name: "write".into(), ..Stage::default() },
        ];
        profile.workers = vec![Worker { name: "worker 0".into(), spans: 2, ..Worker::default() }];
        let first = Span { start: 1_234_567, end: 2_000_000, label: 1, ..Span::default() };
        profile.spans.push(&first, 0);
        let second = Span {
            row: 1,
            stage: 1,
            start: 2_000_000,
            end: 2_000_500,
            bytes: 10,
            cause: 1,
            ..Span::default()
        };
        profile.spans.push(&second, first.start);
        profile.samples.after = vec![5];
        (profile.samples.anonymous, profile.samples.mapped) = (vec![1], vec![2]);
        let mut out = Vec::new();
        write(&profile, &mut out).unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        let events = value["traceEvents"].as_array().unwrap();
        let of_phase = |phase: &str| events.iter().filter(|event| event["ph"] == phase).collect::<Vec<_>>();
        assert_eq!(of_phase("X").len(), 2);
        assert_eq!(of_phase("X")[0]["ts"], 1234.567);
        assert_eq!(of_phase("X")[0]["args"]["of"], "a \"b\"\n.o");
        assert_eq!((of_phase("s").len(), of_phase("f").len()), (1, 1));
        assert_eq!(of_phase("C").len(), 2);
        assert_eq!(value["manifold"]["workers"][0]["name"], "worker 0");
    }
}
