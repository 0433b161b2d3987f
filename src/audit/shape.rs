//! What each event asks of its fields: the tables of `log/FORMAT.md` §2.

use super::leaf::Field;
use Field as F;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Acceptance,
    Rejection,
    Consignment,
    Handover,
    Refusal,
    Report,
    Notification,
    NotificationFailure,
    Access,
    HandoverFailure,
    Opening,
    Stamp,
    Outage,
    Repair,
    Clock,
    Erasure,
    Hold,
    Release,
    Read,
}

/// §2: what an event asks of its fields.
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) word: &'static str,
    pub(super) must: &'static [Field],
    pub(super) may: &'static [Field],
    /// The statuses that it may have.
    pub(super) statuses: &'static [&'static str],
    /// The reasons that it may have; if none is listed, any but the recipient's.
    pub(super) reasons: &'static [&'static str],
    by_gateway: bool,
}

const DELIVERY: &[Field] = &[F::Consignment, F::From, F::To, F::Envelope];
const FAILURE: &[Field] = &[F::Consignment, F::From, F::To, F::Envelope, F::Reason, F::Since];
const SERVICE: &[Field] = &[F::Service, F::Since];
const KEEPING: &[Field] = &[F::Consignment, F::From, F::Envelope, F::Reason];

/// An event of which nothing is said yet.
const fn shape(kind: Kind, word: &'static str, must: &'static [Field]) -> Shape {
    Shape { kind, word, must, may: &[], statuses: &[], reasons: &[], by_gateway: false }
}

pub(super) const SHAPES: [Shape; 19] = [
    Shape {
        may: &[F::Number, F::Dossier],
        ..shape(
            Kind::Acceptance,
            "SubmissionAcceptance",
            &[
                F::Consignment,
                F::From,
                F::Envelope,
                F::Document,
                F::Urgency,
                F::Request,
                F::Recipients,
                F::Verdict,
            ],
        )
    },
    Shape {
        may: &[F::Dossier, F::Verdict],
        ..shape(
            Kind::Rejection,
            "SubmissionRejection",
            &[F::From, F::Envelope, F::Document, F::Request, F::Reason],
        )
    },
    Shape {
        by_gateway: true,
        ..shape(
            Kind::Consignment,
            "ContentConsignment",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Urgency],
        )
    },
    Shape {
        statuses: &["03"],
        ..shape(
            Kind::Handover,
            "ContentHandover",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Status],
        )
    },
    Shape {
        statuses: &["02"],
        reasons: &["RECIPIENT"],
        ..shape(
            Kind::Refusal,
            "ConsignmentRejection",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Status, F::Reason, F::Note],
        )
    },
    Shape {
        may: &[F::Note],
        statuses: &["01", "04", "05", "06"],
        ..shape(Kind::Report, "status", &[F::Consignment, F::From, F::To, F::Envelope, F::Status])
    },
    Shape { by_gateway: true, ..shape(Kind::Notification, "ConsignmentNotification", DELIVERY) },
    Shape {
        reasons: &["EXPIRED"],
        by_gateway: true,
        ..shape(Kind::NotificationFailure, "ConsignmentNotificationFailure", FAILURE)
    },
    shape(Kind::Access, "ContentAccessTracking", DELIVERY),
    Shape {
        reasons: &["EXPIRED"],
        by_gateway: true,
        ..shape(Kind::HandoverFailure, "ContentHandoverFailure", FAILURE)
    },
    Shape { by_gateway: true, ..shape(Kind::Opening, "epoch", &[F::Previous]) },
    Shape {
        by_gateway: true,
        ..shape(Kind::Stamp, "timestamp", &[F::Covers, F::Content, F::Service])
    },
    Shape { by_gateway: true, ..shape(Kind::Outage, "outage", SERVICE) },
    Shape { by_gateway: true, ..shape(Kind::Repair, "repair", SERVICE) },
    Shape { by_gateway: true, ..shape(Kind::Clock, "clock", &[F::Service, F::Offset]) },
    Shape {
        may: &[F::Note],
        reasons: &["RETENTION", "ORDER"],
        by_gateway: true,
        ..shape(
            Kind::Erasure,
            "erasure",
            &[F::Consignment, F::From, F::Envelope, F::Reason, F::Bodies],
        )
    },
    Shape { may: &[F::Note], by_gateway: true, ..shape(Kind::Hold, "hold", KEEPING) },
    Shape { may: &[F::Note], by_gateway: true, ..shape(Kind::Release, "release", KEEPING) },
    Shape {
        may: &[F::Consignment, F::From, F::To],
        reasons: &["TRACE", "ENTRIES", "EVIDENCE", "STATISTICS"],
        ..shape(Kind::Read, "read", &[F::Reason, F::Note])
    },
];

impl Shape {
    /// Whether a status or a reason is one of this event.
    pub(super) fn allows(&self, field: Field, value: &str) -> bool {
        match field {
            F::Status => self.statuses.contains(&value),
            _ if self.reasons.is_empty() => value != "RECIPIENT",
            _ => self.reasons.contains(&value),
        }
    }
}

impl Kind {
    pub(super) fn of(word: &str) -> Option<Self> {
        SHAPES.iter().find(|shape| shape.word == word).map(|shape| shape.kind)
    }

    pub(super) fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }

    /// The event's name.
    pub(super) fn word(self) -> &'static str {
        self.shape().word
    }

    /// Whether the gateway itself acts.
    pub(super) fn by_gateway(self) -> bool {
        self.shape().by_gateway
    }
}
