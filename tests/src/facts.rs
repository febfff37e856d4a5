//! Facts: what a case says must hold of a file, one a line, judged over [`records`](crate::records).
//!
//! ```text
//! symbol main type=FUNC section=.text      some record has this noun, this name and all these words
//! no relocation * against=foo              no record has
//! 2 segment LOAD flags=R                   exactly so many have
//! list needed: libb.so libc.so.6           these are all names of this noun, in this order
//! list dynsym defined: f g                 ... of those that have the words before the colon
//! order section: .text .rodata             these names come in this order; others may stand between
//! same needed as ld                        the names are those that GNU ld's output of this link has
//! address foo = bar + 8                    symbols, `start:.text`, `end:.bss` or numbers; = != < <= > >=
//! bytes main: 48 8b ?? 05                  the bytes at a symbol
//! holds .comment "GCC:" 1                  a section holds this text, so many times (without a number: ever)
//! kept relocations hold                     applied again, those that stayed in a finished program change nothing
//! dwarf like lld                           llvm-dwarfdump --verify finds no more errors than in lld's output
//! ```
//!
//! A name may be a glob. A word is `word`, `!word`, `key=glob`, `key!=glob`, `key~text` (the value contains
//! the text), `key!~text` or `key>=number` with any of the comparisons. A fact that does not hold says what is there
//! instead, because that is the next thing its reader wants to know.

use crate::elf::Elf;
use crate::lint::dwarf_errors;
use crate::reapply;
use crate::records::{NOUNS, Record, records};
use std::path::{Path, PathBuf};

/// What facts are judged against.
pub struct Subject {
    /// Where it is.
    pub path: PathBuf,
    /// The file.
    pub elf: Elf,
    /// Its records.
    pub records: Vec<Record>,
}

impl Subject {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Subject, String> {
        let elf = Elf::open(path)?;
        let records = records(&elf).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Subject { path: path.to_owned(), elf, records })
    }
}

/// Judges one fact. `peer` gives the output of the linker that a `same` or `dwarf` fact names.
///
/// # Errors
/// The reason why the fact does not hold, or why it cannot be understood.
pub fn judge(
    fact: &str,
    subject: &Subject,
    peer: &mut dyn FnMut(&str) -> Result<Subject, String>,
) -> Result<(), String> {
    let (head, rest) = fact.split_once(char::is_whitespace).unwrap_or((fact, ""));
    let rest = rest.trim();
    match head {
        "list" => judge_list(rest, subject),
        "order" => judge_order(rest, subject),
        "same" => {
            let (selector, who) = rest.split_once(" as ").ok_or("write `same NOUN as LINKER`")?;
            let selector = Selector::parse(selector, false)?;
            let (ours, theirs) = (selector.names(subject), selector.names(&peer(who.trim())?));
            let (ours, theirs) =
                if selector.is_ordered() { (ours, theirs) } else { (sort(ours), sort(theirs)) };
            if ours == theirs { Ok(()) } else { Err(format!("it has   {ours:?}\n{who} has {theirs:?}")) }
        }
        "dwarf" => {
            let who = rest.strip_prefix("like ").ok_or("write `dwarf like LINKER`")?;
            let (ours, theirs) = (dwarf_errors(&subject.path)?, dwarf_errors(&peer(who.trim())?.path)?);
            match ours.iter().find(|(kind, count)| *count > theirs.get(*kind).unwrap_or(&0)) {
                None => Ok(()),
                Some((kind, count)) => Err(format!("{kind}: {count} times; {who}: {theirs:?}")),
            }
        }
        "address" => judge_address(rest, &subject.elf),
        "bytes" => judge_bytes(rest, &subject.elf),
        "holds" => judge_holds(rest, &subject.elf),
        "kept" if rest == "relocations hold" => match reapply::check(&subject.elf)? {
            0 => Err("there are none".into()),
            _ => Ok(()),
        },
        "no" => judge_count(rest, subject, Some(0)),
        _ => match head.parse::<usize>() {
            Ok(count) => judge_count(rest, subject, Some(count)),
            Err(_) => judge_count(fact, subject, None),
        },
    }
}

fn sort(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn judge_count(text: &str, subject: &Subject, count: Option<usize>) -> Result<(), String> {
    let selector = Selector::parse(text, true)?;
    let found: Vec<&Record> = subject.records.iter().filter(|r| selector.selects(r)).collect();
    let holds = match count {
        Some(count) => found.len() == count,
        None => !found.is_empty(),
    };
    if holds {
        return Ok(());
    }
    let shown = if found.is_empty() { selector.closest(subject) } else { found };
    let mut reason = match (count, shown.is_empty()) {
        (None, true) => format!("there is no {} at all", selector.noun),
        (None, false) => "nothing is like that; there is".to_owned(),
        (Some(count), _) => format!("expected {count}; there is"),
    };
    for record in shown.iter().take(30) {
        reason.push_str(&format!("\n  {record}"));
    }
    Err(reason)
}

fn judge_list(text: &str, subject: &Subject) -> Result<(), String> {
    let (selector, names) = text.split_once(':').ok_or("write `list NOUN: names`")?;
    let selector = Selector::parse(selector, false)?;
    let wanted: Vec<&str> = names.split_whitespace().collect();
    let found = selector.names(subject);
    if found == wanted { Ok(()) } else { Err(format!("the names are {found:?}")) }
}

fn judge_order(text: &str, subject: &Subject) -> Result<(), String> {
    let (selector, names) = text.split_once(':').ok_or("write `order NOUN: names`")?;
    let selector = Selector::parse(selector, false)?;
    let found = selector.names(subject);
    let mut from = 0;
    for name in names.split_whitespace() {
        match found[from..].iter().position(|n| n == name) {
            Some(at) => from += at + 1,
            None => return Err(format!("`{name}` is not where it should be: {found:?}")),
        }
    }
    Ok(())
}

fn judge_address(text: &str, elf: &Elf) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|w| matches!(*w, "=" | "!=" | "<" | "<=" | ">" | ">="));
    let at = at.ok_or("write `address A = B`, with spaces")?;
    let (left, right) = (sum(&words[..at], elf)?, sum(&words[at + 1..], elf)?);
    if compare(words[at], left, right) { Ok(()) } else { Err(format!("{left:#x} and {right:#x}")) }
}

fn compare(operator: &str, left: u64, right: u64) -> bool {
    match operator {
        "=" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => false,
    }
}

/// The value of `A + B - C % D`, read from left to right.
fn sum(words: &[&str], elf: &Elf) -> Result<u64, String> {
    let mut total = term(words.first().ok_or("an address is missing")?, elf)?;
    for pair in words[1..].chunks(2) {
        let [operator, operand] = pair else { return Err("an operand is missing".into()) };
        let value = term(operand, elf)?;
        total = match *operator {
            "+" => total.wrapping_add(value),
            "-" => total.wrapping_sub(value),
            "%" => total.checked_rem(value).ok_or("a remainder by zero")?,
            _ => return Err(format!("unknown operator `{operator}`")),
        };
    }
    Ok(total)
}

fn term(word: &str, elf: &Elf) -> Result<u64, String> {
    if let Some(value) = number(word) {
        return Ok(value);
    }
    if let Some((end, name)) = word.split_once(':') {
        let section = elf.sections.iter().find(|s| s.name == name);
        let section = section.ok_or_else(|| format!("there is no section {name}"))?;
        return match end {
            "start" => Ok(section.address),
            "end" => Ok(section.address + section.size),
            "size" => Ok(section.size),
            _ => Err(format!("`{word}`: write `start:`, `end:` or `size:`")),
        };
    }
    let symbols = elf.symbols.iter().chain(&elf.dynamic_symbols);
    let found = symbols.into_iter().find(|s| s.name == word && (s.section != 0 || s.value != 0));
    found.map(|s| s.value).ok_or_else(|| format!("there is no symbol {word} with an address"))
}

fn judge_bytes(text: &str, elf: &Elf) -> Result<(), String> {
    let (name, pattern) = text.split_once(": ").ok_or("write `bytes SYMBOL: 48 8b ??`")?;
    let address = sum(&name.split_whitespace().collect::<Vec<_>>(), elf)?;
    let section = elf.section_at(address).ok_or_else(|| format!("{address:#x} is in no section"))?;
    let start = (address - section.address) as usize;
    let pattern: Vec<&str> = pattern.split_whitespace().collect();
    let found = elf.contents(section)?.get(start..start + pattern.len()).ok_or("the section ends there")?;
    let matches = |(byte, wanted): (&u8, &&str)| *wanted == "??" || format!("{byte:02x}") == *wanted;
    if found.iter().zip(&pattern).all(matches) {
        return Ok(());
    }
    Err(format!("the bytes are {}", found.iter().map(|b| format!("{b:02x} ")).collect::<String>().trim_end()))
}

fn judge_holds(text: &str, elf: &Elf) -> Result<(), String> {
    let (name, rest) = text.split_once(' ').ok_or("write `holds SECTION \"text\"`")?;
    let (literal, count) = rest.rsplit_once('"').ok_or("the text stands in double quotes")?;
    let needle = unescape(literal.trim_start().strip_prefix('"').ok_or("the text stands in double quotes")?)?;
    let count = count.trim();
    let section = elf.sections.iter().find(|s| s.name == name);
    let section = section.ok_or_else(|| format!("there is no section {name}"))?;
    let data = elf.contents(section)?;
    let found = data.windows(needle.len().max(1)).filter(|w| *w == needle).count();
    match count.parse::<usize>() {
        Ok(wanted) if wanted == found => Ok(()),
        Err(_) if count.is_empty() && found > 0 => Ok(()),
        _ => Err(format!(
            "it is there {found} times; the section is\n  {}",
            data[..data.len().min(800)].escape_ascii()
        )),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match (byte, byte == b'\\') {
            (_, true) => match rest.next() {
                Some(b'0') => out.push(0),
                Some(b'n') => out.push(b'\n'),
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    out.push(u8::from_str_radix(&digits, 16).map_err(|_| "bad \\x escape")?);
                }
                Some(other) => out.push(other),
                None => return Err("a backslash at the end".into()),
            },
            _ => out.push(byte),
        }
    }
    Ok(out)
}

/// A noun, a name and words, as written in a fact.
struct Selector<'a> {
    noun: &'a str,
    name: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Selector<'a> {
    fn parse(text: &'a str, with_name: bool) -> Result<Selector<'a>, String> {
        let mut parts = text.split_whitespace();
        let noun = parts.next().ok_or("a noun is missing")?;
        if !NOUNS.contains(&noun) {
            return Err(format!("`{noun}` is no noun; the nouns are {}", NOUNS.join(", ")));
        }
        let named = with_name && noun != "file";
        let name = if named { parts.next().ok_or("a name is missing (`*` for any)")? } else { "*" };
        Ok(Selector { noun, name, words: parts.collect() })
    }

    fn selects(&self, record: &Record) -> bool {
        record.noun == self.noun
            && glob(self.name, &record.name)
            && self.words.iter().all(|word| has_word(record, word))
    }

    fn names(&self, subject: &Subject) -> Vec<String> {
        subject.records.iter().filter(|r| self.selects(r)).map(|r| r.name.clone()).collect()
    }

    /// Whether the order of such records means something.
    fn is_ordered(&self) -> bool {
        matches!(self.noun, "needed" | "section" | "segment")
    }

    /// What to show when nothing is selected: records of that name, else all of the noun.
    fn closest<'s>(&self, subject: &'s Subject) -> Vec<&'s Record> {
        let of_noun = || subject.records.iter().filter(|r| r.noun == self.noun);
        let named: Vec<_> = of_noun().filter(|r| glob(self.name, &r.name)).collect();
        if named.is_empty() { of_noun().collect() } else { named }
    }
}

/// Whether `record` satisfies one word of a fact.
fn has_word(record: &Record, word: &str) -> bool {
    let split = word.find(|c| "=!<>~".contains(c)).filter(|&at| at > 0);
    let Some(at) = split else {
        return match word.strip_prefix('!') {
            Some(absent) => !record.words.iter().any(|w| w == absent),
            None => record.words.iter().any(|w| w == word),
        };
    };
    let key = &word[..at];
    let length = if ["!=", "!~", "<=", ">="].iter().any(|o| word[at..].starts_with(o)) { 2 } else { 1 };
    let (operator, wanted) = (&word[at..at + length], &word[at + length..]);
    let values = || record.words.iter().filter_map(|w| w.strip_prefix(key)?.strip_prefix('='));
    let equal = |value: &str| match (number(value), number(wanted)) {
        (Some(value), Some(wanted)) => value == wanted,
        _ => glob(wanted, value),
    };
    match operator {
        "=" => values().any(equal),
        "!=" => !values().any(equal),
        "~" => values().any(|value| value.contains(wanted)),
        "!~" => !values().any(|value| value.contains(wanted)),
        _ => values().any(|value| match (number(value), number(wanted)) {
            (Some(value), Some(wanted)) => compare(operator, value, wanted),
            _ => false,
        }),
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether `text` matches `pattern`, in which `*` is any run of characters.
pub fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|&i| rest.is_char_boundary(i)).any(|i| glob(after, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Subject {
        Subject::open(&std::env::current_exe().expect("own path")).expect("valid ELF")
    }
    fn holds(fact: &str) -> bool {
        judge(fact, &own(), &mut |_| Ok(own())).is_ok()
    }

    #[test]
    fn a_fact_selects_by_noun_name_and_words() {
        assert!(holds("file type=DYN"));
        assert!(holds("symbol main type=FUNC section=.text size>0"));
        assert!(holds("no symbol main type=OBJECT"));
        assert!(holds("section .text flags=AX type!=NOBITS flags~X flags!~W align>=4"));
        assert!(holds("1 section .text"));
        assert!(!holds("2 section .text"));
        assert!(holds("no symbol does_not_exist"));
        assert!(holds("same needed as ld"));
    }

    #[test]
    fn a_fact_that_nobody_understands_does_not_hold() {
        for fact in ["", "smybol main", "symbol", "list needed", "address main", "bytes main", "holds .text"]
        {
            assert!(!holds(fact), "{fact:?}");
        }
    }

    #[test]
    fn addresses_are_compared_as_sums() {
        assert!(holds("address main >= start:.text"));
        assert!(holds("address main + 1 > main"));
        assert!(holds("address main < end:.text - 0"));
        assert!(holds("address start:.text % 16 = 0"));
    }

    #[test]
    fn a_glob_may_have_several_stars() {
        assert!(glob("a*c*", "abcd") && glob("*", "") && glob("x", "x"));
        assert!(!glob("a*c", "abcd") && !glob("", "x"));
    }

    #[test]
    fn escapes_in_texts_are_bytes() {
        assert_eq!(unescape("a\\0\\x7f\\\\"), Ok(vec![b'a', 0, 0x7f, b'\\']));
    }
}
