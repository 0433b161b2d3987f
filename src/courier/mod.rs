//! Couriers: what goes out from the gateway by itself, with a deadline. Each holds back nothing but
//! its own errand, and never a submission.

pub(crate) mod der;
mod dial;
mod https;
pub mod portal;
pub mod relay;
pub mod stamping;
pub mod timestamp;
mod witness;

pub use dial::Dial;
pub use https::{Address, Client, NotAnAddress};
pub use witness::{Observer, Round, run as collect_cosignatures};
