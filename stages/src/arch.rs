//! Everything that differs from one machine to the next: relocation rows, what they need, how they are
//! applied, and the code of PLT entries.
//!
//! Stages ask for facts and functions here and never for a machine's name. There is one machine so far, so
//! there is no trait yet: `target` is the module whose public items a second one would have to offer.

pub mod x86_64;

pub use x86_64 as target;
