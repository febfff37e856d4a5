//! `.dynsym` and the version sections (gABI, "Symbol Table"; LSB, "Symbol Versioning").

use super::symtab::{Entry, put_symbol};
use crate::dynamic::{Dynamic, sysv_hash};
use crate::image::{HeaderIndex, Image};

use crate::select::{Class, Selection};
use crate::tables::{NO_SLOT, PltPlace, SymbolRef};
use object::LittleEndian as LE;
use object::elf::{
    STB_GLOBAL, STB_WEAK, STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_OBJECT, VER_FLG_BASE, VER_FLG_WEAK,
};

/// VER_NDX_GLOBAL, the index of the definition that names the file itself.
const BASE_VERSION: u16 = 1;

pub(super) fn write(image: &Image, out: &mut [u8]) {
    for (symbol, out) in image.dynamic.symbols.iter().zip(out[24..].chunks_exact_mut(24)) {
        put_symbol(out, &entry(image, symbol.id, symbol.name_offset, symbol.is_defined));
    }
}

/// A symbol as `.dynsym` (and, of an imported one, `.symtab`) shows it.
pub(super) fn entry(image: &Image, id: crate::model::SymbolId, name: u32, is_defined: bool) -> Entry {
    let def = image.selection.def(id);
    let address = image.addresses.symbols[id.index()];
    let slots = image.slots(SymbolRef::Global(id));
    let source = image.selection.entry(image.inputs, def);
    let (bind, r#type, size) =
        source.map_or((STB_GLOBAL, 0, 0), |s| (s.st_bind(), s.st_type(), s.st_size.get(LE)));
    let bind = super::symtab::bind_of(image.cx.config, bind);
    let mut result =
        Entry { name, bind, r#type, visibility: 0, shndx: HeaderIndex::UNDEFINED, value: 0, size };
    if !is_defined {
        // The binding is that of the references: a library may define weakly what a program needs for sure.
        let is_weak = image.selection.references[id.index()] & crate::select::seen::STRONG == 0;
        result.bind = if is_weak { STB_WEAK } else { STB_GLOBAL };
        result.size = 0;
        if def.class() == Class::Shared {
            result.r#type = if r#type == STT_GNU_IFUNC { STT_FUNC } else { r#type };
        }
        if slots.is_canonical {
            // A value other than 0 makes the PLT entry the function's address in all modules.
            result.value = address;
            result.r#type = STT_FUNC;
        }
        return result;
    }
    result.visibility = image.selection.visibility(id);
    result.value = address;
    match def.class() {
        Class::Shared => {
            result.shndx = copy_section(image, slots.copy);
            result.r#type = STT_OBJECT;
        }
        _ => {
            result.size = image.tables.common(id).map_or(size, |common| common.size);
            let (shndx, value) = super::symtab::place(image, id);
            result.shndx = shndx;
            result.value = value;
            if r#type == STT_COMMON {
                result.r#type = STT_OBJECT;
            }
        }
    }
    if r#type == STT_GNU_IFUNC && matches!(slots.plt, PltPlace::Ifunc(_)) {
        // Its address is that of its PLT entry, here as elsewhere.
        result.r#type = STT_FUNC;
        result.value = address;
        result.shndx = super::symtab::section_index(image, b".plt");
    }
    result
}

fn copy_section(image: &Image, copy: u32) -> HeaderIndex {
    debug_assert_ne!(copy, NO_SLOT);
    let is_read_only = image.tables.copies[copy as usize].is_read_only;
    super::symtab::section_index(image, if is_read_only { b".bss.rel.ro" } else { b".bss" })
}

pub(super) fn write_versions(image: &Image, out: &mut [u8]) {
    for (symbol, out) in image.dynamic.symbols.iter().zip(out[2..].chunks_exact_mut(2)) {
        let def = image.selection.def(symbol.id);
        let version = if def.is_undefined() { 0 } else { symbol.version };
        out.copy_from_slice(&version.to_le_bytes());
    }
}

/// Bytes of `.gnu.version_d`.
pub(super) fn verdef_size(selection: &Selection) -> u64 {
    let definitions = &selection.version_table.definitions;
    if definitions.is_empty() {
        return 0;
    }
    let parents: usize = definitions.iter().map(|d| d.parents.len()).sum();
    // The base definition, and one name each.
    ((definitions.len() + 1) * (20 + 8) + parents * 8) as u64
}

pub(super) fn write_verdef(image: &Image, out: &mut [u8]) {
    let strings = &super::dynamic_section::strings_of(image);
    let definitions = &image.selection.version_table.definitions;
    let base = super::dynamic_section::file_name(image.cx.config);
    let mut at = 0usize;
    let mut put = |index: u16, flags: u16, names: &[&[u8]], is_last: bool| {
        let size = 20 + names.len() * 8;
        let entry = &mut out[at..at + size];
        entry[0..2].copy_from_slice(&1u16.to_le_bytes());
        entry[2..4].copy_from_slice(&flags.to_le_bytes());
        entry[4..6].copy_from_slice(&index.to_le_bytes());
        entry[6..8].copy_from_slice(&(names.len() as u16).to_le_bytes());
        entry[8..12].copy_from_slice(&sysv_hash(names[0]).to_le_bytes());
        entry[12..16].copy_from_slice(&20u32.to_le_bytes());
        let next = if is_last { 0 } else { size as u32 };
        entry[16..20].copy_from_slice(&next.to_le_bytes());
        for (n, (name, aux)) in names.iter().zip(entry[20..].chunks_exact_mut(8)).enumerate() {
            aux[0..4].copy_from_slice(&strings.find(name).to_le_bytes());
            let next = if n + 1 == names.len() { 0u32 } else { 8 };
            aux[4..8].copy_from_slice(&next.to_le_bytes());
        }
        at += size;
    };
    put(BASE_VERSION, VER_FLG_BASE, &[&base], definitions.is_empty());
    for (n, definition) in definitions.iter().enumerate() {
        let mut names: Vec<&[u8]> = vec![&definition.name];
        names.extend(definition.parents.iter().map(Vec::as_slice));
        put(n as u16 + 2, 0, &names, n + 1 == definitions.len());
    }
}

/// Bytes of `.gnu.version_r`.
pub(super) fn verneed_size(dynamic: &Dynamic) -> u64 {
    dynamic.version_needs.iter().map(|need| 16 + need.versions.len() as u64 * 16).sum()
}

pub(super) fn write_verneed(image: &Image, out: &mut [u8]) {
    let needs = &image.dynamic.version_needs;
    let mut at = 0usize;
    for (n, need) in needs.iter().enumerate() {
        let size = 16 + need.versions.len() * 16;
        let entry = &mut out[at..at + size];
        entry[0..2].copy_from_slice(&1u16.to_le_bytes());
        entry[2..4].copy_from_slice(&(need.versions.len() as u16).to_le_bytes());
        entry[4..8].copy_from_slice(&need.soname.to_le_bytes());
        entry[8..12].copy_from_slice(&16u32.to_le_bytes());
        let next = if n + 1 == needs.len() { 0 } else { size as u32 };
        entry[12..16].copy_from_slice(&next.to_le_bytes());
        for (v, (version, aux)) in need.versions.iter().zip(entry[16..].chunks_exact_mut(16)).enumerate() {
            aux[0..4].copy_from_slice(&sysv_hash(version.name).to_le_bytes());
            let flags = if version.is_weak { VER_FLG_WEAK } else { 0 };
            aux[4..6].copy_from_slice(&flags.to_le_bytes());
            aux[6..8].copy_from_slice(&version.index.to_le_bytes());
            aux[8..12].copy_from_slice(&version.offset.to_le_bytes());
            let next = if v + 1 == need.versions.len() { 0u32 } else { 16 };
            aux[12..16].copy_from_slice(&next.to_le_bytes());
        }
        at += size;
    }
}
