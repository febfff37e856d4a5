//! The trace of a link, where the user wants it: `--trace`, `--trace=FILE`, `--time-trace`, `MANIFOLD_TRACE=DIR`.
//!
//! [`Watch`] follows a link from the first line of `main` to the end: what was done before there was a tracer, the
//! link, what became of it. When the output is in its place and the listing is printed, the table (if one was asked for)
//! goes to standard error, and the files are opened and given room; only then does the command end for its caller. What
//! takes longer (the analysis, the predictions, the writing) is done while the caller goes on, unless `--no-fork` says
//! that there is one process. So whatever can go wrong with a trace is told in time, as a warning: a link never fails
//! for its trace.

mod commands;
mod machine;
mod record;
mod store;

pub use commands::{is_command, run as run_command};
pub use store::{VARIABLE, directory_for};

use engine::Tracer;
use profile::Profile as Record;
use profile::file::{Format, format_of};
use stages::account::Account;
use stages::config::{Config, Profile};
use stages::link::Outcome;
use stages::report::Problem;
use std::io::Write;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use store::Place;

/// What is wrong with the place for a trace, told before linking rather than after.
pub fn check(profile: &Profile) -> Option<Problem> {
    let Profile::File(path) = profile else { return None };
    if format_of(path).is_some() {
        return None;
    }
    let problem =
        Problem::error(format!("--trace={}: the file's ending names no known format", path.display()));
    Some(problem.note("there are .json, for Perfetto and Chrome, and .html, a page of its own"))
}

/// When the process began and what it did before it linked.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// The first line of `main`.
    main: Instant,
    /// What the process needed until then.
    before: Duration,
    /// The options are read.
    options: Instant,
}

impl Beginning {
    /// To be called when the options are read. What was before `main` cannot be seen any more, but little else than
    /// processor time can have been spent on it: what the process used until now without what `main` took.
    pub fn read(main: Instant) -> Beginning {
        let options = Instant::now();
        let usage = engine::trace::Usage::now();
        let used = Duration::from_nanos(usage.user + usage.system);
        Beginning { main, before: used.saturating_sub(options - main), options }
    }
}

/// A link that is watched.
pub struct Watch {
    tracer: Tracer,
    profile: Profile,
    directory: Option<PathBuf>,
    began: SystemTime,
}

/// A trace that is taken and still has to be written.
pub struct Taken {
    places: Vec<Place>,
    raw: Raw,
}

/// What a [`Record`] is made from.
struct Raw {
    trace: engine::Trace,
    account: Option<Account>,
    facts: profile::schema::Link,
    wall: u64,
}

impl Watch {
    /// Watches from now on, if anybody wants to know.
    pub fn start(beginning: Beginning, profile: &Profile, directory: Option<PathBuf>) -> Watch {
        let is_wanted = *profile != Profile::Off || directory.is_some();
        let age = beginning.before + beginning.main.elapsed();
        let began = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let epoch = beginning.main.checked_sub(beginning.before).unwrap_or(beginning.main);
        let tracer = if is_wanted { Tracer::since(epoch) } else { Tracer::off() };
        let at = |instant: Instant| instant.saturating_duration_since(epoch).as_nanos() as u64;
        tracer.past("start/process", 0, at(beginning.main));
        tracer.past("start/options", at(beginning.main), at(beginning.options));
        tracer.past("start/fork", at(beginning.options), tracer.now());
        Watch { tracer, profile: profile.clone(), directory, began }
    }

    /// Where spans go.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Takes the trace of a link that has ended: prints the table, opens the files. `None` if there is nothing else to
    /// do. What goes wrong is told by `problems`.
    pub fn take(
        self,
        config: &Config,
        threads_by: &str,
        is_coloured: bool,
        outcome: &mut Outcome,
        problems: &mut Vec<Problem>,
    ) -> Option<Taken> {
        if !self.tracer.is_on() {
            return None;
        }
        let wall = self.tracer.now();
        let facts = machine::facts(config, threads_by, self.began, outcome.succeeded);
        let raw = Raw { trace: self.tracer.collect(), account: outcome.account.take(), facts, wall };
        let mut taken = Taken { places: Vec::new(), raw };
        if self.profile == Profile::Table {
            let Raw { trace, account, facts, wall } = &taken.raw;
            let mut record = record::summary(trace, account.as_ref(), facts.clone(), *wall);
            record.advice = profile::advice::advise(&record);
            // Nobody is left to tell if standard error is closed.
            let _ = write!(std::io::stderr().lock(), "{}", profile::table::table(&record, is_coloured));
            // The caller waits, and the process is about to end.
            std::mem::forget(record);
        }
        let mut open = |option: String, place: Result<Place, String>| match place {
            Ok(place) => taken.places.push(place),
            Err(why) => {
                let problem = Problem::warning(format!("{option}: {why}"));
                problems.push(problem.note("the link itself is not affected"));
            }
        };
        let room = taken.raw.room();
        match &self.profile {
            Profile::Off | Profile::Table => {}
            Profile::File(path) => {
                let format = format_of(path).unwrap_or(Format::Json);
                open(format!("--trace={}", path.display()), Place::file(path, format, room));
            }
            Profile::TimeTrace(path) => {
                let path = path.clone().unwrap_or_else(|| {
                    let mut name = config.output.clone().into_os_string();
                    name.push(".time-trace");
                    name.into()
                });
                open(format!("--time-trace={}", path.display()), Place::file(&path, Format::Json, room));
            }
        }
        if let Some(directory) = &self.directory {
            let place = Place::in_directory(directory, &config.output, self.began, room);
            open(format!("{}={}", VARIABLE, directory.display()), place);
        }
        if taken.places.is_empty() {
            std::mem::forget(taken);
            return None;
        }
        Some(taken)
    }
}

impl Taken {
    /// Whether the caller must wait until all is written: what is no regular file cannot be asked for room.
    pub fn must_be_awaited(&self) -> bool {
        self.places.iter().any(Place::is_stream)
    }

    /// The descriptors of the files to be written.
    pub fn descriptors(&self) -> Vec<RawFd> {
        self.places.iter().filter_map(Place::descriptor).collect()
    }

    /// Writes the files; what goes wrong.
    pub fn write(self) -> Vec<Problem> {
        let Taken { places, raw } = self;
        let mut record = raw.record();
        record.predictions = profile::whatif::predict(&record, &profile::whatif::USUAL);
        // Some of it speaks of predictions.
        record.advice = profile::advice::advise(&record);
        let mut problems = Vec::new();
        for place in places {
            if let Err(why) = place.write(&record) {
                problems.push(Problem::warning(why).note("the link itself is not affected"));
            }
        }
        problems
    }
}

impl Raw {
    fn record(&self) -> Record {
        let mut record = record::record(&self.trace, self.account.as_ref(), self.facts.clone(), self.wall);
        profile::analysis::complete(&mut record);
        record
    }

    /// Bytes a file of it has, about, and rather more than less.
    fn room(&self) -> u64 {
        let spans = self.trace.spans().count() as u64;
        let inputs = self.account.as_ref().map_or(0, |account| account.inputs.len() as u64);
        let rows =
            self.account.iter().flat_map(|account| &account.outputs).map(|file| file.rows.len() as u64);
        (1 << 18) + spans * 350 + inputs * 250 + rows.sum::<u64>() * 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_names_the_format() {
        assert_eq!(check(&Profile::Off), None);
        assert_eq!(check(&Profile::Table), None);
        assert_eq!(check(&Profile::File("a/x.json".into())), None);
        assert_eq!(check(&Profile::File("x.html".into())), None);
        assert!(check(&Profile::File("x.txt".into())).is_some());
        assert!(check(&Profile::File("json".into())).is_some());
    }
}
