//! A directory that is removed when it is no longer needed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::{Context, Result};

/// A fresh directory; dropping it removes it with everything in it.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A directory under the system's temporary one, with `purpose` in its name.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests need a directory just anywhere"))]
    pub fn new(purpose: &str) -> Result<Scratch> {
        Scratch::under(&env::temp_dir(), purpose)
    }

    /// A directory under `parent`, with `purpose` in its name.
    pub fn under(parent: &Path, purpose: &str) -> Result<Scratch> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("manifold-perf-{purpose}-{}-{number}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a directory that does not go away.
        let _ = fs::remove_dir_all(&self.0);
    }
}
