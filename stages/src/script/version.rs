//! Version scripts: which symbols a shared object exports, and under which version
//! (GNU ld manual, "VERSION Command").
//!
//! ```text
//! VERS_1 {
//!     global: foo; bar*; extern "C++" { ns::*; "ns::f(int)"; };
//!     local: *;
//! };
//! VERS_2 { baz; } VERS_1;
//! ```
//!
//! The result keeps the text's order; [`super::VersionMatcher`] answers which node a symbol belongs to. More
//! is accepted than GNU ld does, none of it with another meaning: labels in any order and number, quoted
//! version names, and no semicolon before or after a closing brace.

use super::lexer::{Lexer, Mode, ScriptError, Token};

/// A parsed version script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionScript {
    /// Its nodes in order.
    pub nodes: Vec<VersionNode>,
}

/// `NAME { global: ...; local: ...; } PARENTS;`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionNode {
    /// The version's name; empty for the anonymous node, which exports without a version.
    pub name: Vec<u8>,
    /// The versions it inherits from (`vda_name`s after the first in its Verdef).
    pub parents: Vec<Vec<u8>>,
    /// What it exports.
    pub globals: Vec<Pattern>,
    /// What it hides.
    pub locals: Vec<Pattern>,
}

/// A name or a glob.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The name itself if `exact` (escapes already resolved), else the glob.
    pub text: Vec<u8>,
    /// Which form of a symbol's name it is held against.
    pub language: Language,
    /// It stands for itself: it was quoted or has no wildcard.
    pub exact: bool,
}

/// The language of `extern "..." { }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// The symbol as it is in the symbol table.
    C,
    /// The demangled symbol, with parameters; one that is not mangled stands for itself.
    Cxx,
}

/// How deep `extern` blocks may nest.
const NESTING_MAX: u32 = 50;

/// Parses the version script `text`; `name` is its file for messages.
pub fn parse_version_script(text: &[u8], name: &str) -> Result<VersionScript, ScriptError> {
    let mut lexer = Lexer::new(text, name);
    let script = parse_nodes(&mut lexer)?;
    match lexer.next(Mode::Versions)? {
        Token::End => Ok(script),
        token => Err(lexer.error(format!("expected a version node, found {token}"))),
    }
}

/// Parses nodes up to something that cannot begin one.
pub(super) fn parse_nodes(lexer: &mut Lexer<'_>) -> Result<VersionScript, ScriptError> {
    let mut nodes = Vec::new();
    loop {
        let name = match lexer.peek(Mode::Versions)? {
            Token::Word(name) | Token::Quoted(name) => {
                lexer.next(Mode::Versions)?;
                name.to_vec()
            }
            Token::Mark("{") => Vec::new(),
            Token::Mark(";") => {
                lexer.next(Mode::Versions)?;
                continue;
            }
            _ => return Ok(VersionScript { nodes }),
        };
        nodes.push(parse_node(lexer, name)?);
    }
}

/// `{ ... } PARENTS;` behind the name.
fn parse_node(lexer: &mut Lexer<'_>, name: Vec<u8>) -> Result<VersionNode, ScriptError> {
    lexer.expect(Mode::Versions, "{")?;
    let mut node = VersionNode { name, ..VersionNode::default() };
    let mut local = false;
    loop {
        match lexer.next(Mode::Versions)? {
            Token::Mark("}") => break,
            Token::Mark(";") => {}
            Token::Word(b"global") if lexer.accept(Mode::Versions, ":")? => local = false,
            Token::Word(b"local") if lexer.accept(Mode::Versions, ":")? => local = true,
            token => {
                let patterns = if local { &mut node.locals } else { &mut node.globals };
                parse_pattern(lexer, token, Language::C, 0, patterns)?;
            }
        }
    }
    loop {
        match lexer.peek(Mode::Versions)? {
            Token::Word(parent) | Token::Quoted(parent) => {
                lexer.next(Mode::Versions)?;
                node.parents.push(parent.to_vec());
            }
            Token::Mark(";") => {
                lexer.next(Mode::Versions)?;
                return Ok(node);
            }
            // The end of the file, or of `VERSION { ... }`, ends the last node as well.
            Token::End | Token::Mark("}") => return Ok(node),
            token => {
                return Err(lexer.error(format!("expected `;` after the version node, found {token}")));
            }
        }
    }
}

/// One pattern or `extern` block that begins with `token`.
pub(super) fn parse_pattern(
    lexer: &mut Lexer<'_>,
    token: Token<'_>,
    language: Language,
    nesting: u32,
    patterns: &mut Vec<Pattern>,
) -> Result<(), ScriptError> {
    match token {
        Token::Word(b"extern")
            if matches!(lexer.peek(Mode::Versions)?, Token::Word(_) | Token::Quoted(_)) =>
        {
            return parse_extern(lexer, nesting, patterns);
        }
        Token::Quoted(name) => patterns.push(Pattern { text: name.to_vec(), language, exact: true }),
        Token::Word(glob) => patterns.push(Pattern::unquoted(glob, language)),
        token => return Err(lexer.error(format!("expected a symbol, found {token}"))),
    }
    match lexer.peek(Mode::Versions)? {
        Token::Mark("}") => Ok(()),
        _ => lexer.expect(Mode::Versions, ";"),
    }
}

/// `"C++" { ... };` behind the word `extern`.
fn parse_extern(lexer: &mut Lexer<'_>, nesting: u32, patterns: &mut Vec<Pattern>) -> Result<(), ScriptError> {
    let language = match lexer.name(Mode::Versions, "a language")? {
        b"C" => Language::C,
        b"C++" => Language::Cxx,
        other => {
            let other = String::from_utf8_lossy(other);
            return Err(lexer.error(format!("unknown language `{other}` in version information")));
        }
    };
    if nesting >= NESTING_MAX {
        return Err(lexer.error("extern blocks nest too deeply"));
    }
    lexer.expect(Mode::Versions, "{")?;
    loop {
        match lexer.next(Mode::Versions)? {
            Token::Mark("}") => break,
            Token::Mark(";") => {}
            token => parse_pattern(lexer, token, language, nesting + 1, patterns)?,
        }
    }
    lexer.accept(Mode::Versions, ";")?;
    Ok(())
}

impl Pattern {
    /// A pattern that was not quoted: a name if it has no wildcard, with `\x` standing for `x`.
    pub fn unquoted(text: &[u8], language: Language) -> Pattern {
        let mut name = Vec::with_capacity(text.len());
        let mut bytes = text.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'*' | b'?' | b'[' => return Pattern { text: text.to_vec(), language, exact: false },
                b'\\' => name.push(bytes.next().copied().unwrap_or(b'\\')),
                _ => name.push(byte),
            }
        }
        Pattern { text: name, language, exact: true }
    }

    /// Whether this is the glob that matches everything.
    pub fn is_star(&self) -> bool {
        !self.exact && self.text == b"*"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<VersionNode> {
        parse_version_script(text.as_bytes(), "t.map").unwrap_or_else(|e| panic!("{text}: {e}")).nodes
    }

    fn c(text: &str) -> Pattern {
        Pattern::unquoted(text.as_bytes(), Language::C)
    }

    fn cxx(text: &str, exact: bool) -> Pattern {
        Pattern { text: text.into(), language: Language::Cxx, exact }
    }

    #[test]
    fn semicolons_before_and_after_braces_are_optional() {
        for text in [
            "V1 { global: foo; local: *; };",
            "V1 { global: foo; local: * };",
            "V1{global:foo;local:*;}",
            "# c\nV1 { /* d */ foo; # e\n local: *; ; };;",
            "\"V1\" { local: *; global: foo; };",
        ] {
            let nodes = parse(text);
            assert_eq!(nodes.len(), 1, "{text}");
            assert_eq!(nodes[0].name, b"V1");
            assert_eq!(nodes[0].globals, [c("foo")]);
            assert_eq!(nodes[0].locals, [c("*")]);
        }
        assert_eq!(parse(""), []);
        assert_eq!(parse("{ };"), [VersionNode::default()]);
    }

    #[test]
    fn nodes_inherit() {
        let nodes = parse("V1 { foo; }; V2 { bar; } V1; V3 { } V2 V1;");
        assert_eq!(nodes[1].parents, [b"V1"]);
        assert_eq!(nodes[2].parents, [b"V2", b"V1"]);
    }

    #[test]
    fn extern_blocks_set_the_language() {
        let text = "V1 { extern \"C++\" { ns::foo*; \"ns::bar(int*)\"; extern C { baz; } typeinfo?for?X };\n\
                    qux; local: extern \"C++\" { std::* } };";
        let nodes = parse(text);
        let globals = [
            cxx("ns::foo*", false),
            cxx("ns::bar(int*)", true),
            c("baz"),
            cxx("typeinfo?for?X", false),
            c("qux"),
        ];
        assert_eq!(nodes[0].globals, globals);
        assert_eq!(nodes[0].locals, [cxx("std::*", false)]);
    }

    #[test]
    fn keywords_are_names_where_no_colon_follows() {
        let nodes = parse("V1 { global; local; extern; global: global; };");
        assert_eq!(nodes[0].globals, [c("global"), c("local"), c("extern"), c("global")]);
    }

    #[test]
    fn quoted_names_and_escapes_are_exact() {
        let nodes = parse(r#"V1 { "f*"; f\*o; f[ab]; f\o*; };"#);
        let exact = |text: &str| Pattern { text: text.into(), language: Language::C, exact: true };
        let glob = |text: &str| Pattern { text: text.into(), language: Language::C, exact: false };
        assert_eq!(nodes[0].globals, [exact("f*"), exact("f*o"), glob("f[ab]"), glob(r"f\o*")]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, message) in [
            ("V1 {", "t.map:1:5: expected a symbol, found end of file"),
            ("V1 { foo bar; };", "t.map:1:10: expected `;`, found `bar`"),
            ("V1 foo", "t.map:1:4: expected `{`, found `foo`"),
            ("V1 { };\n}", "t.map:2:1: expected a version node, found `}`"),
            ("{ extern \"Java\" { x; }; };", "t.map:1:10: unknown language `Java` in version information"),
            ("V1 { foo: bar; };", "t.map:1:9: expected `;`, found `:`"),
        ] {
            assert_eq!(parse_version_script(text.as_bytes(), "t.map").unwrap_err().to_string(), message);
        }
        let deep = "{".to_owned() + &"extern C {".repeat(1000);
        assert!(parse_version_script(deep.as_bytes(), "t").unwrap_err().message.contains("too deeply"));
    }
}
