//! A land dossier from the portal through three offices and back, on one clock.

use super::country::{Country, envelope};
use super::scenes::{must, prove};
use super::{paper, say};
use crate::calendar::{Calendar, Counting};
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};
use crate::proto::v1;
use crate::proto::v1::DossierStep as Step;
use crate::proto::v1::dossier_service_client::DossierServiceClient;

/// Working days that the procedure may take.
const DAYS: u32 = 20;

/// Portal → one-stop desk → land office → department, which asks the People's Committee and answers the
/// portal. Gives the dossier's code.
pub(super) async fn travels(country: &Country) -> Result<String, Failure> {
    let now = SystemClock.now();
    let code = format!("H49.151-{}-0001", now.date_in_vietnam().strftime("%Y%m%d"));
    let days = std::num::NonZeroU32::new(DAYS).expect("not 0");
    let due = Calendar::vietnam().due(now, days, Counting::default());
    let procedure_code = "1.004227".to_owned();
    let plain = v1::RecordStepRequest::default;
    let to = |to: &str| v1::RecordStepRequest { to: to.into(), ..plain() };
    let file = Desk { country, code: &code };

    let subject = "Hồ sơ đăng ký biến động đất đai";
    file.send(("portal", "G22.DVC"), ("commune", "H49.151"), 1, subject).await?;
    let registered = v1::RecordStepRequest { procedure_code, ..to("H49.151") };
    let procedure_code = registered.procedure_code.clone();
    file.take("portal", "G22.DVC", Step::Registration, registered).await?;
    let due_time = due.map(crate::proto::timestamp);
    let received = v1::RecordStepRequest { procedure_code, due_time, ..plain() };
    file.take("commune", "H49.151", Step::Reception, received).await?;

    let subject = "Chuyển hồ sơ thẩm định";
    file.send(("commune", "H49.151"), ("district", "H49.11.3"), 2, subject).await?;
    file.take("commune", "H49.151", Step::Handover, to("H49.11.3")).await?;
    file.take("district", "H49.11.3", Step::Appraisal, plain()).await?;
    file.send(("district", "H49.11.3"), ("province", "H49.11"), 3, "Kết quả thẩm định").await?;
    file.take("district", "H49.11.3", Step::Handover, to("H49.11")).await?;

    let asked = v1::RecordStepRequest { consent_working_days: 15, ..to("H49") };
    file.take("province", "H49.11", Step::OpinionRequest, asked).await?;
    let opinion = v1::RecordStepRequest { note: "nhất trí".into(), ..plain() };
    file.take("province", "H49", Step::Opinion, opinion).await?;
    file.take("province", "H49.11", Step::Approval, plain()).await?;
    file.take("province", "H49.11", Step::Sealing, plain()).await?;
    let subject = "Trả kết quả: Giấy chứng nhận";
    let consignment_id =
        file.send(("province", "H49.11"), ("portal", "G22.DVC"), 4, subject).await?;
    let done = v1::RecordStepRequest { consignment_id, ..plain() };
    file.take("province", "H49.11", Step::Completion, done).await?;
    file.take("commune", "H49.151", Step::Return, plain()).await?;
    file.shown().await?;
    Ok(code)
}

/// One dossier in this country.
struct Desk<'a> {
    country: &'a Country,
    code: &'a str,
}

impl Desk<'_> {
    /// Sends a signed document of the dossier and takes it over; gives the consignment.
    async fn send(
        &self,
        (system, from): (&str, &str),
        (host, to): (&str, &str),
        number: u32,
        subject: &str,
    ) -> Result<String, Failure> {
        let pdf = paper::signed(self.country, from, subject, &[subject, self.code])?;
        let mut envelope = envelope(from, &[to], &format!("{number:02}/HS"), subject);
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
    ) -> Result<(), Failure> {
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
        let state = recorded.dossier.unwrap_or_default().state;
        let word = step.as_str_name().trim_start_matches("DOSSIER_STEP_");
        say(&format!(
            "{agency:<9} {word:<16} state {state} of the portal, proven in entry {entry}"
        ));
        Ok(())
    }

    /// The clock and the proofs, as the portal sees them.
    async fn shown(&self) -> Result<(), Failure> {
        let mut client = DossierServiceClient::new(self.country.connect("portal").await?);
        let request = v1::GetDossierRequest { dossier_code: self.code.to_owned() };
        let found = client.get_dossier(request).await?.into_inner();
        for step in &found.steps {
            prove(self.country, step.receipt.as_ref())?;
        }
        let dossier = found.dossier.unwrap_or_default();
        must(dossier.state() == v1::DossierState::Returned, "the citizen has the result")?;
        must(!dossier.late, "it was in time")?;
        say(&format!("{} steps proven with the public key alone", found.steps.len()));
        for worked in found.clock.unwrap_or_default().worked {
            let seconds = worked.working.unwrap_or_default().seconds;
            say(&format!(
                "working time at {:<9} {} min {:02} s",
                worked.agency,
                seconds / 60,
                seconds % 60
            ));
        }
        Ok(())
    }
}
