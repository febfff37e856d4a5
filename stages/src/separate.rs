//! Puts debug information into a file of its own (`--separate-debug-file`).
//!
//! In: [`Image`] of the whole output. Out: two views of it, each with its own list of sections and its own layout,
//! which flow 2 writes one after the other. Addresses are the same in both.
//!
//! - The program: everything but debug sections and the symbol table; `.gnu_debuglink` names the other file and
//!   gives the CRC of its contents (GDB manual, "Debugging Information in Separate Files").
//! - The debug file: debug sections and the symbol table; loaded sections without contents (SHT_NOBITS), so that
//!   section numbers and addresses mean the same as in the program. Notes keep theirs: the build ID ties the files
//!   together.
//!
//! The build ID names the contents of both files. It is computed when everything else is written, then
//! stands in both; the CRC comes last, because it covers the build ID.
//!
//! With `--only-keep-debug` the debug file is all there is: what `objcopy --only-keep-debug` makes of a program.
//!
//! Invariants
//! - Both files appear complete or not at all; the debug file is in its place before the program is.
//! - The CRC is that of the bytes in the file, the holes between tasks included.

use crate::account;
use crate::commit::Output;
use crate::emit;
use crate::image::Image;
use crate::layout::{HEADER_SIZE, Layout, SECTION_HEADER_SIZE, SEGMENT_SIZE, Shape, layout as layout_of};
use crate::outputs::{OutputSection, Outputs};
use crate::parse::is_debug_name;
use crate::report::{Failed, Problem};
use crate::write::{Piece, build_id_of, file_size, fill_file};
use object::elf::{
    PT_GNU_PROPERTY, PT_GNU_STACK, PT_LOAD, PT_NOTE, PT_PHDR, SHF_ALLOC, SHT_NOBITS, SHT_NOTE, SHT_RELA,
    SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes of the CRC behind the name.
const CRC_BYTES: usize = 4;

/// Where the debug file goes.
pub fn debug_path(output: &Path, wanted: &Option<PathBuf>) -> PathBuf {
    match wanted {
        Some(path) => path.clone(),
        None => {
            let mut path = output.as_os_str().to_os_string();
            path.push(".dbg");
            path.into()
        }
    }
}

/// `.gnu_debuglink` but for the CRC: the name of the debug file without its directory, a NUL, zeros up to a
/// multiple of four and over the CRC.
pub fn link_contents(output: &Path, wanted: &Option<PathBuf>) -> Vec<u8> {
    let path = debug_path(output, wanted);
    let mut bytes = path.file_name().map_or(Vec::new(), |name| name.as_bytes().to_vec());
    bytes.resize((bytes.len() + 1).next_multiple_of(4) + CRC_BYTES, 0);
    bytes
}

/// Writes both files and puts them in their places.
pub fn write(image: &Image, shape: &Shape, wanted: &Option<PathBuf>) -> Result<(), Failed> {
    let cx = image.cx;
    let fail = |message: String| cx.problems.fail(Problem::error(message));
    let path = debug_path(&cx.config.output, wanted);
    let (outputs, layout) = program(image, shape);
    let program = Image { outputs: &outputs, layout: &layout, ..*image };
    let (outputs, layout) = debug(image);
    let debug = Image { outputs: &outputs, layout: &layout, ..*image };

    let mut program_file = Output::create(&cx.config.output, true).map_err(fail)?;
    let mut debug_file = Output::create(&path, false).map_err(fail)?;
    let (program_pieces, program_tasks) = fill_file(&program, &mut program_file)?;
    let (mut debug_pieces, debug_tasks) = fill_file(&debug, &mut debug_file)?;

    // Both files, as if one stood behind the other.
    let end = program.layout.file_size;
    let moved = debug_pieces.iter().map(|piece| {
        let mut digest = piece.digest;
        digest.offset += end;
        digest
    });
    let digests = program_pieces.iter().map(|piece| piece.digest).chain(moved).collect();
    if let Some(id) = build_id_of(&program, digests)? {
        for (image, file) in [(&program, &program_file), (&debug, &debug_file)] {
            if let Some(offset) = emit::build_id_offset(image) {
                file.write_at(&id, offset).map_err(fail)?;
            }
        }
        check_again(&debug, &id, &mut debug_pieces);
    }
    let crc = whole_crc(&debug_pieces, debug.layout.file_size);
    if let Some(offset) = link_offset(&program) {
        program_file.write_at(&crc.to_le_bytes(), offset).map_err(fail)?;
    }
    cx.checkpoint()?;
    if cx.config.fatal_warnings && cx.problems.has_any() {
        return Err(Failed);
    }
    cx.pool.serial("commit", || debug_file.commit().and_then(|()| program_file.commit())).map_err(fail)?;
    account::output(&program, &cx.config.output, file_size(&program), &program_tasks);
    account::output(&debug, &path, file_size(&debug), &debug_tasks);
    Ok(())
}

/// Calls `write` with the view that has debug information alone (`--only-keep-debug`).
pub fn with_debug_alone<T>(image: &Image, write: impl FnOnce(&Image) -> T) -> T {
    let (outputs, layout) = debug(image);
    write(&Image { outputs: &outputs, layout: &layout, ..*image })
}

/// Whether a section that is not loaded leaves the program: debug information, the symbol table and what refers to it.
fn is_for_debugger(section: &OutputSection) -> bool {
    is_debug_name(section.name)
        || matches!(section.sh_type, SHT_SYMTAB | SHT_SYMTAB_SHNDX | SHT_RELA)
        || section.name == b".strtab"
}

/// The program's sections, and their layout.
fn program(image: &Image, shape: &Shape) -> (Outputs, Layout) {
    let mut outputs = image.outputs.clone();
    for section in &mut outputs.sections {
        if !section.has(SHF_ALLOC) && is_for_debugger(section) {
            section.members.clear();
            section.size = 0;
        }
    }
    // Nothing that is loaded changes its size, so addresses stay what they are.
    let layout = layout_of(&outputs.sections, shape);
    (outputs, layout)
}

/// The debug file's sections, and their layout: that of the whole output without the contents of loaded sections.
fn debug(image: &Image) -> (Outputs, Layout) {
    let mut outputs = image.outputs.clone();
    let mut layout = image.layout.clone();
    let sections = &mut outputs.sections;
    let first_load = layout.segments.iter().find(|segment| segment.p_type == PT_LOAD);
    let first_end = first_load.map_or(0, |load| load.offset + load.file_size);
    layout.order.retain(|position| sections[*position as usize].name != b".gnu_debuglink");
    let headers = HEADER_SIZE + layout.segments.len() as u64 * SEGMENT_SIZE;
    // Notes at the start of the file stay where they are, so that their segments do.
    let mut kept = headers;
    for position in &layout.order {
        let (section, place) = (&mut sections[*position as usize], layout.placements[*position as usize]);
        let end = place.offset + section.size;
        if section.has(SHF_ALLOC) && section.sh_type == SHT_NOTE && end <= first_end {
            kept = kept.max(end);
        } else if section.has(SHF_ALLOC) {
            section.sh_type = SHT_NOBITS;
        }
    }
    let mut end = kept;
    for (n, position) in layout.order.iter().enumerate() {
        let section = &sections[*position as usize];
        let place = &mut layout.placements[*position as usize];
        place.index = n as u32 + 1;
        if section.has(SHF_ALLOC) {
            place.offset = if section.sh_type == SHT_NOBITS { kept } else { place.offset };
            continue;
        }
        place.offset = end.next_multiple_of(1 << section.align_log2);
        end = place.offset + section.size;
    }
    for segment in &mut layout.segments {
        segment.file_size = match segment.p_type {
            PT_LOAD | PT_NOTE | PT_GNU_PROPERTY => segment.file_size.min(kept.saturating_sub(segment.offset)),
            PT_PHDR | PT_GNU_STACK => segment.file_size,
            _ => 0,
        };
    }
    layout.section_headers = end.next_multiple_of(8);
    layout.file_size = layout.section_headers + (layout.order.len() as u64 + 1) * SECTION_HEADER_SIZE;
    (outputs, layout)
}

/// Where the CRC is in the program.
fn link_offset(image: &Image) -> Option<u64> {
    let position = image.outputs.sections.iter().position(|section| section.name == b".gnu_debuglink")?;
    let size = image.outputs.sections[position].size;
    Some(image.layout.placements[position].offset + size - CRC_BYTES as u64)
}

/// The CRC of the piece that the build ID is in was that of zeros in its place.
fn check_again(image: &Image, id: &[u8], pieces: &mut [Piece]) {
    let Some(offset) = emit::build_id_offset(image) else { return };
    for task in emit::tasks(image) {
        let Some(at) = offset.checked_sub(task.offset).filter(|at| *at < task.size) else { continue };
        let mut buffer = vec![0; task.size as usize];
        emit::fill(image, &task, &mut buffer);
        buffer[at as usize..at as usize + id.len()].copy_from_slice(id);
        if let Some(piece) = pieces.iter_mut().find(|piece| piece.digest.offset == task.offset) {
            piece.crc = crc32fast::hash(&buffer);
        }
    }
}

/// The CRC of a file of a size, from those of its pieces in file order; there are zeros between them.
fn whole_crc(pieces: &[Piece], size: u64) -> u32 {
    let mut whole = crc32fast::Hasher::new();
    let mut at = 0;
    for Piece { digest, crc } in pieces {
        add_zeros(&mut whole, digest.offset - at);
        whole.combine(&crc32fast::Hasher::new_with_initial_len(*crc, digest.length));
        at = digest.offset + digest.length;
    }
    add_zeros(&mut whole, size.saturating_sub(at));
    whole.finalize()
}

fn add_zeros(hasher: &mut crc32fast::Hasher, count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut left = count;
    while left > 0 {
        let step = left.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..step as usize]);
        left -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_id::ChunkDigest;

    #[test]
    fn the_debug_file_is_named_after_the_output() {
        let path = |output: &str, wanted: Option<&str>| {
            debug_path(Path::new(output), &wanted.map(PathBuf::from)).display().to_string()
        };
        assert_eq!(path("dir/main", None), "dir/main.dbg");
        assert_eq!(path("dir/main", Some("x/main.debug")), "x/main.debug");
        assert_eq!(link_contents(Path::new("dir/main"), &None), b"main.dbg\0\0\0\0\0\0\0\0");
        assert_eq!(link_contents(Path::new("abc"), &Some(PathBuf::from("d/abc"))), b"abc\0\0\0\0\0");
    }

    #[test]
    fn crcs_of_pieces_make_that_of_the_whole() {
        let mut file = vec![0; 20_000];
        let mut pieces = Vec::new();
        for (offset, length) in [(0, 100), (100, 5_000), (9_000, 10_000)] {
            let part = &mut file[offset..offset + length];
            part.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n % 251) as u8);
            let digest = ChunkDigest { offset: offset as u64, length: length as u64, digest: 0 };
            pieces.push(Piece { digest, crc: crc32fast::hash(part) });
        }
        assert_eq!(whole_crc(&pieces, file.len() as u64), crc32fast::hash(&file));
    }
}
