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
//! POST /questions an object with an id: a citizen asks
//! POST /originate {to, service, record} -> {error_code}: it happens on the portal, which tells the door at `to`
//! ```

mod book;
mod faults;
mod originate;
mod procedures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::courier::portal::desk::{self, Denial, REFUSED, Sessions, denied, page};
use crate::courier::portal::{CREDENTIALS, Credentials, QUESTIONS, SYSTEM, Service, Trouble};
use book::Book;
use faults::Faults;
use originate::Origin;

/// The stand-in.
pub struct StandIn {
    credentials: Arc<Credentials>,
    memory: Mutex<Memory>,
}

struct Memory {
    sessions: Sessions,
    book: Book,
    faults: Faults,
    /// Calls by service, and refused log-ins as `15`.
    calls: HashMap<String, u64>,
    /// Answers so far: each takes the next of the forms.
    answers: usize,
}

impl StandIn {
    /// A stand-in that takes these credentials, asked for at each log-in, for sessions of this length.
    pub fn new(credentials: Credentials, session_age_max: Duration) -> Self {
        let memory = Memory {
            sessions: Sessions::new(session_age_max),
            book: Book::default(),
            faults: Faults::default(),
            calls: HashMap::new(),
            answers: 0,
        };
        Self { credentials: Arc::new(credentials), memory: Mutex::new(memory) }
    }

    /// Something happens on the portal, `{to, service, record}`, and the door at `to` is told.
    ///
    /// # Errors
    /// It cannot happen, or the door does not take it.
    pub async fn originate(&self, asked: &Value) -> Result<(), Denial> {
        let origin = Origin::read(asked, self.credentials.clone())?;
        let told = self.happened(origin)?.tell().await;
        told.map_err(|trouble| match trouble {
            Trouble::Refused { code, text } => (code.parse().unwrap_or(REFUSED), text),
            Trouble::Credentials => (CREDENTIALS, String::new()),
            Trouble::Line(why) => (SYSTEM, why),
        })
    }

    /// What it shows of a dossier.
    pub fn shown(&self, dossier: &str) -> Option<Value> {
        self.memory().book.find(dossier).into_iter().next()
    }

    /// Its pages.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/login", post(log_in))
            .route("/api", post(api))
            .route("/book", get(book))
            .route("/faults", post(set_faults))
            .route("/questions", post(ask))
            .route("/originate", post(originate))
            .with_state(self)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_in(&self, asked: &Value) -> Result<Value, Denial> {
        let mut memory = self.memory();
        let wrong = || (CREDENTIALS, "sai tên đăng nhập hoặc mật khẩu".to_owned());
        let login = (self.credentials)().map_err(|_| wrong())?;
        if !desk::is_login(asked, &login) {
            *memory.calls.entry(CREDENTIALS.to_string()).or_default() += 1;
            return Err(wrong());
        }
        Ok(json!({ "session": memory.sessions.begin(Instant::now()) }))
    }

    fn serve(&self, asked: &Value) -> Result<Value, Denial> {
        let mut memory = self.memory();
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        if !memory.sessions.holds(text("session"), Instant::now()) {
            return Err((CREDENTIALS, "phiên làm việc không hợp lệ".to_owned()));
        }
        if text("madonvi").is_empty() {
            return Err(denied("madonvi"));
        }
        let rows = match text("service") {
            "LayDanhSachTTHC" => procedures::all(),
            "LayThuTuc" => procedures::find(text("maTTHC")).into_iter().collect(),
            "LayDanhMucCoQuan" => vec![json!({ "MADONVI": text("madonvi") })],
            "LayDanhMucLinhVuc" => procedures::fields(),
            "TraCuuHoSo" => memory.book.find(text("mahoso")),
            QUESTIONS => memory.book.open_questions(),
            name => {
                let service = Service::named(name).ok_or_else(|| denied("service"))?;
                let records = desk::records(service, asked)?;
                if service == Service::Answer {
                    memory.book.answer(records)?;
                    return Ok(json!({ "result": [] }));
                }
                memory.book.take(service, text("isUpdating"), records)?;
                Vec::new()
            }
        };
        Ok(json!({ "result": rows }))
    }

    /// Writes down what a citizen did here.
    fn happened(&self, origin: Origin) -> Result<Origin, Denial> {
        let message = origin.message();
        let mut memory = self.memory();
        let is_known = !memory.book.find(message.dossier()).is_empty();
        let is_updating = if is_known { "True" } else { "False" };
        let record = [Value::Object(message.record().clone())];
        memory.book.take(message.service(), is_updating, &record)?;
        Ok(origin)
    }

    /// The answer with its code in the next of the three forms.
    fn answer(&self, outcome: Result<Value, Denial>) -> Response {
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

async fn log_in(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let asked = desk::read(&body);
    reply(&portal, "login", || portal.log_in(&asked?)).await
}

async fn api(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let asked = desk::read(&body);
    let name = asked.as_ref().ok().and_then(|asked| asked.get("service")?.as_str());
    // Only known names are counted, so that no caller makes the list grow.
    let known = procedures::SERVICES.iter().copied();
    let known = known.chain(Service::ALL.map(Service::name)).chain([Service::Answer.name()]);
    let known = known.chain([QUESTIONS]).find(|known| Some(*known) == name);
    reply(&portal, known.unwrap_or("other"), || portal.serve(asked.as_ref().map_err(Clone::clone)?))
        .await
}

/// Does what was asked, unless it was told to fail; it may also fail after it was done.
async fn reply(
    portal: &StandIn,
    service: &str,
    act: impl FnOnce() -> Result<Value, Denial>,
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

async fn ask(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let asked = desk::read(&body).and_then(|question| portal.memory().book.ask(&question));
    portal.answer(asked.map(|()| json!({})))
}

/// What happens on the portal stands in its book first. The door may be out; to tell it again, do this
/// again.
async fn originate(State(portal): State<Arc<StandIn>>, body: Bytes) -> Response {
    let outcome = match desk::read(&body) {
        Ok(asked) => portal.originate(&asked).await,
        Err(denial) => Err(denial),
    };
    portal.answer(outcome.map(|()| json!({})))
}
