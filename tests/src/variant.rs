//! Variants: a case runs once for every combination of its matrix.
//!
//! In: a [`Case`](crate::case::Case). Out: [`Variant`]s, the values that placeholders and guards see.
//! `kind` (the kind of output) and `cc` bring further variables with them, so that a case can be written
//! once for all kinds and compilers:
//!
//! | kind | `{cflags}` | `{ldflags}` |
//! |---|---|---|
//! | static | -fno-pie | -static -no-pie |
//! | static-pie | -fPIE | -static-pie |
//! | pie | -fPIE | -pie |
//! | no-pie | -fno-pie | -no-pie |
//! | shared | -fPIC | -shared |
//!
//! `{cxx}` is the C++ compiler that belongs to `{cc}`.

use crate::case::{Case, Guard};
use std::collections::BTreeMap;

/// One combination of the values of a matrix.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The values in matrix order, for the name of the test: `pie,gcc`; empty without a matrix.
    pub label: String,
    values: BTreeMap<String, String>,
}

impl Variant {
    /// The variant of a case that could not be parsed.
    pub fn none() -> Variant {
        Variant { label: String::new(), values: BTreeMap::new() }
    }

    /// All variants of a case, each knowing which linker is tested.
    pub fn all(case: &Case, linker: &str) -> Vec<Variant> {
        let mut all = vec![Variant::none()];
        for (name, values) in &case.matrix {
            let expand = |base: &Variant| {
                values
                    .iter()
                    .map(|value| {
                        let mut variant = base.clone();
                        let comma = if variant.label.is_empty() { "" } else { "," };
                        variant.label = format!("{}{comma}{value}", variant.label);
                        variant.set(name, value);
                        variant
                    })
                    .collect::<Vec<_>>()
            };
            all = all.iter().flat_map(expand).collect();
        }
        for variant in &mut all {
            variant.set("linker", linker);
        }
        all
    }

    /// Sets a variable, and those that follow from it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
        if name == "cc" {
            let cxx = match value {
                "gcc" => "g++".to_owned(),
                other => other.replace("clang", "clang++"),
            };
            self.values.insert("cxx".into(), cxx);
        }
        if name == "kind" {
            let (cflags, ldflags) = match value {
                "static" => ("-fno-pie", "-static -no-pie"),
                "static-pie" => ("-fPIE", "-static-pie"),
                "pie" => ("-fPIE", "-pie"),
                "no-pie" => ("-fno-pie", "-no-pie"),
                "shared" => ("-fPIC", "-shared"),
                _ => return,
            };
            self.values.insert("cflags".into(), cflags.into());
            self.values.insert("ldflags".into(), ldflags.into());
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a guard is true here.
    ///
    /// # Errors
    /// The guard names a variable that does not exist.
    pub fn allows(&self, guard: &Guard) -> Result<bool, String> {
        guard.holds(|name| self.get(name))
    }

    /// Replaces `{name}` for all variables; other braces stay as they are.
    pub fn replace(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_expands_to_all_combinations() {
        let text = "# T\nwhy\n--- matrix kind pie static\n--- matrix cc gcc clang-19\n--- do true\n";
        let all = Variant::all(&Case::parse(text).expect("valid"), "ld");
        let labels: Vec<_> = all.iter().map(|v| v.label.as_str()).collect();
        assert_eq!(labels, ["pie,gcc", "pie,clang-19", "static,gcc", "static,clang-19"]);
        assert_eq!(all[1].replace("{cxx} {cflags} { x } {linker}"), "clang++-19 -fPIE { x } ld");
    }
}
