//! File header, program headers, section headers (gABI, "ELF Header", "Section Header Table").

use super::Chunk;
use super::symtab::bind_of;
use crate::arch::target;
use crate::config::{Magic, OutputKind};
use crate::image::Image;
use crate::layout::{HEADER_SIZE, SECTION_HEADER_SIZE, SEGMENT_SIZE, Segment};
use crate::outputs::{Content, OutputSection};
use crate::report::Problem;
use crate::select::Class;
use object::elf::*;

/// Little-endian fields, one behind the other.
struct Fields<'o>(&'o mut [u8], usize);

impl Fields<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
    fn half(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn word(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn long(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
}

/// The file header and the program headers.
pub fn file_headers(image: &Image) -> Vec<u8> {
    let layout = image.layout;
    let mut out = vec![0; (HEADER_SIZE + layout.segments.len() as u64 * SEGMENT_SIZE) as usize];
    let sections = if image.cx.config.z.no_section_header { 0 } else { layout.order.len() as u64 + 1 };
    let has_sections = !image.cx.config.z.no_section_header;
    let names = image.outputs.sections.iter().position(|s| s.name == b".shstrtab");
    let names = names.filter(|_| has_sections).map_or(0, |p| layout.placements[p].index);
    let mut fields = Fields(&mut out, 0);
    fields.put(&ELFMAG);
    // IFUNC and unique symbols are GNU's; a file that has them says so.
    let os_abi = if uses_gnu_extensions(image) { ELFOSABI_GNU } else { ELFOSABI_NONE };
    fields.put(&[ELFCLASS64, ELFDATA2LSB, EV_CURRENT, os_abi, 0, 0, 0, 0, 0, 0, 0, 0]);
    fields.half(if image.cx.config.kind == OutputKind::Executable { ET_EXEC } else { ET_DYN });
    fields.half(target::MACHINE);
    fields.word(EV_CURRENT.into());
    fields.long(entry_address(image));
    fields.long(HEADER_SIZE);
    fields.long(if has_sections { layout.section_headers } else { 0 });
    fields.word(0);
    fields.half(HEADER_SIZE as u16);
    fields.half(SEGMENT_SIZE as u16);
    fields.half(u16::try_from(layout.segments.len()).unwrap_or(PN_XNUM));
    fields.half(SECTION_HEADER_SIZE as u16);
    fields.half(if sections < u64::from(SHN_LORESERVE) { sections as u16 } else { 0 });
    fields.half(crate::image::HeaderIndex(names).half());
    let first = layout.segments.iter().find(|segment| segment.p_type == PT_LOAD);
    let load_base = image.cx.config.physical_image_base.zip(first.map(|first| first.address));
    for segment in &layout.segments {
        fields.word(segment.p_type);
        fields.word(segment.flags);
        fields.long(segment.offset);
        fields.long(segment.address);
        fields.long(physical_address(segment, load_base));
        fields.long(segment.file_size);
        fields.long(segment.memory_size);
        fields.long(segment.align);
    }
    out
}

/// `p_paddr`: as far from where the image is loaded as `p_vaddr` is from where it runs. `base` is the address of the first
/// PT_LOAD in loading and in running, if they differ.
fn physical_address(segment: &Segment, base: Option<(u64, u64)>) -> u64 {
    match base {
        Some((loaded, running)) if segment.memory_size > 0 && segment.p_type != PT_GNU_STACK => {
            segment.address.wrapping_sub(running).wrapping_add(loaded)
        }
        _ => segment.address,
    }
}

fn uses_gnu_extensions(image: &Image) -> bool {
    let is_exported_ifunc = |d: &crate::dynamic::DynamicSymbol| {
        let def = image.selection.def(d.id);
        def.is_local()
            && image.selection.entry(image.inputs, def).is_some_and(|s| {
                s.st_type() == STT_GNU_IFUNC || bind_of(image.cx.config, s.st_bind()) == STB_GNU_UNIQUE
            })
    };
    image.sizes.symtab.has_gnu_symbols
        || !image.tables.ifuncs.is_empty()
        || image.dynamic.symbols.iter().any(is_exported_ifunc)
}

/// `e_entry`: the symbol or number of `-e`; without it `_start`, or else the start of the code with a warning.
fn entry_address(image: &Image) -> u64 {
    let config = image.cx.config;
    let name = config.entry.as_deref().unwrap_or(b"_start");
    if let Some(id) = image.symbols.find(name) {
        let def = image.selection.def(id);
        if def.is_local() && def.class() != Class::None {
            return image.addresses.symbols[id.index()];
        }
    }
    let text = std::str::from_utf8(name).unwrap_or("");
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    if let Some(number) = number {
        return number;
    }
    if config.is_shared() && config.entry.is_none() {
        return 0;
    }
    let start = image.section(b".text").map_or(0, |(_, address)| address);
    let shown = String::from_utf8_lossy(name);
    image
        .cx
        .problems
        .push(Problem::warning(format!("cannot find entry symbol {shown}; defaulting to {start:#x}")));
    start
}

/// The section header table.
pub fn section_headers(image: &Image) -> Vec<u8> {
    let layout = image.layout;
    let sections = &image.outputs.sections;
    let count = layout.order.len() + 1;
    let mut out = vec![0; count * SECTION_HEADER_SIZE as usize];
    let index_of = |name: &[u8]| {
        let position = sections.iter().position(|s| s.name == name);
        position.map_or(0, |p| layout.placements[p].index)
    };
    let names = index_of(b".shstrtab");
    if count >= usize::from(SHN_LORESERVE) {
        out[32..40].copy_from_slice(&(count as u64).to_le_bytes());
        out[40..44].copy_from_slice(&names.to_le_bytes());
    }
    for position in &layout.order {
        let section = &sections[*position as usize];
        let place = layout.placements[*position as usize];
        let start = place.index as usize * SECTION_HEADER_SIZE as usize;
        let (link, info) = match section.members.first().map(|member| member.content) {
            Some(Content::Chunk(Chunk::KeptRelocations(table))) => {
                let target = image.sizes.kept.target(table) as usize;
                (index_of(b".symtab"), layout.placements[target].index)
            }
            _ => link_and_info(image, section.name, &index_of),
        };
        let mut fields = Fields(&mut out[start..start + SECTION_HEADER_SIZE as usize], 0);
        fields.word(image.sizes.shstrtab.0[*position as usize]);
        fields.word(section.sh_type);
        fields.long(section_flags(image, section).into());
        fields.long(place.address);
        fields.long(place.offset);
        fields.long(section.size);
        fields.word(link);
        fields.word(info);
        fields.long(1 << section.align_log2);
        fields.long(section.entsize);
    }
    out
}

/// `sh_flags`. Code in a writable segment is writable.
fn section_flags(image: &Image, section: &OutputSection) -> u32 {
    let is_writable = image.cx.config.magic == Magic::Omagic && section.has(SHF_EXECINSTR);
    if is_writable { section.flags | SHF_WRITE } else { section.flags }
}

/// `sh_link` and `sh_info`.
fn link_and_info(image: &Image, name: &[u8], index_of: &impl Fn(&[u8]) -> u32) -> (u32, u32) {
    match name {
        b".dynsym" => (index_of(b".dynstr"), 1),
        b".hash" | b".gnu.hash" | b".gnu.version" | b".rela.dyn" | b".rel.dyn" => (index_of(b".dynsym"), 0),
        // A static program has no dynamic symbols; its relocations name none, but readers want a table.
        b".rela.plt" | b".rel.plt" if !image.dynamic.exists => (index_of(b".symtab"), index_of(b".got.plt")),
        b".rela.plt" | b".rel.plt" => (index_of(b".dynsym"), index_of(b".got.plt")),
        b".gnu.version_d" => {
            (index_of(b".dynstr"), image.selection.version_table.definitions.len() as u32 + 1)
        }
        b".gnu.version_r" => (index_of(b".dynstr"), image.dynamic.version_needs.len() as u32),
        b".dynamic" => (index_of(b".dynstr"), 0),
        b".symtab" => (index_of(b".strtab"), image.sizes.symtab.first_global),
        b".symtab_shndx" => (index_of(b".symtab"), 0),
        _ => (0, 0),
    }
}
