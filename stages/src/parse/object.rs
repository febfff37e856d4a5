//! Relocatable objects (gABI: "ELF Header", "Sections", "Symbol Table", "Section Groups").

use super::apart::keep_apart;
use super::names::{
    CommonOutput, KeptPrefixes, PLAIN_TEXT, array_order, is_debug_name, is_stripped, output_name, text_order,
};
use super::{MappedInput, is_excluded};
use crate::config::{Config, OutputKind};
use crate::elf::{self, Ehdr, Rela, Shdr, Sym, c_string, range, slice_of};
use crate::intern::NameSink;
use crate::model::{Group, Object, OutputName, Section, SectionKind, VersionedName};
use object::LittleEndian as LE;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_REL, GRP_COMDAT, SHF_ALLOC, SHF_COMPRESSED, SHF_EXCLUDE,
    SHF_EXECINSTR, SHF_LINK_ORDER, SHF_MERGE, SHF_STRINGS, SHF_WRITE, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX,
    SHT_GROUP, SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
};

/// Range of section types that LLVM defines for the linker's eyes only (address significance, dependent
/// libraries, call-graph profile, embedded bitcode, …).
const SHT_LLVM: std::ops::RangeInclusive<u32> = 0x6fff_4c00..=0x6fff_4cff;
/// SHT_LLVM_LTO: bitcode beside machine code (`.llvm.lto`).
const SHT_LLVM_LTO: u32 = 0x6fff_4c0c;
/// SHT_LLVM_CALL_GRAPH_PROFILE.
const SHT_LLVM_CALL_GRAPH_PROFILE: u32 = 0x6fff_4c09;
/// SHT_LLVM_DEPENDENT_LIBRARIES.
const SHT_LLVM_DEPENDENT_LIBRARIES: u32 = 0x6fff_4c04;
/// SHT_GNU_SFRAME.
const SHT_GNU_SFRAME: u32 = 0x6fff_fff4;
/// SHT_X86_64_UNWIND.
const SHT_X86_64_UNWIND: u32 = 0x7000_0001;
/// How many section headers ahead the names of sections are asked for: they lie about, far from each other.
const AHEAD: usize = 12;
/// The largest alignment that is taken for one.
const MAX_ALIGN: u64 = 1 << 40;
/// SHT_CREL (compact relocations).
const SHT_CREL: u32 = 0x4000_0014;

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
        sections: Vec::with_capacity(headers.len()),
        headers,
        shstrtab,
        symbols: &[],
        first_global: 0,
        strtab: &[],
        ids: Vec::new(),
        name_lengths: Vec::new(),
        versioned: Vec::new(),
        shndx_table: &[],
        groups: Vec::new(),
        outputs: Vec::new(),
        section_base: 0,
        properties: None,
        wants_executable_stack: false,
        warnings: Vec::new(),
        compressed: Vec::new(),
        companions: Vec::new(),
        taken_apart: Vec::new(),
        apart: Vec::new(),
        call_graph: 0,
        sframes: Vec::new(),
        dependent_libraries: 0,
        has_intermediate_code: false,
    };
    let mut symtab = None;
    let mut seen = Seen { last_output: (u32::MAX, 0), ..Seen::default() };
    for (index, shdr) in headers.iter().enumerate() {
        if let Some(ahead) = headers.get(index + AHEAD).filter(|h| h.sh_type.get(LE) != SHT_RELA) {
            engine::prefetch(shstrtab, ahead.sh_name.get(LE) as usize);
        }
        let section = read_section(config, &mut object, data, index, shdr, &mut seen)?;
        object.sections.push(section);
        if matches!(section.kind, SectionKind::Merge | SectionKind::EhFrame) {
            object.taken_apart.push(index as u32);
        }
        if shdr.sh_type.get(LE) == SHT_SYMTAB {
            symtab = Some(shdr);
        }
    }
    if config.ordering.wants_apart() {
        keep_apart(config, &mut object)?;
    }
    attach_relocations(config, &mut object, headers)?;
    if seen.merge {
        drop_merge_where_impossible(&mut object);
    }
    if seen.ctors {
        reverse_ctors(&mut object);
    }
    if let Some(shdr) = symtab {
        read_symbols(&mut object, data, headers, shdr)?;
    }
    if seen.groups {
        read_groups(&mut object, headers, names)?;
    }
    if config.gc_sections && (seen.groups || seen.link_order) {
        find_companions(&mut object);
    }
    intern_names(&mut object, names);
    Ok(object)
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

fn section_bytes(data: &'static [u8], shdr: &Shdr) -> Option<&'static [u8]> {
    if shdr.sh_type.get(LE) == SHT_NOBITS {
        return Some(&[]);
    }
    range(data, shdr.sh_offset.get(LE), shdr.sh_size.get(LE))
}

/// What is remembered from one section header to the next.
#[derive(Debug, Default)]
struct Seen {
    /// The last name that was looked at (its offset), and its slot in [`Object::outputs`].
    last_output: (u32, u16),
    /// The slots of [`CommonOutput`]s.
    common: [Option<u16>; CommonOutput::COUNT],
    /// There are groups, or linkonce sections, which are groups of one.
    groups: bool,
    /// There are sections with SHF_LINK_ORDER.
    link_order: bool,
    /// There are sections to merge.
    merge: bool,
    /// There are `.ctors` or `.dtors`.
    ctors: bool,
}

/// Most sections are ordinary code and data, and their names need not even be read to the end.
fn read_common(object: &mut Object, section: &mut Section, shdr: &Shdr, seen: &mut Seen) -> bool {
    const UNCOMMON: u32 = SHF_EXCLUDE | SHF_COMPRESSED | SHF_LINK_ORDER;
    let is_loaded = section.is_alloc() && section.flags & UNCOMMON == 0;
    if !is_loaded || !matches!(section.sh_type, SHT_PROGBITS | SHT_NOBITS) {
        return false;
    }
    let Some(common) = object.shstrtab.get(shdr.sh_name.get(LE) as usize..).and_then(CommonOutput::of) else {
        return false;
    };
    let slot = match seen.common[common as usize] {
        Some(slot) => slot,
        None => {
            let Ok(slot) = output_slot(object, OutputName { name: common.name(), is_alloc: true }) else {
                return false;
            };
            seen.common[common as usize] = Some(slot);
            slot
        }
    };
    section.output = slot;
    section.order = if common == CommonOutput::Text { PLAIN_TEXT } else { 0 };
    section.kind = ordinary_kind(section, shdr, seen);
    true
}

/// The kind of a section that is not special by name.
fn ordinary_kind(section: &mut Section, shdr: &Shdr, seen: &mut Seen) -> SectionKind {
    match section.sh_type {
        SHT_NOBITS => SectionKind::NoBits,
        SHT_PROGBITS if section.has(SHF_MERGE) && !section.has(SHF_WRITE) => {
            seen.merge = true;
            section.entsize = u32::try_from(shdr.sh_entsize.get(LE)).unwrap_or(0);
            SectionKind::Merge
        }
        _ => SectionKind::Regular,
    }
}

/// The place of an output section's name in [`Object::outputs`].
fn output_slot(object: &mut Object, key: OutputName) -> Result<u16, String> {
    let slot = match object.outputs.iter().rposition(|o| *o == key) {
        Some(slot) => slot,
        None => {
            object.outputs.push(key);
            object.outputs.len() - 1
        }
    };
    u16::try_from(slot).map_err(|_| "more than 65,535 different section names".to_string())
}

/// Reduces one header to a [`Section`]: its kind from flags and type first, from its name where needed.
fn read_section(
    config: &Config,
    object: &mut Object,
    data: &'static [u8],
    index: usize,
    shdr: &Shdr,
    seen: &mut Seen,
) -> Result<Section, String> {
    let sh_type = shdr.sh_type.get(LE);
    let sh_flags = shdr.sh_flags.get(LE);
    let size = shdr.sh_size.get(LE);
    let name_offset = shdr.sh_name.get(LE);
    let mut section = Section {
        contents: &[],
        size,
        flags: sh_flags as u32,
        rela: 0,
        entsize: 0,
        sh_type,
        output: 0,
        kind: SectionKind::Ignored,
        align_log2: 0,
        order: 0,
    };
    if sh_type == SHT_NULL {
        return Ok(section);
    }
    section.contents = section_bytes(data, shdr)
        .ok_or_else(|| format!("section {index} lies outside the file: the file is truncated or corrupt"))?;
    if matches!(sh_type, SHT_RELA | SHT_SYMTAB | SHT_STRTAB | SHT_SYMTAB_SHNDX | SHT_GROUP) {
        seen.groups |= sh_type == SHT_GROUP;
        return Ok(section);
    }
    let align = shdr.sh_addralign.get(LE);
    if align.is_power_of_two() && align <= MAX_ALIGN {
        section.align_log2 = align.trailing_zeros() as u8;
        if !config.z.keep_data_section_prefix && read_common(object, &mut section, shdr, seen) {
            return Ok(section);
        }
    }
    let name = c_string(object.shstrtab, name_offset as usize);
    let describe = || format!("section {}", String::from_utf8_lossy(name));
    if matches!(sh_type, SHT_REL | SHT_CREL) {
        // LLVM writes the call-graph profile, a hint, with relocations without addends on every machine.
        let target = object.headers.get(shdr.sh_info.get(LE) as usize);
        let is_hint = target.is_some_and(|target| SHT_LLVM.contains(&target.sh_type.get(LE)));
        if sh_type == SHT_CREL {
            let expanded = elf::crel::expand(section.contents);
            let (relocations, has_addends) =
                expanded.ok_or_else(|| format!("{}: damaged relocations", describe()))?;
            if !has_addends && !is_hint && !relocations.is_empty() {
                return Err(format!(
                    "{}: relocations without addends are not supported on x86-64",
                    describe()
                ));
            }
            section.contents = object::pod::bytes_of_slice(relocations.leak());
            section.sh_type = SHT_RELA;
        } else if !is_hint {
            return Err(format!("{}: SHT_REL relocations are not supported on x86-64", describe()));
        }
        return Ok(section);
    }
    if align != 0 && (!align.is_power_of_two() || align > MAX_ALIGN) {
        return Err(format!("{}: alignment {align} is not a power of two", describe()));
    }
    let is_alloc = section.is_alloc();
    if section.has(SHF_EXCLUDE) && !is_alloc || SHT_LLVM.contains(&sh_type) {
        object.has_intermediate_code |= sh_type == SHT_LLVM_LTO || name.starts_with(b".gnu.lto_");
        if sh_type == SHT_LLVM_DEPENDENT_LIBRARIES {
            object.dependent_libraries = index as u32;
        }
        if sh_type == SHT_LLVM_CALL_GRAPH_PROFILE {
            object.call_graph = index as u32;
        }
        return Ok(section);
    }
    if sh_flags & u64::from(SHF_COMPRESSED) != 0 {
        object.compressed.push(index as u32);
    }
    if !is_alloc && is_debug_name(name) {
        let is_wanted = config.gdb_index && crate::gdb_index::replaces(name);
        if is_stripped(config.strip, name) && !is_wanted {
            return Ok(section);
        }
        if name.starts_with(b".zdebug_") {
            object.compressed.push(index as u32);
        }
    }
    if name.starts_with(b".gnu.warning") {
        let symbol = name.strip_prefix(b".gnu.warning.").unwrap_or(b"");
        let text = section.contents.split(|c| *c == 0).next().unwrap_or(b"");
        object.warnings.push((symbol, text));
        return Ok(section);
    }
    match name {
        b".note.GNU-stack" => {
            object.wants_executable_stack = section.has(SHF_EXECINSTR);
            return Ok(section);
        }
        b".note.gnu.property" => {
            object.properties = Some(section.contents);
            return Ok(section);
        }
        _ => {}
    }
    section.kind = match sh_type {
        SHT_PROGBITS | SHT_X86_64_UNWIND if name == b".eh_frame" && is_alloc => SectionKind::EhFrame,
        SHT_PROGBITS | SHT_GNU_SFRAME
            if name == b".sframe" && is_alloc && config.kind != OutputKind::Relocatable =>
        {
            if config.discard_sframe {
                return Ok(section);
            }
            object.sframes.push(index as u32);
            SectionKind::SFrame
        }
        _ => ordinary_kind(&mut section, shdr, seen),
    };
    seen.groups |= name.starts_with(b".gnu.linkonce.");
    seen.ctors |= name.starts_with(b".ctors") || name.starts_with(b".dtors");
    if section.has(SHF_LINK_ORDER) {
        seen.link_order = true;
    }
    if seen.last_output.0 != name_offset {
        let output = if name.starts_with(b".zdebug_") {
            // The inflated section is an ordinary one.
            debug_name_of_zdebug(name)
        } else {
            output_name(name, kept_prefixes(config))
        };
        let key = OutputName { name: array_for_ctors(object, output), is_alloc };
        seen.last_output = (name_offset, output_slot(object, key)?);
    }
    section.output = seen.last_output.1;
    section.order = match object.outputs[usize::from(section.output)].name {
        b".text" => text_order(name),
        b".init_array" | b".fini_array" | b".ctors" | b".dtors" => array_order(name),
        _ => 0,
    };
    // Two input sections of equal name offset but different SHF_ALLOC must not share the cached slot.
    if object.outputs[usize::from(section.output)].is_alloc != is_alloc {
        seen.last_output = (u32::MAX, 0);
        return read_section(config, object, data, index, shdr, seen);
    }
    Ok(section)
}

fn kept_prefixes(config: &Config) -> KeptPrefixes {
    KeptPrefixes { text: config.z.keep_text_section_prefix, data: config.z.keep_data_section_prefix }
}

/// `.ctors` and `.dtors` of ordinary objects join the arrays that modern C libraries run; those of
/// `crtbegin.o`/`crtend.o` stay, because the code there walks them itself.
fn array_for_ctors(object: &Object, output: &'static [u8]) -> &'static [u8] {
    let is_crt = || {
        let name = match object.origin.member {
            Some(member) => member,
            None => std::os::unix::ffi::OsStrExt::as_bytes(object.origin.path.as_os_str()),
        };
        let base = name.rsplit(|c| *c == b'/').next().unwrap_or(name);
        base.starts_with(b"crtbegin") || base.starts_with(b"crtend") || base.starts_with(b"clang_rt.crt")
    };
    match output {
        b".ctors" if !is_crt() => b".init_array",
        b".dtors" if !is_crt() => b".fini_array",
        other => other,
    }
}

/// `.ctors` and `.dtors` run from the last entry to the first, the arrays from the first to the last: sections
/// that join an array are turned around, words and relocations.
fn reverse_ctors(object: &mut Object) {
    const WORD: usize = 8;
    for index in 0..object.sections.len() {
        let section = object.sections[index];
        let is_array = section.kind == SectionKind::Regular
            && matches!(object.outputs[usize::from(section.output)].name, b".init_array" | b".fini_array");
        let name = object.section_name(index);
        if !is_array || !(name.starts_with(b".ctors") || name.starts_with(b".dtors")) {
            continue;
        }
        let words: Vec<u8> = section.contents.chunks(WORD).rev().flatten().copied().collect();
        object.sections[index].contents = words.leak();
        if section.rela == 0 {
            continue;
        }
        let mut relocations = object.relocations(&section).to_vec();
        relocations.reverse();
        for relocation in &mut relocations {
            let mirrored = section.size.wrapping_sub(WORD as u64).wrapping_sub(relocation.r_offset.get(LE));
            relocation.r_offset.set(LE, mirrored);
        }
        object.sections[section.rela as usize].contents = object::pod::bytes_of_slice(relocations.leak());
    }
}

fn debug_name_of_zdebug(name: &'static [u8]) -> &'static [u8] {
    // Leaked once a section of a compressed object: some tens of bytes.
    let mut plain = b".debug_".to_vec();
    plain.extend_from_slice(&name[b".zdebug_".len()..]);
    plain.leak()
}

/// Points every section at the SHT_RELA section that applies to it.
fn attach_relocations(config: &Config, object: &mut Object, headers: &[Shdr]) -> Result<(), String> {
    for (index, shdr) in headers.iter().enumerate() {
        // Others have become such.
        if object.sections[index].sh_type != SHT_RELA {
            continue;
        }
        let target = shdr.sh_info.get(LE) as usize;
        if target == 0 || target >= headers.len() {
            return Err(format!(
                "relocation section {index} applies to section {target}, which does not exist"
            ));
        }
        if !object.sections[index].contents.len().is_multiple_of(size_of::<Rela>()) {
            return Err(format!("relocation section {index} has a partial entry"));
        }
        // Under -r, sections that mean nothing to a link are passed on with their relocations.
        if object.sections[target].kind == SectionKind::Ignored && config.kind != OutputKind::Relocatable {
            continue;
        }
        if object.sections[target].rela != 0 {
            return Err(format!("section {target} has two relocation sections"));
        }
        object.sections[target].rela = index as u32;
    }
    Ok(())
}

/// Mergeable sections that cannot be taken apart are copied whole. Of compressed ones that is known later.
fn drop_merge_where_impossible(object: &mut Object) {
    for index in &object.taken_apart {
        let section = &mut object.sections[*index as usize];
        if section.kind == SectionKind::Merge && !section.has(SHF_COMPRESSED) && !can_merge(section) {
            section.kind = SectionKind::Regular;
        }
    }
}

/// Whether a section consists of whole constants, or of terminated strings, that nothing relocates.
pub fn can_merge(section: &Section) -> bool {
    let entsize = section.entsize as usize;
    let is_whole = entsize != 0 && section.contents.len().is_multiple_of(entsize);
    let is_text = !section.has(SHF_STRINGS)
        || matches!(entsize, 1 | 2 | 4) && section.contents.iter().rev().take(entsize).all(|byte| *byte == 0);
    is_whole && is_text && section.rela == 0 && section.size <= u64::from(u32::MAX)
}

fn read_symbols(
    object: &mut Object,
    data: &'static [u8],
    headers: &'static [Shdr],
    shdr: &'static Shdr,
) -> Result<(), String> {
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
    let table_index = headers.iter().position(|h| std::ptr::eq(h, shdr)).unwrap_or(0) as u32;
    for header in headers {
        if header.sh_type.get(LE) == SHT_SYMTAB_SHNDX && header.sh_link.get(LE) == table_index {
            object.shndx_table = slice_of(section_bytes(data, header).unwrap_or(&[]));
            if object.shndx_table.len() < object.symbols.len() {
                return Err("SHT_SYMTAB_SHNDX has fewer entries than the symbol table".into());
            }
        }
    }
    let sections = headers.len() as u32;
    for (index, symbol) in object.symbols.iter().enumerate() {
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

/// COMDAT groups and `.gnu.linkonce` sections.
fn read_groups(object: &mut Object, headers: &[Shdr], names: &mut NameSink) -> Result<(), String> {
    for index in 0..headers.len() {
        let shdr = &headers[index];
        match shdr.sh_type.get(LE) {
            SHT_GROUP => {
                let words: &[object::U32<LE>] = slice_of(object.sections[index].contents);
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
                    names.push_bytes(group_signature(object, symbol));
                }
                object.groups.push(Group::listed(if is_global { symbol as u32 } else { 0 }, members));
            }
            SHT_PROGBITS | SHT_NOBITS => {
                // A cheap test first: linkonce sections are rare.
                let name = c_string_prefix(object.shstrtab, shdr.sh_name.get(LE) as usize);
                if name.starts_with(b".gnu.linkonce.") {
                    let name = object.section_name(index);
                    let rest = &name[b".gnu.linkonce.".len()..];
                    let suffix = rest.iter().position(|c| *c == b'.').map_or(rest, |dot| &rest[dot + 1..]);
                    names.push_bytes(suffix);
                    object.groups.push(Group::alone(index as u32));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fills [`Object::companions`].
fn find_companions(object: &mut Object) {
    let mut pairs = Vec::new();
    for (index, section) in object.sections.iter().enumerate() {
        let link = if section.has(SHF_LINK_ORDER) { object.headers[index].sh_link.get(LE) } else { 0 };
        if link != 0 && section.kind != SectionKind::Ignored {
            pairs.push((link, index as u32));
        }
    }
    for group in &object.groups {
        let sections = &object.sections;
        let is_loaded =
            |m: &u32| sections[*m as usize].is_alloc() && sections[*m as usize].kind != SectionKind::Ignored;
        let loaded: Vec<u32> = group.members().filter(is_loaded).collect();
        for member in &loaded {
            pairs.extend(loaded.iter().filter(|other| *other != member).map(|other| (*member, *other)));
        }
    }
    pairs.sort_unstable();
    object.companions = pairs;
}

fn c_string_prefix(table: &'static [u8], offset: usize) -> &'static [u8] {
    table.get(offset..).map_or(&[], |tail| &tail[..tail.len().min(16)])
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

/// Whether a section is writable, executable, … in the output sense: the flags that reach `sh_flags`.
pub fn output_flags(section: &Section) -> u32 {
    section.flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR | object::elf::SHF_TLS | elf::SHF_X86_64_LARGE)
}
