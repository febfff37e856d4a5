//! Words to options: the grammar of GNU ld's command line.
//!
//! In: [`Words`]. Out: [`Typed`], with every option of the table applied in order and every mistake
//! recorded; parsing goes on after a mistake so that all of them are shown at once.
//!
//! A word that begins with a dash is tried in this order: a long name (behind one dash or two); a letter
//! with its value joined or in the next word; a group of letters without values (`-rs`). Everything else is
//! an input file, and so is everything behind `--`.

use crate::options::{
    Act, Answer, FOREIGN, Found, Index, KEYWORDS, Opt, Status, Takes, UNSUPPORTED, long_names,
};
use crate::reproduce::Spoken;
use crate::typed::Typed;
use crate::words::Words;
use stages::config::InputName;
use stages::report::Problem;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How similar (0 to 1) a name must be to be suggested for a mistyped one.
const SIMILAR_ENOUGH: f64 = 0.85;

/// Reads a command line, without the program's own name.
pub fn parse(arguments: &[OsString]) -> Typed {
    let mut typed = Typed::default();
    match Words::expand(without_flavor(arguments, &mut typed)) {
        Ok(words) => {
            let is_recorded =
                words.iter().any(|word| word.starts_with(b"--repro") || word.starts_with(b"-repro"));
            Parser { index: Index::new(), words, next: 0, is_recorded, typed: &mut typed }.run();
        }
        Err(file) => typed.error(format!("{}: too many response files; does one name itself?", file.0)),
    }
    typed
}

/// Drops a leading `-flavor gnu`, by which the multi-target lld is told to be an `ld`. Another flavor would
/// otherwise read as `-f lavor`.
fn without_flavor<'a>(arguments: &'a [OsString], typed: &mut Typed) -> &'a [OsString] {
    let [first, flavor, rest @ ..] = arguments else { return arguments };
    if first != "-flavor" {
        return arguments;
    }
    if flavor != "gnu" && flavor != "ld" && flavor != "ld.lld" {
        typed.error(format!("-flavor {}: {UNSUPPORTED}; there is gnu", flavor.to_string_lossy()));
    }
    rest
}

struct Parser<'t> {
    index: Index,
    words: Words,
    next: usize,
    /// The command line is to be written down.
    is_recorded: bool,
    typed: &'t mut Typed,
}

impl Parser<'_> {
    fn run(mut self) {
        while let Some(word) = self.word() {
            match word.as_slice() {
                b"--" => break,
                [b'-', b'-', name @ ..] => {
                    if !self.long(&word, name, true) {
                        self.unknown(&word);
                    }
                }
                [b'-', name @ ..] if !name.is_empty() => self.one_dash(&word, name),
                _ => self.input(&word),
            }
        }
        while let Some(word) = self.word() {
            self.input(&word);
        }
    }

    /// The next word, if there is one.
    fn word(&mut self) -> Option<Vec<u8>> {
        let word = self.words.get(self.next)?.to_vec();
        self.next += 1;
        Some(word)
    }

    fn input(&mut self, word: &[u8]) {
        if self.is_recorded {
            self.typed.spoken.push(Spoken::Input(word.to_vec()));
        }
        self.typed.input(InputName::File(PathBuf::from(OsStr::from_bytes(word))));
    }

    fn one_dash(&mut self, word: &[u8], name: &[u8]) {
        if name.len() > 1 && self.long(word, name, false) {
            return;
        }
        let (letter, rest) = (name[0], &name[1..]);
        match self.index.short(letter) {
            Some(option) if !rest.is_empty() && matches!(option.takes, Takes::Value(_)) => {
                self.apply(word, Found { option, on: true }, Some(rest));
            }
            Some(option) if rest.is_empty() => {
                self.apply(word, Found { option, on: true }, None);
            }
            _ => self.group(word, name),
        }
    }

    /// Applies a word as a long name with or without `=VALUE`; false if there is no such name.
    fn long(&mut self, word: &[u8], body: &[u8], two_dashes: bool) -> bool {
        let equals = body.iter().position(|&b| b == b'=').unwrap_or(body.len());
        let Some(found) = self.index.long(&body[..equals], two_dashes) else { return false };
        self.apply(word, found, body.get(equals + 1..));
        true
    }

    /// Applies several letters behind one dash, if none of them takes a value.
    fn group(&mut self, word: &[u8], letters: &[u8]) {
        let options: Option<Vec<&Opt>> = letters
            .iter()
            .map(|letter| self.index.short(*letter).filter(|option| option.takes == Takes::Nothing))
            .collect();
        match options {
            Some(options) => {
                for (option, letter) in options.into_iter().zip(letters) {
                    self.apply(&[b'-', *letter], Found { option, on: true }, None);
                }
            }
            None => self.unknown(word),
        }
    }

    /// Applies an option, taking its value from the next word if it needs one and has none.
    fn apply(&mut self, word: &[u8], found: Found, joined: Option<&[u8]>) {
        let separate;
        let mut shown = String::from_utf8_lossy(word).into_owned();
        let value = match (found.option.takes, joined) {
            (Takes::Nothing | Takes::Switch | Takes::Rest(_), Some(_)) => {
                return self.typed.error(format!("{shown}: this option takes no value"));
            }
            (Takes::Value(_), None) => match self.word() {
                Some(next) => {
                    shown = format!("{shown} {}", String::from_utf8_lossy(&next));
                    separate = next;
                    Some(separate.as_slice())
                }
                None => return self.typed.error(format!("{shown}: missing argument")),
            },
            (_, joined) => joined,
        };
        if self.is_recorded {
            self.typed.spoken.push(Spoken::Option {
                name: found.option.names[0],
                word: word.to_vec(),
                value: value.map(<[u8]>::to_vec),
                is_separate: value.is_some() && joined.is_none(),
            });
        }
        if found.option.names == ["z"] {
            return self.keyword(value.unwrap_or_default());
        }
        self.act(&shown, found, value);
    }

    /// Applies a `-z` keyword.
    fn keyword(&mut self, word: &[u8]) {
        let equals = word.iter().position(|&b| b == b'=').unwrap_or(word.len());
        let shown = format!("-z {}", String::from_utf8_lossy(word));
        let value = word.get(equals + 1..);
        match self.index.keyword(&word[..equals]) {
            Some(found) => match (found.option.takes, value) {
                (Takes::Value(_), None) => self.typed.error(format!("{shown}: missing value")),
                (Takes::Nothing | Takes::Switch, Some(_)) => {
                    self.typed.problems.push(Problem::warning(format!("{shown}: takes no value; ignored")));
                }
                _ => self.act(&shown, found, value),
            },
            None => {
                let mut problem = Problem::warning(format!("{shown}: unknown keyword; ignored"));
                let known = KEYWORDS.iter().flat_map(|option| option.names).copied();
                if let Some(near) = nearest(&String::from_utf8_lossy(&word[..equals]), known) {
                    problem = problem.note(format!("did you mean -z {near}?"));
                }
                self.typed.problems.push(problem);
            }
        }
    }

    /// Does what the table says.
    fn act(&mut self, shown: &str, found: Found, value: Option<&[u8]>) {
        let answer: Answer = match &found.option.status {
            Status::Harmless => Ok(()),
            Status::Rejected | Status::Foreign if !found.on => Ok(()),
            Status::Rejected | Status::Foreign => {
                let is_foreign = matches!(found.option.status, Status::Foreign);
                let why = if is_foreign { FOREIGN } else { UNSUPPORTED };
                let problem = Problem::error(format!("{shown}: {why}"));
                self.typed.problems.push(problem.note(found.option.text));
                Ok(())
            }
            Status::Acts(Act::Flag(act)) => {
                act(self.typed);
                Ok(())
            }
            Status::Acts(Act::Switch(act)) => {
                act(self.typed, found.on);
                Ok(())
            }
            Status::Acts(Act::Value(act)) => act(self.typed, value.unwrap_or_default()),
            Status::Acts(Act::Maybe(act)) => act(self.typed, value),
        };
        if let Err(wrong) = answer {
            self.typed.error(format!("{shown}: {wrong}"));
        }
    }

    fn unknown(&mut self, word: &[u8]) {
        let shown = String::from_utf8_lossy(word);
        let mut problem = Problem::error(format!("unknown option: {shown}"));
        let name = shown.trim_start_matches('-').split('=').next().unwrap_or_default();
        if let Some(near) = nearest(name, long_names()) {
            problem = problem.note(format!("did you mean --{near}?"));
        }
        self.typed.problems.push(problem);
    }
}

/// The known name most like a mistyped or abbreviated one.
fn nearest(name: &str, known: impl Iterator<Item = &'static str> + Clone) -> Option<&'static str> {
    let mut longer = known.clone().filter(|candidate| name.len() > 2 && candidate.starts_with(name));
    longer.next().or_else(|| {
        known
            .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
            .filter(|(likeness, _)| *likeness >= SIMILAR_ENOUGH)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, candidate)| candidate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use stages::config::*;
    use stages::report::Severity;

    fn typed(words: &[&str]) -> Typed {
        parse(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    fn fine(words: &[&str]) -> Config {
        let typed = typed(words);
        assert_eq!(typed.problems, [], "{words:?}");
        typed.config
    }

    fn messages(words: &[&str]) -> Vec<String> {
        typed(words).problems.into_iter().map(|problem| problem.message).collect()
    }

    fn files(config: &Config) -> Vec<String> {
        config.inputs.iter().map(|input| format!("{:?}", input.name)).collect()
    }

    #[test]
    fn one_letter_takes_its_value_joined_or_next() {
        assert_eq!(fine(&["-ofile"]).output, PathBuf::from("file"));
        assert_eq!(fine(&["-o", "file"]).output, PathBuf::from("file"));
        assert_eq!(fine(&["-o", "-x"]).output, PathBuf::from("-x"));
        assert_eq!(fine(&["-u__llvm_profile_runtime"]).undefined, [b"__llvm_profile_runtime"]);
        assert_eq!(fine(&["-h", "a", "-hb"]).soname.as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn long_names_take_one_dash_or_two_and_their_value_joined_or_next() {
        for words in [&["--soname=x"][..], &["-soname=x"], &["--soname", "x"], &["-soname", "x"]] {
            assert_eq!(fine(words).soname.as_deref(), Some(&b"x"[..]), "{words:?}");
        }
        assert!(fine(&["-export-dynamic"]).export_dynamic);
        assert!(!fine(&["-export-dynamic", "-no-export-dynamic"]).export_dynamic);
    }

    #[test]
    fn names_in_o_and_l_need_two_dashes() {
        assert_eq!(fine(&["-omagic"]).output, PathBuf::from("magic"));
        assert_eq!(fine(&["--output", "x"]).output, PathBuf::from("x"));
        assert_eq!(files(&fine(&["-lto"])), [r#"Library([116, 111])"#]);
        assert_eq!(files(&fine(&["--lto=thin", "--lto-O2"])), [""; 0]);
        assert_eq!(files(&fine(&["-library=m"])), files(&fine(&["-lm"])));
    }

    #[test]
    fn a_value_may_hold_anything() {
        let config = fine(&["-plugin-opt=-pass-through=-lgcc", "-L=/lib", "--defsym=a=0x10", "-soname", ""]);
        assert_eq!(config.defsyms, [(b"a".to_vec(), stages::script::Expr::Number(16))]);
        assert_eq!(config.soname, None);
        assert_eq!(fine(&["-ea=b"]).entry.as_deref(), Some(&b"a=b"[..]));
        let metadata = fine(&["--package-metadata={\"type\":\"deb\"}"]).package_metadata;
        assert_eq!(metadata.as_deref(), Some(&b"{\"type\":\"deb\"}"[..]));
    }

    #[test]
    fn an_optional_value_is_never_the_next_word() {
        let config = fine(&["--build-id", "a.o", "--threads", "b.o"]);
        assert_eq!(config.build_id, BuildId::Fast);
        assert_eq!(config.inputs.len(), 2);
        assert_eq!(fine(&["--build-id=0x1234"]).build_id, BuildId::Bytes(vec![0x12, 0x34]));
        assert_eq!(fine(&["--build-id=sha1", "--build-id=none"]).build_id, BuildId::None);
    }

    #[test]
    fn keywords_are_joined_or_next() {
        assert!(fine(&["-znow"]).z.now);
        assert!(fine(&["-z", "now"]).z.now);
        assert!(!fine(&["-z", "now", "-z", "lazy"]).z.now);
        assert!(!fine(&["-znorelro"]).z.relro);
        assert_eq!(fine(&["-z", "max-page-size=0x4000"]).z.max_page_size, Some(0x4000));
        assert_eq!(fine(&["-zstack-size=8388608"]).z.stack_size, 8 << 20);
        assert_eq!(fine(&["-z", "x86-64-v3"]).z.isa_needed, 4);
    }

    #[test]
    fn an_unknown_keyword_is_only_a_warning() {
        for (keyword, note) in [("lazyy", Some("did you mean -z lazy?")), ("q", None), ("now=1", None)] {
            let problems = typed(&["-z", keyword]).problems;
            assert_eq!(problems[0].severity, Severity::Warning, "{keyword}");
            assert_eq!(problems[0].notes.first().map(String::as_str), note, "{keyword}");
        }
        assert_eq!(messages(&["-z", "max-page-size"]), ["-z max-page-size: missing value"]);
        assert_eq!(messages(&["-z", "stack-size=x"]), ["-z stack-size=x: expected a number"]);
    }

    #[test]
    fn an_unknown_option_is_an_error_with_a_suggestion() {
        let problems = typed(&["--export-dyn", "--no-such-thing", "-Bfoo"]).problems;
        assert_eq!(problems[0].message, "unknown option: --export-dyn");
        assert_eq!(problems[0].notes, ["did you mean --export-dynamic?"]);
        assert_eq!(problems[1].message, "unknown option: --no-such-thing");
        assert_eq!(problems[1].notes, [""; 0]);
        assert_eq!(problems[2].message, "unknown option: -Bfoo");
        assert!(problems.iter().all(|problem| problem.severity == Severity::Error));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(messages(&["-o"]), ["-o: missing argument"]);
        assert_eq!(messages(&["--soname"]), ["--soname: missing argument"]);
        assert_eq!(messages(&["--shared=4"]), ["--shared=4: this option takes no value"]);
        assert_eq!(messages(&["--hash-style=x"]), ["--hash-style=x: expected sysv, gnu, both or none"]);
        assert_eq!(messages(&["-m", "elf_i386"]), ["-m elf_i386: no such emulation; there is elf_x86_64"]);
        assert_eq!(messages(&["--threads=0"]), ["--threads=0: expected a number above 0"]);
        assert_eq!(messages(&["--icf=some"]), ["--icf=some: expected none, safe or all"]);
        assert_eq!(
            messages(&["--split-stack-adjust-size=1", "--embedded-relocs"]),
            [
                "--split-stack-adjust-size=1: not supported yet",
                "--embedded-relocs: has no meaning for this target"
            ]
        );
    }

    #[test]
    fn letters_without_values_may_be_grouped() {
        let config = fine(&["-sEx"]);
        assert_eq!((config.strip, config.export_dynamic, config.discard), (Strip::All, true, Discard::All));
        assert_eq!(messages(&["-static-foo"]), ["unknown option: -static-foo"]);
    }

    #[test]
    fn inputs_inherit_what_is_in_force() {
        let words = "a --as-needed -lb --push-state --no-as-needed --whole-archive -Bstatic -lc --pop-state -ld \
                     --start-lib e --push-state --end-lib --pop-state f -Bstatic g -Bdynamic h";
        let config = fine(&words.split_whitespace().collect::<Vec<_>>());
        let shown: Vec<_> = config
            .inputs
            .iter()
            .map(|Input { modifiers: m, .. }| {
                [(m.as_needed, 'n'), (m.whole_archive, 'w'), (m.prefer_static, 's'), (m.start_lib, 'l')]
                    .iter()
                    .filter_map(|(on, letter)| on.then_some(*letter))
                    .collect::<String>()
            })
            .collect();
        assert_eq!(shown, ["", "n", "ws", "n", "nl", "n", "ns", "n"]);
    }

    #[test]
    fn states_and_groups_must_match() {
        for (words, message) in [
            ("--pop-state", "--pop-state without --push-state"),
            ("--end-group", "--end-group without --start-group"),
            ("-( -(", "--start-group inside --start-group"),
            ("--end-lib", "--end-lib without --start-lib"),
            ("--start-lib --start-lib", "--start-lib inside --start-lib"),
        ] {
            assert_eq!(messages(&words.split_whitespace().collect::<Vec<_>>()), [message]);
        }
        assert_eq!(fine(&["-(", "a", "-)", "--start-group", "b", "--end-group"]).inputs.len(), 2);
    }

    #[test]
    fn what_looks_like_no_option_is_a_file() {
        let config = fine(&["a.o", "-", "@nowhere", "--", "-x"]);
        assert_eq!(
            files(&config),
            [r#"File("a.o")"#, r#"File("-")"#, r#"File("@nowhere")"#, r#"File("-x")"#]
        );
    }

    #[test]
    fn a_flavor_in_front_is_dropped() {
        assert_eq!(fine(&["-flavor", "gnu", "a.o"]).inputs.len(), 1);
        let wrong = messages(&["-flavor", "wasm", "a.o"]);
        assert_eq!(wrong, ["-flavor wasm: not supported yet; there is gnu"]);
    }

    #[test]
    fn excluded_libraries_add_up() {
        let libs = |words: &[&str]| fine(words).exclude_libs;
        let named =
            |names: &[&str]| ExcludeLibs::Named(names.iter().map(|n| n.as_bytes().to_vec()).collect());
        assert_eq!(libs(&["--exclude-libs=a,b:c", "--exclude-libs", "d"]), named(&["a", "b", "c", "d"]));
        assert_eq!(libs(&["--exclude-libs=a,ALL", "--exclude-libs=b"]), ExcludeLibs::All);
    }

    #[test]
    fn traces_differ_with_and_without_a_file() {
        let trace = |word: &str| {
            let config = fine(&[word]);
            (config.trace_inputs, config.profile)
        };
        assert_eq!(trace("-t"), (true, Profile::Off));
        assert_eq!(trace("--trace"), (true, Profile::Table));
        assert_eq!(trace("--trace=x.json"), (false, Profile::File("x.json".into())));
    }

    /// Whatever is typed, parsing ends and says what is wrong; it never panics.
    #[test]
    fn nonsense_does_no_harm() {
        let pieces: [&[u8]; 16] = [
            b"-",
            b"--",
            b"z",
            b"o",
            b"no-",
            b"=",
            b"l",
            b"gc-sections",
            b"\xff",
            b"defsym",
            b"0x",
            b"%",
            b"@",
            b"build-id",
            b"thinlto-",
            b" ",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for _ in 0..2_000 {
            let mut word = || {
                let parts = (0..random(5)).map(|_| pieces[random(16) as usize]).collect::<Vec<_>>();
                OsStr::from_bytes(&parts.concat()).to_os_string()
            };
            let words: Vec<OsString> = (0..8).map(|_| word()).collect();
            parse(&words);
        }
    }
}
