//! End-to-end tests: real compilers, real programs, run for real.
//!
//! A case is one text file below `cases/`: a title that is a sentence, why it must hold, the sources, the
//! commands, and facts about the result. Dropping the file in is enough; `README.md` describes the format.
//! `cargo test -p tests` runs all of them in parallel, `cargo case NAME` runs some and keeps their files.
//!
//! The way of a case through this crate: [`suite`] finds it, [`case`] parses it, [`variant`] multiplies it,
//! [`run`](mod@run) executes it with the help of [`command`], [`linker`] and [`shim`], [`facts`] judges what
//! came out, over the [`records`] of an [`elf`] file; [`reapply`] judges relocations that stayed in it; [`lint`] and [`mutate`] are what the framework adds by
//! itself or on request.

pub mod suite;
pub mod case;
pub mod variant;
pub mod run;
pub mod command;
pub mod linker;
pub mod shim;
pub mod facts;
pub mod records;
pub mod elf;
pub mod reapply;
pub mod lint;
pub mod mutate;
