//! The National Public Service Portal (Cổng Dịch vụ công quốc gia), called through the session API of
//! the Government Office's integration platform.
//!
//! One-stop systems send the portal's agency a document whose main part is a [`MEDIA_TYPE`] message. It
//! waits in that agency's mailbox, which the log makes durable, until the portal has taken it: then it
//! is acknowledged, or, if the portal or [`Draft`] refuses it, returned with the reason. So whatever is
//! interrupted is done again, and nothing of a message is remembered here. [`Steps`] that offices record
//! go to the portal by themselves; what the portal sends comes in at the door of the [`Receiver`] and
//! becomes documents. Who applied for what stands in messages only, never in traces.

mod answer;
mod call;
mod client;
pub mod desk;
mod fields;
mod inbound;
mod intake;
mod journal;
mod message;
mod outbox;
mod questions;
mod receive;
mod steps;
mod waiting;

pub use answer::{CREDENTIALS, SYSTEM, Trouble, read as read_answer};
pub use client::{Addresses, Credentials, Login, Portal, Procedure, QUESTIONS};
pub use fields::{DOSSIER, Field, STATUS, STEP, question_id};
pub use inbound::Said;
pub use intake::Intake;
pub use message::{Draft, Ready, Service, States, Wrong};
pub use outbox::{Ended, Observer, Outbox};
pub use questions::Questions;
pub use receive::Receiver;
pub use steps::Steps;

/// Media type of a message to the portal: `{"service": "DongBoHoSoMC", "data": {…}}`.
pub const MEDIA_TYPE: &str = "application/vnd.vanthu.dvcqg+json";
