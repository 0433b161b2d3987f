//! FlateDecode with predictors, within a budget.

use std::cell::Cell;

use flate2::{Decompress, FlushDecompress, Status};

use super::file::Fault;
use super::object::{Dictionary, Object};
use crate::limits::{PDF_INFLATED_MAX, PDF_INFLATED_STREAM_MAX};

/// How many inflated bytes one file may still have.
#[derive(Debug)]
pub(super) struct InflateBudget(Cell<usize>);

impl Default for InflateBudget {
    fn default() -> Self {
        Self(Cell::new(PDF_INFLATED_MAX))
    }
}

/// Decodes a stream that holds structure (objects or cross-references). Only what such streams use
/// in practice is understood: no filter, or FlateDecode with a PNG predictor.
pub(super) fn decode(
    dictionary: &Dictionary,
    data: &[u8],
    budget: &InflateBudget,
) -> Result<Vec<u8>, Fault> {
    let filters: Vec<&Object> = match dictionary.get("Filter") {
        None => Vec::new(),
        Some(Object::Array(filters)) => filters.iter().collect(),
        Some(filter) => vec![filter],
    };
    let inflated = match filters[..] {
        [] => {
            spend(budget, data.len())?;
            return Ok(data.to_vec());
        }
        [Object::Name(name)] if name == b"FlateDecode" || name == b"Fl" => inflate(data, budget)?,
        _ => return Err(Fault::OverBudget),
    };
    let parameters = match dictionary.get("DecodeParms") {
        Some(Object::Dictionary(parameters)) => Some(parameters),
        Some(Object::Array(list)) => match list.first() {
            Some(Object::Dictionary(parameters)) => Some(parameters),
            _ => None,
        },
        _ => None,
    };
    let Some(parameters) = parameters else { return Ok(inflated) };
    let number = |key, default| parameters.unsigned(key).unwrap_or(default);
    match number("Predictor", 1) {
        1 => Ok(inflated),
        10..=15 => {
            let bits = number("Colors", 1).saturating_mul(number("BitsPerComponent", 8));
            let row = bits.saturating_mul(number("Columns", 1)).div_ceil(8);
            let step = usize::try_from(bits.div_ceil(8)).map_err(|_| Fault::OverBudget)?;
            let row = usize::try_from(row).map_err(|_| Fault::OverBudget)?;
            unpredict(inflated, row, step)
        }
        _ => Err(Fault::OverBudget),
    }
}

fn spend(budget: &InflateBudget, size: usize) -> Result<(), Fault> {
    budget.0.set(budget.0.get().checked_sub(size).ok_or(Fault::OverBudget)?);
    Ok(())
}

fn inflate(data: &[u8], budget: &InflateBudget) -> Result<Vec<u8>, Fault> {
    let mut stream = Decompress::new(true);
    let mut inflated: Vec<u8> = Vec::with_capacity(data.len().saturating_mul(4).min(1 << 20));
    loop {
        let consumed = usize::try_from(stream.total_in()).map_err(|_| Fault::OverBudget)?;
        let rest = data.get(consumed..).unwrap_or_default();
        let before = inflated.len();
        inflated.reserve(64 * 1024);
        let status = stream
            .decompress_vec(rest, &mut inflated, FlushDecompress::None)
            .map_err(|_| Fault::Broken(0))?;
        let gained = inflated.len() - before;
        spend(budget, gained)?;
        if inflated.len() > PDF_INFLATED_STREAM_MAX {
            return Err(Fault::OverBudget);
        }
        let advanced = u64::try_from(consumed).is_ok_and(|consumed| stream.total_in() > consumed);
        match status {
            Status::StreamEnd => return Ok(inflated),
            _ if gained == 0 && !advanced => return Err(Fault::Broken(0)),
            _ => {}
        }
    }
}

/// Undoes the PNG filters (RFC 2083 §6) of rows of `row` bytes.
fn unpredict(data: Vec<u8>, row: usize, step: usize) -> Result<Vec<u8>, Fault> {
    if row == 0 || step == 0 || row > data.len() {
        return Err(Fault::Broken(0));
    }
    let mut plain: Vec<u8> = Vec::with_capacity(data.len());
    let mut previous = vec![0_u8; row];
    for line in data.chunks(row + 1) {
        let Some((&kind, line)) = line.split_first() else { break };
        let mut current = vec![0_u8; line.len()];
        for (at, &byte) in line.iter().enumerate() {
            let pick =
                |row: &[u8], at: Option<usize>| at.and_then(|at| row.get(at)).copied().unwrap_or(0);
            let left = pick(&current, at.checked_sub(step));
            let up = pick(&previous, Some(at));
            let corner = pick(&previous, at.checked_sub(step));
            let guess = match kind {
                0 => 0,
                1 => left,
                2 => up,
                3 => u8::try_from((u16::from(left) + u16::from(up)) / 2).unwrap_or(0),
                4 => paeth(left, up, corner),
                _ => return Err(Fault::Broken(0)),
            };
            if let Some(slot) = current.get_mut(at) {
                *slot = byte.wrapping_add(guess);
            }
        }
        plain.extend_from_slice(&current);
        previous = current;
    }
    Ok(plain)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |byte: u8| (guess - i16::from(byte)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn flate() -> Dictionary {
        let mut dictionary = Dictionary::default();
        dictionary.entries.insert(b"Filter".to_vec(), Object::Name(b"FlateDecode".to_vec()));
        dictionary
    }

    #[test]
    fn a_bomb_ends_at_the_budget() {
        let bomb = deflated(&vec![0; PDF_INFLATED_STREAM_MAX + 1]);
        let budget = InflateBudget::default();
        assert_eq!(decode(&flate(), &bomb, &budget), Err(Fault::OverBudget));
        let large = deflated(&vec![0; PDF_INFLATED_STREAM_MAX]);
        let mut outcomes =
            (0..20).map(|_| decode(&flate(), &large, &budget).map(|bytes| bytes.len()));
        assert_eq!(outcomes.next(), Some(Ok(PDF_INFLATED_STREAM_MAX)));
        assert_eq!(outcomes.last(), Some(Err(Fault::OverBudget)));
    }

    #[test]
    fn truncated_streams_are_broken_and_whole_ones_round_trip() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = deflated(&bytes);
        let budget = InflateBudget::default();
        assert_eq!(decode(&flate(), &packed, &budget).as_ref(), Ok(&bytes));
        assert!(decode(&flate(), &packed[..packed.len() / 2], &budget).is_err());
    }

    #[test]
    fn png_rows_are_undone() {
        let rows = vec![2, 1, 2, 3, 2, 1, 1, 1, 1, 5, 1, 1];
        assert_eq!(unpredict(rows, 3, 1), Ok(vec![1, 2, 3, 2, 3, 4, 5, 6, 7]));
    }
}
