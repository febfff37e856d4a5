//! Puts the output in its place, whole or not at all.
//!
//! A regular output is written under a temporary name beside its target and renamed when it is complete: an
//! earlier output survives a failed link, a running program keeps its file, another hard link keeps its bytes.
//! A device or a FIFO is written to, never replaced.
//!
//! The file is written to with `pwrite`, which the kernel does for one caller at a time: cheapest in processor time, and
//! fast enough for a few workers. For many ([`WRITERS_MAX`]) the file is mapped, and each worker fills pages of its own,
//! at about twice the time a byte ([`Output::share`]).
//!
//! [`remove_temporaries`] deletes what an interrupted link left; it only makes system calls, so a signal handler
//! may call it.

use crate::open::reason;
use memmap2::MmapRaw;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Workers up to which writing in turns is faster than writing to a mapping.
pub const WRITERS_MAX: usize = 4;

/// What writing to a mapping takes, in percent of what writing in turns takes.
pub const MAPPED_COST: u32 = 200;

/// The magic number of tmpfs (statfs(2)).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Bytes of memory that must be left over in a tmpfs besides the output.
const TMPFS_MARGIN: u64 = 64 << 20;

/// Files a link makes at once at most: the output and its debug file.
const TEMPORARIES: usize = 2;
/// The paths of the temporary files in the making, for the signal handler. Leaked: there are two a link at most.
static TEMPORARY: [AtomicPtr<std::ffi::c_char>; TEMPORARIES] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; TEMPORARIES];

/// Deletes the temporary files of an interrupted link. Async-signal-safe.
pub fn remove_temporaries() {
    for slot in &TEMPORARY {
        let path = slot.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !path.is_null() {
            // SAFETY: the pointer comes from `CString::into_raw` in `publish_temporary` and is never freed.
            let path = unsafe { std::ffi::CStr::from_ptr(path) };
            let _ = rustix::fs::unlink(path);
        }
    }
}

/// Makes a temporary file known to the signal handler; returns its slot.
fn publish_temporary(path: &Path) -> usize {
    let path = CString::new(path.as_os_str().as_bytes()).map_or(std::ptr::null_mut(), CString::into_raw);
    let takes = |slot: &AtomicPtr<std::ffi::c_char>| {
        let free = std::ptr::null_mut();
        slot.compare_exchange(free, path, Ordering::AcqRel, Ordering::Acquire).is_ok()
    };
    TEMPORARY.iter().position(takes).unwrap_or(TEMPORARIES)
}

/// Makes the signal handler forget a file that is in its place or gone.
fn withdraw_temporary(slot: usize) {
    if let Some(slot) = TEMPORARY.get(slot) {
        slot.store(std::ptr::null_mut(), Ordering::Release);
    }
}

/// Outputs of earlier links that this one has replaced, held open. To give back what a large file takes is milliseconds of
/// work; it is done when they are closed, which is at the end of the process.
static REPLACED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// The descriptors of the files that have been replaced. They are better closed after somebody has been told that the
/// link is done.
pub fn replaced() -> Vec<RawFd> {
    REPLACED.lock().unwrap_or_else(|e| e.into_inner()).iter().map(AsRawFd::as_raw_fd).collect()
}

/// Renames a file; what it replaces is held.
fn replace(path: &Path, target: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let old = openat(CWD, target, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    std::fs::rename(path, target)?;
    REPLACED.lock().unwrap_or_else(|e| e.into_inner()).extend(old.ok());
    Ok(())
}

/// An output in the making.
#[derive(Debug)]
pub struct Output {
    target: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A temporary file that will be renamed.
    Temporary { file: File, path: PathBuf, slot: usize, map: Option<MmapRaw> },
    /// Something that takes bytes in order: a device, a FIFO. Collected in memory first.
    Stream { file: File, bytes: Mutex<Vec<u8>> },
}

impl Output {
    /// Opens the output, executable as far as the umask allows or not at all. What stands at the target is not touched.
    ///
    /// # Errors
    /// A message that names the path.
    pub fn create(target: &Path, is_executable: bool) -> Result<Output, String> {
        let describe =
            |error: io::Error| format!("cannot open output file {}: {}", target.display(), reason(&error));
        if let Ok(metadata) = std::fs::metadata(target) {
            let kind = metadata.file_type();
            if kind.is_dir() {
                return Err(format!("cannot open output file {}: Is a directory", target.display()));
            }
            if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
                let file = OpenOptions::new().write(true).open(target).map_err(describe)?;
                let place = Place::Stream { file, bytes: Mutex::new(Vec::new()) };
                return Ok(Output { target: target.to_path_buf(), place });
            }
        }
        let (file, path) = temporary_beside(target, is_executable).map_err(describe)?;
        let slot = publish_temporary(&path);
        Ok(Output { target: target.to_path_buf(), place: Place::Temporary { file, path, slot, map: None } })
    }

    /// Says how long the file will be.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn set_len(&self, size: u64) -> Result<(), String> {
        match &self.place {
            Place::Temporary { file, .. } => file.set_len(size).map_err(|e| self.describe(&e)),
            Place::Stream { bytes, .. } => {
                bytes.lock().unwrap_or_else(|e| e.into_inner()).resize(size as usize, 0);
                Ok(())
            }
        }
    }

    /// Has many workers write at the same time without waiting for each other, if the file system allows it: maps the
    /// file, which must have its length, and has the file system set aside what it will take, so that no page is
    /// missing when it is written to. `ranges` are the runs of the file that will be written, as (offset, bytes); what is
    /// between them stays a hole.
    ///
    /// # Errors
    /// If there is not enough room.
    pub fn share(&mut self, ranges: &[(u64, u64)]) -> Result<(), String> {
        let Place::Temporary { file, map, .. } = &mut self.place else { return Ok(()) };
        let size: u64 = ranges.iter().map(|range| range.1).sum();
        let found = rustix::fs::fstatfs(&*file);
        if let Ok(system) = &found
            && system.f_type == TMPFS_MAGIC
        {
            // To set memory aside takes half as long as to write to it, and one at a time: only look whether there is
            // enough. Without a limit there are no blocks to count.
            let free = system.f_bavail.saturating_mul(system.f_bsize.unsigned_abs());
            if system.f_blocks == 0 || free > size.saturating_add(TMPFS_MARGIN) {
                *map = MmapRaw::map_raw(&*file).ok();
            }
            return Ok(());
        }
        let reserve = |&(offset, bytes)| {
            rustix::fs::fallocate(&*file, rustix::fs::FallocateFlags::empty(), offset, bytes)
        };
        match ranges.iter().try_for_each(reserve) {
            Ok(()) => *map = MmapRaw::map_raw(&*file).ok(),
            Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT | rustix::io::Errno::FBIG)) => {
                return Err(self.describe(&error.into()));
            }
            // Not every file system can.
            Err(_) => {}
        }
        Ok(())
    }

    /// Writes bytes at an offset. Workers may write at the same time, at different places.
    ///
    /// # Errors
    /// A full disk and its like.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), String> {
        match &self.place {
            Place::Temporary { map: Some(map), .. } => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                assert!(
                    start.checked_add(bytes.len()).is_some_and(|end| end <= map.len()),
                    "beyond the output's end"
                );
                // SAFETY: the range lies in the mapping, whose pages exist; nobody reads it, and whoever writes at the
                // same time writes elsewhere.
                unsafe { map.as_mut_ptr().add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                Ok(())
            }
            Place::Temporary { file, .. } => file.write_all_at(bytes, offset).map_err(|e| self.describe(&e)),
            Place::Stream { bytes: all, .. } => {
                let start = offset as usize;
                let mut all = all.lock().unwrap_or_else(|e| e.into_inner());
                all[start..start + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn describe(&self, error: &io::Error) -> String {
        format!("cannot write output file {}: {}", self.target.display(), reason(error))
    }

    /// Puts the finished output in its place.
    ///
    /// # Errors
    /// If it cannot be renamed or written; nothing is left behind then.
    pub fn commit(mut self) -> Result<(), String> {
        let target = self.target.clone();
        let describe =
            |error: &io::Error| format!("cannot write output file {}: {}", target.display(), reason(error));
        match &mut self.place {
            Place::Temporary { path, slot, map, .. } => {
                // A file that is mapped for writing cannot be executed.
                drop(map.take());
                replace(path, &target).map_err(|e| describe(&e))?;
                withdraw_temporary(*slot);
                path.clear();
                Ok(())
            }
            Place::Stream { file, bytes } => {
                let bytes = std::mem::take(bytes.get_mut().unwrap_or_else(|e| e.into_inner()));
                match file.write_all(&bytes) {
                    // A reader that has seen enough is no failure of the link.
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(describe(&error)),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Place::Temporary { path, slot, .. } = &self.place
            && !path.as_os_str().is_empty()
        {
            let _ = std::fs::remove_file(path);
            withdraw_temporary(*slot);
        }
    }
}

/// Creates a file of a name of our own in the target's directory.
fn temporary_beside(target: &Path, is_executable: bool) -> io::Result<(File, PathBuf)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let directory = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = target.file_name().unwrap_or_default();
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        // Long names are cut: the temporary one must not exceed the limit the target's keeps to.
        temporary.push(std::ffi::OsStr::from_bytes(&name.as_bytes()[..name.len().min(200)]));
        temporary.push(format!(".manifold-{}-{number}", std::process::id()));
        let path = directory.join(temporary);
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(if is_executable { 0o777 } else { 0o666 })
            .open(&path)
        {
            Ok(file) => {
                // An ACL or an odd umask may take the executable bits; GNU ld adds them as chmod would.
                let mode = file.metadata()?.permissions().mode();
                if is_executable && mode & 0o100 == 0 {
                    file.set_permissions(std::fs::Permissions::from_mode(mode | 0o100))?;
                }
                return Ok((file, path));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
