//! Loads plugins, calls their hooks and answers their calls: the linker's side of the plugin API.
//!
//! In: which plugins there are, files to offer, how symbols were resolved. Out: the symbols of claimed files, the files
//! and libraries the plugins add, what they said. Nobody outside this directory sees C.
//!
//! The API passes no context to most of its functions, so what they need is in one place for the whole process:
//! [`STATE`]. Its lock is held inside the functions a plugin calls, never while the plugin runs.
//!
//! Plugins are not made for several threads at once and expect that a fatal message does not return. So each
//! conversation with them is one thread of its own, with a stack that suits a compiler. After a fatal message that thread
//! (or the thread of the plugin's own that sent it) sleeps for the rest of the process, the linker is told at once and
//! ends the link in its usual orderly way: problems are shown, the plugins' cleanup hooks run.
//!
//! A plugin may also end the process, as LLVM's does after `thinlto-index-only`; then nothing of ours is left to do. And
//! it may crash: see [`crash`].
//!
//! `unsafe` is for the calls across the border. What C hands over is trusted to be what the API says.

use super::abi::{
    self, ClaimFile, ClaimFileV2, InputFile, LDPS_BAD_HANDLE, LDPS_ERR, LDPS_NO_SYMS, LDPS_OK, NewInput,
    Notified, OnLoad, Section, Status, Symbol, Transfer, level, resolution, tag,
};
use super::sections::Sections;
use super::stand_in::Claimed;
use super::{crash, leftovers, message};
use crate::config::Plugin;
use crate::model::Origin;
use libloading::os::unix::{Library, RTLD_NOW};
use object::LittleEndian as LE;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stack of the thread a plugin runs on, in bytes. Compilers recurse; what is not used costs nothing.
const STACK_BYTES: usize = 64 << 20;

/// What a plugin registered.
#[derive(Debug, Default, Clone)]
struct Hooks {
    /// The plugin itself.
    path: PathBuf,
    claim: Option<ClaimFile>,
    claim_v2: Option<ClaimFileV2>,
    all_symbols_read: Option<Notified>,
    cleanup: Option<Notified>,
    new_input: Option<NewInput>,
}

/// A file for plugins to look at.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// What people call it.
    pub origin: Origin,
    /// The file it is in.
    pub path: &'static Path,
    /// Where it starts there, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub data: &'static [u8],
    /// Its rank.
    pub rank: u32,
}

/// What became of an offered file.
#[derive(Debug)]
struct Offered {
    offer: Offer,
    /// For C.
    name: CString,
    symbols: Option<Vec<Claimed>>,
    /// Opened by LDPT_GET_INPUT_FILE.
    open: Option<RawFd>,
}

/// How the symbols of a claimed file were resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The file does not take part in the link.
    NotIncluded,
    /// See [`resolution`], one for each symbol.
    Resolved(Vec<c_int>),
}

/// What plugins add to the link.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Added {
    /// Objects.
    pub files: Vec<PathBuf>,
    /// Libraries, by the name behind `-l`.
    pub libraries: Vec<Vec<u8>>,
    /// Directories to look for them.
    pub library_paths: Vec<PathBuf>,
}

/// Something a plugin said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// See [`level`].
    pub level: c_int,
    /// What.
    pub text: String,
    /// Rank of the file it is about, if it was said of one.
    pub rank: Option<u32>,
}

/// Everything between the linker and its plugins.
#[derive(Default)]
struct State {
    plugins: Vec<Hooks>,
    libraries: Vec<Library>,
    files: Vec<Offered>,
    /// Rank of the file that is being offered.
    subject: Option<u32>,
    answers: Vec<Answer>,
    added: Added,
    messages: Vec<Message>,
    /// Names given to `--wrap`, for C: addresses of strings that are never freed.
    wraps: Vec<usize>,
    /// Tells the linker that a conversation has come to an early end.
    stop: Option<Box<dyn FnOnce() + Send>>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Does something with the state.
fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let mut state: MutexGuard<Option<State>> = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    f(state.get_or_insert_default())
}

/// A string for C that is never freed; what follows a NUL is lost.
fn c_text(text: &[u8]) -> &'static CStr {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    Box::leak(CString::new(&text[..end]).unwrap_or_default().into_boxed_c_str())
}

/// Talks to plugins on a thread made for it. `None` if a fatal message, or a bug of ours, ended the conversation.
pub(super) fn talk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _watch = crash::Watch::start();
    let (done, outcome) = channel::<Option<T>>();
    let stopped = done.clone();
    with(|state| {
        state.stop = Some(Box::new(move || {
            let _ = stopped.send(None);
        }));
    });
    let thread = std::thread::Builder::new().name("plugin".into()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work)).ok();
        if result.is_none() {
            said(level::ERROR, "internal error in the conversation with a plugin");
        }
        let _ = done.send(result);
    });
    let result = match spawned {
        Ok(_) => outcome.recv().ok().flatten(),
        Err(error) => {
            said(
                level::ERROR,
                &format!("cannot start a thread for a plugin: {}", crate::open::reason(&error)),
            );
            None
        }
    };
    with(|state| state.stop = None);
    result
}

/// LDPT_MESSAGE. A fatal one ends the conversation and does not return.
pub(super) fn said(level: c_int, text: &str) -> Status {
    let text = text.trim_end().to_string();
    let stop = with(|state| {
        let rank = state.subject;
        state.messages.push(Message { level, text, rank });
        (level == level::FATAL).then(|| state.stop.take())
    });
    let Some(stop) = stop else { return LDPS_OK };
    if let Some(stop) = stop {
        stop();
    }
    loop {
        std::thread::park();
    }
}

/// What was said since the last time.
pub(super) fn take_messages() -> Vec<Message> {
    with(|state| std::mem::take(&mut state.messages))
}

/// Whether there is a plugin whose cleanup hook has not run.
pub(super) fn is_loaded() -> bool {
    with(|state| !state.plugins.is_empty())
}

/// Loads a plugin and introduces the linker to it.
///
/// # Errors
/// What is wrong with it, to stand behind its name.
pub(super) fn load(plugin: &Plugin, kind: c_int, output: &Path, wraps: &[Vec<u8>]) -> Result<(), String> {
    let path = if plugin.path.as_os_str().as_bytes().contains(&b'/') || !plugin.path.is_file() {
        plugin.path.clone()
    } else {
        // dlopen takes a name without a slash for one to look for elsewhere.
        Path::new(".").join(&plugin.path)
    };
    let name = path.display();
    crash::prepare(format!("the plugin {name} crashed while it was loaded"));
    // SAFETY: the user names the library as one to be loaded; its initialisers are as trusted as its hooks.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW) };
    let library = library.map_err(|error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), |source| source.to_string())
    })?;
    // SAFETY: `onload` of a linker plugin is of this type.
    let on_load: OnLoad = unsafe {
        *library.get::<OnLoad>(b"onload\0").map_err(|_| "is no linker plugin: it has no function `onload`")?
    };
    with(|state| {
        state.libraries.push(library);
        state.plugins.push(Hooks { path: path.clone(), ..Hooks::default() });
        state.wraps = wraps.iter().map(|name| c_text(name).as_ptr() as usize).collect();
    });
    let vector = transfer_vector(plugin, kind, output).leak();
    // SAFETY: the vector is as the API describes it, ends with LDPT_NULL and is never freed.
    match unsafe { on_load(vector.as_ptr()) } {
        LDPS_OK => Ok(()),
        status => Err(format!("plugin refused to start (status {status})")),
    }
}

/// Has plugins forget what they were offered: they are unloaded, to be loaded anew.
pub(super) fn unload() {
    let libraries = with(|state| {
        state.plugins.clear();
        state.files.clear();
        std::mem::take(&mut state.libraries)
    });
    for library in libraries {
        // Nothing calls into it any more. If it cannot be unloaded it will be introduced to the linker once more.
        let _ = library.close();
    }
}

fn transfer_vector(plugin: &Plugin, kind: c_int, output: &Path) -> Vec<Transfer> {
    macro_rules! function {
        ($tag:expr, $function:expr) => {
            Transfer { tag: $tag, value: $function as *const () as usize }
        };
    }
    let number = |tag, value: c_int| Transfer { tag, value: value as usize };
    let text = |tag, value: &[u8]| Transfer { tag, value: c_text(value).as_ptr() as usize };
    let mut vector = vec![
        Transfer { tag: tag::MESSAGE, value: message::entry() },
        number(tag::API_VERSION, abi::API_VERSION),
        number(tag::GNU_LD_VERSION, abi::GNU_LD_VERSION),
        number(tag::LINKER_OUTPUT, kind),
        text(tag::OUTPUT_NAME, output.as_os_str().as_bytes()),
        function!(tag::REGISTER_CLAIM_FILE_HOOK, register_claim_file),
        function!(tag::REGISTER_CLAIM_FILE_HOOK_V2, register_claim_file_v2),
        function!(tag::REGISTER_ALL_SYMBOLS_READ_HOOK, register_all_symbols_read),
        function!(tag::REGISTER_CLEANUP_HOOK, register_cleanup),
        function!(tag::REGISTER_NEW_INPUT_HOOK, register_new_input),
        function!(tag::ADD_SYMBOLS, add_symbols),
        function!(tag::ADD_SYMBOLS_V2, add_symbols_v2),
        function!(tag::GET_SYMBOLS, get_symbols),
        function!(tag::GET_SYMBOLS_V2, get_symbols_v2),
        function!(tag::GET_SYMBOLS_V3, get_symbols_v3),
        function!(tag::ADD_INPUT_FILE, add_input_file),
        function!(tag::ADD_INPUT_LIBRARY, add_input_library),
        function!(tag::SET_EXTRA_LIBRARY_PATH, set_extra_library_path),
        function!(tag::GET_INPUT_FILE, get_input_file),
        function!(tag::RELEASE_INPUT_FILE, release_input_file),
        function!(tag::GET_VIEW, get_view),
        function!(tag::GET_INPUT_SECTION_COUNT, get_input_section_count),
        function!(tag::GET_INPUT_SECTION_TYPE, get_input_section_type),
        function!(tag::GET_INPUT_SECTION_NAME, get_input_section_name),
        function!(tag::GET_INPUT_SECTION_CONTENTS, get_input_section_contents),
        function!(tag::GET_INPUT_SECTION_ALIGNMENT, get_input_section_alignment),
        function!(tag::GET_INPUT_SECTION_SIZE, get_input_section_size),
        function!(tag::GET_WRAP_SYMBOLS, get_wrap_symbols),
    ];
    vector.extend(plugin.options.iter().map(|option| text(tag::OPTION, option)));
    vector.push(number(tag::NULL, 0));
    vector
}

/// Who claimed a file, by number, and what symbols it has.
pub(super) type Claim = (usize, Vec<Claimed>);

/// Offers files to the plugins in order; of each what the plugin says that claims it.
pub(super) fn offer(offers: Vec<Offer>) -> Vec<Option<Claim>> {
    let hooks = with(|state| state.plugins.clone());
    offers.into_iter().map(|offer| offer_one(&hooks, offer)).collect()
}

fn offer_one(hooks: &[Hooks], offer: Offer) -> Option<Claim> {
    let name = CString::new(offer.path.as_os_str().as_bytes()).unwrap_or_default();
    let fd = File::open(offer.path).map(IntoRawFd::into_raw_fd);
    let origin = offer.origin;
    let (handle, file) = with(|state| {
        state.subject = Some(offer.rank);
        state.files.push(Offered { offer, name, symbols: None, open: None });
        let handle = state.files.len();
        (handle, describe(&state.files[handle - 1], handle, *fd.as_ref().unwrap_or(&-1)))
    });
    let mut claimed_by = None;
    for (number, hooks) in hooks.iter().enumerate() {
        let mut claimed: c_int = 0;
        crash::prepare(format!(
            "{origin}: the plugin {} crashed while it read the file",
            hooks.path.display()
        ));
        // SAFETY: the structure lives as long as the call; the name in it as long as the state. That the file is known
        // to be used (the last argument) asks for all of it at once, as the first version of the hook does.
        let status = unsafe {
            match (hooks.claim_v2, hooks.claim) {
                (Some(claim), _) => claim(&file, &mut claimed, 1),
                (None, Some(claim)) => claim(&file, &mut claimed),
                (None, None) => LDPS_OK,
            }
        };
        if status != LDPS_OK {
            said(level::ERROR, &format!("the plugin failed to read it (status {status})"));
        }
        claimed_by = (claimed != 0).then_some(number);
        if claimed_by.is_some() || status != LDPS_OK {
            break;
        }
    }
    if let Ok(fd) = fd {
        close(fd);
    }
    with(|state| {
        state.subject = None;
        let symbols = &state.files[handle - 1].symbols;
        claimed_by.map(|number| (number, symbols.clone().unwrap_or_default()))
    })
}

/// The file for C.
fn describe(offered: &Offered, handle: usize, fd: RawFd) -> InputFile {
    InputFile {
        name: offered.name.as_ptr(),
        fd,
        offset: offered.offer.offset as i64,
        size: offered.offer.data.len() as i64,
        handle: handle as *mut c_void,
    }
}

fn close(fd: RawFd) {
    // SAFETY: the descriptor came from `into_raw_fd` here and is not used again.
    drop(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(fd) });
}

/// Tells the plugins how symbols were resolved, one answer for each offered file, and has them compile.
pub(super) fn compile(answers: Vec<Answer>) -> Added {
    let hooks = with(|state| {
        state.answers = answers;
        state.plugins.clone()
    });
    for hooks in &hooks {
        let Some(hook) = hooks.all_symbols_read else { continue };
        crash::prepare(format!("the plugin {} crashed while it compiled", hooks.path.display()));
        // SAFETY: the hook is the plugin's own and takes nothing.
        let status = unsafe { hook() };
        if status != LDPS_OK {
            said(level::ERROR, &format!("the plugin failed to compile (status {status})"));
        }
    }
    let added = with(|state| std::mem::take(&mut state.added));
    for hooks in &hooks {
        let Some(hook) = hooks.new_input else { continue };
        crash::prepare(format!("the plugin {} crashed after it had compiled", hooks.path.display()));
        added.files.iter().for_each(|path| announce(hook, path));
    }
    added
}

/// Tells a plugin that a file it added has been taken in.
fn announce(hook: NewInput, path: &Path) {
    let Ok(file) = File::open(path) else { return };
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let name = c_text(path.as_os_str().as_bytes());
    let fd = file.into_raw_fd();
    let file =
        InputFile { name: name.as_ptr(), fd, offset: 0, size: size as i64, handle: std::ptr::null_mut() };
    // SAFETY: the structure lives as long as the call.
    unsafe { hook(&file) };
    close(fd);
}

/// Runs the plugins' cleanup hooks, once.
pub(super) fn clean_up() {
    for hooks in with(|state| std::mem::take(&mut state.plugins)) {
        if let Some(hook) = hooks.cleanup {
            crash::prepare(format!("the plugin {} crashed while it cleaned up", hooks.path.display()));
            // SAFETY: the hook is the plugin's own and takes nothing.
            let status = unsafe { hook() };
            if status != LDPS_OK {
                said(level::WARNING, &format!("the plugin failed to clean up (status {status})"));
            }
        }
    }
}

/// Registers a hook of the plugin that was loaded last: hooks are registered while it is being loaded.
fn register(set: impl FnOnce(&mut Hooks)) -> Status {
    with(|state| match state.plugins.last_mut() {
        Some(hooks) => {
            set(hooks);
            LDPS_OK
        }
        None => LDPS_ERR,
    })
}

extern "C" fn register_claim_file(hook: ClaimFile) -> Status {
    register(|hooks| hooks.claim = Some(hook))
}

extern "C" fn register_claim_file_v2(hook: ClaimFileV2) -> Status {
    register(|hooks| hooks.claim_v2 = Some(hook))
}

extern "C" fn register_all_symbols_read(hook: Notified) -> Status {
    register(|hooks| hooks.all_symbols_read = Some(hook))
}

extern "C" fn register_cleanup(hook: Notified) -> Status {
    register(|hooks| hooks.cleanup = Some(hook))
}

extern "C" fn register_new_input(hook: NewInput) -> Status {
    register(|hooks| hooks.new_input = Some(hook))
}

/// Does something with the file behind a handle.
fn with_file(handle: *const c_void, f: impl FnOnce(&mut Offered) -> Status) -> Status {
    with(|state| {
        let index = (handle as usize).checked_sub(1);
        index.and_then(|index| state.files.get_mut(index)).map_or(LDPS_BAD_HANDLE, f)
    })
}

/// The bytes of a string of the plugin's; none of a null pointer.
///
/// # Safety
/// `text` is null or a string.
unsafe fn bytes(text: *const c_char) -> Option<Vec<u8>> {
    // SAFETY: as promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
}

extern "C" fn add_symbols(handle: *mut c_void, count: c_int, symbols: *const Symbol) -> Status {
    add(handle, count, symbols, false)
}

extern "C" fn add_symbols_v2(handle: *mut c_void, count: c_int, symbols: *const Symbol) -> Status {
    add(handle, count, symbols, true)
}

fn add(handle: *mut c_void, count: c_int, symbols: *const Symbol, has_types: bool) -> Status {
    let Ok(count) = usize::try_from(count) else { return LDPS_ERR };
    with_file(handle, |file| {
        let table = if count == 0 {
            &[]
        } else {
            // SAFETY: the plugin passes as many symbols as it says.
            unsafe { std::slice::from_raw_parts(symbols, count) }
        };
        // SAFETY: names, versions and keys are strings or null.
        let claimed = |symbol: &Symbol| unsafe {
            Claimed {
                name: bytes(symbol.name).unwrap_or_default(),
                version: bytes(symbol.version).filter(|version| !version.is_empty()),
                kind: symbol.kind,
                symbol_type: if has_types { symbol.symbol_type } else { 0 },
                visibility: symbol.visibility,
                size: symbol.size,
                comdat: bytes(symbol.comdat_key),
            }
        };
        file.symbols = Some(table.iter().map(claimed).collect());
        LDPS_OK
    })
}

extern "C" fn get_symbols(handle: *const c_void, count: c_int, symbols: *mut Symbol) -> Status {
    get(handle, count, symbols, 1)
}

extern "C" fn get_symbols_v2(handle: *const c_void, count: c_int, symbols: *mut Symbol) -> Status {
    get(handle, count, symbols, 2)
}

extern "C" fn get_symbols_v3(handle: *const c_void, count: c_int, symbols: *mut Symbol) -> Status {
    get(handle, count, symbols, 3)
}

fn get(handle: *const c_void, count: c_int, symbols: *mut Symbol, version: u32) -> Status {
    let Ok(count) = usize::try_from(count) else { return LDPS_ERR };
    let answer = with(|state| {
        let index = (handle as usize).checked_sub(1)?;
        state.answers.get(index).cloned()
    });
    let resolutions = match answer {
        None => return LDPS_BAD_HANDLE,
        // Older plugins do not know that a claimed file may stay out: everything in it is replaced.
        Some(Answer::NotIncluded) if version >= 3 => return LDPS_NO_SYMS,
        Some(Answer::NotIncluded) => vec![resolution::PREEMPTED_REG; count],
        Some(Answer::Resolved(resolutions)) => resolutions,
    };
    if count > resolutions.len() {
        return LDPS_NO_SYMS;
    }
    for (index, resolution) in resolutions.into_iter().enumerate().take(count) {
        let known = match resolution {
            resolution::PREVAILING_DEF_IRONLY_EXP if version < 2 => resolution::PREVAILING_DEF,
            other => other,
        };
        // SAFETY: the plugin passes as many symbols as it says.
        unsafe { (*symbols.add(index)).resolution = known };
    }
    LDPS_OK
}

extern "C" fn add_input_file(path: *const c_char) -> Status {
    // SAFETY: the plugin passes a string.
    let path = unsafe { bytes(path) }.unwrap_or_default();
    let path = PathBuf::from(OsStr::from_bytes(&path));
    leftovers::add(&path);
    with(|state| state.added.files.push(path));
    LDPS_OK
}

extern "C" fn add_input_library(name: *const c_char) -> Status {
    // SAFETY: the plugin passes a string.
    let name = unsafe { bytes(name) }.unwrap_or_default();
    with(|state| state.added.libraries.push(name));
    LDPS_OK
}

extern "C" fn set_extra_library_path(path: *const c_char) -> Status {
    // SAFETY: the plugin passes a string.
    let path = unsafe { bytes(path) }.unwrap_or_default();
    with(|state| state.added.library_paths.push(PathBuf::from(OsStr::from_bytes(&path))));
    LDPS_OK
}

extern "C" fn get_input_file(handle: *const c_void, file: *mut InputFile) -> Status {
    with_file(handle, |offered| {
        crash::looks_at(offered.offer.origin.to_string());
        let fd = match offered.open {
            Some(fd) => fd,
            None => match File::open(offered.offer.path) {
                Ok(open) => open.into_raw_fd(),
                Err(_) => return LDPS_ERR,
            },
        };
        offered.open = Some(fd);
        // SAFETY: the plugin passes a structure to be filled.
        unsafe { file.write(describe(offered, handle as usize, fd)) };
        LDPS_OK
    })
}

extern "C" fn release_input_file(handle: *const c_void) -> Status {
    with_file(handle, |offered| {
        if let Some(fd) = offered.open.take() {
            close(fd);
        }
        LDPS_OK
    })
}

extern "C" fn get_view(handle: *const c_void, view: *mut *const c_void) -> Status {
    with_file(handle, |offered| {
        crash::looks_at(offered.offer.origin.to_string());
        // SAFETY: the plugin passes the place for a pointer. Inputs stay mapped until the process ends.
        unsafe { view.write(offered.offer.data.as_ptr().cast()) };
        LDPS_OK
    })
}

/// Does something with the sections of the file behind a handle.
fn with_sections(handle: *const c_void, f: impl FnOnce(&Sections) -> Option<()>) -> Status {
    with_file(handle, |offered| {
        let sections = Sections::of(offered.offer.data);
        sections.as_ref().and_then(f).map_or(LDPS_ERR, |()| LDPS_OK)
    })
}

extern "C" fn get_input_section_count(handle: *const c_void, count: *mut c_uint) -> Status {
    with_sections(handle, |sections| {
        // SAFETY: the plugin passes the place for a number.
        unsafe { count.write(sections.count() as c_uint) };
        Some(())
    })
}

extern "C" fn get_input_section_type(section: Section, sh_type: *mut c_uint) -> Status {
    with_sections(section.handle, |sections| {
        let value = sections.header(section.index)?.sh_type.get(LE);
        // SAFETY: the plugin passes the place for a number.
        unsafe { sh_type.write(value) };
        Some(())
    })
}

extern "C" fn get_input_section_name(section: Section, name: *mut *mut c_char) -> Status {
    with_sections(section.handle, |sections| {
        let text = CString::new(sections.name(section.index)?).ok()?;
        // SAFETY: the plugin passes the place for a pointer, and frees the copy.
        unsafe { name.write(libc::strdup(text.as_ptr())) };
        Some(())
    })
}

extern "C" fn get_input_section_contents(
    section: Section,
    start: *mut *const u8,
    size: *mut usize,
) -> Status {
    with_sections(section.handle, |sections| {
        let contents = sections.contents(section.index)?;
        // SAFETY: the plugin passes the places for both; inputs stay mapped until the process ends.
        unsafe {
            start.write(contents.as_ptr());
            size.write(contents.len());
        }
        Some(())
    })
}

extern "C" fn get_input_section_alignment(section: Section, alignment: *mut c_uint) -> Status {
    with_sections(section.handle, |sections| {
        let value = sections.header(section.index)?.sh_addralign.get(LE);
        // SAFETY: the plugin passes the place for a number.
        unsafe { alignment.write(value as c_uint) };
        Some(())
    })
}

extern "C" fn get_input_section_size(section: Section, size: *mut u64) -> Status {
    with_sections(section.handle, |sections| {
        let value = sections.header(section.index)?.sh_size.get(LE);
        // SAFETY: the plugin passes the place for a number.
        unsafe { size.write(value) };
        Some(())
    })
}

extern "C" fn get_wrap_symbols(count: *mut u64, names: *mut *const *const c_char) -> Status {
    let wraps: &'static [usize] = with(|state| state.wraps.clone()).leak();
    // SAFETY: the plugin passes the places for both; neither the list nor its strings are ever freed.
    unsafe {
        count.write(wraps.len() as u64);
        names.write(wraps.as_ptr().cast());
    }
    LDPS_OK
}
