//! Mapping files into memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Files up to this size are read: cheaper than setting up a mapping and faulting it in.
const READ_MAX: u64 = 16 << 10;

/// The bytes of a file, for the life of the process.
///
/// # Errors
/// If the file cannot be opened, is a directory, or cannot be mapped.
pub fn map_file(path: &Path) -> Result<&'static [u8]> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "Is a directory"));
    }
    if !metadata.is_file() || metadata.len() <= READ_MAX {
        let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
        file.read_to_end(&mut bytes)?;
        return Ok(bytes.leak());
    }
    // SAFETY: the mapping is private and read-only and lives as long as the process. Should another process
    // change the file while the link runs, bytes may differ between reads; every reader checks what it
    // follows, so the outcome is a wrong output at worst, as with every linker that maps its inputs.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Box::leak(Box::new(map)))
}
