//! **service**: the debug build of a web service in Rust, the link of an everyday edit-build-run round.
//!
//! More than three hundred crates, most of the bytes DWARF. The source is `workloads/service`; only its
//! last link is recorded.

use std::process::Command;

use anyhow::Result;

use super::{Cache, Workload, runs, sources};
use crate::corpus::Corpus;
use crate::tools;

/// The service as `cargo build` makes it.
pub const SERVICE: Workload =
    Workload { name: "service", about: "a web service in Rust, debug build", build };

fn build(cache: &Cache, workload: &Workload) -> Result<()> {
    let recorder = cache.recorder()?;
    let corpus = cache.corpus(workload.name);
    let mut command = Command::new("cargo");
    command
        .args(["rustc", "--locked", "--bin", "service"])
        .current_dir(sources("service"))
        .env("CARGO_TARGET_DIR", cache.build_folder("service")?)
        .args(["--", "-C", "linker=cc", "-C", "linker-features=-lld", "-C"])
        .arg(format!("link-arg={}", recorder.option()))
        // Cargo would not link again what it has linked already.
        .args(["-C", &format!("metadata=recorded-{}", std::process::id())]);
    tools::run(recorder.records(&mut command, &corpus))?;
    Corpus::describe(&corpus, workload.about, runs(&["--self-check"], "self-check passed"), 1)?;
    Ok(())
}
