//! Who time-stamps checkpoints, as it is configured.

use std::time::Duration;

use serde::Deserialize;

use super::{Config, Error};
use crate::courier::stamping::Stamping;
use crate::courier::timestamp::Authority;
use crate::limits::TIMESTAMP_WAIT_MAX;
use crate::log::{Service, ServiceKind};

/// The time-stamping authority.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampAuthority {
    /// Its `http` address (RFC 3161 §3.4).
    pub url: String,
    /// Its name in the log: 1–64 of `0-9 a-z . -`.
    pub name: String,
    /// Seconds from one time-stamp to the next; an hour if not given.
    #[serde(default = "an_hour")]
    pub interval_seconds: u64,
    /// Seconds that it may take.
    #[serde(default = "wait")]
    pub wait_seconds: u64,
}

fn an_hour() -> u64 {
    3_600
}

fn wait() -> u64 {
    30
}

/// What the configuration asks for; `None` if it names no authority.
///
/// # Errors
/// An address, a name or a time that cannot be used.
pub fn stamping(config: &Config) -> Result<Option<Stamping>, Error> {
    let Some(wanted) = &config.timestamp else { return Ok(None) };
    let wrong = |problem: String| Error::new(&config.data, format!("timestamp: {problem}"));
    if wanted.interval_seconds == 0 || wanted.wait_seconds == 0 {
        return Err(wrong("seconds must not be 0".into()));
    }
    let wait = Duration::from_secs(wanted.wait_seconds).min(TIMESTAMP_WAIT_MAX);
    let authority = Authority::new(&wanted.url, wait).map_err(|error| wrong(error.to_string()))?;
    let service = Service::new(ServiceKind::Tsa, &wanted.name)
        .ok_or_else(|| wrong("name: 1–64 of 0-9 a-z . -".into()))?;
    let interval = Duration::from_secs(wanted.interval_seconds);
    Ok(Some(Stamping { authority, service, interval }))
}
