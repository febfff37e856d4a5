//! Mapping files into memory, and giving the memory back.
//!
//! Most pages of an input are read once, front to back, when the output is filled. Those are [given back](give_back) as soon
//! as that has happened, so that a link's memory is not all of its inputs at once. The price is small: the kernel would
//! have to take the pages back when the process ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// Files up to this size are read: cheaper than setting up a mapping and faulting it in.
const READ_MAX: u64 = 16 << 10;

/// Bytes of a page.
const PAGE: usize = 4 << 10;

/// Less stays: each time, the processor has to forget where all other memory is (64 KB: *service* +2 %).
const GIVE_BACK_MIN: usize = 256 << 10;

/// What lies between used bytes counts as used too, up to so many bytes.
const GAP_MAX: usize = 64 << 10;

/// Where mapped files are in memory: start and end of each.
static MAPPED: RwLock<BTreeMap<usize, usize>> = RwLock::new(BTreeMap::new());

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
    let bytes: &'static [u8] = Box::leak(Box::new(map));
    let place = bytes.as_ptr_range();
    let mut mapped = MAPPED.write().unwrap_or_else(PoisonError::into_inner);
    mapped.insert(place.start as usize, place.end as usize);
    Ok(bytes)
}

/// Bytes of inputs that have been read for what is likely the last time. They are given back in runs, in the order they are
/// in the file, as long as they come in that order.
#[derive(Debug, Default)]
pub struct Used {
    run: Range<usize>,
}

impl Used {
    /// Takes note of bytes.
    pub fn add<T>(&mut self, read: &'static [T]) {
        let place = read.as_ptr_range();
        let (start, end) = (place.start as usize, place.end as usize);
        if start == end {
            return;
        }
        if !(self.run.end..self.run.end + GAP_MAX).contains(&start) {
            self.give_back();
            self.run.start = start;
        }
        self.run.end = end;
    }

    fn give_back(&self) {
        if self.run.len() >= GIVE_BACK_MIN {
            give_back(&self.run);
        }
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Gives the whole pages within a range of addresses back to the kernel if they are a mapped file's. Whoever reads them
/// nevertheless finds them as they were: they come from the file again.
fn give_back(range: &Range<usize>) {
    let mapped = MAPPED.read().unwrap_or_else(PoisonError::into_inner);
    let file = mapped.range(..=range.start).next_back();
    if file.is_none_or(|(_, end)| range.end > *end) {
        return;
    }
    let (start, end) = (range.start.next_multiple_of(PAGE), range.end & !(PAGE - 1));
    if start < end {
        // SAFETY: these are pages of a private mapping of a file that nobody writes to and that is never unmapped, so
        // their contents stay what they are: those of the file. A failure changes nothing.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of `bytes` that are in memory.
    fn resident(bytes: &[u8]) -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", bytes.as_ptr() as usize);
        let mapping = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = mapping.skip(1).find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    #[test]
    fn used_bytes_leave_memory_and_come_again() {
        let path = std::env::temp_dir().join(format!("manifold-map-{}", std::process::id()));
        let contents: Vec<u8> = (0..4 << 20).map(|i: u32| (i / 3) as u8).collect();
        std::fs::write(&path, &contents).unwrap();
        let bytes = map_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(bytes == contents);
        assert_eq!(resident(bytes), 4 << 20);
        let mut used = Used::default();
        let (half, rest) = bytes.split_at(2 << 20);
        half.chunks(10_000).for_each(|part| used.add(part));
        used.add(&rest[1 << 20..]);
        assert!(resident(bytes) <= 2 << 20);
        drop(used);
        assert!(resident(bytes) <= 1 << 20);
        assert!(bytes == contents);
    }

    #[test]
    fn memory_that_is_no_file_stays() {
        let bytes: &[u8] = vec![7; 1 << 20].leak();
        Used::default().add(bytes);
        assert!(bytes.iter().all(|byte| *byte == 7));
    }
}
