//! Parallel graph walks: every worker has its own stack, surplus is shared in batches.
//!
//! A worker takes a batch, visits depth first and pushes what it finds on its own stack. Only when somebody is
//! idle and nothing is shared does it give away the older half of its stack: that is nearest to the roots, so
//! probably the larger part of the graph. A worker whose stack runs dry takes another batch or leaves; it is
//! woken again when a batch appears. The walk is over when no batch is left and nobody is inside.
//!
//! The order of visits depends on timing; what is computed must not (claim a node by an atomic bit).
//!
//! A walk jumps about in memory, so most of its time is spent waiting for it. Between the stack and the visit stands a
//! short queue: what enters it is announced, so that the visit's memory can be asked for some visits ahead.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Blame, Job, Pool, caught};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock};
use crate::trace::{Kind, Label, Part};

/// A stack shorter than this is not worth sharing.
const SHARE_MIN: usize = 4;
/// How many items are announced before they are visited.
const AHEAD: usize = 8;
/// How many visits before its own an item is announced as [`Distance::Near`].
const NEAR: usize = 4;

/// How far a visit is, for who asks for its memory: what is read first is asked for from afar, so that it is there
/// when what it leads to is asked for from near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Some visits ahead.
    Far,
    /// Half as many. Not every item is announced twice.
    Near,
}

/// Where `visit` puts the items it finds.
pub struct Walk<T> {
    stack: Vec<T>,
    /// Announced and next to be visited, the oldest first.
    soon: VecDeque<T>,
}

impl<T> Walk<T> {
    /// Has `item` visited, by whoever comes to it.
    pub fn push(&mut self, item: T) {
        self.stack.push(item);
    }
}

impl<T> Extend<T> for Walk<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.stack.extend(items);
    }
}

/// A walk as a job.
struct Walking<'a, T, A, F> {
    stage: &'static str,
    announce: &'a A,
    visit: &'a F,
    batches: Mutex<Vec<Vec<T>>>,
    /// How many batches there are.
    shared: AtomicUsize,
    /// Set by a panic: nothing more is visited.
    stopped: AtomicBool,
    blame: Blame,
    /// For traces.
    job: u32,
}

impl<T: Send, A: Fn(&T, Distance) + Sync, F: Fn(T, &mut Walk<T>) + Sync> Walking<'_, T, A, F> {
    fn take(&self) -> Option<Vec<T>> {
        if self.shared.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut batches = lock(&self.batches);
        let batch = batches.pop();
        self.shared.store(batches.len(), Ordering::SeqCst);
        batch
    }

    fn give(&self, batch: Vec<T>) {
        let mut batches = lock(&self.batches);
        batches.push(batch);
        self.shared.store(batches.len(), Ordering::SeqCst);
    }

    /// The next item to visit; others are announced instead.
    fn next(&self, walk: &mut Walk<T>) -> Option<T> {
        while walk.soon.len() < AHEAD
            && let Some(item) = walk.stack.pop()
        {
            (self.announce)(&item, Distance::Far);
            walk.soon.push_back(item);
        }
        if let Some(item) = walk.soon.get(NEAR) {
            (self.announce)(item, Distance::Near);
        }
        walk.soon.pop_front()
    }

    /// Visits everything reachable from a batch that nobody else takes over. Returns how many items that was.
    fn visit_all(&self, pool: &Pool, walk: &mut Walk<T>) -> usize {
        let mut visited = 0;
        while let Some(item) = self.next(walk) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            (self.visit)(item, walk);
            visited += 1;
            if walk.stack.len() >= SHARE_MIN && pool.has_idle() && self.shared.load(Ordering::Relaxed) == 0 {
                let rest = walk.stack.split_off(walk.stack.len() / 2);
                self.give(std::mem::replace(&mut walk.stack, rest));
                pool.offer();
            }
        }
        visited
    }
}

impl<T: Send, A: Fn(&T, Distance) + Sync, F: Fn(T, &mut Walk<T>) + Sync> Job for Walking<'_, T, A, F> {
    fn has_work(&self) -> bool {
        self.shared.load(Ordering::SeqCst) > 0
    }

    fn work(&self, pool: &Pool) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut walk = Walk { stack: Vec::new(), soon: VecDeque::with_capacity(AHEAD) };
            while let Some(batch) = self.take() {
                walk.stack = batch;
                let mut span = pool.tracer().span_of(self.stage, Part::of(self.job), || (Label::None, 0));
                span.items(self.visit_all(pool, &mut walk));
            }
        }));
        if let Err(payload) = result {
            self.blame.put(caught(payload, self.stage, String::new()));
            // Whoever comes now takes the batches that are left, visits nothing, and drops them.
            self.stopped.store(true, Ordering::SeqCst);
        }
    }
}

impl Pool {
    /// Visits everything reachable from `roots`: `visit` gets an item and pushes those it leads to.
    ///
    /// Every pushed item is visited exactly once for each time it was pushed; telling whether a node has been
    /// reached before is the caller's part. The order is unspecified.
    ///
    /// # Panics
    /// If `visit` does; items not yet visited are dropped then.
    pub fn walk<T: Send>(&self, stage: &'static str, roots: Vec<T>, visit: impl Fn(T, &mut Walk<T>) + Sync) {
        self.walk_ahead(stage, roots, |_, _| {}, visit);
    }

    /// [`Pool::walk`] that calls `announce` for items some visits before their own: there is the place to
    /// [`prefetch`](crate::prefetch) what the visit will read.
    ///
    /// # Panics
    /// As [`Pool::walk`].
    pub fn walk_ahead<T: Send>(
        &self,
        stage: &'static str,
        roots: Vec<T>,
        announce: impl Fn(&T, Distance) + Sync,
        visit: impl Fn(T, &mut Walk<T>) + Sync,
    ) {
        if roots.is_empty() {
            return;
        }
        let size = if self.runs_inline() { roots.len() } else { roots.len().div_ceil(self.threads() * 4) };
        let mut batches = Vec::new();
        let mut roots = roots.into_iter();
        loop {
            let batch: Vec<T> = roots.by_ref().take(size).collect();
            if batch.is_empty() {
                break;
            }
            batches.push(batch);
        }
        // Batches are taken from the end; the first roots come first.
        batches.reverse();
        let shared = AtomicUsize::new(batches.len());
        let job = Walking {
            stage,
            announce: &announce,
            visit: &visit,
            batches: Mutex::new(batches),
            shared,
            stopped: AtomicBool::new(false),
            blame: Blame::default(),
            job: self.tracer().new_job(),
        };
        let _span = self.tracer().span_of(stage, Part::opening(Kind::Walk, job.job), || (Label::None, 0));
        self.complete(&job);
        job.blame.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use crate::{Tracer, run};

    /// Walks a random graph and returns how often each node was claimed.
    fn claims(threads: usize, nodes: usize) -> Vec<u32> {
        let edges: Vec<[usize; 3]> =
            (0..nodes).map(|node| [node * 7 + 1, node * 13 + 5, node + 1].map(|next| next % nodes)).collect();
        let claimed: Vec<AtomicU32> = (0..nodes).map(|_| AtomicU32::new(0)).collect();
        let seen: Vec<AtomicU32> = (0..nodes).map(|_| AtomicU32::new(0)).collect();
        run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), |pool| {
            seen[0].store(1, Ordering::Relaxed);
            pool.walk("mark", vec![0], |node: usize, walk| {
                claimed[node].fetch_add(1, Ordering::Relaxed);
                walk.extend(
                    edges[node].into_iter().filter(|&next| seen[next].swap(1, Ordering::Relaxed) == 0),
                );
            });
        })
        .unwrap();
        claimed.into_iter().map(AtomicU32::into_inner).collect()
    }

    #[test]
    fn every_reachable_node_is_visited_once() {
        for threads in [1, 2, 3, 8, 64] {
            for nodes in [1, 2, 1000, 20_000] {
                assert!(
                    claims(threads, nodes).into_iter().all(|count| count == 1),
                    "{threads} threads, {nodes} nodes"
                );
            }
        }
    }

    #[test]
    fn a_panic_ends_the_walk() {
        for threads in [1, 4] {
            let visited = AtomicUsize::new(0);
            let result = run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), |pool| {
                pool.walk("mark", vec![0u64], |node, walk| {
                    visited.fetch_add(1, Ordering::Relaxed);
                    assert!(node < 5000, "node {node} is too deep");
                    walk.extend([node + 1, node + 2]);
                });
            });
            let panicked = result.unwrap_err();
            assert_eq!(panicked.stage, "mark");
            assert!(panicked.message.contains("too deep"), "{panicked}");
        }
    }
}
