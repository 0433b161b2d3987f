//! The directory in force is the one that the log names: before anything is routed by another, an
//! entry says which and who approved it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::answering::salted;
use super::ports::{Piece, StoreError};
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway, Surroundings};
use crate::delivery::Term;
use crate::digest::Sha256;
use crate::directory::{Changed, Directory, difference};
use crate::evidence::Receipt;
use crate::limits::{CALL_DEADLINE, DIRECTORY_DIFFERENCES_KEPT, DIRECTORY_SIZE_MAX, SCAN_PAGE};
use crate::log::EntryId;
use crate::refusal::{Reason, Refusal};

/// A change of the directory waits so long for the writer and for room; then it is refused.
const REGISTERING_DEADLINE: Duration = CALL_DEADLINE;

/// Why a directory is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is another, and nobody approved it.
    #[error(
        "the directory is not the one that {0}; state in `approved_by` who approved the change"
    )]
    Unapproved(String),
    /// It cannot be recorded.
    #[error(transparent)]
    Error(#[from] Error),
    /// Not within the deadline.
    #[error("the change of the directory could not be recorded within {REGISTERING_DEADLINE:?}")]
    Late,
}

/// A version of the directory: how many entries had changed it by then, 0 for what stands in none.
pub type Version = u64;

/// What two versions differ in.
type Difference = (Version, Version, Arc<[Changed]>);

/// The entries that changed the directory.
pub(super) struct Register {
    entries: Mutex<Vec<EntryId>>,
    version: watch::Sender<Version>,
    changing: tokio::sync::Mutex<()>,
    differences: Mutex<Vec<Difference>>,
    /// Held while two versions are compared: each may take a quarter of a GiB.
    comparing: tokio::sync::Mutex<()>,
}

impl Default for Register {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            version: watch::channel(0).0,
            changing: tokio::sync::Mutex::default(),
            differences: Mutex::default(),
            comparing: tokio::sync::Mutex::default(),
        }
    }
}

impl Gateway {
    /// Has the directory with which the gateway starts stand in the log. A log that never named one
    /// begins to with the first directory that says who approved it.
    ///
    /// # Errors
    /// [`NotTaken`]; nothing may be routed by it then.
    pub async fn register_directory(&self, approved_by: Option<&str>) -> Result<(), NotTaken> {
        let _alone = self.register.changing.lock().await;
        self.read_register()?;
        let present = self.surroundings();
        let digest = digest_of(&present).await?;
        match (self.registered()?, approved_by) {
            (None, None) => Ok(()),
            (Some((_, named)), _) if named == digest.0 => Ok(()),
            (last, approved_by) => {
                let named = last.map(|(entry, _)| format!("entry {entry} names"));
                self.record_change(digest, named, approved_by).await
            }
        }
    }

    /// Replaces directory and trust; calls under way finish with what they began with. If the
    /// directory is another one, that stands in the log before.
    ///
    /// # Errors
    /// [`NotTaken`]; everything stays as it was then.
    pub async fn change_surroundings(
        &self,
        next: Surroundings,
        approved_by: Option<&str>,
    ) -> Result<(), NotTaken> {
        let _alone = self.register.changing.lock().await;
        let next = Arc::new(next);
        let digest = digest_of(&next).await?;
        let last = self.registered()?;
        let in_force = match &last {
            Some((_, named)) => *named,
            None => digest_of(&self.surroundings()).await?.0,
        };
        if in_force != digest.0 || (last.is_none() && approved_by.is_some()) {
            let named = last.map(|(entry, _)| format!("entry {entry} names"));
            let named = named.unwrap_or_else(|| "is in force".to_owned());
            self.record_change(digest, Some(named), approved_by).await?;
        }
        *self.surroundings.write().expect("no panic while replacing") = next;
        let version = self.directory_version();
        // Also without a new version: a bell that rings in vain costs a look.
        self.register.version.send_replace(version);
        Ok(())
    }

    async fn record_change(
        &self,
        (digest, bytes): (Sha256, Bytes),
        named: Option<String>,
        approved_by: Option<&str>,
    ) -> Result<(), NotTaken> {
        let unapproved = || NotTaken::Unapproved(named.unwrap_or_default());
        let approved_by = approved_by.ok_or_else(unapproved)?;
        let note = salted(approved_by, "approved_by").map_err(Error::from)?.unwrap_or_default();
        let noted = Sha256::of(&note);
        self.room().map_err(Error::from)?;
        let pieces = vec![Piece::Bytes(noted, note.into()), Piece::Bytes(digest, bytes)];
        let recording = Recording {
            facts: vec![Fact::DirectoryChanged { content: digest, note: noted }],
            contents: self.keep_pieces(pieces).await?,
            swept: Vec::new(),
        };
        let recorded = tokio::time::timeout(REGISTERING_DEADLINE, self.record(recording)).await;
        recorded.map_err(|_| NotTaken::Late)??;
        self.read_register()?;
        Ok(())
    }

    /// Reads on in the log which entries changed the directory.
    fn read_register(&self) -> Result<(), Error> {
        let mut entries = self.register.entries.lock().expect("no panic while reading");
        loop {
            let after = entries.last().copied().unwrap_or(EntryId::ZERO);
            let found = self.store.find(&Term::Directory, after, SCAN_PAGE)?;
            let more = found.len() == SCAN_PAGE;
            entries.extend(found);
            if !more {
                return Ok(());
            }
        }
    }

    /// How many entries have changed the directory.
    pub fn directory_version(&self) -> Version {
        self.register.entries.lock().expect("no panic while reading").len() as Version
    }

    /// Rings when the directory may have changed.
    pub fn directory_bell(&self) -> watch::Receiver<Version> {
        self.register.version.subscribe()
    }

    /// The last entry that changed the directory, and the digest in it.
    fn registered(&self) -> Result<Option<(EntryId, Sha256)>, Error> {
        let version = self.directory_version();
        if version == 0 { Ok(None) } else { self.version_entry(version).map(Some) }
    }

    fn version_entry(&self, version: Version) -> Result<(EntryId, Sha256), Error> {
        let index = version.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let (id, latest) = {
            let entries = self.register.entries.lock().expect("no panic while reading");
            (index.and_then(|index| entries.get(index).copied()), entries.len())
        };
        let unknown = || {
            let refusal = Refusal::of_field(Reason::DirectoryVersionUnknown, "version");
            refusal.with("version", version).with("latest", latest)
        };
        let id = id.ok_or_else(unknown)?;
        let content = self.reading.entry(id)?.content;
        let missing = || StoreError::Damaged(format!("entry {id} names no directory"));
        Ok((id, content.ok_or_else(missing)?))
    }

    /// The canonical form of a version, with the receipt of the entry that names it.
    ///
    /// # Errors
    /// [`Reason::DirectoryVersionUnknown`], and faults.
    pub fn directory_snapshot(&self, version: Version) -> Result<(Receipt, Bytes), Error> {
        let (id, digest) = self.version_entry(version)?;
        let missing = || Fault::Content(format!("no content {digest}"));
        let place = self.store.place(&digest, None)?.ok_or_else(missing)?;
        let source = self.contents.read(&digest, place)?;
        let size = source.size().min(DIRECTORY_SIZE_MAX);
        let mut bytes = vec![0; usize::try_from(size).expect("limited to less")];
        source.read_at(0, &mut bytes).map_err(|error| Fault::Content(error.to_string()))?;
        if Sha256::of(&bytes) != digest {
            return Err(missing().into());
        }
        Ok((self.reading.receipt(id)?, bytes.into()))
    }

    /// What changed from one version to another.
    ///
    /// # Errors
    /// As [`Gateway::directory_snapshot`].
    pub async fn directory_difference(
        self: &Arc<Self>,
        from: Version,
        to: Version,
    ) -> Result<Arc<[Changed]>, Error> {
        let _alone = self.register.comparing.lock().await;
        let kept = || self.register.differences.lock().expect("no panic while looking");
        let known = kept().iter().find(|one| (one.0, one.1) == (from, to)).map(|one| one.2.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        let gateway = self.clone();
        let compare = move || -> Result<Arc<[Changed]>, Error> {
            let read = |version| -> Result<Directory, Error> {
                let (_, bytes) = gateway.directory_snapshot(version)?;
                let damaged = |error| StoreError::Damaged(format!("directory {version}: {error}"));
                Ok(Directory::from_canonical(&bytes).map_err(damaged)?)
            };
            Ok(difference(&read(from)?, &read(to)?).into())
        };
        let compared = tokio::task::spawn_blocking(compare).await.map_err(|_| Fault::Stopped)??;
        let mut kept = kept();
        if kept.len() >= DIRECTORY_DIFFERENCES_KEPT {
            kept.remove(0);
        }
        kept.push((from, to, compared.clone()));
        Ok(compared)
    }
}

/// Digest and bytes of the canonical form.
async fn digest_of(surroundings: &Arc<Surroundings>) -> Result<(Sha256, Bytes), NotTaken> {
    let surroundings = surroundings.clone();
    let canonical = move || {
        let bytes = surroundings.directory.canonical();
        (Sha256::of(&bytes), Bytes::from(bytes))
    };
    let done = tokio::task::spawn_blocking(canonical).await;
    done.map_err(|_| Error::Fault(Fault::Stopped).into())
}
