//! The namespaces and identifiers of XML signatures, as their standards write them.

/// XML-DSig (RFC 3275, W3C xmldsig-core).
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML-DSig 1.1.
pub const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// What RFC 9231 and RFC 4050 added.
pub const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
/// XAdES 1.3.2 (ETSI TS 101 903, EN 319 132-1).
pub const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// What XAdES 1.4.1 added.
pub const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
/// Every namespace in which QualifyingProperties are found in the field.
pub const XADES_ALL: [&str; 3] =
    [XADES, "http://uri.etsi.org/01903/v1.2.2#", "http://uri.etsi.org/01903/v1.1.1#"];
/// XPath Filter 2.0.
pub const FILTER2: &str = "http://www.w3.org/2002/06/xmldsig-filter2";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const CANONICAL: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
pub const CANONICAL11: &str = "http://www.w3.org/2006/12/xml-c14n11";
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// `wsu:Id` of WS-Security.
pub const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// References of OPC packages (ISO/IEC 29500-2 §12.2).
pub const OPC: &str = "http://schemas.openxmlformats.org/package/2006/digital-signature";

/// Roots that only hold signatures: of ASiC (EN 319 162-1) and of OpenDocument.
pub const SHELLS: [(&str, &str); 3] = [
    ("http://uri.etsi.org/02918/v1.2.1#", "XAdESSignatures"),
    ("http://uri.etsi.org/02918/v1.1.1#", "XAdESSignatures"),
    ("urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0", "document-signatures"),
];
