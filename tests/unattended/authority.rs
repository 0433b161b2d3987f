//! A time-stamping authority on loopback that can be out, and can answer wrongly.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vanthu::clock::{Clock as _, ManualClock};
use vanthu::courier::timestamp::NONCE_SIZE;
use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::sign;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// It gives time-stamps.
    Sound,
    /// It hangs up.
    Out,
    /// It stamps with a key that is none of an authority.
    Impostor,
    /// It answers in HTML.
    Strange,
}

/// Where the imprint and the nonce stand in the query of this gateway.
const IMPRINT_AT: usize = 24;
const NONCE_AT: usize = IMPRINT_AT + 32 + 2;

pub struct Authority {
    pub address: SocketAddr,
    mood: Arc<AtomicU8>,
    /// Imprints that were asked about.
    pub asked: Arc<Mutex<Vec<Sha256>>>,
}

impl Authority {
    /// Its key is in the PKI in `folder`; its clock is the one given.
    pub fn open(folder: &Path, clock: Arc<ManualClock>, mood: Mood) -> Self {
        let pki = DevPki::load(folder).expect("a PKI");
        let sound = pki.signer("tsa").expect("a time-stamping authority");
        let impostor = pki.seal("H49").expect("a seal");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (mood, asked) = (Arc::new(AtomicU8::new(mood as u8)), Arc::default());
        let (moods, questions) = (mood.clone(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let by = match moods.load(Ordering::SeqCst) {
                    mood if mood == Mood::Out as u8 => continue,
                    mood if mood == Mood::Impostor as u8 => Some(&impostor),
                    mood if mood == Mood::Strange as u8 => None,
                    _ => Some(&sound),
                };
                let _gone = answer(stream, by, &clock, &questions);
            }
        });
        Self { address, mood, asked }
    }

    pub fn is_now(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }
}

fn answer(
    mut stream: TcpStream,
    by: Option<&Identity>,
    clock: &ManualClock,
    questions: &Mutex<Vec<Sha256>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let query = loop {
        let mut chunk = [0; 1024];
        let size = stream.read(&mut chunk)?;
        request.extend_from_slice(&chunk[..size]);
        let end = request.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end
            && request.len() >= end + 4 + NONCE_AT + NONCE_SIZE + 3
        {
            break request[end + 4..].to_vec();
        }
    };
    let imprint = Sha256::from_slice(&query[IMPRINT_AT..IMPRINT_AT + 32]).expect("a digest");
    questions.lock().expect("no panic").push(imprint);
    let body = match by {
        None => b"<html>busy</html>".to_vec(),
        Some(by) => {
            let nonce = &query[NONCE_AT..NONCE_AT + NONCE_SIZE];
            let token = sign::timestamp(imprint, nonce, by, clock.now()).expect("a token");
            let status = [0x30, 0x03, 0x02, 0x01, 0x00];
            let size = u16::try_from(status.len() + token.len()).expect("small").to_be_bytes();
            [&[0x30, 0x82, size[0], size[1]][..], &status, &token].concat()
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
