//! GeneralName (RFC 5280 §4.2.1.6): the forms in which a certificate names its holder.

use super::asn1::{Malformed, Value, only, tag};
use super::name::Name;

/// A name in one of the forms.
#[derive(Debug, Clone)]
pub(super) enum GeneralName {
    /// rfc822Name.
    Email(String),
    /// dNSName.
    Dns(String),
    /// uniformResourceIdentifier.
    Uri(String),
    /// iPAddress, as it stands.
    Ip(Box<[u8]>),
    /// directoryName.
    Directory(Name),
    /// A form that nothing here compares, by its name in the standard.
    Other(&'static str),
}

impl GeneralName {
    pub fn from_value(value: &Value<'_>) -> Result<Self, Malformed> {
        Ok(match value.tag {
            0x81 => Self::Email(ascii(value.content)),
            0x82 => Self::Dns(ascii(value.content)),
            0x86 => Self::Uri(ascii(value.content)),
            0x87 => Self::Ip(value.content.into()),
            // Name is a CHOICE, so its tag is explicit.
            0xa4 => Self::Directory(Name::from_der(only(value.content, tag::SEQUENCE)?.raw)?),
            0xa0 => Self::Other("otherName"),
            0xa3 => Self::Other("x400Address"),
            0xa5 => Self::Other("ediPartyName"),
            0x88 => Self::Other("registeredID"),
            _ => return Err(Malformed),
        })
    }

    /// The form by its name in the standard.
    pub fn form(&self) -> &'static str {
        match self {
            Self::Email(_) => "rfc822Name",
            Self::Dns(_) => "dNSName",
            Self::Uri(_) => "uniformResourceIdentifier",
            Self::Ip(_) => "iPAddress",
            Self::Directory(_) => "directoryName",
            Self::Other(form) => form,
        }
    }
}

/// An IA5String. Some certificates hold other letters there; such a name fits no constraint.
fn ascii(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}
