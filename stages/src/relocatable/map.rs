//! The link map of `-r` (`-Map`, `-M`): which section of which input went to which section of the output.
//!
//! The columns are those of [`crate::map_file`]. There are no addresses yet: what stands there are offsets in the output
//! section. Sections the linker makes, tables and relocations among them, are not listed unless they have contents of
//! their own.

use super::sections::Joined;
use super::symbols::Source;
use crate::map_file::{INPUT, SYMBOL, heading, line, save, symbols_of};
use crate::report::Failed;
use object::LittleEndian as LE;

/// Writes the map and the cross reference table, if the options ask for them.
pub fn write(source: &Source, joined: &Joined) -> Result<(), Failed> {
    let Source { cx, inputs, symbols, selection, .. } = *source;
    let mut text = String::new();
    if cx.config.map_file.is_some() {
        heading(&mut text);
        sections(source, joined, &mut text);
    }
    save(cx, inputs, symbols, selection, text)
}

fn sections(source: &Source, joined: &Joined, text: &mut String) {
    let objects = &source.selection.objects;
    let symbols: Vec<Vec<(u32, u64, usize)>> = source.cx.pool.map("map", objects.len(), 4, |position| {
        symbols_of(source.selection, source.inputs.object(objects[position]))
    });
    for section in &joined.sections {
        let name = String::from_utf8_lossy(section.name);
        line(text, 0, section.size, 1 << section.align_log2, 0, &name);
        if !section.made.is_empty() {
            line(text, 0, section.size, 1 << section.align_log2, INPUT, &format!("<internal>:({name})"));
        }
        for member in &section.members {
            let object = source.inputs.object(objects[member.position as usize]);
            let index = member.section as usize;
            let name = String::from_utf8_lossy(object.section_name(index));
            let align = object.sections[index].align();
            line(text, member.offset, member.size, align, INPUT, &format!("{}:({name})", object.origin));
            let list = &symbols[member.position as usize];
            let first = list.partition_point(|(section, ..)| *section < member.section);
            let own = list[first..].iter().take_while(|(section, ..)| *section == member.section);
            for (_, value, symbol) in own {
                let size = object.symbols[*symbol].st_size.get(LE);
                let name = source.cx.symbol_text(object.symbol_name(*symbol));
                line(text, member.offset.wrapping_add(*value), size, 1, SYMBOL, &name);
            }
        }
    }
}
