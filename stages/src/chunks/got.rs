//! `.got` and `.got.plt`: what each slot holds before the loader comes, and what the loader must do to it.

use crate::arch::target::{dynamic as rel, plan::Facts};
use crate::image::Image;
use crate::model::SymbolId;
use crate::scan::SymbolFacts;
use crate::tables::{GotSlot, PltPlace, SymbolRef};

/// What the loader does to a slot of `.got`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixup {
    /// Nothing.
    None,
    /// Adds the load address.
    Relative,
    /// Applies this type against the symbol.
    Symbolic(u32, SymbolId),
    /// Applies this type against no symbol; the addend is the offset in the TLS block.
    Module(u32),
}

/// What kind of output decides about slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub is_pic: bool,
    pub is_shared: bool,
}

/// What the loader does to a slot.
pub(super) fn fixup(slot: GotSlot, kind: Kind, facts: impl Fn(SymbolRef) -> Facts) -> Fixup {
    let global = |reference: SymbolRef| match reference {
        SymbolRef::Global(id) if facts(reference).has(Facts::PREEMPTIBLE) => Some(id),
        _ => None,
    };
    match slot {
        GotSlot::Address(reference) => match global(reference) {
            Some(id) => Fixup::Symbolic(rel::GLOB_DAT, id),
            None if facts(reference).has(Facts::ABSOLUTE) || !kind.is_pic => Fixup::None,
            None => Fixup::Relative,
        },
        GotSlot::ThreadOffset(reference) => match global(reference) {
            Some(id) => Fixup::Symbolic(rel::TPOFF, id),
            None if kind.is_shared => Fixup::Module(rel::TPOFF),
            None => Fixup::None,
        },
        GotSlot::Module(reference) => match global(reference) {
            Some(id) => Fixup::Symbolic(rel::DTPMOD, id),
            None if kind.is_shared => Fixup::Module(rel::DTPMOD),
            None => Fixup::None,
        },
        GotSlot::ModuleOffset(reference) => match global(reference) {
            Some(id) => Fixup::Symbolic(rel::DTPOFF, id),
            None => Fixup::None,
        },
        GotSlot::ThisModule if kind.is_shared => Fixup::Module(rel::DTPMOD),
        GotSlot::ThisModule | GotSlot::Zero => Fixup::None,
        GotSlot::Descriptor(reference) => match global(reference) {
            Some(id) => Fixup::Symbolic(rel::TLSDESC, id),
            None => Fixup::Module(rel::TLSDESC),
        },
    }
}

/// Facts of a symbol in the GOT, when addresses are not known yet.
pub(super) fn early_facts<'a>(
    facts: &'a SymbolFacts,
    local: impl Fn(u32, u32) -> Facts + 'a,
) -> impl Fn(SymbolRef) -> Facts + 'a {
    move |reference| match reference {
        SymbolRef::Global(id) => facts.get(id),
        SymbolRef::Local(object, symbol) => local(object, symbol),
    }
}

/// The offset of a symbol in the module's TLS block.
pub(super) fn module_offset(image: &Image, reference: SymbolRef) -> u64 {
    image.address(reference).wrapping_sub(image.layout.tls_start())
}

pub(super) fn write_got(image: &Image, out: &mut [u8]) {
    let mut previous = GotSlot::Zero;
    for (slot, out) in image.tables.got.iter().zip(out.chunks_exact_mut(8)) {
        let is_preemptible = |reference| image.facts(reference).has(Facts::PREEMPTIBLE);
        let value = match *slot {
            GotSlot::Address(reference) if !is_preemptible(reference) => image.address(reference),
            GotSlot::ThreadOffset(reference)
                if !is_preemptible(reference) && !image.cx.config.is_shared() =>
            {
                image.address(reference).wrapping_sub(image.layout.thread_pointer())
            }
            GotSlot::ModuleOffset(reference) if !is_preemptible(reference) => module_offset(image, reference),
            // Without addends the loader finds here what to add.
            GotSlot::ThreadOffset(reference) if !is_preemptible(reference) && image.cx.config.z.rel => {
                module_offset(image, reference)
            }
            // That of a descriptor stands in its second slot.
            GotSlot::Zero if image.cx.config.z.rel => match previous {
                GotSlot::Descriptor(reference) if !is_preemptible(reference) => {
                    module_offset(image, reference)
                }
                _ => 0,
            },
            // The executable is always module 1.
            GotSlot::Module(_) | GotSlot::ThisModule if !image.cx.config.is_shared() => 1,
            _ => 0,
        };
        out.copy_from_slice(&value.to_le_bytes());
        previous = *slot;
    }
}

pub(super) fn write_got_plt(image: &Image, out: &mut [u8]) {
    let bases = &image.addresses.bases;
    let mut put =
        |index: usize, value: u64| out[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
    if let Some((_, address)) = image.section(b".dynamic") {
        put(0, address);
    }
    let reserved = crate::arch::target::GOT_PLT_RESERVED as usize;
    for n in 0..image.tables.lazy.len() {
        // Until it is bound, a slot leads back to the half of its entry that calls the resolver.
        if let Some(offset) = bases.form.resolver_offset() {
            let entry = bases.plt + bases.plt_header + n as u64 * bases.form.entry_size();
            put(reserved + n, entry + offset);
        }
    }
    for (n, reference) in image.tables.ifuncs.iter().enumerate() {
        debug_assert_eq!(image.slots(*reference).plt, PltPlace::Ifunc(n as u32));
        put(reserved + image.tables.lazy.len() + n, image.resolver_address(*reference));
    }
}
