//! What must be there after the power came back.

use crate::Cut;

use std::collections::HashMap;
use std::path::Path;

use vanthu::digest::{Sha256, hex};
use vanthu::gateway::ports::{Contents, HeadGuard, LogReader, LogStore, Registry};
use vanthu::log::{Entry, Tree, leaf_hash};
use vanthu::store::sled::Durability;

use crate::ledger::{at, audit, key};
use crate::writer;

/// Checks everything that was acknowledged; the error says what is lost.
pub fn check(folder: &Path, cut: &Cut) -> Result<(), String> {
    // A lost store may also panic inside sled: that is a loss like any other.
    let checked = std::panic::catch_unwind(|| check_all(folder, cut));
    let checked = checked.map_err(|_| "opening or reading the store panicked".to_owned())?;
    checked.map_err(|error| error.to_string())
}

fn check_all(folder: &Path, cut: &Cut) -> Result<(), Box<dyn std::error::Error>> {
    let (store, contents, guard) = writer::open(folder, Durability::Synced, writer::RUN_RECORDS)?;
    check_requests(&store, &audit(&store)?)?;
    let head = store.head()?;
    let mut roots = HashMap::new();
    let mut guarded_at = (0, 0);
    if let Some(note) = guard.load()? {
        let guarded = key().public().open(&note)?;
        guarded_at = (guarded.origin.epoch, guarded.size);
        roots.insert(guarded_at, hex(&guarded.root.0));
    }
    if guarded_at > (head.epoch, head.size) {
        return Err(format!("the guard {guarded_at:?} is ahead of the store").into());
    }
    for line in &cut.acknowledged {
        let words: Vec<&str> = line.split(' ').collect();
        let ["acked", epoch, size, root, body, "."] = words[..] else {
            return Err(format!("not an acknowledgement: {line}").into());
        };
        let place = (epoch.parse()?, size.parse()?);
        if place > guarded_at && !cut.log_only {
            return Err(format!("the guard stands at {guarded_at:?}, not {place:?}").into());
        }
        roots.insert(place, root.to_owned());
        if body != "-" {
            check_body(&store, &contents, &body.parse()?)?;
        }
    }
    check_roots(&store, head.epoch, roots)
}

/// Every request that the log accepted is known, with what it was used for: it cannot be accepted
/// again.
fn check_requests(
    store: &impl Registry,
    leaves: &[Vec<u8>],
) -> Result<(), Box<dyn std::error::Error>> {
    for leaf in leaves {
        let entry = Entry::from_leaf(leaf)?;
        let Some(request) = entry.request else { continue };
        let used = store.request(&request)?.map(|(envelope, _)| envelope);
        if used != entry.envelope {
            return Err(format!("the request {request} is forgotten: {used:?}").into());
        }
    }
    Ok(())
}

/// The body has its place, and its bytes.
fn check_body(
    store: &impl Registry,
    contents: &impl Contents,
    digest: &Sha256,
) -> Result<(), Box<dyn std::error::Error>> {
    let place =
        store.place(digest, None)?.ok_or_else(|| format!("the body {digest} has no place"))?;
    let source = contents.read(digest, place)?;
    let mut bytes = vec![0; usize::try_from(source.size())?];
    source.read_at(0, &mut bytes)?;
    match Sha256::of(&bytes) == *digest {
        true => Ok(()),
        false => Err(format!("the body {digest} has other bytes").into()),
    }
}

/// Every acknowledged size has the acknowledged root, recomputed from the leaves.
fn check_roots(
    store: &impl LogReader,
    epochs: u32,
    mut roots: HashMap<(u32, u64), String>,
) -> Result<(), Box<dyn std::error::Error>> {
    for epoch in 1..=epochs {
        let mut tree = Tree::default();
        loop {
            let leaves = store.leaves(at(epoch, tree.size()), 256)?;
            if leaves.is_empty() {
                break;
            }
            for leaf in leaves {
                tree.append(vec![leaf_hash(&leaf)]);
                let expected = roots.remove(&(epoch, tree.size()));
                if expected.is_some_and(|root| root != hex(&tree.root().0)) {
                    return Err(format!("{epoch}/{} has another root", tree.size()).into());
                }
            }
        }
    }
    match roots.keys().min() {
        None => Ok(()),
        Some(first) => {
            let count = roots.len();
            Err(format!("{count} acknowledged batches are gone, the first is {first:?}").into())
        }
    }
}
