//! The workloads there are, and the cache folder they are built into.
//!
//! Each module below builds one workload (or a few variants of it) from sources in `workloads/`, from
//! crates or from Debian packages. A build ends with a recorded link (see [`crate::record`]) that is
//! described and checked once; what the build left behind may be removed afterwards.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::corpus::{Check, Corpus};
use crate::tools::Recorder;

mod clangtool;
mod cpp_debug;
mod hello;
pub mod monorepo;
mod service;

/// A workload that can be built.
pub struct Workload {
    /// What it is called on the command line, and its directory.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Builds the corpus.
    build: fn(&Cache, &Workload) -> Result<()>,
}

/// All workloads, the telling ones first.
pub const ALL: &[Workload] = &[
    service::SERVICE,
    clangtool::CLANGTOOL,
    cpp_debug::CPP_DEBUG,
    monorepo::THOUSAND,
    monorepo::FIVE_THOUSAND,
    monorepo::TWENTY_THOUSAND,
    service::RELEASE,
    service::LINES,
    service::SPLIT,
    service::COMPRESSED_OUTPUT,
    service::COMPRESSED_INPUT,
    hello::HELLO_C,
    hello::HELLO_RUST,
    hello::BURST,
];

/// The workload called `name`.
pub fn named(name: &str) -> Result<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name).with_context(|| {
        let names: Vec<_> = ALL.iter().map(|workload| workload.name).collect();
        format!("there is no workload {name:?}, but: {}", names.join(", "))
    })
}

/// The folder where corpora are kept.
pub struct Cache(PathBuf);

impl Cache {
    /// The cache at `folder`, or at its usual place: `manifold-perf` in the user's cache folder.
    pub fn at(folder: Option<PathBuf>) -> Result<Cache> {
        let usual = || {
            let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            base.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
                .map(|base| base.join("manifold-perf"))
        };
        let folder = folder.or_else(usual).context("there is no home folder; say --cache")?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Cache(fs::canonicalize(folder)?))
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Where the corpus called `name` is or will be.
    pub fn corpus(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A folder for what is needed only while a workload is built.
    fn build_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.0.join("build").join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Removes what was needed only while the workload `name` was built.
    pub fn remove_build(&self, name: &str) -> Result<()> {
        let folder = self.0.join("build").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
    }

    fn recorder(&self) -> Result<Recorder> {
        Recorder::new(&self.0.join("build").join("recorder"))
    }

    /// The corpora that have been built: those called `names`, or all if there are no names.
    pub fn built(&self, names: &[String]) -> Result<Vec<Corpus>> {
        if !names.is_empty() {
            let open = |name: &String| {
                let place = if name.contains('/') { PathBuf::from(name) } else { self.corpus(name) };
                Corpus::open(&place).with_context(|| format!("{name} has not been built"))
            };
            return names.iter().map(open).collect();
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let directory = entry?.path();
            if directory.join("run.json").exists() {
                found.push(Corpus::open(&directory)?);
            }
        }
        if found.is_empty() {
            bail!("no workload has been built in {}", self.0.display());
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// Builds the workload unless it is there already (or in any case, if `force`).
pub fn build(cache: &Cache, workload: &Workload, force: bool) -> Result<Corpus> {
    let directory = cache.corpus(workload.name);
    if force || !directory.join("run.json").exists() {
        eprintln!("building {}: {}", workload.name, workload.about);
        (workload.build)(cache, workload).with_context(|| format!("cannot build {}", workload.name))?;
    }
    Corpus::open(&directory)
}

/// The sources of a workload, which are part of this package.
fn sources(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads").join(name)
}

/// A check that runs the program and looks for `prints` in its output.
fn runs(arguments: &[&str], prints: &str) -> Check {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Check::Runs { arguments, prints: prints.to_owned(), seconds: 120 }
}
