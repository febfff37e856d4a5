//! Cache-directed sort: chains of functions that make the best of small caches (the objective of LLVM's cdsort; Hoag,
//! Lee, Mestre and Pupyrev, "Optimizing Function Layout for Mobile Applications", LCTES 2023).
//!
//! Every function starts as a chain of its own. The pair of chains that gains most is joined, again and again, in the
//! better of the two orders. A join gains in two ways:
//!
//! - *distance*: a call over `d` bytes is worth its weight times `d` to the power of -1/4, so short ones are worth more;
//! - *frequency*: a chain of `f` calls in `s` bytes fills a page of a cache with `f / s * PAGE` calls. Of `ENTRIES` pages
//!   drawn by frequency none is this one with a probability that falls with its density; joining dense chains with
//!   thin ones loses hits.
//!
//! Chains are then sorted by density. Candidates wait in a heap; a candidate whose chains have changed since is thrown
//! away when it comes up, because the change has put a new one in.

use super::call_graph::Graph;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

/// Pages that a cache holds.
const ENTRIES: i32 = 16;
/// Bytes of a page.
const PAGE: f64 = 2048.0;
/// What a gain of frequency is worth besides one of distance.
const FREQUENCY_SCALE: f64 = 4.0;
/// Chains of more functions grow no further: looking at all their calls again for each join would take too long.
const NODES_MAX: usize = 128;

struct Chain {
    nodes: Vec<u32>,
    size: u64,
    weight: f64,
    /// By neighbour: the calls between the two chains, as indices of edges.
    calls: BTreeMap<u32, Vec<u32>>,
    /// How often it has changed.
    version: u32,
}

impl Chain {
    fn density(&self) -> f64 {
        self.weight / self.size as f64
    }
}

/// Two chains that may be joined, the first in front.
struct Candidate {
    gain: f64,
    front: u32,
    back: u32,
    versions: (u32, u32),
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    /// The highest gain first, then the chains mentioned first.
    fn cmp(&self, other: &Candidate) -> Ordering {
        let by_gain = self.gain.total_cmp(&other.gain);
        by_gain.then_with(|| (other.front, other.back).cmp(&(self.front, self.back)))
    }
}

struct Layout<'a> {
    graph: &'a Graph,
    chains: Vec<Chain>,
    /// By node: the chain it is in, and its offset there.
    places: Vec<(u32, u64)>,
    total: f64,
    heap: BinaryHeap<Candidate>,
}

/// The nodes in their new order.
pub(super) fn sort(graph: &Graph) -> Vec<u32> {
    let mut layout = Layout::new(graph);
    for chain in 0..layout.chains.len() as u32 {
        // Each pair once.
        let neighbours: Vec<u32> =
            layout.chains[chain as usize].calls.range(chain + 1..).map(|(n, _)| *n).collect();
        neighbours.into_iter().for_each(|other| layout.consider(chain, other));
    }
    while let Some(best) = layout.heap.pop() {
        let versions =
            (layout.chains[best.front as usize].version, layout.chains[best.back as usize].version);
        if versions == best.versions {
            layout.join(best.front, best.back);
        }
    }
    let mut chains = layout.chains;
    chains.retain(|chain| !chain.nodes.is_empty());
    chains.sort_by(|a, b| b.density().total_cmp(&a.density()));
    chains.into_iter().flat_map(|chain| chain.nodes).collect()
}

impl Layout<'_> {
    fn new(graph: &Graph) -> Layout<'_> {
        let chain = |(node, size): (usize, &u64)| Chain {
            nodes: vec![node as u32],
            size: *size,
            weight: 0.0,
            calls: BTreeMap::new(),
            version: 0,
        };
        let mut chains: Vec<Chain> = graph.sizes.iter().enumerate().map(chain).collect();
        for (n, (from, to, weight)) in graph.edges.iter().enumerate() {
            chains[*to as usize].weight += *weight as f64;
            if from != to {
                chains[*from as usize].calls.entry(*to).or_default().push(n as u32);
                chains[*to as usize].calls.entry(*from).or_default().push(n as u32);
            }
        }
        let total = chains.iter().map(|chain| chain.weight).sum();
        Layout {
            graph,
            chains,
            places: (0..graph.sizes.len() as u32).map(|node| (node, 0)).collect(),
            total,
            heap: BinaryHeap::new(),
        }
    }

    /// Puts the better order of two chains into the heap, if it gains anything.
    fn consider(&mut self, a: u32, b: u32) {
        let (first, second) = (&self.chains[a as usize], &self.chains[b as usize]);
        if first.nodes.len() + second.nodes.len() > NODES_MAX {
            return;
        }
        let frequency = FREQUENCY_SCALE * self.frequency_gain(first, second);
        let Some(calls) = first.calls.get(&b) else { return };
        let (forward, backward) = (self.distance_gain(calls, a, b), self.distance_gain(calls, b, a));
        let (gain, front, back) = if forward >= backward { (forward, a, b) } else { (backward, b, a) };
        let gain = gain + frequency;
        if gain > 0.0 {
            let versions = (self.chains[front as usize].version, self.chains[back as usize].version);
            self.heap.push(Candidate { gain, front, back, versions });
        }
    }

    /// What calls between two chains are worth if `back` follows `front`. A call starts in the middle of its function.
    fn distance_gain(&self, calls: &[u32], front: u32, back: u32) -> f64 {
        let start = self.chains[front as usize].size;
        let address = |node: u32| {
            let (chain, offset) = self.places[node as usize];
            if chain == back { offset.saturating_add(start) } else { offset }
        };
        let worth = |edge: &u32| {
            let (from, to, weight) = self.graph.edges[*edge as usize];
            let call = address(from).saturating_add(self.graph.sizes[from as usize].div_ceil(2));
            let distance = call.abs_diff(address(to)).max(1);
            // It falls with the fourth root of the distance.
            weight as f64 / (distance as f64).sqrt().sqrt()
        };
        calls.iter().map(worth).sum()
    }

    /// By how much hits in caches change.
    fn frequency_gain(&self, a: &Chain, b: &Chain) -> f64 {
        let hits = |weight: f64, size: u64| weight * (1.0 - self.misses(weight / size as f64));
        hits(a.weight + b.weight, a.size.saturating_add(b.size))
            - hits(a.weight, a.size)
            - hits(b.weight, b.size)
    }

    /// The probability that a page of this density is in none of the cache's places.
    fn misses(&self, density: f64) -> f64 {
        let page = density * PAGE;
        if page >= self.total { 0.0 } else { (1.0 - page / self.total).powi(ENTRIES) }
    }

    fn join(&mut self, front: u32, back: u32) {
        let chain = &mut self.chains[back as usize];
        chain.version += 1;
        let (nodes, size, weight) = (std::mem::take(&mut chain.nodes), chain.size, chain.weight);
        let calls = std::mem::take(&mut chain.calls);
        let start = self.chains[front as usize].size;
        for node in &nodes {
            let offset = &mut self.places[*node as usize];
            *offset = (front, offset.1.saturating_add(start));
        }
        for (neighbour, edges) in calls {
            if neighbour == front {
                continue;
            }
            let other = &mut self.chains[neighbour as usize].calls;
            let moved = other.remove(&back).unwrap_or_default();
            other.entry(front).or_default().extend(moved);
            self.chains[front as usize].calls.entry(neighbour).or_default().extend(edges);
        }
        let chain = &mut self.chains[front as usize];
        chain.calls.remove(&back);
        chain.version += 1;
        chain.nodes.extend(nodes);
        chain.size = chain.size.saturating_add(size);
        chain.weight += weight;
        let neighbours: Vec<u32> = chain.calls.keys().copied().collect();
        neighbours.into_iter().for_each(|other| self.consider(front, other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(sizes: &[u64], edges: &[(u32, u32, u64)]) -> Vec<u32> {
        sort(&Graph { sizes: sizes.to_vec(), edges: edges.to_vec() })
    }

    #[test]
    fn who_calls_whom_most_is_nearest() {
        let order = sorted(&[50; 4], &[(0, 1, 1000), (0, 2, 10), (2, 3, 900)]);
        let at = |node| order.iter().position(|n| *n == node).unwrap();
        assert_eq!(at(0).abs_diff(at(1)), 1, "{order:?}");
        assert_eq!(at(2).abs_diff(at(3)), 1, "{order:?}");
        assert!(at(0) < at(1) && at(2) < at(3), "callees follow: {order:?}");
    }

    #[test]
    fn every_node_comes_once() {
        let edges: Vec<(u32, u32, u64)> =
            (0..2000u32).map(|n| (n % 300, n * 7 % 300, u64::from(n % 50))).collect();
        let mut order = sorted(&[100; 300], &edges);
        order.sort_unstable();
        assert_eq!(order, (0..300).collect::<Vec<_>>());
        assert_eq!(sorted(&[], &[]), [0; 0]);
        assert_eq!(sorted(&[1, 1], &[(0, 1, 0)]).len(), 2);
        assert_eq!(sorted(&[1, u64::MAX / 4], &[(0, 1, u64::MAX), (1, 0, u64::MAX)]).len(), 2);
    }
}
