//! Archives: `ar` files with their members inside, and thin ones that only name them.
//!
//! In: the bytes of the file. Out: its members in order, each a name and either a range of the archive's bytes
//! or (thin) the path of a file. Symbol indexes are stepped over: reading the members' own symbol tables
//! costs little, works without an index, and cannot be wrong.
//!
//! The dialects differ in names only, so one parser reads them all, even mixed:
//!
//! | name field | meaning |
//! |---|---|
//! | `foo.o/` | short name (System V, GNU) |
//! | `foo.o`  | short name (BSD) |
//! | `/123`   | at offset 123 of the member `//`, up to `/` and newline (GNU), or newline or NUL (others) |
//! | `/123:456` | the same; the member at offset 456 of the archive so named (thin archives of archives) |
//! | `#1/20`  | the first 20 bytes of the member, NUL padded (BSD, Darwin) |
//! | `/`, `/SYM64/`, `__.SYMDEF*` | a symbol index, stepped over |
//!
//! Headers are 60 bytes of text and begin at even offsets (ar(5)). In a thin archive ordinary members have a
//! header and no contents; the tables do.
//!
//! Two members may have the same name; only the offset of the header tells members apart.

use std::fmt;
use std::ops::Range;

/// A parsed archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive<'a> {
    /// Whether members are files of their own.
    pub thin: bool,
    /// The members in order, without indexes and name tables.
    pub members: Vec<Member<'a>>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name; in a thin archive a path, relative to the directory of the archive unless absolute.
    pub name: &'a [u8],
    /// Where its header stands in the archive.
    pub header_offset: u64,
    /// Where its bytes are.
    pub contents: Contents,
}

/// Where a member's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Inside the archive: this range of its bytes, which lies within the file.
    Inside(Range<usize>),
    /// In a file of its own, called as the member.
    File {
        /// The size the archive remembers, in bytes; the file may have changed since.
        size_bytes: u64,
    },
    /// In another archive, called as the member: there the member whose header is at this offset.
    Nested {
        /// Offset of the header in the other archive.
        header_offset: u64,
    },
}

/// Why bytes are not an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveError {
    /// The archive.
    pub archive: String,
    /// The member's name as far as known.
    pub member: String,
    /// Where the member's header stands.
    pub header_offset: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.archive)?;
        if !self.member.is_empty() {
            write!(f, "({})", self.member)?;
        }
        write!(f, ": archive member at offset {:#x}: {}", self.header_offset, self.message)
    }
}

impl std::error::Error for ArchiveError {}

const MAGIC: &[u8] = b"!<arch>\n";
const THIN_MAGIC: &[u8] = b"!<thin>\n";
const HEADER_BYTES: usize = 60;
/// Ends every header.
const HEADER_END: &[u8] = b"`\n";

impl<'a> Archive<'a> {
    /// Finds the members of the archive `data`, whose file is called `name`.
    pub fn parse(data: &'a [u8], name: &str) -> Result<Archive<'a>, ArchiveError> {
        let thin = data.starts_with(THIN_MAGIC);
        let mut parser = Parser { data, archive: name, thin, long_names: &[], position: MAGIC.len() };
        if !thin && !data.starts_with(MAGIC) {
            parser.position = 0;
            return Err(parser.error(b"", "not an archive"));
        }
        let mut members = Vec::new();
        while let Some(rest) = data.get(parser.position..).filter(|rest| !rest.is_empty()) {
            // Some tools pad the end of the file.
            if rest.len() < HEADER_BYTES && rest.iter().all(|byte| matches!(byte, b'\n' | 0)) {
                break;
            }
            members.extend(parser.member(rest)?);
        }
        Ok(Archive { thin, members })
    }
}

struct Parser<'a, 'n> {
    data: &'a [u8],
    archive: &'n str,
    thin: bool,
    /// Contents of the member `//`.
    long_names: &'a [u8],
    /// Where the next header stands.
    position: usize,
}

impl<'a> Parser<'a, '_> {
    /// The member whose header begins `rest`, `None` for one of the tables; moves on to the next header.
    fn member(&mut self, rest: &'a [u8]) -> Result<Option<Member<'a>>, ArchiveError> {
        let Some((header, _)) = rest.split_at_checked(HEADER_BYTES) else {
            return Err(self.error(b"", "header is cut off by the end of the file"));
        };
        let raw_name = header[..16].trim_ascii_end();
        if &header[58..] != HEADER_END {
            return Err(self.error(raw_name, "header is malformed (no end mark)"));
        }
        let Some(size) = parse_decimal(header[48..58].trim_ascii_end()) else {
            return Err(self.error(raw_name, "header is malformed (size is not a number)"));
        };
        let is_table = matches!(raw_name, b"/" | b"//" | b"/SYM64/");
        let header_offset = self.position as u64;
        let start = self.position + HEADER_BYTES;
        if self.thin && !is_table {
            let name = self.thin_name(raw_name, size)?;
            self.position = start;
            return Ok(Some(Member { name: name.0, header_offset, contents: name.1 }));
        }
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let Some((end, contents)) = end.and_then(|end| Some((end, self.data.get(start..end)?))) else {
            let left = self.data.len() - start;
            let message = format!("size {size} exceeds the {left} bytes left in the file");
            return Err(self.error(raw_name, &message));
        };
        let member = match raw_name {
            b"//" => {
                self.long_names = contents;
                None
            }
            _ if is_table => None,
            _ => {
                let (name, skip) = self.name(raw_name, contents)?;
                let member = Member { name, header_offset, contents: Contents::Inside(start + skip..end) };
                (!is_bsd_index(name)).then_some(member)
            }
        };
        self.position = end.saturating_add(end & 1);
        Ok(member)
    }

    /// A member's name, and how many bytes of its contents the name takes.
    fn name(&self, raw: &'a [u8], contents: &'a [u8]) -> Result<(&'a [u8], usize), ArchiveError> {
        if let Some(length) = raw.strip_prefix(b"#1/") {
            let length = parse_decimal(length).and_then(|length| usize::try_from(length).ok());
            let Some((length, name)) = length.and_then(|n| Some((n, contents.get(..n)?))) else {
                return Err(self.error(raw, "name is longer than the member"));
            };
            let name = &name[..memchr::memchr(0, name).unwrap_or(length)];
            return Ok((name, length));
        }
        if let Some(offset) = raw.strip_prefix(b"/") {
            return Ok((self.long_name(raw, offset)?, 0));
        }
        Ok((raw.strip_suffix(b"/").unwrap_or(raw), 0))
    }

    /// The path of a thin archive's member and what is to be found there.
    fn thin_name(&self, raw: &'a [u8], size_bytes: u64) -> Result<(&'a [u8], Contents), ArchiveError> {
        let Some(offset) = raw.strip_prefix(b"/") else {
            return Ok((raw.strip_suffix(b"/").unwrap_or(raw), Contents::File { size_bytes }));
        };
        let Some(colon) = memchr::memchr(b':', offset) else {
            return Ok((self.long_name(raw, offset)?, Contents::File { size_bytes }));
        };
        let Some(header_offset) = parse_decimal(&offset[colon + 1..]) else {
            return Err(self.error(raw, "offset into the nested archive is not a number"));
        };
        Ok((self.long_name(raw, &offset[..colon])?, Contents::Nested { header_offset }))
    }

    /// The name at `offset` (decimal text) of the table of long names.
    fn long_name(&self, raw: &[u8], offset: &[u8]) -> Result<&'a [u8], ArchiveError> {
        let Some(offset) = parse_decimal(offset) else {
            return Err(self.error(raw, "offset of the long name is not a number"));
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| self.long_names.get(offset..));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            let size = self.long_names.len();
            let message = format!("long name at {offset} is outside of the name table of {size} bytes");
            return Err(self.error(raw, &message));
        };
        let name = &rest[..memchr::memchr2(b'\n', 0, rest).unwrap_or(rest.len())];
        Ok(name.strip_suffix(b"/").unwrap_or(name))
    }

    fn error(&self, member: &[u8], message: &str) -> ArchiveError {
        ArchiveError {
            archive: self.archive.to_owned(),
            member: member.escape_ascii().to_string(),
            header_offset: self.position as u64,
            message: message.to_owned(),
        }
    }
}

/// BSD's and Darwin's symbol index.
fn is_bsd_index(name: &[u8]) -> bool {
    matches!(name, b"__.SYMDEF" | b"__.SYMDEF SORTED" | b"__.SYMDEF_64" | b"__.SYMDEF_64 SORTED")
}

/// A decimal number and nothing else.
fn parse_decimal(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: usize) -> Vec<u8> {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100644).into_bytes()
    }

    fn archive(magic: &[u8], members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut data = magic.to_vec();
        for (name, contents) in members {
            data.extend(header(name, contents.len()));
            data.extend(*contents);
            if contents.len() % 2 == 1 {
                data.push(b'\n');
            }
        }
        data
    }

    /// Names and contents as text.
    fn list(data: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let archive = Archive::parse(data, "lib.a").unwrap();
        let members = archive.members.iter().map(|member| {
            let contents = match &member.contents {
                Contents::Inside(range) => text(&data[range.clone()]),
                other => format!("{other:?}"),
            };
            (text(member.name), contents)
        });
        members.collect()
    }

    fn pair(name: &str, contents: &str) -> (String, String) {
        (name.into(), contents.into())
    }

    #[test]
    fn gnu_archives() {
        let data = archive(
            MAGIC,
            &[
                ("/", b"index"),
                ("//", b"a_very_long_member_name.o/\nanother/one.o/\n"),
                ("a.o/", b"odd"),
                ("a.o/", b"even"),
                ("/0", b"long"),
                ("/27", b"x"),
                ("with space.o/", b""),
            ],
        );
        let members = [
            pair("a.o", "odd"),
            pair("a.o", "even"),
            pair("a_very_long_member_name.o", "long"),
            pair("another/one.o", "x"),
            pair("with space.o", ""),
        ];
        assert_eq!(list(&data), members);
        let parsed = Archive::parse(&data, "lib.a").unwrap();
        assert!(!parsed.thin);
        assert_ne!(parsed.members[0].header_offset, parsed.members[1].header_offset);
        assert_eq!(list(MAGIC), []);
        assert_eq!(list(&archive(MAGIC, &[("/SYM64/", b"01234567")])), []);
    }

    #[test]
    fn bsd_archives() {
        let data = archive(
            MAGIC,
            &[
                ("__.SYMDEF", b"index"),
                ("#1/20", b"__.SYMDEF SORTED\0\0\0\0index"),
                ("short.o", b"one"),
                ("#1/16", b"long name.o\0\0\0\0\0two"),
            ],
        );
        assert_eq!(list(&data), [pair("short.o", "one"), pair("long name.o", "two")]);
    }

    #[test]
    fn thin_archives() {
        let mut data = THIN_MAGIC.to_vec();
        data.extend(header("//", 22));
        data.extend(b"dir/a.o/\nnested.a/\n\n\n\n");
        data.extend(header("/0", 1000));
        data.extend(header("/9:68", 2000));
        data.extend(header("b.o/", 30));
        let members = [
            pair("dir/a.o", "File { size_bytes: 1000 }"),
            pair("nested.a", "Nested { header_offset: 68 }"),
            pair("b.o", "File { size_bytes: 30 }"),
        ];
        assert_eq!(list(&data), members);
        assert!(Archive::parse(&data, "lib.a").unwrap().thin);
    }

    #[test]
    fn padding_at_the_end_is_no_member() {
        let mut data = archive(MAGIC, &[("a.o/", b"odd")]);
        data.pop();
        assert_eq!(list(&data), [pair("a.o", "odd")]);
        data.extend(b"\n\n\0");
        assert_eq!(list(&data), [pair("a.o", "odd")]);
    }

    #[test]
    fn errors_name_member_and_offset() {
        let error = |data: &[u8]| Archive::parse(data, "lib.a").unwrap_err().to_string();
        let good = archive(MAGIC, &[("a.o/", b"1234")]);
        assert_eq!(error(b"!<arch>"), "lib.a: archive member at offset 0x0: not an archive");
        assert_eq!(
            error(&good[..good.len() - 1]),
            "lib.a(a.o/): archive member at offset 0x8: size 4 exceeds the 3 bytes left in the file"
        );
        assert_eq!(
            error(&good[..40]),
            "lib.a: archive member at offset 0x8: header is cut off by the end of the file"
        );
        let mut bad = good.clone();
        bad[8 + 58] = b'x';
        assert!(error(&bad).ends_with("header is malformed (no end mark)"));
        let mut bad = good.clone();
        bad[8 + 49] = b'x';
        assert!(error(&bad).ends_with("size is not a number)"));
        let bad = archive(MAGIC, &[("/5", b"")]);
        assert!(error(&bad).ends_with("long name at 5 is outside of the name table of 0 bytes"));
        let bad = archive(MAGIC, &[("#1/9", b"1234")]);
        assert!(error(&bad).ends_with("name is longer than the member"));
        let mut bad = good;
        bad[8 + 48..8 + 58].copy_from_slice(b"9999999999");
        assert!(error(&bad).contains("size 9999999999 exceeds"));
    }
}
