//! A validation report in XML, in the manner of ETSI TS 119 102-2 (namespace of version 1.4.1).
//!
//! It says what the JSON report says, in the elements of that standard; reasons stand in
//! `AdditionalValidationReportData`, in English and Vietnamese. The same input at the same time gives
//! the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Time;
use crate::digest::Sha256;
use crate::signature::{
    Der, Format, Indication, Report, Signature, Timestamp, TimestampKind, Verdict,
    note_in_vietnamese, reason_in_vietnamese,
};

const HEAD: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<ValidationReport xmlns=\"http://uri.etsi.org/19102/v1.4.1#\"",
    " xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"",
    " xmlns:v=\"urn:vanthu:report:1\">\n",
);
const SHA256_METHOD: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// A report that grows file by file.
pub struct ValidationReport {
    now: Time,
    text: String,
    /// Certificates by their identifier in the report.
    objects: BTreeMap<String, String>,
    count: usize,
}

impl ValidationReport {
    /// A report on what is judged as of `now`.
    pub fn new(now: Time) -> Self {
        Self { now, text: HEAD.to_owned(), objects: BTreeMap::new(), count: 0 }
    }

    /// Adds what was found in the file `name` with this digest.
    pub fn add(&mut self, name: &str, digest: &Sha256, report: &Report) {
        if report.signatures.is_empty() {
            let name = name.replace('-', "\u{2010}");
            let _ = writeln!(self.text, "  <!-- {}: no signature -->", escaped(&name));
        }
        for signature in &report.signatures {
            self.count += 1;
            self.signature(name, digest, signature);
        }
    }

    /// The whole document.
    pub fn finish(mut self) -> String {
        if !self.objects.is_empty() {
            self.text.push_str("  <SignatureValidationObjects>\n");
            for (id, base64) in &self.objects {
                let _ = writeln!(
                    self.text,
                    "    <ValidationObject id=\"{id}\">\
                     <ObjectType>urn:etsi:019102:validationObject:certificate</ObjectType>\
                     <ValidationObjectRepresentation><base64>{base64}</base64>\
                     </ValidationObjectRepresentation></ValidationObject>"
                );
            }
            self.text.push_str("  </SignatureValidationObjects>\n");
        }
        self.text.push_str("</ValidationReport>\n");
        self.text
    }

    fn signature(&mut self, name: &str, digest: &Sha256, signature: &Signature) {
        self.text.push_str("  <SignatureValidationReport>\n");
        let field = signature.field.as_ref().map(|field| format!(", {field}")).unwrap_or_default();
        let identifier = format!("{name}, {}{field}", signature.index);
        line(
            &mut self.text,
            format_args!(
                "<SignatureIdentifier id=\"S-{}\"><HashOnly>false</HashOnly>\
             <DocHashOnly>false</DocHashOnly><DAIdentifier>{}</DAIdentifier></SignatureIdentifier>",
                self.count,
                escaped(&identifier)
            ),
        );
        line(
            &mut self.text,
            format_args!(
                "<ValidationTimeInfo><ValidationTime>{now}</ValidationTime><BestSignatureTime>\
             <POETime>{}</POETime><TypeOfProof>urn:etsi:019102:poetype:validation</TypeOfProof>\
             </BestSignatureTime></ValidationTimeInfo>",
                signature.best_time.unwrap_or(self.now),
                now = self.now
            ),
        );
        line(
            &mut self.text,
            format_args!(
                "<SignersDocument><DigestAlgAndValue><ds:DigestMethod Algorithm=\"{SHA256_METHOD}\"/>\
             <ds:DigestValue>{}</ds:DigestValue></DigestAlgAndValue></SignersDocument>",
                STANDARD.encode(digest.0)
            ),
        );
        self.attributes(signature);
        if let Some(signer) = &signature.signer {
            let id = self.certificate(&signer.der);
            line(
                &mut self.text,
                format_args!(
                    "<SignerInformation><SignerCertificate VOReference=\"{id}\"/>\
                 <Signer>{}</Signer></SignerInformation>",
                    escaped(&signer.subject)
                ),
            );
        }
        line(
            &mut self.text,
            format_args!(
                "<SignatureValidationProcess><SignatureValidationProcessID>\
             urn:etsi:019102:validationprocess:LTA</SignatureValidationProcessID>\
             </SignatureValidationProcess>"
            ),
        );
        self.status(signature);
        self.remarks(signature);
        self.text.push_str("  </SignatureValidationReport>\n");
    }

    fn attributes(&mut self, signature: &Signature) {
        let mut text = String::new();
        if let Some(time) = signature.signing_time {
            let _ = write!(text, "<SigningTime Signed=\"true\"><Time>{time}</Time></SigningTime>");
        }
        for stamp in &signature.timestamps {
            let Some(time) = stamp.time else { continue };
            let name = stamp_element(stamp.kind);
            let _ = write!(text, "<{name}><TimeStampValue>{time}</TimeStampValue></{name}>");
        }
        if let Format::PdfCms | Format::PdfCades | Format::PdfTimestamp = signature.format {
            let format = signature.format;
            let _ = write!(
                text,
                "<SubFilter><SubFilterElement>{format}</SubFilterElement></SubFilter>"
            );
        }
        if !text.is_empty() {
            line(&mut self.text, format_args!("<SignatureAttributes>{text}</SignatureAttributes>"));
        }
    }

    fn status(&mut self, signature: &Signature) {
        let chain: Vec<String> = signature.chain.iter().map(|der| self.certificate(der)).collect();
        let mut text = main_and_sub(&signature.verdict);
        text.push_str("<AssociatedValidationReportData>");
        if let [signer, between @ .., anchor] = &chain[..] {
            let _ = write!(text, "<TrustAnchor VOReference=\"{anchor}\"/><CertificateChain>");
            let _ = write!(text, "<SigningCertificate VOReference=\"{signer}\"/>");
            for id in between {
                let _ = write!(text, "<IntermediateCertificate VOReference=\"{id}\"/>");
            }
            let _ = write!(text, "<TrustAnchor VOReference=\"{anchor}\"/></CertificateChain>");
        }
        let mut data = reasons(&signature.verdict);
        for stamp in &signature.timestamps {
            data.push_str(&timestamp(stamp));
        }
        if !data.is_empty() {
            let _ = write!(
                text,
                "<AdditionalValidationReportData>{data}</AdditionalValidationReportData>"
            );
        }
        text.push_str("</AssociatedValidationReportData>");
        line(
            &mut self.text,
            format_args!("<SignatureValidationStatus>{text}</SignatureValidationStatus>"),
        );
    }

    /// What the standard has no element for.
    fn remarks(&mut self, signature: &Signature) {
        let mut text = format!(
            "<v:Format>{}</v:Format><v:Coverage>{}</v:Coverage>",
            escaped(&signature.format.to_string()),
            escaped(&signature.coverage.to_string())
        );
        if let Some(domain) = &signature.domain {
            let _ = write!(text, "<v:TrustDomain>{}</v:TrustDomain>", escaped(domain));
        }
        for quirk in &signature.quirks {
            let _ = write!(text, "<v:Note>{}</v:Note>", both(quirk, &note_in_vietnamese(quirk)));
        }
        line(&mut self.text, format_args!("<OtherInformation>{text}</OtherInformation>"));
    }

    fn certificate(&mut self, der: &Der) -> String {
        let id = format!("C-{}", der.digest());
        self.objects.entry(id.clone()).or_insert_with(|| STANDARD.encode(&**der));
        id
    }
}

fn line(into: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(into, "    {text}");
}

fn main_and_sub(verdict: &Verdict) -> String {
    let main = match verdict.indication() {
        Indication::TotalPassed => "total-passed",
        Indication::Indeterminate => "indeterminate",
        Indication::TotalFailed => "total-failed",
    };
    let mut text =
        format!("<MainIndication>urn:etsi:019102:mainindication:{main}</MainIndication>");
    if let Some(sub) = verdict.sub_indication() {
        let _ = write!(text, "<SubIndication>urn:etsi:019102:subindication:{sub}</SubIndication>");
    }
    text
}

fn reasons(verdict: &Verdict) -> String {
    let mut text = String::new();
    for reason in verdict.reasons() {
        let place = reason.offset.map(|at| format!(" offset=\"{at}\"")).unwrap_or_default();
        let vietnamese = reason_in_vietnamese(reason, verdict.sub_indication());
        let _ = write!(
            text,
            "<ReportData><Type>urn:vanthu:report:reason</Type><Value><v:Reason code=\"{}\"{place}>\
             {}</v:Reason></Value></ReportData>",
            reason.code,
            both(&reason.message, &vietnamese)
        );
    }
    text
}

fn timestamp(stamp: &Timestamp) -> String {
    let verdict = &stamp.verdict;
    let sub = verdict.sub_indication();
    let sub = sub.map(|sub| format!(" subIndication=\"{sub}\"")).unwrap_or_default();
    let authority = stamp.authority.as_ref().map_or_else(String::new, |authority| {
        format!("<v:Authority>{}</v:Authority>", escaped(&authority.subject))
    });
    format!(
        "<ReportData><Type>urn:vanthu:report:timestamp</Type><Value><v:Timestamp kind=\"{}\" \
         indication=\"{}\"{sub}>{authority}</v:Timestamp></Value></ReportData>{}",
        stamp.kind,
        verdict.indication(),
        reasons(verdict)
    )
}

fn stamp_element(kind: TimestampKind) -> &'static str {
    match kind {
        TimestampKind::Content => "AllDataObjectsTimeStamp",
        TimestampKind::Signature => "SignatureTimeStamp",
        TimestampKind::Document => "DocTimeStamp",
        TimestampKind::Archive => "ArchiveTimeStamp",
        TimestampKind::SignatureAndReferences => "SigAndRefsTimeStamp",
        TimestampKind::References => "RefsOnlyTimeStamp",
    }
}

fn both(english: &str, vietnamese: &str) -> String {
    format!(
        "<v:Text xml:lang=\"en\">{}</v:Text><v:Text xml:lang=\"vi\">{}</v:Text>",
        escaped(english),
        escaped(vietnamese)
    )
}

/// Text and attribute values; what XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
#[path = "validation_report_tests.rs"]
mod tests;
