//! Where revocation is announced: distribution points of certificates and scopes of CRLs
//! (RFC 5280 §4.2.1.13 and §5.2.5).

use super::asn1::{Malformed, Reader, Value, boolean, only, tag};
use super::name::{CanonicalName, Name};
use crate::limits::DISTRIBUTION_POINTS_MAX;

/// ReasonFlags: bit n as the standard numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reasons(u16);

impl Reasons {
    pub const NONE: Self = Self(0);
    /// keyCompromise (1) to aACompromise (8); bit 0 is unused.
    pub const ALL: Self = Self(0x1fe);

    fn from_bits(content: &[u8]) -> Result<Self, Malformed> {
        let (_, octets) = content.split_first().ok_or(Malformed)?;
        let bit =
            |n: usize| octets.get(n / 8).is_some_and(|octet| octet & (0x80_u8 >> (n % 8)) != 0);
        Ok(Self((1..=8).filter(|&n| bit(n)).fold(0, |flags, n| flags | 1_u16 << n)))
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this names a reason that `known` lacks.
    pub fn adds_to(self, known: Self) -> bool {
        self.0 & !known.0 != 0
    }
}

/// One name of a distribution point, comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PointName {
    Directory(CanonicalName),
    /// Any other form, as it stands.
    Other(Box<[u8]>),
}

impl PointName {
    fn from_value(value: &Value<'_>) -> Result<Self, Malformed> {
        if value.tag != 0xa4 {
            return Ok(Self::Other(value.raw.into()));
        }
        let name = Name::from_der(only(value.content, tag::SEQUENCE)?.raw)?;
        Ok(Self::Directory(name.canonical))
    }
}

/// GeneralNames, the SEQUENCE's tag already read.
fn names(content: &[u8]) -> Result<Vec<PointName>, Malformed> {
    let mut reader = Reader::new(content);
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(PointName::from_value(&reader.read()?)?);
    }
    Ok(names)
}

/// DistributionPointName; `issuer` is the one a relative name is relative to.
fn point_names(content: &[u8], issuer: &CanonicalName) -> Result<Vec<PointName>, Malformed> {
    let mut reader = Reader::new(content);
    let choice = reader.read()?;
    match choice.tag {
        tag::CONTEXT_0 => names(choice.content),
        tag::CONTEXT_1 => Ok(vec![PointName::Directory(issuer.extended(choice.content)?)]),
        _ => Err(Malformed),
    }
}

/// One DistributionPoint of a certificate.
#[derive(Debug, Clone)]
pub(super) struct DistributionPoint {
    pub names: Option<Vec<PointName>>,
    pub reasons: Reasons,
    /// cRLIssuer; empty if the authority itself issues the list.
    pub issuers: Vec<PointName>,
}

impl DistributionPoint {
    /// What RFC 5280 §6.3.3 assumes where a certificate names no point: its issuer's own list.
    pub fn implied(issuer: &CanonicalName) -> Self {
        Self {
            names: Some(vec![PointName::Directory(issuer.clone())]),
            reasons: Reasons::ALL,
            issuers: Vec::new(),
        }
    }

    /// Reads a CRLDistributionPoints extension of a certificate of `issuer`.
    pub fn list(der: &[u8], issuer: &CanonicalName) -> Result<Vec<Self>, Malformed> {
        let mut reader = only(der, tag::SEQUENCE)?.children();
        let mut points = Vec::new();
        while !reader.is_empty() {
            if points.len() == DISTRIBUTION_POINTS_MAX {
                return Err(Malformed);
            }
            points.push(Self::read(reader.expect(tag::SEQUENCE)?, issuer)?);
        }
        Ok(points)
    }

    fn read(value: Value<'_>, issuer: &CanonicalName) -> Result<Self, Malformed> {
        let mut name = None;
        let mut point = Self { names: None, reasons: Reasons::ALL, issuers: Vec::new() };
        let mut fields = value.children();
        while !fields.is_empty() {
            let field = fields.read()?;
            match field.tag {
                tag::CONTEXT_0 => name = Some(field.content),
                0x81 => point.reasons = Reasons::from_bits(field.content)?,
                0xa2 => point.issuers = names(field.content)?,
                _ => return Err(Malformed),
            }
        }
        // §4.2.1.13: relative to the CRL issuer if it is another than the certificate's.
        let base = match point.issuers.as_slice() {
            [PointName::Directory(other), ..] => other,
            _ => issuer,
        };
        point.names = name.map(|content| point_names(content, base)).transpose()?;
        Ok(point)
    }
}

/// IssuingDistributionPoint: for which certificates and reasons a CRL speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub names: Option<Vec<PointName>>,
    pub only_users: bool,
    pub only_authorities: bool,
    pub only_attributes: bool,
    pub reasons: Reasons,
    pub is_indirect: bool,
}

impl Scope {
    /// The scope of a CRL without the extension.
    pub const WHOLE: Self = Self {
        names: None,
        only_users: false,
        only_authorities: false,
        only_attributes: false,
        reasons: Reasons::ALL,
        is_indirect: false,
    };

    pub fn from_der(der: &[u8], issuer: &CanonicalName) -> Result<Self, Malformed> {
        let mut scope = Self::WHOLE;
        let mut fields = only(der, tag::SEQUENCE)?.children();
        while !fields.is_empty() {
            let field = fields.read()?;
            match field.tag {
                tag::CONTEXT_0 => scope.names = Some(point_names(field.content, issuer)?),
                0x81 => scope.only_users = boolean(field.content)?,
                0x82 => scope.only_authorities = boolean(field.content)?,
                0x83 => scope.reasons = Reasons::from_bits(field.content)?,
                0x84 => scope.is_indirect = boolean(field.content)?,
                0x85 => scope.only_attributes = boolean(field.content)?,
                _ => return Err(Malformed),
            }
        }
        Ok(scope)
    }

    /// The reasons for which a list of this scope speaks about a certificate that announces
    /// `point` (RFC 5280 §6.3.3 (b)(2) and (d)); none if it does not.
    pub fn covers(&self, point: &DistributionPoint, is_authority: bool) -> Reasons {
        let named = self.names.as_ref().is_none_or(|names| {
            let wanted = point.names.as_ref().unwrap_or(&point.issuers);
            names.iter().any(|name| wanted.contains(name))
        });
        let excluding = if is_authority { self.only_users } else { self.only_authorities };
        let kind = !excluding && !self.only_attributes;
        if named && kind { self.reasons.and(point.reasons) } else { Reasons::NONE }
    }
}
