//! Panics as values: which stage, which item, which message.
//!
//! A panicking item stops its job: what is running ends, nothing more is claimed, and the owner of the job
//! unwinds with a [`Panicked`] as payload, past the panic hook, which has already spoken once. Enclosing
//! items pass that payload on untouched, so the innermost stage is the one named.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

use crate::sync::{Mutex, lock};

/// A panic caught by the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    /// The stage that ran, `main` outside of any.
    pub stage: &'static str,
    /// Which item it ran on: the label of its span or the index of the item. May be empty.
    pub label: String,
    /// What the panic said.
    pub message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {} panicked", self.stage)?;
        if !self.label.is_empty() {
            write!(f, " on {}", self.label)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Panicked {}

/// Makes a value of a caught payload. One that has been made before keeps its stage and label.
pub(crate) fn caught(payload: Box<dyn Any + Send>, stage: &'static str, label: String) -> Panicked {
    let payload = match payload.downcast::<Panicked>() {
        Ok(panicked) => return *panicked,
        Err(payload) => payload,
    };
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_string(),
        (_, Some(text)) => text.clone(),
        _ => "(no message)".to_string(),
    };
    // A payload may have a destructor that panics; nobody needs it to run.
    std::mem::forget(payload);
    Panicked { stage, label, message }
}

/// Holds the first panic of a job.
#[derive(Default)]
pub(crate) struct Blame(Mutex<Option<Panicked>>);

impl Blame {
    /// Keeps `panicked` if it is the first.
    pub(crate) fn put(&self, panicked: Panicked) {
        lock(&self.0).get_or_insert(panicked);
    }

    /// Takes what was kept.
    pub(crate) fn take(&self) -> Option<Panicked> {
        lock(&self.0).take()
    }

    /// Unwinds if there was a panic. To be called by the owner when the job is over.
    pub(crate) fn settle(&self) {
        if let Some(panicked) = self.take() {
            resume_unwind(Box::new(panicked));
        }
    }
}
