//! `-r`: many objects into one object (GNU ld manual, "-r").
//!
//! ```text
//!     select (as always) . inflate . mark (only if --gc-sections)
//!                         |
//!                        find        what of each object is in the output
//!                         |
//!                        join        which sections become one, and where in it each goes
//!                         |
//!                  allocate (-d) . plan     the symbol table: counts and places
//!                         |
//!                    file plan       offsets of everything
//!                         |
//!                 fill ==> write
//!                         |
//!                       commit
//! ```
//!
//! Nothing gets an address here, nothing is merged, nothing is synthesized but the joined notes, and undefined symbols
//! are what one expects. So `-r` leaves the graph of a final link once names are known and goes a short way of its own,
//! which shares the selection, the marking and the way bytes reach the file.
//!
//! What stays for the final link: section groups (after their election), tentative definitions (unless `-d`),
//! relocations, local symbols, versions in names, SHF_EXCLUDE and SHF_LINK_ORDER. `--build-id`, which compiler drivers
//! pass whatever they link, is for final outputs alone.

mod file;
mod kept;
mod map;
mod relocations;
mod sections;
mod symbols;

use crate::account;
use crate::chunks::{merged_properties, package_note};
use crate::commit::Output;
use crate::context::Cx;
use crate::intern::Symbols;
use crate::liveness::{self, LiveSet};
use crate::model::Inputs;
use crate::open::Opened;
use crate::plugin::Compiled;
use crate::report::{Failed, Problem};
use crate::script::SymbolList;
use crate::select::{self, Anchor, Assignment, Class, Provided, Provision, Selection};
use crate::unwind::{self, Unwind};
use crate::write::{Buffers, buffers_waiting};
use engine::Flow;
use file::{FilePlan, Item, What};
use kept::Kept;
use object::elf::{SHF_ALLOC, SHT_NOTE};
use relocations::Site;
use sections::Joined;
use std::ops::Range;
use symbols::{Source, Table};

/// Bytes of a task, about.
const TASK_BYTES: u64 = 256 << 10;

/// Links for `-r`.
///
/// # Errors
/// The proof that problems were reported.
pub fn link(
    cx: &Cx,
    inputs: &mut Inputs,
    mut symbols: Symbols,
    assignments: &[Assignment],
    opened: &Opened,
    compiled: Option<&Compiled>,
) -> Result<(), Failed> {
    if let Some(id) = inputs.shared.first() {
        let shared = inputs.shared_object(*id);
        let message = format!("attempted static link of dynamic object {}", shared.origin);
        return Err(cx.problems.fail(Problem::error(message).at(id.0, 0)));
    }
    let mut provided = provide(&mut symbols, assignments);
    let selection = select::select(cx, inputs, &mut symbols, &mut provided, &[], &SymbolList::default())?;
    require_defined(cx, &symbols, &selection);
    if let Some(compiled) = compiled {
        compiled.check_late(cx, inputs, &selection);
    }
    account::selected(cx, &selection);
    crate::inflate::inflate(cx, inputs, &selection);
    cx.checkpoint()?;
    let inputs: &Inputs = inputs;
    crate::listing::report(cx, inputs, &symbols, &selection, opened);
    crate::backrefs::warn(cx, inputs, &symbols, &selection, opened);
    crate::why_extract::write(cx, inputs, &symbols, &selection)?;

    let unwind = unwind::read(cx, inputs, &selection);
    cx.checkpoint()?;
    let live = mark(cx, inputs, &symbols, &provided, &selection, &unwind)?;
    let kept = kept::find(cx, inputs, &symbols, &selection, &unwind, live.as_ref());
    let mut joined = cx.pool.serial("relocatable/join", || sections::join(cx, inputs, &selection, &kept));
    let properties = merged_properties(cx, inputs, &selection).note();
    if let Some(note) = package_note(cx.config) {
        joined.add_made(b".note.package", SHT_NOTE, SHF_ALLOC, 2, note);
    }
    if !properties.is_empty() {
        joined.add_made(b".note.gnu.property", SHT_NOTE, SHF_ALLOC, 3, properties);
    }
    let source = Source { cx, inputs, symbols: &symbols, provided: &provided, selection: &selection };
    let table = symbols::allocate(&source, &mut joined);
    joined.place_groups(inputs, &selection);
    let table = symbols::plan(&source, &joined, table);
    let plan = cx.pool.serial("relocatable/file", || file::plan(&source, &joined, &table));
    if plan.size > i64::MAX as u64 {
        cx.problems.push(Problem::error("the output is too large for a file"));
    }
    cx.checkpoint()?;
    crate::symbol_counts::write(cx, inputs, &selection)?;
    map::write(&source, &joined)?;
    write(&Image { source: &source, kept: &kept, joined: &joined, table: &table, plan: &plan })?;
    crate::listing::dependency_file(cx, opened)
}

/// `--defsym` and assignments. What a final link provides besides (`_end`, `__start_NAME`, …) stays undefined.
pub(crate) fn provide(symbols: &mut Symbols, assignments: &[Assignment]) -> Provided {
    let mut provided = Provided::default();
    for assignment in assignments {
        let id = symbols.add(&assignment.name);
        assignment.value.for_each_symbol(&mut |name| provided.wanted.push(symbols.add(name)));
        provided.list.push(Provision {
            id,
            anchor: Anchor::Expr(assignment.value.clone()),
            is_forced: !assignment.is_provide,
            is_hidden: assignment.is_hidden,
            is_protected: false,
            is_wanted: false,
        });
    }
    provided
}

/// `--require-defined`.
fn require_defined(cx: &Cx, symbols: &Symbols, selection: &Selection) {
    for name in &cx.config.require_defined {
        let is_defined = symbols.find(name).is_some_and(|id| selection.def(id).class() < Class::Undefined);
        if !is_defined {
            let message = format!("required symbol not defined: {}", cx.symbol_text(name));
            cx.problems.push(Problem::error(message));
        }
    }
}

/// `--gc-sections`. There is no entry point by itself: without a root everything would go.
fn mark(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    provided: &Provided,
    selection: &Selection,
    unwind: &Unwind,
) -> Result<Option<LiveSet>, Failed> {
    let config = cx.config;
    if !config.gc_sections {
        return Ok(None);
    }
    let mut roots = config.undefined.iter().chain(&config.require_defined).chain(&config.entry);
    let is_root = |name: &Vec<u8>| symbols.find(name).is_some_and(|id| selection.def(id).is_local());
    if !roots.any(is_root) {
        let problem = Problem::error("--gc-sections with -r needs a defined symbol to start from")
            .note("name it with -u SYMBOL or -e SYMBOL");
        return Err(cx.problems.fail(problem));
    }
    Ok(Some(liveness::mark(cx, inputs, symbols, provided, selection, unwind)))
}

/// Everything that filling needs.
struct Image<'a> {
    source: &'a Source<'a>,
    kept: &'a Kept,
    joined: &'a Joined,
    table: &'a Table,
    plan: &'a FilePlan,
}

impl Image<'_> {
    /// Makes the bytes of a run of items. What lies between them stays zero.
    fn fill(&self, items: &[Item], out: &mut [u8]) {
        out.fill(0);
        let start = range_of(items).start;
        for item in items {
            let from = (item.offset - start) as usize;
            self.fill_item(item.what, &mut out[from..from + item.size as usize]);
        }
    }

    fn fill_item(&self, what: What, out: &mut [u8]) {
        let (source, table, headers) = (self.source, self.table, &self.plan.headers);
        match what {
            What::Ready(n) => out.copy_from_slice(&self.plan.ready[n as usize]),
            What::Made(n) => out.copy_from_slice(&self.joined.sections[n as usize].made),
            What::Contents(n, m) => self.site(n, m).write_contents(out),
            What::Relocations(n, m) => self.site(n, m).write(out),
            What::Symbols(part) => table.write_symbols(source, self.joined, headers, part, out),
            What::Indices(part) => table.write_indices(source, self.joined, headers, part, out),
            What::Names(part) => table.write_names(source, part, out),
        }
    }

    fn site(&self, output: u32, member: u32) -> Site<'_> {
        let member = self.joined.sections[output as usize].members[member as usize];
        Site { source: self.source, kept: self.kept, joined: self.joined, table: self.table, member }
    }
}

/// Runs of items of about [`TASK_BYTES`]; the borders depend on the plan alone.
fn tasks(items: &[Item]) -> Vec<&[Item]> {
    let mut tasks = Vec::new();
    let mut rest = items;
    while let Some(first) = rest.first() {
        let limit = first.offset.saturating_add(TASK_BYTES);
        let count = rest.partition_point(|item| item.offset + item.size <= limit).max(1);
        let (task, others) = rest.split_at(count);
        tasks.push(task);
        rest = others;
    }
    tasks
}

/// The bytes of the file that a task makes.
fn range_of(items: &[Item]) -> Range<u64> {
    let start = items.first().map_or(0, |item| item.offset);
    start..items.last().map_or(start, |item| item.offset + item.size)
}

/// Buffers are filled and written while others are filled.
fn write(image: &Image) -> Result<(), Failed> {
    let cx = image.source.cx;
    let tasks = tasks(&image.plan.items);
    let fail = |message: String| cx.problems.fail(Problem::error(message));
    let output = Output::create(&cx.config.output, false).map_err(fail)?;
    output.set_len(image.plan.size).map_err(fail)?;
    let buffers = Buffers::for_file_of(image.plan.size);

    let mut flow = Flow::<Failed>::new("output");
    let (filled, to_write) = flow.channel::<(Range<u64>, Vec<u8>)>("filled", buffers_waiting(cx));
    let tasks = &tasks;
    flow.indexed("fill", tasks.len(), filled, |n, filled| {
        let range = range_of(tasks[n]);
        let size = (range.end - range.start) as usize;
        let mut buffer = buffers.take(size);
        image.fill(tasks[n], &mut buffer[..size]);
        cx.pool.tracer().add_bytes(size);
        filled.send((range, buffer));
        Ok(())
    });
    flow.parallel("write", to_write, (), |(range, buffer): (Range<u64>, Vec<u8>), ()| {
        output.write_at(&buffer[..(range.end - range.start) as usize], range.start).map_err(fail)?;
        buffers.put(buffer);
        Ok(())
    });
    crate::link::finish(cx, flow.run(cx.pool))?;

    if !cx.config.noinhibit_exec {
        cx.checkpoint()?;
    }
    if cx.config.fatal_warnings && cx.problems.has_any() {
        return Err(Failed);
    }
    cx.pool.serial("commit", || output.commit()).map_err(fail)?;
    file::account(image.source, image.joined, image.plan, tasks);
    Ok(())
}
