//! What the readers of other projects think of an output.
//!
//! In: a linked file. Out: complaints, one a line, with numbers and addresses taken out so that two links
//! can be compared. Three readers look at it: GNU readelf and llvm-readelf, which must print every table
//! without a warning, and eu-elflint, which knows more rules than any linker follows; its complaints count
//! only where GNU ld's output of the same link does not get them too.

use crate::command::{prepare, run};
use crate::linker::find_tool;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The readers: program, arguments, whether standard output holds the complaints.
const READERS: &[(&str, &[&str], bool)] = &[
    ("readelf", &["-aW"], false),
    ("llvm-readelf-19", &["--all"], false),
    ("eu-elflint", &["--gnu-ld", "-q"], true),
];

/// The complaints about a file.
///
/// # Errors
/// A reader cannot be started.
pub fn complaints(path: &Path) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let directory = path.parent().unwrap_or(Path::new("/"));
    for (program, arguments, on_stdout) in READERS {
        if find_tool(program).is_none() {
            continue;
        }
        let mut words = vec![(*program).to_owned()];
        words.extend(arguments.iter().map(|a| (*a).to_owned()));
        words.push(path.display().to_string());
        let finished = run(prepare(&words, directory, &[])?, Duration::from_secs(60))?;
        let mut text = finished.stderr;
        if *on_stdout {
            text.push_str(&finished.stdout);
        }
        let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("No errors"));
        all.extend(lines.map(|line| format!("{program}: {}", normalize(line, path))));
    }
    all.dedup();
    Ok(all)
}

/// What `llvm-dwarfdump --verify` finds wrong: the kinds of errors and how often each occurs.
///
/// # Errors
/// It cannot be started.
pub fn dwarf_errors(path: &Path) -> Result<BTreeMap<String, usize>, String> {
    let words = ["llvm-dwarfdump-19", "--verify", &path.display().to_string()].map(str::to_owned);
    let finished =
        run(prepare(&words, path.parent().unwrap_or(Path::new("/")), &[])?, Duration::from_secs(60))?;
    let mut errors = BTreeMap::new();
    for line in finished.stdout.lines().chain(finished.stderr.lines()).filter(|l| l.starts_with("error: ")) {
        // The summary at the end counts them: `error: KIND occurred N time(s).`
        if let Some((kind, rest)) = line.split_once(" occurred ") {
            let count = rest.split_once(' ').and_then(|(count, _)| count.parse().ok());
            errors.insert(kind.to_owned(), count.unwrap_or(1));
        }
    }
    if errors.is_empty() && !finished.stdout.contains("No errors.") {
        return Err(format!("llvm-dwarfdump ended with {}\n{}", finished.ended, finished.stderr));
    }
    Ok(errors)
}

/// Takes out what differs between two links without meaning: the file's name, numbers.
fn normalize(line: &str, path: &Path) -> String {
    let line = line.replace(&path.display().to_string(), "FILE");
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut in_word = false;
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() && !in_word {
            while chars.next_if(|c| c.is_ascii_hexdigit() || *c == 'x').is_some() {}
            out.push('N');
        } else {
            in_word = c.is_ascii_alphanumeric() || "_.-".contains(c);
            out.push(c);
        }
    }
    // eu-elflint pads one-digit numbers.
    out.replace("[ N]", "[N]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_are_taken_out() {
        let line = normalize("section [12] '.rela.dyn' at 0x1f of /tmp/a", Path::new("/tmp/a"));
        assert_eq!(line, "section [N] '.rela.dyn' at N of FILE");
        assert_eq!(normalize("section [ 2] 'x86'", Path::new("/")), "section [N] 'x86'");
    }
}
