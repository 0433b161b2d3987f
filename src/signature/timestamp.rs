//! RFC 3161 time-stamp tokens: what existed, when, who says so, and does it hold?
//!
//! A token is a signature of its own, over TSTInfo, with its own path to an anchor. It proves
//! something only if all of it holds; a broken one changes nothing about what it was put on.

use std::time::Duration;

use super::algorithm::Hash;
use super::asn1::{self, Malformed, Reader, Value, dotted, tag, trimmed};
use super::cms::{self, SignedData, oid};
use super::content::Content;
use super::evidence::{Material, Proofs};
use super::extension::Extension;
use super::name::{CanonicalName, Name};
use super::past::{Made, Occasion};
use super::report::{Findings, SubIndication as Sub, Timestamp, TimestampKind};
use super::signer::{self, Context, Hashed, Judged, Place, Profile};
use super::trust::Trust;
use crate::clock::Time;
use crate::digest::hex;
use crate::limits::CLOCK_SKEW_MAX;

/// Proof that what a time-stamp covers existed at its time. Only a token that holds makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Existed {
    at: Time,
    accuracy: Duration,
}

impl Existed {
    pub fn at(&self) -> Time {
        self.at
    }

    /// Whether it contradicts being made before `later`: clocks and accuracies allowed for
    /// (RFC 3161 §2.4.2 on ordering).
    pub fn is_after(&self, later: &Self) -> bool {
        self.at > later.at.after(self.accuracy).after(later.accuracy)
    }
}

/// A judged token.
pub(super) struct Stamp {
    pub report: Timestamp,
    pub existed: Option<Existed>,
    /// TSTInfo as it stands: two tokens with the same one are one token.
    pub info: Vec<u8>,
}

/// TSTInfo (RFC 3161 §2.4.2).
#[derive(Debug)]
struct Info {
    policy: String,
    hash: Hash,
    imprint: Vec<u8>,
    serial: String,
    time: Time,
    accuracy: Option<Duration>,
    /// The name of the authority, if it is a directory name.
    tsa: Option<CanonicalName>,
    unknown_critical: Option<String>,
}

/// A token and where it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub kind: TimestampKind,
    pub bytes: &'a [u8],
    /// Where in the file it stands.
    pub place: Option<Place>,
    /// What hashes stand between it and what it covers: those of a manifest or an index.
    pub hashes: &'a [Hash],
}

/// The hash and the time that a token states, unverified.
pub(super) fn imprint_of(token: &[u8]) -> Option<(Hash, Time)> {
    let data = SignedData::parse(token).ok()?;
    let info = Info::read(data.content.as_deref()?).ok()?;
    Some((info.hash, info.time))
}

/// Judges a token (DER) by itself over `content`.
pub fn judge_token(token: &[u8], content: &[u8], trust: &Trust, now: Time) -> Timestamp {
    let (material, proofs) = (Material::default(), Proofs::default());
    let occasion = Occasion { trust, now, material: &material, proofs: &proofs };
    let token = Token { kind: TimestampKind::Document, bytes: token, place: None, hashes: &[] };
    judge(occasion, token, &mut Content::whole_of(&content)).report
}

/// Judges a token over `content`.
pub(super) fn judge(occasion: Occasion<'_>, token: Token<'_>, content: &mut Content<'_>) -> Stamp {
    let mut findings = Findings::default();
    let mut judged = Judged::default();
    let mut info_raw = Vec::new();
    let mut info = None;
    match SignedData::parse(token.bytes) {
        Err(Malformed) => findings.failed(
            Sub::FormatFailure,
            "TOKEN_UNREADABLE",
            "The time-stamp is not a CMS signature or is damaged.",
        ),
        Ok(data) => {
            judged = signed(occasion, token, &data, &mut findings);
            info_raw = data.content.as_deref().unwrap_or_default().to_vec();
            info = Info::read(&info_raw).ok();
        }
    }
    match &info {
        Some(info) => {
            check_imprint(info, content, &mut findings);
            for hash in token.hashes.iter().chain([&info.hash]) {
                judged.weigh_hash(occasion, Hashed::Imprint, hash);
            }
            check_info(occasion.now, info, &mut findings, &mut judged);
        }
        None if findings.is_empty() => findings.failed(
            Sub::FormatFailure,
            "TST_INFO_UNREADABLE",
            "What the time-stamping authority signed is not a time-stamp.",
        ),
        None => {}
    }
    let verdict = judged.conclude(findings);
    let existed = info.as_ref().filter(|_| verdict.is_passed()).map(|info| Existed {
        at: info.time.min(occasion.now),
        accuracy: info.accuracy.unwrap_or(CLOCK_SKEW_MAX),
    });
    let report = Timestamp {
        kind: token.kind,
        verdict,
        time: info.as_ref().map(|info| info.time),
        accuracy_ms: info
            .as_ref()
            .and_then(|info| info.accuracy)
            .map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        policy: info.as_ref().map(|info| info.policy.clone()),
        serial: info.as_ref().map(|info| info.serial.clone()),
        authority: judged.signer,
        domain: judged.domain,
        chain: judged.path.chain.iter().map(|one| one.der.clone()).collect(),
        crls: judged.path.crls,
        quirks: judged.quirks,
    };
    Stamp { report, existed, info: info_raw }
}

/// When a token was made: before the time-stamps over it, and when it says so itself.
pub(super) fn made(occasion: Occasion<'_>, place: Option<Place>, data: &SignedData<'_>) -> Made {
    let by = place.and_then(|place| occasion.proofs.of(place.end));
    let info = data.content.as_deref().and_then(|content| Info::read(content).ok());
    Made { by: by.map(|existed| existed.at()), after: None, stated: info.map(|info| info.time) }
}

/// The signature of the authority over TSTInfo.
fn signed(
    occasion: Occasion<'_>,
    token: Token<'_>,
    data: &SignedData<'_>,
    findings: &mut Findings,
) -> Judged {
    let mut fail = |code, message: &str| findings.failed(Sub::FormatFailure, code, message);
    if data.content_type != oid::TST_INFO {
        fail("TOKEN_CONTENT", "The signature is over something else than a time-stamp.");
        return Judged::default();
    }
    let ([signer], Some(content)) = (&data.signers[..], &data.content) else {
        fail("SIGNER_COUNT", "A time-stamp must have one signer and its content inside.");
        return Judged::default();
    };
    let mut quirks = data.quirks.clone();
    cms::note_rest(data.rest, "time-stamp", &mut quirks);
    let certificates = signer::certificates(occasion.trust, data, &mut quirks);
    let context = Context {
        occasion,
        data,
        certificates: &certificates,
        profile: Profile::Timestamp,
        place: token.place,
    };
    let mut judged = signer::judge(&context, signer, &mut Content::whole_of(content));
    quirks.append(&mut judged.quirks);
    judged.quirks = quirks;
    judged
}

fn check_imprint(info: &Info, content: &mut Content<'_>, findings: &mut Findings) {
    match content.digest(&info.hash) {
        Ok(Some(actual)) if actual == info.imprint => {}
        Ok(Some(_)) => findings.failed(
            Sub::HashFailure,
            "IMPRINT_DIFFERS",
            "The time-stamp is about something else than what it stands on.",
        ),
        Ok(None) => findings.doubt(
            Sub::CryptoConstraintsFailure,
            "DIGEST_NOT_JUDGED",
            format!("The time-stamp uses {}, which this version does not judge.", info.hash.name()),
        ),
        Err(_) => findings.doubt(
            Sub::SignedDataNotFound,
            "CONTENT_UNREADABLE",
            "The stamped content could not be read.",
        ),
    }
}

fn check_info(now: Time, info: &Info, findings: &mut Findings, judged: &mut Judged) {
    if info.time > now.after(CLOCK_SKEW_MAX) {
        findings.doubt(
            Sub::TimestampOrderFailure,
            "TIMESTAMP_IN_FUTURE",
            format!("The time-stamp says {}, which has not come yet.", info.time.in_vietnam()),
        );
    }
    if let Some(oid) = &info.unknown_critical {
        findings.doubt(
            Sub::SigConstraintsFailure,
            "TST_INFO_EXTENSION",
            format!("The time-stamp has the unknown critical extension {oid}."),
        );
    }
    let Some(authority) = judged.path.chain.first() else { return };
    if !authority.is_valid_at(info.time) {
        findings.doubt(
            Sub::ChainConstraintsFailure,
            "TSA_OUT_OF_BOUNDS",
            format!(
                "The certificate of “{}” was not valid at the time that the time-stamp states.",
                authority.subject.short()
            ),
        );
    }
    if info.tsa.as_ref().is_some_and(|tsa| *tsa != authority.subject.canonical) {
        judged.quirks.push("the time-stamp names another authority than its signer".to_owned());
    }
}

impl Info {
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = asn1::only(bytes, tag::SEQUENCE)?.children();
        if trimmed(fields.expect(tag::INTEGER)?.content) != [1] {
            return Err(Malformed);
        }
        let policy = dotted(fields.expect(tag::OBJECT_IDENTIFIER)?.content);
        let mut imprint = fields.expect(tag::SEQUENCE)?.children();
        let mut algorithm = imprint.expect(tag::SEQUENCE)?.children();
        let hash = Hash::from_oid(algorithm.expect(tag::OBJECT_IDENTIFIER)?.content);
        let imprint = imprint.octets(tag::OCTET_STRING)?.into_owned();
        let serial = hex(trimmed(fields.expect(tag::INTEGER)?.content));
        let time = precise(fields.expect(tag::GENERALIZED_TIME)?)?;
        let accuracy = fields.optional(tag::SEQUENCE)?.map(accuracy).transpose()?;
        // Whether tokens of this authority can be ordered by time alone is never relied on.
        fields.optional(tag::BOOLEAN)?;
        fields.optional(tag::INTEGER)?;
        let tsa = match fields.optional(tag::CONTEXT_0)? {
            Some(name) => directory_name(name)?,
            None => None,
        };
        let unknown_critical = match fields.optional(tag::CONTEXT_1)? {
            // `[1]` is implicit; no extension is known here.
            Some(list) => Extension::first_critical(Reader::new(list.content))?,
            None => None,
        };
        Ok(Self { policy, hash, imprint, serial, time, accuracy, tsa, unknown_critical })
    }
}

/// GeneralizedTime with its fraction of a second.
fn precise(value: Value<'_>) -> Result<Time, Malformed> {
    let seconds = cms::time(value).ok_or(Malformed)?;
    let text = std::str::from_utf8(value.content).map_err(|_| Malformed)?;
    let fraction = text.trim_end_matches('Z').split_once('.').map_or("", |(_, digits)| digits);
    let millis = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |millis, digit| millis * 10 + u64::from(digit.wrapping_sub(b'0') % 10));
    Ok(seconds.after(Duration::from_millis(millis)))
}

/// Accuracy ::= SEQUENCE { seconds INTEGER, millis [0], micros [1] }, all optional.
fn accuracy(value: Value<'_>) -> Result<Duration, Malformed> {
    let mut span = Duration::ZERO;
    let mut fields = value.children();
    while !fields.is_empty() {
        let field = fields.read()?;
        if field.content.len() > 4 || field.content.first().is_some_and(|&byte| byte >= 0x80) {
            return Err(Malformed);
        }
        let number = field.content.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        span += match field.tag {
            tag::INTEGER => Duration::from_secs(number),
            0x80 => Duration::from_millis(number),
            0x81 => Duration::from_micros(number),
            _ => return Err(Malformed),
        };
    }
    Ok(span)
}

/// `tsa [0] GeneralName`: only a directoryName `[4]` can be compared with a subject.
fn directory_name(wrapper: Value<'_>) -> Result<Option<CanonicalName>, Malformed> {
    let name = wrapper.children().read()?;
    if name.tag != 0xa4 {
        return Ok(None);
    }
    Ok(Some(Name::from_der(name.children().read()?.raw)?.canonical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::asn1::encode;

    #[test]
    fn fractions_and_accuracies_are_read() {
        let read = |text: &str| {
            let bytes = encode(tag::GENERALIZED_TIME, &[text.as_bytes()]);
            precise(Reader::new(&bytes).read().unwrap()).map(|time| time.to_string())
        };
        assert_eq!(read("20261122034518Z"), Ok("2026-11-22T03:45:18.000Z".to_owned()));
        assert_eq!(read("20261122034518.5Z"), Ok("2026-11-22T03:45:18.500Z".to_owned()));
        assert_eq!(read("20261122034518.1239Z"), Ok("2026-11-22T03:45:18.123Z".to_owned()));
        assert!(read("20261122034518").is_err());
        let parts = [
            encode(tag::INTEGER, &[&[1]]),
            encode(0x80, &[&[0x01, 0xf4]]),
            encode(0x81, &[&[0x64]]),
        ];
        let bytes = encode(tag::SEQUENCE, &[&parts.concat()]);
        let span = accuracy(Reader::new(&bytes).read().unwrap()).unwrap();
        assert_eq!(span, Duration::from_micros(1_500_100));
    }

    #[test]
    fn truncated_contents_are_refused_at_every_length() {
        let algorithm = encode(tag::SEQUENCE, &[&encode(6, &[&[0x2b]])]);
        let imprint = [algorithm, encode(tag::OCTET_STRING, &[&[7; 20]])].concat();
        let fields = [
            encode(tag::INTEGER, &[&[1]]),
            encode(6, &[&[0x88, 0x37]]),
            encode(tag::SEQUENCE, &[&imprint]),
            encode(tag::INTEGER, &[&[9]]),
            encode(tag::GENERALIZED_TIME, &[b"20261122034518Z"]),
        ];
        let whole = encode(tag::SEQUENCE, &[&fields.concat()]);
        assert_eq!(Info::read(&whole).unwrap().policy, "2.999");
        for size in 0..whole.len() {
            assert!(Info::read(&whole[..size]).is_err());
        }
    }
}
