//! Name constraints (RFC 5280 §4.2.1.10): for which names an authority may issue certificates.
//!
//! A form that is not compared here is refused by its name as soon as a certificate uses it.

use super::asn1::{Malformed, Reader, Value, only, tag};
use super::general_name::GeneralName;
use super::name::{CanonicalName, Name};

/// The two lists of one NameConstraints extension.
#[derive(Debug, Default)]
pub(super) struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// The base of a GeneralSubtree; text in lower case where case does not count.
#[derive(Debug)]
enum Subtree {
    /// A mailbox, local part as it stands.
    Mailbox(String, String),
    /// Every mailbox at one host, or with a leading period at every host below it.
    MailHost(String),
    Dns(String),
    UriHost(String),
    Ip {
        address: Box<[u8]>,
        mask: Box<[u8]>,
    },
    Directory(CanonicalName),
    Unjudged(&'static str),
}

/// A name that a certificate must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Breach {
    /// Outside of all permitted subtrees, inside an excluded one, or no well-formed name at all.
    Forbidden(String),
    /// A form whose constraint is not judged.
    Unjudged(&'static str),
    /// More comparisons than the budget allows.
    Budget,
}

impl NameConstraints {
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let mut constraints = Self::default();
        let mut fields = only(der, tag::SEQUENCE)?.children();
        if fields.is_empty() {
            return Err(Malformed);
        }
        while !fields.is_empty() {
            let field = fields.read()?;
            let list = match field.tag {
                tag::CONTEXT_0 => &mut constraints.permitted,
                tag::CONTEXT_1 => &mut constraints.excluded,
                _ => return Err(Malformed),
            };
            let mut subtrees = field.children();
            if subtrees.is_empty() {
                return Err(Malformed);
            }
            while !subtrees.is_empty() {
                list.push(Subtree::read(subtrees.expect(tag::SEQUENCE)?)?);
            }
        }
        Ok(constraints)
    }

    /// Holds the names of a certificate against both lists; every comparison costs one of `budget`.
    pub fn check(
        &self,
        subject: &Name,
        alternative: &[GeneralName],
        budget: &mut usize,
    ) -> Result<(), Breach> {
        if !subject.canonical.is_empty() {
            self.check_name(&GeneralName::Directory(subject.clone()), budget)?;
        }
        // §4.2.1.10 asks it only of certificates without alternative names; an address that is
        // believed beside them would escape the constraint.
        for email in &subject.emails {
            self.check_name(&GeneralName::Email(email.clone()), budget)?;
        }
        alternative.iter().try_for_each(|name| self.check_name(name, budget))
    }

    fn check_name(&self, name: &GeneralName, budget: &mut usize) -> Result<(), Breach> {
        let cost = self.permitted.len() + self.excluded.len();
        *budget = budget.checked_sub(cost).ok_or(Breach::Budget)?;
        let same_form = |subtree: &&Subtree| subtree.form() == name.form();
        let mut permitted = self.permitted.iter().filter(same_form).peekable();
        let mut excluded = self.excluded.iter().filter(same_form).peekable();
        if permitted.peek().is_none() && excluded.peek().is_none() {
            return Ok(());
        }
        let unjudged = |subtree: &Subtree| matches!(subtree, Subtree::Unjudged(_));
        if permitted.clone().any(unjudged) || excluded.clone().any(unjudged) {
            return Err(Breach::Unjudged(name.form()));
        }
        let forbidden = || Breach::Forbidden(shown(name));
        let comparable = Comparable::of(name).ok_or_else(forbidden)?;
        let inside = permitted.peek().is_none() || permitted.any(|s| s.holds(&comparable, false));
        if inside && !excluded.any(|s| s.holds(&comparable, true)) {
            Ok(())
        } else {
            Err(forbidden())
        }
    }
}

/// A well-formed name in the form in which it is compared.
enum Comparable<'a> {
    Mailbox(&'a str, String),
    Dns(String),
    UriHost(String),
    Ip(&'a [u8]),
    Directory(&'a CanonicalName),
}

impl<'a> Comparable<'a> {
    fn of(name: &'a GeneralName) -> Option<Self> {
        Some(match name {
            GeneralName::Email(address) => {
                let (local, host) = mailbox(address)?;
                Self::Mailbox(local, host)
            }
            GeneralName::Dns(host) => {
                let labels = host.strip_prefix("*.").unwrap_or(host);
                is_host(labels).then(|| Self::Dns(host.to_ascii_lowercase()))?
            }
            GeneralName::Uri(uri) => Self::UriHost(uri_host(uri)?),
            GeneralName::Ip(address) => {
                matches!(address.len(), 4 | 16).then_some(Self::Ip(address))?
            }
            GeneralName::Directory(name) => Self::Directory(&name.canonical),
            GeneralName::Other(_) => return None,
        })
    }
}

impl Subtree {
    fn read(value: Value<'_>) -> Result<Self, Malformed> {
        let mut fields = value.children();
        let base = fields.read()?;
        let name = match base.tag {
            // The base of an address is an address with its mask.
            0x87 => return Self::network(base.content, fields),
            _ => GeneralName::from_value(&base)?,
        };
        let subtree = match &name {
            GeneralName::Email(base) if base.contains('@') => {
                let (local, host) = mailbox(base).ok_or(Malformed)?;
                Self::Mailbox(local.to_owned(), host)
            }
            GeneralName::Email(base) => {
                let host = is_host(base.strip_prefix('.').unwrap_or(base));
                host.then(|| Self::MailHost(base.to_ascii_lowercase())).ok_or(Malformed)?
            }
            GeneralName::Dns(base) if base.is_empty() || is_host(base) => {
                Self::Dns(base.to_ascii_lowercase())
            }
            GeneralName::Dns(_) => return Err(Malformed),
            GeneralName::Uri(base) => {
                let host = is_host(base.strip_prefix('.').unwrap_or(base));
                host.then(|| Self::UriHost(base.to_ascii_lowercase())).ok_or(Malformed)?
            }
            GeneralName::Directory(base) => Self::Directory(base.canonical.clone()),
            GeneralName::Ip(_) | GeneralName::Other(_) => Self::Unjudged(name.form()),
        };
        subtree.bounded(fields, name.form())
    }

    fn network(content: &[u8], fields: Reader<'_>) -> Result<Self, Malformed> {
        if !matches!(content.len(), 8 | 32) {
            return Err(Malformed);
        }
        let (address, mask) = content.split_at(content.len() / 2);
        // RFC 4632: ones, then zeros.
        let ones = mask.iter().map(|octet| octet.count_ones()).sum::<u32>();
        let leading = mask.iter().position(|octet| *octet != 0xff).map_or(ones, |at| {
            let whole = u32::try_from(at * 8).unwrap_or(u32::MAX);
            whole + mask.get(at).map_or(0, |octet| octet.leading_ones())
        });
        if ones != leading {
            return Err(Malformed);
        }
        Self::Ip { address: address.into(), mask: mask.into() }.bounded(fields, "iPAddress")
    }

    /// minimum and maximum: RFC 5280 knows only the default of the first and no second.
    fn bounded(self, mut fields: Reader<'_>, form: &'static str) -> Result<Self, Malformed> {
        if fields.is_empty() {
            return Ok(self);
        }
        let minimum = fields.read()?;
        let plain = minimum.tag == 0x80 && minimum.content == [0] && fields.is_empty();
        Ok(if plain { self } else { Self::Unjudged(form) })
    }

    fn form(&self) -> &'static str {
        match self {
            Self::Mailbox(..) | Self::MailHost(_) => "rfc822Name",
            Self::Dns(_) => "dNSName",
            Self::UriHost(_) => "uniformResourceIdentifier",
            Self::Ip { .. } => "iPAddress",
            Self::Directory(_) => "directoryName",
            Self::Unjudged(form) => form,
        }
    }

    /// Whether the name lies in the subtree. For an excluded one, `any` asks whether a wildcard
    /// stands for some name in it; for a permitted one all names that it stands for must be.
    fn holds(&self, name: &Comparable<'_>, any: bool) -> bool {
        match (self, name) {
            (Self::Mailbox(local, host), Comparable::Mailbox(l, h)) => local == l && host == h,
            (Self::MailHost(base), Comparable::Mailbox(_, host))
            | (Self::UriHost(base), Comparable::UriHost(host)) => {
                if base.starts_with('.') {
                    host.ends_with(base)
                } else {
                    host == base
                }
            }
            (Self::Dns(base), Comparable::Dns(host)) => match host.strip_prefix("*.") {
                Some(parent) => {
                    let sibling = base.split_once('.').is_some_and(|(_, rest)| rest == parent);
                    is_below(parent, base) || (any && sibling)
                }
                None => is_below(host, base),
            },
            (Self::Ip { address, mask }, Comparable::Ip(ip)) => {
                ip.len() == address.len()
                    && ip.iter().zip(address).zip(mask).all(|((a, b), mask)| (a ^ b) & mask == 0)
            }
            (Self::Directory(root), Comparable::Directory(name)) => name.is_within(root),
            _ => false,
        }
    }
}

/// A host itself or one below it; every host is below the empty one.
fn is_below(host: &str, base: &str) -> bool {
    let Some(prefix) = host.strip_suffix(base) else { return false };
    prefix.is_empty() || base.is_empty() || prefix.ends_with('.')
}

/// Local part and host in lower case.
fn mailbox(address: &str) -> Option<(&str, String)> {
    let (local, host) = address.rsplit_once('@')?;
    let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
    let plain = !local.is_empty() && local.is_ascii() && !local.contains('@');
    ((quoted || plain) && is_host(host)).then(|| (local, host.to_ascii_lowercase()))
}

/// The host of a URI in lower case; `None` without one or with an address instead, which
/// §4.2.1.10 refuses.
fn uri_host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    let is_name = is_host(host) && host.parse::<core::net::Ipv4Addr>().is_err();
    is_name.then(|| host.to_ascii_lowercase())
}

/// Labels of letters, digits, hyphens and (they occur) underscores.
fn is_host(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    host.len() <= 253 && host.split('.').all(is_label)
}

/// The name as people read it.
fn shown(name: &GeneralName) -> String {
    match name {
        GeneralName::Email(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => {
            text.chars().filter(|letter| !letter.is_control()).collect()
        }
        GeneralName::Ip(octets) => match <[u8; 4]>::try_from(&octets[..]) {
            Ok(octets) => core::net::Ipv4Addr::from(octets).to_string(),
            Err(_) => <[u8; 16]>::try_from(&octets[..]).map_or_else(
                |_| crate::digest::hex(octets),
                |o| core::net::Ipv6Addr::from(o).to_string(),
            ),
        },
        GeneralName::Directory(name) => name.text.clone(),
        GeneralName::Other(form) => (*form).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::asn1::encode;

    const MAIL: u8 = 0x81;
    const DNS: u8 = 0x82;
    const URI: u8 = 0x86;
    const IP: u8 = 0x87;
    const OTHER: u8 = 0xa0;

    fn constraints(list: u8, bases: &[(u8, &[u8])]) -> Result<NameConstraints, Malformed> {
        let subtree =
            |(form, base): &(u8, &[u8])| encode(tag::SEQUENCE, &[&encode(*form, &[base])]);
        let subtrees: Vec<u8> = bases.iter().flat_map(subtree).collect();
        NameConstraints::from_der(&encode(tag::SEQUENCE, &[&encode(list, &[&subtrees])]))
    }

    fn check(constraints: &NameConstraints, form: u8, name: &[u8]) -> Result<(), Breach> {
        let subject = Name::from_der(&[tag::SEQUENCE, 0]).unwrap();
        let der = encode(form, &[name]);
        let name = GeneralName::from_value(&Reader::new(&der).read().unwrap()).unwrap();
        constraints.check(&subject, &[name], &mut 1_000)
    }

    /// Form, base, and names that lie in it or not.
    type Row<'a> = (u8, &'a [u8], &'a [&'a [u8]], &'a [&'a [u8]]);

    #[test]
    fn names_lie_in_their_subtrees_or_not() {
        let rows: [Row<'_>; 9] = [
            (MAIL, b"a@x.vn", &[b"a@x.vn", b"a@X.VN"], &[b"A@x.vn", b"b@x.vn", b"a@y.x.vn"]),
            (
                MAIL,
                b"x.vn",
                &[b"a@x.vn", b"\"a@b\"@x.vn"],
                &[b"a@y.x.vn", b"a@b@x.vn", b"@x.vn", b"x.vn"],
            ),
            (MAIL, b".x.vn", &[b"a@y.x.vn", b"a@z.y.x.vn"], &[b"a@x.vn", b"a@yx.vn", b"a@.x.vn"]),
            (
                DNS,
                b"x.vn",
                &[b"x.vn", b"Y.x.VN", b"*.x.vn"],
                &[b"yx.vn", b"vn", b"*.vn", b"y..x.vn"],
            ),
            (DNS, b"", &[b"x.vn"], &[b"", b"x vn", b".vn"]),
            (
                URI,
                b"x.vn",
                &[b"http://x.vn/a", b"ldap://u@X.vn:389/b?c"],
                &[b"http://y.x.vn", b"urn:x.vn", b"http://1.2.3.4/"],
            ),
            (URI, b".x.vn", &[b"https://y.x.vn#a"], &[b"https://x.vn", b"https://y.vn/.x.vn"]),
            (
                IP,
                &[10, 1, 0, 0, 255, 255, 0, 0],
                &[&[10, 1, 2, 3]],
                &[&[10, 2, 2, 3], &[10, 1, 2], &[0; 16]],
            ),
            (IP, &[0; 32], &[&[1; 16]], &[&[10, 1, 2, 3]]),
        ];
        for (form, base, inside, outside) in rows {
            let permitted = constraints(0xa0, &[(form, base)]).unwrap();
            let excluded = constraints(0xa1, &[(form, base)]).unwrap();
            for name in inside {
                assert_eq!(check(&permitted, form, name), Ok(()), "{base:?} holds {name:?}");
                assert!(check(&excluded, form, name).is_err(), "{base:?} holds {name:?}");
            }
            for name in outside {
                let breach = check(&permitted, form, name);
                assert!(matches!(breach, Err(Breach::Forbidden(_))), "{base:?} lacks {name:?}");
            }
        }
    }

    #[test]
    fn a_wildcard_must_not_reach_into_an_excluded_subtree() {
        let excluded = constraints(0xa1, &[(DNS, b"secret.x.vn")]).unwrap();
        assert_eq!(check(&excluded, DNS, b"open.x.vn"), Ok(()));
        assert!(check(&excluded, DNS, b"*.x.vn").is_err());
        assert_eq!(check(&excluded, DNS, b"*.open.x.vn"), Ok(()));
    }

    #[test]
    fn other_forms_are_not_concerned_and_unjudged_ones_refused() {
        let other = constraints(0xa0, &[(OTHER, &[0x06, 1, 0x2a]), (DNS, b"vn")]).unwrap();
        assert_eq!(check(&other, MAIL, b"a@b.com"), Ok(()));
        assert_eq!(check(&other, OTHER, &[0x06, 1, 0x2a]), Err(Breach::Unjudged("otherName")));
    }

    #[test]
    fn malformed_constraints_and_too_many_are_refused() {
        let bad: [(u8, &[u8]); 7] = [
            (DNS, b".x.vn"),
            (DNS, b"*.x.vn"),
            (MAIL, b"a@b@x.vn"),
            (URI, b"http://x.vn"),
            (IP, &[10, 0, 0, 0]),
            (IP, &[10, 0, 0, 0, 255, 0, 255, 0]),
            (0x9f, b"x"),
        ];
        for base in bad {
            assert!(constraints(0xa0, &[base]).is_err(), "{base:?}");
        }
        assert!(constraints(0xa0, &[]).is_err());
        let many = constraints(0xa0, &[(DNS, b"vn".as_slice()); 1_001]).unwrap();
        assert_eq!(check(&many, DNS, b"x.vn"), Err(Breach::Budget));
    }
}
