//! Bytes to tokens, for all the little languages of a linker script.
//!
//! What a word is depends on where it stands: `a-b` is a file in `INPUT(a-b)`, a subtraction in `x = a-b`
//! and one symbol pattern in a version script. So the parser says with each request which [`Mode`] it is in;
//! the lexer keeps no state but its position, and looking ahead is reading and going back.
//!
//! Comments are `/* ... */` everywhere and `#` to the end of the line where a token could start.
//!
//! Where this differs from GNU ld, on purpose: a comma separates files even without blanks around it
//! (`INPUT(a.o,b.o)`, as the manual says and lld does); `/` and `~` are operators, never part of a symbol
//! name, in an expression (`a/2` divides); a number with a radix letter must begin with a digit, so that a
//! symbol called `add` or `bad` is not a number; digits that do not fit the radix or 64 bits are errors.

use std::fmt;

/// A mistake in a script, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The file as the user knows it; empty for text from the command line.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in bytes, counted from 1.
    pub column: u32,
    /// What is wrong, lower case, no full stop.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            write!(f, "column {}: {}", self.column, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
        }
    }
}

impl std::error::Error for ScriptError {}

/// What the parser expects, which decides where words end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Start of a command or of an assignment: a symbol or command name, or a punctuation mark.
    Statement,
    /// Operators, numbers and symbol names.
    Expression,
    /// File names: everything but blanks, parentheses, commas, semicolons, braces and quotes.
    Files,
    /// Version nodes and symbol patterns.
    Versions,
}

/// One token. Words and quoted strings borrow from the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// An unquoted name.
    Word(&'a [u8]),
    /// What stood between double quotes.
    Quoted(&'a [u8]),
    /// A number (only in [`Mode::Expression`]).
    Number(u64),
    /// An operator or another mark.
    Mark(&'static str),
    /// The end of the text.
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "`{}`", String::from_utf8_lossy(word)),
            Token::Quoted(word) => write!(f, "\"{}\"", String::from_utf8_lossy(word)),
            Token::Number(number) => write!(f, "`{number}`"),
            Token::Mark(mark) => write!(f, "`{mark}`"),
            Token::End => write!(f, "end of file"),
        }
    }
}

/// Marks of all modes, longest first so that the first that fits is the right one.
const MARKS: [&str; 37] = [
    "<<=", ">>=", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "+=", "-=", "*=", "/=", "&=", "|=", "^=",
    "+", "-", "*", "/", "%", "&", "|", "^", "~", "<", ">", "=", "!", "?", ":", ";", ",", "(", ")", "{",
];

/// Reads tokens from a script.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a [u8],
    file: &'a str,
    position: usize,
    token_start: usize,
    /// Where the token before the last one began.
    token_before: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`; `file` is for messages.
    pub fn new(text: &'a [u8], file: &'a str) -> Self {
        Lexer { text, file, position: 0, token_start: 0, token_before: 0 }
    }

    /// The next token.
    pub fn next(&mut self, mode: Mode) -> Result<Token<'a>, ScriptError> {
        self.skip_blank()?;
        self.token_before = std::mem::replace(&mut self.token_start, self.position);
        let rest = self.text.get(self.position..).unwrap_or_default();
        let Some(&first) = rest.first() else { return Ok(Token::End) };
        if first == b'"' {
            return self.quoted(rest);
        }
        if mode == Mode::Expression
            && let Some((number, length)) = self.number(rest)?
        {
            self.position += length;
            return Ok(Token::Number(number));
        }
        let length = word_length(rest, mode);
        if length > 0 {
            self.position += length;
            return Ok(Token::Word(&rest[..length]));
        }
        for mark in MARKS.into_iter().chain(["}"]) {
            if rest.starts_with(mark.as_bytes()) {
                self.position += mark.len();
                return Ok(Token::Mark(mark));
            }
        }
        Err(self.error(format!("unexpected character `{}`", first.escape_ascii())))
    }

    /// The next token without consuming it.
    pub fn peek(&mut self, mode: Mode) -> Result<Token<'a>, ScriptError> {
        let saved = self.position;
        let token = self.next(mode);
        self.position = saved;
        token
    }

    /// Consumes `mark` if it comes next.
    pub fn accept(&mut self, mode: Mode, mark: &str) -> Result<bool, ScriptError> {
        let saved = self.position;
        if self.next(mode)? == Token::Mark(lookup(mark)) {
            return Ok(true);
        }
        self.position = saved;
        Ok(false)
    }

    /// Consumes `mark` or says what stood there instead.
    pub fn expect(&mut self, mode: Mode, mark: &str) -> Result<(), ScriptError> {
        let token = self.next(mode)?;
        if token == Token::Mark(lookup(mark)) {
            return Ok(());
        }
        Err(self.error(format!("expected `{mark}`, found {token}")))
    }

    /// Consumes a name, quoted or not.
    pub fn name(&mut self, mode: Mode, what: &str) -> Result<&'a [u8], ScriptError> {
        match self.next(mode)? {
            Token::Word(name) | Token::Quoted(name) => Ok(name),
            token => Err(self.error(format!("expected {what}, found {token}"))),
        }
    }

    /// An error at the last token read (or looked at).
    pub fn error(&self, message: impl Into<String>) -> ScriptError {
        self.error_at(self.token_start, message.into())
    }

    /// An error at the token before the last one, for a parser that looked ahead to judge it.
    pub fn error_before(&self, message: impl Into<String>) -> ScriptError {
        self.error_at(self.token_before, message.into())
    }

    fn error_at(&self, offset: usize, message: String) -> ScriptError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
        let newlines = memchr::memchr_iter(b'\n', before).count();
        ScriptError {
            file: self.file.to_owned(),
            line: u32::try_from(newlines + 1).unwrap_or(u32::MAX),
            column: u32::try_from(before.len() - line_start + 1).unwrap_or(u32::MAX),
            message,
        }
    }

    fn skip_blank(&mut self) -> Result<(), ScriptError> {
        loop {
            let rest = self.text.get(self.position..).unwrap_or_default();
            match rest.first() {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c') => self.position += 1,
                Some(b'#') => self.position += memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
                Some(b'/') if rest.starts_with(b"/*") => {
                    let Some(end) = memchr::memmem::find(&rest[2..], b"*/") else {
                        self.token_start = self.position;
                        return Err(self.error("comment without end"));
                    };
                    self.position += end + 4;
                }
                _ => return Ok(()),
            }
        }
    }

    fn quoted(&mut self, rest: &'a [u8]) -> Result<Token<'a>, ScriptError> {
        let Some(end) = memchr::memchr2(b'"', b'\n', &rest[1..]).filter(|&end| rest[end + 1] == b'"') else {
            return Err(self.error("quoted name without end"));
        };
        self.position += end + 2;
        Ok(Token::Quoted(&rest[1..end + 1]))
    }

    /// A number at the start of `rest` and its length: `0x1f`, `$1f`, `017`, `12`, each with `K` or `M`; or
    /// digits and a radix letter: `1fh`/`1fx`, `17o`, `101b`, `12d` (GNU ld manual, "Constants").
    fn number(&self, rest: &[u8]) -> Result<Option<(u64, usize)>, ScriptError> {
        let dollar = rest[0] == b'$' && rest.get(1).is_some_and(u8::is_ascii_hexdigit);
        if !rest[0].is_ascii_digit() && !dollar {
            return Ok(None);
        }
        let end = |from: usize| rest[from..].iter().take_while(|b| is_symbol_byte(**b)).count() + from;
        let length = end(1);
        let word = &rest[..length];
        if dollar && word[1..].iter().any(|b| !b.is_ascii_hexdigit() && !b"KkMm".contains(b)) {
            return Ok(None);
        }
        let (digits, radix) = if dollar {
            (&word[1..], 16)
        } else if word.len() > 2 && (word.starts_with(b"0x") || word.starts_with(b"0X")) {
            (&word[2..], 16)
        } else {
            (word, 0)
        };
        let (digits, scale) = match digits.split_last() {
            Some((b'K' | b'k', digits)) => (digits, 1 << 10),
            Some((b'M' | b'm', digits)) => (digits, 1 << 20),
            _ => (digits, 1),
        };
        let (digits, radix) = match (radix, digits.split_last()) {
            (0, Some((b'h' | b'H' | b'x' | b'X', digits))) if scale == 1 => (digits, 16),
            (0, Some((b'o' | b'O', digits))) if scale == 1 => (digits, 8),
            (0, Some((b'b' | b'B', digits))) if scale == 1 => (digits, 2),
            (0, Some((b'd' | b'D', digits))) if scale == 1 => (digits, 10),
            (0, Some(_)) if digits.len() > 1 && digits[0] == b'0' => (&digits[1..], 8),
            (0, _) => (digits, 10),
            (radix, _) => (digits, radix),
        };
        let text = String::from_utf8_lossy(word).into_owned();
        let malformed = || self.error(format!("malformed number `{text}`"));
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(malformed());
        }
        let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
        let value = u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
            std::num::IntErrorKind::PosOverflow => self.error(format!("number `{text}` exceeds 64 bits")),
            _ => malformed(),
        })?;
        let value = value.checked_mul(scale);
        let value = value.ok_or_else(|| self.error(format!("number `{text}` exceeds 64 bits")))?;
        Ok(Some((value, length)))
    }
}

/// The mark of the table that equals `mark`, so that tokens can be compared.
fn lookup(mark: &str) -> &'static str {
    MARKS.into_iter().chain(["}"]).find(|known| *known == mark).unwrap_or("")
}

/// Bytes of a symbol name in an expression: letters, digits, `_`, `.`, `$`, `\` and everything beyond ASCII.
fn is_symbol_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'\\') || byte >= 0x80
}

/// How many bytes at the start of `rest` form a word.
fn word_length(rest: &[u8], mode: Mode) -> usize {
    let mut length = 0;
    while let Some(&byte) = rest.get(length) {
        let next = rest.get(length + 1).copied();
        if byte == b'/' && next == Some(b'*') {
            break;
        }
        match mode {
            Mode::Expression if is_symbol_byte(byte) => length += 1,
            // `a-b` is a name here as in the manual, but `a-=b` and `a/=b` are assignments.
            Mode::Statement if is_symbol_byte(byte) => length += 1,
            Mode::Statement if length > 0 && byte == b'-' && next.is_some_and(is_symbol_byte) => length += 1,
            Mode::Files if !byte.is_ascii_whitespace() && !b"(),;{}\"".contains(&byte) => length += 1,
            // A colon ends `global:`, two belong to a C++ name.
            Mode::Versions if byte == b':' && next == Some(b':') => length += 2,
            Mode::Versions if !byte.is_ascii_whitespace() && !b";{}\":#".contains(&byte) => length += 1,
            _ => break,
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>(text: &'a str, mode: Mode) -> Result<Vec<Token<'a>>, ScriptError> {
        let mut lexer = Lexer::new(text.as_bytes(), "t.ld");
        let mut tokens = Vec::new();
        loop {
            match lexer.next(mode)? {
                Token::End => return Ok(tokens),
                token => tokens.push(token),
            }
        }
    }

    fn number(text: &str) -> Result<u64, String> {
        match all(text, Mode::Expression).map_err(|e| e.message)?.as_slice() {
            [Token::Number(n)] => Ok(*n),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn words_depend_on_the_mode() {
        use Token::{Mark, Word};
        assert_eq!(all("a-b", Mode::Files).unwrap(), [Word(b"a-b")]);
        assert_eq!(all("a-b", Mode::Expression).unwrap(), [Word(b"a"), Mark("-"), Word(b"b")]);
        assert_eq!(all("a-b-=", Mode::Statement).unwrap(), [Word(b"a-b"), Mark("-=")]);
        assert_eq!(all("std::foo*:", Mode::Versions).unwrap(), [Word(b"std::foo*"), Mark(":")]);
        assert_eq!(all("-lc,=/b.o", Mode::Files).unwrap(), [Word(b"-lc"), Mark(","), Word(b"=/b.o")]);
    }

    #[test]
    fn comments_vanish() {
        let text = "# one\nfoo/* two */bar # three\n/**/;# four";
        let tokens = all(text, Mode::Versions).unwrap();
        assert_eq!(tokens, [Token::Word(b"foo"), Token::Word(b"bar"), Token::Mark(";")]);
    }

    #[test]
    fn numbers_have_the_forms_of_the_manual() {
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("010", 8),
            ("0x1F", 0x1f),
            ("0Xff", 0xff),
            ("$10", 16),
            ("10K", 10 << 10),
            ("10k", 10 << 10),
            ("0x10M", 16 << 20),
            ("0ffh", 0xff),
            ("10X", 16),
            ("17o", 15),
            ("101b", 5),
            ("19d", 19),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["08", "0b11", "0x10h", "12ab", "99999999999999999999", "0xffffffffffffffffM", "1__"] {
            assert!(number(text).is_err(), "{text}");
        }
        assert_eq!(all("bad", Mode::Expression).unwrap(), [Token::Word(b"bad")]);
        assert_eq!(all("$foo", Mode::Expression).unwrap(), [Token::Word(b"$foo")]);
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = all("a\n  @", Mode::Expression).unwrap_err();
        assert_eq!(error.to_string(), "t.ld:2:3: unexpected character `@`");
        let error = all("a /* b", Mode::Expression).unwrap_err();
        assert_eq!(error.to_string(), "t.ld:1:3: comment without end");
        let error = all("\"abc\ndef\"", Mode::Files).unwrap_err();
        assert_eq!(error.to_string(), "t.ld:1:1: quoted name without end");
    }
}
