//! `--remap-inputs`: files that are read in place of others.
//!
//! In: the pairs of the command line, and files of such pairs: a line is a glob and a file, separated by `=` or white
//! space; `#` begins a comment (GNU ld manual, "--remap-inputs-file"). A glob is matched against a file's path as it
//! was named or found, and the first one that matches decides. `/dev/null` stands for no file at all.

use crate::config::{Config, Remap};
use crate::report::{Problem, Problems};
use crate::script::glob::Glob;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What to read for a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The file itself.
    Itself,
    /// Another one.
    File(PathBuf),
    /// Nothing: the input is left out.
    Nothing,
}

/// All pairs, in order.
#[derive(Debug, Default)]
pub(super) struct Remaps(Vec<(Glob, PathBuf)>);

impl Remaps {
    /// Reads the files among the options; one that cannot be read is a problem.
    pub fn read(config: &Config, problems: &Problems) -> Remaps {
        let mut pairs = Vec::new();
        for remap in &config.remaps {
            match remap {
                Remap::One(glob, file) => pairs.push((Glob::new(glob), file.clone())),
                Remap::Listed(list) => match super::map_file(list) {
                    Ok(text) => pairs.extend(listed(text, list, problems)),
                    Err(error) => {
                        let why = super::reason(&error);
                        let message = format!("--remap-inputs-file: cannot open {}: {why}", list.display());
                        problems.push(Problem::error(message));
                    }
                },
            }
        }
        Remaps(pairs)
    }

    /// What to read for a path.
    pub fn target(&self, path: &Path) -> Target {
        let name = path.as_os_str().as_bytes();
        match self.0.iter().find(|(glob, _)| glob.matches(name)) {
            None => Target::Itself,
            Some((_, file)) if file == Path::new("/dev/null") => Target::Nothing,
            Some((_, file)) => Target::File(file.clone()),
        }
    }
}

/// The pairs of a file.
fn listed(text: &[u8], list: &Path, problems: &Problems) -> Vec<(Glob, PathBuf)> {
    let mut pairs = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or(line).trim_ascii();
        if line.is_empty() {
            continue;
        }
        let end = line.iter().position(|byte| *byte == b'=' || byte.is_ascii_whitespace());
        let (glob, rest) = line.split_at(end.unwrap_or(line.len()));
        let file = rest.trim_ascii_start();
        let file = file.strip_prefix(b"=").unwrap_or(file).trim_ascii_start();
        if glob.is_empty() || file.is_empty() {
            let message = format!("{}:{}: expected GLOB=FILE", list.display(), number + 1);
            problems.push(Problem::error(message));
            continue;
        }
        pairs.push((Glob::new(glob), PathBuf::from(OsStr::from_bytes(file))));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_pairs() {
        let problems = Problems::default();
        let text = b"# all\n a.o = b.o # one\n*.x\tc d.o\n\nlib*=/dev/null\n";
        let remaps = Remaps(listed(text, Path::new("list"), &problems));
        assert_eq!(remaps.target(Path::new("a.o")), Target::File("b.o".into()));
        assert_eq!(remaps.target(Path::new("dir/a.x")), Target::File("c d.o".into()));
        assert_eq!(remaps.target(Path::new("libm.a")), Target::Nothing);
        assert_eq!(remaps.target(Path::new("b.o")), Target::Itself);
        assert!(!problems.has_any());
        listed(b"alone\n=x\n", Path::new("list"), &problems);
        assert_eq!(problems.errors(), 2);
    }
}
