//! The files of traces: opened and given room before the command ends for its caller, written after.
//!
//! A trace is written under a name of its own beside its target and renamed when it is whole, like any output: readers
//! never see half of one, and an earlier one survives a failure. Something that is no regular file (a FIFO, a device)
//! is written to in place.
//!
//! In a directory of traces, files are named after the time, the process and the output, so that links at the same time
//! do not meet.

use profile::Profile;
use profile::file::{self, Format};
use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Names the directory in which every link leaves its trace.
pub const VARIABLE: &str = "MANIFOLD_TRACE";

/// The directory that [`VARIABLE`] names, if any.
pub fn directory_for(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// An open file that waits for its trace.
pub struct Place {
    target: PathBuf,
    /// Where it is written until it is whole; `None` if in place.
    temporary: Option<PathBuf>,
    file: Option<File>,
    format: Format,
}

impl Place {
    /// A place at a path, with room for so many bytes.
    ///
    /// # Errors
    /// Why it cannot be written there.
    pub fn file(path: &Path, format: Format, room: u64) -> Result<Place, String> {
        if std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
            let opened = OpenOptions::new().write(true).open(path);
            let file = opened.map_err(|error| file::plain(&error))?;
            return Ok(Place { target: path.to_path_buf(), temporary: None, file: Some(file), format });
        }
        if path.is_dir() {
            return Err("Is a directory".into());
        }
        let mut name = OsString::from(".");
        name.push(OsStr::from_bytes(shortened(path)));
        name.push(format!(".manifold-{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary).map_err(|error| file::plain(&error))?;
        let place =
            Place { target: path.to_path_buf(), temporary: Some(temporary), file: Some(file), format };
        // Whether there is room is found out now, when there is still somebody to tell. Not all file systems can say.
        match place.file.as_ref().map(|file| fallocate(file, FallocateFlags::KEEP_SIZE, 0, room)) {
            Some(Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG))) => {
                Err(file::plain(&io::Error::from(error)))
            }
            _ => Ok(place),
        }
    }

    /// A place in a directory of traces for the link of an output.
    ///
    /// # Errors
    /// Why it cannot be written there.
    pub fn in_directory(
        directory: &Path,
        output: &Path,
        began: SystemTime,
        room: u64,
    ) -> Result<Place, String> {
        let time = began.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let process = std::process::id();
        let name: String = String::from_utf8_lossy(shortened(output))
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '_' })
            .collect();
        Place::file(&directory.join(format!("link-{time}-{process}-{name}.json")), Format::Json, room)
    }

    /// Whether it is no regular file, so that nobody knows how long writing takes and whether it works.
    pub fn is_stream(&self) -> bool {
        self.temporary.is_none()
    }

    /// The descriptor of the open file.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.file.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Writes the trace and puts it in its place.
    ///
    /// # Errors
    /// What went wrong, with the path; nothing is left behind then.
    pub fn write(mut self, profile: &Profile) -> Result<(), String> {
        self.try_write(profile)
            .map_err(|error| format!("cannot write trace {}: {}", self.target.display(), file::plain(&error)))
    }

    fn try_write(&mut self, profile: &Profile) -> io::Result<()> {
        let Some(mut opened) = self.file.take() else { return Ok(()) };
        let copy = opened.try_clone()?;
        match file::write(profile, self.format, copy) {
            // A reader that has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        if let Some(temporary) = &self.temporary {
            // What room is left over goes back.
            let length = io::Seek::stream_position(&mut opened)?;
            ftruncate(&opened, length)?;
            std::fs::rename(temporary, &self.target)?;
            self.temporary = None;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// A file's name, cut to leave room for what is put around it.
fn shortened(path: &Path) -> &[u8] {
    let name = path.file_name().unwrap_or_default().as_bytes();
    &name[..name.len().min(180)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_written_whole_or_its_file_is_named() {
        let directory = std::env::temp_dir().join(format!("manifold-store-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("x.json");
        let place = Place::file(&path, Format::Json, 1 << 20).unwrap();
        assert!(!path.exists());
        place.write(&Profile::default()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("traceEvents"));
        let output = Path::new("out/my program");
        let place = Place::in_directory(&directory, output, SystemTime::UNIX_EPOCH, 1).unwrap();
        drop(place);
        let names: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["x.json"]);
        assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
        std::fs::remove_dir_all(&directory).unwrap();
        let problem = Place::file(Path::new("/nowhere/x.json"), Format::Json, 1).err().unwrap();
        assert_eq!(problem, "No such file or directory");
    }
}
