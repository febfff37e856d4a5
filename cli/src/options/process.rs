//! How the linker itself runs: threads, processes, memory.

use super::values::number;
use super::{Answer, Area, Opt, Takes, flag, harmless, maybe, value};
use crate::typed::Typed;
use std::num::NonZeroUsize;

pub const AREA: Area = Area { title: "How the linker runs", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    maybe(&["threads"], "N", "Use N threads, or all there are (default)", |t, v| match v {
        Some(count) => threads(t, count),
        None => {
            t.config.threads = None;
            Ok(())
        }
    }),
    value(&["thread-count"], "N", "Use N threads", threads),
    flag(&["no-threads"], "Use one thread", |t| t.config.threads = Some(NonZeroUsize::MIN)),
    harmless(&["thread-count-initial"], Takes::Value("N"), "--threads says it all"),
    harmless(&["thread-count-middle"], Takes::Value("N"), "--threads says it all"),
    harmless(&["thread-count-final"], Takes::Value("N"), "--threads says it all"),
    flag(
        &["fork"],
        "End as soon as the output is written, while a child process tidies up (default if there is much to link)",
        |t| t.fork = Some(true),
    ),
    flag(&["no-fork"], "Do everything in one process", |t| t.fork = Some(false)),
    harmless(&["quick-exit"], Takes::Switch, "memory is given back by the system either way"),
    harmless(&["preload"], Takes::Switch, "it only changes how fast inputs are read"),
    harmless(&["mmap-output-file"], Takes::Switch, "the way the output is written does not show in it"),
    harmless(&["update-in-place"], Takes::Switch, "the way the output is written does not show in it"),
    harmless(&["keep-memory"], Takes::Switch, "memory is used as needed"),
    harmless(&["reduce-memory-overheads"], Takes::Nothing, "memory is used as needed"),
    harmless(&["hash-size"], Takes::Value("N"), "tables grow as needed"),
    harmless(&["max-cache-size"], Takes::Value("SIZE"), "memory is used as needed"),
    harmless(&["map-whole-files"], Takes::Switch, "inputs are always mapped"),
    harmless(&["incremental"], Takes::Switch, "a full link gives the same result"),
    rsp_quoting(),
    Opt {
        names: &["run"],
        takes: Takes::Rest("[--trace=DIR] COMMAND ARG.."),
        text: "Run COMMAND with every linker it starts replaced by this one, and traced into DIR (first on the command line)",
        status: super::Status::Acts(super::Act::Flag(|t| t.error("-run: must be the first option"))),
    },
];

fn threads(t: &mut Typed, count: &[u8]) -> Answer {
    let count = usize::try_from(number(count)?).unwrap_or(usize::MAX);
    t.config.threads = Some(NonZeroUsize::new(count).ok_or("expected a number above 0")?);
    Ok(())
}

const fn rsp_quoting() -> Opt {
    value(&["rsp-quoting"], "posix|windows", "How response files are quoted", |_, v| {
        match super::values::choice(v, &[("posix", true), ("windows", false)])? {
            true => Ok(()),
            false => Err(super::UNSUPPORTED.to_string()),
        }
    })
}
