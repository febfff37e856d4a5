//! Shell patterns against names: one at a time, and many at once.
//!
//! The rules are `fnmatch(3)`'s without flags, as GNU ld uses it: `*` and `?` match any byte (also `/` and
//! a leading `.`), `[a-z]`, `[!a-z]` or `[^a-z]` and `[[:alpha:]]` one byte of a set, `\x` the byte `x`. A
//! `[` that nothing closes is an ordinary byte; a pattern that ends in `\` matches nothing. Bytes, not
//! characters: a name need not be UTF-8, and `?` is one byte of it.
//!
//! [`Glob`] is compiled into what lies between the stars. Since a star takes anything, each piece may be
//! placed as far left as it fits and never be moved again; so matching needs no backtracking, and costs at
//! most the product of both lengths (a piece without wildcards is found by `memmem`).
//!
//! [`GlobSet`] holds many globs, each with a rank, and finds the best rank that matches. A million symbols
//! against the thousands of patterns of a large version script would be too many calls, so the globs are
//! kept in a trie of what stands before their first wildcard, and only those whose prefix the name has are
//! tried.

/// One compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What must stand at the start, up to the first star.
    head: Piece,
    /// The rest; `None` if there is no star and `head` must be all of the name.
    rest: Option<Rest>,
}

/// Everything behind the first star: pieces with stars between them, then what must stand at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    middle: Vec<Piece>,
    tail: Piece,
    /// Bytes a name must have at least.
    length_min: usize,
}

/// What stands between two stars.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Only ordinary bytes.
    Literal(Vec<u8>),
    /// One element a byte.
    Elements(Vec<Element>),
    /// A pattern that nothing matches.
    Never,
}

/// Matches one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Byte(u8),
    Any,
    Set(Box<ByteSet>),
}

/// A set of byte values, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }
    fn complement(&mut self) {
        self.0.iter_mut().for_each(|word| *word = !*word);
    }
}

impl Element {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Element::Byte(expected) => *expected == byte,
            Element::Any => true,
            Element::Set(set) => set.contains(byte),
        }
    }
}

impl Piece {
    fn new(elements: Vec<Element>) -> Piece {
        let literal = elements.iter().map(|element| match element {
            Element::Byte(byte) => Some(*byte),
            _ => None,
        });
        match literal.collect::<Option<Vec<u8>>>() {
            Some(bytes) => Piece::Literal(bytes),
            None => Piece::Elements(elements),
        }
    }

    fn len(&self) -> usize {
        match self {
            Piece::Literal(bytes) => bytes.len(),
            Piece::Elements(elements) => elements.len(),
            Piece::Never => usize::MAX,
        }
    }

    /// Whether the piece is all of `window`.
    fn equals(&self, window: &[u8]) -> bool {
        match self {
            Piece::Literal(bytes) => bytes == window,
            Piece::Elements(elements) => {
                elements.len() == window.len() && elements.iter().zip(window).all(|(e, b)| e.matches(*b))
            }
            Piece::Never => false,
        }
    }

    /// Where the piece first ends in `name`.
    fn find_end(&self, name: &[u8]) -> Option<usize> {
        match self {
            Piece::Literal(bytes) => memchr::memmem::find(name, bytes).map(|at| at + bytes.len()),
            Piece::Elements(elements) => {
                let at = name.windows(elements.len()).position(|window| self.equals(window))?;
                Some(at + elements.len())
            }
            Piece::Never => None,
        }
    }
}

impl Glob {
    /// Compiles `pattern`; every pattern is valid.
    pub fn new(pattern: &[u8]) -> Glob {
        let mut pieces = Vec::new();
        let mut elements = Vec::new();
        let mut position = 0;
        while let Some(&byte) = pattern.get(position) {
            position += 1;
            match byte {
                b'*' => pieces.push(Piece::new(std::mem::take(&mut elements))),
                b'?' => elements.push(Element::Any),
                b'\\' => {
                    let Some(&escaped) = pattern.get(position) else {
                        return Glob { head: Piece::Never, rest: None };
                    };
                    elements.push(Element::Byte(escaped));
                    position += 1;
                }
                b'[' => match parse_set(&pattern[position..]) {
                    Bracket::Set(set, length) => {
                        elements.push(Element::Set(Box::new(set)));
                        position += length;
                    }
                    Bracket::Open => elements.push(Element::Byte(b'[')),
                    Bracket::UnknownClass => return Glob { head: Piece::Never, rest: None },
                },
                _ => elements.push(Element::Byte(byte)),
            }
        }
        let last = Piece::new(elements);
        let mut pieces = pieces.into_iter();
        match pieces.next() {
            None => Glob { head: last, rest: None },
            Some(head) => {
                let middle: Vec<Piece> = pieces.filter(|piece| piece.len() > 0).collect();
                let length_min = head.len() + last.len() + middle.iter().map(Piece::len).sum::<usize>();
                Glob { head, rest: Some(Rest { middle, tail: last, length_min }) }
            }
        }
    }

    /// Whether the pattern matches all of `name`.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some(rest) = &self.rest else { return self.head.equals(name) };
        if name.len() < rest.length_min {
            return false;
        }
        let (head, name) = name.split_at(self.head.len());
        let (mut name, tail) = name.split_at(name.len() - rest.tail.len());
        if !self.head.equals(head) || !rest.tail.equals(tail) {
            return false;
        }
        for piece in &rest.middle {
            match piece.find_end(name) {
                Some(end) => name = &name[end..],
                None => return false,
            }
        }
        true
    }

    /// The bytes every match begins with.
    fn prefix(&self) -> Vec<u8> {
        match &self.head {
            Piece::Literal(bytes) => bytes.clone(),
            Piece::Elements(elements) => elements
                .iter()
                .map_while(|element| match element {
                    Element::Byte(byte) => Some(*byte),
                    _ => None,
                })
                .collect(),
            Piece::Never => Vec::new(),
        }
    }
}

/// What a `[` turns out to be.
enum Bracket {
    /// A set, and how many bytes of the pattern behind the `[` it takes, with its `]`.
    Set(ByteSet, usize),
    /// Nothing closes it: an ordinary byte.
    Open,
    /// It holds a class there is no such thing as; nothing matches.
    UnknownClass,
}

fn parse_set(pattern: &[u8]) -> Bracket {
    let mut set = ByteSet::default();
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut position = start;
    loop {
        let Some(byte) = take(pattern, &mut position) else { return Bracket::Open };
        if byte == b']' && position > start + 1 {
            break;
        }
        if byte == b'['
            && let Some(name) = class_name(&pattern[position..])
        {
            let Some(class) = class(name) else { return Bracket::UnknownClass };
            (0..=u8::MAX).filter(|byte| class(*byte)).for_each(|byte| set.insert(byte));
            position += name.len() + ":".len() + ":]".len();
            continue;
        }
        let is_escape = byte == b'\\';
        let first = if is_escape { take(pattern, &mut position) } else { Some(byte) };
        let is_range =
            pattern.get(position) == Some(&b'-') && pattern.get(position + 1).is_some_and(|end| *end != b']');
        let last = if is_range {
            position += 1;
            match take(pattern, &mut position) {
                Some(b'\\') => take(pattern, &mut position),
                last => last,
            }
        } else {
            first
        };
        let (Some(first), Some(last)) = (first, last) else { return Bracket::Open };
        (first..=last).for_each(|byte| set.insert(byte));
    }
    if negated {
        set.complement();
    }
    Bracket::Set(set, position)
}

/// The `name` of `:name:]`.
fn class_name(pattern: &[u8]) -> Option<&[u8]> {
    let name = pattern.strip_prefix(b":")?;
    let length = name.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    name[length..].starts_with(b":]").then_some(&name[..length])
}

fn take(pattern: &[u8], position: &mut usize) -> Option<u8> {
    let byte = pattern.get(*position).copied();
    *position += 1;
    byte
}

/// The test of a named class (POSIX locale).
fn class(name: &[u8]) -> Option<fn(u8) -> bool> {
    Some(match name {
        b"alnum" => |b| b.is_ascii_alphanumeric(),
        b"alpha" => |b| b.is_ascii_alphabetic(),
        b"blank" => |b| b == b' ' || b == b'\t',
        b"cntrl" => |b| b.is_ascii_control(),
        b"digit" => |b| b.is_ascii_digit(),
        b"graph" => |b| b.is_ascii_graphic(),
        b"lower" => |b| b.is_ascii_lowercase(),
        b"print" => |b| b.is_ascii_graphic() || b == b' ',
        b"punct" => |b| b.is_ascii_punctuation(),
        b"space" => |b| b.is_ascii_whitespace() || b == 0x0b,
        b"upper" => |b| b.is_ascii_uppercase(),
        b"xdigit" => |b| b.is_ascii_hexdigit(),
        _ => return None,
    })
}

/// Many globs, each with a rank; the smallest rank is the best.
#[derive(Debug, Clone, Default)]
pub struct GlobSet {
    globs: Vec<(Glob, u32)>,
    /// Node 0 is the root: the empty prefix.
    trie: Vec<TrieNode>,
}

/// All globs with one prefix, and how prefixes go on.
#[derive(Debug, Clone, Default)]
struct TrieNode {
    /// Indices into `globs`.
    globs: Vec<u32>,
    /// Next byte and node, in the order of insertion: few, or found by their sorted neighbours at the root.
    children: Vec<(u8, u32)>,
}

impl GlobSet {
    /// Adds a glob.
    pub fn insert(&mut self, glob: Glob, rank: u32) {
        if self.trie.is_empty() {
            self.trie.push(TrieNode::default());
        }
        let mut node = 0;
        for byte in glob.prefix() {
            node = match self.trie[node].children.binary_search_by_key(&byte, |child| child.0) {
                Ok(index) => self.trie[node].children[index].1 as usize,
                Err(index) => {
                    let next = self.trie.len();
                    self.trie.push(TrieNode::default());
                    self.trie[node].children.insert(index, (byte, next as u32));
                    next
                }
            };
        }
        self.trie[node].globs.push(self.globs.len() as u32);
        self.globs.push((glob, rank));
    }

    /// Whether there is no glob at all.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// The smallest rank of a glob that matches `name`.
    pub fn best(&self, name: &[u8]) -> Option<u32> {
        let mut best: Option<u32> = None;
        let mut node = self.trie.first()?;
        let mut bytes = name.iter();
        loop {
            for &index in &node.globs {
                let (glob, rank) = &self.globs[index as usize];
                if best.is_none_or(|best| *rank < best) && glob.matches(name) {
                    best = Some(*rank);
                }
            }
            let Some(byte) = bytes.next() else { return best };
            match node.children.binary_search_by_key(byte, |child| child.0) {
                Ok(index) => node = &self.trie[node.children[index].1 as usize],
                Err(_) => return best,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::new(pattern.as_bytes()).matches(name.as_bytes())
    }

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "a/b", ".x"], &[]),
            ("abc", &["abc"], &["ab", "abcd", ""]),
            ("a*", &["a", "ab"], &["", "ba"]),
            ("*a", &["a", "ba"], &["ab"]),
            ("*ab*cd*", &["abcd", "xabycdz", "ababcdcd"], &["acbd", "abc", "cdab"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("a?c", &["abc", "a/c"], &["ac", "abbc"]),
            ("**a**", &["a", "bab"], &["b"]),
            ("*?b", &["ab", "bb", "abb"], &["b"]),
            ("[ab]*[!c]", &["ax", "bcd"], &["cx", "axc", "a"]),
            ("[^a]", &["b", "]"], &["a", ""]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[!]a]", &["b"], &["]", "a"]),
            ("[a-c]x", &["bx"], &["dx", "-x"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[c-a]", &[], &["a", "b", "c"]),
            ("[[:digit:]x]", &["1", "x"], &["a", ":"]),
            ("[[:nonsense:]", &[], &["[", ":", "n", "z", "]"]),
            ("[[:a]", &["[", ":", "a"], &["b", "]"]),
            ("[\\]a]", &["]", "a"], &["\\"]),
            ("[a", &["[a"], &["a"]),
            ("a\\*b", &["a*b"], &["aab", "a\\*b"]),
            ("a\\", &[], &["a", "a\\"]),
            ("*a*b*c", &["abc", "xaxbxc", "aabbcc"], &["acb", "abcx"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} should match {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} should not match {name}");
            }
        }
    }

    #[test]
    fn the_set_finds_the_best_rank() {
        let mut set = GlobSet::default();
        for (rank, pattern) in ["abc*", "a*", "*c", "[xy]z*", "ab?", "x\\*"].iter().enumerate() {
            set.insert(Glob::new(pattern.as_bytes()), rank as u32);
        }
        for (name, rank) in [
            ("abcd", Some(0)),
            ("abd", Some(1)),
            ("xc", Some(2)),
            ("yz1", Some(3)),
            ("x*", Some(5)),
            ("", None),
            ("q", None),
        ] {
            assert_eq!(set.best(name.as_bytes()), rank, "{name}");
        }
        assert_eq!(GlobSet::default().best(b"a"), None);
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = "*a".repeat(2000) + "b";
        let name = "a".repeat(20_000);
        assert!(!matches(&pattern, &name));
        assert!(!matches(&("*".repeat(100_000) + "b"), &name));
        assert!(!matches(&"*?a[a]?b".repeat(50), &name));
    }
}
