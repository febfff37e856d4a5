//! **hello-c**, **hello-rust**, **burst**: the smallest links, where a linker's start and end are all.
//!
//! *burst* is *hello-c* five hundred times, one after the other: what a build with many small test
//! programs does.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::{Cache, Workload, runs};
use crate::corpus::Corpus;
use crate::tools;

/// A C program of one function.
pub const HELLO_C: Workload =
    Workload { name: "hello-c", about: "hello, world in C", build: |cache, workload| c(cache, workload, 1) };

/// A Rust program of one function.
pub const HELLO_RUST: Workload =
    Workload { name: "hello-rust", about: "hello, world in Rust, debug build", build: rust };

/// Many small links.
pub const BURST: Workload = Workload {
    name: "burst",
    about: "hello, world in C, linked 500 times",
    build: |cache, workload| c(cache, workload, 500),
};

const C: &str = "#include <stdio.h>\nint main(void) { puts(\"hello, world\"); return 0; }\n";
const RUST: &str = "fn main() {\n    println!(\"hello, world\");\n}\n";

fn c(cache: &Cache, workload: &Workload, links: u32) -> Result<()> {
    let (folder, recorder) = (cache.build_folder(workload.name)?, cache.recorder()?);
    let corpus = cache.corpus(workload.name);
    fs::write(folder.join("hello.c"), C)?;
    let mut command = Command::new("cc");
    command.args(["-O1", "-g", "hello.c", "-o", "hello-c", &recorder.option()]).current_dir(&folder);
    tools::run(recorder.records(&mut command, &corpus))?;
    Corpus::describe(&corpus, workload.about, runs(&[], "hello, world"), links)?;
    Ok(())
}

fn rust(cache: &Cache, workload: &Workload) -> Result<()> {
    let (folder, recorder) = (cache.build_folder(workload.name)?, cache.recorder()?);
    let corpus = cache.corpus(workload.name);
    fs::write(folder.join("hello.rs"), RUST)?;
    let mut command = Command::new("rustc");
    command
        .args(["--edition=2024", "-g", "hello.rs", "-o", "hello-rust"])
        .args(["-C", "linker=cc", "-C", "linker-features=-lld", "-C"])
        .arg(format!("link-arg={}", recorder.option()))
        .current_dir(&folder);
    tools::run(recorder.records(&mut command, &corpus))?;
    Corpus::describe(&corpus, workload.about, runs(&[], "hello, world"), 1)?;
    Ok(())
}
