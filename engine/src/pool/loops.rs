//! Data-parallel loops: items of a range, claimed a grain at a time through one atomic index.
//!
//! A claim costs about 10 ns when contended, a span (tracing on) about 60 ns: a grain should be a microsecond
//! of work or more. Order of claims is the order of indexes, so early items start first.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Blame, Job, Pool, caught};
use crate::sync::{AtomicUsize, Ordering};
use crate::trace::{Kind, Label, Part};

/// A loop as a job.
struct Loop<'a, I, F> {
    stage: &'static str,
    next: AtomicUsize,
    end: usize,
    grain: usize,
    init: &'a I,
    body: &'a F,
    blame: Blame,
    /// For traces.
    job: u32,
}

impl<S, I: Fn() -> S + Sync, F: Fn(&mut S, usize) + Sync> Job for Loop<'_, I, F> {
    fn has_work(&self) -> bool {
        self.next.load(Ordering::SeqCst) < self.end
    }

    fn work(&self, pool: &Pool) {
        // `usize::MAX`: not inside an item.
        let current = Cell::new(usize::MAX);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut state = None;
            loop {
                let start = self.next.fetch_add(self.grain, Ordering::SeqCst);
                if start >= self.end {
                    break;
                }
                let stop = self.end.min(start.saturating_add(self.grain));
                let part = Part::of(self.job);
                let _span = pool.tracer().span_of(self.stage, part, || (start.into(), stop - start));
                let state = state.get_or_insert_with(self.init);
                for index in start..stop {
                    current.set(index);
                    (self.body)(state, index);
                }
                // Otherwise that was done at the start.
                if pool.is_patient() && self.has_work() {
                    pool.offer();
                }
            }
            current.set(usize::MAX);
        }));
        if let Err(payload) = result {
            self.next.store(self.end, Ordering::SeqCst);
            let label = match current.get() {
                usize::MAX => String::new(),
                index => format!("item {index}"),
            };
            self.blame.put(caught(payload, self.stage, label));
        }
    }
}

/// A pointer to slots that workers fill or change, each its own.
struct Slots<T>(*mut T);

// SAFETY: used only to hand each slot to the one worker that claimed its index, so sending `T` is all that happens.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// # Safety
    /// `index` is in bounds, and no other reference to that slot exists.
    #[expect(clippy::mut_from_ref, reason = "each slot is claimed by one worker")]
    unsafe fn slot(&self, index: usize) -> &mut T {
        // SAFETY: in bounds and unaliased by the caller's promise.
        unsafe { &mut *self.0.add(index) }
    }
}

impl Pool {
    /// Calls `body(i)` for every `i` below `n`, `grain` at a time; every claimed run is a span `stage`.
    ///
    /// # Panics
    /// If `body` does; items not yet claimed are left out then.
    pub fn for_each(&self, stage: &'static str, n: usize, grain: usize, body: impl Fn(usize) + Sync) {
        self.for_each_with(stage, n, grain, || (), |(), index| body(index));
    }

    /// [`Pool::for_each`] with scratch: `init` makes a state for every worker that takes part.
    ///
    /// # Panics
    /// If `init` or `body` does.
    pub fn for_each_with<S>(
        &self,
        stage: &'static str,
        n: usize,
        grain: usize,
        init: impl Fn() -> S + Sync,
        body: impl Fn(&mut S, usize) + Sync,
    ) {
        if n == 0 {
            return;
        }
        let grain = grain.clamp(1, n);
        let job = Loop {
            stage,
            next: AtomicUsize::new(0),
            end: n,
            grain,
            init: &init,
            body: &body,
            blame: Blame::default(),
            job: self.tracer().new_job(),
        };
        let _span = self.tracer().span_of(stage, Part::opening(Kind::Loop, job.job), || (Label::None, 0));
        if grain == n {
            job.work(self);
        } else {
            self.complete(&job);
        }
        job.blame.settle();
    }

    /// [`Pool::for_each`] over the elements of a slice.
    ///
    /// # Panics
    /// If `body` does.
    pub fn for_each_mut<T: Send>(
        &self,
        stage: &'static str,
        items: &mut [T],
        grain: usize,
        body: impl Fn(usize, &mut T) + Sync,
    ) {
        let slots = Slots(items.as_mut_ptr());
        self.for_each(stage, items.len(), grain, |index| {
            // SAFETY: the loop passes every index below `items.len()` once, and `items` is borrowed meanwhile.
            body(index, unsafe { slots.slot(index) });
        });
    }

    /// [`Pool::for_each`] over consecutive slices of `size` elements, the last one shorter; each is one claim.
    /// `body` gets the index of the slice.
    ///
    /// # Panics
    /// If `body` does, or `size` is 0.
    pub fn for_each_chunk<T: Send>(
        &self,
        stage: &'static str,
        items: &mut [T],
        size: usize,
        body: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let mut chunks: Vec<&mut [T]> = items.chunks_mut(size).collect();
        self.for_each_mut(stage, &mut chunks, 1, |index, chunk| body(index, chunk));
    }

    /// The results of `body(i)` for every `i` below `n`, in order.
    ///
    /// # Panics
    /// If `body` does; results made until then are leaked.
    pub fn map<T: Send>(
        &self,
        stage: &'static str,
        n: usize,
        grain: usize,
        body: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        self.map_with(stage, n, grain, || (), |(), index| body(index))
    }

    /// [`Pool::map`] with scratch: `init` makes a state for every worker that takes part.
    ///
    /// # Panics
    /// If `init` or `body` does; results made until then are leaked.
    pub fn map_with<S, T: Send>(
        &self,
        stage: &'static str,
        n: usize,
        grain: usize,
        init: impl Fn() -> S + Sync,
        body: impl Fn(&mut S, usize) -> T + Sync,
    ) -> Vec<T> {
        let mut results: Vec<T> = Vec::with_capacity(n);
        let slots: Slots<MaybeUninit<T>> = Slots(results.spare_capacity_mut().as_mut_ptr());
        self.for_each_with(stage, n, grain, init, |state, index| {
            let value = body(state, index);
            // SAFETY: the capacity is at least `n`, and the loop passes every index below `n` once.
            unsafe { slots.slot(index) }.write(value);
        });
        // SAFETY: the loop returned, so it wrote all `n` slots.
        unsafe { results.set_len(n) };
        results
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use crate::{Tracer, run};

    #[test]
    fn every_index_comes_once() {
        for threads in [1, 2, 8, 64] {
            for (n, grain) in [(0, 1), (1, 1), (10, 3), (1000, 1), (1000, 999), (1000, usize::MAX), (5, 0)] {
                let counts: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(0)).collect();
                run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), |pool| {
                    pool.for_each("count", n, grain, |i| {
                        counts[i].fetch_add(1, Ordering::Relaxed);
                    });
                })
                .unwrap();
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn patient_loops_do_all_of_it_and_are_helped_in_the_end() {
        let workers = std::sync::Mutex::new(std::collections::HashSet::new());
        let sum = AtomicUsize::new(0);
        run(NonZeroUsize::new(3).unwrap(), &Tracer::off(), |pool| {
            pool.be_patient(std::time::Duration::from_millis(1));
            for n in [0, 1, 2, 17] {
                pool.for_each("short", n, 1, |i| {
                    sum.fetch_add(i, Ordering::Relaxed);
                });
            }
            // Until somebody else has come, which must not take for ever.
            let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
            pool.for_each("long", 1_000_000, 1, |_| {
                if workers.lock().unwrap().len() < 2 && std::time::Instant::now() < end {
                    workers.lock().unwrap().insert(pool.worker());
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
            });
        })
        .unwrap();
        assert_eq!(sum.into_inner(), 1 + 16 * 17 / 2);
        assert!(workers.into_inner().unwrap().len() >= 2, "nobody came to help");
    }

    #[test]
    fn results_stand_in_order() {
        let strings = run(NonZeroUsize::new(4).unwrap(), &Tracer::off(), |pool| {
            let mut strings = pool.map("print", 500, 3, |i| i.to_string());
            pool.for_each_mut("stretch", &mut strings, 7, |i, string| string.push_str(&"!".repeat(i % 3)));
            pool.for_each_chunk("mark", &mut strings, 100, |chunk, strings| {
                strings[0].push_str(&format!("#{chunk}"))
            });
            strings
        });
        let strings = strings.unwrap();
        assert_eq!((strings[0].as_str(), strings[400].as_str()), ("0#0", "400!#4"));
        assert_eq!(strings[499], "499!");
    }

    #[test]
    fn scratch_is_made_once_a_worker() {
        let made = AtomicUsize::new(0);
        run(NonZeroUsize::new(4).unwrap(), &Tracer::off(), |pool| {
            let init = || made.fetch_add(1, Ordering::Relaxed);
            pool.for_each_with("scratch", 10_000, 1, init, |_, _| ());
        })
        .unwrap();
        assert!((1..=4).contains(&made.into_inner()));
    }

    #[test]
    fn a_panic_names_its_item() {
        let panicked = run(NonZeroUsize::new(3).unwrap(), &Tracer::off(), |pool| {
            pool.map("divide", 100, 4, |i| if i == 77 { panic!("no {i}") } else { i }).len()
        });
        let panicked = panicked.unwrap_err();
        assert_eq!(panicked.to_string(), "stage divide panicked on item 77: no 77");
    }
}
