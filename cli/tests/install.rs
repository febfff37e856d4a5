//! `install.sh` puts things where compilers find them.

mod built;

use built::built;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn compilers_find_what_is_installed() {
    let scratch = std::env::temp_dir().join(format!("manifold-install-{}", std::process::id()));
    let release = scratch.join("target/release");
    fs::create_dir_all(&release).unwrap();
    for file in ["manifold", "libmanifold_run.so"] {
        fs::copy(built(file), release.join(file)).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../install.sh");
    let stage = scratch.join("stage");
    let mut install = Command::new(&script);
    install.env("CARGO_TARGET_DIR", scratch.join("target"));
    install.arg("PREFIX=/opt/m").arg(format!("DESTDIR={}", stage.display()));
    // Twice: the second time over the first.
    for _ in 0..2 {
        let output = install.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, b"installed /opt/m/bin/manifold\n");
    }

    let root = stage.join("opt/m");
    let said = |program: &Path, arguments: &[&str]| {
        let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new(program).args(arguments).env("PATH", path).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let directory = format!("-B{}", root.join("libexec/manifold").display());
    for (program, arguments) in [
        (root.join("bin/manifold").as_path(), &["-v"][..]),
        (&root.join("bin/manifold"), &["-run", "ld", "-v"]),
        (&root.join("bin/manifold"), &["-run", "sh", "-c", "ld.gold -v"]),
        (Path::new("gcc"), &[&directory, "-Wl,--version"]),
        (Path::new("clang-19"), &["-fuse-ld=manifold", "-Wl,--version"]),
        (Path::new("clang-19"), &["-fuse-ld=manifold", "-Wl,-v"]),
    ] {
        if program.is_relative() && Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: no {}", program.display());
            continue;
        }
        let text = said(program, arguments);
        assert!(text.contains("(compatible with GNU ld"), "{program:?} {arguments:?}: {text}");
    }

    let empty = Command::new(&script).env("CARGO_TARGET_DIR", scratch.join("empty")).output().unwrap();
    assert_eq!(empty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("cargo build --release"));
    fs::remove_dir_all(&scratch).unwrap();
}
