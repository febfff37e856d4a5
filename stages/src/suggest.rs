//! "Did you mean ...?" for undefined symbols.
//!
//! A reference that nothing defines is often one of a few slips: a typing error, the wrong case, or a C
//! function declared without `extern "C"` on one of the two sides, so that one side asks for `_Z3fooi` and
//! the other has `foo`. [`suggest`] looks through all defined names for the best such neighbour.
//!
//! The search runs only when a link fails anyway, but then perhaps over millions of names, so a candidate
//! must pass cheap tests (length, first comparison without case) before its edit distance is computed, and
//! no more than [`CANDIDATES_MAX`] names are looked at.

use crate::demangle::demangle;

/// How many names are looked at for one suggestion.
const CANDIDATES_MAX: usize = 4_000_000;
/// How many edit distances are computed for one suggestion.
const DISTANCES_MAX: usize = 200_000;
/// Names longer than this are compared for slips of language and case only.
const DISTANCE_NAME_MAX: usize = 256;

/// Why a name is suggested. In the order of how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The reference is a C name, the definition a C++ name of the same function: `extern "C"` is missing
    /// where it is defined.
    DefinedAsCxx,
    /// The reference is a C++ name, the definition a C name of the same function: `extern "C"` is missing
    /// where it is declared for the reference.
    ReferencedAsCxx,
    /// Upper and lower case differ.
    Case,
    /// One byte inserted, left out or changed, or two neighbours exchanged.
    OneEdit,
    /// Two such edits.
    TwoEdits,
}

/// A defined symbol that the reference may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The symbol as it is in the symbol table.
    pub name: Vec<u8>,
    /// What makes it likely.
    pub reason: Reason,
}

impl Suggestion {
    /// The line to show below "undefined symbol".
    pub fn text(&self) -> String {
        let name = demangle(&self.name);
        match self.reason {
            Reason::DefinedAsCxx => {
                format!("did you mean: {name} (is extern \"C\" missing in its definition?)")
            }
            Reason::ReferencedAsCxx => format!("did you mean: extern \"C\" {name}"),
            _ => format!("did you mean: {name}"),
        }
    }
}

/// The best neighbour of the undefined symbol `name` among the defined `candidates`; of equally good ones the
/// first. `None` if nothing is near.
pub fn suggest<'a>(name: &[u8], candidates: impl IntoIterator<Item = &'a [u8]>) -> Option<Suggestion> {
    if name.is_empty() {
        return None;
    }
    let base = cxx_base(name);
    // Short names have too many neighbours to mean anything.
    let edits_max = match name.len() {
        0..3 => 0,
        3..6 => 1,
        _ => 2,
    };
    let mut best: Option<(Reason, &[u8])> = None;
    let mut distances = 0;
    for candidate in candidates.into_iter().take(CANDIDATES_MAX) {
        if candidate == name {
            continue;
        }
        let reason = if base.is_some_and(|base| base == candidate) {
            Some(Reason::ReferencedAsCxx)
        } else if base.is_none() && cxx_base(candidate) == Some(name) {
            Some(Reason::DefinedAsCxx)
        } else if candidate.eq_ignore_ascii_case(name) {
            Some(Reason::Case)
        } else if edits_max > 0
            && candidate.len().abs_diff(name.len()) <= edits_max
            && candidate.len() <= DISTANCE_NAME_MAX
            && distances < DISTANCES_MAX
            && best.is_none_or(|best| best.0 > Reason::OneEdit)
            && shares_an_end(name, candidate, edits_max)
        {
            distances += 1;
            match edit_distance(name, candidate) {
                1 => Some(Reason::OneEdit),
                2 if edits_max >= 2 => Some(Reason::TwoEdits),
                _ => None,
            }
        } else {
            None
        };
        if let Some(reason) = reason
            && best.is_none_or(|best| reason < best.0)
        {
            best = Some((reason, candidate));
            if reason <= Reason::ReferencedAsCxx {
                break;
            }
        }
    }
    best.map(|(reason, name)| Suggestion { name: name.to_vec(), reason })
}

/// The name of the function a mangled C++ name of a free function outside of any namespace stands for:
/// `foo` for `_Z3fooi`. Others cannot be meant by a C name.
fn cxx_base(name: &[u8]) -> Option<&[u8]> {
    let rest = name.strip_prefix(b"_Z")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let base = rest[digits..].get(..length)?;
    (rest.len() > digits + length).then_some(base)
}

/// Whether the names can be within `edits` of each other: what they have in common at both ends must leave
/// only a short middle. Two edits may lie far apart, so a half suffices.
fn shares_an_end(a: &[u8], b: &[u8], edits: usize) -> bool {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let shorter = a.len().min(b.len());
    let at_end =
        a.iter().rev().zip(b.iter().rev()).take(shorter - common).take_while(|(a, b)| a == b).count();
    common + at_end + 2 * edits >= shorter || 3 * (common + at_end) >= shorter
}

fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    match (std::str::from_utf8(a), std::str::from_utf8(b)) {
        (Ok(a), Ok(b)) => strsim::osa_distance(a, b),
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str, candidates: &[&str]) -> Option<(String, Reason)> {
        let found = suggest(name.as_bytes(), candidates.iter().map(|name| name.as_bytes()))?;
        Some((String::from_utf8(found.name).unwrap(), found.reason))
    }

    #[test]
    fn the_usual_slips_are_found() {
        for (name, candidates, expected, reason) in [
            ("initialise", &["finalize", "initialize"][..], "initialize", Reason::OneEdit),
            ("pritnf", &["printf"], "printf", Reason::OneEdit),
            ("initialize", &["initailize_", "finish"], "initailize_", Reason::TwoEdits),
            ("GetValue", &["getvalue", "GetValues"], "getvalue", Reason::Case),
            ("foo", &["fop", "_Z3fooi"], "_Z3fooi", Reason::DefinedAsCxx),
            ("_Z3fooi", &["_Z3fooj", "foo"], "foo", Reason::ReferencedAsCxx),
            ("_Z3foov", &["_Z3fooi"], "_Z3fooi", Reason::OneEdit),
            ("abc", &["abd", "abe"], "abd", Reason::OneEdit),
        ] {
            assert_eq!(find(name, candidates), Some((expected.into(), reason)), "{name}");
        }
    }

    #[test]
    fn strangers_are_not_suggested() {
        assert_eq!(find("foo", &["bar", "foo", "quux", "fxy", "_ZN2ns3fooEv"]), None);
        assert_eq!(find("ab", &["ac", "b"]), None);
        assert_eq!(find("", &["a"]), None);
        assert_eq!(find("abcdefgh", &["", "a", "hgfedcba"]), None);
        assert_eq!(find("_Z99foo", &["foo"]), None);
    }

    #[test]
    fn the_text_tells_what_to_do() {
        let text = |name: &str, candidate: &str| {
            suggest(name.as_bytes(), [candidate.as_bytes()]).map(|found| found.text()).unwrap_or_default()
        };
        assert_eq!(text("_Z3fooi", "foo"), "did you mean: extern \"C\" foo");
        assert!(text("foo", "_Z3fooi").starts_with("did you mean: foo(int) (is extern"));
        assert_eq!(text("abcd", "abce"), "did you mean: abce");
    }
}
