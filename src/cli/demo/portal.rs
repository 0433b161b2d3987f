//! The portal, which a stand-in plays: a citizen files a dossier there, it comes to the one-stop desk, and
//! what offices do with it shows there, step by step.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::country::Country;
use super::dossier::PROCEDURE;
use super::say;
use super::scenes::{PATIENCE, must};
use crate::cli::Failure;
use crate::courier::Address;
use crate::courier::portal::{
    Addresses, Credentials, Intake, Login, Observer, Outbox, Portal, Receiver, States, Steps,
};
use crate::directory::Code;
use crate::workshop::portal::StandIn;

pub(super) const AGENCY: &str = "G22.DVC";
/// How often the demonstration looks whether the portal shows something.
const LOOK: Duration = Duration::from_millis(50);
/// Rests of the courier after a failure: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Nobody watches the courier of a demonstration.
struct Unwatched;

impl Observer for Unwatched {
    fn handed(&self, _: &'static str) {}
    fn waiting(&self, _: usize) {}
    fn alarmed(&self, _: bool) {}
    fn received(&self, _: &'static str) {}
    fn returned(&self) {}
}

/// The stand-in, and the courier between it and the gateway; both end with this.
pub(super) struct Stand {
    portal: Arc<StandIn>,
    /// Where the portal calls us.
    door: String,
    _tasks: JoinSet<()>,
}

impl Stand {
    /// Opens both in this country.
    pub(super) async fn open(country: &Country) -> Result<Self, Failure> {
        let mut tasks = JoinSet::new();
        let portal = Arc::new(StandIn::new(credentials(), Duration::from_secs(600)));
        let (listener, address) = listen().await?;
        let pages = portal.clone().router();
        tasks.spawn(async move {
            // It is aborted, and does not end by itself.
            let _ended = axum::serve(listener, pages).await;
        });
        let observer = Arc::new(Unwatched);
        let channel = country.connect("portal").await?;
        let agency = Code::parse(AGENCY).ok_or_else(|| Failure::other("not a code"))?;
        let intake = Intake::new(channel.clone(), agency.clone(), [].into(), country.clock());
        let (listener, door) = listen().await?;
        let receiver = Receiver::new(Arc::new(intake), credentials(), observer.clone());
        tasks.spawn(receiver.serve(listener));

        let at =
            |path: &str| Address::new(&format!("{address}{path}"), &[]).map_err(Failure::other);
        let addresses =
            Addresses { login: at("/login")?, integration: at("/api")?, share: at("/api")? };
        let way = Portal::new(addresses, "000.00.00.H49".into(), credentials(), PATIENCE);
        let journal = country.folder().join("portal-state.json");
        let steps = Steps::follow(channel.clone(), agency, journal, observer.clone());
        let states = States::default();
        let outbox = Outbox::new(channel, AGENCY.into(), way, states, PAUSES, observer);
        let outbox = outbox.with_steps(Some(steps.map_err(Failure::other)?));
        tasks.spawn(async move {
            let _ended = outbox.run().await;
        });
        Ok(Self { portal, door, _tasks: tasks })
    }

    /// A citizen files a dossier on the portal, which tells the one-stop system.
    pub(super) async fn files(&self, country: &Country, dossier: &str) -> Result<(), Failure> {
        let day = country.now().compact_in_vietnam();
        let record = json!({
            "MaHoSo": dossier, "MaTTHC": PROCEDURE, "TenTTHC": "Đăng ký biến động quyền sử dụng đất",
            "MaLinhVuc": "G15-DD", "TenLinhVuc": "Đất đai", "ChuHoSo": "Nguyễn Văn A",
            "LoaiDoiTuong": "1", "Email": "nguyen.van.a@example.invalid",
            "SoDienThoai": "0900000000", "TrichYeuHoSo": "Đăng ký biến động đất đai",
            "NgayTiepNhan": day, "NgayHenTra": day, "TrangThaiHoSo": "1", "HinhThuc": "0",
            "DonViXuLy": "Ủy ban nhân dân phường Hà Tu",
        });
        let asked = json!({ "to": self.door, "service": "DongBoHoSoMC", "record": record });
        let told = self.portal.originate(&asked).await;
        told.map_err(|(code, words)| Failure::other(format!("the door answers {code}: {words}")))?;
        say(&format!("a citizen files {dossier} on the portal, which calls the gateway's courier"));
        Ok(())
    }

    /// Returns when the portal shows the dossier in this state with so many steps.
    pub(super) async fn shows(
        &self,
        dossier: &str,
        state: &str,
        steps: usize,
    ) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        let count = |shown: &Value| shown["TienDoXuLy"].as_array().map_or(0, Vec::len);
        let shown = loop {
            let shown = self.portal.shown(dossier).unwrap_or_default();
            if shown["TrangThaiHoSo"] == state && count(&shown) == steps {
                break shown;
            }
            must(Instant::now() < until, "the portal shows every step")?;
            sleep(LOOK).await;
        };
        say(&format!("the portal shows {dossier} in state {state}, {steps} steps, the last:"));
        let last = shown["TienDoXuLy"].as_array().and_then(|steps| steps.last());
        let last = last.cloned().unwrap_or_default();
        let text = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
        say(&format!("  {} {}", text("NguoiXuLy"), text("NoiDungXuLy")));
        say("nobody sent it a message: the courier tells it what the log says");
        Ok(())
    }
}

async fn listen() -> Result<(TcpListener, String), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::other)?;
    let address = listener.local_addr().map_err(Failure::other)?;
    Ok((listener, format!("http://{address}")))
}

/// Made up for this demonstration; both sides of it know them.
fn credentials() -> Credentials {
    let login = || Login { username: "demo".into(), password: Zeroizing::new("demo".into()) };
    Box::new(move || Ok(login()))
}
