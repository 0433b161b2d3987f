//! A witness: it remembers the newest checkpoint of each log that it watches, and cosigns the next
//! one only if that extends it. Who shows one log to us and another one to others is found out.
//!
//! The protocol is C2SP tlog-witness; what is ours, from epoch to epoch and about forks, is defined
//! in `FORMAT.md`. Nothing here decides what is durable: the caller keeps a note before it cosigns.

mod fork;
mod request;
mod seen;
#[cfg(test)]
mod tests;

pub use fork::{Fork, ForkError, Forked, Proof};
pub use request::Request;
pub use seen::{Refused, Seen, Why};
