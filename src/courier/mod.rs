//! Couriers: what goes out from the gateway by itself. Each holds back nothing but its own errand.

pub mod stamping;
pub mod timestamp;
