//! Records in and out, and snapshots that the log signs.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::place::Place;
use super::{ExportOptions, Format, ImportOptions, VerifyOptions};
use crate::cli::Output;
use crate::cli::evidence::{public_key, receipt_file};
use crate::cli::exit::{Exit, Failure};
use crate::digest::Sha256;
use crate::directory::{Agency, Code, Directory, built_in, csv};
use crate::evidence::Receipt;
use crate::limits::DIRECTORY_SIZE_MAX;
use crate::log::{Entry, Event, LogPublicKey};
use crate::proto::v1;

pub(super) fn import(options: &ImportOptions) -> Result<Exit, Failure> {
    let new = read(&options.file)?;
    let mut all = match &options.into {
        Some(path) => read(path)?,
        None => built_in(),
    };
    let mut known: HashMap<Code, Vec<Agency>> = HashMap::new();
    for agency in &all {
        known.entry(agency.code.clone()).or_default().push(agency.clone());
    }
    let mut stated: BTreeMap<Code, Vec<Agency>> = BTreeMap::new();
    for agency in new {
        stated.entry(agency.code.clone()).or_default().push(agency);
    }
    let (mut added, mut corrected) = (0, 0);
    for (code, records) in stated {
        match known.get(&code) {
            None => {
                added += records.len();
                all.extend(records);
            }
            Some(known) if records.iter().all(|record| known.contains(record)) => {}
            Some(known) => {
                let ((last, before), (_, after)) = (latest(known), latest(&records));
                if before != after {
                    corrected += after.len();
                    let next = |record| Agency { revision: last + 1, ..record };
                    all.extend(after.into_iter().map(next));
                }
            }
        }
    }
    let as_of = all.iter().map(|agency| agency.valid_from).max();
    let as_of = as_of.ok_or_else(|| Failure::other("there are no records"))?;
    // Hosts belong to the directory file that will take the records in.
    let alone = all.iter().map(|agency| Agency { host: None, ..agency.clone() }).collect();
    Directory::new(as_of, alone, Vec::new())
        .map_err(|error| Failure::new(Exit::Configuration, error))?;
    all.sort_by(|one, other| {
        let order = one.code.cmp(&other.code).then(one.revision.cmp(&other.revision));
        order.then(one.valid_from.cmp(&other.valid_from))
    });
    write(options.out.as_deref(), csv::write(&all).as_bytes())?;
    eprintln!("{added} records added, {corrected} corrected, {} in all", all.len());
    Ok(Exit::Ok)
}

/// The highest revision of a code, and what its records say, in the order of their periods.
fn latest(records: &[Agency]) -> (u32, Vec<Agency>) {
    let last = records.iter().map(|record| record.revision).max().unwrap_or_default();
    let of_last = records.iter().filter(|record| record.revision == last);
    let mut said: Vec<_> = of_last.map(|record| Agency { revision: 0, ..record.clone() }).collect();
    said.sort_by_key(|record| record.valid_from);
    (last, said)
}

/// Records from a CSV file, or from a JSON array of objects with the same names.
fn read(path: &Path) -> Result<Vec<Agency>, Failure> {
    let wrong = |problem: String| {
        Failure::new(Exit::Configuration, format!("{}: {problem}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| Failure::file(path, error))?.len();
    if size > DIRECTORY_SIZE_MAX {
        return Err(wrong(format!("{size} bytes are more than {DIRECTORY_SIZE_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return csv::read(&text).map_err(|error| wrong(error.to_string()));
    }
    let rows: Vec<Map<String, Value>> =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let row = |(index, row): (usize, &Map<String, Value>)| {
        let known = |name: &&String| !csv::COLUMNS.contains(&name.as_str());
        if let Some(name) = row.keys().find(known) {
            return Err(wrong(format!("record {}: there is no field {name:?}", index + 1)));
        }
        let fields = csv::COLUMNS.map(|column| field(row.get(column)));
        csv::record(&fields).map_err(|column| wrong(format!("record {}: {column}", index + 1)))
    };
    rows.iter().enumerate().map(row).collect()
}

fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => String::new(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

pub(super) async fn export(options: ExportOptions) -> Result<Exit, Failure> {
    if options.signed {
        return export_signed(&options).await;
    }
    let directory = match options.place.file()? {
        Some(directory) => directory,
        None => latest_of(&options.place).await?,
    };
    let bytes = match options.format {
        Format::Canonical => directory.canonical(),
        Format::Csv => csv::write(directory.records()).into_bytes(),
        Format::Json => {
            let record = |agency: &Agency| {
                let columns = csv::COLUMNS.into_iter().zip(csv::fields(agency));
                let filled = columns.filter(|(_, value)| !value.is_empty());
                filled.map(|(name, value)| (name.to_owned(), json!(value))).collect()
            };
            let records: Vec<Map<String, Value>> = directory.records().iter().map(record).collect();
            serde_json::to_vec_pretty(&records).map_err(Failure::other)?
        }
    };
    write(options.out.as_deref(), &bytes)?;
    Ok(Exit::Ok)
}

async fn export_signed(options: &ExportOptions) -> Result<Exit, Failure> {
    let (Some(key), Some(out)) = (&options.log_key, &options.out) else {
        return Err(Failure::other("--signed needs --log-key and --out"));
    };
    let key = public_key(key)?;
    let (receipt, bytes) = fetch(&options.place).await?;
    let file = receipt_file(&receipt)?;
    proven(&bytes, &file, &key)?;
    write(Some(out), &bytes)?;
    write(Some(&beside(out)), file.as_bytes())?;
    eprintln!("{} and its receipt hold", out.display());
    Ok(Exit::Ok)
}

/// The directory of the last version that the gateway's log names.
pub(super) async fn latest_of(place: &Place) -> Result<Directory, Failure> {
    let (_, bytes) = fetch(place).await?;
    Directory::from_canonical(&bytes).map_err(Failure::other)
}

async fn fetch(place: &Place) -> Result<(v1::Receipt, Vec<u8>), Failure> {
    let request = v1::GetSnapshotRequest { version: 0 };
    let mut pieces = place.gateway().await?.get_snapshot(request).await?.into_inner();
    let (mut receipt, mut bytes, mut size) = (None, Vec::new(), 0);
    while let Some(piece) = pieces.message().await? {
        if let Some(first) = piece.receipt {
            (receipt, size) = (Some(first), piece.size);
        }
        bytes.extend_from_slice(&piece.chunk);
        if bytes.len() as u64 > DIRECTORY_SIZE_MAX {
            return Err(Failure::other("the snapshot is larger than any directory"));
        }
    }
    let whole = bytes.len() as u64 == size;
    let receipt = receipt.filter(|_| whole);
    Ok((receipt.ok_or_else(|| Failure::other("the snapshot came in part"))?, bytes))
}

pub(super) fn verify(options: &VerifyOptions, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.log_key)?;
    let bytes =
        std::fs::read(&options.file).map_err(|error| Failure::file(&options.file, error))?;
    let path = options.receipt.clone().unwrap_or_else(|| beside(&options.file));
    let receipt = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, error))?;
    let (entry, agencies) = proven(&bytes, &receipt, &key)?;
    match output {
        Output::Json => println!("{}", json!({ "entry": entry, "agencies": agencies })),
        Output::Text => println!("entry {entry} names this directory of {agencies} agencies"),
    }
    Ok(Exit::Ok)
}

/// The entry that names a snapshot, and how many agencies are in it.
fn proven(bytes: &[u8], receipt: &str, key: &LogPublicKey) -> Result<(String, usize), Failure> {
    let failed = |problem: String| Failure::new(Exit::VerificationFailed, problem);
    let receipt = Receipt::read(receipt.as_bytes()).map_err(|error| failed(error.to_string()))?;
    let proven = receipt.verify(key).map_err(|error| failed(error.to_string()))?;
    let entry: &Entry = &proven;
    if entry.event != Event::DirectoryChange || entry.content != Some(Sha256::of(bytes)) {
        return Err(failed("the receipt is not that of this snapshot".into()));
    }
    let directory = Directory::from_canonical(bytes).map_err(|error| failed(error.to_string()))?;
    Ok((receipt.id.to_string(), directory.agencies().len()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".receipt");
    name.into()
}

fn write(path: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    match path {
        Some(path) => std::fs::write(path, bytes).map_err(|error| Failure::file(path, error)),
        None => std::io::stdout().write_all(bytes).map_err(Failure::other),
    }
}
