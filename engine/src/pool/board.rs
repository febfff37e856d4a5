//! Who could do what: the listed jobs, the sleeping workers, and how one gets to the other.
//!
//! Everything here is under one lock but three counters, which let the makers of work see without it that nobody
//! needs to be woken. That is the common case: all are busy, or somebody woken before is still looking around.
//!
//! Waking is held back: while [`SEARCHING_MAX`] workers have been woken (or started) and have not found work yet,
//! no more are. Each that finds some wakes others if there is more. So a burst of small messages wakes two workers and
//! not one a message, and a large loop still has all of them after a few doublings.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Job, JobId};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, fence, lock, thread};
use crate::trace::Tracer;

/// How many workers may be on their way to work at once.
const SEARCHING_MAX: usize = 2;

/// What the workers of a pool share.
pub(super) struct Shared {
    pub(super) threads: usize,
    pub(super) tracer: Tracer,
    /// Workers that would take anything: sleeping ones and those not started.
    idle: AtomicUsize,
    /// Owners asleep until their helpers are done, who would take what was started inside their job.
    waiting: AtomicUsize,
    /// Workers woken or started for lack of any other that looks, who have not found work or gone to sleep yet.
    searching: AtomicUsize,
    /// How long a job goes on before anybody is woken for it, in nanoseconds.
    patience: AtomicUsize,
    /// Until when nobody is woken, in nanoseconds since `start`.
    calm_until: AtomicUsize,
    start: Instant,
    board: Mutex<Board>,
    /// One bell a worker; a sleeper waits on its own, with the board's lock.
    bells: Box<[Condvar]>,
}

/// What the lock protects.
pub(super) struct Board {
    /// Oldest first.
    pub(super) jobs: Vec<Listed>,
    sleepers: Vec<Sleeper>,
    last_id: JobId,
    started: usize,
    handles: Vec<thread::JoinHandle<()>>,
    pub(super) closed: bool,
}

/// A job while its owner is inside `Pool::enter`.
pub(super) struct Listed {
    pub(super) id: JobId,
    /// The job inside which this one was started, 0 if none. It is listed as long as this one is.
    parent: JobId,
    pub(super) helpers: usize,
    pub(super) job: JobPtr,
}

struct Sleeper {
    worker: usize,
    /// The job whose end this worker awaits; 0 for a worker that takes anything.
    awaits: JobId,
}

/// A job on its owner's stack, its lifetime erased.
#[derive(Clone, Copy)]
pub(super) struct JobPtr(*const (dyn Job + 'static));

// SAFETY: the pointee is `Sync` (a supertrait of `Job`), so a shared reference may be used on any thread.
unsafe impl Send for JobPtr {}

impl JobPtr {
    pub(super) fn new<'a>(job: &'a (dyn Job + 'a)) -> JobPtr {
        let ptr: *const (dyn Job + 'a) = job;
        // SAFETY: only the lifetime bound of the trait object changes; layout and vtable are the same.
        JobPtr(unsafe { std::mem::transmute::<*const (dyn Job + 'a), *const (dyn Job + 'static)>(ptr) })
    }

    /// # Safety
    /// The job must be listed, under the lock of the board, or the caller be counted as its helper.
    pub(super) unsafe fn get<'a>(self) -> &'a dyn Job {
        // SAFETY: the owner leaves `Pool::enter`, and with it the borrow this was made from, only after it took
        // the job off the list with no helper inside.
        unsafe { &*self.0 }
    }
}

/// Who is to do something about new work.
pub(super) enum Woken {
    /// Nobody needs to, or a sleeper was woken.
    Done,
    /// A thread is to be started, as this worker; it counts as searching.
    Start(usize),
}

impl Shared {
    pub(super) fn new(threads: usize, tracer: Tracer) -> Shared {
        Shared {
            threads,
            tracer,
            idle: AtomicUsize::new(threads - 1),
            waiting: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
            patience: AtomicUsize::new(0),
            calm_until: AtomicUsize::new(0),
            start: Instant::now(),
            board: Mutex::new(Board {
                jobs: Vec::new(),
                sleepers: Vec::new(),
                last_id: 0,
                started: 1,
                handles: Vec::new(),
                closed: false,
            }),
            bells: (0..threads).map(|_| Condvar::new()).collect(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Whether somebody could take work offered now. A hint.
    pub(super) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed) > 0
    }

    /// See [`Pool::be_patient`](super::Pool::be_patient).
    pub(super) fn be_patient(&self, patience: Duration) {
        self.patience.store(patience.as_nanos() as usize, Ordering::Relaxed);
        if patience.is_zero() {
            self.calm_until.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn is_patient(&self) -> bool {
        self.patience.load(Ordering::Relaxed) > 0
    }

    /// A job begins: for a while nobody is woken, if we are to be patient.
    pub(super) fn calm(&self) {
        let patience = self.patience.load(Ordering::Relaxed);
        if patience > 0 {
            self.calm_until.store(self.start.elapsed().as_nanos() as usize + patience, Ordering::Relaxed);
        }
    }

    fn is_calm(&self) -> bool {
        let until = self.calm_until.load(Ordering::Relaxed);
        until > 0 && (self.start.elapsed().as_nanos() as usize) < until
    }

    /// A worker that was searching has found work, or is about to look for the last time.
    pub(super) fn end_search(&self) {
        self.searching.fetch_sub(1, Ordering::SeqCst);
    }

    /// Sleeps until somebody rings; returns at once if there is work for us after we are counted as sleeping. For an
    /// owner, `awaits` is its job; for others 0, and then the result says whether we are counted as searching now.
    pub(super) fn sleep<'b>(
        &self,
        mut board: MutexGuard<'b, Board>,
        worker: usize,
        awaits: JobId,
    ) -> (MutexGuard<'b, Board>, bool) {
        let count = if awaits == 0 { &self.idle } else { &self.waiting };
        count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if board.find_work(awaits).is_some() {
            count.fetch_sub(1, Ordering::SeqCst);
            return (board, false);
        }
        board.sleepers.push(Sleeper { worker, awaits });
        while board.sleepers.iter().any(|sleeper| sleeper.worker == worker) {
            board = self.bells[worker].wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        (board, awaits == 0)
    }

    /// Takes the sleeper at `position` off the list and rings for it.
    fn ring(&self, board: &mut Board, position: usize) {
        let sleeper = board.sleepers.swap_remove(position);
        if sleeper.awaits == 0 {
            self.searching.fetch_add(1, Ordering::SeqCst);
            self.idle.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        self.bells[sleeper.worker].notify_one();
    }

    /// Wakes the owner of job `id` if it sleeps.
    pub(super) fn ring_owner(&self, board: &mut Board, id: JobId) {
        if let Some(owner) = board.sleepers.iter().position(|sleeper| sleeper.awaits == id) {
            self.ring(board, owner);
        }
    }

    /// Work has appeared in job `id`, and been published: has one worker look, unless enough do.
    pub(super) fn wake(&self, id: JobId) -> Woken {
        fence(Ordering::SeqCst);
        if !self.could_wake() {
            return Woken::Done;
        }
        let mut board = self.lock();
        // A worker that waits for this job or one around it comes first: it can take nothing else.
        let willing = |sleeper: &Sleeper| sleeper.awaits != 0 && board.descends(id, sleeper.awaits);
        if let Some(owner) = board.sleepers.iter().position(willing) {
            self.ring(&mut board, owner);
        } else if self.may_search() {
            if let Some(sleeper) = board.sleepers.iter().rposition(|sleeper| sleeper.awaits == 0) {
                self.ring(&mut board, sleeper);
            } else if board.started < self.threads && !board.closed {
                board.started += 1;
                self.searching.fetch_add(1, Ordering::SeqCst);
                self.idle.fetch_sub(1, Ordering::SeqCst);
                return Woken::Start(board.started - 1);
            }
        }
        Woken::Done
    }

    /// Whether new work might wake somebody. To be asked behind a fence after the work was published.
    pub(super) fn could_wake(&self) -> bool {
        (self.waiting.load(Ordering::SeqCst) > 0 || self.may_search()) && !self.is_calm()
    }

    /// Whether one more worker may be sent to search.
    fn may_search(&self) -> bool {
        self.idle.load(Ordering::SeqCst) > 0 && self.searching.load(Ordering::SeqCst) < SEARCHING_MAX
    }

    /// Ends all started threads and waits for them. No job may be listed.
    pub(super) fn shut_down(&self) {
        let mut board = self.lock();
        debug_assert!(board.jobs.is_empty(), "a job outlived its run");
        board.closed = true;
        while !board.sleepers.is_empty() {
            self.ring(&mut board, 0);
        }
        let handles = std::mem::take(&mut board.handles);
        drop(board);
        for handle in handles {
            // A worker cannot unwind: `Job::work` does not.
            let _ = handle.join();
        }
    }

    /// Keeps a started thread for the end.
    pub(super) fn keep(&self, handle: thread::JoinHandle<()>) {
        self.lock().handles.push(handle);
    }
}

impl Board {
    /// Lists `job`, started inside `parent`. The caller must take it off again before the job goes.
    pub(super) fn list(&mut self, parent: JobId, job: &dyn Job) -> JobId {
        self.last_id += 1;
        self.jobs.push(Listed { id: self.last_id, parent, helpers: 0, job: JobPtr::new(job) });
        self.last_id
    }

    pub(super) fn position(&self, id: JobId) -> Option<usize> {
        self.jobs.iter().rposition(|listed| listed.id == id)
    }

    /// Whether `id` is `ancestor` or was started inside it. Everything was started inside 0.
    pub(super) fn descends(&self, mut id: JobId, ancestor: JobId) -> bool {
        loop {
            if id == ancestor {
                return true;
            }
            match self.position(id) {
                Some(position) => id = self.jobs[position].parent,
                None => return false,
            }
        }
    }

    /// The newest job with work among those that descend from `ancestor`.
    pub(super) fn find_work(&self, ancestor: JobId) -> Option<usize> {
        self.jobs.iter().rposition(|listed| {
            // SAFETY: the job is listed, and we hold the lock.
            unsafe { listed.job.get() }.has_work() && self.descends(listed.id, ancestor)
        })
    }
}
