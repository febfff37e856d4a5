//! Channels of a flow: a bounded queue that a send never waits on.
//!
//! The queue is a bounded crossbeam channel; what does not fit goes to an overflow queue behind it, which
//! receivers move up as room appears. While there is overflow every send goes to its end, so each sender's
//! order is kept.
//!
//! [`Link`] is the part that does not depend on the type of the items: how full, how many senders.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crossbeam_channel as crossbeam;

use super::Core;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock};
use crate::trace::{ChannelStats, SpanId, Tracer};

/// The untyped part of a channel.
pub(super) struct Link {
    name: &'static str,
    capacity: usize,
    /// Items in the queue and the overflow that nobody has claimed. Raised after an item was put in; whoever lowers
    /// it may take one, which is there.
    queued: AtomicUsize,
    senders: AtomicUsize,
    received: AtomicBool,
    /// Set before the flow runs if it is traced.
    watched: OnceLock<Watch>,
    messages: AtomicUsize,
    occupancy_sum: AtomicUsize,
    occupancy_max: AtomicUsize,
    full: AtomicUsize,
    empty: AtomicUsize,
}

impl Link {
    pub(super) fn new(name: &'static str, capacity: usize) -> Link {
        Link {
            name,
            capacity,
            queued: AtomicUsize::new(0),
            senders: AtomicUsize::new(0),
            received: AtomicBool::new(false),
            watched: OnceLock::new(),
            messages: AtomicUsize::new(0),
            occupancy_sum: AtomicUsize::new(0),
            occupancy_max: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            empty: AtomicUsize::new(0),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn has_room(&self) -> bool {
        self.queued.load(Ordering::SeqCst) < self.capacity
    }

    pub(super) fn has_items(&self) -> bool {
        self.queued.load(Ordering::SeqCst) > 0
    }

    /// Whether nothing will ever come out of it again. The order of the two loads matters: a sender that goes
    /// after the first has put its items in before the second.
    pub(super) fn is_over(&self) -> bool {
        self.senders.load(Ordering::SeqCst) == 0 && !self.has_items()
    }

    /// Whether a stage receives from it.
    pub(super) fn is_received(&self) -> bool {
        self.received.load(Ordering::SeqCst)
    }

    /// One sender less.
    pub(super) fn release(&self) {
        self.senders.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts messages from now on, if anything is recorded.
    pub(super) fn watch(&self, tracer: &Tracer) {
        if tracer.is_on() {
            let watch = Watch { tracer: tracer.clone(), start: tracer.now(), points: Mutex::default() };
            let _ = self.watched.set(watch);
        }
    }

    pub(super) fn report(&self, flow: &'static str, tracer: &Tracer) {
        let Some(watch) = self.watched.get() else { return };
        let mut points = std::mem::take(&mut *lock(&watch.points));
        points.sort_by_key(|(time, _)| *time);
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        tracer.add_channel(ChannelStats {
            flow,
            name: self.name,
            capacity: self.capacity as u64,
            messages: load(&self.messages),
            occupancy_sum: load(&self.occupancy_sum),
            occupancy_max: load(&self.occupancy_max),
            full: load(&self.full),
            empty: load(&self.empty),
            start: watch.start,
            points,
        });
    }

    fn count_send(&self, queued: usize) {
        if let Some(watch) = self.watched.get() {
            self.messages.fetch_add(1, Ordering::Relaxed);
            self.occupancy_sum.fetch_add(queued, Ordering::Relaxed);
            self.occupancy_max.fetch_max(queued, Ordering::Relaxed);
            if queued > self.capacity {
                self.full.fetch_add(1, Ordering::Relaxed);
            }
            watch.note(queued);
        }
    }

    fn count_receive(&self, left: usize) {
        if let Some(watch) = self.watched.get() {
            if left == 0 && self.senders.load(Ordering::Relaxed) > 0 {
                self.empty.fetch_add(1, Ordering::Relaxed);
            }
            watch.note(left);
        }
    }

    /// The span of the calling thread, if the flow is traced.
    fn sending_span(&self) -> SpanId {
        self.watched.get().map_or(0, |watch| watch.tracer.current())
    }
}

/// How full a traced channel was, when.
struct Watch {
    tracer: Tracer,
    start: u64,
    points: Mutex<Vec<(u64, u32)>>,
}

impl Watch {
    fn note(&self, queued: usize) {
        let point = (self.tracer.now(), queued as u32);
        lock(&self.points).push(point);
    }
}

/// An item and, in a traced flow, the span that sent it.
struct Sent<T> {
    item: T,
    by: SpanId,
}

/// A channel for items of type `T`.
pub(super) struct Chan<T> {
    link: Arc<Link>,
    front: (crossbeam::Sender<Sent<T>>, crossbeam::Receiver<Sent<T>>),
    overflow: Mutex<VecDeque<Sent<T>>>,
    /// Length of `overflow`; lowered only after an item has arrived at the front.
    overflowing: AtomicUsize,
}

impl<T> Chan<T> {
    pub(super) fn new(link: Arc<Link>) -> Chan<T> {
        let front = crossbeam::bounded(link.capacity);
        Chan { link, front, overflow: Mutex::default(), overflowing: AtomicUsize::new(0) }
    }

    fn put(&self, item: T) {
        let by = self.link.sending_span();
        self.store(Sent { item, by });
        let queued = self.link.queued.fetch_add(1, Ordering::SeqCst) + 1;
        self.link.count_send(queued);
    }

    fn store(&self, item: Sent<T>) {
        let item = if self.overflowing.load(Ordering::SeqCst) == 0 {
            match self.front.0.try_send(item) {
                Ok(()) => return,
                Err(refused) => refused.into_inner(),
            }
        } else {
            item
        };
        let mut overflow = lock(&self.overflow);
        self.overflowing.fetch_add(1, Ordering::SeqCst);
        overflow.push_back(item);
        self.move_up(&mut overflow);
    }

    /// The oldest item, if there is one nobody has claimed.
    fn take(&self) -> Option<Sent<T>> {
        let claim = |queued: usize| queued.checked_sub(1);
        let queued = self.link.queued.fetch_update(Ordering::SeqCst, Ordering::SeqCst, claim).ok()?;
        self.link.count_receive(queued - 1);
        loop {
            if let Ok(item) = self.front.1.try_recv() {
                if self.overflowing.load(Ordering::SeqCst) > 0 {
                    self.move_up(&mut lock(&self.overflow));
                }
                return Some(item);
            }
            // There are as many items as claims, so the rest is in the overflow, or was moved up just now. If the
            // next look finds nothing, another claim has been served.
            self.move_up(&mut lock(&self.overflow));
        }
    }

    /// Moves overflow to the front as far as there is room.
    fn move_up(&self, overflow: &mut VecDeque<Sent<T>>) {
        while let Some(item) = overflow.pop_front() {
            if let Err(refused) = self.front.0.try_send(item) {
                overflow.push_front(refused.into_inner());
                return;
            }
            self.overflowing.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The end of a channel that items go into. Clones are further senders of the same channel.
pub struct Sender<T> {
    chan: Arc<Chan<T>>,
    core: Arc<Core>,
    /// Whether a stage has taken over closing it.
    absorbed: bool,
}

impl<T> Sender<T> {
    pub(super) fn new(chan: Arc<Chan<T>>, core: Arc<Core>) -> Sender<T> {
        chan.link.senders.fetch_add(1, Ordering::SeqCst);
        Sender { chan, core, absorbed: false }
    }

    /// Puts `item` into the channel. Never waits and never fails; once the flow has stopped, items are dropped
    /// with it.
    pub fn send(&self, item: T) {
        self.chan.put(item);
        self.core.nudge();
    }

    /// Whether the channel is below its capacity.
    pub fn has_room(&self) -> bool {
        self.chan.link.has_room()
    }

    /// Whether the flow has been stopped by an error: a stage with much left to send may stop early.
    pub fn is_stopped(&self) -> bool {
        self.core.is_stopped()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender::new(Arc::clone(&self.chan), Arc::clone(&self.core))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if !self.absorbed {
            self.chan.link.release();
        }
    }
}

/// The end of a channel that a stage takes items from.
pub struct Receiver<T> {
    chan: Arc<Chan<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(chan: Arc<Chan<T>>) -> Receiver<T> {
        Receiver { chan }
    }

    pub(super) fn absorb(&mut self) -> Arc<Link> {
        self.chan.link.received.store(true, Ordering::SeqCst);
        Arc::clone(&self.chan.link)
    }

    /// The oldest item and the span that sent it.
    pub(super) fn take(&self) -> Option<(T, SpanId)> {
        self.chan.take().map(|sent| (sent.item, sent.by))
    }
}

mod sealed {
    /// Keeps [`super::Outputs`] to the types of this module.
    pub trait Sealed {}
}

/// What a stage sends to: nothing, one [`Sender`], a list of them or a tuple.
pub trait Outputs: Send + Sync + sealed::Sealed {
    /// Hands the closing of all senders over to the stage.
    #[doc(hidden)]
    fn absorb(&mut self) -> Absorbed;
}

/// The channels of [`Outputs`].
#[doc(hidden)]
#[derive(Default)]
pub struct Absorbed(pub(super) Vec<Arc<Link>>);

impl<T> sealed::Sealed for Sender<T> {}
impl<T: Send> Outputs for Sender<T> {
    fn absorb(&mut self) -> Absorbed {
        self.absorbed = true;
        Absorbed(vec![Arc::clone(&self.chan.link)])
    }
}

impl<O> sealed::Sealed for Vec<O> {}
impl<O: Outputs> Outputs for Vec<O> {
    fn absorb(&mut self) -> Absorbed {
        Absorbed(self.iter_mut().flat_map(|output| output.absorb().0).collect())
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        impl<$($name),*> sealed::Sealed for ($($name,)*) {}
        impl<$($name: Outputs),*> Outputs for ($($name,)*) {
            #[allow(non_snake_case, reason = "variables named like their types")]
            fn absorb(&mut self) -> Absorbed {
                let ($($name,)*) = self;
                #[allow(unused_mut, reason = "the empty tuple adds nothing")]
                let mut links = Vec::new();
                $(links.extend($name.absorb().0);)*
                Absorbed(links)
            }
        }
    )*};
}

tuples! { () (A) (A B) (A B C) (A B C D) (A B C D F) }
