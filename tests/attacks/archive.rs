//! C5 and C6: archive time-stamps whose index or imprint is forged. One that does not hold proves
//! nothing, and says so; the signature is as good as without it.

use vanthu::digest::Sha256;
use vanthu::workshop::sign;

use crate::der::{Node, octets, oid, sequence, set, sha2};
use crate::message::Message;
use crate::people::People;
use crate::{Case, Expected};

const CONTENT: &[u8] = b"Luu tru";
/// id-aa-ets-archiveTimestampV3 and id-aa-ATSHashIndex-v3.
const ARCHIVE: &[u8] = &[0x04, 0x00, 0x8d, 0x45, 0x02, 0x04];
const INDEX: &[u8] = &[0x04, 0x00, 0x81, 0x95, 0x32, 0x01, 0x05];

/// ATSHashIndexV3 over these certificates.
fn index(certificates: &[Vec<u8>]) -> Node {
    let hashes = certificates.iter().map(|der| octets(&Sha256::of(der).0)).collect();
    sequence(vec![sequence(vec![sha2(1)]), sequence(hashes), sequence(vec![]), sequence(vec![])])
}

/// An archived signature over [`CONTENT`]; the time-stamp is over `stamped` and its own index.
fn archived(people: &People, stamped: &[u8], index: Option<Node>) -> Vec<u8> {
    let mut message = Message::new(CONTENT, &people.officer, people);
    let kind = message.data()[2].at(&[0]).encode();
    let fields: Vec<u8> = message.signer().iter().flat_map(Node::encode).collect();
    let tail = index.as_ref().map(Node::encode).unwrap_or_default();
    let imprint = Sha256::of_parts(&[&kind, &Sha256::of(stamped).0, &fields, &tail]);
    let token = sign::timestamp(imprint, &[], &people.tsa, people.now).unwrap();
    let mut token = Node::parse(&token);
    if let Some(index) = index {
        let attribute = sequence(vec![oid(INDEX), set(vec![index])]);
        token.at(&[1, 0, 4, 0]).children().push(Node::Constructed(0xa1, vec![attribute]));
    }
    let attribute = sequence(vec![oid(ARCHIVE), set(vec![token])]);
    message.signer().push(Node::Constructed(0xa1, vec![attribute]));
    message.encode()
}

pub fn cases(people: &People) -> Vec<Case> {
    let chain = &people.officer.chain_der;
    let honest = || index(chain);
    let foreign = index(&people.stranger.chain_der);
    let nothing = "an archive time-stamp proves nothing";
    let case =
        |row, name, cms, remark| Case::over(row, name, cms, CONTENT, Expected::Passed(remark));
    vec![
        case("C5", "archived.p7s", archived(people, CONTENT, Some(honest())), ""),
        case(
            "C5",
            "archived-other-content.p7s",
            archived(people, b"other", Some(honest())),
            nothing,
        ),
        case(
            "C6",
            "archive-index-of-others.p7s",
            archived(people, CONTENT, Some(foreign)),
            nothing,
        ),
        case("C6", "archive-index-absent.p7s", archived(people, CONTENT, None), nothing),
    ]
}
