//! The kind of file to write, where it goes, its addresses and its notes.

use super::values::{address, choice, hex_bytes, number, pair, path, percent_decoded};
use super::{Answer, Area, Opt, Takes, flag, foreign, harmless, maybe, switch, value};
use crate::typed::Typed;
use stages::config::{BuildId, Format, Magic, OutputKind};

pub const AREA: Area = Area { title: "Output", options: OPTIONS };

const OPTIONS: &[Opt] = &[
    value(&["o", "output"], "FILE", "Write to FILE (default a.out)", |t, v| {
        if v.is_empty() {
            return Err("empty file name".to_string());
        }
        t.config.output = path(v);
        Ok(())
    }),
    flag(&["shared", "Bshareable"], "Make a shared library", |t| t.config.kind = OutputKind::SharedObject),
    flag(&["pie", "pic-executable"], "Make a position independent program", |t| {
        t.config.kind = OutputKind::PositionIndependentExecutable;
    }),
    flag(&["no-pie", "nopie", "no-pic-executable"], "Make a position dependent program (default)", |t| {
        t.config.kind = OutputKind::Executable;
    }),
    flag(&["r", "i", "relocatable", "Ur"], "Join the inputs into one object file", |t| t.relocatable = true),
    flag(&["q", "emit-relocs"], "Keep the relocations of the inputs in the output", |t| {
        t.config.emit_relocs = true;
    }),
    flag(&["N", "omagic"], "One writable segment for code and data; search for archives from here on", |t| {
        t.config.magic = Magic::Omagic;
        t.here.prefer_static = true;
    }),
    flag(&["n", "nmagic"], "Align nothing to pages in the file; search for archives from here on", |t| {
        t.config.magic = Magic::Nmagic;
        t.here.prefer_static = true;
    }),
    flag(&["no-omagic", "no-nmagic"], "Give segments pages of their own (default)", |t| {
        t.config.magic = Magic::Zmagic;
    }),
    value(&["oformat"], "elf64-x86-64|elf|binary", "Format of the output", |t, v| {
        let formats = [("elf64-x86-64", Format::Elf), ("elf", Format::Elf), ("binary", Format::Binary)];
        t.config.format = choice(v, &formats)?;
        Ok(())
    }),
    value(&["z"], "KEYWORD", "Further settings by keyword, listed below", |_, _| Ok(())),
    maybe(&["build-id"], "none|fast|md5|sha1|sha256|uuid|0xHEX", "Write a build-id note", build_id),
    flag(&["no-build-id"], "Write no build-id note", |t| t.config.build_id = BuildId::None),
    maybe(
        &["package-metadata", "encoded-package-metadata"],
        "JSON",
        "Write JSON to .note.package",
        |t, v| {
            t.config.package_metadata =
                Some(percent_decoded(v.unwrap_or(b""))?).filter(|json| !json.is_empty());
            Ok(())
        },
    ),
    switch(&["eh-frame-hdr"], "Write .eh_frame_hdr, the index of unwind tables", |t, on| {
        t.config.eh_frame_hdr = on;
    }),
    switch(&["rosegment"], "Give read-only data a segment apart from code (default)", |t, on| {
        t.config.rosegment = on;
    }),
    value(&["image-base"], "ADDRESS", "Place the output at ADDRESS", |t, v| {
        t.config.image_base = Some(number(v)?);
        Ok(())
    }),
    value(&["Ttext-segment"], "HEX", "Place the first segment at HEX", |t, v| {
        t.config.image_base = Some(address(v)?);
        Ok(())
    }),
    value(&["Ttext"], "HEX", "Place .text at HEX", |t, v| section_start(t, b".text", v)),
    value(&["Tdata"], "HEX", "Place .data at HEX", |t, v| section_start(t, b".data", v)),
    value(&["Tbss"], "HEX", "Place .bss at HEX", |t, v| section_start(t, b".bss", v)),
    value(&["section-start"], "SECTION=HEX", "Place SECTION at HEX", |t, v| {
        let (name, start) = pair(v, "SECTION=ADDRESS")?;
        section_start(t, name, start)
    }),
    value(&["Trodata-segment"], "HEX", "Place the read-only data behind code at HEX", |t, v| {
        t.config.rodata_segment = Some(address(v)?);
        Ok(())
    }),
    value(&["Tldata-segment"], "HEX", "Place the data of the large code model at HEX", |t, v| {
        t.config.ldata_segment = Some(address(v)?);
        Ok(())
    }),
    value(
        &["physical-image-base"],
        "ADDRESS",
        "Load the output at ADDRESS, to be moved to where it runs",
        |t, v| {
            t.config.physical_image_base = Some(number(v)?);
            Ok(())
        },
    ),
    value(&["dependency-file"], "FILE", "Write the inputs to FILE as a Makefile rule", |t, v| {
        t.config.dependency_file = Some(path(v));
        Ok(())
    }),
    value(&["Map"], "FILE", "Write a link map to FILE, or print it (-)", |t, v| {
        t.config.map_file = Some(path(v));
        Ok(())
    }),
    flag(&["M", "print-map"], "Print a link map", |t| t.config.map_file = Some("-".into())),
    flag(&["cref"], "Add a cross reference table to the map, or print it", |t| t.config.cref = true),
    value(&["reproduce"], "FILE", "Pack all inputs and the command line into FILE, a tar file", |t, v| {
        t.reproduce = Some(Some(path(v)));
        Ok(())
    }),
    flag(&["repro"], "Pack them into OUTPUT.repro.tar", |t| t.reproduce = Some(None)),
    flag(&["print-memory-usage"], "Print how full the memory regions of scripts are", |t| {
        t.config.print_memory_usage = true;
    }),
    switch(&["execute-only"], "Make code unreadable where the processor can", |t, on| {
        t.config.execute_only = on;
    }),
    foreign(
        &["out-implib"],
        Takes::Value("FILE"),
        "import libraries are for Windows and secure-state code of other machines",
    ),
    foreign(
        &["in-implib"],
        Takes::Value("FILE"),
        "import libraries are for secure-state code of other machines",
    ),
    foreign(&["cmse-implib"], Takes::Nothing, "import libraries are for secure-state code of other machines"),
    harmless(&["print-map-discarded"], Takes::Switch, "it only changes the link map"),
    harmless(
        &["enable-linker-version"],
        Takes::Nothing,
        ".comment always names the linker; it is not loaded and nothing reads it at run time",
    ),
    harmless(
        &["disable-linker-version"],
        Takes::Nothing,
        ".comment is not loaded and nothing reads it at run time",
    ),
    harmless(
        &["spare-program-headers"],
        Takes::Value("N"),
        "room for tools that edit the output; nothing depends on it at run time",
    ),
    harmless(&["force-exe-suffix"], Takes::Nothing, "programs have no suffix on Linux"),
    harmless(&["check-sections"], Takes::Switch, "sections never overlap in the default layout"),
];

fn section_start(t: &mut Typed, name: &[u8], start: &[u8]) -> Answer {
    let start = address(start)?;
    t.config.section_starts.retain(|(other, _)| other != name);
    t.config.section_starts.push((name.to_vec(), start));
    Ok(())
}

fn build_id(t: &mut Typed, style: Option<&[u8]>) -> Answer {
    t.config.build_id = match style {
        None => BuildId::Fast,
        Some(style) => match style.strip_prefix(b"0x").or_else(|| style.strip_prefix(b"0X")) {
            Some(digits) => BuildId::Bytes(hex_bytes(digits)?),
            None => choice(
                style,
                &[
                    ("none", BuildId::None),
                    ("fast", BuildId::Fast),
                    ("md5", BuildId::Md5),
                    ("sha1", BuildId::Sha1),
                    ("sha256", BuildId::Sha256),
                    ("uuid", BuildId::Uuid),
                    ("tree", BuildId::Fast),
                    ("xx", BuildId::Fast),
                ],
            )
            .map_err(|words| format!("{words}, or 0x and hexadecimal digits"))?,
        },
    };
    Ok(())
}
