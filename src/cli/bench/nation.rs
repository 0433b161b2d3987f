//! A country with as many communes as are asked for, and the systems that host them.

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::Failure;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::{Profile, System};

/// The province above all of them.
pub(super) const PROVINCE: &str = "H50";

/// The code of a commune.
pub(super) fn commune(number: usize) -> String {
    format!("{PROVINCE}.{number}")
}

/// The system that hosts the communes whose numbers leave this remainder.
pub(super) fn host(number: usize) -> String {
    format!("host-{number}")
}

/// Makes the development country in `folder` with `communes` more, spread over `hosts` systems.
pub(super) fn make(folder: &Path, communes: usize, hosts: usize) -> Result<DevPki, Failure> {
    let mut profile = Profile::built_in().with_p256_keys();
    let system = |number| System { id: host(number), valid: None, revoked: None };
    profile.systems.extend((0..hosts).map(system));
    let pki = crate::cli::certs::make(&profile, folder)?;
    let path = folder.join("directory.toml");
    let failed = |error| Failure::file(&path, error);
    let mut text = std::fs::read_to_string(&path).map_err(failed)?;
    for number in 0..hosts {
        let (id, prefix) = (host(number), &profile.tls.uri_prefix);
        writeln!(
            text,
            "[[system]]\nid = \"{id}\"\nidentities = [\"{prefix}{id}\"]\nrole = \"agency\""
        )
        .expect("writing to a String cannot fail");
    }
    let mut agency = |code: &str, below: &str| {
        writeln!(
            text,
            "[[agency]]\ncode = \"{code}\"\nname = \"{code}\"\nkind = \"state\"\n\
             valid_from = \"2025-07-01\"\n{below}"
        )
        .expect("writing to a String cannot fail");
    };
    agency(PROVINCE, "level = 1");
    for number in 0..communes {
        let host = host(number % hosts);
        let below = format!("level = 2\nparent = \"{PROVINCE}\"\nhost = \"{host}\"");
        agency(&commune(number), &below);
    }
    std::fs::write(&path, text).map_err(failed)?;
    Ok(pki)
}
