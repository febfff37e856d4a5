//! Link-time optimisation: has plugins of compilers make machine code of intermediate code.
//!
//! ```text
//!     ingest --> claim --> seal . select --> compile --> ingest again, with the code in the place of what it was made of
//! ```
//!
//! Flow 1 sets aside what looks like intermediate code: LLVM bitcode by its magic number, objects by their sections
//! (`.gnu.lto_*`, `.llvm.lto`). If there is any, and a plugin is given (`-plugin`), the plugin is loaded and offered these
//! files, in command-line order. A file it claims is replaced by a [stand-in](stand_in): an object with the symbols the
//! plugin tells of and no code. Then the link goes on as far as the selection, which so knows archives, COMDAT groups,
//! versions, `--wrap` and visibility as ever; from it follows [how each symbol is resolved](resolve). The plugin compiles
//! with that knowledge and names the objects it has made.
//!
//! The link then starts over with these objects. They have the place of the first claimed file that takes part, so that
//! they stand between `crtbegin.o` and `crtend.o` like what they replace; claimed files are empty; archive members that
//! took part do so again; files that the compiled code alone needs (functions the compiler calls by itself) are found as
//! in any link. Starting over costs a small part of what compiling costs, and leaves nothing that must be undone.
//!
//! Without intermediate code no plugin is loaded: compilers pass `-plugin` whenever they link. If none of the claimed files
//! takes part (a library of such objects was only searched) nothing is compiled and the link goes on as it is.
//!
//! GCC's plugin takes for granted that what it has claimed takes part, as it does in linkers that offer an archive member
//! when they extract it: constructors of members that stay out would run. So where members stay out it is unloaded,
//! loaded anew and offered those that are in. LLVM's asks (LDPT_GET_SYMBOLS_V3).
//!
//! Not here: what C sees of it ([`abi`], [`host`], [`message`]), what becomes of a plugin that crashes ([`crash`]).
//!
//! Invariants
//! - Files are opened in the same order both times, so the rank a file had the first time tells which it is.
//! - Files are offered by rank, one at a time: what the plugin is told does not depend on threads.

mod abi;
pub mod crash;
mod host;
mod leftovers;
mod message;
mod resolve;
mod sections;
mod stand_in;

pub use leftovers::remove as remove_leftovers;
pub use resolve::Resolved;

use crate::config::{Config, Input, InputName, Modifiers, OutputKind, Plugin};
use crate::context::Cx;
use crate::elf::identify::{FileKind, identify};
use crate::intern::Symbols;
use crate::model::{Inputs, Object, Origin, Role};
use crate::open::{map_file, reason};
use crate::parse::{MappedInput, is_slim};
use crate::report::{Failed, Problem, Problems};
use crate::select::{self, Provided, Selection};
use abi::{level, output};
use host::{Added, Answer, Claim, Offer};
use resolve::ClaimedFile;
use stand_in::stand_in;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Intermediate code set aside by flow 1.
#[derive(Debug, Default)]
pub struct Candidates(Mutex<Vec<Candidate>>);

/// An input that may be for a plugin.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    input: MappedInput,
    /// Without a plugin it is of no use.
    is_slim: bool,
}

impl Candidates {
    /// Takes note of bitcode; true if the file is that, and so no object to be parsed.
    pub fn take_bitcode(&self, input: &MappedInput) -> bool {
        let is_bitcode = input.role == Role::Intermediate && identify(input.data) == FileKind::LlvmBitcode;
        if is_bitcode {
            self.push(Candidate { input: *input, is_slim: true });
        }
        is_bitcode
    }

    /// Takes note of an object with intermediate code beside machine code or instead of it.
    pub fn take_object(&self, input: &MappedInput, object: &Object) {
        self.push(Candidate { input: *input, is_slim: is_slim(object) });
    }

    fn push(&self, candidate: Candidate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(candidate);
    }
}

/// Files that plugins have claimed.
#[derive(Debug)]
pub struct Session {
    /// Every file that was offered; by whom it was claimed, if it was.
    offered: Vec<(Candidate, Option<Claim>)>,
}

impl Session {
    /// Whether any of the claimed files takes part; else the link goes on as it is.
    pub fn is_needed(&self, selection: &Selection) -> bool {
        let is_live = |candidate: &Candidate| selection.live[candidate.input.id.index()];
        self.offered.iter().any(|(candidate, symbols)| symbols.is_some() && is_live(candidate))
    }
}

/// Offers candidates to the plugins. Out: what was claimed, if anything, and the stand-ins to parse in its place.
///
/// # Errors
/// The proof that problems were reported.
pub fn claim(cx: &Cx, candidates: Candidates) -> Result<Option<(Session, Vec<MappedInput>)>, Failed> {
    let mut candidates = candidates.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    if candidates.is_empty() {
        return Ok(None);
    }
    candidates.sort_by_key(|candidate| candidate.input.id);
    let plugins = plugins(cx)?;
    if plugins.is_empty() {
        for candidate in candidates.iter().filter(|candidate| candidate.is_slim) {
            cx.problems.push(unusable(&candidate.input, false));
        }
        cx.problems.checkpoint()?;
        return Ok(None);
    }
    let offers: Vec<Offer> = candidates.iter().map(|candidate| offer(&candidate.input)).collect();
    let talk = introduce(cx.config, plugins, offers);
    let claimed = cx.pool.serial("plugin/claim", || host::talk(talk));
    pass_on_messages(cx, &candidates);
    let Some(claimed) = claimed.flatten() else { return Err(Failed) };
    let offered: Vec<_> = candidates.into_iter().zip(claimed).collect();
    let mut stand_ins = Vec::new();
    for (candidate, symbols) in &offered {
        match symbols {
            Some((_, symbols)) => stand_ins.push(MappedInput {
                data: stand_in(symbols),
                role: Role::Intermediate,
                ..candidate.input
            }),
            None if candidate.is_slim => cx.problems.push(unusable(&candidate.input, true)),
            None => {}
        }
    }
    cx.problems.checkpoint()?;
    Ok((!stand_ins.is_empty()).then_some((Session { offered }, stand_ins)))
}

/// The plugins of the command line with all they are to be told.
fn plugins(cx: &Cx) -> Result<Vec<Plugin>, Failed> {
    let mut plugins = cx.config.lto.plugins.clone();
    let Some(plugin) = plugins.iter_mut().find(|plugin| !plugin.is_of_gcc()) else { return Ok(plugins) };
    for word in &cx.config.lto.words {
        match &word.option {
            Some(option) => plugin.options.push(option.clone()),
            None => cx.problems.push(
                Problem::error(format!("{}: not supported", word.shown))
                    .note(format!("{} has no such option", plugin.path.display())),
            ),
        }
    }
    cx.problems.checkpoint()?;
    Ok(plugins)
}

/// A conversation: plugins are loaded and offered files. Says what they claim, `None` if one cannot be loaded.
fn introduce(
    config: &Config,
    plugins: Vec<Plugin>,
    offers: Vec<Offer>,
) -> impl FnOnce() -> Option<Vec<Option<Claim>>> + Send + 'static {
    let kind = match config.kind {
        OutputKind::Relocatable => output::REL,
        OutputKind::Executable => output::EXEC,
        OutputKind::SharedObject => output::DYN,
        OutputKind::PositionIndependentExecutable => output::PIE,
    };
    let (target, wraps) = (config.output.clone(), config.wraps.clone());
    move || {
        for plugin in &plugins {
            if let Err(what) = host::load(plugin, kind, &target, &wraps) {
                let name = plugin.path.display();
                host::said(level::ERROR, &format!("cannot load plugin {name}: {what}"));
                return None;
            }
        }
        Some(host::offer(offers))
    }
}

fn offer(input: &MappedInput) -> Offer {
    let (path, offset) = (input.container.path, input.container.offset);
    Offer { origin: input.origin, path, offset, data: input.data, rank: input.id.0 }
}

/// The error for intermediate code that nobody compiles.
fn unusable(input: &MappedInput, has_plugin: bool) -> Problem {
    let is_bitcode = input.role == Role::Intermediate;
    let what = if is_bitcode { "LLVM bitcode" } else { "GCC LTO code" };
    let origin = &input.origin;
    let problem = if has_plugin {
        Problem::error(format!("{origin}: holds only {what}, which the plugin given does not understand"))
    } else {
        Problem::error(format!(
            "{origin}: holds only {what} for link-time optimisation, and there is no plugin"
        ))
    };
    let (plugin, driver) = if is_bitcode { ("LLVMgold.so", "clang") } else { ("liblto_plugin.so", "gcc") };
    problem
        .note(format!("link with {driver}, or give its plugin: -plugin .../{plugin}"))
        .note("or recompile it with -fno-lto or -ffat-lto-objects")
        .at(input.id.0, 0)
}

/// Shows what plugins said, each at the place of the file it is about.
fn pass_on_messages(cx: &Cx, candidates: &[Candidate]) {
    let origins: HashMap<u32, Origin> =
        candidates.iter().map(|candidate| (candidate.input.id.0, candidate.input.origin)).collect();
    for (number, message) in host::take_messages().into_iter().enumerate() {
        let origin = message.rank.and_then(|rank| origins.get(&rank));
        let text = match origin {
            Some(origin) => format!("{origin}: {}", message.text),
            None => message.text,
        };
        let rank = message.rank.unwrap_or(u32::MAX);
        match message.level {
            level::INFO => cx.problems.say(text),
            level::WARNING => cx.problems.push(Problem::warning(text).at(rank, number as u64)),
            _ => cx.problems.push(Problem::error(text).at(rank, number as u64)),
        }
    }
}

/// What the link starts over with.
#[derive(Debug)]
pub struct Compiled {
    /// By the rank a file had: what it is now. Others are what they were.
    fates: HashMap<u32, Fate>,
    /// By the rank a file had: it took part.
    live: Vec<bool>,
    /// The rank of the file in front of which the objects stand.
    place: u32,
    /// The objects the plugins made.
    objects: Vec<(&'static Path, &'static [u8])>,
    /// Options as they are from now on.
    config: Config,
}

/// What became of a claimed file.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Its code is in the compiled objects.
    Compiled,
    /// It took no part, and has nothing else to offer: whoever needs it now is told so.
    TooLate(&'static [u8]),
}

/// Has the plugins compile what they have claimed.
///
/// # Errors
/// The proof that problems were reported.
pub fn compile(cx: &Cx, session: &Session, resolved: &Resolved) -> Result<Compiled, Failed> {
    let selection = resolved.selection;
    let files = session.offered.iter();
    let live = |candidate: &Candidate| selection.live[candidate.input.id.index()];
    let claimed = files.clone().filter_map(|(candidate, claim)| {
        let (plugin, symbols) = claim.as_ref()?;
        Some(ClaimedFile { file: candidate.input.id, plugin: *plugin, symbols })
    });
    let mut answers = resolve::answers(cx, resolved, &claimed.collect::<Vec<_>>()).into_iter();
    // A file that was offered and not claimed has a handle, too.
    let mut all: Vec<Answer> = files
        .clone()
        .map(|(_, symbols)| symbols.as_ref().and_then(|_| answers.next()).unwrap_or(Answer::NotIncluded))
        .collect();
    let mut anew = None;
    let plugins = plugins(cx)?;
    if plugins.iter().all(Plugin::is_of_gcc) && all.contains(&Answer::NotIncluded) {
        // GCC's plugin takes for granted that what it has claimed takes part: constructors of members that stay out
        // would run. So it is offered what is in, and nothing else.
        let offers = files.clone().filter(|(candidate, _)| live(candidate));
        anew = Some(introduce(cx.config, plugins, offers.map(|(c, _)| offer(&c.input)).collect()));
        all.retain(|answer| *answer != Answer::NotIncluded);
    }
    // A compiler runs jobs of its own, and may run long.
    engine::jobserver::give_back();
    let compile = move || {
        if let Some(introduce) = anew {
            host::unload();
            introduce();
        }
        host::compile(all)
    };
    let added = cx.pool.serial("plugin/compile", || host::talk(compile));
    let candidates: Vec<Candidate> = files.map(|(candidate, _)| *candidate).collect();
    pass_on_messages(cx, &candidates);
    cx.problems.checkpoint()?;
    let added = added.ok_or(Failed)?;
    let objects = open_added(cx, &added)?;

    let mut fates = HashMap::new();
    let mut place = u32::MAX;
    for (candidate, claim) in &session.offered {
        let Some((_, symbols)) = claim else { continue };
        let rank = candidate.input.id.0;
        if live(candidate) {
            place = place.min(rank);
            fates.insert(rank, Fate::Compiled);
        } else if candidate.is_slim {
            fates.insert(rank, Fate::TooLate(stand_in(symbols)));
        }
    }
    let config = config_after(cx.config, &added);
    Ok(Compiled { fates, live: selection.live.clone(), place, objects, config })
}

/// Maps the objects the plugins made.
fn open_added(cx: &Cx, added: &Added) -> Result<Vec<(&'static Path, &'static [u8])>, Failed> {
    let mut objects = Vec::new();
    for path in &added.files {
        let path: &'static Path = Box::leak(path.clone().into_boxed_path());
        match map_file(path) {
            Ok(data) => objects.push((path, data)),
            Err(error) => cx.problems.push(Problem::error(format!(
                "cannot open {}, which a plugin made: {}",
                path.display(),
                reason(&error)
            ))),
        }
    }
    cx.problems.checkpoint()?;
    Ok(objects)
}

/// Options for the second time. Libraries that a plugin adds are for what its code calls: not needed if it does not.
fn config_after(config: &Config, added: &Added) -> Config {
    let mut config = config.clone();
    let prefer_static = config.inputs.last().is_some_and(|input| input.modifiers.prefer_static);
    let modifiers = Modifiers { as_needed: true, prefer_static, ..Modifiers::default() };
    // An object that is to be linked again needs no libraries yet.
    let libraries = if config.kind == OutputKind::Relocatable { &[][..] } else { &added.libraries };
    config.inputs.extend(libraries.iter().map(|name| {
        let name = InputName::Library(name.strip_prefix(b"-l").unwrap_or(name).to_vec());
        Input { name, modifiers }
    }));
    config.library_paths.extend(added.library_paths.iter().cloned());
    // Names in version scripts have been looked for where all of them were to be found.
    config.no_undefined_version = false;
    // What goes into the link has been packed, and who brought it in has been told.
    (config.reproduce, config.why_extract) = (None, None);
    config
}

impl Compiled {
    /// Options as they are from now on.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What an input is now, by the rank it had the first time.
    pub(crate) fn replace(&self, rank: u32, input: &mut MappedInput) {
        match self.fates.get(&rank) {
            Some(Fate::Compiled) => {
                (input.data, input.role, input.is_lazy) = (stand_in(&[]), Role::Intermediate, false);
            }
            Some(Fate::TooLate(symbols)) => (input.data, input.role) = (symbols, Role::Intermediate),
            None => input.is_lazy &= !self.live.get(rank as usize).copied().unwrap_or(false),
        }
    }

    /// The objects that stand in front of the file of this rank.
    pub(crate) fn in_front_of(&self, rank: u32) -> &[(&'static Path, &'static [u8])] {
        if rank == self.place { &self.objects } else { &[] }
    }

    /// Reports files that only compiled code needs, but that hold nothing but intermediate code.
    pub fn check_late(&self, cx: &Cx, inputs: &Inputs, selection: &Selection) {
        for object in selection.objects.iter().map(|id| inputs.object(*id)) {
            if object.role == Role::Intermediate && !object.ids.is_empty() {
                let problem = Problem::error(format!(
                    "{}: is needed only by what link-time optimisation made, too late to take part in it",
                    object.origin
                ));
                let problem = problem.note("name a symbol of it with -u SYMBOL, or compile it with -fno-lto");
                cx.problems.push(problem.at(object.id.0, 0));
            }
        }
    }
}

/// The selection that plugins are told of: that of the final link, but with problems of its own, because what is only
/// odd will be said when the link has started over.
///
/// # Errors
/// The proof that problems were reported.
pub fn select(
    cx: &Cx,
    inputs: &mut Inputs,
    symbols: &mut Symbols,
    provided: &mut Provided,
    scripts: &[crate::script::VersionScript],
    lists: &crate::script::SymbolList,
) -> Result<Selection, Failed> {
    let problems = Problems::default();
    let own = Cx { problems: &problems, ..*cx };
    let selection = select::select(&own, inputs, symbols, provided, scripts, lists);
    if problems.errors() > 0 {
        problems.into_sorted().into_iter().for_each(|problem| cx.problems.push(problem));
    }
    selection
}

/// Lets the plugins remove what they left, whatever became of the link. Does nothing if there are none.
pub fn clean_up(problems: &Problems) {
    if !host::is_loaded() {
        return;
    }
    host::talk(host::clean_up);
    leftovers::forget();
    for message in host::take_messages() {
        // The output, if there is to be one, is in its place.
        if message.level != level::INFO {
            problems.push(Problem::warning(message.text).at(u32::MAX, u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_plugins_follow_the_last_input() {
        let input = Input {
            name: InputName::Library(b"x".to_vec()),
            modifiers: Modifiers { prefer_static: true, whole_archive: true, ..Modifiers::default() },
        };
        let config = Config { inputs: vec![input], no_undefined_version: true, ..Config::default() };
        let added = Added { libraries: vec![b"gcc".to_vec(), b"-lc".to_vec()], ..Added::default() };
        let after = config_after(&config, &added);
        let names: Vec<_> = after.inputs.iter().map(|input| input.name.clone()).collect();
        let library = |name: &[u8]| InputName::Library(name.to_vec());
        assert_eq!(names, [library(b"x"), library(b"gcc"), library(b"c")]);
        let modifiers = after.inputs[2].modifiers;
        assert!(modifiers.as_needed && modifiers.prefer_static && !modifiers.whole_archive);
        assert!(!after.no_undefined_version);
    }

    #[test]
    fn files_keep_their_fates_by_rank() {
        let compiled = Compiled {
            fates: HashMap::from([(1, Fate::Compiled), (2, Fate::TooLate(stand_in(&[])))]),
            live: vec![false, true, false, true],
            place: 1,
            objects: vec![(Path::new("lto.o"), b"")],
            config: Config::default(),
        };
        let input = MappedInput {
            id: crate::model::FileId(0),
            origin: Origin { path: Path::new("a.o"), member: None },
            container: crate::parse::Container { path: Path::new("a.o"), offset: 0 },
            data: b"",
            role: Role::Itself,
            is_shared: false,
            is_lazy: true,
            in_archive: true,
            as_needed: false,
            needed_name: b"",
        };
        let after = |rank| {
            let mut input = input;
            compiled.replace(rank, &mut input);
            (input.role, input.is_lazy)
        };
        assert_eq!(after(0), (Role::Itself, true));
        assert_eq!(after(1), (Role::Intermediate, false));
        assert_eq!(after(2), (Role::Intermediate, true));
        assert_eq!(after(3), (Role::Itself, false));
        assert_eq!(after(9), (Role::Itself, true));
        assert_eq!(compiled.in_front_of(1).len(), 1);
        assert!(compiled.in_front_of(2).is_empty());
    }
}
