//! Objects that plugins made, for the signal handler: an interrupted link leaves none of them behind.
//!
//! In an orderly end the plugins' own cleanup hooks remove them; those may not be called in a signal handler. Removal makes
//! system calls only.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A list of paths that ends with a null pointer, or null. Lists are leaked: there is one a link.
static LIST: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());

/// Makes files known to the signal handler, in the place of others.
pub(super) fn publish(files: &[PathBuf]) {
    let paths = files.iter().filter_map(|path| CString::new(path.as_os_str().as_bytes()).ok());
    let list: Vec<*const c_char> =
        paths.map(|path| path.into_raw().cast_const()).chain([std::ptr::null()]).collect();
    LIST.store(list.leak().as_mut_ptr(), Ordering::Release);
}

/// Removes them. Async-signal-safe.
pub fn remove() {
    let mut next = LIST.swap(std::ptr::null_mut(), Ordering::AcqRel).cast_const();
    if next.is_null() {
        return;
    }
    loop {
        // SAFETY: the list ends with a null pointer, which this does not go beyond; it is never freed.
        let path = unsafe { *next };
        if path.is_null() {
            return;
        }
        // SAFETY: the pointer comes from `CString::into_raw` and is never freed.
        let _ = rustix::fs::unlink(unsafe { CStr::from_ptr(path) });
        // SAFETY: the end has not been reached.
        next = unsafe { next.add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_files_are_removed_once() {
        let path = std::env::temp_dir().join(format!("manifold-leftover-{}", std::process::id()));
        std::fs::write(&path, b"x").unwrap();
        publish(&[path.clone(), "/nonexistent/file".into()]);
        remove();
        assert!(!path.exists());
        std::fs::write(&path, b"x").unwrap();
        remove();
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
    }
}
