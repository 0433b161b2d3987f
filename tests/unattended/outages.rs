//! The time-stamping authority, the witness and everything that speaks of revocation are out from
//! before the first document on: documents flow, the evidence says what is missing, and what can be
//! made good is.
//!
//! The gateway itself asks no OCSP responder. A signature whose revocation neither a list of the
//! gateway nor the document tells is INDETERMINATE/TRY_LATER: it is carried, as information only, and
//! the verdict of the day stays in the log. Judging again later is for whoever holds the document.

use std::fs;
use std::time::Duration;

use super::authority::{Authority, Mood};
use super::country::Country;
use super::door::Door;
use vanthu::clock::Clock as _;
use vanthu::evidence::{self, Verified};
use vanthu::log::{Entry, Event, LogPublicKey, Service, ServiceKind, WitnessKey, WitnessPublicKey};
use vanthu::proto::v1::log_service_client::LogServiceClient;
use vanthu::proto::v1::{self, Urgency};
use vanthu::service::part_infos;
use vanthu::signature::{Indication, judge};
use vanthu::workshop::page;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::sign::{self, Options};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
const WITNESS: &str = "neighbour.example/witness";
/// Unsigned papers before and after a restart.
const PAPERS: u32 = 20;

/// A country, and all that it leans on.
struct Setting {
    country: Country,
    pki: DevPki,
    authority: Authority,
    neighbour: Country,
    door: Door,
    witness: WitnessPublicKey,
}

impl Setting {
    /// Everything but the gateway itself is out; the gateway has no revocation lists.
    async fn dark() -> Self {
        let mut country = Country::prepared();
        let pki = DevPki::load(country.folder()).expect("a PKI");
        let mut neighbour = Country::prepared();
        let log = fs::read_to_string(country.file("log.vkey")).expect("a key");
        neighbour.configure(&format!(
            "[readers]\nlisten = \"127.0.0.1:0\"\n[witness]\nname = \"{WITNESS}\"\n\
             key = \"witness.key\"\nlogs = [\"{}\"]\n",
            log.trim()
        ));
        neighbour.start().await;
        let watching = DevPki::load(neighbour.folder()).expect("a PKI");
        let key = watching.gateway_key("witness.key").expect("a key");
        let witness = WitnessKey::from_pkcs8(WITNESS, &key).expect("a key").public();
        let door = Door::shut(neighbour.readers());
        let authority = Authority::open(country.folder(), country.clock.clone(), Mood::Out);
        country.configure(&format!(
            "[timestamp]\nurl = \"http://{}/\"\nname = \"tsa.example\"\ninterval_seconds = 1\n\
             wait_seconds = 2\n[witnessed]\nquorum = 1\ninterval_seconds = 1\n\
             deadline_seconds = 1\n[[witnessed.by]]\nkey = \"{witness}\"\n\
             url = \"https://localhost:{}/witness\"\nca = \"{}\"\n",
            authority.address,
            door.address.port(),
            neighbour.file("tls/ca.pem").display(),
        ));
        fs::rename(country.file("trust/gov/crls"), country.file("crls")).expect("taken away");
        country.start().await;
        Self { country, pki, authority, neighbour, door, witness }
    }

    /// What was out is there again.
    async fn light(&self) {
        self.authority.is_now(Mood::Sound);
        self.door.open();
        let crls = self.country.file("trust/gov/crls");
        fs::rename(self.country.file("crls"), crls).expect("put back");
        self.country.reload().await;
    }

    /// A decision that the commune's officer and seal have signed.
    fn signed(&self) -> Vec<u8> {
        let mut pdf = page::pdf("Quyết định", &["Điều 1. Phê duyệt."], 0);
        let now = self.country.clock.now();
        for signer in [self.pki.officer("H49.151"), self.pki.seal("H49.151")] {
            let signer = signer.expect("a signer");
            let field = if pdf.windows(5).any(|it| it == b"/Sig ") { "seal" } else { "officer" };
            pdf = sign::pdf(&pdf, &signer, &Options::new(field, now)).expect("signed");
        }
        pdf
    }

    async fn verified(&self, consignment: &str) -> Verified {
        let file = self.country.evidence(consignment).await;
        let key = fs::read_to_string(self.country.file("log.vkey")).expect("a key");
        let keys = [LogPublicKey::parse(&key).expect("a key")];
        evidence::verify(&file, &keys, &part_infos).expect("it holds")
    }

    async fn cosigned(&self) -> Option<u64> {
        let mut log = LogServiceClient::new(self.country.channel("auditor").await);
        let answer = log.get_checkpoint(v1::GetCheckpointRequest { epoch: 0 }).await;
        let note = answer.expect("a checkpoint").into_inner().cosigned_checkpoint;
        (!note.is_empty()).then(|| {
            self.witness.cosigned(&note).expect("its name").expect("its cosignature");
            vanthu::log::Checkpoint::claimed(&note).expect("a checkpoint").size
        })
    }
}

/// Indication, sub-indications and worth.
fn found(result: &v1::SubmissionResult) -> (v1::Indication, Vec<&str>, &str) {
    let verdict = result.verdict.as_ref().expect("a verdict");
    let subs = verdict.signatures.iter().map(|one| one.sub_indication.as_str()).collect();
    (verdict.indication(), subs, &verdict.legal_value)
}

/// The services of the entries of an event, with their beginnings.
fn services(entries: &[Entry]) -> Vec<(ServiceKind, String)> {
    let of = |service: &Service| (service.kind(), service.name().to_owned());
    let mut services: Vec<_> =
        entries.iter().filter_map(|one| one.service.as_ref()).map(of).collect();
    services.sort_by(|a, b| a.1.cmp(&b.1));
    services
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_flow_while_all_services_are_out_and_what_can_be_made_good_is() {
    let mut setting = Setting::dark().await;
    for number in 1..=PAPERS {
        setting.country.send(number, &["H49", "H49.11"], Urgency::Normal).await;
    }
    let paper = setting.signed();
    let signed = setting.country.send_pdf(100, paper.clone()).await;
    let (later, passed) = (v1::Indication::Indeterminate, v1::Indication::TotalPassed);
    assert_eq!(found(&signed), (later, vec!["TRY_LATER"; 2], "UNDETERMINED"));
    // What brings its revocation data along needs nobody.
    let lists = setting.pki.trust("gov").expect("a domain").crls;
    let complete = sign::security_store(&paper, &[], &lists, &[]).expect("extended");
    let complete = setting.country.send_pdf(101, complete).await;
    assert_eq!(found(&complete), (passed, vec![""; 2], "ORIGINAL"));
    setting.country.acknowledge("province", "H49", &signed.consignment_id).await;

    let outages = setting.country.wait_for(Event::Outage, 2).await;
    let out = [
        (ServiceKind::Witness, "neighbour.example".to_owned()),
        (ServiceKind::Tsa, "tsa.example".to_owned()),
    ];
    assert_eq!(services(&outages), out);
    let dark = setting.verified(&signed.consignment_id).await;
    assert!(dark.stamps.is_empty() && setting.cosigned().await.is_none());
    assert!(dark.absent.iter().any(|one| one.contains("time-stamp")), "{:?}", dark.absent);

    // A restart changes nothing, and an outage is recorded once.
    setting.country.stop().await;
    setting.country.start().await;
    for number in PAPERS + 1..=2 * PAPERS {
        setting.country.send(number, &["H49", "H49.11"], Urgency::Normal).await;
    }
    let before = setting.door.turned_away();
    tokio::time::timeout(PATIENCE, async {
        // More rounds than make an outage.
        while setting.door.turned_away() < before + 4 {
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await
    .expect("the witness is asked again and again");
    setting.country.wait_for(Event::Outage, 2).await;
    setting.country.wait_for(Event::TimeStamp, 0).await;
    setting.country.wait_for(Event::Repair, 0).await;

    setting.light().await;
    let repairs = setting.country.wait_for(Event::Repair, 2).await;
    assert_eq!(services(&repairs), out);
    let since = |entries: &[Entry]| {
        let mut since: Vec<_> =
            entries.iter().map(|one| (one.service.clone(), one.since)).collect();
        since.sort();
        since
    };
    assert_eq!(since(&repairs), since(&outages));
    let stamps = setting.country.wait_for_at_least(Event::TimeStamp, 1).await;
    let covered = stamps[0].covers.expect("it covers something").size;
    setting.repaired(&signed, paper, covered).await;

    let entries = setting.country.entries().await;
    let accepted = entries.iter().filter(|one| one.event == Event::SubmissionAcceptance).count();
    assert_eq!(accepted, 2 * PAPERS as usize + 3);
    setting.country.stop().await;
    setting.country.audit();
    setting.neighbour.stop().await;
    setting.neighbour.audit();
}

impl Setting {
    /// What was accepted in the dark is stamped and cosigned; its verdict stays, and is another for
    /// who judges the same paper now.
    async fn repaired(&self, signed: &v1::SubmissionResult, paper: Vec<u8>, covered: u64) {
        let entry = signed.receipt.as_ref().and_then(|it| it.entry_id.as_ref()).expect("an entry");
        assert!(entry.index < covered, "the time-stamp covers what was accepted before");
        tokio::time::timeout(PATIENCE, async {
            while self.cosigned().await.is_none_or(|size| size <= entry.index) {
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await
        .expect("what was accepted in the dark is cosigned");
        // The newest of its entries may be younger than the first time-stamp.
        let light = tokio::time::timeout(PATIENCE, async {
            loop {
                let light = self.verified(&signed.consignment_id).await;
                if !light.stamps.is_empty() {
                    break light;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await
        .expect("the evidence has a time-stamp over all of it");
        let notes = light.checkpoints.iter().map(|(_, note)| self.witness.cosigned(note));
        assert!(notes.flatten().any(|line| line.is_some()), "the evidence has the cosignature");
        let verdict = light.entries[0].verdict.as_ref().expect("a verdict");
        assert_eq!(
            (&*verdict.indication, &*verdict.legal_value),
            ("INDETERMINATE", "UNDETERMINED")
        );
        let trust = vanthu::config::read_trust(&self.country.file("trust")).expect("anchors");
        let report = judge(&paper, &trust, self.country.clock.now());
        assert_eq!(report.indication(), Some(Indication::TotalPassed));
        let again = self.country.send_pdf(102, paper).await;
        let passed = v1::Indication::TotalPassed;
        assert_eq!(found(&again), (passed, vec![""; 2], "ORIGINAL"));
    }
}
