//! What a server of the portal's session API needs, be it this courier's or the stand-in's: sessions,
//! the form of calls and answers.

use std::collections::HashMap;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::client::{Login, fingerprint};
use super::message::Service;
use crate::limits::PORTAL_SESSIONS_MAX;

/// Error code of a record, or a call, that is never taken as it is.
pub const REFUSED: i64 = -1;

/// Why a call is not answered with success: code and words.
pub type Denial = (i64, String);

/// The denial of a call that is wrong, by the field at fault or in words.
pub fn denied(words: &str) -> Denial {
    (REFUSED, words.to_owned())
}

/// The sessions that were begun and have not run out.
#[derive(Debug)]
pub struct Sessions {
    age_max: Duration,
    known: HashMap<String, Instant>,
}

impl Sessions {
    /// None yet; each lasts for `age_max`.
    pub fn new(age_max: Duration) -> Self {
        Self { age_max, known: HashMap::new() }
    }

    /// A new session. Where there are [`PORTAL_SESSIONS_MAX`], it takes the place of the oldest: who
    /// logs in before every call must not lock itself out.
    pub fn begin(&mut self, now: Instant) -> String {
        self.known.retain(|_, until| now < *until);
        if self.known.len() >= PORTAL_SESSIONS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, until)| **until);
            let oldest = oldest.map(|(session, _)| session.clone());
            oldest.and_then(|session| self.known.remove(&session));
        }
        let session = Uuid::new_v4().to_string();
        self.known.insert(session.clone(), now + self.age_max);
        session
    }

    /// Whether this session has begun and not run out.
    pub fn holds(&self, session: &str, now: Instant) -> bool {
        self.known.get(session).is_some_and(|until| now < *until)
    }
}

/// Whether a call gives this user name and password. How long that takes says nothing of them.
pub fn is_login(asked: &Value, login: &Login) -> bool {
    let text = |name| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let password = Zeroizing::new(text("password"));
    let given = fingerprint(&Login { username: text("username"), password });
    let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else {
        return false;
    };
    let expected = hmac::sign(&key, &fingerprint(login).0);
    hmac::verify(&key, &given.0, expected.as_ref()).is_ok()
}

/// A call, as it was sent.
///
/// # Errors
/// It is no JSON.
pub fn read(body: &[u8]) -> Result<Value, Denial> {
    serde_json::from_slice(body).map_err(|_| denied("not JSON"))
}

/// The records of a call: a list, or one with DongBoTrangThaiHoSo.
///
/// # Errors
/// There are none in this form.
pub fn records(service: Service, asked: &Value) -> Result<&[Value], Denial> {
    match (service, asked.get("data")) {
        (Service::Status, Some(record)) => Ok(std::slice::from_ref(record)),
        (_, Some(Value::Array(records))) => Ok(records),
        _ => Err(denied("data")),
    }
}

/// An answer.
pub fn page(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_ends_with_its_time_or_when_too_many_follow() {
        let mut sessions = Sessions::new(Duration::from_secs(10));
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let first = sessions.begin(now);
        assert!(sessions.holds(&first, later) && !sessions.holds("x", now));
        let others: Vec<_> = (0..PORTAL_SESSIONS_MAX).map(|_| sessions.begin(later)).collect();
        let all = |now| others.iter().filter(|session| sessions.holds(session, now)).count();
        assert!(!sessions.holds(&first, later));
        assert_eq!(all(later), PORTAL_SESSIONS_MAX);
        assert_eq!(all(later + Duration::from_secs(10)), 0);
    }

    #[test]
    fn only_the_whole_login_is_taken() {
        let login = Login { username: "u".into(), password: Zeroizing::new("secret".into()) };
        let given = |username: &str, password: &str| {
            is_login(&json!({ "username": username, "password": password }), &login)
        };
        assert!(given("u", "secret"));
        for (username, password) in
            [("u", "secre"), ("u", "secret "), ("", "usecret"), ("us", "ecret")]
        {
            assert!(!given(username, password), "{username} {password}");
        }
        assert!(!is_login(&json!({ "username": "u", "password": ["secret"] }), &login));
        assert!(!is_login(&json!([]), &login));
    }
}
