//! What the trace of a link says, and how people read it.
//!
//! [`schema`] is the one source of truth: everything that is shown, and everything a program may want to read, is in a
//! [`Profile`]. It knows neither the engine nor the linker, so it can be read years later by whoever has the file. The
//! rest makes something of it: [`analysis`] (who was busy, who waited for what, the critical path), [`whatif`] (the
//! same link on other numbers of workers), [`advice`], [`table`] for terminals, [`chrome`] for Perfetto, [`page`] for
//! browsers, [`diff`] of two, [`index`] of a whole build; [`file`] reads and writes them.

pub mod schema;
pub mod names;
pub mod analysis;
pub mod replay;
pub mod whatif;
pub mod advice;
pub mod figures;
pub mod table;
pub mod chrome;
pub mod page;
pub mod file;
pub mod diff;
pub mod index;

pub use schema::Profile;
