//! Which archive members and `--as-needed` libraries come in.
//!
//! A walk over files: a live object that needs a name brings in whoever would define it. A tentative
//! definition brings in an archive member with a real one (as GNU ld does, unless `--no-fortran-common` forbids it). A weak reference brings in nothing.
//! A shared object's own needs bring in archive members, unless one of its DT_NEEDED libraries is there to
//! fulfil them at run time.

use super::{Class, Provided, Resolution, is_common};
use crate::config::OutputKind;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, Object, SharedObject, SymbolId};
use object::LittleEndian as LE;
use object::elf::{SHN_UNDEF, STB_WEAK};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn extract(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    best: &Resolution,
    provided: &Provided,
) -> Vec<bool> {
    let live: Vec<AtomicBool> = inputs.files.iter().map(|f| AtomicBool::new(is_root(f))).collect();
    // A file that is not live yet and would define the symbol.
    let candidate = |id: SymbolId| -> Option<FileId> {
        let def = best.get(id);
        let is_candidate = matches!(def.class(), Class::Shared | Class::LazyCommon);
        (is_candidate && !live[def.file().index()].load(Ordering::Relaxed)).then(|| def.file())
    };
    let claim = |file: FileId| !live[file.index()].swap(true, Ordering::Relaxed);

    let mut roots: Vec<FileId> = (0..inputs.files.len() as u32)
        .map(FileId)
        .filter(|id| live[id.index()].load(Ordering::Relaxed))
        .collect();
    for id in wanted_by_options(cx, symbols, provided) {
        if let Some(file) = candidate(id)
            && matches!(inputs.files[file.index()], File::Object(_))
            && claim(file)
        {
            roots.push(file);
        }
    }
    let sonames: std::collections::HashMap<&[u8], FileId> =
        inputs.shared.iter().map(|id| (inputs.shared_object(*id).soname, *id)).collect();
    cx.pool.walk("select/extract", roots, |id: FileId, walk| match &inputs.files[id.index()] {
        File::Object(object) => {
            for needed in needs(object) {
                let Some(file) = candidate(needed.id) else { continue };
                let is_useful = match &inputs.files[file.index()] {
                    File::Object(member) => {
                        !needed.is_common
                            || cx.config.fortran_common
                                && best.get(needed.id).class() != Class::LazyCommon
                                && !member.id.eq(&object.id)
                    }
                    File::Shared(_) => !needed.is_common,
                };
                if is_useful && claim(file) {
                    walk.push(file);
                }
            }
        }
        File::Shared(shared) => {
            for symbol in &shared.undefined {
                let is_weak = shared.symbols[symbol.index as usize].st_bind() == STB_WEAK;
                let Some(file) = candidate(symbol.id).filter(|_| !is_weak) else { continue };
                let is_member = matches!(inputs.files[file.index()], File::Object(_));
                if is_member && !is_provided_by_needed(inputs, &sonames, shared, symbol.id) && claim(file) {
                    walk.push(file);
                }
            }
        }
    });
    live.into_iter().map(AtomicBool::into_inner).collect()
}

fn is_root(file: &File) -> bool {
    match file {
        File::Object(object) => !object.is_lazy,
        File::Shared(shared) => !shared.as_needed,
    }
}

/// Names that the command line asks for, in a way that brings in archive members.
fn wanted_by_options(cx: &Cx, symbols: &Symbols, provided: &Provided) -> Vec<SymbolId> {
    let config = cx.config;
    let entry = config.entry.as_deref().unwrap_or(if config.is_executable() { b"_start" } else { b"" });
    let names = config.undefined.iter().chain(&config.require_defined).map(Vec::as_slice);
    // Only a final link looks for code that runs by itself.
    let by_itself: &[&[u8]] =
        if config.kind == OutputKind::Relocatable { &[] } else { &[&config.init, &config.fini] };
    names
        .chain([entry])
        .chain(by_itself.iter().copied())
        .filter_map(|name| symbols.find(name))
        .chain(provided.wanted.iter().copied())
        .collect()
}

/// A symbol for which an object may bring in an archive member.
pub(crate) struct Need {
    /// Which.
    pub id: SymbolId,
    /// The object has a tentative definition of its own.
    pub is_common: bool,
}

/// The symbols for which an object may bring in archive members.
pub(crate) fn needs(object: &Object) -> impl Iterator<Item = Need> {
    let globals = object.symbols[object.first_global as usize..].iter();
    globals.zip(&object.ids).filter_map(|(symbol, id)| {
        let is_common = is_common(symbol);
        let is_needed = symbol.st_shndx.get(LE) == SHN_UNDEF && symbol.st_bind() != STB_WEAK;
        (is_needed || is_common).then_some(Need { id: *id, is_common })
    })
}

/// Whether a library that this one is linked against, and that takes part in the link, defines the name.
fn is_provided_by_needed(
    inputs: &Inputs,
    sonames: &std::collections::HashMap<&[u8], FileId>,
    shared: &SharedObject,
    id: SymbolId,
) -> bool {
    shared
        .needed
        .iter()
        .filter_map(|soname| sonames.get(soname))
        .any(|file| inputs.shared_object(*file).defined.iter().any(|symbol| symbol.id == id))
}
