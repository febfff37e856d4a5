//! From what was typed to what is meant: the last step before linking.
//!
//! In: [`Typed`], and the little of the environment that counts. Out: a [`Config`] without open questions,
//! or the problems of the command line. Nothing is read here but environment variables and the files of `-c`, which stand for
//! options; finding and reading other files is the work of the link.

use crate::messages::Rules;
use crate::mri;
use crate::options::path;
use crate::reproduce;
use crate::trace;
use crate::typed::Typed;
use stages::config::{
    BuildId, Config, Format, Icf, Input, InputName, Magic, Modifiers, OutputKind, Strip, UnresolvedPolicy,
};
use stages::report::Problem;
use stages::reproduce::Reproduction;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where GNU ld looks for libraries on x86-64 Linux when no `-L` directory has them: the multiarch
/// directories of Debian and its relatives first, then the `lib64` of others, then the common ones.
pub const SYSTEM_DIRECTORIES: &[&[u8]] = &[
    b"=/usr/local/lib/x86_64-linux-gnu",
    b"=/lib/x86_64-linux-gnu",
    b"=/usr/lib/x86_64-linux-gnu",
    b"=/usr/local/lib64",
    b"=/lib64",
    b"=/usr/lib64",
    b"=/usr/local/lib",
    b"=/lib",
    b"=/usr/lib",
];

/// Environment variables that count, so that tests need not set them.
#[derive(Debug, Default)]
pub struct Environment {
    /// `LD_RUN_PATH`: the `-rpath` of a command line without one.
    pub run_path: Option<Vec<u8>>,
    /// The current directory.
    pub directory: PathBuf,
    /// `COLLECT_NO_DEMANGLE`: symbols are shown as they are unless `--demangle` says otherwise. Set by
    /// drivers that demangle what the linker prints.
    pub no_demangle: bool,
}

impl Environment {
    /// What this process was given.
    pub fn of_process() -> Environment {
        Environment {
            run_path: std::env::var_os("LD_RUN_PATH").map(OsString::into_vec),
            directory: std::env::current_dir().unwrap_or_default(),
            no_demangle: std::env::var_os("COLLECT_NO_DEMANGLE").is_some(),
        }
    }
}

/// A command line made ready: what to link, and what was wrong or odd about it.
pub struct Resolved {
    /// What was asked for.
    pub config: Config,
    /// Errors and warnings about the command line.
    pub problems: Vec<Problem>,
    /// How to show these and further problems.
    pub rules: Rules,
}

/// Settles everything that depends on more than one option.
pub fn resolve(mut typed: Typed, environment: Environment) -> Resolved {
    mri::read_all(&mut typed);
    let Typed { mut config, mut problems, .. } = typed;
    if typed.in_group {
        problems.push(Problem::warning("--start-group without --end-group"));
    }
    // A mistyped option explains a missing input better than its absence does.
    if config.inputs.is_empty() && problems.is_empty() {
        problems.push(Problem::error("no input files"));
    }
    if typed.relocatable {
        for (kind, option) in
            [(OutputKind::SharedObject, "-shared"), (OutputKind::PositionIndependentExecutable, "-pie")]
        {
            if config.kind == kind {
                problems.push(Problem::error(format!("-r and {option} contradict each other")));
            }
        }
        config.kind = OutputKind::Relocatable;
    }
    problems.extend(contradictions(&config));
    if config.format == Format::Binary {
        // What only headers lead to, nobody could find.
        config.strip = Strip::All;
        config.build_id = BuildId::None;
        config.package_metadata = None;
        config.gdb_index = false;
    }
    problems.extend(trace::check(&config.profile));

    // -w takes --fatal-warnings back: what is not shown cannot fail a link.
    config.fatal_warnings &= typed.style.warnings;

    let defaults = typed.default_paths.unwrap_or_else(|| {
        SYSTEM_DIRECTORIES.iter().filter(|_| !config.nostdlib).map(|dir| dir.to_vec()).collect()
    });
    let sysroot = config.sysroot.clone();
    let directories = typed.library_paths.iter().chain(&defaults);
    config.library_paths = directories.map(|dir| in_sysroot(dir, sysroot.as_ref())).collect();

    if config.rpath.is_none() {
        config.rpath = environment.run_path.filter(|path| !path.is_empty());
    }

    if config.separate_debug_file.is_some() && config.strip >= Strip::Debug {
        // -s and -S are about the output, which has nothing of it; the other file is there to have it.
        config.strip = Strip::None;
    }
    if config.z.no_section_header {
        // Nobody could find what is not loaded.
        config.strip = Strip::All;
    }

    if let Some(script) = typed.default_script
        && !config.inputs.iter().any(|input| matches!(input.name, InputName::Script(_)))
    {
        config.inputs.push(Input { name: InputName::Script(script), modifiers: Modifiers::default() });
    }

    config.demangle = typed.demangle.unwrap_or(!environment.no_demangle);

    let reported = if typed.warn_unresolved { UnresolvedPolicy::Warn } else { UnresolvedPolicy::Error };
    config.unresolved.in_objects = match typed.unresolved {
        Some(UnresolvedPolicy::Ignore) => UnresolvedPolicy::Ignore,
        _ => reported,
    };
    config.unresolved.in_shared_output =
        typed.unresolved.is_some_and(|told| told != UnresolvedPolicy::Ignore);

    if let Some(root) = config.chroot.clone() {
        move_inputs(&mut config, &root);
    }
    if typed.reproduce.is_some() && !config.remaps.is_empty() {
        let message = "--remap-inputs and --reproduce contradict each other: what is packed has other names";
        problems.push(Problem::error(message));
    }
    config.reproduce = typed.reproduce.map(|file| Reproduction {
        file: file.unwrap_or_else(|| {
            let mut name = config.output.clone().into_os_string();
            name.push(".repro.tar");
            name.into()
        }),
        response: reproduce::response(&typed.spoken, &config, &environment.directory),
        directory: environment.directory,
    });

    let rules =
        Rules { style: typed.style, error_limit: config.error_limit, fatal_warnings: config.fatal_warnings };
    Resolved { config, problems, rules }
}

/// Makes absolute names of inputs mean files below a directory.
fn move_inputs(config: &mut Config, root: &Path) {
    let move_one = |path: &mut PathBuf| {
        if let Ok(rest) = path.strip_prefix("/") {
            *path = root.join(rest);
        }
    };
    for input in &mut config.inputs {
        if let InputName::File(path) | InputName::Script(path) = &mut input.name {
            move_one(path);
        }
    }
    let lists = [
        &mut config.library_paths,
        &mut config.rpath_link,
        &mut config.version_scripts,
        &mut config.dynamic_lists,
        &mut config.export_dynamic_symbol_lists,
    ];
    lists.into_iter().flatten().chain(&mut config.retain_symbols_file).for_each(move_one);
}

/// A library directory with `=` or `$SYSROOT` at its front replaced.
fn in_sysroot(dir: &[u8], sysroot: Option<&PathBuf>) -> PathBuf {
    let Some(rest) = dir.strip_prefix(b"=").or_else(|| dir.strip_prefix(b"$SYSROOT")) else {
        return path(dir);
    };
    let mut whole = sysroot.cloned().unwrap_or_default().into_os_string();
    whole.push(path(rest));
    PathBuf::from(whole)
}

/// Whether there is no file with headers that debug information could be kept in alone.
fn is_flat_or_bare(config: &Config) -> bool {
    config.format == Format::Binary || config.z.no_section_header || config.separate_debug_file.is_some()
}

/// Options that make no sense together.
fn contradictions(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |wrong: bool, message: &str| {
        if wrong {
            problems.push(Problem::error(message));
        }
    };
    check(!config.is_shared() && !config.filters.is_empty(), "-F (--filter) needs -shared");
    check(!config.is_shared() && !config.auxiliaries.is_empty(), "-f (--auxiliary) needs -shared");
    // With a file for debug information -s is about the other file.
    let is_stripped = config.strip == Strip::All && config.separate_debug_file.is_none();
    let has_no_symbols = is_stripped || config.z.no_section_header;
    check(
        config.emit_relocs && has_no_symbols && config.kind != OutputKind::Relocatable,
        "--emit-relocs contradicts -s (--strip-all) and -z nosectionheader: relocations name symbols",
    );
    check(
        config.z.rel && config.z.mark_plt,
        "-z rel contradicts -z mark-plt, which needs addends to say where the PLT is",
    );
    check(
        config.no_define_common && !config.is_shared(),
        "--no-define-common needs -shared: nobody else would define common symbols",
    );
    check(
        config.kind != OutputKind::Relocatable
            && (config.split_by_file.is_some() || config.split_by_reloc.is_some()),
        "--split-by-file and --split-by-reloc need -r",
    );
    check(
        config.only_keep_debug && (config.kind == OutputKind::Relocatable || is_flat_or_bare(config)),
        "--only-keep-debug contradicts -r, --oformat=binary, -z nosectionheader and --separate-debug-file",
    );
    let z = &config.z;
    check(
        z.retpolineplt && (z.ibt || z.ibtplt || z.shstk),
        "-z retpolineplt contradicts -z ibt, -z ibtplt and -z shstk: a shadow stack forbids such entries to return",
    );
    check(
        z.ifunc_noplt && z.text && config.kind != OutputKind::Relocatable,
        "-z ifunc-noplt needs -z notext: the dynamic loader has to write to code",
    );
    check(
        z.retpolineplt && z.mark_plt,
        "-z retpolineplt contradicts -z mark-plt: its jumps cannot be replaced",
    );
    let is_flat = config.format == Format::Binary;
    check(is_flat && config.kind == OutputKind::Relocatable, "-r and --oformat=binary contradict each other");
    check(is_flat && config.emit_relocs, "--emit-relocs and --oformat=binary contradict each other");
    check(
        config.kind == OutputKind::Relocatable && config.gdb_index,
        "-r and --gdb-index contradict each other",
    );
    check(
        config.kind == OutputKind::Relocatable && config.debug_names,
        "-r and --debug-names contradict each other",
    );
    let is_separate = config.separate_debug_file.is_some();
    check(
        config.kind == OutputKind::Relocatable && config.strip == Strip::NonLines,
        "-r and --strip-debug-non-line contradict each other",
    );
    check(
        config.kind == OutputKind::Relocatable && is_separate,
        "-r and --separate-debug-file contradict each other",
    );
    check(
        !config.why_live.is_empty() && !config.gc_sections,
        "--why-live needs --gc-sections: without it everything is live",
    );
    check(
        config.execute_only && (!config.rosegment || config.magic != Magic::Zmagic),
        "--execute-only contradicts --no-rosegment, -n and -N: data would share the segment of code",
    );
    check(is_flat && is_separate, "--oformat=binary and --separate-debug-file contradict each other");
    check(
        config.z.no_section_header && is_separate,
        "-z nosectionheader and --separate-debug-file contradict each other",
    );
    let is_same =
        config.separate_debug_file.as_ref().is_some_and(|path| path.as_ref() == Some(&config.output));
    check(is_same, "--separate-debug-file: is the output itself");
    let ordering = &config.ordering;
    check(
        ordering.symbol_ordering_file.is_some() && ordering.call_graph_ordering_file.is_some(),
        "--symbol-ordering-file and --call-graph-ordering-file may not be used together",
    );
    let is_relocatable = config.kind == OutputKind::Relocatable;
    check(is_relocatable && config.folding.icf != Icf::None, "-r and --icf may not be used together");
    if let (Some(common), Some(max)) = (config.z.common_page_size, config.z.max_page_size) {
        check(common > max, "-z common-page-size: larger than -z max-page-size");
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn resolved(line: &str) -> Resolved {
        let words: Vec<_> = line.split_whitespace().map(Into::into).collect();
        resolve(parse(&words), Environment::default())
    }

    fn config(line: &str) -> Config {
        let Resolved { config, problems, .. } = resolved(&format!("{line} a.o"));
        assert_eq!(problems, [], "{line}");
        config
    }

    fn messages(line: &str) -> Vec<String> {
        resolved(line).problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn an_object_is_no_library() {
        assert_eq!(config("-r").kind, OutputKind::Relocatable);
        assert_eq!(config("-Ur -no-pie").kind, OutputKind::Relocatable);
        assert_eq!(messages("-r -shared a.o"), ["-r and -shared contradict each other"]);
        assert_eq!(messages("-r --gdb-index a.o"), ["-r and --gdb-index contradict each other"]);
        assert_eq!(messages("-pie -r a.o"), ["-r and -pie contradict each other"]);
    }

    #[test]
    fn the_last_kind_of_output_wins() {
        assert_eq!(config("").kind, OutputKind::Executable);
        assert_eq!(config("-shared -pie").kind, OutputKind::PositionIndependentExecutable);
        assert_eq!(config("-pie -shared").kind, OutputKind::SharedObject);
        assert_eq!(config("-shared -no-pie").kind, OutputKind::Executable);
    }

    #[test]
    fn the_sysroot_stands_for_the_equals_sign_wherever_it_is_given() {
        let config = config("-L=/a -L $SYSROOT/b -L/c -Ld=e --sysroot=/root -nostdlib");
        assert_eq!(config.library_paths, ["/root/a", "/root/b", "/c", "d=e"].map(PathBuf::from));
        assert_eq!(self::config("-L=/a -nostdlib").library_paths, [PathBuf::from("/a")]);
    }

    #[test]
    fn system_directories_come_last_unless_replaced() {
        let plain = config("-L/mine --sysroot /r").library_paths;
        assert_eq!(plain[0], PathBuf::from("/mine"));
        assert!(plain.contains(&PathBuf::from("/r/usr/lib")));
        assert_eq!(config("-YP,/x:/y -L/mine").library_paths, ["/mine", "/x", "/y"].map(PathBuf::from));
    }

    #[test]
    fn the_environment_counts_where_the_command_line_says_nothing() {
        let run = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(Into::into).collect();
            let environment =
                Environment { run_path: Some(b"/run".to_vec()), no_demangle: true, ..Environment::default() };
            let config = resolve(parse(&words), environment).config;
            (config.rpath.unwrap(), config.demangle)
        };
        assert_eq!(run("a.o"), (b"/run".to_vec(), false));
        assert_eq!(run("a.o -rpath /x --demangle"), (b"/x".to_vec(), true));
        assert!(config("").demangle);
        assert!(!config("--demangle --no-demangle").demangle);
    }

    #[test]
    fn undefined_symbols_are_reported_as_told() {
        let policy = |line: &str| {
            let config = config(line);
            let unresolved = config.unresolved;
            (unresolved.in_objects, unresolved.in_shared_output, config.allow_shlib_undefined)
        };
        use UnresolvedPolicy::*;
        assert_eq!(policy(""), (Error, false, None));
        assert_eq!(policy("-z defs"), (Error, true, None));
        assert_eq!(policy("-z defs -z undefs"), (Ignore, false, None));
        assert_eq!(policy("-z undefs --no-undefined"), (Error, true, None));
        assert_eq!(policy("--no-undefined --warn-unresolved-symbols"), (Warn, true, None));
        assert_eq!(policy("--warn-unresolved-symbols --error-unresolved-symbols"), (Error, false, None));
        assert_eq!(policy("--unresolved-symbols=ignore-all"), (Ignore, false, Some(true)));
        assert_eq!(policy("--unresolved-symbols=report-all"), (Error, true, Some(false)));
        assert_eq!(policy("--unresolved-symbols=ignore-in-object-files"), (Ignore, false, Some(false)));
        assert_eq!(policy("--unresolved-symbols=ignore-in-shared-libs"), (Error, true, Some(true)));
    }

    #[test]
    fn silence_takes_fatal_warnings_back() {
        assert!(config("--fatal-warnings").fatal_warnings);
        assert!(!config("--fatal-warnings -w").fatal_warnings);
        assert!(!config("-w --fatal-warnings").fatal_warnings);
    }

    #[test]
    fn contradictions_are_reported() {
        assert_eq!(messages(""), ["no input files"]);
        assert_eq!(messages("a.o -F x -f y").len(), 2);
        assert_eq!(messages("a.o -shared -F x -f y"), [""; 0]);
        assert_eq!(messages("a.o -z max-page-size=4096 -z common-page-size=65536").len(), 1);
        assert_eq!(messages("a.o --start-group"), ["--start-group without --end-group"]);
    }
}
