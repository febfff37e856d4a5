//! Checked views of on-disk structures, on top of the `object` crate's definitions.

pub mod archive;
pub mod identify;
pub mod compressed;
pub mod crel;
pub mod leb128;
pub mod properties;
pub mod sframe;
pub mod write;

use object::LittleEndian as LE;

/// An entry of a symbol table (gABI, "Symbol Table").
pub type Sym = object::elf::Sym64<LE>;
/// A relocation with addend (gABI, "Relocation").
pub type Rela = object::elf::Rela64<LE>;
/// A section header.
pub type Shdr = object::elf::SectionHeader64<LE>;
/// A file header.
pub type Ehdr = object::elf::FileHeader64<LE>;
/// A program header.
pub type Phdr = object::elf::ProgramHeader64<LE>;

/// The NUL-terminated string at an offset; what is cut off by the end of the table counts as ended there.
pub fn c_string(table: &'static [u8], offset: usize) -> &'static [u8] {
    let tail = table.get(offset..).unwrap_or(&[]);
    &tail[..memchr::memchr(0, tail).unwrap_or(tail.len())]
}

/// The bytes as a table of plain structures; a partial last entry is left out.
pub fn slice_of<T: object::pod::Pod>(bytes: &'static [u8]) -> &'static [T] {
    let count = bytes.len() / size_of::<T>();
    match object::pod::slice_from_bytes::<T>(bytes, count) {
        Ok((slice, _)) => slice,
        Err(()) => &[],
    }
}

/// `offset..offset + size` of a file, if it lies within.
pub fn range(data: &'static [u8], offset: u64, size: u64) -> Option<&'static [u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    data.get(start..end)
}

/// The bytes of a section, of which SHT_NOBITS has none; `None` if they lie outside the file.
pub fn section_bytes(data: &'static [u8], header: &Shdr) -> Option<&'static [u8]> {
    if header.sh_type.get(LE) == object::elf::SHT_NOBITS {
        return Some(&[]);
    }
    range(data, header.sh_offset.get(LE), header.sh_size.get(LE))
}

/// The section headers of a file; `None` if they lie outside it. More than fit 16 bits are counted in the first of them
/// (gABI, "ELF Header").
pub fn section_headers(data: &'static [u8], header: &Ehdr) -> Option<&'static [Shdr]> {
    let offset = header.e_shoff.get(LE);
    if offset == 0 {
        return Some(&[]);
    }
    let table = |count: u64| {
        let size = count.checked_mul(size_of::<Shdr>() as u64)?;
        range(data, offset, size).map(slice_of::<Shdr>)
    };
    match header.e_shnum.get(LE) {
        0 => table(table(1)?.first()?.sh_size.get(LE)),
        count => table(count.into()),
    }
}

/// A section of the large code model (x86-64 psABI, "Section Flags").
pub const SHF_X86_64_LARGE: u32 = 0x1000_0000;

/// Whether a section may be out of reach of code of the small model.
pub fn is_large(flags: u32) -> bool {
    flags & SHF_X86_64_LARGE != 0
}
/// A tentative definition of the large code model (x86-64 psABI, "Special Section Indexes").
pub const SHN_X86_64_LCOMMON: u16 = 0xff02;
