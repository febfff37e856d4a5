//! Linker scripts, version scripts and dynamic lists: text to data, nothing more.

/// An expression of the script language (GNU ld manual, "Expressions").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Number(u64),
    /// A symbol's value.
    Symbol(Vec<u8>),
}

/// Names and globs of symbols.
#[derive(Debug, Clone, Default)]
pub struct SymbolList {}
