//! The door for the portal: it logs in here as its clients log in there, and calls the same services.
//!
//! HTTP/1.1 without TLS, for a loopback address or behind a proxy on the same machine. "0" is answered
//! only when the gateway has everything that was sent; before that, with 20, after which the portal is
//! to send it again. A record that is never taken as it is, is answered with -1 and its field. Before it
//! is known who calls, no more of a call than its session is read.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;

use super::answer::{CREDENTIALS, SYSTEM};
use super::client::Credentials;
use super::desk::{self, Denial, REFUSED, Sessions, denied, page};
use super::intake::Intake;
use super::message::{Draft, Ready, Service, States, Wrong};
use super::outbox::Observer;
use crate::document::DossierCode;
use crate::limits::{
    PORTAL_CALL_SIZE_MAX, PORTAL_CALL_TIME_MAX, PORTAL_CONNECTION_AGE_MAX,
    PORTAL_CONNECTION_PAUSE_MAX, PORTAL_CONNECTIONS_MAX, PORTAL_LOGIN_PAUSE, PORTAL_LOGIN_SIZE_MAX,
    PORTAL_MESSAGE_SIZE_MAX, PORTAL_RECORDS_MAX, PORTAL_SESSION_AGE_MAX,
};

/// Who calls; the rest of the call is passed over.
#[derive(Deserialize)]
struct Caller {
    session: Option<String>,
}

/// The door.
pub struct Receiver {
    intake: Arc<Intake>,
    credentials: Credentials,
    sessions: Mutex<Sessions>,
    observer: Arc<dyn Observer>,
}

impl Receiver {
    /// A door to `intake` for who has these credentials; they are asked for at each log-in.
    pub fn new(intake: Arc<Intake>, credentials: Credentials, observer: Arc<dyn Observer>) -> Self {
        let sessions = Mutex::new(Sessions::new(PORTAL_SESSION_AGE_MAX));
        Self { intake, credentials, sessions, observer }
    }

    /// Serves for as long as it is polled.
    pub async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/login", post(log_in).layer(DefaultBodyLimit::max(PORTAL_LOGIN_SIZE_MAX)))
            .route("/api", post(api))
            .layer(DefaultBodyLimit::max(PORTAL_CALL_SIZE_MAX))
            .with_state(Arc::new(self));
        let places = Arc::new(Semaphore::new(PORTAL_CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((socket, peer)) = listener.accept().await else {
                // Out of file descriptors, mostly: give others time to close theirs.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let router = router.clone();
            tokio::spawn(async move {
                converse(socket, peer, router).await;
                drop(place);
            });
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn log_in(&self, asked: Value) -> Result<Value, Denial> {
        let login = (self.credentials)().map_err(|why| {
            tracing::error!(why, "the portal cannot log in");
            (SYSTEM, "chưa cấu hình tài khoản / no user is configured".to_owned())
        })?;
        let is_known = desk::is_login(&asked, &login);
        // A pause holds nothing of what strangers sent.
        drop(asked);
        if !is_known {
            tracing::warn!("a user name or password was not taken");
            sleep(PORTAL_LOGIN_PAUSE).await;
            return Err((CREDENTIALS, "sai tên đăng nhập hoặc mật khẩu".to_owned()));
        }
        Ok(json!({ "session": self.sessions().begin(Instant::now()) }))
    }

    /// The call of who has logged in.
    fn admit(&self, body: &[u8]) -> Result<Value, Denial> {
        match serde_json::from_slice(body) {
            Ok(Caller { session: Some(session) })
                if self.sessions().holds(&session, Instant::now()) =>
            {
                desk::read(body)
            }
            Err(error) if !error.is_data() => Err(denied("not JSON")),
            _ => Err((CREDENTIALS, "phiên làm việc không hợp lệ".to_owned())),
        }
    }

    async fn call(&self, asked: &Value) -> Result<Value, Denial> {
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("madonvi").is_empty() {
            return Err(denied("madonvi"));
        }
        let service = Service::named(text("service"));
        let service = service.filter(|service| Service::ALL.contains(service));
        let rows = match (text("service"), service) {
            ("TraCuuHoSo", _) => {
                let dossier = DossierCode::parse(text("mahoso"));
                let found = self.intake.find(&dossier.ok_or_else(|| denied("mahoso"))?).await;
                found?.into_iter().collect()
            }
            (_, Some(service)) => {
                if service == Service::Dossier && !matches!(text("isUpdating"), "True" | "False") {
                    return Err(denied("isUpdating"));
                }
                self.take(service, desk::records(service, asked)?).await?;
                Vec::new()
            }
            _ => return Err(denied("service")),
        };
        Ok(json!({ "result": rows }))
    }

    /// Takes records. All of them are checked before the first is. One that is not taken holds back
    /// those of its dossier and no others; what was taken is known when the call is made again, which is
    /// asked for where that can help one of them.
    async fn take(&self, service: Service, records: &[Value]) -> Result<(), Denial> {
        if records.len() > PORTAL_RECORDS_MAX {
            return Err(denied(&format!("data: at most {PORTAL_RECORDS_MAX} records in a call")));
        }
        let checked: Result<Vec<_>, _> =
            records.iter().map(|record| checked(service, record)).collect();
        let (mut denials, mut stuck) = (Vec::new(), BTreeSet::new());
        for (dossier, message) in checked.inspect_err(|_| self.observer.received("refused"))? {
            if stuck.contains(&dossier) {
                continue;
            }
            let taken = self.intake.take(&dossier, &message).await;
            self.observer.received(match taken {
                Ok(()) => "taken",
                Err((REFUSED, _)) => "refused",
                Err(_) => "failed",
            });
            if let Err((code, words)) = taken {
                denials.push((code, format!("{dossier}: {words}")));
                stuck.insert(dossier);
            }
        }
        let again = denials.iter().position(|(code, _)| *code == SYSTEM);
        denials.into_iter().nth(again.unwrap_or(0)).map_or(Ok(()), Err)
    }
}

/// A record that can be taken, and its dossier.
fn checked(service: Service, record: &Value) -> Result<(DossierCode, Ready), Denial> {
    let wrong = |wrong: Wrong| denied(&format!("{} / {wrong}", wrong.in_vietnamese()));
    let data = record.as_object().ok_or_else(|| denied("data"))?;
    let draft = Draft::of(service, data, &States::default()).map_err(wrong)?;
    let message = draft.ready(None).map_err(wrong)?;
    if message.written().len() as u64 > PORTAL_MESSAGE_SIZE_MAX {
        return Err(wrong(Wrong::TooLarge));
    }
    if service == Service::Status && message.text("NgayXuLy").is_empty() {
        // Without its moment, a state that comes back would be the document that it was the first time.
        return Err(wrong(Wrong::Missing("NgayXuLy")));
    }
    let dossier = DossierCode::parse(message.text("MaHoSo"));
    Ok((
        dossier
            .ok_or_else(|| denied("MaHoSo: không phải mã hồ sơ / MaHoSo: not a dossier code"))?,
        message,
    ))
}

async fn converse(socket: TcpStream, peer: SocketAddr, router: Router) {
    let service = hyper::service::service_fn(move |request: http::Request<_>| {
        let router = router.clone();
        // The body is read within this time, too.
        async move {
            let answered = timeout(PORTAL_CALL_TIME_MAX, router.oneshot(request)).await;
            answered.unwrap_or_else(|_| Ok(answer(Err(late()))))
        }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PORTAL_CONNECTION_PAUSE_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut conversation = pin!(conversation);
    let ended = tokio::select! {
        ended = conversation.as_mut() => ended,
        () = sleep(PORTAL_CONNECTION_AGE_MAX) => {
            conversation.as_mut().graceful_shutdown();
            // Who does not read the last answer by then has lost it.
            timeout(PORTAL_CALL_TIME_MAX, conversation).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::info!(%error, %peer, "a connection of the portal's broke off");
    }
}

fn late() -> Denial {
    (SYSTEM, "hệ thống tiếp nhận quá chậm / it took too long; send it again".to_owned())
}

async fn log_in(State(door): State<Arc<Receiver>>, body: Bytes) -> Response {
    let asked = desk::read(&body);
    drop(body);
    answer(match asked {
        Ok(asked) => door.log_in(asked).await,
        Err(denial) => Err(denial),
    })
}

async fn api(State(door): State<Arc<Receiver>>, body: Bytes) -> Response {
    answer(match door.admit(&body) {
        Ok(asked) => door.call(&asked).await,
        Err(denial) => Err(denial),
    })
}

fn answer(outcome: Result<Value, Denial>) -> Response {
    page(&match outcome {
        Ok(mut body) => {
            body["error_code"] = json!("0");
            body
        }
        Err((code, words)) => json!({ "error_code": code.to_string(), "message": words }),
    })
}
