//! `--section-ordering-file`: sections of certain names stand together.
//!
//! Two linkers know the option and read different things, told apart by a brace:
//!
//! - gold reads a list of section names and globs, one a line. What matches stands *behind* everything that does not, in
//!   the order of the lines; a name goes before a glob, of several globs the first one counts.
//! - GNU ld (2.43) reads a piece of a linker script, `.text : { *(.text.hot .text.hot.*) a.o(.text.f) }`, with or without
//!   `SECTIONS { }` around it. What matches stands in *front*, statement by statement. GNU ld could also move a section
//!   into an output section that is not its own; that is an error here.

use super::{Place, Sources, lines, put_first, put_last, read};
use crate::model::SectionId;
use crate::report::Problem;
use crate::script::ScriptError;
use crate::script::glob::{Glob, GlobSet};
use crate::script::lexer::{Lexer, Mode, Token};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Arranges the sections as a file says.
pub(super) fn arrange(sources: &Sources, path: &Path, places: &[Place], ranks: &mut [u32]) {
    let text = read(sources.cx, path);
    if !text.contains(&b'{') {
        put_last(&List::new(text).find(places), places, ranks);
        return;
    }
    match parse(text, &path.display().to_string()) {
        Ok(statements) => put_first(&find(sources, &statements, places), places, ranks),
        Err(error) => sources.cx.problems.push(Problem::error(error.to_string())),
    }
}

/// gold's form.
struct List {
    names: HashMap<&'static [u8], u32>,
    globs: GlobSet,
}

impl List {
    fn new(text: &'static [u8]) -> List {
        let mut list = List { names: HashMap::new(), globs: GlobSet::default() };
        for (number, line) in lines(text).enumerate() {
            if line.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
                list.globs.insert(Glob::new(line), number as u32);
            } else {
                list.names.insert(line, number as u32);
            }
        }
        list
    }

    fn find(&self, places: &[Place]) -> Vec<(SectionId, u32)> {
        let number = |name: &[u8]| self.names.get(name).copied().or_else(|| self.globs.best(name));
        places.iter().filter_map(|place| Some((place.id(), number(place.name())?))).collect()
    }
}

/// An input section description of GNU ld's form.
struct Statement<'a> {
    output: &'a [u8],
    file: Glob,
    sections: Vec<Glob>,
}

impl Statement<'_> {
    fn matches(&self, place: &Place) -> bool {
        let origin = &place.object.origin;
        let file = origin.member.unwrap_or_else(|| origin.path.as_os_str().as_bytes());
        self.sections.iter().any(|glob| glob.matches(place.name())) && self.file.matches(file)
    }
}

/// The sections that statements name; each counts for the first that does.
fn find(sources: &Sources, statements: &[Statement<'_>], places: &[Place]) -> Vec<(SectionId, u32)> {
    let mut found = Vec::new();
    for place in places {
        let Some(number) = statements.iter().position(|statement| statement.matches(place)) else { continue };
        let output = statements[number].output;
        if output == place.output() {
            found.push((place.id(), number as u32));
            continue;
        }
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let message = format!(
            "{}:({}): --section-ordering-file puts it in {}, but it goes to {}",
            place.object.origin,
            text(place.name()),
            text(output),
            text(place.output())
        );
        let note = "moving sections to another output section is not supported";
        sources
            .cx
            .problems
            .push(Problem::error(message).note(note).at(place.object.id.0, place.index.into()));
    }
    found
}

/// Reads GNU ld's form.
fn parse<'a>(text: &'a [u8], name: &'a str) -> Result<Vec<Statement<'a>>, ScriptError> {
    let mut lexer = Lexer::new(text, name);
    let mut statements = Vec::new();
    let mut is_inside = false;
    loop {
        let output = match lexer.next(Mode::Files)? {
            Token::End if !is_inside => return Ok(statements),
            Token::Mark("}") if is_inside => {
                is_inside = false;
                continue;
            }
            Token::Mark(";") => continue,
            Token::Word(b"SECTIONS") if !is_inside && lexer.accept(Mode::Files, "{")? => {
                is_inside = true;
                continue;
            }
            Token::Word(word) | Token::Quoted(word) => word,
            token => return Err(lexer.error(format!("expected an output section, found {token}"))),
        };
        // The colon may stand by itself or at the end of the name.
        let output = match output.strip_suffix(b":") {
            Some(output) => output,
            None => {
                let colon = lexer.name(Mode::Files, "`:`")?;
                if colon != b":" {
                    return Err(lexer.error("expected `:` behind the name of an output section"));
                }
                output
            }
        };
        lexer.expect(Mode::Files, "{")?;
        while let Some(statement) = parse_statement(&mut lexer, output)? {
            statements.push(statement);
        }
    }
}

/// `FILE(SECTION...)`, or the brace behind the last one.
fn parse_statement<'a>(
    lexer: &mut Lexer<'a>,
    output: &'a [u8],
) -> Result<Option<Statement<'a>>, ScriptError> {
    let file = loop {
        match lexer.next(Mode::Files)? {
            Token::Mark("}") => return Ok(None),
            Token::Mark(";") => {}
            Token::Word(word) | Token::Quoted(word) => break word,
            token => return Err(lexer.error(format!("expected a file name pattern, found {token}"))),
        }
    };
    lexer.expect(Mode::Files, "(")?;
    let mut sections = Vec::new();
    loop {
        match lexer.next(Mode::Files)? {
            Token::Mark(")") => break,
            Token::Mark(",") => {}
            Token::Word(word) | Token::Quoted(word) => sections.push(Glob::new(word)),
            token => return Err(lexer.error(format!("expected a section name pattern, found {token}"))),
        }
    }
    Ok(Some(Statement { output, file: Glob::new(file), sections }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(text: &str) -> Result<Vec<(String, usize)>, String> {
        let statements = parse(text.as_bytes(), "x").map_err(|error| error.to_string())?;
        let pair = |s: &Statement| (String::from_utf8_lossy(s.output).into_owned(), s.sections.len());
        Ok(statements.iter().map(pair).collect())
    }

    #[test]
    fn both_ways_to_write_a_script_are_read() {
        let expected = vec![(".text".to_string(), 2), (".text".to_string(), 1), (".data".to_string(), 1)];
        for text in [
            ".text : { *(.text.hot .text.hot.*) a.o(.text.f) } .data : { *(.data.x) }",
            "SECTIONS { .text: { *(.text.hot, .text.hot.*); a.o(.text.f); } .data :{ *(.data.x) } }",
            "/* c */ SECTIONS\n{\n.text :\n{\n*(.text.a .b)\n\"a.o\"(.text)\n}\n.data : { *( .x ) }\n}\n",
        ] {
            assert_eq!(outputs(text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn other_scripts_are_refused() {
        for text in [
            ".text { *(.x) }",
            ".text : { KEEP(*(.x)) }",
            ".text : { *(.x)",
            "SECTIONS {",
            "}",
            ".text :",
            ": {",
        ] {
            assert!(outputs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_goes_before_a_glob() {
        let list = List::new(b".text.[ab]\n# no\n.text.b\n .text.* \n");
        assert_eq!(list.names.get(&b".text.b"[..]), Some(&1));
        assert_eq!(list.globs.best(b".text.a"), Some(0));
        assert_eq!(list.globs.best(b".text.c"), Some(2));
    }
}
