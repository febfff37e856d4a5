//! Traces of real links: that their numbers are true, that nothing that happens to a trace harms its link, and that the
//! commands that read traces do.

mod built;
mod traced;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use traced::{Place, list, number, rows, sum};

/// The sizes of outputs are what their rows say, by input and by kind.
fn assert_accounted(trace: &Value, place: &Place) {
    let outputs = trace["outputs"].as_array().unwrap();
    assert!(!outputs.is_empty());
    for output in outputs {
        let kinds: Vec<&str> =
            output["portions"].as_array().unwrap().iter().map(|p| p["kind"].as_str().unwrap()).collect();
        let rows = list(&output["portion"]).into_iter().zip(list(&output["bytes"]));
        let in_file: u64 =
            rows.filter(|(portion, _)| kinds[*portion as usize] != "bss").map(|(_, n)| n).sum();
        let path = place.path(output["path"].as_str().unwrap());
        assert_eq!(in_file, fs::metadata(&path).unwrap().len(), "{}", path.display());
        assert_eq!(in_file, number(&output["size"]));
    }
}

#[test]
fn every_byte_of_every_kind_of_output_has_an_owner() {
    let place = Place::new("bytes");
    place.program();
    for (name, options) in [
        ("plain", &[][..]),
        ("gc", &["--gc-sections", "--icf=all", "-O2"]),
        ("relocatable", &["-r"]),
        ("shared", &["-shared", "--hash-style=both"]),
        ("separate", &["--separate-debug-file"]),
        ("compressed", &["--compress-debug-sections=zlib"]),
        ("stripped", &["-s"]),
        ("headless", &["-z", "nosectionheader"]),
        ("flat", &["--oformat=binary"]),
        ("kept", &["--emit-relocs", "--gdb-index"]),
    ] {
        let output = format!("out-{name}");
        let trace = place
            .link(&[&["--threads=2", "-e", "main", "-o", &output, "a.o", "b.o", "c.a"], options].concat());
        assert_accounted(&trace, &place);
        let inputs = &trace["inputs"];
        assert_eq!(list(&inputs["file"]).len(), 4, "{name}");
        // The second member of the archive is not needed.
        assert_eq!(list(&inputs["fate"]), [0, 0, 0, 1], "{name}");
        let owned = list(&trace["outputs"][0]["input"]);
        assert!(owned.contains(&1) && owned.contains(&3) && !owned.contains(&4), "{name}");
    }
    let trace = place.link(&["-o", "dropped", "a.o", "b.o", "c.a", "--gc-sections", "-e", "main"]);
    assert!(list(&trace["inputs"]["unreferenced"])[1] > 0, "b.o has a function that nobody calls");
    assert!(list(&trace["inputs"]["comdat"])[1] > 0, "both have the same template");
    assert!(list(&trace["inputs"]["merged"])[1] > 0, "both have the same strings");
}

#[test]
fn times_are_true() {
    let place = Place::new("times");
    place.many(300);
    let trace = place.link(&["--threads=2", "-shared", "-o", "out", "@many.rsp"]);
    let wall = number(&trace["wall"]);
    let kinds = list(&trace["spans"]["kind"]);
    for (worker, spans) in trace["workers"].as_array().unwrap().iter().zip(rows(&trace)) {
        // Spans of one depth are apart, and inside the one around them.
        let mut ends: Vec<u64> = Vec::new();
        let mut around: Vec<(u64, u64)> = Vec::new();
        let (mut covered, mut waited) = (0, 0);
        for span in &spans {
            assert!(span.end <= wall);
            ends.resize(ends.len().max(span.depth + 1), 0);
            assert!(ends[span.depth] <= span.start, "two spans of a worker overlap");
            ends[span.depth] = span.end;
            around.truncate(span.depth);
            if let Some((start, end)) = around.last() {
                assert!(*start <= span.start && span.end <= *end, "a span sticks out of the one around it");
            }
            around.push((span.start, span.end));
            let time = span.end - span.start;
            covered += if span.depth == 0 { time } else { 0 };
            waited += if kinds[span.row] == 1 { time } else { 0 };
        }
        let (busy, idle) = (number(&worker["busy"]), number(&worker["idle"]));
        assert!((busy + idle).abs_diff(wall) * 50 <= wall, "busy and idle make {} of {wall}", busy + idle);
        assert_eq!(busy, covered - waited, "busy is what spans that do not wait cover");
        // From its first span to its last a worker is seen all the time.
        let alive = spans.last().unwrap().end.max(ends[0]) - spans[0].start;
        assert!((alive - covered) * 50 <= wall, "{} of {wall} are in no span", alive - covered);
    }
    let busy: u64 = sum(&trace["workers"], "busy");
    let stages = trace["stages"].as_array().unwrap().iter().filter(|stage| stage["name"] != "(wait)");
    assert_eq!(stages.map(|stage| number(&stage["busy"])).sum::<u64>(), busy);
    let critical: u64 =
        trace["critical"].as_array().unwrap().iter().map(|s| number(&s["end"]) - number(&s["start"])).sum();
    assert_eq!(critical, wall, "the critical path goes from the start to the end");
}

#[test]
fn processor_time_of_stages_is_that_of_the_process() {
    let place = Place::new("processor");
    place.many(600);
    for threads in ["--threads=1", "--threads=2"] {
        let trace = place.link(&[threads, "-shared", "-o", "out", "@many.rsp"]);
        let usage = number(&trace["usage"]["user"]) + number(&trace["usage"]["system"]);
        let stages: u64 = sum(&trace["stages"], "cpu");
        // Counters of the system are exact to a millisecond or so.
        let allowed = usage / 20 + 1_500_000;
        assert!(stages.abs_diff(usage) <= allowed, "{threads}: stages have {stages}, the process {usage}");
        let workers: u64 = sum(&trace["workers"], "cpu");
        assert!(workers.abs_diff(usage) <= allowed, "{threads}: workers have {workers}, the process {usage}");
    }
}

/// Whether spans of two stages run at one time on different workers.
fn overlap(trace: &Value, first: &str, second: &str) -> bool {
    let stages: Vec<&str> =
        trace["stages"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    let of = list(&trace["spans"]["stage"]);
    let lanes = rows(trace);
    let spans = |name: &str| -> Vec<(usize, u64, u64)> {
        let lanes = lanes.iter().enumerate();
        let all = lanes.flat_map(|(lane, spans)| spans.iter().map(move |span| (lane, span)));
        all.filter(|(_, span)| stages[of[span.row] as usize] == name)
            .map(|(lane, s)| (lane, s.start, s.end))
            .collect()
    };
    let others = spans(second);
    spans(first).iter().any(|a| others.iter().any(|b| a.0 != b.0 && a.1 < b.2 && b.1 < a.2))
}

#[test]
fn stages_overlap_as_designed() {
    let place = Place::new("overlap");
    place.many(600);
    // On a busy machine the second worker may come late; it does not always.
    let pairs = [
        ("open", "parse"),
        ("parse", "intern"),
        ("liveness/mark", "merge/debug"),
        ("fill", "write"),
        ("digest", "fill"),
    ];
    let mut missing: Vec<_> = pairs.to_vec();
    for _ in 0..12 {
        let options = ["--threads=2", "-shared", "--gc-sections", "--build-id", "-o", "out", "@many.rsp"];
        let trace = place.link(&options);
        // Whatever the machine does, stages of a flow take turns.
        let stage = |name: &str| {
            trace["stages"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone()
        };
        for (early, late) in [("open", "parse"), ("parse", "intern"), ("fill", "digest"), ("digest", "write")]
        {
            assert!(
                number(&stage(late)["from"]) < number(&stage(early)["to"]),
                "{late} waits for all of {early}"
            );
        }
        missing.retain(|(first, second)| !overlap(&trace, first, second));
        if missing.is_empty() {
            return;
        }
    }
    panic!("these never ran side by side: {missing:?}");
}

#[test]
fn the_schema_has_a_version_and_these_keys() {
    let place = Place::new("schema");
    place.program();
    let trace = place.link(&["-e", "main", "-o", "out", "a.o", "b.o", "c.a"]);
    assert_eq!((trace["format"].as_str(), trace["version"].as_u64()), (Some("manifold-trace"), Some(1)));
    let mut keys: Vec<&str> = trace.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "advice",
            "channels",
            "critical",
            "files",
            "flows",
            "format",
            "groups",
            "inputs",
            "link",
            "names",
            "outputs",
            "phases",
            "predictions",
            "samples",
            "spans",
            "stages",
            "usage",
            "version",
            "wall",
            "workers"
        ],
        "a change of the schema changes its version, or only adds keys here"
    );
    let json = fs::read_to_string(place.path("trace.json")).unwrap();
    let whole: Value = serde_json::from_str(&json).unwrap();
    let events = whole["traceEvents"].as_array().unwrap();
    let has = |phase: &str| events.iter().any(|event| event["ph"] == phase);
    assert!(has("X") && has("M") && has("C") && has("s") && has("f"));
    assert!(events.iter().any(|e| e["name"] == "process_name" && e["args"]["name"] == "link of out"));
}

#[test]
fn commands_read_what_links_write() {
    let place = Place::new("commands");
    place.program();
    place.link(&["-e", "main", "-o", "out", "a.o", "b.o", "c.a"]);
    let (code, table, _) = place.manifold(&["trace", "table", "trace.json"]);
    assert!(code == 0 && table.contains("parse") && table.lines().count() < 40, "{table}");
    let (code, text, _) = place.manifold(&["trace", "whatif", "trace.json", "--threads", "1,2,64"]);
    assert!(
        code == 0 && text.contains("memory bandwidth") && text.lines().any(|l| l.trim().starts_with("64 ")),
        "{text}"
    );
    let (_, json, _) = place.manifold(&["trace", "whatif", "trace.json", "--threads=2", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()[0]["threads"], 2);
    let (code, _, _) = place.manifold(&["trace", "page", "trace.json", "-o", "page.html"]);
    assert_eq!(code, 0);
    // A page is a trace, too; nothing differs from itself.
    let (code, json, _) = place.manifold(&["trace", "diff", "trace.json", "page.html", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["stages"], serde_json::json!([]));
    place.link(&["-e", "main", "-o", "out", "a.o", "b.o"]);
    fs::rename(place.path("trace.json"), place.path("less.json")).unwrap();
    place.link(&["-e", "main", "-o", "out", "a.o", "b.o", "c.a"]);
    let (_, text, _) = place.manifold(&["trace", "diff", "less.json", "trace.json"]);
    assert!(text.contains("c.a") && text.contains("new"), "{text}");
}

#[test]
fn what_is_no_trace_is_refused_by_name() {
    let place = Place::new("refused");
    fs::write(place.path("empty.json"), "").unwrap();
    fs::write(place.path("other.json"), "{\"traceEvents\":[]}").unwrap();
    fs::write(place.path("newer.json"), "{\"manifold\":{\"format\":\"manifold-trace\",\"version\":2}}")
        .unwrap();
    for (file, what) in [
        ("empty.json", "is no trace of manifold, or a damaged one"),
        ("other.json", "is no trace of manifold"),
        ("newer.json", "was written by a newer manifold: its version is 2"),
        ("none.json", "No such file or directory"),
    ] {
        for command in [&["whatif", file][..], &["table", file], &["diff", file, file], &["page", file]] {
            let (code, _, err) = place.manifold(&[&["trace"], command].concat());
            assert_eq!(code, 1);
            assert!(err.starts_with(&format!("manifold: error: trace: {file}: {what}")), "{err}");
        }
    }
    let (code, _, err) = place.manifold(&["trace", "report", "nowhere"]);
    assert!(code == 1 && err.contains("nowhere: No such file"), "{err}");
    let (code, _, err) = place.manifold(&["trace", "whatif"]);
    assert!(code == 1 && err.contains("usage:"), "{err}");
}

#[test]
fn a_trace_that_fails_does_not_fail_its_link() {
    let place = Place::new("failing");
    place.program();
    std::os::unix::fs::symlink("/dev/full", place.path("full.json")).unwrap();
    for option in ["--trace=nowhere/x.json", "--trace=full.json", "--time-trace=/proc/x"] {
        for fork in ["--fork", "--no-fork"] {
            let options = [option, fork, "--fatal-warnings", "-e", "main", "-o", "out", "a.o", "b.o", "c.a"];
            let (code, _, err) = place.manifold(&options);
            assert_eq!(code, 0, "{option}: {err}");
            assert!(err.starts_with("manifold: warning: "), "{option} {fork}: {err}");
            assert!(err.contains(">>> the link itself is not affected"), "{err}");
            assert!(fs::read(place.path("out")).unwrap().starts_with(b"\x7fELF"));
        }
    }
    assert!(
        place
            .manifold(&["--trace=full.json", "-e", "main", "a.o", "b.o", "c.a"])
            .2
            .contains("No space left on device")
    );
    // A directory that vanished.
    let mut link = place.command(&["-e", "main", "-o", "out2", "a.o", "b.o", "c.a"]);
    let output = link.env("MANIFOLD_TRACE", place.path("gone")).output().unwrap();
    assert!(output.status.success() && place.path("out2").exists());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("gone: No such file or directory"), "{err}");
    // A link that fails still leaves its trace.
    let (code, ..) = place.manifold(&["--no-fork", "--trace=failed.json", "-o", "out3", "missing.o"]);
    assert_eq!(code, 1);
    assert_eq!(place.read("failed.json")["link"]["succeeded"], false);
}

#[test]
fn links_at_the_same_time_do_not_meet() {
    let place = Place::new("parallel");
    place.program();
    fs::create_dir(place.path("traces")).unwrap();
    let start = |n: usize| {
        let output = format!("dir{n}-out");
        let options = ["-e", "main", "--trace=same.json", "-o", &output, "a.o", "b.o", "c.a"];
        let mut command = place.command(&options);
        command.env("MANIFOLD_TRACE", place.path("traces")).stderr(Stdio::piped()).spawn().unwrap()
    };
    let links: Vec<_> = (0..8).map(start).collect();
    for link in links {
        let output = link.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
    }
    let (code, text, err) = place.manifold(&["trace", "report", "traces"]);
    assert!(code == 0 && text.starts_with("8 links"), "{text}{err}");
    assert_eq!(place.read("same.json")["link"]["succeeded"], true);
    let left = fs::read_dir(&place.directory)
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
    // One trace is damaged, one comes from the future: both are named, the others count.
    let mut files: Vec<_> = fs::read_dir(place.path("traces"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    fs::write(&files[0], "{").unwrap();
    fs::write(&files[1], "{\"manifold\":{\"format\":\"manifold-trace\",\"version\":9}}").unwrap();
    let (code, text, err) = place.manifold(&["trace", "report", "traces"]);
    assert!(code == 0 && text.starts_with("6 links"), "{text}");
    assert!(
        err.contains("damaged one") && err.contains("newer manifold") && err.lines().count() == 2,
        "{err}"
    );
}

/// A workspace with a build script and a procedural macro: four links of three kinds.
fn cargo_project(place: &Place) {
    let write = |path: &str, text: &str| {
        let path = place.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("project/Cargo.toml", "[workspace]\nmembers = [\"app\", \"mac\"]\nresolver = \"3\"\n");
    write(
        "project/mac/Cargo.toml",
        "[package]\nname = \"mac\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nproc-macro = true\n",
    );
    write(
        "project/mac/src/lib.rs",
        "#[proc_macro]\npub fn answer(_: proc_macro::TokenStream) -> proc_macro::TokenStream { \"42\".parse().unwrap() }\n",
    );
    write(
        "project/app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nmac = { path = \"../mac\" }\n",
    );
    write("project/app/build.rs", "fn main() { println!(\"cargo:rustc-env=WORD=built\"); }\n");
    write("project/app/src/main.rs", "fn main() { println!(\"{} {}\", env!(\"WORD\"), mac::answer!()); }\n");
}

#[test]
fn a_cargo_build_reports_all_its_links() {
    let place = Place::new("cargo");
    cargo_project(&place);
    // The library that -run preloads stands beside the command.
    let manifold = built::built("manifold");
    assert!(Path::new(&built::built("libmanifold_run.so")).exists());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut run = Command::new(&manifold);
    run.arg("-run").arg(format!("--trace={}", place.path("traces").display())).arg(cargo);
    run.args(["build", "--quiet", "--offline"]).current_dir(place.path("project"));
    run.env("CARGO_TARGET_DIR", place.path("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = Command::new(place.path("target/debug/app")).output().unwrap();
    assert_eq!(told.stdout, b"built 42\n");
    let (code, text, err) = place.manifold(&["trace", "report", "traces"]);
    assert_eq!((code, err.as_str()), (0, ""));
    // The build script, the macro and the program.
    assert!(text.starts_with("3 links"), "{text}");
    let page = fs::read_to_string(place.path("traces/index.html")).unwrap();
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let build = serde_json::from_str::<Value>(data).unwrap()["manifold"]["build"].clone();
    let (mut walls, mut busy, mut bytes) = (0, 0, 0);
    for entry in fs::read_dir(place.path("traces")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("link-") && name.ends_with(".json") {
            let trace = place.read(&format!("traces/{name}"));
            walls += number(&trace["wall"]);
            let stages = trace["stages"].as_array().unwrap().iter().filter(|s| s["name"] != "(wait)");
            busy += stages.map(|s| number(&s["busy"])).sum::<u64>();
            bytes += trace["outputs"].as_array().unwrap().iter().map(|o| number(&o["size"])).sum::<u64>();
        }
    }
    assert_eq!(number(&build["link_time"]), walls);
    assert_eq!(build["stages"].as_array().unwrap().iter().map(|s| number(&s[1])).sum::<u64>(), busy);
    assert_eq!(sum(&build["links"], "size"), bytes);
    // Seconds since 1970 have a resolution of some hundred nanoseconds.
    assert!(number(&build["covered"]) <= walls + 10_000);
    let command = &build["commands"][0];
    let time = command["ended"].as_f64().unwrap() - command["started"].as_f64().unwrap();
    assert!(time * 1e9 > number(&build["covered"]) as f64, "links are a part of the build");
}
