//! What is odd about an archive. Programs read odd archives differently, and a signature over one
//! reading says nothing about the others.

use super::super::report::{Findings, SubIndication as Sub};
use crate::limits::PACKAGE_ANOMALIES_MAX;

/// How bad an oddity is for the signatures in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// The structure contradicts itself: FORMAT_FAILURE.
    Forged,
    /// Readable, but not as a signed package should be.
    Odd,
    /// More or other than this version reads: what is signed is not at hand.
    Unjudged,
    /// Worth a remark, and no more.
    Remark,
}

/// One oddity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anomaly {
    pub grade: Grade,
    pub code: &'static str,
    /// One plain sentence.
    pub message: String,
    /// Where in the file.
    pub offset: Option<u64>,
}

impl Anomaly {
    pub fn forged(code: &'static str, message: impl Into<String>, offset: u64) -> Self {
        Self { grade: Grade::Forged, code, message: message.into(), offset: Some(offset) }
    }

    pub fn odd(code: &'static str, message: impl Into<String>, offset: u64) -> Self {
        Self { grade: Grade::Odd, code, message: message.into(), offset: Some(offset) }
    }

    pub fn unjudged(code: &'static str, message: impl Into<String>) -> Self {
        Self { grade: Grade::Unjudged, code, message: message.into(), offset: None }
    }

    pub fn remark(code: &'static str, message: impl Into<String>, offset: u64) -> Self {
        Self { grade: Grade::Remark, code, message: message.into(), offset: Some(offset) }
    }

    /// Adds this to what is found about a signature.
    pub fn tell(&self, findings: &mut Findings) {
        let message = self.message.clone();
        match self.grade {
            Grade::Forged => {
                findings.failed_at(Sub::FormatFailure, self.code, message, self.offset);
            }
            Grade::Odd => {
                findings.doubt_at(Sub::SigConstraintsFailure, self.code, message, self.offset);
            }
            Grade::Unjudged => findings.doubt(Sub::SignedDataNotFound, self.code, message),
            Grade::Remark => {}
        }
    }
}

/// Oddities in the order in which they were found; a hostile archive has millions.
#[derive(Debug, Default)]
pub(super) struct Anomalies(Vec<Anomaly>);

impl Anomalies {
    pub fn push(&mut self, anomaly: Anomaly) {
        if self.0.len() < PACKAGE_ANOMALIES_MAX {
            self.0.push(anomaly);
        } else if anomaly.grade == Grade::Forged
            && let Some(last) = self.0.last_mut()
        {
            // The worst grade decides, so it must not get lost.
            *last = anomaly;
        }
    }

    pub fn extend(&mut self, anomalies: impl IntoIterator<Item = Anomaly>) {
        anomalies.into_iter().for_each(|anomaly| self.push(anomaly));
    }

    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.0.iter()
    }
}
