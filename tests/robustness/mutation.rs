//! Changes that mean something to whoever reads the file: lengths of ASN.1 values, numbers in text,
//! keywords, integers of ZIP records, pieces of other files. Most keep every other byte in its place,
//! so that what comes after is still found.

use super::random::Random;

/// No mutant is larger: what is costly by its size alone is measured elsewhere.
const SIZE_MAX: usize = 1024 * 1024;
/// Words that readers look for.
const KEYWORDS: [&[u8]; 36] = [
    b"obj",
    b"endobj",
    b"stream",
    b"endstream",
    b"xref",
    b"trailer",
    b"startxref",
    b"%%EOF",
    b"/Prev",
    b"/XRefStm",
    b"/Root",
    b"/Size",
    b"/Length",
    b"/Type",
    b"/Kids",
    b"/Parent",
    b"/ByteRange",
    b"/Contents",
    b"/AcroForm",
    b"/Fields",
    b"/Extends",
    b"/Filter",
    b"/W",
    b"/Index",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"<ds:",
    b"</ds:",
    b"<!",
    b"Id=",
    b"URI=",
    b"xmlns",
    b"\n",
    b"-----",
];
/// Numbers at which arithmetic goes wrong.
const EDGES: [&str; 14] = [
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
];

/// One to three changes of `bytes`; `other` is a file of the same kind.
pub fn mutate(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    for _ in 0..=random.below(3) {
        once(&mut mutant, other, random);
        mutant.truncate(SIZE_MAX);
    }
    mutant
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    match random.below(16) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => scatter(bytes, random),
        2..=4 => length(bytes, random),
        5 => within_hexadecimal(bytes, random),
        6..=8 => number(bytes, random),
        9 | 10 => keyword(bytes, random),
        11 => record(bytes, random),
        12 => splice(bytes, other, random),
        13 => transplant(bytes, other, random),
        14 => repeat(bytes, random),
        _ => nest(bytes, random),
    }
}

/// A few other bytes.
fn scatter(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte =
                if random.below(2) == 0 { random.byte() } else { *byte ^ (1 << random.below(8)) };
        }
    }
}

/// Another length, tag or kind of length of an ASN.1 value.
fn length(bytes: &mut Vec<u8>, random: &mut Random) {
    let Some(at) = value_at(bytes, random) else { return scatter(bytes, random) };
    let new: &[u8] = match random.below(10) {
        0 => &[0x00],
        1 => &[0x80],
        2 => &[0x7f],
        3 => &[0x81, 0xff],
        4 => &[0x82, 0xff, 0xff],
        5 => &[0x84, 0xff, 0xff, 0xff, 0xff],
        6 => &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        7 => {
            if let Some(tag) = bytes.get_mut(at) {
                *tag = [
                    0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x17, 0x18, 0x24, 0x30, 0x31, 0xa0, 0xa1,
                    0xbf,
                ][random.below(14)];
            }
            return;
        }
        more => {
            if let Some(length) = bytes.get_mut(at + 1) {
                *length = if more == 8 { length.wrapping_add(1) } else { length.wrapping_sub(1) };
            }
            return;
        }
    };
    if random.below(2) == 0 {
        bytes.splice(at + 1..at + 2, new.iter().copied());
    } else {
        for (byte, new) in bytes.iter_mut().skip(at + 1).zip(new) {
            *byte = *new;
        }
    }
}

/// Something that looks like a tag with a short or long length inside the file.
fn value_at(bytes: &[u8], random: &mut Random) -> Option<usize> {
    let from = random.below(bytes.len());
    let looks = |at: &usize| match bytes.get(*at..*at + 4) {
        Some(
            &[0x02..=0x06 | 0x0c | 0x13 | 0x17 | 0x18 | 0x30 | 0x31 | 0xa0..=0xa3, length, ..],
        ) => length >= 0x80 || bytes.len() - at > usize::from(length),
        _ => false,
    };
    (from..bytes.len().min(from + 4_096)).find(looks)
}

/// A change of the value that a long hexadecimal string holds: a CMS in a PDF.
fn within_hexadecimal(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut found = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<') {
        let digits = bytes.iter().skip(at + 1).take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 200 {
            found.push(at + 1..at + 1 + digits / 2 * 2);
        }
    }
    let Some(range) = random.pick(&found).cloned() else { return number(bytes, random) };
    let text = String::from_utf8_lossy(bytes.get(range.clone()).unwrap_or_default()).into_owned();
    let mut value: Vec<u8> = (0..text.len() / 2)
        .filter_map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    let used = value.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    value.truncate(used);
    length(&mut value, random);
    let digits = value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes());
    let digits = digits.chain(std::iter::repeat(b'0'));
    for (byte, digit) in bytes.iter_mut().skip(range.start).take(range.len()).zip(digits) {
        *byte = digit;
    }
}

/// Another number in text, in the same place where it fits.
fn number(bytes: &mut Vec<u8>, random: &mut Random) {
    let from = random.below(bytes.len());
    let Some(start) = (from..bytes.len()).find(|&at| bytes[at].is_ascii_digit()) else { return };
    let digits = bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
    let old = String::from_utf8_lossy(&bytes[start..start + digits]).into_owned();
    let new = match (random.below(4), old.parse::<u64>()) {
        (0, Ok(value)) => value.wrapping_add(1).to_string(),
        (1, Ok(value)) => value.wrapping_sub(1).to_string(),
        (2, _) => random.below(2 * bytes.len()).to_string(),
        _ => random.pick(&EDGES).map_or(String::new(), |edge| (*edge).to_owned()),
    };
    if new.len() <= digits && random.below(8) > 0 {
        // By hand: format! pads to 65,535 at most.
        let padded = "0".repeat(digits - new.len()) + &new;
        bytes[start..start + digits].copy_from_slice(padded.as_bytes());
    } else {
        bytes.splice(start..start + digits, new.into_bytes());
    }
}

/// A keyword doubled, removed, overwritten or put elsewhere.
fn keyword(bytes: &mut Vec<u8>, random: &mut Random) {
    let Some(&word) = random.pick(&KEYWORDS) else { return };
    let places: Vec<usize> = bytes
        .windows(word.len())
        .enumerate()
        .filter(|(_, w)| *w == word)
        .map(|(at, _)| at)
        .collect();
    let Some(&at) = random.pick(&places) else {
        let at = random.below(bytes.len() + 1);
        bytes.splice(at..at, word.iter().copied());
        return;
    };
    let end = at + word.len();
    match random.below(4) {
        0 => bytes.splice(at..at, word.iter().copied()).for_each(drop),
        1 => bytes.drain(at..end).for_each(drop),
        2 => {
            let new = random.pick(&KEYWORDS).copied().unwrap_or_default();
            let padded = new.iter().copied().chain(std::iter::repeat(b' '));
            for (byte, new) in bytes.iter_mut().skip(at).take(word.len()).zip(padded) {
                *byte = new;
            }
        }
        _ => {
            let tail = (at + 1 + random.below(200)).min(bytes.len());
            let piece = bytes.get(at..tail).unwrap_or_default().to_vec();
            let to = places.get(random.below(places.len())).copied().unwrap_or(0);
            bytes.splice(to..to, piece);
        }
    }
}

/// Another little-endian integer in a ZIP record.
fn record(bytes: &mut Vec<u8>, random: &mut Random) {
    let records: Vec<usize> =
        bytes.windows(2).enumerate().filter(|(_, w)| *w == b"PK").map(|(at, _)| at).collect();
    let Some(&at) = random.pick(&records) else { return number(bytes, random) };
    let place = at + 4 + random.below(44);
    let edges: [&[u8]; 6] =
        [&[0; 2], &[0xff; 2], &[0; 4], &[0xff; 4], &[0xff, 0xff, 0xff, 0x7f], &[1, 0, 0, 0]];
    let edge = random.pick(&edges).copied().unwrap_or_default();
    for (byte, new) in bytes.iter_mut().skip(place).zip(edge) {
        *byte = *new;
    }
}

/// The beginning of this file and the end of another one.
fn splice(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    bytes.truncate(random.below(bytes.len() + 1));
    bytes.extend(other.get(random.below(other.len() + 1)..).unwrap_or_default());
}

/// A piece of another file over or between the bytes of this one.
fn transplant(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let piece = other.get(random.range(other.len())).unwrap_or_default();
    let at = random.below(bytes.len() + 1);
    let replaced = if random.below(2) == 0 { piece.len() } else { 0 };
    let end = (at + replaced).min(bytes.len());
    bytes.splice(at..end, piece.iter().copied());
}

/// A piece of the file many times.
fn repeat(bytes: &mut Vec<u8>, random: &mut Random) {
    let piece = bytes.get(random.range(bytes.len())).unwrap_or_default().to_vec();
    let times = (1 << random.below(14)).min(SIZE_MAX / 4 / piece.len().max(1));
    let at = random.below(bytes.len() + 1);
    bytes.splice(at..at, piece.repeat(times));
}

/// Something that opens and never closes.
fn nest(bytes: &mut Vec<u8>, random: &mut Random) {
    let openings: [&[u8]; 8] =
        [b"[", b"<<", b"<</A", b"(", b"\x30\x80", b"\x24\x80", b"\xa0\x80", b"<a xmlns='b'>"];
    let opening = random.pick(&openings).copied().unwrap_or_default();
    let at = random.below(bytes.len() + 1);
    bytes.splice(at..at, opening.repeat(1 << random.below(15)));
}
