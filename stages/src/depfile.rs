//! `--dependency-file`: a Makefile rule that says from which files the output was made.
//!
//! ```text
//! a.out: \
//!   main.o \
//!   lib\ with\ blank.a
//!
//! main.o:
//!
//! lib\ with\ blank.a:
//! ```
//!
//! The rules without prerequisites keep `make` from failing once an input has been deleted or renamed.
//!
//! The layout is GNU ld's. Names are escaped so that make (and Ninja) read them back as they are, the way
//! compilers do with `-M`; of the linkers, GNU ld and mold escape nothing and lld only blanks, `#` and `$`. A
//! name with a newline cannot be written in a Makefile; it is left out.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The text of the dependency file for `output`, made from `inputs` in their order; an input that comes twice
/// is named once.
pub fn dependency_file<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Vec<u8> {
    let mut named = HashSet::new();
    let inputs = inputs.into_iter().map(|path| path.as_os_str().as_bytes());
    let inputs: Vec<&[u8]> = inputs.filter(|path| !path.contains(&b'\n') && named.insert(*path)).collect();
    let mut text = Vec::new();
    escape(output.as_os_str().as_bytes(), &mut text);
    text.push(b':');
    for input in &inputs {
        text.extend(b" \\\n  ");
        escape(input, &mut text);
    }
    text.push(b'\n');
    for input in &inputs {
        text.push(b'\n');
        escape(input, &mut text);
        text.extend(b":\n");
    }
    text
}

/// Appends `name` as make reads it: `$` is doubled; a backslash goes before blanks, `#` and `:`, and before
/// each of the backslashes that directly precede one of those. Other backslashes stand for themselves.
fn escape(name: &[u8], text: &mut Vec<u8>) {
    let mut backslashes = 0;
    for &byte in name {
        match byte {
            b' ' | b'\t' | b'#' | b':' => {
                text.extend(std::iter::repeat_n(b'\\', backslashes + 1));
            }
            b'$' => text.push(b'$'),
            _ => {}
        }
        backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
        text.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(output: &str, inputs: &[&str]) -> String {
        let text = dependency_file(Path::new(output), inputs.iter().map(Path::new));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_input_has_an_empty_rule() {
        assert_eq!(file("a.out", &["a.o", "b.o", "a.o"]), "a.out: \\\n  a.o \\\n  b.o\n\na.o:\n\nb.o:\n");
        assert_eq!(file("a.out", &[]), "a.out:\n");
    }

    #[test]
    fn names_are_escaped_as_make_reads_them() {
        for (name, escaped) in [
            ("sp ace", "sp\\ ace"),
            ("do$lar", "do$$lar"),
            ("ha#sh", "ha\\#sh"),
            ("co:lon", "co\\:lon"),
            ("back\\slash", "back\\slash"),
            ("back\\ slash", "back\\\\\\ slash"),
            ("tab\there", "tab\\\there"),
            ("per%cent", "per%cent"),
        ] {
            assert_eq!(file(name, &[name]), format!("{escaped}: \\\n  {escaped}\n\n{escaped}:\n"));
        }
    }

    #[test]
    fn a_name_with_a_newline_is_left_out() {
        assert_eq!(file("a.out", &["a\nb.o", "c.o"]), "a.out: \\\n  c.o\n\nc.o:\n");
    }
}
