//! `cargo perf`: workloads for linkers, and manifold beside the others on them.
//!
//! `corpora` builds workloads, `compare` measures. See `perf/README.md`.

mod arguments;
mod corpora;
mod corpus;
mod record;
mod scratch;
mod tools;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// Workloads for linkers, and manifold beside the others on them.
#[derive(Parser)]
#[command(name = "perf", version)]
struct Options {
    #[command(subcommand)]
    command: Task,

    /// Folder of the workloads [default: manifold-perf in the user's cache folder].
    #[arg(long, global = true)]
    cache: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Task {
    /// Build workloads.
    Corpora(CorporaOptions),
}

#[derive(Args)]
struct CorporaOptions {
    /// Workloads to build.
    names: Vec<String>,

    /// Build all workloads.
    #[arg(long)]
    all: bool,

    /// Build them anew even if they are there.
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "ld") {
        return record::as_linker(arguments.collect());
    }
    let options = Options::parse();
    let cache = corpora::Cache::at(options.cache)?;
    match options.command {
        Task::Corpora(chosen) => build_corpora(&cache, &chosen),
    }
}

/// Builds what is asked for; asked for nothing, lists what there is.
fn build_corpora(cache: &corpora::Cache, chosen: &CorporaOptions) -> Result<()> {
    let mut workloads: Vec<_> =
        chosen.names.iter().map(|name| corpora::named(name)).collect::<Result<_>>()?;
    if chosen.all {
        workloads = corpora::ALL.iter().collect();
    }
    for workload in &workloads {
        let corpus = corpora::build(cache, workload, chosen.force)?;
        println!(
            "{}: {} files, {} MB, in {}",
            corpus.name,
            corpus.files,
            corpus.bytes / 1_000_000,
            corpus.directory.display()
        );
    }
    if workloads.is_empty() {
        println!("{}", cache.folder().display());
        for workload in corpora::ALL {
            let built = cache.corpus(workload.name).join("run.json").exists();
            println!("{:16} {:9} {}", workload.name, if built { "built" } else { "" }, workload.about);
        }
    }
    Ok(())
}
