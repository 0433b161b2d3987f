//! `vanthu doctor reach`: the chain from this machine to a mailbox, one layer after the other. It ends
//! at the first that does not hold: whatever lies behind it cannot be judged.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{doors, wire};
use crate::cli::evidence::public_key;
use crate::cli::{Exit, Failure, Output};
use crate::client;

/// Proves layer by layer that documents can reach an agency: name, TCP, TLS, the gateway's certificate,
/// clocks, role, directory, log head. Ends at the first that fails and says what to mend.
///
/// Exit codes: 0 reachable; 4 name, TCP or TLS; 7 certificate or log head; 5 role; 6 the directory does
/// not know the code; 1 clocks differ, the code is closed or has no mailbox; 3 a file of the caller.
///
/// Examples:
///   vanthu doctor reach H49.11 --cert certs/dev/systems/commune.pem --key-of-log certs/dev/log.vkey
///   vanthu doctor reach 000.00.11.H49 --server https://gateway.example:7443 --output json
#[derive(Debug, clap::Args)]
pub(super) struct ReachOptions {
    /// Code of the agency, in either notation
    code: String,
    #[command(flatten)]
    client: client::Options,
    /// Public key of the gateway's log (C2SP vkey), or a file that holds it
    #[arg(long, env = "VANTHU_LOG_KEY", default_value = "certs/dev/log.vkey")]
    key_of_log: String,
}

/// A layer that holds: what was found.
pub(super) type Found = String;

/// A layer that does not hold.
#[derive(Debug)]
pub(super) struct Broken {
    /// How the command ends.
    pub(super) exit: Exit,
    /// What was found instead.
    pub(super) found: String,
    /// What to do.
    pub(super) fix: String,
}

impl Broken {
    /// A layer that ends the command with `exit`.
    pub(super) fn new(exit: Exit, found: impl ToString, fix: &str) -> Self {
        Self { exit, found: found.to_string(), fix: fix.to_owned() }
    }
}

/// One layer as it was judged.
struct Layer {
    name: &'static str,
    took: Duration,
    outcome: Result<Found, Broken>,
}

/// The layers so far.
pub(super) struct Ladder {
    layers: Vec<Layer>,
    since: Instant,
}

/// A layer has failed; it stands at the end of the ladder.
pub(super) struct Stopped;

impl Ladder {
    /// Notes a layer; gives what the next one needs.
    ///
    /// # Errors
    /// [`Stopped`] if it does not hold.
    pub(super) fn step<T>(
        &mut self,
        name: &'static str,
        outcome: Result<(T, Found), Broken>,
    ) -> Result<T, Stopped> {
        let took = self.since.elapsed();
        self.since = Instant::now();
        let (next, outcome) = match outcome {
            Ok((next, found)) => (Ok(next), Ok(found)),
            Err(broken) => (Err(Stopped), Err(broken)),
        };
        self.layers.push(Layer { name, took, outcome });
        next
    }
}

pub(super) async fn run(options: ReachOptions, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key_of_log)?;
    let caller = wire::Caller::read(&options.client)?;
    let mut ladder = Ladder { layers: Vec::new(), since: Instant::now() };
    // Where it ended stands in the ladder.
    let _ended = async {
        wire::climb(&mut ladder, &caller).await?;
        doors::climb(&mut ladder, &options.client, &options.code, &key).await
    }
    .await;
    let broken = ladder.layers.last().and_then(|layer| layer.outcome.as_ref().err());
    let exit = broken.map_or(Exit::Ok, |broken| broken.exit);
    if output == Output::Json {
        let layers: Vec<_> = ladder.layers.iter().map(layer_json).collect();
        let value = json!({
            "code": options.code,
            "server": options.client.server,
            "reachable": broken.is_none(),
            "layers": layers,
        });
        println!("{value}");
        return Ok(exit);
    }
    for layer in &ladder.layers {
        let (word, found) = match &layer.outcome {
            Ok(found) => ("ok    ", found),
            Err(broken) => ("FAILED", &broken.found),
        };
        println!("{word}  {:<12} {found}", layer.name);
    }
    match broken {
        None => println!("{} can be reached through {}", options.code, options.client.server),
        Some(broken) => eprintln!("vanthu: hint: {}", broken.fix),
    }
    Ok(exit)
}

fn layer_json(layer: &Layer) -> Value {
    let (found, fix) = match &layer.outcome {
        Ok(found) => (found, None),
        Err(broken) => (&broken.found, Some(&broken.fix)),
    };
    json!({
        "layer": layer.name,
        "ok": layer.outcome.is_ok(),
        "found": found,
        "fix": fix,
        "took_ms": layer.took.as_secs_f64() * 1e3,
    })
}
