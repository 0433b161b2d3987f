//! Has checkpoints time-stamped, one at an interval. While the authority is out, only this waits.

use std::sync::Arc;
use std::time::Duration;

use super::timestamp::Authority;
use crate::digest::Sha256;
use crate::gateway::{Error, Gateway, StampError};
use crate::limits::STAMP_RETRY;
use crate::log::Service;

/// Whom to ask, and how often.
#[derive(Debug, Clone)]
pub struct Stamping {
    /// The authority.
    pub authority: Authority,
    /// Its name in the log.
    pub service: Service,
    /// From one checkpoint to the next.
    pub interval: Duration,
}

impl Stamping {
    /// Stamps for as long as the gateway runs. A checkpoint that nothing followed but the record of its
    /// own time-stamp is not stamped again.
    ///
    /// # Errors
    /// The gateway's, once it cannot write any more.
    pub async fn run(self, gateway: Arc<Gateway>) -> Result<(), Error> {
        let mut quiet = None;
        loop {
            let pause = match self.stamp(&gateway, &mut quiet).await {
                Ok(()) => self.interval,
                Err(StampError::Gateway(error)) => return Err(error),
                Err(StampError::Token { .. }) => self.interval.min(STAMP_RETRY),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn stamp(
        &self,
        gateway: &Gateway,
        quiet: &mut Option<(u32, u64)>,
    ) -> Result<(), StampError> {
        let next = gateway.to_stamp().map_err(Error::from)?;
        let Some(next) = next.filter(|next| *quiet != Some((next.head.epoch, next.head.size)))
        else {
            return Ok(());
        };
        let asked_at = gateway.now();
        let answer = self.authority.ask(Sha256::of(&next.text)).await;
        let recorded = match answer {
            Ok(token) => gateway.record_stamp(&next, &self.service, token, asked_at).await,
            Err(error) => Err(StampError::Token { code: "NO_ANSWER", message: error.to_string() }),
        };
        match recorded {
            Ok(entries) => {
                *quiet = Some((next.head.epoch, next.head.size + entries));
                Ok(())
            }
            Err(StampError::Token { code, message }) => {
                tracing::warn!(service = %self.service, code, message, "no time-stamp");
                gateway.record_outage(&self.service, asked_at).await?;
                Err(StampError::Token { code, message })
            }
            Err(error) => Err(error),
        }
    }
}
