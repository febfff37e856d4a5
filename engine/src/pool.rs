//! One fixed set of workers for everything a run does in parallel.
//!
//! In: a number of threads and a closure. Out: the closure's result, or the first panic as a value.
//! Not here: stages and channels (`flow`), which are one more kind of job on this pool.
//!
//! There is one primitive, the *job*: something with `has_work` and `work`. Whoever starts a job (its
//! *owner*) lists it, works on it, and returns when it has no work left and no helper is inside. Workers
//! without a job of their own join the newest listed job that has work, and leave it when `work` returns.
//! Loops, walks, lanes and flows are all jobs, so they nest: an item of one job may start another.
//!
//! An owner that waits for helpers joins jobs that were started inside its own job, and only those: they are
//! what it waits for. So waiting follows the tree of jobs downwards, never in a circle, and the depth of a
//! worker's stack is bounded by the depth of that tree.
//!
//! A run of little work may be told to be patient: then a job looks for help only when it has taken a while.
//!
//! Nobody spins. A worker that finds nothing sleeps on its own condition variable and is listed as a sleeper;
//! whoever makes work wakes one sleeper that may take it, unless two are on their way already, and each that
//! joins a job wakes two more while work remains. Threads are started by the same call when nobody sleeps, so a
//! run that never has work for two starts none, and with one thread every job is a plain call.
//!
//! Invariants
//! - A job is listed exactly while its owner is inside `Pool::enter`; helpers enter and leave under the
//!   lock of the list. So no helper can be inside a job whose frame is gone.
//! - Work appears only from inside a job's own `work`. So "no work and no helper", seen under the lock by the
//!   owner, is final.
//! - The counts of who could be woken change before the last look for work, and are read after work was
//!   published (both with a sequentially consistent fence between): one of the two sees the other.
//!
//! Cost: an atomic step a claim, two uncontended locks a job, about 5 us to wake a sleeper, 10 us to start one.

mod board;
mod loops;
mod panics;
mod walk;

pub use panics::Panicked;
pub(crate) use panics::{Blame, caught};
pub use walk::{Distance, Walk};

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard, Ordering, fence, lock, thread, thread_local, unlock};
use crate::trace::{HELP, Kind, LANE, Label, MAIN, Part, Span, Tracer, WAIT};
use board::{Board, Shared, Woken};

/// Stack of a started worker, in bytes: what a main thread usually has.
const STACK_SIZE: usize = 8 << 20;

/// Something several workers can work on at once.
pub(crate) trait Job: Sync {
    /// Whether a call of `work` would find something to do now. May be asked from any thread at any time.
    fn has_work(&self) -> bool;
    /// Works until there is nothing left to take. Must not unwind.
    fn work(&self, pool: &Pool);
}

/// Identifies a listed job; never used twice in one pool. 0 is no job.
type JobId = u64;

/// Runs `f` with a pool of `threads` workers, of which the calling thread is worker 0.
///
/// All work started on the pool has ended when this returns, and its threads are gone.
///
/// # Errors
/// A panic, in `f` or in any item of any job, comes back as [`Panicked`]; the first one if there were several.
pub fn run<R: Send>(
    threads: NonZeroUsize,
    tracer: &Tracer,
    f: impl FnOnce(&Pool) -> R + Send,
) -> Result<R, Panicked> {
    let pool = Pool { shared: Arc::new(Shared::new(threads.get(), tracer.clone())) };
    let seat = Seat::take(&pool.shared, 0);
    tracer.name_lane(0);
    let main = tracer.span_of(MAIN, Part::opening(Kind::Main, 0), || (Label::None, 0));
    let result = catch_unwind(AssertUnwindSafe(|| f(&pool)));
    pool.shared.shut_down();
    drop(main);
    drop(seat);
    result.map_err(|payload| caught(payload, "main", String::new()))
}

/// The workers of one run. See the [module page](self).
///
/// All calls are meant for threads that are workers of this pool, that is, code called from [`run`]. From any
/// other thread they are correct, but run everything on that thread.
pub struct Pool {
    shared: Arc<Shared>,
}

thread_local! {
    /// Which pool the thread works for (address of its `Shared`), as which worker, inside which job.
    static SEAT: Cell<(usize, usize, JobId)> = const { Cell::new((0, 0, 0)) };
}

/// Makes the current thread a worker of a pool; gives the former seat back on drop.
struct Seat((usize, usize, JobId));

impl Seat {
    fn take(shared: &Arc<Shared>, worker: usize) -> Seat {
        Seat(SEAT.with(|seat| seat.replace((Arc::as_ptr(shared) as usize, worker, 0))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEAT.with(|seat| seat.set(self.0));
    }
}

impl Pool {
    /// How many workers there are, the calling thread included.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Where spans of this run go.
    pub fn tracer(&self) -> &Tracer {
        &self.shared.tracer
    }

    /// Which worker the calling thread is: below [`Pool::threads`], 0 for the thread that called [`run`] and for
    /// threads that are none.
    pub fn worker(&self) -> usize {
        self.seat().map_or(0, |(worker, _)| worker)
    }

    /// From now on a job goes on for so long before other workers are woken for it: for runs whose jobs are mostly over
    /// before anybody could help. Zero, as at the start, is not to wait. Workers that are awake help as ever.
    pub fn be_patient(&self, patience: Duration) {
        self.shared.be_patient(patience);
    }

    /// Runs `a` and `b`, at the same time if a worker is free; `a` on the calling thread.
    ///
    /// Loops inside either are helped by idle workers as everywhere.
    ///
    /// # Panics
    /// If `a` or `b` does, after both have ended.
    pub fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let job = self.tracer().new_job();
        let _span = self.tracer().span_of(LANE, Part::opening(Kind::Join, job), || (Label::None, 0));
        let a = || {
            let _span = self.lane_span(job);
            a()
        };
        let lane = Lane { task: Mutex::new(Some(b)), result: Mutex::new(None), job };
        if self.runs_inline() {
            let first = a();
            let _span = self.lane_span(job);
            return (first, b_now(lane));
        }
        let first = self.enter(&lane, || catch_unwind(AssertUnwindSafe(a)));
        let second = unlock(lane.result);
        match (first, second) {
            (Ok(first), Some(Ok(second))) => (first, second),
            (Err(payload), _) | (_, Some(Err(payload))) => resume_unwind(payload),
            (Ok(_), None) => unreachable!("a lane was left out"),
        }
    }

    /// Runs `f` here, as a span.
    pub fn serial<R>(&self, stage: &'static str, f: impl FnOnce() -> R) -> R {
        let _span = self.tracer().span(stage);
        f()
    }

    /// The span of one of a pair of lanes.
    fn lane_span(&self, job: u32) -> Span<'_> {
        let part = Part { kind: Kind::Lane, ..Part::of(job) };
        self.tracer().span_of(LANE, part, || (Label::None, 0))
    }

    /// A span in which the calling worker waits.
    fn wait_span(&self) -> Span<'_> {
        self.tracer().span_of(WAIT, Part { kind: Kind::Wait, ..Part::default() }, || (Label::None, 0))
    }

    /// The worker and the job the calling thread is in, if it is a worker of this pool.
    fn seat(&self) -> Option<(usize, JobId)> {
        let (pool, worker, job) = SEAT.with(Cell::get);
        (pool == Arc::as_ptr(&self.shared) as usize).then_some((worker, job))
    }

    /// Whether jobs would be plain calls: one worker, or a stranger's thread.
    pub(crate) fn runs_inline(&self) -> bool {
        self.shared.threads == 1 || self.seat().is_none()
    }

    /// Another handle on the same workers.
    pub(crate) fn handle(&self) -> Pool {
        Pool { shared: Arc::clone(&self.shared) }
    }

    /// Whether somebody could take work offered now. A hint.
    pub(crate) fn has_idle(&self) -> bool {
        self.shared.has_idle()
    }

    /// Whether jobs are to go on for a while before anybody is woken.
    pub(crate) fn is_patient(&self) -> bool {
        self.shared.is_patient()
    }

    /// Whether [`Pool::offer`] might wake somebody. To be asked behind a fence after the work was published.
    pub(crate) fn could_wake(&self) -> bool {
        self.shared.could_wake()
    }

    /// Runs `job` to its end, with whoever is free.
    pub(crate) fn complete(&self, job: &dyn Job) {
        if self.runs_inline() {
            while job.has_work() {
                job.work(self);
            }
        } else {
            self.enter(job, || ());
        }
    }

    /// Lists `job`, runs `first` meanwhile, then works on `job` until it has no work and no helper is inside.
    ///
    /// `first` must not unwind.
    fn enter<R>(&self, job: &dyn Job, first: impl FnOnce() -> R) -> R {
        let (worker, parent) = self.seat().expect("only workers own jobs");
        let id = self.shared.lock().list(parent, job);
        SEAT.with(|seat| seat.set((Arc::as_ptr(&self.shared) as usize, worker, id)));
        // From here to the end of `finish` nothing unwinds; were it otherwise, helpers would see a dead frame.
        let guard = AbortOnUnwind;
        self.shared.calm();
        if job.has_work() {
            self.wake(id);
        }
        let result = first();
        self.finish(job, worker, id);
        std::mem::forget(guard);
        SEAT.with(|seat| seat.set((Arc::as_ptr(&self.shared) as usize, worker, parent)));
        result
    }

    /// Works and waits until `job` is over, then takes it off the list.
    fn finish(&self, job: &dyn Job, worker: usize, id: JobId) {
        loop {
            job.work(self);
            let mut board = self.shared.lock();
            loop {
                if job.has_work() {
                    break;
                }
                let position = board.position(id).expect("listed until now");
                if board.jobs[position].helpers == 0 {
                    board.jobs.remove(position);
                    return;
                }
                board = match board.find_work(id) {
                    Some(position) => {
                        self.help(board, position, false);
                        self.shared.lock()
                    }
                    None => {
                        let _span = self.wait_span();
                        self.shared.sleep(board, worker, id).0
                    }
                };
            }
        }
    }

    /// Joins the job at `position` as a helper until its `work` returns. `searching`: we are counted as such.
    fn help(&self, mut board: MutexGuard<'_, Board>, position: usize, searching: bool) {
        let part = Part { kind: Kind::Help, ..Part::default() };
        let _span = self.tracer().span_of(HELP, part, || (Label::None, 0));
        let listed = &mut board.jobs[position];
        listed.helpers += 1;
        let (id, job) = (listed.id, listed.job);
        if searching {
            // From here on makers of work do not count on us; what they made until now we see here.
            self.shared.end_search();
            fence(Ordering::SeqCst);
        }
        let more = board.find_work(0).map(|position| board.jobs[position].id);
        drop(board);
        // SAFETY: we are counted as its helper until `helpers` is lowered below.
        let job = unsafe { job.get() };
        let (pool, worker, outer) = SEAT.with(Cell::get);
        SEAT.with(|seat| seat.set((pool, worker, id)));
        let guard = AbortOnUnwind;
        if let Some(more) = more {
            self.wake(more);
            self.wake(more);
        }
        job.work(self);
        std::mem::forget(guard);
        SEAT.with(|seat| seat.set((pool, worker, outer)));
        let mut board = self.shared.lock();
        let position = board.position(id).expect("listed while helped");
        board.jobs[position].helpers -= 1;
        if board.jobs[position].helpers == 0 {
            self.shared.ring_owner(&mut board, id);
        }
    }

    /// Work has appeared in the calling worker's current job: wakes somebody who may take it, or starts a thread.
    pub(crate) fn offer(&self) {
        if let Some((_, id)) = self.seat()
            && id != 0
        {
            self.wake(id);
        }
    }

    /// Wakes a worker that may work on job `id`, or starts one, unless enough are on their way.
    fn wake(&self, id: JobId) {
        let Woken::Start(worker) = self.shared.wake(id) else { return };
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name(format!("worker {worker}"))
            .stack_size(STACK_SIZE)
            .spawn(move || serve(Pool { shared }, worker));
        match started {
            Ok(handle) => self.shared.keep(handle),
            // The system gives no more threads: those there are do the work.
            Err(_) => self.shared.end_search(),
        }
    }
}

/// The life of a started worker: helps whatever has work, sleeps otherwise, ends with the run.
fn serve(pool: Pool, worker: usize) {
    let _seat = Seat::take(&pool.shared, worker);
    pool.tracer().name_lane(worker);
    let mut searching = true;
    let mut board = pool.shared.lock();
    while !board.closed {
        if let Some(position) = board.find_work(0) {
            pool.help(board, position, searching);
            searching = false;
            board = pool.shared.lock();
        } else {
            if searching {
                // Before the last look, which `sleep` takes.
                pool.shared.end_search();
            }
            let _span = pool.wait_span();
            (board, searching) = pool.shared.sleep(board, worker, 0);
        }
    }
    pool.tracer().end_lane();
}

/// Ends the process if dropped: armed where unwinding would leave helpers with a dangling job.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("internal error: a job of the engine unwound");
        std::process::abort();
    }
}

/// The second half of a [`Pool::join`]: one task, taken once.
struct Lane<F, R> {
    task: Mutex<Option<F>>,
    result: Mutex<Option<thread::Result<R>>>,
    /// For traces.
    job: u32,
}

impl<F: FnOnce() -> R + Send, R: Send> Job for Lane<F, R> {
    fn has_work(&self) -> bool {
        lock(&self.task).is_some()
    }

    fn work(&self, pool: &Pool) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            let _span = pool.lane_span(self.job);
            let result = catch_unwind(AssertUnwindSafe(task));
            *lock(&self.result) = Some(result);
        }
    }
}

/// Runs the untaken task of a lane.
fn b_now<F: FnOnce() -> R, R>(lane: Lane<F, R>) -> R {
    let task = unlock(lane.task);
    task.expect("nobody else saw this lane")()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn on<R: Send>(threads: usize, f: impl FnOnce(&Pool) -> R + Send) -> Result<R, Panicked> {
        run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), f)
    }

    #[test]
    fn lanes_return_both_results() {
        for threads in [1, 2, 8] {
            let sum = on(threads, |pool| {
                let (a, b) = pool.join(
                    || pool.map("a", 1000, 1, |i| i as u64).iter().sum::<u64>(),
                    || pool.map("b", 1000, 7, |i| i as u64).iter().sum::<u64>(),
                );
                a + b
            });
            assert_eq!(sum, Ok(999 * 1000));
        }
    }

    /// A tree of lanes and loops, deeper than there are workers.
    fn tree(pool: &Pool, depth: u32, sum: &AtomicU64) {
        if depth == 0 {
            pool.for_each("leaf", 10, 1, |i| {
                sum.fetch_add(i as u64, Ordering::Relaxed);
            });
        } else {
            pool.join(
                || tree(pool, depth - 1, sum),
                || pool.for_each("fork", 2, 1, |_| tree(pool, depth - 1, sum)),
            );
        }
    }

    #[test]
    fn jobs_nest() {
        for threads in [1, 2, 3, 16] {
            let sum = AtomicU64::new(0);
            on(threads, |pool| tree(pool, 6, &sum)).unwrap();
            assert_eq!(sum.into_inner(), 3u64.pow(6) * 45);
        }
    }

    #[test]
    fn a_panic_in_either_lane_comes_out_after_both_have_ended() {
        for threads in [1, 2] {
            let ended = AtomicU64::new(0);
            let end = || ended.fetch_add(1, Ordering::SeqCst);
            let first = on(threads, |pool| pool.join(|| panic!("first lane"), end).1);
            assert_eq!(first.unwrap_err().message, "first lane");
            let second = on(threads, |pool| pool.join(end, || panic!("second lane")).0);
            let second = second.unwrap_err();
            assert_eq!((second.stage, second.message.as_str()), ("main", "second lane"));
        }
    }

    #[test]
    fn the_innermost_stage_is_blamed() {
        for threads in [1, 4] {
            let result = on(threads, |pool| {
                pool.for_each("outer", 8, 1, |i| {
                    pool.for_each("inner", 8, 1, |j| assert!(i * j != 42, "forty-two"))
                });
            });
            // 6 * 7 and 7 * 6.
            let panicked = result.unwrap_err();
            assert_eq!((panicked.stage, panicked.message.as_str()), ("inner", "forty-two"));
            assert!(["item 6", "item 7"].contains(&panicked.label.as_str()), "{panicked}");
        }
    }

    #[test]
    fn a_stranger_may_use_the_pool() {
        on(4, |pool| {
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(pool.map("squares", 100, 1, |i| i * i)[9], 81));
            });
        })
        .unwrap();
    }

    #[test]
    fn a_run_inside_a_run_has_its_own_workers() {
        let count = on(2, |outer| outer.map("outer", 4, 1, |_| on(3, |inner| inner.threads()).unwrap()));
        assert_eq!(count, Ok(vec![3; 4]));
    }
}
