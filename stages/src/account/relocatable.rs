//! The same for `-r`, whose output has a plan of its own: the linked objects' sections, relocations and symbols.

use super::{ByteKind, FileAccount, LINKER, Portion, kind_of, summed};
use crate::context::Cx;
use crate::outputs::OutputSection;
use std::path::Path;

/// A run of an object file that `-r` wrote.
pub(crate) struct Extent {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Number of the output section whose contents or relocations they are.
    pub section: Option<u32>,
    /// Symbols and their names.
    pub is_symbols: bool,
    /// The input.
    pub owner: Option<u32>,
}

/// Accounts for the bytes of the output of `-r`, given each extent in file order, by task.
pub(crate) fn account(
    cx: &Cx,
    path: &Path,
    size: u64,
    sections: impl Iterator<Item = OutputSection>,
    tasks: impl Iterator<Item = Vec<Extent>>,
) {
    if !cx.recorder.is_on() {
        return;
    }
    let mut portions: Vec<Portion> = sections
        .map(|section| Portion {
            name: String::from_utf8_lossy(section.name).into_owned(),
            kind: kind_of(section.name, section.sh_type, section.flags),
        })
        .collect();
    let first = portions.len() as u32;
    let named =
        [("(headers)", ByteKind::Other), ("(padding)", ByteKind::Other), ("(symbols)", ByteKind::Symbols)];
    portions.extend(named.map(|(name, kind)| Portion { name: name.into(), kind }));
    let (mut rows, mut owners, mut end) = (Vec::new(), Vec::new(), 0u64);
    for task in tasks {
        let mut of_task = Vec::new();
        for extent in task {
            let owner = extent.owner.unwrap_or(LINKER);
            rows.push((first + 1, LINKER, extent.offset.saturating_sub(end)));
            end = end.max(extent.offset + extent.size);
            let other = if extent.is_symbols { first + 2 } else { first };
            rows.push((extent.section.unwrap_or(other), owner, extent.size));
            of_task.push((owner, extent.size));
        }
        owners.push(of_task);
    }
    rows.push((first + 1, LINKER, size.saturating_sub(end)));
    let file = FileAccount { path: path.to_path_buf(), size, portions, rows: summed(rows) };
    cx.recorder.note_output(file, owners);
}
