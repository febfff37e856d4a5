//! Scripts given as inputs: `libc.so` and its like, and what `-T` may hold short of a whole layout.
//!
//! The result is the list of commands in the order of the text, as plain data. Finding the files that
//! `INPUT`, `GROUP` and `INCLUDE` name is the work of `open`, giving symbols their values that of the stages.
//!
//! Commands that lay out the output (`SECTIONS`, `MEMORY`, `PHDRS` ...) are recognised so that the error can
//! name them; they are not supported yet, and ignoring them would give a wrong program.

use super::expr::{BinaryOp, Expr, parse, parse_assert};
use super::lexer::{Lexer, Mode, ScriptError, Token};
use super::version::{VersionScript, parse_nodes};

/// A parsed script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// What it says, in order.
    pub commands: Vec<Command>,
}

/// One command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `INPUT(...)`: these files, as if named on the command line here.
    Input(Vec<ScriptInput>),
    /// `GROUP(...)`: the same between `--start-group` and `--end-group`.
    Group(Vec<ScriptInput>),
    /// `OUTPUT_FORMAT(default)` or `OUTPUT_FORMAT(default, big, little)`: BFD names such as `elf64-x86-64`.
    OutputFormat {
        /// Used unless `-EB` or `-EL` is given.
        default: Vec<u8>,
        /// Used with `-EB`.
        big: Option<Vec<u8>>,
        /// Used with `-EL`.
        little: Option<Vec<u8>>,
    },
    /// `OUTPUT_ARCH(i386:x86-64)`.
    OutputArch(Vec<u8>),
    /// `TARGET(name)`: the format of the inputs that follow.
    Target(Vec<u8>),
    /// `SEARCH_DIR(path)`: like `-L`, after the command line's own.
    SearchDir(FileName),
    /// `VERSION { ... }`.
    Version(VersionScript),
    /// `EXTERN(symbol ...)`: like `-u`.
    Extern(Vec<Vec<u8>>),
    /// `ENTRY(symbol)`: like `-e`, which has precedence.
    Entry(Vec<u8>),
    /// `OUTPUT(file)`: like `-o`, which has precedence.
    Output(Vec<u8>),
    /// `INCLUDE file`: the text of another script belongs here.
    Include(Vec<u8>),
    /// `symbol = expression` and its relatives.
    Assign(Assignment),
    /// `ASSERT(expression, message)`.
    Assert(Expr, Vec<u8>),
}

/// A file as a script names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileName {
    /// A path. A relative one is looked for beside the script, then along the library path.
    Path {
        /// Without the sysroot prefix.
        path: Vec<u8>,
        /// It was written as `=path` or `$SYSROOT path`: the sysroot goes in front.
        in_sysroot: bool,
    },
    /// `-lNAME`, without the `-l`; `-l:FILE` keeps its colon.
    Library(Vec<u8>),
}

/// One entry of `INPUT` or `GROUP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInput {
    /// The file.
    pub name: FileName,
    /// It stood inside `AS_NEEDED(...)`.
    pub as_needed: bool,
}

/// `symbol = expression;`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The symbol, or `.` for the location counter.
    pub symbol: Vec<u8>,
    /// The value; for `symbol += e` this is already `symbol + e`.
    pub value: Expr,
    /// `PROVIDE`, `PROVIDE_HIDDEN`: only if the symbol is referenced and nothing defines it.
    pub provide: bool,
    /// `HIDDEN`, `PROVIDE_HIDDEN`: with hidden visibility.
    pub hidden: bool,
}

/// Commands that would change the output and are not supported; better an error than a wrong program.
const UNSUPPORTED: [&str; 15] = [
    "SECTIONS",
    "MEMORY",
    "PHDRS",
    "INSERT",
    "OVERLAY",
    "REGION_ALIAS",
    "STARTUP",
    "NOCROSSREFS",
    "NOCROSSREFS_TO",
    "FORCE_COMMON_ALLOCATION",
    "INHIBIT_COMMON_ALLOCATION",
    "FORCE_GROUP_ALLOCATION",
    "SYSLIB",
    "HLL",
    "MAP",
];

/// Operators of assignments; the location counter and `PROVIDE` take only `=`.
const ASSIGNMENTS: [(&str, Option<BinaryOp>); 10] = [
    ("=", None),
    ("+=", Some(BinaryOp::Add)),
    ("-=", Some(BinaryOp::Subtract)),
    ("*=", Some(BinaryOp::Multiply)),
    ("/=", Some(BinaryOp::Divide)),
    ("<<=", Some(BinaryOp::ShiftLeft)),
    (">>=", Some(BinaryOp::ShiftRight)),
    ("&=", Some(BinaryOp::BitAnd)),
    ("|=", Some(BinaryOp::BitOr)),
    ("^=", Some(BinaryOp::BitXor)),
];

/// Parses the script `text`; `name` is its file for messages.
pub fn parse_script(text: &[u8], name: &str) -> Result<Script, ScriptError> {
    let mut lexer = Lexer::new(text, name);
    let mut commands = Vec::new();
    loop {
        match lexer.next(Mode::Statement)? {
            Token::End => return Ok(Script { commands }),
            Token::Mark(";" | ",") => {}
            Token::Word(word) => {
                if let Some(command) = parse_command(&mut lexer, word)? {
                    commands.push(command);
                }
            }
            Token::Quoted(word) => commands.push(Command::Assign(parse_assignment(&mut lexer, word)?)),
            token => return Err(lexer.error(format!("expected a command or an assignment, found {token}"))),
        }
    }
}

/// One command, its first word already read; `None` for one without an effect.
fn parse_command(lexer: &mut Lexer<'_>, word: &[u8]) -> Result<Option<Command>, ScriptError> {
    if let Ok(Token::Mark(mark)) = lexer.peek(Mode::Statement)
        && ASSIGNMENTS.iter().any(|row| row.0 == mark)
    {
        return parse_assignment(lexer, word).map(Command::Assign).map(Some);
    }
    let command = match word {
        b"INPUT" => Command::Input(parse_inputs(lexer)?),
        b"GROUP" => Command::Group(parse_inputs(lexer)?),
        b"OUTPUT_FORMAT" => parse_output_format(lexer)?,
        b"OUTPUT_ARCH" => Command::OutputArch(parenthesised(lexer, "an architecture")?),
        b"TARGET" => Command::Target(parenthesised(lexer, "a target")?),
        b"SEARCH_DIR" => Command::SearchDir(file_name(&parenthesised(lexer, "a directory")?)),
        b"ENTRY" => Command::Entry(parenthesised(lexer, "a symbol")?),
        b"OUTPUT" => Command::Output(parenthesised(lexer, "a file")?),
        b"LD_FEATURE" => {
            parenthesised(lexer, "a feature")?;
            return Ok(None);
        }
        b"EXTERN" => Command::Extern(parse_extern(lexer)?),
        b"INCLUDE" => Command::Include(lexer.name(Mode::Files, "a file")?.to_vec()),
        b"VERSION" => {
            lexer.expect(Mode::Versions, "{")?;
            let script = parse_nodes(lexer)?;
            lexer.expect(Mode::Versions, "}")?;
            Command::Version(script)
        }
        b"PROVIDE" => Command::Assign(parse_provide(lexer, true, false)?),
        b"PROVIDE_HIDDEN" => Command::Assign(parse_provide(lexer, true, true)?),
        b"HIDDEN" => Command::Assign(parse_provide(lexer, false, true)?),
        b"ASSERT" => {
            let (condition, message) = parse_assert(lexer)?;
            Command::Assert(condition, message)
        }
        _ => {
            let word = String::from_utf8_lossy(word);
            let message = if UNSUPPORTED.contains(&&*word) {
                format!("linker script command {word} is not supported yet")
            } else {
                format!("unknown linker script command `{word}`")
            };
            // Peeking moved on to the token behind the word; the error belongs to the word.
            return Err(lexer.error_before(message));
        }
    };
    Ok(Some(command))
}

/// `(name)`.
fn parenthesised(lexer: &mut Lexer<'_>, what: &str) -> Result<Vec<u8>, ScriptError> {
    lexer.expect(Mode::Files, "(")?;
    let name = lexer.name(Mode::Files, what)?.to_vec();
    lexer.expect(Mode::Files, ")")?;
    Ok(name)
}

/// `(file ... AS_NEEDED(file ...) ...)`.
fn parse_inputs(lexer: &mut Lexer<'_>) -> Result<Vec<ScriptInput>, ScriptError> {
    lexer.expect(Mode::Files, "(")?;
    let mut inputs = Vec::new();
    // AS_NEEDED may nest; only how many are open matters.
    let mut as_needed_depth = 0usize;
    loop {
        match lexer.next(Mode::Files)? {
            Token::Word(b"AS_NEEDED") if lexer.accept(Mode::Files, "(")? => as_needed_depth += 1,
            Token::Word(name) => {
                inputs.push(ScriptInput { name: file_name(name), as_needed: as_needed_depth > 0 });
            }
            Token::Quoted(name) if !name.is_empty() => {
                inputs.push(ScriptInput { name: file_name(name), as_needed: as_needed_depth > 0 });
            }
            Token::Mark(",") => {}
            Token::Mark(")") if as_needed_depth > 0 => as_needed_depth -= 1,
            Token::Mark(")") => return Ok(inputs),
            token => return Err(lexer.error(format!("expected a file or `)`, found {token}"))),
        }
    }
}

/// Sorts a file's name by its prefix.
fn file_name(name: &[u8]) -> FileName {
    if let Some(library) = name.strip_prefix(b"-l")
        && !library.is_empty()
    {
        return FileName::Library(library.to_vec());
    }
    let stripped = name.strip_prefix(b"=").or_else(|| name.strip_prefix(b"$SYSROOT"));
    FileName::Path { path: stripped.unwrap_or(name).to_vec(), in_sysroot: stripped.is_some() }
}

fn parse_output_format(lexer: &mut Lexer<'_>) -> Result<Command, ScriptError> {
    lexer.expect(Mode::Files, "(")?;
    let default = lexer.name(Mode::Files, "a format")?.to_vec();
    let (mut big, mut little) = (None, None);
    if lexer.accept(Mode::Files, ",")? {
        big = Some(lexer.name(Mode::Files, "a format")?.to_vec());
        lexer.expect(Mode::Files, ",")?;
        little = Some(lexer.name(Mode::Files, "a format")?.to_vec());
    }
    lexer.expect(Mode::Files, ")")?;
    Ok(Command::OutputFormat { default, big, little })
}

/// `(symbol symbol, symbol)`.
fn parse_extern(lexer: &mut Lexer<'_>) -> Result<Vec<Vec<u8>>, ScriptError> {
    lexer.expect(Mode::Files, "(")?;
    let mut symbols = Vec::new();
    loop {
        match lexer.next(Mode::Files)? {
            Token::Word(name) | Token::Quoted(name) => symbols.push(name.to_vec()),
            Token::Mark(",") => {}
            Token::Mark(")") => return Ok(symbols),
            token => return Err(lexer.error(format!("expected a symbol or `)`, found {token}"))),
        }
    }
}

/// `(symbol = expression);` of `PROVIDE` and its relatives.
fn parse_provide(lexer: &mut Lexer<'_>, provide: bool, hidden: bool) -> Result<Assignment, ScriptError> {
    lexer.expect(Mode::Statement, "(")?;
    let symbol = lexer.name(Mode::Statement, "a symbol")?.to_vec();
    lexer.expect(Mode::Expression, "=")?;
    let value = parse(lexer)?;
    lexer.expect(Mode::Expression, ")")?;
    end_of_assignment(lexer)?;
    Ok(Assignment { symbol, value, provide, hidden })
}

/// `= expression;` or `+= expression;` after a symbol.
fn parse_assignment(lexer: &mut Lexer<'_>, symbol: &[u8]) -> Result<Assignment, ScriptError> {
    let token = lexer.next(Mode::Statement)?;
    let row = ASSIGNMENTS.into_iter().find(|row| token == Token::Mark(row.0));
    let Some((_, op)) = row else {
        return Err(lexer.error(format!("expected an assignment, found {token}")));
    };
    let right = parse(lexer)?;
    let left = if symbol == b"." { Expr::Dot } else { Expr::Symbol(symbol.to_vec()) };
    let value = match op {
        Some(op) => Expr::Binary(op, Box::new(left), Box::new(right)),
        None => right,
    };
    end_of_assignment(lexer)?;
    Ok(Assignment { symbol: symbol.to_vec(), value, provide: false, hidden: false })
}

fn end_of_assignment(lexer: &mut Lexer<'_>) -> Result<(), ScriptError> {
    match lexer.next(Mode::Statement)? {
        Token::Mark(";" | ",") => Ok(()),
        token => Err(lexer.error(format!("expected `;` after the assignment, found {token}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse_expr;

    fn parse(text: &str) -> Vec<Command> {
        parse_script(text.as_bytes(), "t.ld").unwrap_or_else(|e| panic!("{text}: {e}")).commands
    }

    fn path(path: &str, as_needed: bool) -> ScriptInput {
        ScriptInput { name: FileName::Path { path: path.into(), in_sysroot: false }, as_needed }
    }

    fn library(name: &str, as_needed: bool) -> ScriptInput {
        ScriptInput { name: FileName::Library(name.into()), as_needed }
    }

    #[test]
    fn the_libc_script_is_read() {
        let text = "/* GNU ld script\n   Use the shared library. */\nOUTPUT_FORMAT(elf64-x86-64)\n\
                    GROUP ( /lib/x86_64-linux-gnu/libc.so.6 /usr/lib/libc_nonshared.a  \
                    AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )\n";
        let group = vec![
            path("/lib/x86_64-linux-gnu/libc.so.6", false),
            path("/usr/lib/libc_nonshared.a", false),
            path("/lib64/ld-linux-x86-64.so.2", true),
        ];
        let format = Command::OutputFormat { default: b"elf64-x86-64".into(), big: None, little: None };
        assert_eq!(parse(text), [format, Command::Group(group)]);
    }

    #[test]
    fn files_come_with_or_without_commas() {
        for text in ["INPUT(a.o b.o)", "INPUT(a.o,b.o)", "INPUT ( a.o , b.o ) ;", "INPUT(\"a.o\" b.o);;"] {
            assert_eq!(parse(text), [Command::Input(vec![path("a.o", false), path("b.o", false)])]);
        }
        let text = "INPUT(AS_NEEDED(-la AS_NEEDED(-l:b.so) c.o) -lgcc_s d#e.o)";
        let inputs = vec![
            library("a", true),
            library(":b.so", true),
            path("c.o", true),
            library("gcc_s", false),
            path("d#e.o", false),
        ];
        assert_eq!(parse(text), [Command::Input(inputs)]);
    }

    #[test]
    fn sysroot_prefixes_are_taken_off() {
        let name = FileName::Path { path: b"/lib/a.o".into(), in_sysroot: true };
        let input = ScriptInput { name: name.clone(), as_needed: false };
        assert_eq!(parse("INPUT(=/lib/a.o $SYSROOT/lib/a.o)"), [Command::Input(vec![input.clone(), input])]);
        assert_eq!(parse("SEARCH_DIR(\"=/lib/a.o\")"), [Command::SearchDir(name)]);
    }

    #[test]
    fn assignments_of_all_kinds() {
        let assign = |symbol: &str, value: &str, provide, hidden| {
            let value = parse_expr(value.as_bytes()).unwrap();
            Command::Assign(Assignment { symbol: symbol.into(), value, provide, hidden })
        };
        let text = "x = foo-_start; y+=4, z <<= 2;\n PROVIDE(p = .); PROVIDE_HIDDEN(q = x ? 1 : 2);\n\
                    HIDDEN(\"odd name\" = 0x10K); . = ALIGN(8); x=4;";
        let commands = [
            assign("x", "foo - _start", false, false),
            assign("y", "y + 4", false, false),
            assign("z", "z << 2", false, false),
            assign("p", ".", true, false),
            assign("q", "x ? 1 : 2", true, true),
            assign("odd name", "0x4000", false, true),
            assign(".", "ALIGN(8)", false, false),
            assign("x", "4", false, false),
        ];
        assert_eq!(parse(text), commands);
    }

    #[test]
    fn the_other_commands() {
        let text = "ENTRY(foo) x = 1; OUTPUT_FORMAT(a, b, c) OUTPUT_ARCH(i386:x86-64) TARGET(elf64-x86-64)\n\
                    EXTERN(a b, c) OUTPUT(o) INCLUDE inc.ld ASSERT(1, \"m\") LD_FEATURE(\"SANE_EXPR\")\n\
                    VERSION { V1 { global: foo; local: *; }; }";
        let commands = parse(text);
        assert_eq!(commands.len(), 10);
        assert_eq!(commands[0], Command::Entry(b"foo".into()));
        assert_eq!(commands[3], Command::OutputArch(b"i386:x86-64".into()));
        assert_eq!(commands[5], Command::Extern(vec![b"a".into(), b"b".into(), b"c".into()]));
        assert_eq!(commands[7], Command::Include(b"inc.ld".into()));
        assert_eq!(commands[8], Command::Assert(Expr::Number(1), b"m".into()));
        assert!(matches!(&commands[9], Command::Version(script) if script.nodes[0].name == b"V1"));
        assert_eq!(parse(" /* nothing */ "), []);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, message) in [
            ("x = 1;\nSECTIONS { }", "t.ld:2:1: linker script command SECTIONS is not supported yet"),
            ("MEMORY { }", "t.ld:1:1: linker script command MEMORY is not supported yet"),
            ("foo", "t.ld:1:1: unknown linker script command `foo`"),
            ("x = 5\ny=6;", "t.ld:2:1: expected `;` after the assignment, found `y`"),
            ("GROUP(foo", "t.ld:1:10: expected a file or `)`, found end of file"),
            ("PROVIDE(x += 4);", "t.ld:1:11: expected `=`, found `+=`"),
            ("<html>", "t.ld:1:1: expected a command or an assignment, found `<`"),
            ("\x7fELF", "t.ld:1:1: unexpected character `\\x7f`"),
        ] {
            assert_eq!(parse_script(text.as_bytes(), "t.ld").unwrap_err().to_string(), message, "{text}");
        }
    }
}
