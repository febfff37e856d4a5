//! `--print-archive-stats`: how many members each archive has, and how many of them take part in the link.
//!
//! In: [`Selection`], [`Opened`]. Out: a table in lld's form, `members`, `extracted`, `archive` separated by tabs. Archives
//! are listed once each, in the order they were opened; those nothing was taken from are listed, too: finding them is
//! what the table is for.

use crate::context::Cx;
use crate::model::Inputs;
use crate::open::Opened;
use crate::report::Failed;
use crate::select::Selection;
use std::collections::HashMap;
use std::path::Path;

/// Writes the table, if the options ask for it.
///
/// # Errors
/// The proof that the file could not be written.
pub fn write(cx: &Cx, inputs: &Inputs, selection: &Selection, opened: &Opened) -> Result<(), Failed> {
    let Some(path) = cx.config.archive_stats.as_deref() else { return Ok(()) };
    let mut extracted: HashMap<&Path, usize> = HashMap::new();
    for id in &selection.objects {
        let origin = inputs.object(*id).origin;
        if origin.member.is_some() {
            *extracted.entry(origin.path).or_default() += 1;
        }
    }
    let mut text = String::from("members\textracted\tarchive\n");
    for (archive, members) in &opened.archives {
        let taken = extracted.get(archive).copied().unwrap_or(0);
        text.push_str(&format!("{members}\t{taken}\t{}\n", archive.display()));
    }
    cx.write_table(path, text, "--print-archive-stats: cannot open")
}
