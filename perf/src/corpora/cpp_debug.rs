//! **cpp-debug**: a C++ program with full DWARF and a section for each function, unoptimized: the link
//! of a C++ edit-build-run round.
//!
//! It is a small program (`workloads/cpp-debug`) around the RocksDB sources that the package
//! `librocksdb-sys` brings along. Cargo only fetches that package; its C++ is compiled here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Cache, Workload, runs, sources};
use crate::corpus::Corpus;
use crate::tools;

/// The program with all its debug information.
pub const CPP_DEBUG: Workload =
    Workload { name: "cpp-debug", about: "a C++ database program, unoptimized with full DWARF", build };

/// How everything is compiled.
const FLAGS: &[&str] = &[
    "-std=c++20",
    "-O0",
    "-g",
    "-ffunction-sections",
    "-fdata-sections",
    "-w",
    "-DNDEBUG",
    "-DOS_LINUX",
    "-DROCKSDB_PLATFORM_POSIX",
    "-DROCKSDB_LIB_IO_POSIX",
    "-DROCKSDB_SCHED_GETCPU_PRESENT",
    "-DROCKSDB_AUXV_GETAUXVAL_PRESENT",
    "-DROCKSDB_FALLOCATE_PRESENT",
    "-DROCKSDB_RANGESYNC_PRESENT",
    "-DHAVE_ALIGNED_NEW",
    "-DHAVE_UINT128_EXTENSION",
];

fn build(cache: &Cache, workload: &Workload) -> Result<()> {
    let (folder, recorder) = (cache.build_folder(workload.name)?, cache.recorder()?);
    let corpus = cache.corpus(workload.name);
    let objects = compile(&folder)?;
    let mut link = Command::new("c++");
    link.args(["-o", "cpp-debug", "-pthread", &recorder.option()]).args(&objects).current_dir(&folder);
    tools::run(recorder.records(&mut link, &corpus))?;
    Corpus::describe(&corpus, workload.about, runs(&["--self-check"], "self-check passed"), 1)?;
    Ok(())
}

/// Compiles everything that is not compiled yet, as many at a time as there are processors. Returns the
/// objects, relative to `folder`.
fn compile(folder: &Path) -> Result<Vec<String>> {
    let package = package_folder()?;
    let list = fs::read_to_string(package.join("rocksdb_lib_sources.txt"))?;
    let mut jobs = vec![(sources("cpp-debug").join("main.cc"), "main.o".to_owned())];
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // The package has one of its own, already filled in.
        let source = match line {
            "util/build_version.cc" => package.join("build_version.cc"),
            _ => package.join("rocksdb").join(line),
        };
        jobs.push((source, line.replace('/', "-").replace(".cc", ".o")));
    }
    let objects = jobs.iter().map(|(_, object)| object.clone()).collect();
    jobs.retain(|(_, object)| !folder.join(object).exists());
    // The last come off first.
    jobs.reverse();
    let jobs = Mutex::new(jobs);
    let worker = || -> Result<()> {
        loop {
            let Some((source, object)) = jobs.lock().ok().and_then(|mut jobs| jobs.pop()) else {
                return Ok(());
            };
            compile_one(&package, &source, &folder.join(object))?;
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
    })?;
    Ok(objects)
}

fn compile_one(package: &Path, source: &Path, object: &Path) -> Result<()> {
    // An object is there or not there, never half.
    let unfinished = object.with_extension("unfinished");
    let mut command = Command::new("c++");
    command.args(FLAGS).arg("-c").arg(source).arg("-o").arg(&unfinished);
    // The folder of the sources is named by a dot, so that the objects are the same for everybody.
    command.args(["-I.", "-Irocksdb/include", "-Irocksdb", "-Irocksdb/third-party/gtest-1.8.1/fused-src"]);
    command.current_dir(package);
    tools::run(&mut command)?;
    Ok(fs::rename(unfinished, object)?)
}

/// Where cargo keeps the package with the C++ sources, fetched if need be.
fn package_folder() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let mut command = Command::new("cargo");
    command.args(["metadata", "--locked", "--format-version=1"]).current_dir(sources("cpp-debug"));
    let metadata: Metadata = serde_json::from_str(&tools::ask(&mut command)?)?;
    let package = metadata.packages.into_iter().find(|package| package.name == "librocksdb-sys");
    let manifest = package.context("librocksdb-sys is not among the packages")?.manifest_path;
    Ok(manifest.parent().context("a manifest without a folder")?.to_owned())
}
