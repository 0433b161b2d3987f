//! Evidence as other delivery services read it: one XML for each event, after ETSI EN 319 522-3,
//! with the entry and its proof in `TransactionLogInformation`, sealed with XAdES-B-B.
//!
//! Everything is written in its canonical form (exclusive XML canonicalization), so what is hashed is
//! what is written. What a file says is what the proven entry says: whoever verifies one writes it
//! anew and compares.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::receipt::ProvenEntry;
use super::verify::PartInfo;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::log::Event;

const ERDS: &str = "http://uri.etsi.org/19522/v1#";
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const EVENTS: &str = "http://uri.etsi.org/19522/Event/";
const VERSION: &str = "EN319522v1.1.1";
/// Namespace of what stands in `TransactionLogInformation`.
const LOG: &str = "urn:vanthu:log:1";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
const PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// Where the signature goes: it is the last child.
const END: &str = "</erds:Evidence>";

/// What seals evidence: the gateway's key and certificate.
pub trait Seal: Send + Sync {
    /// Its certificate first, then those up to the anchor, DER.
    fn chain(&self) -> &[Vec<u8>];

    /// The URI of the signature algorithm (RFC 9231).
    fn method(&self) -> &'static str;

    /// The signature value over this message as XML-DSig has it; `None` if the key cannot.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}

/// One event to be written.
#[derive(Debug, Clone)]
pub(super) struct Told<'a> {
    /// The gateway's name.
    pub issuer: &'a str,
    pub entry: &'a ProvenEntry,
    /// When the document was accepted.
    pub submitted: Time,
    /// Whom it was sent to, as far as the file tells.
    pub recipients: Vec<&'a Code>,
    pub parts: &'a [(PartInfo, bool)],
}

/// What is to be told of an entry of a file.
pub(super) fn told<'a>(
    issuer: &'a str,
    entries: &'a [ProvenEntry],
    parts: &'a [(PartInfo, bool)],
    entry: &'a ProvenEntry,
) -> Told<'a> {
    let consigned = entries.iter().filter(|one| match one.event {
        Event::ContentConsignment => one.service.is_none(),
        event => event == Event::Relay,
    });
    Told {
        issuer,
        entry,
        submitted: entries.first().map_or(entry.time, |accepted| accepted.time),
        recipients: consigned.filter_map(|one| one.to.as_ref()).collect(),
        parts,
    }
}

/// The XML without a signature, with the receipt's file; `None` if the event is none of the standard.
pub(super) fn render(told: &Told<'_>, receipt: &[u8]) -> Option<String> {
    let entry = told.entry;
    let word = entry.event.word();
    // Our own events are written in lower case.
    if !word.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let id = entry.id();
    let mut xml = format!("<erds:Evidence xmlns:erds=\"{ERDS}\" version=\"{VERSION}\">");
    put(&mut xml, "erds:EvidenceIdentifier", &format!("{}/log/{id}", told.issuer));
    put(&mut xml, "erds:ERDSEventId", &format!("{EVENTS}{word}"));
    if let Some(reason) = &entry.reason {
        xml.push_str("<erds:EventReasons><erds:EventReason>");
        put(&mut xml, "Code", &format!("urn:vanthu:reason:{reason}"));
        put(&mut xml, "Details", &details(entry));
        xml.push_str("</erds:EventReason></erds:EventReasons>");
    }
    put(&mut xml, "EventTime", &entry.time.to_string());
    party(&mut xml, "erds:EvidenceIssuerDetails", told.issuer);
    party(&mut xml, "erds:SenderDetails", entry.from.as_ref().map_or("", Code::as_str));
    match &entry.to {
        Some(to) => party(&mut xml, "erds:RecipientDetails", to.as_str()),
        None => told
            .recipients
            .iter()
            .for_each(|to| party(&mut xml, "erds:RecipientDetails", to.as_str())),
    }
    put(&mut xml, "erds:SubmissionTime", &told.submitted.to_string());
    if entry.to.is_some() {
        put(&mut xml, "erds:EvidenceRefersToRecipient", "1");
    }
    let consignment = entry.consignment.map(|id| id.to_string()).unwrap_or_default();
    put(&mut xml, "erds:MessageIdentifier", &consignment);
    content(&mut xml, told.parts);
    write(
        &mut xml,
        format_args!(
            "<erds:TransactionLogInformation><vanthu:Receipt xmlns:vanthu=\"{LOG}\">{}\
             </vanthu:Receipt></erds:TransactionLogInformation>",
            BASE64.encode(receipt)
        ),
    );
    xml.push_str(END);
    Some(xml)
}

/// The same with the seal's signature.
pub(super) fn sealed(xml: &str, seal: &dyn Seal, now: Time) -> Option<String> {
    let leaf = seal.chain().first()?;
    let named = BASE64.encode(Sha256::of(leaf).0);
    let properties = |dsig: &str| {
        format!(
            "<xades:SignedSignatureProperties><xades:SigningTime>{now}</xades:SigningTime>\
             <xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod{dsig} \
             Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue{dsig}>{named}</ds:DigestValue>\
             </xades:CertDigest></xades:Cert></xades:SigningCertificateV2>\
             </xades:SignedSignatureProperties>"
        )
    };
    let declared = format!(" xmlns:ds=\"{DSIG}\"");
    let canonical = format!(
        "<xades:SignedProperties xmlns:xades=\"{XADES}\" Id=\"properties\">{}\
         </xades:SignedProperties>",
        properties(&declared)
    );
    let document = reference("", "", &[ENVELOPED, EXCLUSIVE], xml.as_bytes());
    let kind = format!(" Type=\"{PROPERTIES}\"");
    let own = reference("#properties", &kind, &[EXCLUSIVE], canonical.as_bytes());
    let info = format!(
        "{}{}{document}{own}",
        algorithm("CanonicalizationMethod", EXCLUSIVE),
        algorithm("SignatureMethod", seal.method())
    );
    let signed = format!("<ds:SignedInfo{declared}>{info}</ds:SignedInfo>");
    let value = BASE64.encode(seal.sign(signed.as_bytes())?);
    let certificates: String = seal
        .chain()
        .iter()
        .map(|der| format!("<ds:X509Certificate>{}</ds:X509Certificate>", BASE64.encode(der)))
        .collect();
    let signature = format!(
        "<ds:Signature{declared} Id=\"seal\"><ds:SignedInfo>{info}</ds:SignedInfo>\
         <ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>{certificates}\
         </ds:X509Data></ds:KeyInfo><ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" \
         Target=\"#seal\"><xades:SignedProperties Id=\"properties\">{}</xades:SignedProperties>\
         </xades:QualifyingProperties></ds:Object></ds:Signature>",
        properties("")
    );
    Some(format!("{}{signature}{END}", xml.strip_suffix(END)?))
}

/// The XML before it was sealed; `None` if it is not one with a signature at its end.
pub(super) fn unsealed(xml: &str) -> Option<String> {
    let (before, signature) = xml.split_once("<ds:Signature ")?;
    let ends = signature.ends_with(&format!("</ds:Signature>{END}"));
    (ends && !signature.contains("<ds:Signature ")).then(|| format!("{before}{END}"))
}

fn details(entry: &ProvenEntry) -> String {
    match (entry.event, entry.since) {
        (_, Some(since)) => format!("its time ended at {since}"),
        (Event::ConsignmentRejection, _) => "refused by the recipient".to_owned(),
        _ => String::new(),
    }
}

fn party(xml: &mut String, element: &str, name: &str) {
    let name = escaped(name);
    write(
        xml,
        format_args!(
            "<{element}><erds:Identity><saml:Attribute xmlns:saml=\"{SAML}\" \
             FriendlyName=\"LegalPersonIdentifier\" Name=\"LegalPersonIdentifier\">\
             <saml:AttributeValue>{name}</saml:AttributeValue></saml:Attribute></erds:Identity>\
             <Identifier>{name}</Identifier></{element}>"
        ),
    );
}

fn content(xml: &mut String, parts: &[(PartInfo, bool)]) {
    if parts.is_empty() {
        return;
    }
    xml.push_str("<erds:UserContentInfo>");
    put(xml, "ComposingParts", &parts.len().to_string());
    xml.push_str("<erds:PartsInfo>");
    for (part, _) in parts {
        write(
            xml,
            format_args!(
                "<erds:PartInfo><Identifier>{}</Identifier><ds:DigestMethod xmlns:ds=\"{DSIG}\" \
                 Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue xmlns:ds=\"{DSIG}\">{}\
                 </ds:DigestValue></erds:PartInfo>",
                escaped(&super::statement::plain(&part.name)),
                BASE64.encode(part.digest.0)
            ),
        );
    }
    xml.push_str("</erds:PartsInfo></erds:UserContentInfo>");
}

fn reference(uri: &str, kind: &str, transforms: &[&str], canonical: &[u8]) -> String {
    let transforms: String = transforms.iter().map(|uri| algorithm("Transform", uri)).collect();
    format!(
        "<ds:Reference{kind} URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>{}\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
        algorithm("DigestMethod", SHA256),
        BASE64.encode(Sha256::of(canonical).0)
    )
}

fn algorithm(name: &str, uri: &str) -> String {
    format!("<ds:{name} Algorithm=\"{uri}\"></ds:{name}>")
}

fn put(xml: &mut String, element: &str, text: &str) {
    write(xml, format_args!("<{element}>{}</{element}>", escaped(text)));
}

fn write(xml: &mut String, text: std::fmt::Arguments<'_>) {
    xml.write_fmt(text).expect("writing to a String cannot fail");
}

/// Text as the canonical form writes it (Canonical XML 1.0 §2.3).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}
