//! **monorepo-1000**, **-5000**, **-20000**: the objects of *cpp-debug* many times over, as if a
//! company's whole C++ went into one program.
//!
//! Each round of copies has names of its own for what its objects define once: a definition `f` and all
//! references to it become `f.7` in round 7. What may be defined many times, the contents of COMDAT
//! groups, keeps its name, so every round brings the same groups again, as objects that include the
//! same headers do. Copied debug information is not changed.
//!
//! A round need not copy every object: references to what the round does not define go to the original.
//! That makes programs of many objects possible within a given number of bytes: the more objects are
//! asked for, the smaller are those that are copied.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian, SectionIndex};

use super::cpp_debug::CPP_DEBUG;
use super::{Cache, Workload, runs};
use crate::arguments::{quoted, split};
use crate::corpus::Corpus;

/// As many objects as a large application has.
pub const THOUSAND: Workload = Workload {
    name: "monorepo-1000",
    about: "a synthetic C++ program of 1,000 objects with full DWARF",
    build: |cache, workload| build(cache, workload, 1_000),
};

/// As many objects as a browser's component has.
pub const FIVE_THOUSAND: Workload = Workload {
    name: "monorepo-5000",
    about: "a synthetic C++ program of 5,000 objects with full DWARF",
    build: |cache, workload| build(cache, workload, 5_000),
};

/// As many objects as a browser has.
pub const TWENTY_THOUSAND: Workload = Workload {
    name: "monorepo-20000",
    about: "a synthetic C++ program of 20,000 objects with full DWARF",
    build: |cache, workload| build(cache, workload, 20_000),
};

/// How many bytes the copies may have together.
const COPIED_BYTES_MAX: u64 = 4_000_000_000;

/// An object that may be copied.
struct Original {
    name: String,
    bytes: u64,
    /// Names it defines that nobody else may define.
    sole: Vec<Vec<u8>>,
}

fn build(cache: &Cache, workload: &Workload, objects: usize) -> Result<()> {
    super::build(cache, &CPP_DEBUG, false)?;
    let (base, corpus) = (cache.corpus(CPP_DEBUG.name), cache.corpus(workload.name));
    if corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    fs::create_dir_all(corpus.join("in"))?;
    for entry in fs::read_dir(base.join("in"))? {
        let entry = entry?;
        fs::hard_link(entry.path(), corpus.join("in").join(entry.file_name()))?;
    }

    let words = split(&fs::read_to_string(base.join("link.rsp"))?)?;
    let is_own = |word: &String| word.ends_with(".o") && !word.contains("/crt") && !word.contains("/Scrt");
    let names: Vec<_> = words.iter().filter(|word| is_own(word)).collect();
    let last = words.iter().rposition(is_own).context("cpp-debug has no objects")?;
    let missing = objects.checked_sub(names.len()).context("cpp-debug has more objects than that")?;
    let originals = choose(originals(&base, &names)?, missing, COPIED_BYTES_MAX);
    let mut copies = Vec::with_capacity(missing);
    for (number, round) in (0..missing).step_by(originals.len().max(1)).enumerate() {
        let members = &originals[..originals.len().min(missing - round)];
        let renamed = members.iter().flat_map(|member| member.sole.iter().map(Vec::as_slice)).collect();
        let suffix = format!(".{}", number + 1);
        for member in members {
            let bytes = fs::read(base.join(&member.name))?;
            let file = member.name.replacen("in/", &format!("in/{}-", number + 1), 1);
            debug_assert_eq!(round_of(&file), number + 1);
            let copy = rename(&bytes, &renamed, &suffix).with_context(|| member.name.clone())?;
            fs::write(corpus.join(&file), copy)?;
            copies.push(file);
        }
    }

    let all = words[..=last].iter().chain(&copies).chain(&words[last + 1..]);
    let response: String = all.map(|word| quoted(word) + "\n").collect();
    fs::write(corpus.join("link.rsp"), response)?;
    Corpus::describe(&corpus, workload.about, runs(&["--self-check"], "self-check passed"), 1)?;
    Ok(())
}

/// The round of copies that a word of the link is of; 0 if it is no copy.
pub fn round_of(word: &str) -> usize {
    let number = word.strip_prefix("in/").and_then(|name| name.split_once('-'));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

/// Reads what each object defines. A name that is in a COMDAT group anywhere is not a sole definition.
fn originals(folder: &Path, names: &[&String]) -> Result<Vec<Original>> {
    let mut shared = HashSet::new();
    let mut all = Vec::new();
    for &name in names {
        let bytes = fs::read(folder.join(name))?;
        let Definitions { sole, grouped } = definitions(&bytes).with_context(|| name.clone())?;
        shared.extend(grouped);
        all.push(Original { name: name.clone(), bytes: bytes.len() as u64, sole });
    }
    for original in &mut all {
        original.sole.retain(|name| !shared.contains(name));
    }
    Ok(all)
}

/// The objects that are copied to get `missing` more of them in no more than `bytes_max`: the smallest,
/// as many as can be.
fn choose(mut originals: Vec<Original>, missing: usize, bytes_max: u64) -> Vec<Original> {
    originals.sort_by(|a, b| (a.bytes, &a.name).cmp(&(b.bytes, &b.name)));
    let mut sum = 0;
    let mut count = 0;
    for original in &originals {
        sum += original.bytes;
        if sum / (count as u64 + 1) * missing as u64 > bytes_max && count > 0 {
            break;
        }
        count += 1;
    }
    originals.truncate(count);
    originals
}

/// The names of the global definitions in an object.
#[derive(Default)]
struct Definitions {
    /// Outside COMDAT groups.
    sole: Vec<Vec<u8>>,
    /// Inside.
    grouped: Vec<Vec<u8>>,
}

fn definitions(bytes: &[u8]) -> Result<Definitions> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let sections = header.sections(LittleEndian, bytes)?;
    let symbols = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB)?;
    let mut grouped_sections = HashSet::new();
    for section in sections.iter() {
        if let Some((elf::GRP_COMDAT, members)) = section.group(LittleEndian, bytes)? {
            grouped_sections.extend(members.iter().map(|member| member.get(LittleEndian) as usize));
        }
    }
    let mut found = Definitions::default();
    for (index, symbol) in symbols.enumerate() {
        // Neither local, undefined, absolute nor common.
        let Some(SectionIndex(section)) = symbols.symbol_section(LittleEndian, symbol, index)? else {
            continue;
        };
        if symbol.st_bind() == elf::STB_LOCAL {
            continue;
        }
        let name = symbols.symbol_name(LittleEndian, symbol)?.to_vec();
        if grouped_sections.contains(&section) { &mut found.grouped } else { &mut found.sole }.push(name);
    }
    Ok(found)
}

/// A copy of an object in which the global symbols named in `names` have `suffix` after their names.
///
/// The new names are put behind the old ones in a string table at the end of the file.
fn rename(bytes: &[u8], names: &HashSet<&[u8]>, suffix: &str) -> Result<Vec<u8>> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let sections = header.sections(LittleEndian, bytes)?;
    let symbols = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB)?;
    let symbols_at = sections.section(symbols.section())?.sh_offset(LittleEndian) as usize;
    let strings_index = symbols.string_section();
    let mut strings = sections.section(strings_index)?.data(LittleEndian, bytes)?.to_vec();
    let mut copy = bytes.to_vec();
    for (index, symbol) in symbols.enumerate() {
        let name = symbols.symbol_name(LittleEndian, symbol)?;
        if symbol.st_bind() == elf::STB_LOCAL || !names.contains(name) {
            continue;
        }
        // `st_name` is the first field of an Elf64_Sym, which has 24 bytes.
        let at = symbols_at + index.0 * 24;
        copy[at..at + 4].copy_from_slice(&u32::try_from(strings.len())?.to_le_bytes());
        strings.extend_from_slice(name);
        strings.extend_from_slice(suffix.as_bytes());
        strings.push(0);
    }
    copy.resize(copy.len().next_multiple_of(8), 0);
    let strings_at = copy.len() as u64;
    // `sh_offset` and `sh_size` are at 24 and 32 in an Elf64_Shdr, which has 64 bytes.
    let at = header.e_shoff(LittleEndian) as usize + strings_index.0 * 64;
    ensure!(at + 40 <= bytes.len(), "the section headers are outside the file");
    copy[at + 24..at + 32].copy_from_slice(&strings_at.to_le_bytes());
    copy[at + 32..at + 40].copy_from_slice(&(strings.len() as u64).to_le_bytes());
    copy.extend_from_slice(&strings);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;
    use crate::tools;

    #[test]
    fn rounds_of_copies_link_with_the_originals() {
        let scratch = Scratch::new("monorepo").unwrap();
        let at = |name: &str| scratch.path().join(name);
        // The inline function is in a COMDAT group; everything else is defined once.
        let shared = "inline int shared() { static int calls; return ++calls; }\nint once();\n";
        fs::write(at("a.cc"), format!("{shared}int main() {{ return shared() - 1 + once(); }}")).unwrap();
        fs::write(at("b.cc"), format!("{shared}int once() {{ return shared() - 2; }}")).unwrap();
        let cc = || {
            let mut command = Command::new("c++");
            command.current_dir(scratch.path());
            command
        };
        tools::ask(cc().args(["-c", "a.cc", "b.cc"])).unwrap();
        let names = ["a.o".to_owned(), "b.o".to_owned()];
        let originals = originals(scratch.path(), &names.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(originals[0].sole, [b"main".to_vec()]);
        assert_eq!(originals[1].sole, [b"_Z4oncev".to_vec()]);

        let renamed = originals.iter().flat_map(|one| one.sole.iter().map(Vec::as_slice)).collect();
        for name in &names {
            let copy = rename(&fs::read(at(name)).unwrap(), &renamed, ".1").unwrap();
            fs::write(at(&format!("1-{name}")), copy).unwrap();
        }
        tools::ask(cc().args(["a.o", "b.o", "1-a.o", "1-b.o", "-o", "program"])).unwrap();
        tools::ask(&mut Command::new(at("program"))).unwrap();
    }

    #[test]
    fn the_smallest_are_copied_as_many_as_the_bytes_allow() {
        let original = |bytes| Original { name: format!("{bytes}"), bytes, sole: Vec::new() };
        let all = || vec![original(30), original(10), original(20)];
        assert_eq!(choose(all(), 10, 1000).len(), 3);
        assert_eq!(choose(all(), 10, 150).len(), 2);
        assert_eq!(choose(all(), 10, 1).len(), 1);
    }
}
