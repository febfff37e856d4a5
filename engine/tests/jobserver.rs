//! A run takes the tokens a jobserver has left, never waits for more, and gives them back.
//!
//! The claim is made by a child process, this very test started again, because it depends on the environment and
//! on inherited file descriptors.

use std::process::Command;

/// Set for the child: how many threads it wants. It prints how many it got.
const WANTED: &str = "JOBSERVER_TEST_WANTED";

/// Runs a child that wants `wanted` threads, and returns how many it got.
fn claimed(wanted: usize, prepare: impl FnOnce(&mut Command)) -> usize {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(WANTED, wanted.to_string());
    for variable in ["MAKEFLAGS", "CARGO_MAKEFLAGS", "MFLAGS"] {
        command.env_remove(variable);
    }
    prepare(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = text.split("claimed ").nth(1).and_then(|rest| rest.split_whitespace().next());
    number.unwrap_or_else(|| panic!("the child said {text}")).parse().unwrap()
}

#[test]
fn child() {
    let Ok(wanted) = std::env::var(WANTED) else { return };
    let claimed = engine::jobserver::claim(wanted.parse().unwrap());
    assert!(claimed.tokens() < claimed.threads);
    println!("claimed {} ", claimed.threads);
}

#[test]
fn without_a_jobserver_all_threads_are_ours() {
    assert_eq!(claimed(7, |_| ()), 7);
    assert_eq!(claimed(0, |_| ()), 1);
    assert_eq!(
        claimed(7, |command| {
            command.env("MAKEFLAGS", "-k --no-print-directory");
        }),
        7
    );
}

#[test]
fn tokens_of_a_pipe_are_taken_and_given_back() {
    for flag in ["--jobserver-auth=", "--jobserver-fds="] {
        let server = jobserver::Client::new(3).unwrap();
        let pass = |command: &mut Command| {
            server.configure(command);
            command.env("MAKEFLAGS", format!("-j4 {flag}{}", server_string(&server)));
        };
        // The child has one token by being started.
        assert_eq!(claimed(8, pass), 4);
        assert_eq!(claimed(2, pass), 2);
        assert_eq!(server.available().unwrap(), 3);
    }
}

/// The two numbers of a pipe jobserver, as `configure` passes them on.
fn server_string(server: &jobserver::Client) -> String {
    let mut command = Command::new("true");
    server.configure_make(&mut command);
    let flags = command
        .get_envs()
        .find_map(|(name, value)| (name == "MAKEFLAGS").then_some(value?.to_str()?.to_string()))
        .expect("configure_make sets MAKEFLAGS");
    let auth = flags.split("--jobserver-auth=").nth(1).unwrap();
    auth.split_whitespace().next().unwrap().to_string()
}

#[test]
fn tokens_of_a_fifo_are_taken_and_given_back() {
    use std::io::{Read, Write};
    let path = std::env::temp_dir().join(format!("engine-jobserver-{}", std::process::id()));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let mut fifo = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    fifo.write_all(b"ab").unwrap();
    let flags = format!(" --jobserver-auth=fifo:{}", path.display());
    let got = claimed(8, |command| {
        command.env("MAKEFLAGS", flags);
    });
    let mut back = [0; 2];
    fifo.read_exact(&mut back).unwrap();
    back.sort_unstable();
    std::fs::remove_file(&path).unwrap();
    // Each token is a byte, and the very bytes come back: make tells jobs apart by them.
    assert_eq!((got, &back), (3, b"ab"));
}

#[test]
fn a_broken_jobserver_is_none() {
    for flags in [
        "--jobserver-auth=900,901",
        "--jobserver-auth=-2,-2",
        "--jobserver-auth=fifo:/nowhere",
        "--jobserver-auth=x",
        "--jobserver-auth=0,1",
    ] {
        let got = claimed(5, |command| {
            command.stdin(std::process::Stdio::null()).env("MAKEFLAGS", flags);
        });
        assert_eq!(got, 5, "{flags}");
    }
}
