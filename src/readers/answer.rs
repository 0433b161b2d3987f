//! Answers: bytes with the headers that C2SP asks for, and refusals in plain text.

use std::io::Write as _;

use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, StatusCode, header};

use crate::gateway::Error;

/// A full tile never changes.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// A partial tile does not change either, but it goes once the tile is full.
const FOR_A_MINUTE: &str = "private, max-age=60, immutable";
/// A checkpoint is replaced all the time.
const NEVER: &str = "no-cache";

const TEXT: &str = "text/plain; charset=utf-8";

/// A checkpoint.
pub(super) fn note(note: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, NEVER)], note).into_response()
}

/// Tiles are for some readers only, so shared caches must not keep them.
pub(super) fn tile(bytes: Vec<u8>, is_full: bool, packed: bool) -> Response {
    let keep = if is_full { FOR_EVER } else { FOR_A_MINUTE };
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, keep)];
    match packed.then(|| gzip(&bytes)).flatten() {
        Some(packed) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
            (headers, encoding, packed).into_response()
        }
        None => (headers, bytes).into_response(),
    }
}

/// Whether the client names gzip among what it takes, and does not refuse it.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && refused != Some(0.0)
    })
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// There is no such thing.
pub(super) fn nothing() -> Response {
    plain(StatusCode::NOT_FOUND, "not found\n".to_owned())
}

/// Why not: the code of the catalogue and its sentence, or that it is our trouble.
pub(super) fn error(error: &Error) -> Response {
    match error {
        Error::Refused(refusal) => {
            let text = format!("{}: {}\n", refusal.reason.code(), refusal.reason.english());
            plain(super::status_of(refusal.reason.class()), text)
        }
        Error::Fault(fault) => {
            tracing::error!(%fault, "a reader was answered with 503");
            let text = "the gateway cannot do this now; try again\n".to_owned();
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, fault.retry_after().as_secs().into());
            response
        }
    }
}

/// A sentence.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, NEVER)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().expect("a header"));
            takes_gzip(&headers)
        };
        for yes in ["gzip", "identity, GZIP;q=0.5", "br,gzip"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["identity", "gzip;q=0", "gzip; q=0.0", "xgzip", ""] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
