//! Shared objects: what they define, what they need, and under which versions (gABI, "Dynamic Section";
//! LSB, "Symbol Versioning").

use super::MappedInput;
use crate::elf::{self, Ehdr, Phdr, Shdr, Sym, c_string, range, section_bytes, slice_of};
use crate::intern::NameSink;
use crate::model::{SharedObject, SharedSection, SharedSymbol, SymbolId};
use object::LittleEndian as LE;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, ELFCLASS64, ELFDATA2LSB, EM_X86_64, PT_GNU_RELRO, SHF_ALLOC,
    SHF_WRITE, SHN_UNDEF, SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_VERDEF, SHT_GNU_VERSYM, STB_LOCAL,
};

/// The bit of a version index that hides a symbol from plain references.
const VERSYM_HIDDEN: u16 = 0x8000;

/// Parses a shared object; the error says what is wrong, without the file's name.
pub(super) fn parse(input: &MappedInput, names: &mut NameSink) -> Result<SharedObject, String> {
    let data = input.data;
    let (header, _) = object::pod::from_bytes::<Ehdr>(data)
        .map_err(|()| "file is too short for an ELF header".to_string())?;
    if header.e_ident.class != ELFCLASS64
        || header.e_ident.data != ELFDATA2LSB
        || header.e_machine.get(LE) != EM_X86_64
    {
        return Err("is incompatible with elf_x86_64".into());
    }
    let headers = section_headers(data, header)?;
    let mut shared = SharedObject {
        id: input.id,
        origin: input.origin,
        soname: input.needed_name,
        needed: Vec::new(),
        runpath: None,
        as_needed: input.as_needed,
        symbols: &[],
        strtab: &[],
        versions: Vec::new(),
        defined: Vec::new(),
        undefined: Vec::new(),
        sections: Vec::new(),
    };
    let mut versym: &[object::U16<LE>] = &[];
    let relro = relro_range(data, header);
    for shdr in headers {
        let linked_strings = || linked_bytes(data, headers, shdr);
        match shdr.sh_type.get(LE) {
            SHT_DYNSYM => {
                shared.symbols = slice_of::<Sym>(bytes_of(data, shdr)?);
                shared.strtab = linked_strings()?;
            }
            SHT_DYNAMIC => read_dynamic(&mut shared, bytes_of(data, shdr)?, linked_strings()?),
            SHT_GNU_VERSYM => versym = slice_of(bytes_of(data, shdr)?),
            SHT_GNU_VERDEF => shared.versions = version_definitions(bytes_of(data, shdr)?, linked_strings()?),
            _ => {}
        }
        if shdr.sh_flags.get(LE) & u64::from(SHF_ALLOC) != 0 {
            let address = shdr.sh_addr.get(LE);
            let align = shdr.sh_addralign.get(LE).max(1);
            let in_relro = relro.is_some_and(|(start, end)| address >= start && address < end);
            shared.sections.push(SharedSection {
                address,
                size: shdr.sh_size.get(LE),
                align_log2: if align.is_power_of_two() { align.trailing_zeros() as u8 } else { 0 },
                writable: shdr.sh_flags.get(LE) & u64::from(SHF_WRITE) != 0 && !in_relro,
            });
        }
    }
    read_symbols(&mut shared, versym, names);
    Ok(shared)
}

fn section_headers(data: &'static [u8], header: &Ehdr) -> Result<&'static [Shdr], String> {
    if header.e_shoff.get(LE) == 0 {
        return Err("shared object has no section headers: its symbols cannot be read".into());
    }
    let table = elf::section_headers(data, header);
    table.ok_or_else(|| "section header table lies outside the file: truncated?".into())
}

fn bytes_of(data: &'static [u8], shdr: &Shdr) -> Result<&'static [u8], String> {
    section_bytes(data, shdr).ok_or_else(|| "a section lies outside the file: truncated?".into())
}

fn linked_bytes(data: &'static [u8], headers: &'static [Shdr], shdr: &Shdr) -> Result<&'static [u8], String> {
    let linked =
        headers.get(shdr.sh_link.get(LE) as usize).ok_or("a section links to one that does not exist")?;
    bytes_of(data, linked)
}

fn relro_range(data: &'static [u8], header: &Ehdr) -> Option<(u64, u64)> {
    let size = u64::from(header.e_phnum.get(LE)) * size_of::<Phdr>() as u64;
    let headers: &[Phdr] = slice_of(range(data, header.e_phoff.get(LE), size)?);
    let relro = headers.iter().find(|p| p.p_type.get(LE) == PT_GNU_RELRO)?;
    let start = relro.p_vaddr.get(LE);
    Some((start, start.saturating_add(relro.p_memsz.get(LE))))
}

fn read_dynamic(shared: &mut SharedObject, bytes: &'static [u8], strings: &'static [u8]) {
    for entry in slice_of::<object::elf::Dyn64<LE>>(bytes) {
        let text = || c_string(strings, entry.d_val.get(LE) as usize);
        match entry.d_tag.get(LE) {
            DT_SONAME => shared.soname = text(),
            DT_NEEDED => shared.needed.push(text()),
            DT_RUNPATH => shared.runpath = Some(text()),
            DT_RPATH => shared.runpath = shared.runpath.or(Some(text())),
            object::elf::DT_NULL => break,
            _ => {}
        }
    }
}

/// Version definitions: the name of each index (LSB 10.7.2).
fn version_definitions(bytes: &'static [u8], strings: &'static [u8]) -> Vec<&'static [u8]> {
    let mut names: Vec<&'static [u8]> = Vec::new();
    let mut at = 0usize;
    while let Some(entry) = bytes.get(at..) {
        let Ok((verdef, _)) = object::pod::from_bytes::<object::elf::Verdef<LE>>(entry) else { break };
        let index = usize::from(verdef.vd_ndx.get(LE) & !VERSYM_HIDDEN);
        let aux = entry.get(verdef.vd_aux.get(LE) as usize..).unwrap_or(&[]);
        if let Ok((verdaux, _)) = object::pod::from_bytes::<object::elf::Verdaux<LE>>(aux) {
            if names.len() <= index {
                names.resize(index + 1, b"");
            }
            names[index] = c_string(strings, verdaux.vda_name.get(LE) as usize);
        }
        match verdef.vd_next.get(LE) as usize {
            0 => break,
            next => at = at.saturating_add(next),
        }
    }
    names
}

/// Sorts the dynamic symbols into definitions and needs, and names them: the plain name for whoever asks for the default.
/// What a definition is called with its version is found out by [`seal`](crate::seal), if anybody asks by such a name.
fn read_symbols(shared: &mut SharedObject, versym: &[object::U16<LE>], names: &mut NameSink) {
    shared.defined.reserve_exact(shared.symbols.len());
    names.reserve(shared.symbols.len());
    for (index, symbol) in shared.symbols.iter().enumerate().skip(1) {
        if symbol.st_bind() == STB_LOCAL {
            continue;
        }
        let name = c_string(shared.strtab, symbol.st_name.get(LE) as usize);
        let raw = versym.get(index).map_or(1, |v| v.get(LE));
        let version = raw & !VERSYM_HIDDEN;
        let mut entry = SharedSymbol {
            id: SymbolId::NONE,
            versioned_id: SymbolId::NONE,
            index: index as u32,
            version: if version <= 1 { 0 } else { version },
        };
        if symbol.st_shndx.get(LE) == SHN_UNDEF {
            // Whatever version it asks for, any definition of the name answers here; the loader checks versions.
            entry.id = SymbolId(names.len());
            names.push_bytes(name);
            shared.undefined.push(entry);
            continue;
        }
        if symbol.st_visibility() == object::elf::STV_HIDDEN
            || symbol.st_visibility() == object::elf::STV_INTERNAL
        {
            continue;
        }
        if raw & VERSYM_HIDDEN == 0 || version <= 1 {
            entry.id = SymbolId(names.len());
            names.push_bytes(name);
        }
        shared.defined.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_tables_survive_garbage() {
        let bytes: &'static [u8] = &[0xff; 64];
        version_definitions(bytes, b"");
    }
}
