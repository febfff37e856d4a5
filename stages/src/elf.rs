//! Checked views of on-disk structures.

pub mod identify;
pub mod archive;
pub mod compressed;
pub mod properties;
