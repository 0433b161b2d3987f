//! The document security store (ISO 32000-2 §12.8.4.3): certificates, CRLs and OCSP responses that
//! someone put into the file. Anyone can; they are candidates and nothing more.

use super::super::evidence::{Material, Packing};
use super::super::trust::Trust;
use super::document::{Document, Loaded, View};
use super::file::Fault;
use super::inflate::decode;
use super::object::Object;
use crate::limits::{CERTIFICATES_MAX, EMBEDDED_REVOCATIONS_MAX};

/// Everything in `/DSS`. What cannot be read is left out: it is no candidate.
pub(super) fn material(
    document: &Document<'_>,
    view: &View,
    trust: &Trust,
) -> Result<Material, Fault> {
    let mut material = Material::default();
    let root = document.root(view)?;
    let Some(store) = document.dictionary(view, &root, "DSS")? else { return Ok(material) };
    let list = |key, max| {
        let mut list = document.array(view, &store, key)?;
        list.truncate(max);
        Ok::<_, Fault>(list)
    };
    for item in list("Certs", 4 * CERTIFICATES_MAX)? {
        if let Some((der, _)) = stream(document, view, &item) {
            material.add_certificate(trust, &der);
        }
    }
    for (key, packing) in [("CRLs", Packing::List), ("OCSPs", Packing::Response)] {
        for item in list(key, EMBEDDED_REVOCATIONS_MAX)? {
            if let Some((der, end)) = stream(document, view, &item) {
                material.add(packing, &der, Some(end));
            }
        }
    }
    Ok(material)
}

/// The bytes of a stream and where it ends in the file.
fn stream(document: &Document<'_>, view: &View, item: &Object) -> Option<(Vec<u8>, u64)> {
    let loaded = document.resolve(view, item).ok()??;
    let (_, end) = document.stream_range(view, &loaded).ok()?;
    let dictionary = Loaded::dictionary(&loaded)?;
    let data = document.stream_data(view, &loaded).ok()?;
    Some((decode(dictionary, &data, document.inflated()).ok()?, end))
}
