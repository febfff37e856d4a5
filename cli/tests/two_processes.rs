//! The command links in a second process; whoever started it must not notice.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A directory with an object and a FIFO in it: a link with the FIFO for output waits until somebody reads it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("a.c"), "void _start(void) {}\n").unwrap();
        for command in [&["cc", "-c", "a.c"][..], &["mkfifo", "out"]] {
            assert!(
                Command::new(command[0]).args(&command[1..]).current_dir(&place).status().unwrap().success()
            );
        }
        Place(place)
    }

    fn link(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manifold"));
        // So small a link would have one process by itself; what is said last counts.
        command
            .args(["--fork", "a.o", "-o", "out"])
            .args(arguments)
            .current_dir(&self.0)
            .stdout(Stdio::piped());
        command.spawn().unwrap()
    }
}

/// The children of a process, once it has some.
fn children(of: u32) -> Vec<i32> {
    let path = format!("/proc/{of}/task/{of}/children");
    let mut list: Vec<i32> = Vec::new();
    wait_until("it has a second process", || {
        list =
            fs::read_to_string(&path).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        !list.is_empty()
    });
    list
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Whether a process still runs (one that has ended and is waited for does not).
fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: sends a signal to a process of this test.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn end(mut link: Child) -> ExitStatus {
    link.wait().unwrap()
}

#[test]
fn a_signal_reaches_the_process_that_links() {
    let place = Place::new("signal");
    let link = place.link(&[]);
    let worker = children(link.id())[0];
    signal(link.id() as i32, libc::SIGTERM);
    assert_eq!(end(link).signal(), Some(libc::SIGTERM));
    wait_until("the worker has ended", || !runs(worker));
}

#[test]
fn a_command_that_is_told_twice_waits_all_the_same() {
    let place = Place::new("twice");
    let link = place.link(&[]);
    let worker = children(link.id())[0];
    // As timeout(1) does, which signals the command and its group.
    signal(link.id() as i32, libc::SIGTERM);
    signal(link.id() as i32, libc::SIGTERM);
    assert_eq!(end(link).signal(), Some(libc::SIGTERM));
    assert!(!runs(worker), "the command ended before the process that tidies up");
}

#[test]
fn a_link_that_is_killed_is_seen_to_be() {
    let place = Place::new("killed");
    let link = place.link(&[]);
    signal(children(link.id())[0], libc::SIGKILL);
    assert_eq!(end(link).signal(), Some(libc::SIGKILL));
}

#[test]
fn nobody_works_for_a_command_that_was_killed() {
    let place = Place::new("orphan");
    let mut link = place.link(&[]);
    let worker = children(link.id())[0];
    link.kill().unwrap();
    assert_eq!(end(link).signal(), Some(libc::SIGKILL));
    wait_until("the worker has ended", || !runs(worker));
}

#[test]
fn one_process_is_enough_if_asked_for() {
    let place = Place::new("alone");
    let mut link = place.link(&["--no-fork"]);
    let written = fs::read(place.0.join("out")).unwrap();
    assert!(written.starts_with(b"\x7fELF"));
    assert!(link.wait().unwrap().success());
}

#[test]
fn codes_and_messages_arrive() {
    let place = Place::new("codes");
    for arguments in [&["--no-fork", "-u", "x", "--require-defined=x"][..], &["--require-defined=x"]] {
        let output = place.link(arguments).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
}
