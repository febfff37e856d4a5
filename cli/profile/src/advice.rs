//! What could make this link faster or smaller, in short sentences with its own numbers.
//!
//! Every rule looks at measured figures and says nothing unless they make it worth saying: a rule that fires on every
//! link is noise. The threshold stands with each rule.

use crate::figures::{self, Figures, output_size, percent, size, time, work};
use crate::schema::{Advice, Profile};

/// Looks at a trace and the sums of its groups, and says something or not.
type Rule = fn(&Profile, &[Figures]) -> Option<Advice>;

/// All advice there is for a link, the weightiest first.
pub fn advise(profile: &Profile) -> Vec<Advice> {
    let groups = figures::of_groups(profile);
    let rules: [Rule; 9] = [
        debug_information,
        duplicates,
        unreferenced,
        unused,
        threads,
        storage,
        build_id,
        compression,
        faults,
    ];
    rules.iter().filter_map(|rule| rule(profile, &groups)).collect()
}

fn advice(about: &str, text: String) -> Option<Advice> {
    Some(Advice { about: about.into(), text })
}

/// Own time of the stages whose name satisfies a condition.
fn busy(profile: &Profile, is_meant: impl Fn(&str) -> bool) -> u64 {
    profile.stages.iter().filter(|stage| is_meant(&stage.name)).map(|stage| stage.busy).sum()
}

/// Whether crates are among the inputs.
fn is_rust(profile: &Profile) -> bool {
    profile.files.iter().any(|file| profile.names[file.path as usize].ends_with(".rlib"))
}

/// The part of an output's writing that a kind of bytes has, as time: filling, hashing and writing cost by the byte.
fn writing_of(profile: &Profile, bytes: u64) -> u64 {
    let writing = busy(profile, |name| matches!(name, "fill" | "digest" | "write"));
    (writing as f64 * percent(bytes, output_size(profile)) / 100.0) as u64
}

/// At least half of the output and 4 MB.
fn debug_information(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let bytes = figures::written(profile)[figures::kind_number("debug")];
    let share = percent(bytes, output_size(profile));
    if bytes < 4_000_000 || share < 50.0 {
        return None;
    }
    let own = busy(profile, |name| name == "merge/debug" || name.starts_with("gdb-index"));
    let spent = percent(own + writing_of(profile, bytes), work(profile));
    let cure = if is_rust(profile) {
        "`debug = \"line-tables-only\"` keeps backtraces, `split-debuginfo = \"unpacked\"` leaves it in the objects"
    } else {
        "-g1 keeps backtraces, -gsplit-dwarf leaves it in files of its own"
    };
    advice(
        "debug",
        format!(
            "Debug information is {share:.0} % of the output ({}) and {spent:.0} % of the work: {cure}.",
            size(bytes)
        ),
    )
}

/// At least a fifth of what was read into pools, and 8 MB.
fn duplicates(profile: &Profile, groups: &[Figures]) -> Option<Advice> {
    let merged: u64 = groups.iter().map(|group| group.dropped[3]).sum();
    let comdat: u64 = groups.iter().map(|group| group.dropped[1]).sum();
    let spent = busy(profile, |name| name.starts_with("merge/"));
    if merged >= 8_000_000 && spent * 20 >= work(profile) {
        let with = if is_rust(profile) {
            "fewer codegen units, or less debug information, make fewer of them"
        } else {
            "type units or less debug information make fewer of them"
        };
        return advice(
            "strings",
            format!(
                "{} of strings and constants came more than once; finding them took {} of work ({:.0} %): {with}.",
                size(merged),
                time(spent),
                percent(spent, work(profile))
            ),
        );
    }
    let read: u64 = groups.iter().map(|group| group.read).sum();
    (comdat >= 8_000_000 && percent(comdat, read) >= 10.0)
        .then(|| {
            advice(
                "templates",
                format!(
                    "{} ({:.0} % of what was read) are functions and data that several objects bring along: explicit \
                     instantiation (`extern template`) compiles and reads them once.",
                    size(comdat),
                    percent(comdat, read)
                ),
            )
        })
        .flatten()
}

/// No --gc-sections, and more than a megabyte of code in an executable.
fn unreferenced(profile: &Profile, groups: &[Figures]) -> Option<Advice> {
    let lost: u64 = groups.iter().map(|group| group.dropped[0]).sum();
    if profile.link.gc_sections && lost >= 16_000_000 && lost > output_size(profile) {
        return advice(
            "gc",
            format!(
                "--gc-sections dropped {}, more than the output has: what reads and compiles it could be left out \
                 (features of crates, parts of libraries).",
                size(lost)
            ),
        );
    }
    None
}

/// Archives of which nothing was taken, if reading them took a fiftieth of the work and 2 ms.
fn unused(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let is_archive = |path: &str| path.ends_with(".a") || path.ends_with(".rlib");
    let is_unused = |n: usize| {
        let file = &profile.files[n];
        file.inputs > 0 && file.linked == 0 && is_archive(&profile.names[file.path as usize])
    };
    let mut idle: Vec<(u64, &str)> = (0..profile.files.len())
        .filter(|n| is_unused(*n))
        .map(|n| (profile.files[n].bytes, profile.names[profile.files[n].path as usize].as_str()))
        .collect();
    let owners = profile.inputs.file.iter().zip(&profile.inputs.time);
    let spent: u64 = owners.filter(|(file, _)| is_unused(**file as usize)).map(|(_, time)| time).sum();
    idle.sort_unstable_by(|a, b| b.cmp(a));
    let (_, first) = idle.first()?;
    if spent < 2_000_000 || spent * 50 < work(profile) {
        return None;
    }
    let bytes: u64 = idle.iter().map(|(bytes, _)| bytes).sum();
    let name = first.rsplit('/').next().unwrap_or(first);
    let others = match idle.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    advice(
        "unused",
        format!(
            "Nothing is used of {name}{others}; reading {} of archives for nothing took {} of work: leave them out.",
            size(bytes),
            time(spent)
        ),
    )
}

/// Fewer threads than processors, in a link of a tenth of a second that would gain.
fn threads(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let link = &profile.link;
    if link.threads >= link.processors || profile.wall < 100_000_000 {
        return None;
    }
    let why = match link.threads_by.as_str() {
        "jobserver" => format!(
            "the build's jobserver left tokens for {} of {} processors",
            link.threads, link.processors
        ),
        "asked" => format!("--threads={} on a machine of {} processors", link.threads, link.processors),
        _ => return None,
    };
    let serial = profile.predictions.iter().find(|p| p.threads >= link.processors);
    let gain =
        serial.map_or(String::new(), |p| format!(" ({} workers would take {})", p.threads, time(p.wall)));
    advice("threads", format!("Work was done by {} at a time: {why}{gain}.", link.threads))
}

/// A fifth of the work is writing to a file system that is none in memory, at less than 1 GB/s.
fn storage(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let writing = busy(profile, |name| name == "write" || name == "commit");
    let bytes = output_size(profile);
    let rate = bytes as f64 / (writing.max(1) as f64);
    let is_memory = matches!(profile.link.file_system.as_str(), "tmpfs" | "ramfs" | "");
    if is_memory || writing < 20_000_000 || writing * 5 < work(profile) || rate > 1.0 {
        return None;
    }
    advice(
        "storage",
        format!(
            "Writing took {} of work ({:.0} %) at {:.0} MB/s: the output is on {}; one in memory (tmpfs) is faster.",
            time(writing),
            percent(writing, work(profile)),
            rate * 1000.0,
            profile.link.file_system
        ),
    )
}

/// A twentieth of the work and 5 ms.
fn build_id(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let spent = busy(profile, |name| name == "digest");
    let style = profile.link.build_id.as_str();
    if style.is_empty() || spent < 5_000_000 || spent * 20 < work(profile) {
        return None;
    }
    advice(
        "build-id",
        format!(
            "Hashing the output for --build-id={style} took {} of work ({:.0} %), as any hash would here: \
             --build-id=none saves it where nobody looks programs up by it.",
            time(spent),
            percent(spent, work(profile))
        ),
    )
}

/// A fifth of the work.
fn compression(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let packing = busy(profile, |name| name == "compress");
    let unpacking = busy(profile, |name| name == "inflate");
    let all = work(profile);
    if packing * 5 >= all && packing > 20_000_000 {
        return advice(
            "compression",
            format!(
                "Compressing debug information took {} of work ({:.0} %): zstd is several times faster than zlib, none is \
                 faster still.",
                time(packing),
                percent(packing, all)
            ),
        );
    }
    if unpacking * 5 >= all && unpacking > 20_000_000 {
        return advice(
            "compression",
            format!(
                "Debug information in the inputs is compressed, and inflating it took {} of work ({:.0} %): compile with -gz=none.",
                time(unpacking),
                percent(unpacking, all)
            ),
        );
    }
    None
}

/// Faults that read from storage: a hundred, in a link of which processors did less than half.
fn faults(profile: &Profile, _: &[Figures]) -> Option<Advice> {
    let usage = &profile.usage;
    let capacity = profile.wall.saturating_mul(u64::from(profile.link.threads.max(1)));
    let worked = usage.user + usage.system;
    if usage.major_faults < 100 || worked * 2 > capacity {
        return None;
    }
    advice(
        "cold",
        format!(
            "{} page faults waited for storage, and processors were at work for {:.0} % of the time: the inputs were not \
             in memory yet. A second link is faster.",
            usage.major_faults,
            percent(worked, capacity)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{File, Output, Portion, Stage};

    fn profile() -> Profile {
        let stage = |name: &str, busy| Stage { name: name.into(), busy, ..Stage::default() };
        let portion = |name: &str, kind: &str| Portion { name: name.into(), kind: kind.into() };
        Profile {
            wall: 500_000_000,
            stages: vec![
                stage("parse", 100_000_000),
                stage("fill", 100_000_000),
                stage("merge/debug", 50_000_000),
            ],
            names: vec!["/lib/libidle.a".into()],
            outputs: vec![Output {
                size: 100_000_000,
                portions: vec![portion(".debug_info", "debug"), portion(".text", "code")],
                portion: vec![0, 1],
                input: vec![0, 0],
                bytes: vec![80_000_000, 20_000_000],
                ..Output::default()
            }],
            ..Profile::default()
        }
    }

    fn abouts(profile: &Profile) -> Vec<String> {
        advise(profile).into_iter().map(|advice| advice.about).collect()
    }

    #[test]
    fn a_link_of_debug_information_hears_about_it() {
        let advice = advise(&profile());
        assert_eq!(
            advice[0].text,
            "Debug information is 80 % of the output (80.0 MB) and 52 % of the work: -g1 keeps backtraces, -gsplit-dwarf \
             leaves it in files of its own."
        );
        assert_eq!(advice.len(), 1);
    }

    #[test]
    fn what_is_not_so_is_not_said() {
        let mut profile = profile();
        profile.outputs[0].bytes = vec![20_000_000, 80_000_000];
        assert_eq!(abouts(&profile), [""; 0]);
        assert_eq!(abouts(&Profile::default()), [""; 0]);
    }

    #[test]
    fn archives_nobody_needs_are_named() {
        let mut profile = profile();
        profile.outputs.clear();
        profile.files = vec![File { path: 0, bytes: 2_000_000, inputs: 1, linked: 0 }];
        let inputs = &mut profile.inputs;
        (inputs.file, inputs.member, inputs.group, inputs.fate) = (vec![0], vec![0], vec![0], vec![1]);
        (inputs.read, inputs.time, inputs.unreferenced) = (vec![2_000_000], vec![8_000_000], vec![0]);
        (inputs.comdat, inputs.folded, inputs.merged, inputs.unwind) = (vec![0], vec![0], vec![0], vec![0]);
        profile.groups = vec![Default::default()];
        assert_eq!(
            advise(&profile)[0].text,
            "Nothing is used of libidle.a; reading 2.0 MB of archives for nothing took 8.0 ms of work: leave them out."
        );
        profile.files[0].linked = 1;
        assert_eq!(abouts(&profile), [""; 0]);
    }

    #[test]
    fn a_build_id_and_a_jobserver_are_named() {
        let mut profile = profile();
        profile.outputs[0].bytes = vec![0, 100_000_000];
        profile.link.build_id = "sha1".into();
        profile.stages.push(Stage { name: "digest".into(), busy: 80_000_000, ..Stage::default() });
        profile.stages[2].busy = 0;
        (profile.link.threads, profile.link.processors) = (1, 8);
        profile.link.threads_by = "jobserver".into();
        assert_eq!(abouts(&profile), ["threads", "build-id"]);
        assert!(advise(&profile)[1].text.contains("took 80.0 ms of work (29 %)"));
    }
}
