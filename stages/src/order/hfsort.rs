//! Call-chain clustering, also known as C3 or hfsort (Ottoni and Maher, "Optimizing Function Placement for Large-Scale
//! Data-Center Applications", CGO 2017).
//!
//! Every function starts as a cluster of its own. From the densest down (calls a byte), each cluster is put behind the
//! cluster of the function that calls it most, unless they get too large for a huge page or too thin, or that caller
//! stands for less than a tenth of all calls. What is left is sorted by density. A function so comes right behind its
//! most likely caller, the way code runs.

use super::call_graph::Graph;

/// No cluster grows beyond this many bytes: what a processor's table of large pages serves well.
const SIZE_MAX: u64 = 1 << 20;
/// A merged cluster may be this much thinner than the one in front was.
const DEGRADATION_MAX: f64 = 8.0;
/// The best caller counts if it makes at least one of so many calls.
const CALLS_OF_BEST: u128 = 10;

struct Cluster {
    members: Vec<u32>,
    size: u64,
    weight: u64,
}

impl Cluster {
    fn density(&self) -> f64 {
        self.weight as f64 / self.size as f64
    }
}

/// The nodes in their new order.
pub(super) fn sort(graph: &Graph) -> Vec<u32> {
    let count = graph.sizes.len();
    let cluster = |node: usize| Cluster { members: vec![node as u32], size: graph.sizes[node], weight: 0 };
    let mut clusters: Vec<Cluster> = (0..count).map(cluster).collect();
    // Who calls a node most, and how often.
    let mut best: Vec<Option<(u32, u64)>> = vec![None; count];
    for (from, to, weight) in &graph.edges {
        let callee = &mut clusters[*to as usize];
        callee.weight = callee.weight.saturating_add(*weight);
        let caller = &mut best[*to as usize];
        if from != to && caller.is_none_or(|(_, most)| most < *weight) {
            *caller = Some((*from, *weight));
        }
    }
    let weights: Vec<u64> = clusters.iter().map(|cluster| cluster.weight).collect();
    // Which cluster a node is in: itself, or a step towards it.
    let mut leaders: Vec<u32> = (0..count as u32).collect();
    let by_density = |clusters: &[Cluster], nodes: &mut Vec<u32>| {
        nodes.sort_by(|a, b| clusters[*b as usize].density().total_cmp(&clusters[*a as usize].density()));
    };
    let mut sorted: Vec<u32> = (0..count as u32).collect();
    by_density(&clusters, &mut sorted);
    for node in sorted.iter().copied() {
        let Some((caller, calls)) = best[node as usize] else { continue };
        if u128::from(calls) * CALLS_OF_BEST <= u128::from(weights[node as usize]) {
            continue;
        }
        let leader = leader(&mut leaders, caller);
        if leader == node || !may_follow(&clusters[leader as usize], &clusters[node as usize]) {
            continue;
        }
        leaders[node as usize] = leader;
        let callee = &mut clusters[node as usize];
        let (members, size, weight) = (std::mem::take(&mut callee.members), callee.size, callee.weight);
        let front = &mut clusters[leader as usize];
        front.members.extend(members);
        front.size = front.size.saturating_add(size);
        front.weight = front.weight.saturating_add(weight);
    }
    sorted.retain(|node| leaders[*node as usize] == *node);
    sorted.sort_unstable();
    by_density(&clusters, &mut sorted);
    sorted.into_iter().flat_map(|node| std::mem::take(&mut clusters[node as usize].members)).collect()
}

/// Whether one cluster may be put behind another.
fn may_follow(front: &Cluster, back: &Cluster) -> bool {
    let size = front.size.saturating_add(back.size);
    let density = front.weight.saturating_add(back.weight) as f64 / size as f64;
    size <= SIZE_MAX && density >= front.density() / DEGRADATION_MAX
}

/// The cluster a node is in; shortens the way there.
fn leader(leaders: &mut [u32], mut node: u32) -> u32 {
    while leaders[node as usize] != node {
        let next = leaders[node as usize];
        leaders[node as usize] = leaders[next as usize];
        node = leaders[node as usize];
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(sizes: &[u64], edges: &[(u32, u32, u64)]) -> Vec<u32> {
        sort(&Graph { sizes: sizes.to_vec(), edges: edges.to_vec() })
    }

    #[test]
    fn callees_follow_their_best_callers() {
        assert_eq!(sorted(&[10, 10, 10], &[(0, 1, 5), (1, 2, 100)]), [0, 1, 2]);
        assert_eq!(sorted(&[10, 10, 10, 10], &[(0, 3, 50), (3, 1, 40), (2, 1, 10)]), [0, 3, 1, 2]);
        assert_eq!(sorted(&[], &[]), [0; 0]);
    }

    #[test]
    fn what_calls_itself_stands_alone() {
        assert_eq!(sorted(&[10], &[(0, 0, 7)]), [0]);
        assert_eq!(sorted(&[10, 10], &[(0, 1, 3), (1, 0, 4)]).len(), 2);
    }

    #[test]
    fn clusters_stay_small_and_dense() {
        // Too large together.
        assert_eq!(sorted(&[SIZE_MAX, 10, 10], &[(0, 1, 5), (2, 2, 1)]), [1, 2, 0]);
        // The callee would thin out its caller.
        assert_eq!(sorted(&[10, 10_000, 20], &[(0, 0, 1000), (0, 1, 5), (2, 2, 400)]), [0, 2, 1]);
    }

    #[test]
    fn a_caller_of_many_is_none() {
        let mut edges: Vec<(u32, u32, u64)> = (1..=20).map(|from| (from, 0, 1)).collect();
        edges.push((5, 5, 100));
        let order = sorted(&[10; 21], &edges);
        assert_eq!(order[0], 5);
        assert_eq!(order[1], 0, "by its own density: nobody calls it in one of ten cases");
    }
}
