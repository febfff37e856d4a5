//! Objects that plugins made, for signal handlers: a link that is interrupted or crashes leaves none of them behind.
//!
//! In an orderly end the plugins' own cleanup hooks remove them; those may not be called in a signal handler. Removal makes
//! system calls only.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A file. Never freed: there are few, and a handler may be looking at it.
struct Leftover {
    path: CString,
    next: *const Leftover,
}

/// The file that was named last, or null.
static LAST: AtomicPtr<Leftover> = AtomicPtr::new(std::ptr::null_mut());

/// Makes a file known to signal handlers.
pub(super) fn add(path: &Path) {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return };
    let leftover = Box::leak(Box::new(Leftover { path, next: std::ptr::null() }));
    // Plugins talk one at a time, so nothing comes between the two; a handler sees the list with the file or without.
    leftover.next = LAST.load(Ordering::Acquire);
    LAST.store(leftover, Ordering::Release);
}

/// Forgets all of them: they have been removed.
pub(super) fn forget() {
    LAST.store(std::ptr::null_mut(), Ordering::Release);
}

/// Removes them. Async-signal-safe.
pub fn remove() {
    let mut next = LAST.swap(std::ptr::null_mut(), Ordering::AcqRel).cast_const();
    // SAFETY: what is stored, here and in `next`, is null or comes from `Box::leak` and is not changed any more.
    while let Some(leftover) = unsafe { next.as_ref() } {
        let _ = rustix::fs::unlink(&leftover.path);
        next = leftover.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_removed_once_and_not_when_forgotten() {
        let path = std::env::temp_dir().join(format!("manifold-leftover-{}", std::process::id()));
        std::fs::write(&path, b"x").unwrap();
        add(&path);
        add(Path::new("/nonexistent/file"));
        remove();
        assert!(!path.exists());
        std::fs::write(&path, b"x").unwrap();
        remove();
        assert!(path.exists());
        add(&path);
        forget();
        remove();
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
    }
}
