//! The program that compilers call as `ld` during a case.
//!
//! In: the command line of a link, made by gcc, clang, rustc or cargo. It runs the linker under test with
//! exactly these words, passes on what it prints and how it ends, and leaves a [`Linked`] report for the
//! case. Standing between driver and linker lets every case, whatever its driver,
//!
//! - see the linker's own messages, even where the driver hides them (rustc does);
//! - see the command line that the linker got;
//! - repeat the link with other numbers of threads while the temporary files of the driver still exist,
//!   and compare the outputs byte by byte.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Environment variable: the linker to run.
pub const LINKER: &str = "CASE_LINKER";
/// Environment variable: the directory for reports.
pub const REPORTS: &str = "CASE_REPORTS";
/// Environment variable: numbers of threads to repeat the link with, separated by commas; `default` is the
/// linker's own choice.
pub const THREADS: &str = "CASE_THREADS";

/// What one call of the linker did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// The command line, without the program.
    pub arguments: Vec<String>,
    /// The directory it ran in.
    pub directory: PathBuf,
    /// Exit status; `None` if a signal killed it.
    pub exit: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The output file, from `-o`.
    pub output: PathBuf,
    /// Numbers of threads that gave another output, with what was different.
    pub unstable: Vec<String>,
}

impl Linked {
    /// Reads all reports in a directory, oldest first, and removes them.
    ///
    /// # Errors
    /// A report cannot be read.
    pub fn take_all(directory: &Path) -> Result<Vec<Linked>, String> {
        let entries = std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        let mut reports = Vec::new();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            reports.push(Linked::from_text(&text));
            std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(reports)
    }

    /// One `key value` line each, with newlines inside values as `\n`.
    fn to_text(&self) -> String {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n");
        let mut out = String::new();
        let mut line = |key: &str, value: &str| out.push_str(&format!("{key} {}\n", escape(value)));
        self.arguments.iter().for_each(|argument| line("argument", argument));
        line("directory", &self.directory.to_string_lossy());
        if let Some(exit) = self.exit {
            line("exit", &exit.to_string());
        }
        line("stdout", &self.stdout);
        line("stderr", &self.stderr);
        line("output", &self.output.to_string_lossy());
        self.unstable.iter().for_each(|difference| line("unstable", difference));
        out
    }

    fn from_text(text: &str) -> Linked {
        let mut report = Linked::default();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = unescape(value);
            match key {
                "argument" => report.arguments.push(value),
                "directory" => report.directory = value.into(),
                "exit" => report.exit = value.parse().ok(),
                "stdout" => report.stdout = value,
                "stderr" => report.stderr = value,
                "output" => report.output = value.into(),
                "unstable" => report.unstable.push(value),
                _ => {}
            }
        }
        report
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            c => out.push(c),
        }
    }
    out
}

/// The `main` of the shim.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some(linker) = std::env::var_os(LINKER) else {
        eprintln!("ld-shim: {LINKER} is not set; this program is only for cases");
        return ExitCode::FAILURE;
    };
    let run = |extra: Option<String>| Command::new(&linker).args(&arguments).args(extra).output();
    let result = match run(None) {
        Ok(result) => result,
        Err(e) => {
            eprintln!("ld-shim: {}: {e}", linker.to_string_lossy());
            return ExitCode::FAILURE;
        }
    };
    let text: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let directory = std::env::current_dir().unwrap_or_default();
    let mut report = Linked {
        output: output_of(&expand(&text, &directory, 0)),
        arguments: text,
        directory,
        exit: result.status.code(),
        stdout: String::from_utf8_lossy(&result.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&result.stderr).into_owned(),
        unstable: Vec::new(),
    };
    let threads = std::env::var(THREADS).unwrap_or_default();
    if result.status.success() && !threads.is_empty() {
        report.unstable = repeat(&report.output, threads.split(','), run);
    }
    if let Some(reports) = std::env::var_os(REPORTS) {
        let moment = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
        let name = format!("{moment:030}-{}", std::process::id());
        if let Err(e) = std::fs::write(Path::new(&reports).join(name), report.to_text()) {
            eprintln!("ld-shim: cannot write the report: {e}");
            return ExitCode::FAILURE;
        }
    }
    // The driver may have closed its end; the linker would not notice either.
    let _ = std::io::stdout().write_all(&result.stdout);
    let _ = std::io::stderr().write_all(&result.stderr);
    match result.status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => {
            eprintln!("ld-shim: the linker was killed by signal {}", result.status.signal().unwrap_or(0));
            ExitCode::from(139)
        }
    }
}

/// Links again with each number of threads and says where the output differs from the first.
fn repeat<'t>(
    output: &Path,
    threads: impl Iterator<Item = &'t str>,
    run: impl Fn(Option<String>) -> std::io::Result<std::process::Output>,
) -> Vec<String> {
    let mut unstable = Vec::new();
    if !output.is_file() {
        return unstable;
    }
    let Ok(first) = std::fs::read(output) else { return unstable };
    for count in threads {
        let again = run((count != "default").then(|| format!("--threads={count}")));
        match again {
            Ok(result) if result.status.success() => {}
            Ok(result) => {
                let text = String::from_utf8_lossy(&result.stderr).into_owned();
                unstable.push(format!("--threads={count} fails: {text}"));
                continue;
            }
            Err(e) => {
                unstable.push(format!("--threads={count}: {e}"));
                continue;
            }
        }
        let second = std::fs::read(output).unwrap_or_default();
        if first != second {
            let at = first.iter().zip(&second).position(|(a, b)| a != b);
            let at = at.unwrap_or(first.len().min(second.len()));
            let sizes = (first.len(), second.len());
            unstable.push(format!("--threads={count} differs from byte {at:#x} on; sizes {sizes:?}"));
        }
    }
    if !unstable.is_empty() {
        // What the case looks at next should be the link it asked for.
        let _ = std::fs::write(output, first);
    }
    unstable
}

/// Replaces `@file` by the words in the file, as the linker does; a file that does not exist stays a word.
fn expand(arguments: &[String], directory: &Path, depth: usize) -> Vec<String> {
    let mut out = Vec::new();
    for argument in arguments {
        let text = argument.strip_prefix('@').filter(|_| depth < 10);
        let text = text.and_then(|path| std::fs::read_to_string(directory.join(path)).ok());
        match text.map(|text| crate::command::words(&text)) {
            Some(Ok(words)) => out.extend(expand(&words, directory, depth + 1)),
            _ => out.push(argument.clone()),
        }
    }
    out
}

/// The file that `-o` names in the words of a command; the last one counts.
pub fn output_of(arguments: &[String]) -> PathBuf {
    let mut output = "a.out";
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-o" | "--output" => output = arguments.next().map_or(output, |a| a),
            a => {
                let joined = a.strip_prefix("--output=").or(a.strip_prefix("-o").filter(|_| !is_word(a)));
                output = joined.unwrap_or(output);
            }
        }
    }
    output.into()
}

/// Long options with one dash that start with an `o`.
fn is_word(argument: &str) -> bool {
    ["-omagic", "-oformat", "-orphan-handling"].iter().any(|word| argument.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_text_form() {
        let report = Linked {
            arguments: vec!["-o".into(), "a\nb\\n".into(), String::new()],
            directory: "/x y".into(),
            exit: Some(1),
            stdout: String::new(),
            stderr: "one\ntwo\n".into(),
            output: "a".into(),
            unstable: vec!["--threads=2 differs".into()],
        };
        assert_eq!(Linked::from_text(&report.to_text()), report);
    }

    #[test]
    fn the_last_output_option_counts() {
        let output = |line: &str| output_of(&crate::command::words(line).expect("words"));
        assert_eq!(output("a.o -o x b.o --output=y -omagic"), Path::new("y"));
        assert_eq!(output("-oz a.o --oformat binary"), Path::new("z"));
        assert_eq!(output("a.o"), Path::new("a.out"));
    }
}
