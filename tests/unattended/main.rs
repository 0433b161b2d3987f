//! What the gateway records by itself, without anybody waiting for it: over gRPC, with a clock that
//! the test moves.

mod authority;
mod country;
mod deadlines;
mod door;
mod dossiers;
mod outages;
mod stamps;
