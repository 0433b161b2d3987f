//! Evidence records (RFC 4998): time-stamps over the roots of hash trees, each renewed by the next.
//!
//! A record says nothing about what it protects but hashes. Here it is read, and said over which bytes
//! each of its time-stamps must be; a record that leaves a link out has no such bytes.

use ring::digest;

use super::algorithm::Hash;
use super::asn1::{self, Malformed, Value, encode, tag};
use super::timestamp;
use crate::limits::{EVIDENCE_HASHES_MAX, TIMESTAMPS_MAX};

/// A record, the oldest time-stamp first.
#[derive(Debug)]
pub(super) struct EvidenceRecord<'a> {
    chains: Vec<Chain<'a>>,
}

#[derive(Debug)]
struct Chain<'a> {
    raw: &'a [u8],
    stamps: Vec<ArchiveStamp<'a>>,
}

/// ArchiveTimeStamp.
#[derive(Debug)]
pub(super) struct ArchiveStamp<'a> {
    /// What the tree is hashed with.
    pub hash: Hash,
    pub token: &'a [u8],
    /// From the leaves to the root.
    lists: Vec<Vec<&'a [u8]>>,
}

/// Why a record is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Malformed,
    /// What it protects is encrypted, and how it was is a matter of its own (§6).
    Encrypted,
    /// More time-stamps or hashes than are judged.
    TooLong,
}

impl From<Malformed> for Unread {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a time-stamp of a record must be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamped {
    /// The data object of this number, as it is.
    Object(usize),
    Bytes(Vec<u8>),
}

/// A hash, and what it is of.
struct Leaf {
    digest: Vec<u8>,
    of: Stamped,
}

impl<'a> EvidenceRecord<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unread> {
        let mut fields = asn1::only(bytes, tag::SEQUENCE)?.children();
        if fields.expect(tag::INTEGER)?.content != [1] {
            return Err(Unread::Malformed);
        }
        // Which hashes are used stands in each time-stamp again.
        fields.expect(tag::SEQUENCE)?;
        fields.optional(tag::CONTEXT_0)?;
        if fields.optional(tag::CONTEXT_1)?.is_some() {
            return Err(Unread::Encrypted);
        }
        let mut sequence = fields.expect(tag::SEQUENCE)?.children();
        if !fields.is_empty() {
            return Err(Unread::Malformed);
        }
        let mut chains = Vec::new();
        let (mut stamps, mut hashes) = (0, 0);
        while !sequence.is_empty() {
            let chain = Chain::read(sequence.expect(tag::SEQUENCE)?)?;
            stamps += chain.stamps.len();
            let lists = chain.stamps.iter().flat_map(|stamp| &stamp.lists);
            hashes += lists.map(Vec::len).sum::<usize>();
            if stamps > TIMESTAMPS_MAX || hashes > EVIDENCE_HASHES_MAX {
                return Err(Unread::TooLong);
            }
            chains.push(chain);
        }
        let is_empty = chains.is_empty() || chains.iter().any(|chain| chain.stamps.is_empty());
        if is_empty { Err(Unread::Malformed) } else { Ok(Self { chains }) }
    }

    /// Every time-stamp with what it must be over, the oldest first. `objects` gives the digests of
    /// all data objects; `None` stands where the record leaves out what it should protect, or where a
    /// hash is not computed here.
    pub fn stamps(
        &self,
        objects: &dyn Fn(&Hash) -> Option<Vec<Vec<u8>>>,
    ) -> Vec<(&ArchiveStamp<'a>, Option<Stamped>)> {
        let mut stamps = Vec::new();
        for (number, chain) in self.chains.iter().enumerate() {
            let mut previous: Option<&ArchiveStamp<'a>> = None;
            for stamp in &chain.stamps {
                let leaves = match previous {
                    // §5.2: a renewed time-stamp is over the one before it.
                    Some(previous) => stamp.leaf(previous.token.to_vec()).map(|leaf| vec![leaf]),
                    None => self.leaves(number, stamp, objects),
                };
                let stamped = leaves.and_then(|leaves| stamp.climb(leaves));
                stamps.push((stamp, stamped));
                previous = Some(stamp);
            }
        }
        stamps
    }

    /// What the first time-stamp of a chain protects.
    fn leaves(
        &self,
        number: usize,
        stamp: &ArchiveStamp<'_>,
        objects: &dyn Fn(&Hash) -> Option<Vec<Vec<u8>>>,
    ) -> Option<Vec<Leaf>> {
        let digests = objects(&stamp.hash)?;
        let earlier: Vec<&[u8]> = self.chains.iter().take(number).map(|chain| chain.raw).collect();
        if earlier.is_empty() {
            let leaf = |(at, digest)| Leaf { digest, of: Stamped::Object(at) };
            return Some(digests.into_iter().enumerate().map(leaf).collect());
        }
        // §5.2: a renewed tree is over each object together with all chains before it.
        let earlier = digest::digest(stamp.hash.ring()?, &encode(tag::SEQUENCE, &earlier));
        let both = |digest: Vec<u8>| stamp.leaf([&digest[..], earlier.as_ref()].concat());
        digests.into_iter().map(both).collect()
    }
}

impl<'a> Chain<'a> {
    fn read(chain: Value<'a>) -> Result<Self, Unread> {
        let mut stamps = Vec::new();
        let mut list = chain.children();
        while !list.is_empty() && stamps.len() <= TIMESTAMPS_MAX {
            stamps.push(ArchiveStamp::read(list.expect(tag::SEQUENCE)?)?);
        }
        Ok(Self { raw: chain.raw, stamps })
    }
}

impl<'a> ArchiveStamp<'a> {
    fn read(stamp: Value<'a>) -> Result<Self, Malformed> {
        let mut fields = stamp.children();
        // The tags are implicit.
        let named = fields.optional(tag::CONTEXT_0)?;
        let named = named.map(|named| named.children().expect(tag::OBJECT_IDENTIFIER));
        fields.optional(tag::CONTEXT_1)?;
        let mut lists = Vec::new();
        if let Some(tree) = fields.optional(tag::CONTEXT_2)? {
            let mut tree = tree.children();
            while !tree.is_empty() && lists.len() <= EVIDENCE_HASHES_MAX {
                lists.push(hashes(tree.expect(tag::SEQUENCE)?)?);
            }
        }
        let token = fields.expect(tag::SEQUENCE)?.raw;
        let hash = match named {
            Some(oid) => Hash::from_oid(oid?.content),
            None => timestamp::imprint_of(token).ok_or(Malformed)?.0,
        };
        if fields.is_empty() { Ok(Self { hash, token, lists }) } else { Err(Malformed) }
    }

    fn leaf(&self, of: Vec<u8>) -> Option<Leaf> {
        let digest = digest::digest(self.hash.ring()?, &of).as_ref().to_vec();
        Some(Leaf { digest, of: Stamped::Bytes(of) })
    }

    /// From the leaves to the root (§4.3): every list holds what the one before it gives. Leaves that
    /// are not in the first list are not protected.
    fn climb(&self, leaves: Vec<Leaf>) -> Option<Stamped> {
        let mut known = leaves;
        for (number, list) in self.lists.iter().enumerate() {
            let mut values = list.clone();
            if number == 0 {
                let mut digests = known.iter().map(|leaf| &leaf.digest[..]);
                if !digests.all(|digest| values.contains(&digest)) {
                    return None;
                }
            } else {
                values.extend(known.iter().map(|leaf| &leaf.digest[..]));
            }
            // A group of one is its own hash.
            if values.len() > 1 {
                values.sort_unstable();
                known = vec![self.leaf(values.concat())?];
            }
        }
        match (known.pop(), known.is_empty()) {
            (Some(root), true) => Some(root.of),
            _ => None,
        }
    }
}

fn hashes(list: Value<'_>) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    let mut list = list.children();
    while !list.is_empty() && found.len() <= EVIDENCE_HASHES_MAX {
        found.push(list.expect(tag::OCTET_STRING)?.content);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as DSS 6.4 has it in `evidence-record-X-E-ERS-LT.ers`.
    #[test]
    fn a_tree_of_another_maker_leads_to_its_root() {
        let bytes = |hex: &str| -> Vec<u8> {
            let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(digit).collect()
        };
        let leaves = [
            "7d9b4c6fd20c688ce04eb6b9ac68fc35e2dc4a3762283475ffc746b17069bb04",
            "c11e286d28e42c372f99ff8c7e192d1164f6713b89a591dd00eca866b317cfd0",
        ];
        let above = "befc5ea0eafbcf6b022a855b562da05eec0c7b1909e95fbb7ab6241cb73cc63c";
        let root = "2f6826784f9d90f2f3c6675070f683f7d1e7587ad02fa041ab2142386ac8de41";
        let (leaves, above) = (leaves.map(bytes), bytes(above));
        let lists = vec![leaves.iter().map(Vec::as_slice).collect(), vec![&above[..]]];
        let stamp = ArchiveStamp { hash: Hash::Sha256, token: &[], lists };
        let leaf = |digest: &[u8]| Leaf { digest: digest.to_vec(), of: Stamped::Object(0) };
        for one in &leaves {
            let Some(Stamped::Bytes(of)) = stamp.climb(vec![leaf(one)]) else { panic!("a root") };
            assert_eq!(digest::digest(&digest::SHA256, &of).as_ref(), bytes(root));
        }
        assert_eq!(stamp.climb(leaves.iter().map(|one| leaf(one)).collect()), {
            stamp.climb(vec![leaf(&leaves[0])])
        });
        assert_eq!(stamp.climb(vec![leaf(&above)]), None, "not among the leaves");
    }

    #[test]
    fn nothing_but_whole_records_is_read() {
        let malformed = |bytes: &[u8]| EvidenceRecord::read(bytes).unwrap_err();
        assert_eq!(malformed(b"0"), Unread::Malformed);
        let version = encode(tag::INTEGER, &[&[1]]);
        let none = encode(tag::SEQUENCE, &[]);
        let record = |parts: &[&[u8]]| encode(tag::SEQUENCE, parts);
        assert_eq!(malformed(&record(&[&version, &none, &none])), Unread::Malformed, "no chain");
        let encrypted = record(&[&version, &none, &encode(tag::CONTEXT_1, &[]), &none]);
        assert_eq!(malformed(&encrypted), Unread::Encrypted);
        let empty = encode(tag::SEQUENCE, &[&none]);
        assert_eq!(malformed(&record(&[&version, &none, &empty])), Unread::Malformed);
        let algorithm = Hash::Sha256.oid().map(|oid| encode(tag::OBJECT_IDENTIFIER, &[&oid]));
        let algorithm = encode(tag::CONTEXT_0, &[&algorithm.unwrap()]);
        let stamp = encode(tag::SEQUENCE, &[&algorithm, &none]);
        let chain = encode(tag::SEQUENCE, &[&stamp]);
        let whole = record(&[&version, &none, &encode(tag::SEQUENCE, &[&chain])]);
        assert_eq!(EvidenceRecord::read(&whole).unwrap().chains.len(), 1);
        for size in 0..whole.len() {
            assert_eq!(malformed(&whole[..size]), Unread::Malformed);
        }
        let long = encode(tag::SEQUENCE, &[&stamp.repeat(TIMESTAMPS_MAX + 1)]);
        let long = record(&[&version, &none, &encode(tag::SEQUENCE, &[&long])]);
        assert_eq!(malformed(&long), Unread::TooLong);
    }
}
