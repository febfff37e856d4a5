//! Lists of symbols: `--dynamic-list`, `--export-dynamic-symbol` and its `-list`.
//!
//! A dynamic list is a version script's node without a name: `{ foo; bar*; extern "C++" { ns::*; }; };`. A
//! [`SymbolList`] gathers any number of names, globs and such lists, and answers whether a symbol is in one.

use super::glob::{Glob, GlobSet};
use super::lexer::{Lexer, Mode, ScriptError, Token};
use super::version::{Language, Pattern, parse_pattern};
use std::collections::HashSet;

/// A parsed `--dynamic-list` file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamicList {
    /// What it names, in order.
    pub patterns: Vec<Pattern>,
}

/// Parses the dynamic list `text`; `name` is its file for messages. Several lists may follow each other, and
/// as in version scripts the semicolon beside a closing brace is optional.
pub fn parse_dynamic_list(text: &[u8], name: &str) -> Result<DynamicList, ScriptError> {
    let mut lexer = Lexer::new(text, name);
    let mut patterns = Vec::new();
    loop {
        match lexer.next(Mode::Versions)? {
            Token::End => return Ok(DynamicList { patterns }),
            Token::Mark("{") => {}
            Token::Mark(";") => continue,
            token => return Err(lexer.error(format!("expected `{{`, found {token}"))),
        }
        loop {
            match lexer.next(Mode::Versions)? {
                Token::Mark("}") => break,
                Token::Mark(";") => {}
                token => parse_pattern(&mut lexer, token, Language::C, 0, &mut patterns)?,
            }
        }
    }
}

/// Names and globs of symbols.
#[derive(Debug, Clone, Default)]
pub struct SymbolList {
    names: [HashSet<Vec<u8>>; 2],
    globs: [GlobSet; 2],
}

impl SymbolList {
    /// Adds one symbol.
    pub fn add_exact(&mut self, name: &[u8]) {
        self.names[Language::C as usize].insert(name.to_vec());
    }

    /// Adds a glob; one without wildcards is a name.
    pub fn add_glob(&mut self, glob: &[u8]) {
        self.add(Pattern::unquoted(glob, Language::C));
    }

    /// Adds everything a list names.
    pub fn add_list(&mut self, list: DynamicList) {
        list.patterns.into_iter().for_each(|pattern| self.add(pattern));
    }

    fn add(&mut self, pattern: Pattern) {
        let language = pattern.language as usize;
        if pattern.exact {
            self.names[language].insert(pattern.text);
        } else {
            self.globs[language].insert(Glob::new(&pattern.text), 0);
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.names.iter().all(HashSet::is_empty) && self.globs.iter().all(GlobSet::is_empty)
    }

    /// Whether the list names `name`. `demangled` is called at most once and only if the list has C++ names;
    /// it gives the demangled name, or `None` if `name` is not mangled (it then stands for itself).
    pub fn matches(&self, name: &[u8], demangled: impl FnOnce() -> Option<Vec<u8>>) -> bool {
        if self.matches_in(Language::C, name) {
            return true;
        }
        let cxx = Language::Cxx as usize;
        if self.names[cxx].is_empty() && self.globs[cxx].is_empty() {
            return false;
        }
        match demangled() {
            Some(demangled) => self.matches_in(Language::Cxx, &demangled),
            None => self.matches_in(Language::Cxx, name),
        }
    }

    fn matches_in(&self, language: Language, name: &[u8]) -> bool {
        let (names, globs) = (&self.names[language as usize], &self.globs[language as usize]);
        (!names.is_empty() && names.contains(name)) || globs.best(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_match_names_globs_and_cxx_names() {
        let text = b"{ foo; ba*; \"q*\"; extern \"C++\" { ns::*; \"f(int)\" }; };\n{ late };";
        let mut list = SymbolList::default();
        assert!(list.is_empty());
        list.add_list(parse_dynamic_list(text, "t.list").unwrap());
        list.add_glob(b"g?");
        list.add_exact(b"h?");
        assert!(!list.is_empty());
        let none = || None;
        for name in [&b"foo"[..], b"bar", b"q*", b"late", b"gx", b"h?"] {
            assert!(list.matches(name, none), "{}", name.escape_ascii());
        }
        for name in [&b"fo"[..], b"qq", b"hx", b"_ZN2ns1fEv"] {
            assert!(!list.matches(name, none), "{}", name.escape_ascii());
        }
        assert!(list.matches(b"_ZN2ns1fEv", || Some(b"ns::f()".into())));
        assert!(list.matches(b"_Z1fi", || Some(b"f(int)".into())));
        assert!(!list.matches(b"_Z1fl", || Some(b"f(long)".into())));
    }

    #[test]
    fn demangling_happens_only_for_lists_with_cxx_names() {
        let mut list = SymbolList::default();
        list.add_glob(b"a*");
        assert!(!list.matches(b"_Z1fv", || panic!("not needed")));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, message) in [
            ("foo;", "t:1:1: expected `{`, found `foo`"),
            ("{ foo", "t:1:6: expected `;`, found end of file"),
            ("{ foo: bar; };", "t:1:6: expected `;`, found `:`"),
        ] {
            assert_eq!(parse_dynamic_list(text.as_bytes(), "t").unwrap_err().to_string(), message);
        }
    }
}
