//! Version indices of the symbols the output defines (LSB, "Symbol Versioning").

use super::Selection;
use crate::context::Cx;
use crate::demangle::demangle_cxx;
use crate::intern::Symbols;
use crate::model::{Inputs, SymbolId};
use crate::report::Problem;
use crate::script::{VersionChoice, VersionMatcher, VersionScript};

/// VER_NDX_LOCAL: not exported.
pub const VERSION_LOCAL: u16 = 0;
/// VER_NDX_GLOBAL: exported without a version.
pub const VERSION_GLOBAL: u16 = 1;
/// The bit that makes a version one that plain references do not mean.
pub const VERSION_HIDDEN: u16 = 0x8000;

/// One version the output defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionDefinition {
    /// Its name.
    pub name: Vec<u8>,
    /// Versions it inherits from.
    pub parents: Vec<Vec<u8>>,
}

/// The versions the output defines; the first one has index 2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionTable {
    /// In index order.
    pub definitions: Vec<VersionDefinition>,
}

impl VersionTable {
    /// The index of a version by name.
    pub fn index_of(&self, name: &[u8]) -> Option<u16> {
        self.definitions.iter().position(|d| d.name == name).map(|i| i as u16 + 2)
    }
}

/// Fills [`Selection::versions`] and [`Selection::version_table`].
pub(super) fn assign(
    cx: &Cx,
    inputs: &Inputs,
    symbols: &Symbols,
    scripts: &[VersionScript],
    selection: &mut Selection,
) {
    let bound = selection.defs.len();
    let mut versions = vec![VERSION_GLOBAL; bound];
    let matcher = VersionMatcher::new(scripts);
    for problem in crate::script::matcher::check(scripts) {
        cx.problems.push(Problem::warning(problem));
    }
    let mut table = VersionTable::default();
    let mut index_of_node = Vec::new();
    for node in matcher.nodes() {
        index_of_node.push(if node.name.is_empty() {
            VERSION_GLOBAL
        } else {
            table
                .definitions
                .push(VersionDefinition { name: node.name.clone(), parents: node.parents.clone() });
            table.definitions.len() as u16 + 1
        });
    }
    if !matcher.is_empty() {
        const STEP: usize = 1 << 12;
        let defs = &selection.defs;
        cx.pool.for_each_chunk("select/versions", &mut versions, STEP, |index, chunk| {
            let start = index * STEP;
            for (i, version) in chunk.iter_mut().enumerate() {
                if !defs[start + i].is_local() {
                    continue;
                }
                let name = symbols.name(SymbolId((start + i) as u32));
                *version = match matcher.find(name, || demangle_cxx(name)) {
                    Some(VersionChoice::Local) => VERSION_LOCAL,
                    Some(VersionChoice::Node(node)) => index_of_node[node],
                    Some(VersionChoice::Global) | None => VERSION_GLOBAL,
                };
            }
        });
    }
    for id in &selection.objects {
        let object = inputs.object(*id);
        for versioned in &object.versioned {
            let symbol = object.symbol_id(versioned.symbol as usize);
            let def = selection.def(symbol);
            if def.file() != object.id || def.index() != versioned.symbol || !def.is_local() {
                continue;
            }
            let plain = symbols.name(symbol);
            let plain = &plain[..memchr::memchr(b'@', plain).unwrap_or(plain.len())];
            match table.index_of(versioned.version) {
                Some(index) => {
                    if let Some(node) = matcher.node_named(versioned.version) {
                        matcher.mark_versioned(plain, node);
                    }
                    versions[symbol.index()] = index | if versioned.is_default { 0 } else { VERSION_HIDDEN };
                }
                None if versioned.version.is_empty() || !cx.config.is_shared() => {}
                None => {
                    let message = format!(
                        "{}: symbol {} has undefined version {}",
                        object.origin,
                        cx.symbol_text(plain),
                        String::from_utf8_lossy(versioned.version)
                    );
                    cx.problems.push(
                        Problem::error(message)
                            .note("define the version in a version script (--version-script)")
                            .at(object.id.0, u64::from(versioned.symbol)),
                    );
                }
            }
        }
    }
    if cx.config.no_undefined_version {
        for (pattern, node) in matcher.unmatched() {
            let version = String::from_utf8_lossy(&matcher.nodes()[node].name);
            let name = String::from_utf8_lossy(&pattern.text);
            let version = if version.is_empty() { "global".into() } else { version };
            cx.problems.push(Problem::error(format!(
                "version script assignment of '{version}' to symbol '{name}' failed: symbol not defined"
            )));
        }
    }
    selection.versions = versions;
    selection.version_table = table;
}
