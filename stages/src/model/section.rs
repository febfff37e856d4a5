//! One section of an object, as later stages see it. There are millions of them: a record has 32 bytes, and what few ask
//! for (type, entry size) stays in the file's own header.

/// What a section means to the link. Decided once, by `parse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SectionKind {
    /// Not for the output: tables of the object file itself, notes the linker digests, excluded sections.
    Ignored,
    /// SHT_PROGBITS: bytes to copy and relocate.
    Regular,
    /// Bytes to copy and relocate, of another type: notes, arrays of functions, what a compiler came up with.
    Typed,
    /// SHT_NOBITS.
    NoBits,
    /// SHF_MERGE without relocations: strings or constants to be deduplicated.
    Merge,
    /// `.eh_frame`, taken apart into CIEs and FDEs.
    EhFrame,
    /// `.sframe`, taken apart into functions.
    SFrame,
}

impl SectionKind {
    /// Describes code, and keeps none of it.
    pub fn is_unwind(self) -> bool {
        matches!(self, SectionKind::EhFrame | SectionKind::SFrame)
    }
    /// Bytes to copy and relocate.
    pub fn is_copied(self) -> bool {
        matches!(self, SectionKind::Regular | SectionKind::Typed)
    }
    /// Goes to the output as a whole.
    pub fn is_whole(self) -> bool {
        self.is_copied() || self == SectionKind::NoBits
    }
}

/// One section header, reduced to what later stages ask for.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    bytes: Bytes,
    /// The low half of `sh_flags`.
    pub flags: u32,
    /// Index of the SHT_RELA section that applies to this one, or 0.
    pub rela: u32,
    /// Place among the sections of one output section: lower first, equal ones in command-line order.
    pub order: u32,
    /// Where it goes: an index into [`super::Object::outputs`].
    pub output: u16,
    /// See [`SectionKind`].
    pub kind: SectionKind,
    /// log2 of `sh_addralign`.
    pub align_log2: u8,
}

/// The bytes of a section, or how many there will be.
#[derive(Debug, Clone, Copy)]
enum Bytes {
    Here(&'static [u8]),
    Elsewhere(u64),
}

const _: () = assert!(size_of::<Section>() == 32);

impl Section {
    /// A section that is not for the output, with its bytes.
    pub fn ignored(flags: u32, contents: &'static [u8]) -> Section {
        let (bytes, kind) = (Bytes::Here(contents), SectionKind::Ignored);
        Section { bytes, flags, rela: 0, order: 0, output: 0, kind, align_log2: 0 }
    }
    /// The bytes; empty for SHT_NOBITS, and for those of [`super::Object::packed`].
    pub fn contents(&self) -> &'static [u8] {
        match self.bytes {
            Bytes::Here(contents) => contents,
            Bytes::Elsewhere(_) => &[],
        }
    }
    /// `sh_size` (the inflated size of a compressed section, once that is known).
    pub fn size(&self) -> u64 {
        match self.bytes {
            Bytes::Here(contents) => contents.len() as u64,
            Bytes::Elsewhere(size) => size,
        }
    }
    /// Gives it other bytes.
    pub fn set_contents(&mut self, contents: &'static [u8]) {
        self.bytes = Bytes::Here(contents);
    }
    /// Leaves it without bytes, but with a size.
    pub fn set_size(&mut self, size: u64) {
        self.bytes = Bytes::Elsewhere(size);
    }
    /// Alignment in bytes.
    pub fn align(&self) -> u64 {
        1 << self.align_log2
    }
    /// Whether a flag bit (`SHF_*`) is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
    /// SHF_ALLOC.
    pub fn is_alloc(&self) -> bool {
        self.has(object::elf::SHF_ALLOC)
    }
}
