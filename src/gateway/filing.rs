//! The port of dossiers.

use super::ports::StoreError;
use crate::clock::Time;
use crate::directory::Code;
use crate::document::DossierCode;
use crate::dossier::Dossier;

/// The dossiers, as the entries say.
pub trait Filing: Send + Sync {
    /// A dossier.
    ///
    /// # Errors
    /// Medium and damage.
    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError>;

    /// Up to `max` dossiers after `after`, in the order of their codes.
    ///
    /// # Errors
    /// Medium and damage.
    fn dossiers(&self, after: Option<&DossierCode>, max: usize)
    -> Result<Vec<Dossier>, StoreError>;

    /// Up to `max` dossiers that an agency has had or was asked about, after `after`, in the order of
    /// their codes.
    ///
    /// # Errors
    /// Medium and damage.
    fn dossiers_of(
        &self,
        agency: &Code,
        after: Option<&DossierCode>,
        max: usize,
    ) -> Result<Vec<DossierCode>, StoreError>;

    /// Up to `max` dossiers whose alarm is before `until`, the earliest first.
    ///
    /// # Errors
    /// Medium and damage.
    fn alarms(&self, until: Time, max: usize) -> Result<Vec<DossierCode>, StoreError>;
}
