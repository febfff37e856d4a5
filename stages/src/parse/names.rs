//! Which output section an input section goes to, by its name.
//!
//! The table follows GNU ld's default script: the longest matching prefix decides, `.text.foo` is `.text`,
//! `.data.rel.ro.local.x` is `.data.rel.ro`, an unknown name stays as it is.

use crate::config::Strip;

/// (input prefix, output name). A prefix matches the whole name or the name up to a following dot.
const PREFIXES: &[(&[u8], &[u8])] = &[
    (b".text", b".text"),
    (b".rodata", b".rodata"),
    (b".data.rel.ro", b".data.rel.ro"),
    (b".data", b".data"),
    (b".bss.rel.ro", b".bss.rel.ro"),
    (b".bss", b".bss"),
    (b".init_array", b".init_array"),
    (b".fini_array", b".fini_array"),
    (b".preinit_array", b".preinit_array"),
    (b".ctors", b".ctors"),
    (b".dtors", b".dtors"),
    (b".tdata", b".tdata"),
    (b".tbss", b".tbss"),
    (b".gcc_except_table", b".gcc_except_table"),
    (b".exception_ranges", b".exception_ranges"),
    (b".stub", b".text"),
    (b".ltext", b".ltext"),
    (b".lrodata", b".lrodata"),
    (b".ldata", b".ldata"),
    (b".lbss", b".lbss"),
    (b".gnu.linkonce.t", b".text"),
    (b".gnu.linkonce.r", b".rodata"),
    (b".gnu.linkonce.d.rel.ro", b".data.rel.ro"),
    (b".gnu.linkonce.d", b".data"),
    (b".gnu.linkonce.b", b".bss"),
    (b".gnu.linkonce.td", b".tdata"),
    (b".gnu.linkonce.tb", b".tbss"),
    (b".gnu.linkonce.lr", b".lrodata"),
    (b".gnu.linkonce.l", b".ldata"),
    (b".gnu.linkonce.lb", b".lbss"),
    (b".gnu.linkonce.wi", b".debug_info"),
    (b".gnu.linkonce.armexidx", b".ARM.exidx"),
];

/// Parts of `.text` that stand before the rest of it, in this order (GNU ld's default script).
const TEXT_ORDER: &[&[u8]] =
    &[b".text.unlikely", b".text.exit", b".text.startup", b".text.hot", b".text.sorted"];

/// Parts of data that `-z keep-data-section-prefix` leaves to themselves: what a profile found to be used often, and
/// hardly ever.
const DATA_TEMPERATURES: &[&[u8]] = &[
    b".data.rel.ro.hot",
    b".data.rel.ro.unlikely",
    b".data.hot",
    b".data.unlikely",
    b".rodata.hot",
    b".rodata.unlikely",
    b".bss.rel.ro.hot",
    b".bss.rel.ro.unlikely",
    b".bss.hot",
    b".bss.unlikely",
];

/// Which input sections keep more of their names than the default script leaves them.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeptPrefixes {
    /// `-z keep-text-section-prefix`.
    pub text: bool,
    /// `-z keep-data-section-prefix`.
    pub data: bool,
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'.')
}

/// The name of the output section for an input section of this name.
pub fn output_name(name: &'static [u8], keep: KeptPrefixes) -> &'static [u8] {
    if keep.data
        && let Some(kept) = DATA_TEMPERATURES.iter().find(|p| has_prefix(name, p))
    {
        return kept;
    }
    if keep.text && name.starts_with(b".text.") {
        const KEPT: [&[u8]; 6] = [
            b".text.hot",
            b".text.unknown",
            b".text.unlikely",
            b".text.exit",
            b".text.startup",
            b".text.split",
        ];
        if let Some(kept) = KEPT.iter().find(|p| has_prefix(name, p)) {
            return kept;
        }
    }
    let mut best: (&[u8], &'static [u8]) = (b"", name);
    for &(prefix, output) in PREFIXES {
        if prefix.len() > best.0.len() && has_prefix(name, prefix) {
            best = (prefix, output);
        }
    }
    best.1
}

/// An output section that most sections of most files go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonOutput {
    /// `.text`, without the parts of it that have places of their own.
    Text,
    /// `.rodata`
    Rodata,
    /// `.data.rel.ro`
    DataRelRo,
    /// `.bss`
    Bss,
    /// `.gcc_except_table`
    ExceptTable,
}

impl CommonOutput {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Told from the bytes a name begins with, which other bytes may follow. What it says is what [`output_name`]
    /// says; it need not know every name, but must be quick, because it is asked for every loaded section.
    pub fn of(name: &[u8]) -> Option<CommonOutput> {
        match name {
            // What follows is a mangled name or nothing: not `.text.hot`.
            [b'.', b't', b'e', b'x', b't', b'.', b'_', ..] | [b'.', b't', b'e', b'x', b't', 0, ..] => {
                Some(CommonOutput::Text)
            }
            [b'.', b'r', b'o', b'd', b'a', b't', b'a', b'.' | 0, ..] => Some(CommonOutput::Rodata),
            [b'.', b'b', b's', b's', b'.', b'_', ..] | [b'.', b'b', b's', b's', 0, ..] => {
                Some(CommonOutput::Bss)
            }
            _ if is_or_below(name, b".data.rel.ro") => Some(CommonOutput::DataRelRo),
            _ if is_or_below(name, b".gcc_except_table") => Some(CommonOutput::ExceptTable),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static [u8] {
        match self {
            CommonOutput::Text => b".text",
            CommonOutput::Rodata => b".rodata",
            CommonOutput::DataRelRo => b".data.rel.ro",
            CommonOutput::Bss => b".bss",
            CommonOutput::ExceptTable => b".gcc_except_table",
        }
    }
}

/// Whether the name that `bytes` begins with is `prefix`, or that and a dot.
fn is_or_below(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.starts_with(prefix) && matches!(bytes.get(prefix.len()), Some(0 | b'.'))
}

/// Place of plain code among `.text*` sections, see [`text_order`].
pub const PLAIN_TEXT: u32 = TEXT_ORDER.len() as u32;

/// Place of a `.text*` section among its kind: 0 to 4 for the parts that go first, 5 for plain code.
pub fn text_order(name: &[u8]) -> u32 {
    TEXT_ORDER.iter().position(|p| has_prefix(name, p)).map_or(PLAIN_TEXT, |place| place as u32)
}

/// Place of an `.init_array.N`/`.ctors.N`/… section: N for arrays, 65535 - N for `.ctors`/`.dtors`, and
/// behind all numbered ones for a plain name.
pub fn array_order(name: &[u8]) -> u32 {
    const PLAIN: u32 = 65_536;
    let number = |prefix: &[u8]| -> Option<u32> {
        std::str::from_utf8(name.strip_prefix(prefix)?).ok()?.parse::<u32>().ok().filter(|n| *n <= 65_535)
    };
    if let Some(n) =
        number(b".init_array.").or_else(|| number(b".fini_array.")).or_else(|| number(b".preinit_array."))
    {
        return n;
    }
    match number(b".ctors.").or_else(|| number(b".dtors.")) {
        Some(n) => 65_535 - n,
        None => PLAIN,
    }
}

/// Whether a debug section is left out.
pub fn is_stripped(strip: Strip, name: &[u8]) -> bool {
    let rest = name.strip_prefix(b".debug_").or_else(|| name.strip_prefix(b".zdebug_"));
    match (strip, rest.unwrap_or(b"")) {
        (Strip::None, _) => false,
        // gdb makes tables of its own of these, or reads an index.
        (Strip::UnreadByGdb, b"aranges" | b"pubnames" | b"pubtypes" | b"gnu_pubnames" | b"gnu_pubtypes") => {
            true
        }
        (Strip::UnreadByGdb, _) => false,
        // What else of these is not about lines is taken out later.
        (
            Strip::NonLines,
            b"info" | b"abbrev" | b"line" | b"line_str" | b"str" | b"str_offsets" | b"addr" | b"ranges"
            | b"rnglists",
        ) => false,
        _ => true,
    }
}

/// Whether a section that is not loaded holds debug information, which `-S` leaves out.
pub fn is_debug_name(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 6] =
        [b".debug_", b".zdebug_", b".stab", b".gnu.debuglto_", b".gnu.linkonce.wi.", b".gdb_index"];
    name == b".debug" || name == b".line" || PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Whether a section name is an identifier of C, so that `__start_NAME` and `__stop_NAME` mean something.
pub fn is_c_identifier(name: &[u8]) -> bool {
    !name.is_empty()
        && !name[0].is_ascii_digit()
        && name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
}

/// Whether a section that goes to an output section of this name is run or read from end to end, whoever refers to it.
pub fn is_structural(output: &[u8]) -> bool {
    matches!(
        output,
        b".init"
            | b".fini"
            | b".init_array"
            | b".fini_array"
            | b".preinit_array"
            | b".ctors"
            | b".dtors"
            | b".jcr"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: KeptPrefixes = KeptPrefixes { text: true, data: false };

    #[test]
    fn data_may_keep_its_temperature() {
        let data = KeptPrefixes { text: false, data: true };
        for (input, output) in [
            (&b".data.rel.ro.hot.x"[..], &b".data.rel.ro.hot"[..]),
            (b".data.hot.", b".data.hot"),
            (b".rodata.unlikely", b".rodata.unlikely"),
            (b".rodata.hotel", b".rodata"),
            (b".text.hot.f", b".text"),
        ] {
            assert_eq!(output_name(input, data), output, "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn common_names_are_what_the_table_says() {
        let names: [&'static [u8]; 14] = [
            b".text",
            b".text._ZN3fooE",
            b".text.hot._ZN3fooE",
            b".text.unlikely",
            b".rodata",
            b".rodata.str1.1",
            b".data.rel.ro",
            b".data.rel.ro.local",
            b".data.rel.local",
            b".bss",
            b".bss._x",
            b".bss.rel.ro",
            b".gcc_except_table.foo",
            b".text.foo",
        ];
        let mut known = 0;
        for name in names {
            let in_table = [name, b"\0.more"].concat();
            let Some(common) = CommonOutput::of(&in_table) else { continue };
            known += 1;
            assert_eq!(
                common.name(),
                output_name(name, KeptPrefixes::default()),
                "{}",
                String::from_utf8_lossy(name)
            );
            assert_eq!(common.name(), output_name(name, TEXT));
            assert_eq!(text_order(name), PLAIN_TEXT);
        }
        assert_eq!(known, 9);
    }

    #[test]
    fn longest_prefix_decides() {
        for (input, output) in [
            (&b".text._ZN3foo"[..], &b".text"[..]),
            (b".textual", b".textual"),
            (b".data.rel.ro.local.x", b".data.rel.ro"),
            (b".data.rel.x", b".data"),
            (b".gnu.linkonce.tb.x", b".tbss"),
            (b".gnu.linkonce.t.x", b".text"),
            (b"my_section", b"my_section"),
            (b".rodata.cst16", b".rodata"),
        ] {
            assert_eq!(
                output_name(input, KeptPrefixes::default()),
                output,
                "{}",
                String::from_utf8_lossy(input)
            );
        }
        assert_eq!(output_name(b".text.hot.f", TEXT), b".text.hot");
        assert_eq!(output_name(b".text.f", TEXT), b".text");
    }

    #[test]
    fn orders() {
        assert!(text_order(b".text.unlikely.x") < text_order(b".text.hot"));
        assert_eq!(text_order(b".text.hotel"), 5);
        assert_eq!(array_order(b".init_array.00101"), 101);
        assert_eq!(array_order(b".ctors.65434"), 101);
        assert_eq!(array_order(b".init_array"), 65_536);
    }
}
