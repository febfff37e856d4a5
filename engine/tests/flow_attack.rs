//! Random flows under random schedules: graphs, capacities, numbers of threads, yields, errors and panics are
//! drawn from a seed. Whatever is drawn, the flow ends; if it ends well, every item sent was received once, a
//! serial stage was never entered twice at a time, and a shard neither.
//!
//! A failure prints its seed; `ATTACK_SEED=n cargo test -p engine --test flow_attack` runs it again, and
//! `ATTACK_ROUNDS=n` runs more of them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use engine::{Flow, FlowError, Next, Pool, Receiver, Sender, Tracer};

/// A generator of numbers that look random (SplitMix64).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Something for the scheduler to trip over.
fn stumble(random: &mut Random) {
    match random.below(12) {
        0 => thread::yield_now(),
        1 => thread::sleep(Duration::from_micros(random.below(60) as u64)),
        2 => (0..random.below(2000)).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}

/// Fails the process if `f` takes longer than anything here may.
fn watched(what: &str, f: impl FnOnce() + Send) {
    let (done, watch) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if watch.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("HANGS: {what}");
                std::process::abort();
            }
        });
        f();
        drop(done);
    });
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Parallel,
    Serial,
    Sharded,
}

/// One stage of a drawn graph; its channel has the same index.
struct Plan {
    kind: Kind,
    capacity: usize,
    shards: usize,
    /// Stages it sends to; all have higher indexes.
    to: Vec<usize>,
    /// How many items it sends for each it gets, at most.
    spread: usize,
    /// At which of its items it fails, and whether by panic.
    fails: Option<(usize, bool)>,
    /// Whether it runs loops of its own.
    nests: bool,
}

#[derive(Default)]
struct Books {
    sent: AtomicUsize,
    received: AtomicUsize,
    sent_sum: AtomicUsize,
    received_sum: AtomicUsize,
    inside: Vec<AtomicBool>,
}

impl Books {
    fn send(&self, item: usize) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_sum.fetch_add(item, Ordering::Relaxed);
    }
    fn receive(&self, item: usize) -> usize {
        self.received_sum.fetch_add(item, Ordering::Relaxed);
        self.received.fetch_add(1, Ordering::Relaxed)
    }
}

fn draw(random: &mut Random) -> Vec<Plan> {
    let stages = 1 + random.below(7);
    let fails = random.one_in(3);
    (0..stages)
        .map(|at| {
            let mut to: Vec<usize> = (at + 1..stages).filter(|_| random.one_in(3)).collect();
            if at + 1 < stages && to.is_empty() && random.one_in(2) {
                to.push(at + 1);
            }
            Plan {
                kind: [Kind::Parallel, Kind::Serial, Kind::Sharded][random.below(3)],
                capacity: if random.one_in(2) { 1 } else { 1 + random.below(20) },
                shards: 1 + random.below(5),
                to,
                spread: random.below(3) + usize::from(random.one_in(8)) * 20,
                fails: (fails && random.one_in(stages)).then(|| (random.below(100), random.one_in(2))),
                nests: random.one_in(4),
            }
        })
        .collect()
}

type Item = (usize, usize);

/// What every stage does with an item.
fn stage(
    pool: &Pool,
    seed: u64,
    plan: &Plan,
    books: &[Books],
    at: usize,
    item: usize,
    out: &[Sender<Item>],
) -> Result<(), usize> {
    let count = books[at].receive(item);
    let mut random = Random(seed ^ (item as u64) << 20 ^ at as u64);
    stumble(&mut random);
    if plan.nests {
        let sum = AtomicUsize::new(0);
        pool.for_each("nested", 5, 1, |i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 10);
    }
    if let Some((fatal, panics)) = plan.fails
        && count == fatal
    {
        if panics {
            std::panic::resume_unwind(Box::new("drawn"));
        }
        return Err(at);
    }
    for (out, &to) in out.iter().zip(&plan.to) {
        for _ in 0..random.below(plan.spread + 1) {
            let item = random.below(1 << 20);
            books[to].send(item);
            out.send((random.below(8), item));
        }
    }
    stumble(&mut random);
    Ok(())
}

/// Holds a stage or shard to one item at a time.
struct Inside<'a>(&'a AtomicBool);

impl<'a> Inside<'a> {
    fn new(flag: &'a AtomicBool) -> Inside<'a> {
        assert!(!flag.swap(true, Ordering::SeqCst), "entered twice");
        Inside(flag)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn attack(seed: u64) {
    let mut random = Random(seed);
    let plans = draw(&mut random);
    let threads = [1, 1, 2, 2, 3, 4, 8, 64][random.below(8)];
    let mut items = 1 + random.below(150);
    let source_fails = random.one_in(10).then(|| (random.below(items), random.one_in(2)));
    let tracer = if random.one_in(4) { Tracer::on() } else { Tracer::off() };
    let books: Vec<Books> = (plans.iter())
        .map(|plan| Books {
            inside: (0..plan.shards).map(|_| AtomicBool::new(false)).collect(),
            ..Books::default()
        })
        .collect();
    let result = engine::run(NonZeroUsize::new(threads).unwrap(), &tracer, |pool| {
        let mut flow = Flow::<usize>::new("attack");
        let mut senders: Vec<Sender<Item>> = Vec::new();
        let mut receivers: Vec<Receiver<Item>> = Vec::new();
        for plan in &plans {
            let (tx, rx) = flow.channel("channel", plan.capacity);
            senders.push(tx);
            receivers.push(rx);
        }
        let mut source_random = random.clone();
        let out = senders[0].clone();
        let books = &books;
        if random.one_in(2) {
            flow.source("source", out, move |out| {
                stumble(&mut source_random);
                if let Some((fatal, panics)) = source_fails
                    && items == fatal
                {
                    if panics {
                        panic!("drawn");
                    }
                    return Err(usize::MAX);
                }
                items -= 1;
                let item = source_random.below(1 << 20);
                books[0].send(item);
                out.send((source_random.below(8), item));
                Ok(if items == 0 { Next::Done } else { Next::Continue })
            });
        } else {
            flow.indexed("indexed", items, out, move |index, out| {
                books[0].send(index);
                out.send((index % 8, index));
                Ok(())
            });
        }
        for (at, (plan, rx)) in plans.iter().zip(receivers).enumerate() {
            let out: Vec<Sender<Item>> = plan.to.iter().map(|&to| senders[to].clone()).collect();
            match plan.kind {
                Kind::Parallel => {
                    flow.parallel("parallel", rx, out, move |(_, item), out| {
                        stage(pool, seed, plan, books, at, item, out)
                    });
                }
                Kind::Serial => {
                    flow.serial("serial", rx, out, move |(_, item), out| {
                        let _inside = Inside::new(&books[at].inside[0]);
                        stage(pool, seed, plan, books, at, item, out)
                    });
                }
                Kind::Sharded => {
                    let (tx, sharded) = flow.channel("sharded", plan.capacity);
                    let shards = plan.shards;
                    flow.parallel("route", rx, tx, move |(key, item), out| {
                        out.send((key % shards, item));
                        Ok(())
                    });
                    flow.sharded("sharded", sharded, out, 0..shards, move |shard, _, item, out| {
                        let _inside = Inside::new(&books[at].inside[shard]);
                        stage(pool, seed, plan, books, at, item, out)
                    });
                }
            }
        }
        drop(senders);
        flow.run(pool)
    });
    let drawn = plans.iter().any(|plan| plan.fails.is_some()) || source_fails.is_some();
    match result.unwrap() {
        Ok(()) => {
            for (at, books) in books.iter().enumerate() {
                let load = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
                assert_eq!(load(&books.sent), load(&books.received), "seed {seed}, channel {at}");
                assert_eq!(load(&books.sent_sum), load(&books.received_sum), "seed {seed}, channel {at}");
            }
        }
        Err(FlowError::Stopped(_)) => assert!(drawn, "seed {seed}: an error nobody made"),
        Err(FlowError::Panicked(panicked)) => {
            assert!(drawn && panicked.message == "drawn", "seed {seed}: {panicked}");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_flows_end_and_lose_nothing() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"drawn") {
            hook(info);
        }
    }));
    let seeds = match number("ATTACK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATTACK_ROUNDS").unwrap_or(1500),
    };
    for seed in seeds {
        watched(&format!("flow of seed {seed}"), || attack(seed));
    }
}
