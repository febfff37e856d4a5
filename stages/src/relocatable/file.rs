//! The file: headers, offsets, and which part of it who writes.
//!
//! In file order: the ELF header, the sections, their relocations, groups, the symbol table and its strings, the
//! section header table. Section headers stand in another order, because a group's must come before those of its members
//! (gABI, "Section Groups"): groups, then each section followed by its relocations, then the tables.
//!
//! With 65,280 sections or more, indices do not fit 16 bits: the ELF header's `e_shnum` and `e_shstrndx` move to the null
//! section header, those of symbols to SHT_SYMTAB_SHNDX.

use super::relocations::ENTRY_BYTES;
use super::sections::Joined;
use super::symbols::{Part, Source, Table};
use crate::account::relocatable;
use crate::elf::write::{HEADER_BYTES, Header, file_header, section_header};
use crate::outputs::OutputSection;
use crate::report::Problem;
use object::LittleEndian as LE;
use object::elf::{
    SHF_GNU_RETAIN, SHF_GROUP, SHF_INFO_LINK, SHN_LORESERVE, SHT_GROUP, SHT_NOBITS, SHT_RELA, SHT_STRTAB,
    SHT_SYMTAB, SHT_SYMTAB_SHNDX, STT_SECTION,
};
use std::collections::HashMap;

/// Bytes of a symbol.
const SYMBOL_BYTES: u64 = 24;

/// What to write somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Bytes that are ready: index in [`FilePlan::ready`].
    Ready(u32),
    /// What the linker made of an output section.
    Made(u32),
    /// Contents of a member of an output section.
    Contents(u32, u32),
    /// Relocations of a member.
    Relocations(u32, u32),
    /// Symbols.
    Symbols(Part),
    /// Section indices of symbols.
    Indices(Part),
    /// Names of symbols.
    Names(Part),
}

/// A part of the file.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub what: What,
}

/// The file in the making.
#[derive(Debug, Default)]
pub struct FilePlan {
    /// By ascending offset, without overlaps.
    pub items: Vec<Item>,
    /// Bytes that are ready.
    pub ready: Vec<Vec<u8>>,
    /// Index of the section header of each output section, then of each group.
    pub headers: Vec<u32>,
    /// Bytes of the file.
    pub size: u64,
}

/// Gives everything its place.
pub fn plan(source: &Source, joined: &Joined, table: &Table) -> FilePlan {
    let mut names = Names::default();
    let mut plan = FilePlan { size: HEADER_BYTES, ..FilePlan::default() };
    plan.ready.push(Vec::new());
    plan.items.push(Item { offset: 0, size: HEADER_BYTES, what: What::Ready(0) });

    // Numbers first: everything refers to them.
    let mut next = 1 + joined.groups.len() as u32;
    for section in &joined.sections {
        plan.headers.push(next);
        next += if section.relocations > 0 { 2 } else { 1 };
    }
    plan.headers.extend(1..=joined.groups.len() as u32);
    let symtab = next;
    let has_indices = symtab >= u32::from(SHN_LORESERVE);
    let strtab = symtab + 1 + u32::from(has_indices);
    let shstrtab = strtab + 1;
    let mut headers = vec![Header::default(); shstrtab as usize + 1];

    contents(joined, &mut names, &mut plan, &mut headers);
    relocations(joined, symtab, &mut names, &mut plan, &mut headers);
    groups(source, joined, table, symtab, &mut names, &mut plan, &mut headers);

    let parts = table.parts();
    plan.align(8);
    headers[symtab as usize] = Header {
        name: names.add(b".symtab"),
        sh_type: SHT_SYMTAB,
        offset: plan.size,
        size: u64::from(table.count) * SYMBOL_BYTES,
        link: strtab,
        info: table.first_global,
        align: 8,
        entsize: SYMBOL_BYTES,
        ..Header::default()
    };
    parts.iter().for_each(|(part, _, count, ..)| plan.append(count * SYMBOL_BYTES, What::Symbols(*part)));
    if has_indices {
        headers[symtab as usize + 1] = Header {
            name: names.add(b".symtab_shndx"),
            sh_type: SHT_SYMTAB_SHNDX,
            offset: plan.size,
            size: u64::from(table.count) * 4,
            link: symtab,
            align: 4,
            entsize: 4,
            ..Header::default()
        };
        parts.iter().for_each(|(part, _, count, ..)| plan.append(count * 4, What::Indices(*part)));
    }
    headers[strtab as usize] = Header {
        name: names.add(b".strtab"),
        sh_type: SHT_STRTAB,
        offset: plan.size,
        size: table.names_size,
        align: 1,
        ..Header::default()
    };
    parts.iter().for_each(|(part, .., size)| plan.append(*size, What::Names(*part)));
    let name = names.add(b".shstrtab");
    let (offset, size) = (plan.size, names.bytes.len() as u64);
    headers[shstrtab as usize] =
        Header { name, sh_type: SHT_STRTAB, offset, size, align: 1, ..Header::default() };
    if size > u64::from(u32::MAX) {
        source.cx.problems.push(Problem::error("the names of all sections are more than 4 GiB"));
    }
    plan.append_ready(names.bytes);

    plan.align(8);
    let table_offset = plan.size;
    if headers.len() >= usize::from(SHN_LORESERVE) {
        headers[0].size = headers.len() as u64;
    }
    if shstrtab >= u32::from(SHN_LORESERVE) {
        headers[0].link = shstrtab;
    }
    plan.append_ready(headers.iter().flat_map(section_header).collect());
    let is_gnu = table.is_gnu || joined.sections.iter().any(|s| s.flags & SHF_GNU_RETAIN != 0);
    plan.ready[0] = file_header(table_offset, headers.len() as u32, shstrtab, is_gnu);
    plan
}

impl FilePlan {
    fn align(&mut self, align: u64) {
        self.size = self.size.checked_next_multiple_of(align).unwrap_or(u64::MAX);
    }
    fn append(&mut self, size: u64, what: What) {
        if size > 0 {
            self.items.push(Item { offset: self.size, size, what });
        }
        self.size = self.size.saturating_add(size);
    }
    fn append_ready(&mut self, bytes: Vec<u8>) {
        self.append(bytes.len() as u64, What::Ready(self.ready.len() as u32));
        self.ready.push(bytes);
    }
}

/// Says in a traced link whose bytes the file consists of.
pub fn account(source: &Source, joined: &Joined, plan: &FilePlan, tasks: &[&[Item]]) {
    let object = |position: u32| source.selection.objects[position as usize].0;
    let extent = |item: &Item| {
        let (section, owner, is_symbols) = match item.what {
            What::Ready(_) => (None, None, false),
            What::Made(n) => (Some(n), None, false),
            What::Contents(n, m) | What::Relocations(n, m) => {
                let member = joined.sections[n as usize].members[m as usize];
                (Some(n), Some(object(member.position)), false)
            }
            What::Symbols(part) | What::Indices(part) | What::Names(part) => match part {
                Part::Locals(position) | Part::Globals(position) => (None, Some(object(position)), true),
                Part::Sections | Part::Forced => (None, None, true),
            },
        };
        relocatable::Extent { offset: item.offset, size: item.size, section, is_symbols, owner }
    };
    let sections = joined.sections.iter().map(|s| OutputSection::new(s.name, s.sh_type, s.flags));
    let tasks = tasks.iter().map(|items| items.iter().map(extent).collect());
    relocatable::account(source.cx, &source.cx.config.output, plan.size, sections, tasks);
}

fn contents(joined: &Joined, names: &mut Names, plan: &mut FilePlan, headers: &mut [Header]) {
    for (n, section) in joined.sections.iter().enumerate() {
        let align = 1u64 << section.align_log2;
        if section.sh_type != SHT_NOBITS && section.size > 0 {
            plan.align(align);
        }
        // The name of the relocations ends with that of the section.
        let name =
            if section.relocations > 0 { names.add_relocated(section.name) } else { names.add(section.name) };
        headers[plan.headers[n] as usize] = Header {
            name,
            sh_type: section.sh_type,
            flags: section.flags.into(),
            offset: plan.size,
            size: section.size,
            link: section.link.map_or(0, |output| plan.headers[output as usize]),
            info: 0,
            align,
            entsize: section.entsize,
        };
        if section.sh_type == SHT_NOBITS {
            continue;
        }
        let start = plan.size;
        for (m, member) in section.members.iter().enumerate() {
            if member.size > 0 {
                let what = What::Contents(n as u32, m as u32);
                plan.items.push(Item { offset: start + member.offset, size: member.size, what });
            }
        }
        if !section.made.is_empty() {
            plan.items.push(Item { offset: start, size: section.size, what: What::Made(n as u32) });
        }
        plan.size = start.saturating_add(section.size);
    }
}

fn relocations(joined: &Joined, symtab: u32, names: &mut Names, plan: &mut FilePlan, headers: &mut [Header]) {
    plan.align(8);
    for (n, section) in joined.sections.iter().enumerate() {
        if section.relocations == 0 {
            continue;
        }
        let target = plan.headers[n];
        headers[target as usize + 1] = Header {
            name: names.add_relocated(section.name) - b".rela".len() as u32,
            sh_type: SHT_RELA,
            flags: (SHF_INFO_LINK | section.flags & SHF_GROUP).into(),
            offset: plan.size,
            size: section.relocations * ENTRY_BYTES,
            link: symtab,
            info: target,
            align: 8,
            entsize: ENTRY_BYTES,
        };
        let start = plan.size;
        for (m, member) in section.members.iter().enumerate() {
            let end = section.members.get(m + 1).map_or(section.relocations, |next| next.first_relocation);
            let count = end - member.first_relocation;
            if count > 0 {
                let offset = start + member.first_relocation * ENTRY_BYTES;
                let what = What::Relocations(n as u32, m as u32);
                plan.items.push(Item { offset, size: count * ENTRY_BYTES, what });
            }
        }
        plan.size = start + section.relocations * ENTRY_BYTES;
    }
}

fn groups(
    source: &Source,
    joined: &Joined,
    table: &Table,
    symtab: u32,
    names: &mut Names,
    plan: &mut FilePlan,
    headers: &mut [Header],
) {
    for (n, group) in joined.groups.iter().enumerate() {
        let object = source.inputs.object(source.selection.objects[group.position as usize]);
        let symbol = object.headers[group.section as usize].sh_info.get(LE) as usize;
        let signature = match object.symbols.get(symbol) {
            None => 0,
            Some(entry) if entry.st_type() == STT_SECTION && symbol < object.first_global as usize => {
                let place = joined.place(object, object.symbol_section(symbol) as usize);
                table.section_symbol(place.output).unwrap_or(0)
            }
            Some(_) => table.number(object, group.position as usize, symbol),
        };
        if signature == 0 {
            let message =
                format!("{}: section group {} has no signature in the output", object.origin, group.section);
            source.cx.problems.push(Problem::error(message).at(object.id.0, group.section.into()));
        }
        let mut words = vec![group.flags];
        for output in &group.members {
            let header = plan.headers[*output as usize];
            words.push(header);
            if joined.sections[*output as usize].relocations > 0 {
                words.push(header + 1);
            }
        }
        plan.align(4);
        headers[n + 1] = Header {
            name: names.add(object.section_name(group.section as usize)),
            sh_type: SHT_GROUP,
            offset: plan.size,
            size: words.len() as u64 * 4,
            link: symtab,
            info: signature,
            align: 4,
            entsize: 4,
            ..Header::default()
        };
        plan.append_ready(words.iter().flat_map(|word| word.to_le_bytes()).collect());
    }
}

/// `.shstrtab`: each name once, `.rela` in front of those that have relocations.
struct Names {
    bytes: Vec<u8>,
    offsets: HashMap<(&'static [u8], bool), u32>,
}

impl Default for Names {
    fn default() -> Names {
        Names { bytes: vec![0], offsets: HashMap::new() }
    }
}

impl Names {
    fn add(&mut self, name: &'static [u8]) -> u32 {
        if let Some(offset) = self.offsets.get(&(name, true)) {
            return *offset;
        }
        *self.offsets.entry((name, false)).or_insert_with(|| append_name(&mut self.bytes, &[], name))
    }
    /// The offset of a name that `.rela` stands in front of.
    fn add_relocated(&mut self, name: &'static [u8]) -> u32 {
        *self.offsets.entry((name, true)).or_insert_with(|| append_name(&mut self.bytes, b".rela", name))
    }
}

fn append_name(bytes: &mut Vec<u8>, prefix: &[u8], name: &[u8]) -> u32 {
    bytes.extend_from_slice(prefix);
    let offset = bytes.len() as u32;
    bytes.extend_from_slice(name);
    bytes.push(0);
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_relocations_end_with_those_of_their_sections() {
        let mut names = Names::default();
        let text = names.add_relocated(b".text");
        assert_eq!(names.add(b".text"), text);
        assert_eq!(names.add_relocated(b".text"), text);
        let data = names.add(b".data");
        assert_eq!(names.bytes, b"\0.rela.text\0.data\0");
        assert_eq!((text, data), (6, 12));
    }
}
