//! Where the bytes came from and went: what a trace says of the inputs and of the output.
//!
//! In: [`Image`] once the output is in its place, and the sizes of files noted while they were parsed. Out:
//! [`Account`]: every input with what was read of it and dropped; every byte of the output with the input it came
//! from or the part of the linker that made it; and which inputs the items of each stage were about, so that time can
//! be told by input, too.
//!
//! The output is counted from the very tasks that wrote it, extent by extent in file order; what no extent covers is
//! padding (that between the sections of one object counts as the object's). So the rows of a file add up to its size if, and only if, no byte was written twice.
//!
//! Nothing here runs unless the link is traced. Cost: one pass over the sections of the linked objects, on all workers.

mod dropped;
pub(crate) mod relocatable;
mod stages;

pub use dropped::Dropped;
pub use stages::{Numbering, numbering};

use crate::context::Cx;
use crate::emit::{self, Extent};
use crate::image::Image;
use crate::model::{File, FileId, Inputs};
use crate::open::Opened;
use crate::outputs::{Content, OutputSection};
use crate::parse::is_debug_name;
use crate::select::Selection;
use object::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_HASH, SHT_GNU_VERDEF,
    SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_HASH, SHT_NOBITS, SHT_RELA, SHT_RELR, SHT_STRTAB, SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a traced link leaves besides its spans.
#[derive(Debug, Default)]
pub struct Account {
    /// By [`FileId`].
    pub inputs: Vec<InputAccount>,
    /// The files that were read, as found.
    pub files: Vec<&'static Path>,
    /// What was written: the output, and the file for debug information if there is one.
    pub outputs: Vec<FileAccount>,
    /// By position among the linked objects: the input.
    pub objects: Vec<u32>,
    /// By number in the stages that merge: the input, for loaded sections and for others.
    pub merged: [Vec<u32>; 2],
    /// For each task of the output: (input, bytes).
    pub tasks: Vec<Vec<(u32, u64)>>,
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Linked.
    Linked,
    /// A member of an archive that nothing needed, or a shared object that is not recorded.
    Unused,
    /// A shared object that the output needs.
    Shared,
}

/// One input: an object, a member of an archive, a shared object.
#[derive(Debug, Clone, Copy)]
pub struct InputAccount {
    /// The file.
    pub path: &'static Path,
    /// The member, if the file is an archive.
    pub member: Option<&'static [u8]>,
    /// What became of it.
    pub fate: Fate,
    /// Its bytes.
    pub read: u64,
    /// Bytes of its sections that are not in the output.
    pub dropped: Dropped,
}

/// What the bytes of an output section are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteKind {
    /// Machine code.
    Code,
    /// Loaded data nobody writes.
    ReadOnly,
    /// Loaded data.
    Data,
    /// Zeros that are in no file.
    Bss,
    /// What unwinders read.
    Unwind,
    /// Debug information.
    Debug,
    /// Symbol tables that are not loaded, and their strings.
    Symbols,
    /// What the dynamic linker reads.
    Dynamic,
    /// Headers, padding, comments.
    Other,
}

/// A part of an output file by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The section, or `(headers)`, `(padding)`.
    pub name: String,
    /// What it is for.
    pub kind: ByteKind,
}

/// Every byte of an output file.
#[derive(Debug, Clone, Default)]
pub struct FileAccount {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub size: u64,
    /// Its parts.
    pub portions: Vec<Portion>,
    /// (portion, input or [`LINKER`], bytes), sorted. Those of [`ByteKind::Bss`] are not in the file; all others add
    /// up to its size.
    pub rows: Vec<(u32, u32, u64)>,
}

/// In place of an input: the linker itself.
pub const LINKER: u32 = u32::MAX;

/// Collects what becomes an [`Account`]. Off, it does nothing.
#[derive(Debug, Default)]
pub struct Recorder {
    is_on: bool,
    read: Mutex<Vec<(FileId, u64)>>,
    account: Mutex<Account>,
}

impl Recorder {
    /// A recorder for a link that is traced or not.
    pub fn new(is_on: bool) -> Recorder {
        Recorder { is_on, ..Recorder::default() }
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Notes how many bytes files of a batch have.
    pub fn note_read(&self, sizes: impl Iterator<Item = (FileId, u64)>) {
        if self.is_on {
            self.read.lock().unwrap_or_else(PoisonError::into_inner).extend(sizes);
        }
    }

    /// Notes what an output file consists of.
    fn note_output(&self, file: FileAccount, tasks: Vec<Vec<(u32, u64)>>) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.outputs.push(file);
        account.tasks.extend(tasks);
    }

    /// What was recorded, if anything was to be.
    pub fn finish(self) -> Option<Account> {
        self.is_on.then(|| self.account.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Accounts for the files of the link; called once all of them are parsed.
pub fn inputs(cx: &Cx, inputs: &Inputs, opened: &Opened) {
    if !cx.recorder.is_on {
        return;
    }
    let mut list: Vec<InputAccount> = inputs.files.iter().map(of_file).collect();
    for (id, size) in cx.recorder.read.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if let Some(input) = list.get_mut(id.index()) {
            input.read = size;
        }
    }
    let mut account = cx.recorder.account.lock().unwrap_or_else(PoisonError::into_inner);
    account.inputs = list;
    account.files.clone_from(&opened.paths);
}

fn of_file(file: &File) -> InputAccount {
    let origin = file.origin();
    let dropped = Dropped::default();
    InputAccount { path: origin.path, member: origin.member, fate: Fate::Unused, read: 0, dropped }
}

/// Notes which inputs take part.
pub fn selected(cx: &Cx, selection: &Selection) {
    if !cx.recorder.is_on {
        return;
    }
    let mut account = cx.recorder.account.lock().unwrap_or_else(PoisonError::into_inner);
    for (fate, ids) in [(Fate::Linked, &selection.objects), (Fate::Shared, &selection.shared)] {
        for id in ids {
            if let Some(input) = account.inputs.get_mut(id.index()) {
                input.fate = fate;
            }
        }
    }
    account.objects = selection.objects.iter().map(|id| id.0).collect();
}

/// Accounts for what the inputs lost on the way; called once the output is written.
pub fn dropped(image: &Image) {
    let cx = image.cx;
    if !cx.recorder.is_on {
        return;
    }
    let lost = dropped::count(image);
    let mut account = cx.recorder.account.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, lost) in image.selection.objects.iter().zip(lost) {
        if let Some(input) = account.inputs.get_mut(id.index()) {
            input.dropped = lost;
        }
    }
    account.merged =
        [image.loaded, image.debug].map(|merged| merged.member_files().map(|file| file.0).collect());
}

/// Accounts for the bytes of one output file of a size, written by these tasks.
pub(crate) fn output(image: &Image, path: &Path, size: u64, tasks: &[emit::Task]) {
    let cx = image.cx;
    if !cx.recorder.is_on {
        return;
    }
    let headers = image.outputs.sections.len() as u32;
    let padding = headers + 1;
    let parts = cx.pool.map("account", tasks.len(), 1, |n| of_task(image, &tasks[n], headers, padding));
    let mut rows = Vec::new();
    let mut owners = Vec::with_capacity(parts.len());
    let mut end = 0;
    for part in parts {
        rows.push((padding, LINKER, part.start.saturating_sub(end)));
        end = end.max(part.end);
        rows.extend(part.rows);
        owners.push(part.owners);
    }
    rows.push((padding, LINKER, size.saturating_sub(end)));
    rows.extend(zeros(image));
    let mut portions: Vec<Portion> = image.outputs.sections.iter().map(portion_of).collect();
    portions.push(Portion { name: "(headers)".into(), kind: ByteKind::Other });
    portions.push(Portion { name: "(padding)".into(), kind: ByteKind::Other });
    let file = FileAccount { path: path.to_path_buf(), size, portions, rows: summed(rows) };
    cx.recorder.note_output(file, owners);
}

/// What one task wrote.
struct TaskAccount {
    start: u64,
    end: u64,
    rows: Vec<(u32, u32, u64)>,
    owners: Vec<(u32, u64)>,
}

fn of_task(image: &Image, task: &emit::Task, headers: u32, padding: u32) -> TaskAccount {
    let mut account =
        TaskAccount { start: task.offset, end: task.offset, rows: Vec::new(), owners: Vec::new() };
    let mut has_begun = false;
    emit::for_each_extent(image, task, |Extent { offset, size, output, owner }| {
        if size == 0 {
            return;
        }
        if !std::mem::replace(&mut has_begun, true) {
            (account.start, account.end) = (offset, offset);
        }
        let owner = owner.map_or(LINKER, |id| id.0);
        if offset > account.end {
            account.rows.push((padding, LINKER, offset - account.end));
        }
        account.end = account.end.max(offset + size);
        let portion = output.unwrap_or(headers);
        match account.rows.last_mut() {
            Some((last, by, bytes)) if (*last, *by) == (portion, owner) => *bytes += size,
            _ => account.rows.push((portion, owner, size)),
        }
        match account.owners.last_mut() {
            Some((by, bytes)) if *by == owner => *bytes += size,
            _ => account.owners.push((owner, size)),
        }
    });
    account.rows = summed(std::mem::take(&mut account.rows));
    account
}

/// The rows of what takes no room in the file.
fn zeros(image: &Image) -> Vec<(u32, u32, u64)> {
    let mut rows = Vec::new();
    for position in &image.layout.order {
        let section = &image.outputs.sections[*position as usize];
        if section.sh_type != SHT_NOBITS {
            continue;
        }
        for member in &section.members {
            let Content::Sections(object, first, count) = member.content else {
                rows.push((*position, LINKER, member.size));
                continue;
            };
            let gathered = &image.outputs.objects[object as usize].order;
            let object = image.object(object as usize);
            let sizes = gathered[first as usize..(first + count) as usize]
                .iter()
                .map(|index| object.sections[*index as usize].size());
            rows.push((*position, object.id.0, sizes.sum()));
        }
    }
    rows
}

/// One row for each pair of portion and input, without empty ones, sorted.
fn summed(mut rows: Vec<(u32, u32, u64)>) -> Vec<(u32, u32, u64)> {
    // They come in long runs that are in order, which the stable sort makes use of.
    rows.sort();
    rows.dedup_by(|next, row| {
        let is_same = (next.0, next.1) == (row.0, row.1);
        if is_same {
            row.2 += next.2;
        }
        is_same
    });
    rows.retain(|row| row.2 > 0);
    rows
}

fn portion_of(section: &OutputSection) -> Portion {
    let kind = kind_of(section.name, section.sh_type, section.flags);
    Portion { name: String::from_utf8_lossy(section.name).into_owned(), kind }
}

/// What a section is for.
fn kind_of(name: &[u8], sh_type: u32, flags: u32) -> ByteKind {
    if sh_type == SHT_NOBITS {
        return ByteKind::Bss;
    }
    if matches!(name, b".eh_frame" | b".eh_frame_hdr" | b".gcc_except_table") {
        return ByteKind::Unwind;
    }
    if flags & SHF_ALLOC == 0 {
        return match sh_type {
            _ if is_debug_name(name) => ByteKind::Debug,
            SHT_SYMTAB | SHT_SYMTAB_SHNDX | SHT_STRTAB => ByteKind::Symbols,
            _ => ByteKind::Other,
        };
    }
    match sh_type {
        SHT_DYNAMIC | SHT_DYNSYM | SHT_STRTAB | SHT_HASH | SHT_GNU_HASH | SHT_GNU_VERDEF
        | SHT_GNU_VERNEED | SHT_GNU_VERSYM | SHT_RELA | SHT_RELR => ByteKind::Dynamic,
        _ if matches!(name, b".interp" | b".got" | b".got.plt" | b".plt" | b".plt.got" | b".plt.sec") => {
            ByteKind::Dynamic
        }
        _ if flags & SHF_EXECINSTR != 0 => ByteKind::Code,
        _ if flags & SHF_WRITE != 0 => ByteKind::Data,
        _ => ByteKind::ReadOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::elf::SHT_PROGBITS;

    #[test]
    fn rows_of_one_kind_become_one() {
        let rows = vec![(1, 2, 10), (0, 3, 1), (1, 2, 5), (1, 1, 0)];
        assert_eq!(summed(rows), [(0, 3, 1), (1, 2, 15)]);
    }

    #[test]
    fn sections_have_kinds() {
        use ByteKind::*;
        for (name, sh_type, flags, kind) in [
            (&b".text"[..], SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, Code),
            (b".rodata", SHT_PROGBITS, SHF_ALLOC, ReadOnly),
            (b".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, Data),
            (b".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, Bss),
            (b".debug_info", SHT_PROGBITS, 0, Debug),
            (b".eh_frame", SHT_PROGBITS, SHF_ALLOC, Unwind),
            (b".strtab", SHT_STRTAB, 0, Symbols),
            (b".dynstr", SHT_STRTAB, SHF_ALLOC, Dynamic),
            (b".comment", SHT_PROGBITS, 0, Other),
        ] {
            assert_eq!(kind_of(name, sh_type, flags), kind, "{}", String::from_utf8_lossy(name));
        }
    }
}
