//! Spans and counters of a run: who did what, when, on how many bytes, and what made it possible.
//!
//! In: [`Tracer::span`] around anything worth seeing; the pool and flows do so for every job, claim and item. Out:
//! [`Trace`], plain data, once the run is over; writing it for people is the business of others.
//!
//! Every thread has a *lane*: a buffer only it writes to, behind a lock that nobody contends for. Spans nest like
//! the calls they surround: each carries its depth, and two spans of a lane are either apart or one is inside the
//! other. This holds even if guards are dropped out of order, since ending a span ends those inside it.
//!
//! A trace can be replayed: a job (loop, walk, pair of lanes, flow) has a span on its owner's lane that says which job
//! it [opens](SpanRecord::opens), and every claim or item, on whichever lane, says of which job it is
//! [a part](SpanRecord::job); an item of a flow names the span that [sent it](SpanRecord::cause), and a flow leaves its
//! graph ([`FlowRecord`]).
//!
//! A worker that waits for others records a span [`WAIT`], so that waiting is never counted as work.
//!
//! Processor time is read at most every [`CPU_STEP`] on a lane, and where a worker begins or ends to wait; between two
//! readings it is taken to flow evenly ([`TraceLane::cpu_at`]). So a lane's sum is exact and a short span's is an
//! estimate. Readings of the process ([`Sample`]) are taken by whichever worker ends a span when one is due.
//!
//! Cost: off, one branch; on, about 0.1 us a span (two clock reads and two free locks).

mod usage;

pub use usage::{Sample, Usage};

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// The stage name of spans in which a worker waited for others.
pub const WAIT: &str = "(wait)";
/// The stage name of what a run does between its stages.
pub const MAIN: &str = "(main)";
/// The stage name of a pair of lanes, and of each of them: what they do between the stages in them.
pub const LANE: &str = "(lane)";
/// The stage name of what a worker does between items while it helps another: looking for them.
pub const HELP: &str = "(help)";

/// Nanoseconds between two readings of a thread's processor time, at least.
const CPU_STEP: u64 = 300_000;
/// Spans a lane has room for at first.
const SPANS_FIRST: usize = 4096;
/// Nanoseconds between two readings of what the process uses, at least.
const SAMPLE_STEP: u64 = 10_000_000;

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
    /// Processor time that the thread which made the tracer had used by then.
    cpu_at_epoch: u64,
    lanes: Mutex<Vec<Arc<Lane>>>,
    channels: Mutex<Vec<ChannelStats>>,
    flows: Mutex<Vec<FlowRecord>>,
    samples: Mutex<Vec<Sample>>,
    /// When the next reading is due.
    next_sample: AtomicU64,
    last_job: AtomicU32,
}

struct Lane {
    thread: ThreadId,
    buffer: Mutex<Buffer>,
}

struct Buffer {
    name: String,
    worker: Option<usize>,
    /// The id of the last span opened here.
    last: SpanId,
    /// Outermost first. The times of `end` are not yet known.
    open: Vec<SpanRecord>,
    /// In the order they ended.
    spans: Vec<SpanRecord>,
    /// Readings of the thread's processor time.
    cpu: Vec<(u64, u64)>,
    /// When the next one is due.
    next_cpu: u64,
}

/// Identifies a span of a trace; 0 is none. The lane is in the high bits.
pub type SpanId = u64;

/// Bits of a [`SpanId`] that count the spans of a lane.
const LANE_SHIFT: u32 = 40;

/// The part of `amount` that `weight` is of `whole`, which is not 0.
pub fn share(amount: u64, weight: u64, whole: u64) -> u64 {
    match amount.checked_mul(weight) {
        Some(product) => product / whole,
        // A division of this width takes as long as twenty of the other.
        None => (u128::from(amount) * u128::from(weight) / u128::from(whole)) as u64,
    }
}

/// Which lane a span is on, and its number there: both count from 1 without gaps, 0 is none.
pub fn place_of(id: SpanId) -> (usize, usize) {
    ((id >> LANE_SHIFT) as usize, (id & ((1 << LANE_SHIFT) - 1)) as usize)
}

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Work.
    #[default]
    Work,
    /// Waiting for others.
    Wait,
    /// The closure of the run.
    Main,
    /// A loop, on the lane of its owner.
    Loop,
    /// A graph walk, on the lane of its owner.
    Walk,
    /// A pair of lanes, on that of its owner.
    Join,
    /// One of such a pair.
    Lane,
    /// A flow, on the lane of its owner.
    Flow,
    /// Inside a job of another worker.
    Help,
}

/// One span: a stage at work on something, on one thread. Times are nanoseconds since the tracer's epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// What it stands for.
    pub kind: Kind,
    /// The job of which it is a claim or an item, 0 if it is no part of one but of the span around it.
    pub job: u32,
    /// The job it opens, 0 if none.
    pub opens: u32,
    /// Which shard of its stage it had to itself, plus one.
    pub shard: u32,
    /// Which span this is.
    pub id: SpanId,
    /// The span that sent the item, 0 if nobody did.
    pub cause: SpanId,
}

/// What the engine knows of a span when it opens it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Part {
    pub kind: Kind,
    pub job: u32,
    pub opens: u32,
    pub shard: u32,
    pub cause: SpanId,
}

impl Part {
    /// The span of a job itself.
    pub(crate) fn opening(kind: Kind, opens: u32) -> Part {
        Part { kind, opens, ..Part::default() }
    }

    /// A claim or item of a job.
    pub(crate) fn of(job: u32) -> Part {
        Part { job, ..Part::default() }
    }
}

/// The graph of a flow that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// The flow's name.
    pub name: &'static str,
    /// The job it was.
    pub job: u32,
    /// Names and capacities of its channels.
    pub channels: Vec<(&'static str, usize)>,
    /// Its stages, those furthest downstream first.
    pub stages: Vec<StageRecord>,
}

/// A stage of a flow that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRecord {
    /// The stage's name.
    pub name: &'static str,
    /// How many of its items may run at once.
    pub limit: usize,
    /// On how many workers that holds; on more, any number may.
    pub limit_workers: usize,
    /// What an item takes where the limit does not hold, in percent of what it takes otherwise.
    pub beyond: u32,
    /// Whether each item needs a shard to itself.
    pub is_sharded: bool,
    /// The channel it receives from, as an index.
    pub input: Option<usize>,
    /// The channels it sends to.
    pub outputs: Vec<usize>,
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
    /// When it was opened.
    pub start: u64,
    /// How many items it held from each of these times on, by time.
    pub points: Vec<(u64, u32)>,
}

impl ChannelStats {
    /// For how long, in nanoseconds, `is_so` held of what it held, between its start and its last message.
    pub fn time_when(&self, is_so: impl Fn(u64) -> bool) -> u64 {
        let first = (self.start, 0u32);
        let before = std::iter::once(&first).chain(&self.points);
        let steps = before.zip(&self.points);
        steps
            .filter(|((_, held), _)| is_so(u64::from(*held)))
            .map(|((from, _), (to, _))| to.saturating_sub(*from))
            .sum()
    }

    /// How many items it held on average over time, between its start and its last message.
    pub fn mean(&self) -> f64 {
        let Some((end, _)) = self.points.last() else { return 0.0 };
        let steps = self.points.iter().zip(&self.points[1..]);
        let sum: f64 =
            steps.map(|((from, held), (to, _))| f64::from(*held) * to.saturating_sub(*from) as f64).sum();
        sum / (end.saturating_sub(self.start).max(1)) as f64
    }
}

/// All that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// One per worker that was started, in order, then one per other thread that recorded something.
    pub lanes: Vec<TraceLane>,
    /// One per channel of each flow that ended.
    pub channels: Vec<ChannelStats>,
    /// One per flow that ended.
    pub flows: Vec<FlowRecord>,
    /// Readings of what the process used, by time.
    pub samples: Vec<Sample>,
}

/// What one thread did.
#[derive(Debug, Clone)]
pub struct TraceLane {
    /// `worker 0` for the thread that called [`crate::run`], and so on; `thread NAME` for others.
    pub name: String,
    /// By start; a span stands before those inside it.
    pub spans: Vec<SpanRecord>,
    /// Readings of the thread's processor time: when, and how much so far, in nanoseconds.
    pub cpu: Vec<(u64, u64)>,
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
    /// Processor time is to be read when it ends.
    is_edge: bool,
}

thread_local! {
    /// The lane this thread used last, and the id of its tracer.
    static RECENT: RefCell<Option<(u64, Arc<Lane>)>> = const { RefCell::new(None) };
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
        RECENT.with_borrow_mut(|last| match last {
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
        let last = (lanes.len() as SpanId + 1) << LANE_SHIFT;
        let buffer = Mutex::new(Buffer {
            name,
            worker: None,
            last,
            open: Vec::new(),
            spans: Vec::with_capacity(SPANS_FIRST),
            // The first thread is the one that made the tracer: what it used since the epoch is its own.
            cpu: if lanes.is_empty() { vec![(0, self.cpu_at_epoch)] } else { Vec::new() },
            next_cpu: 0,
        });
        let lane = Arc::new(Lane { thread: current.id(), buffer });
        lanes.push(Arc::clone(&lane));
        lane
    }
}

impl Shared {
    /// Reads what the process uses.
    fn sample(&self) {
        let sample = Sample::now(self.now());
        lock(&self.samples).push(sample);
    }

    /// Does so if nobody has for a while.
    fn sample_if_due(&self, now: u64) {
        let due = self.next_sample.load(Ordering::Relaxed);
        let next = now + SAMPLE_STEP;
        if now >= due
            && self.next_sample.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.sample();
        }
    }
}

impl Buffer {
    /// Reads the thread's processor time if that is due, or in any case.
    fn read_cpu(&mut self, now: u64, in_any_case: bool) {
        if now >= self.next_cpu || in_any_case {
            self.cpu.push((now, usage::thread_cpu()));
            self.next_cpu = now + CPU_STEP;
        }
    }

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
        Tracer::new(Instant::now(), usage::thread_cpu())
    }

    /// Records everything from now on, with times that count from an earlier moment: when the calling thread, the only
    /// one, began.
    pub fn since(epoch: Instant) -> Tracer {
        Tracer::new(epoch, 0)
    }

    fn new(epoch: Instant, cpu_at_epoch: u64) -> Tracer {
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = Shared {
            id,
            epoch,
            cpu_at_epoch,
            lanes: Mutex::default(),
            channels: Mutex::default(),
            flows: Mutex::default(),
            samples: Mutex::new(vec![Sample::now(epoch.elapsed().as_nanos() as u64)]),
            next_sample: AtomicU64::new(0),
            last_job: AtomicU32::new(0),
        };
        Tracer { shared: Some(Arc::new(shared)) }
    }

    /// Nanoseconds since the epoch, 0 if nothing is recorded.
    pub fn now(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.now())
    }

    /// Records a span of the calling thread that is over, and not inside another: what was done before there was a
    /// tracer.
    pub fn past(&self, stage: &'static str, start: u64, end: u64) {
        if let Some(shared) = &self.shared {
            let lane = shared.lane();
            let mut buffer = lock(&lane.buffer);
            buffer.last += 1;
            let id = buffer.last;
            buffer.spans.push(SpanRecord { stage, start, end, id, ..SpanRecord::default() });
        }
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Opens a span on the calling thread.
    pub fn span(&self, stage: &'static str) -> Span<'_> {
        self.span_of(stage, Part::default(), || (Label::None, 0))
    }

    /// Opens a span with its label and number of items, made only if tracing is on.
    pub(crate) fn span_of(
        &self,
        stage: &'static str,
        part: Part,
        what: impl FnOnce() -> (Label, usize),
    ) -> Span<'_> {
        let on = self.shared.as_deref().map(|shared| open(shared, stage, part, what()));
        Span { on, _thread: PhantomData }
    }

    /// A number for a job that has not had one, 0 if nothing is recorded.
    pub(crate) fn new_job(&self) -> u32 {
        self.shared.as_ref().map_or(0, |shared| shared.last_job.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The innermost open span of the calling thread, 0 if none.
    pub(crate) fn current(&self) -> SpanId {
        let Some(shared) = &self.shared else { return 0 };
        lock(&shared.lane().buffer).open.last().map_or(0, |span| span.id)
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
        shared.sample();
        let mut lanes = Vec::new();
        for lane in lock(&shared.lanes).iter() {
            let mut buffer = lock(&lane.buffer);
            let mut spans = std::mem::take(&mut buffer.spans);
            // In the order they were opened; those of the past have a later number.
            spans.sort_by_key(|span| (span.start, span.id));
            let cpu = std::mem::take(&mut buffer.cpu);
            let lane = TraceLane { name: buffer.name.clone(), spans, cpu };
            lanes.push((buffer.worker.unwrap_or(usize::MAX), lane));
        }
        lanes.sort_by_key(|&(worker, _)| worker);
        lanes.retain(|(worker, lane)| *worker != usize::MAX || !lane.spans.is_empty());
        let lanes = lanes.into_iter().map(|(_, lane)| lane).collect();
        let mut samples = std::mem::take(&mut *lock(&shared.samples));
        samples.sort_by_key(|sample| sample.time);
        let channels = std::mem::take(&mut *lock(&shared.channels));
        Trace { lanes, channels, flows: std::mem::take(&mut *lock(&shared.flows)), samples }
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
            buffer.read_cpu(shared.now(), true);
        }
    }

    /// The calling thread records nothing after this, or not for long.
    pub(crate) fn end_lane(&self) {
        if let Some(shared) = &self.shared {
            let lane = shared.lane();
            lock(&lane.buffer).read_cpu(shared.now(), true);
        }
    }

    /// Keeps the graph of a flow.
    pub(crate) fn add_flow(&self, flow: FlowRecord) {
        if let Some(shared) = &self.shared {
            lock(&shared.flows).push(flow);
        }
    }

    /// Keeps what a flow says of a channel.
    pub(crate) fn add_channel(&self, stats: ChannelStats) {
        if let Some(shared) = &self.shared {
            lock(&shared.channels).push(stats);
        }
    }
}

fn open<'t>(
    shared: &'t Shared,
    stage: &'static str,
    part: Part,
    (label, items): (Label, usize),
) -> OpenSpan<'t> {
    let lane = shared.lane();
    let start = shared.now();
    let mut buffer = lock(&lane.buffer);
    buffer.read_cpu(start, part.kind == Kind::Wait);
    let depth = buffer.open.len();
    buffer.last += 1;
    let Part { kind, job, opens, shard, cause } = part;
    let span = SpanRecord {
        stage,
        label,
        start,
        end: start,
        bytes: 0,
        items: items as u64,
        depth: depth as u32,
        kind,
        job,
        opens,
        shard,
        id: buffer.last,
        cause,
    };
    buffer.open.push(span);
    drop(buffer);
    OpenSpan { shared, lane, depth, is_edge: matches!(kind, Kind::Wait | Kind::Main) }
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
            let mut buffer = lock(&on.lane.buffer);
            buffer.read_cpu(end, on.is_edge);
            buffer.close(on.depth, end);
            drop(buffer);
            on.shared.sample_if_due(end);
        }
    }
}

impl Trace {
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
    /// The processor time the thread had used at a time: read then, or between the readings around it.
    pub fn cpu_at(&self, time: u64) -> u64 {
        let after = self.cpu.partition_point(|(at, _)| *at < time);
        match (after.checked_sub(1).map(|before| self.cpu[before]), self.cpu.get(after)) {
            (_, Some((at, cpu))) if *at == time => *cpu,
            (Some((from, low)), Some((to, high))) => {
                low + share(high.saturating_sub(low), time - from, to - from)
            }
            (Some((_, cpu)), None) => cpu,
            (None, Some((_, cpu))) => *cpu,
            (None, None) => 0,
        }
    }

    /// Each span with its own processor time, as [`TraceLane::own_times`].
    pub fn own_cpu(&self) -> Vec<u64> {
        let cpu = |span: &SpanRecord| self.cpu_at(span.end) - self.cpu_at(span.start);
        self.own(self.spans.iter().map(cpu).collect())
    }

    /// Each span with its own time: its duration without that of the spans inside it, in nanoseconds.
    pub fn own_times(&self) -> Vec<u64> {
        self.own(self.spans.iter().map(|span| span.end - span.start).collect())
    }

    /// Takes from what each span has what those inside it have.
    fn own(&self, whole: Vec<u64>) -> Vec<u64> {
        let mut own = whole.clone();
        let mut around: Vec<usize> = Vec::new();
        for (at, span) in self.spans.iter().enumerate() {
            around.truncate(span.depth as usize);
            if let Some(&outer) = around.last() {
                own[outer] = own[outer].saturating_sub(whole[at]);
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
        let trace = tracer.collect();
        let lane = &trace.lanes[0];
        assert_nested(lane);
        assert_eq!(trace.spans().map(|span| span.bytes).collect::<Vec<_>>(), [5, 10, 10, 10]);
        assert_eq!(trace.lanes[0].spans[2].label.to_string(), "item 1");
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
        let count = |stage, kind| trace.spans().filter(|s| s.stage == stage && s.kind == kind).count();
        assert_eq!((count("outer", Kind::Work), count("inner", Kind::Work)), (40, 320));
        assert_eq!((count("outer", Kind::Loop), count("inner", Kind::Loop)), (1, 40));
        let items = trace.spans().filter(|span| span.stage == "inner").map(|span| span.items);
        assert_eq!(items.sum::<u64>(), 1600);
    }

    #[test]
    fn claims_say_of_which_job_they_are() {
        let tracer = Tracer::on();
        crate::run(std::num::NonZeroUsize::new(3).unwrap(), &tracer, |pool| {
            pool.join(|| pool.for_each("a", 10, 1, |_| ()), || pool.walk("b", vec![3, 4], |_, _| ()));
        })
        .unwrap();
        let trace = tracer.collect();
        let opened: Vec<u32> = trace.spans().map(|span| span.opens).filter(|job| *job != 0).collect();
        assert_eq!(opened.len(), 3);
        for span in trace.spans().filter(|span| span.kind == Kind::Work || span.kind == Kind::Lane) {
            assert!(opened.contains(&span.job), "{span:?}");
        }
        assert_eq!(trace.spans().filter(|span| span.kind == Kind::Main).count(), 1);
    }

    #[test]
    fn items_name_the_span_that_sent_them() {
        let tracer = Tracer::on();
        crate::run(std::num::NonZeroUsize::new(2).unwrap(), &tracer, |pool| {
            let mut flow = crate::Flow::<()>::new("flow");
            let (out, input) = flow.channel("numbers", 2);
            flow.indexed("make", 5, out, |n, out| {
                out.send((n % 2, n));
                Ok(())
            });
            flow.sharded("take", input, (), [(), ()], |_, (), _, ()| Ok(()));
            flow.run(pool).unwrap();
        })
        .unwrap();
        let trace = tracer.collect();
        let makers: Vec<SpanId> = trace.spans().filter(|s| s.stage == "make").map(|s| s.id).collect();
        let takers: Vec<&SpanRecord> = trace.spans().filter(|s| s.stage == "take").collect();
        assert_eq!((makers.len(), takers.len()), (5, 5));
        assert!(takers.iter().all(|taker| makers.contains(&taker.cause) && (1..=2).contains(&taker.shard)));
        let flow = &trace.flows[0];
        assert_eq!((flow.name, flow.stages.len(), flow.stages[0].name), ("flow", 2, "take"));
        let channel = &trace.channels[0];
        assert_eq!((channel.messages, channel.points.len()), (5, 10));
        assert!(channel.mean() <= channel.occupancy_max as f64);
    }

    #[test]
    fn processor_time_flows_evenly_between_readings() {
        let cpu = vec![(100, 50), (200, 150), (300, 150)];
        let lane = TraceLane { name: String::new(), spans: Vec::new(), cpu };
        let at = [0, 100, 150, 200, 250, 400].map(|time| lane.cpu_at(time));
        assert_eq!(at, [50, 50, 100, 150, 150, 150]);
    }
}
