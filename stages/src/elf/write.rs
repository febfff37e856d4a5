//! Headers of relocatable objects that are made here (gABI, "ELF Header", "Sections"): of `-r`, and of what is no object
//! but is to be treated like one.

use crate::arch::target;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, ELFOSABI_GNU, ELFOSABI_NONE, ET_REL, EV_CURRENT, SHN_LORESERVE,
    SHN_XINDEX,
};

/// Bytes of the ELF header.
pub const HEADER_BYTES: u64 = size_of::<super::Ehdr>() as u64;
/// Bytes of a section header.
pub const SECTION_HEADER_BYTES: u64 = size_of::<super::Shdr>() as u64;

/// A section header. Fields are those of the gABI without `sh_`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header {
    /// Offset of the name.
    pub name: u32,
    /// SHT_*.
    pub sh_type: u32,
    /// SHF_*.
    pub flags: u64,
    /// Where the contents are in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Index of another section.
    pub link: u32,
    /// What else the type asks for.
    pub info: u32,
    /// Alignment in bytes.
    pub align: u64,
    /// Bytes of an entry.
    pub entsize: u64,
}

/// A section header as it stands in the file.
pub fn section_header(header: &Header) -> [u8; SECTION_HEADER_BYTES as usize] {
    let mut out = [0; SECTION_HEADER_BYTES as usize];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&header.name.to_le_bytes());
    put(&header.sh_type.to_le_bytes());
    put(&header.flags.to_le_bytes());
    put(&0u64.to_le_bytes());
    put(&header.offset.to_le_bytes());
    put(&header.size.to_le_bytes());
    put(&header.link.to_le_bytes());
    put(&header.info.to_le_bytes());
    put(&header.align.to_le_bytes());
    put(&header.entsize.to_le_bytes());
    out
}

/// The ELF header of a relocatable object: where the section headers are, how many, and the index of the section of their
/// names. Numbers that do not fit stand in the first section header, which is the caller's to write.
pub fn file_header(section_headers: u64, count: u32, names: u32, is_gnu: bool) -> Vec<u8> {
    let short = |index: u32, instead: u16| {
        u16::try_from(index).ok().filter(|n| *n < SHN_LORESERVE).unwrap_or(instead)
    };
    let os_abi = if is_gnu { ELFOSABI_GNU } else { ELFOSABI_NONE };
    let mut out = Vec::with_capacity(HEADER_BYTES as usize);
    out.extend_from_slice(&ELFMAG);
    out.extend_from_slice(&[ELFCLASS64, ELFDATA2LSB, EV_CURRENT, os_abi, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&ET_REL.to_le_bytes());
    out.extend_from_slice(&target::MACHINE.to_le_bytes());
    out.extend_from_slice(&u32::from(EV_CURRENT).to_le_bytes());
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&section_headers.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for half in
        [HEADER_BYTES as u16, 0, 0, SECTION_HEADER_BYTES as u16, short(count, 0), short(names, SHN_XINDEX)]
    {
        out.extend_from_slice(&half.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sections_leave_the_header() {
        let few = file_header(64, 5, 4, false);
        assert_eq!((few.len(), &few[60..]), (64, &[5, 0, 4, 0][..]));
        let many = file_header(64, 70_000, 69_999, true);
        assert_eq!(&many[60..], [0, 0, 0xff, 0xff]);
        assert_eq!(many[7], ELFOSABI_GNU);
    }
}
