//! **clangtool**: a C++ tool linked with the static libraries of clang and LLVM 19, a large release
//! link: thousands of archive members, a hundred thousand COMDAT groups, no debug information.
//!
//! Needs Debian's `clang-19`, `libclang-19-dev` and `llvm-19-dev`. The source is `workloads/clangtool`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Cache, Workload, runs, sources};
use crate::corpus::Corpus;
use crate::tools;

/// A compiler driver with everything clang and LLVM have.
pub const CLANGTOOL: Workload =
    Workload { name: "clangtool", about: "a C++ tool with all of clang and LLVM 19 in it", build };

fn build(cache: &Cache, workload: &Workload) -> Result<()> {
    let (folder, recorder) = (cache.build_folder(workload.name)?, cache.recorder()?);
    let corpus = cache.corpus(workload.name);
    let config = |arguments: &[&str]| -> Result<Vec<String>> {
        let printed = tools::ask(Command::new("llvm-config-19").args(arguments))
            .context("Debian's llvm-19-dev is needed")?;
        Ok(printed.split_whitespace().map(str::to_owned).collect())
    };
    let libraries: PathBuf = config(&["--libdir"])?.concat().into();
    let mut clang = Vec::new();
    for entry in fs::read_dir(&libraries)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The plugins' and daemons' archives want libraries that are not installed.
        if name.starts_with("libclang")
            && name.ends_with(".a")
            && !UNWANTED.iter().any(|no| name.contains(no))
        {
            clang.push(path);
        }
    }
    ensure!(!clang.is_empty(), "Debian's libclang-19-dev is needed");
    clang.sort();

    let mut compile = Command::new("c++");
    compile
        .args(["-O2", "-c", "-o", "clangtool.o"])
        .arg(sources("clangtool").join("main.cc"))
        .args(config(&["--cppflags"])?)
        .current_dir(&folder);
    tools::run(&mut compile)?;

    // Polly is in LLVM's list but in a package of its own.
    let mut llvm = config(&["--link-static", "--ldflags", "--libs", "all"])?;
    llvm.retain(|word| !word.starts_with("-lPolly"));

    let mut link = Command::new("c++");
    link.args(["clangtool.o", "-o", "clangtool", &recorder.option(), "-Wl,--start-group"])
        .args(&clang)
        .arg("-Wl,--end-group")
        .args(llvm)
        .args(config(&["--link-static", "--system-libs"])?)
        .current_dir(&folder);
    tools::run(recorder.records(&mut link, &corpus))?;
    Corpus::describe(&corpus, workload.about, runs(&["--self-check"], "self-check passed"), 1)?;
    Ok(())
}

/// Parts of the names of archives that are left out.
const UNWANTED: &[&str] = &["Remote", "Proto", "Plugin", "clangd"];
