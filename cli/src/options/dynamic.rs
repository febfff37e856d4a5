//! What the dynamic linker reads: names, search paths, hash tables, filters, relocation formats.

use super::values::{choice, path};
use super::{Answer, Area, Opt, Takes, flag, harmless, switch, value};
use crate::typed::Typed;
use stages::config::HashStyle;

pub const AREA: Area = Area { title: "Dynamic linking", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    value(&["soname", "h"], "NAME", "Record NAME as the name of the shared library", |t, v| {
        t.config.soname = (!v.is_empty()).then(|| v.to_vec());
        Ok(())
    }),
    value(&["dynamic-linker", "I"], "FILE", "Let FILE load the program", |t, v| {
        t.config.dynamic_linker = Some(v.to_vec());
        t.config.no_dynamic_linker = false;
        Ok(())
    }),
    flag(&["no-dynamic-linker"], "Write a program that needs no dynamic linker", |t| {
        t.config.no_dynamic_linker = true;
    }),
    value(&["rpath"], "DIRS", "Search DIRS for shared libraries at run time", add_rpath),
    value(&["rpath-link"], "DIRS", "Search DIRS for the libraries that libraries need", |t, v| {
        let dirs = v.split(|&b| b == b':').filter(|dir| !dir.is_empty());
        t.config.rpath_link.extend(dirs.map(path));
        Ok(())
    }),
    flag(&["enable-new-dtags"], "Record -rpath as DT_RUNPATH (default)", |t| t.config.new_dtags = true),
    flag(&["disable-new-dtags"], "Record -rpath as DT_RPATH", |t| t.config.new_dtags = false),
    value(&["hash-style"], "sysv|gnu|both|none", "Hash tables of dynamic symbols to write", |t, v| {
        t.config.hash_style = choice(
            v,
            &[
                ("sysv", HashStyle::Sysv),
                ("gnu", HashStyle::Gnu),
                ("both", HashStyle::Both),
                ("none", HashStyle::None),
            ],
        )?;
        Ok(())
    }),
    value(&["F", "filter"], "NAME", "Make the library a filter for NAME", |t, v| {
        t.config.filters.push(v.to_vec());
        Ok(())
    }),
    value(&["f", "auxiliary"], "NAME", "Make the library an auxiliary filter for NAME", |t, v| {
        t.config.auxiliaries.push(v.to_vec());
        Ok(())
    }),
    value(&["audit"], "LIBS", "Let LIBS audit the program at run time", |t, v| {
        join(&mut t.config.audit, v);
        Ok(())
    }),
    value(&["P", "depaudit"], "LIBS", "Let LIBS audit the libraries the output needs", |t, v| {
        join(&mut t.config.depaudit, v);
        Ok(())
    }),
    value(&["pack-dyn-relocs"], "none|relr|android|android+relr", "Pack dynamic relocations", |t, v| {
        let formats = [
            ("none", (false, false)),
            ("relr", (true, false)),
            ("android", (false, true)),
            ("android+relr", (true, true)),
        ];
        (t.config.relr, t.config.android_relocations) = choice(v, &formats)?;
        Ok(())
    }),
    switch(
        &["use-android-relr-tags"],
        "Write DT_RELR and its section as old Android loaders know them",
        |t, on| {
            t.config.android_relr_tags = on;
        },
    ),
    harmless(
        &["apply-dynamic-relocs"],
        Takes::Switch,
        "relative relocations always have their value in place, too; loaders write it again",
    ),
    harmless(
        &["spare-dynamic-tags"],
        Takes::Value("N"),
        "room for tools that edit the output; nothing depends on it at run time",
    ),
    harmless(
        &["ld-generated-unwind-info"],
        Takes::Switch,
        "the default is kept; only unwinding out of a lazy PLT entry can tell",
    ),
];

/// `-rpath`: adds a colon-separated list, byte for byte, unless it is there already.
pub fn add_rpath(t: &mut Typed, dirs: &[u8]) -> Answer {
    let known = t.config.rpath.as_deref().is_some_and(|known| contains_entries(known, dirs));
    if !known && !dirs.is_empty() {
        join(&mut t.config.rpath, dirs);
    }
    Ok(())
}

/// Whether `dirs` stands in the colon-separated list `known`, as a run of whole entries.
fn contains_entries(known: &[u8], dirs: &[u8]) -> bool {
    let starts =
        std::iter::once(0).chain(known.iter().enumerate().filter(|(_, b)| **b == b':').map(|(i, _)| i + 1));
    starts.into_iter().any(|start| {
        known[start..].strip_prefix(dirs).is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
    })
}

/// Appends to a colon-separated list.
fn join(list: &mut Option<Vec<u8>>, more: &[u8]) {
    match list {
        Some(list) => {
            list.push(b':');
            list.extend_from_slice(more);
        }
        None => *list = Some(more.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpath_is_added_once() {
        let mut t = Typed::default();
        for dirs in ["a", "b", "a:b", "a", "$ORIGIN/../lib", "XX", "", "b:$ORIGIN/../lib", "X", "XX"] {
            add_rpath(&mut t, dirs.as_bytes()).unwrap();
        }
        assert_eq!(t.config.rpath.as_deref(), Some(&b"a:b:$ORIGIN/../lib:XX:X"[..]));
    }
}
