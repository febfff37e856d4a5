//! Which version a symbol gets: all version scripts of a link, compiled for a million questions.
//!
//! The rules are GNU ld's, found by experiment with overlapping nodes. Nodes stand in the order of the
//! scripts; of everything that matches a symbol, this decides, the first line that applies:
//!
//! 1. an exact name: that of the first node; in one node `global:` before `local:`;
//! 2. a glob other than `*` under `global:`: that of the *last* node;
//! 3. a glob other than `*` under `local:`;
//! 4. `*` under `global:`: that of the last node;
//! 5. `*` under `local:`.
//!
//! `extern "C++"` patterns see the demangled name, all others the name in the symbol table; they do not
//! differ in rank. A name that is not mangled stands for itself in both. A `*` matches everything in either
//! language.
//!
//! Exact names sit in one hash table, globs in prefix tries ([`GlobSet`]), so a question costs about one hash
//! of the name however large the script is. Questions come from many workers at once; the only thing they
//! write is one flag an exact name, "this one was asked for", which is never cleared.

use super::glob::{Glob, GlobSet};
use super::version::{Language, Pattern, VersionNode, VersionScript};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the version scripts say about a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionChoice {
    /// Not exported.
    Local,
    /// Exported by the anonymous node: without a version of its own.
    Global,
    /// Exported by this node, an index into [`VersionMatcher::nodes`].
    Node(usize),
}

/// All version scripts of a link.
#[derive(Debug, Default)]
pub struct VersionMatcher {
    nodes: Vec<VersionNode>,
    exact: Vec<ExactName>,
    /// Hash of name and language to the last entry of `exact` with it; further ones hang on `next`.
    by_hash: HashMap<u64, u32, BuildHasherDefault<Prehashed>>,
    globals: [GlobSet; 2],
    locals: [GlobSet; 2],
    /// What `*` under `global:` or else under `local:` says.
    star: Option<VersionChoice>,
    has_cxx: bool,
}

#[derive(Debug)]
struct ExactName {
    /// Node and where in it, see [`VersionMatcher::pattern`].
    node: u32,
    index: u32,
    local: bool,
    next: Option<u32>,
    seen: AtomicBool,
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

fn hash(language: Language, name: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(name, language as u64)
}

impl VersionMatcher {
    /// Compiles `scripts`, given in command-line order. Use [`check`] for what is wrong with them.
    pub fn new(scripts: &[VersionScript]) -> VersionMatcher {
        let nodes: Vec<VersionNode> =
            scripts.iter().flat_map(|script| script.nodes.iter().cloned()).collect();
        let mut matcher = VersionMatcher::default();
        let (mut star_global, mut star_local) = (None, None);
        for (number, node) in nodes.iter().enumerate() {
            // The last node is the best for globs.
            let rank = (nodes.len() - number) as u32;
            for (local, patterns) in [(false, &node.globals), (true, &node.locals)] {
                for (index, pattern) in patterns.iter().enumerate() {
                    matcher.has_cxx |= pattern.language == Language::Cxx && !pattern.is_star();
                    let language = pattern.language as usize;
                    if pattern.exact {
                        matcher.insert_exact(pattern, number, index, local);
                    } else if pattern.is_star() {
                        match local {
                            false => star_global = Some(choice(&nodes, number)),
                            true => star_local = Some(VersionChoice::Local),
                        }
                    } else if local {
                        matcher.locals[language].insert(Glob::new(&pattern.text), rank);
                    } else {
                        matcher.globals[language].insert(Glob::new(&pattern.text), rank);
                    }
                }
            }
        }
        matcher.star = star_global.or(star_local);
        matcher.nodes = nodes;
        matcher
    }

    fn insert_exact(&mut self, pattern: &Pattern, node: usize, index: usize, local: bool) {
        let number = self.exact.len() as u32;
        let next = self.by_hash.insert(hash(pattern.language, &pattern.text), number);
        let (node, index) = (node as u32, index as u32);
        self.exact.push(ExactName { node, index, local, next, seen: AtomicBool::new(false) });
    }

    /// All nodes in order; [`VersionChoice::Node`] is an index into them.
    pub fn nodes(&self) -> &[VersionNode] {
        &self.nodes
    }

    /// The node called `name`, as in `symbol@name`.
    pub fn node_named(&self, name: &[u8]) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name && !name.is_empty())
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What the scripts say about the symbol `name` (without `@VERSION`) that the output defines; `None` if
    /// nothing names it: it is then exported as without a script. `demangled` is called at most once and
    /// only if a pattern needs it; it gives the demangled name, or `None` if `name` is not mangled.
    ///
    /// Remembers that exact names were met, for [`VersionMatcher::unmatched`].
    pub fn find(&self, name: &[u8], demangled: impl FnOnce() -> Option<Vec<u8>>) -> Option<VersionChoice> {
        let in_c = self.find_exact(Language::C, name);
        if !self.has_cxx {
            return in_c.map(|entry| self.choose(entry)).or_else(|| self.find_glob(name, None));
        }
        let demangled = demangled();
        let demangled = demangled.as_deref().unwrap_or(name);
        let in_cxx = self.find_exact(Language::Cxx, demangled);
        match (in_c, in_cxx) {
            (Some(c), Some(cxx)) => {
                let first = if (cxx.node, cxx.local) < (c.node, c.local) { cxx } else { c };
                Some(self.choose(first))
            }
            (Some(entry), None) | (None, Some(entry)) => Some(self.choose(entry)),
            (None, None) => self.find_glob(name, Some(demangled)),
        }
    }

    /// Notes that the output defines `name` in the version `node` by itself (`.symver name, name@node`), so
    /// that the script's mention of it counts as met.
    pub fn mark_versioned(&self, name: &[u8], node: usize) {
        for entry in self.chain(Language::C, name) {
            if entry.node as usize == node {
                entry.seen.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Exact names under `global:` that no symbol had, with the index of their node, in the order of the
    /// scripts: errors with `--no-undefined-version`. Asked when all calls of `find` are over.
    pub fn unmatched(&self) -> impl Iterator<Item = (&Pattern, usize)> {
        let missed = |entry: &&ExactName| !entry.local && !entry.seen.load(Ordering::Relaxed);
        self.exact.iter().filter(missed).map(|entry| (self.pattern(entry), entry.node as usize))
    }

    fn pattern(&self, entry: &ExactName) -> &Pattern {
        let node = &self.nodes[entry.node as usize];
        let patterns = if entry.local { &node.locals } else { &node.globals };
        &patterns[entry.index as usize]
    }

    fn choose(&self, entry: &ExactName) -> VersionChoice {
        if entry.local { VersionChoice::Local } else { choice(&self.nodes, entry.node as usize) }
    }

    /// All exact entries for `name`, last node first.
    fn chain(&self, language: Language, name: &[u8]) -> impl Iterator<Item = &ExactName> {
        let mut next = match self.by_hash.is_empty() {
            true => None,
            false => self.by_hash.get(&hash(language, name)).copied(),
        };
        let entries = std::iter::from_fn(move || {
            let entry = &self.exact[next? as usize];
            next = entry.next;
            Some(entry)
        });
        entries.filter(move |entry| {
            let pattern = self.pattern(entry);
            pattern.language == language && pattern.text == name
        })
    }

    /// The best exact entry for `name`; marks all of them.
    fn find_exact(&self, language: Language, name: &[u8]) -> Option<&ExactName> {
        let mut best: Option<&ExactName> = None;
        for entry in self.chain(language, name) {
            // Loading first keeps the cache line shared between workers once the flag is set.
            if !entry.seen.load(Ordering::Relaxed) {
                entry.seen.store(true, Ordering::Relaxed);
            }
            if best.is_none_or(|best| (entry.node, entry.local) < (best.node, best.local)) {
                best = Some(entry);
            }
        }
        best
    }

    fn find_glob(&self, name: &[u8], demangled: Option<&[u8]>) -> Option<VersionChoice> {
        let best = |sets: &[GlobSet; 2]| {
            let in_c = sets[Language::C as usize].best(name);
            let in_cxx = demangled.and_then(|name| sets[Language::Cxx as usize].best(name));
            [in_c, in_cxx].into_iter().flatten().min()
        };
        if let Some(rank) = best(&self.globals) {
            return Some(choice(&self.nodes, self.nodes.len() - rank as usize));
        }
        if best(&self.locals).is_some() {
            return Some(VersionChoice::Local);
        }
        self.star
    }
}

/// What being exported by a node means.
fn choice(nodes: &[VersionNode], node: usize) -> VersionChoice {
    match nodes.get(node) {
        Some(node) if node.name.is_empty() => VersionChoice::Global,
        _ => VersionChoice::Node(node),
    }
}

/// What is wrong with the version scripts of a link taken together, one message each: a version defined
/// twice, an anonymous node beside others, an unknown parent, a name both exported and hidden by different
/// nodes. GNU ld rejects all of these.
pub fn check(scripts: &[VersionScript]) -> Vec<String> {
    let mut messages = Vec::new();
    let nodes: Vec<&VersionNode> = scripts.iter().flat_map(|script| &script.nodes).collect();
    if nodes.len() > 1 && nodes.iter().any(|node| node.name.is_empty()) {
        messages.push("anonymous version tag cannot be combined with other version tags".to_owned());
    }
    let mut names = HashSet::new();
    let mut hidden: HashMap<&Pattern, usize> = HashMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let name = String::from_utf8_lossy(&node.name);
        if !node.name.is_empty() && !names.insert(&node.name) {
            messages.push(format!("duplicate version tag `{name}`"));
        }
        node.locals.iter().for_each(|pattern| {
            hidden.insert(pattern, number);
        });
    }
    for (number, node) in nodes.iter().enumerate() {
        for parent in node.parents.iter().filter(|parent| !names.contains(parent)) {
            let parent = String::from_utf8_lossy(parent);
            messages.push(format!("unable to find version dependency `{parent}`"));
        }
        for pattern in &node.globals {
            if hidden.get(pattern).is_some_and(|other| *other != number) {
                let text = String::from_utf8_lossy(&pattern.text);
                messages.push(format!("duplicate expression `{text}` in version information"));
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::super::parse_version_script;
    use super::*;

    fn matcher(text: &str) -> VersionMatcher {
        VersionMatcher::new(&[parse_version_script(text.as_bytes(), "t.map").unwrap()])
    }

    /// The choice as text: a node's name, `global`, `local` or `-`.
    fn find(matcher: &VersionMatcher, name: &str) -> String {
        let demangled = || match name {
            "_ZN2ns3fooEi" => Some(b"ns::foo(int)".to_vec()),
            "_ZN2ns3barEv" => Some(b"ns::bar()".to_vec()),
            _ => None,
        };
        match matcher.find(name.as_bytes(), demangled) {
            None => "-".into(),
            Some(VersionChoice::Local) => "local".into(),
            Some(VersionChoice::Global) => "global".into(),
            Some(VersionChoice::Node(node)) => String::from_utf8(matcher.nodes()[node].name.clone()).unwrap(),
        }
    }

    fn check_all(text: &str, expected: &[(&str, &str)]) {
        let matcher = matcher(text);
        for (name, choice) in expected {
            assert_eq!(find(&matcher, name), *choice, "{name} in {text}");
        }
    }

    #[test]
    fn exact_names_win_first_node_first() {
        check_all("A { foo; }; B { f*; foo; };", &[("foo", "A"), ("fop", "B")]);
        check_all("A { local: foo; }; B { foo; };", &[("foo", "local")]);
        check_all("A { foo; local: foo; };", &[("foo", "A")]);
        check_all("A { fo*; }; B { local: foo; *; };", &[("foo", "local"), ("fox", "A"), ("x", "local")]);
    }

    #[test]
    fn specific_globs_win_last_node_first() {
        check_all("A { f*; }; B { fo*; }; C { foo?; };", &[("fx", "A"), ("fox", "B"), ("foox", "C")]);
        check_all("A { fo*; }; B { f*; };", &[("foo", "B")]);
        check_all("A { f*; }; B { local: fo*; };", &[("foo", "A")]);
    }

    #[test]
    fn star_comes_last() {
        check_all("A { *; }; B { local: f*; };", &[("foo", "local"), ("x", "A")]);
        check_all("A { local: *; }; B { *; };", &[("x", "B")]);
        check_all("A { *; }; B { *; };", &[("x", "B")]);
        check_all("{ foo; local: *; };", &[("foo", "global"), ("x", "local")]);
        check_all("A { foo; };", &[("x", "-")]);
    }

    #[test]
    fn cxx_patterns_see_the_demangled_name() {
        check_all(
            "A { extern \"C++\" { ns::foo*; \"ns::bar()\"; plain; }; local: *; };",
            &[("_ZN2ns3fooEi", "A"), ("_ZN2ns3barEv", "A"), ("plain", "A"), ("_ZN2ns3quxEv", "local")],
        );
        check_all("A { _ZN2ns3barEv; }; B { extern \"C++\" { \"ns::bar()\"; }; };", &[("_ZN2ns3barEv", "A")]);
        check_all("A { extern \"C++\" { \"ns::bar()\"; }; }; B { _ZN2ns3barEv; };", &[("_ZN2ns3barEv", "A")]);
    }

    #[test]
    fn unmatched_exact_globals_are_told() {
        let matcher =
            matcher("A { foo; nosuch; no*; local: hidden; }; B { versioned; extern \"C++\" { \"f()\"; }; };");
        find(&matcher, "foo");
        matcher.mark_versioned(b"versioned", 1);
        let names: Vec<_> =
            matcher.unmatched().map(|(pattern, node)| (pattern.text.as_slice(), node)).collect();
        assert_eq!(names, [(&b"nosuch"[..], 0), (&b"f()"[..], 1)]);
    }

    #[test]
    fn contradictions_are_reported() {
        let check = |text: &str| check(&[parse_version_script(text.as_bytes(), "t.map").unwrap()]);
        assert_eq!(check("A { foo; local: *; }; B { bar; } A;"), [""; 0]);
        assert_eq!(check("A { }; A { };"), ["duplicate version tag `A`"]);
        assert_eq!(check("A { } B;"), ["unable to find version dependency `B`"]);
        assert_eq!(
            check("A { }; { };"),
            ["anonymous version tag cannot be combined with other version tags"]
        );
        assert_eq!(
            check("A { foo; }; B { local: foo; };"),
            ["duplicate expression `foo` in version information"]
        );
    }
}
