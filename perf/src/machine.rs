//! What the machine is on which a result was taken.

use std::fs;
use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

/// A description of the machine and of its state, for whoever reads the result later.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many processors this process may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The kernel's name and version.
    pub kernel: String,
    /// The setting of transparent huge pages.
    pub huge_pages: String,
    /// The load average over the last minute when the comparison began.
    pub load: f64,
}

impl Machine {
    /// Describes this machine. What cannot be found out is left empty: a result is worth having anyway.
    pub fn describe() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
        };
        let kilobytes = after(&read("/proc/meminfo"), "MemTotal").replace(" kB", "");
        Machine {
            processor: after(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes.parse::<u64>().map_or(0, |kilobytes| kilobytes * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            load: load(),
        }
    }
}

/// The load average over the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// The kind of file system `path` is on.
pub fn file_system(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut best = (0, String::new());
    for line in mounts.lines() {
        let mut words = line.split_whitespace().skip(1);
        if let (Some(place), Some(kind)) = (words.next(), words.next())
            && path.starts_with(place)
            && place.len() >= best.0
        {
            best = (place.len(), kind.to_owned());
        }
    }
    best.1
}

/// The word in brackets, which is the setting in force.
fn chosen(setting: &str) -> String {
    let start = setting.find('[').map_or(0, |at| at + 1);
    let end = setting.find(']').unwrap_or(setting.len());
    setting.get(start..end).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_in_force_is_the_one_in_brackets() {
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen(""), "");
    }

    #[test]
    fn this_machine_has_memory_and_a_file_system() {
        assert!(Machine::describe().memory_bytes > 0);
        assert!(!file_system(Path::new("/proc/self")).is_empty());
    }
}
