//! How the stand-in fails when it is told to.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

/// How calls fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    fault: Option<Fault>,
    /// Only calls of this service.
    service: Option<String>,
    /// So many calls; all if not given.
    times: Option<u64>,
}

/// How one call fails.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault {
    /// With this HTTP status.
    pub(super) status: Option<StatusCode>,
    /// With this error code.
    pub(super) error_code: Option<i64>,
    /// After this time.
    pub(super) slow: Duration,
    /// What was asked is done all the same.
    pub(super) is_done: bool,
}

impl Faults {
    /// As they are told; without a field, nothing fails.
    pub(super) fn read(asked: &Value) -> Option<Self> {
        let asked = asked.as_object()?;
        let number = |name: &str| asked.get(name).map(Value::as_u64);
        let status = match number("status") {
            None => None,
            Some(number) => {
                let number = u16::try_from(number?).ok()?;
                Some(StatusCode::from_u16(number).ok()?)
            }
        };
        let error_code = match asked.get("error_code") {
            None => None,
            Some(code) => Some(code.as_i64()?),
        };
        let slow = Duration::from_millis(number("slow_ms").unwrap_or(Some(0))?);
        let is_done = asked.get("done").is_some_and(|done| *done == Value::Bool(true));
        let fault = Fault { status, error_code, slow, is_done };
        Some(Self {
            fault: (fault.fails() || !slow.is_zero()).then_some(fault),
            service: asked.get("service").and_then(Value::as_str).map(str::to_owned),
            times: match number("times") {
                None => None,
                Some(times) => Some(times?),
            },
        })
    }

    /// How this call fails, if it does.
    pub(super) fn next(&mut self, service: &str) -> Option<Fault> {
        if self.service.as_ref().is_some_and(|only| only != service) {
            return None;
        }
        if let Some(left) = &mut self.times {
            *left = left.checked_sub(1)?;
        }
        self.fault.clone()
    }
}

impl Fault {
    /// Whether it is more than slow.
    pub(super) fn fails(&self) -> bool {
        self.status.is_some() || self.error_code.is_some()
    }
}
