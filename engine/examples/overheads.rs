//! Measures what the runtime itself costs: `cargo run --release --example overheads -p engine`.
//!
//! Median of many runs, in the unit each line names, with one worker, two, and as many as there are cores.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use engine::{Flow, Next, Pool, Tracer};

/// The median time of `f` over `runs`, in nanoseconds: the best would be the luckiest schedule.
fn time(runs: usize, mut f: impl FnMut()) -> f64 {
    let mut times: Vec<u128> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times[runs / 2] as f64
}

/// Some work: about a microsecond of it per 1000.
#[inline(never)]
fn work(n: usize) -> usize {
    (0..n).fold(0, |sum, i| black_box(sum ^ i))
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    let mut counts = vec![1, 2, cores];
    counts.dedup();
    for threads in counts {
        let threads = NonZeroUsize::new(threads).expect("at least one");
        for (what, tracer) in [("off", Tracer::off()), ("on", Tracer::on())] {
            println!("\n{threads} workers, tracing {what}");
            let run = |f: &(dyn Fn(&Pool) + Sync)| {
                engine::run(threads, &tracer, f).expect("nothing here panics");
                black_box(tracer.collect());
            };
            let empty = time(200, || run(&|_| ()));
            println!("  run with nothing in it               {:8.2} us", empty / 1e3);
            let first = time(200, || run(&|pool| pool.for_each("tiny", 2, 1, |i| _ = black_box(i))));
            println!("  run with one tiny loop               {:8.2} us", first / 1e3);
            let in_run = |runs: usize, f: &(dyn Fn(&Pool) + Sync)| {
                let best = AtomicUsize::new(usize::MAX);
                run(&|pool| best.store(time(runs, || f(pool)) as usize, Ordering::Relaxed));
                best.into_inner() as f64
            };
            let tiny = in_run(500, &|pool| pool.for_each("tiny", 2, 1, |i| _ = black_box(i)));
            println!("  a tiny loop                          {:8.2} us", tiny / 1e3);
            let n = 100_000;
            let claims = in_run(10, &|pool| pool.for_each("claims", n, 1, |i| _ = black_box(i)));
            println!("  a claim of nothing                   {:8.1} ns", claims / n as f64);
            let serial = in_run(10, &|_| _ = black_box((0..1000).map(|_| work(2000)).sum::<usize>()));
            let looped = in_run(10, &|pool| pool.for_each("work", 1000, 1, |_| _ = black_box(work(2000))));
            println!("  1000 items of {:4.1} us: speed-up       {:8.2} x", serial / 1e6, serial / looped);
            let nodes = 200_000;
            let seen: Vec<AtomicU32> = (0..nodes).map(|_| AtomicU32::new(0)).collect();
            let round = AtomicU32::new(0);
            let walk = in_run(5, &|pool| {
                let round = round.fetch_add(1, Ordering::Relaxed) + 1;
                pool.walk("walk", vec![0usize], |node, walk| {
                    let next = [node * 7 + 1, node * 13 + 5, node + 1].map(|next| next % nodes);
                    walk.extend(
                        next.into_iter().filter(|&next| seen[next].swap(round, Ordering::Relaxed) != round),
                    );
                });
            });
            println!("  a node of a walk, three edges        {:8.1} ns", walk / nodes as f64);
            let items = 20_000;
            let flow = in_run(10, &|pool| {
                let mut flow = Flow::<()>::new("flow");
                let (tx, rx) = flow.channel("items", 64);
                let (out, results) = flow.channel("results", 64);
                let mut next = 0;
                flow.source("count", tx, move |tx| {
                    tx.send(next);
                    next += 1;
                    Ok(if next == items { Next::Done } else { Next::Continue })
                });
                flow.parallel("pass", rx, out, |item, out| {
                    out.send(item);
                    Ok(())
                });
                let mut sum = 0;
                flow.serial("add", results, (), |item, ()| {
                    sum += item;
                    Ok(())
                });
                flow.run(pool).expect("nothing here fails");
            });
            println!("  an item through three empty stages   {:8.1} ns", flow / items as f64);
        }
    }
}
