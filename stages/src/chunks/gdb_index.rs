//! `.gdb_index` (GDB manual, appendix ".gdb_index section format"): numbers are little-endian on every machine.

use crate::gdb_index::{GdbIndex, ObjectIndex, Part, PartKind, Unit};
use crate::image::Image;

/// Version 8: the names of a type unit belong to it and not to the units that use the type.
const VERSION: u32 = 8;

/// Writes a part; `out` has its size.
pub(super) fn write(image: &Image, index: &GdbIndex, part: usize, out: &mut [u8]) {
    let part = index.table.parts[part];
    match part.kind {
        PartKind::Units => write_units(image, index, out),
        PartKind::Ranges => write_ranges(image, &index.objects[part.first..part.end], out),
        PartKind::Slots => {
            let slots = &index.table.slots[part.first..part.end];
            for ((name, vector), out) in slots.iter().zip(out.chunks_exact_mut(8)) {
                out[..4].copy_from_slice(&name.to_le_bytes());
                out[4..].copy_from_slice(&vector.to_le_bytes());
            }
        }
        PartKind::Vectors => {
            let words = &index.table.vectors[part.first..part.end];
            for (word, out) in words.iter().zip(out.chunks_exact_mut(4)) {
                out.copy_from_slice(&word.to_le_bytes());
            }
        }
        PartKind::Names => write_names(index, part, out),
    }
}

/// The header and the lists of units.
fn write_units(image: &Image, index: &GdbIndex, out: &mut [u8]) {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&VERSION.to_le_bytes());
    for area in index.table.areas {
        put(&area.to_le_bytes());
    }
    let all = || index.objects.iter().flat_map(|object| &object.units);
    let place = |unit: &Unit| image.addresses.sections[unit.section.index()] + unit.offset;
    for unit in all().filter(|unit| unit.type_unit.is_none()) {
        put(&place(unit).to_le_bytes());
        put(&unit.length.to_le_bytes());
    }
    for unit in all() {
        if let Some((type_offset, signature)) = unit.type_unit {
            put(&place(unit).to_le_bytes());
            put(&type_offset.to_le_bytes());
            put(&signature.to_le_bytes());
        }
    }
}

/// The address area of some objects.
fn write_ranges(image: &Image, objects: &[ObjectIndex], out: &mut [u8]) {
    let ranges = objects.iter().flat_map(|object| object.ranges.iter().map(move |range| (object, range)));
    for ((object, range), out) in ranges.zip(out.chunks_exact_mut(20)) {
        let address = image.addresses.sections[range.section.index()];
        out[..8].copy_from_slice(&(address + range.start).to_le_bytes());
        out[8..16].copy_from_slice(&(address + range.end).to_le_bytes());
        out[16..].copy_from_slice(&(object.first.0 + range.unit).to_le_bytes());
    }
}

/// Names, each with a NUL behind it, which is there already.
fn write_names(index: &GdbIndex, part: Part, mut out: &mut [u8]) {
    for name in &index.table.names[part.first..part.end] {
        for text in name.name.parts(&index.objects[name.object as usize]) {
            let (head, tail) = out.split_at_mut(text.len());
            head.copy_from_slice(text);
            out = tail;
        }
        out = &mut out[1..];
    }
}
