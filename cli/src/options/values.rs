//! Readers of option values: numbers, words from a list, bytes.
//!
//! Each says what is wrong in words that make sense behind the option as typed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A path, byte for byte.
pub fn path(value: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(value))
}

/// Text for people; bytes that are not UTF-8 are replaced.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// A number as C's `strtoul` with base 0 reads it: `0x` is base 16, a leading `0` base 8, else base 10.
pub fn number(value: &[u8]) -> Result<u64, String> {
    let digits = std::str::from_utf8(value).unwrap_or("");
    let parsed = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        unsigned(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        unsigned(digits, 8)
    } else {
        unsigned(digits, 10)
    };
    parsed.ok_or_else(|| "expected a number".to_string())
}

/// An address: base 16 with or without `0x`, as `-Ttext` takes it.
pub fn address(value: &[u8]) -> Result<u64, String> {
    let digits = std::str::from_utf8(value).unwrap_or("");
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    unsigned(hex, 16).ok_or_else(|| "expected a hexadecimal address".to_string())
}

/// `from_str_radix` that takes digits only (no sign).
fn unsigned(digits: &str, radix: u32) -> Option<u64> {
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// A page size: a power of two.
pub fn page_size(value: &[u8]) -> Result<u64, String> {
    match number(value) {
        Ok(size) if size.is_power_of_two() => Ok(size),
        _ => Err("expected a power of two".to_string()),
    }
}

/// One of the words of a list.
pub fn choice<T: Clone>(value: &[u8], choices: &[(&str, T)]) -> Result<T, String> {
    match choices.iter().find(|(word, _)| word.as_bytes() == value) {
        Some((_, meaning)) => Ok(meaning.clone()),
        None => {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Err(format!("expected {}", either(&words)))
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => word.to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// `NAME=VALUE` cut at the first `=`; `what` is shown when there is none or the name is empty.
pub fn pair<'a>(value: &'a [u8], what: &str) -> Result<(&'a [u8], &'a [u8]), String> {
    match value.iter().position(|&b| b == b'=') {
        Some(at) if at > 0 => Ok((&value[..at], &value[at + 1..])),
        _ => Err(format!("expected {what}")),
    }
}

/// Non-empty parts between `,` and `:`.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| matches!(b, b',' | b':')).filter(|part| !part.is_empty())
}

/// The bytes behind `0x` of a build-id: pairs of hexadecimal digits, `-` and `:` between pairs allowed.
pub fn hex_bytes(digits: &[u8]) -> Result<Vec<u8>, String> {
    let problem = || "expected pairs of hexadecimal digits behind 0x".to_string();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut rest = digits;
    while let [first, tail @ ..] = rest {
        if matches!(first, b'-' | b':') {
            rest = tail;
            continue;
        }
        let [second, tail @ ..] = tail else { return Err(problem()) };
        bytes.push(hex_pair(*first, *second).ok_or_else(problem)?);
        rest = tail;
    }
    if bytes.is_empty() { Err(problem()) } else { Ok(bytes) }
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Text in which `%2C` and `%[comma]` stand for a character, so that it survives `-Wl,` and spec files. The
/// names are those of GNU ld's `--package-metadata`.
pub fn percent_decoded(value: &[u8]) -> Result<Vec<u8>, String> {
    const NAMES: [(&[u8], u8); 5] =
        [(b"comma", b','), (b"lbrace", b'{'), (b"quot", b'"'), (b"rbrace", b'}'), (b"space", b' ')];
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&b| b == b'%') {
        bytes.extend_from_slice(&rest[..at]);
        match &rest[at + 1..] {
            [b'[', tail @ ..] => {
                let end = tail.iter().position(|&b| b == b']').ok_or("missing ] behind %[")?;
                let named = NAMES.iter().find(|(name, _)| *name == &tail[..end]);
                bytes.push(named.ok_or_else(|| format!("unknown %[{}]", text(&tail[..end])))?.1);
                rest = &tail[end + 1..];
            }
            [high, low, tail @ ..] => {
                bytes.push(hex_pair(*high, *low).ok_or("expected two hexadecimal digits behind %")?);
                rest = tail;
            }
            _ => return Err("expected two hexadecimal digits behind %".to_string()),
        }
    }
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_bases_of_c() {
        assert_eq!(number(b"4096"), Ok(4096));
        assert_eq!(number(b"0x10"), Ok(16));
        assert_eq!(number(b"010"), Ok(8));
        assert_eq!(number(b"0"), Ok(0));
        for wrong in [&b""[..], b"0x", b"-1", b"+1", b"1M", b"09", b"99999999999999999999"] {
            assert!(number(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn addresses_are_hexadecimal_with_or_without_prefix() {
        assert_eq!(address(b"0x400000"), Ok(0x40_0000));
        assert_eq!(address(b"400000"), Ok(0x40_0000));
        assert!(address(b"x").is_err());
    }

    #[test]
    fn page_sizes_are_powers_of_two() {
        assert_eq!(page_size(b"0x4000"), Ok(0x4000));
        assert!(page_size(b"4097").is_err());
        assert!(page_size(b"0").is_err());
    }

    #[test]
    fn choices_say_what_they_expect() {
        let style = |value: &[u8]| choice(value, &[("sysv", 1), ("gnu", 2), ("both", 3)]);
        assert_eq!(style(b"gnu"), Ok(2));
        assert_eq!(style(b"foo"), Err("expected sysv, gnu or both".to_string()));
    }

    #[test]
    fn build_ids_may_have_separators() {
        assert_eq!(hex_bytes(b"12-ab:CD"), Ok(vec![0x12, 0xab, 0xcd]));
        for wrong in [&b""[..], b"1", b"123", b"xy", b"1-2"] {
            assert!(hex_bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn percent_stands_for_characters() {
        assert_eq!(percent_decoded(b"%7B%22a%22%[comma]b%[rbrace]"), Ok(b"{\"a\",b}".to_vec()));
        assert_eq!(percent_decoded(b"plain"), Ok(b"plain".to_vec()));
        for wrong in [&b"%"[..], b"%1", b"%zz", b"%[comma", b"%[dog]"] {
            assert!(percent_decoded(wrong).is_err(), "{wrong:?}");
        }
    }
}
