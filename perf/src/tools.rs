//! Running compilers and build tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, os};

use anyhow::{Context, Result, ensure};

use crate::record;

/// Runs `command` to its end; it must succeed. Shows it first, so that a build can be repeated by hand.
pub fn run(command: &mut Command) -> Result<()> {
    let mut shown = format!("{command:?}");
    if shown.len() > 300 {
        shown.truncate(shown.floor_char_boundary(300));
        shown.push_str(" ...");
    }
    eprintln!("+ {shown}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

/// What `command` prints, without the line end; it must succeed.
pub fn ask(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} ended with {}: {complaints}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The full path of a program on `$PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A folder with an `ld` in it that records; compiler drivers are pointed there with `-B`.
pub struct Recorder {
    folder: PathBuf,
    real: PathBuf,
}

impl Recorder {
    /// Makes the folder at `folder`.
    pub fn new(folder: &Path) -> Result<Recorder> {
        fs::create_dir_all(folder)?;
        let link = folder.join("ld");
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        os::unix::fs::symlink(env::current_exe()?, &link)?;
        Ok(Recorder { folder: folder.to_owned(), real: which("ld").context("there is no ld")? })
    }

    /// The `-B` option for a compiler driver.
    pub fn option(&self) -> String {
        format!("-B{}", self.folder.display())
    }

    /// Tells the recorder, through `command`'s environment, to record into `corpus`.
    pub fn records<'a>(&self, command: &'a mut Command, corpus: &Path) -> &'a mut Command {
        command.env(record::INTO, corpus).env(record::REAL, &self.real)
    }
}
