//! `--warn-backrefs`: says where a linker that reads each archive once would have needed another order.
//!
//! GNU ld goes through its inputs from left to right and takes from an archive what is undefined when it gets there. Here
//! (as in lld) order does not matter, so a command line can come to depend on that. In: the inputs as they stand on the
//! command line. Out: a warning for each symbol that brought in an archive member from farther left than the file
//! that needs it.
//!
//! The rules are lld's. Files are read one by one; a member comes in with the first strong reference, and what it
//! needs is looked at before anything else. Members of one archive, files between `--start-group` and
//! `--end-group` or `--start-lib` and `--end-lib`, and those of a `GROUP` command have one place. Weak references bring
//! in nothing. If the symbol is defined once more farther right (`liba.a b.o liba.a`), no linker has a problem.
//!
//! This is a simulation beside the real selection, one file at a time, and only runs when it is asked for.

use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, Object, SymbolId};
use crate::open::Opened;
use crate::report::Problem;
use crate::script::glob::Glob;
use crate::select::Selection;
use object::LittleEndian as LE;
use object::elf::{SHN_UNDEF, STB_WEAK};

/// Where files stand, as far as this matters; filled by `open` if the option is given.
#[derive(Debug, Default)]
pub struct Order {
    /// By [`FileId`]: equal for files that may refer to each other.
    pub ranks: Vec<u32>,
    /// Archives named again: in front of which file, first and end of their members.
    pub repeats: Vec<(FileId, FileId, FileId)>,
    /// The group of the last file, 0 for none.
    last_group: u32,
}

impl Order {
    /// Gives the next `count` files their rank. `group` is the number of the group they are in, 0 for none.
    pub fn add(&mut self, group: u32, count: usize) {
        let next =
            self.ranks.last().map_or(0, |rank| rank + u32::from(group == 0 || group != self.last_group));
        self.ranks.extend(std::iter::repeat_n(next, count));
        self.last_group = group;
    }
}

/// Warns.
pub fn warn(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection, opened: &Opened) {
    if !cx.config.warn_backrefs {
        return;
    }
    let mut reading = Reading {
        inputs,
        order: &opened.order,
        states: vec![State::Unknown; symbols.bound()],
        is_in: vec![false; inputs.files.len()],
        found: Vec::new(),
    };
    for name in cx.config.undefined.iter().chain(&cx.config.require_defined) {
        if let Some(id) = symbols.find(name) {
            reading.states[id.index()] = State::Wanted;
        }
    }
    let mut repeats = opened.order.repeats.iter().peekable();
    for n in 0..=inputs.files.len() as u32 {
        while let Some((_, first, end)) = repeats.next_if(|(before, ..)| before.0 <= n) {
            (first.0..end.0).for_each(|member| reading.offer(FileId(member)));
        }
        if (n as usize) < inputs.files.len() {
            reading.file(FileId(n));
        }
    }
    let globs: Vec<Glob> = cx.config.warn_backrefs_exclude.iter().map(|glob| Glob::new(glob)).collect();
    for (n, reference) in reading.found.iter().enumerate() {
        let target = inputs.files[reference.target.index()].origin().to_string();
        let is_excluded = globs.iter().any(|glob| glob.matches(target.as_bytes()));
        if reference.is_dismissed || is_excluded || !selection.live[reference.target.index()] {
            continue;
        }
        let name = cx.symbol_text(symbols.name(reference.symbol));
        let source = inputs.files[reference.source.index()].origin();
        let message = format!("backward reference detected: {name} in {source} refers to {target}");
        cx.problems.push(Problem::warning(message).at(reference.source.0, n as u64));
    }
}

/// What is known of a symbol so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    /// Needed strongly.
    Wanted,
    /// A file that is not in yet would define it.
    Offered(FileId),
    Defined,
}

/// A reference that brought in a file from farther left.
struct Backward {
    symbol: SymbolId,
    source: FileId,
    target: FileId,
    is_dismissed: bool,
}

struct Reading<'a> {
    inputs: &'a Inputs,
    order: &'a Order,
    states: Vec<State>,
    is_in: Vec<bool>,
    found: Vec<Backward>,
}

impl Reading<'_> {
    fn file(&mut self, id: FileId) {
        let inputs = self.inputs;
        match &inputs.files[id.index()] {
            File::Object(object) if object.is_lazy => self.offer(id),
            File::Object(_) => self.take(id),
            File::Shared(shared) => {
                for symbol in shared.defined.iter().filter(|symbol| symbol.id != SymbolId::NONE) {
                    self.states[symbol.id.index()] = State::Defined;
                }
                for symbol in &shared.undefined {
                    let is_weak = shared.symbols[symbol.index as usize].st_bind() == STB_WEAK;
                    if let Some(target) = (!is_weak).then(|| self.want(symbol.id, id)).flatten() {
                        self.take(target);
                    }
                }
            }
        }
    }

    /// A member: it comes in if something it defines is wanted; else it may come in later.
    fn offer(&mut self, id: FileId) {
        let inputs = self.inputs;
        let File::Object(object) = &inputs.files[id.index()] else { return };
        let mut is_wanted = false;
        for symbol in definitions(object) {
            match self.states[symbol.index()] {
                State::Unknown => self.states[symbol.index()] = State::Offered(id),
                State::Wanted => is_wanted = true,
                State::Offered(_) => {}
                State::Defined => {
                    let same = self.found.iter_mut().filter(|reference| reference.symbol == symbol);
                    same.for_each(|reference| reference.is_dismissed = true);
                }
            }
        }
        if is_wanted {
            self.take(id);
        }
    }

    /// Takes a file in, and whatever it brings along, depth first.
    fn take(&mut self, id: FileId) {
        let inputs = self.inputs;
        let mut stack = vec![(id, 0usize)];
        self.enter(id);
        while let Some((id, next)) = stack.last_mut() {
            let (id, index) = (*id, *next);
            *next += 1;
            let File::Object(object) = &inputs.files[id.index()] else { return };
            let Some(symbol) = object.ids.get(index) else {
                stack.pop();
                continue;
            };
            let entry = &object.symbols[object.first_global as usize + index];
            if entry.st_shndx.get(LE) != SHN_UNDEF || entry.st_bind() == STB_WEAK {
                continue;
            }
            if let Some(target) = self.want(*symbol, id) {
                self.enter(target);
                stack.push((target, 0));
            }
        }
    }

    /// Marks a file as in, and what it defines as defined.
    fn enter(&mut self, id: FileId) {
        let inputs = self.inputs;
        let is_in = std::mem::replace(&mut self.is_in[id.index()], true);
        if let File::Object(object) = &inputs.files[id.index()]
            && !is_in
        {
            definitions(object).for_each(|symbol| self.states[symbol.index()] = State::Defined);
        }
    }

    /// A strong reference. Returns the file that it brings in.
    fn want(&mut self, symbol: SymbolId, source: FileId) -> Option<FileId> {
        match self.states[symbol.index()] {
            State::Unknown => {
                self.states[symbol.index()] = State::Wanted;
                None
            }
            State::Offered(target) if !self.is_in[target.index()] => {
                let rank = |id: FileId| self.order.ranks.get(id.index());
                if rank(target) < rank(source) {
                    self.found.push(Backward { symbol, source, target, is_dismissed: false });
                }
                Some(target)
            }
            _ => None,
        }
    }
}

/// The global symbols an object defines.
fn definitions(object: &Object) -> impl Iterator<Item = SymbolId> + '_ {
    let globals = object.symbols[object.first_global as usize..].iter();
    let is_defined =
        |(symbol, id): (&crate::elf::Sym, &SymbolId)| (symbol.st_shndx.get(LE) != SHN_UNDEF).then_some(*id);
    globals.zip(&object.ids).filter_map(is_defined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_a_rank() {
        let mut order = Order::default();
        for (group, count) in [(0, 1), (0, 3), (1, 1), (1, 2), (2, 1), (0, 1), (0, 1)] {
            order.add(group, count);
        }
        assert_eq!(order.ranks, [0, 1, 1, 1, 2, 2, 2, 3, 4, 5]);
    }
}
