//! `--why-extract`: who brought in each archive member, and for which symbol.
//!
//! In: [`Selection`]. Out: a table in lld's form, `reference`, `extracted`, `symbol` separated by tabs. The walk that
//! selects members runs on all workers and does not keep who came first, so it is told again here, one file at a time in
//! command-line order: the answer does not depend on threads. A member that no object asks for was wanted by the entry
//! point (`--entry`) or by something else of the linker's own (`<internal>`: `-u`, shared objects, expressions).
//!
//! With link-time optimisation it tells of the files as given, before they are compiled.

use crate::context::Cx;
use crate::intern::Symbols;
use crate::model::{File, FileId, Inputs, SymbolId};
use crate::report::Failed;
use crate::select::{Selection, needs};

/// Writes the table, if the options ask for it.
///
/// # Errors
/// The proof that the file could not be written.
pub fn write(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) -> Result<(), Failed> {
    let Some(path) = cx.config.why_extract.as_deref() else { return Ok(()) };
    let rows = rows(cx, inputs, symbols, selection);
    let mut text = String::from("reference\textracted\tsymbol\n");
    for Row { reference, extracted, symbol } in rows {
        let symbol = cx.symbol_text(symbols.name(symbol));
        text.push_str(&format!("{reference}\t{}\t{symbol}\n", inputs.object(extracted).origin));
    }
    cx.write_table(path, text, "--why-extract: cannot open")
}

/// One member and its reason.
struct Row {
    reference: String,
    extracted: FileId,
    symbol: SymbolId,
}

fn rows(cx: &Cx, inputs: &Inputs, symbols: &Symbols, selection: &Selection) -> Vec<Row> {
    let is_member = |id: FileId| match &inputs.files[id.index()] {
        File::Object(object) => object.is_lazy && selection.live[id.index()],
        File::Shared(_) => false,
    };
    // What waits for a reason, the first one last.
    let mut unexplained: Vec<FileId> =
        selection.objects.iter().rev().copied().filter(|id| is_member(*id)).collect();
    let mut is_explained = vec![false; inputs.files.len()];
    let mut rows = Vec::new();
    let mut queue: std::collections::VecDeque<FileId> =
        selection.objects.iter().copied().filter(|id| !is_member(*id)).collect();
    let entry = symbols.find(cx.config.entry.as_deref().unwrap_or(b"_start"));
    loop {
        while let Some(id) = queue.pop_front() {
            let object = inputs.object(id);
            for symbol in needs(object).map(|need| need.id) {
                let def = selection.def(symbol);
                if !def.is_local() || def.file().index() >= inputs.files.len() {
                    continue;
                }
                let extracted = def.file();
                if is_member(extracted) && !std::mem::replace(&mut is_explained[extracted.index()], true) {
                    rows.push(Row { reference: object.origin.to_string(), extracted, symbol });
                    queue.push_back(extracted);
                }
            }
        }
        // Nobody asks for what is left, or only each other: the first one has another reason.
        let Some(extracted) = unexplained.pop() else { return rows };
        if std::mem::replace(&mut is_explained[extracted.index()], true) {
            continue;
        }
        let object = inputs.object(extracted);
        let defines = |symbol: &SymbolId| selection.def(*symbol).file() == extracted;
        let asked = entry.filter(defines);
        let reference = if asked.is_some() { "--entry" } else { "<internal>" };
        let named = cx.config.undefined.iter().chain(&cx.config.require_defined);
        let named = named.filter_map(|name| symbols.find(name)).find(defines);
        let symbol = asked.or(named).or_else(|| object.ids.iter().copied().find(defines));
        // A member in which every definition has lost was wanted for one of them.
        let Some(symbol) = symbol.or(object.ids.first().copied()) else { continue };
        rows.push(Row { reference: reference.to_string(), extracted, symbol });
        queue.push_back(extracted);
    }
}
