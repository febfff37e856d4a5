//! The linker plugin API as C sees it: numbers, structures, types of functions.
//!
//! The source of all of it is `include/plugin-api.h`, which GCC and binutils share, and the page it refers to
//! (<https://gcc.gnu.org/wiki/whopr/driver>). Names are those of the header without `ld_plugin_`.
//!
//! LDPT_GET_API_VERSION is not offered on purpose: a plugin that asks and gets version 1 expects that files may be
//! claimed by several threads at once. LDPT_UPDATE_SECTION_ORDER and its relatives are no business of compilers.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// `enum ld_plugin_status`.
pub type Status = c_int;
/// It worked.
pub const LDPS_OK: Status = 0;
/// No symbols are known of the file, or (from LDPT_GET_SYMBOLS_V3) it does not take part in the link.
pub const LDPS_NO_SYMS: Status = 1;
/// No file has this handle.
pub const LDPS_BAD_HANDLE: Status = 2;
/// It failed.
pub const LDPS_ERR: Status = 3;

/// `LD_PLUGIN_API_VERSION`.
pub const API_VERSION: c_int = 1;
/// The version of GNU ld whose part of the API is spoken here: 2.41.
pub const GNU_LD_VERSION: c_int = 241;

/// `enum ld_plugin_output_file_type`.
pub mod output {
    use std::ffi::c_int;
    /// An object (`-r`).
    pub const REL: c_int = 0;
    /// A position-dependent executable.
    pub const EXEC: c_int = 1;
    /// A shared object.
    pub const DYN: c_int = 2;
    /// A position-independent executable.
    pub const PIE: c_int = 3;
}

/// `enum ld_plugin_symbol_kind`; what is none of these is a definition.
pub mod kind {
    /// A weak definition.
    pub const WEAKDEF: u8 = 1;
    /// A reference.
    pub const UNDEF: u8 = 2;
    /// A weak reference.
    pub const WEAKUNDEF: u8 = 3;
    /// A tentative definition.
    pub const COMMON: u8 = 4;
}

/// `enum ld_plugin_symbol_type`.
pub mod symbol_type {
    /// A function.
    pub const FUNCTION: u8 = 1;
    /// A variable.
    pub const VARIABLE: u8 = 2;
}

/// `enum ld_plugin_symbol_visibility`.
pub mod visibility {
    use std::ffi::c_int;
    /// STV_PROTECTED.
    pub const PROTECTED: c_int = 1;
    /// STV_INTERNAL.
    pub const INTERNAL: c_int = 2;
    /// STV_HIDDEN.
    pub const HIDDEN: c_int = 3;
}

/// `enum ld_plugin_symbol_resolution`.
pub mod resolution {
    use std::ffi::c_int;
    /// Nothing defines it.
    pub const UNDEF: c_int = 1;
    /// This definition holds, and machine code refers to it.
    pub const PREVAILING_DEF: c_int = 2;
    /// This definition holds, and only intermediate code refers to it.
    pub const PREVAILING_DEF_IRONLY: c_int = 3;
    /// A definition in machine code holds instead.
    pub const PREEMPTED_REG: c_int = 4;
    /// A definition in other intermediate code holds instead.
    pub const PREEMPTED_IR: c_int = 5;
    /// The reference is to other intermediate code.
    pub const RESOLVED_IR: c_int = 6;
    /// The reference is to machine code of the output.
    pub const RESOLVED_EXEC: c_int = 7;
    /// The reference is to a shared object.
    pub const RESOLVED_DYN: c_int = 8;
    /// This definition holds, only intermediate code refers to it, and others may at run time.
    pub const PREVAILING_DEF_IRONLY_EXP: c_int = 9;
}

/// `enum ld_plugin_level`.
pub mod level {
    use std::ffi::c_int;
    /// For information.
    pub const INFO: c_int = 0;
    /// A warning.
    pub const WARNING: c_int = 1;
    /// An error.
    pub const ERROR: c_int = 2;
    /// An error, after which the plugin does not expect to run on.
    pub const FATAL: c_int = 3;
}

/// `enum ld_plugin_tag`.
pub mod tag {
    use std::ffi::c_int;
    macro_rules! tags {
        ($($name:ident = $value:expr),* $(,)?) => {
            $(#[doc = concat!("LDPT_", stringify!($name), ".")] pub const $name: c_int = $value;)*
        };
    }
    tags! {
        NULL = 0, API_VERSION = 1, LINKER_OUTPUT = 3, OPTION = 4, REGISTER_CLAIM_FILE_HOOK = 5,
        REGISTER_ALL_SYMBOLS_READ_HOOK = 6, REGISTER_CLEANUP_HOOK = 7, ADD_SYMBOLS = 8, GET_SYMBOLS = 9,
        ADD_INPUT_FILE = 10, MESSAGE = 11, GET_INPUT_FILE = 12, RELEASE_INPUT_FILE = 13, ADD_INPUT_LIBRARY = 14,
        OUTPUT_NAME = 15, SET_EXTRA_LIBRARY_PATH = 16, GNU_LD_VERSION = 17, GET_VIEW = 18,
        GET_INPUT_SECTION_COUNT = 19, GET_INPUT_SECTION_TYPE = 20, GET_INPUT_SECTION_NAME = 21,
        GET_INPUT_SECTION_CONTENTS = 22, GET_SYMBOLS_V2 = 25, GET_SYMBOLS_V3 = 28, GET_INPUT_SECTION_ALIGNMENT = 29,
        GET_INPUT_SECTION_SIZE = 30, REGISTER_NEW_INPUT_HOOK = 31, GET_WRAP_SYMBOLS = 32, ADD_SYMBOLS_V2 = 33,
        REGISTER_CLAIM_FILE_HOOK_V2 = 35,
    }
}

/// `struct ld_plugin_input_file`.
#[repr(C)]
#[derive(Debug)]
pub struct InputFile {
    /// The file: the archive for a member of one.
    pub name: *const c_char,
    /// The file, open for reading.
    pub fd: c_int,
    /// Where the object starts in the file, in bytes.
    pub offset: i64,
    /// The object's size in bytes.
    pub size: i64,
    /// What the linker knows the object by.
    pub handle: *mut c_void,
}

/// `struct ld_plugin_symbol`.
#[repr(C)]
#[derive(Debug)]
pub struct Symbol {
    /// Its name.
    pub name: *const c_char,
    /// Its version, or null.
    pub version: *const c_char,
    /// See [`kind`]. Before the second version of LDPT_ADD_SYMBOLS an `int`, of which this is the low byte.
    pub kind: u8,
    /// See [`symbol_type`]; only set for the second version of LDPT_ADD_SYMBOLS.
    pub symbol_type: u8,
    /// `enum ld_plugin_symbol_section_kind`; likewise.
    pub section_kind: u8,
    /// Nothing.
    pub unused: u8,
    /// See [`visibility`].
    pub visibility: c_int,
    /// In bytes, of a tentative definition.
    pub size: u64,
    /// The signature of its COMDAT group, or null.
    pub comdat_key: *const c_char,
    /// See [`resolution`]; filled by the linker.
    pub resolution: c_int,
}

/// `struct ld_plugin_section`, passed by value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Of the file.
    pub handle: *const c_void,
    /// Section header index.
    pub index: c_uint,
}

/// An entry of the transfer vector: `struct ld_plugin_tv`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// See [`tag`].
    pub tag: c_int,
    /// The union `tv_u`: a number in its low half, or an address.
    pub value: usize,
}

/// The plugin's entry point, `onload`.
pub type OnLoad = unsafe extern "C" fn(*const Transfer) -> Status;
/// `ld_plugin_claim_file_handler`.
pub type ClaimFile = unsafe extern "C" fn(*const InputFile, *mut c_int) -> Status;
/// `ld_plugin_claim_file_handler_v2`.
pub type ClaimFileV2 = unsafe extern "C" fn(*const InputFile, *mut c_int, c_int) -> Status;
/// `ld_plugin_all_symbols_read_handler`, `ld_plugin_cleanup_handler`.
pub type Notified = unsafe extern "C" fn() -> Status;
/// `ld_plugin_new_input_handler`.
pub type NewInput = unsafe extern "C" fn(*const InputFile) -> Status;

const _: () =
    assert!(size_of::<InputFile>() == 40 && size_of::<Symbol>() == 48 && size_of::<Transfer>() == 16);
