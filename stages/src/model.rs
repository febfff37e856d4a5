//! The nouns that travel between stages: ids, files, sections, symbols.
//!
//! Everything here is flat and index-based. A file is a [`FileId`] (its rank on the command line), a section
//! of it an index into [`Object::sections`], a global name a [`SymbolId`]. Inputs are mapped once and stay
//! mapped for the life of the process, so names and contents are plain `&'static [u8]`.
//!
//! Invariants
//! - Whatever `parse` put here is valid: section indices, symbol indices, string offsets and relocation
//!   ranges have been checked and are used without further checks.
//! - Ids of files follow the command line. Ids of symbols do not (they follow arrival), so nothing that
//!   reaches the output may be ordered by [`SymbolId`].

mod section;

use crate::elf::compressed::{Compressed, CompressedError};
use crate::elf::{Rela, Shdr, Sym};
use object::LittleEndian as LE;
use std::fmt;
use std::path::Path;

pub use section::{Section, SectionKind};

/// A file that takes part in the link, in command-line order: objects, archive members, shared objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

impl FileId {
    /// As an index into [`Inputs::files`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A global name. Dense enough to index arrays of [`crate::intern::Symbols::bound`] entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(pub u32);

impl SymbolId {
    /// No symbol.
    pub const NONE: SymbolId = SymbolId(u32::MAX);
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A section of any object: [`Object::section_base`] plus the section's index in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub u32);

impl SectionId {
    /// No section: an absolute, common or undefined symbol.
    pub const NONE: SectionId = SectionId(u32::MAX);
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where an input came from, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The file as it was named or found.
    pub path: &'static Path,
    /// The archive member, if any.
    pub member: Option<&'static [u8]>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.member {
            Some(member) => write!(f, "({})", String::from_utf8_lossy(member)),
            None => Ok(()),
        }
    }
}

/// A section group (gABI, "Section Groups") with GRP_COMDAT, or a `.gnu.linkonce` section alone; see
/// [`Object::members_of`].
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The signature's name. Before `seal` knows it: the index of the global symbol whose name it is, or `NONE` if it is
    /// that of a local symbol or a section.
    pub signature: SymbolId,
    /// Index of the group's own section, whose members have been checked, or of the linkonce section.
    pub section: u32,
}

/// What an object stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Itself: compiled code and data.
    Itself,
    /// A file of any kind, embedded as data (`-b binary`).
    Data,
    /// The symbols of another program (`-R`).
    Symbols,
    /// Code that a plugin compiles, or what stands in for it.
    Intermediate,
}

/// A relocatable object.
#[derive(Debug)]
pub struct Object {
    /// Its rank.
    pub id: FileId,
    /// For messages.
    pub origin: Origin,
    /// What it stands for.
    pub role: Role,
    /// An archive member or `--start-lib` object: only linked if something needs it.
    pub is_lazy: bool,
    /// A member of an archive that `--exclude-libs` names.
    pub exclude: bool,
    /// The whole file, or the member.
    pub data: &'static [u8],
    /// Its sections, index = section header index; none before it is sure to take part.
    pub sections: Vec<Section>,
    /// Section headers as they stand in the file: what `-r` passes on.
    pub headers: &'static [Shdr],
    /// Section names.
    pub shstrtab: &'static [u8],
    /// The symbol table; entry 0 is the null symbol.
    pub symbols: &'static [Sym],
    /// Index of the first non-local symbol.
    pub first_global: u32,
    /// Names of symbols.
    pub strtab: &'static [u8],
    /// Ids of the symbols from `first_global` on.
    pub ids: Vec<SymbolId>,
    /// Lengths of the names of the symbols from `first_global` on (without `@version`).
    pub name_lengths: Vec<u32>,
    /// For the few symbols written `name@version`: index in the symbol table and what follows the name.
    pub versioned: Vec<VersionedName>,
    /// It has symbols written `name@version`, defined or not.
    pub asks_for_versions: bool,
    /// SHT_SYMTAB_SHNDX: real section indices, where the symbol table has SHN_XINDEX.
    pub shndx_table: &'static [object::U32<LE>],
    /// COMDAT groups and, when the object is sure to take part, linkonce sections.
    pub groups: Vec<Group>,
    /// Indices of linkonce sections that are not among the groups yet.
    pub linkonce: Vec<u32>,
    /// The names of output sections that [`Section::output`] indexes; `seal` makes them [`OutputId`]s.
    pub outputs: Vec<OutputName>,
    /// First [`SectionId`].
    pub section_base: u32,
    /// `.note.gnu.property` contents, if any.
    pub properties: Option<&'static [u8]>,
    /// `.note.GNU-stack` with SHF_EXECINSTR.
    pub wants_executable_stack: bool,
    /// `.gnu.warning.SYMBOL` texts (symbol, text); an empty symbol stands for `.gnu.warning` itself.
    pub warnings: Vec<(&'static [u8], &'static [u8])>,
    /// Indices of sections that are SHF_COMPRESSED or `.zdebug_*` and still have to be looked at.
    pub compressed: Vec<u32>,
    /// Sections that are inflated when they are written, by ascending index; see [`Object::packed_section`].
    pub packed: Vec<(u32, Compressed<'static>)>,
    /// (section, companion) pairs, sorted: sections that live if the first one does, because they follow it by
    /// SHF_LINK_ORDER or share its group.
    pub companions: Vec<(u32, u32)>,
    /// Indices of the sections whose pieces go their own ways, ascending: `.eh_frame`, and those to be merged. (Some of
    /// the latter turn out to be ordinary: [`Section::kind`] decides.)
    pub taken_apart: Vec<u32>,
    /// Indices of `outputs` that no other section shares (`--unique`), ascending.
    pub apart: Vec<u16>,
    /// Index of the SHT_LLVM_CALL_GRAPH_PROFILE section, or 0.
    pub call_graph: u32,
    /// Indices of the `.sframe` sections.
    pub sframes: Vec<u32>,
    /// Index of the SHT_LLVM_DEPENDENT_LIBRARIES section, or 0.
    pub dependent_libraries: u32,
    /// Has `.gnu.lto_*` or `.llvm.lto` sections: intermediate code, alone (slim) or beside machine code (fat).
    pub has_intermediate_code: bool,
}

/// A symbol named `name@version` or `name@@version` in an object's symbol table.
#[derive(Debug, Clone, Copy)]
pub struct VersionedName {
    /// Index in the symbol table.
    pub symbol: u32,
    /// The version.
    pub version: &'static [u8],
    /// `@@`: the default version.
    pub is_default: bool,
}

/// The output section an input section asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputName {
    /// Its name.
    pub name: &'static [u8],
    /// SHF_ALLOC: an allocated and a plain section never share an output section.
    pub is_alloc: bool,
}

impl Object {
    /// The section index of a symbol, resolved through SHT_SYMTAB_SHNDX; special indices give 0.
    pub fn symbol_section(&self, symbol: usize) -> u32 {
        let shndx = self.symbols[symbol].st_shndx.get(LE);
        match shndx {
            object::elf::SHN_XINDEX => self.shndx_table.get(symbol).map_or(0, |x| x.get(LE)),
            object::elf::SHN_LORESERVE.. => 0,
            _ => u32::from(shndx),
        }
    }
    /// The id of a symbol, or `NONE` for a local one.
    pub fn symbol_id(&self, symbol: usize) -> SymbolId {
        match symbol.checked_sub(self.first_global as usize) {
            Some(i) => self.ids[i],
            None => SymbolId::NONE,
        }
    }
    /// Asks for the record of the section that a symbol, if there is such, is in.
    pub fn prefetch_section_of(&self, symbol: usize) {
        if symbol < self.symbols.len() {
            engine::prefetch(&self.sections, self.symbol_section(symbol) as usize);
        }
    }
    /// The name of a symbol as the symbol table has it.
    pub fn symbol_name(&self, symbol: usize) -> &'static [u8] {
        crate::elf::c_string(self.strtab, self.symbols[symbol].st_name.get(LE) as usize)
    }
    /// The name of a section.
    pub fn section_name(&self, section: usize) -> &'static [u8] {
        crate::elf::c_string(self.shstrtab, self.headers[section].sh_name.get(LE) as usize)
    }
    /// `sh_type` of a section, as this link sees it: compact relocations have been expanded to SHT_RELA.
    pub fn section_type(&self, section: usize) -> u32 {
        match self.sections[section].kind {
            SectionKind::Regular | SectionKind::Merge => object::elf::SHT_PROGBITS,
            SectionKind::NoBits => object::elf::SHT_NOBITS,
            _ => match self.headers[section].sh_type.get(LE) {
                crate::elf::crel::SHT_CREL => object::elf::SHT_RELA,
                sh_type => sh_type,
            },
        }
    }
    /// `sh_entsize` of a section; 0 if it does not fit.
    pub fn entry_size(&self, section: usize) -> u32 {
        u32::try_from(self.headers[section].sh_entsize.get(LE)).unwrap_or(0)
    }
    /// The texts in a section, each of which ends with a zero byte, as they stand in the file: sections of archive members
    /// are read late. There are none if the section is not in the file.
    pub fn texts(&self, section: usize) -> impl Iterator<Item = &'static [u8]> + use<> {
        let contents = crate::elf::section_bytes(self.data, &self.headers[section]).unwrap_or_default();
        contents.split(|byte| *byte == 0).filter(|text| !text.is_empty())
    }
    /// The relocations that apply to a section.
    pub fn relocations(&self, section: &Section) -> &'static [Rela] {
        if section.rela == 0 {
            return &[];
        }
        crate::elf::slice_of(self.sections[section.rela as usize].contents())
    }
    /// What a section is inflated from when it is written, if that has not been done before.
    pub fn packed_section(&self, index: u32) -> Option<Compressed<'static>> {
        let n = self.packed.binary_search_by_key(&index, |(packed, _)| *packed).ok()?;
        Some(self.packed[n].1)
    }
    /// The bytes that stand for a section in the file, compressed or not.
    pub fn stored_bytes(&self, index: u32) -> &'static [u8] {
        match self.packed_section(index) {
            Some(packed) => packed.payload,
            None => self.sections[index as usize].contents(),
        }
    }
    /// How the contents of a section are compressed, if they are.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn compression(&self, index: usize) -> Result<Option<Compressed<'static>>, CompressedError> {
        let section = &self.sections[index];
        if let Some(packed) = self.packed_section(index as u32) {
            Ok(Some(packed))
        } else if section.has(object::elf::SHF_COMPRESSED) {
            Compressed::parse(section.contents()).map(Some)
        } else if self.section_name(index).starts_with(b".zdebug_") {
            Compressed::parse_zdebug(section.contents())
        } else {
            Ok(None)
        }
    }
    /// Indices of the sections of a group.
    pub fn members_of(&self, group: &Group) -> impl Iterator<Item = u32> + use<> {
        let header = &self.headers[group.section as usize];
        let is_listed = header.sh_type.get(LE) == object::elf::SHT_GROUP;
        let (contents, alone) = match is_listed {
            true => (crate::elf::section_bytes(self.data, header), None),
            false => (None, Some(group.section)),
        };
        let words: &[object::U32<LE>] = crate::elf::slice_of(contents.unwrap_or_default());
        // The first word is the group's flags.
        words.iter().skip(1).map(|index| index.get(LE)).chain(alone)
    }
    /// The sections that live if this one does.
    pub fn companions_of(&self, section: u32) -> impl Iterator<Item = u32> + '_ {
        let start = self.companions.partition_point(|(s, _)| *s < section);
        self.companions[start..]
            .iter()
            .take_while(move |(s, _)| *s == section)
            .map(|(_, companion)| *companion)
    }
    /// The id of a section in flat arrays over all objects.
    pub fn section_id(&self, section: usize) -> SectionId {
        SectionId(self.section_base + section as u32)
    }
}

/// One symbol a shared object defines or needs.
#[derive(Debug, Clone, Copy)]
pub struct SharedSymbol {
    /// Its plain name, `NONE` if this version is hidden and nobody can mean it by the plain name.
    pub id: SymbolId,
    /// `name@version`, `NONE` if unversioned or if no object asks for it by such a name.
    pub versioned_id: SymbolId,
    /// Index in the dynamic symbol table.
    pub index: u32,
    /// Version index without the hidden bit; 0 and 1 mean unversioned.
    pub version: u16,
}

/// A shared object.
#[derive(Debug)]
pub struct SharedObject {
    /// Its rank.
    pub id: FileId,
    /// For messages.
    pub origin: Origin,
    /// DT_SONAME, or the name it was given by on the command line.
    pub soname: &'static [u8],
    /// DT_NEEDED entries.
    pub needed: Vec<&'static [u8]>,
    /// DT_RUNPATH or DT_RPATH.
    pub runpath: Option<&'static [u8]>,
    /// `--as-needed` was in force for every mention.
    pub as_needed: bool,
    /// The dynamic symbol table.
    pub symbols: &'static [Sym],
    /// Names of dynamic symbols.
    pub strtab: &'static [u8],
    /// Version definitions: name by version index.
    pub versions: Vec<&'static [u8]>,
    /// Symbols it defines.
    pub defined: Vec<SharedSymbol>,
    /// Symbols it needs from others.
    pub undefined: Vec<SharedSymbol>,
    /// Address ranges and alignments of its sections, for copy relocations: (address, size, log2 align,
    /// writable).
    pub sections: Vec<SharedSection>,
}

/// What a copy relocation must know about a section of a shared object.
#[derive(Debug, Clone, Copy)]
pub struct SharedSection {
    /// `sh_addr`.
    pub address: u64,
    /// `sh_size`.
    pub size: u64,
    /// log2 of `sh_addralign`.
    pub align_log2: u8,
    /// SHF_WRITE, and not covered by RELRO.
    pub writable: bool,
}

impl SharedObject {
    /// The name of a dynamic symbol.
    pub fn symbol_name(&self, index: u32) -> &'static [u8] {
        let name = self.symbols[index as usize].st_name.get(LE);
        crate::elf::c_string(self.strtab, name as usize)
    }
}

/// A file of the link.
#[derive(Debug)]
pub enum File {
    /// A relocatable object or archive member.
    Object(Box<Object>),
    /// A shared object.
    Shared(Box<SharedObject>),
}

impl File {
    /// Where it came from.
    pub fn origin(&self) -> Origin {
        match self {
            File::Object(o) => o.origin,
            File::Shared(s) => s.origin,
        }
    }
}

/// All files, parsed. Made by flow 1 alone.
#[derive(Debug)]
pub struct Inputs {
    /// Indexed by [`FileId`].
    pub files: Vec<File>,
    /// Number of [`SectionId`]s.
    pub section_bound: usize,
    /// Ids of the objects, ascending.
    pub objects: Vec<FileId>,
    /// Ids of the shared objects, ascending.
    pub shared: Vec<FileId>,
}

impl Inputs {
    /// The object with this id.
    ///
    /// # Panics
    /// If the id is that of a shared object: a bug in a stage.
    pub fn object(&self, id: FileId) -> &Object {
        match &self.files[id.index()] {
            File::Object(object) => object,
            File::Shared(shared) => panic!("{} is not a relocatable object", shared.origin),
        }
    }
    /// The shared object with this id.
    ///
    /// # Panics
    /// If the id is that of a relocatable object: a bug in a stage.
    pub fn shared_object(&self, id: FileId) -> &SharedObject {
        match &self.files[id.index()] {
            File::Shared(shared) => shared,
            File::Object(object) => panic!("{} is not a shared object", object.origin),
        }
    }
}
