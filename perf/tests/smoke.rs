//! The harness on tiny workloads: that it measures, checks and reports. No time is asserted.
//!
//! Small shell scripts stand in for linkers that fail, that write the wrong program, or that leave a
//! child behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs `perf` with this folder as its cache.
    fn perf(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perf"));
        command.arg("--cache").arg(&self.0).args(arguments).output().unwrap()
    }

    /// Builds hello-c and compares one linker on it; returns what became of the only contender.
    fn compare(&self, linker: &Path) -> Value {
        let built = self.perf(&["corpora", "hello-c"]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let peer = format!("--peer=it={}", linker.display());
        let place = format!("--place=here={}", self.0.display());
        let options = ["compare", "hello-c", "--no-manifold", "--only-given", "--runs=2", "--threads=1"];
        let compared = self.perf(&[&options[..], &[&peer, &place]].concat());
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
        assert!(String::from_utf8_lossy(&compared.stdout).contains("| it |"));
        let text = fs::read(self.at("results/result.json")).unwrap();
        let result: Value = serde_json::from_slice(&text).unwrap();
        result["groups"][0]["contenders"][0].clone()
    }

    /// A linker that says it is GNU ld and otherwise does `script`; `$real` is the real one.
    fn fake(&self, script: &str) -> PathBuf {
        let path = self.at("fake");
        let text = format!(
            "#!/bin/sh\ncase $1 in --version|--help) echo 'GNU ld (not really) 1'; exit;; esac\nreal={}\n{script}\n",
            real().display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

fn real() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join("ld")).find(|file| file.is_file()).unwrap()
}

#[test]
fn a_linker_that_works_gets_its_times() {
    let folder = Folder::new("works");
    let contender = folder.compare(&real());
    assert_eq!(contender["failure"], Value::Null);
    let costs = contender["costs"].as_array().unwrap();
    assert_eq!(costs.len(), 2);
    assert!(costs.iter().all(|cost| cost["wall_ms"].as_f64() > Some(0.0)));
    assert!(contender["output_bytes"].as_u64() > Some(1000));
    assert!(folder.perf(&["plot"]).status.success());
    assert!(fs::read_to_string(folder.at("results/hello-c.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn a_linker_that_fails_is_out_and_the_result_says_why() {
    let folder = Folder::new("fails");
    let linker = folder.fake("echo 'no such relocation' >&2; exit 3");
    let failure = folder.compare(&linker)["failure"].to_string();
    assert!(failure.contains("no such relocation"), "{failure}");
}

#[test]
fn a_program_that_does_something_else_is_not_taken_for_an_output() {
    let folder = Folder::new("wrong");
    let linker = folder.fake("$real \"$@\" && for last; do :; done && cp /bin/echo \"$last\"");
    let failure = folder.compare(&linker)["failure"].to_string();
    assert!(failure.contains("the output is wrong"), "{failure}");
}

#[test]
fn what_a_linker_leaves_running_is_waited_for() {
    let folder = Folder::new("orphan");
    let mark = folder.at("done");
    let linker = folder.fake(&format!("$real \"$@\"; (sleep 0.3; echo >> {}) >&- 2>&- &", mark.display()));
    assert_eq!(folder.compare(&linker)["failure"], Value::Null);
    // A warm-up, two runs and the output that is copied.
    assert_eq!(fs::read_to_string(mark).unwrap().lines().count(), 4);
}

#[test]
fn the_list_of_workloads_says_what_is_built() {
    let folder = Folder::new("list");
    let printed = String::from_utf8(folder.perf(&["corpora"]).stdout).unwrap();
    assert!(
        printed.lines().any(|line| line.starts_with("service ") && !line.contains(" built ")),
        "{printed}"
    );
}
