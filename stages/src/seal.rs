//! Turns what flow 1 produced into [`Inputs`]: files in command-line order, names replaced by ids.
//!
//! Files arrive in any order; each goes to the place of its rank. Ids of names are read back from the arrays that
//! the shards filled. `--wrap` is applied here, on ids: it is a matter of which name a reference means.

use crate::context::Cx;
use crate::elf::c_string;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, Object, SymbolId};
use crate::open::Opened;
use object::LittleEndian as LE;
use object::elf::SHN_UNDEF;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A parsed file whose names are on their way to ids.
#[derive(Debug)]
pub struct Parsed {
    /// The file.
    pub file: File,
    /// The ids of its batch.
    pub ids: Arc<[AtomicU32]>,
    /// Where those of this file start.
    pub first_id: u32,
}

/// Puts the files in order and fills in their ids.
pub fn seal(cx: &Cx, parsed: Vec<Parsed>, symbols: &mut Symbols, opened: &Opened) -> Inputs {
    let mut slots: Vec<Option<Parsed>> = Vec::new();
    slots.resize_with(opened.files as usize, || None);
    for parsed in parsed {
        let id = match &parsed.file {
            File::Object(object) => object.id,
            File::Shared(shared) => shared.id,
        };
        slots[id.index()] = Some(parsed);
    }
    // A file that failed to parse leaves a gap; the link stops before anybody can meet it.
    let mut files: Vec<Parsed> = slots.into_iter().flatten().collect();
    let wraps: Vec<Wrap> = cx.config.wraps.iter().map(|name| Wrap::new(name, symbols)).collect();
    cx.pool.for_each_mut("seal", &mut files, 16, |_, parsed| {
        let id = |slot: u32| SymbolId(parsed.ids[(parsed.first_id + slot) as usize].load(Ordering::Relaxed));
        match &mut parsed.file {
            File::Object(object) => fill_object(object, id, &wraps),
            File::Shared(shared) => {
                for symbol in shared.defined.iter_mut().chain(&mut shared.undefined) {
                    if symbol.id != SymbolId::NONE {
                        symbol.id = SymbolId(parsed.ids[symbol.id.index()].load(Ordering::Relaxed));
                    }
                }
            }
        }
    });
    let mut inputs = Inputs {
        files: Vec::with_capacity(files.len()),
        section_bound: 0,
        objects: Vec::new(),
        shared: Vec::new(),
    };
    let mut asks_for_versions = false;
    for parsed in files {
        let mut file = parsed.file;
        let id = FileId(inputs.files.len() as u32);
        match &mut file {
            File::Object(object) => {
                object.id = id;
                asks_for_versions |= object.asks_for_versions;
                object.section_base = inputs.section_bound as u32;
                inputs.section_bound += object.headers.len();
                inputs.objects.push(id);
                let is_forced = |(first, end): &(FileId, FileId)| *first <= id && id < *end;
                if opened.forced.iter().any(is_forced) {
                    object.is_lazy = false;
                }
            }
            File::Shared(shared) => {
                shared.id = id;
                inputs.shared.push(id);
                if opened.needed.contains(&id) {
                    shared.as_needed = false;
                }
            }
        }
        inputs.files.push(file);
    }
    if asks_for_versions {
        find_versioned(&mut inputs, symbols);
    }
    merge_equal_sonames(&mut inputs);
    inputs
}

fn fill_object(object: &mut Object, id: impl Fn(u32) -> SymbolId, wraps: &[Wrap]) {
    let own_names = object.groups.iter().filter(|group| group.signature == SymbolId::NONE).count() as u32;
    let globals = object.symbols.len() as u32 - object.first_global.min(object.symbols.len() as u32);
    object.ids = (0..globals).map(|n| id(own_names + n)).collect();
    let mut own_name = 0;
    for group in &mut object.groups {
        group.signature = match group.signature {
            SymbolId::NONE => {
                own_name += 1;
                id(own_name - 1)
            }
            SymbolId(symbol) => object.ids[(symbol - object.first_global) as usize],
        };
    }
    for wrap in wraps {
        for (n, symbol) in object.ids.iter_mut().enumerate() {
            let is_reference = object.symbols[object.first_global as usize + n].st_shndx.get(LE) == SHN_UNDEF;
            if is_reference {
                *symbol = wrap.apply(*symbol);
            }
        }
    }
}

/// Finds what shared objects define under the names with versions that objects ask for.
fn find_versioned(inputs: &mut Inputs, symbols: &Symbols) {
    for file in &mut inputs.files {
        let File::Shared(shared) = file else { continue };
        let mut full = Vec::new();
        for symbol in &mut shared.defined {
            let version = shared.versions.get(usize::from(symbol.version)).copied().unwrap_or_default();
            if symbol.version == 0 || version.is_empty() {
                continue;
            }
            let name = shared.symbols[symbol.index as usize].st_name.get(LE) as usize;
            full.clear();
            full.extend_from_slice(c_string(shared.strtab, name));
            full.push(b'@');
            full.extend_from_slice(version);
            symbol.versioned_id = symbols.find(&full).unwrap_or(SymbolId::NONE);
        }
    }
}

/// `--wrap=NAME`: references to NAME mean `__wrap_NAME`, those to `__real_NAME` mean NAME.
struct Wrap {
    name: SymbolId,
    wrapper: SymbolId,
    real: Option<SymbolId>,
}

impl Wrap {
    fn new(name: &[u8], symbols: &mut Symbols) -> Wrap {
        Wrap {
            name: symbols.add(name),
            wrapper: symbols.add(&[b"__wrap_", name].concat()),
            real: symbols.find(&[b"__real_", name].concat()),
        }
    }
    fn apply(&self, id: SymbolId) -> SymbolId {
        if id == self.name {
            self.wrapper
        } else if Some(id) == self.real {
            self.name
        } else {
            id
        }
    }
}

/// Two mentions of one library under different paths: the first one stands, `--as-needed` only if both say so.
fn merge_equal_sonames(inputs: &mut Inputs) {
    let mut first: std::collections::HashMap<&'static [u8], FileId> = std::collections::HashMap::new();
    let mut needed: Vec<FileId> = Vec::new();
    for id in &inputs.shared {
        let shared = inputs.shared_object(*id);
        let original = *first.entry(shared.soname).or_insert(*id);
        if original != *id && !shared.as_needed {
            needed.push(original);
        }
    }
    for id in needed {
        if let File::Shared(shared) = &mut inputs.files[id.index()] {
            shared.as_needed = false;
        }
    }
}
