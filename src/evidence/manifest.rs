//! The manifest: what an evidence file is about, and the digest of everything in it.

use std::fmt::Write as _;

use super::archive::Files;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;

/// Where it stands in the archive.
pub(super) const PATH: &str = "manifest.txt";
/// Its first line.
const HEADER: &str = "vanthu.evidence.v1";

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) consignment: ConsignmentId,
    pub(super) recipient: Option<Code>,
    /// Paths and digests, in order.
    pub(super) files: Vec<(String, Sha256)>,
}

impl Manifest {
    /// The manifest over these files.
    pub(super) fn of(consignment: ConsignmentId, recipient: Option<Code>, files: &Files) -> Self {
        let digest = |(path, bytes): (&String, &Vec<u8>)| (path.clone(), Sha256::of(bytes));
        Self { consignment, recipient, files: files.iter().map(digest).collect() }
    }

    /// Its bytes.
    pub(super) fn render(&self) -> String {
        let mut text = format!("{HEADER}\nconsignment {}\n", self.consignment);
        if let Some(recipient) = &self.recipient {
            writeln!(text, "recipient {recipient}").expect("writing to a String cannot fail");
        }
        for (path, digest) in &self.files {
            writeln!(text, "{digest}  {path}").expect("writing to a String cannot fail");
        }
        text
    }

    /// Reads its bytes; one spelling.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n').peekable();
        lines.next_if_eq(&HEADER)?;
        let consignment = ConsignmentId::parse(lines.next()?.strip_prefix("consignment ")?)?;
        let recipient = match lines.peek().and_then(|line| line.strip_prefix("recipient ")) {
            Some(code) => {
                lines.next();
                Some(Code::parse(code)?)
            }
            None => None,
        };
        let mut files: Vec<(String, Sha256)> = Vec::new();
        for line in lines {
            let (digest, path) = line.split_once("  ")?;
            if files.last().is_some_and(|(last, _)| **last >= *path) {
                return None;
            }
            files.push((path.to_owned(), digest.parse().ok()?));
        }
        Some(Self { consignment, recipient, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back_and_has_one_spelling() {
        let files = Files::from([("a b".into(), b"1".to_vec()), ("c".into(), Vec::new())]);
        let id = ConsignmentId(uuid::Uuid::from_u128(1));
        for recipient in [None, Code::parse("H49")] {
            let manifest = Manifest::of(id, recipient, &files);
            assert_eq!(Manifest::parse(manifest.render().as_bytes()), Some(manifest));
        }
        let text = Manifest::of(id, None, &files).render();
        let swapped: String = {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.swap(2, 3);
            lines.concat()
        };
        for wrong in [
            swapped,
            text.replace(".v1", ".v2"),
            text.replace("  a b", " a b"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            text.replace("consignment ", "consignment A"),
        ] {
            assert_eq!(Manifest::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
