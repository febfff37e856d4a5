//! manifold links itself, and the manifold it linked links the same again.
//!
//! A whole build of the command is linked by manifold: its build scripts and procedural macros, which run
//! while it is built, and the command. The link of the command is then repeated from its recorded arguments,
//! by the linker under test with many numbers of threads and by its own product; every output must be the
//! same, byte for byte. No program of this repository is larger or uses more of Rust.
//!
//! The build has a directory of its own and is not optimized: the first one takes most of a minute of
//! processor time, later ones a few seconds. The package's tests are linked by manifold in `.ci/run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::linker::Linker;
use tests::shim::Linked;
use tests::suite;

/// Repetitions of the link: numbers of threads, and none for the linker's own choice.
const THREADS: [Option<u32>; 5] = [Some(1), Some(2), Some(3), Some(16), None];

#[test]
fn manifold_links_itself_again_and_again() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let own = std::env::current_exe().expect("the path of this test");
    let linker = suite::linker_under_test(&own, Path::new(env!("CARGO_BIN_EXE_case")), scratch)
        .unwrap_or_else(|reason| panic!("{reason}"));
    if !linker.is_ours() {
        return;
    }

    let links = build(&linker, &scratch.join("self"));
    for link in &links {
        assert_eq!((link.exit, link.stderr.as_str(), link.stdout.as_str()), (Some(0), "", ""));
        assert_eq!(link.unstable, [""; 0], "{}", link.output.display());
    }
    let command = links.last().expect("the build links at least the command");
    let itself = command.directory.join(&command.output);
    let first = fs::read(&itself).expect("the command");

    let again = scratch.join("self/again");
    for threads in THREADS.into_iter().cycle().take(20) {
        let second = relink(&linker.path, command, threads, &again);
        assert!(first == second, "{threads:?} threads give other bytes: compare {itself:?} and {again:?}");
    }
    for threads in [Some(1), None] {
        let second = relink(&itself, command, threads, &again);
        assert!(first == second, "it links itself otherwise: compare {itself:?} and {again:?}");
    }
}

/// Builds the command in `target` and returns all links that needed, the command's own last.
///
/// Its intermediate files stay, so that the last link can be repeated.
fn build(linker: &Linker, target: &Path) -> Vec<Linked> {
    let reports = target.join("reports");
    fs::create_dir_all(&reports).expect("a directory for reports");
    let environment = linker.environment(&reports, "1,3");
    let cargo = |arguments: &[&str]| {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("CARGO_TARGET_DIR", target).envs(environment.iter().cloned());
        assert!(command.status().expect("cargo runs").success(), "cargo {}", arguments.join(" "));
    };

    // Cargo would not link again what it has linked already.
    cargo(&["clean", "--quiet", "--package", "manifold"]);
    for directory in temporary_directories(&target.join("debug/deps")) {
        fs::remove_dir_all(&directory).expect("removing what an earlier run kept");
    }
    Linked::take_all(&reports).expect("what an interrupted run left");
    let unoptimized = ["--config", "profile.dev.opt-level=0"];
    let build = ["rustc", "--quiet", "--package", "manifold", "--bin", "manifold"];
    cargo(&[&build[..], &unoptimized, &["--", "-C", "save-temps"]].concat());
    Linked::take_all(&reports).expect("reports of all links")
}

/// Where rustc keeps the object it makes for the linker alone.
fn temporary_directories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_rustcs =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rustc"));
    entries.filter(|path| path.is_dir() && is_rustcs(path)).collect()
}

/// Repeats a link with `program` into the file `output` and returns its bytes.
fn relink(program: &Path, link: &Linked, threads: Option<u32>, output: &Path) -> Vec<u8> {
    let mut command = Command::new(program);
    // The last -o counts.
    command.args(&link.arguments).arg("-o").arg(output).current_dir(&link.directory);
    command.args(threads.map(|count| format!("--threads={count}")));
    let finished = command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = [finished.stdout, finished.stderr].concat();
    assert!(finished.status.success() && said.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&said));
    fs::read(output).expect("the output of a link")
}
