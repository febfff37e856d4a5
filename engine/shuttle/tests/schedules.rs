//! Pool and flows under a scheduler that decides every step: thousands of random interleavings, and of such that
//! prefer the rare (PCT: few, badly placed preemptions). A lost wake-up is a deadlock, which it reports together
//! with the schedule.
//!
//! `SCHEDULES=n` tries more of each.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Flow, FlowError, Next, Panicked, Pool, Sender, Tracer};

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
