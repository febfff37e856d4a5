//! Runs one variant of a case, clause by clause.
//!
//! In: a [`Case`], a [`Variant`] and a [`Linker`]. Out: a [`Verdict`]. Besides what the case asks for, every
//! link is held to what a linker owes its users always:
//!
//! - a link that succeeds prints nothing, leaves nothing but its output, gives the same bytes with any
//!   number of threads, and the readers in [`lint`] accept what it wrote;
//! - a link that fails says why, exits with 1, writes no output, and leaves an earlier one as it was.
//!
//! The first thing that is wrong ends the variant: what follows would only repeat it. What only a reader
//! complains about, or what depends on the number of threads, is reported at the end, if all else holds.

use crate::case::{Case, Expectation, Guard, Step, StepKind, Stream, What};
use crate::command::{self, Ended, Finished, group_of, kill, prepare};
use crate::facts::{self, Subject};
use crate::linker::{self, Linker};
use crate::lint;
use crate::mutate::Damage;
use crate::shim::Linked;
use crate::variant::Variant;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// How long a command may take. Generous, because machines are shared; a hang is what it has to catch.
const LIMIT: Duration = Duration::from_secs(200);
/// How long a link of a damaged file may take.
const LIMIT_DAMAGED: Duration = Duration::from_secs(20);
/// Numbers of threads to repeat links with.
const THREADS: &str = "1,2,16";

/// What became of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All holds.
    Passed,
    /// It fails with this peer, as the case says it does.
    Differs(String),
    /// It was not run, and why.
    Skipped(String),
    /// It failed, with the reason and the commands that led there.
    Failed(String),
}

/// Runs a variant in `directory`, which is emptied first. With `verbose`, commands are printed as they run.
pub fn run(case: &Case, variant: &Variant, linker: &Linker, directory: &Path, verbose: bool) -> Verdict {
    let mut variant = variant.clone();
    variant.set("dir", &directory.display().to_string());
    variant.set("ld", &linker.path.display().to_string());
    variant.set("shims", &linker.shims.display().to_string());
    let mut runner = Runner {
        variant,
        linker: linker.clone(),
        directory: directory.to_owned(),
        reports: directory.join(".case/reports"),
        verbose,
        transcript: String::new(),
        written: BTreeSet::new(),
        started: Vec::new(),
        last_link: None,
        threads: THREADS.to_owned(),
        unchecked: false,
        complaints: Vec::new(),
    };
    if let Some(reason) = skip_reason(case, &runner.variant) {
        return Verdict::Skipped(reason);
    }
    let result = runner.prepare_directory().and_then(|()| runner.run_clauses(case));
    match (result, runner.known_difference(case)) {
        (Ok(()), None) => Verdict::Passed,
        (Err(_), Some(reason)) => Verdict::Differs(reason),
        (Ok(()), Some(_)) => {
            Verdict::Failed(format!("{} passes, although the case says that it differs", linker.name))
        }
        (Err(reason), None) => Verdict::Failed(format!("{reason}\n\n{}", runner.transcript)),
    }
}

/// Why a variant is not run on this machine, if so.
pub fn skip_reason(case: &Case, variant: &Variant) -> Option<String> {
    case.clauses.iter().find_map(|clause| match &clause.what {
        // A guard that cannot be understood is reported when the case runs.
        _ if variant.allows(&clause.guard) != Ok(true) => None,
        What::Skip(reason) => Some(reason.clone()),
        What::Needs(tools) => {
            let missing = tools.iter().find(|tool| linker::find_tool(tool).is_none())?;
            Some(format!("{missing} is not installed"))
        }
        _ => None,
    })
}

/// The last link that succeeded: what it was, and its reports.
#[derive(Clone)]
struct LastLink {
    words: Vec<String>,
    outputs: Vec<PathBuf>,
}

struct Runner {
    variant: Variant,
    linker: Linker,
    directory: PathBuf,
    reports: PathBuf,
    verbose: bool,
    transcript: String,
    written: BTreeSet<String>,
    started: Vec<Child>,
    last_link: Option<LastLink>,
    threads: String,
    unchecked: bool,
    complaints: Vec<String>,
}

impl Drop for Runner {
    fn drop(&mut self) {
        for child in &mut self.started {
            kill(group_of(child));
            // Collects the child; there is nothing left to do if that fails.
            let _ = child.wait();
        }
    }
}

impl Runner {
    /// What the case says about this linker behaving otherwise.
    fn known_difference(&self, case: &Case) -> Option<String> {
        case.clauses.iter().find_map(|clause| match &clause.what {
            What::Differs(linkers, reason)
                if linkers.contains(&self.linker.name) && self.allows(&clause.guard).unwrap_or(false) =>
            {
                Some(reason.clone())
            }
            _ => None,
        })
    }

    fn allows(&self, guard: &Guard) -> Result<bool, String> {
        self.variant.allows(guard)
    }

    fn prepare_directory(&self) -> Result<(), String> {
        let shown = |e: std::io::Error| format!("{}: {e}", self.directory.display());
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).map_err(shown)?;
        }
        fs::create_dir_all(&self.reports).map_err(shown)?;
        fs::create_dir_all(self.directory.join(".case/tmp")).map_err(shown)
    }

    fn run_clauses(&mut self, case: &Case) -> Result<(), String> {
        for clause in &case.clauses {
            if !self.allows(&clause.guard)? {
                continue;
            }
            let result = match &clause.what {
                What::Skip(_) | What::Needs(_) | What::Differs(..) => Ok(()),
                What::Threads(numbers) => {
                    self.threads = numbers.join(",");
                    Ok(())
                }
                What::Once(_) => {
                    self.threads.clear();
                    Ok(())
                }
                What::Unchecked(_) => {
                    self.unchecked = true;
                    Ok(())
                }
                What::File { name, body, repeat } => self.write(name, body, *repeat),
                What::Step(step) => self.step(step),
                What::Facts(file, facts) => self.judge(file, facts),
                What::Absent(file) => match self.directory.join(self.variant.replace(file)).exists() {
                    true => Err(format!("{file} is there, but must not be")),
                    false => Ok(()),
                },
            };
            result
                .map_err(|e| if e.starts_with("line ") { e } else { format!("line {}: {e}", clause.line) })?;
        }
        if self.complaints.is_empty() { Ok(()) } else { Err(self.complaints.join("\n")) }
    }

    fn write(&mut self, name: &str, body: &str, repeat: Option<u32>) -> Result<(), String> {
        let path = self.directory.join(name);
        let text: String = match repeat {
            Some(count) => (0..count).map(|i| body.replace("{i}", &i.to_string())).collect(),
            None => body.to_owned(),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| format!("{name}: {e}"))?;
        }
        let earlier = match self.written.insert(name.to_owned()) {
            true => String::new(),
            false => fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))?,
        };
        fs::write(&path, earlier + &text).map_err(|e| format!("{name}: {e}"))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let words = command::words(&self.variant.replace(&step.command))?;
        match step.kind {
            StepKind::Do => {
                let finished = self.execute(&words, &self.environment(false), LIMIT)?;
                if finished.ended == Ended::Exit(0) { Ok(()) } else { Err(format!("{}", finished.ended)) }
            }
            StepKind::Run => {
                let finished = self.execute(&words, &self.environment(false), LIMIT)?;
                self.compare(step, &finished, 0, true)
            }
            StepKind::Start => {
                let environment = self.environment(false);
                let mut command = prepare(&words, &self.directory, &environment)?;
                command.stdout(Stdio::null()).stderr(Stdio::null());
                self.note(&format!("$ {} &", command::line(&words)));
                self.started.push(command.spawn().map_err(|e| format!("{}: {e}", words[0]))?);
                Ok(())
            }
            StepKind::Link => self.link(step, &words),
            StepKind::LinkFails => self.link_fails(step, &words),
            StepKind::Survives => self.survives(&words),
        }
    }

    fn environment(&self, repeated: bool) -> Vec<(String, String)> {
        let threads = if repeated && self.linker.is_ours() { self.threads.as_str() } else { "" };
        let mut environment = self.linker.environment(&self.reports, threads);
        environment.push(("TMPDIR".into(), self.directory.join(".case/tmp").display().to_string()));
        environment
    }

    fn note(&mut self, line: &str) {
        if self.verbose {
            println!("{line}");
        }
        self.transcript.push_str(line);
        self.transcript.push('\n');
    }

    /// Runs a command and writes down what it said.
    fn execute(
        &mut self,
        words: &[String],
        environment: &[(String, String)],
        limit: Duration,
    ) -> Result<Finished, String> {
        self.note(&format!("$ {}", command::line(words)));
        let finished = command::run(prepare(words, &self.directory, environment)?, limit)?;
        for text in [&finished.stdout, &finished.stderr] {
            if !text.is_empty() {
                let shown: String = text.chars().take(6000).collect();
                self.note(shown.trim_end());
            }
        }
        if finished.ended != Ended::Exit(0) {
            self.note(&format!("# {}", finished.ended));
        }
        Ok(finished)
    }

    fn link(&mut self, step: &Step, words: &[String]) -> Result<(), String> {
        let before = self.files();
        let mut adapted = words.to_vec();
        self.linker.through_shim(&mut adapted);
        let finished = self.execute(&adapted, &self.environment(true), LIMIT)?;
        let reports = Linked::take_all(&self.reports)?;
        if self.verbose {
            for report in &reports {
                self.note(&format!("# ld {}", command::line(&report.arguments)));
            }
        }
        self.compare(step, &finished, 0, false)?;
        if reports.is_empty() {
            return Err("the linker was not called".into());
        }
        for report in &reports {
            if report.exit != Some(0)
                && !step.expectations.iter().any(|(.., e)| matches!(e, Expectation::Exit(_)))
            {
                return Err(format!("the linker ended with {:?}: {}", report.exit, report.stderr));
            }
            for (stream, text) in [(Stream::Stdout, &report.stdout), (Stream::Stderr, &report.stderr)] {
                if !text.is_empty() && !self.is_expected(step, stream)? {
                    return Err(format!("a link that succeeds is silent, but this one printed:\n{text}"));
                }
            }
            let unstable = report.unstable.iter();
            self.complaints
                .extend(unstable.map(|u| format!("the output depends on the number of threads: {u}")));
        }
        let outputs: Vec<PathBuf> = reports.iter().map(|r| r.directory.join(&r.output)).collect();
        self.last_link = Some(LastLink { words: words.to_vec(), outputs: outputs.clone() });
        self.check_leftovers(words, &before, &outputs)?;
        if self.linker.is_ours() && !self.unchecked {
            for output in outputs {
                self.lint(&output)?;
            }
        }
        Ok(())
    }

    fn link_fails(&mut self, step: &Step, words: &[String]) -> Result<(), String> {
        let before = self.files();
        let output = match linker::has_plain_output(words) {
            true => Some(self.directory.join(crate::shim::output_of(words))),
            false => None,
        };
        let earlier = output.as_ref().filter(|path| path.is_file()).and_then(|path| fs::read(path).ok());
        let mut adapted = words.to_vec();
        self.linker.through_shim(&mut adapted);
        let finished = self.execute(&adapted, &self.environment(false), LIMIT)?;
        let reports = Linked::take_all(&self.reports)?;
        let last = reports.last().ok_or("the linker was not called")?;
        if last.exit != Some(1) {
            return Err(format!("the linker must fail with exit 1, not with {:?}", last.exit));
        }
        if last.stderr.is_empty() {
            return Err("the linker fails without saying why".into());
        }
        self.compare(step, &Finished { ended: Ended::Exit(1), ..finished }, 1, false)?;
        if let Some(path) = output.filter(|path| path.is_file() || earlier.is_some()) {
            let now = fs::read(&path).ok();
            match (earlier, now) {
                (Some(earlier), Some(now)) if earlier == now => {}
                (Some(_), _) => return Err(format!("the failed link destroyed {}", path.display())),
                (None, Some(_)) => return Err(format!("the failed link left {}", path.display())),
                (None, None) => {}
            }
        }
        self.check_leftovers(words, &before, &[])
    }

    /// Every file there is now that was not there before must be an output or named in the command.
    fn check_leftovers(
        &self,
        words: &[String],
        before: &BTreeSet<String>,
        outputs: &[PathBuf],
    ) -> Result<(), String> {
        if !linker::has_plain_output(words) {
            return Ok(());
        }
        let is_output = |name: &str| outputs.iter().any(|o| o.ends_with(name));
        let is_named = |name: &str| words.iter().any(|word| word.contains(name));
        // What these options call their files unless told otherwise.
        let is_output = |name: &str| {
            let named = [("--separate-debug-file", ".dbg"), ("--time-trace", ".time-trace")];
            let of = |(option, ending): &(&str, &str)| {
                let is_given = words.iter().any(|word| word.contains(option));
                name.strip_suffix(ending).filter(|_| is_given)
            };
            is_output(named.iter().find_map(of).unwrap_or(name))
        };
        match self.files().difference(before).find(|name| !is_output(name) && !is_named(name)) {
            Some(name) => Err(format!("the link left a file called {name}")),
            None => Ok(()),
        }
    }

    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }

    fn lint(&mut self, output: &Path) -> Result<(), String> {
        // A pipe or a device must not even be opened: that may block, and takes what was for others.
        let is_elf = || fs::read(output).is_ok_and(|data| data.starts_with(b"\x7fELF"));
        if !output.is_file() || !is_elf() {
            return Ok(());
        }
        let complaints = lint::complaints(output)?;
        if complaints.is_empty() {
            return Ok(());
        }
        let accepted = match self.linked_by("ld", output) {
            Ok(path) => lint::complaints(&path)?,
            Err(_) => complaints.iter().filter(|c| c.starts_with("eu-elflint")).cloned().collect(),
        };
        let new = complaints.iter().filter(|c| !accepted.contains(c));
        self.complaints.extend(new.map(|c| format!("a reader complains about {}: {c}", output.display())));
        Ok(())
    }

    /// Repeats the last link with another linker and returns where its `output` now is.
    fn linked_by(&mut self, peer: &str, output: &Path) -> Result<PathBuf, String> {
        let link = self.last_link.clone().ok_or("there was no link to repeat")?;
        if !linker::is_repeatable(&link.words) || !link.outputs.iter().any(|o| o == output) {
            return Err("this link cannot be repeated with another linker".into());
        }
        let other = self.linker.peer(peer)?;
        let shown = |e: std::io::Error| format!("{}: {e}", output.display());
        let place = self.directory.join(".case").join(peer);
        fs::create_dir_all(&place).map_err(shown)?;
        let theirs = place.join(output.file_name().ok_or("no output name")?);
        let ours = place.join("ours");
        let mut adapted = link.words;
        other.through_shim(&mut adapted);
        let mut environment = other.environment(&self.reports, "");
        environment.push(("TMPDIR".into(), self.directory.join(".case/tmp").display().to_string()));
        let prepared = prepare(&adapted, &self.directory, &environment)?;
        // Our output steps aside as it is, whatever the peer does to the name, and comes back.
        fs::rename(output, &ours).map_err(shown)?;
        let finished = command::run(prepared, LIMIT);
        let moved = fs::rename(output, &theirs);
        fs::rename(&ours, output).map_err(shown)?;
        Linked::take_all(&self.reports)?;
        let finished = finished?;
        match (finished.ended, moved) {
            (Ended::Exit(0), Ok(())) => Ok(theirs),
            (ended, _) => Err(format!("{peer} cannot do this link: {ended}\n{}", finished.stderr)),
        }
    }

    /// Links damaged copies of a file: `HOW FILE COUNT COMMAND...`.
    fn survives(&mut self, words: &[String]) -> Result<(), String> {
        let [how, file, count, command @ ..] = words else {
            return Err("write `survives HOW FILE COUNT COMMAND`".into());
        };
        let damage = Damage::named(how).ok_or_else(|| format!("no damage is called `{how}`"))?;
        let count: u32 = count.parse().map_err(|_| format!("`{count}` is no number"))?;
        let path = self.directory.join(file);
        let original = fs::read(&path).map_err(|e| format!("{file}: {e}"))?;
        let mut command = command.to_vec();
        self.linker.directly(&mut command);
        self.note(&format!("$ {}   # with {count} damaged copies of {file}", command::line(&command)));
        for index in 0..count {
            fs::write(&path, damage.apply(&original, index, count)).map_err(|e| format!("{file}: {e}"))?;
            let environment = self.environment(false);
            let prepared = prepare(&command, &self.directory, &environment)?;
            let finished = command::run(prepared, LIMIT_DAMAGED)?;
            let polite = matches!(finished.ended, Ended::Exit(0 | 1));
            let words = ["panicked", "internal error", "overflow"];
            let panicked =
                words.iter().find(|w| finished.stderr.contains(**w)).filter(|_| self.linker.is_ours());
            if !polite || panicked.is_some() {
                let kept = format!("{file}.damaged-{index}");
                fs::copy(&path, self.directory.join(&kept)).map_err(|e| format!("{kept}: {e}"))?;
                return Err(format!("{kept}: {}\n{}", finished.ended, finished.stderr));
            }
        }
        fs::write(&path, original).map_err(|e| format!("{file}: {e}"))
    }

    fn is_expected(&self, step: &Step, stream: Stream) -> Result<bool, String> {
        for (_, guard, expectation) in &step.expectations {
            let about = match expectation {
                Expectation::Is(s, _) | Expectation::Contains(s, _) | Expectation::Any(s) => *s == stream,
                Expectation::Lacks(..) | Expectation::Exit(_) => false,
            };
            if about && self.allows(guard)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compares how a command ended and what it printed with what the case expects.
    fn compare(&self, step: &Step, finished: &Finished, exit: i32, strict: bool) -> Result<(), String> {
        let mut exit = exit;
        for (_, guard, expectation) in &step.expectations {
            if let Expectation::Exit(code) = expectation
                && self.allows(guard)?
            {
                exit = *code;
            }
        }
        if finished.ended != Ended::Exit(exit) {
            return Err(format!("{}, expected exit {exit}", finished.ended));
        }
        for (line, guard, expectation) in &step.expectations {
            if self.allows(guard)? {
                self.compare_one(expectation, finished).map_err(|e| format!("line {line}: {e}"))?;
            }
        }
        // A program that prints something nobody expects is not doing what the case believes.
        if strict && !finished.stdout.is_empty() && !self.is_expected(step, Stream::Stdout)? {
            return Err(format!("unexpected output:\n{}", finished.stdout));
        }
        Ok(())
    }

    fn compare_one(&self, expectation: &Expectation, finished: &Finished) -> Result<(), String> {
        let text = |stream: &Stream| match stream {
            Stream::Stdout => &finished.stdout,
            Stream::Stderr => &finished.stderr,
        };
        match expectation {
            Expectation::Exit(_) | Expectation::Any(_) => Ok(()),
            Expectation::Is(stream, wanted) => {
                // Spaces at the ends of lines would not survive an editor.
                let tidy =
                    |text: &str| text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
                let (found, wanted) = (tidy(text(stream)), tidy(&self.variant.replace(wanted)));
                if found == wanted { Ok(()) } else { Err(difference(stream, &wanted, &found)) }
            }
            Expectation::Contains(stream, lines) => {
                let mut rest = text(stream).as_str();
                for line in lines {
                    let line = self.variant.replace(line.trim());
                    let Some(at) = rest.find(&line) else {
                        return Err(format!("{stream:?} lacks `{line}` (here or after the lines before it)"));
                    };
                    rest = &rest[at + line.len()..];
                }
                Ok(())
            }
            Expectation::Lacks(stream, lines) => {
                match lines.iter().find(|line| text(stream).contains(&self.variant.replace(line.trim()))) {
                    Some(line) => Err(format!("{stream:?} has `{line}`")),
                    None => Ok(()),
                }
            }
        }
    }

    fn judge(&mut self, file: &str, facts: &[(usize, Guard, String)]) -> Result<(), String> {
        let path = self.directory.join(self.variant.replace(file));
        let subject = Subject::open(&path)?;
        for (line, guard, fact) in facts {
            if !self.allows(guard)? {
                continue;
            }
            let fact = self.variant.replace(fact);
            self.note(&format!("? {fact}"));
            let mut peer = |name: &str| Subject::open(&self.linked_by(name, &path)?);
            facts::judge(&fact, &subject, &mut peer).map_err(|e| format!("line {line}: `{fact}`: {e}"))?;
        }
        Ok(())
    }
}

fn difference(stream: &Stream, wanted: &str, found: &str) -> String {
    let mut out = format!("{stream:?} is not what it should be\n");
    for (sign, text) in [("expected", wanted), ("found   ", found)] {
        for line in text.lines().take(60) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {sign} | {line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, clauses: &str) -> Verdict {
        let case = Case::parse(&format!("# T\nwhy\n{clauses}")).expect("valid");
        let linker = Linker { name: "ld".into(), path: "/usr/bin/ld".into(), shims: "/nowhere".into() };
        let variant = &Variant::all(&case, "ld")[0];
        let directory = std::env::temp_dir().join(format!("case-unit-{}-{name}", std::process::id()));
        let verdict = run(&case, variant, &linker, &directory, false);
        let _ = fs::remove_dir_all(directory);
        verdict
    }

    #[test]
    fn output_and_exit_are_compared() {
        assert_eq!(verdict("same", "--- run sh -c 'echo a; exit 2'\na\n--- exit 2\n"), Verdict::Passed);
        for wrong in ["--- run echo a\nb\n", "--- run echo a\n", "--- run false\n", "--- do false\n"] {
            assert!(matches!(verdict("wrong", wrong), Verdict::Failed(_)), "{wrong}");
        }
    }

    #[test]
    fn files_are_written_and_appended() {
        let clauses =
            "--- file d/x\nhead\n--- repeat 2 d/x\nline {i}\n--- run cat d/x\nhead\nline 0\nline 1\n";
        assert_eq!(verdict("files", clauses), Verdict::Passed);
    }

    #[test]
    fn a_documented_difference_must_be_there() {
        let differs = "--- differs ld: it does\n--- run false\n";
        assert_eq!(verdict("differs", differs), Verdict::Differs("it does".into()));
        assert!(matches!(verdict("agrees", "--- differs ld: no\n--- do true\n"), Verdict::Failed(_)));
        assert_eq!(verdict("skip", "--- skip: why\n--- run false\n"), Verdict::Skipped("why".into()));
    }
}
