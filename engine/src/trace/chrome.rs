//! The trace as JSON in the Trace Event Format, which Perfetto and Chrome's `about:tracing` show.
//!
//! One process, a named track a lane, complete events (`"ph":"X"`) with times in microseconds. Channels have no
//! place of their own in the format; they stand under `otherData`.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Label, SpanRecord, Trace};

/// The only process of a trace.
const PROCESS: u32 = 1;

impl Trace {
    /// Writes the trace for Perfetto or Chrome; `process` names it there. Times count from the tracer's making.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_chrome_json(&self, process: &str, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
        // Text is made in pieces of some size, so that `out` may be a plain file.
        let mut text = String::new();
        let _ = write!(
            text,
            "{{\"ph\":\"M\",\"pid\":{PROCESS},\"name\":\"process_name\",\"args\":{{\"name\":{}}}}}",
            quoted(process)
        );
        for (track, lane) in self.lanes.iter().enumerate() {
            let _ = write!(
                text,
                ",\n{{\"ph\":\"M\",\"pid\":{PROCESS},\"tid\":{track},\"name\":\"thread_name\",\"args\":{{\"name\":{}}}}}\
                 ,\n{{\"ph\":\"M\",\"pid\":{PROCESS},\"tid\":{track},\"name\":\"thread_sort_index\",\
                 \"args\":{{\"sort_index\":{track}}}}}",
                quoted(&lane.name)
            );
            for span in &lane.spans {
                text.push_str(",\n");
                write_span(&mut text, track, span);
                if text.len() > 1 << 16 {
                    out.write_all(text.as_bytes())?;
                    text.clear();
                }
            }
        }
        text.push_str("\n],\"otherData\":{");
        for (at, channel) in self.channels.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let name = quoted(&format!("channel {}/{}", channel.flow, channel.name));
            let mean = channel.occupancy_sum as f64 / channel.messages.max(1) as f64;
            let facts = format!(
                "capacity {}, messages {}, mean {mean:.1}, max {}, full {}, empty {}",
                channel.capacity, channel.messages, channel.occupancy_max, channel.full, channel.empty
            );
            let _ = write!(text, "{comma}\n{name}:{}", quoted(&facts));
        }
        text.push_str("}}\n");
        out.write_all(text.as_bytes())
    }
}

/// Nanoseconds as microseconds.
fn micros(nanoseconds: u64) -> String {
    format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
}

fn write_span(text: &mut String, track: usize, span: &SpanRecord) {
    let _ = write!(
        text,
        "{{\"ph\":\"X\",\"pid\":{PROCESS},\"tid\":{track},\"ts\":{},\"dur\":{},\"name\":{},\"args\":{{",
        micros(span.start),
        micros(span.end - span.start),
        quoted(span.stage)
    );
    let mut comma = "";
    if span.label != Label::None {
        let _ = write!(text, "\"of\":{}", quoted(&span.label.to_string()));
        comma = ",";
    }
    for (name, number) in [("bytes", span.bytes), ("items", span.items)] {
        if number > 0 {
            let _ = write!(text, "{comma}\"{name}\":{number}");
            comma = ",";
        }
    }
    text.push_str("}}");
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::TraceLane;
    use super::*;

    #[test]
    fn a_span_is_a_complete_event_on_its_track() {
        let span = SpanRecord {
            stage: "parse",
            label: "a \"b\"\n.o".into(),
            start: 1_234_567,
            end: 2_000_000,
            bytes: 10,
            items: 0,
            depth: 0,
        };
        let trace =
            Trace { lanes: vec![TraceLane { name: "worker 0".into(), spans: vec![span] }], channels: vec![] };
        let mut out = Vec::new();
        trace.write_chrome_json("link of a.out", &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            r#"{"displayTimeUnit":"ms","traceEvents":[
{"ph":"M","pid":1,"name":"process_name","args":{"name":"link of a.out"}},
{"ph":"M","pid":1,"tid":0,"name":"thread_name","args":{"name":"worker 0"}},
{"ph":"M","pid":1,"tid":0,"name":"thread_sort_index","args":{"sort_index":0}},
{"ph":"X","pid":1,"tid":0,"ts":1234.567,"dur":765.433,"name":"parse","args":{"of":"a \"b\"\u000a.o","bytes":10}}
],"otherData":{}}
"#
        );
    }
}
