//! What becomes of a consignment at each recipient: mailboxes, leases and states.
//!
//! Everything here is a fold over log entries ([`project`]) except leases, which only say who is
//! working on an item right now; losing them means an item is offered again, never that it is lost.

mod cursor;
mod deadline;
mod keeping;
mod lane;
mod lease;
mod order;
mod project;
mod state;
mod told;

pub use cursor::Cursor;
pub use deadline::{Deadlines, Failure, Limits, Span};
pub use keeping::Keeping;
pub use lease::{HandedOut, Holder, LeaseLost, LeaseRequest, Leases, Token};
pub use order::{Order, OrderKind, Ordered, Replied};
pub use project::{Change, Prior, Term, fold_number, fold_spelling, project};
pub use state::{Consignment, Delivery, Mark, Milestones, Transport, neighbour_mailbox};
