//! ASiCManifest and ASiCArchiveManifest (EN 319 162-1 annex A.4): what a signature or time-stamp in
//! a container is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node, ParsingOptions};

use super::super::algorithm::Hash;
use super::anomaly::Anomaly;
use crate::limits::PACKAGE_XML_NODES_MAX;

const ASIC: &str = "http://uri.etsi.org/02918/v1.2.1#";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// A manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The entry of the signature or time-stamp over this manifest.
    pub signature: String,
    pub references: Vec<Reference>,
    /// Whether it has an extension that must be understood.
    pub has_critical_extension: bool,
}

/// A file that a manifest names.
#[derive(Debug)]
pub(super) struct Reference {
    /// As it is written.
    pub uri: String,
    /// The name behind it; `None` if it leads out of the package or is not encoded as it should be.
    pub name: Option<String>,
    pub hash: Hash,
    pub digest: Vec<u8>,
}

/// Why XML of a package is not read.
#[derive(Debug)]
pub(super) enum Unread {
    Malformed,
    Refused(Anomaly),
}

impl Unread {
    /// What is odd, where malformed XML is this.
    pub fn or(self, malformed: Anomaly) -> Anomaly {
        match self {
            Self::Malformed => malformed,
            Self::Refused(anomaly) => anomaly,
        }
    }
}

/// Reads XML of a package: UTF-8, no document type, a bounded number of nodes.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>, Unread> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| Unread::Malformed)?;
    let options =
        ParsingOptions { nodes_limit: PACKAGE_XML_NODES_MAX, ..ParsingOptions::default() };
    let refused = |code, message: &str| Unread::Refused(Anomaly::unjudged(code, message));
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => refused(
            "XML_DOCUMENT_TYPE",
            "An XML file of the package has a document type declaration, which is not allowed.",
        ),
        roxmltree::Error::NodesLimitReached => refused(
            "XML_TOO_LARGE",
            "An XML file of the package has more parts than this version judges.",
        ),
        _ => Unread::Malformed,
    })
}

impl Manifest {
    /// `None` if this is no manifest, or not a complete one.
    pub fn read(document: &Document<'_>) -> Option<Self> {
        let root = document.root_element();
        if !root.has_tag_name((ASIC, "ASiCManifest")) {
            return None;
        }
        let named = |name| move |node: &Node<'_, '_>| node.has_tag_name((ASIC, name));
        let mut signatures = root.children().filter(named("SigReference"));
        let (Some(signature), None) = (signatures.next(), signatures.next()) else { return None };
        let signature = decoded(signature.attribute("URI")?)?;
        let objects = root.children().filter(named("DataObjectReference"));
        let references = objects.map(reference).collect::<Option<Vec<_>>>()?;
        let mut extensions = root.descendants().filter(named("Extension"));
        let has_critical_extension =
            extensions.any(|node| matches!(node.attribute("Critical"), Some("true" | "1")));
        Some(Self { signature, references, has_critical_extension })
    }
}

fn reference(node: Node<'_, '_>) -> Option<Reference> {
    let uri = node.attribute("URI")?.to_owned();
    let only = |name| {
        let mut found = node.children().filter(move |node| node.has_tag_name((DSIG, name)));
        found.next().filter(|_| found.next().is_none())
    };
    let hash = hash(only("DigestMethod")?.attribute("Algorithm")?);
    let value: String = text(only("DigestValue")?);
    let digest = STANDARD.decode(value).ok()?;
    let name = decoded(&uri);
    Some(Reference { uri, name, hash, digest })
}

/// The text of an element without blanks.
fn text(node: Node<'_, '_>) -> String {
    let texts = node.children().filter_map(|child| child.text().filter(|_| child.is_text()));
    texts.flat_map(str::split_ascii_whitespace).collect()
}

/// The digest algorithms of XML signatures (RFC 9231 §2.1).
pub(super) fn hash(algorithm: &str) -> Hash {
    match algorithm {
        "http://www.w3.org/2000/09/xmldsig#sha1" => Hash::Sha1,
        "http://www.w3.org/2001/04/xmlenc#sha256" => Hash::Sha256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Hash::Sha384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => Hash::Sha512,
        other => Hash::Other(other.rsplit(['#', '/']).next().unwrap_or(other).to_owned()),
    }
}

/// A relative URI as the name of an entry (RFC 3986 §2.1); `None` if it leads elsewhere.
pub(super) fn decoded(uri: &str) -> Option<String> {
    let first = uri.split('/').next().unwrap_or_default();
    if uri.starts_with("//") || first.contains(':') || uri.contains(['#', '?']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.strip_prefix('/').unwrap_or(uri).bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_entries_and_nowhere_else() {
        let cases = [
            ("a.txt", Some("a.txt")),
            ("/word/document.xml", Some("word/document.xml")),
            ("c%C3%B4ng%20v%c4%83n.pdf", Some("công văn.pdf")),
            ("công văn.pdf", Some("công văn.pdf")),
            ("http://x/y", None),
            ("file:a", None),
            ("//host/a", None),
            ("a#b", None),
            ("a%2", None),
            ("a%zz", None),
            ("%ff", None),
        ];
        for (uri, name) in cases {
            assert_eq!(decoded(uri).as_deref(), name, "{uri}");
        }
    }

    #[test]
    fn a_manifest_must_be_whole() {
        let wrapped = |inner: &str| {
            let text = format!(
                "<a:ASiCManifest xmlns:a=\"{ASIC}\" xmlns:d=\"{DSIG}\">{inner}</a:ASiCManifest>"
            );
            Manifest::read(&parse(text.as_bytes()).unwrap())
        };
        let signature = "<a:SigReference URI=\"META-INF/signature.p7s\"/>";
        let object = "<a:DataObjectReference URI=\"a\"><d:DigestMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><d:DigestValue> AA\n== \
             </d:DigestValue></a:DataObjectReference>";
        let manifest = wrapped(&[signature, object].concat()).expect("it is whole");
        assert_eq!(manifest.signature, "META-INF/signature.p7s");
        assert_eq!(manifest.references[0].digest, [0]);
        assert_eq!(manifest.references[0].hash, Hash::Sha256);
        for part in [object, &[signature, signature].concat(), &object.replace("AA", "A")] {
            assert!(wrapped(part).is_none(), "{part}");
        }
        let without_value = object.replace("d:DigestValue", "d:Other");
        assert!(wrapped(&[signature, &without_value].concat()).is_none());
        assert!(matches!(parse(b"<!DOCTYPE a><a/>"), Err(Unread::Refused(_))));
        assert!(matches!(parse(b"<a"), Err(Unread::Malformed)));
    }
}
