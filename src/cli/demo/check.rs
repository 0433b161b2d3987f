//! Files that are only checked: one that holds, one that does not, one that nobody can decide.

use super::country::Country;
use super::{paper, say};
use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};
use crate::limits::CHUNK_SIZE;
use crate::proto::v1;
use crate::proto::v1::signature_service_client::SignatureServiceClient;
use crate::proto::v1::verify_request::Kind;
use crate::workshop::{page, sign};

/// Checks three files and shows what is said about each.
pub(super) async fn files(country: &Country) -> Result<(), Failure> {
    undecided(country)?;
    let expected = [
        ("letter.pdf", v1::Indication::TotalPassed),
        ("tampered.pdf", v1::Indication::TotalFailed),
        ("undecided.pdf", v1::Indication::Indeterminate),
    ];
    for (name, indication) in expected {
        let found = verify(country, name).await?;
        for one in &found.signatures {
            let verdict = one.indication().as_str_name().trim_start_matches("INDICATION_");
            let sub = &one.sub_indication;
            let slash = if sub.is_empty() { "" } else { "/" };
            say(&format!("{name:<13} {verdict}{slash}{sub}"));
            if let Some(reason) = one.reasons.first() {
                say(&format!("{:<13} because {} ({})", "", reason.message, reason.code));
            }
        }
        if found.indication() != indication {
            return Err(Failure::other(format!("not shown: {name} is {indication:?}")));
        }
    }
    Ok(())
}

/// A seal whose certificate ran out, and no time-stamp says that it was used before.
fn undecided(country: &Country) -> Result<(), Failure> {
    let pdf = page::pdf("Thông báo", &["Thông báo lịch tiếp công dân"], 0);
    let seal = country.pki().signer("expired-seal").map_err(Failure::other)?;
    let options = sign::Options::new("Seal", SystemClock.now());
    let signed = sign::pdf(&pdf, &seal, &options).map_err(Failure::other)?;
    paper::keep(country, "undecided.pdf", &signed)
}

async fn verify(country: &Country, name: &str) -> Result<v1::VerifyResponse, Failure> {
    let path = country.folder().join(name);
    let file = std::fs::read(&path).map_err(|error| Failure::file(&path, error))?;
    let header = Kind::Header(v1::VerifyHeader::default());
    let chunks = file.chunks(CHUNK_SIZE).map(|chunk| Kind::Chunk(chunk.to_vec().into()));
    let kinds: Vec<_> = std::iter::once(header).chain(chunks).collect();
    let messages = kinds.into_iter().map(|kind| v1::VerifyRequest { kind: Some(kind) });
    let mut client = SignatureServiceClient::new(country.connect("auditor").await?);
    Ok(client.verify(tokio_stream::iter(messages)).await?.into_inner())
}
