//! `-c`: command files for the linker of Microtec Research, as far as GNU ld reads them (its manual, "MRI Compatible Script
//! Files").
//!
//! One command a line, in upper case or lower; lines that begin with `*` and what follows `;` are comments. A command means the
//! same as options: files stand where `-c` stands on the command line.
//!
//! | command | means |
//! |---|---|
//! | `LOAD FILE, FILE` | these inputs |
//! | `NAME FILE` | `-o FILE`, if there is none |
//! | `PUBLIC SYMBOL=EXPR` | `--defsym` |
//! | `SECT SECTION=ADDRESS`, `SECT SECTION ADDRESS` | `--section-start` |
//! | `BASE ADDRESS` | `--image-base` |
//! | `FORMAT NAME` | `--oformat` |
//! | `LIST` and anything | `-M` |
//! | `CHIP` and anything | nothing: there is one |
//! | `END` | the end of the file |
//!
//! What needs a layout of the user's own (`ABSOLUTE`, `ALIAS`, `ALIGN`, `ORDER`) is refused by name.

use crate::options::path;
use crate::options::values::{choice, number, text};
use crate::typed::Typed;
use stages::config::{Config, Format, InputName};
use stages::script::parse_expr;
use std::path::Path;

/// Does as all command files of a command line say. Their inputs stand where `-c` stood.
pub fn read_all(t: &mut Typed) {
    for (at, here, file) in std::mem::take(&mut t.mri_scripts).into_iter().rev() {
        let behind = t.config.inputs.split_off(at.min(t.config.inputs.len()));
        let there = std::mem::replace(&mut t.here, here);
        if let Err(wrong) = read(t, &file) {
            t.error(wrong);
        }
        t.here = there;
        t.config.inputs.extend(behind);
    }
}

/// Reads a command file and does as it says, or tells what is wrong with it, and where.
fn read(t: &mut Typed, name: &Path) -> Result<(), String> {
    let contents = std::fs::read(name)
        .map_err(|error| format!("cannot open {}: {}", name.display(), stages::open::reason(&error)))?;
    for (n, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        match command(t, line) {
            Ok(true) => {}
            Ok(false) => break,
            Err(wrong) => return Err(format!("{}:{}: {wrong}", name.display(), n + 1)),
        }
    }
    Ok(())
}

/// Does what one line says; false at the end.
fn command(t: &mut Typed, line: &[u8]) -> Result<bool, String> {
    let line = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if line.is_empty() || line.starts_with(b"*") {
        return Ok(true);
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = (line[..end].to_ascii_uppercase(), line[end..].trim_ascii());
    match word.as_slice() {
        b"LOAD" => {
            for name in words(rest) {
                t.input(InputName::File(path(name)));
            }
        }
        b"NAME" if rest.is_empty() => return Err("NAME without a file".to_string()),
        // What the command line says itself counts more.
        b"NAME" if t.config.output != Config::default().output => {}
        b"NAME" => t.config.output = path(rest),
        b"PUBLIC" => {
            let (symbol, value) = assignment(rest).ok_or("expected PUBLIC SYMBOL=EXPRESSION")?;
            let value = parse_expr(value).map_err(|wrong| wrong.to_string())?;
            t.config.defsyms.push((symbol.to_vec(), value));
        }
        b"SECT" => {
            let (section, address) = assignment(rest).ok_or("expected SECT SECTION=ADDRESS")?;
            t.config.section_starts.push((section.to_vec(), number(address)?));
        }
        b"BASE" => t.config.image_base = Some(number(rest)?),
        b"FORMAT" => {
            let formats = [("elf64-x86-64", Format::Elf), ("binary", Format::Binary)];
            t.config.format = choice(rest, &formats)?;
        }
        b"LIST" => t.config.map_file = Some("-".into()),
        b"CHIP" => {}
        b"END" => return Ok(false),
        b"ABSOLUTE" | b"ALIAS" | b"ALIGN" | b"ORDER" => {
            return Err(format!("{} is not supported: it arranges output sections", text(&word)));
        }
        _ => return Err(format!("unknown command {}", text(&line[..end]))),
    }
    Ok(true)
}

/// Words between blanks and commas.
fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| byte.is_ascii_whitespace() || *byte == b',').filter(|word| !word.is_empty())
}

/// `NAME=VALUE`, `NAME VALUE` or `NAME,VALUE`.
fn assignment(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b',');
    let end = text.iter().position(is_end).filter(|end| *end > 0)?;
    let rest = text[end..].trim_ascii();
    let value = rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b",")).unwrap_or(rest).trim_ascii();
    (!value.is_empty()).then_some((&text[..end], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_options() {
        let mut t = Typed::default();
        for line in [
            "* text",
            "; text",
            "name  out.elf",
            "LOAD a.o, b.o c.o ; three",
            "SECT .text=0x1000",
            "sect .data 32",
        ] {
            assert_eq!(command(&mut t, line.as_bytes()), Ok(true), "{line}");
        }
        assert_eq!(t.config.output, path(b"out.elf"));
        assert_eq!(t.config.inputs.len(), 3);
        assert_eq!(t.config.section_starts, [(b".text".to_vec(), 0x1000), (b".data".to_vec(), 32)]);
        assert_eq!(command(&mut t, b"END"), Ok(false));
        for wrong in
            ["NAME", "PUBLIC x", "PUBLIC =1", "SECT .text", "ORDER .text", "FORMAT srec", "nonsense 1"]
        {
            assert!(command(&mut t, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
