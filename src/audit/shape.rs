//! What each event asks of its fields: the tables of `log/FORMAT.md` §2.

use super::leaf::{Field, Fields, set_of};
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
    Directory,
    Relay,
    RelayAcceptance,
    RelayRejection,
    RelayFailure,
    Redirection,
    Order,
    OrderAnswer,
    Dossier,
}

/// Who acts in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// A system that is not the gateway.
    System,
    /// The gateway itself, or, where a neighbour may tell it, the neighbour's system.
    Gateway,
    /// Either.
    Any,
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
    pub(super) actor: Actor,
    /// Whether a neighbour may bring or tell it: `service` and `content`, both or neither, unless the event
    /// has a `service` anyway.
    pub(super) told: bool,
}

const DELIVERY: &[Field] = &[F::Consignment, F::From, F::To, F::Envelope];
const FAILURE: &[Field] = &[F::Consignment, F::From, F::To, F::Envelope, F::Reason, F::Since];
const SERVICE: &[Field] = &[F::Service, F::Since];
const ORDER: &[Field] = &[F::Consignment, F::From, F::To, F::Envelope, F::Status, F::Reason];
const ORDERS: &[&str] = &["RECALL", "UPDATE", "REPLACE"];
const KEEPING: &[Field] = &[F::Consignment, F::From, F::Envelope, F::Reason];

/// An event of which nothing is said yet.
const fn shape(kind: Kind, word: &'static str, must: &'static [Field]) -> Shape {
    Shape {
        kind,
        word,
        must,
        may: &[],
        statuses: &[],
        reasons: &[],
        actor: Actor::System,
        told: false,
    }
}

pub(super) const SHAPES: [Shape; 28] = [
    Shape {
        may: &[F::Number, F::Dossier],
        told: true,
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
        told: true,
        ..shape(
            Kind::Rejection,
            "SubmissionRejection",
            &[F::From, F::Envelope, F::Document, F::Request, F::Reason],
        )
    },
    Shape {
        may: &[F::Addressed],
        actor: Actor::Gateway,
        told: true,
        ..shape(
            Kind::Consignment,
            "ContentConsignment",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Urgency],
        )
    },
    Shape {
        statuses: &["03"],
        told: true,
        ..shape(
            Kind::Handover,
            "ContentHandover",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Status],
        )
    },
    Shape {
        statuses: &["02"],
        told: true,
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
        told: true,
        ..shape(Kind::Report, "status", &[F::Consignment, F::From, F::To, F::Envelope, F::Status])
    },
    Shape {
        actor: Actor::Gateway,
        told: true,
        ..shape(Kind::Notification, "ConsignmentNotification", DELIVERY)
    },
    Shape {
        reasons: &["EXPIRED"],
        actor: Actor::Gateway,
        told: true,
        ..shape(Kind::NotificationFailure, "ConsignmentNotificationFailure", FAILURE)
    },
    Shape { told: true, ..shape(Kind::Access, "ContentAccessTracking", DELIVERY) },
    Shape {
        reasons: &["EXPIRED"],
        actor: Actor::Gateway,
        told: true,
        ..shape(Kind::HandoverFailure, "ContentHandoverFailure", FAILURE)
    },
    Shape { actor: Actor::Gateway, ..shape(Kind::Opening, "epoch", &[F::Previous]) },
    Shape {
        actor: Actor::Gateway,
        ..shape(Kind::Stamp, "timestamp", &[F::Covers, F::Content, F::Service])
    },
    Shape { actor: Actor::Gateway, ..shape(Kind::Outage, "outage", SERVICE) },
    Shape { actor: Actor::Gateway, ..shape(Kind::Repair, "repair", SERVICE) },
    Shape { actor: Actor::Gateway, ..shape(Kind::Clock, "clock", &[F::Service, F::Offset]) },
    Shape {
        may: &[F::Note],
        reasons: &["RETENTION", "ORDER"],
        actor: Actor::Gateway,
        ..shape(
            Kind::Erasure,
            "erasure",
            &[F::Consignment, F::From, F::Envelope, F::Reason, F::Bodies],
        )
    },
    Shape { may: &[F::Note], actor: Actor::Gateway, ..shape(Kind::Hold, "hold", KEEPING) },
    Shape { may: &[F::Note], actor: Actor::Gateway, ..shape(Kind::Release, "release", KEEPING) },
    Shape {
        may: &[F::Consignment, F::From, F::To],
        reasons: &["TRACE", "ENTRIES", "EVIDENCE", "STATISTICS"],
        ..shape(Kind::Read, "read", &[F::Reason, F::Note])
    },
    Shape { actor: Actor::Gateway, ..shape(Kind::Directory, "directory", &[F::Note, F::Content]) },
    Shape {
        may: &[F::Addressed],
        actor: Actor::Gateway,
        ..shape(
            Kind::Relay,
            "relay",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Urgency, F::Service],
        )
    },
    shape(
        Kind::RelayAcceptance,
        "RelayAcceptance",
        &[F::Consignment, F::From, F::To, F::Envelope, F::Content, F::Service],
    ),
    shape(
        Kind::RelayRejection,
        "RelayRejection",
        &[F::Consignment, F::From, F::To, F::Envelope, F::Reason, F::Content, F::Service],
    ),
    Shape {
        reasons: &["EXPIRED"],
        actor: Actor::Gateway,
        told: true,
        ..shape(
            Kind::RelayFailure,
            "RelayFailure",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Reason, F::Service, F::Since],
        )
    },
    Shape {
        actor: Actor::Gateway,
        told: true,
        ..shape(
            Kind::Redirection,
            "redirection",
            &[F::Consignment, F::From, F::To, F::Envelope, F::Urgency, F::Addressed],
        )
    },
    Shape {
        may: &[F::Note, F::By],
        statuses: &["13"],
        reasons: ORDERS,
        told: true,
        ..shape(Kind::Order, "order", ORDER)
    },
    Shape {
        may: &[F::Note],
        statuses: &["15", "16"],
        reasons: ORDERS,
        actor: Actor::Any,
        told: true,
        ..shape(Kind::OrderAnswer, "order-answer", ORDER)
    },
    Shape {
        may: &[
            F::To,
            F::Request,
            F::Consignment,
            F::Note,
            F::Since,
            F::Procedure,
            F::Applicant,
            F::Due,
            F::Rule,
            F::Grade,
        ],
        actor: Actor::Any,
        ..shape(Kind::Dossier, "dossier", &[F::From, F::Dossier, F::Reason])
    },
];

/// The fields that each event must and may have, as sets: an audit holds every entry against them.
const SETS: [(Fields, Fields); SHAPES.len()] = {
    let (mut sets, mut place) = ([(0, 0); SHAPES.len()], 0);
    while place < sets.len() {
        sets[place] = (set_of(SHAPES[place].must), set_of(SHAPES[place].may));
        place += 1;
    }
    sets
};

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

    /// The fields that it must have, and those that it may have.
    pub(super) fn fields(self) -> (Fields, Fields) {
        SETS[self as usize]
    }

    /// The event's name.
    pub(super) fn word(self) -> &'static str {
        self.shape().word
    }
}
