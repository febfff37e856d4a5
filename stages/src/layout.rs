//! Order, addresses, file offsets, segments: a pure function of the sections and their sizes.
//!
//! In: output sections with their sizes (**every size is known**) and the options that shape the image. Out:
//! [`Layout`]. It reads no input file and depends on nothing else, so it can be run again when a size turns out
//! to depend on addresses (`.relr.dyn`).
//!
//! The order follows GNU ld's default script: headers and tables the loader reads, code, read-only data, then
//! writable data with what RELRO protects in front, zero-filled data last, the large code model's sections apart
//! at the end. Sections of one kind keep their order of first mention.
//!
//! Every change of protection starts a new PT_LOAD. With `-z separate-code` (the default) code has pages of its
//! own in the file, too; elsewhere two segments may share a page of the file, mapped twice, with addresses a page
//! apart, so that the file has no holes. With `-n` code and read-only data are one segment and nothing is aligned to pages
//! in the file; with `-N` there is one segment for everything, writable, and no page matters.

mod arranged;
mod flat;

pub use crate::config::{Arranged, Magic};
pub use arranged::unplaced;
pub use flat::flatten;

use crate::elf::SHF_X86_64_LARGE;
use crate::outputs::OutputSection;
use object::elf::{
    PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP,
    PT_LOAD, PT_NOTE, PT_PHDR, PT_TLS, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS, SHT_NOTE,
};

/// Where stack traces without registers are described.
const PT_GNU_SFRAME: u32 = 0x6474_e554;

/// What shapes the image.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Address of the file header.
    pub image_base: u64,
    /// Alignment of segments.
    pub page_size: u64,
    /// Code has pages of its own in the file.
    pub separate_code: bool,
    /// Every segment has.
    pub separate_all: bool,
    /// RELRO is wanted.
    pub relro: bool,
    /// `.got.plt` is read-only after start-up, too.
    pub now: bool,
    /// Flags of PT_GNU_STACK, `None` for no such segment.
    pub stack: Option<u32>,
    /// `p_memsz` of PT_GNU_STACK.
    pub stack_size: u64,
    /// Types and flags of program headers without contents.
    pub marks: Vec<(u32, u32)>,
    /// PT_PHDR is wanted (there is a PT_INTERP, or it is position independent).
    pub phdr: bool,
    /// `.dynamic` is read-only.
    pub rodynamic: bool,
    /// `--section-start`: fixed addresses.
    pub starts: Vec<(Vec<u8>, u64)>,
    /// `--section-order`: the order of loaded sections, if it is not the usual one.
    pub arrangement: Vec<Arranged>,
    /// Address of the first segment of read-only data behind code.
    pub rodata_start: Option<u64>,
    /// Address of the first segment of data far from code.
    pub ldata_start: Option<u64>,
    /// Read-only data may share the code's segment (`--no-rosegment`, `-n`).
    pub merge_rodata_with_code: bool,
    /// Code cannot be read (`--execute-only`).
    pub execute_only: bool,
    /// How segments relate to pages.
    pub magic: Magic,
    /// The file begins with headers.
    pub has_headers: bool,
    /// The first PT_LOAD holds them.
    pub loads_headers: bool,
}

/// Where a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placement {
    /// Address, 0 if not loaded.
    pub address: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Section header index, 0 if it has none.
    pub index: u32,
}

/// A program header to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`.
    pub p_type: u32,
    /// `p_flags`.
    pub flags: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub address: u64,
    /// `p_filesz`.
    pub file_size: u64,
    /// `p_memsz`.
    pub memory_size: u64,
    /// `p_align`.
    pub align: u64,
}

/// The laid out image. **Every address is known.**
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// By position in the list of sections.
    pub placements: Vec<Placement>,
    /// Positions in the list of sections, in file order.
    pub order: Vec<u32>,
    /// Program headers.
    pub segments: Vec<Segment>,
    /// Offset of the section header table.
    pub section_headers: u64,
    /// Size of the file.
    pub file_size: u64,
    /// The thread-local block: address, size in memory, alignment; (0, 0, 1) if none.
    pub tls: (u64, u64, u64),
    /// One past the last loaded byte.
    pub image_end: u64,
}

/// Size of the file header.
pub const HEADER_SIZE: u64 = 64;
/// Size of a program header.
pub const SEGMENT_SIZE: u64 = 56;
/// Size of a section header.
pub const SECTION_HEADER_SIZE: u64 = 64;

impl Layout {
    /// Address that offset 0 of the thread-local block has.
    pub fn tls_start(&self) -> u64 {
        self.tls.0
    }
    /// The thread pointer: the end of the block, aligned (TLS variant II).
    pub fn thread_pointer(&self) -> u64 {
        (self.tls.0 + self.tls.1).next_multiple_of(self.tls.2.max(1))
    }
}

/// Classes of sections in image order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Table(u8),
    Code(u8),
    ReadOnly(u8),
    Relro(u8),
    Data(u8),
    Bss,
    Large(u8),
    NotLoaded(u8),
}

fn class_of(section: &OutputSection, shape: &Shape) -> Class {
    let name = section.name;
    if !section.has(SHF_ALLOC) {
        return Class::NotLoaded(match name {
            b".symtab" => 2,
            b".symtab_shndx" => 3,
            b".strtab" => 4,
            b".shstrtab" => 5,
            b".comment" => 0,
            _ => 1,
        });
    }
    let is_bits = section.sh_type != SHT_NOBITS;
    if section.has(SHF_X86_64_LARGE) {
        // Zeros first: they continue `.bss` in memory and take no room in the file.
        return Class::Large(match (section.has(SHF_EXECINSTR), section.has(SHF_WRITE), is_bits) {
            (_, true, false) => 0,
            (false, false, _) => 1,
            (true, ..) => 2,
            (_, true, true) => 3,
        });
    }
    if section.has(SHF_WRITE) {
        if is_relro(section, shape) {
            return Class::Relro(match name {
                _ if section.has(SHF_TLS) && is_bits => 0,
                _ if section.has(SHF_TLS) => 1,
                b".preinit_array" => 2,
                b".init_array" => 3,
                b".fini_array" => 4,
                b".ctors" => 5,
                b".dtors" => 6,
                b".jcr" => 7,
                b".data.rel.ro" | b".data.rel.ro.hot" | b".data.rel.ro.unlikely" => 8,
                b".bss.rel.ro" => 9,
                b".dynamic" => 10,
                b".got" => 11,
                b".got.plt" => 12,
                _ => 9,
            });
        }
        return match name {
            _ if section.has(SHF_TLS) && is_bits => Class::Data(0),
            _ if section.has(SHF_TLS) => Class::Data(1),
            b".got.plt" => Class::Data(2),
            _ if !is_bits => Class::Bss,
            b".data" => Class::Data(3),
            _ => Class::Data(4),
        };
    }
    if section.has(SHF_EXECINSTR) {
        return Class::Code(match name {
            b".init" => 0,
            b".plt" => 1,
            b".plt.got" => 2,
            b".plt.sec" => 3,
            b".text" => 4,
            b".fini" => 6,
            _ => 5,
        });
    }
    match name {
        b".interp" => Class::Table(0),
        b".note.gnu.property" => Class::Table(1),
        b".note.gnu.build-id" => Class::Table(2),
        _ if section.sh_type == SHT_NOTE => Class::Table(3),
        b".hash" => Class::Table(4),
        b".gnu.hash" => Class::Table(5),
        b".dynsym" => Class::Table(6),
        b".dynstr" => Class::Table(7),
        b".gnu.version" => Class::Table(8),
        b".gnu.version_d" => Class::Table(9),
        b".gnu.version_r" => Class::Table(10),
        b".rela.dyn" | b".rel.dyn" => Class::Table(11),
        b".relr.dyn" => Class::Table(12),
        b".rela.plt" | b".rel.plt" => Class::Table(13),
        b".rodata" => Class::ReadOnly(0),
        b".eh_frame_hdr" => Class::ReadOnly(2),
        b".eh_frame" => Class::ReadOnly(3),
        b".sframe" => Class::ReadOnly(4),
        b".gcc_except_table" => Class::ReadOnly(5),
        b".dynamic" => Class::ReadOnly(6),
        _ => Class::ReadOnly(1),
    }
}

/// Whether the loader makes a section read-only once it has relocated it.
fn is_relro(section: &OutputSection, shape: &Shape) -> bool {
    shape.relro
        && section.has(SHF_WRITE)
        && match section.name {
            b".preinit_array"
            | b".init_array"
            | b".fini_array"
            | b".ctors"
            | b".dtors"
            | b".jcr"
            | b".data.rel.ro"
            | b".data.rel.ro.hot"
            | b".data.rel.ro.unlikely"
            | b".bss.rel.ro"
            | b".bss.rel.ro.hot"
            | b".bss.rel.ro.unlikely"
            | b".dynamic"
            | b".got" => true,
            b".got.plt" => shape.now,
            _ => section.has(SHF_TLS),
        }
}

/// Flags of the PT_LOAD a section belongs to.
fn load_flags(section: &OutputSection, shape: &Shape) -> u32 {
    let mut flags = PF_R;
    if section.has(SHF_WRITE) && !(section.name == b".dynamic" && shape.rodynamic) {
        flags |= PF_W;
    }
    if section.has(SHF_EXECINSTR) {
        flags |= if shape.magic == Magic::Omagic { PF_X | PF_W } else { PF_X };
        if shape.execute_only {
            flags &= !PF_R;
        }
    }
    flags
}

/// The order of all sections in the file; those without members are left out.
pub fn order(sections: &[OutputSection], shape: &Shape) -> Vec<u32> {
    let mut order: Vec<u32> =
        (0..sections.len() as u32).filter(|i| !sections[*i as usize].members.is_empty()).collect();
    order.sort_by_key(|i| class_of(&sections[*i as usize], shape));
    if !shape.arrangement.is_empty() {
        arranged::arrange(&mut order, sections, &shape.arrangement);
    }
    order
}

/// Lays everything out.
pub fn layout(sections: &[OutputSection], shape: &Shape) -> Layout {
    let order = order(sections, shape);
    // How many segments there are does not depend on how much room their headers take.
    let count = place_all(sections, shape, &order, 0).1.len();
    let (state, segments, tls) = place_all(sections, shape, &order, count);
    assert_eq!(segments.len(), count, "the number of segments depends on the order of sections alone");
    let section_headers = state.offset.next_multiple_of(8);
    let count = state.next_index;
    Layout {
        placements: state.placements,
        order,
        segments,
        section_headers,
        file_size: section_headers + u64::from(count) * SECTION_HEADER_SIZE,
        tls,
        image_end: state.image_end,
    }
}

/// Places every section behind headers for `count` segments.
fn place_all<'a>(
    sections: &'a [OutputSection],
    shape: &'a Shape,
    order: &[u32],
    count: usize,
) -> (Placer<'a>, Vec<Segment>, (u64, u64, u64)) {
    let header_size = if shape.has_headers { HEADER_SIZE + count as u64 * SEGMENT_SIZE } else { 0 };
    let mut state = Placer::new(sections, shape, header_size);
    let is_tls = |i: &&u32| sections[**i as usize].has(SHF_ALLOC) && sections[**i as usize].has(SHF_TLS);
    let tls_align =
        order.iter().filter(is_tls).map(|i| 1 << sections[*i as usize].align_log2).max().unwrap_or(1);
    let mut is_first_tls = true;
    for position in order {
        let section = &sections[*position as usize];
        let mut align = 1u64 << section.align_log2;
        if !shape.arrangement.is_empty() {
            let (start, least) = arranged::start_of(*position, order, sections, &shape.arrangement);
            state.wanted = start;
            align = align.max(least);
        }
        if section.has(SHF_TLS) && std::mem::take(&mut is_first_tls) {
            align = align.max(tls_align);
        }
        state.place(*position, section, align);
    }
    state.round_relro();
    let tls = state.tls_block(order, tls_align);
    let segments = state.segments(order, tls);
    (state, segments, tls)
}

/// A PT_LOAD in the making.
#[derive(Debug, Clone, Copy)]
struct Load {
    flags: u32,
    is_relro: bool,
    is_large: bool,
    is_rodata: bool,
    offset: u64,
    address: u64,
    file_end: u64,
    memory_end: u64,
    /// `p_align`: the page size, or the strictest alignment of a section in it.
    align: u64,
}

struct Placer<'a> {
    sections: &'a [OutputSection],
    shape: &'a Shape,
    placements: Vec<Placement>,
    loads: Vec<Load>,
    offset: u64,
    address: u64,
    next_index: u32,
    /// Start addresses are in step with offsets modulo this: the page size, or the strictest alignment of any
    /// section if that is more, because the loader moves the image by multiples of the strictest `p_align`.
    page: u64,
    /// Start addresses that were given are in step with offsets modulo this.
    step: u64,
    header_size: u64,
    image_end: u64,
    /// Where the next section must start.
    wanted: Option<u64>,
}

/// Whether a section continues the PT_LOAD of the one before it.
fn continues(load: &Load, section: &OutputSection, shape: &Shape) -> bool {
    let flags = load_flags(section, shape);
    let is_large = is_far(section);
    let same = match shape.magic {
        Magic::Omagic => true,
        _ if shape.merge_rodata_with_code && (flags | load.flags) & PF_W == 0 => true,
        _ => load.flags == flags,
    };
    same && load.is_relro == is_relro(section, shape) && load.is_large == is_large
}

/// The classes of PT_LOADs are those of their sections; the first one holds the headers.
fn first_load(shape: &Shape) -> Load {
    Load {
        flags: PF_R,
        is_relro: false,
        is_large: false,
        is_rodata: false,
        offset: 0,
        address: shape.image_base,
        file_end: 0,
        memory_end: shape.image_base,
        align: segment_align(shape),
    }
}

/// The least `p_align` of a PT_LOAD.
fn segment_align(shape: &Shape) -> u64 {
    if shape.magic == Magic::Zmagic { shape.page_size } else { 1 }
}

/// Whether a section has a segment apart, behind everything that must be near code.
fn is_far(section: &OutputSection) -> bool {
    section.has(SHF_X86_64_LARGE) && section.sh_type != SHT_NOBITS
}

fn is_tbss(section: &OutputSection) -> bool {
    section.has(SHF_TLS) && section.sh_type == SHT_NOBITS
}

/// Runs of notes of equal alignment: a PT_NOTE each, because readers step by the segment's alignment.
fn note_runs<'s>(loaded: &[&'s OutputSection]) -> Vec<Vec<&'s OutputSection>> {
    let mut runs: Vec<Vec<&OutputSection>> = Vec::new();
    let mut previous_is_note = false;
    for section in loaded {
        let is_note = section.sh_type == SHT_NOTE;
        if is_note {
            match runs.last_mut() {
                Some(run) if previous_is_note && run[0].align_log2 == section.align_log2 => run.push(section),
                _ => runs.push(vec![section]),
            }
        }
        previous_is_note = is_note;
    }
    runs
}

impl<'a> Placer<'a> {
    fn new(sections: &'a [OutputSection], shape: &'a Shape, header_size: u64) -> Placer<'a> {
        let loaded = sections.iter().filter(|s| s.has(SHF_ALLOC) && !s.members.is_empty());
        let strictest = loaded.map(|s| 1 << s.align_log2).max().unwrap_or(1);
        // Without pages the strictest alignment is the only one that counts.
        let page = if shape.magic == Magic::Omagic { strictest } else { strictest.max(shape.page_size) };
        Placer {
            sections,
            shape,
            placements: vec![Placement::default(); sections.len()],
            loads: Vec::new(),
            offset: header_size,
            address: shape.image_base + header_size,
            next_index: 1,
            page,
            step: if shape.magic == Magic::Zmagic { page } else { strictest },
            header_size,
            image_end: shape.image_base + header_size,
            wanted: None,
        }
    }

    fn place(&mut self, position: u32, section: &OutputSection, align: u64) {
        let index = self.next_index;
        self.next_index += 1;
        if !section.has(SHF_ALLOC) {
            self.offset = self.offset.next_multiple_of(align);
            self.placements[position as usize] = Placement { address: 0, offset: self.offset, index };
            self.offset += section.size;
            return;
        }
        if self.loads.is_empty() && self.shape.loads_headers {
            let mut load = first_load(self.shape);
            load.file_end = self.header_size;
            load.memory_end = load.address + self.header_size;
            self.loads.push(load);
        }
        if !is_tbss(section) {
            self.start_segment_for(section, align);
        }
        let address = self.address.next_multiple_of(align);
        if is_tbss(section) {
            // Takes up no room: the next section starts where it would start without it.
            let offset = self.offset + (address - self.address);
            self.placements[position as usize] = Placement { address, offset, index };
            return;
        }
        let is_bits = section.sh_type != SHT_NOBITS;
        if is_bits {
            self.offset += address - self.address;
        }
        // Zero-filled data has no place in the file; its offset only keeps in step with its address.
        let gap = if is_bits { 0 } else { (address - self.address) % self.shape.page_size };
        self.address = address;
        self.placements[position as usize] = Placement { address, offset: self.offset + gap, index };
        self.address += section.size;
        if is_bits {
            self.offset += section.size;
        }
        if let Some(load) = self.loads.last_mut() {
            load.flags |= load_flags(section, self.shape);
            load.memory_end = self.address;
            load.align = load.align.max(align);
            if is_bits {
                load.file_end = self.offset;
            }
        }
        self.image_end = self.image_end.max(self.address);
    }

    /// Opens a new PT_LOAD where the protection changes, at a fixed address, and behind zero-filled data.
    fn start_segment_for(&mut self, section: &OutputSection, align: u64) {
        let fixed =
            self.shape.starts.iter().rfind(|(name, _)| name == section.name).map(|(_, address)| *address);
        let fixed = fixed.or(self.wanted.take()).or_else(|| self.segment_start(section));
        let is_gap = |load: &Load| {
            load.memory_end - load.address > load.file_end - load.offset && section.sh_type != SHT_NOBITS
        };
        let continued = self.loads.last().filter(|load| continues(load, section, self.shape));
        if continued.is_some_and(|load| fixed.is_none() && !is_gap(load)) {
            return;
        }
        let flags = load_flags(section, self.shape);
        if let Some(address) = fixed {
            // The offset follows the address.
            let start = self.offset.next_multiple_of(self.step) + address % self.step;
            self.offset = start;
            self.address = address;
        } else if let Some(load) = self.loads.last().copied() {
            self.turn_page(&load, flags);
        } else {
            // The headers are in no segment: the first one begins with its first section.
            let start = self.address.next_multiple_of(align);
            self.offset += start - self.address;
            self.address = start;
        }
        self.loads.push(Load {
            flags,
            is_relro: is_relro(section, self.shape),
            is_large: is_far(section),
            is_rodata: matches!(class_of(section, self.shape), Class::ReadOnly(_)),
            offset: self.offset,
            address: self.address,
            file_end: self.offset,
            memory_end: self.address,
            align: segment_align(self.shape),
        });
    }

    /// The address that was given for the kind of segments a section begins the first of.
    fn segment_start(&self, section: &OutputSection) -> Option<u64> {
        let is_first = |is_kind: &dyn Fn(&Load) -> bool| !self.loads.iter().any(is_kind);
        let shape = self.shape;
        if is_far(section) {
            return shape.ldata_start.filter(|_| is_first(&|load| load.is_large));
        }
        let is_rodata = matches!(class_of(section, shape), Class::ReadOnly(_));
        // Headers and tables in front of code are the first segment, with which the image begins.
        shape.rodata_start.filter(|_| is_rodata && is_first(&|load| load.is_rodata))
    }

    /// Moves on to where a segment with these flags begins, behind another one.
    fn turn_page(&mut self, load: &Load, flags: u32) {
        let page = self.page;
        let code_changes = (flags | load.flags) & PF_X != 0 && flags & PF_X != load.flags & PF_X;
        if self.shape.separate_all || load.is_relro || self.shape.separate_code && code_changes {
            // Behind RELRO the file goes on at a page of its own, too: what is protected must not be mapped twice.
            self.offset = self.offset.next_multiple_of(page);
            self.address = self.address.next_multiple_of(page);
        } else {
            // The same page of the file, mapped once more at the next page of memory.
            self.address = self.address.next_multiple_of(page) + self.offset % page;
        }
    }

    /// The loader protects whole pages, so the PT_LOAD that RELRO covers reaches to the end of its last one.
    fn round_relro(&mut self) {
        for load in self.loads.iter_mut().filter(|load| load.is_relro) {
            load.memory_end = load.memory_end.next_multiple_of(self.shape.page_size);
        }
    }

    fn tls_block(&self, order: &[u32], align: u64) -> (u64, u64, u64) {
        let mut block: Option<(u64, u64)> = None;
        for position in order {
            let section = &self.sections[*position as usize];
            if section.has(SHF_TLS) && section.has(SHF_ALLOC) {
                let start = self.placements[*position as usize].address;
                let end = start + section.size;
                block = Some(block.map_or((start, end), |(first, last)| (first.min(start), last.max(end))));
            }
        }
        block.map_or((0, 0, 1), |(start, end)| (start, end - start, align))
    }

    fn segments(&self, order: &[u32], tls: (u64, u64, u64)) -> Vec<Segment> {
        let mut list = Vec::new();
        let at = |p_type, flags, name: &[u8], align| {
            let position = order.iter().find(|i| self.sections[**i as usize].name == name)?;
            let (section, place) = (&self.sections[*position as usize], self.placements[*position as usize]);
            section.has(SHF_ALLOC).then_some(Segment {
                p_type,
                flags,
                offset: place.offset,
                address: place.address,
                file_size: section.size,
                memory_size: section.size,
                align,
            })
        };
        if self.shape.phdr {
            let size = self.header_size - HEADER_SIZE;
            list.push(Segment {
                p_type: PT_PHDR,
                flags: PF_R,
                offset: HEADER_SIZE,
                address: self.shape.image_base + HEADER_SIZE,
                file_size: size,
                memory_size: size,
                align: 8,
            });
        }
        list.extend(at(PT_INTERP, PF_R, b".interp", 1));
        for load in &self.loads {
            list.push(Segment {
                p_type: PT_LOAD,
                flags: load.flags,
                offset: load.offset,
                address: load.address,
                file_size: load.file_end - load.offset,
                memory_size: load.memory_end - load.address,
                align: load.align,
            });
        }
        let dynamic_flags = if self.shape.rodynamic { PF_R } else { PF_R | PF_W };
        list.extend(at(PT_DYNAMIC, dynamic_flags, b".dynamic", 8));
        let loaded: Vec<&OutputSection> =
            order.iter().map(|i| &self.sections[*i as usize]).filter(|s| s.has(SHF_ALLOC)).collect();
        let place_of = |section: &OutputSection| {
            let position = order.iter().find(|i| std::ptr::eq(&self.sections[**i as usize], section));
            position.map_or(Placement::default(), |i| self.placements[*i as usize])
        };
        for run in note_runs(&loaded) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let (start, end) = (place_of(first), place_of(last));
            let size = end.address + last.size - start.address;
            list.push(Segment {
                p_type: PT_NOTE,
                flags: PF_R,
                offset: start.offset,
                address: start.address,
                file_size: size,
                memory_size: size,
                align: 1 << first.align_log2,
            });
        }
        list.extend(at(PT_GNU_PROPERTY, PF_R, b".note.gnu.property", 8));
        if loaded.iter().any(|s| s.has(SHF_TLS)) {
            let data: u64 = loaded
                .iter()
                .filter(|s| s.has(SHF_TLS) && s.sh_type != SHT_NOBITS)
                .map(|s| place_of(s).address + s.size - tls.0)
                .max()
                .unwrap_or(0);
            let offset = loaded.iter().find(|s| s.has(SHF_TLS)).map_or(0, |s| place_of(s).offset);
            list.push(Segment {
                p_type: PT_TLS,
                flags: PF_R,
                offset,
                address: tls.0,
                file_size: data,
                memory_size: tls.1,
                align: tls.2,
            });
        }
        list.extend(at(PT_GNU_EH_FRAME, PF_R, b".eh_frame_hdr", 4));
        list.extend(at(PT_GNU_SFRAME, PF_R, b".sframe", 8));
        for (p_type, flags) in &self.shape.marks {
            let (p_type, flags) = (*p_type, *flags);
            list.push(Segment {
                p_type,
                flags,
                offset: 0,
                address: 0,
                file_size: 0,
                memory_size: 0,
                align: 1,
            });
        }
        if let Some(flags) = self.shape.stack {
            list.push(Segment {
                p_type: PT_GNU_STACK,
                flags,
                offset: 0,
                address: 0,
                file_size: 0,
                memory_size: self.shape.stack_size,
                align: 16,
            });
        }
        if let Some(load) = self.loads.iter().find(|l| l.is_relro) {
            list.push(Segment {
                p_type: PT_GNU_RELRO,
                flags: PF_R,
                offset: load.offset,
                address: load.address,
                file_size: load.file_end - load.offset,
                memory_size: load.memory_end - load.address,
                align: 1,
            });
        }
        list
    }
}
