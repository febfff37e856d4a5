//! Which programs are linkers that manifold replaces.
//!
//! The name decides, and where one program is several linkers, its first arguments. A link for a machine
//! that manifold does not know stays with the linker that was chosen for it.
//!
//! This file is part of both the command and the preloaded library. The library calls it between `vfork`
//! and `exec`, so nothing here may allocate, lock or panic.

/// The names of linkers whose whole command line manifold understands.
const NAMES: [&[u8]; 8] = [b"ld", b"ld.bfd", b"ld.gold", b"ld.lld", b"ld.mold", b"ld.wild", b"mold", b"wild"];

/// Names of the linker that is told what to be by `-flavor`.
const FLAVORED: [&[u8]; 2] = [b"rust-lld", b"lld"];

/// The flavors that are an `ld`.
const FLAVORS: [&[u8]; 3] = [b"gnu", b"ld", b"ld.lld"];

/// Where the preloaded library looks for manifold, from its own directory.
pub const PLACES: [&str; 2] = ["manifold", "../../bin/manifold"];

/// What a cross toolchain that targets this machine puts before a name.
const PREFIX: &[u8] = b"x86_64-";

/// The emulation that manifold links for.
const EMULATION: &[u8] = b"elf_x86_64";

/// Whether manifold takes the place of a program, given its path and its arguments, the zeroth included.
pub fn is_replaced<'a>(path: &[u8], mut argument: impl FnMut() -> Option<&'a [u8]>) -> bool {
    let name = unversioned(base_name(path));
    let flavored = FLAVORED.contains(&name);
    if !flavored && !NAMES.contains(&name) && !prefixed(name) {
        return false;
    }
    argument();
    let mut previous = argument();
    if flavored {
        let is_ld = previous == Some(b"-flavor") && argument().is_some_and(|f| FLAVORS.contains(&f));
        if !is_ld {
            return false;
        }
    }
    while let Some(option) = previous {
        previous = argument();
        if option == b"-m" && previous.is_some_and(|emulation| emulation != EMULATION) {
            return false;
        }
        if option.strip_prefix(b"-m").is_some_and(|joined| joined.starts_with(b"elf") && joined != EMULATION)
        {
            return false;
        }
    }
    true
}

/// What follows the last slash.
fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// A name without a version: `ld.lld-19` is `ld.lld`.
fn unversioned(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'-') {
        Some(dash) if dash + 1 < name.len() && name[dash + 1..].iter().all(u8::is_ascii_digit) => {
            &name[..dash]
        }
        _ => name,
    }
}

/// Whether a name is that of a linker behind a target: `x86_64-linux-gnu-ld.bfd`.
fn prefixed(name: &[u8]) -> bool {
    let last = name.rsplit(|b| *b == b'-').next().unwrap_or(name);
    name.starts_with(PREFIX) && last.starts_with(b"ld") && NAMES.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(line: &str) -> bool {
        let mut words = line.split_whitespace().map(str::as_bytes);
        is_replaced(line.split_whitespace().next().unwrap().as_bytes(), || words.next())
    }

    #[test]
    fn linkers_are_known_by_name() {
        for line in [
            "ld a.o",
            "/usr/bin/ld",
            "../ld.bfd",
            "ld.gold",
            "/x/gcc-ld/ld.lld",
            "ld.lld-19 -o x",
            "ld.mold",
            "ld.wild",
            "mold -run make",
            "wild",
            "x86_64-linux-gnu-ld",
            "x86_64-linux-gnu-ld.gold",
            "rust-lld -flavor gnu a.o",
            "/usr/bin/lld-19 -flavor ld.lld",
        ] {
            assert!(replaced(line), "{line}");
        }
    }

    #[test]
    fn other_programs_are_left_alone() {
        for line in [
            "gcc",
            "/usr/bin/collect2",
            "ld64.lld",
            "ld.so",
            "/ld/",
            "ldd",
            "wasm-ld",
            "lld-link",
            "manifold -run make",
            "aarch64-linux-gnu-ld",
            "x86_64-linux-gnu-gcc",
            "x86_64-w64-mingw32-wild",
            "ld-linux-x86-64.so.2",
            "rust-lld a.o",
            "rust-lld -flavor wasm a.o",
            "rust-lld -flavor",
            "rust-lld",
            "lld -flavor darwin",
        ] {
            assert!(!replaced(line), "{line}");
        }
    }

    #[test]
    fn links_for_other_machines_are_left_alone() {
        assert!(replaced("ld -m elf_x86_64 a.o"));
        assert!(replaced("ld -melf_x86_64 a.o -mllvm -x -m"));
        assert!(!replaced("ld -o a -m elf_i386 a.o"));
        assert!(!replaced("ld -melf_i386 a.o"));
        assert!(!replaced("ld.lld -m aarch64linux"));
        assert!(!replaced("rust-lld -flavor gnu -m elf32_x86_64"));
    }
}
