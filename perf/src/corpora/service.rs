//! **service** and its variants: a web service in Rust, the link of an everyday edit-build-run round.
//!
//! More than three hundred crates, most of the bytes DWARF. The source is `workloads/service`; only its
//! last link is recorded. Some variants are other builds of the same source; others are made from
//! *service* without building it again: same files, another option or compressed sections.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{ALL, Cache, Workload, runs, sources};
use crate::corpus::{Check, Corpus};
use crate::tools;

/// The service as `cargo build` makes it.
pub const SERVICE: Workload = Workload {
    name: "service",
    about: "a web service in Rust, debug build",
    build: |cache, workload| build(cache, workload, "dev", &[]),
};

/// With debug information for backtraces only.
pub const LINES: Workload = Workload {
    name: "service-lines",
    about: "the web service with line tables only",
    build: |cache, workload| build(cache, workload, "dev", &["profile.dev.debug=\"line-tables-only\""]),
};

/// With most of the debug information left in files the linker does not read.
pub const SPLIT: Workload = Workload {
    name: "service-split",
    about: "the web service with split debug information",
    build: |cache, workload| build(cache, workload, "dev", &["profile.dev.split-debuginfo=\"unpacked\""]),
};

/// As it would be shipped.
pub const RELEASE: Workload = Workload {
    name: "rust-release",
    about: "the web service, release build with thin LTO by rustc, stripped",
    build: |cache, workload| {
        build(cache, workload, "release", &["profile.release.lto=\"thin\"", "profile.release.strip=true"])
    },
};

/// The linker compresses the debug sections it writes.
pub const COMPRESSED_OUTPUT: Workload = Workload {
    name: "service-zlib-out",
    about: "the web service, its debug sections compressed by the linker",
    build: |cache, workload| {
        derive(cache, workload, "--compress-debug-sections=zlib", &mut |from, to| {
            Ok(fs::hard_link(from, to)?)
        })
    },
};

/// The linker reads compressed debug sections.
pub const COMPRESSED_INPUT: Workload = Workload {
    name: "service-zlib-in",
    about: "the web service from objects with compressed debug sections",
    build: |cache, workload| derive(cache, workload, "", &mut compress),
};

fn check() -> Check {
    runs(&["--self-check"], "self-check passed")
}

/// Builds the service with `profile`, with cargo's configuration overridden by `settings`.
fn build(cache: &Cache, workload: &Workload, profile: &str, settings: &[&str]) -> Result<()> {
    let recorder = cache.recorder()?;
    let corpus = cache.corpus(workload.name);
    let mut command = Command::new("cargo");
    command
        .args(["rustc", "--locked", "--bin=service", "--profile", profile])
        .args(settings.iter().flat_map(|setting| ["--config", setting]))
        .current_dir(sources("service"))
        .env("CARGO_TARGET_DIR", cache.build_folder(workload.name)?)
        .args(["--", "-C", "linker=cc", "-C", "linker-features=-lld", "-C"])
        .arg(format!("link-arg={}", recorder.option()))
        // Cargo would not link again what it has linked already.
        .args(["-C", &format!("metadata=recorded-{}", std::process::id())]);
    tools::run(recorder.records(&mut command, &corpus))?;
    Corpus::describe(&corpus, workload.about, check(), 1)?;
    Ok(())
}

/// Makes a variant of *service* from its record: one more option, each input through `copy`.
fn derive(
    cache: &Cache,
    workload: &Workload,
    option: &str,
    copy: &mut dyn FnMut(&Path, &Path) -> Result<()>,
) -> Result<()> {
    let (original, variant) = (cache.corpus(SERVICE.name), cache.corpus(workload.name));
    if let Some(service) = ALL.iter().find(|workload| workload.name == SERVICE.name) {
        super::build(cache, service, false)?;
    }
    if variant.exists() {
        fs::remove_dir_all(&variant)?;
    }
    fs::create_dir_all(variant.join("in"))?;
    for entry in fs::read_dir(original.join("in"))? {
        let entry = entry?;
        copy(&entry.path(), &variant.join("in").join(entry.file_name()))?;
    }
    let response = fs::read_to_string(original.join("link.rsp"))?;
    fs::write(variant.join("link.rsp"), format!("{option}\n{response}"))?;
    Corpus::describe(&variant, workload.about, check(), 1)?;
    Ok(())
}

/// Copies an object or archive with its debug sections compressed; anything else as it is.
fn compress(from: &Path, to: &Path) -> Result<()> {
    let has_sections =
        from.extension().is_some_and(|extension| ["o", "a", "rlib"].iter().any(|kind| extension == *kind));
    if has_sections {
        let mut command = Command::new("objcopy");
        tools::ask(command.arg("--compress-debug-sections=zlib").arg(from).arg(to))?;
    } else {
        fs::hard_link(from, to)?;
    }
    Ok(())
}
