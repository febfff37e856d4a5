//! COMDAT election: of the groups with one signature, that of the first live file stays.

use crate::context::Cx;
use crate::model::Inputs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Which sections lose. `bound` is the bound of symbol ids, which signatures are.
pub(super) fn elect(cx: &Cx, inputs: &Inputs, live: &[bool], bound: usize) -> Vec<bool> {
    let winner: Vec<AtomicU32> = (0..bound).map(|_| AtomicU32::new(u32::MAX)).collect();
    let live_object =
        |i: usize| Some(inputs.objects[i]).filter(|id| live[id.index()]).map(|id| inputs.object(id));
    cx.pool.for_each("select/comdat", inputs.objects.len(), 16, |i| {
        let Some(object) = live_object(i) else { return };
        for group in &object.groups {
            let cell = &winner[group.signature.index()];
            if object.id.0 < cell.load(Ordering::Relaxed) {
                cell.fetch_min(object.id.0, Ordering::Relaxed);
            }
        }
    });
    let discarded: Vec<AtomicBool> = (0..inputs.section_bound).map(|_| AtomicBool::new(false)).collect();
    cx.pool.for_each("select/comdat", inputs.objects.len(), 16, |i| {
        let Some(object) = live_object(i) else { return };
        for group in &object.groups {
            if winner[group.signature.index()].load(Ordering::Relaxed) != object.id.0 {
                for member in object.members_of(group) {
                    discarded[object.section_id(member as usize).index()].store(true, Ordering::Relaxed);
                }
            }
        }
    });
    discarded.into_iter().map(AtomicBool::into_inner).collect()
}
