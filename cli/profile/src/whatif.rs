//! The same link on another number of workers: a recorded run, replayed on workers that do not exist.
//!
//! In: a trace, best of one worker, whose spans nobody disturbed. Out: for each number of workers the time it would
//! take, the part of it in which only one worker has something to do, and the stage that is alone for longest.
//!
//! The replay follows the rules of the engine (`engine/README.md`): a worker in a flow takes the ready stage furthest
//! downstream, a stage is not ready while a channel it sends to is full, serial stages and shards run one item at a
//! time; loops are claimed in order; who owns a job helps jobs inside it while it waits, others take the newest; a limit
//! that holds for few workers is left out for more, with what that costs; waking a worker takes [`WAKE`], starting one
//! [`START`], and not more than two are on their way at once.
//!
//! Left out, and said where results are shown: more workers share memory bandwidth, caches and the kernel's locks on
//! page tables and page cache, and processors may slow down when all are busy. So every item takes as long as it took,
//! and predictions for many workers are too good. Walks of graphs are taken to be divisible at will.

use crate::replay::{Job, Node, NodeId, Piece, Program};
use crate::schema::{Flow, Prediction, Profile};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

/// Nanoseconds to wake a worker.
const WAKE: u64 = 5_000;
/// Nanoseconds to start one.
const START: u64 = 28_000;
/// How many workers may be on their way at once.
const SEARCHING_MAX: usize = 2;
/// Nanoseconds of a walk that are done at once.
const SLICE: u64 = 50_000;

/// The numbers of workers that traces show.
pub const USUAL: [u32; 6] = [2, 4, 8, 16, 32, 64];

/// What the predictions leave out, in a sentence.
pub const LEFT_OUT: &str = "Every item is taken to last as long as it did here: that more workers share memory bandwidth, \
caches and the kernel's locks on pages is left out, so the larger numbers are too good.";

/// Predicts the time on each number of workers; nothing for a trace without a run.
pub fn predict(profile: &Profile, threads: &[u32]) -> Vec<Prediction> {
    let Some(program) = Program::of(profile) else { return Vec::new() };
    let on = |threads: u32| {
        let (program, flows) = adapted(&program, &profile.flows, profile.link.threads, threads);
        run(&program, &flows, threads)
    };
    let alone = on(1).time + program.around;
    let predicted = |threads: &u32| {
        let outcome = on(*threads);
        let wall = outcome.time + program.around;
        let (stage, limit_time) =
            outcome.alone.iter().max_by_key(|&(stage, time)| (time, Reverse(stage))).unzip();
        Prediction {
            threads: *threads,
            wall,
            speedup: alone as f64 / wall.max(1) as f64,
            serial: (outcome.serial + program.around) as f64 / wall.max(1) as f64,
            limit: stage
                .and_then(|stage| profile.stages.get(*stage as usize))
                .map_or(String::new(), |s| s.name.clone()),
            limit_time: limit_time.copied().unwrap_or(0),
        }
    };
    threads.iter().map(predicted).collect()
}

/// The program as the engine would run it on `threads` workers, if it was recorded on `recorded`: some limits hold for
/// a few workers only, and where they do not, items take longer.
fn adapted(program: &Program, flows: &[Flow], recorded: u32, threads: u32) -> (Program, Vec<Flow>) {
    let (mut program, mut flows) = (program.clone(), flows.to_vec());
    for stage in flows.iter_mut().flat_map(|flow| &mut flow.stages).filter(|stage| stage.limit_workers != 0) {
        let [then, now] = [recorded, threads].map(|workers| workers <= stage.limit_workers);
        if !now {
            stage.limit = 0;
        }
        let percent = |holds| u64::from(if holds { 100 } else { stage.beyond.max(1) });
        if then != now {
            for node in program.nodes.iter_mut().filter(|node| node.stage == stage.stage) {
                for piece in &mut node.pieces {
                    if let Piece::Own(time) = piece {
                        *time = *time * percent(now) / percent(then);
                    }
                }
            }
        }
    }
    (program, flows)
}

/// How a replay went.
struct Outcome {
    time: u64,
    /// Time with one worker at work.
    serial: u64,
    /// That time by stage.
    alone: HashMap<u32, u64>,
}

/// What a worker is in the middle of; the innermost is last.
enum Frame {
    /// The next piece of a sequence, and of which job it is.
    Node { node: NodeId, at: usize, of: Option<u32> },
    /// A part of a walk.
    Slice { job: u32 },
    /// Inside a job it owns.
    Owner { job: u32 },
    /// Inside a job of another.
    Helper { job: u32 },
}

/// What there is to run next of a job.
enum Taken {
    Node(NodeId),
    Slice(u32, u64),
}

/// A job that has been opened.
struct Open {
    /// The job inside which it was opened, plus one.
    parent: u32,
    /// Workers inside, the owner not counted, and items that run.
    inside: usize,
    /// How far a loop, a pair or a walk has been taken.
    next: u64,
    /// Whether the second of a pair has been.
    second: bool,
    /// The stages of a flow.
    stages: Vec<Waiting>,
}

/// A stage of a flow.
#[derive(Default)]
struct Waiting {
    /// Items and their shards.
    queue: VecDeque<(NodeId, u32)>,
    busy: u32,
    shards: HashSet<u32>,
}

struct Replay<'a> {
    program: &'a Program,
    flows: &'a [Flow],
    workers: Vec<Vec<Frame>>,
    /// What each worker does, as a stage.
    running: Vec<Option<u32>>,
    idle: Vec<bool>,
    started: Vec<bool>,
    searching: usize,
    open: HashMap<u32, Open>,
    /// Opened jobs, oldest first.
    listed: Vec<u32>,
    events: BinaryHeap<Reverse<(u64, usize)>>,
    /// Something happened that may give others work.
    changed: bool,
    outcome: Outcome,
}

fn run(program: &Program, flows: &[Flow], threads: u32) -> Outcome {
    let threads = threads.max(1) as usize;
    let mut replay = Replay {
        program,
        flows,
        workers: (0..threads).map(|_| Vec::new()).collect(),
        running: vec![None; threads],
        idle: vec![true; threads],
        started: vec![false; threads],
        searching: 0,
        open: HashMap::new(),
        listed: Vec::new(),
        events: BinaryHeap::new(),
        changed: false,
        outcome: Outcome { time: 0, serial: 0, alone: HashMap::new() },
    };
    replay.workers[0].push(Frame::Node { node: program.main, at: 0, of: None });
    replay.idle[0] = false;
    replay.events.push(Reverse((0, 0)));
    while let Some(Reverse((time, worker))) = replay.events.pop() {
        replay.pass(time);
        if worker == 0 && replay.workers[0].is_empty() {
            break;
        }
        replay.go_on(worker, time);
        if replay.changed {
            replay.wake(time);
        }
    }
    replay.outcome
}

impl Replay<'_> {
    /// Time goes on to `time`.
    fn pass(&mut self, time: u64) {
        let step = time.saturating_sub(self.outcome.time);
        let mut busy = self.running.iter().flatten();
        if let (Some(stage), None) = (busy.next(), busy.next()) {
            self.outcome.serial += step;
            *self.outcome.alone.entry(*stage).or_insert(0) += step;
        }
        self.outcome.time = self.outcome.time.max(time);
    }

    /// A worker has something to do for a while.
    fn busy(&mut self, worker: usize, stage: u32, time: u64, length: u64) {
        self.running[worker] = Some(stage);
        self.events.push(Reverse((time + length, worker)));
    }

    /// Has a worker go on until it is busy, idle or done.
    fn go_on(&mut self, worker: usize, time: u64) {
        self.running[worker] = None;
        if worker != 0 && self.workers[worker].is_empty() && self.searching > 0 {
            self.searching -= 1;
        }
        loop {
            match self.workers[worker].last_mut() {
                None => {
                    if worker == 0 {
                        return;
                    }
                    match self.newest(0) {
                        Some(job) => self.help(worker, job),
                        None => return self.idle[worker] = true,
                    }
                }
                Some(Frame::Node { node, at, of }) => {
                    let (node, of) = (*node, *of);
                    let piece = self.program.nodes[node as usize].pieces.get(*at).copied();
                    *at += 1;
                    match piece {
                        Some(Piece::Own(length)) => {
                            let stage = self.program.nodes[node as usize].stage;
                            return self.busy(worker, stage, time, length);
                        }
                        Some(Piece::Inner(inner)) => {
                            self.workers[worker].push(Frame::Node { node: inner, at: 0, of: None });
                        }
                        Some(Piece::Job(job)) => self.open(worker, job),
                        None => {
                            self.workers[worker].pop();
                            if let Some(job) = of {
                                self.end(job, node);
                            }
                        }
                    }
                }
                Some(Frame::Slice { job }) => {
                    let job = *job;
                    self.workers[worker].pop();
                    self.leave(job);
                }
                Some(Frame::Owner { job }) => {
                    let job = *job;
                    if self.work(worker, job, true, time) {
                        if self.running[worker].is_some() {
                            return;
                        }
                    } else if self.open.get(&job).is_none_or(|open| open.inside == 0) {
                        self.open.remove(&job);
                        self.listed.retain(|other| *other != job);
                        self.workers[worker].pop();
                    } else {
                        match self.newest(job + 1) {
                            Some(other) => self.help(worker, other),
                            None => return self.idle[worker] = true,
                        }
                    }
                }
                Some(Frame::Helper { job }) => {
                    let job = *job;
                    if self.work(worker, job, false, time) {
                        if self.running[worker].is_some() {
                            return;
                        }
                    } else {
                        self.workers[worker].pop();
                        self.leave(job);
                    }
                }
            }
        }
    }

    fn help(&mut self, worker: usize, job: u32) {
        if let Some(open) = self.open.get_mut(&job) {
            open.inside += 1;
        }
        self.workers[worker].push(Frame::Helper { job });
        self.changed = true;
    }

    /// A worker or an item is no longer inside a job.
    fn leave(&mut self, job: u32) {
        if let Some(open) = self.open.get_mut(&job) {
            open.inside = open.inside.saturating_sub(1);
        }
        self.changed = true;
    }

    fn open(&mut self, worker: usize, job: u32) {
        let around = self.workers[worker].iter().rev().find_map(|frame| match frame {
            Frame::Owner { job } | Frame::Helper { job } => Some(*job + 1),
            _ => None,
        });
        let stages = match &self.program.jobs[job as usize] {
            Job::Flow(_, unsent) => {
                let item = |node: &NodeId| (*node, self.program.nodes[*node as usize].shard);
                let queues = unsent.iter().map(|queue| queue.iter().map(item).collect());
                queues.map(|queue| Waiting { queue, ..Waiting::default() }).collect()
            }
            _ => Vec::new(),
        };
        let parent = around.unwrap_or(0);
        self.open.insert(job, Open { parent, inside: 0, next: 0, second: false, stages });
        self.listed.push(job);
        self.workers[worker].push(Frame::Owner { job });
        self.changed = true;
    }

    /// Takes something of a job and begins it; false if there is nothing.
    fn work(&mut self, worker: usize, job: u32, is_owner: bool, time: u64) -> bool {
        let Some(taken) = self.take(job, is_owner) else { return false };
        if let Some(open) = self.open.get_mut(&job) {
            open.inside += 1;
        }
        self.changed = true;
        match taken {
            Taken::Node(node) => self.workers[worker].push(Frame::Node { node, at: 0, of: Some(job) }),
            Taken::Slice(stage, length) => {
                self.workers[worker].push(Frame::Slice { job });
                self.busy(worker, stage, time, length);
            }
        }
        true
    }

    fn take(&mut self, job: u32, is_owner: bool) -> Option<Taken> {
        let open = self.open.get_mut(&job)?;
        match &self.program.jobs[job as usize] {
            Job::Loop(parts) => {
                let part = parts.get(open.next as usize)?;
                open.next += 1;
                Some(Taken::Node(*part))
            }
            Job::Join(parts) => {
                if is_owner && open.next == 0 {
                    open.next = 1;
                    return parts.first().map(|part| Taken::Node(*part));
                }
                let second = parts.get(1).filter(|_| !open.second)?;
                open.second = true;
                Some(Taken::Node(*second))
            }
            Job::Walk(stage, work) => {
                let length = (work - open.next).min(SLICE);
                open.next += length;
                (length > 0).then_some(Taken::Slice(*stage, length))
            }
            Job::Flow(flow, _) => {
                let flow = self.flows.get(*flow as usize)?;
                let (stage, at) = ready(flow, &open.stages)?;
                let waiting = &mut open.stages[stage];
                let (node, shard) = waiting.queue.remove(at)?;
                waiting.busy += 1;
                if flow.stages[stage].sharded {
                    waiting.shards.insert(shard);
                }
                Some(Taken::Node(node))
            }
        }
    }

    /// An item of a job has run.
    fn end(&mut self, job: u32, node: NodeId) {
        self.leave(job);
        let is_flow = matches!(self.program.jobs[job as usize], Job::Flow(..));
        if let Some(open) = self.open.get_mut(&job).filter(|_| is_flow) {
            let item = &self.program.nodes[node as usize];
            if let Some(waiting) = open.stages.get_mut(item.flow_stage as usize) {
                waiting.busy = waiting.busy.saturating_sub(1);
                waiting.shards.remove(&item.shard);
            }
            for sent in &item.sends {
                let Node { flow_stage, shard, .. } = self.program.nodes[*sent as usize];
                if let Some(waiting) = open.stages.get_mut(flow_stage as usize) {
                    waiting.queue.push_back((*sent, shard));
                }
            }
        }
    }

    fn has_work(&self, job: u32) -> bool {
        let Some(open) = self.open.get(&job) else { return false };
        match &self.program.jobs[job as usize] {
            Job::Loop(parts) => open.next < parts.len() as u64,
            Job::Join(parts) => parts.len() > 1 && !open.second,
            Job::Walk(_, work) => open.next < *work,
            Job::Flow(flow, _) => {
                self.flows.get(*flow as usize).is_some_and(|flow| ready(flow, &open.stages).is_some())
            }
        }
    }

    /// The newest job with work inside a job (plus one; 0 is any).
    fn newest(&self, ancestor: u32) -> Option<u32> {
        self.listed.iter().rev().copied().find(|job| self.descends(*job + 1, ancestor) && self.has_work(*job))
    }

    fn descends(&self, mut job: u32, ancestor: u32) -> bool {
        loop {
            if job == ancestor {
                return true;
            }
            match job.checked_sub(1).and_then(|job| self.open.get(&job)) {
                Some(open) => job = open.parent,
                None => return false,
            }
        }
    }

    /// Wakes whoever has something to do now.
    fn wake(&mut self, time: u64) {
        self.changed = false;
        let any = self.newest(0).is_some();
        for worker in 0..self.workers.len() {
            if !self.idle[worker] {
                continue;
            }
            let wakes = match self.workers[worker].last() {
                Some(Frame::Owner { job }) => {
                    self.open.get(job).is_none_or(|open| open.inside == 0)
                        || any && self.newest(*job + 1).is_some()
                }
                _ => {
                    let wakes = any && self.searching < SEARCHING_MAX;
                    self.searching += usize::from(wakes);
                    wakes
                }
            };
            if wakes {
                let delay = if std::mem::replace(&mut self.started[worker], true) || worker == 0 {
                    WAKE
                } else {
                    START
                };
                self.idle[worker] = false;
                self.events.push(Reverse((time + delay, worker)));
            }
        }
    }
}

/// The ready stage furthest downstream, and which of its items could run.
fn ready(flow: &Flow, waiting: &[Waiting]) -> Option<(usize, usize)> {
    let has_room = |channel: &u32| {
        let receiver = flow.stages.iter().position(|stage| stage.input == channel + 1);
        let capacity = flow.capacities[*channel as usize] as usize;
        receiver.is_none_or(|receiver| {
            let queued = waiting[receiver].queue.len();
            // A sharded stage holds some items outside of its channel.
            let held = if flow.stages[receiver].sharded {
                capacity.max(flow.stages[receiver].limit.min(64) as usize)
            } else {
                0
            };
            queued.saturating_sub(held) < capacity
        })
    };
    flow.stages.iter().enumerate().find_map(|(n, stage)| {
        let Waiting { queue, busy, shards } = &waiting[n];
        let may_run = !queue.is_empty() && (stage.limit == 0 || *busy < stage.limit);
        if !may_run || !stage.outputs.iter().all(has_room) {
            return None;
        }
        let is_free = |(_, shard): &(NodeId, u32)| !stage.sharded || !shards.contains(shard);
        Some((n, queue.iter().position(is_free)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FlowStage;

    fn node(stage: u32, time: u64) -> Node {
        Node { stage, pieces: vec![Piece::Own(time)], ..Node::default() }
    }

    fn time(program: &Program, flows: &[Flow], threads: u32) -> u64 {
        run(program, flows, threads).time
    }

    #[test]
    fn a_loop_is_shared_and_what_is_around_it_is_not() {
        let mut nodes = vec![Node::default()];
        nodes.extend((0..40).map(|_| node(1, 1_000_000)));
        nodes[0].pieces = vec![Piece::Own(10_000_000), Piece::Job(0), Piece::Own(5_000_000)];
        let program = Program { nodes, jobs: vec![Job::Loop((1..=40).collect())], main: 0, around: 0 };
        assert_eq!(time(&program, &[], 1), 55_000_000);
        assert_eq!(time(&program, &[], 2) / 100_000, 350);
        assert_eq!(time(&program, &[], 4) / 100_000, 250);
        // No more than there are claims.
        assert!((160..170).contains(&(time(&program, &[], 64) / 100_000)));
        let outcome = run(&program, &[], 64);
        assert!(outcome.alone[&0] >= 15_000_000 && outcome.serial < 15_300_000, "{}", outcome.serial);
    }

    #[test]
    fn lanes_run_side_by_side_and_help_each_other() {
        // One lane of 2 ms; one that is a loop of 10 times 1 ms.
        let mut nodes = vec![Node::default(), node(1, 2_000_000), Node::default()];
        nodes.extend((0..10).map(|_| node(2, 1_000_000)));
        nodes[0].pieces = vec![Piece::Job(0)];
        nodes[2].pieces = vec![Piece::Job(1)];
        let jobs = vec![Job::Join(vec![1, 2]), Job::Loop((3..13).collect())];
        let program = Program { nodes, jobs, main: 0, around: 0 };
        assert_eq!(time(&program, &[], 1), 12_000_000);
        assert_eq!(time(&program, &[], 2) / 100_000, 60);
    }

    #[test]
    fn a_walk_can_be_cut_at_will() {
        let nodes = vec![Node { pieces: vec![Piece::Job(0)], ..Node::default() }];
        let program = Program { nodes, jobs: vec![Job::Walk(3, 8_000_000)], main: 0, around: 0 };
        assert_eq!(time(&program, &[], 1), 8_000_000);
        assert_eq!(time(&program, &[], 8) / 100_000, 10);
    }

    #[test]
    fn a_serial_stage_bounds_its_flow() {
        // Ten items of 1 ms made anywhere, each followed by one of 0.5 ms that runs alone.
        let mut nodes = vec![Node { pieces: vec![Piece::Job(0)], ..Node::default() }];
        nodes.extend((0..10).map(|n| Node { flow_stage: 1, sends: vec![11 + n], ..node(1, 1_000_000) }));
        nodes.extend((0..10).map(|_| node(2, 500_000)));
        let stages = vec![
            FlowStage { stage: 2, limit: 1, input: 1, ..FlowStage::default() },
            FlowStage { stage: 1, outputs: vec![0], ..FlowStage::default() },
        ];
        let flow = Flow { name: "flow".into(), job: 1, capacities: vec![4], stages };
        let jobs = vec![Job::Flow(0, vec![vec![], (1..=10).collect()])];
        let program = Program { nodes, jobs, main: 0, around: 0 };
        let flows = [flow];
        assert_eq!(time(&program, &flows, 1), 15_000_000);
        assert!((75..=80).contains(&(time(&program, &flows, 2) / 100_000)));
        assert_eq!(time(&program, &flows, 64) / 100_000, 60);
    }

    #[test]
    fn a_limit_may_hold_for_few_workers_only() {
        let mut nodes = vec![Node { pieces: vec![Piece::Job(0)], ..Node::default() }];
        nodes.extend((0..8).map(|_| node(1, 1_000_000)));
        let stage = FlowStage { stage: 1, limit: 1, limit_workers: 4, beyond: 200, ..FlowStage::default() };
        let flow = Flow { name: "flow".into(), job: 1, capacities: vec![4], stages: vec![stage] };
        let jobs = vec![Job::Flow(0, vec![(1..=8).collect()])];
        let program = Program { nodes, jobs, main: 0, around: 0 };
        let time = |recorded, threads| {
            let (program, flows) = adapted(&program, std::slice::from_ref(&flow), recorded, threads);
            run(&program, &flows, threads).time / 100_000
        };
        // To start workers takes a while, too.
        assert_eq!([time(1, 1), time(1, 4), time(1, 8) / 10], [80, 80, 2]);
        assert_eq!([time(8, 1), time(8, 8) / 10], [40, 1]);
    }

    #[test]
    fn a_shard_runs_one_item_at_a_time() {
        let mut nodes = vec![Node { pieces: vec![Piece::Job(0)], ..Node::default() }];
        nodes.extend((0..8).map(|n| Node { shard: 1 + n % 2, ..node(1, 1_000_000) }));
        let stages = vec![FlowStage { stage: 1, limit: 2, sharded: true, input: 1, ..FlowStage::default() }];
        let flow = Flow { name: "flow".into(), job: 1, capacities: vec![4], stages };
        let jobs = vec![Job::Flow(0, vec![(1..=8).collect()])];
        let program = Program { nodes, jobs, main: 0, around: 0 };
        assert_eq!(time(&program, &[flow], 16) / 100_000, 40);
    }
}
