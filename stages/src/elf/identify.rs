//! What kind of file some bytes are, by their first few.
//!
//! Every input and every archive member passes through [`identify`] before anybody parses it. It reads the
//! magic number and, for ELF, the four fields that decide who takes the file; it promises nothing about the
//! rest. What is none of ours is described as well as possible, since "file format not recognized" helps
//! nobody who has passed a Mach-O object or a download page that was saved as `libfoo.a`.

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A relocatable ELF object (ET_REL).
    ElfObject(ElfIdent),
    /// An ELF shared object (ET_DYN); also a position independent executable, which only its dynamic section
    /// tells apart.
    ElfShared(ElfIdent),
    /// Another ELF file: an executable, a core dump.
    ElfOther(ElfIdent),
    /// `!<arch>`: an archive with its members inside.
    Archive,
    /// `!<thin>`: an archive that names its members' files.
    ThinArchive,
    /// LLVM bitcode, bare or in its wrapper: input of link-time optimisation.
    LlvmBitcode,
    /// Text: a candidate for a linker script.
    Text,
    /// No bytes at all.
    Empty,
    /// Something else: what it seems to be, as it fits into "this is ...".
    Unknown(&'static str),
}

/// The fields of an ELF header that decide who takes the file (gABI, "ELF Header").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElfIdent {
    /// `e_ident[EI_CLASS]`: 1 for 32 bits, 2 for 64 bits.
    pub class: u8,
    /// `e_ident[EI_DATA]`: 1 for little endian, 2 for big endian.
    pub endian: u8,
    /// `e_ident[EI_OSABI]`.
    pub os_abi: u8,
    /// `e_type`.
    pub file_type: u16,
    /// `e_machine`.
    pub machine: u16,
}

const ET_REL: u16 = 1;
const ET_DYN: u16 = 3;

/// First bytes of files that are not ours, and what they are. The first row that fits counts.
const FOREIGN: [(&[u8], &str); 29] = [
    (b"\xcf\xfa\xed\xfe", "a 64-bit Mach-O file (for macOS)"),
    (b"\xce\xfa\xed\xfe", "a 32-bit Mach-O file (for macOS)"),
    (b"\xfe\xed\xfa\xcf", "a big-endian 64-bit Mach-O file"),
    (b"\xfe\xed\xfa\xce", "a big-endian 32-bit Mach-O file"),
    (b"\xca\xfe\xba\xbe\x00\x00\x00", "a universal Mach-O file (for macOS)"),
    (b"\xca\xfe\xba\xbe", "a Java class file"),
    (b"MZ", "a PE executable or DLL (for Windows)"),
    (b"\x64\x86", "a COFF object for x86-64 (for Windows)"),
    (b"\x4c\x01", "a COFF object for x86 (for Windows)"),
    (b"\x64\xaa", "a COFF object for AArch64 (for Windows)"),
    (b"\x00\x00\xff\xff", "a COFF import object or LTO object (for Windows)"),
    (b"\x00asm", "a WebAssembly module"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"\xfd7zXZ\x00", "xz-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"PK\x03\x04", "a zip file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip file"),
    (b"!<bigaf>\n", "an AIX archive"),
    (b"!<bout>\n", "a b.out archive"),
    (b"rust\x00\x00\x00", "Rust metadata without code"),
    (b"CPCH", "a Clang precompiled header or module"),
    (b"gpch", "a GCC precompiled header"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"#!", "a program for an interpreter"),
];

/// How many bytes of a text are looked at.
const TEXT_PROBE_BYTES: usize = 4096;

/// Says what `data` is.
pub fn identify(data: &[u8]) -> FileKind {
    if data.is_empty() {
        return FileKind::Empty;
    }
    if data.starts_with(b"\x7fELF") {
        return identify_elf(data);
    }
    if data.starts_with(b"!<arch>\n") {
        return FileKind::Archive;
    }
    if data.starts_with(b"!<thin>\n") {
        return FileKind::ThinArchive;
    }
    // The second is the bitcode wrapper's magic, 0x0B17C0DE in little endian (LLVM Bitcode File Format).
    if data.starts_with(b"BC\xc0\xde") || data.starts_with(b"\xde\xc0\x17\x0b") {
        return FileKind::LlvmBitcode;
    }
    if let Some((_, description)) = FOREIGN.iter().find(|(magic, _)| data.starts_with(magic)) {
        return FileKind::Unknown(description);
    }
    if data.iter().all(|byte| *byte == 0) {
        return FileKind::Unknown("a file of zeros only (was a write interrupted?)");
    }
    let probe = &data[..data.len().min(TEXT_PROBE_BYTES)];
    if !probe.iter().all(|byte| matches!(byte, b'\t'..=b'\r' | b' '..=b'~' | 0x80..)) {
        return FileKind::Unknown("not a format this linker knows");
    }
    let start = probe.trim_ascii_start();
    let is_html = [&b"<!doctype"[..], b"<html", b"<?xml"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)));
    if is_html { FileKind::Unknown("an HTML or XML document (a failed download?)") } else { FileKind::Text }
}

fn identify_elf(data: &[u8]) -> FileKind {
    let Some(header) = data.get(..20) else { return FileKind::Unknown("a truncated ELF file") };
    let half = |offset: usize| {
        let bytes = [header[offset], header[offset + 1]];
        if header[5] == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    let ident = ElfIdent {
        class: header[4],
        endian: header[5],
        os_abi: header[7],
        file_type: half(16),
        machine: half(18),
    };
    if !matches!(ident.class, 1 | 2) || !matches!(ident.endian, 1 | 2) {
        return FileKind::Unknown("a damaged ELF file (invalid class or byte order)");
    }
    match ident.file_type {
        ET_REL => FileKind::ElfObject(ident),
        ET_DYN => FileKind::ElfShared(ident),
        _ => FileKind::ElfOther(ident),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elf_files_are_told_apart_by_type() {
        let mut header = *b"\x7fELF\x02\x01\x01\x00\0\0\0\0\0\0\0\0\x01\x00\x3e\x00";
        let mut ident = ElfIdent { class: 2, endian: 1, os_abi: 0, file_type: 1, machine: 62 };
        assert_eq!(identify(&header), FileKind::ElfObject(ident));
        header[16] = 3;
        ident.file_type = 3;
        assert_eq!(identify(&header), FileKind::ElfShared(ident));
        header[16] = 2;
        ident.file_type = 2;
        assert_eq!(identify(&header), FileKind::ElfOther(ident));
        header[5] = 2;
        assert!(matches!(identify(&header), FileKind::ElfOther(ElfIdent { machine: 0x3e00, .. })));
        header[4] = 3;
        assert!(matches!(identify(&header), FileKind::Unknown(_)));
        assert_eq!(identify(&header[..19]), FileKind::Unknown("a truncated ELF file"));
    }

    #[test]
    fn the_other_kinds() {
        assert_eq!(identify(b""), FileKind::Empty);
        assert_eq!(identify(b"!<arch>\n"), FileKind::Archive);
        assert_eq!(identify(b"!<thin>\n/"), FileKind::ThinArchive);
        assert_eq!(identify(b"BC\xc0\xde5"), FileKind::LlvmBitcode);
        assert_eq!(identify(b"\xde\xc0\x17\x0b\0\0"), FileKind::LlvmBitcode);
        assert_eq!(identify(b"/* GNU ld script */\nGROUP ( a )\n"), FileKind::Text);
        assert_eq!(identify("# \u{e4}\nINPUT(a)".as_bytes()), FileKind::Text);
    }

    #[test]
    fn foreign_files_are_described() {
        for (data, word) in [
            (&b"\xcf\xfa\xed\xfe\x07\x00"[..], "Mach-O"),
            (b"MZ\x90\x00", "PE"),
            (b"\x64\x86\x07\x00", "COFF"),
            (b"\0asm\x01", "WebAssembly"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\n <!DOCTYPE html>", "HTML"),
            (b"<HTML>", "HTML"),
            (b"\0\0\0\0", "zeros"),
            (b"\x01\x02\x03", "not a format"),
            (b"rust\0\0\0\x09", "Rust metadata"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ] {
            match identify(data) {
                FileKind::Unknown(text) => assert!(text.contains(word), "{text}"),
                kind => panic!("{word}: {kind:?}"),
            }
        }
    }
}
