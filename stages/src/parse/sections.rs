//! The sections of an object (gABI, "Sections"): each header is reduced to a [`Section`] once, when it is sure that the
//! object takes part.

use super::apart::keep_apart;
use super::names::{
    CommonOutput, KeptPrefixes, PLAIN_TEXT, array_order, is_debug_name, is_stripped, output_name, text_order,
};
use super::object::check_symbols;
use crate::config::{Config, OutputKind};
use crate::elf::crel::SHT_CREL;
use crate::elf::{self, Rela, Shdr, c_string, section_bytes};
use crate::model::{Object, OutputName, Section, SectionKind};
use object::LittleEndian as LE;
use object::elf::{
    SHF_ALLOC, SHF_COMPRESSED, SHF_EXCLUDE, SHF_EXECINSTR, SHF_LINK_ORDER, SHF_MERGE, SHF_STRINGS, SHF_WRITE,
    SHT_GROUP, SHT_NOBITS, SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
};

/// Range of section types that LLVM defines for the linker's eyes only (address significance, dependent
/// libraries, call-graph profile, embedded bitcode, …).
const SHT_LLVM: std::ops::RangeInclusive<u32> = 0x6fff_4c00..=0x6fff_4cff;
/// SHT_LLVM_LTO: bitcode beside machine code (`.llvm.lto`).
pub(super) const SHT_LLVM_LTO: u32 = 0x6fff_4c0c;
/// SHT_LLVM_CALL_GRAPH_PROFILE.
const SHT_LLVM_CALL_GRAPH_PROFILE: u32 = 0x6fff_4c09;
/// SHT_LLVM_DEPENDENT_LIBRARIES.
pub(super) const SHT_LLVM_DEPENDENT_LIBRARIES: u32 = 0x6fff_4c04;
/// SHT_GNU_SFRAME.
const SHT_GNU_SFRAME: u32 = 0x6fff_fff4;
/// SHT_X86_64_UNWIND.
const SHT_X86_64_UNWIND: u32 = 0x7000_0001;
/// How many section headers ahead the names of sections are asked for: they lie about, far from each other.
const AHEAD: usize = 12;
/// The largest alignment that is taken for one.
const MAX_ALIGN: u64 = 1 << 40;

/// Reads the sections of an object, unless that has been done. The error says what is wrong, without the file's name.
pub(super) fn read(config: &Config, object: &mut Object) -> Result<(), String> {
    if object.sections.len() == object.headers.len() {
        return Ok(());
    }
    check_symbols(object, 0..object.first_global as usize)?;
    let headers = object.headers;
    object.sections.reserve_exact(headers.len());
    // Those that stand before what they apply to.
    let mut early_relocations = Vec::new();
    let mut seen = Seen { last_output: (u32::MAX, 0), ..Seen::default() };
    for (index, shdr) in headers.iter().enumerate() {
        if let Some(ahead) = headers.get(index + AHEAD).filter(|h| h.sh_type.get(LE) != SHT_RELA) {
            engine::prefetch(object.shstrtab, ahead.sh_name.get(LE) as usize);
        }
        let section = read_section(config, object, index, shdr, &mut seen)?;
        object.sections.push(section);
        if matches!(shdr.sh_type.get(LE), SHT_RELA | SHT_CREL) {
            if shdr.sh_info.get(LE) as usize <= index {
                attach_relocations(config, object, index)?;
            } else {
                early_relocations.push(index);
            }
        }
        if matches!(section.kind, SectionKind::Merge | SectionKind::EhFrame) {
            object.taken_apart.push(index as u32);
        }
    }
    if config.ordering.wants_apart() {
        keep_apart(config, object)?;
    }
    for index in early_relocations {
        attach_relocations(config, object, index)?;
    }
    if seen.merge {
        drop_merge_where_impossible(object);
    }
    if seen.ctors {
        reverse_ctors(object);
    }
    if seen.debug_info != 0 {
        put_wide_debug_last(object, object.sections[seen.debug_info].contents());
    }
    if config.gc_sections && (!object.groups.is_empty() || seen.link_order) {
        find_companions(object);
    }
    Ok(())
}

/// What is wrong with a section whose bytes are not there.
pub(super) fn outside(index: usize) -> String {
    format!("section {index} lies outside the file: the file is truncated or corrupt")
}

/// What is remembered from one section header to the next.
#[derive(Debug, Default)]
struct Seen {
    /// The last name that was looked at (its offset), and its slot in [`Object::outputs`].
    last_output: (u32, u16),
    /// The slots of [`CommonOutput`]s.
    common: [Option<u16>; CommonOutput::COUNT],
    /// There are sections with SHF_LINK_ORDER.
    link_order: bool,
    /// There are sections to merge.
    merge: bool,
    /// There are `.ctors` or `.dtors`.
    ctors: bool,
    /// The first `.debug_info`, or 0.
    debug_info: usize,
}

/// Most sections are ordinary code and data, and their names need not even be read to the end.
fn read_common(object: &mut Object, section: &mut Section, shdr: &Shdr, seen: &mut Seen) -> bool {
    const UNCOMMON: u32 = SHF_EXCLUDE | SHF_COMPRESSED | SHF_LINK_ORDER;
    let is_loaded = section.is_alloc() && section.flags & UNCOMMON == 0;
    if !is_loaded || !matches!(shdr.sh_type.get(LE), SHT_PROGBITS | SHT_NOBITS) {
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
fn ordinary_kind(section: &Section, shdr: &Shdr, seen: &mut Seen) -> SectionKind {
    match shdr.sh_type.get(LE) {
        SHT_NOBITS => SectionKind::NoBits,
        SHT_PROGBITS if section.has(SHF_MERGE) && !section.has(SHF_WRITE) => {
            seen.merge = true;
            SectionKind::Merge
        }
        SHT_PROGBITS => SectionKind::Regular,
        _ => SectionKind::Typed,
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
    index: usize,
    shdr: &Shdr,
    seen: &mut Seen,
) -> Result<Section, String> {
    let sh_type = shdr.sh_type.get(LE);
    let sh_flags = shdr.sh_flags.get(LE);
    let name_offset = shdr.sh_name.get(LE);
    if sh_type == SHT_NULL {
        return Ok(Section::ignored(sh_flags as u32, &[]));
    }
    let contents = section_bytes(object.data, shdr).ok_or_else(|| outside(index))?;
    let mut section = Section::ignored(sh_flags as u32, contents);
    if sh_type == SHT_NOBITS {
        section.set_size(shdr.sh_size.get(LE));
    }
    if matches!(sh_type, SHT_RELA | SHT_SYMTAB | SHT_STRTAB | SHT_SYMTAB_SHNDX | SHT_GROUP) {
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
            let expanded = elf::crel::expand(section.contents());
            let (relocations, has_addends) =
                expanded.ok_or_else(|| format!("{}: damaged relocations", describe()))?;
            if !has_addends && !is_hint && !relocations.is_empty() {
                return Err(format!(
                    "{}: relocations without addends are not supported on x86-64",
                    describe()
                ));
            }
            section.set_contents(object::pod::bytes_of_slice(relocations.leak()));
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
        if name == b".debug_info" && seen.debug_info == 0 {
            seen.debug_info = index;
        }
        if name.starts_with(b".zdebug_") {
            object.compressed.push(index as u32);
        }
    }
    if name.starts_with(b".gnu.warning") {
        let symbol = name.strip_prefix(b".gnu.warning.").unwrap_or(b"");
        let text = section.contents().split(|c| *c == 0).next().unwrap_or(b"");
        object.warnings.push((symbol, text));
        return Ok(section);
    }
    match name {
        b".note.GNU-stack" => {
            object.wants_executable_stack = section.has(SHF_EXECINSTR);
            return Ok(section);
        }
        b".note.gnu.property" => {
            object.properties = Some(section.contents());
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
        _ => ordinary_kind(&section, shdr, seen),
    };
    if name.starts_with(b".gnu.linkonce.") {
        object.linkonce.push(index as u32);
    }
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
        object.linkonce.pop_if(|last| *last == index as u32);
        return read_section(config, object, index, shdr, seen);
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
        let is_array = section.kind.is_copied()
            && matches!(object.outputs[usize::from(section.output)].name, b".init_array" | b".fini_array");
        let name = object.section_name(index);
        if !is_array || !(name.starts_with(b".ctors") || name.starts_with(b".dtors")) {
            continue;
        }
        let words: Vec<u8> = section.contents().chunks(WORD).rev().flatten().copied().collect();
        object.sections[index].set_contents(words.leak());
        if section.rela == 0 {
            continue;
        }
        let mut relocations = object.relocations(&section).to_vec();
        relocations.reverse();
        for relocation in &mut relocations {
            let mirrored = section.size().wrapping_sub(WORD as u64).wrapping_sub(relocation.r_offset.get(LE));
            relocation.r_offset.set(LE, mirrored);
        }
        let relocations = object::pod::bytes_of_slice(relocations.leak());
        object.sections[section.rela as usize].set_contents(relocations);
    }
}

fn debug_name_of_zdebug(name: &'static [u8]) -> &'static [u8] {
    // Leaked once a section of a compressed object: some tens of bytes.
    let mut plain = b".debug_".to_vec();
    plain.extend_from_slice(&name[b".zdebug_".len()..]);
    plain.leak()
}

/// Puts the debug information of an object behind that of others if it has the 64-bit format, as its `.debug_info` begins
/// (DWARF 5, 7.4 "32-Bit and 64-Bit DWARF Formats"): offsets of the 32-bit format then reach what they refer to, however
/// much there is of the other.
pub fn put_wide_debug_last(object: &mut Object, debug_info: &[u8]) {
    if !debug_info.starts_with(&[0xff; 4]) {
        return;
    }
    for section in object.sections.iter_mut().filter(|section| !section.is_alloc()) {
        let is_debug = || object.outputs[usize::from(section.output)].name.starts_with(b".debug_");
        if section.kind.is_copied() && is_debug() {
            section.order = 1;
        }
    }
}

/// Points the section that a relocation section applies to at it.
fn attach_relocations(config: &Config, object: &mut Object, index: usize) -> Result<(), String> {
    let target = object.headers[index].sh_info.get(LE) as usize;
    if !object.sections[index].contents().len().is_multiple_of(size_of::<Rela>()) {
        return Err(format!("relocation section {index} has a partial entry"));
    }
    let Some(section) = object.sections.get_mut(target).filter(|_| target != 0) else {
        return Err(format!("relocation section {index} applies to section {target}, which does not exist"));
    };
    // Under -r, sections that mean nothing to a link are passed on with their relocations.
    if section.kind == SectionKind::Ignored && config.kind != OutputKind::Relocatable {
        return Ok(());
    }
    if section.rela != 0 {
        return Err(format!("section {target} has two relocation sections"));
    }
    section.rela = index as u32;
    Ok(())
}

/// Mergeable sections that cannot be taken apart are copied whole. Of compressed ones that is known later.
fn drop_merge_where_impossible(object: &mut Object) {
    for n in 0..object.taken_apart.len() {
        let index = object.taken_apart[n] as usize;
        let entry_size = object.entry_size(index);
        let section = &mut object.sections[index];
        if section.kind == SectionKind::Merge
            && !section.has(SHF_COMPRESSED)
            && !can_merge(section, entry_size)
        {
            section.kind = SectionKind::Regular;
        }
    }
}

/// Whether a section consists of whole constants, or of terminated strings, that nothing relocates.
pub fn can_merge(section: &Section, entry_size: u32) -> bool {
    let entsize = entry_size as usize;
    let is_whole = entsize != 0 && section.contents().len().is_multiple_of(entsize);
    let is_text = !section.has(SHF_STRINGS)
        || matches!(entsize, 1 | 2 | 4)
            && section.contents().iter().rev().take(entsize).all(|byte| *byte == 0);
    is_whole && is_text && section.rela == 0 && section.size() <= u64::from(u32::MAX)
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
        let loaded: Vec<u32> = object.members_of(group).filter(is_loaded).collect();
        for member in &loaded {
            pairs.extend(loaded.iter().filter(|other| *other != member).map(|other| (*member, *other)));
        }
    }
    pairs.sort_unstable();
    object.companions = pairs;
}

/// Whether a section is writable, executable, … in the output sense: the flags that reach `sh_flags`.
pub fn output_flags(section: &Section) -> u32 {
    section.flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR | object::elf::SHF_TLS | elf::SHF_X86_64_LARGE)
}
