//! Files that are mapped and looked at before their turn, by all workers at once.
//!
//! The order of the command line decides what a file means, so files are taken up one after the other. But what takes
//! time, asking the kernel for their pages for the first time and walking from member to member of an archive, depends on
//! nothing else, and a link of thousands of files would wait for it.

use crate::elf::archive::{Archive, ArchiveError, Contents, Member};
use crate::elf::identify::{FileKind, identify};
use engine::Pool;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Files that are looked at together.
pub(super) const TOGETHER: usize = 32;

/// What a file is.
#[derive(Debug)]
pub(super) struct Found {
    /// Its bytes.
    pub data: &'static [u8],
    /// What they are.
    pub kind: FileKind,
    /// Of an archive: what is in it.
    pub members: Option<Result<Members, ArchiveError>>,
}

impl Found {
    fn size(&self) -> u64 {
        self.data.len() as u64
    }
}

/// The members of an archive, with what those inside are; in a thin archive they are files of their own.
pub(super) type Members = Vec<(Member<'static>, Option<FileKind>)>;

/// Maps a file and looks at it.
///
/// # Errors
/// As [`super::map_file`].
pub(super) fn look(path: &Path) -> io::Result<Found> {
    let data = super::map_file(path)?;
    let kind = identify(data);
    let is_archive = matches!(kind, FileKind::Archive | FileKind::ThinArchive);
    let members = is_archive.then(|| members(data, &path.display().to_string()));
    Ok(Found { data, kind, members })
}

/// The members of the archive `data`, whose file is called `name`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn members(data: &'static [u8], name: &str) -> Result<Members, ArchiveError> {
    let archive = Archive::parse(data, name)?;
    let with_kind = |member: Member<'static>| {
        let kind = match &member.contents {
            Contents::Inside(range) => Some(identify(&data[range.clone()])),
            _ => None,
        };
        (member, kind)
    };
    Ok(archive.members.into_iter().map(with_kind).collect())
}

/// The files that have been looked at and whose turn has not come, in the order in which it will.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    files: VecDeque<(PathBuf, io::Result<Found>)>,
    mapped: u64,
}

impl Ahead {
    fn position(&self, path: &Path) -> Option<usize> {
        self.files.iter().position(|(other, _)| is_same(other, path))
    }
    /// Whether a file has been looked at.
    pub fn has(&self, path: &Path) -> bool {
        self.position(path).is_some()
    }
    /// Looks at files.
    pub fn look(&mut self, pool: &Pool, paths: Vec<PathBuf>) {
        let found = pool.map("open", paths.len(), 1, |n| look(&paths[n]));
        self.mapped += found.iter().flatten().map(Found::size).sum::<u64>();
        self.files.extend(paths.into_iter().zip(found));
    }
    /// Bytes of all files that have been looked at so far.
    pub fn mapped(&self) -> u64 {
        self.mapped
    }
    /// What a file is, which is looked at now unless that has been done.
    ///
    /// # Errors
    /// As [`super::map_file`].
    pub fn take(&mut self, path: &Path) -> io::Result<Found> {
        if let Some((_, found)) = self.position(path).and_then(|n| self.files.remove(n)) {
            return found;
        }
        let found = look(path)?;
        self.mapped += found.size();
        Ok(found)
    }
}

/// Whether two paths are spelled in the same way, which is quicker to tell than whether they are equal.
pub(super) fn is_same(a: &Path, b: &Path) -> bool {
    a.as_os_str() == b.as_os_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_whether_a_file_is_looked_at_ahead_or_in_its_turn() {
        let folder = std::env::temp_dir().join(format!("manifold-ahead-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let [first, second, absent] = ["first", "second", "absent"].map(|name| folder.join(name));
        std::fs::write(&first, [0; 100]).unwrap();
        std::fs::write(&second, [0; 20_000]).unwrap();
        let mut ahead = Ahead::default();
        assert_eq!(ahead.take(&first).unwrap().data.len(), 100);
        assert_eq!(ahead.mapped(), 100);
        engine::run(std::num::NonZeroUsize::MIN, &engine::Tracer::off(), |pool| {
            ahead.look(pool, vec![second.clone(), absent.clone()]);
        })
        .unwrap();
        assert_eq!(ahead.mapped(), 20_100);
        assert!(ahead.take(&second).is_ok() && ahead.take(&absent).is_err());
        assert_eq!(ahead.mapped(), 20_100);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
