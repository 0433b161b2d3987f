//! Calls to the portal: a session that is renewed when it has run out, every wait and answer bounded.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::answer::{self, Trouble};
use super::message::{Ready, Service};
use crate::courier::Address;
use crate::digest::{Hasher, Sha256};
use crate::limits::{
    PORTAL_ANSWER_SIZE_MAX, PORTAL_CREDENTIALS_PAUSE, PORTAL_PROCEDURE_AGE_MAX,
    PORTAL_PROCEDURES_MAX,
};

/// What the known client of DongBoTrangThaiHoSo calls its record.
const STATUS_TYPE: &str = "2";
/// The service that gives questions; its name is known only as far as LayDanhSachHoiDap….
pub const QUESTIONS: &str = "LayDanhSachHoiDap";

/// Where the portal's services are; each address is posted to as it stands.
#[derive(Clone)]
pub struct Addresses {
    /// Logging in.
    pub login: Address,
    /// Dossiers, their steps, look-ups and procedures.
    pub integration: Address,
    /// Catalogues.
    pub share: Address,
}

/// A user name and its password.
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Zeroizing<String>,
}

/// Where they come from; asked before every log-in, so that they may change at any time. The error says
/// why there are none.
pub type Credentials = Box<dyn Fn() -> Result<Login, String> + Send + Sync>;

/// A procedure in the portal's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procedure {
    /// TenTTHC.
    pub name: String,
    /// MaLinhVuc.
    pub field_code: String,
    /// TenLinhVuc.
    pub field_name: String,
}

/// The portal, seen from one agency.
pub struct Portal {
    addresses: Addresses,
    agency: String,
    credentials: Credentials,
    wait_max: Duration,
    session: Option<String>,
    /// What was not taken, and until when it is not tried again.
    refused: Option<(Sha256, Instant)>,
    procedures: HashMap<String, (Option<Procedure>, Instant)>,
}

impl Portal {
    /// The portal at these addresses for the agency `madonvi`; nothing is sent yet. Each answer may
    /// take `wait_max`.
    pub fn new(
        addresses: Addresses,
        madonvi: String,
        credentials: Credentials,
        wait_max: Duration,
    ) -> Self {
        Self {
            addresses,
            agency: madonvi,
            credentials,
            wait_max,
            session: None,
            refused: None,
            procedures: HashMap::new(),
        }
    }

    /// Begins a session. Credentials that were not taken are not tried again before they have changed
    /// or [`PORTAL_CREDENTIALS_PAUSE`] is over.
    ///
    /// # Errors
    /// [`Trouble::Credentials`], [`Trouble::Line`].
    pub async fn log_in(&mut self) -> Result<(), Trouble> {
        self.session = None;
        let login = (self.credentials)();
        let login = login.map_err(|why| Trouble::Line(format!("cannot be logged in to: {why}")))?;
        let known = fingerprint(&login);
        if self.refused.is_some_and(|(refused, until)| refused == known && Instant::now() < until) {
            return Err(Trouble::Credentials);
        }
        let body = json!({ "username": login.username, "password": login.password.as_str() });
        let answered = self.post(&self.addresses.login, &body).await;
        match answered {
            Ok(answer) => {
                let session = answer.get("session").and_then(|session| match session {
                    Value::String(text) if !text.is_empty() => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                });
                let none = || Trouble::Line("answered with no session".into());
                self.session = Some(session.ok_or_else(none)?);
                self.refused = None;
                Ok(())
            }
            Err(Trouble::Line(why)) => Err(Trouble::Line(why)),
            Err(Trouble::Credentials | Trouble::Refused { .. }) => {
                self.refused = Some((known, Instant::now() + PORTAL_CREDENTIALS_PAUSE));
                Err(Trouble::Credentials)
            }
        }
    }

    /// Hands a message over. A dossier that the portal has already is replaced, so that doing it twice
    /// does no harm.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn hand_over(&mut self, message: &Ready) -> Result<(), Trouble> {
        let record = message.record();
        let body = match message.service() {
            Service::Dossier => {
                // How the portal says that it does not know a dossier is not written anywhere.
                let is_known = match self.find(message.dossier()).await {
                    Ok(found) => !found.is_empty(),
                    Err(Trouble::Refused { .. }) => false,
                    Err(trouble) => return Err(trouble),
                };
                json!({ "isUpdating": if is_known { "True" } else { "False" }, "data": [record] })
            }
            Service::Step | Service::Answer => json!({ "data": [record] }),
            Service::Status => json!({ "type": STATUS_TYPE, "data": record }),
        };
        self.call(message.service().name(), body).await.map(drop)
    }

    /// What the portal has of a dossier; nothing if it does not know it (TraCuuHoSo).
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn find(&mut self, dossier: &str) -> Result<Vec<Value>, Trouble> {
        let answer = self.call("TraCuuHoSo", json!({ "mahoso": dossier })).await?;
        Ok(rows(&answer))
    }

    /// A catalogue: LayDanhSachTTHC, LayDanhMucCoQuan or LayDanhMucLinhVuc.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn catalogue(&mut self, service: &str) -> Result<Vec<Value>, Trouble> {
        Ok(rows(&self.call(service, json!({})).await?))
    }

    /// Questions of citizens that are not answered; of their fields nothing is known.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn questions(&mut self) -> Result<Vec<Value>, Trouble> {
        Ok(rows(&self.call(QUESTIONS, json!({})).await?))
    }

    /// The procedure with this code, if the portal's catalogue has it (LayThuTuc); remembered for a
    /// while.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn procedure(&mut self, code: &str) -> Result<Option<Procedure>, Trouble> {
        let now = Instant::now();
        if let Some((known, until)) = self.procedures.get(code)
            && now < *until
        {
            return Ok(known.clone());
        }
        let answer = self.call("LayThuTuc", json!({ "maTTHC": code })).await?;
        let found = rows(&answer).first().map(procedure);
        if self.procedures.len() >= PORTAL_PROCEDURES_MAX {
            self.procedures.clear();
        }
        let until = now + PORTAL_PROCEDURE_AGE_MAX;
        self.procedures.insert(code.to_owned(), (found.clone(), until));
        Ok(found)
    }

    /// Calls a service within the session, and once more in a new one if it has run out.
    async fn call(
        &mut self,
        service: &str,
        mut body: Value,
    ) -> Result<Map<String, Value>, Trouble> {
        body["service"] = json!(service);
        body["madonvi"] = json!(self.agency);
        let to = if service.starts_with("LayDanh") && service != QUESTIONS {
            self.addresses.share.clone()
        } else {
            self.addresses.integration.clone()
        };
        if let Some(session) = &self.session {
            body["session"] = json!(session);
            match self.post(&to, &body).await {
                Err(Trouble::Credentials) => {}
                answered => return answered,
            }
        }
        self.log_in().await?;
        body["session"] = json!(self.session);
        let answered = self.post(&to, &body).await;
        if answered == Err(Trouble::Credentials) {
            // A session that does not count right after the log-in: to log in again changes nothing.
            self.session = None;
            self.refused = (self.credentials)()
                .ok()
                .map(|login| (fingerprint(&login), Instant::now() + PORTAL_CREDENTIALS_PAUSE));
        }
        answered
    }

    async fn post(&self, to: &Address, body: &Value) -> Result<Map<String, Value>, Trouble> {
        let bytes = serde_json::to_vec(body).map_err(|error| Trouble::Line(error.to_string()))?;
        let seconds = self.wait_max.as_secs();
        let late = |_| Trouble::Line(format!("did not answer within {seconds} s"));
        let (status, body) = timeout(self.wait_max, exchange(to, bytes)).await.map_err(late)??;
        answer::read(status, &body)
    }
}

/// A connection for each call: on one that rested, nobody can tell a request that was lost from one
/// that was done.
async fn exchange(to: &Address, body: Vec<u8>) -> Result<(StatusCode, Bytes), Trouble> {
    let unreachable = |why: String| Trouble::Line(format!("cannot be reached: {why}"));
    let mut sender = to.connect().await.map_err(unreachable)?;
    let request = Request::post(to.path())
        .header(header::HOST, to.host())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), PORTAL_ANSWER_SIZE_MAX).collect().await;
    let broken = |_| Trouble::Line("broke off, or answered at too great length".into());
    Ok((status, body.map_err(broken)?.to_bytes()))
}

pub(super) fn fingerprint(login: &Login) -> Sha256 {
    let mut hasher = Hasher::default();
    hasher.update(&login.username.len().to_be_bytes());
    hasher.update(login.username.as_bytes());
    hasher.update(login.password.as_bytes());
    hasher.finish()
}

fn rows(answer: &Map<String, Value>) -> Vec<Value> {
    answer.get("result").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn procedure(row: &Value) -> Procedure {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let field = row.get("LINHVUCTHUCHIEN").and_then(|fields| fields.get(0));
    Procedure {
        name: text(row.get("TENTTHC")),
        field_code: text(field.and_then(|field| field.get("MALINHVUC"))),
        field_name: text(field.and_then(|field| field.get("TENLINHVUC"))),
    }
}
