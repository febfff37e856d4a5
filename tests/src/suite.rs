//! All cases: finding them, naming their variants, and the linker they run with.
//!
//! In: the directory `cases/`. Out: [`Test`]s, named `area/file` or `area/file@pie,gcc`. Used by the test
//! harness and by `cargo case`.

use crate::case::Case;
use crate::linker::{self, Linker};
use crate::run::{Verdict, run};
use crate::variant::Variant;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// One variant of a case, ready to run.
#[derive(Clone)]
pub struct Test {
    /// Unique; what `cargo test -- FILTER` looks at.
    pub name: String,
    /// The file it comes from.
    pub path: PathBuf,
    /// The parsed case, or what is wrong with the file.
    pub case: Result<Arc<Case>, String>,
    /// Which variant.
    pub variant: Variant,
}

impl Test {
    /// Its name made fit for a path in `-Wl,` options, where a comma would split it.
    pub fn directory_name(&self) -> String {
        self.name.replace(['/', '@', ','], "-")
    }

    /// Runs it in a directory of its own below `directory`.
    pub fn run(&self, linker: &Linker, directory: &Path, verbose: bool) -> Verdict {
        match &self.case {
            Ok(case) => run(case, &self.variant, linker, &directory.join(self.directory_name()), verbose),
            Err(reason) => Verdict::Failed(format!("{}: {reason}", self.path.display())),
        }
    }
}

/// All tests below `cases/`, in the order of their names.
///
/// # Errors
/// The directory cannot be read.
pub fn all(linker_name: &str) -> Result<Vec<Test>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    paths.sort();
    let mut tests = Vec::new();
    for path in paths {
        let name = path.strip_prefix(&root).unwrap_or(&path).with_extension("").display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let case = Case::parse(&text).map(Arc::new);
        let variants = match &case {
            Ok(case) => Variant::all(case, linker_name),
            Err(_) => Vec::from([Variant::none()]),
        };
        for variant in variants {
            let name = match variant.label.as_str() {
                "" => name.clone(),
                label => format!("{name}@{label}"),
            };
            tests.push(Test { name, path: path.clone(), case: case.clone(), variant });
        }
    }
    Ok(tests)
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "case") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The linker under test: `LINKER_UNDER_TEST`, or the `manifold` of this workspace, built first.
///
/// `program` is a program of this build, next to or below which cargo puts the others; `shim` the path of
/// `case`; `directory` a place for the shims.
///
/// # Errors
/// It cannot be built or run.
pub fn linker_under_test(program: &Path, shim: &Path, directory: &Path) -> Result<Linker, String> {
    let shims = linker::shims(directory, shim)?;
    match std::env::var_os("LINKER_UNDER_TEST") {
        Some(path) => {
            let path = std::path::absolute(&path).map_err(|e| format!("LINKER_UNDER_TEST: {e}"))?;
            Linker::at(&path, &shims)
        }
        None => Linker::at(&build(program)?, &shims),
    }
}

/// Builds `manifold` in the profile and directory that `program` was built in.
fn build(program: &Path) -> Result<PathBuf, String> {
    let binaries = program.ancestors().skip(1).find(|d| !d.ends_with("deps")).ok_or("no target directory")?;
    let target = binaries.parent().ok_or("no target directory")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "manifold", "--target-dir"]).arg(target);
    if binaries.ends_with("release") {
        command.arg("--release");
    }
    let status =
        command.current_dir(env!("CARGO_MANIFEST_DIR")).status().map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(binaries.join("manifold")) } else { Err("manifold does not build".into()) }
}
