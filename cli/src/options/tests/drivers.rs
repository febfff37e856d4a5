//! What compilers really pass is understood: gcc, clang and rustc are asked for their linker's command line
//! under many combinations of flags, and each must read without an error or a warning.

use crate::parse::parse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory for one test, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("manifold-drivers-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("a.c"), "int main(void) { return 0; }").unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Flags that both compilers know, and words for the linker that programs often add.
const COMMON: &[&str] = &[
    "",
    "-static",
    "-static-pie",
    "-no-pie",
    "-pie",
    "-shared -fPIC",
    "-shared -fPIC -Wl,-soname,liba.so.1 -Wl,--version-script=a.map",
    "-rdynamic",
    "-s",
    "-g",
    "-O2 -flto",
    "-pthread -lm -ldl",
    "-fsanitize=address",
    "-fsanitize=undefined",
    "-fsanitize=thread",
    "-fsanitize=leak",
    "--coverage",
    "-pg",
    "-fopenmp",
    "-nostdlib",
    "-nostartfiles -e main",
    "-nodefaultlibs",
    "-u foo -L. -L=/x -Wl,-rpath,$ORIGIN/../lib",
    "-z now -z relro",
    "-Xlinker --as-needed -Wl,--no-as-needed",
    "-fuse-ld=bfd",
    "-fuse-ld=gold -Wl,--threads",
    // What distributions add (Debian, Fedora, Arch, Gentoo, Alpine, openSUSE).
    "-Wl,-z,relro -Wl,-z,now -Wl,-Bsymbolic-functions",
    "-Wl,-z,relro -Wl,--as-needed -Wl,-z,pack-relative-relocs -Wl,-z,now -Wl,--build-id=sha1",
    "-Wl,--error-rwx-segments -Wl,--error-execstack",
    "-Wl,-O1 -Wl,--sort-common -Wl,--as-needed -Wl,-z,relro",
    "-Wl,--defsym=__gentoo_check_ldflags__=0",
    "-Wl,--package-metadata=%7B%22type%22:%22deb%22%7D",
    "-Wl,--hash-style=gnu -Wl,-z,noexecstack -Wl,-z,defs",
    // What build systems add (CMake, Meson, libtool, Go, Bazel, Chromium).
    "-Wl,-Bstatic -lc -Wl,-Bdynamic -Wl,--whole-archive -Wl,--no-whole-archive -Wl,--dependency-file,x.d",
    "-Wl,--no-undefined -Wl,--allow-shlib-undefined -Wl,--fatal-warnings -Wl,--start-group -lc -Wl,--end-group",
    "-Wl,-rpath,/x:XXXXXXXX -Wl,-rpath-link,/y -Wl,--retain-symbols-file,x -Wl,--export-dynamic",
    "-shared -fPIC -Wl,-z,nodelete -Wl,-Bsymbolic -Wl,-z,nocopyreloc -Wl,--build-id=0x0123456789abcdef",
    "-Wl,--start-lib -Wl,--end-lib -Wl,-S -Wl,--gc-sections -l:libc.a",
    "-Wl,--color-diagnostics -Wl,--icf=none -Wl,--undefined-version -Wl,--disable-new-dtags",
];

const GCC: &[&str] =
    &["-fuse-ld=gold", "-fsplit-stack", "-fgnu-tm", "-fprofile-generate", "-shared-libgcc", "-static-libgcc"];

const CLANG: &[&str] = &[
    "-fuse-ld=lld",
    "-flto=thin -fuse-ld=lld",
    "-flto=thin -O2 -fsplit-machine-functions",
    "-flto -ffat-lto-objects -fuse-ld=lld",
    "-fprofile-instr-generate -fcoverage-mapping",
    "-rtlib=compiler-rt -unwindlib=none",
    "-fsanitize=memory",
    "-fsanitize=cfi -flto -fvisibility=hidden -fuse-ld=lld",
    "-fsanitize=fuzzer",
    "-static-libgcc",
    "-stdlib=libstdc++ -static-libstdc++",
];

const RUSTC: &[&str] = &[
    "",
    "-O",
    "-O -Cstrip=symbols",
    "-Cstrip=debuginfo -g",
    "-Clto",
    "-Cprefer-dynamic",
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    "-Crelocation-model=static -Ctarget-feature=+crt-static",
    "-Clink-dead-code",
    "-Cinstrument-coverage",
    "-Crpath",
    "--crate-type=cdylib",
    "--crate-type=dylib",
    "--crate-type=proc-macro",
    "-Clink-arg=-fuse-ld=bfd",
    "-Clink-self-contained=-linker -Zunstable-options",
];

/// Runs a program; `None`, visibly, if there is no such program.
fn output(command: &mut Command) -> Option<Output> {
    let output = command.output().ok();
    if output.is_none() {
        eprintln!("skipped: no {}", command.get_program().display());
    }
    output
}

/// The arguments of the linker in the output of a compiler's `-###`: the last line, quoted as a shell and a
/// response file quote.
fn linker_line(text: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| line.starts_with(' '));
    let line =
        lines.rfind(|line| line.contains("collect2") || line.contains("/ld") || line.contains("/wild"))?;
    Some(line.trim_start().split_once(' ')?.1.to_string())
}

/// Asserts that a line of arguments reads without a word of complaint.
fn reads(directory: &Path, what: &str, line: &str) {
    let file = directory.join("line");
    fs::write(&file, line).unwrap();
    let typed = parse(&[format!("@{}", file.display()).into()]);
    assert_eq!(typed.problems, [], "{what}: {line}");
    assert!(!typed.config.inputs.is_empty(), "{what}: {line}");
}

fn compiler(name: &str, program: &str, own: &[&str]) {
    let scratch = Scratch::new(name);
    let mut lines = 0;
    for flags in COMMON.iter().chain(own) {
        let mut command = Command::new(program);
        command.args(["-###", "a.c"]).args(flags.split_whitespace()).current_dir(&scratch.0);
        let Some(output) = output(&mut command) else { return };
        // A compiler without some runtime refuses the flag that needs it.
        let Some(line) = linker_line(&String::from_utf8_lossy(&output.stderr)) else {
            eprintln!("skipped: {program} {flags}");
            continue;
        };
        reads(&scratch.0, &format!("{program} {flags}"), &line);
        lines += 1;
    }
    assert!(lines > COMMON.len() / 2, "{program}: only {lines} lines");
}

#[test]
fn gcc_is_understood() {
    compiler("gcc", "gcc", GCC);
}

#[test]
fn gxx_is_understood() {
    compiler("gxx", "g++", GCC);
}

#[test]
fn clang_is_understood() {
    compiler("clang", "clang-19", CLANG);
}

#[test]
fn musl_is_understood() {
    let scratch = Scratch::new("musl");
    for flags in ["", "-static", "-shared -fPIC"] {
        let mut command = Command::new("musl-gcc");
        command.args(["-###", "a.c"]).args(flags.split_whitespace()).current_dir(&scratch.0);
        let Some(output) = output(&mut command) else { return };
        let line = linker_line(&String::from_utf8_lossy(&output.stderr)).unwrap();
        reads(&scratch.0, &format!("musl-gcc {flags}"), &line);
    }
}

/// rustc links through gcc, which is asked in its place while the object files are there.
#[test]
fn rustc_is_understood() {
    let scratch = Scratch::new("rustc");
    let linker = scratch.0.join("linker");
    let script = "printf '%s\\n' '#!/bin/sh' 'exec gcc \"-###\" \"$@\" 2>\"$0.log\"' >$0; chmod +x $0";
    // Another process writes it: a file open for writing here could be inherited by what another test
    // starts, and could not be executed until that ends.
    assert!(Command::new("sh").args(["-c", script]).arg(&linker).status().unwrap().success());
    for flags in RUSTC {
        let source = if flags.contains("--crate-type") { "" } else { "fn main() {}" };
        fs::write(scratch.0.join("a.rs"), source).unwrap();
        let mut command = Command::new("rustc");
        command.arg("a.rs").args(flags.split_whitespace()).current_dir(&scratch.0);
        command.arg(format!("-Clinker={}", linker.display()));
        command.env("RUSTC_BOOTSTRAP", "1");
        let Some(output) = output(&mut command) else { return };
        let log = fs::read_to_string(scratch.0.join("linker.log")).unwrap_or_default();
        let line = linker_line(&log);
        let line = line.unwrap_or_else(|| panic!("{flags}: {}", String::from_utf8_lossy(&output.stderr)));
        reads(&scratch.0, &format!("rustc {flags}"), &line);
        fs::remove_file(scratch.0.join("linker.log")).unwrap();
    }
}
