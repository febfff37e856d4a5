//! Problems: what went wrong, where, and what to do about it.
//!
//! Stages hand problems to [`Problems`] from any worker, in any order. [`Problems::into_sorted`] puts them in
//! the order of the command line, so the same link always reports the same text. Nothing is printed here;
//! the command line front end does that.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The link fails.
    Error,
    /// The link goes on (unless `--fatal-warnings`).
    Warning,
}

/// A place in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its rank: the number of its [`FileId`](crate::model::FileId).
    pub file: u32,
    /// The section's index in the object.
    pub section: u32,
    /// In bytes from the start of the section.
    pub offset: u64,
}

/// What is known about a [`Place`] besides its offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The source line: `main.c:3 (/src/main.c:3)`.
    pub line: Option<String>,
    /// `function main`.
    pub within: Option<String>,
}

/// A note that tells of a place: `referenced by` and `a.o:(.text+0x8)`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlaceNote {
    note: usize,
    relation: &'static str,
    location: String,
    place: Place,
}

impl PlaceNote {
    /// The note with what is known of the place: the line first, the object below it.
    fn text(&self, description: Description) -> String {
        let PlaceNote { relation, location, .. } = self;
        // A definition is where its own name leads to.
        let within = description.within.filter(|_| *relation != "defined at");
        let within = within.map_or(String::new(), |within| format!(" in {within}"));
        match description.line {
            Some(line) => {
                format!("{relation} {line}{within}\n{:width$} {location}", "", width = relation.len())
            }
            None => format!("{relation} {location}{within}"),
        }
    }
}

/// What is missing, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A library (`-l`).
    Library(Vec<u8>),
    /// A definition of a symbol, as the symbol table has its name.
    Symbol(Vec<u8>),
}

/// One thing to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the link fails.
    pub severity: Severity,
    /// One line: where and what, lower case, no full stop: `a.o: undefined symbol: foo`.
    pub message: String,
    /// Further lines, each shown behind `>>> `: who refers to it, where else it is defined, what to do.
    pub notes: Vec<String>,
    /// Notes about places in objects, which are completed if the problem is shown.
    places: Vec<PlaceNote>,
    /// What a script that explains errors is told.
    pub about: Option<Box<About>>,
    /// Orders problems of one link: the command-line rank of the file, then a position within it.
    pub rank: (u32, u64),
}

impl Problem {
    /// An error about nothing on the command line in particular.
    pub fn error(message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            message: message.into(),
            notes: Vec::new(),
            places: Vec::new(),
            about: None,
            rank: (0, 0),
        }
    }
    /// A warning.
    pub fn warning(message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(message) }
    }
    /// Says what is missing.
    pub fn about(mut self, about: About) -> Problem {
        self.about = Some(Box::new(about));
        self
    }
    /// Adds a line of explanation.
    pub fn note(mut self, note: impl Into<String>) -> Problem {
        self.notes.push(note.into());
        self
    }
    /// Adds a line about a place in an object, `referenced by a.o:(.text+0x8)`, which names the source line and
    /// the function, too, if the problem is shown and the object knows them.
    pub fn note_place(mut self, relation: &'static str, location: String, place: Place) -> Problem {
        let text = format!("{relation} {location}");
        self.places.push(PlaceNote { note: self.notes.len(), relation, location, place });
        self.note(text)
    }
    /// Says where in the command line's order this belongs.
    pub fn at(mut self, file: u32, position: u64) -> Problem {
        self.rank = (file, position);
        self
    }
}

/// Proof that a link cannot go on: at least one error has been reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// Collects problems from all workers.
#[derive(Debug, Default)]
pub struct Problems {
    list: Mutex<Vec<Problem>>,
    said: Mutex<Vec<String>>,
    errors: AtomicUsize,
}

impl Problems {
    /// Records a problem.
    pub fn push(&self, problem: Problem) {
        if problem.severity == Severity::Error {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.list.lock().unwrap_or_else(|e| e.into_inner()).push(problem);
    }
    /// Records an error and returns the proof of it.
    pub fn fail(&self, problem: Problem) -> Failed {
        self.push(problem);
        Failed
    }
    /// Records a line that an option asked for on standard output.
    pub fn say(&self, line: String) {
        self.said.lock().unwrap_or_else(|e| e.into_inner()).push(line);
    }
    /// The lines for standard output, in the order they were recorded.
    pub fn take_said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap_or_else(|e| e.into_inner()))
    }
    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors.load(Ordering::Relaxed)
    }
    /// Whether anything has been reported at all.
    pub fn has_any(&self) -> bool {
        !self.list.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
    }
    /// `Err` if there has been an error: milestones call this before they promise anything.
    pub fn checkpoint(&self) -> Result<(), Failed> {
        if self.errors() == 0 { Ok(()) } else { Err(Failed) }
    }
    /// Completes the notes about places of the problems that will be shown: as many errors as `limit` says (0:
    /// all) and the warnings among them.
    pub fn describe(&self, limit: usize, mut description: impl FnMut(Place) -> Option<Description>) {
        let mut list = self.list.lock().unwrap_or_else(|e| e.into_inner());
        sort(&mut list);
        let mut errors = 0;
        for problem in list.iter_mut() {
            errors += usize::from(problem.severity == Severity::Error);
            if limit != 0 && errors > limit {
                break;
            }
            for note in std::mem::take(&mut problem.places) {
                if let Some(known) = description(note.place) {
                    problem.notes[note.note] = note.text(known);
                }
            }
        }
    }
    /// All problems in the order of the command line, without duplicates.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner().unwrap_or_else(|e| e.into_inner());
        sort(&mut list);
        list
    }
}

fn sort(list: &mut Vec<Problem>) {
    list.sort_by(|a, b| (a.rank, &a.message, &a.notes).cmp(&(b.rank, &b.message, &b.notes)));
    list.dedup();
}
