//! The table itself: it is consistent, and every option in it is understood in every spelling.

mod document;
mod drivers;

use super::*;
use crate::parse::parse;
use stages::report::{Problem, Severity};
use std::collections::HashSet;
use std::ffi::OsString;

/// A value an option should take, for each alternative its help names.
fn examples(what: &str) -> Vec<&str> {
    what.split('|')
        .map(|word| match word {
            "0xHEX" => "0x12ab",
            "N" | "LEVEL" | "SIZE" | "COUNT" | "SEED" => "8",
            "HEX" | "ADDRESS" => "0x400000",
            "SECTION=HEX" => ".x=1000",
            "SYMBOL=EXPR" => "a=b",
            "GLOB=N" => ".debug*=1",
            "GLOB=FORMAT" => "extra*=zstd:3",
            "GLOB=SEED" => ".text*=8",
            "EMULATION" => "elf_x86_64",
            "DIR" => "/",
            "zstd[:LEVEL]" => "zstd:3",
            _ => word,
        })
        .collect()
}

fn problems(words: &[&str]) -> Vec<Problem> {
    let words: Vec<OsString> = words.iter().map(Into::into).collect();
    parse(&words).problems
}

/// Whether a message says that an option is understood and yet not done.
fn is_refusal(message: &str) -> bool {
    message.ends_with(UNSUPPORTED) || message.ends_with(FOREIGN)
}

/// Asserts that an option is understood: done, ignored in silence, or refused by name as not supported.
fn understood(option: &Opt, on: bool, words: &[&str]) {
    let problems = problems(words);
    let refused = |p: &Problem| p.severity == Severity::Error && is_refusal(&p.message);
    match option.status {
        Status::Rejected | Status::Foreign if on => {
            let [problem] = problems.as_slice() else { panic!("{words:?}: {problems:?}") };
            assert!(refused(problem), "{words:?}: {problem:?}");
            assert!(problem.message.starts_with(words[0]), "{words:?}: {problem:?}");
        }
        // Options that act may refuse single values whose feature is not built.
        Status::Acts(_) if words.len() > 1 || words[0].contains('=') || words[0].len() > 2 => {
            assert!(problems.iter().all(refused), "{words:?}: {problems:?}");
        }
        _ => assert_eq!(problems, [], "{words:?}"),
    }
}

/// Words that must stand before an option for it to make sense.
fn before(name: &str) -> Option<&'static str> {
    match name {
        "pop-state" => Some("--push-state"),
        ")" | "end-group" => Some("--start-group"),
        "end-lib" => Some("--start-lib"),
        _ => None,
    }
}

#[test]
fn every_option_is_understood_in_every_spelling() {
    for option in AREAS.iter().flat_map(|area| area.options) {
        for name in option.names.iter().filter(|name| !matches!(**name, "run" | "z")) {
            let name = name.replace('*', "x");
            if let Some(first) = before(&name) {
                let dashes = if name.len() == 1 { "-" } else { "--" };
                assert_eq!(problems(&[first, &format!("{dashes}{name}")]), []);
                continue;
            }
            let short = name.len() == 1;
            let spellings: &[&str] = match (short, needs_two_dashes(&name) || name.contains("-x")) {
                (true, _) => &["-"],
                (false, true) => &["--"],
                (false, false) => &["-", "--"],
            };
            for dashes in spellings {
                let plain = format!("{dashes}{name}");
                match option.takes {
                    Takes::Nothing | Takes::Rest(_) => understood(option, true, &[&plain]),
                    Takes::Switch => {
                        understood(option, true, &[&plain]);
                        understood(option, false, &[&format!("{dashes}no-{name}")]);
                    }
                    Takes::Value(what) => {
                        for value in examples(what) {
                            understood(option, true, &[&plain, value]);
                            let joined = if short { value.to_string() } else { format!("={value}") };
                            understood(option, true, &[&format!("{plain}{joined}")]);
                        }
                    }
                    Takes::Maybe(what) => {
                        understood(option, true, &[&plain]);
                        for value in examples(what) {
                            understood(option, true, &[&format!("{plain}={value}")]);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_keyword_is_understood_in_every_spelling() {
    for option in KEYWORDS {
        for name in option.names {
            let words = match option.takes {
                Takes::Nothing => vec![(true, name.to_string())],
                Takes::Switch => vec![(true, name.to_string()), (false, format!("no{name}"))],
                Takes::Value(what) => {
                    examples(what).iter().map(|value| (true, format!("{name}={value}"))).collect()
                }
                Takes::Maybe(_) | Takes::Rest(_) => panic!("-z {name}: no such keywords"),
            };
            for (on, word) in words {
                for words in [vec!["-z", &word], vec![format!("-z{word}").as_str()]] {
                    let problems = problems(&words);
                    let rejected = matches!(option.status, Status::Rejected | Status::Foreign) && on;
                    let is_ours = |p: &Problem| p.message.starts_with(&format!("-z {word}: "));
                    assert!(problems.iter().all(|p| is_ours(p) && is_refusal(&p.message)));
                    assert!(!rejected || problems.len() == 1, "{words:?}: {problems:?}");
                    let harmless = matches!(option.status, Status::Harmless);
                    assert!(!harmless || problems.is_empty(), "{words:?}: {problems:?}");
                }
            }
        }
    }
}

#[test]
fn names_are_unique_and_entries_hang_together() {
    for (options, no) in
        [(AREAS.iter().flat_map(|a| a.options).collect::<Vec<_>>(), "no-"), (KEYWORDS.iter().collect(), "no")]
    {
        let mut names = HashSet::new();
        for option in options {
            assert!(!option.text.is_empty() && !option.text.ends_with('.'), "{:?}", option.names);
            for name in option.names {
                assert!(names.insert(name.to_string()), "{name}");
                assert!(option.takes != Takes::Switch || names.insert(format!("{no}{name}")), "no {name}");
            }
            let agree = match (&option.status, option.takes) {
                (Status::Acts(Act::Flag(_)), takes) => matches!(takes, Takes::Nothing | Takes::Rest(_)),
                (Status::Acts(Act::Switch(_)), takes) => takes == Takes::Switch,
                (Status::Acts(Act::Value(_)), takes) => matches!(takes, Takes::Value(_)),
                (Status::Acts(Act::Maybe(_)), takes) => matches!(takes, Takes::Maybe(_)),
                (Status::Harmless | Status::Rejected | Status::Foreign, _) => true,
            };
            assert!(agree, "{:?}", option.names);
        }
    }
}

/// What compilers and build systems pass, found by asking them; see also `tests/drivers.rs`.
#[test]
fn words_of_the_trade_are_known() {
    let words = "-m elf_x86_64 -L. -lm -l:libm.a -rpath x -rpath-link x -soname x -h x -dynamic-linker x -I x \
        --no-dynamic-linker --sysroot=/ -static -Bstatic -Bdynamic -dn -dy -non_shared -call_shared -shared -pie \
        -no-pie -e x -u x -s -S -x -X -g --build-id --build-id=sha1 --eh-frame-hdr --hash-style=gnu --as-needed \
        --no-as-needed --push-state --pop-state --whole-archive --no-whole-archive -( -) --start-lib --end-lib \
        -plugin x -plugin-opt=-x --enable-new-dtags --disable-new-dtags --gc-sections --no-gc-sections \
        --print-gc-sections -O0 -O1 -O2 -O3 --sort-common --no-undefined --allow-shlib-undefined \
        --no-undefined-version --undefined-version --version-script=x --dynamic-list=x --export-dynamic -E \
        --export-dynamic-symbol=x --export-dynamic-symbol-list=x --exclude-libs=ALL --retain-symbols-file=x \
        -Bsymbolic -Bsymbolic-functions -Bsymbolic-non-weak -Bsymbolic-non-weak-functions --wrap=x --defsym=x=1 \
        --undefined=x --require-defined=x --unresolved-symbols=ignore-all --icf=none --icf=all --icf=safe --print-icf-sections \
        --compress-debug-sections=none --strip-all --strip-debug --discard-all --discard-locals --discard-none \
        -t --trace -y x --trace-symbol=x --dependency-file=x --package-metadata={} --error-execstack \
        --error-rwx-segments --warn-common --warn-once --fatal-warnings --no-warnings -w --color-diagnostics \
        --color-diagnostics=never --demangle --no-demangle --error-limit=0 --verbose -v -V --threads \
        --threads=4 --thread-count=4 --no-threads --thinlto-cache-dir=x --thinlto-jobs=all --thinlto-index-only=x \
        --thinlto-cache-policy=x --lto-O2 --lto-CGO3 --fat-lto-objects --no-fat-lto-objects \
        --pack-dyn-relocs=relr --fix-cortex-a53-843419 --image-base=0x200000 -Ttext=0 -Ttext-segment=0 -Tdata=0 \
        --section-start=.x=0 --be8 -EL --no-rosegment --no-call-graph-profile-sort -mllvm -x -flto -flto=auto \
        -flto-partition=none -fuse-ld=lld -d -dc -dp -nopie --no-warn-mismatch -z now -z lazy -z relro \
        -z norelro -z text -z notext -z defs -z undefs -z origin -z nodelete -z nodlopen -z initfirst \
        -z interpose -z nodump -z global -z execstack -z noexecstack -z max-page-size=16384 \
        -z common-page-size=4096 -z stack-size=0 -z separate-code -z noseparate-code \
        -z separate-loadable-segments -z combreloc -z muldefs -z nocopyreloc -z pack-relative-relocs -z ibt \
        -z shstk -z cet-report=warning -z force-ibt -z force-bti -z bti-report=none -z pac-plt -z gcs=never \
        -z x86-64-v2 -z x86-64-v3 -z x86-64-v4 -z keep-text-section-prefix -z start-stop-gc \
        -z start-stop-visibility=hidden -z rodynamic -z nosectionheader -z dynamic-undefined-weak -z nognustack \
        -T x -Map=x -M --print-map --cref --compress-debug-sections=zstd --emit-relocs -q --just-symbols=x -b binary --oformat=binary -N -n --print-symbol-counts=x --gdb-index --separate-debug-file";
    assert_eq!(problems(&words.split_whitespace().collect::<Vec<_>>()), []);
    let refused = "--split-stack-adjust-size 1 --embedded-relocs";
    let problems = problems(&refused.split_whitespace().collect::<Vec<_>>());
    assert!(problems.iter().all(|p| is_refusal(&p.message)), "{problems:?}");
    assert_eq!(problems.len(), 2);
}
