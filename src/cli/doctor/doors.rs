//! The upper layers, through the gateway's own calls: clocks, role, directory, log head. Nothing is
//! written anywhere by them.

use std::time::Duration;

use tonic::Code;
use tonic::transport::Channel;

use super::reach::{Broken, Found, Ladder, Stopped};
use crate::cli::{Exit, Failure};
use crate::client::{self, reason_of};
use crate::clock::{Clock as _, SystemClock, Time};
use crate::limits::CLOCK_SKEW_MAX;
use crate::log::LogPublicKey;
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;
use crate::proto::v1::log_service_client::LogServiceClient;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;

/// How long each call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A consignment that does not exist: who may ask for it may act for the agency.
const NO_CONSIGNMENT: &str = "00000000-0000-0000-0000-000000000000";

/// Climbs the upper layers.
pub(super) async fn climb(
    ladder: &mut Ladder,
    client: &client::Options,
    code: &str,
    key: &LogPublicKey,
) -> Result<(), Stopped> {
    let channel = match tokio::time::timeout(PATIENCE, client.connect()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => return ladder.step("role", Err(turned_away(&error))),
        Err(_) => return ladder.step("role", Err(turned_away(&"no connection in time"))),
    };
    let asked = LogServiceClient::new(channel.clone())
        .get_checkpoint(within(v1::GetCheckpointRequest { epoch: 0 }))
        .await;
    let ours = SystemClock.now();
    let theirs = match &asked {
        Ok(answer) => answer.get_ref().time.map(|time| time.seconds),
        Err(status) => date_of(status),
    };
    if let Some(theirs) = theirs {
        ladder.step("clock", clock(ours, Time::from_seconds(theirs)))?;
    }
    let head = match asked {
        Ok(head) => Some(head.into_inner()),
        // So answers a log without entries.
        Err(status) if reason_of(&status).as_deref() == Some("ENTRY_UNKNOWN") => None,
        Err(status) => return ladder.step("role", Err(refused(status))),
    };
    ladder.step("role", role(channel.clone(), code).await)?;
    ladder.step("directory", directory(channel, code).await)?;
    ladder.step("log head", log_head(head.as_ref(), key))
}

fn within<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

fn turned_away(cause: &dyn std::fmt::Display) -> Broken {
    let fix =
        "the certificate in --cert must be under the gateway's CA for clients; ask its operator";
    Broken::new(Exit::NotPermitted, cause, fix)
}

/// The gateway's refusal, with what it says is to be done.
fn refused(status: tonic::Status) -> Broken {
    let connected = !matches!(status.code(), Code::Unavailable | Code::Unknown);
    if !connected || reason_of(&status).is_none() {
        return turned_away(&status);
    }
    let fix = status.message().rsplit("; ").next().unwrap_or_default().to_owned();
    let Failure { exit, message, .. } = Failure::from(status);
    Broken { exit, found: message, fix }
}

/// The time in the header of an answer that is only a status (RFC 9110 §6.6.1), seconds.
fn date_of(status: &tonic::Status) -> Option<i64> {
    let date = status.metadata().get("date")?.to_str().ok()?;
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(parsed.as_second())
}

/// The two clocks, to the second.
fn clock(ours: Time, theirs: Time) -> Result<((), Found), Broken> {
    let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
    let found = match (ahead.as_secs(), behind.as_secs()) {
        (0, 0) => "no difference".to_owned(),
        (ahead, 0) => format!("the gateway's is {ahead} s ahead"),
        (_, behind) => format!("the gateway's is {behind} s behind"),
    };
    if ahead.max(behind) <= CLOCK_SKEW_MAX {
        return Ok(((), found));
    }
    let fix = "set the clock that is wrong by NTP: signatures and deadlines are judged by it";
    Err(Broken::new(Exit::Other, found, fix))
}

/// Whether this system may act for an agency at all; not being this one's host is no fault.
async fn role(channel: Channel, code: &str) -> Result<((), Found), Broken> {
    let (agency, consignment_id) = (code.to_owned(), NO_CONSIGNMENT.to_owned());
    let request = within(v1::GetDocumentRequest { agency, consignment_id });
    let status = match MailboxServiceClient::new(channel).get_document(request).await {
        Ok(_) => return Ok(((), "admitted".to_owned())),
        Err(status) => status,
    };
    match reason_of(&status).as_deref() {
        Some("CONSIGNMENT_UNKNOWN") => Ok(((), "admitted, and it hosts the agency".to_owned())),
        // The next layer judges the code.
        Some("AGENCY_NOT_YOURS" | "AGENCY_UNKNOWN" | "FIELD_MALFORMED") => {
            Ok(((), "admitted as a system of agencies".to_owned()))
        }
        _ => Err(refused(status)),
    }
}

async fn directory(channel: Channel, code: &str) -> Result<((), Found), Broken> {
    let request = within(v1::GetAgencyRequest { code: code.to_owned(), date: None });
    let answer = DirectoryServiceClient::new(channel).get_agency(request).await;
    let agency = answer.map_err(refused)?.into_inner().agency.unwrap_or_default();
    let day = |date: v1::Date| {
        jiff::civil::Date::new(
            i16::try_from(date.year).ok()?,
            i8::try_from(date.month).ok()?,
            i8::try_from(date.day).ok()?,
        )
        .ok()
    };
    let today = SystemClock.now().date_in_vietnam();
    let named = format!("{} is {}", agency.code, agency.name);
    let last = agency.valid_until.and_then(day);
    if let Some(last) = last.filter(|last| *last < today) {
        let found = format!("{named}, closed since {last}");
        let fix = match agency.successors.is_empty() {
            true => "the directory names no successor: ask the operator".to_owned(),
            false => format!("send to {}", agency.successors.join(" or ")),
        };
        return Err(Broken { exit: Exit::Other, found, fix });
    }
    if let Some(first) = agency.valid_from.and_then(day).filter(|first| today < *first) {
        let fix = "send from that day on";
        return Err(Broken::new(Exit::Other, format!("{named}, open from {first}"), fix));
    }
    if !agency.reachable {
        let fix = "the operator must assign a system to the agency";
        return Err(Broken::new(Exit::Other, format!("{named}, without a mailbox"), fix));
    }
    Ok(((), format!("{named}, open, with a mailbox")))
}

fn log_head(
    head: Option<&v1::GetCheckpointResponse>,
    key: &LogPublicKey,
) -> Result<((), Found), Broken> {
    let fix = "give the right key with --key-of-log; if it is, another key signs this log: take nothing \
               from this gateway, and tell its witnesses";
    let broken = |cause: &dyn std::fmt::Display| Broken::new(Exit::VerificationFailed, cause, fix);
    let Some(head) = head else { return Ok(((), "the log is empty".to_owned())) };
    let signed = key.open(&head.checkpoint).map_err(|error| broken(&error))?;
    let (epoch, size) = (signed.origin.epoch, signed.size);
    if (epoch, size) != (head.epoch, head.size) {
        return Err(broken(&format!(
            "signed at {epoch}/{size}, said {}/{}",
            head.epoch, head.size
        )));
    }
    Ok(((), format!("signed at {epoch}/{size}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_five_minutes_either_way() {
        let now = Time::from_seconds(1_800_000_000);
        let found = |theirs: i64| match clock(now, Time::from_seconds(1_800_000_000 + theirs)) {
            Ok(((), found)) => (true, found),
            Err(broken) => (false, broken.found),
        };
        assert_eq!(found(0), (true, "no difference".to_owned()));
        assert_eq!(found(300), (true, "the gateway's is 300 s ahead".to_owned()));
        assert_eq!(found(-300), (true, "the gateway's is 300 s behind".to_owned()));
        assert_eq!(found(301), (false, "the gateway's is 301 s ahead".to_owned()));
        assert_eq!(found(-301), (false, "the gateway's is 301 s behind".to_owned()));
    }

    #[test]
    fn the_time_of_a_bare_status_is_that_of_its_header() {
        let mut status = tonic::Status::unauthenticated("expired");
        assert_eq!(date_of(&status), None);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT".parse().expect("a header value");
        status.metadata_mut().insert("date", date);
        assert_eq!(date_of(&status), Some(784_111_777));
    }
}
