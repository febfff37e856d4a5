//! The profile of a link, where the user wants it: `--trace`, `--trace=FILE`.

use engine::Trace;
use stages::config::Profile;
use stages::report::Problem;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The endings of files that name a format.
const ENDINGS: [&str; 2] = ["json", "html"];

/// What is wrong with the place for a profile, told before linking rather than after.
pub fn check(profile: &Profile) -> Option<Problem> {
    let Profile::File(path) = profile else { return None };
    if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
        return None;
    }
    let problem =
        Problem::error(format!("--trace={}: the file's ending names no known format", path.display()));
    Some(problem.note("there are .json, for Perfetto and Chrome, and .html, a page of its own"))
}

/// Shows or writes what was recorded.
pub fn save(profile: &Profile, trace: &Trace) -> Result<(), Problem> {
    match profile {
        Profile::Off => Ok(()),
        Profile::Table => {
            // Nobody is left to tell if standard error is closed.
            let _ = write!(std::io::stderr().lock(), "{}", trace.table());
            Ok(())
        }
        Profile::File(path) => write_file(path, trace)
            .map_err(|error| Problem::error(format!("--trace={}: {error}", path.display()))),
    }
}

fn write_file(path: &Path, trace: &Trace) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|ending| ending == "html") {
        trace.write_html("manifold", &mut out)?;
    } else {
        trace.write_chrome_json("manifold", &mut out)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_names_the_format() {
        assert_eq!(check(&Profile::Off), None);
        assert_eq!(check(&Profile::Table), None);
        assert_eq!(check(&Profile::File("a/x.json".into())), None);
        assert_eq!(check(&Profile::File("x.html".into())), None);
        assert!(check(&Profile::File("x.txt".into())).is_some());
        assert!(check(&Profile::File("json".into())).is_some());
    }

    #[test]
    fn a_profile_is_written_or_its_file_named() {
        let path = std::env::temp_dir().join(format!("manifold-profile-{}.json", std::process::id()));
        save(&Profile::File(path.clone()), &Trace::default()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("traceEvents"));
        std::fs::remove_file(path).unwrap();
        let problem = save(&Profile::File("/nowhere/x.json".into()), &Trace::default()).unwrap_err();
        assert!(problem.message.starts_with("--trace=/nowhere/x.json: No such file"), "{}", problem.message);
    }
}
