//! Which sections a program can tell from an equal one by address.
//!
//! LLVM writes what it knows into `.llvm_addrsig` (LLVM, "Extensions": SHT_LLVM_ADDRSIG): the numbers of the symbols
//! whose address the object makes use of, its own and other files'. A table that does not name its symbol table has
//! been through a tool that renumbered symbols and knew nothing of it; such a table counts for nothing.
//!
//! Objects without a table (GCC, rustc) are judged under `--icf=safe` by their relocations: what refers to a function
//! other than to call it takes its address ([`takes_address`]). For data there is no such difference, so any reference
//! counts. Under `--icf=all` only data matters, and all that such an object mentions is taken to be significant, as in
//! lld.
//!
//! What the output exports may be compared by anybody; so may what expressions of the command line mention.

use super::Sources;
use crate::arch::target::significance::takes_address;
use crate::arch::target::{self};
use crate::config::Icf;
use crate::context::Cx;
use crate::liveness::LiveSet;
use crate::model::{FileId, Object, SectionId, SymbolId};
use crate::report::Problem;
use object::LittleEndian as LE;
use object::elf::SHF_EXECINSTR;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// SHT_LLVM_ADDRSIG.
const SHT_LLVM_ADDRSIG: u32 = 0x6fff_4c03;

/// What must stay apart.
pub(super) struct Significance {
    /// By [`SectionId`]: somebody may compare its address.
    significant: Vec<bool>,
    /// Sections that `--keep-unique` names.
    unique: HashSet<SectionId>,
    /// Objects with a table that can be trusted.
    tables: HashSet<FileId>,
}

impl Significance {
    /// Whether somebody may compare a section's address.
    pub fn is_significant(&self, id: SectionId) -> bool {
        self.significant[id.index()]
    }
    /// Whether `--keep-unique` names a symbol of a section.
    pub fn is_unique(&self, id: SectionId) -> bool {
        self.unique.contains(&id)
    }
    /// Whether an object says itself which addresses it uses.
    pub fn has_table(&self, file: FileId) -> bool {
        self.tables.contains(&file)
    }

    /// Finds out.
    pub fn collect(cx: &Cx, sources: &Sources, live: &LiveSet) -> Significance {
        let Sources { inputs, selection, .. } = sources;
        let folding = &cx.config.folding;
        let unique = unique(cx, sources);
        if folding.icf == Icf::All && folding.ignore_data_address_equality {
            return Significance {
                significant: vec![false; inputs.section_bound],
                unique,
                tables: HashSet::new(),
            };
        }
        let flags: Vec<AtomicBool> = (0..inputs.section_bound).map(|_| AtomicBool::new(false)).collect();
        let marking = Marking { sources, live, flags: &flags };
        for (n, state) in selection.states.iter().enumerate() {
            if state.is_exported() {
                marking.symbol(SymbolId(n as u32));
            }
        }
        sources.provided.wanted.iter().for_each(|id| marking.symbol(*id));
        let has_table = cx.pool.map("fold/significance", selection.objects.len(), 4, |position| {
            let object = inputs.object(selection.objects[position]);
            match table_of(object) {
                Some(symbols) => {
                    symbols.iter().for_each(|symbol| marking.mention(object, *symbol));
                    true
                }
                None if folding.icf == Icf::Safe => {
                    marking.relocations(object);
                    false
                }
                None => {
                    (1..object.symbols.len()).for_each(|symbol| marking.mention(object, symbol));
                    false
                }
            }
        });
        let tables = selection.objects.iter().zip(has_table).filter(|(_, has)| *has).map(|(id, _)| *id);
        Significance {
            significant: flags.into_iter().map(AtomicBool::into_inner).collect(),
            unique,
            tables: tables.collect(),
        }
    }
}

/// The sections of `--keep-unique`.
fn unique(cx: &Cx, sources: &Sources) -> HashSet<SectionId> {
    let mut unique = HashSet::new();
    for name in &cx.config.folding.keep_unique {
        let section = sources.symbols.find(name).map(|id| (id, sources.selection.section(id)));
        match section {
            Some((_, section)) if section != SectionId::NONE => {
                unique.insert(section);
            }
            Some((id, _)) if !sources.selection.def(id).is_undefined() => {}
            _ => {
                let name = cx.symbol_text(name);
                cx.problems.push(Problem::warning(format!("could not find symbol {name} to keep unique")));
            }
        }
    }
    unique
}

/// The symbols an object's table lists; `None` without a table, or with one that cannot be right.
fn table_of(object: &Object) -> Option<Vec<usize>> {
    let index = object.headers.iter().position(|h| h.sh_type.get(LE) == SHT_LLVM_ADDRSIG)?;
    // A tool that does not know the section clears its link when it numbers symbols anew.
    object
        .headers
        .get(object.headers[index].sh_link.get(LE) as usize)
        .filter(|h| h.sh_type.get(LE) == object::elf::SHT_SYMTAB)?;
    decode(object.sections[index].contents(), object.symbols.len())
}

/// A list of ULEB128 numbers below `bound`.
fn decode(mut bytes: &[u8], bound: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
        let digits = bytes[..=end].iter().rev();
        // Five groups of seven bits are more than any symbol table has.
        let number = (end < 5).then(|| digits.fold(0u64, |n, byte| n << 7 | u64::from(byte & 0x7f)))?;
        numbers.push(usize::try_from(number).ok().filter(|n| *n < bound)?);
        bytes = &bytes[end + 1..];
    }
    Some(numbers)
}

struct Marking<'a> {
    sources: &'a Sources<'a>,
    live: &'a LiveSet,
    flags: &'a [AtomicBool],
}

impl Marking<'_> {
    fn section(&self, id: SectionId) {
        if id != SectionId::NONE && !self.flags[id.index()].load(Ordering::Relaxed) {
            self.flags[id.index()].store(true, Ordering::Relaxed);
        }
    }

    fn symbol(&self, id: SymbolId) {
        self.section(self.sources.selection.section(id));
    }

    /// A symbol of an object, by its index.
    fn mention(&self, object: &Object, symbol: usize) {
        self.section(self.sources.selection.section_of(object, symbol));
    }

    /// What the loaded sections of an object refer to, calls left aside. Unwind tables describe code and do not
    /// refer to it.
    fn relocations(&self, object: &Object) {
        for (index, section) in object.sections.iter().enumerate() {
            let is_wanted = section.is_alloc()
                && section.rela != 0
                && !section.kind.is_unwind()
                && self.live.contains(object.section_id(index));
            if !is_wanted {
                continue;
            }
            let is_code = section.has(SHF_EXECINSTR);
            for relocation in object.relocations(section) {
                let symbol = relocation.r_sym(LE, false) as usize;
                let Some(row) = target::row(relocation.r_type(LE, false)) else { continue };
                let code = is_code.then_some((section.contents(), relocation.r_offset.get(LE) as usize));
                if symbol != 0 && symbol < object.symbols.len() && takes_address(row, code) {
                    self.mention(object, symbol);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_lists_of_numbers() {
        assert_eq!(decode(&[], 10), Some(vec![]));
        assert_eq!(decode(&[3, 0x81, 0x01, 0], 130), Some(vec![3, 129, 0]));
        for wrong in [&[10][..], &[0x80], &[3, 0x81], &[0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(decode(wrong, 10), None, "{wrong:?}");
        }
    }
}
