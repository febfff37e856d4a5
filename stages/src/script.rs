//! Linker scripts, version scripts, dynamic lists and the expressions in them: text to data, nothing more.
//!
//! Everything here is a pure function from bytes to plain data. Nothing opens a file, looks up a symbol or
//! knows a section: `INPUT` and `INCLUDE` come back as names for `open` to find, expressions ask an
//! [`Env`] for what they need, and patterns say which names they match.
//!
//! | text | parser | result |
//! |---|---|---|
//! | a script given as an input (`libc.so`, `-T` without `SECTIONS`) | [`parse_script`] | [`Script`] |
//! | `--defsym NAME=EXPR`, the right-hand sides in scripts | [`parse_expr`] | [`Expr`] |
//! | `--version-script`, `VERSION { ... }` | [`parse_version_script`] | [`VersionScript`], asked through [`VersionMatcher`] |
//! | `--dynamic-list`, `--export-dynamic-symbol-list` | [`parse_dynamic_list`] | [`DynamicList`], asked through [`SymbolList`] |
//!
//! The languages are those of the GNU ld manual ("Scripts", "Expressions", "VERSION Command"). Where GNU ld
//! rejects a text whose meaning is plain (a missing last semicolon, `local:` before `global:`, a comma
//! without a blank), this parser takes it; it never gives an accepted text another meaning, with the few
//! exceptions that [`lexer`] and [`expr`] state.
//!
//! The text is untrusted: every parser ends in time linear in the text (nesting is bounded, so is the size
//! of an expression tree) and reports the first mistake with its line and column.

pub mod lexer;
pub mod expr;
pub mod eval;
pub mod input;
pub mod version;
pub mod glob;
pub mod matcher;
pub mod list;

pub use eval::{Env, EvalError, SectionFacts, Value};
pub use expr::{Expr, parse_expr};
pub use input::{Assignment, Command, FileName, Script, ScriptInput, parse_script};
pub use lexer::ScriptError;
pub use list::{DynamicList, SymbolList, parse_dynamic_list};
pub use matcher::{VersionChoice, VersionMatcher};
pub use version::{Language, Pattern, VersionNode, VersionScript, parse_version_script};
