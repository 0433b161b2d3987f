//! Vanthu (văn thư): a gateway that routes signed official documents and can prove every step.
//!
//! The modules stand in the order in which a document walks through them. A module uses only
//! modules above it; `tests/tidy.rs` checks that.

// ground: words every room uses
pub mod clock;
pub mod calendar;
pub mod digest;
pub mod limits;
pub mod refusal;
pub mod source;

// rooms: pure and synchronous
pub mod directory;
pub mod document;
pub mod signature;
pub mod routing;
pub mod log;
pub mod dossier;
pub mod delivery;
pub mod evidence;
pub mod statistics;
pub mod witness;
pub mod audit;

// hall: the only place where the rooms meet
pub mod gateway;

// plant: wires and disks
pub mod proto;
pub mod store;
pub mod courier;

// doors: gRPC, and HTTPS for readers of the log
pub mod service;
pub mod readers;

// roof
pub mod config;
pub mod telemetry;
pub mod server;
pub mod workshop;
pub mod client;
pub mod cli;
