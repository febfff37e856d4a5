//! `--zero-to-bss`: writable sections of zeros alone become zero-filled data.
//!
//! In: the sections of objects that are in. Out: those that hold nothing but zeros, that nothing is relocated in and that
//! have no place of their own to keep (`.data`, `.data.*`, `.tdata`) have become SHT_NOBITS and stand with `.bss` (thread-local
//! ones with `.tbss`, those of the large code model with `.lbss`). This comes before sections are sorted into the output, and
//! runs in no link without the option.

use crate::context::Cx;
use crate::model::{File, Inputs, Object, OutputName, Section, SectionKind};
use crate::select::Selection;
use object::elf::{SHF_TLS, SHF_WRITE};

/// The outputs whose sections may change, and where these go.
const MOVES: [(&[u8], &[u8]); 3] = [(b".data", b".bss"), (b".tdata", b".tbss"), (b".ldata", b".lbss")];

/// Turns such sections into zero-filled ones.
pub fn drop_zeros(cx: &Cx, inputs: &mut Inputs, selection: &Selection) {
    if !cx.config.zero_to_bss {
        return;
    }
    cx.pool.for_each_mut("zeros", &mut inputs.files, 8, |_, file| {
        if let File::Object(object) = file
            && selection.live[object.id.index()]
        {
            drop_of(object);
        }
    });
}

fn drop_of(object: &mut Object) {
    for index in 0..object.sections.len() {
        let section = &object.sections[index];
        if !may_move(section) {
            continue;
        }
        let from = object.outputs[usize::from(section.output)];
        let Some((_, to)) = MOVES.iter().find(|(name, _)| *name == from.name) else { continue };
        let Some(output) = slot(object, OutputName { name: to, is_alloc: true }) else { continue };
        let section = &mut object.sections[index];
        section.kind = SectionKind::NoBits;
        section.set_size(section.size());
        section.output = output;
    }
}

/// Whether a section holds zeros and nothing else.
fn may_move(section: &Section) -> bool {
    section.kind == SectionKind::Regular
        && section.is_alloc()
        && (section.has(SHF_WRITE) || section.has(SHF_TLS))
        && section.rela == 0
        && section.size() > 0
        && section.contents().iter().all(|byte| *byte == 0)
}

/// The number of an output of an object, added if there is none like it; `None` if it has too many.
fn slot(object: &mut Object, name: OutputName) -> Option<u16> {
    let known = object.outputs.iter().position(|output| *output == name);
    let is_shared = |slot: &usize| object.apart.binary_search(&(*slot as u16)).is_err();
    if let Some(slot) = known.filter(is_shared) {
        return u16::try_from(slot).ok();
    }
    let slot = u16::try_from(object.outputs.len()).ok()?;
    object.outputs.push(name);
    Some(slot)
}
