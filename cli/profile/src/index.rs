//! All links of a build on one page: when each ran, what overlapped, what they cost together.
//!
//! In: the traces in a directory, and the records that `manifold -run --trace=DIR` leaves of the builds themselves. Out:
//! [`Build`], and a page of it. A trace that cannot be read is named and left out; the others still count.

use crate::figures;
use crate::page::{COMMON, STYLE, assemble};
use crate::{Profile, file};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The beginning of the names of traces in a directory.
pub const LINK: &str = "link-";
/// The beginning of the names of records of builds.
pub const BUILD: &str = "build-";

/// A command that was run under `manifold -run --trace=DIR`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// Its words.
    pub command: Vec<String>,
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// When it ended.
    pub ended: f64,
    /// Its exit status.
    pub status: i32,
}

/// One link of a build.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LinkRow {
    /// The trace's file name.
    pub file: String,
    /// The output, as named.
    pub output: String,
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// Nanoseconds.
    pub wall: u64,
    /// Nanoseconds of work of all workers.
    pub busy: u64,
    /// Workers.
    pub threads: u32,
    /// Bytes written.
    pub size: u64,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The stage that cost most.
    pub stage: String,
    /// Advice.
    pub advice: Vec<String>,
}

/// All links of a build. Times are nanoseconds unless it says seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Build {
    /// The commands that were run.
    pub commands: Vec<Command>,
    /// From when to when, in seconds since 1970.
    pub span: (f64, f64),
    /// The sum of the times of all links.
    pub link_time: u64,
    /// Time in which at least one link ran.
    pub covered: u64,
    /// Time in which at least two did.
    pub overlapping: u64,
    /// By start.
    pub links: Vec<LinkRow>,
    /// Own time by stage over all links, the largest first.
    pub stages: Vec<(String, u64)>,
    /// By group over all links: name, time, bytes written, links it was in.
    pub groups: Vec<(String, u64, u64, u32)>,
    /// Traces that could not be read, and why.
    pub skipped: Vec<(String, String)>,
}

/// Reads a directory of traces. The paths of the traces stand in the order of [`Build::links`].
///
/// # Errors
/// If there is no such directory, or no trace in it.
pub fn read(directory: &Path) -> Result<(Build, Vec<PathBuf>), String> {
    let describe = |error: io::Error| format!("{}: {}", directory.display(), file::plain(&error));
    let mut build = Build::default();
    let mut traces = Vec::new();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).map_err(describe)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        if name.starts_with(BUILD) {
            match std::fs::read(&path).map_err(|e| file::plain(&e)).and_then(|text| {
                serde_json::from_slice(&text).map_err(|error| format!("is a damaged record ({error})"))
            }) {
                Ok(command) => build.commands.push(command),
                Err(why) => build.skipped.push((name, why)),
            }
        } else if name.starts_with(LINK) {
            match file::read(&path) {
                Ok(profile) => traces.push((path, build.add(&name, &profile))),
                // The path stands in the message, and again in front of it.
                Err(why) => {
                    let why =
                        why.strip_prefix(&format!("{}: ", path.display())).map_or(why.clone(), Into::into);
                    build.skipped.push((name, why));
                }
            }
        }
    }
    if traces.is_empty() && build.skipped.is_empty() {
        return Err(format!("{}: there is no trace in it", directory.display()));
    }
    traces.sort_by(|a, b| a.1.started.total_cmp(&b.1.started));
    build.commands.sort_by(|a, b| a.started.total_cmp(&b.started));
    let paths = traces.iter().map(|(path, _)| path.clone()).collect();
    build.links = traces.into_iter().map(|(_, link)| link).collect();
    build.finish();
    Ok((build, paths))
}

impl Build {
    /// Adds a link's stages and groups to the sums; its row.
    fn add(&mut self, name: &str, profile: &Profile) -> LinkRow {
        let stages = profile.stages.iter().filter(|stage| !stage.is_wait());
        for stage in stages.clone() {
            match self.stages.iter_mut().find(|(name, _)| *name == stage.name) {
                Some((_, busy)) => *busy += stage.busy,
                None => self.stages.push((stage.name.clone(), stage.busy)),
            }
        }
        let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (group, figures) in profile.groups.iter().zip(figures::of_groups(profile)) {
            let (time, bytes) = sums.entry(group.name.as_str()).or_default();
            *time += figures.time;
            *bytes += figures.in_file();
        }
        for (name, (time, bytes)) in sums {
            match self.groups.iter_mut().find(|row| row.0 == name) {
                Some(row) => *row = (row.0.clone(), row.1 + time, row.2 + bytes, row.3 + 1),
                None => self.groups.push((name.to_string(), time, bytes, 1)),
            }
        }
        LinkRow {
            file: name.to_string(),
            output: profile.link.output.clone(),
            started: profile.link.started,
            wall: profile.wall,
            busy: figures::work(profile),
            threads: profile.link.threads,
            size: figures::output_size(profile),
            succeeded: profile.link.succeeded,
            stage: stages.max_by_key(|stage| stage.busy).map_or(String::new(), |stage| stage.name.clone()),
            advice: profile.advice.iter().map(|advice| advice.text.clone()).collect(),
        }
    }

    /// Sums up what all rows are needed for.
    fn finish(&mut self) {
        self.stages.sort_by_key(|(name, busy)| (std::cmp::Reverse(*busy), name.clone()));
        self.groups.sort_by_key(|row| (std::cmp::Reverse((row.1, row.2)), row.0.clone()));
        self.link_time = self.links.iter().map(|link| link.wall).sum();
        let mut borders: Vec<(f64, i32)> = Vec::new();
        for link in &self.links {
            borders.push((link.started, 1));
            borders.push((link.started + link.wall as f64 / 1e9, -1));
        }
        borders.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut running, mut before) = (0, 0.0);
        let (mut covered, mut overlapping) = (0.0, 0.0);
        for (time, change) in &borders {
            let step = time - before;
            covered += if running >= 1 { step } else { 0.0 };
            overlapping += if running >= 2 { step } else { 0.0 };
            running += change;
            before = *time;
        }
        self.covered = (covered * 1e9) as u64;
        self.overlapping = (overlapping * 1e9) as u64;
        let starts = self.commands.iter().map(|command| command.started).chain(borders.first().map(|b| b.0));
        let ends = self.commands.iter().map(|command| command.ended).chain(borders.last().map(|b| b.0));
        self.span = (starts.fold(f64::INFINITY, f64::min), ends.fold(f64::NEG_INFINITY, f64::max));
        if self.span.0 > self.span.1 {
            self.span = (0.0, 0.0);
        }
    }

    /// The build in a few lines.
    pub fn text(&self) -> String {
        let whole = ((self.span.1 - self.span.0).max(0.0) * 1e9) as u64;
        let mut text = format!(
            "{} links, {} together; {} of the {} from start to end had one running, {} more than one\n",
            self.links.len(),
            figures::time(self.link_time),
            figures::time(self.covered),
            figures::time(whole),
            figures::time(self.overlapping)
        );
        let mut links: Vec<&LinkRow> = self.links.iter().collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.wall));
        for link in links.iter().take(10) {
            text += &format!(
                "{:>10}  {:>10}  {}\n",
                figures::time(link.wall),
                figures::size(link.size),
                link.output
            );
        }
        text
    }
}

/// Writes the page. `pages` are the pages of single links by file name.
///
/// # Errors
/// Those of `out`.
pub fn write(build: &Build, pages: &BTreeMap<String, String>, out: &mut impl Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Data<'a> {
        build: &'a Build,
        pages: &'a BTreeMap<String, String>,
    }
    let scripts = [COMMON, include_str!("page/index.js")].map(String::from);
    assemble(include_str!("page/index.html"), STYLE, &scripts, "links of a build", out, |out| {
        serde_json::to_writer(out, &Data { build, pages }).map_err(Into::into)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(started: f64, milliseconds: u64) -> LinkRow {
        LinkRow { started, wall: milliseconds * 1_000_000, ..LinkRow::default() }
    }

    #[test]
    fn what_overlaps_counts_once() {
        let mut build =
            Build { links: vec![link(10.0, 500), link(10.25, 500), link(11.0, 100)], ..Build::default() };
        build.commands = vec![Command { started: 9.0, ended: 12.0, ..Command::default() }];
        build.finish();
        assert_eq!(build.link_time, 1_100_000_000);
        assert_eq!((build.covered + 500) / 1000, 850_000);
        assert_eq!((build.overlapping + 500) / 1000, 250_000);
        assert_eq!(build.span, (9.0, 12.0));
        assert!(
            build.text().starts_with("3 links, 1.10 s together; 850.0 ms of the 3.00 s"),
            "{}",
            build.text()
        );
    }

    #[test]
    fn a_damaged_trace_is_named_and_the_others_count() {
        let directory = std::env::temp_dir().join(format!("profile-index-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        assert!(read(&directory).unwrap_err().ends_with("there is no trace in it"));
        let good = Profile {
            format: crate::schema::FORMAT.into(),
            version: crate::schema::VERSION,
            wall: 7,
            ..Profile::default()
        };
        let file = std::fs::File::create(directory.join("link-1.json")).unwrap();
        file::write(&good, file::Format::Json, file).unwrap();
        std::fs::write(directory.join("link-2.json"), "{\"manifold\":{\"for").unwrap();
        let (build, paths) = read(&directory).unwrap();
        assert_eq!((build.links.len(), paths.len(), build.link_time), (1, 1, 7));
        assert_eq!(build.skipped[0].0, "link-2.json");
        assert!(build.skipped[0].1.starts_with("is no trace of manifold, or a damaged one"));
        let mut page = Vec::new();
        write(&build, &BTreeMap::new(), &mut page).unwrap();
        assert!(String::from_utf8(page).unwrap().contains("link-2.json"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
