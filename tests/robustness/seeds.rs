//! Where mutants come from: the files of the corpora and files that the workshop makes.

use std::path::{Path, PathBuf};

use vanthu::clock::Time;
use vanthu::config::Config;
use vanthu::digest::Sha256;
use vanthu::directory::{Code, SystemId};
use vanthu::document::ConsignmentId;
use vanthu::evidence::{Evidence, Receipt};
use vanthu::log::{Actor, Checkpoint, Entry, EntryId, Event, LogKey, Origin, Tree, leaf_hash};
use vanthu::proto::v1;
use vanthu::workshop::page;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::Profile;
use vanthu::workshop::sign::{self, Options, SubFilter};

/// Larger files of the corpora are left out: unoptimised, one costs as much as a hundred others.
const SIZE_MAX: usize = 128 * 1024;
/// Name of the gateway whose log is made.
pub const GATEWAY: &str = "gate.example";

/// What a file is, by its name.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Document,
    Message,
    Certificate,
    Crl,
    Response,
    Record,
}

impl Kind {
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|kind| kind.to_str()).unwrap_or_default() {
            "crt" | "cer" | "pem" => Self::Certificate,
            "crl" => Self::Crl,
            "ors" => Self::Response,
            "der" if path.to_string_lossy().contains("ocsp") => Self::Response,
            "ers" => Self::Record,
            "p7m" | "p7s" | "pkcs7" | "p7b" | "cades" => Self::Message,
            _ => Self::Document,
        }
    }
}

/// What is inside of PEM; other bytes as they are.
pub fn unarmoured(bytes: &[u8]) -> Vec<u8> {
    let inside = x509_parser::pem::parse_x509_pem(bytes);
    inside.map_or_else(|_| bytes.to_vec(), |(_, pem)| pem.contents)
}

/// Files by what they are.
pub struct Seeds {
    /// Signed or signable: PDF, CMS, XML, packages.
    pub documents: Vec<Vec<u8>>,
    /// CMS in DER or PEM, time-stamp tokens among them.
    pub messages: Vec<Vec<u8>>,
    /// Certificates in DER.
    pub certificates: Vec<Vec<u8>>,
    /// Certificate revocation lists in DER.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses in DER.
    pub responses: Vec<Vec<u8>>,
    /// Time-stamp tokens in DER.
    pub tokens: Vec<Vec<u8>>,
    /// Evidence records in DER.
    pub records: Vec<Vec<u8>>,
    pub envelopes: Vec<Vec<u8>>,
    pub entries: Vec<Vec<u8>>,
    pub checkpoints: Vec<Vec<u8>>,
    pub receipts: Vec<Vec<u8>>,
    pub evidence: Vec<Vec<u8>>,
    pub directories: Vec<Vec<u8>>,
    /// Messages to the National Public Service Portal, and its answers.
    pub portal: Vec<Vec<u8>>,
}

/// What the targets need beside a mutant.
pub struct Country {
    pub pki: DevPki,
    pub now: Time,
    pub key: LogKey,
    /// A signed document, and one with a document time-stamp.
    pub signed: Vec<u8>,
    pub stamped: Vec<u8>,
}

impl Country {
    pub fn new() -> Self {
        let now: Time = "2026-11-22T03:45:18.000Z".parse().unwrap();
        let pki = DevPki::generate(&Profile::built_in().with_p256_keys(), now).unwrap();
        let key = LogKey::from_pkcs8(GATEWAY, &pki.gateway_key("log.key").unwrap()).unwrap();
        let paper = page::pdf("Quyết định", &["Điều 1. Phê duyệt."], 0);
        let tsa = pki.signer("tsa").unwrap();
        let options = Options { tsa: Some(&tsa), ..Options::new("seal", now) };
        let signed = sign::pdf(&paper, &pki.seal("H49.151").unwrap(), &options).unwrap();
        let stamp = Options { sub_filter: SubFilter::Timestamp, ..Options::new("stamp", now) };
        let stamped = sign::pdf(&signed, &tsa, &stamp).unwrap();
        Self { pki, now, key, signed, stamped }
    }
}

impl Seeds {
    /// All of them; without the corpora only those that are made here.
    pub fn gather(country: &Country, corpora: &Path) -> Self {
        let mut seeds = Self::made(country);
        for path in files(corpora) {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            if bytes.len() > SIZE_MAX {
                continue;
            }
            match Kind::of(&path) {
                Kind::Certificate => seeds.certificates.push(unarmoured(&bytes)),
                Kind::Crl => seeds.crls.push(unarmoured(&bytes)),
                Kind::Response => seeds.responses.push(unarmoured(&bytes)),
                Kind::Record => seeds.records.push(bytes),
                Kind::Message => seeds.messages.push(bytes),
                Kind::Document => seeds.documents.push(bytes),
            }
        }
        seeds
    }

    fn made(country: &Country) -> Self {
        let Country { pki, now, key, signed, stamped } = country;
        let seal = pki.seal("H49.151").unwrap();
        let material = pki.trust("gov").unwrap();
        let tsa = pki.signer("tsa").unwrap();
        let token = sign::timestamp(Sha256::of(b"content"), &[], &tsa, *now).unwrap();
        let entry = {
            let system = SystemId::parse("commune").unwrap();
            let actor = Actor { system, certificate: Sha256::of(b"certificate") };
            let mut entry = Entry::new(Event::SubmissionAcceptance, *now, actor);
            entry.consignment = Some(ConsignmentId(uuid::Uuid::from_u128(1)));
            entry.from = Code::parse("H49.151");
            entry.envelope = Some(Sha256::of(b"envelope"));
            entry.to_leaf()
        };
        let mut tree = Tree::default();
        let grown = tree.append(vec![leaf_hash(&entry), leaf_hash(b"another")]);
        let origin = Origin { gateway: GATEWAY.into(), epoch: 1 };
        let note = key.sign(&Checkpoint { origin, size: tree.size(), root: tree.root() });
        let id = EntryId { epoch: 1, index: 0 };
        let receipt =
            Receipt { leaf: entry.clone(), id, path: grown.inclusion(0), checkpoint: note.clone() };
        let evidence = Evidence {
            consignment: ConsignmentId(uuid::Uuid::from_u128(1)),
            recipient: None,
            key: key.public(),
            receipts: vec![receipt.clone()],
            envelope: b"envelope".to_vec(),
            report: b"report".to_vec(),
            certificates: material.anchors.clone(),
            crls: material.crls.clone(),
            stamps: Vec::new(),
            erds: Vec::new(),
            page: None,
            parts: Vec::new(),
            words: Vec::new(),
            notes: Vec::new(),
        };
        Self {
            documents: vec![signed.clone(), stamped.clone()],
            messages: vec![sign::detached(b"content", &seal, *now).unwrap(), token.clone()],
            certificates: material.anchors.clone(),
            crls: material.crls.clone(),
            responses: Vec::new(),
            records: vec![record(&token)],
            tokens: vec![token],
            envelopes: vec![envelope()],
            entries: vec![entry],
            checkpoints: vec![note],
            receipts: vec![receipt.to_file().into_bytes(), receipt.to_proof().into_bytes()],
            evidence: vec![evidence.to_bytes().unwrap()],
            directories: vec![directory()],
            portal: portal(),
        }
    }
}

fn portal() -> Vec<Vec<u8>> {
    [
        r#"{"service":"DongBoHoSoMC","data":{"MaHoSo":"H49.151-20261123-0001","MaTTHC":"1.003003",
            "NgayHenTra":"20261211170000","NgayTra":"2026-12-11T17:00:00+07:00","TrangThaiHoSo":5,
            "DanhSachHoSoBoSung":[{"NgayBoSung":"20261124090000","DanhSachGiayToBoSung":[{}]}]}}"#,
        r#"{"service":"CapNhatTienDoHoSoMC","data":{"MaHoSo":"H49.151-20261123-0001",
            "ThoiDiemXuLy":"20261124090000","NoiDungXuLy":"Thẩm định","TrangThai":"4"}}"#,
        r#"{"error_code":"00","result":[{"TENTTHC":"x","LINHVUCTHUCHIEN":[{"MALINHVUC":"y"}]}]}"#,
        r#"{"error_code":-1,"message":"Email"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// An evidence record with one time-stamp and no tree.
fn record(token: &[u8]) -> Vec<u8> {
    let sequence = |content: &[u8]| {
        let size = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82][..], &size, content].concat()
    };
    let chains = sequence(&sequence(&sequence(token)));
    sequence(&[&[2, 1, 1, 0x30, 0][..], &chains].concat())
}

fn envelope() -> Vec<u8> {
    let part = v1::Part {
        name: "cong-van.pdf".into(),
        media_type: "application/pdf".into(),
        size: 1_000,
        sha256: vec![7; 32].into(),
        role: v1::PartRole::Main.into(),
        ..v1::Part::default()
    };
    vanthu::service::envelope_bytes(&v1::Envelope {
        document_id: "H49.151,1".into(),
        type_name: "Công văn".into(),
        subject: "Về việc thử".into(),
        sender: "H49.151".into(),
        recipients: vec!["H49.11".into(), "H49".into()],
        parts: vec![part],
        ..v1::Envelope::default()
    })
}

/// The directory of the development country.
fn directory() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("pki");
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_vanthu"));
    let made = { program }.args(["certs", "dev", "--p256", "--out"]).arg(&home).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = Config::read(&home.join("vanthu.toml")).unwrap();
    std::fs::read(config.directory).unwrap()
}

/// Every file below a folder, in the order of the names.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut waiting = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
