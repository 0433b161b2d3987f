//! XML signatures written in canonical form, so that what is signed is what stands there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;

use crate::people::People;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
const CANONICAL: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

/// A signature that is drawn up.
pub struct Sheet {
    /// Namespaces of what the signature will stand in, beside that of signatures.
    pub scope: String,
    pub references: Vec<String>,
    /// Identifier and content; signed unless their name is in `unsigned`.
    pub objects: Vec<(String, String)>,
    pub unsigned: Vec<String>,
}

/// A Reference to what has this digest; attributes stand in the order of their names.
pub fn reference(uri: &str, kind: &str, transforms: &[String], signed: &[u8]) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!(" Type=\"{kind}\"") };
    let transforms = match transforms {
        [] => String::new(),
        _ => format!("<Transforms>{}</Transforms>", transforms.concat()),
    };
    let digest = STANDARD.encode(Sha256::of(signed).0);
    format!(
        "<Reference{kind} URI=\"{uri}\">{transforms}<DigestMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod><DigestValue>\
         {digest}</DigestValue></Reference>"
    )
}

/// A Transform.
pub fn transform(algorithm: &str, inner: &str) -> String {
    format!("<Transform Algorithm=\"{algorithm}\">{inner}</Transform>")
}

/// The canonical form as a transform.
pub fn canonical() -> String {
    transform(CANONICAL, "")
}

impl Sheet {
    pub fn new(references: Vec<String>) -> Self {
        let (objects, unsigned) = (Vec::new(), Vec::new());
        Self { scope: String::new(), references, objects, unsigned }
    }

    /// The element Signature, with the signed properties of XAdES.
    pub fn sign(&self, signer: &Identity, people: &People) -> String {
        let scope = format!(" xmlns=\"{DSIG}\"{}", self.scope);
        let certificate = STANDARD.encode(signer.leaf());
        let digest = STANDARD.encode(Sha256::of(signer.leaf()).0);
        let time = people.now.to_string();
        let inner = format!(
            "<xades:SignedSignatureProperties><xades:SigningTime>{time}</xades:SigningTime>\
             <xades:SigningCertificateV2><xades:Cert><xades:CertDigest><DigestMethod \
             Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></DigestMethod><DigestValue>\
             {digest}</DigestValue></xades:CertDigest></xades:Cert></xades:SigningCertificateV2>\
             </xades:SignedSignatureProperties>"
        );
        let properties = |scope: &str| {
            format!(
                "<xades:SignedProperties{scope} Id=\"properties\">{inner}</xades:SignedProperties>"
            )
        };
        let signed = properties(&format!("{scope} xmlns:xades=\"{XADES}\""));
        let kind = "http://uri.etsi.org/01903#SignedProperties";
        let mut references = self.references.clone();
        references.push(reference("#properties", kind, &[canonical()], signed.as_bytes()));
        let mut objects = String::new();
        for (id, inner) in &self.objects {
            let object = |scope: &str| format!("<Object{scope} Id=\"{id}\">{inner}</Object>");
            objects += &object("");
            if !self.unsigned.contains(id) {
                let (uri, kind) = (format!("#{id}"), format!("{DSIG}Object"));
                references.push(reference(&uri, &kind, &[], object(&scope).as_bytes()));
            }
        }
        let info = |scope: &str| {
            format!(
                "<SignedInfo{scope}><CanonicalizationMethod Algorithm=\"{CANONICAL}\">\
                 </CanonicalizationMethod><SignatureMethod \
                 Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\">\
                 </SignatureMethod>{}</SignedInfo>",
                references.concat()
            )
        };
        let value = STANDARD.encode(value(signer, info(&scope).as_bytes()));
        format!(
            "<Signature xmlns=\"{DSIG}\" Id=\"signature\">{}<SignatureValue>{value}\
             </SignatureValue><KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate>\
             </X509Data></KeyInfo>{objects}<Object><xades:QualifyingProperties \
             xmlns:xades=\"{XADES}\" Target=\"#signature\">{}</xades:QualifyingProperties>\
             </Object></Signature>",
            info(""),
            properties("")
        )
    }
}

/// r and s, as XML signatures hold them.
fn value(signer: &Identity, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(scheme, &signer.key_pkcs8, &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}
