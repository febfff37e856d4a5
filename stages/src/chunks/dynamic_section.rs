//! `.dynamic` (gABI, "Dynamic Section"; GNU and LSB extensions), in the order GNU ld writes it, and the strings of
//! `.dynstr`.

use super::{Form, Sizing};
use crate::arch::target::{self, Need};
use crate::config::{Config, OutputKind};
use crate::context::Cx;
use crate::dynamic::{Dynamic, DynamicStrings};
use crate::image::Image;
use crate::intern::Symbols;
use crate::model::SymbolId;
use crate::outputs::OutputSection;
use crate::scan::Scan;
use crate::select::Selection;
use object::elf::*;

/// DT_RELR, DT_RELRSZ and DT_RELRENT (gABI, SHT_RELR).
const DT_RELR_TAGS: [i64; 3] = [36, 35, 37];
/// The same as Android wrote them first: DT_ANDROID_RELR, DT_ANDROID_RELRSZ, DT_ANDROID_RELRENT.
const DT_ANDROID_RELR_TAGS: [i64; 3] = [0x6fff_e000, 0x6fff_e001, 0x6fff_e003];

/// `.rela.dyn`, packed.
const DT_ANDROID_RELA: i64 = 0x6000_0011;
const DT_ANDROID_RELASZ: i64 = 0x6000_0012;
/// `.rel.dyn`, packed.
const DT_ANDROID_REL: i64 = 0x6000_000f;
const DT_ANDROID_RELSZ: i64 = 0x6000_0010;

/// The tags for dynamic relocations: address and size of the table, the same of a packed one, size of an entry, how many
/// are relative.
#[derive(Clone, Copy)]
struct TableTags {
    table: (i64, i64),
    packed: (i64, i64),
    entry: i64,
    count: i64,
}

const RELA_TAGS: TableTags = TableTags {
    table: (DT_RELA, DT_RELASZ),
    packed: (DT_ANDROID_RELA, DT_ANDROID_RELASZ),
    entry: DT_RELAENT,
    count: DT_RELACOUNT,
};
const REL_TAGS: TableTags = TableTags {
    table: (DT_REL, DT_RELSZ),
    packed: (DT_ANDROID_REL, DT_ANDROID_RELSZ),
    entry: DT_RELENT,
    count: DT_RELCOUNT,
};

/// What an entry's value is.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number(u64),
    Address(&'static [u8]),
    Size(&'static [u8]),
    Symbol(SymbolId),
}

/// What entries depend on, before and after addresses are known.
struct Facts<'a> {
    cx: &'a Cx<'a>,
    symbols: &'a Symbols,
    selection: &'a Selection,
    scan: &'a Scan,
    dynamic: &'a Dynamic,
    strings: &'a DynamicStrings,
    relative_count: u64,
    has: &'a dyn Fn(&[u8]) -> bool,
}

/// Strings beyond those of the symbols: soname, search path, filters, names of versions.
fn extend(config: &Config, selection: &Selection, strings: &mut DynamicStrings) {
    let options = config.soname.iter().chain(&config.rpath).chain(&config.filters).chain(&config.auxiliaries);
    for text in options.chain(&config.audit).chain(&config.depaudit) {
        strings.add(text);
    }
    if !selection.version_table.definitions.is_empty() {
        strings.add(&file_name(config));
        for definition in &selection.version_table.definitions {
            strings.add(&definition.name);
            for parent in &definition.parents {
                strings.add(parent);
            }
        }
    }
}

/// What the base version definition calls the output: its soname, or its file name.
pub(super) fn file_name(config: &Config) -> Vec<u8> {
    config.soname.clone().unwrap_or_else(|| {
        let name = config.output.file_name().unwrap_or_default();
        std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec()
    })
}

/// `.dynstr`.
pub(super) fn strings(s: &Sizing) -> DynamicStrings {
    let mut strings = s.dynamic.strings.clone();
    extend(s.cx.config, s.selection, &mut strings);
    strings
}

/// `.dynstr`, when it is written.
pub(super) fn strings_of(image: &Image) -> DynamicStrings {
    let mut strings = image.dynamic.strings.clone();
    extend(image.cx.config, image.selection, &mut strings);
    strings
}

/// Number of entries, the terminating one included.
pub(super) fn entry_count(s: &Sizing) -> usize {
    let strings = strings(s);
    let plan = super::relocations::plan(s);
    let has = |name: &[u8]| will_exist(s, &plan, name);
    entries(&Facts {
        cx: s.cx,
        symbols: s.symbols,
        selection: s.selection,
        scan: s.scan,
        dynamic: s.dynamic,
        strings: &strings,
        relative_count: plan.relative_count,
        has: &has,
    })
    .len()
}

/// Whether a section that `.dynamic` mentions will be there.
fn will_exist(s: &Sizing, plan: &super::relocations::RelocationPlan, name: &[u8]) -> bool {
    let tables = s.tables;
    match name {
        b".hash" => s.cx.config.hash_style.sysv(),
        b".gnu.hash" => s.cx.config.hash_style.gnu(),
        b".rela.dyn" | b".rel.dyn" => plan.rela_dyn_size() > 0,
        b".relr.dyn" => plan.has_relr(),
        b".plt" | b".rela.plt" | b".rel.plt" => !tables.lazy.is_empty() || !tables.ifuncs.is_empty(),
        b".got.plt" => tables.has_got_plt(),
        b".gnu.version" => s.dynamic.has_versions(s.selection),
        b".gnu.version_d" => super::dynamic_symbols::verdef_size(s.selection) > 0,
        b".gnu.version_r" => super::dynamic_symbols::verneed_size(s.dynamic) > 0,
        // Sections of inputs: some live object has one.
        name => s.selection.objects.iter().any(|id| {
            let object = s.inputs.object(*id);
            object.outputs.iter().position(|o| o.name == name).is_some_and(|slot| {
                object.sections.iter().enumerate().any(|(i, section)| {
                    usize::from(section.output) == slot
                        && section.kind != crate::model::SectionKind::Ignored
                        && s.live.contains(object.section_id(i))
                        && section.size() > 0
                })
            })
        }),
    }
}

pub(super) fn write(image: &Image, out: &mut [u8]) {
    let strings = strings_of(image);
    let find = |name: &[u8]| {
        let sections = &image.outputs.sections;
        let position =
            sections.iter().position(|s: &OutputSection| s.name == name && s.has(SHF_ALLOC) && s.size > 0)?;
        Some((image.layout.placements[position].address, sections[position].size))
    };
    let has = |name: &[u8]| find(name).is_some();
    let entries = entries(&Facts {
        cx: image.cx,
        symbols: image.symbols,
        selection: image.selection,
        scan: image.scan,
        dynamic: image.dynamic,
        strings: &strings,
        relative_count: image.sizes.relocations.relative_count,
        has: &has,
    });
    debug_assert_eq!(entries.len() * 16, out.len(), "entries were counted before they were written");
    for ((tag, value), out) in entries.into_iter().zip(out.chunks_exact_mut(16)) {
        let value = match value {
            Value::Number(number) => number,
            Value::Address(name) => find(name).map_or(0, |(address, _)| address),
            Value::Size(name) => find(name).map_or(0, |(_, size)| size),
            Value::Symbol(id) => image.addresses.symbols[id.index()],
        };
        out[..8].copy_from_slice(&tag.to_le_bytes());
        out[8..].copy_from_slice(&value.to_le_bytes());
    }
}

/// All entries, in order.
fn entries(f: &Facts) -> Vec<(i64, Value)> {
    let config = f.cx.config;
    let mut list: Vec<(i64, Value)> = Vec::new();
    let mut put = |tag: i64, value: Value| list.push((tag, value));
    let text = |string: &[u8]| Value::Number(f.strings.find(string).into());
    for needed in &f.dynamic.needed {
        put(DT_NEEDED, Value::Number((*needed).into()));
    }
    for (tag, names) in [(DT_AUXILIARY, &config.auxiliaries), (DT_FILTER, &config.filters)] {
        for name in names {
            put(tag, text(name));
        }
    }
    if config.kind == OutputKind::SharedObject
        && let Some(soname) = &config.soname
    {
        put(DT_SONAME, text(soname));
    }
    if let Some(rpath) = &config.rpath {
        put(if config.new_dtags { DT_RUNPATH } else { DT_RPATH }, text(rpath));
    }
    for (tag, names) in [(DT_AUDIT, &config.audit), (DT_DEPAUDIT, &config.depaudit)] {
        if let Some(names) = names {
            put(tag, text(names));
        }
    }
    for (tag, name) in [(DT_INIT, &config.init), (DT_FINI, &config.fini)] {
        let id = f.symbols.find(name).filter(|id| f.selection.def(*id).is_local());
        if let Some(id) = id {
            put(tag, Value::Symbol(id));
        }
    }
    for (name, tag, size_tag) in [
        (&b".preinit_array"[..], DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ),
        (b".init_array", DT_INIT_ARRAY, DT_INIT_ARRAYSZ),
        (b".fini_array", DT_FINI_ARRAY, DT_FINI_ARRAYSZ),
    ] {
        if (f.has)(name) && !(name == b".preinit_array" && config.is_shared()) {
            put(tag, Value::Address(name));
            put(size_tag, Value::Size(name));
        }
    }
    for (name, tag) in [(&b".hash"[..], DT_HASH), (b".gnu.hash", DT_GNU_HASH)] {
        if (f.has)(name) {
            put(tag, Value::Address(name));
        }
    }
    put(DT_STRTAB, Value::Address(b".dynstr"));
    put(DT_SYMTAB, Value::Address(b".dynsym"));
    put(DT_STRSZ, Value::Size(b".dynstr"));
    put(DT_SYMENT, Value::Number(24));
    if config.is_executable() {
        put(DT_DEBUG, Value::Number(0));
    }
    if (f.has)(b".got.plt") {
        put(DT_PLTGOT, Value::Address(b".got.plt"));
    }
    let form = Form::of(config);
    let tags = if config.z.rel { REL_TAGS } else { RELA_TAGS };
    if (f.has)(form.plt) {
        put(DT_PLTRELSZ, Value::Size(form.plt));
        put(DT_PLTREL, Value::Number(tags.table.0 as u64));
        put(DT_JMPREL, Value::Address(form.plt));
    }
    if config.z.mark_plt && (f.has)(b".plt") {
        // The entries that programs jump to: those behind ENDBR64, if there are two tables.
        let plt = if (f.has)(b".plt.sec") { b".plt.sec" } else { &b".plt"[..] };
        let [address, size, entry] = target::PLT_TAGS;
        put(address, Value::Address(plt));
        put(size, Value::Size(plt));
        put(entry, Value::Number(target::plt::SECOND_ENTRY_SIZE));
    }
    if (f.has)(form.dynamic) {
        let (address, size) = if config.android_relocations { tags.packed } else { tags.table };
        put(address, Value::Address(form.dynamic));
        put(size, Value::Size(form.dynamic));
        put(tags.entry, Value::Number(form.entry));
    }
    if (f.has)(b".relr.dyn") {
        let [address, size, entry] =
            if config.android_relr_tags { DT_ANDROID_RELR_TAGS } else { DT_RELR_TAGS };
        put(address, Value::Address(b".relr.dyn"));
        put(size, Value::Size(b".relr.dyn"));
        put(entry, Value::Number(8));
    }
    put_flags(f, &mut put);
    if (f.has)(b".gnu.version_d") {
        put(DT_VERDEF, Value::Address(b".gnu.version_d"));
        put(DT_VERDEFNUM, Value::Number(f.selection.version_table.definitions.len() as u64 + 1));
    }
    if (f.has)(b".gnu.version_r") {
        put(DT_VERNEED, Value::Address(b".gnu.version_r"));
        put(DT_VERNEEDNUM, Value::Number(f.dynamic.version_needs.len() as u64));
    }
    if (f.has)(b".gnu.version") {
        put(DT_VERSYM, Value::Address(b".gnu.version"));
    }
    if f.relative_count > 0 && !config.android_relocations {
        put(tags.count, Value::Number(f.relative_count));
    }
    put(DT_NULL, Value::Number(0));
    list
}

/// The dynamic tag for the flags of GNU's own, and the flag of `-z unique` (glibc, `elf.h`).
const DT_GNU_FLAGS_1: i64 = 0x6fff_fdf4;
const DF_GNU_1_UNIQUE: u64 = 1;

/// DT_SYMBOLIC, DT_TEXTREL, DT_FLAGS, DT_FLAGS_1.
fn put_flags(f: &Facts, put: &mut impl FnMut(i64, Value)) {
    let config = f.cx.config;
    let z = &config.z;
    let has_text_relocations = f.scan.objects.iter().any(|o| o.has_text_relocations);
    let is_symbolic = config.is_shared() && config.bsymbolic == crate::config::Bsymbolic::All;
    let mut flags = 0;
    let mut flags_1 = 0;
    let mut set = |condition: bool, flag: u32, flag_1: u32| {
        if condition {
            flags |= flag;
            flags_1 |= flag_1;
        }
    };
    set(z.origin, DF_ORIGIN, DF_1_ORIGIN);
    set(is_symbolic, DF_SYMBOLIC, 0);
    set(has_text_relocations, DF_TEXTREL, 0);
    set(z.now, DF_BIND_NOW, DF_1_NOW);
    set(f.scan.module.has(Need::STATIC_TLS), DF_STATIC_TLS, 0);
    set(z.group, 0, DF_1_GROUP);
    set(z.nodelete, 0, DF_1_NODELETE);
    set(z.nodlopen, 0, DF_1_NOOPEN);
    set(z.nodump, 0, DF_1_NODUMP);
    set(z.nodefaultlib, 0, DF_1_NODEFLIB);
    set(z.initfirst, 0, DF_1_INITFIRST);
    set(z.interpose, 0, DF_1_INTERPOSE);
    set(z.global, 0, DF_1_GLOBAL);
    set(z.loadfltr, 0, DF_1_LOADFLTR);
    set(z.globalaudit, 0, DF_1_GLOBAUDIT);
    set(config.kind == OutputKind::PositionIndependentExecutable, 0, DF_1_PIE);
    if is_symbolic {
        put(DT_SYMBOLIC, Value::Number(0));
    }
    if has_text_relocations {
        put(DT_TEXTREL, Value::Number(0));
    }
    if flags != 0 {
        put(DT_FLAGS, Value::Number(flags.into()));
    }
    if flags_1 != 0 {
        put(DT_FLAGS_1, Value::Number(flags_1.into()));
    }
    if z.unique {
        put(DT_GNU_FLAGS_1, Value::Number(DF_GNU_1_UNIQUE));
    }
}
