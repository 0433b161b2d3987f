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
        let properties = self.properties();
        let canonical = format!(
            "<xades:SignedProperties xmlns:xades=\"{XADES}\" Id=\"xp\">{properties}\
             </xades:SignedProperties>"
        );
        let mut references = self.references.concat();
        if self.is_xades {
            let kind = "http://uri.etsi.org/01903#SignedProperties";
            references.push_str(&reference("#xp", kind, &[EXCLUSIVE], canonical.as_bytes()));
        }
        let info = format!(
            "{}{}{references}",
            with_algorithm("CanonicalizationMethod", self.canonicalization),
            with_algorithm("SignatureMethod", self.method)
        );
        let signed = format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">{info}</ds:SignedInfo>");
        let value = base64(&sign_fixed(self.identity, signed.as_bytes()));
        // In the document the prefix is in scope already.
        let written = properties.replace(&format!(" xmlns:ds=\"{DSIG}\""), "");
        let unsigned = self.tsa.map_or(String::new(), |tsa| self.stamp(tsa, &value));
        let qualifying = format!(
            "<ds:Object><xades:QualifyingProperties xmlns:xades=\"{XADES}\" Target=\"#s1\">\
             <xades:SignedProperties Id=\"xp\">{written}</xades:SignedProperties>{unsigned}\
             </xades:QualifyingProperties></ds:Object>"
        );
        let key_info = match self.key_info.as_str() {
            "" => String::new(),
            inner => format!("<ds:KeyInfo>{inner}</ds:KeyInfo>"),
        };
        format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\" Id=\"s1\"><ds:SignedInfo>{info}</ds:SignedInfo>\
             <ds:SignatureValue>{value}</ds:SignatureValue>{key_info}{}{}</ds:Signature>",
            if self.is_xades { &qualifying } else { "" },
            self.objects
        )
    }

    /// A time-stamp over the value.
    fn stamp(&self, tsa: &Identity, value: &str) -> String {
        let canonical =
            format!("<ds:SignatureValue xmlns:ds=\"{DSIG}\">{value}</ds:SignatureValue>");
        let imprint = Sha256::of(canonical.as_bytes());
        let token = sign::timestamp(imprint, &[], tsa, self.now).unwrap();
        format!(
            "<xades:UnsignedProperties><xades:UnsignedSignatureProperties>\
             <xades:SignatureTimeStamp>{}<xades:EncapsulatedTimeStamp>{}\
             </xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>\
             </xades:UnsignedSignatureProperties></xades:UnsignedProperties>",
            with_algorithm("CanonicalizationMethod", EXCLUSIVE),
            base64(&token)
        )
    }
}

/// ECDSA with SHA-256, the two numbers one after the other as XML-DSig has them.
fn sign_fixed(identity: &Identity, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(scheme, &identity.key_pkcs8, &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}
