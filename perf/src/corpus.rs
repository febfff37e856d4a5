//! A corpus: one recorded link, and how to tell whether a linker did it right.
//!
//! A corpus is a directory that needs nothing outside it: `in/` with the input files, `link.rsp` with
//! the arguments for an `ld` that is started in that directory, and `run.json` with a [`Corpus`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::arguments;

/// What `run.json` says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Corpus {
    /// Its name, which is also its directory's.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// How the output is checked.
    pub check: Check,
    /// Whether the command line asks for `--gc-sections`.
    pub gc_sections: bool,
    /// How many times the link is made, one after the other, for one measurement.
    pub links: u32,
    /// How many input files.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Where it was found; not part of the file.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// How an output is checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is a program: run it with these arguments; it must succeed and print this text.
    Runs {
        /// The program's arguments.
        arguments: Vec<String>,
        /// Text that its standard output must contain.
        prints: String,
        /// After how many seconds it counts as hung.
        seconds: u64,
    },
    /// It must be an ELF file of at least so many bytes.
    IsElf {
        /// The least size in bytes.
        bytes: u64,
    },
}

impl Corpus {
    /// Reads the corpus in `directory`.
    pub fn open(directory: &Path) -> Result<Corpus> {
        let file = directory.join("run.json");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let corpus: Corpus = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        ensure!(corpus.links > 0, "{}: links is 0", file.display());
        Ok(Corpus { directory: fs::canonicalize(directory)?, ..corpus })
    }

    /// Describes the recorded link in `directory` by writing its `run.json`.
    ///
    /// The number of files, their size and whether `--gc-sections` is asked for are read off the record.
    pub fn describe(directory: &Path, about: &str, check: Check, links: u32) -> Result<Corpus> {
        let name = directory.file_name().context("a corpus needs a directory with a name")?;
        let words = arguments::split(&fs::read_to_string(directory.join("link.rsp"))?)?;
        let (mut files, mut bytes) = (0, 0);
        for entry in fs::read_dir(directory.join("in"))? {
            files += 1;
            bytes += entry?.metadata()?.len();
        }
        let last = words.iter().rev().map(|word| word.trim_start_matches('-'));
        let gc = last.into_iter().find(|word| matches!(*word, "gc-sections" | "no-gc-sections"));
        let corpus = Corpus {
            name: name.to_string_lossy().into_owned(),
            about: about.to_owned(),
            check,
            gc_sections: gc == Some("gc-sections"),
            links,
            files,
            bytes,
            directory: directory.to_owned(),
        };
        fs::write(directory.join("run.json"), serde_json::to_string_pretty(&corpus)? + "\n")?;
        Ok(corpus)
    }

    /// Says why `output` is not what the link should give, if it is not.
    pub fn verify(&self, output: &Path) -> Result<()> {
        self.check.verify(output).with_context(|| format!("{}: the output is wrong", self.name))
    }
}

impl Check {
    fn verify(&self, output: &Path) -> Result<()> {
        match self {
            Check::Runs { arguments, prints, seconds } => {
                let mut command = Command::new(output);
                command.args(arguments);
                let printed = run_at_most(command, Duration::from_secs(*seconds))?;
                ensure!(printed.contains(prints.as_str()), "it does not print {prints:?} but {printed:?}");
            }
            Check::IsElf { bytes } => {
                let size = fs::metadata(output)?.len();
                ensure!(size >= *bytes, "it has {size} bytes, which is less than {bytes}");
                let mut magic = [0; 4];
                File::open(output)?.read_exact(&mut magic)?;
                ensure!(&magic == b"\x7fELF", "it does not start as an ELF file");
            }
        }
        Ok(())
    }
}

/// The outputs of a corpus that were found right.
///
/// A large program is not run once for each measurement: an output with the same bytes as one that was
/// run is right too.
#[derive(Default)]
pub struct Verified(BTreeSet<u128>);

impl Verified {
    /// Checks `output` unless one with the same bytes has been checked.
    pub fn verify(&mut self, corpus: &Corpus, output: &Path) -> Result<()> {
        let digest = digest(output)?;
        if !self.0.contains(&digest) {
            corpus.verify(output)?;
            self.0.insert(digest);
        }
        Ok(())
    }
}

/// A hash of what a file contains, read in pieces so that this process stays small.
fn digest(file: &Path) -> Result<u128> {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match opened.read(&mut piece)? {
            0 => return Ok(hasher.digest128()),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// What `command` prints if it succeeds within `limit`.
fn run_at_most(mut command: Command, limit: Duration) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let complaints = std::thread::spawn(move || stderr.map(|mut stream| lossy(&mut stream)));
    let printed = std::thread::spawn(move || stdout.map(|mut stream| lossy(&mut stream)));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let complaints = complaints.join().ok().flatten().unwrap_or_default();
    let printed = printed.join().ok().flatten().unwrap_or_default();
    ensure!(status.success(), "it ended with {status}: {}", complaints.trim());
    Ok(printed)
}

fn lossy(stream: &mut dyn Read) -> String {
    let mut bytes = Vec::new();
    // What could be read before an error is all there is to say.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str, seconds: u64, prints: &str) -> Result<()> {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Check::Runs { arguments, prints: prints.to_owned(), seconds }.verify(Path::new("/bin/sh"))
    }

    #[test]
    fn a_program_must_succeed_print_and_end() {
        shell("echo well done", 10, "well").unwrap();
        assert!(shell("echo well; exit 1", 10, "well").is_err());
        assert!(shell("echo badly", 10, "well").is_err());
        assert!(shell("exec sleep 60", 0, "").is_err());
    }

    #[test]
    fn a_description_is_read_back() {
        let scratch = Scratch::new("describe").unwrap();
        fs::create_dir(scratch.path().join("in")).unwrap();
        fs::write(scratch.path().join("in/a.o"), "12345").unwrap();
        fs::write(scratch.path().join("link.rsp"), "in/a.o\n--gc-sections\n").unwrap();
        let check = Check::IsElf { bytes: 4 };
        Corpus::describe(scratch.path(), "five bytes", check, 3).unwrap();
        let corpus = Corpus::open(scratch.path()).unwrap();
        assert_eq!((corpus.files, corpus.bytes, corpus.links, corpus.gc_sections), (1, 5, 3, true));
        assert!(corpus.verify(&scratch.path().join("in/a.o")).is_err());
    }
}
