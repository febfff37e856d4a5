//! What was asked for in the way of link-time optimisation: which plugins there are and what they are told.

use std::path::PathBuf;

/// `-plugin`: a library that compiles intermediate code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its file.
    pub path: PathBuf,
    /// `-plugin-opt`, in order.
    pub options: Vec<Vec<u8>>,
}

impl Plugin {
    /// Whether this is the plugin of GCC, which takes every word it does not know for one of its compiler's.
    pub fn is_of_gcc(&self) -> bool {
        self.path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"liblto_plugin"))
    }
}

/// An option that linkers with a compiler of their own have, and what LLVM's plugin calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LtoWord {
    /// As it was typed.
    pub shown: String,
    /// The word for the plugin; `None` if it has no such option.
    pub option: Option<Vec<u8>>,
}

/// Everything about link-time optimisation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lto {
    /// `-plugin`, in order.
    pub plugins: Vec<Plugin>,
    /// Options in the words of other linkers.
    pub words: Vec<LtoWord>,
}
