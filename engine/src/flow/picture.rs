//! The graph of a flow: its order, checked, and its picture, a line a stage.
//!
//! ```text
//! ingest
//!   open     source         ==files:64==> parse
//!   parse    parallel       ==objects:16==> collect, ==names:256==> intern
//!   collect  serial
//!   intern   sharded by 16
//! ```

use std::fmt::Write;
use std::sync::Arc;

use super::channel::Link;
use super::stage::Desk;

/// Which stage receives from `link`.
fn receiver(desks: &[Arc<Desk>], link: &Arc<Link>) -> Option<usize> {
    desks.iter().position(|desk| desk.input().is_some_and(|input| Arc::ptr_eq(input, link)))
}

/// The stages furthest downstream first: every stage stands before those it receives from.
///
/// # Errors
/// Says what is wrong with the graph: a channel nobody receives from, or a circle.
pub(super) fn order(desks: &[Arc<Desk>], links: &[Arc<Link>]) -> Result<Vec<usize>, String> {
    if let Some(link) = links.iter().find(|link| !link.is_received()) {
        return Err(format!("no stage receives from channel {}", link.name()));
    }
    // Depth: the longest way from a stage to an end of the flow. A way longer than there are stages is a circle.
    let mut depth = vec![0usize; desks.len()];
    for round in 0..=desks.len() {
        let mut changed = None;
        for (at, desk) in desks.iter().enumerate() {
            for next in desk.outputs().iter().filter_map(|link| receiver(desks, link)) {
                if depth[at] <= depth[next] {
                    depth[at] = depth[next] + 1;
                    changed = Some(at);
                }
            }
        }
        match changed {
            None => break,
            Some(at) if round == desks.len() => {
                return Err(format!("stage {} feeds itself", desks[at].name()));
            }
            Some(_) => {}
        }
    }
    let mut order: Vec<usize> = (0..desks.len()).collect();
    // Among equals, those declared later: they are usually the later thought.
    order.sort_by_key(|&at| (depth[at], std::cmp::Reverse(at)));
    Ok(order)
}

/// The picture.
pub(super) fn draw(name: &str, desks: &[Arc<Desk>]) -> String {
    let kinds: Vec<String> = desks.iter().map(|desk| desk.kind()).collect();
    let name_width = desks.iter().map(|desk| desk.name().len()).max().unwrap_or(0);
    let kind_width = kinds.iter().map(String::len).max().unwrap_or(0);
    let mut text = format!("{name}\n");
    for (desk, kind) in desks.iter().zip(&kinds) {
        let arrows: Vec<String> = (desk.outputs().iter())
            .map(|link| {
                let to = receiver(desks, link).map_or("nobody", |at| desks[at].name());
                format!("=={}:{}==> {to}", link.name(), link.capacity())
            })
            .collect();
        let line = format!("  {:name_width$}  {kind:kind_width$}  {}", desk.name(), arrows.join(", "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
