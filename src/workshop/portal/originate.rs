//! A citizen files a dossier on the portal, or something happens to it there: the stand-in writes it down
//! and calls the one-stop system's door, as the portal's own client.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::courier::Address;
use crate::courier::portal::desk::{Denial, denied};
use crate::courier::portal::{Addresses, Draft, Portal, Ready, Service, States};
use crate::courier::portal::{Credentials, Trouble};

/// How long the door may take.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What is to be told to whom: `{to, service, record}`.
pub(super) struct Origin {
    portal: Portal,
    message: Ready,
}

impl Origin {
    /// Reads it; `to` is where the door is, such as `http://127.0.0.1:7482`.
    pub(super) fn read(asked: &Value, credentials: Arc<Credentials>) -> Result<Self, Denial> {
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        let at = |path: &str| {
            let address = Address::new(&format!("{}{path}", text("to")), &[]);
            address.map_err(|_| denied("to"))
        };
        let addresses =
            Addresses { login: at("/login")?, integration: at("/api")?, share: at("/api")? };
        let credentials: Credentials = Box::new(move || credentials());
        let portal = Portal::new(addresses, "000.00.00.G22".to_owned(), credentials, WAIT_MAX);
        let service = Service::named(text("service")).ok_or_else(|| denied("service"))?;
        let empty = Map::new();
        let record = asked.get("record").and_then(Value::as_object).unwrap_or(&empty);
        let draft = Draft::of(service, record, &States::default());
        let message = draft.and_then(|draft| draft.ready(None));
        let message = message.map_err(|wrong| denied(&wrong.to_string()))?;
        Ok(Self { portal, message })
    }

    /// What it is about, for the book.
    pub(super) fn message(&self) -> &Ready {
        &self.message
    }

    /// Tells it.
    pub(super) async fn tell(mut self) -> Result<(), Trouble> {
        self.portal.hand_over(&self.message).await
    }
}
