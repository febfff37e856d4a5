//! Where libraries are looked for (GNU ld manual, `-l`, `-L`, `--sysroot`, "File Commands").

use crate::config::Config;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Finds `-lNAME` or `-l:FILE`. Returns the path and whether it is taken for a shared object.
pub(super) fn library(dirs: &[PathBuf], name: &[u8], prefer_static: bool) -> Option<(PathBuf, bool)> {
    if let Some(file) = name.strip_prefix(b":") {
        return dirs
            .iter()
            .map(|dir| dir.join(OsStr::from_bytes(file)))
            .find(|path| path.is_file())
            .map(|path| (path, true));
    }
    for dir in dirs {
        for (suffix, is_shared) in [(&b".so"[..], true), (b".a", false)] {
            if is_shared && prefer_static {
                continue;
            }
            let file = [b"lib", name, suffix].concat();
            let path = dir.join(OsStr::from_bytes(&file));
            if path.is_file() && fits(&path) {
                return Some((path, is_shared));
            }
        }
    }
    None
}

/// Finds a library that another library needs, as GNU ld does (manual, `-rpath-link`): along `-rpath-link`,
/// `-rpath`, the DT_RUNPATH of who needs it, beside the directories of `-l`.
pub fn loader_path(
    config: &Config,
    soname: &[u8],
    runpath: Option<&[u8]>,
    needed_by: &Path,
) -> Option<PathBuf> {
    let name = Path::new(OsStr::from_bytes(soname));
    let sysroot = config.sysroot.as_deref().or(config.chroot.as_deref());
    let usable = |path: PathBuf| (path.is_file() && fits(&path)).then_some(path);
    if soname.contains(&b'/') {
        return usable(in_root(sysroot, name)).or_else(|| usable(name.to_path_buf()));
    }
    let lists =
        [config.rpath.as_deref().map(|list| (list, None)), runpath.map(|list| (list, needed_by.parent()))];
    let run_time = lists.into_iter().flatten().flat_map(|(list, origin)| {
        list.split(|b| *b == b':').filter(|dir| !dir.is_empty()).map(move |dir| {
            match (dir.strip_prefix(b"$ORIGIN"), origin) {
                (Some(rest), Some(origin)) => {
                    origin.join(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest)))
                }
                _ => in_root(sysroot, Path::new(OsStr::from_bytes(dir))),
            }
        })
    });
    let dirs = config.rpath_link.iter().cloned().chain(run_time).chain(config.library_paths.iter().cloned());
    dirs.into_iter().find_map(|dir| usable(dir.join(name)))
}

/// An absolute path, within the sysroot (or `--chroot`) if there is one.
pub(super) fn in_root(sysroot: Option<&Path>, path: &Path) -> PathBuf {
    match sysroot.filter(|_| path.is_absolute()) {
        Some(root) => under(root, path),
        None => path.to_path_buf(),
    }
}

/// Whether a candidate is for this machine; one that is not is passed over in silence, as GNU ld does. What
/// cannot be told by a first look is accepted and reported when it is read.
fn fits(path: &Path) -> bool {
    use std::io::Read;
    let mut head = [0u8; 20];
    let Ok(mut file) = std::fs::File::open(path) else { return true };
    if file.read_exact(&mut head).is_err() || head[..4] != object::elf::ELFMAG {
        return true;
    }
    head[4] == object::elf::ELFCLASS64
        && u16::from_le_bytes([head[18], head[19]]) == crate::arch::target::MACHINE
}

/// Finds a file named in a script: with the sysroot if asked, else beside the script if relative, then along the
/// library path.
pub(super) fn in_script(
    name: &[u8],
    in_sysroot: bool,
    script: &Path,
    sysroot: Option<&Path>,
    dirs: &[PathBuf],
) -> Option<PathBuf> {
    let name = Path::new(OsStr::from_bytes(name));
    let script_in_sysroot = sysroot.is_some_and(|root| script.starts_with(root));
    if name.is_absolute() {
        let inside = sysroot.filter(|_| in_sysroot || script_in_sysroot).map(|root| under(root, name));
        return inside.filter(|path| path.exists()).or_else(|| Some(name.to_path_buf()));
    }
    let candidates = [name.to_path_buf(), script.parent().unwrap_or(Path::new("")).join(name)];
    let in_dirs = dirs.iter().map(|dir| dir.join(name));
    candidates.into_iter().chain(in_dirs).find(|path| path.is_file())
}

/// `=/usr/lib` and `$SYSROOT/usr/lib` in paths of inputs.
pub(super) fn with_sysroot(path: &Path, sysroot: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_prefix(b"=").or_else(|| bytes.strip_prefix(b"$SYSROOT")) {
        Some(rest) => under(sysroot, Path::new(OsStr::from_bytes(rest))),
        None => path.to_path_buf(),
    }
}

/// The directory of a `SEARCH_DIR` command.
pub(super) fn search_dir(dir: &[u8], sysroot: Option<&Path>) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(dir));
    sysroot.map_or_else(|| path.to_path_buf(), |sysroot| under(sysroot, path))
}

fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
