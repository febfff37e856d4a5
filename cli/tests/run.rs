//! `manifold -run`: whoever starts a linker, by whatever function, starts manifold.
//!
//! To see which linker ran, the preloaded library is put beside a program that calls itself manifold,
//! writes its arguments to a file and then, past all hooks, becomes the real linker.

mod built;

use built::built;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The stand-in: writes a line per run, then becomes `ld.bfd` by a bare system call. `FAKE_ONLY` stops it
/// before that.
const FAKE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
  FILE *log = fopen(LOG, "a");
  for (int i = 0; i < argc; i++) fprintf(log, "%s ", argv[i]);
  if (getenv("MARK")) fprintf(log, "MARK=%s", getenv("MARK"));
  fputc('\n', log);
  fclose(log);
  if (getenv("FAKE_ONLY")) return 0;
  syscall(SYS_execve, "/usr/bin/ld.bfd", argv, environ);
  return 1;
}
"#;

/// Starts `ld` by each function of exec(3) and posix_spawn(3) in turn, each in a child of its own.
const STARTER: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
  char *args[] = {"ld", "1", "2", "3", "4", "5", "6", "7", 0};
  char *env[] = {"MARK=yes", "FAKE_ONLY=1", 0};
  const char *f = argv[1], *path = "/usr/bin/ld";
  pid_t pid;
  if (!strcmp(f, "execve")) execve(path, args, env);
  if (!strcmp(f, "execv")) execv(path, args);
  if (!strcmp(f, "execvp")) execvp("ld", args);
  if (!strcmp(f, "execvpe")) execvpe("ld", args, env);
  if (!strcmp(f, "fexecve")) fexecve(open(argv[2], O_RDONLY), args, env);
  if (!strcmp(f, "execveat")) execveat(open("/usr/bin", O_RDONLY), "ld", args, env, 0);
  if (!strcmp(f, "execveat-fd")) execveat(open(argv[2], O_RDONLY), "", args, env, AT_EMPTY_PATH);
  if (!strcmp(f, "execl")) execl(path, "ld", "1", "2", "3", "4", "5", "6", "7", (char *)0);
  if (!strcmp(f, "execl-short")) execl(path, "ld", (char *)0);
  if (!strcmp(f, "execlp")) execlp("ld", "ld", "1", "2", "3", "4", "5", "6", "7", (char *)0);
  if (!strcmp(f, "execle")) execle(path, "ld", "1", "2", "3", "4", "5", "6", "7", (char *)0, env);
  if (!strcmp(f, "vfork")) { if (!(pid = vfork())) { execv(path, args); _exit(9); } waitpid(pid, 0, 0); }
  if (!strcmp(f, "posix_spawn")) { posix_spawn(&pid, path, 0, 0, args, env); waitpid(pid, 0, 0); }
  if (!strcmp(f, "posix_spawnp")) { posix_spawnp(&pid, "ld", 0, 0, args, env); waitpid(pid, 0, 0); }
  /* A call that fails must come back with its stack in order. */
  if (!strcmp(f, "failing")) {
    char before[] = "before";
    int failed = execl("/nowhere/x", "x", "1", "2", "3", "4", "5", "6", (char *)0);
    int again = execlp("/nowhere/y", "y", (char *)0);
    return failed == -1 && again == -1 && !strcmp(before, "before") ? 0 : 1;
  }
  return 0;
}
"#;

/// A directory with the library and the stand-in, removed when dropped.
struct Scene {
    directory: PathBuf,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let directory = std::env::temp_dir().join(format!("manifold-run-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let scene = Scene { directory };
        copy(&built("libmanifold_run.so"), &scene.path("libmanifold_run.so"));
        scene.compile("manifold", FAKE);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn compile(&self, name: &str, source: &str) {
        let file = self.path(&format!("{name}.c"));
        fs::write(&file, source).unwrap();
        let log = format!("-DLOG=\"{}\"", self.path("log").display());
        let done = Command::new("gcc").arg(log).arg("-o").arg(self.path(name)).arg(&file).status();
        assert!(done.expect("gcc").success());
    }

    /// Runs a command with the library preloaded and returns what the stand-in wrote.
    fn log(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], fake_only: bool) -> Vec<String> {
        let _ = fs::remove_file(self.path("log"));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.directory);
        command.env("LD_PRELOAD", self.path("libmanifold_run.so"));
        if fake_only {
            command.env("FAKE_ONLY", "1");
        }
        let output = command.output().expect("the command");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_string).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Copies a program, in a process of its own: a file open for writing here could be inherited by what
/// another test starts, and could not be executed until that ends.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

fn exists(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

#[test]
fn every_way_to_start_a_program_is_covered() {
    let scene = Scene::new("ways");
    scene.compile("starter", STARTER);
    std::os::unix::fs::symlink(scene.path("manifold"), scene.path("ld")).unwrap();
    // What is behind a descriptor is known by its own name, not by that of a link to it.
    fs::create_dir(scene.path("sub")).unwrap();
    copy(Path::new("/usr/bin/true"), &scene.path("sub/ld"));
    let opened = scene.path("sub/ld");
    for (way, environment) in [
        ("execve", true),
        ("execv", false),
        ("execvp", false),
        ("execvpe", true),
        ("fexecve", true),
        ("execveat", true),
        ("execveat-fd", true),
        ("execl", false),
        ("execlp", false),
        ("execle", true),
        ("vfork", false),
        ("posix_spawn", true),
        ("posix_spawnp", true),
    ] {
        let log = scene.log(scene.path("starter"), &[way, opened.to_str().unwrap()], true);
        let mark = if environment { "MARK=yes" } else { "" };
        assert_eq!(log, [format!("ld 1 2 3 4 5 6 7 {mark}")], "{way}");
    }
    assert_eq!(scene.log(scene.path("starter"), &["execl-short"], true), ["ld "]);
    assert_eq!(scene.log(scene.path("starter"), &["failing"], true), [""; 0]);
}

#[test]
fn compilers_and_build_tools_start_manifold() {
    let scene = Scene::new("compilers");
    fs::write(scene.path("a.c"), "int main(void) { return 0; }").unwrap();
    fs::write(scene.path("a.rs"), "fn main() {}").unwrap();
    fs::write(scene.path("Makefile"), "m: a.c\n\t@gcc $< -o $@ && gcc $< -o $@2\n").unwrap();
    fs::write(scene.path("build.ninja"), "rule cc\n command = gcc $in -o $out\nbuild b: cc a.c\n").unwrap();
    for (program, arguments, linkers) in [
        ("gcc", &["a.c"][..], &["ld"][..]),
        ("gcc", &["-fuse-ld=bfd", "a.c"], &["ld.bfd"]),
        ("gcc", &["-fuse-ld=gold", "a.c"], &["ld.gold"]),
        ("clang-19", &["a.c"], &["ld"]),
        ("clang-19", &["-fuse-ld=lld", "a.c"], &["ld.lld"]),
        ("rustc", &["a.rs"], &["ld.lld"]),
        ("make", &[], &["ld", "ld"]),
        ("ninja", &[], &["ld"]),
        ("sh", &["-c", "ld -v"], &["ld"]),
    ] {
        if !exists(program) {
            continue;
        }
        let log = scene.log(program, arguments, false);
        let names: Vec<_> =
            log.iter().map(|line| line.split(' ').next().unwrap().rsplit('/').next().unwrap()).collect();
        assert_eq!(names, linkers, "{program} {arguments:?}");
    }
}

#[test]
fn links_for_other_machines_and_flavors_stay_where_they_were() {
    let scene = Scene::new("others");
    assert_eq!(scene.log("sh", &["-c", "ld -m elf_i386 -v"], true), [""; 0]);
    assert_eq!(scene.log("sh", &["-c", "ld -m elf_x86_64 -v"], true).len(), 1);
    if exists("ld.lld-19") {
        assert_eq!(scene.log("sh", &["-c", "ld.lld-19 -v"], true).len(), 1);
        assert_eq!(scene.log("sh", &["-c", "ld.lld-19 -m aarch64linux -v"], true), [""; 0]);
    }
}

/// Puts the real command and the library where they are installed and runs a command under it. There is a `mold` for
/// shells to find, which nobody may start.
fn installed(name: &str, hook: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let root = std::env::temp_dir().join(format!("manifold-installed-{}-{name}", std::process::id()));
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("lib/manifold")).unwrap();
    fs::create_dir_all(root.join("others")).unwrap();
    copy(Path::new("/bin/false"), &root.join("others/mold"));
    let path = format!("{}:{}", root.join("others").display(), std::env::var("PATH").unwrap());
    copy(&built("manifold"), &root.join("bin/manifold"));
    copy(&built("libmanifold_run.so"), &root.join(hook));
    let output = Command::new(root.join("bin/manifold")).args(words).env("PATH", path).output().unwrap();
    fs::remove_dir_all(&root).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_library_is_found_beside_the_command_and_where_it_is_installed() {
    for (name, hook) in [("beside", "bin/libmanifold_run.so"), ("lib", "lib/manifold/libmanifold_run.so")] {
        let (code, out, err) = installed(name, hook, &["-run", "sh", "-c", "ld --version; mold --version"]);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(out.matches("manifold ").count(), 2, "{out}");
    }
}

#[test]
fn running_within_running_ends() {
    let words = ["-run", "sh", "-c", "mold -run sh -c 'ld -v'; echo $LD_PRELOAD"];
    let (code, out, err) = installed("nested", "bin/libmanifold_run.so", &words);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.matches("manifold 0").count(), 1, "{out}");
    assert_eq!(out.matches("libmanifold_run.so").count(), 1, "{out}");
}

#[test]
fn the_command_itself_may_be_a_linker() {
    let (code, out, _) = installed("itself", "bin/libmanifold_run.so", &["--run", "/usr/bin/ld", "-v"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("manifold "), "{out}");
}

#[test]
fn what_cannot_run_is_said() {
    let (code, _, err) = installed("missing", "bin/elsewhere.so", &["-run", "true"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("manifold: error: -run: cannot find libmanifold_run.so\n>>> not at "), "{err}");
    let (code, _, err) = installed("nothing", "bin/libmanifold_run.so", &["-run"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("-run: missing command"), "{err}");
    let (code, _, err) = installed("nowhere", "bin/libmanifold_run.so", &["-run", "/nowhere/x"]);
    assert_eq!(code, Some(127));
    assert!(err.contains("-run: /nowhere/x: No such file"), "{err}");
    let (code, _, _) = installed("status", "bin/libmanifold_run.so", &["-run", "sh", "-c", "exit 7"]);
    assert_eq!(code, Some(7));
}

#[test]
fn a_linker_the_library_cannot_find_is_an_error() {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("renamed");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_manifold"));
    fs::copy(built, place.join("ld-renamed")).unwrap();
    fs::copy(built.with_file_name("libmanifold_run.so"), place.join("libmanifold_run.so")).unwrap();
    let output = Command::new(place.join("ld-renamed")).args(["-run", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("finds no linker") && said.contains("renamed/manifold"), "{said}");
}
