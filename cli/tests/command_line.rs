//! The command as others see it: what it prints where, and how it ends.

use std::process::{Command, Output, Stdio};

/// Runs the command under a name, away from terminals.
fn ld(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manifold"));
    command.args(arguments).stdin(Stdio::null()).env_remove("LD_RUN_PATH").env_remove("CLICOLOR_FORCE");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn questions_are_answered_on_standard_output() {
    for (arguments, wanted) in [
        (&["-v"][..], "GNU ld"),
        (&["--version"], "GNU ld"),
        (&["-V"], "\n   elf_x86_64\n"),
        (&["--verbose"], "Supported emulations"),
        (&["-flavor", "gnu", "-v"], "GNU ld"),
        (&["--help"], ": supported targets: elf64-x86-64\n"),
        (&["--print-sysroot", "--sysroot=/x"], "/x\n"),
        (&["--print-output-format"], "elf64-x86-64\n"),
        (&["--version", "nowhere.o"], "GNU ld"),
    ] {
        let output = ld(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains(wanted), "{arguments:?}: {}", text(&output.stdout));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

/// The checks of configure scripts, as they make them.
#[test]
fn configure_scripts_take_it_for_an_ld() {
    let script = r#"
        LD=$1
        $LD --help 2>&1 | grep ': supported targets:.* elf' >/dev/null || echo no elf
        case `$LD --help 2>&1` in *\ --no-whole-archive*) ;; *) echo no whole-archive;; esac
        case `$LD -v 2>&1 </dev/null` in *GNU* | *'with BFD'*) ;; *) echo not GNU;; esac
        case `$LD --help` in *--push-state*--pop-state*) ;; *) echo no states;; esac
        version=`$LD --version | sed -n 's/^.*GNU ld.* \([0-9][0-9]*\.[0-9.]*\).*$/\1/p'`
        [ "$version" = 2.40 ] || echo glibc: $version
        last=`$LD --version | sed -e 's/.* \([^ ]\{1,\}\)$/\1/; q'`
        [ `expr "$last" : '\([0-9]*\)'` = 2 ] || echo gcc: $last
    "#;
    let output =
        Command::new("sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_manifold")]).output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""));
}

#[test]
fn mistakes_go_to_standard_error_and_fail() {
    for (arguments, wanted) in [
        (&[][..], "manifold: error: no input files\n"),
        (&["--bogus", "a.o"], "manifold: error: unknown option: --bogus\n"),
        (&["-v", "--bogus"], "manifold: error: unknown option: --bogus\n"),
        (&["-r", "a.o"], "manifold: error: -r: not supported yet\n>>> relocatable output\n"),
        (
            &["-m", "elf_i386", "a.o"],
            "manifold: error: -m elf_i386: no such emulation; there is elf_x86_64\n",
        ),
        (&["--fatal-warnings", "-z", "qqq", "a.o"], "manifold: error: -z qqq: unknown keyword; ignored\n"),
        (
            &["--trace=x.txt", "a.o"],
            "manifold: error: --trace=x.txt: the file's ending names no known format\n",
        ),
    ] {
        let output = ld(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).starts_with(wanted), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn colour_is_for_those_who_ask() {
    let plain = ld(&["--bogus"]);
    assert!(!plain.stderr.contains(&0x1b));
    let colored = ld(&["--bogus", "--color-diagnostics"]);
    assert!(text(&colored.stderr).starts_with("\x1b[1mmanifold:"));
    assert!(!ld(&["--bogus", "--color-diagnostics=never"]).stderr.contains(&0x1b));
}

#[test]
fn errors_are_limited_as_asked() {
    let lines = |limit: &str| {
        let mut arguments = vec!["--bogus"; 30];
        arguments.push(limit);
        text(&ld(&arguments).stderr).lines().count()
    };
    assert_eq!(lines("--error-limit=20"), 21);
    assert_eq!(lines("--error-limit=1"), 2);
    assert_eq!(lines("--error-limit=0"), 30);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let script = format!("{} --help | head -1; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_manifold"));
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}
