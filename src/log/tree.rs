//! The Merkle tree of RFC 6962 §2.1: hashing, growth and proofs. Pure arithmetic on hashes; where
//! the hashes come from is [`Nodes`].

use crate::digest::Sha256;

/// Hash of a leaf: SHA-256(0x00 ‖ leaf bytes).
pub fn leaf_hash(leaf: &[u8]) -> Sha256 {
    Sha256::of_parts(&[&[0], leaf])
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    Sha256::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Sha256 {
    Sha256::of(&[])
}

/// Roots of complete subtrees: `height` 0 is a leaf, and `index` counts subtrees of that height
/// from the left.
pub trait Nodes {
    /// What may go wrong while reading one.
    type Error;

    /// The root of the complete subtree over leaves `index << height .. (index + 1) << height`.
    ///
    /// # Errors
    /// Whatever the medium says; the tree itself never asks for a node that is not complete.
    fn node(&self, height: u32, index: u64) -> Result<Sha256, Self::Error>;
}

/// The complete subtrees that cover a tree of `size` leaves, left (largest) to right, as
/// `(height, index)`.
fn peaks_of(start: u64, size: u64) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    (0..u64::BITS)
        .rev()
        .filter(move |height| size >> height & 1 == 1)
        .map(move |height| (height, (size >> height) - 1))
        .filter(move |(height, index)| index << height >= start)
}

/// The root over leaves `start..size`, where `start` is a multiple of a power of two that is not
/// smaller than `size - start`.
fn edge<N: Nodes + ?Sized>(nodes: &N, start: u64, size: u64) -> Result<Sha256, N::Error> {
    let mut root: Option<Sha256> = None;
    for (height, index) in peaks_of(start, size).rev() {
        let peak = nodes.node(height, index)?;
        root = Some(match root {
            Some(right) => node_hash(&peak, &right),
            None => peak,
        });
    }
    Ok(root.unwrap_or_else(empty_root))
}

/// The root of the tree of the first `size` leaves (RFC 6962 §2.1, MTH).
///
/// # Errors
/// Those of `nodes`.
pub fn root<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Sha256, N::Error> {
    edge(nodes, 0, size)
}

/// The audit path of leaf `index` in the tree of `size` leaves (RFC 6962 §2.1.1), leaf side first.
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// If `index` is not below `size`.
pub fn inclusion<N: Nodes + ?Sized>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Sha256>, N::Error> {
    assert!(index < size, "leaf {index} is not in a tree of {size}");
    let mut path = Vec::new();
    let mut height = 0;
    while (size - 1) >> height > 0 {
        let sibling = (index >> height) ^ 1;
        let start = sibling << height;
        if (sibling + 1) << height <= size {
            path.push(nodes.node(height, sibling)?);
        } else if start < size {
            path.push(edge(nodes, start, size)?);
        }
        height += 1;
    }
    Ok(path)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves
/// (RFC 6962 §2.1.2). Empty if `old` is 0 or equals `new`.
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// If `old` is larger than `new`.
pub fn consistency<N: Nodes + ?Sized>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Sha256>, N::Error> {
    assert!(old <= new, "a tree of {new} does not extend one of {old}");
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut proof = Vec::new();
    // Walk down to the last leaf of the old tree, keeping what stands beside the way.
    let (mut start, mut end) = (0, new);
    let mut whole = true;
    let mut beside = Vec::new();
    while old != end {
        let split = start + (end - start).next_power_of_two() / 2;
        if old <= split {
            beside.push((split, end));
            end = split;
        } else {
            beside.push((start, split));
            start = split;
            whole = false;
        }
    }
    if !whole {
        proof.push(span(nodes, start, end)?);
    }
    for (from, to) in beside.into_iter().rev() {
        proof.push(span(nodes, from, to)?);
    }
    Ok(proof)
}

/// The root over leaves `start..end`: a complete subtree or the right edge of the tree of `end`.
fn span<N: Nodes + ?Sized>(nodes: &N, start: u64, end: u64) -> Result<Sha256, N::Error> {
    let count = end - start;
    if count.is_power_of_two() {
        let height = count.trailing_zeros();
        nodes.node(height, start >> height)
    } else {
        edge(nodes, start, end)
    }
}

/// A proof does not lead from what it claims to what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof has a hash too many or too few for the sizes.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The recomputed root is another one.
    #[error("the proof leads to another root")]
    Root,
    /// The index or the sizes cannot belong together.
    #[error("the index lies outside the tree")]
    Range,
}

/// Checks an audit path (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`ProofError`] if `leaf` is not proven to be leaf `index` of the tree `size`, `root`.
pub fn verify_inclusion(
    leaf: &Sha256,
    index: u64,
    size: u64,
    path: &[Sha256],
    root: &Sha256,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range);
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks a consistency proof (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`ProofError`] if the tree `old`, `old_root` is not proven to be a prefix of `new`, `new_root`.
pub fn verify_consistency(
    old: u64,
    old_root: &Sha256,
    new: u64,
    new_root: &Sha256,
    proof: &[Sha256],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Range);
    }
    if old == new || old == 0 {
        let expected = if old == 0 { &empty_root() } else { new_root };
        if !proof.is_empty() {
            return Err(ProofError::Length);
        }
        return if old_root == expected { Ok(()) } else { Err(ProofError::Root) };
    }
    match consistency_roots(old, old_root, new, proof)? {
        roots if roots == (*old_root, *new_root) => Ok(()),
        _ => Err(ProofError::Root),
    }
}

/// The roots of the trees `old` and `new` to which a consistency proof leads. Where `old` is a power
/// of two the proof leaves its root out, and `old_root` stands in.
///
/// # Errors
/// [`ProofError::Range`] unless 0 < `old` < `new`, [`ProofError::Length`].
pub fn consistency_roots(
    old: u64,
    old_root: &Sha256,
    new: u64,
    proof: &[Sha256],
) -> Result<(Sha256, Sha256), ProofError> {
    if old == 0 || old >= new {
        return Err(ProofError::Range);
    }
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let mut hashes = proof.iter();
    let first = if position == 0 { old_root } else { hashes.next().ok_or(ProofError::Length)? };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    Ok((old_hash, new_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 §2.1, word for word and slow: what the rest is held against.
    struct Leaves(Vec<Sha256>);

    impl Leaves {
        fn of(count: u64) -> Self {
            Self((0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect())
        }

        fn mth(leaves: &[Sha256]) -> Sha256 {
            match leaves.len() {
                0 => empty_root(),
                1 => leaves[0],
                count => {
                    let (left, right) = leaves.split_at(count.next_power_of_two() / 2);
                    node_hash(&Self::mth(left), &Self::mth(right))
                }
            }
        }
    }

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;

        fn node(&self, height: u32, index: u64) -> Result<Sha256, Self::Error> {
            let start = (index << height) as usize;
            Ok(Self::mth(&self.0[start..start + (1 << height)]))
        }
    }

    #[test]
    fn every_small_tree_proves_every_leaf_and_every_prefix() {
        let all = Leaves::of(70);
        for size in 0..=70u64 {
            let Ok(tree_root) = root(&all, size);
            assert_eq!(tree_root, Leaves::mth(&all.0[..size as usize]), "root of {size}");
            for index in 0..size {
                let Ok(path) = inclusion(&all, index, size);
                let leaf = &all.0[index as usize];
                assert_eq!(verify_inclusion(leaf, index, size, &path, &tree_root), Ok(()));
                assert!(verify_inclusion(leaf, index ^ 1, size, &path, &tree_root).is_err());
                let Ok(old_root) = root(&all, index);
                let Ok(proof) = consistency(&all, index, size);
                assert_eq!(verify_consistency(index, &old_root, size, &tree_root, &proof), Ok(()));
            }
        }
    }

    #[test]
    fn a_bent_proof_is_refused() {
        let all = Leaves::of(37);
        let Ok(tree_root) = root(&all, 37);
        let Ok(mut path) = inclusion(&all, 5, 37);
        path[2].0[0] ^= 1;
        assert_eq!(verify_inclusion(&all.0[5], 5, 37, &path, &tree_root), Err(ProofError::Root));
        path.pop();
        assert_eq!(verify_inclusion(&all.0[5], 5, 37, &path, &tree_root), Err(ProofError::Length));
        assert_eq!(verify_inclusion(&all.0[5], 37, 37, &path, &tree_root), Err(ProofError::Range));

        let Ok(old_root) = root(&all, 21);
        let Ok(mut proof) = consistency(&all, 21, 37);
        let bent = Sha256::of(b"another root");
        assert_eq!(verify_consistency(21, &bent, 37, &tree_root, &proof), Err(ProofError::Root));
        assert_eq!(verify_consistency(21, &old_root, 37, &bent, &proof), Err(ProofError::Root));
        proof.push(bent);
        assert_eq!(
            verify_consistency(21, &old_root, 37, &tree_root, &proof),
            Err(ProofError::Length)
        );
        assert_eq!(verify_consistency(5, &old_root, 4, &tree_root, &[]), Err(ProofError::Range));
    }

    #[test]
    fn the_roots_of_rfc_6962_test_vectors_come_out() {
        // certificate-transparency reference inputs: 8 leaves of growing length.
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves = Leaves(inputs.iter().map(|input| leaf_hash(input)).collect());
        let expected = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (index, text) in expected.iter().enumerate() {
            let Ok(tree_root) = root(&leaves, index as u64 + 1);
            assert_eq!(tree_root.to_string(), *text);
        }
    }
}
