//! Running commands: no shell, a clean environment, a time limit, everything captured.
//!
//! In: a command line as a case writes it. Out: [`Finished`]: how it ended and what it printed. A command
//! runs in a process group of its own, so that a linker that hangs is killed together with the driver that
//! waits for it, and a hang is a failure like any other.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status.
    Exit(i32),
    /// A signal killed it.
    Signal(i32),
    /// It was killed because the time was up.
    TimedOut,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Exit(code) => write!(f, "exit {code}"),
            Ended::Signal(signal) => write!(f, "signal {signal}"),
            Ended::TimedOut => write!(f, "still running when the time was up"),
        }
    }
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// Its standard output, with bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Splits a command line into words: spaces separate, `'...'` and `"..."` group, a backslash outside single
/// quotes takes the next character as it is.
///
/// # Errors
/// An unclosed quote.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(q)) if c == q => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => out.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("unclosed quote: {line}"));
    }
    out.extend(word);
    Ok(out)
}

/// Writes words as a line that can be pasted into a shell.
pub fn line(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,+:@%^{}".contains(c);
    let quoted = words.iter().map(|word| match word.chars().all(plain) && !word.is_empty() {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A command ready to start: in `directory`, in the C locale, with `environment` on top of a few inherited
/// variables, in its own process group.
///
/// # Errors
/// An empty command.
pub fn prepare(
    words: &[String],
    directory: &Path,
    environment: &[(String, String)],
) -> Result<Command, String> {
    let (program, arguments) = words.split_first().ok_or("empty command")?;
    let mut command = Command::new(match program.starts_with("./") {
        true => directory.join(program).into_os_string(),
        false => OsStr::new(program).to_owned(),
    });
    command.args(arguments).current_dir(directory).env_clear().stdin(Stdio::null()).process_group(0);
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("LC_ALL", "C").envs(environment.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// Runs a command to its end, or kills it when `limit` is over.
///
/// # Errors
/// The command cannot be started.
pub fn run(mut command: Command, limit: Duration) -> Result<Finished, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let group = group_of(&child);
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let (sender, ended) = mpsc::channel();
    // The thread owns the child; it ends when the child does, which the kill below makes sure of.
    thread::spawn(move || sender.send(child.wait()));
    let ended = match ended.recv_timeout(limit) {
        Ok(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        },
        Ok(Err(e)) => return Err(format!("{program}: {e}")),
        Err(_) => {
            kill(group);
            Ended::TimedOut
        }
    };
    let text = |lines: mpsc::Receiver<Vec<u8>>| {
        let bytes = lines.recv_timeout(Duration::from_secs(10)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Finished { ended, stdout: text(stdout), stderr: text(stderr) })
}

/// Kills the process group of a command started by [`prepare`].
pub fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself in this moment; then there is nothing to kill.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The process group that [`prepare`] gave a child.
pub fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Reads a pipe to its end in the background, so that two full pipes cannot block each other.
fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // An error means the writer was killed: what was read so far is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_line(text: &str, limit: Duration) -> Finished {
        let command = prepare(&words(text).expect("words"), Path::new("/"), &[]).expect("command");
        run(command, limit).expect("started")
    }

    #[test]
    fn words_are_split_like_a_shell_does() {
        let split = |text| words(text).expect("words");
        assert_eq!(split(r#"a 'b c' "d\"e" f\ g '' "#), ["a", "b c", "d\"e", "f g", ""]);
        assert_eq!(split(&line(&split("x 'a b' \"it's\""))), ["x", "a b", "it's"]);
        assert!(words("a 'b").is_err());
    }

    #[test]
    fn output_and_exit_status_are_captured() {
        let finished = run_line("sh -c 'echo out; echo err >&2; exit 3'", Duration::from_secs(10));
        assert_eq!((finished.ended, &*finished.stdout), (Ended::Exit(3), "out\n"));
        assert_eq!(finished.stderr, "err\n");
    }

    #[test]
    fn a_hanging_command_is_killed_with_its_children() {
        let finished = run_line("sh -c 'sleep 100 & wait'", Duration::from_millis(100));
        assert_eq!(finished.ended, Ended::TimedOut);
    }
}
