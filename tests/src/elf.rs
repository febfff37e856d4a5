//! A reader of ELF files made for asking questions about a linker's output.
//!
//! In: the bytes of a file. Out: [`Elf`], the tables of the file with every name resolved. `records` turns
//! them into the words that facts talk about.
//!
//! It shares no code with the linker and none with the crate the linker reads ELF with: an oracle that has
//! the same bug as what it judges is no oracle. Only 64-bit little-endian files are read, which is what the
//! cases produce. The bytes are untrusted (a linker that fails writes anything), so every access is checked
//! and a wrong file is an error that names the table.

/// The section header of one section, with its name resolved.
#[derive(Debug, Clone)]
pub struct Section {
    /// Name from `.shstrtab`.
    pub name: String,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_addr`.
    pub address: u64,
    /// `sh_offset`.
    pub offset: u64,
    /// `sh_size`, in bytes.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_entsize`, in bytes.
    pub entry_size: u64,
}

/// One program header.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub address: u64,
    /// `p_filesz`, in bytes.
    pub file_size: u64,
    /// `p_memsz`, in bytes.
    pub memory_size: u64,
    /// `p_align`.
    pub align: u64,
}

/// One entry of `.symtab` or `.dynsym`.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// The name, without a version.
    pub name: String,
    /// `ELF64_ST_BIND`.
    pub bind: u8,
    /// `ELF64_ST_TYPE`.
    pub kind: u8,
    /// `ELF64_ST_VISIBILITY`.
    pub visibility: u8,
    /// Section index, `SHN_XINDEX` already looked up.
    pub section: u32,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
    /// Name of the symbol's version, for `.dynsym` entries that have one.
    pub version: Option<String>,
    /// Whether the version is hidden (`name@V` rather than `name@@V`).
    pub version_hidden: bool,
}

/// One relocation with an addend.
#[derive(Debug, Clone)]
pub struct Relocation {
    /// Name of the section that holds it.
    pub table: String,
    /// `r_offset`: an address in linked files, an offset in relocatable ones.
    pub offset: u64,
    /// `ELF64_R_TYPE`.
    pub kind: u32,
    /// Name of the symbol (of the section, for section symbols), empty for symbol 0.
    pub symbol: String,
    /// `r_addend`.
    pub addend: i64,
}

/// One note of a PT_NOTE or SHT_NOTE.
#[derive(Debug, Clone)]
pub struct Note {
    /// Section it stands in.
    pub section: String,
    /// Owner name, without its NUL.
    pub owner: String,
    /// `n_type`.
    pub kind: u32,
    /// Description bytes.
    pub description: Vec<u8>,
}

/// One version this file needs from a library.
#[derive(Debug, Clone)]
pub struct NeededVersion {
    /// `vn_file`.
    pub file: String,
    /// `vna_name`.
    pub version: String,
    /// `vna_flags` has `VER_FLG_WEAK`.
    pub weak: bool,
}

/// A whole ELF file, read.
#[derive(Debug, Clone)]
pub struct Elf {
    /// The bytes.
    pub data: Vec<u8>,
    /// `e_type`.
    pub kind: u16,
    /// `e_machine`.
    pub machine: u16,
    /// `e_ident[EI_OSABI]`.
    pub os_abi: u8,
    /// `e_entry`.
    pub entry: u64,
    /// Section headers, index 0 included.
    pub sections: Vec<Section>,
    /// Program headers.
    pub segments: Vec<Segment>,
    /// `.symtab`, entry 0 left out.
    pub symbols: Vec<Symbol>,
    /// `.dynsym`, entry 0 left out.
    pub dynamic_symbols: Vec<Symbol>,
    /// `.dynamic` up to DT_NULL: tag and value.
    pub dynamic: Vec<(u64, u64)>,
    /// All SHT_RELA entries, in file order.
    pub relocations: Vec<Relocation>,
    /// The addresses that `.relr.dyn` relocates.
    pub relr: Vec<u64>,
    /// All notes.
    pub notes: Vec<Note>,
    /// `.gnu.version_r`.
    pub needed_versions: Vec<NeededVersion>,
    /// `.gnu.version_d`: name, index, flags.
    pub defined_versions: Vec<(String, u16, u16)>,
    /// Contents of `.interp`.
    pub interpreter: Option<String>,
}

const SHT_RELA: u32 = 4;
const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const SHT_DYNAMIC: u32 = 6;
const SHT_RELR: u32 = 19;
const SHT_SYMTAB_SHNDX: u32 = 18;
const SHT_GNU_VERDEF: u32 = 0x6fff_fffd;
const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;
const SHT_GNU_VERSYM: u32 = 0x6fff_ffff;
const SHF_TLS: u64 = 0x400;
const SHN_XINDEX: u32 = 0xffff;

/// Little-endian reads that cannot run off the end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(&self, offset: u64, size: u64, what: &str) -> Result<&'a [u8], String> {
        let start = usize::try_from(offset).map_err(|_| format!("{what}: offset {offset:#x}"))?;
        let end = usize::try_from(size).ok().and_then(|s| start.checked_add(s));
        end.and_then(|end| self.0.get(start..end))
            .ok_or_else(|| format!("{what}: {size:#x} bytes at {offset:#x} lie outside the file"))
    }
    fn u16(&self, offset: u64) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.slice(offset, 2, "u16")?.try_into().expect("two bytes")))
    }
    fn u32(&self, offset: u64) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.slice(offset, 4, "u32")?.try_into().expect("four bytes")))
    }
    fn u64(&self, offset: u64) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.slice(offset, 8, "u64")?.try_into().expect("eight bytes")))
    }
    fn text(&self, offset: u64) -> Result<String, String> {
        let rest = usize::try_from(offset).ok().and_then(|o| self.0.get(o..));
        let rest = rest.ok_or_else(|| format!("string offset {offset:#x} lies outside its table"))?;
        let end = rest.iter().position(|&b| b == 0).ok_or("a string is not terminated")?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

impl Elf {
    /// Reads the file at `path`. The error says which table is wrong.
    pub fn open(path: &std::path::Path) -> Result<Elf, String> {
        let data = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Elf::read(data).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads a file from its bytes.
    pub fn read(data: Vec<u8>) -> Result<Elf, String> {
        let file = Bytes(&data);
        if file.slice(0, 16, "ELF header")?[..6] != [0x7f, b'E', b'L', b'F', 2, 1] {
            return Err("not a 64-bit little-endian ELF file".into());
        }
        let mut elf = Elf {
            kind: file.u16(16)?,
            machine: file.u16(18)?,
            os_abi: data[7],
            entry: file.u64(24)?,
            sections: read_sections(&file)?,
            segments: Vec::new(),
            symbols: Vec::new(),
            dynamic_symbols: Vec::new(),
            dynamic: Vec::new(),
            relocations: Vec::new(),
            relr: Vec::new(),
            notes: Vec::new(),
            needed_versions: Vec::new(),
            defined_versions: Vec::new(),
            interpreter: None,
            data: Vec::new(),
        };
        elf.segments = read_segments(&file, &elf.sections)?;
        elf.read_versions(&file)?;
        elf.read_symbols(&file)?;
        for index in 0..elf.sections.len() {
            let section = elf.sections[index].clone();
            match section.kind {
                SHT_DYNAMIC => elf.dynamic = read_dynamic(&file, &section)?,
                SHT_RELA => elf.read_relocations(&file, &section)?,
                SHT_RELR => elf.relr = read_relr(&file, &section)?,
                SHT_NOTE => elf.notes.extend(read_notes(&file, &section)?),
                _ if section.name == ".interp" => {
                    let text = Bytes(file.slice(section.offset, section.size, ".interp")?).text(0)?;
                    elf.interpreter = Some(text);
                }
                _ => {}
            }
        }
        elf.data = data;
        Ok(elf)
    }

    /// The contents of a section; empty for SHT_NOBITS.
    pub fn contents(&self, section: &Section) -> Result<&[u8], String> {
        let size = if section.kind == SHT_NOBITS { 0 } else { section.size };
        Bytes(&self.data).slice(section.offset, size, &section.name)
    }

    /// The section whose memory holds `address`.
    pub fn section_at(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|s| {
            s.flags & 2 != 0
                && !(s.kind == SHT_NOBITS && s.flags & SHF_TLS != 0)
                && address >= s.address
                && address - s.address < s.size.max(1)
        })
    }

    /// The string a dynamic tag's value names.
    pub fn dynamic_string(&self, offset: u64) -> Result<String, String> {
        let dynamic = self.sections.iter().find(|s| s.kind == SHT_DYNAMIC).ok_or("no dynamic section")?;
        self.string(dynamic.link, offset)
    }

    fn string(&self, table: u32, offset: u64) -> Result<String, String> {
        string_of(&Bytes(&self.data), &self.sections, table, offset)
    }

    fn read_symbols(&mut self, file: &Bytes) -> Result<(), String> {
        let versym = self.sections.iter().find(|s| s.kind == SHT_GNU_VERSYM).cloned();
        for section in self.sections.clone() {
            let is_dynamic = section.kind == SHT_DYNSYM;
            if !is_dynamic && section.kind != SHT_SYMTAB {
                continue;
            }
            let table = Bytes(file.slice(section.offset, section.size, &section.name)?);
            let own = self.sections.iter().position(|s| s.name == section.name && s.kind == section.kind);
            let extended = self
                .sections
                .iter()
                .find(|s| s.kind == SHT_SYMTAB_SHNDX && Some(s.link as usize) == own)
                .cloned();
            let mut symbols = Vec::new();
            for index in 1..section.size / 24 {
                let at = index * 24;
                let info = table.slice(at + 4, 2, "symbol")?;
                let mut shndx = u32::from(table.u16(at + 6)?);
                if shndx == SHN_XINDEX
                    && let Some(extended) = &extended
                {
                    shndx = file.u32(extended.offset + index * 4)?;
                }
                let mut symbol = Symbol {
                    name: string_of(file, &self.sections, section.link, u64::from(table.u32(at)?))?,
                    bind: info[0] >> 4,
                    kind: info[0] & 15,
                    visibility: info[1] & 3,
                    section: shndx,
                    value: table.u64(at + 8)?,
                    size: table.u64(at + 16)?,
                    version: None,
                    version_hidden: false,
                };
                if let Some(versym) = versym.as_ref().filter(|_| is_dynamic) {
                    let version = file.u16(versym.offset + index * 2)?;
                    symbol.version_hidden = version & 0x8000 != 0;
                    symbol.version = self.version_name(file, version & 0x7fff)?;
                }
                symbols.push(symbol);
            }
            if is_dynamic {
                self.dynamic_symbols = symbols;
            } else {
                self.symbols = symbols;
            }
        }
        Ok(())
    }

    /// The name behind a version index; `None` for 0 (local) and 1 (global).
    fn version_name(&self, file: &Bytes, index: u16) -> Result<Option<String>, String> {
        if index < 2 {
            return Ok(None);
        }
        if let Some((name, ..)) = self.defined_versions.iter().find(|(_, i, _)| *i == index) {
            return Ok(Some(name.clone()));
        }
        for (_, version, own) in needed_entries(file, &self.sections)? {
            if own == index {
                return Ok(Some(version.version));
            }
        }
        Ok(Some(format!("<bad index {index}>")))
    }

    fn read_versions(&mut self, file: &Bytes) -> Result<(), String> {
        self.needed_versions =
            needed_entries(file, &self.sections)?.into_iter().map(|(_, version, _)| version).collect();
        let Some(section) = self.sections.iter().find(|s| s.kind == SHT_GNU_VERDEF) else { return Ok(()) };
        let mut at = section.offset;
        for _ in 0..section.info {
            let flags = file.u16(at + 2)?;
            let index = file.u16(at + 4)?;
            let aux = at + u64::from(file.u32(at + 12)?);
            let name = string_of(file, &self.sections, section.link, u64::from(file.u32(aux)?))?;
            self.defined_versions.push((name, index, flags));
            at += u64::from(file.u32(at + 16)?);
        }
        Ok(())
    }

    fn read_relocations(&mut self, file: &Bytes, section: &Section) -> Result<(), String> {
        let names = match self.sections.get(section.link as usize) {
            Some(table) if table.kind == SHT_DYNSYM => &self.dynamic_symbols,
            _ => &self.symbols,
        };
        for at in (0..section.size / 24).map(|i| section.offset + i * 24) {
            let info = file.u64(at + 8)?;
            let index = (info >> 32) as usize;
            let symbol = match index.checked_sub(1) {
                None => String::new(),
                Some(i) => {
                    let symbol = names.get(i);
                    let symbol = symbol.ok_or_else(|| format!("{}: symbol index {index}", section.name))?;
                    match self.sections.get(symbol.section as usize).filter(|_| symbol.kind == 3) {
                        Some(section) => section.name.clone(),
                        None => symbol.name.clone(),
                    }
                }
            };
            self.relocations.push(Relocation {
                table: section.name.clone(),
                offset: file.u64(at)?,
                kind: info as u32,
                symbol,
                addend: file.u64(at + 16)? as i64,
            });
        }
        Ok(())
    }
}

fn string_of(file: &Bytes, sections: &[Section], table: u32, offset: u64) -> Result<String, String> {
    let section = sections.get(table as usize).ok_or_else(|| format!("no string table {table}"))?;
    Bytes(file.slice(section.offset, section.size, &section.name)?).text(offset)
}

fn read_sections(file: &Bytes) -> Result<Vec<Section>, String> {
    let start = file.u64(40)?;
    if start == 0 {
        return Ok(Vec::new());
    }
    let mut count = u64::from(file.u16(60)?);
    let mut names = u32::from(file.u16(62)?);
    // gABI, "ELF Header": 0 and SHN_XINDEX mean that section 0 holds the real numbers.
    if count == 0 {
        count = file.u64(start + 32)?;
    }
    if names == SHN_XINDEX {
        names = file.u32(start + 40)?;
    }
    let mut sections = Vec::new();
    let mut name_offsets = Vec::new();
    for index in 0..count {
        let at = start + index * 64;
        name_offsets.push(u64::from(file.u32(at)?));
        sections.push(Section {
            name: String::new(),
            kind: file.u32(at + 4)?,
            flags: file.u64(at + 8)?,
            address: file.u64(at + 16)?,
            offset: file.u64(at + 24)?,
            size: file.u64(at + 32)?,
            link: file.u32(at + 40)?,
            info: file.u32(at + 44)?,
            align: file.u64(at + 48)?,
            entry_size: file.u64(at + 56)?,
        });
    }
    for (index, offset) in name_offsets.into_iter().enumerate() {
        sections[index].name = string_of(file, &sections, names, offset)?;
    }
    Ok(sections)
}

fn read_segments(file: &Bytes, sections: &[Section]) -> Result<Vec<Segment>, String> {
    let start = file.u64(32)?;
    let mut count = u64::from(file.u16(56)?);
    // PN_XNUM: the number is in section 0's sh_info.
    if count == 0xffff
        && let Some(first) = sections.first()
    {
        count = u64::from(first.info);
    }
    let mut segments = Vec::new();
    for at in (0..count).map(|i| start + i * 56) {
        segments.push(Segment {
            kind: file.u32(at)?,
            flags: file.u32(at + 4)?,
            offset: file.u64(at + 8)?,
            address: file.u64(at + 16)?,
            file_size: file.u64(at + 32)?,
            memory_size: file.u64(at + 40)?,
            align: file.u64(at + 48)?,
        });
    }
    Ok(segments)
}

fn read_dynamic(file: &Bytes, section: &Section) -> Result<Vec<(u64, u64)>, String> {
    let mut entries = Vec::new();
    for at in (0..section.size / 16).map(|i| section.offset + i * 16) {
        let tag = file.u64(at)?;
        if tag == 0 {
            break;
        }
        entries.push((tag, file.u64(at + 8)?));
    }
    Ok(entries)
}

/// Expands SHT_RELR (gABI, "Relative Relocation Table"): an even entry is an address, an odd one a bitmap
/// of the 63 words that follow.
fn read_relr(file: &Bytes, section: &Section) -> Result<Vec<u64>, String> {
    let mut addresses = Vec::new();
    let mut next = 0_u64;
    for at in (0..section.size / 8).map(|i| section.offset + i * 8) {
        let entry = file.u64(at)?;
        if entry & 1 == 0 {
            addresses.push(entry);
            next = entry.wrapping_add(8);
        } else {
            let set = (1..64).filter(|bit| entry >> bit & 1 == 1);
            addresses.extend(set.map(|bit| next.wrapping_add((bit - 1) * 8)));
            next = next.wrapping_add(63 * 8);
        }
    }
    Ok(addresses)
}

fn read_notes(file: &Bytes, section: &Section) -> Result<Vec<Note>, String> {
    let data = Bytes(file.slice(section.offset, section.size, &section.name)?);
    let align = if section.align == 8 { 8 } else { 4 };
    let mut notes = Vec::new();
    let mut at = 0_u64;
    while at + 12 <= section.size {
        let (name_size, size) = (u64::from(data.u32(at)?), u64::from(data.u32(at + 4)?));
        let name = data.slice(at + 12, name_size, "note name")?;
        let start = (at + 12 + name_size).next_multiple_of(align);
        notes.push(Note {
            section: section.name.clone(),
            owner: String::from_utf8_lossy(name).trim_end_matches('\0').to_owned(),
            kind: data.u32(at + 8)?,
            description: data.slice(start, size, "note description")?.to_vec(),
        });
        at = (start + size).next_multiple_of(align);
    }
    Ok(notes)
}

/// The entries of `.gnu.version_r`: position, version, and the index that `.gnu.version` uses for it.
fn needed_entries(file: &Bytes, sections: &[Section]) -> Result<Vec<(u64, NeededVersion, u16)>, String> {
    let Some(section) = sections.iter().find(|s| s.kind == SHT_GNU_VERNEED) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    let mut at = section.offset;
    for _ in 0..section.info {
        let library = string_of(file, sections, section.link, u64::from(file.u32(at + 4)?))?;
        let mut aux = at + u64::from(file.u32(at + 8)?);
        for _ in 0..file.u16(at + 2)? {
            let version = NeededVersion {
                file: library.clone(),
                version: string_of(file, sections, section.link, u64::from(file.u32(aux + 8)?))?,
                weak: file.u16(aux + 4)? & 2 != 0,
            };
            entries.push((aux, version, file.u16(aux + 6)?));
            aux += u64::from(file.u32(aux + 12)?);
        }
        at += u64::from(file.u32(at + 12)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_is_an_error_not_a_panic() {
        let own = std::fs::read(std::env::current_exe().expect("own path")).expect("own bytes");
        let whole = Elf::read(own.clone()).expect("the test program is valid ELF");
        assert!(whole.symbols.iter().any(|s| s.name == "main"));
        assert!(whole.dynamic.iter().any(|(tag, _)| *tag == 1));
        for size in [0, 5, 16, 63, 64, 100, own.len() / 2, own.len() - 1] {
            assert!(Elf::read(own[..size].to_vec()).is_err(), "{size} bytes");
        }
    }

    #[test]
    fn relr_bitmaps_expand_to_addresses() {
        let entries: Vec<u8> = [0x1000_u64, 0b1011, 0x2000].iter().flat_map(|e| e.to_le_bytes()).collect();
        let section = Section {
            name: ".relr.dyn".into(),
            kind: SHT_RELR,
            flags: 2,
            address: 0,
            offset: 0,
            size: 24,
            link: 0,
            info: 0,
            align: 8,
            entry_size: 8,
        };
        assert_eq!(
            read_relr(&Bytes(&entries), &section).expect("in bounds"),
            [0x1000, 0x1008, 0x1018, 0x2000]
        );
    }
}
