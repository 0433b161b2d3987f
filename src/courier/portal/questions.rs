//! Citizens' questions: asked for at an interval, and passed on as documents. The sources have the names of
//! the services and nothing of their fields, so a question is an object that has a name, and goes on as it
//! stands; answers come back as messages to the portal.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::client::Portal;
use super::fields::question_id;
use super::intake::Intake;
use super::outbox::Observer;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::limits::{PORTAL_MESSAGE_SIZE_MAX, PORTAL_QUESTIONS_MAX};

/// Between the portal's questions and the offices.
pub struct Questions {
    portal: Portal,
    intake: Arc<Intake>,
    to: Code,
    every: Duration,
    observer: Arc<dyn Observer>,
    /// What needs no looking at again. The gateway knows what it has for ever; this saves asking it.
    seen: HashSet<Sha256>,
}

impl Questions {
    /// Asks `portal` in this interval. Questions go to the office that `intake` knows for their DonViXuLy,
    /// or else to `to`.
    pub fn new(
        portal: Portal,
        intake: Arc<Intake>,
        to: Code,
        every: Duration,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { portal, intake, to, every, observer, seen: HashSet::new() }
    }

    /// Asks for as long as it is polled.
    pub async fn run(mut self) {
        loop {
            match self.portal.questions().await {
                Ok(questions) => {
                    for question in questions.iter().take(PORTAL_QUESTIONS_MAX) {
                        self.take(question).await;
                    }
                }
                Err(trouble) => tracing::warn!(%trouble, "the portal gives no questions"),
            }
            sleep(self.every).await;
        }
    }

    /// Takes one question, if it is new; one that cannot be taken now comes with the next answer again.
    async fn take(&mut self, question: &Value) {
        let text = question.to_string();
        let digest = Sha256::of(text.as_bytes());
        if self.seen.contains(&digest) {
            return;
        }
        let fits = text.len() as u64 <= PORTAL_MESSAGE_SIZE_MAX;
        let question = question.as_object().filter(|object| fits && question_id(object).is_some());
        let outcome = match question {
            Some(question) => match self.intake.ask(question, &self.to).await {
                Ok(()) => "taken",
                Err(_) => return self.observer.received("failed"),
            },
            None => {
                tracing::warn!(
                    "a question of the portal's has no name, or is too long; it is left out"
                );
                "refused"
            }
        };
        self.observer.received(outcome);
        if self.seen.len() >= PORTAL_QUESTIONS_MAX {
            self.seen.clear();
        }
        self.seen.insert(digest);
    }
}
