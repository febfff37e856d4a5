//! Spans and counters of a run: who did what, when, on how many bytes.
//!
//! In: [`Tracer::span`] around anything worth seeing; the pool and flows do so for every claim and item. Out:
//! [`Trace`], plain data, once the run is over; `table` and `chrome` write it for people and for viewers.
//!
//! Every thread has a *lane*: a buffer only it writes to, behind a lock that nobody contends for. Spans nest like
//! the calls they surround: each carries its depth, and two spans of a lane are either apart or one is inside the
//! other. This holds even if guards are dropped out of order, since ending a span ends those inside it.
//!
//! A worker that waits for others inside a span of its own records a span [`WAIT`], so that waiting is never
//! counted as work.
//!
//! Cost: off, one branch; on, about 0.1 us a span (two clock reads and two free locks).

mod chrome;
mod table;

pub use table::{PhaseRow, PhaseTable};

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// The stage name of spans in which a worker waited for others.
pub const WAIT: &str = "(wait)";

/// What a span or an item is about. Cheap to make: say what it is later, in [`Trace::resolve_labels`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Label {
    /// Nothing in particular.
    #[default]
    None,
    /// A number: the index of an item, an id.
    Index(u64),
    /// A name.
    Text(Arc<str>),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::None => Ok(()),
            Label::Index(index) => write!(f, "item {index}"),
            Label::Text(text) => f.write_str(text),
        }
    }
}

impl From<u32> for Label {
    fn from(index: u32) -> Label {
        Label::Index(u64::from(index))
    }
}

impl From<usize> for Label {
    fn from(index: usize) -> Label {
        Label::Index(index as u64)
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Label {
        Label::Text(text.into())
    }
}

impl From<String> for Label {
    fn from(text: String) -> Label {
        Label::Text(text.into())
    }
}

impl From<&Arc<str>> for Label {
    fn from(text: &Arc<str>) -> Label {
        Label::Text(Arc::clone(text))
    }
}

/// Where spans go, or nowhere. Cheap to clone; clones record into the same trace.
#[derive(Clone, Default)]
pub struct Tracer {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    /// Tells tracers of one process apart.
    id: u64,
    epoch: Instant,
    lanes: Mutex<Vec<Arc<Lane>>>,
    channels: Mutex<Vec<ChannelStats>>,
}

struct Lane {
    thread: ThreadId,
    buffer: Mutex<Buffer>,
}

struct Buffer {
    name: String,
    worker: Option<usize>,
    /// Outermost first. The times of `end` are not yet known.
    open: Vec<SpanRecord>,
    /// In the order they ended.
    spans: Vec<SpanRecord>,
}

/// One span: a stage at work on something, on one thread. Times are nanoseconds since the tracer was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRecord {
    /// What ran.
    pub stage: &'static str,
    /// What it ran on.
    pub label: Label,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Bytes it said it handled.
    pub bytes: u64,
    /// Items it said it handled.
    pub items: u64,
    /// How many spans of the same thread are around it.
    pub depth: u32,
}

/// What went through a channel of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStats {
    /// The flow's name.
    pub flow: &'static str,
    /// The channel's name.
    pub name: &'static str,
    /// How many items it was declared to hold.
    pub capacity: u64,
    /// How many items were sent.
    pub messages: u64,
    /// Sum, over all sends, of how many items it held after the send.
    pub occupancy_sum: u64,
    /// The most it held, overflow included.
    pub occupancy_max: u64,
    /// How many sends found it full: its consumer was the bottleneck.
    pub full: u64,
    /// How many receives emptied it while senders were left: its producer was the bottleneck.
    pub empty: u64,
}

/// All that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// One per worker that was started, in order, then one per other thread that recorded something.
    pub lanes: Vec<TraceLane>,
    /// One per channel of each flow that ended.
    pub channels: Vec<ChannelStats>,
}

/// What one thread did.
#[derive(Debug, Clone)]
pub struct TraceLane {
    /// `worker 0` for the thread that called [`crate::run`], and so on; `thread NAME` for others.
    pub name: String,
    /// By start; a span stands before those inside it.
    pub spans: Vec<SpanRecord>,
}

/// Ends its span when dropped.
#[must_use = "a span ends when this is dropped"]
pub struct Span<'t> {
    on: Option<OpenSpan<'t>>,
    /// Spans stay on their thread.
    _thread: PhantomData<*const ()>,
}

struct OpenSpan<'t> {
    shared: &'t Shared,
    lane: Arc<Lane>,
    depth: usize,
}

thread_local! {
    /// The lane this thread used last, and the id of its tracer.
    static LANE: RefCell<Option<(u64, Arc<Lane>)>> = const { RefCell::new(None) };
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// Nothing that can panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn now(&self) -> u64 {
        // 584 years fit.
        self.epoch.elapsed().as_nanos() as u64
    }

    fn lane(&self) -> Arc<Lane> {
        LANE.with_borrow_mut(|last| match last {
            Some((id, lane)) if *id == self.id => Arc::clone(lane),
            _ => {
                let lane = self.find_lane();
                *last = Some((self.id, Arc::clone(&lane)));
                lane
            }
        })
    }

    fn find_lane(&self) -> Arc<Lane> {
        let current = thread::current();
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.iter().find(|lane| lane.thread == current.id()) {
            return Arc::clone(lane);
        }
        let name = format!("thread {}", current.name().unwrap_or("?"));
        let buffer = Mutex::new(Buffer { name, worker: None, open: Vec::new(), spans: Vec::new() });
        let lane = Arc::new(Lane { thread: current.id(), buffer });
        lanes.push(Arc::clone(&lane));
        lane
    }
}

impl Buffer {
    /// Ends all spans that are open at `depth` or deeper.
    fn close(&mut self, depth: usize, end: u64) {
        while self.open.len() > depth
            && let Some(span) = self.open.pop()
        {
            self.spans.push(SpanRecord { end, ..span });
        }
    }
}

impl Tracer {
    /// Records nothing, at the cost of one branch.
    pub fn off() -> Tracer {
        Tracer { shared: None }
    }

    /// Records everything, from now on.
    pub fn on() -> Tracer {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let shared =
            Shared { id, epoch: Instant::now(), lanes: Mutex::default(), channels: Mutex::default() };
        Tracer { shared: Some(Arc::new(shared)) }
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Opens a span on the calling thread.
    pub fn span(&self, stage: &'static str) -> Span<'_> {
        self.span_of(stage, || (Label::None, 0))
    }

    /// Opens a span with its label and number of items, made only if tracing is on.
    pub(crate) fn span_of(&self, stage: &'static str, what: impl FnOnce() -> (Label, usize)) -> Span<'_> {
        let on = self.shared.as_deref().map(|shared| open(shared, stage, what()));
        Span { on, _thread: PhantomData }
    }

    /// Adds to the bytes of the innermost open span of the calling thread.
    pub fn add_bytes(&self, bytes: usize) {
        self.innermost(|span| span.bytes += bytes as u64);
    }

    /// Adds to the items of the innermost open span of the calling thread.
    pub fn add_items(&self, items: usize) {
        self.innermost(|span| span.items += items as u64);
    }

    /// Labels the innermost open span of the calling thread; `label` is called only if tracing is on.
    pub fn label(&self, label: impl FnOnce() -> Label) {
        self.innermost(|span| span.label = label());
    }

    /// Takes what was recorded until now. Spans still open are left for the next call.
    pub fn collect(&self) -> Trace {
        let Some(shared) = &self.shared else { return Trace::default() };
        let mut lanes = Vec::new();
        for lane in lock(&shared.lanes).iter() {
            let mut buffer = lock(&lane.buffer);
            let mut spans = std::mem::take(&mut buffer.spans);
            spans.sort_by_key(|span| (span.start, span.depth));
            lanes.push((buffer.worker.unwrap_or(usize::MAX), TraceLane { name: buffer.name.clone(), spans }));
        }
        lanes.sort_by_key(|&(worker, _)| worker);
        lanes.retain(|(worker, lane)| *worker != usize::MAX || !lane.spans.is_empty());
        let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
        Trace { lanes, channels: std::mem::take(&mut *lock(&shared.channels)) }
    }

    fn innermost(&self, change: impl FnOnce(&mut SpanRecord)) {
        if let Some(shared) = &self.shared {
            // Not under the lock: the closure is a stranger's.
            let lane = shared.lane();
            let span = lock(&lane.buffer).open.pop();
            if let Some(mut span) = span {
                change(&mut span);
                lock(&lane.buffer).open.push(span);
            }
        }
    }

    /// Names the calling thread's lane after a worker. The first name stays: a run inside a run changes nothing.
    pub(crate) fn name_lane(&self, worker: usize) {
        if let Some(shared) = &self.shared {
            let lane = shared.lane();
            let mut buffer = lock(&lane.buffer);
            if buffer.worker.is_none() {
                buffer.worker = Some(worker);
                buffer.name = format!("worker {worker}");
            }
        }
    }

    /// Keeps what a flow says of a channel.
    pub(crate) fn add_channel(&self, stats: ChannelStats) {
        if let Some(shared) = &self.shared {
            lock(&shared.channels).push(stats);
        }
    }
}

fn open<'t>(shared: &'t Shared, stage: &'static str, (label, items): (Label, usize)) -> OpenSpan<'t> {
    let lane = shared.lane();
    let start = shared.now();
    let mut buffer = lock(&lane.buffer);
    let depth = buffer.open.len();
    let items = items as u64;
    buffer.open.push(SpanRecord { stage, label, start, end: start, bytes: 0, items, depth: depth as u32 });
    drop(buffer);
    OpenSpan { shared, lane, depth }
}

impl Span<'_> {
    fn change(&mut self, change: impl FnOnce(&mut SpanRecord)) {
        if let Some(on) = &self.on
            && let Some(span) = lock(&on.lane.buffer).open.get_mut(on.depth)
        {
            change(span);
        }
    }

    /// Sets the bytes this span handled.
    pub fn bytes(&mut self, bytes: usize) {
        self.change(|span| span.bytes = bytes as u64);
    }

    /// Sets how many items this span handled.
    pub fn items(&mut self, items: usize) {
        self.change(|span| span.items = items as u64);
    }

    /// Says what this span is about.
    pub fn label(&mut self, label: &Label) {
        self.change(|span| span.label = label.clone());
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        if let Some(on) = &self.on {
            let end = on.shared.now();
            lock(&on.lane.buffer).close(on.depth, end);
        }
    }
}

impl Trace {
    /// Replaces labels that are numbers by what `name` says of them, given the stage and the number.
    pub fn resolve_labels(&mut self, name: impl Fn(&'static str, u64) -> Option<String>) {
        for span in self.lanes.iter_mut().flat_map(|lane| &mut lane.spans) {
            if let Label::Index(index) = span.label
                && let Some(name) = name(span.stage, index)
            {
                span.label = name.into();
            }
        }
    }

    /// All spans of all lanes.
    pub fn spans(&self) -> impl Iterator<Item = &SpanRecord> {
        self.lanes.iter().flat_map(|lane| &lane.spans)
    }

    /// From the first start to the last end, in nanoseconds since the tracer was made.
    pub fn extent(&self) -> (u64, u64) {
        let start = self.spans().map(|span| span.start).min().unwrap_or(0);
        let end = self.spans().map(|span| span.end).max().unwrap_or(0);
        (start, end)
    }
}

impl TraceLane {
    /// Each span with its own time: its duration without that of the spans inside it, in nanoseconds.
    pub fn own_times(&self) -> Vec<u64> {
        let mut own: Vec<u64> = self.spans.iter().map(|span| span.end - span.start).collect();
        let mut around: Vec<usize> = Vec::new();
        for (at, span) in self.spans.iter().enumerate() {
            around.truncate(span.depth as usize);
            if let Some(&outer) = around.last() {
                own[outer] = own[outer].saturating_sub(span.end - span.start);
            }
            around.push(at);
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds every two spans of a lane against each other: apart, or one inside the other by depth.
    fn assert_nested(lane: &TraceLane) {
        let mut around: Vec<&SpanRecord> = Vec::new();
        for span in &lane.spans {
            assert!(span.start <= span.end);
            assert!(span.depth as usize <= around.len(), "a span without the one around it: {span:?}");
            around.truncate(span.depth as usize);
            if let Some(outer) = around.last() {
                assert!(
                    outer.start <= span.start && span.end <= outer.end,
                    "{outer:?} is not around {span:?}"
                );
            }
            around.push(span);
        }
        let mut ends = vec![0; 64];
        for span in &lane.spans {
            assert!(ends[span.depth as usize] <= span.start, "two spans of one depth overlap: {span:?}");
            ends[span.depth as usize] = span.end;
        }
    }

    #[test]
    fn nothing_is_recorded_when_off() {
        let tracer = Tracer::off();
        tracer.span("a").bytes(1);
        tracer.label(|| unreachable!("labels are not made"));
        assert!(tracer.collect().lanes.is_empty());
    }

    #[test]
    fn spans_nest_and_own_times_add_up() {
        let tracer = Tracer::on();
        {
            let mut outer = tracer.span("outer");
            outer.label(&"all".into());
            for index in 0..3 {
                let _inner = tracer.span("inner");
                tracer.add_bytes(10);
                tracer.label(|| Label::Index(index));
            }
            tracer.add_bytes(5);
        }
        let mut trace = tracer.collect();
        trace.resolve_labels(|stage, index| (stage == "inner").then(|| format!("part {index}")));
        let lane = &trace.lanes[0];
        assert_nested(lane);
        assert_eq!(trace.spans().map(|span| span.bytes).collect::<Vec<_>>(), [5, 10, 10, 10]);
        assert_eq!(trace.lanes[0].spans[2].label.to_string(), "part 1");
        let whole = lane.spans[0].end - lane.spans[0].start;
        assert_eq!(lane.own_times().iter().sum::<u64>(), whole);
    }

    #[test]
    fn guards_dropped_out_of_order_still_nest() {
        let tracer = Tracer::on();
        let outer = tracer.span("outer");
        let inner = tracer.span("inner");
        drop(outer);
        let next = tracer.span("next");
        drop(inner);
        drop(next);
        let trace = tracer.collect();
        assert_eq!(trace.lanes[0].spans.len(), 3);
        assert_nested(&trace.lanes[0]);
    }

    #[test]
    fn workers_have_lanes_whose_spans_nest() {
        let tracer = Tracer::on();
        crate::run(std::num::NonZeroUsize::new(4).unwrap(), &tracer, |pool| {
            pool.for_each("outer", 40, 1, |_| {
                pool.for_each("inner", 40, 5, |i| {
                    std::hint::black_box(i);
                });
            });
        })
        .unwrap();
        let trace = tracer.collect();
        assert_eq!(trace.lanes[0].name, "worker 0");
        trace.lanes.iter().for_each(assert_nested);
        let count = |stage| trace.spans().filter(|span| span.stage == stage).count();
        assert_eq!((count("outer"), count("inner")), (40, 320));
        assert_eq!(
            trace.spans().filter(|span| span.stage == "inner").map(|span| span.items).sum::<u64>(),
            1600
        );
    }
}
