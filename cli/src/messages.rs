//! Problems as people and tools read them, on standard error.
//!
//! One problem is one line, `manifold: error: WHERE: WHAT`, and a line behind `>>> ` for each note. Nothing
//! is printed when there is nothing to say: rustc shows every line a linker prints as a warning.
//!
//! Colour follows `--color-diagnostics`; on its own it is used only for a terminal, and not if `NO_COLOR`
//! is set.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style as Ansi};
use stages::report::{Problem, Severity};
use std::io::{self, Write};

/// How messages look and which are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// `--color-diagnostics`.
    pub color: Color,
    /// False with `-w`.
    pub warnings: bool,
    /// `--vs-diagnostics`: messages begin with the source line they are about.
    pub visual_studio: bool,
}

/// `--color-diagnostics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// If standard error is a terminal.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl Default for Style {
    fn default() -> Self {
        Style { color: Color::Auto, warnings: true, visual_studio: false }
    }
}

/// What decides how a list of problems is shown and whether it fails the link.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How they look.
    pub style: Style,
    /// `--error-limit`: how many errors to show; 0 for all.
    pub error_limit: usize,
    /// `--fatal-warnings`: warnings count and show as errors. `-w` takes this back.
    pub fatal_warnings: bool,
}

impl Rules {
    /// How a problem is to be taken; `None` if it is not to be shown.
    fn severity(self, problem: &Problem) -> Option<Severity> {
        match problem.severity {
            Severity::Error => Some(Severity::Error),
            Severity::Warning if !self.style.warnings => None,
            Severity::Warning if self.fatal_warnings => Some(Severity::Error),
            Severity::Warning => Some(Severity::Warning),
        }
    }

    /// Whether any of these problems fails the link.
    pub fn any_fatal(self, problems: &[Problem]) -> bool {
        problems.iter().any(|problem| self.severity(problem) == Some(Severity::Error))
    }

    fn choice(self) -> ColorChoice {
        match self.style.color {
            Color::Auto => AutoStream::choice(&io::stderr()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }

    /// Whether what goes to standard error is in colour.
    pub fn is_coloured(self) -> bool {
        self.choice() != ColorChoice::Never
    }

    /// Shows problems on standard error.
    pub fn print(self, problems: &[Problem]) {
        if problems.is_empty() {
            return;
        }
        let choice = self.choice();
        let mut text = Vec::new();
        self.write(problems, &mut text);
        // Nobody is left to tell if standard error is closed.
        let _ = AutoStream::new(io::stderr().lock(), choice).write_all(&text);
    }

    /// Writes problems as text with escape sequences for colour.
    fn write(self, problems: &[Problem], out: &mut Vec<u8>) {
        let mut errors = 0;
        for problem in problems {
            let Some(severity) = self.severity(problem) else { continue };
            if severity == Severity::Error {
                if self.error_limit != 0 && errors == self.error_limit {
                    line(out, None, Severity::Error, "too many errors; use --error-limit=0 to see all");
                    return;
                }
                errors += 1;
            }
            let place = if self.style.visual_studio { source_place(problem) } else { None };
            line(out, place, severity, &problem.message);
            for note in &problem.notes {
                for part in note.lines() {
                    out.extend_from_slice(format!(">>> {part}\n").as_bytes());
                }
            }
        }
    }
}

/// The first source line that the notes of a problem tell of (`... main.c:3 (/src/main.c:3)`), as `/src/main.c(3)`.
fn source_place(problem: &Problem) -> Option<String> {
    problem.notes.iter().find_map(|note| {
        let first = note.lines().next()?;
        let (_, rest) = first.rsplit_once(" (")?;
        let (path, line) = rest.split(')').next()?.rsplit_once(':')?;
        line.parse::<u64>().ok()?;
        Some(format!("{path}({line})"))
    })
}

/// One line, which begins with a place or the name of the linker.
fn line(out: &mut Vec<u8>, place: Option<String>, severity: Severity, message: &str) {
    let (word, color) = match severity {
        Severity::Error => ("error", AnsiColor::Red),
        Severity::Warning => ("warning", AnsiColor::Magenta),
    };
    let bold = Ansi::new().bold();
    let colored = color.on_default().bold();
    let who = place.unwrap_or_else(|| "manifold".to_string());
    let text = format!("{bold}{who}:{bold:#} {colored}{word}:{colored:#} {message}\n");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rules: Rules, problems: &[Problem]) -> String {
        let mut text = Vec::new();
        rules.write(problems, &mut text);
        anstream::adapter::strip_bytes(&text).map(String::from_utf8_lossy).collect()
    }

    const RULES: Rules = Rules {
        style: Style { color: Color::Auto, warnings: true, visual_studio: false },
        error_limit: 20,
        fatal_warnings: false,
    };

    #[test]
    fn a_problem_is_a_line_and_its_notes() {
        let problems = [
            Problem::error("a.o: undefined symbol: f").note("referenced by main.c:3").note("two\nlines"),
            Problem::warning("b.o: odd"),
        ];
        assert_eq!(
            shown(RULES, &problems),
            "manifold: error: a.o: undefined symbol: f\n\
             >>> referenced by main.c:3\n>>> two\n>>> lines\n\
             manifold: warning: b.o: odd\n"
        );
        assert!(RULES.any_fatal(&problems));
        assert!(!RULES.any_fatal(&problems[1..]));
    }

    #[test]
    fn visual_studio_wants_the_line_in_front() {
        let style = Style { visual_studio: true, ..RULES.style };
        let problem = |note: &str| [Problem::error("undefined symbol: f").note(note)];
        assert_eq!(
            shown(
                Rules { style, ..RULES },
                &problem("referenced by a.c:3 (/s/a.c:3) in function main\n  a.o")
            ),
            "/s/a.c(3): error: undefined symbol: f\n\
             >>> referenced by a.c:3 (/s/a.c:3) in function main\n>>>   a.o\n"
        );
        assert!(shown(Rules { style, ..RULES }, &problem("odd (a:b)")).starts_with("manifold: error"));
    }

    #[test]
    fn the_error_limit_counts_errors_only() {
        let problems = [Problem::warning("w"), Problem::error("1"), Problem::error("2"), Problem::error("3")];
        let limited = Rules { error_limit: 2, ..RULES };
        assert_eq!(
            shown(limited, &problems),
            "manifold: warning: w\nmanifold: error: 1\nmanifold: error: 2\n\
             manifold: error: too many errors; use --error-limit=0 to see all\n"
        );
        assert!(shown(Rules { error_limit: 3, ..RULES }, &problems).ends_with("error: 3\n"));
        assert!(shown(Rules { error_limit: 0, ..RULES }, &problems).ends_with("error: 3\n"));
    }

    #[test]
    fn warnings_may_be_fatal_or_silent() {
        let problems = [Problem::warning("w")];
        let fatal = Rules { fatal_warnings: true, ..RULES };
        assert_eq!(shown(fatal, &problems), "manifold: error: w\n");
        assert!(fatal.any_fatal(&problems));
        let silent = Rules { style: Style { warnings: false, ..RULES.style }, ..fatal };
        assert_eq!(shown(silent, &problems), "");
        assert!(!silent.any_fatal(&problems));
    }
}
