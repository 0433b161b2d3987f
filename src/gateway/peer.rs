//! Who is calling, and for whom it may speak. Judged on every request against the present
//! directory, not only at the handshake (design D7).

use std::sync::Arc;

use crate::clock::Date;
use crate::digest::Sha256;
use crate::directory::{Agency, Code, Directory, Ending, Role, SystemId};
use crate::log::Actor;
use crate::refusal::{Reason, Refusal};

/// A known system behind a valid certificate. Only admission at the door makes one.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The system.
    pub system: SystemId,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its client certificate.
    pub certificate: Sha256,
    /// The certificate, DER: evidence shows who acted.
    pub der: Arc<[u8]>,
}

impl Peer {
    /// How the log names it.
    pub fn actor(&self) -> Actor {
        Actor { system: self.system.clone(), certificate: self.certificate }
    }

    /// The agency with this code, if this system may act for it.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::AgencyUnknown`], [`Reason::AgencyNotYours`].
    pub fn speak_for<'a>(
        &self,
        directory: &'a Directory,
        code: &Code,
        field: &str,
    ) -> Result<&'a Agency, Refusal> {
        self.require(&[Role::Agency, Role::Portal])?;
        let refusal = |reason| Refusal::of_field(reason, field).with("code", code);
        let agency = directory.agency(code).ok_or_else(|| refusal(Reason::AgencyUnknown))?;
        if agency.host.as_ref() != Some(&self.system) {
            return Err(refusal(Reason::AgencyNotYours).with("system", &self.system));
        }
        Ok(agency)
    }

    /// As [`Peer::speak_for`], for an agency whose code must still be open to act.
    ///
    /// # Errors
    /// Those, and [`Reason::SenderClosed`].
    pub fn send_for<'a>(
        &self,
        directory: &'a Directory,
        today: Date,
        code: &Code,
    ) -> Result<&'a Agency, Refusal> {
        self.require(&[Role::Agency, Role::Portal])?;
        let refusal = |reason| Refusal::of_field(reason, "sender").with("code", code);
        let chain = directory.chain(code, today).ok_or_else(|| refusal(Reason::SenderUnknown))?;
        self.speak_for(directory, code, "sender")?;
        if chain.ending != Ending::Open {
            let refusal = refusal(Reason::SenderClosed);
            return Err(refusal.with("successors", chain.successors_line()));
        }
        Ok(chain.named)
    }

    /// Whether its role is one of these.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`].
    pub fn require(&self, roles: &[Role]) -> Result<(), Refusal> {
        if roles.contains(&self.role) {
            return Ok(());
        }
        Err(Refusal::new(Reason::RoleNotAllowed).with("system", &self.system))
    }

    /// Whether it may read what concerns these agencies: auditors everything, others their own.
    pub fn may_read(&self, directory: &Directory, parties: &[&Code]) -> bool {
        let hosts = |code: &&Code| {
            directory.agency(code).is_some_and(|agency| agency.host.as_ref() == Some(&self.system))
        };
        match self.role {
            Role::Auditor => true,
            Role::Agency | Role::Portal => parties.iter().any(hosts),
            Role::Operator | Role::Gateway => false,
        }
    }
}
