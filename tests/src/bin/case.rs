//! `cargo case NAME...`: runs the cases whose names contain one of the words, one after the other, prints
//! their commands, and keeps their files below `target/case/`.
//!
//! `cargo case --records FILE` prints what facts can be stated about a file, `cargo case --kept FILE` whether the
//! relocations that it kept hold, `cargo case --list` all names.
//!
//! Called by the name of `ld`, it is the [`shim`] that drivers find during a case.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tests::elf::Elf;
use tests::facts::Subject;
use tests::reapply;
use tests::run::Verdict;
use tests::shim;
use tests::suite;

fn main() -> ExitCode {
    if std::env::args_os().next().is_some_and(|own| Path::new(&own).ends_with("ld")) {
        return shim::main();
    }
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("case: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
fn run(arguments: &[String]) -> Result<bool, String> {
    match arguments {
        [] => Err("usage: cargo case NAME... | --records FILE | --kept FILE | --list".into()),
        [option, file] if option == "--records" => {
            Subject::open(Path::new(file))?.records.iter().for_each(|record| println!("{record}"));
            Ok(true)
        }
        [option, file] if option == "--kept" => {
            println!("{} relocations hold", reapply::check(&Elf::open(Path::new(file))?)?);
            Ok(true)
        }
        [option] if option == "--list" => {
            suite::all("manifold")?.iter().for_each(|test| println!("{}", test.name));
            Ok(true)
        }
        names => run_cases(names),
    }
}

fn run_cases(names: &[String]) -> Result<bool, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let binaries = own.parent().ok_or("no directory of programs")?;
    let directory: PathBuf = binaries.parent().unwrap_or(binaries).join("case");
    let linker = suite::linker_under_test(&own, &own, &directory)?;
    let mut failed = Vec::new();
    let mut count = 0;
    for test in suite::all(&linker.name)?.iter().filter(|t| names.iter().any(|n| t.name.contains(n.as_str())))
    {
        count += 1;
        println!("=== {} with {}", test.name, linker.path.display());
        if let Ok(case) = &test.case {
            println!("{}\n\n{}\n", case.title, case.why);
        }
        let verdict = test.run(&linker, &directory, true);
        match verdict {
            Verdict::Passed => println!("=== passed"),
            Verdict::Differs(reason) => println!("=== fails, as known of this linker: {reason}"),
            Verdict::Skipped(reason) => println!("=== skipped: {reason}"),
            Verdict::Failed(reason) => {
                // The transcript behind the empty line has been printed already.
                println!("=== FAILED: {}", reason.split("\n\n$ ").next().unwrap_or(&reason));
                failed.push(test.name.clone());
            }
        }
        println!("=== files: {}\n", directory.join(test.directory_name()).display());
    }
    match (count, failed.is_empty()) {
        (0, _) => Err(format!("no case is called like {names:?}")),
        (_, true) => Ok(true),
        (_, false) => {
            println!("failed: {}", failed.join(" "));
            Ok(false)
        }
    }
}
