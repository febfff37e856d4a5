//! `.debug_names` (DWARF 5, 6.1.1), in the 32-bit format.

use crate::debug_names::{DebugNames, PartKind, UnitPlace};
use crate::image::Image;
use crate::model::SectionKind;

/// Writes a part; `out` has its size.
pub(super) fn write(image: &Image, names: &DebugNames, part: usize, out: &mut [u8]) {
    let table = &names.table;
    let part = table.parts[part];
    match part.kind {
        PartKind::Head => write_head(image, names, out),
        PartKind::Hashes => put_words(out, table.buckets.iter().chain(&table.hashes).copied()),
        PartKind::Strings => {
            let list = &table.names[part.first..][..out.len() / 4];
            put_words(out, list.iter().map(|name| text_offset(image, name.object, name.place)));
        }
        PartKind::Offsets => {
            let (offsets, abbreviations) = out.split_at_mut(table.offsets.len() * 4);
            put_words(offsets, table.offsets.iter().copied());
            abbreviations.copy_from_slice(&table.abbreviations);
        }
        PartKind::Entries => out.copy_from_slice(&table.pool[part.first]),
    }
}

fn put_words(out: &mut [u8], words: impl Iterator<Item = u32>) {
    for (word, out) in words.zip(out.chunks_exact_mut(4)) {
        out.copy_from_slice(&word.to_le_bytes());
    }
}

/// Length, header, lists of units.
fn write_head(image: &Image, names: &DebugNames, out: &mut [u8]) {
    let table = &names.table;
    let offset = |(section, offset): &UnitPlace| (image.addresses.sections[section.index()] + offset) as u32;
    let mut head = ((table.size - 4) as u32).to_le_bytes().to_vec();
    head.extend_from_slice(&table.header);
    let units = names.objects.iter().flat_map(|object| &object.units);
    let types = names.objects.iter().flat_map(|object| &object.types);
    head.extend(units.chain(types).flat_map(|unit| offset(unit).to_le_bytes()));
    let foreign = names.objects.iter().flat_map(|object| &object.foreign);
    head.extend(foreign.flat_map(|signature| signature.to_le_bytes()));
    out.copy_from_slice(&head);
}

/// Where a text went in `.debug_str`.
fn text_offset(image: &Image, object: u32, (section, offset): (u32, u64)) -> u32 {
    let object = image.object(object as usize);
    let section = section as usize;
    match object.sections[section].kind {
        SectionKind::Merge => image.merged_address(object, section, offset) as u32,
        _ => (image.addresses.sections[object.section_id(section).index()] + offset) as u32,
    }
}
