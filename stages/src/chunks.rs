//! The parts of the output that the linker makes itself, one file a kind: does it exist, how big is it, which
//! bytes.
//!
//! [`add`] is called when all needs are known and adds the synthesized sections to the output; [`part_count`],
//! [`part_range`] and [`write_part`] are called once every address is known, for one part of a chunk at a time, on any
//! worker.

mod android;
mod debug_names;
mod dynamic_section;
mod dynamic_symbols;
mod eh_frame;
mod gdb_index;
mod got;
mod hash;
mod headers;
mod kept;
mod notes;
mod plt;
mod relocations;
mod sframe;
mod symtab;

pub use eh_frame::UnwindPlan;
pub use headers::{file_headers, section_headers};
pub use kept::KeptPlan;
pub use notes::{package_note, properties as merged_properties};
pub use relocations::Form;
pub use sframe::SFramePlan;
pub use symtab::SymbolTablePlan;

use crate::arch::target;
use crate::config::{Format, Strip};
use crate::context::Cx;
use crate::debug_names::DebugNames;
use crate::dynamic::Dynamic;
use crate::elf::SHF_X86_64_LARGE;
use crate::gdb_index::GdbIndex;
use crate::image::Image;
use crate::intern::Symbols;
use crate::liveness::LiveSet;
use crate::model::{Inputs, SectionId};
use crate::outputs::{Content, OutputNames, OutputSection, Outputs};
use crate::scan::Scan;
use crate::select::{Provided, Selection};
use crate::separate;
use crate::tables::{CommonPlace, Tables};
use crate::unwind::Unwind;
use object::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_MERGE, SHF_STRINGS, SHF_TLS, SHF_WRITE, SHT_DYNAMIC,
    SHT_DYNSYM, SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_HASH, SHT_NOBITS,
    SHT_NOTE, SHT_PROGBITS, SHT_RELR, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};

/// SHT_RELR before the gABI had a number for it.
const SHT_ANDROID_RELR: u32 = 0x6fff_ff00;

/// A part of the output that the linker makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// PT_INTERP's path.
    Interpreter,
    /// `.note.gnu.property`.
    Properties,
    /// `.note.gnu.build-id`.
    BuildId,
    /// `.note.package`.
    PackageMetadata,
    /// `.hash`.
    SysvHash,
    /// `.gnu.hash`.
    GnuHash,
    /// `.dynsym`.
    DynamicSymbols,
    /// `.dynstr`.
    DynamicStrings,
    /// `.gnu.version`.
    Versions,
    /// `.gnu.version_d`.
    VersionDefinitions,
    /// `.gnu.version_r`.
    VersionNeeds,
    /// `.rela.dyn`, or `.rel.dyn`.
    RelaDyn,
    /// `.relr.dyn`.
    RelrDyn,
    /// `.rela.plt`, or `.rel.plt`.
    RelaPlt,
    /// `.plt`.
    Plt,
    /// `.plt.got`.
    PltGot,
    /// `.plt.sec`.
    PltSec,
    /// `.eh_frame_hdr`.
    EhFrameHdr,
    /// `.eh_frame`.
    EhFrame,
    /// `.sframe`.
    SFrame,
    /// `.dynamic`.
    Dynamic,
    /// `.got`.
    Got,
    /// `.got.plt`.
    GotPlt,
    /// Data copied from shared objects: read-only there, or not.
    Copies(bool),
    /// Tentative definitions.
    Commons(CommonPlace),
    /// The linker's name in `.comment`.
    Producer,
    /// The nth table of relocations that stay in the output.
    KeptRelocations(u32),
    /// `.symtab`.
    Symtab,
    /// `.symtab_shndx`.
    SymtabShndx,
    /// `.gdb_index`.
    GdbIndex,
    /// `.debug_names`.
    DebugNames,
    /// `.gnu_debuglink`.
    DebugLink,
    /// `.strtab`.
    Strtab,
    /// `.shstrtab`.
    Shstrtab,
}

/// What has to be known to size the chunks.
pub struct Sizing<'a> {
    /// The surroundings.
    pub cx: &'a Cx<'a>,
    /// The files.
    pub inputs: &'a Inputs,
    /// The names.
    pub symbols: &'a Symbols,
    /// Symbols of the linker's own.
    pub provided: &'a Provided,
    /// Definitions.
    pub selection: &'a Selection,
    /// What is in.
    pub live: &'a LiveSet,
    /// Unwind records.
    pub unwind: &'a Unwind,
    /// What relocations need.
    pub scan: &'a Scan,
    /// Slots.
    pub tables: &'a Tables,
    /// The dynamic symbol table.
    pub dynamic: &'a Dynamic,
    /// The merged table of names, if there is one.
    pub debug_names: Option<&'a DebugNames>,
    /// The index of debug information, if there is one.
    pub gdb_index: Option<&'a GdbIndex>,
}

/// Sizes of everything. **Every size is known** (but that of `.relr.dyn`, which depends on addresses).
#[derive(Debug)]
pub struct Sizes {
    /// `.eh_frame`.
    pub unwind: UnwindPlan,
    /// `.sframe`.
    pub sframe: SFramePlan,
    /// Position of `.eh_frame` among the output sections.
    pub eh_frame_output: u32,
    /// `.symtab` and `.strtab`.
    pub symtab: SymbolTablePlan,
    /// Relocations that stay in the output.
    pub kept: KeptPlan,
    /// `.rela.dyn`.
    pub relocations: relocations::RelocationPlan,
    /// Names of output sections of inputs.
    pub names: OutputNames,
    /// `.note.gnu.property`.
    pub properties: Vec<u8>,
    /// What PLT entries consist of.
    pub form: target::plt::Form,
    /// `.relr.dyn`, in words; grows while layout is repeated.
    pub relr: Vec<u64>,
    /// `.rela.dyn` as Android packs it; empty if it is not packed.
    pub packed: Vec<u8>,
    /// Offset and size of each part of `.debug_names`.
    pub debug_names: Vec<(u64, u64)>,
    /// Offset and size of each part of `.gdb_index`.
    pub gdb_index: Vec<(u64, u64)>,
    /// Section names, as offsets in `.shstrtab` by position, and its bytes.
    pub shstrtab: (Vec<u32>, Vec<u8>),
}

/// Adds all synthesized sections.
pub fn add(s: &Sizing, names: OutputNames, outputs: &mut Outputs) -> Sizes {
    let config = s.cx.config;
    let list = &mut outputs.sections;
    let unwind = eh_frame::plan(s);
    let properties = notes::properties(s.cx, s.inputs, s.selection);
    let form = notes::plt_form(s, &properties);
    let relocations = relocations::plan(s);
    let word = |name, sh_type, flags, content, size| synthesized(name, sh_type, flags, content, size, 3);

    if let Some(path) = interpreter(s) {
        list.push(synthesized(
            b".interp",
            SHT_PROGBITS,
            SHF_ALLOC,
            Chunk::Interpreter,
            path.len() as u64 + 1,
            0,
        ));
    }
    let note = notes::note(&properties);
    if !note.is_empty() && config.format == Format::Elf {
        list.push(word(b".note.gnu.property", SHT_NOTE, SHF_ALLOC, Chunk::Properties, note.len() as u64));
    }
    if let Some(size) = notes::build_id_size(config) {
        list.push(synthesized(b".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, Chunk::BuildId, size, 2));
    }
    if let Some(note) = package_note(config) {
        let size = note.len() as u64;
        list.push(synthesized(b".note.package", SHT_NOTE, SHF_ALLOC, Chunk::PackageMetadata, size, 2));
    }
    add_dynamic(s, list);
    let size = relocations.rela_dyn_size();
    if size > 0 {
        let form = Form::of(config);
        list.push(match config.android_relocations {
            // As long as it has to be: that depends on addresses.
            true => table(word(form.dynamic, android::section_type(form), SHF_ALLOC, Chunk::RelaDyn, 1), 1),
            false => table(word(form.dynamic, form.sh_type, SHF_ALLOC, Chunk::RelaDyn, size), form.entry),
        });
    }
    if relocations.has_relr() {
        let sh_type = if config.android_relr_tags { SHT_ANDROID_RELR } else { SHT_RELR };
        list.push(table(word(b".relr.dyn", sh_type, SHF_ALLOC, Chunk::RelrDyn, 0), 8));
    }
    add_plt(s, list, form);
    if unwind.size > 0 {
        list.push(word(b".eh_frame", SHT_PROGBITS, SHF_ALLOC, Chunk::EhFrame, unwind.size));
        if config.eh_frame_hdr {
            let size = eh_frame::header_size(&unwind);
            list.push(synthesized(b".eh_frame_hdr", SHT_PROGBITS, SHF_ALLOC, Chunk::EhFrameHdr, size, 2));
        }
    }
    let sframe = sframe::plan(s);
    if sframe.size > 0 {
        list.push(word(b".sframe", sframe.sh_type, SHF_ALLOC, Chunk::SFrame, sframe.size));
    }
    add_storage(s, list);
    if !outputs_have(list, b".comment") {
        list.push(OutputSection::new(b".comment", SHT_PROGBITS, SHF_MERGE | SHF_STRINGS));
    }
    if let Some(comment) =
        list.iter_mut().find(|section| section.name == b".comment" && !section.has(SHF_ALLOC))
    {
        comment.append(Content::Chunk(Chunk::Producer), config.producer.len() as u64 + 1, 0);
        comment.entsize = 1;
        comment.flags |= SHF_MERGE | SHF_STRINGS;
        comment.sh_type = SHT_PROGBITS;
    }
    if let Some(names) = s.debug_names {
        list.push(synthesized(b".debug_names", SHT_PROGBITS, 0, Chunk::DebugNames, names.table.size, 2));
    }
    if let Some(index) = s.gdb_index {
        list.push(synthesized(b".gdb_index", SHT_PROGBITS, 0, Chunk::GdbIndex, index.table.size, 2));
    }
    if let Some(path) = &config.separate_debug_file {
        let size = separate::link_contents(&config.output, path).len() as u64;
        list.push(synthesized(b".gnu_debuglink", SHT_PROGBITS, 0, Chunk::DebugLink, size, 2));
    }
    // What nothing went to is left out, with positions kept for those who hold them.
    let eh_frame_output = list.iter().position(|o| o.name == b".eh_frame" && !o.members.is_empty());
    let (mut kept, mut needed, mut section_symbols) = (KeptPlan::default(), None, Vec::new());
    if config.emit_relocs {
        let is_named = |position: &usize| *position < names.names.len() || Some(*position) == eh_frame_output;
        let positions = (0..list.len()).filter(is_named).filter(|p| !list[*p].members.is_empty());
        section_symbols = positions.map(|position| position as u32).collect();
        let (plan, symbols) = kept::plan(s, &outputs.objects, &unwind, list);
        (kept, needed) = (plan, Some(symbols));
    }
    let (symtab, numbers) = symtab::plan(s, needed, section_symbols);
    kept.numbers = numbers;
    if config.strip != Strip::All {
        list.push(table(word(b".symtab", SHT_SYMTAB, 0, Chunk::Symtab, symtab.symtab_size()), 24));
        list.push(synthesized(b".strtab", SHT_STRTAB, 0, Chunk::Strtab, symtab.strtab_size(), 0));
    }
    let wants_index_table =
        list.len() + 2 >= usize::from(object::elf::SHN_LORESERVE) && config.strip != Strip::All;
    if wants_index_table {
        let size = symtab.symtab_size() / 24 * 4;
        list.push(table(synthesized(b".symtab_shndx", SHT_SYMTAB_SHNDX, 0, Chunk::SymtabShndx, size, 2), 4));
    }
    list.push(OutputSection::new(b".shstrtab", SHT_STRTAB, 0));
    let shstrtab = section_names(list);
    if let Some(last) = list.last_mut() {
        last.append(Content::Chunk(Chunk::Shstrtab), shstrtab.1.len() as u64, 0);
    }
    Sizes {
        unwind,
        sframe,
        eh_frame_output: eh_frame_output.map_or(u32::MAX, |p| p as u32),
        symtab,
        kept,
        relocations,
        names,
        properties: note,
        form,
        relr: Vec::new(),
        packed: Vec::new(),
        debug_names: s.debug_names.map_or(Vec::new(), DebugNames::parts),
        gdb_index: s.gdb_index.map_or(Vec::new(), GdbIndex::parts),
        shstrtab,
    }
}

fn outputs_have(list: &[OutputSection], name: &[u8]) -> bool {
    list.iter().any(|section| section.name == name)
}

/// A section that consists of one chunk.
fn synthesized(
    name: &'static [u8],
    sh_type: u32,
    flags: u32,
    chunk: Chunk,
    size: u64,
    align_log2: u8,
) -> OutputSection {
    let mut section = OutputSection::new(name, sh_type, flags);
    section.append(Content::Chunk(chunk), size, align_log2);
    section
}

fn table(mut section: OutputSection, entsize: u64) -> OutputSection {
    section.entsize = entsize;
    section
}

/// The path for PT_INTERP, if the output has one.
pub fn interpreter<'a>(s: &'a Sizing) -> Option<&'a [u8]> {
    let config = s.cx.config;
    let is_wanted = s.dynamic.exists && crate::dynamic::has_interpreter(config);
    is_wanted.then(|| config.dynamic_linker.as_deref().unwrap_or(target::DYNAMIC_LINKER))
}

fn add_dynamic(s: &Sizing, list: &mut Vec<OutputSection>) {
    let dynamic = s.dynamic;
    if !dynamic.exists {
        return;
    }
    let count = dynamic.symbols.len() as u64 + 1;
    let word = |name, sh_type, chunk, size| synthesized(name, sh_type, SHF_ALLOC, chunk, size, 3);
    if s.cx.config.hash_style.sysv() {
        let size = hash::sysv_size(dynamic);
        list.push(table(synthesized(b".hash", SHT_HASH, SHF_ALLOC, Chunk::SysvHash, size, 3), 4));
    }
    if s.cx.config.hash_style.gnu() {
        list.push(word(b".gnu.hash", SHT_GNU_HASH, Chunk::GnuHash, hash::gnu_size(dynamic)));
    }
    list.push(table(word(b".dynsym", SHT_DYNSYM, Chunk::DynamicSymbols, count * 24), 24));
    let strings = dynamic_section::strings(s);
    let size = strings.bytes.len() as u64;
    list.push(synthesized(b".dynstr", SHT_STRTAB, SHF_ALLOC, Chunk::DynamicStrings, size, 0));
    if dynamic.has_versions(s.selection) {
        let size = count * 2;
        list.push(table(
            synthesized(b".gnu.version", SHT_GNU_VERSYM, SHF_ALLOC, Chunk::Versions, size, 1),
            2,
        ));
        let size = dynamic_symbols::verdef_size(s.selection);
        if size > 0 {
            list.push(word(b".gnu.version_d", SHT_GNU_VERDEF, Chunk::VersionDefinitions, size));
        }
        let size = dynamic_symbols::verneed_size(dynamic);
        if size > 0 {
            list.push(word(b".gnu.version_r", SHT_GNU_VERNEED, Chunk::VersionNeeds, size));
        }
    }
    let flags = if s.cx.config.z.rodynamic { SHF_ALLOC } else { SHF_ALLOC | SHF_WRITE };
    let size = dynamic_section::entry_count(s) as u64 * 16;
    list.push(table(synthesized(b".dynamic", SHT_DYNAMIC, flags, Chunk::Dynamic, size, 3), 16));
}

fn add_plt(s: &Sizing, list: &mut Vec<OutputSection>, entries: target::plt::Form) {
    let tables = s.tables;
    let code = SHF_ALLOC | SHF_EXECINSTR;
    let count = (tables.lazy.len() + tables.ifuncs.len()) as u64;
    if count > 0 {
        let form = Form::of(s.cx.config);
        let size = count * form.entry;
        let mut section = synthesized(form.plt, form.sh_type, SHF_ALLOC, Chunk::RelaPlt, size, 3);
        section.flags |= SHF_INFO_LINK;
        list.push(table(section, form.entry));
    }
    if count > 0 || entries.is_retpoline() && !tables.plt_got.is_empty() {
        let size = entries.header_size(!tables.lazy.is_empty()) + count * entries.entry_size();
        list.push(table(synthesized(b".plt", SHT_PROGBITS, code, Chunk::Plt, size, 4), 16));
    }
    if entries == target::plt::Form::Tracked && !tables.lazy.is_empty() {
        let size = tables.lazy.len() as u64 * target::plt::SECOND_ENTRY_SIZE;
        list.push(table(synthesized(b".plt.sec", SHT_PROGBITS, code, Chunk::PltSec, size, 4), 16));
    }
    if !tables.plt_got.is_empty() {
        let entry = entries.got_entry_size();
        let size = tables.plt_got.len() as u64 * entry;
        list.push(table(synthesized(b".plt.got", SHT_PROGBITS, code, Chunk::PltGot, size, 4), entry));
    }
    let data = SHF_ALLOC | SHF_WRITE;
    if !tables.got.is_empty() {
        let size = tables.got.len() as u64 * 8;
        list.push(table(synthesized(b".got", SHT_PROGBITS, data, Chunk::Got, size, 3), 8));
    }
    if tables.has_got_plt() {
        let size = tables.got_plt_len() * 8;
        list.push(table(synthesized(b".got.plt", SHT_PROGBITS, data, Chunk::GotPlt, size, 3), 8));
    }
}

/// Room for tentative definitions and copies, at the end of the sections for zero-filled data.
fn add_storage(s: &Sizing, list: &mut Vec<OutputSection>) {
    let mut append = |name: &'static [u8], sh_type, flags, chunk, (size, align_log2): (u64, u8)| {
        if size == 0 {
            return;
        }
        let is_same = |o: &&mut OutputSection| o.name == name && o.has(SHF_ALLOC);
        if let Some(section) = list.iter_mut().find(is_same) {
            section.flags |= flags;
            section.append(Content::Chunk(chunk), size, align_log2);
            return;
        }
        list.push(synthesized(name, sh_type, flags, chunk, size, align_log2));
    };
    let data = SHF_ALLOC | SHF_WRITE;
    append(b".bss.rel.ro", SHT_PROGBITS, data, Chunk::Copies(true), s.tables.copy_extent(true));
    append(b".bss", SHT_NOBITS, data, Chunk::Copies(false), s.tables.copy_extent(false));
    for (name, place, flags) in [
        (&b".bss"[..], CommonPlace::Bss, data),
        (b".tbss", CommonPlace::Tbss, data | SHF_TLS),
        (b".lbss", CommonPlace::Lbss, data | SHF_X86_64_LARGE),
    ] {
        append(name, SHT_NOBITS, flags, Chunk::Commons(place), s.tables.common_extent(place));
    }
}

/// `.shstrtab`: the offset of each section's name, and the bytes.
fn section_names(list: &[OutputSection]) -> (Vec<u32>, Vec<u8>) {
    let mut strings = crate::dynamic::DynamicStrings::default();
    let offsets = list.iter().map(|section| strings.add(section.name)).collect();
    (offsets, strings.bytes)
}

/// Into how many parts a chunk is cut for writing.
pub fn part_count(sizes: &Sizes, chunk: Chunk) -> usize {
    match chunk {
        Chunk::DebugNames => sizes.debug_names.len(),
        Chunk::GdbIndex => sizes.gdb_index.len(),
        Chunk::EhFrame => sizes.unwind.part_count(),
        Chunk::Symtab => sizes.symtab.symtab_parts(),
        Chunk::Strtab => sizes.symtab.strtab_parts(),
        Chunk::RelaDyn if sizes.packed.is_empty() => sizes.relocations.part_count(),
        Chunk::KeptRelocations(table) => sizes.kept.part_count(table),
        _ => 1,
    }
}

/// Offset and size of a part; `size` is that of the chunk.
pub fn part_range(sizes: &Sizes, chunk: Chunk, part: usize, size: u64) -> (u64, u64) {
    match chunk {
        Chunk::DebugNames => sizes.debug_names[part],
        Chunk::GdbIndex => sizes.gdb_index[part],
        Chunk::EhFrame => sizes.unwind.part_range(part),
        Chunk::Symtab => sizes.symtab.symtab_part(part),
        Chunk::Strtab => sizes.symtab.strtab_part(part),
        Chunk::RelaDyn if sizes.packed.is_empty() => sizes.relocations.part_range(part),
        Chunk::KeptRelocations(table) => sizes.kept.part_range(table, part),
        _ => (0, size),
    }
}

/// The object a part of a chunk is about, as a position in [`Selection::objects`], if it is about one.
pub fn part_owner(sizes: &Sizes, chunk: Chunk, part: usize) -> Option<usize> {
    match chunk {
        Chunk::EhFrame => sizes.unwind.part_owner(part),
        Chunk::Symtab => sizes.symtab.symtab_owner(part),
        Chunk::Strtab => sizes.symtab.strtab_owner(part),
        _ => None,
    }
}

/// Writes a part of a chunk; `out` is zeroed and has the part's size, `address` is the part's address.
pub fn write_part(image: &Image, chunk: Chunk, part: usize, address: u64, out: &mut [u8]) {
    match chunk {
        Chunk::Interpreter => {
            let path = image.cx.config.dynamic_linker.as_deref().unwrap_or(target::DYNAMIC_LINKER);
            out[..path.len()].copy_from_slice(path);
        }
        Chunk::Properties => out.copy_from_slice(&image.sizes.properties),
        Chunk::BuildId => notes::write_build_id(image, out),
        Chunk::PackageMetadata => {
            if let Some(note) = package_note(image.cx.config) {
                out.copy_from_slice(&note);
            }
        }
        Chunk::SysvHash => hash::write_sysv(image.dynamic, out),
        Chunk::GnuHash => hash::write_gnu(image.dynamic, out),
        Chunk::DynamicSymbols => dynamic_symbols::write(image, out),
        Chunk::DynamicStrings => {
            let strings = dynamic_section::strings_of(image);
            out.copy_from_slice(&strings.bytes);
        }
        Chunk::Versions => dynamic_symbols::write_versions(image, out),
        Chunk::VersionDefinitions => dynamic_symbols::write_verdef(image, out),
        Chunk::VersionNeeds => dynamic_symbols::write_verneed(image, out),
        Chunk::RelaDyn if !image.sizes.packed.is_empty() => out.copy_from_slice(&image.sizes.packed),
        Chunk::RelaDyn => relocations::write_rela_dyn(image, part, out),
        Chunk::RelrDyn => {
            for (word, out) in image.sizes.relr.iter().zip(out.chunks_exact_mut(8)) {
                out.copy_from_slice(&word.to_le_bytes());
            }
        }
        Chunk::RelaPlt => relocations::write_rela_plt(image, out),
        Chunk::Plt => plt::write_plt(image, address, out),
        Chunk::PltGot => plt::write_plt_got(image, address, out),
        Chunk::PltSec => plt::write_plt_sec(image, address, out),
        Chunk::EhFrameHdr => eh_frame::write_header(image, address, out),
        Chunk::EhFrame => eh_frame::write(image, part, address, out),
        Chunk::SFrame => sframe::write(image, address, out),
        Chunk::Dynamic => dynamic_section::write(image, out),
        Chunk::Got => got::write_got(image, out),
        Chunk::GotPlt => got::write_got_plt(image, out),
        Chunk::Copies(_) | Chunk::Commons(_) => {}
        Chunk::Producer => {
            out[..image.cx.config.producer.len()].copy_from_slice(image.cx.config.producer.as_bytes())
        }
        Chunk::KeptRelocations(table) => kept::write(image, table, part, out),
        Chunk::DebugNames => {
            if let Some(names) = image.debug_names {
                debug_names::write(image, names, part, out);
            }
        }
        Chunk::GdbIndex => {
            if let Some(index) = image.gdb_index {
                gdb_index::write(image, index, part, out);
            }
        }
        Chunk::DebugLink => {
            if let Some(path) = &image.cx.config.separate_debug_file {
                out.copy_from_slice(&separate::link_contents(&image.cx.config.output, path));
            }
        }
        Chunk::Symtab => symtab::write_symtab(image, part, out),
        Chunk::SymtabShndx => symtab::write_shndx(image, out),
        Chunk::Strtab => symtab::write_strtab(image, part, out),
        Chunk::Shstrtab => out.copy_from_slice(&image.sizes.shstrtab.1),
    }
}

/// `-z report-relative-reloc`.
pub fn report_relative(image: &Image) {
    if image.cx.config.z.report_relative_reloc {
        relocations::report_relative(image);
    }
}

/// With `--pack-dyn-relocs=android`: the packed relocations, if layout must be repeated with them.
pub fn pack_relocations(image: &Image) -> Option<Vec<u8>> {
    let is_wanted = image.cx.config.android_relocations && image.sizes.relocations.rela_dyn_size() > 0;
    if is_wanted { android::pack(image) } else { None }
}

/// Makes room for packed relocations.
pub fn set_packed(sizes: &mut Sizes, outputs: &mut Outputs, packed: Vec<u8>) {
    let is_it = |section: &&mut OutputSection| {
        section.members.first().is_some_and(|member| member.content == Content::Chunk(Chunk::RelaDyn))
    };
    let section = outputs.sections.iter_mut().find(is_it);
    if let Some(section) = section {
        section.size = packed.len() as u64;
        section.members.iter_mut().for_each(|member| member.size = packed.len() as u64);
    }
    sizes.packed = packed;
}

/// Encodes `.relr.dyn` from the addresses of this layout; returns true if it got longer and layout must be repeated.
pub fn update_relr(
    sizes: &mut Sizes,
    outputs: &mut Outputs,
    inputs: &Inputs,
    selection: &Selection,
    scan: &Scan,
    sections: &[u64],
    got: u64,
) -> bool {
    let section_of = |id: SectionId| sections[id.index()];
    relocations::update_relr(sizes, outputs, inputs, selection, scan, section_of, got)
}
