//! Letters of the demonstration: written, signed by the officer, sealed by the agency.

use super::country::Country;
use crate::cli::Failure;
use crate::workshop::{page, sign};

/// A PDF with both signatures that NĐ 30/2020 asks of an original.
pub(super) fn signed(
    country: &Country,
    agency: &str,
    title: &str,
    lines: &[&str],
) -> Result<Vec<u8>, Failure> {
    let now = country.now();
    let pdf = page::pdf(title, lines, 0);
    let officer = country.pki().officer(agency).map_err(Failure::other)?;
    let seal = country.pki().seal(agency).map_err(Failure::other)?;
    let signed = sign::pdf(&pdf, &officer, &sign::Options::new("Officer", now));
    let signed = signed.map_err(Failure::other)?;
    sign::pdf(&signed, &seal, &sign::Options::new("Seal", now)).map_err(Failure::other)
}

/// Keeps a copy to look at.
pub(super) fn keep(country: &Country, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = country.folder().join(name);
    std::fs::write(&path, bytes).map_err(|error| Failure::file(&path, error))
}
