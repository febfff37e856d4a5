//! `--unique`: input sections that share their output section with nobody (GNU ld manual, "--unique").
//!
//! A section that a pattern names, or without a pattern one that GNU ld's default script does not mention, gets an output
//! section by itself that is called what the input section is called.

use super::names::{KeptPrefixes, is_debug_name, output_name};
use crate::config::{Config, OutputKind};
use crate::model::{Object, OutputName, SectionKind};
use crate::script::glob::Glob;

/// Gives the sections that are to stay apart output sections of their own.
pub(super) fn keep_apart(config: &Config, object: &mut Object) -> Result<(), String> {
    let ordering = &config.ordering;
    let globs: Vec<Glob> = ordering.unique.iter().map(|pattern| Glob::new(pattern)).collect();
    let is_relocatable = config.kind == OutputKind::Relocatable;
    for index in 1..object.sections.len() {
        let name = object.section_name(index);
        let section = &mut object.sections[index];
        let is_named = || globs.iter().any(|glob| glob.matches(name));
        let is_orphan = || ordering.unique_orphans && is_orphan(name, section.is_alloc(), is_relocatable);
        if section.kind == SectionKind::Ignored || section.kind.is_unwind() || !is_named() && !is_orphan() {
            continue;
        }
        let slot = u16::try_from(object.outputs.len())
            .map_err(|_| "more than 65,535 different output sections".to_string())?;
        object.outputs.push(OutputName { name, is_alloc: section.is_alloc() });
        object.apart.push(slot);
        section.output = slot;
        section.order = 0;
    }
    Ok(())
}

/// Whether GNU ld's default script does not say where a section goes. That of `-r` knows fewer names.
fn is_orphan(name: &'static [u8], is_alloc: bool, is_relocatable: bool) -> bool {
    const MENTIONED: [&[u8]; 14] = [
        b".text",
        b".rodata",
        b".data",
        b".bss",
        b".tdata",
        b".tbss",
        b".init",
        b".fini",
        b".interp",
        b".eh_frame",
        b".rodata1",
        b".data1",
        b".jcr",
        b".comment",
    ];
    let is_renamed = !is_relocatable && output_name(name, KeptPrefixes::default()) != name;
    !(is_renamed || MENTIONED.contains(&name) || is_array(name) || !is_alloc && is_debug_name(name))
}

/// Sections that both scripts gather by name.
fn is_array(name: &[u8]) -> bool {
    const GATHERED: [&[u8]; 12] = [
        b".init_array",
        b".fini_array",
        b".preinit_array",
        b".ctors",
        b".dtors",
        b".data.rel.ro",
        b".bss.rel.ro",
        b".gcc_except_table",
        b".lrodata",
        b".ldata",
        b".lbss",
        b".exception_ranges",
    ];
    GATHERED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_are_what_the_script_does_not_mention() {
        for (name, expected, in_relocatable) in [
            (&b".text"[..], false, false),
            (b".text.f", false, true),
            (b".data.rel.ro.local", false, true),
            (b".init_array.5", false, true),
            (b".init_array", false, false),
            (b"mine", true, true),
            (b".note.ABI-tag", true, true),
        ] {
            assert_eq!(is_orphan(name, true, false), expected, "{}", String::from_utf8_lossy(name));
            assert_eq!(is_orphan(name, true, true), in_relocatable, "{}", String::from_utf8_lossy(name));
        }
        assert!(!is_orphan(b".debug_info", false, false));
    }
}
