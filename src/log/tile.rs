//! Tiles and entry bundles, as C2SP tlog-tiles names and writes them (`FORMAT.md` §9).

use std::fmt;

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// The highest level that the specification knows.
const LEVEL_MAX: u8 = 63;
/// Digits of one element of a path.
const ELEMENT_DIGITS: usize = 3;

/// What a tile is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes of height `level * 8`.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// One tile or bundle, as its path names it: `0/x001/234.p/5`, `entries/x001/234`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileName {
    /// What it is made of.
    pub kind: TileKind,
    /// Its place in its level, counted from 0.
    pub index: u64,
    /// How many hashes or entries it has: 1 to [`TILE_WIDTH`].
    pub width: u64,
}

impl TileName {
    /// The name in `text`, in its only spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
        };
        let (elements, width) = match rest.split_once(".p/") {
            Some((elements, width)) => (elements, width.parse().ok()?),
            None => (rest, TILE_WIDTH),
        };
        let mut index = 0_u64;
        for element in elements.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            let part: u64 = digits.parse().ok().filter(|_| digits.len() == ELEMENT_DIGITS)?;
            index = index.checked_mul(1000)?.checked_add(part)?;
        }
        let name = Self { kind, index, width };
        ((1..=TILE_WIDTH).contains(&width) && name.to_string() == text).then_some(name)
    }

    /// Whether nothing can be added to it any more.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl fmt::Display for TileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "{level}/")?,
            TileKind::Entries => f.write_str("entries/")?,
        }
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        f.write_str(&number)?;
        match self.is_full() {
            true => Ok(()),
            false => write!(f, ".p/{}", self.width),
        }
    }
}

/// The bytes of a bundle: each entry after its length. `None` if an entry is longer than 65,535
/// bytes, which no entry of ours is.
pub fn write_bundle(leaves: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(leaves.iter().map(|leaf| leaf.len() + 2).sum());
    for leaf in leaves {
        bytes.extend_from_slice(&u16::try_from(leaf.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    Some(bytes)
}

/// The entries of a bundle; `None` if the bytes end within one.
pub fn read_bundle(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let mut leaves = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (leaf, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        leaves.push(leaf.to_vec());
        rest = after;
    }
    Some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_tlog_tiles_says() {
        let hashes = |level, index, width| TileName { kind: TileKind::Hashes(level), index, width };
        let entries = |index, width| TileName { kind: TileKind::Entries, index, width };
        for (text, name) in [
            ("0/x001/x234/067", hashes(0, 1_234_067, 256)),
            ("63/000", hashes(63, 0, 256)),
            ("1/000.p/17", hashes(1, 0, 17)),
            ("entries/005.p/112", entries(5, 112)),
            ("entries/x001/000", entries(1_000, 256)),
        ] {
            assert_eq!(TileName::parse(text), Some(name), "{text}");
            assert_eq!(name.to_string(), text);
        }
        for wrong in [
            "",
            "0",
            "0/",
            "0/1",
            "0/0001",
            "0/001/002",
            "0/x000/001",
            "00/001",
            "64/001",
            "-1/001",
            "0/+01",
            "0/001.p/0",
            "0/001.p/256",
            "0/001.p/007",
            "0/001.p/",
            "0/001.p/1.p/1",
            "entries/x999/x999/x999/x999/x999/x999/999",
            "data/000",
            "0/x001",
            "0//001",
            "0/001/",
        ] {
            assert_eq!(TileName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let leaves = vec![b"first".to_vec(), Vec::new(), vec![7; 4096]];
        let bytes = write_bundle(&leaves).expect("short entries");
        assert_eq!(&bytes[..7], b"\0\x05first");
        assert_eq!(read_bundle(&bytes), Some(leaves));
        assert_eq!(read_bundle(&bytes[..bytes.len() - 1]), None);
        assert_eq!(read_bundle(&bytes[..1]), None);
        assert_eq!(write_bundle(&[vec![0; 65_536]]), None);
    }
}
