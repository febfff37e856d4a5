//! Relocatable objects (gABI: "ELF Header", "Symbol Table", "Section Groups"): what is needed to know whether one takes
//! part. Its sections are the business of [`sections`](super::sections), at once where it surely does, later where
//! something has to ask for it.

use super::sections::{self, SHT_LLVM_DEPENDENT_LIBRARIES, SHT_LLVM_LTO};
use super::{MappedInput, is_excluded};
use crate::config::Config;
use crate::elf::{self, Ehdr, Shdr, Sym, c_string, section_bytes, slice_of};
use crate::intern::NameSink;
use crate::model::{Group, Object, SymbolId, VersionedName};
use object::LittleEndian as LE;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_REL, GRP_COMDAT, SHF_ALLOC, SHF_EXCLUDE, SHN_LORESERVE, SHN_UNDEF,
    SHN_XINDEX, SHT_GROUP, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};
use std::ops::Range;

/// Parses an object; the error says what is wrong, without the file's name.
pub(super) fn parse(config: &Config, input: &MappedInput, names: &mut NameSink) -> Result<Object, String> {
    let data = input.data;
    let (header, headers) = section_headers(data)?;
    let shstrtab = section_names(data, header, headers)?;

    let mut object = Object {
        id: input.id,
        origin: input.origin,
        role: input.role,
        is_lazy: input.is_lazy,
        exclude: is_excluded(config, input),
        data,
        sections: Vec::new(),
        headers,
        shstrtab,
        symbols: &[],
        first_global: 0,
        strtab: &[],
        ids: Vec::new(),
        name_lengths: Vec::new(),
        versioned: Vec::new(),
        asks_for_versions: false,
        shndx_table: &[],
        groups: Vec::new(),
        linkonce: Vec::new(),
        outputs: Vec::new(),
        section_base: 0,
        properties: None,
        wants_executable_stack: false,
        warnings: Vec::new(),
        compressed: Vec::new(),
        packed: Vec::new(),
        companions: Vec::new(),
        taken_apart: Vec::new(),
        apart: Vec::new(),
        call_graph: 0,
        sframes: Vec::new(),
        dependent_libraries: 0,
        has_intermediate_code: false,
    };
    let outline = outline(&mut object);
    if let Some(symtab) = outline.symtab {
        read_symbols(&mut object, symtab, outline.shndx)?;
    }
    if outline.groups > 0 {
        object.groups.reserve_exact(outline.groups);
        read_groups(&mut object, names)?;
    }
    intern_names(&mut object, names);
    if !object.is_lazy {
        sections::read(config, &mut object)?;
    }
    Ok(object)
}

/// Where the tables of an object are.
#[derive(Debug, Default)]
struct Outline {
    /// The header of SHT_SYMTAB.
    symtab: Option<usize>,
    /// The header of SHT_SYMTAB_SHNDX.
    shndx: Option<usize>,
    /// Number of section groups.
    groups: usize,
}

/// Looks through the section headers for what matters before the sections do.
fn outline(object: &mut Object) -> Outline {
    let mut outline = Outline::default();
    for (index, shdr) in object.headers.iter().enumerate() {
        match shdr.sh_type.get(LE) {
            SHT_SYMTAB => outline.symtab = Some(index),
            SHT_SYMTAB_SHNDX => outline.shndx = Some(index),
            SHT_GROUP => outline.groups += 1,
            SHT_LLVM_LTO => object.has_intermediate_code = true,
            SHT_LLVM_DEPENDENT_LIBRARIES => object.dependent_libraries = index as u32,
            _ => {
                let flags = shdr.sh_flags.get(LE) as u32;
                if flags & (SHF_EXCLUDE | SHF_ALLOC) == SHF_EXCLUDE {
                    object.has_intermediate_code |= object.section_name(index).starts_with(b".gnu.lto_");
                }
            }
        }
    }
    outline
}

/// The file header and the section header table, checked to lie within the file.
fn section_headers(data: &'static [u8]) -> Result<(&'static Ehdr, &'static [Shdr]), String> {
    let (header, _) = object::pod::from_bytes::<Ehdr>(data)
        .map_err(|()| "file is too short for an ELF header: truncated?".to_string())?;
    let ident = &header.e_ident;
    if ident.magic != object::elf::ELFMAG {
        return Err("not an ELF file".into());
    }
    if ident.class != ELFCLASS64 || ident.data != ELFDATA2LSB || header.e_machine.get(LE) != EM_X86_64 {
        return Err(format!(
            "is incompatible with elf_x86_64: {}",
            machine_description(ident.class, header.e_machine.get(LE))
        ));
    }
    if header.e_type.get(LE) != ET_REL {
        return Err("is not a relocatable object file".into());
    }
    let offset = header.e_shoff.get(LE);
    if offset == 0 {
        return Ok((header, &[]));
    }
    if usize::from(header.e_shentsize.get(LE)) != size_of::<Shdr>() {
        return Err(format!("section header size is {}, not 64: corrupt file", header.e_shentsize.get(LE)));
    }
    let table =
        elf::section_headers(data, header).ok_or("section header table lies outside the file: truncated?")?;
    if table.len() > (u32::MAX / 2) as usize {
        return Err("too many sections".into());
    }
    Ok((header, table))
}

/// What a foreign object is, for the error.
fn machine_description(class: u8, machine: u16) -> String {
    let bits = if class == ELFCLASS64 { 64 } else { 32 };
    let name = match machine {
        object::elf::EM_386 => "i386",
        EM_X86_64 => "x86-64",
        object::elf::EM_AARCH64 => "aarch64",
        object::elf::EM_ARM => "arm",
        object::elf::EM_RISCV => "riscv",
        object::elf::EM_PPC64 => "powerpc64",
        object::elf::EM_S390 => "s390x",
        object::elf::EM_LOONGARCH => "loongarch",
        object::elf::EM_BPF => "bpf",
        _ => return format!("it is a {bits}-bit file for machine {machine}"),
    };
    format!("it is a {bits}-bit {name} file")
}

fn section_names(data: &'static [u8], header: &Ehdr, headers: &[Shdr]) -> Result<&'static [u8], String> {
    if headers.is_empty() {
        return Ok(&[]);
    }
    let index = match header.e_shstrndx.get(LE) {
        SHN_XINDEX => headers[0].sh_link.get(LE),
        n => u32::from(n),
    };
    if index == 0 {
        return Ok(&[]);
    }
    let shdr = headers.get(index as usize).ok_or("index of the section name table is out of range")?;
    section_bytes(data, shdr).ok_or_else(|| "section name table lies outside the file: truncated?".into())
}

fn read_symbols(object: &mut Object, symtab: usize, shndx: Option<usize>) -> Result<(), String> {
    let (data, headers) = (object.data, object.headers);
    let shdr = &headers[symtab];
    let bytes = section_bytes(data, shdr).ok_or("symbol table lies outside the file")?;
    object.symbols = slice_of::<Sym>(bytes);
    object.first_global = shdr.sh_info.get(LE);
    if object.first_global as usize > object.symbols.len() {
        return Err("symbol table claims more local symbols than it has entries".into());
    }
    let strtab = headers.get(shdr.sh_link.get(LE) as usize).ok_or("symbol table names no string table")?;
    object.strtab =
        section_bytes(data, strtab).ok_or("string table of the symbol table lies outside the file")?;
    if object.strtab.last().is_some_and(|b| *b != 0) {
        return Err("string table of the symbol table does not end with NUL".into());
    }
    let shndx = shndx.map(|index| &headers[index]);
    if let Some(shndx) = shndx.filter(|shndx| shndx.sh_link.get(LE) as usize == symtab) {
        object.shndx_table = slice_of(section_bytes(data, shndx).unwrap_or(&[]));
        if object.shndx_table.len() < object.symbols.len() {
            return Err("SHT_SYMTAB_SHNDX has fewer entries than the symbol table".into());
        }
    }
    check_symbols(object, object.first_global as usize..object.symbols.len())
}

/// Whether some symbols name what exists. The local ones are of no interest before the sections are.
pub(super) fn check_symbols(object: &Object, which: Range<usize>) -> Result<(), String> {
    let sections = object.headers.len() as u32;
    for index in which {
        let symbol = &object.symbols[index];
        let name = symbol.st_name.get(LE) as usize;
        if name >= object.strtab.len() && name != 0 {
            return Err(format!("name of symbol {index} lies outside the string table"));
        }
        let shndx = symbol.st_shndx.get(LE);
        let section = match shndx {
            SHN_XINDEX => object.shndx_table.get(index).map_or(u32::MAX, |x| x.get(LE)),
            SHN_LORESERVE.. => 0,
            n => u32::from(n),
        };
        if section >= sections {
            return Err(format!("symbol {index} is defined in section {section}, which does not exist"));
        }
        if index < object.first_global as usize && shndx == object::elf::SHN_COMMON {
            return Err(format!("local symbol {index} is in SHN_COMMON"));
        }
    }
    Ok(())
}

/// COMDAT groups.
fn read_groups(object: &mut Object, names: &mut NameSink) -> Result<(), String> {
    let headers = object.headers;
    for (index, shdr) in headers.iter().enumerate().filter(|(_, shdr)| shdr.sh_type.get(LE) == SHT_GROUP) {
        let contents = section_bytes(object.data, shdr).ok_or_else(|| sections::outside(index))?;
        let words: &[object::U32<LE>] = slice_of(contents);
        let Some((flags, members)) = words.split_first() else {
            return Err(format!("section group {index} is empty"));
        };
        if flags.get(LE) & GRP_COMDAT == 0 {
            continue;
        }
        if members.iter().any(|m| m.get(LE) as usize >= headers.len() || m.get(LE) == 0) {
            return Err(format!("section group {index} has a member that does not exist"));
        }
        let symbol = shdr.sh_info.get(LE) as usize;
        if symbol >= object.symbols.len() {
            return Err(format!("signature of section group {index} is not in the symbol table"));
        }
        // A global symbol's name is interned with the other symbols' names.
        let is_global = symbol >= object.first_global as usize;
        if !is_global {
            check_symbols(object, symbol..symbol + 1)?;
            names.push_bytes(group_signature(object, symbol));
        }
        let signature = if is_global { SymbolId(symbol as u32) } else { SymbolId::NONE };
        object.groups.push(Group { signature, section: index as u32 });
    }
    Ok(())
}

/// The signature of a group: the symbol's name, or the section's where the symbol is a section symbol.
fn group_signature(object: &Object, symbol: usize) -> &'static [u8] {
    if object.symbols[symbol].st_type() == object::elf::STT_SECTION {
        let section = object.symbol_section(symbol) as usize;
        return object.section_name(section);
    }
    object.symbol_name(symbol)
}

/// Hashes the names of the global symbols. The ids come back in the order: groups whose signature is not one of
/// these, then symbols.
fn intern_names(object: &mut Object, names: &mut NameSink) {
    let globals = &object.symbols[object.first_global as usize..];
    if globals.is_empty() {
        return;
    }
    object.name_lengths.reserve_exact(globals.len());
    names.push_table(object.strtab, globals.iter().map(|s| s.st_name.get(LE)), &mut object.name_lengths);
    if memchr::memchr(b'@', object.strtab).is_none() {
        return;
    }
    for (i, symbol) in globals.iter().enumerate() {
        let name = c_string(object.strtab, symbol.st_name.get(LE) as usize);
        let Some(at) = memchr::memchr(b'@', name).filter(|at| *at > 0) else { continue };
        object.asks_for_versions = true;
        let is_defined = symbol.st_shndx.get(LE) != SHN_UNDEF;
        let is_default = name[at..].starts_with(b"@@");
        let version = name[at..].iter().position(|c| *c != b'@').map_or(&b""[..], |n| &name[at + n..]);
        if is_default || version.is_empty() {
            // A default version is what the plain name means.
            names.replace_last_table(i, &name[..at]);
            object.name_lengths[i] = at as u32;
        }
        if is_defined || is_default {
            let symbol = object.first_global + i as u32;
            object.versioned.push(VersionedName { symbol, version, is_default });
        }
    }
}

/// Whether an object with GCC's intermediate code has no machine code beside it. GCC says so by a symbol.
pub fn is_slim(object: &Object) -> bool {
    object.has_intermediate_code && memchr::memmem::find(object.strtab, b"__gnu_lto_slim").is_some()
}
