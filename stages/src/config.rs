//! What was asked for, resolved: the typed form of one link's command line.
//!
//! The command line front end builds a [`Config`]; every stage reads it and none changes it. There are no
//! option strings left to interpret here; what needs the file system (library search, scripts given as
//! inputs, version scripts) is still a path or a name, because finding and reading files is the work of
//! `open`.
//!
//! Field names follow the GNU ld manual where it has a word.

mod fold;
mod lto;
mod order;

pub use fold::{Folding, Icf};
pub use lto::{Lto, LtoWord, Plugin};
pub use order::{Arranged, CallGraphSort, CommonSort, Group, Ordering, Permutation, SectionSort, Shuffle};

use crate::reproduce::Reproduction;
use crate::script::{Expr, SymbolList};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Everything the user asked of one link.
#[derive(Debug, Clone)]
pub struct Config {
    /// `-o`: where the result goes. Default `a.out`.
    pub output: PathBuf,
    /// The kind of file to write.
    pub kind: OutputKind,
    /// `--oformat`.
    pub format: Format,
    /// `-n`, `-N`.
    pub magic: Magic,
    /// `-static`/`-Bstatic` in force for the whole link: no dynamic section unless position independent.
    pub is_static: bool,
    /// `-dynamic-linker`: contents of PT_INTERP. `None` with `no_dynamic_linker == false` means the
    /// default of the target.
    pub dynamic_linker: Option<Vec<u8>>,
    /// `--no-dynamic-linker`: write no PT_INTERP (static-pie).
    pub no_dynamic_linker: bool,

    /// Inputs in command-line order, each with the positional options in force where it stood.
    pub inputs: Vec<Input>,
    /// Directories to search for libraries, in order: `-L`, then the system's own unless `-nostdlib`, with
    /// `=` and `$SYSROOT` already replaced.
    pub library_paths: Vec<PathBuf>,
    /// `--remap-inputs`, `--remap-inputs-file`, in order.
    pub remaps: Vec<Remap>,
    /// `--no-dependent-libraries` turns this off: objects name libraries themselves.
    pub dependent_libraries: bool,
    /// `--sysroot`.
    pub sysroot: Option<PathBuf>,
    /// `-nostdlib`: only `-L` directories are searched (SEARCH_DIR of scripts is ignored).
    pub nostdlib: bool,

    /// `-e`/`--entry`: a symbol name or a number.
    pub entry: Option<Vec<u8>>,
    /// `-init`: the function for DT_INIT (default `_init`).
    pub init: Vec<u8>,
    /// `-fini`: the function for DT_FINI (default `_fini`).
    pub fini: Vec<u8>,
    /// `-u`/`--undefined`.
    pub undefined: Vec<Vec<u8>>,
    /// `--undefined-glob`: the same for all known names that match.
    pub undefined_globs: Vec<Vec<u8>>,
    /// `--ignore-unresolved-symbol`.
    pub ignored_undefined: Vec<Vec<u8>>,
    /// `--require-defined`: like `-u`, and an error when still undefined at the end.
    pub require_defined: Vec<Vec<u8>>,
    /// `--defsym`: in order.
    pub defsyms: Vec<(Vec<u8>, Expr)>,
    /// `--wrap`.
    pub wraps: Vec<Vec<u8>>,
    /// `-y`/`--trace-symbol`: report who defines and references these.
    pub trace_symbols: Vec<Vec<u8>>,

    /// `-soname`/`-h`.
    pub soname: Option<Vec<u8>>,
    /// `-rpath` entries joined with `:`, duplicates removed, byte-exact.
    pub rpath: Option<Vec<u8>>,
    /// `-rpath-link` directories.
    pub rpath_link: Vec<PathBuf>,
    /// `--enable-new-dtags` (DT_RUNPATH, the default) or `--disable-new-dtags` (DT_RPATH).
    pub new_dtags: bool,
    /// `--hash-style`.
    pub hash_style: HashStyle,
    /// `--filter`/`-F`.
    pub filters: Vec<Vec<u8>>,
    /// `--auxiliary`/`-f`.
    pub auxiliaries: Vec<Vec<u8>>,
    /// `--audit`.
    pub audit: Option<Vec<u8>>,
    /// `--depaudit`/`-P`.
    pub depaudit: Option<Vec<u8>>,

    /// `--version-script` files.
    pub version_scripts: Vec<PathBuf>,
    /// `--dynamic-list` files.
    pub dynamic_lists: Vec<PathBuf>,
    /// `--export-dynamic-symbol` globs and the contents of `--export-dynamic-symbol-list` files' names.
    pub export_dynamic_symbols: SymbolList,
    /// `--export-dynamic-symbol-list` files.
    pub export_dynamic_symbol_lists: Vec<PathBuf>,
    /// `--dynamic-list-cpp-new`: the operators new and delete are in the dynamic list.
    pub dynamic_list_cpp_new: bool,
    /// `--dynamic-list-cpp-typeinfo`: type information is in the dynamic list.
    pub dynamic_list_cpp_typeinfo: bool,
    /// `--dynamic-list-data`: all data symbols are in the dynamic list.
    pub dynamic_list_data: bool,
    /// `--export-dynamic`/`-E`.
    pub export_dynamic: bool,
    /// `--exclude-libs`.
    pub exclude_libs: ExcludeLibs,
    /// `--retain-symbols-file`.
    pub retain_symbols_file: Option<PathBuf>,
    /// `-Bsymbolic` and its relatives.
    pub bsymbolic: Bsymbolic,
    /// `--no-undefined-version`: naming an absent symbol in a version script is an error.
    pub no_undefined_version: bool,

    /// `--default-symver`: without a version script, exported symbols get a version named after the soname.
    pub default_symver: bool,

    /// `--default-imported-symver`: imports from libraries without versions get one named after the soname.
    pub default_imported_symver: bool,
    /// `--version-exports-section`: names in sections `.exports` are exported with this version, and no others.
    pub version_exports_section: Option<Vec<u8>>,

    /// What to do about symbols no file defines.
    pub unresolved: Unresolved,
    /// `--no-allow-shlib-undefined`/`-z defs`-like check of shared inputs; `None`: the default of the kind
    /// (checked for executables).
    pub allow_shlib_undefined: Option<bool>,
    /// `-z muldefs`/`--allow-multiple-definition`.
    pub allow_multiple_definition: bool,
    /// `--disable-multiple-abs-defs`: symbols that `-R` brings along have no second definition.
    pub multiple_abs_defs_are_errors: bool,
    /// `-d`: allocate tentative definitions even under `-r`.
    pub define_common: bool,
    /// `--no-define-common`: a shared object leaves its tentative definitions to the program.
    pub no_define_common: bool,
    /// `--no-fortran-common` turns this off: archive members with a definition take the place of common symbols.
    pub fortran_common: bool,
    /// `--warn-common`.
    pub warn_common: bool,

    /// `--detect-odr-violations`.
    pub detect_odr_violations: bool,
    /// `--warn-backrefs`.
    pub warn_backrefs: bool,
    /// `--warn-backrefs-exclude`: globs of files whose symbols may be referred to from farther right.
    pub warn_backrefs_exclude: Vec<Vec<u8>>,

    /// `--gc-sections`.
    pub gc_sections: bool,
    /// `--print-gc-sections`.
    pub print_gc_sections: bool,
    /// `--gc-keep-exported`.
    pub gc_keep_exported: bool,
    /// `-z start-stop-gc`: references through `__start_`/`__stop_` do not keep sections.
    pub start_stop_gc: bool,
    /// `-z start-stop-visibility=`.
    pub start_stop_visibility: Visibility,
    /// `--icf` and what belongs to it.
    pub folding: Folding,
    /// `-O2` and above: strings that end others become parts of them.
    pub merge_tails: bool,
    /// In which order sections stand.
    pub ordering: Ordering,
    /// `-plugin` and what belongs to it.
    pub lto: Lto,

    /// `--force-group-allocation`: under `-r`, section groups are dissolved once they are elected.
    pub force_group_allocation: bool,
    /// `--split-by-file`: under `-r`, a section of another file begins a new output section where one would get larger than
    /// this.
    pub split_by_file: Option<u64>,
    /// `--split-by-reloc`: under `-r`, no output section gets more relocations than this, as far as inputs allow.
    pub split_by_reloc: Option<u64>,
    /// `--discard-section`: globs of names of input sections.
    pub discard_sections: Vec<Vec<u8>>,
    /// `--zero-to-bss`: writable sections of zeros alone are zero-filled data.
    pub zero_to_bss: bool,
    /// `-s`, `-S`.
    pub strip: Strip,
    /// `-x`, `-X`, `--discard-none`.
    pub discard: Discard,
    /// `--build-id`.
    pub build_id: BuildId,
    /// `--eh-frame-hdr`.
    pub eh_frame_hdr: bool,
    /// `--discard-sframe`: no `.sframe`.
    pub discard_sframe: bool,
    /// `--emit-relocs`/`-q`.
    pub emit_relocs: bool,
    /// `--compress-debug-sections`.
    pub compress_debug: DebugCompression,
    /// `--compress-sections`: globs of names of sections and how these are compressed, in order.
    pub compress_sections: Vec<(Vec<u8>, DebugCompression)>,
    /// `--separate-debug-file`: debug information goes to a file of its own, this or one named after the output.
    pub separate_debug_file: Option<Option<PathBuf>>,
    /// `--only-keep-debug`: the output is what debuggers read, without the contents of what is loaded.
    pub only_keep_debug: bool,
    /// `--debug-names`.
    pub debug_names: bool,
    /// `--gdb-index`.
    pub gdb_index: bool,
    /// `--no-gnu-unique`: STB_GNU_UNIQUE symbols are plain global ones.
    pub plain_unique: bool,

    /// `-z` keywords and their long forms.
    pub z: ZFlags,
    /// `--pack-dyn-relocs=relr`/`-z pack-relative-relocs`.
    pub relr: bool,
    /// `--pack-dyn-relocs=android`: `.rela.dyn` is packed as Android does it.
    pub android_relocations: bool,
    /// `--use-android-relr-tags`: what Android called these before they had numbers in the gABI.
    pub android_relr_tags: bool,
    /// `--no-relax` turns this off.
    pub relax: bool,
    /// `--rosegment` (default with `-z separate-code`).
    pub rosegment: bool,
    /// `--execute-only`: segments of code without PF_R.
    pub execute_only: bool,
    /// `--image-base`/`-Ttext-segment`.
    pub image_base: Option<u64>,
    /// `-Trodata-segment`: address of the first segment with read-only data behind code.
    pub rodata_segment: Option<u64>,
    /// `-Tldata-segment`: address of the first segment with data of the large code model.
    pub ldata_segment: Option<u64>,
    /// `--physical-image-base`: `p_paddr` of the first PT_LOAD.
    pub physical_image_base: Option<u64>,
    /// `--section-start=NAME=ADDR`, `-Ttext`, `-Tdata`, `-Tbss`.
    pub section_starts: Vec<(Vec<u8>, u64)>,

    /// `--package-metadata=JSON`: contents of `.note.package`.
    pub package_metadata: Option<Vec<u8>>,
    /// `--reproduce`, `--repro`: pack everything that goes into the link.
    pub reproduce: Option<Reproduction>,
    /// `--chroot`: absolute names in scripts and archives mean files below this directory.
    pub chroot: Option<PathBuf>,
    /// `--dependency-file`.
    pub dependency_file: Option<PathBuf>,
    /// `-Map`: write a link map here (`-` is standard output).
    pub map_file: Option<PathBuf>,
    /// `--cref`: a cross reference table, behind the map or on standard output.
    pub cref: bool,
    /// `--print-symbol-counts`: write how many symbols inputs define here (`-` is standard output).
    pub symbol_counts: Option<PathBuf>,
    /// `--why-extract`: write who brought in archive members here (`-` is standard output).
    pub why_extract: Option<PathBuf>,
    /// `--print-archive-stats`: write how many members archives have here (`-` is standard output).
    pub archive_stats: Option<PathBuf>,
    /// `--why-live`: globs of symbols to explain.
    pub why_live: Vec<Vec<u8>>,
    /// `-t`/`--trace`: list the input files on standard output.
    pub trace_inputs: bool,
    /// `--trace`: phase table; `--trace=FILE`: profile written to FILE.
    pub profile: Profile,
    /// `--print-dependencies`.
    pub print_dependencies: bool,
    /// `--print-memory-usage`.
    pub print_memory_usage: bool,
    /// `--stats`: print figures about the link on standard output.
    pub stats: bool,

    /// `--threads[=N]`/`--no-threads`; `None`: all cores, as far as the jobserver allows.
    pub threads: Option<NonZeroUsize>,
    /// Nobody said how many: short work need not wake anybody.
    pub is_patient: bool,
    /// What is to be told that this link is a large one, and what is large.
    pub when_large: Option<WhenLarge>,
    /// `--error-limit`: how many errors to show, 0 for all. Default 20.
    pub error_limit: usize,
    /// `--fatal-warnings`.
    pub fatal_warnings: bool,
    /// `--noinhibit-exec`: keep the output although there were errors.
    pub noinhibit_exec: bool,
    /// `--no-demangle` turns this off.
    pub demangle: bool,
    /// `--no-warn-execstack` turns this off: say so when an input asks for an executable stack.
    pub warn_execstack: bool,
    /// `--error-execstack`: an executable stack is an error.
    pub execstack_is_error: bool,
    /// `--no-warn-rwx-segments` turns this off: say so when a segment is writable and executable.
    pub warn_rwx_segments: bool,
    /// `--error-rwx-segments`: such a segment is an error.
    pub rwx_is_error: bool,
    /// `--warn-textrel`: say so when `-z notext` lets text relocations into the output.
    pub warn_textrel: bool,
    /// The linker's name and version, for `.comment`.
    pub producer: String,
}

/// Something that prepares for a link with much to read: the allocator, which a stage knows nothing of.
#[derive(Debug, Clone, Copy)]
pub struct WhenLarge {
    /// Bytes of files from which on a link is large.
    pub bytes: u64,
    /// Called once, as soon as files of so many bytes have been mapped.
    pub prepare: fn(),
}

/// The kind of ELF file to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// ET_EXEC: position dependent (`-no-pie`, the default of ld).
    Executable,
    /// ET_DYN with DF_1_PIE (`-pie`).
    PositionIndependentExecutable,
    /// ET_DYN (`-shared`).
    SharedObject,
    /// ET_REL (`-r`).
    Relocatable,
}

/// How segments relate to pages. The names are those of the magic numbers that told the kinds of a.out files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// Segments have pages of their own (the default).
    Zmagic,
    /// `-n`: nothing is aligned to pages in the file; code stays read-only.
    Nmagic,
    /// `-N`: one segment, writable, for code and data.
    Omagic,
}

/// `--oformat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ELF.
    Elf,
    /// `binary`: the bytes of memory alone.
    Binary,
}

/// One input as the command line names it.
#[derive(Debug, Clone)]
pub struct Input {
    /// What was named.
    pub name: InputName,
    /// The positional options in force.
    pub modifiers: Modifiers,
}

/// How an input was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputName {
    /// A path.
    File(PathBuf),
    /// `-lNAME` (without the `-l`); `-l:FILE` keeps its colon.
    Library(Vec<u8>),
    /// `-T`/`--script`: a linker script that replaces or adds to the default layout.
    Script(PathBuf),
}

/// Inputs that others are read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remap {
    /// `--remap-inputs`: a glob and the file.
    One(Vec<u8>, PathBuf),
    /// `--remap-inputs-file`: a file of such pairs.
    Listed(PathBuf),
}

/// Positional options, as `--push-state` saves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    /// `--as-needed`.
    pub as_needed: bool,
    /// `--copy-dt-needed-entries`: what a shared library needs is as good as named.
    pub copy_needed: bool,
    /// `-Bstatic`: `-l` looks only for archives.
    pub prefer_static: bool,
    /// `--whole-archive`.
    pub whole_archive: bool,
    /// Inside `--start-lib` … `--end-lib`: an object behaves like an archive member.
    pub start_lib: bool,
    /// `-b binary`/`--format=binary`.
    pub format_binary: bool,
    /// `--just-symbols`/`-R FILE`.
    pub just_symbols: bool,
    /// Number of the `--start-group` or `--start-lib` in force, from 1; 0 for none. Only `--warn-backrefs` asks.
    pub group: u32,
}

/// `--hash-style`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the option's own")]
pub enum HashStyle {
    Sysv,
    Gnu,
    Both,
    None,
}

impl HashStyle {
    /// Whether `.gnu.hash` is written.
    pub fn gnu(self) -> bool {
        matches!(self, HashStyle::Gnu | HashStyle::Both)
    }
    /// Whether `.hash` is written.
    pub fn sysv(self) -> bool {
        matches!(self, HashStyle::Sysv | HashStyle::Both)
    }
}

/// `--exclude-libs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExcludeLibs {
    /// No archive is excluded.
    None,
    /// `ALL`.
    All,
    /// These archives, by file name.
    Named(Vec<Vec<u8>>),
}

/// `-Bsymbolic` and relatives: which definitions of a shared object bind to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the option's own")]
pub enum Bsymbolic {
    None,
    Functions,
    NonWeakFunctions,
    NonWeak,
    All,
}

/// What happens to references nothing defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unresolved {
    /// For references from objects.
    pub in_objects: UnresolvedPolicy,
    /// `-z defs`/`--no-undefined` for `-shared` (an executable always reports).
    pub in_shared_output: bool,
}

/// `--unresolved-symbols`, `--warn-unresolved-symbols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnresolvedPolicy {
    /// An error (the default).
    Error,
    /// A warning.
    Warn,
    /// Silence: the reference becomes 0, or dynamic in a shared object.
    Ignore,
}

/// Symbol visibility (gABI, `st_other`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the gABI's names")]
pub enum Visibility {
    Default,
    Protected,
    Hidden,
    Internal,
}

/// How much of the symbol and debug information to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strip {
    /// Keep everything.
    None,
    /// `--strip-debug-gdb`: leave out debug sections that gdb does not read.
    UnreadByGdb,
    /// `--strip-debug-non-line`: leave out all debug information but that about source lines.
    NonLines,
    /// `-S`: leave out debug sections.
    Debug,
    /// `-s`: leave out debug sections and the symbol table.
    All,
}

/// Which local symbols to leave out of `.symtab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// The default: temporary `.L` symbols in merge sections only.
    Default,
    /// `--discard-none`.
    None,
    /// `-X`: temporary local symbols.
    Temporaries,
    /// `-x`: all local symbols.
    All,
}

/// `--build-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildId {
    /// No build-id note.
    None,
    /// 20 bytes from a fast, wide hash of the contents (`fast`, and the bare option).
    Fast,
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 16 random bytes (RFC 9562, version 4).
    Uuid,
    /// The bytes given.
    Bytes(Vec<u8>),
}

/// `--compress-debug-sections`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebugCompression {
    /// Stored as they are.
    None,
    /// ELFCOMPRESS_ZLIB at a level.
    Zlib(u32),
    /// ELFCOMPRESS_ZSTD at a level.
    Zstd(i32),
}

/// Where the profile of this link goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// Nothing is recorded.
    Off,
    /// The phase table on standard error.
    Table,
    /// A file; the ending decides the format.
    File(PathBuf),
    /// `--time-trace`: a file whatever its ending, or one named after the output.
    TimeTrace(Option<PathBuf>),
}

/// `-z` keywords with an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZFlags {
    /// `now`: DF_BIND_NOW, no lazy binding.
    pub now: bool,
    /// `relro` (default) or `norelro`.
    pub relro: bool,
    /// `text`: text relocations are errors (default); `notext` allows them with DT_TEXTREL.
    pub text: bool,
    /// `execstack`: PT_GNU_STACK is executable.
    pub execstack: bool,
    /// `execstack-if-needed`: PT_GNU_STACK is executable if an input asks for it.
    pub execstack_if_needed: bool,
    /// `nognustack`: write no PT_GNU_STACK.
    pub no_gnu_stack: bool,
    /// `stack-size=N`: `p_memsz` of PT_GNU_STACK.
    pub stack_size: u64,
    /// `max-page-size=N`.
    pub max_page_size: Option<u64>,
    /// `common-page-size=N`.
    pub common_page_size: Option<u64>,
    /// `separate-code` (default), `noseparate-code`, `separate-loadable-segments`.
    pub separate: SeparateCode,
    /// `nocopyreloc`.
    pub no_copy_reloc: bool,
    /// `dynamic-undefined-weak` (default), `nodynamic-undefined-weak`.
    pub dynamic_undefined_weak: bool,
    /// `nodelete`, DF_1_NODELETE.
    pub nodelete: bool,
    /// `nodlopen`, DF_1_NOOPEN.
    pub nodlopen: bool,
    /// `nodump`, DF_1_NODUMP.
    pub nodump: bool,
    /// `nodefaultlib`, DF_1_NODEFLIB.
    pub nodefaultlib: bool,
    /// `initfirst`, DF_1_INITFIRST.
    pub initfirst: bool,
    /// `interpose`, DF_1_INTERPOSE.
    pub interpose: bool,
    /// `origin`, DF_ORIGIN and DF_1_ORIGIN.
    pub origin: bool,
    /// `global`, DF_1_GLOBAL.
    pub global: bool,
    /// `loadfltr`, DF_1_LOADFLTR.
    pub loadfltr: bool,
    /// `globalaudit`, DF_1_GLOBAUDIT.
    pub globalaudit: bool,
    /// `unique`, DF_GNU_1_UNIQUE.
    pub unique: bool,
    /// `-Bgroup`, DF_1_GROUP.
    pub group: bool,
    /// `rewrite-endbr`: markers for indirect branches go where nobody needs them.
    pub rewrite_endbr: bool,
    /// `unique-symbol`: local symbols get numbers.
    pub unique_symbol: bool,
    /// `report-relative-reloc`.
    pub report_relative_reloc: bool,
    /// `common`, `nocommon`: tentative definitions under `-r` are STT_COMMON, or STT_OBJECT.
    pub common: Option<bool>,
    /// `memory-seal`, GNU_PROPERTY_MEMORY_SEAL.
    pub memory_seal: bool,
    /// `mark-plt`, DT_X86_64_PLT and relatives.
    pub mark_plt: bool,
    /// `indirect-extern-access`: code reaches data of other modules through the GOT alone, and says so; `Some(false)` takes
    /// back what inputs say.
    pub indirect_extern_access: Option<bool>,
    /// `ifunc-noplt`: direct uses of indirect functions become dynamic relocations.
    pub ifunc_noplt: bool,
    /// `retpolineplt`: PLT entries without indirect jumps.
    pub retpolineplt: bool,
    /// `rel`: dynamic relocations have no addends (`rela` is the default).
    pub rel: bool,
    /// `wxneeded`, PT_OPENBSD_WXNEEDED.
    pub wxneeded: bool,
    /// `nobtcfi`, PT_OPENBSD_NOBTCFI.
    pub nobtcfi: bool,
    /// `lam-u48`: mark LAM_U48 whatever the inputs say.
    pub lam_u48: bool,
    /// `lam-u57`, `lam-u48`: mark LAM_U57.
    pub lam_u57: bool,
    /// `ibt`/`force-ibt`: mark IBT whatever the inputs say (`ibt`), PLT with ENDBR.
    pub ibt: bool,
    /// `ibtplt`: PLT with ENDBR only.
    pub ibtplt: bool,
    /// `shstk`: mark SHSTK whatever the inputs say.
    pub shstk: bool,
    /// `cet-report=`.
    pub cet_report: CetReport,
    /// `x86-64-{baseline,v2,v3,v4}`: GNU_PROPERTY_X86_ISA_1_NEEDED bits to add.
    pub isa_needed: u32,
    /// `keep-text-section-prefix`.
    pub keep_text_section_prefix: bool,
    /// `keep-data-section-prefix`.
    pub keep_data_section_prefix: bool,
    /// `nosectionheader`: no section header table, and nothing that only it leads to.
    pub no_section_header: bool,
    /// `rodynamic`: `.dynamic` is read-only.
    pub rodynamic: bool,
    /// `dead-reloc-in-nonalloc=GLOB=VALUE`, in order.
    pub dead_reloc_in_nonalloc: Vec<(Vec<u8>, u64)>,
}

/// `-z cet-report=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the option's own words")]
pub enum CetReport {
    None,
    Warning,
    Error,
}

/// How code is kept apart from data in memory and in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeparateCode {
    /// `noseparate-code`: code shares pages with read-only data.
    No,
    /// `separate-code`: code has pages of its own.
    Code,
    /// `separate-loadable-segments`: every PT_LOAD has pages of its own.
    Loadable,
}

impl Default for Config {
    /// What a bare `ld` without options means on x86-64 Linux.
    fn default() -> Self {
        Config {
            output: PathBuf::from("a.out"),
            kind: OutputKind::Executable,
            format: Format::Elf,
            magic: Magic::Zmagic,
            is_static: false,
            dynamic_linker: None,
            no_dynamic_linker: false,
            inputs: Vec::new(),
            library_paths: Vec::new(),
            remaps: Vec::new(),
            dependent_libraries: true,
            sysroot: None,
            nostdlib: false,
            entry: None,
            init: b"_init".to_vec(),
            fini: b"_fini".to_vec(),
            undefined: Vec::new(),
            undefined_globs: Vec::new(),
            ignored_undefined: Vec::new(),
            require_defined: Vec::new(),
            defsyms: Vec::new(),
            wraps: Vec::new(),
            trace_symbols: Vec::new(),
            soname: None,
            rpath: None,
            rpath_link: Vec::new(),
            new_dtags: true,
            hash_style: HashStyle::Both,
            filters: Vec::new(),
            auxiliaries: Vec::new(),
            audit: None,
            depaudit: None,
            version_scripts: Vec::new(),
            dynamic_lists: Vec::new(),
            export_dynamic_symbols: SymbolList::default(),
            export_dynamic_symbol_lists: Vec::new(),
            dynamic_list_cpp_new: false,
            dynamic_list_cpp_typeinfo: false,
            dynamic_list_data: false,
            export_dynamic: false,
            exclude_libs: ExcludeLibs::None,
            retain_symbols_file: None,
            bsymbolic: Bsymbolic::None,
            no_undefined_version: false,
            default_symver: false,
            default_imported_symver: false,
            version_exports_section: None,
            unresolved: Unresolved { in_objects: UnresolvedPolicy::Error, in_shared_output: false },
            allow_shlib_undefined: None,
            allow_multiple_definition: false,
            multiple_abs_defs_are_errors: false,
            define_common: false,
            no_define_common: false,
            fortran_common: true,
            warn_common: false,
            detect_odr_violations: false,
            warn_backrefs: false,
            warn_backrefs_exclude: Vec::new(),
            gc_sections: false,
            print_gc_sections: false,
            gc_keep_exported: false,
            start_stop_gc: false,
            start_stop_visibility: Visibility::Protected,
            folding: Folding::default(),
            merge_tails: false,
            ordering: Ordering::default(),
            lto: Lto::default(),
            force_group_allocation: false,
            split_by_file: None,
            split_by_reloc: None,
            discard_sections: Vec::new(),
            zero_to_bss: false,
            strip: Strip::None,
            discard: Discard::Default,
            build_id: BuildId::None,
            eh_frame_hdr: false,
            discard_sframe: false,
            emit_relocs: false,
            compress_debug: DebugCompression::None,
            compress_sections: Vec::new(),
            separate_debug_file: None,
            only_keep_debug: false,
            debug_names: false,
            gdb_index: false,
            plain_unique: false,
            z: ZFlags::default(),
            relr: false,
            android_relocations: false,
            android_relr_tags: false,
            relax: true,
            rosegment: true,
            execute_only: false,
            image_base: None,
            rodata_segment: None,
            ldata_segment: None,
            physical_image_base: None,
            section_starts: Vec::new(),
            package_metadata: None,
            reproduce: None,
            chroot: None,
            dependency_file: None,
            map_file: None,
            cref: false,
            symbol_counts: None,
            why_extract: None,
            archive_stats: None,
            why_live: Vec::new(),
            trace_inputs: false,
            profile: Profile::Off,
            print_dependencies: false,
            print_memory_usage: false,
            stats: false,
            threads: None,
            is_patient: false,
            when_large: None,
            error_limit: 20,
            fatal_warnings: false,
            noinhibit_exec: false,
            demangle: true,
            warn_execstack: true,
            execstack_is_error: false,
            warn_rwx_segments: true,
            rwx_is_error: false,
            warn_textrel: false,
            producer: format!("manifold {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Default for ZFlags {
    fn default() -> Self {
        ZFlags {
            now: false,
            relro: true,
            text: true,
            execstack: false,
            execstack_if_needed: false,
            no_gnu_stack: false,
            stack_size: 0,
            max_page_size: None,
            common_page_size: None,
            separate: SeparateCode::Code,
            no_copy_reloc: false,
            dynamic_undefined_weak: true,
            nodelete: false,
            nodlopen: false,
            nodump: false,
            nodefaultlib: false,
            initfirst: false,
            interpose: false,
            origin: false,
            global: false,
            loadfltr: false,
            globalaudit: false,
            unique: false,
            group: false,
            rewrite_endbr: false,
            unique_symbol: false,
            report_relative_reloc: false,
            common: None,
            memory_seal: false,
            mark_plt: false,
            indirect_extern_access: None,
            ifunc_noplt: false,
            retpolineplt: false,
            rel: false,
            wxneeded: false,
            nobtcfi: false,
            lam_u48: false,
            lam_u57: false,
            ibt: false,
            ibtplt: false,
            shstk: false,
            cet_report: CetReport::None,
            isa_needed: 0,
            keep_text_section_prefix: false,
            keep_data_section_prefix: false,
            no_section_header: false,
            rodynamic: false,
            dead_reloc_in_nonalloc: Vec::new(),
        }
    }
}

impl Config {
    /// Whether addresses are unknown until load time (PIE or shared object).
    pub fn is_pic(&self) -> bool {
        matches!(self.kind, OutputKind::PositionIndependentExecutable | OutputKind::SharedObject)
    }
    /// Whether the output is a shared object.
    pub fn is_shared(&self) -> bool {
        self.kind == OutputKind::SharedObject
    }
    /// Whether there is a dynamic list, from files or of the linker's own.
    pub fn has_dynamic_list(&self) -> bool {
        !self.dynamic_lists.is_empty()
            || self.dynamic_list_cpp_new
            || self.dynamic_list_cpp_typeinfo
            || self.dynamic_list_data
    }
    /// Whether data of shared objects may be copied into the output.
    pub fn may_copy(&self) -> bool {
        !self.z.no_copy_reloc && self.z.indirect_extern_access != Some(true)
    }
    /// Whether the output is a program, position independent or not.
    pub fn is_executable(&self) -> bool {
        matches!(self.kind, OutputKind::Executable | OutputKind::PositionIndependentExecutable)
    }
}
