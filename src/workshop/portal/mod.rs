//! A stand-in for the National Public Service Portal: the session API of its integration platform over
//! HTTP/1.1, for tests and demos on one machine.
//!
//! It checks what the portal is known to check, answers in every form that was seen, keeps what it got,
//! and can be told to fail. Only error code 15 is the portal's own; what else it refuses, it refuses
//! with -1. It forgets everything when it ends.
//!
//! ```text
//! POST /login    {username, password} -> {session, error_code}
//! POST /api      {session, madonvi, service, …} -> {error_code, result}
//! GET  /book     what it got, and how often it was called
//! POST /faults   {status, error_code, service, times, slow_ms, done}: how the next calls fail
//! ```

mod book;
mod faults;
mod procedures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::courier::portal::{Credentials, Service};
use crate::limits::PORTAL_STAND_IN_SESSIONS_MAX;
use book::Book;
use faults::Faults;

/// Error code of a user name, password or session that does not count.
const CREDENTIALS: i64 = 15;
/// Error code of everything else.
const REFUSED: i64 = -1;

/// The stand-in.
pub struct StandIn {
    credentials: Credentials,
    session_age_max: Duration,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    sessions: HashMap<String, Instant>,
    book: Book,
    faults: Faults,
    /// Calls by service, and refused log-ins as `15`.
    calls: HashMap<String, u64>,
    /// Answers so far: each takes the next of the forms.
    answers: usize,
}

/// Why a call is not answered with success: code and words.
type Refusal = (i64, String);

fn refusal(words: &str) -> Refusal {
    (REFUSED, words.to_owned())
}

impl StandIn {
    /// A stand-in that takes these credentials, asked for at each log-in, for sessions of this length.
    pub fn new(credentials: Credentials, session_age_max: Duration) -> Self {
        Self { credentials, session_age_max, memory: Mutex::default() }
    }

    /// Its pages.
    pub fn router(self) -> Router {
        Router::new()
            .route("/login", post(log_in))
            .route("/api", post(api))
            .route("/book", get(book))
            .route("/faults", post(set_faults))
            .with_state(Arc::new(self))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_in(&self, asked: &Value) -> Result<Value, Refusal> {
        let mut memory = self.memory();
        let wrong = || (CREDENTIALS, "sai tên đăng nhập hoặc mật khẩu".to_owned());
        let login = (self.credentials)().map_err(|_| wrong())?;
        let is = |name: &str, value: &str| asked.get(name).and_then(Value::as_str) == Some(value);
        if !is("username", &login.username) || !is("password", &login.password) {
            *memory.calls.entry(CREDENTIALS.to_string()).or_default() += 1;
            return Err(wrong());
        }
        let now = Instant::now();
        memory.sessions.retain(|_, until| now < *until);
        if memory.sessions.len() >= PORTAL_STAND_IN_SESSIONS_MAX {
            return Err(refusal("too many sessions"));
        }
        let session = uuid::Uuid::new_v4().to_string();
        memory.sessions.insert(session.clone(), now + self.session_age_max);
        Ok(json!({ "session": session }))
    }

    fn serve(&self, asked: &Value) -> Result<Value, Refusal> {
        let mut memory = self.memory();
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        let until = memory.sessions.get(text("session"));
        if until.is_none_or(|until| Instant::now() >= *until) {
            return Err((CREDENTIALS, "phiên làm việc không hợp lệ".to_owned()));
        }
        if text("madonvi").is_empty() {
            return Err(refusal("madonvi"));
        }
        let rows = match text("service") {
            "LayDanhSachTTHC" => procedures::all(),
            "LayThuTuc" => procedures::find(text("maTTHC")).into_iter().collect(),
            "LayDanhMucCoQuan" => vec![json!({ "MADONVI": text("madonvi") })],
            "LayDanhMucLinhVuc" => procedures::fields(),
            "TraCuuHoSo" => memory.book.find(text("mahoso")),
            name => {
                let service = Service::ALL.into_iter().find(|service| service.name() == name);
                let service = service.ok_or_else(|| refusal("service"))?;
                let records = match (service, asked.get("data")) {
                    (Service::Dossier | Service::Step, Some(Value::Array(records))) => records,
                    (Service::Status, Some(record)) => std::slice::from_ref(record),
                    _ => return Err(refusal("data")),
                };
                memory.book.take(service, text("isUpdating"), records)?;
                Vec::new()
            }
        };
        Ok(json!({ "result": rows }))
    }

    /// The answer with its code in the next of the three forms.
    fn answer(&self, outcome: Result<Value, Refusal>) -> Response {
        let mut memory = self.memory();
        memory.answers += 1;
        let form = memory.answers;
        let body = match outcome {
            Ok(mut body) => {
                body["error_code"] = [json!("0"), json!("00"), json!(0)][form % 3].clone();
                body
            }
            Err((code, words)) => {
                let code = [json!(code), json!(code.to_string())][form % 2].clone();
                json!({ "error_code": code, "message": words })
            }
        };
        page(&body)
    }
}

fn page(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

fn read(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| refusal("not JSON"))
}

async fn log_in(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let asked = read(&body);
    reply(&portal, "login", || portal.log_in(&asked?)).await
}

async fn api(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let asked = read(&body);
    let name = asked.as_ref().ok().and_then(|asked| asked.get("service")?.as_str());
    // Only known names are counted, so that no caller makes the list grow.
    let known = procedures::SERVICES.iter().copied();
    let known = known.chain(Service::ALL.map(Service::name)).find(|known| Some(*known) == name);
    reply(&portal, known.unwrap_or("other"), || portal.serve(asked.as_ref().map_err(Clone::clone)?))
        .await
}

/// Does what was asked, unless it was told to fail; it may also fail after it was done.
async fn reply(
    portal: &StandIn,
    service: &str,
    act: impl FnOnce() -> Result<Value, Refusal>,
) -> Response {
    let fault = {
        let mut memory = portal.memory();
        *memory.calls.entry(service.to_owned()).or_default() += 1;
        memory.faults.next(service)
    };
    let Some(fault) = fault else { return portal.answer(act()) };
    tokio::time::sleep(fault.slow).await;
    if fault.is_done || !fault.fails() {
        let outcome = act();
        if !fault.fails() {
            return portal.answer(outcome);
        }
    }
    match (fault.status, fault.error_code) {
        (Some(status), _) => (status, "<html>out of order</html>").into_response(),
        (None, code) => portal.answer(Err((code.unwrap_or(REFUSED), "lỗi hệ thống".to_owned()))),
    }
}

async fn book(State(portal): State<Arc<StandIn>>) -> Response {
    let memory = portal.memory();
    let mut told = memory.book.told();
    told["calls"] = json!(memory.calls);
    page(&told)
}

async fn set_faults(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let faults = serde_json::from_slice(&body).ok().and_then(|asked: Value| Faults::read(&asked));
    match faults {
        Some(faults) => {
            portal.memory().faults = faults;
            StatusCode::NO_CONTENT.into_response()
        }
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
