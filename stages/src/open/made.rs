//! Objects made of files that are none: any bytes (`-b binary`), the symbols of another program (`-R`).
//!
//! Both become relocatable objects in memory and go the way of all objects, so nobody later needs to know. An
//! embedded file is a `.data` section between the symbols `_binary_NAME_start` and `_binary_NAME_end`, with the absolute
//! symbol `_binary_NAME_size` (ld manual, "-b"); NAME is the file's name as it was given, with `_` for whatever is no letter
//! or digit. Of a program there are its global symbols alone, as absolute ones.

use crate::arch::target;
use crate::elf::write::{HEADER_BYTES as HEADER, Header, file_header, section_header};
use crate::elf::{Ehdr, Shdr, Sym, c_string, range, section_headers, slice_of};
use object::LittleEndian as LE;
use object::elf::{
    ELFCLASS64, ET_EXEC, SHF_ALLOC, SHF_WRITE, SHN_ABS, SHN_LORESERVE, SHN_UNDEF, SHT_DYNAMIC, SHT_NULL,
    SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB, STB_GLOBAL, STB_LOCAL, STT_NOTYPE, STT_SECTION, STT_TLS,
};

/// Bytes of a symbol table entry.
const SYMBOL: u64 = size_of::<Sym>() as u64;

/// A symbol to be: name, `st_info`, `st_other`, `st_shndx`, value, size.
struct Entry<'n> {
    name: &'n [u8],
    info: u8,
    other: u8,
    shndx: u16,
    value: u64,
    size: u64,
}

/// An object with the contents of a file.
pub(super) fn embedded(name: &[u8], contents: &[u8]) -> &'static [u8] {
    let is_plain = |byte: &u8| if byte.is_ascii_alphanumeric() { *byte } else { b'_' };
    let mangled: Vec<u8> = name.iter().map(is_plain).collect();
    let size = contents.len() as u64;
    let symbol = |what: &[u8]| [b"_binary_", mangled.as_slice(), what].concat();
    let names = [symbol(b"_start"), symbol(b"_end"), symbol(b"_size")];
    let entry = |name, shndx, value| {
        let info = STB_GLOBAL << 4 | STT_NOTYPE;
        Entry { name, info, other: 0, shndx, value, size: 0 }
    };
    let symbols = [entry(&names[0], DATA, 0), entry(&names[1], DATA, size), entry(&names[2], SHN_ABS, size)];
    object(contents, &symbols)
}

/// An object with the global symbols of an executable or object.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn symbols_of(data: &'static [u8]) -> Result<&'static [u8], String> {
    let (header, _) =
        object::pod::from_bytes::<Ehdr>(data).map_err(|()| "the file is truncated".to_string())?;
    if header.e_ident.class != ELFCLASS64 || header.e_machine.get(LE) != target::MACHINE {
        return Err("is a file for another machine".into());
    }
    let outside = || "its symbol table lies outside the file: truncated?".to_string();
    let headers =
        section_headers(data, header).ok_or("its section headers lie outside the file: truncated?")?;
    let mut symbols = Vec::new();
    if headers.iter().any(|h| h.sh_type.get(LE) == SHT_DYNAMIC) && header.e_type.get(LE) != ET_EXEC {
        return Err("is moved when it is loaded: its symbols have no fixed addresses".into());
    }
    for table in headers.iter().filter(|h| h.sh_type.get(LE) == SHT_SYMTAB) {
        let bytes_of = |h: &Shdr| range(data, h.sh_offset.get(LE), h.sh_size.get(LE)).ok_or_else(outside);
        let strings = bytes_of(headers.get(table.sh_link.get(LE) as usize).ok_or_else(outside)?)?;
        let entries: &'static [Sym] = slice_of(bytes_of(table)?);
        symbols.extend(entries.iter().filter(|entry| is_taken(entry)).map(|entry| Entry {
            name: c_string(strings, entry.st_name.get(LE) as usize),
            info: entry.st_info,
            other: entry.st_other,
            shndx: SHN_ABS,
            value: entry.st_value.get(LE),
            size: entry.st_size.get(LE),
        }));
    }
    // What marks the borders of that program marks those of this one.
    symbols.retain(|symbol| !matches!(symbol.name, b"" | b"_end" | b"_edata" | b"__bss_start"));
    Ok(object(&[], &symbols))
}

/// Whether a symbol is global and has an address that means something elsewhere.
fn is_taken(entry: &Sym) -> bool {
    let shndx = entry.st_shndx.get(LE);
    let is_defined = shndx != SHN_UNDEF && (shndx < SHN_LORESERVE || shndx == SHN_ABS);
    is_defined && entry.st_bind() != STB_LOCAL && !matches!(entry.st_type(), STT_SECTION | STT_TLS)
}

/// Section header indices of an object made here.
const DATA: u16 = 1;
const STACK: u32 = 2;
const STRTAB: u32 = 4;

/// Section names, and where each starts.
const NAMES: &[u8] = b"\0.data\0.note.GNU-stack\0.symtab\0.strtab\0";
const NAME_OFFSETS: [u32; 5] = [0, 1, 7, 23, 31];

/// A relocatable object: `.data`, `.note.GNU-stack`, `.symtab`, `.strtab` (with the names of sections in front).
fn object(data: &[u8], symbols: &[Entry]) -> &'static [u8] {
    let names: usize = symbols.iter().map(|symbol| symbol.name.len() + 1).sum();
    let room = data.len() + names + NAMES.len() + (symbols.len() + 1) * SYMBOL as usize + 512;
    let mut out = Vec::with_capacity(room);
    out.resize(HEADER as usize, 0);
    out.extend_from_slice(data);
    align(&mut out);
    let symtab = out.len() as u64;
    out.resize(out.len() + SYMBOL as usize, 0);
    let mut name = NAMES.len() as u32;
    for symbol in symbols {
        out.extend(name.to_le_bytes());
        out.extend([symbol.info, symbol.other]);
        out.extend(symbol.shndx.to_le_bytes());
        out.extend(symbol.value.to_le_bytes());
        out.extend(symbol.size.to_le_bytes());
        name += symbol.name.len() as u32 + 1;
    }
    let strtab = out.len() as u64;
    out.extend_from_slice(NAMES);
    for symbol in symbols {
        out.extend_from_slice(symbol.name);
        out.push(0);
    }
    let strtab_size = out.len() as u64 - strtab;
    align(&mut out);
    let headers = out.len() as u64;
    let size = data.len() as u64;
    let symtab_size = (symbols.len() as u64 + 1) * SYMBOL;
    let flags = u64::from(SHF_ALLOC | SHF_WRITE);
    let [bits, symbols_type, strings] = [SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB].map(u64::from);
    // Type, flags, offset, size, link, info, alignment, entry size.
    let sections: [[u64; 8]; 5] = [
        [SHT_NULL.into(), 0, 0, 0, 0, 0, 0, 0],
        [bits, flags, HEADER, size, 0, 0, 1, 0],
        [bits, 0, symtab, 0, 0, 0, 1, 0],
        [symbols_type, 0, symtab, symtab_size, STRTAB.into(), 1, 8, SYMBOL],
        [strings, 0, strtab, strtab_size, 0, 0, 1, 0],
    ];
    let has_data = symbols.iter().any(|symbol| symbol.shndx == DATA);
    for (n, [sh_type, flags, offset, size, link, info, align, entsize]) in sections.into_iter().enumerate() {
        let sh_type = if n as u32 <= STACK && !has_data { SHT_NULL } else { sh_type as u32 };
        let (name, link, info) = (NAME_OFFSETS[n], link as u32, info as u32);
        out.extend(section_header(&Header {
            name,
            sh_type,
            flags,
            offset,
            size,
            link,
            info,
            align,
            entsize,
        }));
    }
    out[..HEADER as usize].copy_from_slice(&file_header(headers, sections.len() as u32, STRTAB, false));
    out.leak()
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(8), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sections_stand_where_headers_say() {
        let names: Vec<&[u8]> = NAME_OFFSETS.iter().map(|at| c_string(NAMES, *at as usize)).collect();
        assert_eq!(names, [&b""[..], b".data", b".note.GNU-stack", b".symtab", b".strtab"]);
    }

    #[test]
    fn symbols_of_what_was_made_are_found_again() {
        let made = embedded(b"a-b/c.1", b"12345");
        let again = symbols_of(made).unwrap();
        for name in ["_binary_a_b_c_1_start", "_binary_a_b_c_1_end", "_binary_a_b_c_1_size"] {
            assert!(memchr::memmem::find(again, name.as_bytes()).is_some(), "{name}");
        }
        assert!(memchr::memmem::find(again, b"12345").is_none());
        for end in 0..made.len() {
            assert!(symbols_of(&made[..end]).is_err());
        }
    }
}
