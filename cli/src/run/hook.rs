//! The library that `manifold -run` preloads into every process of a build.
//!
//! It stands before the C library's functions that start a program: where the program is a linker that
//! manifold replaces (`linkers`), manifold is started with the same arguments (the zeroth included) and
//! environment; everything else is passed on untouched.
//!
//! Most callers are in the child of `vfork`, which shares its parent's memory and may only do what is
//! allowed in a signal handler. So everything is found out when the library is loaded: where manifold is,
//! from the library's own place (beside the command, or in `../lib/manifold` from it), and the addresses
//! of the real functions. After that the hooks read atomics and compare bytes.
//!
//! Functions with variable arguments are functions of a register list followed by a stack list. Theirs
//! are a few instructions that lay the two out as one array, the form every other function takes.

#![cfg(target_os = "linux")]

mod linkers;

use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::mem::transmute;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A null-terminated array of strings, as `execve` takes it.
type Strings = *const *const c_char;

/// The path of manifold; null if there is none, and then nothing is replaced.
static MANIFOLD: AtomicPtr<c_char> = AtomicPtr::new(std::ptr::null_mut());

/// A function of the C library that a hook stands before.
struct Real {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Real {
        Real { name, address: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The address of the next definition after this library's. Looked up when the library is loaded; by a
    /// hook only if another library's constructor starts a program before that.
    fn address(&self) -> *mut c_void {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: `name` is a C string; RTLD_NEXT is a valid handle in a shared library.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

static EXECVE: Real = Real::new(c"execve");
static EXECV: Real = Real::new(c"execv");
static EXECVP: Real = Real::new(c"execvp");
static EXECVPE: Real = Real::new(c"execvpe");
static EXECVEAT: Real = Real::new(c"execveat");
static FEXECVE: Real = Real::new(c"fexecve");
static POSIX_SPAWN: Real = Real::new(c"posix_spawn");
static POSIX_SPAWNP: Real = Real::new(c"posix_spawnp");

/// Runs when the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static LOADED: extern "C" fn() = loaded;

extern "C" fn loaded() {
    for real in [&EXECVE, &EXECV, &EXECVP, &EXECVPE, &EXECVEAT, &FEXECVE, &POSIX_SPAWN, &POSIX_SPAWNP] {
        real.address();
    }
    if let Some(path) = manifold() {
        MANIFOLD.store(path.into_raw(), Ordering::Relaxed);
    }
}

/// Finds manifold from the place of this library.
fn manifold() -> Option<CString> {
    // SAFETY: all zeros is a valid `Dl_info`; `dladdr` fills it and takes any address; `dli_fname`, where it
    // succeeds, is a string that lives as long as the library is loaded.
    let library = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(loaded as extern "C" fn() as *const c_void, &mut info) == 0 {
            return None;
        }
        CStr::from_ptr(info.dli_fname).to_bytes()
    };
    let directory = &library[..library.iter().rposition(|b| *b == b'/')? + 1];
    linkers::PLACES.iter().find_map(|place| {
        let path = CString::new([directory, place.as_bytes()].concat()).ok()?;
        // SAFETY: `path` is a C string.
        (unsafe { libc::access(path.as_ptr(), libc::X_OK) } == 0).then_some(path)
    })
}

/// Manifold's path, if it takes the place of this program.
///
/// # Safety
/// `path` is null or a C string, `argv` null or a null-terminated array of C strings.
unsafe fn replacement(path: *const c_char, argv: Strings) -> Option<*const c_char> {
    let manifold = MANIFOLD.load(Ordering::Relaxed);
    if manifold.is_null() || path.is_null() || argv.is_null() {
        return None;
    }
    let mut next = argv;
    let argument = || {
        // SAFETY: the array ends with a null pointer, and `next` never moves behind it.
        unsafe {
            let argument = *next;
            if argument.is_null() {
                return None;
            }
            next = next.add(1);
            Some(CStr::from_ptr(argument).to_bytes())
        }
    };
    // SAFETY: `path` is a C string.
    let path = unsafe { CStr::from_ptr(path).to_bytes() };
    linkers::is_replaced(path, argument).then_some(manifold.cast_const())
}

/// The path behind an open file, if it takes less than the buffer.
fn path_of(fd: c_int, buffer: &mut [u8; 4096]) -> *const c_char {
    const BEGIN: &[u8] = b"/proc/self/fd/";
    let mut link = [0u8; 32];
    link[..BEGIN.len()].copy_from_slice(BEGIN);
    let mut digits = [0u8; 10];
    let mut rest = fd.unsigned_abs();
    let mut first = digits.len();
    while first > 0 && (rest > 0 || first == digits.len()) {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[first..];
    link[BEGIN.len()..BEGIN.len() + digits.len()].copy_from_slice(digits);
    // SAFETY: `link` is a C string (its last byte stays 0); the buffer is as long as said.
    let length =
        unsafe { libc::readlink(link.as_ptr().cast(), buffer.as_mut_ptr().cast(), buffer.len() - 1) };
    match usize::try_from(length) {
        Ok(length) if fd >= 0 => {
            buffer[length] = 0;
            buffer.as_ptr().cast()
        }
        _ => std::ptr::null(),
    }
}

/// `ENOSYS`, for a function this C library does not have.
fn missing() -> c_int {
    // SAFETY: `__errno_location` always points to this thread's `errno`.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    -1
}

/// Calls a real function; `ENOSYS` if there is none.
macro_rules! real {
    ($real:ident as fn($($type:ty),*) -> c_int, $($argument:expr),*) => {{
        let address = $real.address();
        if address.is_null() {
            missing()
        } else {
            // SAFETY: the function of this name has this type (exec(3), posix_spawn(3)), and the caller of
            // the hook has promised the function's own conditions.
            unsafe { transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> c_int>(address)($($argument),*) }
        }
    }};
}

/// The environment of this process.
fn environment() -> Strings {
    unsafe extern "C" {
        static environ: Strings;
    }
    // SAFETY: the C library defines it; reading it is what `execv` does.
    unsafe { environ }
}

/// Hook of execve(2).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execve(path: *const c_char, argv: Strings, envp: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { replacement(path, argv) }.unwrap_or(path);
    real!(EXECVE as fn(*const c_char, Strings, Strings) -> c_int, path, argv, envp)
}

/// Hook of execv(3).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execv(path: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { replacement(path, argv) }.unwrap_or(path);
    real!(EXECV as fn(*const c_char, Strings) -> c_int, path, argv)
}

/// Hook of execvp(3). A path with a slash, such as manifold's, is not searched for.
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvp(file: *const c_char, argv: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { replacement(file, argv) }.unwrap_or(file);
    real!(EXECVP as fn(*const c_char, Strings) -> c_int, file, argv)
}

/// Hook of execvpe(3).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvpe(file: *const c_char, argv: Strings, envp: Strings) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { replacement(file, argv) }.unwrap_or(file);
    real!(EXECVPE as fn(*const c_char, Strings, Strings) -> c_int, file, argv, envp)
}

/// Hook of execveat(2).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execveat(
    directory: c_int,
    path: *const c_char,
    argv: Strings,
    envp: Strings,
    flags: c_int,
) -> c_int {
    let mut buffer = [0; 4096];
    // SAFETY: the caller's promise; a path is not null.
    let empty = !path.is_null() && unsafe { *path } == 0;
    let name = if empty { path_of(directory, &mut buffer) } else { path };
    // SAFETY: `name` is null, a string in the buffer, or the caller's.
    match unsafe { replacement(name, argv) } {
        Some(manifold) => real!(EXECVE as fn(*const c_char, Strings, Strings) -> c_int, manifold, argv, envp),
        None => real!(
            EXECVEAT as fn(c_int, *const c_char, Strings, Strings, c_int) -> c_int,
            directory,
            path,
            argv,
            envp,
            flags
        ),
    }
}

/// Hook of fexecve(3).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fexecve(fd: c_int, argv: Strings, envp: Strings) -> c_int {
    let mut buffer = [0; 4096];
    // SAFETY: the path is null or a string in the buffer; `argv` is the caller's.
    match unsafe { replacement(path_of(fd, &mut buffer), argv) } {
        Some(manifold) => real!(EXECVE as fn(*const c_char, Strings, Strings) -> c_int, manifold, argv, envp),
        None => real!(FEXECVE as fn(c_int, Strings, Strings) -> c_int, fd, argv, envp),
    }
}

/// The arguments of posix_spawn(3) between the path and the program's own.
type Spawn = *const c_void;

/// Hook of posix_spawn(3).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn(
    pid: *mut libc::pid_t,
    path: *const c_char,
    actions: Spawn,
    attributes: Spawn,
    argv: Strings,
    envp: Strings,
) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { replacement(path, argv) }.unwrap_or(path);
    real!(
        POSIX_SPAWN as fn(*mut libc::pid_t, *const c_char, Spawn, Spawn, Strings, Strings) -> c_int,
        pid,
        path,
        actions,
        attributes,
        argv,
        envp
    )
}

/// Hook of posix_spawnp(3).
///
/// # Safety
/// As for the function itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnp(
    pid: *mut libc::pid_t,
    file: *const c_char,
    actions: Spawn,
    attributes: Spawn,
    argv: Strings,
    envp: Strings,
) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { replacement(file, argv) }.unwrap_or(file);
    real!(
        POSIX_SPAWNP as fn(*mut libc::pid_t, *const c_char, Spawn, Spawn, Strings, Strings) -> c_int,
        pid,
        file,
        actions,
        attributes,
        argv,
        envp
    )
}

/// The functions with variable arguments, for the calling convention of x86-64 (System V psABI 3.2.3).
#[cfg(target_arch = "x86_64")]
mod variadic {
    use super::{Strings, c_char, c_int, environment};
    use std::arch::naked_asm;

    /// Lays the arguments behind the first out as one array and calls a function of the first and the array.
    ///
    /// On entry the second to sixth argument are in rsi, rdx, rcx, r8, r9, the return address is on top of
    /// the stack and the seventh and following arguments are above it. The return address makes room: it is
    /// taken off, and the registers are pushed in its place, right below the stack arguments. It goes back
    /// to where it was before returning, which happens only if the program could not be started.
    macro_rules! with_array {
        ($name:ident, $target:ident) => {
            /// Hook of the function of this name in exec(3).
            ///
            /// # Safety
            /// As for the function itself: strings, ended by a null pointer.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(path: *const c_char) -> c_int {
                naked_asm!(
                    "pop r10",
                    "push r9",
                    "push r8",
                    "push rcx",
                    "push rdx",
                    "push rsi",
                    "mov rsi, rsp",
                    // Keeps the return address and aligns the stack: 6 words were pushed, 1 was popped,
                    // and the call had left the stack 8 bytes off 16.
                    "push r10",
                    "call {target}",
                    "pop r10",
                    "add rsp, 40",
                    "push r10",
                    "ret",
                    target = sym $target,
                )
            }
        };
    }

    with_array!(execl, execl_array);
    with_array!(execlp, execlp_array);
    with_array!(execle, execle_array);

    unsafe extern "C" fn execl_array(path: *const c_char, argv: Strings) -> c_int {
        // SAFETY: the caller's promise, its arguments laid out as an array.
        unsafe { super::execve(path, argv, environment()) }
    }

    unsafe extern "C" fn execlp_array(file: *const c_char, argv: Strings) -> c_int {
        // SAFETY: the caller's promise, its arguments laid out as an array.
        unsafe { super::execvp(file, argv) }
    }

    unsafe extern "C" fn execle_array(path: *const c_char, argv: Strings) -> c_int {
        let mut end = argv;
        // SAFETY: the arguments end with a null pointer, behind which the environment stands.
        unsafe {
            while !(*end).is_null() {
                end = end.add(1);
            }
            super::execve(path, argv, *end.add(1).cast::<Strings>())
        }
    }
}
