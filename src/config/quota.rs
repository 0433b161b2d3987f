//! How much of the disk systems may fill in a day, as it is configured.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Config, Error};
use crate::directory::SystemId;
use crate::gateway::Allowances;

/// Bytes of uploads and documents that a system may add in a day; others are told before they travel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSection {
    /// For every system that is not named below, in MiB; 1 TiB if not given.
    pub mib_per_day: Option<u64>,
    /// For single systems, by their ids, in MiB.
    pub systems: BTreeMap<String, u64>,
}

/// The allowances that a configuration sets.
///
/// # Errors
/// A name that is no system's id.
pub fn allowances(config: &Config) -> Result<Allowances, Error> {
    let bytes = |mib: u64| mib.saturating_mul(1024 * 1024);
    let mut allowances = Allowances::default();
    if let Some(mib) = config.quota.mib_per_day {
        allowances.usual = bytes(mib);
    }
    for (name, mib) in &config.quota.systems {
        let id = SystemId::parse(name).ok_or_else(|| {
            Error::new(&config.data, format!("quota.systems: no system {name:?}"))
        })?;
        allowances.named.insert(id, bytes(*mib));
    }
    Ok(allowances)
}
