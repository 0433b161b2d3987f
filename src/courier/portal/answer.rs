//! What the portal answers: a success in any of its three forms, and an error by what is to be done.

use http::StatusCode;
use serde_json::{Map, Value};

/// Characters of the portal's words that are kept.
const TEXT_LENGTH_MAX: usize = 200;
/// The user name, password or session does not count; asking again with them changes nothing.
pub const CREDENTIALS: i64 = 15;
/// A fault of the portal's own, which may pass.
pub const SYSTEM: i64 = 20;
/// Where its clients have found its words.
const TEXTS: [&str; 4] = ["message", "error_message", "error_desc", "ErrorDesc"];

/// Why the portal did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It does not take who we are; an operator must mend that.
    #[error("the portal does not take the user name and password (15)")]
    Credentials,
    /// It refuses this record, now and always.
    #[error("the portal refuses it ({code}): {text}")]
    Refused {
        /// Its code.
        code: String,
        /// Its words, shortened; they may repeat what was sent.
        text: String,
    },
    /// It cannot be reached, or can do nothing now: later, the same may succeed.
    #[error("the portal {0}")]
    Line(String),
}

/// The answer, if it is a success.
///
/// # Errors
/// [`Trouble`].
pub fn read(status: StatusCode, body: &[u8]) -> Result<Map<String, Value>, Trouble> {
    if status == StatusCode::UNAUTHORIZED {
        return Err(Trouble::Credentials);
    }
    let refuses = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    );
    if !status.is_success() && !refuses {
        return Err(Trouble::Line(format!("answered with HTTP status {}", status.as_u16())));
    }
    let strange = |what: &str| Trouble::Line(format!("answered with {what}"));
    let answer: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let code = answer.as_ref().and_then(|answer| code(answer.get("error_code")?));
    match (code, answer) {
        (Some(0), Some(answer)) if !refuses => Ok(answer),
        (Some(CREDENTIALS), _) => Err(Trouble::Credentials),
        (Some(SYSTEM), _) => Err(strange("a fault of its own (20)")),
        (Some(code), Some(answer)) => {
            Err(Trouble::Refused { code: code.to_string(), text: words(&answer) })
        }
        _ if refuses => {
            let code = format!("HTTP {}", status.as_u16());
            Err(Trouble::Refused { code, text: String::new() })
        }
        (None, Some(_)) => Err(strange("no error_code")),
        (_, None) => Err(strange("something that is no JSON object")),
    }
}

/// `"0"`, `"00"` and `0` are one.
fn code(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

fn words(answer: &Map<String, Value>) -> String {
    let said = TEXTS.iter().find_map(|name| answer.get(*name)?.as_str()).unwrap_or_default();
    said.chars().filter(|c| !c.is_control()).take(TEXT_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_says_what_is_to_be_done() {
        let refused =
            |code: &str, text: &str| Err(Trouble::Refused { code: code.into(), text: text.into() });
        let line = |text: &str| Err(Trouble::Line(format!("answered with {text}")));
        let long = format!("{{\"error_code\": 9, \"message\": \"{}\"}}", "x\\n".repeat(300));
        for (status, body, expected) in [
            (200, "{\"error_code\": \"0\"}", Ok(())),
            (200, "{\"error_code\": \"00\", \"result\": []}", Ok(())),
            (200, "{\"error_code\": 0}", Ok(())),
            (200, "{\"error_code\": \"15\"}", Err(Trouble::Credentials)),
            (200, "{\"error_code\": 15}", Err(Trouble::Credentials)),
            (401, "", Err(Trouble::Credentials)),
            (403, "<html>", line("HTTP status 403")),
            (200, "{\"error_code\": -1, \"message\": \"Email\"}", refused("-1", "Email")),
            (200, "{\"error_code\": \"22\", \"ErrorDesc\": \"x\"}", refused("22", "x")),
            (200, &long, refused("9", &"x".repeat(TEXT_LENGTH_MAX))),
            (400, "{\"error_code\": 0}", refused("0", "")),
            (413, "too large", refused("HTTP 413", "")),
            (200, "{\"error_code\": 20}", line("a fault of its own (20)")),
            (200, "{}", line("no error_code")),
            (200, "{\"error_code\": \"no\"}", line("no error_code")),
            (200, "{\"error_code\": null}", line("no error_code")),
            (200, "[]", line("something that is no JSON object")),
            (200, "", line("something that is no JSON object")),
            (302, "", line("HTTP status 302")),
            (404, "{\"error_code\": 0}", line("HTTP status 404")),
            (429, "", line("HTTP status 429")),
            (500, "{\"error_code\": 0}", line("HTTP status 500")),
            (503, "", line("HTTP status 503")),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(read(status, body.as_bytes()).map(drop), expected, "{status} {body}");
        }
    }
}
