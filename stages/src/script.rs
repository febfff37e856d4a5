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
pub struct SymbolList {
    globs: Vec<Vec<u8>>,
}

impl SymbolList {
    /// Adds a pattern.
    pub fn add_glob(&mut self, glob: &[u8]) {
        self.globs.push(glob.to_vec());
    }
}

/// Reads an expression: a number or the name of a symbol.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_expr(text: &[u8]) -> Result<Expr, String> {
    let word = std::str::from_utf8(text).unwrap_or_default();
    let number = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    match number {
        Some(number) => Ok(Expr::Number(number)),
        None if text.is_empty() => Err("expected an expression".to_string()),
        None => Ok(Expr::Symbol(text.to_vec())),
    }
}
