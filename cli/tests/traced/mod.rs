//! Links whose traces tests look at.

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A directory with inputs in it, removed when dropped.
pub struct Place {
    pub directory: PathBuf,
}

/// A span, as far as tests need it.
#[allow(dead_code, reason = "not all tests need it")]
pub struct Span {
    pub row: usize,
    pub start: u64,
    pub end: u64,
    pub depth: usize,
}

impl Place {
    pub fn new(name: &str) -> Place {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("trace-{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Place { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn run(&self, words: &[&str]) {
        let output = Command::new(words[0]).args(&words[1..]).current_dir(&self.directory).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `a.o` and `b.o` with a template in common, an archive `c.a` of which one member is needed.
    #[allow(dead_code, reason = "not all tests need it")]
    pub fn program(&self) {
        let shared = "template <class T> T twice(T t) { return t + t; }\nextern \"C\" const char *word(int);\nint zeros[1000];\n";
        let a = format!(
            "{}extern \"C\" int main() {{ return twice((int)word(1)[0]) + (int)twice(2.0); }}\n",
            shared.replace("zeros", "zeros_a")
        );
        let b = format!(
            "{}extern \"C\" int unused() {{ return twice(3); }}\nextern \"C\" const char *more() {{ return \"a word that both have\"; }}\n",
            shared.replace("zeros", "zeros_b")
        );
        fs::write(
            self.path("a.cc"),
            a.replace("main() {", "main() { if (word(2)[1] == 'x') return *\"a word that both have\";"),
        )
        .unwrap();
        fs::write(self.path("b.cc"), b).unwrap();
        fs::write(self.path("c.c"), "const char *word(int n) { return &\"some words\"[n]; }\n").unwrap();
        fs::write(self.path("d.c"), "int nobody(void) { return 1; }\n").unwrap();
        for source in ["a.cc", "b.cc"] {
            self.run(&["g++", "-g", "-fPIC", "-ffunction-sections", "-c", source]);
        }
        for source in ["c.c", "d.c"] {
            self.run(&["gcc", "-g", "-fPIC", "-c", source]);
        }
        self.run(&["ar", "rc", "c.a", "c.o", "d.o"]);
    }

    /// A response file of `count` objects with debug information.
    #[allow(dead_code, reason = "not all tests need it")]
    pub fn many(&self, count: usize) {
        let mut source = String::from("struct pair { int first; long second; };\n");
        for n in 0..60 {
            source += &format!(
                "static int helper_{n}(struct pair *p, int argument_{n}) {{ p->second += argument_{n}; return p->first * {n}; }}\n\
                 int __attribute__((weak)) NAME_{n}(struct pair *p) {{ return helper_{n}(p, p->first) + \"text {n} of NAME\"[p->second]; }}\n"
            );
        }
        fs::write(self.path("one.c"), source).unwrap();
        let mut list = String::new();
        // A few different ones, each many times.
        for variant in 0..6 {
            let (define, object) = (format!("-DNAME=v{variant}"), format!("v{variant}.o"));
            self.run(&[
                "gcc",
                "-g3",
                "-O1",
                "-fPIC",
                "-ffunction-sections",
                &define,
                "-c",
                "one.c",
                "-o",
                &object,
            ]);
        }
        for n in 0..count {
            let name = format!("o{n}.o");
            fs::copy(self.path(&format!("v{}.o", n % 6)), self.path(&name)).unwrap();
            list += &name;
            list.push('\n');
        }
        fs::write(self.path("many.rsp"), list).unwrap();
    }

    /// The command, in this directory.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manifold"));
        command.args(arguments).current_dir(&self.directory).env_remove("MANIFOLD_TRACE");
        // A jobserver of the build that runs the tests is not meant for these links.
        command.env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS");
        command
    }

    /// Exit code, standard output, standard error.
    #[allow(dead_code, reason = "not all tests need it")]
    pub fn manifold(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Links and returns the trace.
    pub fn link(&self, options: &[&str]) -> Value {
        let entry = ["--no-fork", "--trace=trace.json", "--unresolved-symbols=ignore-all"];
        let output = self.command(&[&entry[..], options].concat()).output().unwrap();
        let (code, err) = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{options:?}");
        self.read("trace.json")
    }

    /// The trace in a file, once it is there.
    pub fn read(&self, name: &str) -> Value {
        let (path, start) = (self.path(name), Instant::now());
        while !path.exists() {
            assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {name}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        whole["manifold"].clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[allow(dead_code, reason = "not all tests need it")]
pub fn list(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// The sum of a number in all rows of a list.
#[allow(dead_code, reason = "not all tests need it")]
pub fn sum(rows: &Value, key: &str) -> u64 {
    rows.as_array().unwrap().iter().map(|row| number(&row[key])).sum()
}

/// The spans of each worker.
#[allow(dead_code, reason = "not all tests need it")]
pub fn rows(trace: &Value) -> Vec<Vec<Span>> {
    let column = |name: &str| list(&trace["spans"][name]);
    let (after, time, depth) = (column("after"), column("time"), column("depth"));
    let mut row = 0;
    let workers = trace["workers"].as_array().unwrap().iter();
    let lane = |worker: &Value| {
        let mut start = 0;
        let count = number(&worker["spans"]);
        let spans = (0..count).map(|_| {
            start += after[row];
            row += 1;
            Span { row: row - 1, start, end: start + time[row - 1], depth: depth[row - 1] as usize }
        });
        spans.collect()
    };
    workers.map(lane).collect()
}
