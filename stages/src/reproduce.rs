//! Packs everything that went into a link into a tar file (`--reproduce`, `--repro`), so that somebody else can
//! repeat it.
//!
//! ```text
//!     NAME/response.txt          the command line, with paths relative to NAME
//!     NAME/version.txt           which linker it was
//!     NAME/usr/lib/crt1.o        each file at its absolute path below NAME
//! ```
//!
//! In NAME, `ld @response.txt` links again; lld understands the form, too. In: the files that [`open`](crate::open) has
//! found, those that options name, and the libraries that shared objects need. Out: the file.
//!
//! It is written as soon as all files are known: a link that fails later, or stops the linker, is what
//! people want to show. Where files are missing the rest is packed.

use crate::config::Config;
use crate::context::Cx;
use crate::model::{File, SharedObject};
use crate::open::{Opened, map_file, reason};
use crate::report::{Failed, Problem};
use crate::seal::Parsed;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What to pack beside the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reproduction {
    /// The tar file.
    pub file: PathBuf,
    /// `response.txt`.
    pub response: Vec<u8>,
    /// Directory that relative paths start at.
    pub directory: PathBuf,
}

/// Where a file goes below the top of the tree: its absolute path without the slash in front, `.` and `..` taken away.
pub fn tree_path(directory: &Path, path: &Path) -> PathBuf {
    let mut tree = PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            Component::Normal(name) => tree.push(name),
            Component::ParentDir => drop(tree.pop()),
            _ => {}
        }
    }
    tree
}

/// Writes the tar file if one is wanted.
pub(crate) fn write(cx: &Cx, opened: &Opened, parsed: &[Parsed]) -> Result<(), Failed> {
    let Some(wanted) = &cx.config.reproduce else { return Ok(()) };
    let shared = parsed.iter().filter_map(|parsed| match &parsed.file {
        File::Shared(shared) => Some(&**shared),
        File::Object(_) => None,
    });
    let files = files(cx, opened, shared);
    cx.pool.serial("reproduce", || pack(wanted, &files)).map_err(|error| {
        let why = reason(&error);
        cx.problems.fail(Problem::error(format!("cannot write {}: {why}", wanted.file.display())))
    })
}

/// All files of the link.
fn files<'a>(cx: &Cx, opened: &Opened, shared: impl Iterator<Item = &'a SharedObject>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = named_by_options(cx.config);
    files.extend(opened.paths.iter().map(|path| path.to_path_buf()));
    files.extend(opened.members.iter().cloned());
    files.extend(crate::shlib::indirect(cx, shared));
    files
}

fn named_by_options(config: &Config) -> Vec<PathBuf> {
    let lists = [&config.version_scripts, &config.dynamic_lists, &config.export_dynamic_symbol_lists];
    let lists = lists.into_iter().flatten();
    lists.chain(&config.retain_symbols_file).cloned().collect()
}

fn pack(wanted: &Reproduction, files: &[PathBuf]) -> io::Result<()> {
    let top = PathBuf::from(wanted.file.file_stem().unwrap_or(OsStr::from_bytes(b"repro")));
    let file = std::fs::File::create(&wanted.file)?;
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
    let version = concat!("manifold ", env!("CARGO_PKG_VERSION"), "\n");
    append(&mut tar, &top.join("response.txt"), &wanted.response)?;
    append(&mut tar, &top.join("version.txt"), version.as_bytes())?;
    let mut packed = BTreeSet::new();
    for path in files {
        let tree = tree_path(&wanted.directory, path);
        if packed.insert(tree.clone())
            && let Ok(bytes) = map_file(path)
        {
            append(&mut tar, &top.join(tree), bytes)?;
        }
    }
    tar.into_inner()?.flush()
}

/// Adds a file. What differs between two runs or two users is left out, so that the same link packs the same bytes.
fn append(tar: &mut tar::Builder<impl Write>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_absolute_paths() {
        let tree = |path: &str| tree_path(Path::new("/home/me"), Path::new(path)).display().to_string();
        assert_eq!(tree("a.o"), "home/me/a.o");
        assert_eq!(tree("../you/./a.o"), "home/you/a.o");
        assert_eq!(tree("/usr/lib/gcc/../crt1.o"), "usr/lib/crt1.o");
        assert_eq!(tree("../../../../x"), "x");
    }

    #[test]
    fn equal_links_pack_equal_bytes() {
        let directory = std::env::temp_dir();
        let name = |n: u32| directory.join(format!("manifold-pack-{}-{n}.tar", std::process::id()));
        let long = directory.join("x".repeat(150));
        std::fs::write(&long, b"contents").unwrap();
        let bytes = [0, 1].map(|n| {
            let wanted =
                Reproduction { file: name(n), response: b"-o x\n".to_vec(), directory: directory.clone() };
            pack(&wanted, &[long.clone(), long.clone(), directory.join("absent")]).unwrap();
            let bytes = std::fs::read(name(n)).unwrap();
            std::fs::remove_file(name(n)).unwrap();
            bytes
        });
        std::fs::remove_file(&long).unwrap();
        let names: Vec<PathBuf> = tar::Archive::new(&bytes[0][..])
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(names.len(), 3);
        assert!(names[0].ends_with("response.txt") && names[2].ends_with("x".repeat(150)));
        // The names of the tops differ, nothing else does.
        assert_eq!(bytes[0].len(), bytes[1].len());
    }
}
