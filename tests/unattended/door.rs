//! A way to a server on loopback that can be shut: who comes then is hung up on.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub struct Door {
    pub address: SocketAddr,
    is_open: Arc<AtomicBool>,
    /// Who came while it was shut.
    turned_away: Arc<AtomicUsize>,
}

impl Door {
    /// A shut door before a server.
    pub fn shut(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (is_open, turned_away) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let door =
            Self { address, is_open: Arc::clone(&is_open), turned_away: Arc::clone(&turned_away) };
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                match is_open.load(Ordering::SeqCst) {
                    true => join(caller, TcpStream::connect(server).expect("a server")),
                    false => drop(turned_away.fetch_add(1, Ordering::SeqCst)),
                }
            }
        });
        door
    }

    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }

    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }
}

/// Carries bytes both ways until one side ends.
fn join(caller: TcpStream, server: TcpStream) {
    let ways = [(&caller, &server), (&server, &caller)];
    for (from, to) in ways.map(|(from, to)| (from.try_clone(), to.try_clone())) {
        let (mut from, mut to) = (from.expect("a socket"), to.expect("a socket"));
        std::thread::spawn(move || {
            let _ended = copy(&mut from, &mut to);
            let _gone = to.shutdown(Shutdown::Write);
        });
    }
}
