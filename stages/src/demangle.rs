//! Symbol names for people: mangled Rust and C++ names back to what the source says.
//!
//! [`demangle`] serves messages: it takes any symbol and always returns something to show.
//! [`demangle_cxx`] serves `extern "C++"` patterns of version scripts and dynamic lists, which are held
//! against the full name with parameters, as `c++filt` prints it.
//!
//! Names come from input files, so a name may be built to explode: a few bytes of back references can stand
//! for gigabytes of text. The length of the name, the depth of its nesting and the length of the result are
//! bounded; a name beyond the bounds is shown as it is.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longer names are not demangled.
const NAME_BYTES_MAX: usize = 1 << 16;
/// Longer results are not shown.
const TEXT_BYTES_MAX: usize = 1 << 18;

/// The readable form of the symbol `name`: Rust (v0 and legacy, without the hash) and C++ names are
/// demangled, everything else is taken as it is, with bytes that are not UTF-8 replaced. A version
/// (`name@VERSION`, `name@@VERSION`) stays at the end.
pub fn demangle(name: &[u8]) -> Cow<'_, str> {
    let (base, version) = split_version(name);
    let Some(mut text) = demangle_base(base) else { return String::from_utf8_lossy(name) };
    text.push_str(&String::from_utf8_lossy(version));
    Cow::Owned(text)
}

/// The symbol `name` (without version) as an `extern "C++"` pattern sees it: demangled with its parameters;
/// `None` if it is not a mangled C++ name.
pub fn demangle_cxx(name: &[u8]) -> Option<Vec<u8>> {
    demangle_itanium(name).map(String::into_bytes)
}

/// `name` before and from its first `@`.
fn split_version(name: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'@', name) {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, b""),
    }
}

fn demangle_base(name: &[u8]) -> Option<String> {
    if name.len() > NAME_BYTES_MAX || name.len() < 3 {
        return None;
    }
    match name {
        [b'_', b'R', ..] => demangle_rust(name),
        [b'_', b'Z', ..] if is_legacy_rust(name) => demangle_rust(name),
        _ => demangle_itanium(name),
    }
}

/// Whether `name` is one of Rust's legacy names: a C++ nested name whose last part is `h` and 16 hex digits.
fn is_legacy_rust(name: &[u8]) -> bool {
    let end = memchr::memmem::rfind(name, b"17h").map(|start| start + 3);
    end.and_then(|start| name.get(start..start + 17))
        .is_some_and(|hash| hash[16] == b'E' && hash[..16].iter().all(u8::is_ascii_hexdigit))
}

fn demangle_rust(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    let mut text = BoundedText(String::new());
    write!(text, "{demangled:#}").ok()?;
    Some(text.0)
}

fn demangle_itanium(name: &[u8]) -> Option<String> {
    if !name.starts_with(b"_Z") || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    let mut text = BoundedText(String::new());
    symbol.structured_demangle(&mut text, &cpp_demangle::DemangleOptions::new()).ok()?;
    Some(text.0)
}

/// Collects text up to [`TEXT_BYTES_MAX`], then fails.
struct BoundedText(String);

impl Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mangling_is_undone() {
        for (name, text) in [
            ("main", "main"),
            ("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN3foo3barEi", "foo::bar(int)"),
            ("_ZN3foo3barE", "foo::bar"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)",
            ),
            ("_ZN3foo3barEv@@V1.2", "foo::bar()@@V1.2"),
            ("memcpy@GLIBC_2.14", "memcpy@GLIBC_2.14"),
            ("_Z", "_Z"),
            ("_Znonsense", "_Znonsense"),
            ("_R", "_R"),
            ("@", "@"),
            ("", ""),
        ] {
            assert_eq!(demangle(name.as_bytes()), text);
        }
        assert_eq!(demangle(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn names_that_explode_are_shown_as_they_are() {
        // Each S_ doubles what the one before stands for.
        let mut name = "_Z1fI1AE".to_owned();
        for _ in 0..2000 {
            name.push_str("1BIS_S_S_E");
        }
        demangle(name.as_bytes());
        let name = "_Z".to_owned() + &"N1a".repeat(100_000);
        assert_eq!(demangle(name.as_bytes()), name);
        let name = "_Z1f".to_owned() + &"P".repeat(60_000);
        assert_eq!(demangle(name.as_bytes()), name);
    }
}
