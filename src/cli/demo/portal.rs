//! The portal shows how far the dossier is: messages through its mailbox to its interface, which a
//! stand-in plays.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::country::Country;
use super::dossier::PROCEDURE;
use super::say;
use super::scenes::{PATIENCE, must};
use crate::cli::Failure;
use crate::clock::Time;
use crate::courier::Address;
use crate::courier::portal::{Addresses, Credentials, Login, Observer, Outbox, Portal, States};
use crate::proto::v1;
use crate::workshop::portal::StandIn;

const AGENCY: &str = "G22.DVC";
/// How often the demonstration looks whether the mailbox is empty.
const LOOK: Duration = Duration::from_millis(50);

/// Nobody watches the courier of a demonstration.
struct Unwatched;

impl Observer for Unwatched {
    fn handed(&self, _: &'static str) {}
    fn waiting(&self, _: usize) {}
    fn alarmed(&self, _: bool) {}
}

/// The commune tells the portal of the dossier, step by step; the portal shows it.
pub(super) async fn shows(country: &Country, dossier: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::other)?;
    let address = format!("http://{}", listener.local_addr().map_err(Failure::other)?);
    let stand_in = StandIn::new(credentials(), Duration::from_secs(600)).router();
    let stand_in = tokio::spawn(async move { axum::serve(listener, stand_in).await });
    let states = States::new([("da-tra-ket-qua".to_owned(), 10)].into()).unwrap_or_default();
    let pauses = (Duration::from_secs(1), Duration::from_secs(5));
    let channel = country.connect("portal").await?;
    let portal = portal(&address)?;
    let observer = Arc::new(Unwatched);
    let outbox = Outbox::new(channel, AGENCY.into(), portal, states, pauses, observer);
    let outbox = tokio::spawn(outbox.run());
    for (number, (service, data)) in (1u32..).zip(messages(dossier, country.now())) {
        let content = json!({ "service": service, "data": data }).to_string().into_bytes();
        let mut envelope =
            country.envelope("H49.151", &[AGENCY], &format!("{number:02}/DB"), "Đồng bộ hồ sơ");
        dossier.clone_into(&mut envelope.dossier_code);
        let parts = vec![("ho-so.dvcqg".into(), v1::PartRole::Main, content)];
        country.submit("commune", envelope, parts).await?;
    }
    taken(country).await?;
    let shown = self::portal(&address)?.find(dossier).await?;
    outbox.abort();
    stand_in.abort();
    let shown = shown.first().ok_or_else(|| Failure::other("the portal does not know it"))?;
    let steps = shown["TienDoXuLy"].as_array().map_or(0, Vec::len);
    must(shown["TrangThaiHoSo"] == "10" && steps == 2, "the portal shows the dossier as it is")?;
    say(&format!(
        "the portal shows {dossier}: state 10 (đã trả kết quả), {steps} steps, {}",
        shown["TenTTHC"].as_str().unwrap_or_default()
    ));
    say("each message was acknowledged when the portal had it; none of it stands in the log");
    Ok(())
}

/// What the one-stop desk says: received, two steps, and the result.
fn messages(dossier: &str, now: Time) -> Vec<(&'static str, Value)> {
    let at = |hours: u64| now.after(Duration::from_secs(hours * 3600)).to_string();
    let whole = |state: &str| {
        json!({
            "MaHoSo": dossier, "MaTTHC": PROCEDURE, "ChuHoSo": "Nguyễn Văn A", "LoaiDoiTuong": "1",
            "Email": "nguyen.van.a@example.invalid", "SoDienThoai": "0900000000",
            "TrichYeuHoSo": "Đăng ký biến động đất đai", "NgayTiepNhan": at(0),
            "NgayHenTra": at(240), "TrangThaiHoSo": state, "HinhThuc": "0",
            "DonViXuLy": "Ủy ban nhân dân xã",
        })
    };
    let step = |who: &str, what: &str, hours: u64| {
        json!({
            "MaHoSo": dossier, "NguoiXuLy": who, "ThoiDiemXuLy": at(hours), "NoiDungXuLy": what,
            "TrangThai": "4",
        })
    };
    vec![
        ("DongBoHoSoMC", whole("2")),
        ("CapNhatTienDoHoSoMC", step("Chi nhánh đất đai", "Thẩm định", 1)),
        ("CapNhatTienDoHoSoMC", step("Sở Nông nghiệp và Môi trường", "Phê duyệt", 2)),
        ("DongBoHoSoMC", whole("da-tra-ket-qua")),
    ]
}

/// Returns when nothing waits for the portal any more.
async fn taken(country: &Country) -> Result<(), Failure> {
    let mut mailbox = country.mailbox("portal").await?;
    let until = Instant::now() + PATIENCE;
    loop {
        let request = v1::ListItemsRequest { agency: AGENCY.into(), ..Default::default() };
        if mailbox.list_items(request).await?.into_inner().items.is_empty() {
            return Ok(());
        }
        must(Instant::now() < until, "the portal takes what waits for it")?;
        sleep(LOOK).await;
    }
}

fn portal(address: &str) -> Result<Portal, Failure> {
    let at = |path: &str| Address::new(&format!("{address}{path}"), &[]).map_err(Failure::other);
    let addresses =
        Addresses { login: at("/login")?, integration: at("/api")?, share: at("/api")? };
    Ok(Portal::new(addresses, "000.00.00.H49".into(), credentials(), PATIENCE))
}

/// Made up for this demonstration; both sides of it know them.
fn credentials() -> Credentials {
    let login = || Login { username: "demo".into(), password: Zeroizing::new("demo".into()) };
    Box::new(move || Ok(login()))
}
