//! `manifold`, the linker: an `ld` by whatever name it is called.
//!
//! One pass, top to bottom: read the command line ([`parse`], [`resolve`]), answer questions such as
//! `--version`, link (`stages::link`), show what went wrong ([`messages`]). Everything that prints is in
//! this crate. `manifold -run COMMAND` is the other mode, see [`run`].

mod options;
mod words;
mod typed;
mod parse;
mod resolve;
mod reproduce;
mod help;
mod messages;
mod mri;
mod error_script;
mod threads;
mod trace;
mod signals;
mod early_exit;
mod memory;
mod run;

use early_exit::Caller;
use messages::Rules;
use resolve::{Environment, Resolved};
use stages::config::{Config, InputName, Profile};
use stages::link::{Outcome, link};
use stages::report::Severity;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use trace::Watch;
use typed::{Questions, Typed};

fn main() -> ExitCode {
    let main = Instant::now();
    memory::keep();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, command @ ..] = arguments.as_slice()
        && (first == "-run" || first == "--run")
    {
        return run::run(command);
    }
    if trace::is_command(&arguments) {
        return trace::run_command(&arguments[1..]);
    }
    let mut typed = parse::parse(&arguments);
    if let Some(directory) = &typed.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        let why = stages::open::reason(&error);
        typed.error(format!("cannot change to directory {}: {why}", directory.display()));
    }
    let questions = typed.questions;
    if answer(&typed, questions) {
        return ExitCode::SUCCESS;
    }
    let fork = typed.fork;
    let script = typed.error_script.clone();
    let Resolved { config, problems, rules } = resolve::resolve(typed, Environment::of_process());
    rules.print(&problems);
    if rules.any_fatal(&problems) {
        return ExitCode::FAILURE;
    }
    let directory = trace::directory_for(std::env::var_os(trace::VARIABLE));
    let beginning = trace::Beginning::read(main);
    let is_traced = config.profile != Profile::Off || directory.is_some();
    let is_worth_it = || named_bytes(&config, early_exit::WORTH_IT) >= early_exit::WORTH_IT;
    let wanted = fork.unwrap_or_else(|| is_traced || is_worth_it());
    early_exit::run(wanted, |caller| run_link(config, rules, script, beginning, directory, caller))
}

/// The size of the files that are named, or of some of them that have so many bytes.
fn named_bytes(config: &Config, enough: u64) -> u64 {
    let mut bytes = 0;
    for input in &config.inputs {
        if let InputName::File(path) = &input.name {
            bytes += std::fs::metadata(path).map_or(0, |file| file.len());
        }
        if bytes >= enough {
            break;
        }
    }
    bytes
}

/// Links, prints what there is to say, writes traces; the code for the caller.
fn run_link(
    mut config: Config,
    rules: Rules,
    script: Option<PathBuf>,
    beginning: trace::Beginning,
    directory: Option<PathBuf>,
    caller: &Caller,
) -> u8 {
    signals::clean_up_when_stopped();
    let watch = Watch::start(beginning, &config.profile, directory);
    let (mut outcome, threads_by) = linked(&mut config, &watch);
    print(&outcome.listing);
    let mut warnings = Vec::new();
    let taken = watch.take(&config, threads_by, rules.is_coloured(), &mut outcome, &mut warnings);
    if let Some(script) = script {
        error_script::run(&script, &mut outcome.problems, rules.error_limit);
    }
    rules.print(&outcome.problems);
    // A trace that fails never fails its link.
    let about_traces = Rules { fatal_warnings: false, ..rules };
    about_traces.print(&warnings);
    let code = u8::from(!outcome.succeeded || rules.any_fatal(&outcome.problems));
    if let Some(taken) = taken {
        let is_alone = taken.must_be_awaited() || caller.release(code, &taken.descriptors());
        let problems = taken.write();
        if is_alone {
            about_traces.print(&problems);
        }
    }
    code
}

/// Links on as many threads as may be used; says what decided how many.
fn linked(config: &mut Config, watch: &Watch) -> (Outcome, &'static str) {
    config.is_patient = config.threads.is_none();
    let claim = threads::claim(config.threads);
    config.threads = Some(claim.threads());
    config.when_large = Some(memory::when_large(claim.threads()));
    let mut outcome = link(config, watch.tracer());
    if config.noinhibit_exec && outcome.succeeded {
        // The output was wanted in spite of these.
        outcome.problems.iter_mut().for_each(|problem| problem.severity = Severity::Warning);
    }
    (outcome, claim.decided_by())
}

/// Answers the questions on the command line; true if there is nothing else to do.
fn answer(typed: &Typed, questions: Questions) -> bool {
    if questions.help {
        print(&[help::help().to_string()]);
        return true;
    }
    if questions.version || questions.banner {
        print(&[help::VERSION.to_string()]);
    }
    if questions.emulations {
        print(&[help::emulations()]);
    }
    if questions.directories {
        print(&[help::directories()]);
    }
    if questions.sysroot {
        print(&[typed.config.sysroot.as_ref().map_or(String::new(), |s| s.display().to_string())]);
    }
    if questions.output_format {
        print(&[options::TARGETS[0].to_string()]);
    }
    let only = questions.version || questions.sysroot || questions.output_format;
    let nothing_typed = typed.config.inputs.is_empty() && typed.problems.is_empty();
    only || (questions.banner && nothing_typed)
}

/// Prints lines on standard output.
fn print(lines: &[String]) {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    for line in lines {
        let end = if line.ends_with('\n') { "" } else { "\n" };
        // A reader that has gone away (`ld --help | head`) is no failure of the linker.
        let _ = write!(out, "{line}{end}");
    }
    let _ = out.flush();
}
