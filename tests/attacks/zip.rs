//! ZIP archives written byte by byte, so that directory and local headers may lie.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

/// One entry; what the two headers say may be changed apart.
#[derive(Clone)]
pub struct Entry {
    pub data: Vec<u8>,
    pub local: Header,
    pub central: Header,
    /// Bytes before the local header that belong to no entry.
    pub gap: Vec<u8>,
    /// Bytes of the data descriptor, if the flags announce one.
    pub descriptor: Vec<u8>,
    /// Whether the entry is written at all, or only named by the directory.
    pub is_written: bool,
    pub is_listed: bool,
    /// Where the directory says that it is, if elsewhere.
    pub offset: Option<u32>,
    /// External attributes.
    pub attributes: u32,
}

#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u32,
    pub size: u32,
    pub extra: Vec<u8>,
}

fn crc(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

fn short(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

impl Entry {
    /// Packed as it is.
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self::new(name, content, content.to_vec(), 0)
    }

    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        Self::new(name, content, encoder.finish().unwrap(), 8)
    }

    fn new(name: &str, content: &[u8], data: Vec<u8>, method: u16) -> Self {
        let header = Header {
            name: name.as_bytes().to_vec(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method,
            crc: crc(content),
            packed: short(data.len()),
            size: short(content.len()),
            extra: Vec::new(),
        };
        Self {
            data,
            local: header.clone(),
            central: header,
            gap: Vec::new(),
            descriptor: Vec::new(),
            is_written: true,
            is_listed: true,
            offset: None,
            attributes: 0,
        }
    }

    /// Sizes and checksum after the data, as programs that write into a pipe do.
    pub fn streamed(mut self) -> Self {
        let Header { crc, packed, size, .. } = self.central;
        self.local.flags |= 1 << 3;
        self.central.flags |= 1 << 3;
        (self.local.crc, self.local.packed, self.local.size) = (0, 0, 0);
        self.descriptor = [
            b"PK\x07\x08".to_vec(),
            crc.to_le_bytes().to_vec(),
            packed.to_le_bytes().to_vec(),
            size.to_le_bytes().to_vec(),
        ]
        .concat();
        self
    }

    /// Both headers.
    pub fn headers(&mut self) -> [&mut Header; 2] {
        [&mut self.local, &mut self.central]
    }
}

impl Header {
    fn fields(&self) -> Vec<u8> {
        [
            &self.flags.to_le_bytes()[..],
            &self.method.to_le_bytes(),
            &[0, 0, 0x21, 0x5d],
            &self.crc.to_le_bytes(),
            &self.packed.to_le_bytes(),
            &self.size.to_le_bytes(),
            &u16::try_from(self.name.len()).unwrap().to_le_bytes(),
            &u16::try_from(self.extra.len()).unwrap().to_le_bytes(),
        ]
        .concat()
    }
}

/// The archive.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        bytes.extend(&entry.gap);
        let offset = entry.offset.unwrap_or(short(bytes.len()));
        if entry.is_written {
            bytes.extend(b"PK\x03\x04\x14\x00");
            bytes.extend(entry.local.fields());
            bytes.extend(&entry.local.name);
            bytes.extend(&entry.local.extra);
            bytes.extend(&entry.data);
            bytes.extend(&entry.descriptor);
        }
        if entry.is_listed {
            directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
            directory.extend(entry.central.fields());
            directory.extend([0; 6]);
            directory.extend(entry.attributes.to_le_bytes());
            directory.extend(offset.to_le_bytes());
            directory.extend(&entry.central.name);
            directory.extend(&entry.central.extra);
        }
    }
    let count = entries.iter().filter(|entry| entry.is_listed).count();
    let count = u16::try_from(count).unwrap().to_le_bytes();
    let start = short(bytes.len());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend(short(directory.len()).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// The same archive with the 64-bit end record; `change` may falsify it.
pub fn zip64(entries: &[Entry], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let plain = zip(entries);
    let (body, end) = plain.split_at(plain.len() - 22);
    let number = |at: usize, size: usize| {
        let mut long = [0; 8];
        long[..size].copy_from_slice(&end[at..at + size]);
        long
    };
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44_u64.to_le_bytes());
    record.extend([0x2d, 0, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    record.extend([number(8, 2), number(10, 2), number(12, 4), number(16, 4)].concat());
    change(&mut record);
    let at = u64::try_from(body.len()).unwrap();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &at.to_le_bytes(), &[1, 0, 0, 0]].concat();
    let mut end = end.to_vec();
    end[8..20].fill(0xff);
    [body, &record, &locator, &end].concat()
}

/// Where the local header of an entry stands.
pub fn place(archive: &[u8], name: &str) -> usize {
    let at = archive.windows(name.len()).position(|window| window == name.as_bytes());
    at.expect("it is there") - 30
}
