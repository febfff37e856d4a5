//! An object that stands for a claimed file until its code exists: the symbols the plugin told of, and no code.
//!
//! It is made as a file in memory and parsed like any other, so resolution, COMDAT election, archives, versions in names
//! and messages need not know that it is none. All definitions are in one section, those of a COMDAT group in one of
//! their own; the sections are excluded from the output (SHF_EXCLUDE).
//!
//! Invariant: the global symbols stand in the order in which the plugin told of them, one entry each.

use super::abi::{kind, symbol_type, visibility};
use crate::elf::Sym;
use crate::elf::write::{HEADER_BYTES, Header, file_header, section_header};
use object::elf::{
    GRP_COMDAT, SHF_EXCLUDE, SHF_GROUP, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHN_XINDEX, SHT_GROUP,
    SHT_NULL, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX, STB_GLOBAL, STB_WEAK, STT_FUNC,
    STT_NOTYPE, STT_OBJECT, STV_DEFAULT, STV_HIDDEN, STV_INTERNAL, STV_PROTECTED,
};
use std::collections::HashMap;

/// A symbol of a claimed file, as the plugin told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Claimed {
    /// Its name.
    pub name: Vec<u8>,
    /// Its version, if any.
    pub version: Option<Vec<u8>>,
    /// See [`kind`].
    pub kind: u8,
    /// See [`symbol_type`]; 0 if unknown.
    pub symbol_type: u8,
    /// See [`visibility`].
    pub visibility: i32,
    /// In bytes, of a tentative definition.
    pub size: u64,
    /// The signature of its COMDAT group.
    pub comdat: Option<Vec<u8>>,
}

impl Claimed {
    /// Whether the file needs the symbol from others.
    pub fn is_reference(&self) -> bool {
        matches!(self.kind, kind::UNDEF | kind::WEAKUNDEF)
    }
}

/// Section header indices; 3 is that of the table of large section indices.
const STRTAB: u32 = 1;
const SYMTAB: u32 = 2;
const CODE: u32 = 4;
const FIRST_GROUP: u32 = 5;

/// Names of sections, at the start of the string table. That of the code is where messages say a definition is.
const NAMES: &[u8] = b"\0.strtab\0.symtab\0.symtab_shndx\0intermediate code\0.group\0";
const STRTAB_NAME: u32 = 1;
const SYMTAB_NAME: u32 = 9;
const INDICES_NAME: u32 = 17;
const CODE_NAME: u32 = 31;
const GROUP_NAME: u32 = 49;

/// The tables of the object in the making.
struct Tables {
    strings: Vec<u8>,
    symbols: Vec<u8>,
    indices: Vec<u8>,
}

impl Tables {
    fn string(&mut self, text: &[&[u8]]) -> u32 {
        let at = self.strings.len() as u32;
        for part in text {
            self.strings.extend(part.iter().filter(|byte| **byte != 0));
        }
        self.strings.push(0);
        at
    }

    fn symbol(&mut self, name: u32, info: u8, other: u8, section: Place, size: u64) {
        let (shndx, index) = match section {
            Place::Special(shndx) => (shndx, 0),
            Place::Section(index) if index < SHN_LORESERVE.into() => (index as u16, 0),
            Place::Section(index) => (SHN_XINDEX, index),
        };
        // The value of a tentative definition is its alignment.
        let value = u64::from(shndx == SHN_COMMON);
        self.symbols.extend(name.to_le_bytes());
        self.symbols.extend([info, other]);
        self.symbols.extend(shndx.to_le_bytes());
        self.symbols.extend(value.to_le_bytes());
        self.symbols.extend(size.to_le_bytes());
        self.indices.extend(index.to_le_bytes());
    }
}

/// Where a symbol is.
#[derive(Clone, Copy)]
enum Place {
    Special(u16),
    Section(u32),
}

/// Makes the object.
pub(super) fn stand_in(symbols: &[Claimed]) -> &'static [u8] {
    let mut tables = Tables { strings: NAMES.to_vec(), symbols: Vec::new(), indices: Vec::new() };
    tables.symbol(0, 0, 0, Place::Special(SHN_UNDEF), 0);
    let mut groups: HashMap<&[u8], u32> = HashMap::new();
    for key in symbols.iter().filter(|symbol| !symbol.is_reference()).filter_map(|s| s.comdat.as_deref()) {
        let group = groups.len() as u32;
        if let std::collections::hash_map::Entry::Vacant(entry) = groups.entry(key) {
            entry.insert(group);
            // A local symbol that lends the group its name.
            let name = tables.string(&[key]);
            tables.symbol(name, STT_NOTYPE, 0, Place::Section(FIRST_GROUP + 2 * group), 0);
        }
    }
    for symbol in symbols {
        let at: &[u8] = if symbol.version.is_some() { b"@" } else { b"" };
        let name = tables.string(&[&symbol.name, at, symbol.version.as_deref().unwrap_or(b"")]);
        let group = symbol.comdat.as_deref().and_then(|key| groups.get(key));
        let place = match symbol.kind {
            kind::UNDEF | kind::WEAKUNDEF => Place::Special(SHN_UNDEF),
            kind::COMMON => Place::Special(SHN_COMMON),
            _ => Place::Section(group.map_or(CODE, |group| FIRST_GROUP + 2 * group)),
        };
        let is_weak = matches!(symbol.kind, kind::WEAKDEF | kind::WEAKUNDEF);
        let binding = if is_weak { STB_WEAK } else { STB_GLOBAL };
        let symbol_type = match symbol.symbol_type {
            symbol_type::FUNCTION => STT_FUNC,
            symbol_type::VARIABLE => STT_OBJECT,
            _ => STT_NOTYPE,
        };
        let other = match symbol.visibility {
            visibility::PROTECTED => STV_PROTECTED,
            visibility::INTERNAL => STV_INTERNAL,
            visibility::HIDDEN => STV_HIDDEN,
            _ => STV_DEFAULT,
        };
        tables.symbol(name, binding << 4 | symbol_type, other, place, symbol.size);
    }
    assemble(tables, groups.len() as u32)
}

/// Puts header, tables, groups and section headers one behind the other.
fn assemble(tables: Tables, groups: u32) -> &'static [u8] {
    let mut out = vec![0; HEADER_BYTES as usize];
    let mut append = |bytes: &[u8]| {
        let offset = out.len().next_multiple_of(8);
        out.resize(offset, 0);
        out.extend_from_slice(bytes);
        [offset as u64, bytes.len() as u64]
    };
    let strings = append(&tables.strings);
    let symbols = append(&tables.symbols);
    let indices = append(&tables.indices);
    let mut words = Vec::with_capacity(groups as usize * 8);
    for group in 0..groups {
        words.extend(GRP_COMDAT.to_le_bytes());
        words.extend((FIRST_GROUP + 2 * group).to_le_bytes());
    }
    let [first_group, _] = append(&words);
    let [headers, _] = append(&[]);
    let count = FIRST_GROUP + 2 * groups;
    // More sections than fit 16 bits: their number stands in the first header (gABI, "ELF Header").
    let is_large = count >= SHN_LORESERVE.into();

    let table = |name, sh_type, [offset, size]: [u64; 2], [link, info]: [u32; 2], entsize| Header {
        name,
        sh_type,
        offset,
        size,
        link,
        info,
        align: 1,
        entsize,
        ..Header::default()
    };
    let code = |flags| {
        let flags = u64::from(SHF_EXCLUDE | flags);
        Header { flags, ..table(CODE_NAME, SHT_PROGBITS, [headers, 0], [0, 0], 0) }
    };
    let number = if is_large { count.into() } else { 0 };
    let mut list = vec![
        table(0, SHT_NULL, [0, number], [0, 0], 0),
        table(STRTAB_NAME, SHT_STRTAB, strings, [0, 0], 0),
        table(SYMTAB_NAME, SHT_SYMTAB, symbols, [STRTAB, 1 + groups], size_of::<Sym>() as u64),
        table(INDICES_NAME, SHT_SYMTAB_SHNDX, indices, [SYMTAB, 0], 4),
        code(0),
    ];
    for group in 0..groups {
        list.push(code(SHF_GROUP));
        let place = [first_group + 8 * u64::from(group), 8];
        list.push(table(GROUP_NAME, SHT_GROUP, place, [SYMTAB, 1 + group], 4));
    }
    debug_assert_eq!(list.len(), count as usize);
    out.extend(list.iter().flat_map(section_header));
    out[..HEADER_BYTES as usize].copy_from_slice(&file_header(headers, count, STRTAB, false));
    out.leak()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::intern::NameSink;
    use crate::model::{File, FileId, Object, Origin, Role, SectionKind};
    use crate::parse::{Container, MappedInput, parse};
    use std::path::Path;

    fn parsed(symbols: &[Claimed]) -> Box<Object> {
        let path = Path::new("a.o");
        let input = MappedInput {
            id: FileId(0),
            origin: Origin { path, member: None },
            container: Container { path, offset: 0 },
            data: stand_in(symbols),
            role: Role::Intermediate,
            is_shared: false,
            is_lazy: false,
            in_archive: false,
            as_needed: false,
            needed_name: b"",
        };
        match parse(&Config::default(), &input, &mut NameSink::new(7)).unwrap() {
            File::Object(object) => object,
            File::Shared(_) => panic!("an object was made"),
        }
    }

    fn symbol(name: &str, kind: u8) -> Claimed {
        Claimed { name: name.into(), kind, ..Claimed::default() }
    }

    #[test]
    fn symbols_come_back_in_order() {
        let symbols = [
            symbol("f", 0),
            Claimed { visibility: visibility::HIDDEN, ..symbol("weak", kind::WEAKDEF) },
            symbol("needed", kind::UNDEF),
            symbol("maybe", kind::WEAKUNDEF),
            Claimed { size: 8, ..symbol("common", kind::COMMON) },
            Claimed { version: Some(b"V1".to_vec()), ..symbol("old", 0) },
        ];
        let object = parsed(&symbols);
        let names: Vec<&[u8]> = (1..7).map(|n| object.symbol_name(n)).collect();
        assert_eq!(names, [&b"f"[..], b"weak", b"needed", b"maybe", b"common", b"old@V1"]);
        assert_eq!(object.first_global, 1);
        assert_eq!((object.symbols[2].st_bind(), object.symbols[2].st_visibility()), (STB_WEAK, STV_HIDDEN));
        assert_eq!(object.symbol_section(1), CODE);
        assert_eq!((object.symbol_section(3), object.symbol_section(4)), (0, 0));
        assert!(crate::select::is_common(&object.symbols[5]));
        assert_eq!(object.versioned.len(), 1);
        assert!(object.sections.iter().all(|section| section.kind == SectionKind::Ignored));
        assert!(object.outputs.is_empty());
    }

    #[test]
    fn groups_hold_their_symbols_however_many_there_are() {
        const COUNT: usize = 40_000;
        let in_group = |n: usize| Claimed {
            comdat: Some(format!("key{n}").into_bytes()),
            ..symbol(&format!("f{n}"), kind::WEAKDEF)
        };
        let symbols: Vec<Claimed> = (0..COUNT).map(in_group).collect();
        let object = parsed(&symbols);
        assert_eq!(object.groups.len(), COUNT);
        assert_eq!(object.first_global as usize, COUNT + 1);
        for n in [0, 1, COUNT - 1] {
            let section = object.symbol_section(COUNT + 1 + n);
            assert_eq!(object.members_of(&object.groups[n]).collect::<Vec<_>>(), [section]);
        }
    }

    #[test]
    fn nothing_makes_an_empty_object() {
        assert_eq!(parsed(&[]).ids.len(), 0);
    }
}
