//! Looking for words in bytes of any size, forwards and through a window.

use crate::limits::HASH_WINDOW_SIZE;
use crate::source::{Source, Unreadable};

/// Words may have this many bytes.
const WORD_SIZE_MAX: usize = 64;

/// Whether one of the words stands in `source`.
pub(super) fn mentions(source: &dyn Source, words: &[&[u8]]) -> Result<bool, Unreadable> {
    let mut window: Vec<u8> = Vec::new();
    let mut offset = 0;
    while offset < source.size() {
        // A word may lie across the end of the last piece.
        let kept = window.len().min(WORD_SIZE_MAX);
        window.drain(..window.len() - kept);
        let left = usize::try_from(source.size() - offset).unwrap_or(usize::MAX);
        let size = left.min(HASH_WINDOW_SIZE);
        window.resize(kept + size, 0);
        source.read_at(offset, window.get_mut(kept..).ok_or(Unreadable)?)?;
        if words.iter().any(|word| memchr::memmem::find(&window, word).is_some()) {
            return Ok(true);
        }
        offset += u64::try_from(size).map_err(|_| Unreadable)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::OnDisk;

    #[test]
    fn a_word_across_two_pieces_is_found() {
        let word = b"META-INF/signature";
        for at in [0, 10, HASH_WINDOW_SIZE - 9, HASH_WINDOW_SIZE, 2 * HASH_WINDOW_SIZE - 1] {
            let mut bytes = vec![0; 3 * HASH_WINDOW_SIZE];
            bytes[at..at + word.len()].copy_from_slice(word);
            assert_eq!(mentions(&OnDisk(&bytes), &[b"other", word]), Ok(true), "{at}");
            bytes[at] = b'm';
            assert_eq!(mentions(&OnDisk(&bytes), &[b"other", word]), Ok(false), "{at}");
        }
        assert_eq!(mentions(&b"", &[b"a"]), Ok(false));
    }
}
