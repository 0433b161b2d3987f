//! A signer of XML that writes everything in its canonical form from the start, so that what is
//! hashed is what is written.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use vanthu::clock::Time;
use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::sign;

pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
pub const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// An empty element as the canonical form writes it.
pub fn with_algorithm(name: &str, uri: &str) -> String {
    format!("<ds:{name} Algorithm=\"{uri}\"></ds:{name}>")
}

/// A reference to what is `canonical` after these transforms.
pub fn reference(uri: &str, kind: &str, transforms: &[&str], canonical: &[u8]) -> String {
    let list: String = transforms.iter().map(|uri| with_algorithm("Transform", uri)).collect();
    reference_with(uri, kind, &list, canonical)
}

/// The same with transforms that are written out.
pub fn reference_with(uri: &str, kind: &str, transforms: &str, canonical: &[u8]) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!(" Type=\"{kind}\"") };
    format!(
        "<ds:Reference{kind} URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms>{}\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
        with_algorithm("DigestMethod", SHA256),
        base64(&Sha256::of(canonical).0)
    )
}

/// A signature before it is made.
#[derive(Clone)]
pub struct Draft<'a> {
    pub identity: &'a Identity,
    pub now: Time,
    /// What the identifiers of its parts end in.
    pub id: &'a str,
    /// What the references are about.
    pub octets: Vec<u8>,
    /// References beside the one to the properties.
    pub references: Vec<String>,
    /// Objects beside the one with the properties.
    pub objects: String,
    pub method: &'a str,
    pub canonicalization: &'a str,
    /// Whether there are properties of XAdES.
    pub is_xades: bool,
    /// The certificate that the properties name.
    pub named: &'a [u8],
    pub key_info: String,
    pub tsa: Option<&'a Identity>,
}

impl<'a> Draft<'a> {
    pub fn new(identity: &'a Identity, now: Time, references: Vec<String>) -> Self {
        let certificates: String = identity
            .chain_der
            .iter()
            .map(|der| format!("<ds:X509Certificate>{}</ds:X509Certificate>", base64(der)))
            .collect();
        Self {
            identity,
            now,
            id: "1",
            octets: Vec::new(),
            references,
            objects: String::new(),
            method: ECDSA,
            canonicalization: EXCLUSIVE,
            is_xades: true,
            named: identity.leaf(),
            key_info: format!("<ds:X509Data>{certificates}</ds:X509Data>"),
            tsa: None,
        }
    }

    /// What stands in SignedProperties, in its canonical form.
    fn properties(&self) -> String {
        let digest = base64(&Sha256::of(self.named).0);
        format!(
            "<xades:SignedSignatureProperties><xades:SigningTime>{}</xades:SigningTime>\
             <xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod \
             xmlns:ds=\"{DSIG}\" Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue \
             xmlns:ds=\"{DSIG}\">{digest}</ds:DigestValue></xades:CertDigest></xades:Cert>\
             </xades:SigningCertificateV2></xades:SignedSignatureProperties>",
            self.now
        )
    }

    /// The signature, as it stands in a document.
    pub fn sign(&self) -> String {
        let mut signed = self.make();
        if let Some(tsa) = self.tsa {
            signed.stamp(tsa, self.now);
        }
        signed.write()
    }

    /// The signature without unsigned properties.
    pub fn make(&self) -> Signed {
        let id = self.id;
        let written = self.properties();
        let properties = format!(
            "<xades:SignedProperties xmlns:xades=\"{XADES}\" Id=\"xp{id}\">{written}\
             </xades:SignedProperties>"
        );
        let mut references = self.references.concat();
        if self.is_xades {
            let kind = "http://uri.etsi.org/01903#SignedProperties";
            let uri = format!("#xp{id}");
            references.push_str(&reference(&uri, kind, &[EXCLUSIVE], properties.as_bytes()));
        }
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\">{}{}{references}</ds:SignedInfo>",
            with_algorithm("CanonicalizationMethod", self.canonicalization),
            with_algorithm("SignatureMethod", self.method)
        );
        let value = base64(&sign_fixed(self.identity, info.as_bytes()));
        let key_info = match self.key_info.as_str() {
            "" => String::new(),
            inner => format!("<ds:KeyInfo xmlns:ds=\"{DSIG}\">{inner}</ds:KeyInfo>"),
        };
        Signed {
            id: id.to_owned(),
            octets: self.octets.clone(),
            info,
            value: format!(
                "<ds:SignatureValue xmlns:ds=\"{DSIG}\" Id=\"v{id}\">{value}</ds:SignatureValue>"
            ),
            key_info,
            properties: if self.is_xades { properties } else { String::new() },
            objects: self.objects.replace("<ds:Object", &format!("<ds:Object xmlns:ds=\"{DSIG}\"")),
            unsigned: Vec::new(),
        }
    }
}

/// A signature to which unsigned properties are added. Everything is in its canonical form.
#[derive(Clone)]
pub struct Signed {
    id: String,
    /// What the references beside the one to the properties are about.
    octets: Vec<u8>,
    info: String,
    pub value: String,
    key_info: String,
    properties: String,
    objects: String,
    pub unsigned: Vec<String>,
}

impl Signed {
    /// Adds a time-stamp over `octets`.
    pub fn push_stamp(&mut self, name: &str, octets: &[u8], tsa: &Identity, at: Time) {
        let token = sign::timestamp(Sha256::of(octets), &[], tsa, at).unwrap();
        let (space, name) = match name.strip_prefix("141:") {
            Some(name) => (XADES141, name),
            None => (XADES, name),
        };
        self.unsigned.push(format!(
            "<x:{name} xmlns:x=\"{space}\"><ds:CanonicalizationMethod xmlns:ds=\"{DSIG}\" \
             Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod><xades:EncapsulatedTimeStamp \
             xmlns:xades=\"{XADES}\">{}</xades:EncapsulatedTimeStamp></x:{name}>",
            base64(&token)
        ));
    }

    /// A time-stamp over the value.
    pub fn stamp(&mut self, tsa: &Identity, at: Time) {
        self.push_stamp("SignatureTimeStamp", self.value.clone().as_bytes(), tsa, at);
    }

    /// What an archive time-stamp is over that comes next (EN 319 132-1 §5.5.2.2).
    pub fn archived(&self) -> Vec<u8> {
        let Self { octets, info, value, key_info, properties, unsigned, .. } = self;
        let parts = [properties, info, value, key_info, &unsigned.concat(), &self.objects];
        [&octets[..], parts.map(String::as_str).concat().as_bytes()].concat()
    }

    /// An archive time-stamp.
    pub fn archive(&mut self, tsa: &Identity, at: Time) {
        self.push_stamp("141:ArchiveTimeStamp", &self.archived(), tsa, at);
    }

    /// A counter-signature, or anything else that confirms this one.
    pub fn push_counter(&mut self, signature: &str) {
        let inner = signature.replace(&format!(" xmlns:xades=\"{XADES}\""), "");
        self.unsigned.push(format!(
            "<xades:CounterSignature xmlns:xades=\"{XADES}\">{inner}</xades:CounterSignature>"
        ));
    }

    /// The signature, as it stands in a document.
    pub fn write(&self) -> String {
        let Self { id, info, value, key_info, properties, objects, unsigned, .. } = self;
        let unsigned = match &unsigned[..] {
            [] => String::new(),
            every => format!(
                "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>{}\
                 </xades:UnsignedSignatureProperties></xades:UnsignedProperties>",
                every.concat()
            ),
        };
        let qualifying = match properties.as_str() {
            "" => String::new(),
            properties => format!(
                "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" \
                 Target=\"#s{id}\">{}{unsigned}</xades:QualifyingProperties></ds:Object>",
                // In the document both prefixes are in scope already.
                bare(properties).replace(&format!(" xmlns:xades=\"{XADES}\""), "")
            ),
        };
        format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\" Id=\"s{id}\">{}{}{}{qualifying}{objects}\
             </ds:Signature>",
            bare(info),
            bare(value),
            bare(key_info),
            objects = bare(objects)
        )
    }
}

fn bare(canonical: &str) -> String {
    canonical.replace(&format!(" xmlns:ds=\"{DSIG}\""), "")
}

/// ECDSA with SHA-256, the two numbers one after the other as XML-DSig has them.
fn sign_fixed(identity: &Identity, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(scheme, &identity.key_pkcs8, &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}
