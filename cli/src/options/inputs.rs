//! Input files, libraries and how they are searched and taken in.

use super::values::{choice, pair, path};
use super::{Answer, Area, Opt, Takes, flag, harmless, switch, value};
use crate::typed::Typed;
use stages::config::{Input, InputName, Modifiers, Remap};

/// The emulations (`-m`) there are.
pub const EMULATIONS: &[&str] = &["elf_x86_64"];

/// The object formats (BFD names) there are.
pub const TARGETS: &[&str] = &["elf64-x86-64"];

pub const AREA: Area = Area { title: "Inputs and library search", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    value(&["l", "library"], "NAME", "Search for libNAME.so or libNAME.a; with :FILE, for FILE", |t, v| {
        t.input(InputName::Library(v.to_vec()));
        Ok(())
    }),
    value(&["L", "library-path"], "DIR", "Search DIR for libraries; a leading = is the sysroot", |t, v| {
        t.library_paths.push(v.to_vec());
        Ok(())
    }),
    value(&["Y"], "DIRS", "Search these directories instead of the system's own", |t, v| {
        let dirs = v.strip_prefix(b"P,").unwrap_or(v);
        t.default_paths = Some(dirs.split(|&b| b == b':').map(<[u8]>::to_vec).collect());
        Ok(())
    }),
    flag(&["nostdlib"], "Search only the directories given on the command line", |t| {
        t.config.nostdlib = true
    }),
    value(&["chroot"], "DIR", "Take absolute names of inputs as relative to DIR", |t, v| {
        t.config.chroot = Some(path(v));
        Ok(())
    }),
    value(&["C", "directory"], "DIR", "Change to DIR first", |t, v| {
        t.directory = Some(path(v));
        Ok(())
    }),
    value(&["sysroot"], "DIR", "Take DIR for the root of the target's file system", |t, v| {
        t.config.sysroot = (!v.is_empty()).then(|| path(v));
        Ok(())
    }),
    switch(&["as-needed"], "Record following shared libraries only if something uses them", |t, on| {
        t.here.as_needed = on;
    }),
    switch(&["whole-archive"], "Take in every member of the archives that follow", |t, on| {
        t.here.whole_archive = on;
    }),
    flag(&["static"], "Link no shared libraries: search for archives from here on", |t| {
        t.config.is_static = true;
        t.here.prefer_static = true;
    }),
    flag(&["Bstatic", "dn", "non_shared"], "Search only for archives from here on", |t| {
        t.here.prefer_static = true;
    }),
    flag(&["Bdynamic", "dy", "call_shared"], "Search for shared libraries first (default)", |t| {
        t.here.prefer_static = false;
    }),
    value(&["a"], "archive|shared|default", "Old spelling of -Bstatic and -Bdynamic", |t, v| {
        t.here.prefer_static = choice(v, &[("archive", true), ("shared", false), ("default", false)])?;
        Ok(())
    }),
    flag(&["push-state"], "Save --as-needed, --whole-archive and -Bstatic", |t| t.saved.push(t.here)),
    flag(&["pop-state"], "Bring back what --push-state saved last", pop_state),
    flag(&["(", "start-group"], "Begin a group of archives (their order never matters)", start_group),
    flag(&[")", "end-group"], "End a group of archives", end_group),
    flag(&["start-lib"], "Treat the objects that follow as members of an archive", start_lib),
    flag(&["end-lib"], "End the effect of --start-lib", end_lib),
    value(&["b", "format"], "elf64-x86-64|elf|default|binary", "Format of the inputs that follow", |t, v| {
        let formats = [("elf64-x86-64", false), ("elf", false), ("default", false), ("binary", true)];
        t.here.format_binary = choice(v, &formats)?;
        Ok(())
    }),
    value(&["R"], "FILE|DIR", "Take only the symbols of FILE; same as -rpath DIR", |t, v| {
        // As GNU ld has it: what is no file (yet) is a directory of the target's.
        if path(v).is_file() { just_symbols(t, v) } else { super::dynamic::add_rpath(t, v) }
    }),
    value(
        &["just-symbols"],
        "FILE",
        "Take only the symbols of FILE, a finished program or an object",
        |t, v| {
            if path(v).is_dir() { super::dynamic::add_rpath(t, v) } else { just_symbols(t, v) }
        },
    ),
    value(&["m"], "EMULATION", "Kind of machine to link for", |_, v| {
        let name = super::values::text(v);
        if !EMULATIONS.contains(&name.as_str()) {
            return Err(format!("no such emulation; there is {}", EMULATIONS.join(", ")));
        }
        Ok(())
    }),
    value(&["T", "script"], "FILE", "Read a linker script (without SECTIONS)", |t, v| {
        t.input(InputName::Script(path(v)));
        Ok(())
    }),
    value(
        &["dT", "default-script"],
        "FILE",
        "Read this script behind all inputs if there is no -T",
        |t, v| {
            t.default_script = Some(path(v));
            Ok(())
        },
    ),
    value(&["c", "mri-script"], "FILE", "Read a command file for the linker of MRI", |t, v| {
        t.mri_scripts.push((t.config.inputs.len(), t.here, path(v)));
        Ok(())
    }),
    value(&["remap-inputs"], "GLOB=FILE", "Read FILE in place of inputs whose name matches GLOB", |t, v| {
        let (glob, file) = pair(v, "GLOB=FILE")?;
        t.config.remaps.push(Remap::One(glob.to_vec(), path(file)));
        Ok(())
    }),
    value(&["remap-inputs-file"], "FILE", "Do so for each line GLOB=FILE of this file", |t, v| {
        t.config.remaps.push(Remap::Listed(path(v)));
        Ok(())
    }),
    switch(
        &["copy-dt-needed-entries", "add-needed"],
        "Link with the libraries that the libraries which follow need",
        |t, on| t.here.copy_needed = on,
    ),
    switch(&["dependent-libraries"], "Link with the libraries that objects name (default)", |t, on| {
        t.config.dependent_libraries = on;
    }),
    harmless(&["EB"], Takes::Nothing, "the target has one order of bytes, whatever is asked for"),
    harmless(&["EL"], Takes::Nothing, "x86-64 is little-endian"),
    harmless(&["A", "architecture"], Takes::Value("ARCH"), "the emulation says it all"),
    harmless(
        &["accept-unknown-input-arch"],
        Takes::Switch,
        "an input for another machine is an error either way",
    ),
    harmless(&["warn-mismatch"], Takes::Switch, "an input for another machine is an error either way"),
    harmless(
        &["warn-search-mismatch"],
        Takes::Switch,
        "a library for another machine is passed over in silence, as ld does it for multilib",
    ),
];

fn pop_state(t: &mut Typed) {
    match t.saved.pop() {
        // What is not positional for --push-state stays as it is.
        Some(saved) => {
            let Modifiers { start_lib, format_binary, group, .. } = t.here;
            t.here = Modifiers { start_lib, format_binary, group, ..saved };
        }
        None => t.error("--pop-state without --push-state"),
    }
}

fn just_symbols(t: &mut Typed, file: &[u8]) -> Answer {
    let modifiers = Modifiers { just_symbols: true, ..t.here };
    t.config.inputs.push(Input { name: InputName::File(path(file)), modifiers });
    Ok(())
}

fn start_group(t: &mut Typed) {
    if std::mem::replace(&mut t.in_group, true) {
        t.error("--start-group inside --start-group");
    }
    begin_group(t);
}

/// What follows has one place on the command line.
fn begin_group(t: &mut Typed) {
    t.groups += 1;
    t.here.group = t.groups;
}

fn end_group(t: &mut Typed) {
    if !std::mem::replace(&mut t.in_group, false) {
        t.error("--end-group without --start-group");
    }
    t.here.group = 0;
}

fn start_lib(t: &mut Typed) {
    if std::mem::replace(&mut t.here.start_lib, true) {
        t.error("--start-lib inside --start-lib");
    }
    if !t.in_group {
        begin_group(t);
    }
}

fn end_lib(t: &mut Typed) {
    if !std::mem::replace(&mut t.here.start_lib, false) {
        t.error("--end-lib without --start-lib");
    }
    if !t.in_group {
        t.here.group = 0;
    }
}
