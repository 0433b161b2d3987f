//! The writer's side of the tree: what must be kept to go on appending, and what one batch adds.
//!
//! Hashes are stored in *rows*: 128 neighbouring nodes of height 0, 8, 16, … A row is half a
//! C2SP tile, because a value above 4 KiB is not safe in sled (design D9).

use crate::digest::Sha256;

use super::tree::{self, Nodes};

/// Nodes in a full row: 128 × 32 bytes = 4 KiB.
pub const ROW_NODES: u64 = 128;
/// Height between two stored levels (C2SP tlog-tiles: 8).
pub const LEVEL_HEIGHT: u32 = 8;

/// Up to 128 neighbouring node hashes of one level, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Stored level: nodes have height `level * 8`.
    pub level: u8,
    /// Position of the row in its level: it starts at node `index * 128`.
    pub index: u64,
    /// The hashes, 32 bytes each, concatenated.
    pub hashes: Vec<u8>,
}

/// Reads rows; a missing row or node is the reader's error.
pub trait Rows {
    /// What may go wrong.
    type Error;

    /// The hashes of row `index` of `level`, concatenated.
    ///
    /// # Errors
    /// Whatever the medium says, or that the row does not exist.
    fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, Self::Error>;

    /// The error for a row that is shorter than the tree says.
    fn short(&self, level: u8, index: u64) -> Self::Error;
}

/// [`Nodes`] over stored rows.
pub struct Stored<'a, R: Rows>(pub &'a R);

impl<R: Rows> Nodes for Stored<'_, R> {
    type Error = R::Error;

    fn node(&self, height: u32, index: u64) -> Result<Sha256, R::Error> {
        let level = u8::try_from(height / LEVEL_HEIGHT).expect("a tree has at most 8 levels");
        let spread = height % LEVEL_HEIGHT;
        let first = index << spread;
        let row_index = first / ROW_NODES;
        let row = self.0.row(level, row_index)?;
        let start = usize::try_from(first % ROW_NODES).expect("below 128") * 32;
        let hashes =
            row.get(start..start + (32 << spread)).ok_or_else(|| self.0.short(level, row_index))?;
        let mut nodes: Vec<Sha256> =
            hashes.chunks_exact(32).filter_map(Sha256::from_slice).collect();
        while nodes.len() > 1 {
            nodes = nodes.chunks_exact(2).map(|pair| tree::node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(nodes[0])
    }
}

/// A tree that can grow: its size, the roots of its complete subtrees, and its unfinished rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// By height; `Some` exactly where `size` has a one bit.
    peaks: Vec<Option<Sha256>>,
    /// By level: the last, unfinished row.
    rows: Vec<Vec<u8>>,
}

impl Tree {
    /// The tree of `size` leaves as it stands in `rows`.
    ///
    /// # Errors
    /// Those of `rows`.
    pub fn load<R: Rows>(rows: &R, size: u64) -> Result<Self, R::Error> {
        let nodes = Stored(rows);
        let mut tree = Self { size, ..Self::default() };
        for height in 0..u64::BITS - size.leading_zeros() {
            let complete = size >> height & 1 == 1;
            tree.peaks.push(match complete {
                true => Some(nodes.node(height, (size >> height) - 1)?),
                false => None,
            });
        }
        for level in 0u8.. {
            let count = size >> (u32::from(level) * LEVEL_HEIGHT);
            if count == 0 {
                break;
            }
            let partial = usize::try_from(count % ROW_NODES).expect("below 128") * 32;
            let mut row = match partial {
                0 => Vec::new(),
                _ => rows.row(level, count / ROW_NODES)?,
            };
            if row.len() < partial {
                return Err(rows.short(level, count / ROW_NODES));
            }
            row.truncate(partial);
            tree.rows.push(row);
        }
        Ok(tree)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves.
    pub fn root(&self) -> Sha256 {
        let Ok(root) = tree::root(&Peaks(self), self.size);
        root
    }

    /// Appends leaves; gives what the batch added.
    pub fn append(&mut self, leaves: Vec<Sha256>) -> Grown {
        let first = self.size;
        let mut levels = Vec::new();
        let mut nodes = leaves;
        let mut height = 0;
        loop {
            // `nodes` are the new nodes of this height; a peak of the old tree stands before them.
            let old_peak = self.peaks.get(height).copied().flatten();
            let start = (first >> height) - u64::from(old_peak.is_some());
            let all: Vec<Sha256> = old_peak.into_iter().chain(nodes).collect();
            nodes = all.chunks_exact(2).map(|pair| tree::node_hash(&pair[0], &pair[1])).collect();
            let more = height + 1 < self.peaks.len();
            levels.push((start, all));
            if nodes.is_empty() && !more {
                break;
            }
            height += 1;
        }
        let count = levels[0].1.len() as u64 - (first & 1);
        let grown = Grown { first, size: first + count, levels };
        self.take(&grown);
        grown
    }

    fn take(&mut self, grown: &Grown) {
        self.size = grown.size;
        self.peaks = (0..u64::BITS - self.size.leading_zeros())
            .map(|height| {
                let complete = self.size >> height & 1 == 1;
                complete.then(|| {
                    let Ok(peak) = grown.node(height, (self.size >> height) - 1);
                    peak
                })
            })
            .collect();
    }

    /// The rows that the batch `grown` began, filled or finished.
    pub fn rows_of(&mut self, grown: &Grown) -> Vec<Row> {
        let mut changed = Vec::new();
        for level in 0u8.. {
            let height = u32::from(level) * LEVEL_HEIGHT;
            let (old, new) = (grown.first >> height, grown.size >> height);
            if new == 0 {
                break;
            }
            if self.rows.len() <= usize::from(level) {
                self.rows.push(Vec::new());
            }
            let row = &mut self.rows[usize::from(level)];
            for index in old..new {
                let Ok(hash) = grown.node(height, index);
                row.extend_from_slice(&hash.0);
                let last_of_row = index % ROW_NODES == ROW_NODES - 1;
                if last_of_row || index + 1 == new {
                    changed.push(Row { level, index: index / ROW_NODES, hashes: row.clone() });
                }
                if last_of_row {
                    row.clear();
                }
            }
        }
        changed
    }
}

struct Peaks<'a>(&'a Tree);

impl Nodes for Peaks<'_> {
    type Error = std::convert::Infallible;

    fn node(&self, height: u32, _index: u64) -> Result<Sha256, Self::Error> {
        let peak = self.0.peaks.get(height as usize).copied().flatten();
        Ok(peak.expect("a tree of this size has a complete subtree of this height"))
    }
}

/// What one batch added: enough to prove each of its leaves without reading anything.
#[derive(Debug, Clone)]
pub struct Grown {
    first: u64,
    size: u64,
    /// By height: index of the first node kept, and the nodes.
    levels: Vec<(u64, Vec<Sha256>)>,
}

impl Grown {
    /// Index of the batch's first leaf.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Size of the tree after the batch.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The audit path of leaf `index` of this batch in the tree as it stands after the batch.
    pub fn inclusion(&self, index: u64) -> Vec<Sha256> {
        assert!(index >= self.first, "leaf {index} is older than this batch");
        let Ok(path) = tree::inclusion(self, index, self.size);
        path
    }
}

impl Nodes for Grown {
    type Error = std::convert::Infallible;

    fn node(&self, height: u32, index: u64) -> Result<Sha256, Self::Error> {
        let node = self.levels.get(height as usize).and_then(|(start, nodes)| {
            nodes.get(usize::try_from(index.checked_sub(*start)?).ok()?).copied()
        });
        Ok(node.expect("every sibling of a new leaf is new or a peak of the old tree"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tree::{leaf_hash, verify_inclusion};
    use std::collections::HashMap;

    #[derive(Default)]
    struct Memory(HashMap<(u8, u64), Vec<u8>>);

    impl Rows for Memory {
        type Error = (u8, u64);
        fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, (u8, u64)> {
            self.0.get(&(level, index)).cloned().ok_or((level, index))
        }
        fn short(&self, level: u8, index: u64) -> (u8, u64) {
            (level, index)
        }
    }

    #[test]
    fn batches_of_any_size_give_the_same_tree_as_one_by_one() {
        for seed in 1..40u64 {
            let mut memory = Memory::default();
            let mut tree = Tree::default();
            let mut reference = Tree::default();
            let mut random = seed;
            for _ in 0..30 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let count = 1 + (random >> 33) % 70;
                let leaves: Vec<Sha256> = (tree.size()..tree.size() + count)
                    .map(|index| leaf_hash(&index.to_be_bytes()))
                    .collect();
                for leaf in &leaves {
                    reference.append(vec![*leaf]);
                }
                let grown = tree.append(leaves.clone());
                for row in tree.rows_of(&grown) {
                    assert!(row.hashes.len() <= 4096);
                    memory.0.insert((row.level, row.index), row.hashes);
                }
                assert_eq!(tree.root(), reference.root());
                for (index, leaf) in (grown.first()..).zip(&leaves) {
                    let path = grown.inclusion(index);
                    let checked = verify_inclusion(leaf, index, tree.size(), &path, &tree.root());
                    assert_eq!(checked, Ok(()));
                    assert_eq!(tree::inclusion(&Stored(&memory), index, tree.size()), Ok(path));
                }
            }
            assert_eq!(Tree::load(&memory, tree.size()), Ok(tree));
        }
    }
}
