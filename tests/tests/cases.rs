//! Runs all cases: `cargo test -p tests`, or some: `cargo test -p tests -- cxx/`.
//!
//! Files of a case that fails stay below `target/tmp/`; `LINKER_UNDER_TEST=/usr/bin/ld` tests another linker.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tests::linker::Linker;
use tests::run::Verdict;
use tests::suite::{self, Test};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    match trials(temporary, &arguments) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(message) => {
            eprintln!("cases: {message}");
            ExitCode::FAILURE
        }
    }
}

fn trials(temporary: &Path, arguments: &Arguments) -> Result<Vec<Trial>, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let shim = Path::new(env!("CARGO_BIN_EXE_case"));
    if arguments.list {
        return Ok(suite::all("manifold")?.into_iter().map(|t| Trial::test(t.name, || Ok(()))).collect());
    }
    let linker = suite::linker_under_test(&own, shim, temporary)?;
    eprintln!("linker under test: {} ({})", linker.name, linker.path.display());
    let directory = temporary.join(format!("cases-{}", linker.name));
    let linker = Arc::new(linker);
    let tests = suite::all(&linker.name)?;
    Ok(tests.into_iter().map(|test| trial(test, linker.clone(), directory.clone())).collect())
}

fn trial(test: Test, linker: Arc<Linker>, directory: PathBuf) -> Trial {
    let skipped = match &test.case {
        Ok(case) => tests::run::skip_reason(case, &test.variant),
        Err(_) => None,
    };
    let name = test.name.clone();
    let trial = Trial::test(name, move || match test.run(&linker, &directory, false) {
        Verdict::Passed | Verdict::Skipped(_) | Verdict::Differs(_) => {
            // What is left behind costs disk space only.
            let _ = std::fs::remove_dir_all(directory.join(test.directory_name()));
            Ok(())
        }
        Verdict::Failed(reason) => Err(Failed::from(reason)),
    });
    match skipped {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}
