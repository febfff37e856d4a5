//! Checks that the shared objects a program needs are complete (`--no-allow-shlib-undefined`).
//!
//! In: [`Selection`]. Out: problems: names that a needed shared object needs and nobody defines, and names it
//! needs of a file of the link that hides them.
//!
//! What a library needs may come from a library that only it needs, which the command line does not mention.
//! Such libraries are found as the loader and GNU ld find them (`-rpath-link`, `-rpath`, the DT_RUNPATH of who
//! needs them, then the directories of `-l`), and only their names are looked at: they are no inputs and get no
//! DT_NEEDED. If one of them cannot be found, whoever needs it is not checked, as in lld: the link
//! may take place where the libraries of the target are not.
//!
//! Names count, versions do not: whether a version is there is for the loader to tell.
//!
//! Cost: one look at every undefined symbol of the needed shared objects. Libraries are searched, and sets of names
//! built, only if there is one that no file of the link defines.

use crate::config::UnresolvedPolicy;
use crate::context::Cx;
use crate::elf::identify::{FileKind, identify};
use crate::intern::{NameSink, Symbols};
use crate::model::{File, FileId, Inputs, Origin, Role, SharedObject, SymbolId};
use crate::open::{loader_path, map_file};
use crate::parse::{Container, MappedInput, parse};
use crate::report::{Problem, Severity};
use crate::select::{Class, Provided, Selection};
use object::elf::{STB_WEAK, STV_HIDDEN, STV_INTERNAL};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Libraries that are looked up at most.
const LIBRARIES_MAX: usize = 1000;
/// Shared objects that are named for one symbol.
const SHOWN: usize = 3;

/// Reports what the shared objects of the link lack.
pub fn check(cx: &Cx, inputs: &Inputs, symbols: &Symbols, provided: &Provided, selection: &Selection) {
    let is_allowed = cx.config.allow_shlib_undefined.unwrap_or(!cx.config.is_executable());
    if is_allowed {
        return;
    }
    let mine: HashSet<SymbolId> = provided.list.iter().map(|provision| provision.id).collect();
    let missing: Vec<(FileId, Vec<(SymbolId, Lack)>)> =
        cx.pool.map("shlib", selection.shared.len(), 1, |n| {
            let shared = inputs.shared_object(selection.shared[n]);
            let lacks = shared.undefined.iter().filter(|symbol| {
                shared.symbols[symbol.index as usize].st_bind() != STB_WEAK && !mine.contains(&symbol.id)
            });
            (
                shared.id,
                lacks.filter_map(|symbol| Some((symbol.id, lack(inputs, selection, symbol.id)?))).collect(),
            )
        });
    let missing: Vec<_> = missing.into_iter().filter(|(_, lacks)| !lacks.is_empty()).collect();
    if missing.is_empty() {
        return;
    }

    let names = missing.iter().flat_map(|(_, lacks)| lacks.iter().map(|(id, _)| symbols.name(*id)));
    let mut libraries = Libraries::new(cx, inputs, Wanted::new(names));
    let mut by_symbol: BTreeMap<(FileId, &[u8]), Lacking> = BTreeMap::new();
    let mut first: HashMap<&[u8], FileId> = HashMap::new();
    for (file, lacks) in missing {
        let shared = inputs.shared_object(file);
        if !libraries.has_all_needs(shared) {
            continue;
        }
        for (id, lack) in lacks {
            let name = symbols.name(id);
            if !libraries.wanted.is_found(name) {
                let rank = *first.entry(name).or_insert(file);
                by_symbol.entry((rank, name)).or_insert((lack, Vec::new())).1.push(shared.origin);
            }
        }
    }
    for (n, ((file, name), (lack, users))) in by_symbol.into_iter().enumerate() {
        let text = cx.symbol_text(name);
        let mut problem = match lack {
            Lack::Undefined => Problem::error(format!("undefined reference: {text}")),
            Lack::Hidden(definer) => {
                Problem::error(format!("hidden symbol is needed by a shared object: {text}"))
                    .note(format!("defined in {}", inputs.files[definer.index()].origin()))
            }
        };
        if cx.config.unresolved.in_objects == UnresolvedPolicy::Warn {
            problem.severity = Severity::Warning;
        }
        for user in users.iter().take(SHOWN) {
            problem =
                problem.note(format!("referenced by {user} (disallowed by --no-allow-shlib-undefined)"));
        }
        if users.len() > SHOWN {
            problem = problem.note(format!("referenced by {} more shared objects", users.len() - SHOWN));
        }
        cx.problems.push(problem.at(file.0, n as u64));
    }
}

/// The files of libraries that these need and that are no inputs: a link that checks them reads them.
pub(crate) fn indirect<'s>(cx: &Cx, shared: impl Iterator<Item = &'s SharedObject>) -> Vec<PathBuf> {
    let direct: Vec<&SharedObject> = shared.collect();
    let mut libraries = Libraries::of(cx, direct.iter().copied(), Wanted::new(std::iter::empty()));
    for shared in &direct {
        libraries.has_all_needs(shared);
    }
    let is_new = |path: &&Path| direct.iter().all(|shared| shared.origin.path != *path);
    let mut paths: Vec<&Path> =
        libraries.known.values().flatten().map(|needs| needs.path).filter(is_new).collect();
    paths.sort_unstable();
    paths.into_iter().map(Path::to_path_buf).collect()
}

/// What is wrong with a name, and the shared objects that need it.
type Lacking = (Lack, Vec<Origin>);

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// Nothing defines it.
    Undefined,
    /// This object defines it for itself.
    Hidden(FileId),
}

/// What a shared object that needs a name finds wrong with the definition the link has.
fn lack(inputs: &Inputs, selection: &Selection, id: SymbolId) -> Option<Lack> {
    let def = selection.def(id);
    match def.class() {
        Class::None | Class::Undefined | Class::UndefinedWeak => Some(Lack::Undefined),
        Class::Strong | Class::Weak | Class::Common => {
            let is_hidden = matches!(selection.visibility(id), STV_HIDDEN | STV_INTERNAL);
            let is_object = matches!(inputs.files[def.file().index()], File::Object(_));
            (is_hidden && is_object).then_some(Lack::Hidden(def.file()))
        }
        _ => None,
    }
}

/// The shared objects of the link and those they need, as far as they have been looked up.
struct Libraries<'a> {
    cx: &'a Cx<'a>,
    /// Which of the names that are missing any of them defines, whatever the version.
    wanted: Wanted,
    /// By soname; `None`: it was not found.
    known: HashMap<&'static [u8], Option<Needs>>,
}

/// Names that are looked for. There are few, and libraries define thousands: most are told by their length not to be
/// among them.
struct Wanted {
    found: HashMap<&'static [u8], bool>,
    /// The lengths there are, as bits; the last stands for all that are longer.
    lengths: u128,
}

impl Wanted {
    fn new(names: impl Iterator<Item = &'static [u8]>) -> Wanted {
        let found: HashMap<&[u8], bool> = names.map(|name| (name, false)).collect();
        let lengths = found.keys().fold(0, |lengths, name| lengths | Wanted::length_bit(name));
        Wanted { found, lengths }
    }

    fn length_bit(name: &[u8]) -> u128 {
        1 << name.len().min(127)
    }

    fn find(&mut self, name: &[u8]) {
        if self.lengths & Wanted::length_bit(name) != 0
            && let Some(found) = self.found.get_mut(name)
        {
            *found = true;
        }
    }

    fn is_found(&self, name: &[u8]) -> bool {
        self.found.get(name) == Some(&true)
    }
}

/// What a library says about the libraries it needs.
#[derive(Clone)]
struct Needs {
    sonames: Vec<&'static [u8]>,
    runpath: Option<&'static [u8]>,
    path: &'static Path,
}

impl<'a> Libraries<'a> {
    fn new(cx: &'a Cx<'a>, inputs: &Inputs, wanted: Wanted) -> Libraries<'a> {
        Libraries::of(cx, inputs.shared.iter().map(|id| inputs.shared_object(*id)), wanted)
    }

    fn of<'s>(
        cx: &'a Cx<'a>,
        shared: impl Iterator<Item = &'s SharedObject>,
        wanted: Wanted,
    ) -> Libraries<'a> {
        let mut libraries = Libraries { cx, wanted, known: HashMap::new() };
        shared.for_each(|shared| libraries.add(shared));
        libraries
    }

    fn add(&mut self, shared: &SharedObject) {
        let needs =
            Needs { sonames: shared.needed.clone(), runpath: shared.runpath, path: shared.origin.path };
        self.known.insert(shared.soname, Some(needs));
        for symbol in &shared.defined {
            self.wanted.find(shared.symbol_name(symbol.index));
        }
    }

    /// Whether all the libraries a shared object needs are known, and those that these need: found in the link
    /// or looked up now.
    fn has_all_needs(&mut self, shared: &SharedObject) -> bool {
        let mut seen: HashSet<&[u8]> = HashSet::from([shared.soname]);
        let mut open = vec![shared.soname];
        while let Some(soname) = open.pop() {
            let Some(Some(Needs { sonames, runpath, path })) = self.known.get(soname).cloned() else {
                return false;
            };
            for needed in sonames {
                if !self.known.contains_key(needed) {
                    let room = self.known.len() < LIBRARIES_MAX;
                    match room.then(|| self.load(needed, runpath, path)).flatten() {
                        Some(library) => self.add(&SharedObject { soname: needed, ..*library }),
                        None => drop(self.known.insert(needed, None)),
                    }
                }
                if seen.insert(needed) {
                    open.push(needed);
                }
            }
        }
        true
    }

    /// Reads a library that is no input.
    fn load(
        &self,
        soname: &'static [u8],
        runpath: Option<&[u8]>,
        needed_by: &'static Path,
    ) -> Option<Box<SharedObject>> {
        let path = loader_path(self.cx.config, soname, runpath, needed_by)?;
        let data = map_file(&path).ok().filter(|data| matches!(identify(data), FileKind::ElfShared(_)))?;
        let path = Box::leak(path.into_boxed_path());
        let input = MappedInput {
            id: FileId(0),
            origin: Origin { path, member: None },
            container: Container { path, offset: 0 },
            data,
            role: Role::Itself,
            is_shared: true,
            is_lazy: false,
            in_archive: false,
            as_needed: false,
            needed_name: soname,
        };
        // The ids of this sink lead nowhere: only the names are looked at.
        match parse(self.cx.config, &input, &mut NameSink::new(0)) {
            Ok(File::Shared(shared)) => Some(shared),
            _ => None,
        }
    }
}
