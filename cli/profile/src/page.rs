//! The trace as one self-contained page, for browsers.
//!
//! The program of the page is in `page/`: a skeleton, a style sheet and scripts, each to be read as it is. They are put
//! together here around the data, which stand in an element of their own as JSON. The page loads nothing, so it can
//! be mailed, attached to a report, and opened years later.

use crate::Profile;
use std::io::{self, Write};

/// The skeleton, with places for the others.
const SKELETON: &str = include_str!("page/page.html");
pub(crate) const STYLE: &str = include_str!("page/page.css");
/// What every page needs.
pub(crate) const COMMON: &str = include_str!("page/common.js");
/// The scripts, in the order they need each other.
const SCRIPTS: [&str; 7] = [
    COMMON,
    include_str!("page/data.js"),
    include_str!("page/lanes.js"),
    include_str!("page/tables.js"),
    include_str!("page/treemap.js"),
    include_str!("page/search.js"),
    include_str!("page/main.js"),
];

/// What stands around the data.
const BEFORE: &str = "<script type=\"application/json\" id=\"data\">";
const AFTER: &str = "</script>";

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let title = format!("link of {}", profile.link.output.rsplit('/').next().unwrap_or_default());
    let scripts = SCRIPTS.map(|script| script.replace("LEFT-OUT", crate::whatif::LEFT_OUT));
    assemble(SKELETON, STYLE, &scripts, &title, out, |out| {
        serde_json::to_writer(out, profile).map_err(Into::into)
    })
}

/// Puts a page together around data, which `write` writes as JSON.
pub(crate) fn assemble<W: Write>(
    skeleton: &str,
    style: &str,
    scripts: &[String],
    title: &str,
    out: &mut W,
    write: impl FnOnce(&mut Escaped<W>) -> io::Result<()>,
) -> io::Result<()> {
    let (head, body) = skeleton.split_once("STYLE").unwrap_or((skeleton, ""));
    out.write_all(head.replace("TITLE", &escaped(title)).as_bytes())?;
    out.write_all(style.as_bytes())?;
    let (body, tail) = body.split_once("SCRIPT").unwrap_or((body, ""));
    out.write_all(body.as_bytes())?;
    out.write_all(BEFORE.as_bytes())?;
    let mut data = Escaped(out);
    data.write_all(b"{\"manifold\":")?;
    write(&mut data)?;
    data.write_all(b"}")?;
    let out = data.0;
    writeln!(out, "{AFTER}\n<script>\n\"use strict\";")?;
    for script in scripts {
        out.write_all(script.as_bytes())?;
    }
    out.write_all(b"</script>")?;
    out.write_all(tail.as_bytes())
}

/// The data in the text of a page, if it is one.
pub fn data(text: &[u8]) -> Option<&[u8]> {
    let find =
        |text: &[u8], what: &str| text.windows(what.len()).position(|window| window == what.as_bytes());
    if !text.starts_with(b"<!doctype html>") {
        return None;
    }
    let text = &text[find(text, BEFORE)? + BEFORE.len()..];
    Some(&text[..find(text, AFTER)?])
}

/// Text between tags.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Writes JSON such that nothing in it ends the element it stands in: `<` appears in strings only.
pub(crate) struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (n, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if n > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_data_ends_their_element_and_nothing_is_loaded() {
        let names = vec!["</script><b>\"\u{1f600}".to_string()];
        let mut profile = Profile { names, ..Profile::default() };
        profile.link.output = "dir/<a.out>".into();
        let mut out = Vec::new();
        write(&profile, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        assert!(page.contains("\\u003c/script>\\u003cb>\\\"\u{1f600}"), "{page}");
        assert!(page.contains("<title>link of &lt;a.out></title>"));
        assert_eq!(page.matches("</script>").count(), 2);
        for word in ["http:", "https:", "import ", "src=", "href="] {
            assert!(
                !page.replace("http://www.w3.org/2000/svg", "").contains(word),
                "the page must not load anything: {word}"
            );
        }
    }

    #[test]
    fn a_link_of_many_objects_gives_a_page_of_some_megabytes() {
        use crate::schema::{Output, Portion, Span, Stage, Worker};
        const OBJECTS: u32 = 50_000;
        let (stages, groups) = (vec![Stage::default(); 40], vec![Default::default(); 500]);
        let mut profile = Profile { stages, groups, ..Profile::default() };
        for n in 0..OBJECTS {
            profile
                .names
                .push(format!("/home/somebody/code/project/build/directory{}/object_number_{n}.o", n / 100));
            profile.files.push(crate::schema::File { path: n, bytes: 123_456, inputs: 1, linked: 1 });
            let inputs = &mut profile.inputs;
            inputs.file.push(n);
            inputs.member.push(0);
            inputs.group.push(n / 100);
            inputs.fate.push(0);
            for column in [&mut inputs.read, &mut inputs.time, &mut inputs.unreferenced, &mut inputs.comdat] {
                column.push(u64::from(n) * 7919 % 1_000_000);
            }
            for column in [&mut inputs.folded, &mut inputs.merged, &mut inputs.unwind] {
                column.push(u64::from(n) % 1000);
            }
        }
        let rows = 10 * OBJECTS;
        profile.outputs = vec![Output {
            portions: vec![Portion::default(); 10],
            portion: (0..rows).map(|n| n / OBJECTS).collect(),
            input: (0..rows).map(|n| n % OBJECTS + 1).collect(),
            bytes: (0..rows).map(|n| u64::from(n) * 7919 % 100_000).collect(),
            ..Output::default()
        }];
        let spans = 375_000;
        profile.workers = vec![Worker { spans, ..Worker::default() }];
        for row in 0..spans {
            let start = u64::from(row) * 15_000;
            let span = Span {
                row,
                stage: row % 40,
                start,
                end: start + 14_000,
                depth: 3,
                bytes: u64::from(row % 3) * 100_000,
                items: 8,
                input: if row % 3 == 0 { 0 } else { row % OBJECTS + 1 },
                job: row / 100,
                cause: if row % 2 == 0 { 0 } else { row },
                ..Span::default()
            };
            profile.spans.push(&span, start.saturating_sub(15_000));
        }
        assert_eq!(profile.check(), Ok(()));
        let mut out = Vec::new();
        write(&profile, &mut out).unwrap();
        assert!(out.len() < 30_000_000, "{} bytes", out.len());
    }

    #[test]
    fn the_skeleton_has_one_place_for_everything() {
        for place in ["TITLE", "STYLE", "SCRIPT"] {
            assert_eq!(SKELETON.matches(place).count(), 1, "{place}");
        }
    }
}
