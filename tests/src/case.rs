//! The text format of a case: one file that says what must hold, why, and how to see it.
//!
//! In: the text of a `.case` file. Out: [`Case`], parsed but not run. The format is described for its
//! writers in `tests/README.md`; this module is the truth about it.
//!
//! ```text
//! # A weak undefined function is zero
//!
//! Why this must hold, with the section of the specification.
//!
//! --- matrix cc gcc clang-19
//! --- file a.c
//! extern int f(void) __attribute__((weak));
//! int main(void) { return f ? f() : 0; }
//! --- link {cc} a.c -o a
//! --- run ./a
//! --- facts a
//! no relocation * against=f
//! ```
//!
//! A line that starts with `--- ` begins a clause; the lines up to the next one are its body. A clause, or a
//! line of facts, may start with a guard, `[kind=pie|static cc!=gcc]`, and then only counts in the variants
//! where it is true. Unknown words are errors: a fact that is skipped because of a typing mistake is a test
//! that passes for no reason.

/// A parsed case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The first line: one sentence.
    pub title: String,
    /// The paragraphs below the title.
    pub why: String,
    /// Dimensions: name and values. A variant is one value of each.
    pub matrix: Vec<(String, Vec<String>)>,
    /// Everything else, in file order.
    pub clauses: Vec<Clause>,
}

/// One `--- ` clause.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Line number in the file, from 1.
    pub line: usize,
    /// When it counts.
    pub guard: Guard,
    /// What it says.
    pub what: What,
}

/// What a clause says.
#[derive(Debug, Clone)]
pub enum What {
    /// `skip: reason`: this variant is not run.
    Skip(String),
    /// `needs TOOL...`: the case is not run where a tool is missing.
    Needs(Vec<String>),
    /// `differs LINKER...: reason`: these linkers are known to behave otherwise, so the case fails there.
    Differs(Vec<String>, String),
    /// `threads WORD...`: the numbers of threads to repeat links with, in place of the usual ones.
    Threads(Vec<String>),
    /// `once: reason`: do not repeat the links of this case with other numbers of threads.
    Once(String),
    /// `unchecked: reason`: do not look at the outputs of this case with readelf and its like.
    Unchecked(String),
    /// `file NAME`: writes the body, or appends it if an earlier clause wrote that file.
    File {
        /// Path below the directory of the case.
        name: String,
        /// Contents.
        body: String,
        /// For `repeat COUNT NAME`: how often, with `{i}` in the body replaced by 0, 1, 2 ...
        repeat: Option<u32>,
    },
    /// A command.
    Step(Step),
    /// `facts FILE`: each line with its number and guard.
    Facts(String, Vec<(usize, Guard, String)>),
    /// `absent FILE`: there is no such file.
    Absent(String),
}

/// What is expected of a command, and what the framework does around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// `do`: any command; must succeed, its output does not matter.
    Do,
    /// `link`: must succeed and be silent; its outputs are checked.
    Link,
    /// `link-fails`: the linker must exit with 1, write no output and keep an earlier one.
    LinkFails,
    /// `run`: its output and exit status are compared.
    Run,
    /// `start`: started in the background and killed when the case ends.
    Start,
    /// `survives HOW FILE COUNT COMMAND`: COMMAND is run on COUNT damaged copies of FILE and may fail, but
    /// not crash or hang.
    Survives,
}

/// A command and what is expected of it.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which kind.
    pub kind: StepKind,
    /// The command line, placeholders not replaced yet.
    pub command: String,
    /// Expectations in order, each with its guard and line.
    pub expectations: Vec<(usize, Guard, Expectation)>,
}

/// One thing expected of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// `exit N`.
    Exit(i32),
    /// The stream is exactly this text (spaces at line ends and newlines at the end do not count).
    Is(Stream, String),
    /// The stream contains each of these lines, in this order.
    Contains(Stream, Vec<String>),
    /// The stream contains none of these lines.
    Lacks(Stream, Vec<String>),
    /// `stderr any`: not looked at.
    Any(Stream),
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A condition over the variables of a variant; all parts must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard(Vec<(String, bool, Vec<String>)>);

impl Guard {
    /// Takes a leading `[...]` off a line.
    fn take(text: &str) -> Result<(Guard, &str), String> {
        let Some(rest) = text.strip_prefix('[') else { return Ok((Guard::default(), text)) };
        let (inside, rest) = rest.split_once(']').ok_or("a guard is not closed")?;
        let mut parts = Vec::new();
        for part in inside.split_whitespace() {
            let (name, values) = part.split_once('=').ok_or("write a guard as [name=value|value]")?;
            let negated = name.ends_with('!');
            let values = values.split('|').map(str::to_owned).collect();
            parts.push((name.trim_end_matches('!').to_owned(), !negated, values));
        }
        Ok((Guard(parts), rest.trim_start()))
    }

    /// Whether it is true where `lookup` gives the values of variables.
    ///
    /// # Errors
    /// A variable that does not exist.
    pub fn holds<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<bool, String> {
        for (name, positive, values) in &self.0 {
            let value =
                lookup(name).ok_or_else(|| format!("a guard names `{name}`, which is no variable"))?;
            if values.iter().any(|v| v == value) != *positive {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A clause as it stands in the file: line number, text behind `--- `, body.
struct Raw {
    line: usize,
    head: String,
    body: Vec<String>,
}

impl Raw {
    fn text(&self) -> String {
        let end = self.body.iter().rposition(|l| !l.is_empty()).map_or(0, |at| at + 1);
        self.body[..end].iter().flat_map(|l| [l.as_str(), "\n"]).collect()
    }
    fn lines(&self) -> Vec<String> {
        self.body.iter().filter(|l| !l.trim().is_empty()).cloned().collect()
    }
}

impl Case {
    /// Parses the text of a case.
    ///
    /// # Errors
    /// The line number and what is wrong with it.
    pub fn parse(text: &str) -> Result<Case, String> {
        let (title, why, raw) = split(text)?;
        let mut case = Case { title, why, matrix: Vec::new(), clauses: Vec::new() };
        for raw in raw {
            case.add(&raw).map_err(|e| format!("line {}: {e}", raw.line))?;
        }
        match case.clauses.iter().any(|c| matches!(c.what, What::Step(_))) {
            true => Ok(case),
            false => Err("a case without a command proves nothing".into()),
        }
    }

    fn add(&mut self, raw: &Raw) -> Result<(), String> {
        let (guard, head) = Guard::take(&raw.head)?;
        let (word, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
        let rest = rest.trim();
        let with_body = matches!(word, "file" | "repeat" | "run" | "facts" | "stdout" | "stderr" | "note");
        if !with_body && !raw.lines().is_empty() {
            return Err(format!("`{word}` has no body"));
        }
        let what = match word.trim_end_matches(':') {
            "matrix" => {
                let mut parts = rest.split_whitespace().map(str::to_owned);
                let name = parts.next().ok_or("write `matrix NAME value value`")?;
                self.matrix.push((name, parts.collect()));
                return Ok(());
            }
            "note" => return Ok(()),
            "skip" => What::Skip(reason(rest)?),
            "threads" => What::Threads(threads(rest)?),
            "once" => What::Once(reason(rest)?),
            "unchecked" => What::Unchecked(reason(rest)?),
            "needs" => What::Needs(rest.split_whitespace().map(str::to_owned).collect()),
            "differs" => {
                let (linkers, why) = rest.split_once(':').ok_or("write `differs LINKER: reason`")?;
                let linkers = linkers.split_whitespace().map(str::to_owned).collect();
                What::Differs(linkers, reason(why)?)
            }
            "file" => What::File { name: rest.to_owned(), body: raw.text(), repeat: None },
            "repeat" => {
                let (count, name) = rest.split_once(' ').ok_or("write `repeat COUNT FILE`")?;
                let count = count.parse().map_err(|_| format!("`{count}` is no number"))?;
                What::File { name: name.trim().to_owned(), body: raw.text(), repeat: Some(count) }
            }
            "absent" => What::Absent(rest.to_owned()),
            "facts" => What::Facts(rest.to_owned(), facts(raw)?),
            "exit" | "stdout" | "stderr" => return self.expect(raw.line, guard, word, rest, raw),
            _ => What::Step(step(word, rest, raw)?),
        };
        self.clauses.push(Clause { line: raw.line, guard, what });
        Ok(())
    }

    /// Adds an expectation to the command before it.
    fn expect(&mut self, line: usize, guard: Guard, word: &str, rest: &str, raw: &Raw) -> Result<(), String> {
        let stream = if word == "stdout" { Stream::Stdout } else { Stream::Stderr };
        let expectation = match (word, rest) {
            ("exit", code) => Expectation::Exit(code.parse().map_err(|_| format!("exit `{code}`"))?),
            (_, "is") => Expectation::Is(stream, raw.text()),
            (_, "contains") => Expectation::Contains(stream, raw.lines()),
            (_, "lacks") => Expectation::Lacks(stream, raw.lines()),
            (_, "any") => Expectation::Any(stream),
            _ => return Err(format!("write `{word} is`, `contains`, `lacks` or `any`")),
        };
        match self.clauses.last_mut() {
            Some(Clause { what: What::Step(step), .. }) => {
                step.expectations.push((line, guard, expectation));
                Ok(())
            }
            _ => Err(format!("`{word}` must follow a command")),
        }
    }
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is missing".into()),
        text => Ok(text.to_owned()),
    }
}

/// Numbers of threads, and `default` for the linker's own choice.
fn threads(text: &str) -> Result<Vec<String>, String> {
    let words = text.split_whitespace().map(|word| match word {
        "default" => Ok(word.to_owned()),
        _ => match word.parse::<u32>() {
            Ok(1..) => Ok(word.to_owned()),
            _ => Err(format!("`{word}` is neither a number of threads nor `default`")),
        },
    });
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    if words.is_empty() { Err("write `threads NUMBER...`".into()) } else { Ok(words) }
}

fn step(word: &str, command: &str, raw: &Raw) -> Result<Step, String> {
    let kind = match word {
        "do" | "compile" => StepKind::Do,
        "link" => StepKind::Link,
        "link-fails" => StepKind::LinkFails,
        "run" => StepKind::Run,
        "start" => StepKind::Start,
        "survives" => StepKind::Survives,
        _ => return Err(format!("`{word}` is no clause")),
    };
    if command.is_empty() {
        return Err(format!("`{word}` without a command"));
    }
    let mut expectations = Vec::new();
    if kind == StepKind::Run && !raw.lines().is_empty() {
        expectations.push((raw.line, Guard::default(), Expectation::Is(Stream::Stdout, raw.text())));
    }
    Ok(Step { kind, command: command.to_owned(), expectations })
}

fn facts(raw: &Raw) -> Result<Vec<(usize, Guard, String)>, String> {
    let mut facts = Vec::new();
    for (index, text) in raw.body.iter().enumerate() {
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            let (guard, fact) = Guard::take(text)?;
            facts.push((raw.line + 1 + index, guard, fact.to_owned()));
        }
    }
    if facts.is_empty() { Err("`facts` without a fact".into()) } else { Ok(facts) }
}

/// Splits a case into its title, its paragraphs and its clauses.
fn split(text: &str) -> Result<(String, String, Vec<Raw>), String> {
    let mut lines = text.lines().enumerate().peekable();
    let title = lines.next().and_then(|(_, l)| l.strip_prefix("# ")).ok_or("line 1: write `# Title`")?;
    let mut why = String::new();
    while let Some((_, line)) = lines.next_if(|(_, l)| !l.starts_with("--- ")) {
        why.push_str(line);
        why.push('\n');
    }
    if why.trim().is_empty() {
        return Err("line 2: say why this must hold".into());
    }
    let mut raw: Vec<Raw> = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(head) = line.strip_prefix("--- ") else {
            // The first line behind `why` starts a clause, so there is one.
            if let Some(last) = raw.last_mut() {
                last.body.push(line.to_owned());
            }
            continue;
        };
        let mut head = head.trim().to_owned();
        while head.ends_with('\\') {
            head.pop();
            head.push_str(lines.next().map_or("", |(_, l)| l.trim()));
        }
        raw.push(Raw { line: number + 1, head, body: Vec::new() });
    }
    Ok((title.trim().to_owned(), why.trim().to_owned(), raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "# Title\n\nBecause.\n\n--- matrix cc gcc clang-19\n--- file a.c\nint x;\n\n\
        --- [cc=gcc] link {cc} a.c \\\n  -o a\n--- [cc!=gcc] stderr contains\nwarning\n--- run ./a\nhello\n\
        --- exit 3\n--- facts a\n[cc=gcc|tcc] symbol x\n# comment\nno symbol y\n";

    #[test]
    fn a_case_is_a_title_a_reason_and_clauses() {
        let case = Case::parse(EXAMPLE).expect("valid");
        assert_eq!((case.title.as_str(), case.why.as_str()), ("Title", "Because."));
        assert_eq!(case.matrix, [("cc".to_owned(), vec!["gcc".to_owned(), "clang-19".to_owned()])]);
        let What::File { name, body, .. } = &case.clauses[0].what else { panic!("a file") };
        assert_eq!((name.as_str(), body.as_str()), ("a.c", "int x;\n"));
        let What::Step(link) = &case.clauses[1].what else { panic!("a step") };
        assert_eq!((link.kind, link.command.as_str()), (StepKind::Link, "{cc} a.c -o a"));
        assert_eq!(link.expectations.len(), 1);
        let What::Step(run) = &case.clauses[2].what else { panic!("a step") };
        assert_eq!(run.expectations[0].2, Expectation::Is(Stream::Stdout, "hello\n".into()));
        assert_eq!(run.expectations[1].2, Expectation::Exit(3));
        let What::Facts(_, facts) = &case.clauses[3].what else { panic!("facts") };
        assert_eq!(facts.len(), 2);
        assert_eq!(facts[1].0, 19);
    }

    #[test]
    fn a_guard_is_true_when_all_its_parts_are() {
        let (guard, rest) = Guard::take("[cc=gcc|tcc kind!=pie] rest").expect("valid");
        assert_eq!(rest, "rest");
        let with = |cc: &'static str, kind: &'static str| {
            guard.holds(|name| match name {
                "cc" => Some(cc),
                "kind" => Some(kind),
                _ => None,
            })
        };
        assert_eq!(with("gcc", "static"), Ok(true));
        assert_eq!(with("gcc", "pie"), Ok(false));
        assert_eq!(with("icc", "static"), Ok(false));
        assert!(guard.holds(|_| None).is_err());
    }

    #[test]
    fn mistakes_are_errors_with_a_line() {
        let with = |clauses: &str| Case::parse(&format!("# T\nwhy\n{clauses}")).expect_err("a mistake");
        assert!(with("--- lnk gcc a.c\n").starts_with("line 3: `lnk`"));
        assert!(with("--- link gcc a.c\nbody\n").contains("has no body"));
        assert!(with("--- exit 3\n").contains("must follow a command"));
        assert!(with("--- link a\n--- skip:\n").contains("reason"));
        assert!(with("--- threads 1 0\n").contains("`0` is neither"));
        assert!(with("--- threads\n").contains("write `threads"));
        assert!(with("--- link a\n--- facts a\n\n").contains("without a fact"));
        assert!(with("--- link a\n--- stdout like\nx\n").contains("`contains`"));
        assert!(Case::parse("# T\n\n--- link a\n").expect_err("no reason").contains("why"));
    }
}
