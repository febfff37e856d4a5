//! Inflates compressed debug sections of the objects that are in (gABI, "Section Compression"; the older
//! `.zdebug_*` form).
//!
//! It waits until selection is over, so that members nobody needs cost nothing. What is only copied to the output waits
//! longer: it is inflated where it is written, and is nowhere else. Other inflated bytes live as long as mapped ones: to the
//! end of the process.

use crate::config::{Config, OutputKind, Strip};
use crate::context::Cx;
use crate::elf::compressed::CompressedError;
use crate::model::{File, Inputs, Object, SectionKind};
use crate::open::Used;
use crate::parse::put_wide_debug_last;
use crate::report::Problem;
use crate::select::Selection;
use object::elf::SHF_COMPRESSED;

/// Replaces the contents of compressed sections by what they stand for.
pub fn inflate(cx: &Cx, inputs: &mut Inputs, selection: &Selection) {
    let is_needed = |file: &File| match file {
        File::Object(object) => selection.live[object.id.index()] && !object.compressed.is_empty(),
        File::Shared(_) => false,
    };
    if !inputs.files.iter().any(is_needed) {
        return;
    }
    cx.pool.for_each_mut("inflate", &mut inputs.files, 1, |_, file| {
        if !is_needed(file) {
            return;
        }
        let File::Object(object) = file else { return };
        for index in std::mem::take(&mut object.compressed) {
            if let Err(what) = inflate_section(cx.config, object, index as usize) {
                cx.problems.push(failed(object, index, &what));
            }
        }
    });
}

/// The error for a section that cannot be inflated.
pub fn failed(object: &Object, index: u32, what: &CompressedError) -> Problem {
    let name = String::from_utf8_lossy(object.section_name(index as usize)).into_owned();
    Problem::error(format!("{}:({name}): {what}", object.origin)).at(object.id.0, u64::from(index))
}

/// Whether anything reads debug information but the stage that relocates it.
fn is_read(config: &Config) -> bool {
    config.kind == OutputKind::Relocatable
        || config.gdb_index
        || config.debug_names
        || config.emit_relocs
        || config.strip == Strip::NonLines
}

fn inflate_section(config: &Config, object: &mut Object, index: usize) -> Result<(), CompressedError> {
    let section = object.sections[index];
    if section.kind == SectionKind::Ignored {
        return Ok(());
    }
    let Some(compressed) = object.compression(index)? else { return Ok(()) };
    if matches!(object.section_name(index), b".debug_info" | b".zdebug_info") && compressed.size_bytes >= 4 {
        // What the format is could not be seen before.
        let mut first = [0; 4];
        compressed.first_bytes(&mut first)?;
        put_wide_debug_last(object, &first);
    }
    let entry_size = object.entry_size(index);
    let section = &mut object.sections[index];
    section.flags &= !SHF_COMPRESSED;
    if let Some(align) = compressed.alignment.filter(|a| a.is_power_of_two()) {
        section.align_log2 = align.trailing_zeros() as u8;
    }
    if section.kind.is_copied() && !section.is_alloc() && !is_read(config) {
        section.set_size(compressed.size_bytes as u64);
        object.packed.push((index as u32, compressed));
        return Ok(());
    }
    let mut bytes = vec![0; compressed.size_bytes];
    compressed.decompress_into(&mut bytes)?;
    Used::default().add(section.contents());
    section.set_contents(bytes.leak());
    if section.kind == SectionKind::Merge && !crate::parse::can_merge(section, entry_size) {
        section.kind = SectionKind::Regular;
    }
    Ok(())
}
