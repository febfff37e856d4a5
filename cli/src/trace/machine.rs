//! What a trace says of the command, its surroundings and the machine.

use crate::help;
use profile::schema::Link;
use stages::config::{BuildId, Config, DebugCompression, OutputKind};
use std::path::Path;
use std::time::SystemTime;

/// The facts about this process and its link.
pub fn facts(config: &Config, threads_by: &str, began: SystemTime, succeeded: bool) -> Link {
    let started = began.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let kind = match config.kind {
        OutputKind::Executable => "executable",
        OutputKind::PositionIndependentExecutable => "pie",
        OutputKind::SharedObject => "shared",
        OutputKind::Relocatable => "relocatable",
    };
    let build_id = match config.build_id {
        BuildId::None | BuildId::Uuid | BuildId::Bytes(_) => "",
        BuildId::Fast => "fast",
        BuildId::Md5 => "md5",
        BuildId::Sha1 => "sha1",
        BuildId::Sha256 => "sha256",
    };
    Link {
        producer: help::VERSION.into(),
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        directory: std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string()),
        output: config.output.display().to_string(),
        kind: kind.into(),
        started,
        process: std::process::id(),
        succeeded,
        threads: config.threads.map_or(1, |threads| u32::try_from(threads.get()).unwrap_or(u32::MAX)),
        threads_by: threads_by.into(),
        processors: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        processor: processor(),
        system: system(),
        file_system: file_system(&config.output),
        gc_sections: config.gc_sections,
        build_id: build_id.into(),
        compressed: config.compress_debug != DebugCompression::None,
    }
}

/// What the first processor calls itself.
fn processor() -> String {
    // The file is long on large machines; its beginning is enough.
    let mut text = [0; 2048];
    let read =
        std::fs::File::open("/proc/cpuinfo").and_then(|mut file| std::io::Read::read(&mut file, &mut text));
    let text = String::from_utf8_lossy(&text[..read.unwrap_or(0)]).into_owned();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or(String::new(), |(_, name)| name.to_string())
}

fn system() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

/// The kind of file system a path is on; its number if it is none of the usual.
fn file_system(output: &Path) -> String {
    let directory = output.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(facts) = rustix::fs::statfs(directory) else { return String::new() };
    match facts.f_type as u64 & 0xffff_ffff {
        0x0102_1994 => "tmpfs".into(),
        0x8584_58f6 => "ramfs".into(),
        0xef53 => "ext4".into(),
        0x5846_5342 => "xfs".into(),
        0x9123_683e => "btrfs".into(),
        0x794c_7630 => "overlayfs".into(),
        0x2fc1_2fc1 => "zfs".into(),
        0x6969 => "nfs".into(),
        0xff53_4d42 | 0xfe53_4d42 => "cifs".into(),
        0x6573_5546 => "fuse".into(),
        0x0102_1997 => "9p".into(),
        other => format!("{other:#x}"),
    }
}
