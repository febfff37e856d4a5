//! The kinds of stages, and when each is ready.
//!
//! A [`Desk`] is the part of a stage that does not depend on types: its channels, how many of its items run, and
//! from these whether it is ready or done. A [`Node`] is the typed part: takes an item and runs the closure.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use super::channel::{Absorbed, Link};
use super::{Core, FlowError, Limit, Next, Outputs, Receiver};
use crate::pool::{Pool, caught};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock};
use crate::trace::{Label, Part, SpanId, StageRecord};

/// The untyped part of a stage.
pub(super) struct Desk {
    name: &'static str,
    kind: &'static str,
    /// How many items may run at once.
    limit: usize,
    /// For a trace: what the limit depends on.
    rule: Limit,
    input: Option<Arc<Link>>,
    outputs: Vec<Arc<Link>>,
    /// Items that run, and workers about to take one.
    busy: AtomicUsize,
    /// Items the stage holds outside of its channel: indexes not run, items waiting for their shard. For a source,
    /// one until it is done.
    held: AtomicUsize,
    /// How many of the held items could run now.
    runnable: AtomicUsize,
    /// No items are taken from the channel while this many are held.
    held_max: usize,
    done: AtomicBool,
}

impl Desk {
    pub(super) fn new(
        name: &'static str,
        kind: &'static str,
        limit: usize,
        input: Option<Arc<Link>>,
        outputs: Absorbed,
    ) -> Arc<Desk> {
        Arc::new(Desk::make(name, kind, limit, input, outputs))
    }

    /// A desk of a stage whose limit depends on the number of workers.
    pub(super) fn limited(
        name: &'static str,
        rule: Limit,
        workers: usize,
        input: Option<Arc<Link>>,
        outputs: Absorbed,
    ) -> Arc<Desk> {
        let holds = rule.workers == 0 || workers <= rule.workers;
        let limit = if holds { rule.items } else { usize::MAX };
        Arc::new(Desk { rule, ..Desk::make(name, "limited", limit, input, outputs) })
    }

    fn make(
        name: &'static str,
        kind: &'static str,
        limit: usize,
        input: Option<Arc<Link>>,
        outputs: Absorbed,
    ) -> Desk {
        let is_source = input.is_none();
        let held_max = input.as_ref().map_or(0, |link| link.capacity().max(limit.min(64)));
        let desk = Desk {
            name,
            kind,
            limit,
            rule: Limit { items: limit, ..Limit::NONE },
            input,
            outputs: outputs.0,
            busy: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            runnable: AtomicUsize::new(0),
            held_max,
            done: AtomicBool::new(false),
        };
        if is_source {
            desk.hold(1);
        }
        desk
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The kind, and how many shards if that is the kind.
    pub(super) fn kind(&self) -> String {
        if self.kind == "sharded" { format!("sharded by {}", self.limit) } else { self.kind.to_string() }
    }

    pub(super) fn input(&self) -> Option<&Arc<Link>> {
        self.input.as_ref()
    }

    pub(super) fn outputs(&self) -> &[Arc<Link>] {
        &self.outputs
    }

    /// What a trace says of it, given the channels of the flow.
    pub(super) fn record(&self, links: &[Arc<Link>]) -> StageRecord {
        let number = |link: &Arc<Link>| links.iter().position(|other| Arc::ptr_eq(link, other));
        StageRecord {
            name: self.name,
            limit: self.rule.items,
            limit_workers: self.rule.workers,
            beyond: self.rule.beyond,
            is_sharded: self.kind == "sharded",
            input: self.input.as_ref().and_then(number),
            outputs: self.outputs.iter().filter_map(number).collect(),
        }
    }

    /// Sets how many items are held, all of which could run.
    pub(super) fn hold(&self, items: usize) {
        self.held.store(items, Ordering::SeqCst);
        self.runnable.store(items, Ordering::SeqCst);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// Whether a worker would get an item now. Several may think so of the last one.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_done()
            && self.busy.load(Ordering::SeqCst) < self.limit
            && self.has_items()
            && self.outputs.iter().all(|link| link.has_room())
    }

    fn has_items(&self) -> bool {
        self.runnable.load(Ordering::SeqCst) > 0
            || self.input.as_ref().is_some_and(|link| {
                link.has_items() && (self.held_max == 0 || self.held.load(Ordering::SeqCst) < self.held_max)
            })
    }

    /// Claims the right to run an item. Each success needs a [`Desk::end`].
    fn begin(&self) -> bool {
        let claimed = self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |busy| {
            (busy < self.limit && !self.is_done()).then_some(busy + 1)
        });
        claimed.is_ok()
    }

    fn end(&self) {
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    /// If nothing can come any more, marks the stage done and closes its outputs.
    ///
    /// An item is in the channel, then held, then busy, and counted at the next place before it leaves the last.
    /// So asking in this order cannot miss one.
    pub(super) fn settle(&self) {
        let over = !self.is_done()
            && self.input.as_ref().is_none_or(|link| link.is_over())
            && self.held.load(Ordering::SeqCst) == 0
            && self.busy.load(Ordering::SeqCst) == 0;
        if over && !self.done.swap(true, Ordering::SeqCst) {
            for link in &self.outputs {
                link.release();
            }
        }
    }
}

/// The typed part of a stage.
pub(super) trait Node<E>: Send + Sync {
    fn desk(&self) -> &Arc<Desk>;
    /// Takes an item and runs it; `None` if there was none to take. Must be called from inside a pool's job, and
    /// does not unwind.
    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>>;
}

/// Names the items of a stage in traces and errors.
pub struct StageHandle<'env, T> {
    label: Arc<OnceLock<LabelOf<'env, T>>>,
}

type LabelOf<'env, T> = Box<dyn Fn(&T) -> Label + Send + Sync + 'env>;

impl<'env, T> StageHandle<'env, T> {
    /// Labels every item by what `label` says of it. Called for each item, traced or not; the first call counts.
    pub fn labelled(&self, label: impl Fn(&T) -> Label + Send + Sync + 'env) {
        let _ = self.label.set(Box::new(label));
    }

    fn of(&self, item: &T) -> Label {
        self.label.get().map_or(Label::None, |label| label(item))
    }
}

impl<T> Clone for StageHandle<'_, T> {
    fn clone(&self) -> Self {
        StageHandle { label: Arc::clone(&self.label) }
    }
}

impl<T> Default for StageHandle<'_, T> {
    fn default() -> Self {
        StageHandle { label: Arc::default() }
    }
}

/// Who sent an item, and which shard it runs in, plus one: for traces.
#[derive(Clone, Copy, Default)]
struct Way {
    by: SpanId,
    shard: u32,
}

/// Runs `step` on an item claimed from `desk`: a span, panics caught.
fn run<T, E>(
    desk: &Desk,
    pool: &Pool,
    core: &Core,
    (item, way): (T, Way),
    label: impl FnOnce(&T) -> Label,
    step: impl FnOnce(T) -> Result<(), E>,
) -> Option<Result<(), FlowError<E>>> {
    // Taking the item made room, and perhaps it was not the last: others may find work now.
    core.nudge();
    let mut shown = Label::None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        shown = label(&item);
        let part = Part { cause: way.by, shard: way.shard, ..Part::of(core.job()) };
        let _span = pool.tracer().span_of(desk.name, part, || (shown.clone(), 0));
        step(item)
    }));
    let result = match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(FlowError::Stopped(error)),
        Err(payload) => Err(FlowError::Panicked(caught(payload, desk.name, shown.to_string()))),
    };
    if result.is_err() {
        // Before the claim ends, so that nobody takes the stage for done in good order.
        core.stop();
    }
    Some(result)
}

/// Gives a claim back on every way out, and looks what that ends.
struct Claim<'a> {
    desk: &'a Desk,
    core: &'a Core,
}

impl<'a> Claim<'a> {
    fn get(desk: &'a Desk, core: &'a Core) -> Option<Claim<'a>> {
        desk.begin().then(|| Claim { desk, core })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.desk.end();
        if !self.core.is_stopped() {
            self.core.settle();
        }
    }
}

/// See [`super::Flow::source`].
pub(super) struct Source<O, F> {
    pub(super) desk: Arc<Desk>,
    pub(super) outputs: O,
    pub(super) step: Mutex<F>,
}

impl<E, O: Outputs, F: FnMut(&O) -> Result<Next, E> + Send> Node<E> for Source<O, F> {
    fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>> {
        let _claim = Claim::get(&self.desk, core)?;
        // The source may have ended between the look and the claim.
        if self.desk.held.load(Ordering::SeqCst) == 0 {
            return None;
        }
        run(
            &self.desk,
            pool,
            core,
            ((), Way::default()),
            |()| Label::None,
            |()| {
                if lock(&self.step)(&self.outputs)? == Next::Done {
                    self.desk.hold(0);
                }
                Ok(())
            },
        )
    }
}

/// See [`super::Flow::indexed`].
pub(super) struct Indexed<'env, O, F> {
    desk: Arc<Desk>,
    next: AtomicUsize,
    outputs: O,
    step: F,
    label: StageHandle<'env, usize>,
}

impl<'env, O, F> Indexed<'env, O, F> {
    pub(super) fn new(desk: Arc<Desk>, outputs: O, step: F, label: StageHandle<'env, usize>) -> Self {
        Indexed { desk, next: AtomicUsize::new(0), outputs, step, label }
    }
}

impl<E, O: Outputs, F: Fn(usize, &O) -> Result<(), E> + Send + Sync> Node<E> for Indexed<'_, O, F> {
    fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>> {
        let _claim = Claim::get(&self.desk, core)?;
        // The count goes first: while it says there is an index, there is one for whoever lowers it.
        let claim = |left: usize| left.checked_sub(1);
        self.desk.runnable.fetch_update(Ordering::SeqCst, Ordering::SeqCst, claim).ok()?;
        let index = self.next.fetch_add(1, Ordering::SeqCst);
        self.desk.held.fetch_sub(1, Ordering::SeqCst);
        run(
            &self.desk,
            pool,
            core,
            (index, Way::default()),
            |item| self.label.of(item),
            |item| (self.step)(item, &self.outputs),
        )
    }
}

/// See [`super::Flow::parallel`].
pub(super) struct Parallel<'env, T, O, F> {
    pub(super) desk: Arc<Desk>,
    pub(super) input: Receiver<T>,
    pub(super) outputs: O,
    pub(super) step: F,
    pub(super) label: StageHandle<'env, T>,
}

impl<E, T: Send, O: Outputs, F: Fn(T, &O) -> Result<(), E> + Send + Sync> Node<E> for Parallel<'_, T, O, F> {
    fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>> {
        let _claim = Claim::get(&self.desk, core)?;
        let (item, by) = self.input.take()?;
        let sent = (item, Way { by, shard: 0 });
        run(&self.desk, pool, core, sent, |item| self.label.of(item), |item| (self.step)(item, &self.outputs))
    }
}

/// See [`super::Flow::serial`].
pub(super) struct Serial<'env, T, O, F> {
    pub(super) desk: Arc<Desk>,
    pub(super) input: Receiver<T>,
    pub(super) outputs: O,
    pub(super) step: Mutex<F>,
    pub(super) label: StageHandle<'env, T>,
}

impl<E, T: Send, O: Outputs, F: FnMut(T, &O) -> Result<(), E> + Send> Node<E> for Serial<'_, T, O, F> {
    fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>> {
        let _claim = Claim::get(&self.desk, core)?;
        let (item, by) = self.input.take()?;
        run(
            &self.desk,
            pool,
            core,
            (item, Way { by, shard: 0 }),
            |item| self.label.of(item),
            |item| lock(&self.step)(item, &self.outputs),
        )
    }
}

/// See [`super::Flow::sharded`].
pub(super) struct Sharded<'env, S, T, O, F> {
    desk: Arc<Desk>,
    input: Receiver<(usize, T)>,
    outputs: O,
    states: Vec<Mutex<S>>,
    router: Mutex<Router<T>>,
    step: F,
    label: StageHandle<'env, (usize, T)>,
}

/// Items on the way from the channel to their shards.
struct Router<T> {
    shards: Vec<Inbox<T>>,
    /// Shards that have items and do not run.
    ready: VecDeque<usize>,
}

struct Inbox<T> {
    items: VecDeque<(T, SpanId)>,
    runs: bool,
}

impl<'env, S, T, O, F> Sharded<'env, S, T, O, F> {
    pub(super) fn new(
        desk: Arc<Desk>,
        input: Receiver<(usize, T)>,
        outputs: O,
        states: Vec<Mutex<S>>,
        step: F,
        label: StageHandle<'env, (usize, T)>,
    ) -> Self {
        let shards = states.iter().map(|_| Inbox { items: VecDeque::new(), runs: false }).collect();
        let router = Mutex::new(Router { shards, ready: VecDeque::new() });
        Sharded { desk, input, outputs, states, router, step, label }
    }

    /// An item whose shard is free now, marked as running. Moves items from the channel to shards as needed.
    ///
    /// # Panics
    /// If an item names a shard there is none of.
    fn take(&self) -> Option<(usize, T, SpanId)> {
        let mut router = lock(&self.router);
        let router = &mut *router;
        loop {
            if let Some(shard) = router.ready.pop_front() {
                let inbox = &mut router.shards[shard];
                inbox.runs = true;
                let (item, by) = inbox.items.pop_front()?;
                self.desk.runnable.store(router.ready.len(), Ordering::SeqCst);
                self.desk.held.fetch_sub(1, Ordering::SeqCst);
                return Some((shard, item, by));
            }
            if self.desk.held.load(Ordering::SeqCst) >= self.desk.held_max {
                return None;
            }
            // Held before it is taken, so that it is counted at every moment.
            self.desk.held.fetch_add(1, Ordering::SeqCst);
            let Some(((shard, item), by)) = self.input.take() else {
                self.desk.held.fetch_sub(1, Ordering::SeqCst);
                return None;
            };
            let shards = router.shards.len();
            assert!(shard < shards, "an item for shard {shard} of {shards}");
            let inbox = &mut router.shards[shard];
            if inbox.items.is_empty() && !inbox.runs {
                router.ready.push_back(shard);
            }
            inbox.items.push_back((item, by));
        }
    }

    /// The item of `shard` has run.
    fn put_back(&self, shard: usize) {
        let mut router = lock(&self.router);
        router.shards[shard].runs = false;
        if !router.shards[shard].items.is_empty() {
            router.ready.push_back(shard);
        }
        self.desk.runnable.store(router.ready.len(), Ordering::SeqCst);
    }
}

impl<E, S, T, O, F> Node<E> for Sharded<'_, S, T, O, F>
where
    S: Send,
    T: Send,
    O: Outputs,
    F: Fn(usize, &mut S, T, &O) -> Result<(), E> + Send + Sync,
{
    fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn step(&self, pool: &Pool, core: &Core) -> Option<Result<(), FlowError<E>>> {
        let _claim = Claim::get(&self.desk, core)?;
        let (shard, item, by) = match catch_unwind(AssertUnwindSafe(|| self.take())) {
            Ok(taken) => taken?,
            Err(payload) => {
                core.stop();
                return Some(Err(FlowError::Panicked(caught(payload, self.desk.name, String::new()))));
            }
        };
        let label = |item: &(usize, T)| self.label.of(item);
        let sent = ((shard, item), Way { by, shard: shard as u32 + 1 });
        let result = run(&self.desk, pool, core, sent, label, |(shard, item)| {
            (self.step)(shard, &mut lock(&self.states[shard]), item, &self.outputs)
        });
        self.put_back(shard);
        result
    }
}
