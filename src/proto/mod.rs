//! Generated wire and storage types. They stop at the doors and at `store/record.rs`.

use bytes::Bytes;

use crate::clock::Time;
use crate::delivery::Transport;
use crate::digest::Sha256;
use crate::evidence::Receipt;
use crate::log::{Entry, EntryId};

/// Interface types and services.
pub mod v1 {
    tonic::include_proto!("vanthu.v1");
}

/// The operator's calls on the machine itself.
pub mod control {
    tonic::include_proto!("vanthu.control.v1");
}

/// Stored values.
pub mod storage {
    tonic::include_proto!("vanthu.storage.v1");
}

/// Descriptors of everything in `proto/`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vanthu_descriptor.bin"));

/// Every state of the content on the wire.
const TRANSPORTS: [(v1::Transport, Transport); 8] = [
    (v1::Transport::Consigned, Transport::Consigned),
    (v1::Transport::HandedOver, Transport::HandedOver),
    (v1::Transport::Rejected, Transport::Rejected),
    (v1::Transport::Relaying, Transport::Relaying),
    (v1::Transport::Relayed, Transport::Relayed),
    (v1::Transport::RelayRejected, Transport::RelayRejected),
    (v1::Transport::Redirected, Transport::Redirected),
    (v1::Transport::Withdrawn, Transport::Withdrawn),
];

impl From<Transport> for v1::Transport {
    fn from(transport: Transport) -> Self {
        let wire = TRANSPORTS.iter().find(|(_, known)| *known == transport);
        wire.map_or(Self::Unspecified, |(wire, _)| *wire)
    }
}

impl v1::Transport {
    /// The state that it names; `None` for none.
    pub fn state(self) -> Option<Transport> {
        TRANSPORTS.iter().find(|(known, _)| *known == self).map(|(_, transport)| *transport)
    }
}

/// A moment on the wire.
pub fn timestamp(time: Time) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.millis().rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds: time.seconds(), nanos }
}

impl From<EntryId> for v1::EntryId {
    fn from(id: EntryId) -> Self {
        Self { epoch: id.epoch, index: id.index }
    }
}

impl From<Receipt> for v1::Receipt {
    fn from(receipt: Receipt) -> Self {
        let hash = |hash: &Sha256| Bytes::copy_from_slice(&hash.0);
        Self {
            entry_id: Some(receipt.id.into()),
            time: Entry::from_leaf(&receipt.leaf).ok().map(|entry| timestamp(entry.time)),
            leaf: Bytes::from(receipt.leaf),
            inclusion_path: receipt.path.iter().map(hash).collect(),
            checkpoint: Bytes::from(receipt.checkpoint),
        }
    }
}

impl v1::Receipt {
    /// The receipt, of which nothing is known to be true; `None` if it is none.
    pub fn read(&self) -> Option<Receipt> {
        let v1::EntryId { epoch, index } = self.entry_id?;
        let path = self.inclusion_path.iter().map(|hash| Sha256::from_slice(hash));
        Some(Receipt {
            leaf: self.leaf.to_vec(),
            id: EntryId { epoch, index },
            path: path.collect::<Option<_>>()?,
            checkpoint: self.checkpoint.to_vec(),
        })
    }
}
