//! What changed between two snapshots, agency by agency.

use super::Directory;
use super::agency::Agency;
use super::code::Code;

/// A change of one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Its code is new.
    Added(Agency),
    /// Some record of it is another.
    Changed(Agency),
    /// Nobody has its code any more: a tombstone.
    Removed(Code),
}

/// What is to be done to the agencies of `old` to have those of `new`, in the order of the codes. An
/// agency is given as it is on the day of `new`.
pub fn difference(old: &Directory, new: &Directory) -> Vec<Changed> {
    let (mut before, mut after) = (groups(old).peekable(), groups(new).peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(one), Some(other)) => one[0].code.cmp(&other[0].code),
        };
        let old_rows = before.next_if(|_| order.is_le());
        let new_rows = after.next_if(|_| order.is_ge());
        let current = |rows: &[Agency]| new.agency(&rows[0].code).cloned();
        match (old_rows, new_rows) {
            (Some(old_rows), Some(new_rows)) if old_rows != new_rows => {
                changes.extend(current(new_rows).map(Changed::Changed));
            }
            (None, Some(new_rows)) => changes.extend(current(new_rows).map(Changed::Added)),
            (Some(old_rows), None) => changes.push(Changed::Removed(old_rows[0].code.clone())),
            _ => {}
        }
    }
}

/// The periods of each agency.
fn groups(directory: &Directory) -> impl Iterator<Item = &[Agency]> {
    directory.records().chunk_by(|one, other| one.code == other.code)
}
