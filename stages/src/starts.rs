//! Where groups begin in a list that is sorted by group: the first half of a counting sort.

/// Of each of `groups` groups where its members begin, and at the end how many members there are in all; `members` names
/// the group of each.
pub(crate) fn starts_of(groups: usize, members: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut starts = vec![0; groups + 1];
    for group in members {
        starts[group + 1] += 1;
    }
    for group in 0..groups {
        starts[group + 1] += starts[group];
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_begin_where_those_before_them_end() {
        assert_eq!(starts_of(4, [2, 0, 2, 3, 2].into_iter()), [0, 1, 1, 4, 5]);
        assert_eq!(starts_of(0, [].into_iter()), [0]);
    }
}
