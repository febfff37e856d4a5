//! The dataflow runtime: a fixed set of workers, flows of stages and bounded channels on top of them,
//! spans of everything that ran, and the few byte kernels that deserve SIMD.
//!
//! It knows nothing of linking or of object files. [`run`] starts a [`Pool`]; loops, graph walks, lanes
//! and flows are jobs on it and nest freely; a [`Tracer`] watches.

pub mod flow;
pub mod jobserver;
pub mod pool;
pub mod prefetch;
pub mod simd;
mod sync;
pub mod trace;

pub use flow::{Flow, FlowError, Limit, Next, Receiver, Sender};
pub use pool::{Distance, Panicked, Pool, Walk, run};
pub use prefetch::{prefetch, prefetch_all};
pub use trace::{Label, Trace, Tracer};
