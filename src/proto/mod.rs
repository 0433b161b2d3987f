//! Generated wire and storage types. They stop at the doors and at `store/record.rs`.

use crate::delivery::Transport;

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
