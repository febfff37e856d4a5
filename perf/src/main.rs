//! `cargo perf`: workloads for linkers, and manifold beside the others on them.
//!
//! `corpora` builds workloads, `compare` measures. See `perf/README.md`.

mod arguments;
mod record;
mod corpus;
mod corpora;
mod linkers;
mod machine;
mod measure;
mod compare;
mod growth;
mod instructions;
mod report;
mod plot;
mod scratch;
mod tools;
mod traces;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::linkers::Linker;

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
    /// Run linkers side by side on workloads that have been built.
    Compare(CompareOptions),
    /// What traces cost, and whether their predictions come true.
    Traces(TracesOptions),
    /// What more and more objects of the same kind cost, each.
    Growth(GrowthOptions),
    /// Draw a result of `compare` as SVG files.
    Plot(PlotOptions),
    /// Count the instructions of small links (with valgrind) and compare with the figures that are kept.
    Instructions(InstructionsOptions),
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

    /// Keep what was needed only to build them.
    #[arg(long)]
    keep_builds: bool,
}

#[derive(Args)]
struct CompareOptions {
    /// Workloads (names, or directories with a slash in them) [default: all that have been built].
    names: Vec<String>,

    /// The manifold to compare with the others [default: the one built beside this program].
    #[arg(long, value_name = "PATH")]
    manifold: Option<PathBuf>,

    /// Leave manifold out: the first peer takes its place.
    #[arg(long)]
    no_manifold: bool,

    /// A linker to compare with, in place of one of the same name that was found.
    #[arg(long = "peer", value_name = "NAME=PATH")]
    peers: Vec<String>,

    /// Compare with none but those given with --peer.
    #[arg(long)]
    only_given: bool,

    /// Names of peers to leave out.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    without: Vec<String>,

    /// Numbers of threads.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<u32>,

    /// Measurements of each linker.
    #[arg(long, default_value_t = 7)]
    runs: u32,

    /// Runs before that which do not count.
    #[arg(long, default_value_t = 1)]
    warm_ups: u32,

    /// Folders for the outputs, as NAME=FOLDER [default: tmpfs=/dev/shm, and disk in the cache].
    #[arg(long = "place", value_name = "NAME=FOLDER")]
    places: Vec<String>,

    /// Folder for result.json and result.md [default: results in the cache].
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
}

#[derive(Args)]
struct TracesOptions {
    /// Workloads (names, or directories with a slash in them) [default: all that have been built].
    names: Vec<String>,

    /// The manifold to measure [default: the one built beside this program].
    #[arg(long, value_name = "PATH")]
    manifold: Option<PathBuf>,

    /// Another build of it, to compare links without a trace with.
    #[arg(long, value_name = "PATH")]
    baseline: Option<PathBuf>,

    /// Numbers of workers to predict; cost is measured with the largest.
    #[arg(long, value_delimiter = ',', default_value = "2")]
    threads: Vec<u32>,

    /// Measurements of each.
    #[arg(long, default_value_t = 7)]
    runs: u32,

    /// Folder for outputs and traces.
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    place: PathBuf,
}

#[derive(Args)]
struct GrowthOptions {
    /// The manifold to measure [default: the one built beside this program].
    #[arg(long, value_name = "PATH")]
    manifold: Option<PathBuf>,

    /// Another linker to measure.
    #[arg(long = "peer", value_name = "NAME=PATH")]
    peers: Vec<String>,

    /// About how many objects to link.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000,10000,20000")]
    objects: Vec<usize>,

    /// The number of threads.
    #[arg(long, default_value_t = 1)]
    threads: u32,

    /// Measurements of each.
    #[arg(long, default_value_t = 5)]
    runs: u32,

    /// Folder for outputs.
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    place: PathBuf,
}

#[derive(Args)]
struct PlotOptions {
    /// The result.json to draw; the pictures are put beside it [default: the last in the cache].
    result: Option<PathBuf>,
}

#[derive(Args)]
struct InstructionsOptions {
    /// Workloads [default: hello-c and hello-rust].
    names: Vec<String>,

    /// The manifold to count [default: the one built beside this program].
    #[arg(long, value_name = "PATH")]
    manifold: Option<PathBuf>,

    /// Another linker to count.
    #[arg(long = "peer", value_name = "NAME=PATH")]
    peers: Vec<String>,

    /// Keep the new figures.
    #[arg(long)]
    keep: bool,
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
        Task::Compare(chosen) => compare(&cache, &chosen),
        Task::Traces(chosen) => traces(&cache, chosen),
        Task::Growth(chosen) => growth(&cache, chosen),
        Task::Plot(chosen) => plot(&cache, chosen.result),
        Task::Instructions(chosen) => instructions(&cache, &chosen),
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
        if !chosen.keep_builds {
            cache.remove_build(workload.name)?;
        }
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

/// Compares, shows the result and writes it to files.
fn compare(cache: &corpora::Cache, chosen: &CompareOptions) -> Result<()> {
    ensure!(chosen.runs > 0, "--runs must be at least 1");
    ensure!(!chosen.threads.is_empty() && !chosen.threads.contains(&0), "--threads must be at least 1");
    let places = if chosen.places.is_empty() {
        vec![("tmpfs".to_owned(), PathBuf::from("/dev/shm")), ("disk".to_owned(), cache.folder().to_owned())]
    } else {
        let place = |text: &String| {
            let (name, folder) = text.split_once('=').with_context(|| format!("{text}: give NAME=FOLDER"))?;
            Ok((name.to_owned(), self::folder(Path::new(folder))?))
        };
        chosen.places.iter().map(place).collect::<Result<_>>()?
    };
    let plan = compare::Plan {
        linkers: choose_linkers(chosen)?,
        corpora: cache.built(&chosen.names)?,
        threads: chosen.threads.clone(),
        places,
        runs: chosen.runs,
        warm_ups: chosen.warm_ups,
    };
    let comparison = compare::compare(&plan, &mut |line| eprintln!("{line}"))?;
    let page = report::markdown(&comparison);
    println!("{page}");
    let folder = chosen.results.clone().unwrap_or_else(|| cache.folder().join("results"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(folder.join("result.md"), page)?;
    fs::write(folder.join("result.json"), serde_json::to_string_pretty(&comparison)? + "\n")?;
    eprintln!("results are in {}", folder.display());
    Ok(())
}

/// Counts instructions and compares them with those that are kept.
fn instructions(cache: &corpora::Cache, chosen: &InstructionsOptions) -> Result<()> {
    let mut names = chosen.names.clone();
    if names.is_empty() {
        names = ["hello-c", "hello-rust"].map(str::to_owned).into();
    }
    let linkers = own_and_given(chosen.manifold.as_deref(), &chosen.peers)?;
    let file = instructions::kept();
    let older = instructions::Figures::read(&file)?;
    let figures = instructions::Figures::count(&linkers, &cache.built(&names)?)?;
    print!("{}", figures.table(&older));
    if chosen.keep { figures.keep(&file) } else { figures.check(&older) }
}

/// Measures traces and shows what came out.
fn traces(cache: &corpora::Cache, chosen: TracesOptions) -> Result<()> {
    ensure!(chosen.runs > 0, "--runs must be at least 1");
    let plan = traces::Plan {
        manifold: own(chosen.manifold.as_deref())?.path,
        baseline: chosen.baseline.map(fs::canonicalize).transpose().context("there is no such baseline")?,
        corpora: cache.built(&chosen.names)?,
        place: folder(&chosen.place)?,
        threads: chosen.threads,
        runs: chosen.runs,
    };
    println!("{}", traces::run(&plan)?);
    Ok(())
}

/// Measures how links grow and shows what came out.
fn growth(cache: &corpora::Cache, mut chosen: GrowthOptions) -> Result<()> {
    ensure!(chosen.runs > 0, "--runs must be at least 1");
    let names = [corpora::monorepo::TWENTY_THOUSAND.name.to_owned()];
    let corpus = cache.built(&names)?.pop().context("there is no such workload")?;
    chosen.objects.sort_unstable();
    chosen.objects.dedup();
    let plan = growth::Plan {
        linkers: own_and_given(chosen.manifold.as_deref(), &chosen.peers)?,
        corpus,
        objects: chosen.objects,
        place: folder(&chosen.place)?,
        threads: chosen.threads,
        runs: chosen.runs,
    };
    println!("{}", growth::run(&plan)?);
    Ok(())
}

/// Draws a result, by default the last one.
fn plot(cache: &corpora::Cache, result: Option<PathBuf>) -> Result<()> {
    let file = result.unwrap_or_else(|| cache.folder().join("results/result.json"));
    let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let comparison = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    for picture in plot::draw(&comparison, file.parent().unwrap_or(Path::new(".")))? {
        println!("{}", picture.display());
    }
    Ok(())
}

/// The manifold to look at: the one given, or the one built beside this program.
fn own(path: Option<&Path>) -> Result<Linker> {
    let beside = env::current_exe()?.with_file_name("manifold");
    Linker::at("manifold", path.unwrap_or(&beside))
        .context("build manifold first (cargo build --release), or say --manifold PATH or --no-manifold")
}

/// manifold first, then the linkers that were given.
fn own_and_given(manifold: Option<&Path>, peers: &[String]) -> Result<Vec<Linker>> {
    let peers = peers.iter().map(|text| Linker::given(text));
    std::iter::once(own(manifold)).chain(peers).collect()
}

/// A folder that is there, by its full path.
fn folder(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("there is no {}", path.display()))
}

/// manifold first, then the peers.
fn choose_linkers(chosen: &CompareOptions) -> Result<Vec<Linker>> {
    let mut linkers = Vec::new();
    if !chosen.no_manifold {
        linkers.push(own(chosen.manifold.as_deref())?);
    }
    let mut peers = if chosen.only_given { Vec::new() } else { linkers::peers() };
    for text in &chosen.peers {
        let given = Linker::given(text)?;
        match peers.iter_mut().find(|peer| peer.name == given.name) {
            Some(peer) => *peer = given,
            None => peers.push(given),
        }
    }
    peers.retain(|peer| !chosen.without.contains(&peer.name));
    linkers.extend(peers);
    ensure!(!linkers.is_empty(), "there is no linker to compare");
    Ok(linkers)
}
