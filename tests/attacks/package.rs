//! Z1: what is done to signed packages. Archives whose parts contradict each other, files that no
//! signature covers, manifests that lie, signatures that moved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vanthu::digest::Sha256;
use vanthu::workshop::sign;

use crate::message::with_content;
use crate::paper;
use crate::people::People;
use crate::zip::{Entry, place, zip, zip64};
use crate::{Case, Expected, PASSED, doubted, failed};

const START: usize = 0;
pub const SIMPLE: &str = "application/vnd.etsi.asic-s+zip";
pub const EXTENDED: &str = "application/vnd.etsi.asic-e+zip";
const DECISION: &str = "quyết định.txt";
const TEXT: &[u8] = "Điều 1. Phê duyệt 100 triệu đồng.\n".as_bytes();
const ANNEX: &str = "phụ lục/danh sách.csv";
const LIST: &[u8] = b"1;An\n2;Binh\n";
const SIGNATURE: &str = "META-INF/signature.p7s";
const MANIFEST: &str = "META-INF/ASiCManifest.xml";
const TOKEN: &str = "META-INF/timestamp.tst";

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = controls(people);
    // One signature for all of these: another one may be a byte longer.
    let simple = simple(people);
    cases.extend(archives(&simple));
    cases.extend(headers(&simple));
    cases.extend(names(&simple));
    cases.extend(contents(people));
    cases.extend(types(people));
    cases.extend(manifests(people));
    cases.extend(signatures(people));
    cases
}

fn case(name: &'static str, bytes: Vec<u8>, expected: Expected) -> Case {
    Case::new("Z1", name, bytes, expected)
}

/// ASiC-S: type, one file, one signature of the officer.
fn simple(people: &People) -> Vec<Entry> {
    vec![
        Entry::stored("mimetype", SIMPLE.as_bytes()),
        Entry::deflated(DECISION, TEXT),
        Entry::deflated(SIGNATURE, &signature(people, TEXT)),
    ]
}

fn signature(people: &People, content: &[u8]) -> Vec<u8> {
    sign::detached(content, &people.officer, people.now).unwrap()
}

fn token(people: &People, content: &[u8]) -> Vec<u8> {
    sign::timestamp(Sha256::of(content), &[], &people.tsa, people.now).unwrap()
}

/// A file as a manifest names it.
pub fn reference(name: &str, content: &[u8]) -> String {
    let digest = STANDARD.encode(Sha256::of(content).0);
    format!(
        "<asic:DataObjectReference URI=\"{name}\"><ds:DigestMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>{digest}\
         </ds:DigestValue></asic:DataObjectReference>"
    )
}

pub fn manifest(signature: &str, references: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<asic:ASiCManifest \
         xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><asic:SigReference URI=\"{signature}\" \
         MimeType=\"application/x-pkcs7-signature\"/>{}</asic:ASiCManifest>",
        references.concat()
    )
}

/// ASiC-E with these files, and a signature of the officer over this manifest.
fn extended_with(people: &People, files: &[(&str, &[u8])], manifest: &str) -> Vec<Entry> {
    let mut entries = vec![Entry::stored("mimetype", EXTENDED.as_bytes())];
    entries.extend(files.iter().map(|(name, content)| Entry::deflated(name, content)));
    entries.push(Entry::deflated(MANIFEST, manifest.as_bytes()));
    entries.push(Entry::stored(SIGNATURE, &signature(people, manifest.as_bytes())));
    entries
}

pub const FILES: [(&str, &[u8]); 2] = [(DECISION, TEXT), (ANNEX, LIST)];

fn extended(people: &People) -> Vec<Entry> {
    let references = FILES.map(|(name, content)| reference(name, content));
    extended_with(people, &FILES, &manifest(SIGNATURE, &references))
}

fn controls(people: &People) -> Vec<Case> {
    let mut streamed = simple(people);
    streamed[1] = streamed[1].clone().streamed();
    let mut with_folder = extended(people);
    with_folder.insert(3, Entry::stored("META-INF/", b""));
    let stamp = vec![
        Entry::stored("mimetype", SIMPLE.as_bytes()),
        Entry::stored(DECISION, TEXT),
        Entry::stored(TOKEN, &token(people, TEXT)),
    ];
    let pdf = paper::blank();
    let with_pdf = [
        Entry::stored("mimetype", SIMPLE.as_bytes()),
        Entry::stored("a.pdf", &pdf),
        Entry::stored(SIGNATURE, &signature(people, &pdf)),
    ];
    let plain = [Entry::deflated("[Content_Types].xml", b"<Types/>"), Entry::stored("a", b"b")];
    let bare = "does not state its type";
    vec![
        case("simple.asics", zip(&simple(people)), PASSED),
        case("simple-streamed.asics", zip(&streamed), PASSED),
        case("simple-long.asics", zip64(&simple(people), |_| ()), PASSED),
        case("simple-bare.asics", zip(&simple(people)[1..]), Expected::Passed(bare)),
        case("simple-with-pdf.asics", zip(&with_pdf), PASSED),
        case("stamped.asics", zip(&stamp), PASSED),
        case("extended.asice", zip(&with_folder), PASSED),
        case("extended-stamped.asice", zip(&stamped(people, &FILES)), PASSED),
        case("extended-archived.asice", zip(&archived(people)), PASSED),
        case("unsigned.docx", zip(&plain), Expected::Unsigned),
        case("empty.zip", zip(&[]), Expected::Unsigned),
    ]
}

/// ASiC-E with a time-stamp and no signature.
fn stamped(people: &People, files: &[(&str, &[u8])]) -> Vec<Entry> {
    let references = FILES.map(|(name, content)| reference(name, content));
    let manifest = manifest(TOKEN, &references);
    let mut entries = extended_with(people, files, &manifest);
    entries.pop();
    entries.push(Entry::stored(TOKEN, &token(people, manifest.as_bytes())));
    entries
}

/// ASiC-E with an archive time-stamp over everything.
fn archived(people: &People) -> Vec<Entry> {
    let mut entries = extended(people);
    let mut references = FILES.map(|(name, content)| reference(name, content)).to_vec();
    references.push(reference(MANIFEST, &inflated(&entries[3])));
    references.push(reference(SIGNATURE, &entries[4].data));
    let token_name = "META-INF/timestamp001.tst";
    let manifest = manifest(token_name, &references);
    entries.push(Entry::stored("META-INF/ASiCArchiveManifest001.xml", manifest.as_bytes()));
    entries.push(Entry::stored(token_name, &token(people, manifest.as_bytes())));
    entries
}

fn inflated(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = flate2::read::DeflateDecoder::new(&entry.data[..]);
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}

/// What stands around the entries.
fn archives(simple: &[Entry]) -> Vec<Case> {
    let good = zip(simple);
    let mut before = simple.to_vec();
    before[0].gap = b"MZ".to_vec();
    let mut between = simple.to_vec();
    between[1].gap = b"padding".to_vec();
    let mut hidden = simple.to_vec();
    let mut other = Entry::stored(DECISION, b"1000");
    other.is_listed = false;
    hidden.insert(2, other);
    let mut overlapping = simple.to_vec();
    overlapping[2].is_written = false;
    overlapping[2].offset = Some(u32::try_from(place(&good, "mimetype")).unwrap());
    let cut = &good[..good.len() - 30];
    let other_directory = |record: &mut Vec<u8>| record[51] = 1;
    let more = |record: &mut Vec<u8>| {
        record[24] += 1;
        record[32] += 1;
    };
    let appended = [&good[..], b"1000 trieu"].concat();
    let end = good.len() - 22;
    vec![
        case("bytes-before.asics", zip(&before), failed("ZIP_PREPENDED", START)),
        case("moved.asics", [b"MZ", &good[..]].concat(), failed("ZIP_PREPENDED", START)),
        case("bytes-after.asics", appended, failed("ZIP_APPENDED", good.len())),
        case("bytes-between.asics", zip(&between), failed("ZIP_GAP", place(&good, DECISION))),
        case("hidden-entry.asics", zip(&hidden), failed("ENTRY_HIDDEN", place(&good, SIGNATURE))),
        case("overlap.asics", zip(&overlapping), failed("ENTRIES_OVERLAP", START)),
        case("no-directory.asics", cut.to_vec(), failed("ZIP_BROKEN", cut.len())),
        case("other-directory.asics", zip64(simple, other_directory), failed("ZIP_BROKEN", end)),
        case("other-count.asics", zip64(simple, more), failed("ZIP_BROKEN", end)),
    ]
}

/// Directory and local headers that contradict each other.
fn headers(simple: &[Entry]) -> Vec<Case> {
    let good = zip(simple);
    let at = place(&good, DECISION);
    let with = |change: fn(&mut Entry)| {
        let mut entries = simple.to_vec();
        change(&mut entries[1]);
        zip(&entries)
    };
    let differing = || failed("ENTRY_HEADERS_DIFFER", at);
    let encrypt = |entry: &mut Entry| entry.headers().into_iter().for_each(|h| h.flags |= 1);
    let method = |entry: &mut Entry| entry.headers().into_iter().for_each(|h| h.method = 12);
    let crc = |entry: &mut Entry| entry.headers().into_iter().for_each(|h| h.crc ^= 1);
    let longer = |entry: &mut Entry| entry.headers().into_iter().for_each(|h| h.size += 1);
    let shorter = |entry: &mut Entry| entry.headers().into_iter().for_each(|h| h.size -= 1);
    let followed = |entry: &mut Entry| {
        entry.data.push(0);
        entry.headers().into_iter().for_each(|h| h.packed += 1);
    };
    let descriptor = |entry: &mut Entry| {
        *entry = entry.clone().streamed();
        entry.descriptor[4] ^= 1;
    };
    vec![
        case("two-names.asics", with(|entry| entry.local.name[0] = b'Q'), differing()),
        case("two-methods.asics", with(|entry| entry.local.method = 0), differing()),
        case("two-sizes.asics", with(|entry| entry.local.size += 1), differing()),
        case("two-checksums.asics", with(|entry| entry.local.crc ^= 1), differing()),
        case("two-encodings.asics", with(|entry| entry.local.flags = 0), differing()),
        case("two-descriptors.asics", with(descriptor), differing()),
        case("encrypted.asics", with(encrypt), failed("ENTRY_ENCRYPTED", at)),
        case("unknown-method.asics", with(method), doubted("ENTRY_METHOD", None)),
        case("wrong-checksum.asics", with(crc), failed("ENTRY_CRC", at)),
        case("longer.asics", with(longer), failed("ENTRY_SIZE", at)),
        case("shorter.asics", with(shorter), failed("ENTRY_SIZE", at)),
        case("followed.asics", with(followed), failed("ENTRY_SIZE", at)),
    ]
}

/// Names that programs read differently.
fn names(simple: &[Entry]) -> Vec<Case> {
    let good = zip(simple);
    let added = |name: &str| {
        let mut entries = simple.to_vec();
        entries.push(Entry::stored(name, TEXT));
        zip(&entries)
    };
    let renamed = |change: &dyn Fn(&mut Entry)| {
        let mut entries = simple.to_vec();
        change(&mut entries[1]);
        zip(&entries)
    };
    // Behind the signature.
    let last = good.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let called = |name: &'static str| {
        renamed(&|entry| {
            for header in entry.headers() {
                header.name = name.as_bytes().to_vec();
            }
        })
    };
    let unicode = |entry: &mut Entry| {
        let data = [&[1, 0, 0, 0, 0][..], b"other.txt"].concat();
        let size = u16::try_from(data.len()).unwrap().to_le_bytes();
        entry.central.extra = [&[0x75, 0x70][..], &size, &data].concat();
    };
    let record = last + 46 + "mimetype".len();
    let at = place(&good, DECISION);
    let unsafe_name = || failed("ENTRY_NAME_UNSAFE", at);
    vec![
        case("doubled.asics", added(DECISION), failed("ENTRY_DOUBLED", last)),
        case("traversal.asics", called("../quyet dinh.txt"), unsafe_name()),
        case("absolute.asics", called("/etc/passwd"), unsafe_name()),
        case("backslash.asics", called("a\\..\\b.txt"), unsafe_name()),
        case("drive.asics", called("C:a.txt"), unsafe_name()),
        case("named-twice.asics", renamed(&unicode), failed("ENTRY_NAMED_TWICE", record)),
        case(
            "link.asics",
            renamed(&|entry| entry.attributes = 0o120_777 << 16),
            doubted("ENTRY_IS_LINK", record),
        ),
        case(
            "unknown-encoding.asics",
            renamed(&|entry| {
                for header in entry.headers() {
                    header.name[0] = 0xff;
                }
            }),
            doubted("ENTRY_NAME_ENCODING", record),
        ),
    ]
}

/// Files that unpack to what nobody expects.
fn contents(people: &People) -> Vec<Case> {
    let zeros = vec![0; 40 << 20];
    let bomb = Entry::deflated("zeros", &zeros);
    let mut entries = simple(people);
    entries[1] = bomb;
    entries[2] = Entry::stored(SIGNATURE, &signature(people, &zeros));
    let mut many: Vec<Entry> =
        (0..10_001).map(|number| Entry::stored(&format!("{number}"), b"")).collect();
    many.push(Entry::stored(SIGNATURE, &signature(people, b"")));
    let alike = [("Quyet dinh.txt", &b"100"[..]), ("QUYET DINH.txt", b"1000")];
    let references = alike.map(|(name, content)| reference(name, content));
    let alike = extended_with(people, &alike, &manifest(SIGNATURE, &references));
    let alike = zip(&alike);
    let at = place(&alike, "QUYET DINH.txt");
    vec![
        case("bomb.asics", zip(&entries), doubted("ZIP_BOMB", None)),
        case("many.asics", zip(&many), doubted("ZIP_TOO_MANY_ENTRIES", None)),
        case("alike.asice", alike, doubted("ENTRY_NAMES_ALIKE", at)),
    ]
}

/// The type that a container states.
fn types(people: &People) -> Vec<Case> {
    let typed = |kind: &str, mut entries: Vec<Entry>| {
        entries[0] = Entry::stored("mimetype", kind.as_bytes());
        zip(&entries)
    };
    let mut last = simple(people);
    last.rotate_left(1);
    let mut compressed = simple(people);
    compressed[0] = Entry::deflated("mimetype", SIMPLE.as_bytes());
    let mut extra = simple(people);
    extra[0].local.extra = vec![0xfe, 0xca, 0, 0];
    let wrong = || doubted("MIMETYPE_DIFFERS", 30 + "mimetype".len());
    vec![
        case("simple-called-extended.asics", typed(EXTENDED, simple(people)), {
            doubted("MANIFEST_MISSING", None)
        }),
        case("extended-called-simple.asice", typed(SIMPLE, extended(people)), wrong()),
        case("called-a-picture.asice", typed("image/png", extended(people)), wrong()),
        case("called-nothing.asics", typed("", simple(people)), wrong()),
        case("type-at-the-end.asics", zip(&last), Expected::Passed("MIMETYPE_NOT_FIRST")),
        case("type-compressed.asics", zip(&compressed), Expected::Passed("MIMETYPE_COMPRESSED")),
        case("type-with-extra.asics", zip(&extra), Expected::Passed("MIMETYPE_EXTRA")),
    ]
}

/// Manifests that name other files, other contents or too few.
fn manifests(people: &People) -> Vec<Case> {
    let good = FILES.map(|(name, content)| reference(name, content));
    let with = |manifest: &str| zip(&extended_with(people, &FILES, manifest));
    let signed = |references: &[String]| with(&manifest(SIGNATURE, references));
    let mut changed = extended(people);
    changed[1] = Entry::deflated(DECISION, b"1000 trieu");
    let mut removed = extended(people);
    removed.remove(1);
    let mut added = extended(people);
    added.push(Entry::stored("phụ lục/thêm.csv", b"3;Chi\n"));
    let mut rewritten = extended(people);
    let other = manifest(SIGNATURE, &[reference(DECISION, b"1000"), good[1].clone()]);
    rewritten[1] = Entry::deflated(DECISION, b"1000");
    rewritten[3] = Entry::deflated(MANIFEST, other.as_bytes());
    let whole = zip(&extended(people));
    let (first, second) = (place(&whole, DECISION), place(&whole, ANNEX));
    let third = zip(&added);
    let third = place(&third, "phụ lục/thêm.csv");
    let wrong = [reference(DECISION, b"another"), good[1].clone()];
    let missing = [good[0].clone(), good[1].clone(), reference("other.txt", TEXT)];
    let outside = [good[0].clone(), good[1].clone(), reference("http://x/y", TEXT)];
    let typed = manifest(SIGNATURE, &good)
        .replace("<asic:ASiCManifest", "<!DOCTYPE a [<!ENTITY x \"1\">]><asic:ASiCManifest");
    let extension = manifest(SIGNATURE, &good).replace(
        "</asic:ASiCManifest>",
        "<asic:ASiCManifestExtensions><asic:Extension Critical=\"true\"/>\
         </asic:ASiCManifestExtensions></asic:ASiCManifest>",
    );
    let md5 = manifest(SIGNATURE, &good).replace("xmlenc#sha256", "xmldsig-more#md5");
    let unreadable = || failed("MANIFEST_UNREADABLE", place(&whole, MANIFEST));
    vec![
        case("changed-file.asice", zip(&changed), failed("ENTRY_DIGEST_DIFFERS", first)),
        case("wrong-digest.asice", signed(&wrong), failed("ENTRY_DIGEST_DIFFERS", first)),
        case("rewritten-manifest.asice", zip(&rewritten), failed("DIGEST_DIFFERS", None)),
        case("removed-file.asice", zip(&removed), doubted("SIGNED_ENTRY_MISSING", None)),
        case("names-a-missing-file.asice", signed(&missing), {
            doubted("SIGNED_ENTRY_MISSING", None)
        }),
        case("names-a-web-page.asice", signed(&outside), doubted("SIGNED_ENTRY_MISSING", None)),
        case("unsigned-file.asice", zip(&added), doubted("UNSIGNED_ENTRY", third)),
        case("names-one-of-two.asice", signed(&good[..1]), doubted("UNSIGNED_ENTRY", second)),
        case("names-nothing.asice", signed(&[]), failed("MANIFEST_EMPTY", None)),
        case("manifest-of-another.asice", with(&manifest("META-INF/x.p7s", &good)), {
            failed("DATA_OBJECTS", second)
        }),
        case("not-a-manifest.asice", with("<a/>"), unreadable()),
        case("document-type.asice", with(&typed), doubted("XML_DOCUMENT_TYPE", None)),
        case("critical-extension.asice", with(&extension), doubted("MANIFEST_EXTENSION", None)),
        case("weak-digest.asice", with(&md5), doubted("DIGEST_NOT_JUDGED", None)),
    ]
}

/// Signatures and time-stamps from elsewhere.
fn signatures(people: &People) -> Vec<Case> {
    let replaced = |bytes: &[u8]| {
        let mut entries = simple(people);
        entries[2] = Entry::stored(SIGNATURE, bytes);
        zip(&entries)
    };
    let mut two = simple(people);
    two.push(Entry::stored("b.txt", b"b"));
    let whole = zip(&two);
    let mut alone = simple(people);
    alone.remove(1);
    let mut stamp = simple(people);
    stamp[2] = Entry::stored(TOKEN, &token(people, b"another"));
    let stranger = sign::detached(TEXT, &people.stranger, people.now).unwrap();
    let changed = [(DECISION, &b"1000"[..]), (ANNEX, LIST)];
    let at = place(&zip(&simple(people)), SIGNATURE) + 30 + SIGNATURE.len();
    let inside = with_content(people, b"1000", TEXT);
    let again = with_content(people, TEXT, TEXT);
    vec![
        case("of-another-package.asics", replaced(&signature(people, b"another")), {
            failed("DIGEST_DIFFERS", None)
        }),
        case("of-a-stranger.asics", replaced(&stranger), doubted("ROOT_NOT_TRUSTED", None)),
        case("not-a-signature.asics", replaced(b"0"), failed("CMS_UNREADABLE", at)),
        case("content-inside.asics", replaced(&inside), failed("CONTENT_INSIDE", at)),
        case("content-once-more.asics", replaced(&again), Expected::Passed("once more")),
        case("second-file.asics", whole.clone(), failed("DATA_OBJECTS", place(&whole, "b.txt"))),
        case("no-file.asics", zip(&alone), doubted("DATA_OBJECT_MISSING", None)),
        case("stamp-of-another.asics", zip(&stamp), failed("IMPRINT_DIFFERS", None)),
        case("stamp-over-changed-file.asice", zip(&stamped(people, &changed)), {
            failed("ENTRY_DIGEST_DIFFERS", place(&zip(&stamped(people, &changed)), DECISION))
        }),
    ]
}

/// Bytes that say nothing about the contents: versions, times, attributes.
pub fn is_idle(archive: &[u8], at: usize) -> bool {
    let idle = |mark: &[u8], ranges: &[std::ops::Range<usize>]| {
        let starts = archive.windows(4).enumerate().filter(|(_, window)| *window == mark);
        starts
            .map(|(start, _)| start)
            .filter(|&start| start <= at)
            .any(|start| ranges.iter().any(|range| range.contains(&(at - start))))
    };
    idle(b"PK\x03\x04", &[4..6, 10..14]) || idle(b"PK\x01\x02", &[4..8, 12..16, 36..42])
}

/// Containers in which everything is stored, so that each byte counts.
pub fn stored(people: &People) -> [Vec<u8>; 2] {
    let references = FILES.map(|(name, content)| reference(name, content));
    let manifest = manifest(SIGNATURE, &references);
    let simple = [
        Entry::stored("mimetype", SIMPLE.as_bytes()),
        Entry::stored(DECISION, TEXT),
        Entry::stored(SIGNATURE, &signature(people, TEXT)),
    ];
    let mut extended = vec![Entry::stored("mimetype", EXTENDED.as_bytes())];
    extended.extend(FILES.iter().map(|(name, content)| Entry::stored(name, content)));
    extended.push(Entry::stored(MANIFEST, manifest.as_bytes()));
    extended.push(Entry::stored(SIGNATURE, &signature(people, manifest.as_bytes())));
    [zip(&simple), zip(&extended)]
}
