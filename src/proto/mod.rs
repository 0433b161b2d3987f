//! Generated wire and storage types. They stop at the doors and at `store/record.rs`.

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
