//! `manifold -run --trace=DIR COMMAND`: every link of the build leaves its trace in a directory.
//!
//! The directory is made if there is none, and handed to the links in the environment. To know how long the build took
//! beside its links, this process stays and writes that down when the command has ended; meanwhile it leaves the
//! signals of the terminal to the command, as time(1) does.

use crate::signals;
use crate::trace::VARIABLE;
use profile::index::{BUILD, Command as Record};
use stages::report::Problem;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

/// The directory for traces, made if need be, and the command behind it.
pub fn directory(words: &[OsString]) -> Result<(Option<PathBuf>, &[OsString]), Problem> {
    let Some((first, rest)) = words.split_first() else { return Ok((None, words)) };
    let (directory, command) = match first.as_bytes() {
        b"--trace" => {
            let Some((directory, command)) = rest.split_first() else {
                return Err(Problem::error("-run --trace: missing directory"));
            };
            (directory.clone(), command)
        }
        word => match word.strip_prefix(b"--trace=") {
            Some(directory) => (OsString::from_vec(directory.to_vec()), rest),
            None => return Ok((None, words)),
        },
    };
    let describe = |error: io::Error| {
        let why = profile::file::plain(&error);
        Problem::error(format!("-run --trace={}: {why}", Path::new(&directory).display()))
    };
    std::fs::create_dir_all(&directory).map_err(describe)?;
    let directory = Path::new(&directory).canonicalize().map_err(describe)?;
    Ok((Some(directory), command))
}

/// Runs a command and writes down how long it took; its exit code.
pub fn run(prepared: &mut Command, words: &[OsString], directory: &Path) -> io::Result<ExitCode> {
    let started = seconds();
    signals::leave_to_children();
    let status = prepared.env(VARIABLE, directory).spawn()?.wait()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let command = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let record = Record { command, started, ended: seconds(), status: code };
    let path = directory.join(format!("{BUILD}{}-{}.json", (started * 1000.0) as u64, std::process::id()));
    let written =
        serde_json::to_vec(&record).map_err(io::Error::from).and_then(|text| std::fs::write(&path, text));
    if let Err(error) = written {
        eprintln!("manifold: warning: -run: {}: {}", path.display(), profile::file::plain(&error));
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_stands_in_front_of_the_command() {
        let place = std::env::temp_dir().join(format!("manifold-traced-{}", std::process::id()));
        let words = |line: &str| -> Vec<OsString> { line.split_whitespace().map(Into::into).collect() };
        for line in
            [format!("--trace={} make -j", place.display()), format!("--trace {} make -j", place.display())]
        {
            let words = words(&line);
            let (found, command) = directory(&words).unwrap();
            assert_eq!(found, Some(place.canonicalize().unwrap()));
            assert_eq!(command, ["make", "-j"]);
        }
        assert_eq!(directory(&words("make --trace=x")).unwrap(), (None, words("make --trace=x").as_slice()));
        assert!(directory(&words("--trace=/proc/nowhere make")).is_err());
        std::fs::remove_dir(&place).unwrap();
    }
}
