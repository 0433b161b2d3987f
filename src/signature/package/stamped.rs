//! Time-stamp tokens and evidence records of an ASiC container: over its only file, over a manifest, or,
//! as archive time-stamps, over a manifest that names signatures and older tokens.
//!
//! A token proves only for entries that its manifest names with the right digest. Newer tokens are
//! judged before the older ones that they cover.

use std::collections::{BTreeSet, HashMap};

use super::super::content::Content;
use super::super::evidence::{Material, Proofs};
use super::super::message::bare;
use super::super::past::Occasion;
use super::super::report::{Findings, Format, Signature, TimestampKind, Verdict};
use super::super::signer::Place;
use super::super::timestamp::{self, Existed, Token};
use super::asic::{Container, Role};
use crate::limits::{CMS_SIZE_MAX, SIGNATURES_MAX};

/// Where a signature stands for the proofs made here: before the end of what is covered.
pub(super) const PLACE: Place = Place { covered: 0, end: 1 };

/// What is known about the tokens of a container.
#[derive(Default)]
pub(super) struct Tokens {
    reports: HashMap<usize, Signature>,
    /// What each token that holds proves, newest first.
    proven: Vec<(BTreeSet<usize>, Existed)>,
}

impl Tokens {
    /// The judgement on the token in an entry.
    pub fn report(&self, index: usize) -> Option<Signature> {
        self.reports.get(&index).cloned()
    }

    /// What the tokens prove about an entry.
    pub fn proofs(&self, index: usize) -> Proofs {
        let mut proofs = Proofs::default();
        for (_, existed) in self.proven.iter().filter(|(covered, _)| covered.contains(&index)) {
            proofs.add(PLACE.end, PLACE.end + 1, *existed);
        }
        proofs
    }
}

impl Container<'_> {
    /// Judges the tokens and records, those over others first.
    pub(super) fn tokens(&self) -> Tokens {
        let mut tokens = Tokens::default();
        let mut waiting: Vec<(usize, BTreeSet<usize>)> = self
            .with(&[Role::Token, Role::EvidenceRecord])
            .take(SIGNATURES_MAX)
            .map(|index| (index, self.proves(index)))
            .collect();
        while !waiting.is_empty() {
            // Tokens that name each other cannot both be real; then any is as good as another.
            let next = (0..waiting.len()).find(|&at| {
                let index = waiting.get(at).map(|(index, _)| *index);
                let mut others = waiting.iter().enumerate().filter(|(other, _)| *other != at);
                !others.any(|(_, (_, covered))| index.is_some_and(|it| covered.contains(&it)))
            });
            let (index, covered) = waiting.swap_remove(next.unwrap_or(0));
            let (signature, existed) = match self.roles.get(index) {
                Some(Role::EvidenceRecord) => self.record(index, &tokens),
                _ => self.token(index, &tokens),
            };
            tokens.reports.insert(index, signature);
            tokens.proven.extend(existed.map(|existed| (covered, existed)));
        }
        tokens
    }

    /// The entries about which the token or evidence record says that they existed. A record is over
    /// the files themselves and not over the manifest that names them.
    fn proves(&self, index: usize) -> BTreeSet<usize> {
        let mut proven = self.protected(index);
        if self.roles.get(index) == Some(&Role::Token) {
            proven.extend(self.manifest_of(index).map(|placed| placed.entry));
        }
        proven
    }

    /// The files that a manifest names rightly, or the only one.
    pub(super) fn protected(&self, index: usize) -> BTreeSet<usize> {
        let nothing = &mut Findings::default();
        match self.manifest_of(index) {
            Some(placed) => self.referenced(&placed.manifest, nothing).holding,
            None => self.only_object(nothing).into_iter().collect(),
        }
    }

    fn token(&self, index: usize, newer: &Tokens) -> (Signature, Option<Existed>) {
        let mut findings = self.findings();
        let signed = self.signed(index, &mut findings);
        let bytes = match self.archive.load(index, CMS_SIZE_MAX) {
            Ok(bytes) => bytes,
            Err(anomaly) => {
                anomaly.tell(&mut findings);
                return (self.told(index, Format::AsicTimestamp, findings), None);
            }
        };
        let Some((entry, opened)) =
            signed.entry.and_then(|entry| Some((entry, self.archive.bytes_of(entry)?)))
        else {
            return (self.told(index, Format::AsicTimestamp, findings), None);
        };
        let (material, proofs) = (Material::default(), newer.proofs(index));
        let occasion =
            Occasion { trust: self.trust, now: self.now, material: &material, proofs: &proofs };
        let token = Token {
            kind: TimestampKind::Document,
            bytes: &bytes,
            place: Some(PLACE),
            hashes: &signed.hashes,
        };
        let stamp = timestamp::judge(occasion, token, &mut Content::whole_of(&opened));
        if let Err(anomaly) = self.archive.check(entry) {
            anomaly.tell(&mut findings);
        }
        findings.append(Findings::from(&stamp.report.verdict));
        let mut signature =
            bare(0, Format::AsicTimestamp, Verdict::indeterminate(None, Vec::new()));
        signature.field = Some(self.name(index));
        signature.coverage = signed.coverage;
        signature.signed = signed.names;
        signature.signer = stamp.report.authority.clone();
        signature.chain = stamp.report.chain.clone();
        signature.crls = stamp.report.crls.clone();
        signature.best_time = proofs.of(PLACE.end).map(|existed| existed.at());
        signature.verdict = if findings.is_empty() {
            stamp.report.verdict.clone()
        } else {
            findings.conclude(None)
        };
        signature.timestamps.push(stamp.report);
        (signature, stamp.existed)
    }
}
