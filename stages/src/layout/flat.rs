//! The file without a format (`--oformat=binary`): what memory would hold, from the first loaded byte to the last.
//!
//! In: a [`Layout`] as for an ELF file without headers. The addresses stay; the offset of a section becomes its distance
//! from the lowest one. Sections that are not loaded have no place in such a file, zeros behind the last byte
//! neither. Gaps between sections are zeros.

use super::Layout;
use crate::outputs::OutputSection;
use object::elf::{SHF_ALLOC, SHF_TLS, SHT_NOBITS};

/// Turns offsets into distances from the lowest address.
///
/// # Errors
/// Two sections of which one would overwrite the other: their positions.
pub fn flatten(layout: &mut Layout, sections: &[OutputSection]) -> Result<(), (u32, u32)> {
    let section_at = |position: &u32| &sections[*position as usize];
    layout.order.retain(|position| section_at(position).has(SHF_ALLOC));
    let address_of = |position: &u32| layout.placements[*position as usize].address;
    layout.order.sort_by_key(address_of);
    let has_bytes =
        |position: &u32| section_at(position).sh_type != SHT_NOBITS && section_at(position).size > 0;
    let written: Vec<u32> = layout.order.iter().copied().filter(has_bytes).collect();
    for pair in written.windows(2) {
        if address_of(&pair[0]) + section_at(&pair[0]).size > address_of(&pair[1]) {
            return Err((pair[0], pair[1]));
        }
    }
    let base = written.first().map_or(0, address_of);
    let end = written.last().map_or(base, |last| address_of(last) + section_at(last).size);
    for (section, place) in sections.iter().zip(&mut layout.placements) {
        let is_block = !(section.has(SHF_TLS) && section.sh_type == SHT_NOBITS);
        if section.has(SHF_ALLOC) && is_block {
            place.offset = place.address.saturating_sub(base);
        }
    }
    layout.file_size = end - base;
    layout.section_headers = layout.file_size;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Placement, layout};
    use super::*;
    use crate::chunks::Chunk;
    use crate::layout::{Magic, Shape};
    use crate::outputs::Content;
    use object::elf::{SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS};

    fn section(name: &'static [u8], sh_type: u32, flags: u32, size: u64) -> OutputSection {
        let mut section = OutputSection::new(name, sh_type, flags);
        section.append(Content::Chunk(Chunk::Interpreter), size, 2);
        section
    }

    fn shape(magic: Magic) -> Shape {
        Shape {
            image_base: 0x1000,
            page_size: 0x1000,
            separate_code: true,
            separate_all: false,
            relro: false,
            now: false,
            stack: None,
            stack_size: 0,
            marks: Vec::new(),
            phdr: false,
            rodynamic: false,
            starts: vec![(b".data".to_vec(), 0x1100)],
            arrangement: Vec::new(),
            rodata_start: None,
            ldata_start: None,
            merge_rodata_with_code: false,
            execute_only: false,
            magic,
            has_headers: false,
            loads_headers: false,
        }
    }

    #[test]
    fn offsets_are_distances() {
        let sections = [
            section(b".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0x100),
            section(b".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 8),
            section(b".comment", SHT_PROGBITS, 0, 100),
            section(b".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 5),
        ];
        for magic in [Magic::Zmagic, Magic::Nmagic, Magic::Omagic] {
            let mut layout = layout(&sections, &shape(magic));
            flatten(&mut layout, &sections).unwrap();
            assert_eq!(layout.placements[3], Placement { address: 0x1000, offset: 0, index: 1 });
            assert_eq!(layout.placements[1], Placement { address: 0x1100, offset: 0x100, index: 2 });
            assert_eq!(layout.order, [3, 1, 0]);
            assert_eq!(layout.file_size, 0x108);
        }
    }

    #[test]
    fn overlapping_sections_are_told() {
        let sections = [
            section(b".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 8),
            section(b".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 0x101),
        ];
        let mut layout = layout(&sections, &shape(Magic::Zmagic));
        assert_eq!(flatten(&mut layout, &sections), Err((1, 0)));
    }
}
