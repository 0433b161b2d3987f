//! What judging a document may cost in memory: a large file is read through a window, and a hostile one
//! swells to its limit and no further (issue 3: 64 MiB beyond the window).

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use vanthu::clock::Time;
use vanthu::signature::{Indication, Report, Trust, judge};
use vanthu::source::{Source, Unreadable};
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::Profile;
use vanthu::workshop::sign::{self, Options};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
/// The allocator counts for the whole process: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

const MIB: usize = 1024 * 1024;
const MEMORY_MAX: usize = 64 * MIB;
/// Unoptimised; a gateway takes a twentieth of it.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Size of the large document.
const LARGE: usize = 500 * MIB;
/// Small objects in it.
const OBJECTS: usize = 100_000;

/// A file that is read where it is asked for.
struct OnDisk {
    file: File,
    size: u64,
}

impl OnDisk {
    fn new(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let size = file.metadata().unwrap().len();
        Self { file, size }
    }
}

impl Source for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.file.read_exact_at(into, offset).map_err(|_| Unreadable)
    }
}

fn now() -> Time {
    "2026-11-22T03:45:18.000Z".parse().unwrap()
}

fn country() -> (DevPki, Trust) {
    let pki = DevPki::generate(&Profile::built_in().with_p256_keys(), now()).unwrap();
    let material = pki.trust("gov").unwrap();
    let trust = Trust::new(material.anchors, material.intermediates, material.crls).unwrap();
    (pki, trust)
}

/// Judges, and tells how much memory that took beside the bytes themselves.
fn measure(name: &str, source: &dyn Source, trust: &Trust) -> (Report, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let start = Instant::now();
    let report = judge(source, trust, now());
    let (took, memory) = (start.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    println!("{name}: {:.1} MiB, {took:?}, {}", memory as f64 / MIB as f64, report.word());
    assert!(memory < MEMORY_MAX, "{name} took {memory} bytes");
    assert!(took < TIME_MAX, "{name} took {took:?}");
    (report, memory)
}

/// A PDF whose catalog refers to these objects, numbered from 4 on, under a table.
fn pdf(bodies: impl Iterator<Item = Vec<u8>>, root: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    let fixed = [
        format!("<</Type/Catalog/Pages 2 0 R {root}>>").into_bytes(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>".to_vec(),
    ];
    for (number, body) in (1..).zip(fixed.into_iter().chain(bodies)) {
        places.push(out.len());
        writeln!(out, "{number} 0 obj").unwrap();
        out.extend(body);
        out.extend(b"\nendobj\n");
    }
    let (start, size) = (out.len(), places.len() + 1);
    writeln!(out, "xref\n0 {size}\n0000000000 65535 f ").unwrap();
    for place in places {
        writeln!(out, "{place:010} 00000 n ").unwrap();
    }
    writeln!(out, "trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF").unwrap();
    out
}

/// Many small objects in a chain of lists, and big streams up to the size.
fn large() -> Vec<u8> {
    let noise: Vec<u8> =
        (0..MIB).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    let small = (0..OBJECTS).map(|n| format!("<</Name(a{n})/Next {} 0 R>>", n + 5).into_bytes());
    let streams = (0..LARGE / MIB - OBJECTS * 64 / MIB).map(move |_| {
        let mut body = format!("<</Length {}>>\nstream\n", noise.len()).into_bytes();
        body.extend(&noise);
        body.extend(b"\nendstream");
        body
    });
    pdf(small.chain(streams), "/First 4 0 R")
}

#[test]
fn a_document_of_500_mb_is_judged_through_a_window() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (pki, trust) = country();
    let file = tempfile::NamedTempFile::new().unwrap();
    {
        let signed =
            sign::pdf(&large(), &pki.seal("H49.151").unwrap(), &Options::new("seal", now()));
        file.as_file().write_all(&signed.unwrap()).unwrap();
    }
    let source = OnDisk::new(file.path());
    let (report, _) = measure("500 MB", &source, &trust);
    assert_eq!(report.indication(), Some(Indication::TotalPassed));
    // The same with a change after signing: both versions are compared.
    let mut update = Vec::new();
    let old = source.size;
    write!(update, "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 8 8]>>\nendobj\n").unwrap();
    let at = old + u64::try_from(update.len()).unwrap();
    let mut tail = vec![0; 64];
    source.read_at(old - 64, &mut tail).unwrap();
    let tail = String::from_utf8_lossy(&tail).into_owned();
    let prev = tail.split("startxref\n").nth(1).unwrap().lines().next().unwrap();
    write!(
        update,
        "xref\n3 1\n{old:010} 00000 n \ntrailer\n<</Size 4/Root 1 0 R/Prev {prev}>>\n\
         startxref\n{at}\n%%EOF\n"
    )
    .unwrap();
    file.as_file().write_all(&update).unwrap();
    let (report, _) = measure("500 MB, changed", &OnDisk::new(file.path()), &trust);
    assert_eq!(report.indication(), Some(Indication::Indeterminate));
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let packed = deflated(bytes);
    let mut body = format!("<<{dictionary}/Filter/FlateDecode/Length {}>>\nstream\n", packed.len())
        .into_bytes();
    body.extend(packed);
    body.extend(b"\nendstream");
    body
}

/// Twelve object streams of 8 MiB, each with an object that the catalog refers to.
fn packed() -> Vec<u8> {
    const CONTAINERS: usize = 12;
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut rows: Vec<(u8, usize, usize)> = vec![(0, 0, 0), (1, out.len(), 0)];
    let wanted: String = (0..CONTAINERS).map(|n| format!(" {} 0 R", 2 + CONTAINERS + n)).collect();
    writeln!(out, "1 0 obj\n<</Type/Catalog/A[{wanted}]>>\nendobj").unwrap();
    for number in 2..2 + CONTAINERS {
        rows.push((1, out.len(), 0));
        let head = format!("{:<10}0 ", number + CONTAINERS);
        let content = head + "[1]" + &" ".repeat(8 * MIB);
        writeln!(out, "{number} 0 obj").unwrap();
        out.extend(stream("/Type/ObjStm/N 1/First 12", content.as_bytes()));
        out.extend(b"\nendobj\n");
    }
    rows.extend((2..2 + CONTAINERS).map(|container| (2, container, 0)));
    let (start, number) = (out.len(), rows.len());
    rows.push((1, start, 0));
    let row = |(kind, second, third): (u8, usize, usize)| {
        let (second, third) = (second.to_be_bytes(), third.to_be_bytes());
        [&[kind], &second[4..], &third[6..]].concat()
    };
    let table: Vec<u8> = rows.into_iter().flat_map(row).collect();
    let dictionary = format!("/Type/XRef/W[1 4 2]/Size {}/Root 1 0 R", number + 1);
    writeln!(out, "{number} 0 obj").unwrap();
    out.extend(stream(&dictionary, &table));
    writeln!(out, "\nendobj\nstartxref\n{start}\n%%EOF").unwrap();
    out.extend(b"%/ByteRange\n");
    out
}

/// Every shape costs as much memory as it can for its bytes.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let one = |text: String| pdf(std::iter::once(text.into_bytes()), "/A 4 0 R");
    let many = |body: fn(usize) -> String, count: usize| {
        pdf((5..count + 5).map(|n| body(n).into_bytes()), "/A 4 0 R")
    };
    let rows = vec![1_u8; 1_000_000 * 8];
    let table = stream("/Type/XRef/W[1 6 1]/Size 1000000/Root 1 0 R", &rows);
    let mut xref = b"%PDF-1.7\n1 0 obj\n".to_vec();
    xref.extend(&table);
    xref.extend(b"\nendobj\nstartxref\n9\n%%EOF\n/ByteRange");
    vec![
        ("numbers", one(format!("[{}]", "1 ".repeat(4_000_000)))),
        ("names", one(format!("[{}]", "/A".repeat(4_000_000)))),
        ("strings", one(format!("[{}]", "()".repeat(4_000_000)))),
        ("lists", one(format!("[{}]", "[1]".repeat(2_000_000)))),
        ("dictionaries", one(format!("[{}]", "<</A 1>>".repeat(1_000_000)))),
        ("a long string", one(format!("({})", "a".repeat(15_000_000)))),
        ("references", one(format!("[{}]", "4 0 R ".repeat(1_000_000)))),
        ("objects", many(|n| format!("[{n} 0 R(a)<</B/C>>]"), 400_000)),
        ("lists in objects", many(|n| format!("[{n} 0 R{}]", "[1]".repeat(2_000)), 2_000)),
        ("a table", xref),
        ("object streams", packed()),
    ]
}

#[test]
fn hostile_documents_swell_to_their_limit_and_no_further() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (pki, trust) = country();
    let seal = pki.seal("H49.151").unwrap();
    for (name, bomb) in bombs() {
        // Signed, so that every object is looked at; the workshop does not extend every shape.
        match sign::pdf(&bomb, &seal, &Options::new("seal", now())) {
            Ok(signed) => {
                let (report, _) = measure(name, &signed, &trust);
                assert_ne!(report.indication(), None, "{name} is signed and must be judged");
            }
            Err(_) => drop(measure(name, &bomb, &trust)),
        }
    }
}
