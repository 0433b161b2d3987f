//! One system: whoever holds a client certificate.

use super::code::SystemId;

/// What a system may do; everything not named is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends and receives for the agencies that it hosts.
    Agency,
    /// As [`Role::Agency`], for the National Public Service Portal.
    Portal,
    /// Reads the log, traces and evidence of everything; changes nothing.
    Auditor,
    /// Reads the directory and the state of the gateway; changes nothing over the network.
    Operator,
    /// A neighbour gateway: brings and takes documents of the agencies behind it.
    Gateway,
}

impl Role {
    /// Every role with its word in files.
    pub const WORDS: &'static [(&'static str, Role)] = &[
        ("agency", Role::Agency),
        ("portal", Role::Portal),
        ("auditor", Role::Auditor),
        ("operator", Role::Operator),
        ("gateway", Role::Gateway),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        super::agency::word_of(Self::WORDS, self)
    }
}

/// One system: whoever holds this client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name.
    pub id: SystemId,
    /// How its certificate is recognised: a SAN URI, or `issuer-serial:` and the SHA-256 of issuer
    /// name and serial number, for certificates without one.
    pub identities: Vec<String>,
    /// What it may do.
    pub role: Role,
    /// Name of the gateway that it is: the origin of its log, at most [`super::CODE_LENGTH_MAX`]
    /// characters. Only with [`Role::Gateway`], and then always.
    pub gateway: Option<String>,
}
