//! Reads and writes traces: `.json` for viewers and programs, `.html` for people; both hold the whole [`Profile`].

use crate::schema::{FORMAT, VERSION};
use crate::{Profile, chrome, page};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// A format of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// [`chrome`].
    Json,
    /// [`page`].
    Html,
}

/// The format that a path's ending names.
pub fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "html" => Some(Format::Html),
        _ => None,
    }
}

/// Writes a trace.
///
/// # Errors
/// Those of the file.
pub fn write(profile: &Profile, format: Format, file: File) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    match format {
        Format::Json => chrome::write(profile, &mut out)?,
        Format::Html => page::write(profile, &mut out)?,
    }
    out.flush()
}

/// Reads a trace of either format.
///
/// # Errors
/// One line that says what is wrong: there is no such file, it is no trace, it is damaged or of a newer version.
pub fn read(path: &Path) -> Result<Profile, String> {
    let describe = |what: String| format!("{}: {what}", path.display());
    let text = std::fs::read(path).map_err(|error| describe(plain(&error)))?;
    parse(&text).map_err(describe)
}

/// Reads the text of a trace.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &[u8]) -> Result<Profile, String> {
    let data = page::data(text).unwrap_or(text);
    // Whatever else has changed, these two say so.
    let head: Outer<Head> = serde_json::from_slice(data)
        .map_err(|error| format!("is no trace of manifold, or a damaged one ({error})"))?;
    let head = head.manifold.filter(|head| head.format == FORMAT).ok_or("is no trace of manifold")?;
    if head.version > VERSION {
        return Err(format!(
            "was written by a newer manifold: its version is {}, this one reads up to {VERSION}",
            head.version
        ));
    }
    let outer: Outer<Profile> =
        serde_json::from_slice(data).map_err(|error| format!("is a damaged trace ({error})"))?;
    let profile = outer.manifold.ok_or("is no trace of manifold")?;
    profile.check().map_err(|what| format!("is a damaged trace: {what}"))?;
    Ok(profile)
}

/// The words of an I/O error, without the number Rust appends.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}

#[derive(Deserialize)]
struct Outer<T> {
    #[serde(default = "none")]
    manifold: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    format: String,
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            format: FORMAT.into(),
            version: VERSION,
            names: vec!["</script>".into()],
            ..Profile::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut json = Vec::new();
        chrome::write(&profile(), &mut json).unwrap();
        assert_eq!(parse(&json), Ok(profile()));
        let mut html = Vec::new();
        page::write(&profile(), &mut html).unwrap();
        assert_eq!(parse(&html), Ok(profile()));
    }

    #[test]
    fn what_is_no_trace_is_said_to_be_none() {
        for (text, what) in [
            ("", "is no trace of manifold, or a damaged one"),
            ("{\"traceEvents\":[]}", "is no trace of manifold"),
            (
                "{\"manifold\":{\"format\":\"manifold-trace\",\"version\":99}}",
                "was written by a newer manifold",
            ),
            (
                "{\"manifold\":{\"format\":\"manifold-trace\",\"version\":1,\"names\":3}}",
                "is a damaged trace",
            ),
            (
                "{\"manifold\":{\"format\":\"manifold-trace\",\"version\":1,\"spans\":{\"stage\":[1]}}}",
                "is a damaged trace: spans",
            ),
            ("{\"manifold\":{\"format\":\"manifold-trace\",", "is no trace of manifold, or a damaged one"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert!(problem.starts_with(what), "{text}: {problem}");
        }
        assert!(read(Path::new("/nowhere/x.json")).unwrap_err().starts_with("/nowhere/x.json: No such file"));
    }
}
