//! Retention: which bodies are due to be erased, by the rules of the configuration.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use crate::clock::Time;
use crate::delivery::{Consignment, Transport};
use crate::document::ConsignmentId;
use crate::gateway::ports::{StoreError, Which};
use crate::gateway::{Erasure, Error, Fault, Gateway};
use crate::limits::{ENVELOPE_SIZE_MAX, ERASURES_AT_ONCE, PAGE_SIZE_MAX, RECIPIENTS_MAX};
use crate::proto::v1;

/// How long bodies are kept. The first rule that fits a document counts; without one they are kept
/// for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// Documents of this type name; of every one if `None`.
    pub kind: Option<String>,
    /// How long after the acceptance.
    pub age: Duration,
}

/// What a run did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Consignments whose bodies were erased.
    pub consignments: u64,
    /// Bytes that are gone.
    pub bytes: u64,
    /// Consignments that are due but held.
    pub held: u64,
    /// Consignments that are due but wait in a mailbox: nothing is erased that nobody has taken.
    pub waiting: u64,
}

/// Erases what is due, some at a time.
///
/// # Errors
/// The store's; what was recorded by then is erased by the next run.
pub async fn run(
    gateway: &Arc<Gateway>,
    rules: &Arc<[RetentionRule]>,
    dry_run: bool,
) -> Result<Retained, Error> {
    let mut all = Retained::default();
    let mut after = None;
    let Some(youngest) = rules.iter().map(|rule| rule.age).min() else { return Ok(all) };
    loop {
        let (looking, rules) = (Arc::clone(gateway), Arc::clone(rules));
        let found = blocking(move || look(&looking, &rules, youngest, after)).await?;
        all.held += found.held;
        all.waiting += found.waiting;
        all.consignments += found.due.len() as u64;
        if !dry_run && !found.due.is_empty() {
            for consignment in &found.due {
                match gateway.order_erasure(*consignment, Erasure::Retention).await {
                    // It was held or erased since it was looked at.
                    Err(Error::Refused(_)) => all.consignments -= 1,
                    ordered => drop(ordered?),
                }
            }
            let erasing = Arc::clone(gateway);
            all.bytes += blocking(move || erasing.erase_bodies()).await?.bytes;
        }
        after = found.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn blocking<T: Send + 'static, E: Into<Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Fault::Content("retention ended early".into()))?.map_err(Into::into)
}

#[derive(Default)]
struct Found {
    due: Vec<ConsignmentId>,
    held: u64,
    waiting: u64,
    /// Where to go on; `None` at the end.
    next: Option<ConsignmentId>,
}

/// Looks through consignments in the order of their acceptance, as far as the youngest rule reaches.
fn look(
    gateway: &Gateway,
    rules: &[RetentionRule],
    youngest: Duration,
    mut after: Option<ConsignmentId>,
) -> Result<Found, StoreError> {
    let (now, store) = (gateway.now(), gateway.store());
    let mut found = Found::default();
    while found.due.len() < ERASURES_AT_ONCE {
        let page = store.kept(after, PAGE_SIZE_MAX)?;
        let Some((last, _)) = page.last() else {
            return Ok(Found { next: None, ..found });
        };
        after = Some(last.id);
        for (consignment, parts) in &page {
            if !is_due(now, consignment, youngest) || parts.is_empty() {
                continue;
            }
            let keeping = store.keeping(consignment.id)?;
            if keeping.erased.is_some() || !rule_says(gateway, rules, now, consignment)? {
                continue;
            }
            let deliveries =
                store.deliveries(consignment.id, Which::After(None, RECIPIENTS_MAX))?;
            match () {
                () if !keeping.holds.is_empty() => found.held += 1,
                () if deliveries
                    .iter()
                    .any(|delivery| delivery.transport == Transport::Consigned) =>
                {
                    found.waiting += 1;
                }
                () => found.due.push(consignment.id),
            }
        }
        if !is_due(now, last, youngest) {
            // Ids are in the order of time.
            return Ok(Found { next: None, ..found });
        }
    }
    Ok(Found { next: after, ..found })
}

fn is_due(now: Time, consignment: &Consignment, age: Duration) -> bool {
    now.since(consignment.accepted_at) >= age
}

fn rule_says(
    gateway: &Gateway,
    rules: &[RetentionRule],
    now: Time,
    consignment: &Consignment,
) -> Result<bool, StoreError> {
    let kind = match rules.iter().any(|rule| rule.kind.is_some()) {
        true => kind_of(gateway, consignment)?,
        false => None,
    };
    let fits = |rule: &&RetentionRule| rule.kind.is_none() || rule.kind == kind;
    Ok(rules.iter().find(fits).is_some_and(|rule| is_due(now, consignment, rule.age)))
}

/// The type name in the envelope; `None` if it cannot be read.
fn kind_of(gateway: &Gateway, consignment: &Consignment) -> Result<Option<String>, StoreError> {
    let place = gateway.store().place(&consignment.envelope, Some(consignment.id))?;
    let Some(place) = place else { return Ok(None) };
    let source = gateway.contents().read(&consignment.envelope, place)?;
    let size = usize::try_from(source.size()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(ENVELOPE_SIZE_MAX)];
    let read = source.read_at(0, &mut bytes).is_ok();
    let envelope = v1::Envelope::decode(bytes.as_slice()).ok().filter(|_| read);
    Ok(envelope.map(|envelope| envelope.type_name))
}
