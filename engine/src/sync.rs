//! The primitives that threads meet through, in one place: under `--cfg shuttle` they are those of a controlled
//! scheduler (see `engine/shuttle`), which tries interleavings a real machine shows once a year.
//!
//! Only what pool and flows do with each other goes through here. Lanes of a trace have one writer each.

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread, thread_local,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread, thread_local,
};

use std::sync::PoisonError;

/// Locks `mutex`, poisoned or not: where a user's code can panic under a lock of ours, the flow or job stops and
/// what the lock protects is not used again.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `mutex` holds, poisoned or not.
pub(crate) fn unlock<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
