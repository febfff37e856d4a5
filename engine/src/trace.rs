//! Spans of everything that ran, one lane a thread.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Where spans go, or nowhere. Cheap to clone; clones record into the same trace.
#[derive(Clone, Default)]
pub struct Tracer {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    id: u64,
    epoch: Instant,
    lanes: Mutex<Vec<Arc<Mutex<Lane>>>>,
}

#[derive(Default)]
struct Lane {
    worker: Option<usize>,
    open: Vec<Open>,
    spans: Vec<SpanRecord>,
}

struct Open {
    stage: &'static str,
    start: u64,
    bytes: u64,
    items: u64,
    label: Option<u64>,
}

#[expect(dead_code, reason = "read by the writers to come")]
struct SpanRecord {
    stage: &'static str,
    label: Option<u64>,
    start: u64,
    end: u64,
    bytes: u64,
    items: u64,
    depth: u32,
}

/// Ends its span when dropped.
#[must_use = "a span ends when this is dropped"]
pub struct Span<'t> {
    lane: Option<(&'t Shared, Arc<Mutex<Lane>>)>,
}

thread_local! {
    static LANE: RefCell<Option<(u64, Arc<Mutex<Lane>>)>> = const { RefCell::new(None) };
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    fn lane(&self) -> Arc<Mutex<Lane>> {
        LANE.with_borrow_mut(|cached| match cached {
            Some((id, lane)) if *id == self.id => Arc::clone(lane),
            _ => {
                let lane = Arc::new(Mutex::new(Lane::default()));
                lock(&self.lanes).push(Arc::clone(&lane));
                *cached = Some((self.id, Arc::clone(&lane)));
                lane
            }
        })
    }
}

impl Tracer {
    /// Records nothing, at the cost of one branch.
    pub fn off() -> Tracer {
        Tracer { shared: None }
    }

    /// Records spans.
    pub fn on() -> Tracer {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        Tracer { shared: Some(Arc::new(Shared { id, epoch: Instant::now(), lanes: Mutex::default() })) }
    }

    /// Whether spans are recorded.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Opens a span on the calling thread.
    pub fn span(&self, stage: &'static str) -> Span<'_> {
        let Some(shared) = &self.shared else { return Span { lane: None } };
        let lane = shared.lane();
        lock(&lane).open.push(Open { stage, start: shared.now(), bytes: 0, items: 0, label: None });
        Span { lane: Some((shared, lane)) }
    }

    /// Adds to the bytes of the innermost open span of the calling thread.
    pub fn add_bytes(&self, bytes: usize) {
        if let Some(shared) = &self.shared
            && let Some(open) = lock(&shared.lane()).open.last_mut()
        {
            open.bytes += bytes as u64;
        }
    }

    pub(crate) fn name_lane(&self, worker: usize) {
        if let Some(shared) = &self.shared {
            lock(&shared.lane()).worker = Some(worker);
        }
    }

    /// A span of waiting for others.
    pub(crate) fn wait_span(&self) -> Span<'_> {
        self.span("(wait)")
    }
}

impl Span<'_> {
    fn open(&self, change: impl FnOnce(&mut Open)) {
        if let Some((_, lane)) = &self.lane
            && let Some(open) = lock(lane).open.last_mut()
        {
            change(open);
        }
    }

    /// Sets the bytes this span handled.
    pub fn bytes(&mut self, bytes: usize) {
        self.open(|open| open.bytes = bytes as u64);
    }

    /// Sets how many items this span handled.
    pub fn items(&mut self, items: usize) {
        self.open(|open| open.items = items as u64);
    }

    /// Sets the label to an index.
    pub fn index(&mut self, index: usize) {
        self.open(|open| open.label = Some(index as u64));
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let Some((shared, lane)) = &self.lane else { return };
        let end = shared.now();
        let mut lane = lock(lane);
        if let Some(Open { stage, start, bytes, items, label }) = lane.open.pop() {
            let depth = lane.open.len() as u32;
            lane.spans.push(SpanRecord { stage, label, start, end, bytes, items, depth });
        }
    }
}
