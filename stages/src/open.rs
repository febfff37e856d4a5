//! Finds, maps and identifies the input files, in command-line order.
//!
//! In: [`crate::config::Input`]s. Out: batches of [`MappedInput`]s with their ranks, ready to be parsed while
//! the next ones are looked for; and, when all are out, [`Opened`]: what the scripts among them said.
//!
//! Archives are opened here and their members handed on one by one; their symbol indexes are not used, because
//! reading the members' symbol tables in parallel is fast and works for archives without an index too.
//! A library named twice is read once: archives do not depend on order here, and of a shared object only the
//! second mention's modifiers matter.
//!
//! Files are mapped and never unmapped: names and contents are referred to until the output is written.

mod ahead;
mod dependent;
mod made;
mod map;
mod remap;
mod search;

pub use dependent::absent as absent_dependencies;
pub use map::{Used, map_file};
pub use search::loader_path;

use self::ahead::{Ahead, Found, Members};
use self::remap::{Remaps, Target};
use crate::backrefs::Order;
use crate::config::{Config, Input, InputName, Modifiers, OutputKind, WhenLarge};
use crate::context::Cx;
use crate::elf::archive::{Archive, Contents};
use crate::elf::identify::{FileKind, identify};
use crate::model::{FileId, Origin, Role};
use crate::parse::{Container, MappedInput};
use crate::plugin::Compiled;
use crate::report::{About, Problem, Problems};
use crate::script::{Command, FileName, ScriptInput, VersionScript, parse_script};
use crate::select::Assignment;
use engine::Pool;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

/// Members of an archive that travel in one batch at most.
const BATCH_FILES: usize = 64;
/// Bytes that travel in one batch, about.
const BATCH_BYTES: usize = 1 << 22;

/// What was learnt besides the files themselves.
#[derive(Debug, Default)]
pub struct Opened {
    /// Number of files: all [`FileId`]s are below it.
    pub files: u32,
    /// Lazy files that must come in after all: an archive named again under `--whole-archive`.
    pub forced: Vec<(FileId, FileId)>,
    /// Shared objects named again without `--as-needed`.
    pub needed: Vec<FileId>,
    /// Symbol assignments of scripts.
    pub assignments: Vec<Assignment>,
    /// `VERSION` commands of scripts.
    pub version_scripts: Vec<VersionScript>,
    /// `EXTERN` commands of scripts.
    pub undefined: Vec<Vec<u8>>,
    /// `ENTRY` of a script.
    pub entry: Option<Vec<u8>>,
    /// Every file that was read, as found, in order: for `--trace` and `--dependency-file`.
    pub paths: Vec<&'static Path>,
    /// The archives, and how many members each has.
    pub archives: Vec<(&'static Path, usize)>,
    /// The members of thin archives among them: files of their own.
    pub members: Vec<PathBuf>,
    /// Libraries that objects name and that are nowhere: the object, and what it asks for.
    pub absent_dependencies: Vec<(FileId, &'static [u8])>,
    /// The order of files, for `--warn-backrefs`.
    pub order: Order,
}

/// One thing to open.
#[derive(Debug, Clone)]
enum Request {
    Path {
        path: PathBuf,
        modifiers: Modifiers,
    },
    Library {
        name: Vec<u8>,
        modifiers: Modifiers,
    },
    /// A name inside a script: looked for beside the script, then along the library path.
    InScript {
        path: Vec<u8>,
        in_sysroot: bool,
        script: &'static Path,
        modifiers: Modifiers,
    },
}

impl Request {
    /// See [`Modifiers::group`].
    fn group(&self) -> u32 {
        match self {
            Request::Path { modifiers, .. }
            | Request::Library { modifiers, .. }
            | Request::InScript { modifiers, .. } => modifiers.group,
        }
    }
}

/// Walks the command line; each step yields a batch.
pub struct Opener<'a> {
    config: &'a Config,
    problems: &'a Problems,
    pool: &'a Pool,
    queue: VecDeque<Request>,
    ahead: Ahead,
    /// What is still to be told that this link is a large one.
    when_large: Option<WhenLarge>,
    library_paths: Vec<PathBuf>,
    remaps: Remaps,
    /// Libraries that objects have named so far.
    dependencies: HashSet<&'static [u8]>,
    /// Shared libraries whose needs are to be linked with.
    copying: HashSet<FileId>,
    known: HashMap<PathBuf, (FileId, FileId)>,
    ready: VecDeque<MappedInput>,
    ready_bytes: usize,
    script_depth: usize,
    /// Number of `GROUP` commands so far.
    script_groups: u32,
    /// The second time, after link-time optimisation: what has come of it.
    compiled: Option<&'a Compiled>,
    /// Files so far that there were not the first time.
    added: u32,
    opened: Opened,
}

impl<'a> Opener<'a> {
    /// Starts at the first input of the command line.
    pub fn new(cx: &'a Cx, compiled: Option<&'a Compiled>) -> Opener<'a> {
        let Cx { config, problems, pool, .. } = *cx;
        let queue = config.inputs.iter().map(|Input { name, modifiers }| match name {
            InputName::File(path) => Request::Path { path: path.clone(), modifiers: *modifiers },
            InputName::Script(path) => {
                // It is a script whatever the format of inputs.
                let modifiers = Modifiers { format_binary: false, ..*modifiers };
                Request::Path { path: path.clone(), modifiers }
            }
            InputName::Library(name) => Request::Library { name: name.clone(), modifiers: *modifiers },
        });
        Opener {
            config,
            problems,
            pool,
            queue: queue.collect(),
            ahead: Ahead::default(),
            when_large: config.when_large,
            library_paths: config.library_paths.clone(),
            remaps: Remaps::read(config, problems),
            dependencies: HashSet::new(),
            copying: HashSet::new(),
            known: HashMap::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            script_depth: 0,
            script_groups: 0,
            compiled,
            added: 0,
            opened: Opened::default(),
        }
    }

    /// The next batch, `None` after the last one. Problems are reported and the file in question left out.
    pub fn next_batch(&mut self) -> Option<Vec<MappedInput>> {
        while self.ready.len() < BATCH_FILES && self.ready_bytes < BATCH_BYTES {
            self.look_ahead();
            let Some(request) = self.queue.pop_front() else { break };
            let before = self.ready.len();
            let first = self.opened.files;
            let group = request.group();
            if let Err(problem) = self.open(request) {
                self.problems.push(problem.at(self.opened.files, 0));
            }
            if self.config.warn_backrefs {
                self.opened.order.add(group, (self.opened.files - first) as usize);
            }
            self.ready_bytes += self.ready.range(before..).map(|input| input.data.len()).sum::<usize>();
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_FILES && bytes < BATCH_BYTES {
            let Some(input) = self.ready.pop_front() else { break };
            bytes += input.data.len();
            batch.push(input);
        }
        self.ready_bytes -= bytes;
        (!batch.is_empty()).then_some(batch)
    }

    /// Looks at the next files, unless that has been done.
    fn look_ahead(&mut self) {
        let is_new = |path: &Path| !self.ahead.has(path) && !self.known.contains_key(path);
        let first = self.queue.front().and_then(|request| self.path_of(request));
        if !first.is_some_and(|path| is_new(&path)) {
            return;
        }
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in self.queue.iter().take(ahead::TOGETHER).filter_map(|request| self.path_of(request)) {
            if is_new(&path) && !paths.iter().any(|other| ahead::is_same(other, &path)) {
                paths.push(path.into_owned());
            }
        }
        if paths.len() > 1 {
            self.ahead.look(self.pool, paths);
        }
        if let Some(WhenLarge { prepare, .. }) =
            self.when_large.take_if(|large| self.ahead.mapped() >= large.bytes)
        {
            prepare();
        }
    }

    /// The file that a request names by its path.
    fn path_of<'r>(&self, request: &'r Request) -> Option<Cow<'r, Path>> {
        let Request::Path { path, .. } = request else { return None };
        self.remapped(self.in_sysroot(path))
    }

    /// A path of the command line, where it is.
    fn in_sysroot<'p>(&self, path: &'p Path) -> Cow<'p, Path> {
        match self.config.sysroot.as_deref() {
            Some(sysroot) => Cow::Owned(search::with_sysroot(path, sysroot)),
            None => Cow::Borrowed(path),
        }
    }

    /// The file that is read for a path, if any is.
    fn remapped<'p>(&self, path: Cow<'p, Path>) -> Option<Cow<'p, Path>> {
        match self.remaps.target(&path) {
            Target::Itself => Some(path),
            Target::File(other) => Some(Cow::Owned(other)),
            Target::Nothing => None,
        }
    }

    /// What was learnt on the way.
    pub fn finish(self) -> Opened {
        self.opened
    }

    fn open(&mut self, request: Request) -> Result<(), Problem> {
        match request {
            Request::Path { path, modifiers } => {
                let path = self.in_sysroot(&path).into_owned();
                self.open_path(path, modifiers, None)
            }
            Request::Library { name, modifiers } => {
                let prefer_static = modifiers.prefer_static || self.config.kind == OutputKind::Relocatable;
                let found = search::library(&self.library_paths, &name, prefer_static);
                let Some((path, is_shared)) = found else {
                    let shown = String::from_utf8_lossy(&name).into_owned();
                    let mut problem = Problem::error(format!("unable to find library -l{shown}"))
                        .about(About::Library(name.clone()));
                    if self.library_paths.is_empty() {
                        problem = problem.note("no library directories were given (-L)");
                    }
                    return Err(problem);
                };
                let needed_name = is_shared.then(|| file_name(&path));
                self.open_path(path, modifiers, needed_name)
            }
            Request::InScript { path, in_sysroot, script, modifiers } => {
                let sysroot = self.config.sysroot.as_deref();
                let path = search::in_script(&path, in_sysroot, script, sysroot, &self.library_paths)
                    .map(|path| search::in_root(self.config.chroot.as_deref(), &path))
                    .ok_or_else(|| {
                        let name = String::from_utf8_lossy(&path).into_owned();
                        Problem::error(format!("{}: cannot find {name}", script.display()))
                    })?;
                self.open_path(path, modifiers, None)
            }
        }
    }

    fn next_id(&mut self) -> FileId {
        let id = FileId(self.opened.files);
        self.opened.files += 1;
        id
    }

    fn open_path(
        &mut self,
        path: PathBuf,
        modifiers: Modifiers,
        needed_name: Option<&'static [u8]>,
    ) -> Result<(), Problem> {
        let Some(path) = self.remapped(Cow::Owned(path)) else { return Ok(()) };
        let path = path.into_owned();
        let is_made = modifiers.format_binary || modifiers.just_symbols;
        let may_be_known = !modifiers.start_lib && !is_made;
        if let Some(known) = self.known.get(&path).copied().filter(|_| may_be_known) {
            return self.mention_again(known, modifiers);
        }
        let Found { data, kind, members } = self
            .ahead
            .take(&path)
            .map_err(|error| Problem::error(format!("cannot open {}: {}", path.display(), reason(&error))))?;
        let leaked: &'static Path = Box::leak(path.clone().into_boxed_path());
        self.opened.paths.push(leaked);
        let first = FileId(self.opened.files);
        let origin = Origin { path: leaked, member: None };
        if is_made {
            return self.open_made(origin, data, modifiers);
        }
        if let Some(members) = members {
            let members = members.map_err(|error| Problem::error(error.to_string()))?;
            self.open_archive(leaked, data, members, modifiers)?;
            self.known.insert(path, (first, FileId(self.opened.files)));
            return Ok(());
        }
        match kind {
            FileKind::ElfShared(_) if modifiers.prefer_static && self.config.is_static => {
                return Err(Problem::error(format!(
                    "attempted static link of dynamic object {}",
                    leaked.display()
                )));
            }
            FileKind::ElfShared(_) => {
                let id = self.next_id();
                if modifiers.copy_needed {
                    self.copying.insert(id);
                }
                let name =
                    needed_name.unwrap_or_else(|| std::os::unix::ffi::OsStrExt::as_bytes(leaked.as_os_str()));
                self.ready.push_back(MappedInput {
                    id,
                    origin,
                    container: Container { path: leaked, offset: 0 },
                    data,
                    role: Role::Itself,
                    is_shared: true,
                    is_lazy: false,
                    in_archive: false,
                    as_needed: modifiers.as_needed,
                    needed_name: name,
                });
                self.known.insert(path, (id, FileId(id.0 + 1)));
            }
            FileKind::ElfObject(_) => self.push_object(origin, data, Role::Itself, modifiers),
            FileKind::LlvmBitcode => self.push_object(origin, data, Role::Intermediate, modifiers),
            FileKind::Text => self.open_script(leaked, data, modifiers)?,
            other => return Err(Problem::error(unusable(&origin, other))),
        }
        Ok(())
    }

    /// A file that is no input by itself but becomes an object.
    fn open_made(
        &mut self,
        origin: Origin,
        data: &'static [u8],
        modifiers: Modifiers,
    ) -> Result<(), Problem> {
        if !modifiers.just_symbols {
            let name = std::os::unix::ffi::OsStrExt::as_bytes(origin.path.as_os_str());
            self.push_object(origin, made::embedded(name, data), Role::Data, modifiers);
            return Ok(());
        }
        let symbols = match identify(data) {
            FileKind::ElfObject(_) | FileKind::ElfShared(_) | FileKind::ElfOther(_) => made::symbols_of(data),
            _ => Err("is neither a program nor an object".into()),
        };
        let what =
            |what| Problem::error(format!("{origin}: {what}")).note("it was named by --just-symbols (-R)");
        self.push_object(origin, symbols.map_err(what)?, Role::Symbols, modifiers);
        Ok(())
    }

    /// Hands on an object that is no member of an archive.
    fn push_object(&mut self, origin: Origin, data: &'static [u8], role: Role, modifiers: Modifiers) {
        let is_lazy = modifiers.start_lib && !modifiers.whole_archive && role != Role::Symbols;
        let container = Container { path: origin.path, offset: 0 };
        self.hand_on(origin, container, data, role, is_lazy, false);
    }

    /// Gives an object its rank.
    fn hand_on(
        &mut self,
        origin: Origin,
        container: Container,
        data: &'static [u8],
        role: Role,
        is_lazy: bool,
        in_archive: bool,
    ) {
        let mut input = MappedInput {
            id: FileId(0),
            origin,
            container,
            data,
            role,
            is_shared: false,
            is_lazy,
            in_archive,
            as_needed: false,
            needed_name: b"",
        };
        if let Some(compiled) = self.compiled {
            let rank = self.opened.files - self.added;
            for (path, data) in compiled.in_front_of(rank) {
                self.added += 1;
                let origin = Origin { path, member: None };
                let made = MappedInput {
                    id: self.next_id(),
                    origin,
                    container: Container { path, offset: 0 },
                    data,
                    role: Role::Itself,
                    is_lazy: false,
                    in_archive: false,
                    ..input
                };
                self.ready.push_back(made);
            }
            compiled.replace(rank, &mut input);
        }
        input.id = self.next_id();
        self.ready.push_back(input);
    }

    /// A library named a second time.
    fn mention_again(&mut self, (first, end): (FileId, FileId), modifiers: Modifiers) -> Result<(), Problem> {
        if modifiers.whole_archive {
            self.opened.forced.push((first, end));
        }
        self.opened.order.repeats.push((FileId(self.opened.files), first, end));
        if !modifiers.as_needed {
            self.opened.needed.push(first);
        }
        Ok(())
    }

    fn open_archive(
        &mut self,
        path: &'static Path,
        data: &'static [u8],
        members: Members,
        modifiers: Modifiers,
    ) -> Result<(), Problem> {
        let name = path.display().to_string();
        self.opened.archives.push((path, members.len()));
        let mut files = self.map_members(path, &members).into_iter();
        for (member, kind) in &members {
            let (container, bytes) = match &member.contents {
                Contents::Inside(range) => {
                    (Container { path, offset: range.start as u64 }, &data[range.clone()])
                }
                Contents::File { .. } => {
                    let Some((file, bytes)) = files.next() else { continue };
                    let bytes = bytes.map_err(|error| {
                        Problem::error(format!(
                            "{name}: cannot open member {}: {}",
                            file.display(),
                            reason(&error)
                        ))
                    })?;
                    (Container { path: file, offset: 0 }, bytes)
                }
                Contents::Nested { header_offset } => {
                    let file: &'static Path = Box::leak(self.beside(path, member.name).into_boxed_path());
                    nested_member(path, file, *header_offset)?
                }
            };
            let is_inside = kind.is_some();
            let kind = kind.unwrap_or_else(|| identify(bytes));
            if !is_inside && kind == FileKind::Archive {
                // Some archivers name a whole archive, where others name its members (llvm-ar without `L`).
                let inner = format!("{name}({})", String::from_utf8_lossy(member.name));
                let members =
                    ahead::members(bytes, &inner).map_err(|error| Problem::error(error.to_string()))?;
                for (member, kind) in &members {
                    if let (Contents::Inside(range), Some(kind)) = (&member.contents, kind) {
                        let container = Container { offset: range.start as u64, ..container };
                        self.push_member(
                            path,
                            member.name,
                            container,
                            &bytes[range.clone()],
                            *kind,
                            modifiers,
                        );
                    }
                }
                continue;
            }
            self.push_member(path, member.name, container, bytes, kind, modifiers);
        }
        Ok(())
    }

    /// Maps the members of a thin archive that are files of their own: their paths and bytes, in order.
    fn map_members(
        &mut self,
        archive: &Path,
        members: &Members,
    ) -> Vec<(&'static Path, std::io::Result<&'static [u8]>)> {
        let is_file = |contents: &Contents| matches!(contents, Contents::File { .. });
        let mut paths: Vec<&'static Path> = Vec::new();
        for (member, _) in members.iter().filter(|(member, _)| is_file(&member.contents)) {
            paths.push(Box::leak(self.beside(archive, member.name).into_boxed_path()));
        }
        self.pool.map("open", paths.len(), 1, |n| (paths[n], map_file(paths[n])))
    }

    /// Hands on a member of an archive, if it is an object.
    fn push_member(
        &mut self,
        path: &'static Path,
        name: &'static [u8],
        container: Container,
        data: &'static [u8],
        kind: FileKind,
        modifiers: Modifiers,
    ) {
        if is_rust_metadata(name) || data.is_empty() {
            return;
        }
        let origin = Origin { path, member: Some(name) };
        let role = match kind {
            FileKind::ElfObject(_) => Role::Itself,
            FileKind::LlvmBitcode => Role::Intermediate,
            // As ld does, members that are no objects are passed over.
            _ => return,
        };
        self.hand_on(origin, container, data, role, !modifiers.whole_archive, true);
    }

    /// The member of a thin archive: its path is relative to the archive.
    fn beside(&mut self, archive: &Path, member: &[u8]) -> PathBuf {
        let member: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(member);
        let relative = archive.parent().unwrap_or(Path::new("")).join(member);
        let path = search::in_root(self.config.chroot.as_deref(), &relative);
        if self.config.reproduce.is_some() {
            self.opened.members.push(path.clone());
        }
        path
    }

    fn open_script(
        &mut self,
        path: &'static Path,
        data: &'static [u8],
        modifiers: Modifiers,
    ) -> Result<(), Problem> {
        const DEPTH_MAX: usize = 10_000;
        self.script_depth += 1;
        if self.script_depth > DEPTH_MAX {
            return Err(Problem::error(format!("{}: linker scripts include each other", path.display())));
        }
        let name = path.display().to_string();
        let script = parse_script(data, &name).map_err(|error| {
            Problem::error(error.to_string())
                .note("the file is neither an object nor an archive, so it was read as a linker script")
        })?;
        let mut requests = Vec::new();
        for command in script.commands {
            match command {
                Command::Input(list) => {
                    requests.extend(list.into_iter().map(|entry| script_request(entry, path, modifiers)));
                }
                Command::Group(list) => {
                    self.script_groups += 1;
                    let group =
                        if modifiers.group == 0 { u32::MAX - self.script_groups } else { modifiers.group };
                    let modifiers = Modifiers { group, ..modifiers };
                    requests.extend(list.into_iter().map(|entry| script_request(entry, path, modifiers)));
                }
                Command::OutputFormat { default, .. } => check_format(&name, &default)?,
                Command::SearchDir(FileName::Path { path, in_sysroot }) if !self.config.nostdlib => {
                    let sysroot = self.config.sysroot.as_deref().filter(|_| in_sysroot);
                    self.library_paths.push(search::search_dir(&path, sysroot));
                }
                Command::Version(version) => self.opened.version_scripts.push(version),
                Command::Extern(names) => self.opened.undefined.extend(names),
                Command::Entry(name) => self.opened.entry = Some(name),
                Command::Include(file) => requests.push(Request::InScript {
                    path: file,
                    in_sysroot: false,
                    script: path,
                    modifiers,
                }),
                Command::Assign(assignment) => self.opened.assignments.push(Assignment {
                    name: assignment.symbol,
                    value: assignment.value,
                    is_provide: assignment.provide,
                    is_hidden: assignment.hidden,
                }),
                _ => {}
            }
        }
        for request in requests.into_iter().rev() {
            self.queue.push_front(request);
        }
        Ok(())
    }
}

fn script_request(entry: ScriptInput, script: &'static Path, modifiers: Modifiers) -> Request {
    let modifiers = Modifiers { as_needed: modifiers.as_needed || entry.as_needed, ..modifiers };
    match entry.name {
        FileName::Library(name) => Request::Library { name, modifiers },
        FileName::Path { path, in_sysroot } => Request::InScript { path, in_sysroot, script, modifiers },
    }
}

fn check_format(script: &str, format: &[u8]) -> Result<(), Problem> {
    match format {
        b"elf64-x86-64" | b"elf64-littlex86_64" => Ok(()),
        other => {
            let other = String::from_utf8_lossy(other);
            Err(Problem::error(format!("{script}: OUTPUT_FORMAT({other}) is not supported; elf64-x86-64 is")))
        }
    }
}

/// rustc's metadata, which travels in every rlib.
fn is_rust_metadata(member: &[u8]) -> bool {
    member == b"lib.rmeta" || member == b"rust.metadata.bin" || member.ends_with(b".rmeta")
}

fn file_name(path: &Path) -> &'static [u8] {
    let name = path.file_name().unwrap_or(path.as_os_str());
    std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec().leak()
}

/// A member of an archive that a thin archive refers to.
fn nested_member(
    path: &Path,
    file: &'static Path,
    header_offset: u64,
) -> Result<(Container, &'static [u8]), Problem> {
    let data = map_file(file).map_err(|error| {
        Problem::error(format!("{}: cannot open {}: {}", path.display(), file.display(), reason(&error)))
    })?;
    let name = file.display().to_string();
    let archive = Archive::parse(data, &name).map_err(|error| Problem::error(error.to_string()))?;
    let member = archive.members.iter().find(|m| m.header_offset == header_offset);
    match member.map(|m| &m.contents) {
        Some(Contents::Inside(range)) => {
            Ok((Container { path: file, offset: range.start as u64 }, &data[range.clone()]))
        }
        _ => Err(Problem::error(format!(
            "{}: {name} has no member at offset {header_offset:#x}",
            path.display()
        ))),
    }
}

/// The words of an I/O error, without the number Rust appends.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

fn unusable(origin: &Origin, kind: FileKind) -> String {
    match kind {
        FileKind::ElfOther(_) => {
            format!("{origin}: is an ELF file, but neither an object nor a shared object")
        }
        FileKind::Empty => format!("{origin}: file is empty"),
        FileKind::Unknown(what) => format!("{origin}: unknown file type: this is {what}"),
        _ => format!("{origin}: unknown file type"),
    }
}
