//! Flows: stages, the bounded channels between them, and how they run on the pool.
//!
//! A flow is declared once, in the order a reader should meet it, frozen by [`Flow::run`], and gone after it:
//!
//! ```
//! use std::num::NonZeroUsize;
//! use engine::{Tracer, flow::{Flow, Next}};
//!
//! let mut squares = Vec::new();
//! let mut flow = Flow::<String>::new("squares");
//! let (numbers, numbers_in) = flow.channel("numbers", 8);
//! let (results, results_in) = flow.channel("results", 8);
//! let mut left = 1..=3u64;
//! flow.source("count", numbers, |out| {
//!     let Some(number) = left.next() else { return Ok(Next::Done) };
//!     out.send(number);
//!     Ok(Next::Continue)
//! });
//! flow.parallel("square", numbers_in, results, |number, out| Ok(out.send(number * number)));
//! flow.serial("collect", results_in, (), |square, ()| Ok(squares.push(square)));
//! engine::run(NonZeroUsize::MIN, &Tracer::off(), |pool| flow.run(pool)).unwrap().unwrap();
//! squares.sort();
//! assert_eq!(squares, [1, 4, 9]);
//! ```
//!
//! What travels is an *item*; one run of a stage on one item is one span. A stage is *ready* if it has an item,
//! may run (a serial stage runs one at a time) and all its output channels have room. A worker takes an item of
//! the ready stage that is furthest downstream, runs it to its end, and looks again; so the flow drains before
//! it fills. It never waits inside: a `send` to a full channel puts the item in an overflow queue, and the stage
//! is not ready again until the overflow is gone. So a channel holds at most its capacity and what the items
//! then running emit. The alternative, running items of the next stage inside `send`, keeps to the capacity
//! exactly, but calls one stage from inside another: a lock held across a `send` would be a deadlock.
//!
//! A channel closes when its last sender is gone; a stage is done when its channel is closed and empty and none
//! of its items runs; then its own senders go. The first error or panic stops the flow: items that run end,
//! nothing starts, what is left in channels is dropped. Channels must not form a circle.
//!
//! Why it ends is argued in `engine/README.md`.
//!
//! Invariants
//! - Order: a channel keeps the order of each sender; a serial stage sees it. Between senders there is none.
//! - `busy` of a stage is raised before its channel is asked for an item and lowered after the item's run, so
//!   "closed, empty, not busy" is final.
//!
//! Cost: about 0.2 us an item over a plain loop; a message should stand for 10 us of work or more.

mod channel;
mod picture;
mod stage;

pub use channel::{Outputs, Receiver, Sender};
pub use stage::StageHandle;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::pool::{Job, Panicked, Pool};
use crate::sync::{AtomicBool, Mutex, Ordering, fence, lock, unlock};
use crate::trace::{FlowRecord, Kind, Label, Part};
use channel::{Chan, Link};
use stage::{Desk, Indexed, Node, Parallel, Serial, Sharded, Source};

/// What a source says after each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Call again when there is room.
    Continue,
    /// There is no more.
    Done,
}

/// How many items of a stage may run at once, see [`Flow::limited`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The items.
    pub items: usize,
    /// The workers up to which that holds; with more, any number of items may run. 0 is always.
    pub workers: usize,
    /// What an item takes where the limit does not hold, in percent of what it takes otherwise; for predictions.
    pub beyond: u32,
}

impl Limit {
    /// Any number, always.
    const NONE: Limit = Limit { items: usize::MAX, workers: 0, beyond: 100 };
}

/// Why a flow did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowError<E> {
    /// A stage returned this error, the first of the flow.
    Stopped(E),
    /// A stage panicked, or the flow was declared wrongly; a bug either way.
    Panicked(Panicked),
}

impl<E: fmt::Display> fmt::Display for FlowError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowError::Stopped(error) => error.fmt(f),
            FlowError::Panicked(panicked) => panicked.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for FlowError<E> {}

/// A graph of stages under construction. `E` is the error a stage may stop it with.
pub struct Flow<'env, E> {
    name: &'static str,
    core: Arc<Core>,
    links: Vec<Arc<Link>>,
    nodes: Vec<Box<dyn Node<E> + 'env>>,
}

/// What senders need to know of their flow.
#[derive(Default)]
struct Core {
    stopped: AtomicBool,
    frozen: OnceLock<Frozen>,
}

/// The flow once it runs.
struct Frozen {
    pool: Pool,
    /// Furthest downstream first.
    desks: Vec<Arc<Desk>>,
    /// For traces.
    job: u32,
}

impl Core {
    /// The flow as a job, in traces.
    fn job(&self) -> u32 {
        self.frozen.get().map_or(0, |frozen| frozen.job)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Whether a worker would find a ready stage.
    fn any_ready(&self) -> bool {
        !self.is_stopped()
            && self.frozen.get().is_some_and(|frozen| frozen.desks.iter().any(|desk| desk.is_ready()))
    }

    /// Wakes a worker if one is idle and there is work. To be called after anything that may make a stage ready,
    /// by a worker that goes on with something else.
    fn nudge(&self) {
        // Between what made the stage ready and the look for sleepers; the other half is in `Pool`'s `sleep`.
        fence(Ordering::SeqCst);
        if let Some(frozen) = self.frozen.get()
            && frozen.pool.could_wake()
            && self.any_ready()
        {
            frozen.pool.offer();
        }
    }

    /// Marks stages done that can have no more items, and closes their outputs.
    fn settle(&self) {
        let Some(frozen) = self.frozen.get() else { return };
        // Upstream first: what a stage closes may end the next.
        for desk in frozen.desks.iter().rev() {
            desk.settle();
        }
    }
}

impl<'env, E: Send + 'env> Flow<'env, E> {
    /// An empty flow. The name stands in pictures, traces and errors.
    pub fn new(name: &'static str) -> Flow<'env, E> {
        Flow { name, core: Arc::default(), links: Vec::new(), nodes: Vec::new() }
    }

    /// A channel that holds `capacity` items (at least one) before the stages that send to it pause.
    ///
    /// The sender may be cloned for several stages; items sent before the flow runs wait in it. Every channel
    /// needs a stage that receives.
    pub fn channel<T: Send + 'env>(
        &mut self,
        name: &'static str,
        capacity: usize,
    ) -> (Sender<T>, Receiver<T>) {
        let link = Arc::new(Link::new(name, capacity.max(1)));
        self.links.push(Arc::clone(&link));
        let chan = Arc::new(Chan::new(link));
        (Sender::new(Arc::clone(&chan), Arc::clone(&self.core)), Receiver::new(chan))
    }

    /// A stage without input: `step` is called, one call at a time, while the outputs have room.
    pub fn source<O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        mut outputs: O,
        step: impl FnMut(&O) -> Result<Next, E> + Send + 'env,
    ) {
        let desk = Desk::new(name, "source", 1, None, outputs.absorb());
        self.nodes.push(Box::new(Source { desk, outputs, step: Mutex::new(step) }));
    }

    /// A stage without input that calls `step(i)` for every `i` below `n`, on any number of workers at once,
    /// lower ones first, while the outputs have room.
    pub fn indexed<O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        n: usize,
        mut outputs: O,
        step: impl Fn(usize, &O) -> Result<(), E> + Send + Sync + 'env,
    ) -> StageHandle<'env, usize> {
        let desk = Desk::new(name, "indexed", usize::MAX, None, outputs.absorb());
        desk.hold(n);
        let handle = StageHandle::default();
        self.nodes.push(Box::new(Indexed::new(desk, outputs, step, handle.clone())));
        handle
    }

    /// A stage that runs any number of items at once.
    pub fn parallel<T: Send + 'env, O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        mut input: Receiver<T>,
        mut outputs: O,
        step: impl Fn(T, &O) -> Result<(), E> + Send + Sync + 'env,
    ) -> StageHandle<'env, T> {
        let desk = Desk::new(name, "parallel", usize::MAX, Some(input.absorb()), outputs.absorb());
        let handle = StageHandle::default();
        self.nodes.push(Box::new(Parallel { desk, input, outputs, step, label: handle.clone() }));
        handle
    }

    /// A stage that runs as many items at once as `limit` says for a pool of so many workers.
    pub fn limited<T: Send + 'env, O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        (limit, workers): (Limit, usize),
        mut input: Receiver<T>,
        mut outputs: O,
        step: impl Fn(T, &O) -> Result<(), E> + Send + Sync + 'env,
    ) -> StageHandle<'env, T> {
        let desk = Desk::limited(name, limit, workers, Some(input.absorb()), outputs.absorb());
        let handle = StageHandle::default();
        self.nodes.push(Box::new(Parallel { desk, input, outputs, step, label: handle.clone() }));
        handle
    }

    /// A stage that runs one item at a time, in the order of the channel.
    pub fn serial<T: Send + 'env, O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        mut input: Receiver<T>,
        mut outputs: O,
        step: impl FnMut(T, &O) -> Result<(), E> + Send + 'env,
    ) -> StageHandle<'env, T> {
        let desk = Desk::new(name, "serial", 1, Some(input.absorb()), outputs.absorb());
        let handle = StageHandle::default();
        self.nodes.push(Box::new(Serial {
            desk,
            input,
            outputs,
            step: Mutex::new(step),
            label: handle.clone(),
        }));
        handle
    }

    /// A stage with a state a shard: an item `(shard, value)` runs with exclusive use of the shard's state, in
    /// the order of the channel within a shard; different shards run at once.
    ///
    /// `states` may borrow, as in `states.iter_mut()`. An item for a shard there is none of is a panic.
    pub fn sharded<S: Send + 'env, T: Send + 'env, O: Outputs + 'env>(
        &mut self,
        name: &'static str,
        mut input: Receiver<(usize, T)>,
        mut outputs: O,
        states: impl IntoIterator<Item = S>,
        step: impl Fn(usize, &mut S, T, &O) -> Result<(), E> + Send + Sync + 'env,
    ) -> StageHandle<'env, (usize, T)> {
        let states: Vec<Mutex<S>> = states.into_iter().map(Mutex::new).collect();
        let desk = Desk::new(name, "sharded", states.len().max(1), Some(input.absorb()), outputs.absorb());
        let handle = StageHandle::default();
        self.nodes.push(Box::new(Sharded::new(desk, input, outputs, states, step, handle.clone())));
        handle
    }

    /// The graph as text, a line a stage in the order of declaration.
    pub fn picture(&self) -> String {
        picture::draw(self.name, &self.desks())
    }

    /// Runs the flow to its end, on the workers of `pool` that are free.
    ///
    /// # Errors
    /// The first error of a stage, or the first panic. Items still in channels are dropped then.
    pub fn run(self, pool: &Pool) -> Result<(), FlowError<E>> {
        let wrong =
            |message| Err(FlowError::Panicked(Panicked { stage: self.name, label: String::new(), message }));
        let order = match picture::order(&self.desks(), &self.links) {
            Ok(order) => order,
            Err(message) => return wrong(message),
        };
        for link in &self.links {
            link.watch(pool.tracer());
        }
        let desks: Vec<Arc<Desk>> = order.iter().map(|&at| Arc::clone(self.nodes[at].desk())).collect();
        let job = self.leave_graph(&desks, pool);
        let span = pool.tracer().span_of(self.name, Part::opening(Kind::Flow, job), || (Label::None, 0));
        let _ = self.core.frozen.set(Frozen { pool: pool.handle(), desks, job });
        self.core.settle();
        let nodes = order.iter().map(|&at| &*self.nodes[at]).collect();
        let running = Running { core: &self.core, nodes, failure: Mutex::new(None) };
        pool.complete(&running);
        drop(span);
        for link in &self.links {
            link.report(self.name, pool.tracer());
        }
        if let Some(failure) = unlock(running.failure) {
            return Err(failure);
        }
        match self.nodes.iter().find(|node| !node.desk().is_done()) {
            None => Ok(()),
            // A sender lives outside of the flow, so its channel never closed.
            Some(node) => {
                wrong(format!("stage {} waits for a sender that is no stage's", node.desk().name()))
            }
        }
    }

    /// Puts the graph in the trace; returns the number of the job there.
    fn leave_graph(&self, desks: &[Arc<Desk>], pool: &Pool) -> u32 {
        let job = pool.tracer().new_job();
        if pool.tracer().is_on() {
            let channels = self.links.iter().map(|link| (link.name(), link.capacity())).collect();
            let stages = desks.iter().map(|desk| desk.record(&self.links)).collect();
            pool.tracer().add_flow(FlowRecord { name: self.name, job, channels, stages });
        }
        job
    }

    fn desks(&self) -> Vec<Arc<Desk>> {
        self.nodes.iter().map(|node| Arc::clone(node.desk())).collect()
    }
}

/// A flow as a job.
struct Running<'a, 'env, E> {
    core: &'a Core,
    /// Furthest downstream first.
    nodes: Vec<&'a (dyn Node<E> + 'env)>,
    failure: Mutex<Option<FlowError<E>>>,
}

impl<E: Send> Job for Running<'_, '_, E> {
    fn has_work(&self) -> bool {
        self.core.any_ready()
    }

    fn work(&self, pool: &Pool) {
        while !self.core.is_stopped() {
            // The first ready stage that gives an item; another worker may have been faster.
            let Some(result) = self
                .nodes
                .iter()
                .find_map(|node| node.desk().is_ready().then(|| node.step(pool, self.core))?)
            else {
                if self.has_work() {
                    continue;
                }
                break;
            };
            if let Err(failure) = result {
                let mut first = lock(&self.failure);
                first.get_or_insert(failure);
                self.core.stop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::trace::Tracer;

    fn on<R: Send>(threads: usize, f: impl FnOnce(&Pool) -> R + Send) -> R {
        crate::run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), f).unwrap()
    }

    const THREADS: [usize; 4] = [1, 2, 5, 64];

    /// A source of the numbers below `n`.
    fn numbers<'env>(flow: &mut Flow<'env, String>, n: usize, capacity: usize) -> Receiver<usize> {
        let (tx, rx) = flow.channel("numbers", capacity);
        let mut next = 0;
        flow.source("count", tx, move |out| {
            out.send(next);
            next += 1;
            Ok(if next == n { Next::Done } else { Next::Continue })
        });
        rx
    }

    #[test]
    fn a_serial_stage_sees_the_order_of_its_channel() {
        for threads in THREADS {
            let mut seen = Vec::new();
            let mut flow = Flow::new("order");
            let rx = numbers(&mut flow, 500, 1);
            flow.serial("collect", rx, (), |number, ()| {
                seen.push(number);
                Ok(())
            });
            on(threads, |pool| flow.run(pool)).unwrap();
            assert!(seen.into_iter().eq(0..500));
        }
    }

    #[test]
    fn a_limit_holds_for_as_many_workers_as_it_says() {
        let limit = Limit { items: 1, workers: 4, beyond: 200 };
        for (workers, is_limited) in [(2, true), (4, true), (5, false)] {
            let (running, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
            let mut flow = Flow::<()>::new("limited");
            let (numbers, numbers_in) = flow.channel("numbers", 8);
            flow.indexed("count", 200, numbers, |n, out| {
                out.send(n);
                Ok(())
            });
            flow.limited("take", (limit, workers), numbers_in, (), |_, ()| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            on(workers, |pool| flow.run(pool)).unwrap();
            assert_eq!(done.into_inner(), 200);
            assert!(!is_limited || most.into_inner() == 1, "{workers} workers");
        }
    }

    #[test]
    fn shards_keep_their_order_and_own_their_state() {
        for threads in THREADS {
            let mut states = vec![Vec::new(); 7];
            let mut flow = Flow::new("shards");
            let rx = numbers(&mut flow, 1000, 3);
            let (tx, sharded) = flow.channel("sharded", 2);
            flow.serial("route", rx, tx, |number, out| {
                out.send((number % 7, number));
                Ok(())
            });
            flow.sharded("keep", sharded, (), states.iter_mut(), |shard, state, number, ()| {
                assert_eq!(shard, number % 7);
                state.push(number);
                Ok(())
            });
            on(threads, |pool| flow.run(pool)).unwrap();
            for (shard, state) in states.into_iter().enumerate() {
                assert!(state.into_iter().eq((shard..1000).step_by(7)));
            }
        }
    }

    #[test]
    fn every_index_runs_once_and_fans_out() {
        for threads in THREADS {
            let (evens, odds) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut flow = Flow::<String>::new("fan");
            let (even, even_in) = flow.channel("even", 1);
            let (odd, odd_in) = flow.channel("odd", 9);
            flow.indexed("split", 1000, (even, odd), |index, (even, odd)| {
                if index % 2 == 0 {
                    even.send(index)
                } else {
                    odd.send(index)
                }
                Ok(())
            });
            let add = |sum: &AtomicUsize, number| {
                sum.fetch_add(number, Ordering::Relaxed);
                Ok(())
            };
            flow.parallel("evens", even_in, (), |number, ()| add(&evens, number));
            flow.parallel("odds", odd_in, (), |number, ()| add(&odds, number));
            on(threads, |pool| flow.run(pool)).unwrap();
            assert_eq!((evens.into_inner(), odds.into_inner()), (249_500, 250_000));
        }
    }

    #[test]
    fn a_flood_from_one_item_passes_a_channel_of_one() {
        for threads in THREADS {
            let mut seen = Vec::new();
            let mut flow = Flow::<String>::new("flood");
            let (tx, rx) = flow.channel("drops", 1);
            flow.indexed("pour", 1, tx, |_, out| {
                (0..10_000).for_each(|drop| out.send(drop));
                Ok(())
            });
            flow.serial("catch", rx, (), |drop, ()| {
                seen.push(drop);
                Ok(())
            });
            on(threads, |pool| flow.run(pool)).unwrap();
            assert!(seen.into_iter().eq(0..10_000));
        }
    }

    #[test]
    fn a_channel_may_be_filled_before_the_flow_runs() {
        let mut sum = 0;
        let mut flow = Flow::<String>::new("filled");
        let (tx, rx) = flow.channel("given", 2);
        (1..=10).for_each(|number| tx.send(number));
        drop(tx);
        flow.serial("add", rx, (), |number, ()| {
            sum += number;
            Ok(())
        });
        on(2, |pool| flow.run(pool)).unwrap();
        assert_eq!(sum, 55);
    }

    #[test]
    fn the_first_error_stops_the_flow() {
        for threads in THREADS {
            let mut flow = Flow::new("stop");
            let rx = numbers(&mut flow, usize::MAX, 4);
            flow.serial(
                "check",
                rx,
                (),
                |number, ()| {
                    if number == 100 { Err(format!("no {number}")) } else { Ok(()) }
                },
            );
            assert_eq!(on(threads, |pool| flow.run(pool)), Err(FlowError::Stopped("no 100".to_string())));
        }
    }

    #[test]
    fn a_panic_names_stage_and_item() {
        for threads in THREADS {
            let mut flow = Flow::new("panic");
            let rx = numbers(&mut flow, usize::MAX, 4);
            let check = flow.parallel("check", rx, (), |number, ()| {
                assert!(number != 50, "fifty");
                Ok(())
            });
            check.labelled(|&number| Label::from(format!("number {number}")));
            let Err(FlowError::Panicked(panicked)) = on(threads, |pool| flow.run(pool)) else {
                panic!("the flow went through")
            };
            assert_eq!(panicked.to_string(), "stage check panicked on number 50: fifty");
        }
    }

    #[test]
    fn a_stage_may_use_the_pool() {
        for threads in THREADS {
            let mut total = 0;
            let result = crate::run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), |pool| {
                let mut flow = Flow::new("nested");
                let rx = numbers(&mut flow, 30, 2);
                let (tx, sums) = flow.channel("sums", 1);
                flow.parallel("sum", rx, tx, |number, out: &Sender<usize>| {
                    pool.for_each("add", number, 1, |i| out.send(i));
                    Ok(())
                });
                flow.serial("total", sums, (), |sum, ()| {
                    total += sum;
                    Ok(())
                });
                flow.run(pool)
            });
            result.unwrap().unwrap();
            assert_eq!(total, (0..30).map(|n| n * (n - 1).max(0) / 2).sum::<isize>() as usize);
        }
    }

    #[test]
    fn mistakes_in_the_graph_are_named() {
        let message = |flow: Flow<'_, String>| match on(1, |pool| flow.run(pool)) {
            Err(FlowError::Panicked(panicked)) => panicked.message,
            other => panic!("{other:?}"),
        };
        let mut unread = Flow::new("unread");
        drop(numbers(&mut unread, 1, 1));
        assert_eq!(message(unread), "no stage receives from channel numbers");

        let mut circle = Flow::new("circle");
        let (tx, rx) = circle.channel::<u32>("round", 1);
        circle.parallel("turn", rx, tx, |_, _| Ok(()));
        assert_eq!(message(circle), "stage turn feeds itself");

        let mut kept = Flow::new("kept");
        let (tx, rx) = kept.channel::<u32>("open", 1);
        kept.parallel("wait", rx, (), |_, ()| Ok(()));
        assert_eq!(message(kept), "stage wait waits for a sender that is no stage's");
        drop(tx);
    }

    #[test]
    fn the_picture_shows_stages_and_channels() {
        let mut flow = Flow::<String>::new("ingest");
        let (files, files_in) = flow.channel::<u32>("files", 64);
        let (objects, objects_in) = flow.channel::<u32>("objects", 16);
        let (names, names_in) = flow.channel::<(usize, u32)>("names", 256);
        flow.source("open", files, |_| Ok(Next::Done));
        flow.parallel("parse", files_in, (objects, names), |_, _| Ok(()));
        flow.serial("collect", objects_in, (), |_, ()| Ok(()));
        flow.sharded("intern", names_in, (), 0..16, |_, _, _, ()| Ok(()));
        assert_eq!(
            flow.picture(),
            "\
ingest
  open     source         ==files:64==> parse
  parse    parallel       ==objects:16==> collect, ==names:256==> intern
  collect  serial
  intern   sharded by 16
"
        );
    }

    #[test]
    fn a_trace_has_a_span_an_item_and_the_channel() {
        let tracer = Tracer::on();
        let mut flow = Flow::new("traced");
        let rx = numbers(&mut flow, 20, 4);
        flow.parallel("look", rx, (), |_, ()| Ok(())).labelled(|&number| number.into());
        crate::run(NonZeroUsize::new(3).unwrap(), &tracer, |pool| flow.run(pool)).unwrap().unwrap();
        let trace = tracer.collect();
        let mut labels: Vec<Label> =
            trace.spans().filter(|span| span.stage == "look").map(|span| span.label.clone()).collect();
        labels.sort_by_key(|label| if let Label::Index(index) = label { *index } else { u64::MAX });
        assert!(labels.into_iter().eq((0..20).map(Label::Index)));
        assert_eq!((trace.channels[0].name, trace.channels[0].messages), ("numbers", 20));
        assert!(trace.channels[0].occupancy_max <= 5, "{:?}", trace.channels);
    }
}
