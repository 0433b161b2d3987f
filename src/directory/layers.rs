//! Depth of a graph without circles, or a node on a circle.

/// The number of edges on the longest path through nodes `0..count`.
///
/// # Errors
/// A node that lies on a circle or behind one.
pub(super) fn depth(count: usize, edges: &[(u32, u32)]) -> Result<usize, u32> {
    let mut sorted = edges.to_vec();
    sorted.sort_unstable();
    let mut incoming = vec![0_u32; count];
    for (_, to) in &sorted {
        incoming[*to as usize] += 1;
    }
    let node = |index: usize| u32::try_from(index).expect("rows are counted in 32 bits");
    let mut layer: Vec<u32> = (0..count).filter(|one| incoming[*one] == 0).map(node).collect();
    let (mut seen, mut depth) = (layer.len(), 0);
    loop {
        let mut next = Vec::new();
        for from in &layer {
            let start = sorted.partition_point(|(other, _)| other < from);
            for (_, to) in sorted[start..].iter().take_while(|(other, _)| other == from) {
                incoming[*to as usize] -= 1;
                if incoming[*to as usize] == 0 {
                    next.push(*to);
                }
            }
        }
        if next.is_empty() {
            break;
        }
        seen += next.len();
        depth += 1;
        layer = next;
    }
    let left = || (0..count).find(|one| incoming[*one] > 0).map_or(0, node);
    if seen == count { Ok(depth) } else { Err(left()) }
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn the_longest_path_counts_and_a_circle_is_found() {
        assert_eq!(depth(0, &[]), Ok(0));
        assert_eq!(depth(4, &[(0, 1), (1, 2), (0, 2), (3, 2)]), Ok(2));
        assert_eq!(depth(4, &[(0, 1), (1, 2), (2, 1)]), Err(1));
        assert_eq!(depth(1, &[(0, 0)]), Err(0));
    }
}
