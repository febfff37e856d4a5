//! Pool and flows under a scheduler that decides every step: thousands of random interleavings, and of such that
//! prefer the rare (PCT: few, badly placed preemptions). A lost wake-up is a deadlock, which it reports together
//! with the schedule.
//!
//! `SCHEDULES=n` tries more of each.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Flow, FlowError, Next, Panicked, Pool, Sender, Tracer};
use shuttle::sync::Barrier;

/// Runs `body` under many schedules.
fn explore(body: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = std::env::var("SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(1500);
    shuttle::check_random(body, schedules);
    for depth in 2..5 {
        shuttle::check_pct(body, schedules / 3, depth);
    }
}

fn on<R: Send>(threads: usize, f: impl FnOnce(&Pool) -> R + Send) -> Result<R, Panicked> {
    engine::run(NonZeroUsize::new(threads).unwrap(), &Tracer::off(), f)
}

#[test]
fn loops_one_after_the_other() {
    explore(|| {
        let count = AtomicUsize::new(0);
        on(3, |pool| {
            for _ in 0..3 {
                pool.for_each("loop", 4, 1, |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        })
        .unwrap();
        assert_eq!(count.into_inner(), 12);
    });
}

#[test]
fn lanes_with_loops_inside() {
    explore(|| {
        let (a, b) = on(3, |pool| {
            pool.join(
                || pool.map("a", 3, 1, |i| i).len(),
                || {
                    let (c, d) = pool.join(|| pool.map("c", 2, 1, |i| i).len(), || 5);
                    c + d
                },
            )
        })
        .unwrap();
        assert_eq!((a, b), (3, 7));
    });
}

#[test]
fn a_walk() {
    explore(|| {
        let visits = AtomicUsize::new(0);
        on(3, |pool| {
            // A tree: 3 levels of 3.
            pool.walk("walk", vec![0, 0], |depth: usize, walk| {
                visits.fetch_add(1, Ordering::SeqCst);
                if depth < 2 {
                    walk.extend([depth + 1; 3]);
                }
            });
        })
        .unwrap();
        assert_eq!(visits.into_inner(), 2 * (1 + 3 + 9));
    });
}

#[test]
fn a_panic_ends_everything() {
    explore(|| {
        let result = on(3, |pool| {
            pool.join(
                || {
                    pool.for_each("fails", 4, 1, |i| {
                        if i == 2 {
                            std::panic::resume_unwind(Box::new("drawn"))
                        }
                    })
                },
                || pool.for_each("goes on", 3, 1, |_| ()),
            )
        });
        assert_eq!(result.unwrap_err().to_string(), "stage fails panicked on item 2: drawn");
    });
}

/// A source of four numbers, a parallel stage that splits each in two, shards, and a serial end, over channels of one.
fn flow(pool: &Pool, fails_at: Option<usize>) -> Result<(usize, Vec<usize>), FlowError<usize>> {
    let mut sum = 0;
    let mut shards = vec![0; 2];
    let mut flow = Flow::new("flow");
    let (numbers, numbers_in) = flow.channel("numbers", 1);
    let (parts, parts_in) = flow.channel::<(usize, usize)>("parts", 1);
    let (sums, sums_in) = flow.channel("sums", 1);
    let mut next = 0;
    flow.source("count", numbers, move |out| {
        next += 1;
        out.send(next);
        Ok(if next == 4 { Next::Done } else { Next::Continue })
    });
    flow.parallel(
        "split",
        numbers_in,
        (parts, sums.clone()),
        |number, (parts, sums): &(Sender<_>, Sender<_>)| {
            parts.send((0, number));
            parts.send((1, number));
            sums.send(number * 100);
            Ok(())
        },
    );
    flow.sharded("shard", parts_in, sums, shards.iter_mut(), move |_, state, number, sums| {
        **state += number;
        if Some(number) == fails_at {
            return Err(number);
        }
        sums.send(number);
        Ok(())
    });
    flow.serial("sum", sums_in, (), |number, ()| {
        sum += number;
        Ok(())
    });
    flow.run(pool)?;
    Ok((sum, shards))
}

#[test]
fn a_flow() {
    explore(|| {
        for threads in [2, 3] {
            assert_eq!(on(threads, |pool| flow(pool, None)), Ok(Ok((1020, vec![10, 10]))));
        }
    });
}

#[test]
fn a_flow_that_fails() {
    explore(|| assert_eq!(on(3, |pool| flow(pool, Some(3))), Ok(Err(FlowError::Stopped(3)))));
}

#[test]
fn two_flows_in_lanes() {
    explore(|| {
        let (a, b) = on(3, |pool| pool.join(|| flow(pool, None), || flow(pool, None))).unwrap();
        assert_eq!((a, b), (Ok((1020, vec![10, 10])), Ok((1020, vec![10, 10]))));
    });
}

/// A small flow has few steps, so that nearly all of its interleavings are tried: what ends a stage against what
/// still comes.
#[test]
fn the_end_of_a_stage() {
    explore(|| {
        let seen = AtomicUsize::new(0);
        on(2, |pool| {
            let mut flow = Flow::<()>::new("small");
            let (tx, rx) = flow.channel("items", 1);
            let (passed, passed_in) = flow.channel("passed", 1);
            flow.indexed("send", 2, tx, |index, out| {
                out.send(index);
                Ok(())
            });
            flow.parallel("pass", rx, passed, |index, out| {
                out.send(index);
                Ok(())
            });
            flow.parallel("see", passed_in, (), |_, ()| {
                seen.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            flow.run(pool)
        })
        .unwrap()
        .unwrap();
        assert_eq!(seen.into_inner(), 2);
    });
}

#[test]
fn the_end_of_a_sharded_stage() {
    explore(|| {
        let seen = AtomicUsize::new(0);
        on(3, |pool| {
            let mut flow = Flow::<()>::new("shards");
            let (tx, rx) = flow.channel("items", 4);
            [1, 0, 0].into_iter().for_each(|shard| tx.send((shard, ())));
            drop(tx);
            flow.sharded("see", rx, (), 0..3, |_, _, (), ()| {
                seen.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            flow.run(pool)
        })
        .unwrap()
        .unwrap();
        assert_eq!(seen.into_inner(), 3);
    });
}

#[test]
fn the_order_of_a_sender_survives_overflow() {
    explore(|| {
        let mut seen = Vec::new();
        on(2, |pool| {
            let mut flow = Flow::<()>::new("order");
            let (tx, rx) = flow.channel("items", 1);
            flow.indexed("send", 1, tx, |_, out| {
                (0..5).for_each(|item| out.send(item));
                Ok(())
            });
            flow.serial("see", rx, (), |item, ()| {
                seen.push(item);
                Ok(())
            });
            flow.run(pool)
        })
        .unwrap()
        .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    });
}

/// Work that is there is taken by whoever sleeps: two items that wait for each other, which no real item may,
/// would wait forever if the second worker were not woken.
#[test]
fn an_idle_worker_takes_a_lane() {
    explore(|| {
        on(2, |pool| {
            for _ in 0..2 {
                let meeting = Barrier::new(2);
                pool.join(|| meeting.wait(), || meeting.wait());
            }
        })
        .unwrap();
    });
}

#[test]
fn an_idle_worker_takes_an_item() {
    explore(|| {
        on(2, |pool| {
            let meeting = Barrier::new(2);
            let mut flow = Flow::<()>::new("meeting");
            let (tx, rx) = flow.channel("items", 2);
            let mut round = 0;
            flow.source("send", tx, |out| {
                round += 1;
                out.send(());
                Ok(if round == 4 { Next::Done } else { Next::Continue })
            });
            flow.parallel("meet", rx, (), |(), ()| {
                meeting.wait();
                Ok(())
            });
            flow.run(pool)
        })
        .unwrap()
        .unwrap();
    });
}

/// Only two workers are sent to search at a time, yet all come in the end.
#[test]
fn all_workers_come() {
    explore(|| {
        on(5, |pool| {
            for _ in 0..2 {
                let meeting = Barrier::new(5);
                pool.for_each("meet", 5, 1, |_| _ = meeting.wait());
            }
            let meeting = Barrier::new(5);
            // (An owner whose items others took waits for them, so it takes no item of another lane.)
            let meet = || pool.for_each("meet", 3, 1, |_| _ = meeting.wait());
            pool.join(|| _ = meeting.wait(), || pool.join(|| _ = meeting.wait(), meet));
        })
        .unwrap();
    });
}
