//! What cargo built: the command, and beside it the library that `-run` preloads.
//!
//! Tests link neither, so cargo builds only the command for them; the library is built here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// A file of this build, beside the command.
pub fn built(name: &str) -> PathBuf {
    static LIBRARY: Once = Once::new();
    LIBRARY.call_once(build_library);
    Path::new(env!("CARGO_BIN_EXE_manifold")).with_file_name(name)
}

fn build_library() {
    let binaries = Path::new(env!("CARGO_BIN_EXE_manifold")).parent().expect("a target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "manifold", "--lib", "--target-dir"]);
    command.arg(binaries.parent().expect("a target directory")).current_dir(env!("CARGO_MANIFEST_DIR"));
    if binaries.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo runs").success(), "the library cannot be built");
}
