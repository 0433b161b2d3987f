//! What waits for an agency that was closed goes to its one successor, by the rule that the directory
//! recorded, and the successor takes its place in dossiers. Both stay as they are while there is none, or
//! while the successor is elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway, Surroundings};
use crate::clock::Date;
use crate::directory::{Code, Ending};
use crate::document::DossierCode;
use crate::limits::{RECORDED_AT_ONCE, REDIRECTIONS_LOOK, SUCCESSIONS_LOOK};

impl Gateway {
    /// Redirects for as long as the gateway runs: after each change of the directory, each day, and
    /// now and then for what was on its way meanwhile.
    ///
    /// # Errors
    /// The writer's, once it has stopped, and the store's.
    pub async fn keep_redirecting(self: Arc<Self>) -> Result<(), Error> {
        let mut bell = self.directory_bell();
        // When the dossiers of a closed agency were last gone through.
        let mut passed: HashMap<Code, Instant> = HashMap::new();
        loop {
            bell.borrow_and_update();
            let (surroundings, today) = (self.surroundings(), self.now().date_in_vietnam());
            let list = {
                let surroundings = surroundings.clone();
                tokio::task::spawn_blocking(move || succeeded(&surroundings, today))
            };
            for (closed, successor) in list.await.map_err(|_| Fault::Stopped)? {
                self.redirect(&closed, &successor).await?;
                if passed.get(&closed).is_none_or(|at| at.elapsed() >= SUCCESSIONS_LOOK) {
                    self.succeed(&closed, &successor).await?;
                    passed.insert(closed, Instant::now());
                }
            }
            let rung = tokio::time::timeout(REDIRECTIONS_LOOK, bell.changed()).await;
            match rung {
                Ok(Ok(())) => passed.clear(),
                Ok(Err(_)) => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// Empties one mailbox, some items at a time.
    async fn redirect(self: &Arc<Self>, closed: &Code, successor: &Code) -> Result<(), Error> {
        let mut after = None;
        loop {
            let (gateway, agency) = (self.clone(), closed.clone());
            let page = move || gateway.store.waiting(&agency, after, RECORDED_AT_ONCE);
            let items = tokio::task::spawn_blocking(page).await.map_err(|_| Fault::Stopped)??;
            let Some(last) = items.last() else { return Ok(()) };
            after = Some((last.urgency, last.position));
            let fact = |consignment| Fact::Redirected {
                consignment,
                closed: closed.clone(),
                successor: successor.clone(),
            };
            let facts = items.iter().map(|item| fact(item.consignment)).collect();
            self.record(Recording { facts, ..Recording::default() }).await?;
        }
    }

    /// Passes on the dossiers in which the closed agency has a part, some at a time.
    async fn succeed(self: &Arc<Self>, closed: &Code, successor: &Code) -> Result<(), Error> {
        let mut after = None;
        loop {
            let (gateway, agency) = (self.clone(), closed.clone());
            let page =
                tokio::task::spawn_blocking(move || gateway.needing(&agency, after.as_ref()));
            let (needing, last) = page.await.map_err(|_| Fault::Stopped)??;
            if !needing.is_empty() {
                let fact = |dossier| Fact::Succeeded {
                    dossier,
                    closed: closed.clone(),
                    successor: successor.clone(),
                };
                let facts = needing.into_iter().map(fact).collect();
                self.record(Recording { facts, ..Recording::default() }).await?;
            }
            after = last;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Of the next dossiers that an agency ever had a part in, those in which it has one still; and the
    /// last that was looked at, `None` behind the end.
    fn needing(
        &self,
        agency: &Code,
        after: Option<&DossierCode>,
    ) -> Result<(Vec<DossierCode>, Option<DossierCode>), Error> {
        let codes = self.store.dossiers_of(agency, after, RECORDED_AT_ONCE)?;
        let last = codes.last().cloned();
        let mut needing = Vec::new();
        for code in codes {
            if self.store.dossier(&code)?.is_some_and(|dossier| dossier.needs(agency)) {
                needing.push(code);
            }
        }
        Ok((needing, last))
    }
}

/// The agencies closed on `today` in favour of one whose mailbox is here, with it.
fn succeeded(surroundings: &Surroundings, today: Date) -> Vec<(Code, Code)> {
    let directory = &surroundings.directory;
    let closed = directory.agencies().filter(|agency| !agency.is_open(today));
    let pairs = closed.filter_map(|agency| {
        let chain = directory.chain(&agency.code, today)?;
        let Ending::Forward(successor) = chain.ending else { return None };
        let system = directory.system(successor.host.as_ref()?)?;
        system.gateway.is_none().then(|| (agency.code.clone(), successor.code.clone()))
    });
    pairs.collect()
}
