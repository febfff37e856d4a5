//! A trace as a program that can be run again: sequences, loops, pairs of lanes, flows, with the time of each piece.
//!
//! In: the spans of a [`Profile`]. Out: [`Program`], which [`crate::whatif`] runs on workers that do not exist.
//!
//! A span that is no job is a sequence: its own time, cut by what is inside it. What is inside belongs to it unless it
//! is a part of some job, which then has it, on whatever lane it ran. What a job's own span took besides (claiming,
//! looking for work) is shared out among its parts.

use crate::schema::{Profile, Span, kind};
use std::collections::HashMap;

/// An index into [`Program::nodes`].
pub type NodeId = u32;

/// A piece of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Nanoseconds of a stage.
    Own(u64),
    /// A job, which must end before the sequence goes on.
    Job(u32),
    /// A sequence inside this one.
    Inner(NodeId),
}

/// A sequence: a span that is no job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its stage.
    pub stage: u32,
    /// What it does, in order.
    pub pieces: Vec<Piece>,
    /// Of an item of a flow: its stage in the flow.
    pub flow_stage: u32,
    /// Of an item of a sharded stage: the shard plus one.
    pub shard: u32,
    /// Of an item of a flow: the items it sends.
    pub sends: Vec<NodeId>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Claims, in order.
    Loop(Vec<NodeId>),
    /// A walk of a stage: nanoseconds of work that can be cut as one likes.
    Walk(u32, u64),
    /// Two sequences.
    Join(Vec<NodeId>),
    /// A flow: its number, and the items that nobody sends, by stage.
    Flow(u32, Vec<Vec<NodeId>>),
}

/// A traced run, to be run again.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// All sequences.
    pub nodes: Vec<Node>,
    /// All jobs.
    pub jobs: Vec<Job>,
    /// The closure of the run.
    pub main: NodeId,
    /// Time before the run and after it.
    pub around: u64,
}

impl Program {
    /// The program of a trace; `None` if the trace has no run in it.
    pub fn of(profile: &Profile) -> Option<Program> {
        let rows = profile.rows();
        let main = rows.iter().find(|span| span.kind == kind::MAIN)?;
        let around = profile.wall.saturating_sub(main.end - main.start);
        let openers: HashMap<u32, u32> =
            rows.iter().filter(|span| span.opens != 0).map(|span| (span.opens, span.row)).collect();
        let numbers: HashMap<u32, u32> =
            rows.iter().filter(|span| span.opens != 0).zip(0..).map(|(span, n)| (span.row, n)).collect();
        let mut parts: Vec<Vec<NodeId>> = vec![Vec::new(); numbers.len()];
        let mut by_start: Vec<&Span> = rows.iter().filter(|span| span.job != 0).collect();
        by_start.sort_by_key(|span| (span.start, span.row));
        for span in by_start {
            if let Some(number) = openers.get(&span.job).and_then(|row| numbers.get(row)) {
                parts[*number as usize].push(span.row);
            }
        }
        let inner = inner_times(&rows);
        let mut nodes = sequences(&rows, &numbers);
        for (row, number) in &numbers {
            share_out(&rows[*row as usize], inner[*row as usize], &parts[*number as usize], &mut nodes);
        }
        flow_items(profile, &rows, &openers, &mut nodes);
        let mut opened: Vec<&Span> = rows.iter().filter(|span| span.opens != 0).collect();
        opened.sort_by_key(|span| numbers[&span.row]);
        let jobs = opened.iter().map(|span| {
            job_of(profile, &rows, span, std::mem::take(&mut parts[numbers[&span.row] as usize]))
        });
        let jobs = jobs.collect();
        Some(Program { nodes, jobs, main: main.row, around })
    }
}

/// For each span the time of the spans right inside it.
fn inner_times(rows: &[Span]) -> Vec<u64> {
    let mut inner = vec![0; rows.len()];
    let mut open: Vec<u32> = Vec::new();
    let mut lane = u32::MAX;
    for span in rows {
        if std::mem::replace(&mut lane, span.lane) != span.lane {
            open.clear();
        }
        open.truncate(span.depth as usize);
        if let Some(outer) = open.last() {
            inner[*outer as usize] += span.end - span.start;
        }
        open.push(span.row);
    }
    inner
}

/// A node for each span; those of jobs and of waiting stay empty.
fn sequences(rows: &[Span], numbers: &HashMap<u32, u32>) -> Vec<Node> {
    let mut nodes: Vec<Node> =
        rows.iter().map(|span| Node { stage: span.stage, shard: span.shard, ..Node::default() }).collect();
    // By row, how far its own time has been told.
    let mut told: Vec<u64> = rows.iter().map(|span| span.start).collect();
    let mut open: Vec<u32> = Vec::new();
    let mut lane = u32::MAX;
    let close = |row: u32, nodes: &mut Vec<Node>, told: &[u64]| {
        let span = &rows[row as usize];
        if is_sequence(span) {
            push_own(&mut nodes[row as usize], span.end.saturating_sub(told[row as usize]));
        }
    };
    for span in rows {
        let keep = if std::mem::replace(&mut lane, span.lane) == span.lane { span.depth as usize } else { 0 };
        while open.len() > keep
            && let Some(row) = open.pop()
        {
            close(row, &mut nodes, &told);
        }
        if let Some(&outer) = open.last() {
            if is_sequence(&rows[outer as usize]) {
                let from = told[outer as usize];
                push_own(&mut nodes[outer as usize], span.start.saturating_sub(from));
                match numbers.get(&span.row) {
                    Some(number) => nodes[outer as usize].pieces.push(Piece::Job(*number)),
                    None if span.job == 0 && is_sequence(span) => {
                        nodes[outer as usize].pieces.push(Piece::Inner(span.row));
                    }
                    None => {}
                }
            }
            told[outer as usize] = span.end;
        }
        open.push(span.row);
    }
    while let Some(row) = open.pop() {
        close(row, &mut nodes, &told);
    }
    nodes
}

fn is_sequence(span: &Span) -> bool {
    matches!(span.kind, kind::WORK | kind::MAIN | kind::LANE)
}

fn push_own(node: &mut Node, time: u64) {
    if time > 0 {
        node.pieces.push(Piece::Own(time));
    }
}

/// Adds what the span of a job took besides its parts to the parts that ran inside it.
fn share_out(span: &Span, inner: u64, parts: &[NodeId], nodes: &mut [Node]) {
    let rest = (span.end - span.start).saturating_sub(inner);
    if let Some(share) = rest.checked_div(parts.len() as u64) {
        for part in parts {
            push_own(&mut nodes[*part as usize], share);
        }
    }
}

/// Says of items of flows which stage of the flow they are of, and what they send.
fn flow_items(profile: &Profile, rows: &[Span], openers: &HashMap<u32, u32>, nodes: &mut [Node]) {
    let flows: HashMap<u32, &crate::schema::Flow> =
        profile.flows.iter().map(|flow| (flow.job, flow)).collect();
    let mut items: Vec<&Span> = rows.iter().filter(|span| openers.contains_key(&span.job)).collect();
    items.sort_by_key(|span| (span.start, span.row));
    for span in items {
        let Some(flow) = flows.get(&span.job) else { continue };
        let stage = flow.stages.iter().position(|stage| stage.stage == span.stage).unwrap_or(0);
        nodes[span.row as usize].flow_stage = stage as u32;
        if let Some(sender) = span.cause.checked_sub(1) {
            nodes[sender as usize].sends.push(span.row);
        }
    }
}

fn job_of(profile: &Profile, rows: &[Span], span: &Span, parts: Vec<NodeId>) -> Job {
    match span.kind {
        kind::WALK => {
            let work = parts.iter().map(|row| rows[*row as usize].end - rows[*row as usize].start).sum();
            Job::Walk(span.stage, work)
        }
        kind::JOIN => Job::Join(parts),
        kind::FLOW => match profile.flows.iter().position(|flow| flow.job == span.opens) {
            Some(number) => {
                let stages = &profile.flows[number].stages;
                let mut unsent = vec![Vec::new(); stages.len()];
                for row in parts {
                    let span = &rows[row as usize];
                    let stage = stages.iter().position(|stage| stage.stage == span.stage);
                    if let Some(stage) = stage.filter(|_| span.cause == 0) {
                        unsent[stage].push(row);
                    }
                }
                Job::Flow(number as u32, unsent)
            }
            None => Job::Loop(parts),
        },
        _ => Job::Loop(parts),
    }
}
