//! A land dossier from the portal through three offices and back, on one clock. It has a country of its
//! own, in which weeks pass between two steps.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::country::Country;
use super::portal::{AGENCY, Stand};
use super::scenes::{PATIENCE, must, next_item, prove};
use super::{paper, say};
use crate::calendar::Calendar;
use crate::cli::Failure;
use crate::clock::Time;
use crate::log::Entry;
use crate::proto::v1;
use crate::proto::v1::DossierStep as Step;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::workshop::profile::Profile;

/// Working days after which the People's Committee consents if it says nothing.
const CONSENT_DAYS: u32 = 15;
/// The procedure, one of the catalogue: it says how long it may take.
pub(super) const PROCEDURE: &str = "1.003003";
/// The revocation lists of this country hold while its weeks pass, Tết among them.
const CRL_DAYS: u32 = 120;
/// How often the demonstration looks whether the gateway has done something.
const LOOK: Duration = Duration::from_millis(100);

/// A country with a clock that leaps, in a folder below `folder`.
pub(super) async fn country(folder: &Path) -> Result<Country, Failure> {
    let profile = Profile { crl_days: CRL_DAYS, ..Profile::built_in().with_p256_keys() };
    let country = Country::found(&folder.join("land"), profile).await?;
    let calendar = Calendar::vietnam();
    country.leap_to(calendar.after(country.now(), Duration::from_millis(1)));
    say(&format!(
        "a gateway whose clock leaps over what nobody wants to wait for; it is {}",
        country.now().in_vietnam()
    ));
    Ok(country)
}

/// Portal → one-stop desk → land office → department, which asks the People's Committee, hears nothing,
/// and answers the portal. Gives the dossier's code.
pub(super) async fn travels(country: &Country) -> Result<String, Failure> {
    let code = format!("H49.151-{}-0001", country.now().date_in_vietnam().strftime("%Y%m%d"));
    let file = Desk { country, code: &code, calendar: Calendar::vietnam() };
    let portal = Stand::open(country).await?;
    let plain = v1::RecordStepRequest::default;
    let to = |to: &str| v1::RecordStepRequest { to: to.into(), ..plain() };

    portal.files(country, &code).await?;
    file.arrives().await?;
    file.work(1);
    let received = v1::RecordStepRequest { procedure_code: PROCEDURE.into(), ..plain() };
    file.take("commune", "H49.151", Step::Reception, received).await?;
    file.work(3);
    let subject = "Chuyển hồ sơ thẩm định";
    file.send(("commune", "H49.151"), ("district", "H49.11.3"), 2, subject).await?;
    file.take("commune", "H49.151", Step::Handover, to("H49.11.3")).await?;
    file.work(13);
    file.take("district", "H49.11.3", Step::Appraisal, plain()).await?;
    file.send(("district", "H49.11.3"), ("province", "H49.11"), 3, "Kết quả thẩm định").await?;
    file.take("district", "H49.11.3", Step::Handover, to("H49.11")).await?;
    file.work(4);
    file.nobody_answers(to("H49")).await?;
    file.work(2);
    file.take("province", "H49.11", Step::Approval, plain()).await?;
    file.take("province", "H49.11", Step::Sealing, plain()).await?;
    let subject = "Trả kết quả: Giấy chứng nhận";
    let consignment_id =
        file.send(("province", "H49.11"), ("portal", "G22.DVC"), 4, subject).await?;
    let done = v1::RecordStepRequest { consignment_id, ..plain() };
    file.take("province", "H49.11", Step::Completion, done).await?;
    file.work(1);
    file.take("commune", "H49.151", Step::Return, plain()).await?;
    let grade = v1::RecordStepRequest { grade: 5, ..plain() };
    file.take("portal", AGENCY, Step::Satisfaction, grade).await?;
    let steps = file.shown().await?;
    // All but the two that came from there.
    portal.shows(&code, "10", steps - 2).await?;
    Ok(code)
}

/// One dossier in this country.
struct Desk<'a> {
    country: &'a Country,
    code: &'a str,
    calendar: Calendar,
}

impl Desk<'_> {
    /// So many office hours pass.
    fn work(&self, hours: u64) {
        let span = Duration::from_secs(hours * 3_600);
        self.country.leap_to(self.calendar.after(self.country.now(), span));
    }

    /// The commune is handed what the portal sent, and takes it over.
    async fn arrives(&self) -> Result<(), Failure> {
        let mut mailbox = self.country.mailbox("commune").await?;
        let item = next_item(&mut mailbox, "H49.151").await?;
        must(item.dossier_code == self.code, "the dossier comes to the desk")?;
        let request = v1::AcknowledgeRequest {
            agency: "H49.151".into(),
            consignment_id: item.consignment_id,
            lease_token: item.lease_token,
        };
        mailbox.acknowledge(request).await?;
        let found = self.found("portal").await?;
        let registered = found.steps.first().and_then(|step| step.receipt.as_ref());
        let entry = prove(self.country, registered)?;
        say(&format!(
            "{}  {AGENCY:<9} {:<18} state  1, proven in entry {entry}",
            self.country.now().in_vietnam(),
            word(Step::Registration),
        ));
        Ok(())
    }

    /// Sends a signed document of the dossier and takes it over; gives the consignment.
    async fn send(
        &self,
        (system, from): (&str, &str),
        (host, to): (&str, &str),
        number: u32,
        subject: &str,
    ) -> Result<String, Failure> {
        let pdf = paper::signed(self.country, from, subject, &[subject, self.code])?;
        let country = self.country;
        let mut envelope = country.envelope(from, &[to], &format!("{number:02}/HS"), subject);
        envelope.dossier_code = self.code.to_owned();
        let parts = vec![("ho-so.pdf".into(), v1::PartRole::Main, pdf)];
        let result = self.country.submit(system, envelope, parts).await?;
        let legal = result.verdict.unwrap_or_default().legal_value;
        let mut mailbox = self.country.mailbox(host).await?;
        let request = v1::AcknowledgeRequest {
            agency: to.into(),
            consignment_id: result.consignment_id.clone(),
            lease_token: String::new(),
        };
        mailbox.acknowledge(request).await?;
        say(&format!("{from:<9} → {to:<9} {subject} ({legal}), taken over"));
        Ok(result.consignment_id)
    }

    /// Records a step, and checks its proof.
    async fn take(
        &self,
        system: &str,
        agency: &str,
        step: Step,
        more: v1::RecordStepRequest,
    ) -> Result<v1::Dossier, Failure> {
        let request = v1::RecordStepRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            agency: agency.into(),
            dossier_code: self.code.to_owned(),
            step: step.into(),
            ..more
        };
        let mut client = DossierServiceClient::new(self.country.connect(system).await?);
        let recorded = client.record_step(request).await?.into_inner();
        let entry = prove(self.country, recorded.receipt.as_ref())?;
        let dossier = recorded.dossier.unwrap_or_default();
        say(&format!(
            "{}  {agency:<9} {:<18} state {:>2}, proven in entry {entry}",
            self.country.now().in_vietnam(),
            word(step),
            dossier.state
        ));
        Ok(dossier)
    }

    /// The department asks; nobody says anything until the time has ended, and the gateway writes what
    /// follows from that.
    async fn nobody_answers(&self, asked: v1::RecordStepRequest) -> Result<(), Failure> {
        let asked = v1::RecordStepRequest { consent_working_days: CONSENT_DAYS, ..asked };
        let dossier = self.take("province", "H49.11", Step::OpinionRequest, asked).await?;
        let until = dossier.opinions.first().and_then(|opinion| opinion.due_time.as_ref());
        let until = until.map(|due| Time::from_seconds(due.seconds));
        let until = until.ok_or_else(|| Failure::other("an opinion without a date"))?;
        say(&format!("… {CONSENT_DAYS} working days of silence, until {} …", until.in_vietnam()));
        self.country.leap_to(until.after(Duration::from_secs(2)));
        let patience = Instant::now() + PATIENCE;
        let written = loop {
            let found = self.found("province").await?;
            let consents = |step: &&v1::RecordedStep| step.step() == Step::DeemedConsent;
            if let Some(step) = found.steps.iter().find(consents) {
                break step.receipt.clone();
            }
            must(Instant::now() < patience, "the gateway writes the deemed consent by itself")?;
            sleep(LOOK).await;
        };
        let entry = prove(self.country, written.as_ref())?;
        let leaf = written.unwrap_or_default().leaf;
        let rule = Entry::from_leaf(&leaf).map_err(Failure::other)?.rule.unwrap_or_default();
        say(&format!(
            "{}  gateway   {:<18} {rule}, proven in entry {entry}",
            self.country.now().in_vietnam(),
            word(Step::DeemedConsent)
        ));
        Ok(())
    }

    async fn found(&self, system: &str) -> Result<v1::GetDossierResponse, Failure> {
        let mut client = DossierServiceClient::new(self.country.connect(system).await?);
        let request = v1::GetDossierRequest { dossier_code: self.code.to_owned() };
        Ok(client.get_dossier(request).await?.into_inner())
    }

    /// The clock and the proofs, as the portal sees them; each proof is kept as a file.
    async fn shown(&self) -> Result<usize, Failure> {
        let found = self.found("portal").await?;
        for (number, step) in (1..).zip(&found.steps) {
            prove(self.country, step.receipt.as_ref())?;
            let receipt = step.receipt.clone().unwrap_or_default();
            let receipt = crate::cli::evidence::receipt_file(&receipt)?;
            let name = format!("{number:02}-{}.receipt", word(step.step()));
            paper::keep(self.country, &name, receipt.as_bytes())?;
        }
        let dossier = found.dossier.unwrap_or_default();
        must(dossier.state() == v1::DossierState::Returned, "the citizen has the result")?;
        must(!dossier.late, "it was in time")?;
        must(dossier.opinions.is_empty(), "nobody is waited for")?;
        say(&format!("{} steps, each proven with the public key alone", found.steps.len()));
        for worked in found.clock.unwrap_or_default().worked {
            let minutes = worked.working.unwrap_or_default().seconds / 60;
            say(&format!(
                "office hours at {:<9} {:>3} h {:02} min",
                worked.agency,
                minutes / 60,
                minutes % 60
            ));
        }
        Ok(found.steps.len())
    }
}

fn word(step: Step) -> &'static str {
    step.as_str_name().trim_start_matches("DOSSIER_STEP_")
}
