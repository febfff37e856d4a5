//! An ELF file as a list of records: one noun, one name and some words each.
//!
//! In: [`Elf`]. Out: [`Record`]s such as
//!
//! ```text
//! file type=DYN machine=62 entry=_start
//! section .text type=PROGBITS flags=AX align=16 size=283
//! symbol main bind=GLOBAL type=FUNC visibility=DEFAULT section=.text defined
//! relocation R_X86_64_GLOB_DAT table=.rela.dyn at=.got against=environ addend=0
//! ```
//!
//! Facts in cases select records by these words, so the words are the vocabulary of the test language; they
//! are those of readelf where it has one. `cargo case --records FILE` prints them, which is how facts are
//! written: look, understand, pick the words that matter.

use crate::elf::{Elf, Note, Symbol};
use std::fmt;

/// One thing in an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What kind of thing: `section`, `symbol`, `needed` ...
    pub noun: &'static str,
    /// Its name; empty for nouns of which there is one (`file`).
    pub name: String,
    /// What else there is to say, each `word` or `key=value`.
    pub words: Vec<String>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.noun)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        self.words.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// The nouns there are, for error messages.
pub const NOUNS: &[&str] = &[
    "file",
    "interp",
    "section",
    "segment",
    "needed",
    "dynamic",
    "verdef",
    "verneed",
    "symbol",
    "dynsym",
    "relocation",
    "note",
    "property",
    "fde",
];

/// All records of a file, grouped by noun, in file order within each.
pub fn records(elf: &Elf) -> Result<Vec<Record>, String> {
    let mut out = Vec::new();
    let mut push = |noun, name: String, words: Vec<String>| out.push(Record { noun, name, words });
    // Hidden functions are local in the output of some linkers.
    let at_entry = || elf.symbols.iter().filter(|s| s.value == elf.entry && s.section != 0 && s.kind <= 2);
    let entry = at_entry().find(|s| s.bind != 0).or_else(|| at_entry().next());
    let entry = entry.map_or_else(|| format!("{:#x}", elf.entry), |s| s.name.clone());
    let kind = ["NONE", "REL", "EXEC", "DYN", "CORE"].get(usize::from(elf.kind)).unwrap_or(&"?");
    push(
        "file",
        String::new(),
        vec![
            format!("type={kind}"),
            format!("machine={}", elf.machine),
            format!("osabi={}", elf.os_abi),
            format!("entry={entry}"),
            format!("sections={}", elf.sections.len()),
            format!("size={}", elf.data.len()),
        ],
    );
    if let Some(path) = &elf.interpreter {
        push("interp", path.clone(), Vec::new());
    }
    for section in elf.sections.iter().skip(1) {
        let link = elf.sections.get(section.link as usize).map_or("", |s| &s.name);
        push(
            "section",
            section.name.clone(),
            vec![
                format!("type={}", section_type(section.kind)),
                format!("flags={}", section_flags(section.flags)),
                format!("align={}", section.align),
                format!("size={}", section.size),
                format!("entsize={}", section.entry_size),
                format!("address={:#x}", section.address),
                format!("offset={:#x}", section.offset),
                format!("link={link}"),
                format!("info={}", section.info),
            ],
        );
    }
    for segment in &elf.segments {
        let bit = |mask, letter| if segment.flags & mask != 0 { letter } else { "" };
        let mut words = vec![
            format!("flags={}{}{}", bit(4, "R"), bit(2, "W"), bit(1, "X")),
            format!("align={}", segment.align),
            format!("address={:#x}", segment.address),
            format!("filesize={}", segment.file_size),
            format!("memsize={}", segment.memory_size),
        ];
        let end = segment.address.saturating_add(segment.memory_size);
        let inside = elf.sections.iter().filter(|s| {
            s.flags & 2 != 0 && s.size > 0 && s.address >= segment.address && s.address + s.size <= end
        });
        words.extend(inside.map(|s| format!("holds={}", s.name)));
        push("segment", segment_type(segment.kind), words);
    }
    for &(tag, value) in &elf.dynamic {
        let name = dynamic_tag(tag);
        let text = matches!(tag, 1 | 14 | 15 | 29 | 0x6fff_fefc | 0x7fff_fffd | 0x7fff_ffff);
        match (tag, text) {
            (1, _) => push("needed", elf.dynamic_string(value)?, Vec::new()),
            (_, true) => push("dynamic", name, vec![format!("value={}", elf.dynamic_string(value)?)]),
            (30, _) => push("dynamic", name, flag_words(value, DT_FLAGS)),
            (0x6fff_fffb, _) => push("dynamic", name, flag_words(value, DT_FLAGS_1)),
            _ => {
                let mut words = vec![format!("value={value:#x}")];
                words.extend(elf.section_at(value).map(|s| format!("at={}", s.name)));
                push("dynamic", name, words);
            }
        }
    }
    for (name, index, flags) in &elf.defined_versions {
        let base = if flags & 1 != 0 { "base" } else { "named" };
        push("verdef", name.clone(), vec![format!("index={index}"), base.into()]);
    }
    for needed in &elf.needed_versions {
        let weak = if needed.weak { "weak" } else { "strong" };
        push("verneed", needed.version.clone(), vec![format!("file={}", needed.file), weak.into()]);
    }
    for (noun, symbols) in [("symbol", &elf.symbols), ("dynsym", &elf.dynamic_symbols)] {
        for symbol in symbols {
            push(noun, symbol.name.clone(), symbol_words(elf, symbol));
        }
    }
    for relocation in &elf.relocations {
        let mut words = vec![
            format!("table={}", relocation.table),
            format!("against={}", relocation.symbol),
            format!("addend={}", relocation.addend),
            format!("offset={:#x}", relocation.offset),
        ];
        words.extend(elf.section_at(relocation.offset).map(|s| format!("at={}", s.name)));
        push("relocation", relocation_name(relocation.kind), words);
    }
    for &address in &elf.relr {
        let mut words = vec!["table=.relr.dyn".to_owned(), format!("offset={address:#x}")];
        words.extend(elf.section_at(address).map(|s| format!("at={}", s.name)));
        push("relocation", "RELR".into(), words);
    }
    for note in &elf.notes {
        push(
            "note",
            note.section.clone(),
            vec![
                format!("owner={}", note.owner),
                format!("type={}", note.kind),
                format!("size={}", note.description.len()),
                format!("hex={}", hex(&note.description)),
            ],
        );
        for property in properties(note) {
            push("property", property, Vec::new());
        }
    }
    for (function, personality) in frame_functions(elf)? {
        push("fde", function, vec![format!("personality={personality}")]);
    }
    Ok(out)
}

fn symbol_words(elf: &Elf, symbol: &Symbol) -> Vec<String> {
    let section = match symbol.section {
        0 => "undefined".to_owned(),
        0xfff1 => "ABS".to_owned(),
        0xfff2 => "COMMON".to_owned(),
        index => elf.sections.get(index as usize).map_or("?".to_owned(), |s| s.name.clone()),
    };
    let mut words = vec![
        format!("bind={}", pick(symbol.bind, &[(0, "LOCAL"), (1, "GLOBAL"), (2, "WEAK"), (10, "UNIQUE")])),
        format!(
            "type={}",
            pick(
                symbol.kind,
                &[
                    (0, "NOTYPE"),
                    (1, "OBJECT"),
                    (2, "FUNC"),
                    (3, "SECTION"),
                    (4, "FILE"),
                    (5, "COMMON"),
                    (6, "TLS"),
                    (10, "IFUNC")
                ]
            )
        ),
        format!(
            "visibility={}",
            pick(symbol.visibility, &[(0, "DEFAULT"), (1, "INTERNAL"), (2, "HIDDEN"), (3, "PROTECTED")])
        ),
        if symbol.section == 0 { "undefined".into() } else { "defined".into() },
        format!("section={section}"),
        format!("value={:#x}", symbol.value),
        format!("size={}", symbol.size),
    ];
    match &symbol.version {
        Some(version) => {
            words.push(format!("version={version}"));
            if symbol.section != 0 {
                words.push(if symbol.version_hidden { "old-version" } else { "default-version" }.into());
            }
        }
        None => words.push("unversioned".into()),
    }
    words
}

fn pick(value: u8, names: &[(u8, &str)]) -> String {
    names.iter().find(|(v, _)| *v == value).map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn section_type(kind: u32) -> String {
    let name = match kind {
        0 => "NULL",
        1 => "PROGBITS",
        2 => "SYMTAB",
        3 => "STRTAB",
        4 => "RELA",
        5 => "HASH",
        6 => "DYNAMIC",
        7 => "NOTE",
        8 => "NOBITS",
        9 => "REL",
        11 => "DYNSYM",
        14 => "INIT_ARRAY",
        15 => "FINI_ARRAY",
        16 => "PREINIT_ARRAY",
        17 => "GROUP",
        18 => "SYMTAB_SHNDX",
        19 => "RELR",
        0x6fff_fff6 => "GNU_HASH",
        0x6fff_fffd => "VERDEF",
        0x6fff_fffe => "VERNEED",
        0x6fff_ffff => "VERSYM",
        0x7000_0001 => "X86_64_UNWIND",
        _ => return format!("{kind:#x}"),
    };
    name.into()
}

/// Flags in the order and with the letters of readelf.
fn section_flags(flags: u64) -> String {
    let letters = [
        (1, 'W'),
        (2, 'A'),
        (4, 'X'),
        (0x10, 'M'),
        (0x20, 'S'),
        (0x40, 'I'),
        (0x80, 'L'),
        (0x100, 'O'),
        (0x200, 'G'),
        (0x400, 'T'),
        (0x800, 'C'),
        (0x20_0000, 'R'),
        (0x1000_0000, 'l'),
        (0x8000_0000, 'E'),
    ];
    letters.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}

fn segment_type(kind: u32) -> String {
    let name = match kind {
        1 => "LOAD",
        2 => "DYNAMIC",
        3 => "INTERP",
        4 => "NOTE",
        6 => "PHDR",
        7 => "TLS",
        0x6474_e550 => "GNU_EH_FRAME",
        0x6474_e551 => "GNU_STACK",
        0x6474_e552 => "GNU_RELRO",
        0x6474_e553 => "GNU_PROPERTY",
        _ => return format!("{kind:#x}"),
    };
    name.into()
}

fn dynamic_tag(tag: u64) -> String {
    let name = match tag {
        1 => "NEEDED",
        2 => "PLTRELSZ",
        3 => "PLTGOT",
        4 => "HASH",
        5 => "STRTAB",
        6 => "SYMTAB",
        7 => "RELA",
        8 => "RELASZ",
        9 => "RELAENT",
        10 => "STRSZ",
        11 => "SYMENT",
        12 => "INIT",
        13 => "FINI",
        14 => "SONAME",
        15 => "RPATH",
        16 => "SYMBOLIC",
        20 => "PLTREL",
        21 => "DEBUG",
        22 => "TEXTREL",
        23 => "JMPREL",
        24 => "BIND_NOW",
        25 => "INIT_ARRAY",
        26 => "FINI_ARRAY",
        27 => "INIT_ARRAYSZ",
        28 => "FINI_ARRAYSZ",
        29 => "RUNPATH",
        30 => "FLAGS",
        32 => "PREINIT_ARRAY",
        33 => "PREINIT_ARRAYSZ",
        35 => "RELRSZ",
        36 => "RELR",
        37 => "RELRENT",
        0x6fff_fef5 => "GNU_HASH",
        0x6fff_fef6 => "TLSDESC_PLT",
        0x6fff_fef7 => "TLSDESC_GOT",
        0x6fff_fefc => "AUDIT",
        0x6fff_fff0 => "VERSYM",
        0x6fff_fff9 => "RELACOUNT",
        0x6fff_fffb => "FLAGS_1",
        0x6fff_fffc => "VERDEF",
        0x6fff_fffd => "VERDEFNUM",
        0x6fff_fffe => "VERNEED",
        0x6fff_ffff => "VERNEEDNUM",
        0x7fff_fffd => "AUXILIARY",
        0x7fff_ffff => "FILTER",
        _ => return format!("{tag:#x}"),
    };
    name.into()
}

const DT_FLAGS: &[(u64, &str)] =
    &[(1, "ORIGIN"), (2, "SYMBOLIC"), (4, "TEXTREL"), (8, "BIND_NOW"), (16, "STATIC_TLS")];

const DT_FLAGS_1: &[(u64, &str)] = &[
    (1, "NOW"),
    (2, "GLOBAL"),
    (8, "NODELETE"),
    (0x10, "LOADFLTR"),
    (0x20, "INITFIRST"),
    (0x40, "NOOPEN"),
    (0x80, "ORIGIN"),
    (0x400, "INTERPOSE"),
    (0x800, "NODEFLIB"),
    (0x1000, "NODUMP"),
    (0x0800_0000, "PIE"),
];

fn flag_words(value: u64, names: &[(u64, &str)]) -> Vec<String> {
    let known = names.iter().fold(0, |all, (bit, _)| all | bit);
    let mut words: Vec<String> =
        names.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| (*name).to_owned()).collect();
    if value & !known != 0 {
        words.push(format!("{:#x}", value & !known));
    }
    words
}

/// Names of the x86-64 relocations (psABI, "Relocation Types").
fn relocation_name(kind: u32) -> String {
    const NAMES: &[&str] = &[
        "NONE",
        "64",
        "PC32",
        "GOT32",
        "PLT32",
        "COPY",
        "GLOB_DAT",
        "JUMP_SLOT",
        "RELATIVE",
        "GOTPCREL",
        "32",
        "32S",
        "16",
        "PC16",
        "8",
        "PC8",
        "DTPMOD64",
        "DTPOFF64",
        "TPOFF64",
        "TLSGD",
        "TLSLD",
        "DTPOFF32",
        "GOTTPOFF",
        "TPOFF32",
        "PC64",
        "GOTOFF64",
        "GOTPC32",
        "GOT64",
        "GOTPCREL64",
        "GOTPC64",
        "GOTPLT64",
        "PLTOFF64",
        "SIZE32",
        "SIZE64",
        "GOTPC32_TLSDESC",
        "TLSDESC_CALL",
        "TLSDESC",
        "IRELATIVE",
        "RELATIVE64",
        "39",
        "40",
        "GOTPCRELX",
        "REX_GOTPCRELX",
    ];
    match NAMES.get(kind as usize) {
        Some(name) => format!("R_X86_64_{name}"),
        None => format!("R_X86_64_{kind}"),
    }
}

/// The names of the bits in a `.note.gnu.property` note (x86-64 psABI, "Program Property").
fn properties(note: &Note) -> Vec<String> {
    let mut names = Vec::new();
    if note.owner != "GNU" || note.kind != 5 {
        return names;
    }
    let mut rest = &note.description[..];
    while rest.len() >= 8 {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let (kind, size) = (word(0), word(4) as usize);
        let value = if size == 4 && rest.len() >= 12 { word(8) } else { 0 };
        let bits: &[(u32, &str)] = match kind {
            0xc000_0002 => &[(1, "IBT"), (2, "SHSTK")],
            0xc000_8002 => &[
                (1, "needs-x86-64-baseline"),
                (2, "needs-x86-64-v2"),
                (4, "needs-x86-64-v3"),
                (8, "needs-x86-64-v4"),
            ],
            0xc001_0002 => &[(1, "used-x86-64-baseline")],
            0xb000_8000 => &[(1, "indirect-extern-access")],
            _ => &[],
        };
        names.push(format!("type={kind:#x}"));
        names.extend(bits.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| (*name).to_owned()));
        let next = (8 + size).next_multiple_of(8);
        rest = rest.get(next..).unwrap_or(&[]);
    }
    names
}

/// The functions that `.eh_frame` describes, with the encoding string of their CIE (which has a `P` if
/// there is a personality routine).
///
/// Only the encoding every x86-64 compiler uses is read (32-bit pc-relative, LSB "Exception Frames"); other
/// encodings give the name `?`.
fn frame_functions(elf: &Elf) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    let Some(section) = elf.sections.iter().find(|s| s.name == ".eh_frame" && elf.kind != 1) else {
        return Ok(out);
    };
    let data = elf.contents(section)?;
    let word = |at: usize| -> Result<u32, String> {
        let bytes = data.get(at..at + 4).ok_or(".eh_frame: a record runs off the end")?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    };
    let mut at = 0;
    while at + 4 <= data.len() {
        let size = word(at)? as usize;
        if size == 0 {
            at += 4;
            continue;
        }
        let pointer = word(at + 4)? as usize;
        if pointer != 0 {
            let cie = (at + 4).checked_sub(pointer).ok_or(".eh_frame: a CIE pointer leads out")?;
            let text = data.get(cie + 9..).ok_or(".eh_frame: a CIE lies outside")?;
            let end = text.iter().position(|&b| b == 0).unwrap_or(0);
            let augmentation = String::from_utf8_lossy(&text[..end]).into_owned();
            let start =
                (section.address + at as u64 + 8).wrapping_add(i64::from(word(at + 8)? as i32) as u64);
            let function = elf.symbols.iter().find(|s| s.value == start && matches!(s.kind, 0 | 2 | 10));
            let function = function.map_or_else(|| format!("{start:#x}"), |s| s.name.clone());
            out.push((function, if augmentation.contains('P') { "yes" } else { "no" }.to_owned()));
        }
        at += 4 + size;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_a_known_noun() {
        let own = Elf::open(&std::env::current_exe().expect("own path")).expect("valid ELF");
        let all = records(&own).expect("valid ELF");
        assert!(all.iter().all(|r| NOUNS.contains(&r.noun)));
        assert!(all.iter().any(|r| r.noun == "needed" && r.name == "libc.so.6"));
        assert!(all.iter().any(|r| r.noun == "fde" && r.name == "main"), "main has an FDE");
    }

    #[test]
    fn flags_are_written_like_readelf_writes_them() {
        assert_eq!(section_flags(1 | 2 | 0x400), "WAT");
        assert_eq!(flag_words(8 | 1 << 40, DT_FLAGS), ["BIND_NOW", "0x10000000000"]);
    }
}
