//! C2 and C6: counter-signatures in CMS that confirm something else than the signature they stand in.

use vanthu::workshop::identity::Identity;

use crate::der::{Node, octets, sequence, set};
use crate::message::{CONTENT_TYPE, Message};
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};

const CONTENT: &[u8] = b"Xac nhan";
/// countersignature, RFC 5652 §11.4.
const COUNTER: &[u8] = &[9, 6];

/// The officer's signature.
fn officers(people: &People) -> Message {
    Message::new(CONTENT, &people.officer, people)
}

fn value(message: &mut Message) -> Vec<u8> {
    match &message.signer()[5] {
        Node::Primitive(_, value) => value.clone(),
        Node::Constructed(..) => panic!("an octet string"),
    }
}

/// Somebody's signature over a value, without a type of content.
fn over(value: &[u8], by: &Identity, people: &People) -> Message {
    let mut counter = Message::new(value, by, people);
    counter.remove(CONTENT_TYPE);
    counter.sign_again(by);
    counter
}

/// The officer's message with this counter-signature and its certificates.
fn with(mut message: Message, mut counter: Message) -> Message {
    let certificates = counter.data()[3].children().clone();
    let signer = sequence(counter.signer().clone());
    message.data()[3].children().extend(certificates);
    message.add_unsigned(COUNTER, signer);
    message
}

pub fn cases(people: &People) -> Vec<Case> {
    let case = |name, message: Message, expected: Expected| {
        Case::over("C6", name, message.encode(), CONTENT, expected)
    };
    let honest = |by: &Identity| {
        let mut message = officers(people);
        let counter = over(&value(&mut message), by, people);
        with(message, counter)
    };
    let nested = {
        let mut message = officers(people);
        let mut middle = over(&value(&mut message), &people.seal, people);
        let last = over(&value(&mut middle), &people.officer, people);
        with(message, with(middle, last))
    };
    let typed = {
        let mut message = officers(people);
        let counter = Message::new(&value(&mut message), &people.seal, people);
        with(message, counter)
    };
    let of_another =
        with(officers(people), over(&value(&mut officers(people)), &people.seal, people));
    let of_the_content = with(officers(people), over(CONTENT, &people.seal, people));
    let mut altered = officers(people);
    let mut counter = over(&value(&mut altered), &people.seal, people);
    let other = value(&mut officers(people));
    counter.signer()[5] = octets(&other);
    let altered = with(altered, counter);
    let mut unreadable = officers(people);
    unreadable.add_unsigned(COUNTER, set(vec![]));
    vec![
        case("counter-signed.p7s", honest(&people.seal), PASSED),
        case("counter-signed-twice.p7s", nested, PASSED),
        case("counter-signed-with-a-type.p7s", typed, Expected::Passed("names a type of content")),
        case("counter-signature-of-another.p7s", of_another, failed("DIGEST_DIFFERS", None)),
        case("counter-signature-of-the-content.p7s", of_the_content, {
            failed("DIGEST_DIFFERS", None)
        }),
        case("counter-signature-altered.p7s", altered, failed("SIGNATURE_VALUE", None)),
        case("counter-signature-of-a-stranger.p7s", honest(&people.stranger), {
            doubted("ROOT_NOT_TRUSTED", None)
        }),
        case("counter-signature-of-the-revoked.p7s", honest(&people.revoked), {
            doubted("REVOKED", None)
        }),
        case("counter-signature-unreadable.p7s", unreadable, {
            failed("COUNTER_SIGNATURE_UNREADABLE", None)
        }),
    ]
}
