//! Responses of the test suite of OpenSSL, and what they are refused for.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("VANTHU_CORPORA")
        .map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let folder = root.join("pyhanko-certvalidator/openssl-ocsp");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is absent", folder.display());
        return None;
    }
    Some(folder)
}

fn response(folder: &std::path::Path, name: &str) -> Response {
    let text = std::fs::read_to_string(folder.join(format!("{name}.ors"))).unwrap();
    let der = STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap();
    for size in (0..der.len()).step_by(7) {
        assert!(Response::from_der(&der[..size]).is_err(), "{name} cut at {size}");
    }
    Response::from_der(&der).unwrap()
}

fn certificate(folder: &std::path::Path, name: &str) -> Certificate {
    let pem = std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    Certificate::from_der(&x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents).unwrap()
}

/// `D`: the responder is appointed; `ND`: the authority answers itself.
#[test]
fn openssl_responses_are_judged_by_their_names() {
    let Some(folder) = folder() else { return };
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let judge = |response_name: &str, case: &str, issuer: &str| {
        let subject = if case.ends_with('2') { "ICA" } else { "EE" };
        let subject = certificate(&folder, &format!("{case}_Cert_{subject}"));
        let issuer = certificate(&folder, issuer);
        let found = response(&folder, response_name);
        found.answer(&trust, &subject, &issuer, &[]).map(|(answer, _)| answer.status)
    };
    // Everything here is signed with SHA-1: what is right but for that ends as too weak.
    let weak = Err(Unusable::Weak("SHA-1 is not accepted any more".to_owned()));
    for case in ["D1", "D2", "D3", "ND1", "ND2", "ND3"] {
        let authority = if case.ends_with('1') { "Issuer_ICA" } else { "Issuer_Root" };
        let issuer = format!("{case}_{authority}");
        assert_eq!(judge(case, case, &issuer), weak, "{case}");
        let broken = |kind: &str| judge(&format!("{kind}_{case}"), case, &issuer);
        assert_eq!(broken("ISOP"), Err(Unusable::Signature), "signature of {case}");
        assert_eq!(broken("WRID"), Err(Unusable::Responder), "responder of {case}");
        for (kind, what) in [("WINH", "name hash"), ("WIKH", "key hash")] {
            assert_eq!(broken(kind), Err(Unusable::OtherCertificate), "{what} of {case}");
        }
        // The issuer's certificate with another key, or another subject.
        let other = |kind: &str| judge(case, case, &format!("{kind}_{case}_{authority}"));
        assert_eq!(other("WKIC"), Err(Unusable::OtherCertificate), "issuer key of {case}");
        if case.starts_with('D') {
            let wrong = |kind: &str| judge(&format!("{kind}_{case}"), case, &issuer);
            assert_eq!(wrong("WKDOSC"), Err(Unusable::Responder), "responder key of {case}");
            assert_eq!(wrong("ISDOSC"), Err(Unusable::Responder), "appointment of {case}");
        }
    }
}
