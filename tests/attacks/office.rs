//! Z1: what is done to signed Office Open XML packages, and to XAdES in containers.

use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::sign;

use crate::package;
use crate::people::People;
use crate::records;
use crate::sheet::{Sheet, canonical, reference, transform};
use crate::xml_properties::day;
use crate::zip::{Entry, place, zip};
use crate::{Case, Expected, PASSED, doubted, failed};

const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const MAIN: &str =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
const STYLES: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml";
const RELATIONSHIPS: &str = "application/vnd.openxmlformats-package.relationships+xml";
const TEXT: &[u8] = b"<w:document xmlns:w=\"w\"><w:t>100 trieu</w:t></w:document>";
const SIGNATURE: &str = "_xmlsignatures/sig1.xml";
const ORIGIN: &str = "_xmlsignatures/_rels/origin.sigs.rels";

/// A document, its parts by name, and what is signed of it.
struct Document {
    /// Name, type and content.
    parts: Vec<(&'static str, &'static str, Vec<u8>)>,
    /// Parts whose relationships are signed one by one, with these identifiers.
    selected: Vec<(&'static str, Vec<&'static str>)>,
    /// Parts that the signature lists.
    listed: Vec<&'static str>,
    with_types: bool,
    /// Whether SignedInfo refers to the list.
    is_list_signed: bool,
}

fn relationship(id: &str, kind: &str, target: &str) -> String {
    format!("<Relationship Id=\"{id}\" Type=\"{kind}\" Target=\"{target}\"/>")
}

fn relationships(list: &[String]) -> Vec<u8> {
    format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{}</Relationships>", list.concat())
        .into_bytes()
}

fn root(more: &[String]) -> Vec<u8> {
    let mut list = vec![
        relationship("rId1", &format!("{OFFICE}/officeDocument"), "word/document.xml"),
        relationship(
            "rId2",
            &format!("{PACKAGE}/relationships/metadata/core-properties"),
            "docProps/core.xml",
        ),
        relationship(
            "rId3",
            &format!("{PACKAGE}/relationships/digital-signature/origin"),
            "_xmlsignatures/origin.sigs",
        ),
    ];
    list.extend_from_slice(more);
    relationships(&list)
}

impl Document {
    fn new() -> Self {
        let styles = relationship("rId1", &format!("{OFFICE}/styles"), "styles.xml");
        Self {
            parts: vec![
                ("_rels/.rels", RELATIONSHIPS, root(&[])),
                ("word/document.xml", MAIN, TEXT.to_vec()),
                ("word/_rels/document.xml.rels", RELATIONSHIPS, relationships(&[styles])),
                ("word/styles.xml", STYLES, b"<w:styles xmlns:w=\"w\"/>".to_vec()),
                ("docProps/core.xml", "application/xml", b"<core/>".to_vec()),
            ],
            selected: vec![
                ("_rels/.rels", vec!["rId1"]),
                ("word/_rels/document.xml.rels", vec!["rId1"]),
            ],
            listed: vec!["word/document.xml", "word/styles.xml"],
            with_types: true,
            is_list_signed: true,
        }
    }

    fn with(mut self, name: &'static str, kind: &'static str, content: &[u8]) -> Self {
        self.parts.push((name, kind, content.to_vec()));
        self
    }

    fn part(&self, name: &str) -> &(&'static str, &'static str, Vec<u8>) {
        self.parts.iter().find(|part| part.0 == name).expect("it is there")
    }

    fn uri(&self, name: &str) -> String {
        let kind = self.part(name).1;
        if self.with_types { format!("/{name}?ContentType={kind}") } else { format!("/{name}") }
    }

    /// The signature of the officer.
    fn signature(&self, people: &People) -> Vec<u8> {
        let mut list = Vec::new();
        for (name, ids) in &self.selected {
            let (inner, signed) = self.selection(name, ids);
            let algorithm = format!("{PACKAGE}/RelationshipTransform");
            let transforms = [transform(&algorithm, &inner), canonical()];
            list.push(reference(&self.uri(name), "", &transforms, signed.as_bytes()));
        }
        for name in &self.listed {
            list.push(reference(&self.uri(name), "", &[], &self.part(name).2));
        }
        let mut sheet = Sheet::new(Vec::new());
        let manifest = format!("<Manifest>{}</Manifest>", list.concat());
        sheet.objects.push(("idPackageObject".to_owned(), manifest));
        if !self.is_list_signed {
            sheet.unsigned.push("idPackageObject".to_owned());
        }
        sheet.sign(&people.officer, people).into_bytes()
    }

    /// The transform for some relationships, and what it leaves of the part.
    fn selection(&self, name: &str, ids: &[&str]) -> (String, String) {
        let references = ids.iter().map(|id| {
            format!(
                "<mdssi:RelationshipReference xmlns:mdssi=\"{PACKAGE}/digital-signature\" \
                 SourceId=\"{id}\"></mdssi:RelationshipReference>"
            )
        });
        let text = std::str::from_utf8(&self.part(name).2).unwrap();
        let value = |element: &str, name: &str| {
            let (_, rest) = element.split_once(&format!("{name}=\"")).expect("it is there");
            rest.split('"').next().unwrap().to_owned()
        };
        let elements = text.split("<Relationship ").skip(1);
        let chosen = elements.filter(|element| ids.contains(&value(element, "Id").as_str()));
        let canonical: String = chosen
            .map(|element| {
                format!(
                    "<Relationship Id=\"{}\" Target=\"{}\" TargetMode=\"Internal\" \
                     Type=\"{}\"></Relationship>",
                    value(element, "Id"),
                    value(element, "Target"),
                    value(element, "Type")
                )
            })
            .collect();
        let signed =
            format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{canonical}</Relationships>");
        (references.collect(), signed)
    }

    /// The media types of the parts.
    fn types(&self) -> Vec<u8> {
        let overrides = self.parts.iter().map(|(name, kind, _)| {
            format!("<Override PartName=\"/{name}\" ContentType=\"{kind}\"/>")
        });
        let overrides: String = overrides.collect();
        let signature = "application/vnd.openxmlformats-package.digital-signature";
        format!(
            "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" \
             ContentType=\"{RELATIONSHIPS}\"/><Default Extension=\"sigs\" \
             ContentType=\"{signature}-origin\"/>{overrides}<Override PartName=\"/{SIGNATURE}\" \
             ContentType=\"{signature}-xmlsignature+xml\"/></Types>"
        )
        .into_bytes()
    }

    /// The package around this signature.
    fn around(&self, signature: &[u8]) -> Vec<Entry> {
        let link = format!("{PACKAGE}/relationships/digital-signature/signature");
        let mut entries = vec![Entry::deflated("[Content_Types].xml", &self.types())];
        let parts = self.parts.iter();
        entries.extend(parts.map(|(name, _, content)| Entry::deflated(name, content)));
        entries.push(Entry::stored("_xmlsignatures/origin.sigs", b""));
        let link = relationships(&[relationship("rId1", &link, "sig1.xml")]);
        entries.push(Entry::deflated(ORIGIN, &link));
        entries.push(Entry::deflated(SIGNATURE, signature));
        entries
    }

    fn signed(&self, people: &People) -> Vec<Entry> {
        self.around(&self.signature(people))
    }
}

fn case(name: &'static str, bytes: Vec<u8>, expected: Expected) -> Case {
    Case::new("Z1", name, bytes, expected)
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = packages(people);
    cases.extend(changes(people));
    cases.extend(containers(people));
    cases.extend(dated(people));
    cases
}

const MACRO: (&str, &str, &[u8]) =
    ("word/vbaProject.bin", "application/vnd.ms-office.vbaProject", b"\xd0\xcf\x11\xe0");

/// What the signature leaves open from the begin.
fn packages(people: &People) -> Vec<Case> {
    let mut with_macro = Document::new().with(MACRO.0, MACRO.1, MACRO.2);
    let open_macro = zip(&with_macro.signed(people));
    with_macro.listed.push(MACRO.0);
    let mut partial = Document::new();
    partial.listed.pop();
    let partial = zip(&partial.signed(people));
    let mut untyped = Document::new();
    untyped.with_types = false;
    let untyped = zip(&untyped.signed(people));
    let mut universal = Document::new();
    universal.is_list_signed = false;
    let mut open_link = Document::new();
    open_link.selected.pop();
    let open_link = zip(&open_link.signed(people));
    let mut bound = Document::new();
    bound.parts[1].2 = b"<w:document xmlns:w=\"w\"><w:dataBinding w:storeItemID=\"\
        {6C3C8BC8-F283-45AE-878A-BAB7291924A1}\"/></w:document>"
        .to_vec();
    let bound = zip(&bound.signed(people));
    let good = Document::new().signed(people);
    let without = &good[..good.len() - 1];
    vec![
        case("signed.docx", zip(&good), Expected::Passed("docProps/core.xml")),
        case("signed-macro.docm", zip(&with_macro.signed(people)), {
            Expected::Passed("macros, which are signed")
        }),
        case("place-for-a-signature.docx", zip(without), Expected::Unsigned),
        case("macro-not-listed.docm", open_macro.clone(), {
            doubted("UNSIGNED_MACRO", place(&open_macro, MACRO.0))
        }),
        case("styles-not-listed.docx", partial.clone(), {
            doubted("UNSIGNED_PART", place(&partial, "word/styles.xml"))
        }),
        case("links-not-listed.docx", open_link.clone(), {
            doubted("UNSIGNED_PART", place(&open_link, "word/_rels/document.xml.rels"))
        }),
        case("types-not-signed.docx", untyped.clone(), {
            doubted("CONTENT_TYPE_UNSIGNED", place(&untyped, "_rels/.rels"))
        }),
        case("shows-properties.docx", bound.clone(), {
            doubted("PROPERTIES_SHOWN", place(&bound, "word/document.xml"))
        }),
        case("list-not-signed.docx", zip(&universal.signed(people)), {
            failed("NO_PART_SIGNED", None)
        }),
    ]
}

/// What is changed after signing.
fn changes(people: &People) -> Vec<Case> {
    let document = Document::new();
    let signature = document.signature(people);
    let around = |document: &Document| zip(&document.around(&signature));
    let replaced = |name: &str, content: &[u8]| {
        let mut changed = Document::new();
        let part = changed.parts.iter_mut().find(|part| part.0 == name);
        part.expect("it is there").2 = content.to_vec();
        around(&changed)
    };
    let with_type = |kind: &'static str| {
        let mut changed = Document::new();
        changed.parts[1].1 = kind;
        around(&changed)
    };
    let font = relationship("rId9", &format!("{OFFICE}/fontTable"), "fontTable.xml");
    let styles = relationship("rId1", &format!("{OFFICE}/styles"), "styles.xml");
    let linked = replaced("word/_rels/document.xml.rels", &relationships(&[styles, font]));
    let second = relationship("rId8", &format!("{OFFICE}/officeDocument"), "word/styles.xml");
    let second = replaced("_rels/.rels", &root(&[second]));
    let other = relationship("rId1", &format!("{OFFICE}/styles"), "other.xml");
    let retargeted = replaced("word/_rels/document.xml.rels", &relationships(&[other]));
    let added = around(&Document::new().with("word/people.xml", "application/xml", b"<p/>"));
    let mut removed = Document::new();
    removed.parts.remove(3);
    let mut unlinked = document.around(&signature);
    let last = unlinked.len() - 2;
    unlinked[last] = Entry::stored(ORIGIN, &relationships(&[]));
    let unlinked = zip(&unlinked);
    let mut twofold = document.around(&signature);
    let types = String::from_utf8(document.types()).unwrap().replace(
        "</Types>",
        "<Override PartName=\"/word/document.xml\" ContentType=\"text/html\"/></Types>",
    );
    twofold[0] = Entry::deflated("[Content_Types].xml", types.as_bytes());
    let twofold = zip(&twofold);
    let macro_type = "application/vnd.ms-word.document.macroEnabled.main+xml";
    let typed = with_type(macro_type);
    let at = |archive: &[u8]| place(archive, "word/document.xml");
    let differs = |name, archive: Vec<u8>| {
        let place = place(&archive, SIGNATURE);
        case(name, archive, failed("MANIFEST_DIGEST_DIFFERS", place))
    };
    let removed = around(&removed);
    let empty = zip(&document.around(b"<a/>"));
    let types_differ = |archive: Vec<u8>, name| {
        let place = at(&archive);
        case(name, archive, failed("CONTENT_TYPE_DIFFERS", place))
    };
    vec![
        differs("changed-text.docx", replaced("word/document.xml", b"<w:document/>")),
        differs("another-target.docx", retargeted),
        case("removed-part.docx", removed.clone(), {
            doubted("EXTERNAL_REFERENCE", place(&removed, SIGNATURE))
        }),
        case("added-part.docx", added.clone(), {
            doubted("UNSIGNED_PART", place(&added, "word/people.xml"))
        }),
        case("added-link.docx", linked.clone(), {
            doubted("UNSIGNED_RELATIONSHIP", place(&linked, "word/_rels/document.xml.rels"))
        }),
        case("second-document.docx", second.clone(), {
            doubted("UNSIGNED_RELATIONSHIP", place(&second, "_rels/.rels"))
        }),
        types_differ(typed, "made-a-macro-document.docx"),
        types_differ(twofold, "two-types.docx"),
        case("unlinked-signature.docx", unlinked.clone(), {
            failed("SIGNATURE_UNREACHABLE", place(&unlinked, SIGNATURE))
        }),
        case("not-a-signature.docx", empty.clone(), {
            failed("SIGNATURE_MISSING", place(&empty, SIGNATURE))
        }),
    ]
}

const SHELL: &str = " xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\"";
const SIGNATURES: &str = "META-INF/signatures.xml";

/// ASiC with XAdES: these files, of which the signature names those.
fn container(people: &People, files: &[(&str, &[u8])], signed: &[(&str, &[u8])]) -> Vec<Entry> {
    container_by(&people.officer, people, files, signed)
}

fn container_by(
    identity: &Identity,
    people: &People,
    files: &[(&str, &[u8])],
    signed: &[(&str, &[u8])],
) -> Vec<Entry> {
    let references = signed.iter().map(|(name, content)| reference(name, "", &[], content));
    let mut sheet = Sheet::new(references.collect());
    sheet.scope = SHELL.to_owned();
    let signature = sheet.sign(identity, people);
    let signatures = format!("<asic:XAdESSignatures{SHELL}>{signature}</asic:XAdESSignatures>");
    let mut entries = vec![Entry::stored("mimetype", b"application/vnd.etsi.asic-e+zip")];
    entries.extend(files.iter().map(|(name, content)| Entry::deflated(name, content)));
    entries.push(Entry::deflated("META-INF/manifest.xml", b"<manifest/>"));
    entries.push(Entry::stored(SIGNATURES, signatures.as_bytes()));
    entries
}

/// The signer was revoked yesterday; older time-stamps over the signature as a file, or over others.
fn dated(people: &People) -> Vec<Case> {
    let files = [("a.txt", &b"100"[..]), ("b.txt", b"An")];
    let base = container_by(&people.revoked, people, &files, &files);
    let signature = base.last().unwrap().data.clone();
    let both = [(SIGNATURES, &signature[..]), files[0], files[1]];
    let listing = |name: &str, covered: &[(&str, &[u8])]| {
        let digests: Vec<_> =
            covered.iter().map(|(name, content)| package::reference(name, content)).collect();
        package::manifest(name, &digests)
    };
    let stamped = |covered: &[(&str, &[u8])]| {
        let name = "META-INF/timestamp001.tst";
        let list = listing(name, covered);
        let imprint = Sha256::of(list.as_bytes());
        let token = sign::timestamp(imprint, &[], &people.tsa, day(people, -5)).unwrap();
        let list = Entry::stored("META-INF/ASiCArchiveManifest001.xml", list.as_bytes());
        zip(&[&base[..], &[list, Entry::stored(name, &token)]].concat())
    };
    let recorded = |covered: &[(&str, &[u8])]| {
        let documents: Vec<&[u8]> = covered.iter().map(|(_, content)| *content).collect();
        let record = records::of_group(people, &documents, -5);
        let list = listing(records::RECORD, covered);
        let list = Entry::stored(records::MANIFEST, list.as_bytes());
        zip(&[&base[..], &[list, Entry::stored(records::RECORD, &record)]].concat())
    };
    let revoked = || doubted("REVOKED", None);
    vec![
        case("xades-stamped.asice", stamped(&both), PASSED),
        case("xades-recorded.asice", recorded(&both), PASSED),
        case("xades-unstamped.asice", zip(&base), revoked()),
        case("xades-files-stamped-only.asice", stamped(&files), revoked()),
        case("xades-files-recorded-only.asice", recorded(&files), revoked()),
    ]
}

fn containers(people: &People) -> Vec<Case> {
    let files = [("a.txt", &b"100"[..]), ("b.txt", b"An")];
    let changed = [("a.txt", &b"1000"[..]), ("b.txt", b"An")];
    let good = zip(&container(people, &files, &files));
    let first = zip(&container(people, &files, &files[..1]));
    let changed = zip(&container(people, &changed, &files));
    let removed = zip(&container(people, &files[..1], &files));
    let mut none = container(people, &files, &files);
    none[4] = Entry::stored(SIGNATURES, b"<a/>");
    let none = zip(&none);
    let mut damaged = container(people, &files, &files);
    damaged[2].headers().into_iter().for_each(|header| header.crc ^= 1);
    vec![
        case("xades.asice", good.clone(), PASSED),
        case("xades-changed-file.asice", changed.clone(), {
            failed("DIGEST_DIFFERS", place(&changed, SIGNATURES))
        }),
        case("xades-removed-file.asice", removed.clone(), {
            doubted("EXTERNAL_REFERENCE", place(&removed, SIGNATURES))
        }),
        case("xades-unsigned-file.asice", first.clone(), {
            doubted("UNSIGNED_ENTRY", place(&first, "b.txt"))
        }),
        case("xades-missing.asice", none.clone(), {
            failed("SIGNATURE_MISSING", place(&none, SIGNATURES))
        }),
        case("xades-damaged-file.asice", zip(&damaged), failed("ENTRY_CRC", place(&good, "b.txt"))),
    ]
}
