//! The words of the command line, with response files (`@FILE`) expanded.
//!
//! In: the arguments as the system passes them. Out: [`Words`], all bytes in one buffer, so that a response
//! file of megabytes costs one read and one pass.
//!
//! The rules are those of GNU tools (ld manual, "@file"): words are separated by white space; single and
//! double quotes keep white space; a backslash, in quotes or not, takes the next character as it is; a file
//! may name further files, relative to the current directory; a file that cannot be read leaves the word
//! as it stands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// How many response files may be expanded. One that names itself would never end.
const FILES_MAX: usize = 1000;

/// A list of words, flat.
#[derive(Debug, Default)]
pub struct Words {
    text: Vec<u8>,
    ends: Vec<usize>,
    files: usize,
}

/// The response file that was one too many.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany(pub String);

impl Words {
    /// Expands the response files among the arguments.
    ///
    /// # Errors
    /// If there are more than a thousand response files, which means that one names itself.
    pub fn expand(arguments: &[OsString]) -> Result<Words, TooMany> {
        let mut words = Words::default();
        for argument in arguments {
            words.text.extend_from_slice(argument.as_bytes());
            words.end_word()?;
        }
        Ok(words)
    }

    /// A word by its position.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }

    /// All words.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|index| self.get(index))
    }

    /// Ends the word at the end of the text, or replaces it by what its response file says.
    fn end_word(&mut self) -> Result<(), TooMany> {
        let start = self.ends.last().copied().unwrap_or(0);
        if let [b'@', file @ ..] = &self.text[start..]
            && let Ok(contents) = std::fs::read(OsStr::from_bytes(file))
        {
            self.files += 1;
            if self.files > FILES_MAX {
                return Err(TooMany(String::from_utf8_lossy(&self.text[start..]).into_owned()));
            }
            self.text.truncate(start);
            return self.split(&contents);
        }
        self.ends.push(self.text.len());
        Ok(())
    }

    /// Adds the words of a response file.
    fn split(&mut self, contents: &[u8]) -> Result<(), TooMany> {
        self.text.reserve(contents.len());
        let mut rest = contents;
        loop {
            let white = rest.iter().position(|b| !b.is_ascii_whitespace() && *b != b'\x0b');
            let Some(white) = white else { return Ok(()) };
            rest = self.word(&rest[white..]);
            self.end_word()?;
        }
    }

    /// Adds one word, unquoted, and returns what follows it.
    fn word<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        let mut quote = None;
        loop {
            let plain = rest.iter().position(|b| special(*b)).unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            match rest {
                [] => return rest,
                [b'\\', next, tail @ ..] => {
                    self.text.push(*next);
                    rest = tail;
                }
                [b'\\'] => return &[],
                [byte @ (b'\'' | b'"'), tail @ ..] => {
                    match quote {
                        None => quote = Some(*byte),
                        Some(open) if open == *byte => quote = None,
                        Some(_) => self.text.push(*byte),
                    }
                    rest = tail;
                }
                [white, tail @ ..] => {
                    if quote.is_none() {
                        return tail;
                    }
                    self.text.push(*white);
                    rest = tail;
                }
            }
        }
    }
}

/// Whether a byte means something other than itself: white space, quotes, backslash.
fn special(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | b'\'' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn list(words: &Words) -> Vec<String> {
        (0..).map_while(|i| words.get(i)).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    fn split(contents: &str) -> Vec<String> {
        let mut words = Words::default();
        words.split(contents.as_bytes()).unwrap();
        list(&words)
    }

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("manifold-words-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn words_are_separated_by_white_space() {
        assert_eq!(split("a  b\tc\nd\r\n e\n"), ["a", "b", "c", "d", "e"]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split(" \n"), [""; 0]);
    }

    #[test]
    fn quotes_keep_white_space_and_may_be_empty() {
        assert_eq!(split(r#"'a b' "c d" e'f 'g '' "" x"#), ["a b", "c d", "ef g", "", "", "x"]);
        assert_eq!(split(r#""it's" 'a "b"'"#), ["it's", "a \"b\""]);
        assert_eq!(split("'open to the end "), ["open to the end "]);
    }

    #[test]
    fn a_backslash_takes_the_next_character_even_in_quotes() {
        assert_eq!(split(r#"a\ b \\ 'c\'d' "e\"f" g\h"#), ["a b", "\\", "c'd", "e\"f", "gh"]);
        assert_eq!(split("end\\"), ["end"]);
    }

    #[test]
    fn files_nest_and_a_missing_file_stays_a_word() {
        let directory = directory("nest");
        let [outer, inner] = ["outer", "inner"].map(|name| directory.join(name));
        std::fs::write(&inner, "2 '@3'").unwrap();
        std::fs::write(&outer, format!("1 @{} 4", inner.display())).unwrap();
        let words = Words::expand(&["0".into(), format!("@{}", outer.display()).into(), "@nowhere".into()]);
        assert_eq!(list(&words.unwrap()), ["0", "1", "2", "@3", "4", "@nowhere"]);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_names_itself_is_an_error() {
        let directory = directory("self");
        let file = directory.join("file");
        let word = format!("@{}", file.display());
        std::fs::write(&file, &word).unwrap();
        assert_eq!(Words::expand(&[word.clone().into()]).unwrap_err(), TooMany(word));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn big_files_are_read_in_one_pass() {
        let many: String = (0..100_000).map(|i| format!("'/build/dir/object {i}.o'\n")).collect();
        let words = split(&many);
        assert_eq!(words.len(), 100_000);
        assert_eq!(words[99_999], "/build/dir/object 99999.o");
    }
}
