//! The way to the National Public Service Portal: a file of its own, because the process that calls the
//! portal is one of its own, and the gateway never sees its password.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Error;
use super::trust::{read, read_certificates};
use crate::courier::Address;
use crate::courier::portal::{Addresses, Credentials, Login, Portal, States};
use crate::directory::Code;
use crate::limits::PORTAL_WAIT_MAX;

/// Where the user name and password stand if no file is named.
const USERNAME: &str = "VANTHU_PORTAL_USERNAME";
const PASSWORD: &str = "VANTHU_PORTAL_PASSWORD";

/// The file as it is written. Paths are relative to the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalFile {
    /// Code of the portal's agency, whose mailbox holds the messages.
    pub agency: String,
    /// Our code at the portal (madonvi).
    pub madonvi: String,
    /// Where one logs in; https, or http on this machine.
    pub login: String,
    /// Where dossiers, steps, look-ups and procedures are.
    pub integration: String,
    /// Where catalogues are; as `integration` if not given.
    pub share: Option<String>,
    /// CA certificates of the portal's server, PEM; for https.
    pub ca: Option<PathBuf>,
    /// TOML file with `username` and `password`, read before every log-in; without it, they stand in
    /// the environment as VANTHU_PORTAL_USERNAME and VANTHU_PORTAL_PASSWORD.
    pub credentials: Option<PathBuf>,
    /// Seconds that an answer may take.
    #[serde(default = "wait_seconds")]
    pub wait_seconds: u64,
    /// Seconds of rest after a failure; each further one doubles them.
    #[serde(default = "retry_seconds")]
    pub retry_seconds: u64,
    /// The longest rest.
    #[serde(default = "retry_seconds_max")]
    pub retry_seconds_max: u64,
    /// File in which the courier notes how far the steps of dossiers are told to the portal; without it,
    /// they are not told.
    pub state: Option<PathBuf>,
    /// Agencies that may write about dossiers of other provinces and central bodies than their own.
    #[serde(default)]
    pub abroad: Vec<String>,
    /// Where the portal calls us, a loopback address; without it, it cannot.
    pub receive: Option<SocketAddr>,
    /// TOML file with the `username` and `password` with which it logs in here, read at each log-in.
    pub receive_credentials: Option<PathBuf>,
    /// Seconds between two times that the portal is asked for citizens' questions; without it, it is not.
    pub questions_every_seconds: Option<u64>,
    /// Code of the agency that gets questions for which `offices` has none.
    pub questions_to: Option<String>,
    /// This site's own states, and which of the portal's, 1 to 10, each of them is.
    #[serde(default)]
    pub states: BTreeMap<String, u32>,
    /// DonViXuLy of dossiers from the portal, and the agency to which each goes.
    #[serde(default)]
    pub offices: BTreeMap<String, String>,
}

/// The file with user name and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginFile {
    username: String,
    password: String,
}

fn wait_seconds() -> u64 {
    PORTAL_WAIT_MAX.as_secs()
}

fn retry_seconds() -> u64 {
    5
}

fn retry_seconds_max() -> u64 {
    300
}

impl PortalFile {
    /// Reads the file and makes its paths absolute.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::new(path, error))?;
        let mut file: Self = toml::from_str(&text).map_err(|error| Error::new(path, error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let paths = file.ca.iter_mut().chain(&mut file.credentials).chain(&mut file.state);
        for one in paths.chain(&mut file.receive_credentials) {
            *one = folder.join(&*one);
        }
        let wrong = |problem: &str| Err(Error::new(path, problem));
        if Code::parse(&file.agency).is_none() {
            return wrong("agency: not the code of an agency");
        }
        if file.madonvi.is_empty() {
            return wrong("madonvi: our code at the portal");
        }
        let longest = PORTAL_WAIT_MAX.as_secs();
        if !(1..=longest).contains(&file.wait_seconds) {
            return wrong(&format!("wait_seconds: from 1 to {longest}"));
        }
        if file.retry_seconds == 0 || file.retry_seconds > file.retry_seconds_max {
            return wrong("retry_seconds: from 1 to retry_seconds_max");
        }
        if States::new(file.states.clone()).is_none() {
            return wrong("states: each is one of the portal's, 1 to 10");
        }
        if file.abroad.iter().any(|code| Code::parse(code).is_none()) {
            return wrong("abroad: codes of agencies");
        }
        if file.offices.values().any(|code| Code::parse(code).is_none()) {
            return wrong("offices: each is the code of an agency");
        }
        if file.receive.is_some_and(|address| !address.ip().is_loopback()) {
            return wrong("receive: must be a loopback address");
        }
        let questions_to = file.questions_to.as_deref();
        if questions_to.is_some_and(|code| Code::parse(code).is_none()) {
            return wrong("questions_to: not the code of an agency");
        }
        if file.questions_every_seconds == Some(0)
            || file.questions_every_seconds.is_some() != questions_to.is_some()
        {
            return wrong("questions_every_seconds, at least 1, and questions_to: both or none");
        }
        if file.receive.is_some() && file.receive_credentials.is_none() {
            return wrong("receive: needs receive_credentials");
        }
        Ok(file)
    }

    /// The portal, ready to be called.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn portal(&self) -> Result<Portal, Error> {
        let cas = self.ca.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
        let address = |name: &str, text: &str| {
            let wrong = |problem: &dyn std::fmt::Display| {
                Error::new(Path::new("portal"), format!("{name}: {text}: {problem}"))
            };
            let address = Address::new(text, &cas).map_err(|error| wrong(&error))?;
            // The password goes there.
            if text.starts_with("https:") || is_here(&address) {
                Ok(address)
            } else {
                Err(wrong(&"http only on this machine; elsewhere https"))
            }
        };
        let addresses = Addresses {
            login: address("login", &self.login)?,
            integration: address("integration", &self.integration)?,
            share: address("share", self.share.as_ref().unwrap_or(&self.integration))?,
        };
        let credentials = self.credentials.clone();
        let credentials: Credentials =
            Box::new(move || read_login(credentials.as_deref()).map_err(|error| error.to_string()));
        let wait = Duration::from_secs(self.wait_seconds);
        Ok(Portal::new(addresses, self.madonvi.clone(), credentials, wait))
    }

    /// The portal's agency, whose mailbox holds the messages.
    pub fn code(&self) -> Option<Code> {
        Code::parse(&self.agency)
    }

    /// Agencies that write about dossiers of others.
    pub fn heard(&self) -> BTreeSet<Code> {
        self.abroad.iter().filter_map(|code| Code::parse(code)).collect()
    }

    /// How often the portal is asked for questions, and who gets them.
    pub fn questions(&self) -> Option<(Duration, Code)> {
        let every = self.questions_every_seconds.map(Duration::from_secs)?;
        Some((every, self.questions_to.as_deref().and_then(Code::parse)?))
    }

    /// Who gets questions, and answers them.
    pub fn asked(&self) -> BTreeSet<Code> {
        let codes = self.offices.values().chain(&self.questions_to);
        codes.filter_map(|code| Code::parse(code)).collect()
    }

    /// Where dossiers of an office from the portal go.
    pub fn office_map(&self) -> BTreeMap<String, Code> {
        let office = |(name, code): (&String, &String)| Some((name.clone(), Code::parse(code)?));
        self.offices.iter().filter_map(office).collect()
    }

    /// With what the portal logs in here; read anew each time.
    pub fn expected(&self) -> Credentials {
        let path = self.receive_credentials.clone();
        Box::new(move || {
            let path = path.as_deref().ok_or("receive_credentials is not given")?;
            read_login(Some(path)).map_err(|error| error.to_string())
        })
    }

    /// The state map.
    pub fn state_map(&self) -> States {
        States::new(self.states.clone()).unwrap_or_default()
    }

    /// The rest after the first failure in a row, and the longest.
    pub fn pauses(&self) -> (Duration, Duration) {
        let seconds = Duration::from_secs;
        (seconds(self.retry_seconds), seconds(self.retry_seconds_max))
    }
}

fn is_here(address: &Address) -> bool {
    let host = address.host();
    let name = host.strip_suffix(&format!(":{}", address.port())).unwrap_or(host);
    let ip: Option<std::net::IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    name == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

/// User name and password as they stand in the file, or in the environment, now.
///
/// # Errors
/// Why there are none.
pub fn read_login(path: Option<&Path>) -> Result<Login, Error> {
    let Some(path) = path else {
        let variable = |name: &str| {
            let missing = |_| Error::new(Path::new(name), "not set, and no file is named");
            std::env::var(name).map_err(missing)
        };
        let (username, password) = (variable(USERNAME)?, variable(PASSWORD)?);
        return Ok(Login { username, password: Zeroizing::new(password) });
    };
    let text = Zeroizing::new(read(path)?);
    let wrong = |problem: &str| Error::new(path, problem);
    let text = std::str::from_utf8(&text).map_err(|_| wrong("not UTF-8"))?;
    // What toml says of a mistake repeats the line, and there the password stands.
    let file = toml::from_str(text);
    let LoginFile { username, password } =
        file.map_err(|_: toml::de::Error| wrong("not username = \"…\" and password = \"…\""))?;
    Ok(Login { username, password: Zeroizing::new(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(more: &str) -> Result<PortalFile, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("portal.toml");
        let text = format!(
            "agency = \"G22.DVC\"\nmadonvi = \"000.00.00.H49\"\n\
             login = \"http://127.0.0.1:7499/login\"\n{more}"
        );
        std::fs::write(&path, text).expect("a file");
        PortalFile::read(&path).map_err(|error| {
            error.to_string().trim_start_matches(path.to_str().expect("a path")).to_owned()
        })
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let at = |address: &str| format!("integration = \"{address}\"\n");
        let good = at("http://localhost:7499/api");
        assert!(file(&good).is_ok_and(|file| file.portal().is_ok()));
        for (more, problem) in [
            ("wait_seconds = 61", ": wait_seconds: from 1 to 60"),
            ("wait_seconds = 0", ": wait_seconds: from 1 to 60"),
            ("retry_seconds = 0", ": retry_seconds: from 1 to retry_seconds_max"),
            ("retry_seconds = 301", ": retry_seconds: from 1 to retry_seconds_max"),
            ("[states]\nx = 11", ": states: each is one of the portal's, 1 to 10"),
            ("abroad = [\"H 49\"]", ": abroad: codes of agencies"),
            ("[offices]\nx = \"\"", ": offices: each is the code of an agency"),
            (
                "receive = \"192.0.2.1:80\"\nreceive_credentials = \"x\"",
                ": receive: must be a loopback address",
            ),
            ("questions_to = \"\"", ": questions_to: not the code of an agency"),
            (
                "questions_every_seconds = 60",
                ": questions_every_seconds, at least 1, and questions_to: both or none",
            ),
            ("receive = \"127.0.0.1:0\"", ": receive: needs receive_credentials"),
        ] {
            assert_eq!(file(&format!("{good}{more}")).err().as_deref(), Some(problem));
        }
        for (address, problem) in [
            ("http://dvc.example.vn/api", "http only on this machine; elsewhere https"),
            ("http://127.0.0.1.example.vn/api", "http only on this machine; elsewhere https"),
            ("https://dvc.example.vn/api", "https needs the CA of the server"),
            ("ftp://localhost/", "not an http or https address with a host"),
        ] {
            let portal = file(&at(address)).map(|file| file.portal());
            let error = portal.expect("it is well-formed").err().expect(address).to_string();
            assert_eq!(error, format!("portal: integration: {address}: {problem}"));
        }
    }

    #[test]
    fn a_mistake_beside_the_password_does_not_tell_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("login.toml");
        std::fs::write(&path, "username = \"u\"\npassword = \"secret").expect("a file");
        let error = read_login(Some(&path)).err().expect("it is wrong").to_string();
        assert!(error.ends_with(": not username = \"…\" and password = \"…\""), "{error}");
        std::fs::write(&path, "username = \"u\"\npassword = \"p\"").expect("a file");
        let login = read_login(Some(&path)).expect("a login");
        assert_eq!((login.username.as_str(), login.password.as_str()), ("u", "p"));
    }
}
