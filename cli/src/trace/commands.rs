//! `manifold trace ...`: what can be done with traces once they are there.

use profile::file::{self, Format, format_of};
use profile::schema::{Prediction, Profile};
use profile::{diff, figures, index, table, whatif};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: manifold trace table FILE                 the table of --trace
       manifold trace page FILE [-o FILE.html]   the page of --trace=FILE.html
       manifold trace whatif FILE [--threads 4,8,16,32,64] [--json]
                                                 the same link on other numbers of workers
       manifold trace diff BEFORE AFTER [--json] what got slower, bigger, dropped
       manifold trace report DIR [-o FILE.html]  all links of a build (manifold -run --trace=DIR)
FILE is what --trace=FILE.json or --trace=FILE.html wrote.
";

/// The commands.
const COMMANDS: [&str; 5] = ["table", "page", "whatif", "diff", "report"];

/// Whether a command line is one of these and not that of a link: an input could be called `trace`.
pub fn is_command(arguments: &[OsString]) -> bool {
    let [first, rest @ ..] = arguments else { return false };
    let is_known = |word: &OsString| COMMANDS.iter().any(|command| word == command) || word == "--help";
    first == "trace"
        && rest.first().is_none_or(is_known)
        && (!rest.is_empty() || !Path::new("trace").exists())
}

/// Runs a command; `arguments` follow the word `trace`.
pub fn run(arguments: &[OsString]) -> ExitCode {
    match answer(arguments) {
        Ok(text) => {
            // A reader that has gone away (`| head`) is no failure.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("manifold: error: trace: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The words of a command.
#[derive(Debug, Default)]
struct Words {
    plain: Vec<PathBuf>,
    output: Option<PathBuf>,
    threads: Option<Vec<u32>>,
    json: bool,
}

fn words(arguments: &[OsString]) -> Result<Words, String> {
    let mut words = Words::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        let mut value = |name: &str| match text.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            Some(value) => Ok(OsString::from(value)),
            None => rest.next().cloned().ok_or(format!("{name}: missing value")),
        };
        match text.split('=').next().unwrap_or_default() {
            "-o" | "--output" if text == "-o" => words.output = Some(value("-o")?.into()),
            "--output" => words.output = Some(value("--output")?.into()),
            "--threads" => words.threads = Some(numbers(&value("--threads")?.to_string_lossy())?),
            "--json" => words.json = true,
            option if option.starts_with('-') && option.len() > 1 => {
                return Err(format!("{option}: unknown option\n{USAGE}"));
            }
            _ => words.plain.push(word.into()),
        }
    }
    Ok(words)
}

fn numbers(text: &str) -> Result<Vec<u32>, String> {
    let number = |part: &str| match part.trim().parse() {
        Ok(number @ 1..=4096) => Ok(number),
        _ => Err(format!("--threads: {part:?} is no number of threads (1 to 4096)")),
    };
    text.split(',').map(number).collect()
}

fn answer(arguments: &[OsString]) -> Result<String, String> {
    let Some((command, rest)) = arguments.split_first() else { return Ok(USAGE.into()) };
    if command == "--help" {
        return Ok(USAGE.into());
    }
    let words = words(rest)?;
    let plain: Vec<&Path> = words.plain.iter().map(PathBuf::as_path).collect();
    match (command.to_string_lossy().as_ref(), plain.as_slice()) {
        ("table", [path]) => Ok(table::table(&file::read(path)?, std::io::stdout().is_terminal())),
        ("page", [path]) => page(path, words.output),
        ("whatif", [path]) => {
            let profile = file::read(path)?;
            let threads = words.threads.unwrap_or_else(|| whatif::USUAL.to_vec());
            let predictions = whatif::predict(&profile, &threads);
            if words.json { json(&predictions) } else { Ok(predicted(&profile, &predictions)) }
        }
        ("diff", [before, after]) => {
            let difference = diff::difference(&file::read(before)?, &file::read(after)?);
            if words.json { json(&difference) } else { Ok(difference.text()) }
        }
        ("report", [directory]) => report(directory, words.output),
        _ => Err(format!("{}: wrong number of files\n{USAGE}", command.to_string_lossy())),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| error.to_string())
}

fn page(path: &Path, output: Option<PathBuf>) -> Result<String, String> {
    let profile = file::read(path)?;
    let output = output.unwrap_or_else(|| path.with_extension("html"));
    if format_of(path) == Some(Format::Html) && output == path {
        return Err(format!("{}: is a page already", path.display()));
    }
    let describe = |error: std::io::Error| format!("{}: {}", output.display(), file::plain(&error));
    let opened = std::fs::File::create(&output).map_err(describe)?;
    file::write(&profile, Format::Html, opened).map_err(describe)?;
    Ok(format!("{}\n", output.display()))
}

/// Predictions as a table, with what they leave out.
fn predicted(profile: &Profile, predictions: &[Prediction]) -> String {
    if predictions.is_empty() {
        return "the trace has no run in it\n".into();
    }
    let mut text = format!(
        "recorded on {} worker{}: {}\n\n{:>7}  {:>10}  {:>8}  {:>8}  limited by\n",
        profile.workers.len(),
        if profile.workers.len() == 1 { "" } else { "s" },
        figures::time(profile.wall),
        "threads",
        "wall",
        "speed-up",
        "serial"
    );
    for prediction in predictions {
        text += &format!(
            "{:>7}  {:>10}  {:>7.2}x  {:>7.0}%  {} ({} alone)\n",
            prediction.threads,
            figures::time(prediction.wall),
            prediction.speedup,
            prediction.serial * 100.0,
            prediction.limit,
            figures::time(prediction.limit_time)
        );
    }
    text + "\n" + whatif::LEFT_OUT + "\n"
}

/// How many of the slowest links of a build get a page of their own.
const PAGES_MAX: usize = 20;

/// Writes the page of all links of a build, and pages of the slowest.
fn report(directory: &Path, output: Option<PathBuf>) -> Result<String, String> {
    wait_for_links(directory);
    let (build, paths) = index::read(directory)?;
    for (name, why) in &build.skipped {
        eprintln!("manifold: warning: trace: {}: {why}; left out", directory.join(name).display());
    }
    let output = output.unwrap_or_else(|| directory.join("index.html"));
    let mut slowest: Vec<usize> = (0..paths.len()).collect();
    slowest.sort_by_key(|n| std::cmp::Reverse(build.links[*n].wall));
    let mut pages = BTreeMap::new();
    for n in slowest.into_iter().take(PAGES_MAX) {
        let target = paths[n].with_extension("html");
        page(&paths[n], Some(target.clone()))?;
        let href = std::path::absolute(&target).unwrap_or(target);
        let beside = output.parent().is_some_and(|parent| paths[n].parent() == Some(parent));
        let name = href.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let href = if beside { name } else { href.display().to_string() };
        pages.insert(build.links[n].file.clone(), href);
    }
    let describe = |error: std::io::Error| format!("{}: {}", output.display(), file::plain(&error));
    let mut out = std::io::BufWriter::new(std::fs::File::create(&output).map_err(describe)?);
    index::write(&build, &pages, &mut out).and_then(|()| out.flush()).map_err(describe)?;
    Ok(build.text() + &format!("{}\n", output.display()))
}

/// Links may still be writing their traces, though their commands have ended: gives them some time.
fn wait_for_links(directory: &Path) {
    let is_writing = || {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".part")).any(|name| {
            let process = name.trim_end_matches(".part").rsplit('-').next().unwrap_or_default().to_string();
            Path::new("/proc").join(process).exists()
        })
    };
    for _ in 0..200 {
        if !is_writing() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(line: &str) -> bool {
        let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        is_command(&words)
    }

    #[test]
    fn a_link_of_a_file_called_trace_is_a_link() {
        assert!(is("trace whatif x.json") && is("trace --help"));
        assert!(!is("trace a.o -o b") && !is("a.o trace") && !is(""));
    }

    #[test]
    fn threads_are_numbers() {
        assert_eq!(numbers("4,8, 16"), Ok(vec![4, 8, 16]));
        assert!(numbers("0").is_err() && numbers("x").is_err() && numbers("4,").is_err());
    }
}
