//! How long a document takes from the call that sends it to the watcher that it is handed to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::letter::Letter;
use crate::cli::Failure;
use crate::proto::v1;
use crate::proto::v1::mailbox_service_client::MailboxServiceClient;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;
use crate::proto::v1::watch_response::Event;

/// How long a document is waited for: one that does not come is told, and no hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// Documents that are on their way, by their identifiers: when they were sent, and how long they took.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    ways: Arc<Mutex<Ways>>,
    watches: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
}

type Ways = HashMap<String, (Instant, Option<Duration>)>;

impl Arrivals {
    /// Watches that have begun.
    pub(super) fn watches(&self) -> usize {
        self.watches.load(Ordering::Relaxed)
    }

    /// Documents that were answered and not timed.
    pub(super) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Ways) -> T) -> T {
        look(&mut self.ways.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A document was handed out; gives whether it is one that is timed.
    fn came(&self, document_id: &str) -> bool {
        self.with(|ways| match ways.get_mut(document_id) {
            Some((since, took)) => {
                took.get_or_insert(since.elapsed());
                true
            }
            None => false,
        })
    }

    /// Sends letters one after the other, one each `pause`, and waits until they have come.
    ///
    /// # Errors
    /// If one does not come in time.
    pub(super) async fn time(
        &self,
        sender: &Channel,
        letters: impl IntoIterator<Item = Letter>,
        pause: Duration,
    ) -> Result<Vec<Duration>, Failure> {
        let mut client = SubmissionServiceClient::new(sender.clone());
        for letter in letters {
            self.with(|ways| ways.insert(letter.document_id(), (Instant::now(), None)));
            client.submit_document(letter.request()).await?;
            tokio::time::sleep(pause).await;
        }
        let since = Instant::now();
        while self.with(|ways| ways.values().any(|(_, took)| took.is_none())) {
            if since.elapsed() > PATIENCE {
                let late = self.with(|ways| ways.values().filter(|(_, it)| it.is_none()).count());
                return Err(Failure::other(format!(
                    "{late} documents did not come in {PATIENCE:?}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(self.with(|ways| ways.drain().filter_map(|(_, (_, took))| took).collect()))
    }
}

/// Watches a mailbox; answers every timed document, and of the others so many at once. Ends with the
/// stream.
pub(super) async fn watch(
    channel: Channel,
    agency: String,
    arrivals: Arrivals,
    answers_at_once: usize,
) -> Result<(), Failure> {
    let mut client = MailboxServiceClient::new(channel);
    let request = v1::WatchRequest { agency: agency.clone(), cursor: String::new() };
    let mut events = client.watch(request).await?.into_inner();
    arrivals.watches.fetch_add(1, Ordering::Relaxed);
    let answering = Arc::new(Semaphore::new(answers_at_once));
    let mut answers = JoinSet::new();
    while let Some(event) = events.message().await? {
        while let Some(answered) = answers.try_join_next() {
            answered.map_err(Failure::other)?;
        }
        let Some(Event::Item(item)) = event.event else { continue };
        let timed = arrivals.came(&item.document_id);
        if !timed && answers_at_once == 0 {
            continue;
        }
        let (mut client, answering, agency) = (client.clone(), answering.clone(), agency.clone());
        let count = arrivals.answers.clone();
        answers.spawn(async move {
            // Somebody looks at a document that is urgent at once.
            let _turn = match timed {
                true => None,
                false => answering.acquire_owned().await.ok(),
            };
            let v1::Item { consignment_id, lease_token, .. } = item;
            let answer = v1::AcknowledgeRequest { agency, consignment_id, lease_token };
            // An answer that fails leaves the item where it is; the figures tell.
            if client.acknowledge(answer).await.is_ok() && !timed {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    Ok(())
}
