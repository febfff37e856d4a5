//! Who was busy, who waited for what, and the critical path: what follows from the spans alone.
//!
//! [`flatten`] reduces each lane to what was innermost at every moment: segments that neither overlap nor touch
//! waiting. From them come the times of stages (their own, without what they call), of workers, and what others did
//! while a worker was idle.
//!
//! The critical path is walked backwards from the end. A worker's path goes back through its segments as long as
//! there is one right before; where it was idle, somebody else made it go on: the sender of the item it took, else
//! the owner of the job it joined, else whoever was at work. So the path covers the whole run, and a stage's part of it
//! is what the link would be shorter if that stage took no time there, as far as nothing else takes its place.

use crate::schema::{Profile, Span, Step, kind};
use std::collections::HashMap;

/// A time in which one span of a lane was innermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// From.
    pub start: u64,
    /// To.
    pub end: u64,
    /// The span's stage.
    pub stage: u32,
    /// The span's row.
    pub row: u32,
}

/// For each lane its segments, by start. Waiting is none.
pub fn flatten(rows: &[Span], lanes: usize) -> Vec<Vec<Segment>> {
    let mut result = vec![Vec::new(); lanes];
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let count = rest.partition_point(|span| span.lane <= first.lane);
        let (lane, others) = rest.split_at(count);
        result[first.lane as usize] = flatten_lane(lane);
        rest = others;
    }
    result
}

fn flatten_lane(spans: &[Span]) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(spans.len());
    let mut open: Vec<&Span> = Vec::new();
    let mut now = 0;
    let mut put = |span: &Span, start: u64, end: u64| {
        if end > start && span.kind != kind::WAIT {
            segments.push(Segment { start, end, stage: span.stage, row: span.row });
        }
    };
    for span in spans {
        while open.len() > span.depth as usize
            && let Some(inner) = open.pop()
        {
            put(inner, now, inner.end);
            now = now.max(inner.end);
        }
        if let Some(outer) = open.last() {
            put(outer, now, span.start);
        }
        now = now.max(span.start);
        open.push(span);
    }
    while let Some(inner) = open.pop() {
        put(inner, now, inner.end);
        now = now.max(inner.end);
    }
    segments
}

/// Fills in what follows from the spans: times of stages and workers, the critical path.
pub fn complete(profile: &mut Profile) {
    let rows = profile.rows();
    let lanes = flatten(&rows, profile.workers.len());
    stages(profile, &rows, &lanes);
    workers(profile, &lanes);
    profile.critical = critical_path(&rows, &lanes, profile.wall);
    for step in &profile.critical {
        if let Some(stage) = step.stage.checked_sub(1) {
            profile.stages[stage as usize].critical += step.end - step.start;
        }
    }
    profile.critical = joined(std::mem::take(&mut profile.critical), profile.wall / STEPS_MAX);
}

/// Steps of the critical path that are kept, about.
const STEPS_MAX: u64 = 3000;

/// Joins steps shorter than `least` with the one before, which gets their time.
fn joined(path: Vec<Step>, least: u64) -> Vec<Step> {
    let mut result: Vec<Step> = Vec::new();
    for step in path {
        match result.last_mut() {
            Some(last) if step.end - step.start < least || last.end - last.start < least => {
                // The longer one gives its name.
                if step.end - step.start > last.end - last.start {
                    (last.stage, last.worker) = (step.stage, step.worker);
                }
                last.end = step.end;
            }
            _ => result.push(step),
        }
    }
    result
}

fn stages(profile: &mut Profile, rows: &[Span], lanes: &[Vec<Segment>]) {
    for stage in &mut profile.stages {
        (stage.spans, stage.busy, stage.bytes, stage.items, stage.critical) = (0, 0, 0, 0, 0);
        (stage.from, stage.to) = (u64::MAX, 0);
    }
    for span in rows {
        let stage = &mut profile.stages[span.stage as usize];
        stage.from = stage.from.min(span.start);
        stage.to = stage.to.max(span.end);
        // The span of a job is no item of its own.
        if matches!(span.kind, kind::WORK | kind::LANE | kind::WAIT) {
            stage.spans += 1;
        }
        stage.bytes += span.bytes;
        stage.items += span.items;
        if span.kind == kind::WAIT {
            stage.busy += span.end - span.start;
        }
    }
    for segment in lanes.iter().flatten() {
        profile.stages[segment.stage as usize].busy += segment.end - segment.start;
    }
    for stage in &mut profile.stages {
        stage.from = stage.from.min(stage.to);
    }
}

fn workers(profile: &mut Profile, lanes: &[Vec<Segment>]) {
    let wall = profile.wall;
    let waits = waits(lanes, wall);
    for ((worker, lane), waits) in profile.workers.iter_mut().zip(lanes).zip(waits) {
        worker.busy = lane.iter().map(|segment| segment.end - segment.start).sum();
        worker.idle = wall.saturating_sub(worker.busy);
        let mut list: Vec<(u32, u64)> = waits.into_iter().collect();
        list.sort_unstable_by_key(|&(stage, time)| (std::cmp::Reverse(time), stage));
        worker.waits = list;
    }
}

/// For each lane, what the others did while it was idle: time by stage, shared among those at work.
fn waits(lanes: &[Vec<Segment>], wall: u64) -> Vec<HashMap<u32, u64>> {
    let mut result = vec![HashMap::new(); lanes.len()];
    // All borders of all lanes in order: between two of them nothing changes.
    let mut borders: Vec<(u64, u32, u32)> = Vec::new();
    for (lane, segments) in lanes.iter().enumerate() {
        for segment in segments {
            borders.push((segment.start, lane as u32, segment.stage + 1));
            borders.push((segment.end, lane as u32, 0));
        }
    }
    // At one time, ends come before starts.
    borders.sort_unstable_by_key(|&(time, lane, stage)| (time, stage != 0, lane));
    let mut now = vec![0u32; lanes.len()];
    let mut before = 0;
    for (time, lane, stage) in borders {
        let step = time.min(wall).saturating_sub(before);
        let busy = now.iter().filter(|stage| **stage != 0).count() as u64;
        if step > 0 && busy > 0 && busy < lanes.len() as u64 {
            for (waiter, waits) in result.iter_mut().enumerate() {
                if now[waiter] == 0 {
                    for stage in now.iter().filter(|stage| **stage != 0) {
                        *waits.entry(stage - 1).or_insert(0) += step / busy;
                    }
                }
            }
        }
        before = before.max(time.min(wall));
        now[lane as usize] = stage;
    }
    result
}

/// The critical path, from 0 to `wall`.
fn critical_path(rows: &[Span], lanes: &[Vec<Segment>], wall: u64) -> Vec<Step> {
    let owners: HashMap<u32, u32> =
        rows.iter().filter(|span| span.opens != 0).map(|span| (span.opens, span.lane)).collect();
    // The segment of a lane that ends at a time or is cut by it.
    let before = |lane: u32, time: u64| -> Option<&Segment> {
        let segments = &lanes[lane as usize];
        segments[..segments.partition_point(|segment| segment.start < time)].last()
    };
    let covers = |lane: u32, time: u64| before(lane, time).is_some_and(|segment| segment.end >= time);
    let count = lanes.len() as u32;
    let mut path: Vec<Step> = Vec::new();
    let mut put = |stage: u32, worker: u32, start: u64, end: u64| match path.last_mut() {
        Some(last) if (last.stage, last.worker) == (stage, worker) => last.start = start,
        _ => path.push(Step { stage, worker, start, end }),
    };
    let (mut lane, mut now) = (0, wall);
    while now > 0 && count > 0 {
        if let Some(segment) = before(lane, now).filter(|segment| segment.end >= now) {
            put(segment.stage + 1, lane, segment.start, now);
            now = segment.start;
            if covers(lane, now) {
                continue;
            }
            // It was idle until this span: who made it go on?
            let span = &rows[segment.row as usize];
            let sender = span.cause.checked_sub(1).map(|row| rows[row as usize].lane);
            let owner = owners.get(&span.job).copied();
            let known = [sender, owner].into_iter().flatten().find(|other| covers(*other, now));
            lane = known.or_else(|| (0..count).find(|other| covers(*other, now))).unwrap_or(lane);
            continue;
        }
        match (0..count).find(|other| covers(*other, now)) {
            Some(other) => lane = other,
            None => {
                let last = (0..count).filter_map(|other| Some((before(other, now)?.end, other))).max();
                let (end, other) = last.unwrap_or((0, 0));
                put(0, 0, end, now);
                (now, lane) = (end, other);
            }
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Stage, Worker};

    /// Lane, stage, kind, start, end, depth, job, opens.
    type Short = (u32, u32, u8, u64, u64, u32, u32, u32);

    fn profile(wall: u64, lanes: usize, spans: &[Short]) -> Profile {
        let mut profile = Profile { wall, ..Profile::default() };
        profile.workers = vec![Worker::default(); lanes];
        profile.stages = vec![Stage::default(); 8];
        let mut before = vec![0; lanes];
        for (row, &(lane, stage, kind, start, end, depth, job, opens)) in spans.iter().enumerate() {
            let row = row as u32;
            let span = Span { row, lane, stage, kind, start, end, depth, job, opens, ..Span::default() };
            profile.spans.push(&span, before[lane as usize]);
            before[lane as usize] = start;
            profile.workers[lane as usize].spans += 1;
        }
        complete(&mut profile);
        profile
    }

    #[test]
    fn what_is_inside_counts_once() {
        let profile = profile(
            100,
            1,
            &[
                (0, 0, kind::MAIN, 0, 100, 0, 0, 0),
                (0, 1, kind::WORK, 10, 50, 1, 0, 0),
                (0, 2, kind::WAIT, 20, 30, 2, 0, 0),
            ],
        );
        let busy: Vec<u64> = profile.stages[..3].iter().map(|stage| stage.busy).collect();
        assert_eq!(busy, [60, 30, 10]);
        assert_eq!((profile.workers[0].busy, profile.workers[0].idle), (90, 10));
    }

    #[test]
    fn the_path_goes_through_whom_was_waited_for() {
        // Worker 0 runs a loop, of which worker 1 has the longer half.
        let profile = profile(
            100,
            2,
            &[
                (0, 0, kind::MAIN, 0, 100, 0, 0, 0),
                (0, 1, kind::LOOP, 10, 90, 1, 0, 7),
                (0, 1, kind::WORK, 10, 40, 2, 7, 0),
                (0, 2, kind::WAIT, 40, 90, 2, 0, 0),
                (1, 1, kind::WORK, 12, 89, 0, 7, 0),
            ],
        );
        let path: Vec<(u32, u32, u64, u64)> =
            profile.critical.iter().map(|step| (step.stage, step.worker, step.start, step.end)).collect();
        assert_eq!(path, [(1, 0, 0, 10), (2, 0, 10, 12), (2, 1, 12, 89), (0, 0, 89, 90), (1, 0, 90, 100)]);
        assert_eq!(profile.workers[1].idle, 23);
        assert_eq!(profile.workers[0].waits, [(1, 49)]);
    }
}
