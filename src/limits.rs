//! Every number that bounds something, with its source.
//!
//! A bound that an operator may lower stands in the configuration; the values here are the ceilings.

use std::time::Duration;

// ── documents ──────────────────────────────────────────────────────────────────────────────────

/// Envelope bytes. 5,000 explicit recipients of 35 characters and all texts at their limits fit.
pub const ENVELOPE_SIZE_MAX: usize = 512 * 1024;
/// Parts of one document (issue scale: 50; design §3).
pub const PARTS_MAX: usize = 50;
/// One part: 10 GiB, the largest consignment planned for.
pub const PART_SIZE_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// All parts of a document together.
pub const DOCUMENT_SIZE_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// Recipients of one document after groups are expanded; the country has 3,321 communes.
pub const RECIPIENTS_MAX: usize = 5_000;
/// Links to replied or replaced documents.
pub const LINKS_MAX: usize = 32;

// ── calls ──────────────────────────────────────────────────────────────────────────────────────

/// One gRPC message. gRPC's own default of 4 MiB, which every client library shares.
pub const MESSAGE_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Content in one chunk of an upload or a fetch (ecosystem survey §3.1: 256 KiB).
pub const CHUNK_SIZE: usize = 256 * 1024;
/// A call without a deadline of its own gets this one.
pub const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// An upload or fetch may take long, but a pause between two chunks may not.
pub const CHUNK_DEADLINE: Duration = Duration::from_secs(30);
/// TLS handshake; a slow one holds a socket and nothing else.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Connections at once; each costs a file descriptor and its buffers.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Bytes taken from a connection at a time, and kept for it. rustls alone asks for 4 KiB, which is 25
/// calls of the system for a part of 100 KiB: 4.6 % of the gateway's time under load.
pub const READ_AHEAD_SIZE: usize = 32 * 1024;
/// Watches that one system may have open: a province's system hosts a few hundred communes.
pub const WATCHES_PER_SYSTEM_MAX: usize = 1_024;
/// One look into a mailbox of a system's, by a list or a new watch, in so long: a system that hosts
/// 500 mailboxes may look into each every ten seconds.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The stock of looks: as many as it may have watches, so that all can be opened at once.
pub const POLLS_AT_ONCE: u32 = 1_024;
/// A list that waits for something new answers after so long: before most proxies cut an idle call.
pub const POLL_WAIT_MAX: Duration = Duration::from_secs(30);
/// Calls at once on one connection: all watches of a system and as many other calls.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 2_048;
/// Items in one page of a list.
pub const PAGE_SIZE_MAX: usize = 500;
/// Characters of an identifier or number that is looked for: as long as an identifier may be.
pub const SEARCH_TEXT_LENGTH_MAX: usize = 100;
/// Entries and deliveries looked at for one page of a search or report: at some 20 us each, a fifth
/// of a second. Who finds little among them gets the rest with the next page.
pub const SEARCHED_ENTRIES_MAX: usize = 10_000;
/// One entry of an auditor's read in so long, once the stock is used up: 86,400 a day at most.
pub const READ_INTERVAL: Duration = Duration::from_secs(1);
/// The stock: a morning's work by hand, or the questions of a program that works off a list.
pub const READS_AT_ONCE: u32 = 600;
/// A reader that would have to wait longer is told to come again: half a call's deadline.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(30);
/// Rows of a register in one message: 64 of 8 KiB are half a MiB.
pub const REGISTER_ROWS_AT_ONCE: usize = 64;
/// Characters of the addressees in a row of a register; the rest is counted.
pub const REGISTER_NAMES_LENGTH_MAX: usize = 1_000;
/// Reasons that are counted apart in statistics; the catalogue has fewer than a hundred.
pub const REPORT_REASONS_MAX: usize = 256;
/// Time given to calls in flight after SIGTERM.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

// ── log ────────────────────────────────────────────────────────────────────────────────────────

/// One entry (log survey: sled spills larger values into files that nothing syncs; C2SP allows 64 KiB).
pub const ENTRY_SIZE_MAX: usize = 4_096;
/// Entries after which a batch is closed; above it only latency grows (log survey §3.3).
pub const BATCH_ENTRIES_MAX: usize = 256;
/// Commands waiting for the sequencer; beyond it callers are told UNAVAILABLE and when to come back.
pub const SEQUENCER_QUEUE_MAX: usize = 4_096;
/// Facts that wait to be recorded although nobody waits for them: beyond it whoever tells them does.
/// A burst of a document to 5,000 recipients fits ten times, in about 10 MB.
pub const RECORDING_QUEUE_MAX: usize = 65_536;
/// Facts recorded in one step: a quarter of a batch, so that documents find room beside them.
pub const RECORDED_AT_ONCE: usize = BATCH_ENTRIES_MAX / 4;
/// The longest time that a recipient can be given; the audit judges up to 49 days.
pub const DEADLINE_MAX: Duration = Duration::from_secs(45 * 24 * 3600);
/// How soon an authority that gave no time-stamp is asked again, if its interval is longer.
pub const STAMP_RETRY: Duration = Duration::from_secs(60);
/// How often deadlines are looked at: failures are recorded so much later at most, unless there are many.
pub const DEADLINES_LOOK: Duration = Duration::from_secs(1);
/// Entries of an epoch; open time and memory of sled grow with its size (log survey §3.3).
pub const EPOCH_ENTRIES_MAX: u64 = 10_000_000;
/// A stored value: an entry of 4 KiB with its length (log survey §3.4: values up to 6,000 bytes never
/// spilled; half a tile has 4 KiB).
pub const STORED_VALUE_SIZE_MAX: usize = 4_098;
/// Records of the index (16 bytes each) that are in memory before they become a run: 1 MiB, and at
/// most twice as many are derived again at a start, in half a second.
pub const INDEX_RUN_RECORDS: usize = 65_536;
/// Runs of a level that are merged into one of the next: a lookup asks the filters of fewer than
/// twice as many in each level, and a record is written once more per level.
pub const INDEX_RUNS_PER_LEVEL: usize = 4;
/// Levels of the index: 65,536 records times 4²⁰ are more than there will ever be.
pub const INDEX_LEVELS_MAX: u32 = 20;
/// Bits of the filter for each record of a run: about 1 % wrong answers, 12 MB for 10 M records.
pub const INDEX_FILTER_BITS: u64 = 10;
/// Bytes of a run after which it is synced, because one sync of all would hold up the writer.
pub const INDEX_SYNC_EVERY: usize = 1 << 20;
/// Pairs read from the store, or copied within it, at a time: 256 values of 4 KiB are 1 MiB, and
/// larger batches only add latency (log survey §3.3).
pub const SCAN_PAGE: usize = 256;
/// Tries, 20 ms apart, to lock a database that this process closed a moment ago.
pub const LOCK_ATTEMPTS_MAX: usize = 50;
/// Findings an audit keeps; what lies beyond is counted. More than a person reads, and little memory.
pub const AUDIT_FINDINGS_MAX: usize = 1_000;
/// Checkpoints that an audit remembers, to hold time-stamps against them: a token comes seconds after
/// its checkpoint, and a thousand checkpoints a second are many.
pub const AUDIT_HEADS_KEPT_MAX: usize = 65_536;

// ── readers and witnesses of the log ───────────────────────────────────────────────────────────

/// Connections of readers at once: auditors and neighbours, and each costs what one of gRPC does.
pub const READER_CONNECTIONS_MAX: usize = 512;
/// A reader's connection may pause so long between two requests.
pub const READER_PAUSE_MAX: Duration = Duration::from_secs(60);
/// A reader's connection is closed after so long, so that who reads nothing holds its place no
/// longer; a full bundle (1 MiB) takes a second on a line of 8 Mbit/s.
pub const READER_CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);

/// A tlog-policy file: 128 keys of 150 characters, with names and addresses.
pub const POLICY_SIZE_MAX: usize = 64 * 1024;
/// Witnesses and groups in it; C2SP asks for at least 32 of each.
pub const POLICY_NAMES_MAX: usize = 128;
/// Hashes of a consistency proof (C2SP tlog-witness).
pub const CONSISTENCY_PROOF_MAX: usize = 63;
/// A request to a witness: 63 hashes in base64 and a note of 16 KiB, or a receipt.
pub const WITNESS_REQUEST_SIZE_MAX: usize = RECEIPT_SIZE_MAX;
/// An answer of a witness: some signature lines.
pub const WITNESS_ANSWER_SIZE_MAX: usize = 16 * 1024;
/// A proof of a fork: two notes, and an entry with its path, all at their limits.
pub const FORK_FILE_SIZE_MAX: usize = 64 * 1024;
/// Entries after which a mirror counts what it has as kept: a second's work is lost at most.
pub const MIRROR_STEP: u64 = 65_536;
/// Files kept as proof against one gateway; a forked log sends its checkpoints again and again.
pub const FORK_FILES_MAX: usize = 64;

// ── evidence ───────────────────────────────────────────────────────────────────────────────────

/// Entries of an evidence file up to which each is sealed as XML: a signature takes a millisecond, and
/// the caller waits.
pub const EVIDENCE_SEALED_MAX: usize = 500;
/// A receipt file: an entry in base64, 64 hashes and a checkpoint note at their limits are 25 KiB.
pub const RECEIPT_SIZE_MAX: usize = 32 * 1024;
/// One evidence file, which is held in memory: 5,000 recipients with five entries each need 50 MiB,
/// certificates and CRLs a few more; parts that do not fit are left out and proven by their digests.
pub const EVIDENCE_SIZE_MAX: usize = 256 * 1024 * 1024;
/// Bodies in one evidence file; larger ones are proven by their digests.
pub const EVIDENCE_PARTS_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// Files in it; zip without its 64-bit extension ends at 65,535.
pub const EVIDENCE_FILES_MAX: usize = 60_000;
/// A path in it; a part's name has up to 200 characters of 4 bytes.
pub const EVIDENCE_PATH_SIZE_MAX: usize = 1_024;

// ── directory ──────────────────────────────────────────────────────────────────────────────────

/// Records of agencies, closed ones included: the national axis lists 111,339 agencies, and ten
/// times as many take half a GiB.
pub const DIRECTORY_AGENCIES_MAX: usize = 1_000_000;
/// Levels of agencies below each other: four before 1 July 2025, divisions and teams below them.
pub const DIRECTORY_DEPTH_MAX: usize = 16;
/// Successors after each other: one for each reform, of which a generation sees a handful.
pub const SUCCESSION_CHAIN_MAX: usize = 16;
/// Characters of a name in the directory (NĐ 30/2020 Annex VI: OrganName 200).
pub const DIRECTORY_TEXT_LENGTH_MAX: usize = 200;
/// Bytes of a directory file or snapshot: a million records of 250 bytes.
pub const DIRECTORY_SIZE_MAX: u64 = 256 * 1024 * 1024;
/// Changes in one message of a directory watch: 500 records of 2 KiB fit a message.
pub const DIRECTORY_CHANGES_AT_ONCE: usize = 500;
/// Differences between two versions that are kept for the next watcher.
pub const DIRECTORY_DIFFERENCES_KEPT: usize = 8;
/// How often what waits for a closed agency is looked for, besides after each change: what was routed
/// before midnight and committed after it is redirected so much later.
pub const REDIRECTIONS_LOOK: Duration = Duration::from_secs(60);
/// The same of the dossiers of a closed agency, of which every one that it ever had is looked at: some 20
/// us each.
pub const SUCCESSIONS_LOOK: Duration = Duration::from_secs(3_600);
/// Snapshots that are handed out at once: each is in memory, 15 MB for 120,000 agencies.
pub const DIRECTORY_SNAPSHOTS_MAX: usize = 8;
/// Watches of the directory at once: each system has one, and some reconnect.
pub const DIRECTORY_WATCHES_MAX: usize = 4_096;

// ── delivery ───────────────────────────────────────────────────────────────────────────────────

/// How long a recipient may hold an item before it is offered again.
pub const LEASE: Duration = Duration::from_secs(300);
/// Items a watcher may have open before it acknowledges one.
pub const LEASED_ITEMS_MAX: usize = 256;
/// Items handed out before it is looked again whether something more urgent has come.
pub const HANDED_OUT_AT_ONCE: usize = 16;
/// Items of each lane, hỏa tốc first, that are handed out in a round in which all lanes have some:
/// each lane goes twice as fast as the next, and of any 15 items one is of the last.
pub const LANE_TURNS: [u32; 4] = [8, 4, 2, 1];
/// Of the places of a watcher, those that each lane has for itself, hỏa tốc first; the other 112 are
/// for whatever comes first.
pub const LANE_PLACES: [usize; 4] = [64, 32, 32, 16];
/// An item that was handed out so often without an answer is set aside: two leases let a restart of
/// the recipient's system pass, five are half an hour.
pub const POISON_ATTEMPTS: u32 = 5;
/// How often the metrics look for what has waited longest, or less often if there is much to look at.
pub const BACKLOG_LOOK: Duration = Duration::from_secs(5);
/// Places of a watcher for what is set aside.
pub const ASIDE_PLACES: usize = 16;
/// Holds on one consignment at once: each authority that may ask for one, a few times over.
pub const HOLDS_MAX: usize = 16;
/// Consignments whose bodies are erased in one run: their digests stay in memory, 300 KiB.
pub const ERASURES_AT_ONCE: usize = 1_000;
/// How long an erasure waits for documents on their way that may share a body: longer than any call.
pub const ERASURE_DRAIN_DEADLINE: Duration = Duration::from_secs(120);
/// Free text of a refusal or status report, in bytes (QCVN 102 Description: 500 characters).
pub const NOTE_SIZE_MAX: usize = 2_000;

// ── dossiers ───────────────────────────────────────────────────────────────────────────────────

/// Steps of one dossier: a land dossier has some thirty, and every opinion two.
pub const DOSSIER_STEPS_MAX: usize = 500;
/// Times that a citizen may say something about one dossier: some two a week for a year. They take no room
/// from its steps.
pub const DOSSIER_FEEDBACK_MAX: usize = 100;
/// Agencies that have a dossier or are asked about it: its record holds their codes.
pub const DOSSIER_PARTIES_MAX: usize = 32;
/// Opinions that a dossier may wait for at once: all departments of a province, whose record must fit.
pub const DOSSIER_OPINIONS_MAX: usize = 16;
/// Working days after which who was asked may be taken to consent: a quarter of a year.
pub const OPINION_WORKING_DAYS_MAX: u32 = 66;
/// Characters of a procedure's code (mã TTHC); those of the national database have 8 to 21.
pub const PROCEDURE_LENGTH_MAX: usize = 50;
/// Characters of a procedure's or a field's name; the longest of the national database have some 500.
pub const PROCEDURE_NAME_LENGTH_MAX: usize = 1_000;
/// Working days that the law may give for a procedure: four years, within [`DOSSIER_TIME_MAX`].
pub const PROCEDURE_WORKING_DAYS_MAX: u32 = 1_000;
/// Procedures of a catalogue, and its fields: three times the national database.
pub const PROCEDURES_MAX: usize = 20_000;
/// Bytes of a file of procedures: 20,000 of 800 bytes.
pub const PROCEDURES_SIZE_MAX: u64 = 16 * 1024 * 1024;
/// Procedures, fields or agencies that one report counts apart: the national database has some 6,500
/// procedures, a province some 500 agencies; so many rows of each fit a message.
pub const DOSSIER_ROWS_MAX: usize = 10_000;
/// Documents of one dossier among which one is sought that the portal took.
pub const DOSSIER_DOCUMENTS_COUNTED_MAX: usize = 256;
/// How often all dossiers are counted for who follows their numbers, at most.
pub const INDICATORS_EVERY: Duration = Duration::from_secs(5);
/// The counting takes one part in so many of the time, however long it takes: 210,000 dossiers take 2 s,
/// or 6 s with a document each, so that they are counted every 20 to 60 s.
pub const INDICATORS_SHARE: u32 = 10;
/// How long counts are good of a log that does not grow: a date passes, a day begins.
pub const INDICATORS_AGE_MAX: Duration = Duration::from_secs(60);
/// How far away a dossier's date may be: five years, longer than any procedure.
pub const DOSSIER_TIME_MAX: Duration = Duration::from_secs(5 * 366 * 24 * 3600);
/// Before a dossier's date, the reminder: a weekend and a working day.
pub const DOSSIER_REMINDER: Duration = Duration::from_secs(72 * 3600);

// ── relay ──────────────────────────────────────────────────────────────────────────────────────

/// Consignments on their way to one neighbour at once: a line of 100 ms round trips carries some 100
/// documents a second with so many, and the neighbour's writer gathers them into few batches.
pub const RELAYS_AT_ONCE: usize = 16;
/// Items looked at to find those that may go beside the ones under way, each with a look-up of 20 us.
pub const RELAY_LOOKAHEAD: usize = 64;
/// Items that are passed over to find them: those that were set aside.
pub const RELAY_SCAN_MAX: usize = 10_000;
/// Parts together that go in the message itself instead of an upload: a quarter of a message, beside
/// an envelope and 5,000 codes at their limits.
pub const RELAY_INLINE_MAX: u64 = 1024 * 1024;
/// Results in one message: receipts of 1.6 KiB each, so that a message is 400 KiB.
pub const RELAY_RESULTS_AT_ONCE: usize = 256;
/// Between two attempts to reach a neighbour, at first and at most (gRPC connection back-off has 1 s
/// and 120 s): half of it is random, so that neighbours do not come back together.
pub const RELAY_PAUSE_MIN: Duration = Duration::from_millis(200);
/// See [`RELAY_PAUSE_MIN`].
pub const RELAY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// A document that the neighbour cannot take as it is handed over is set aside for so long at most.
pub const RELAY_ASIDE_MAX: Duration = Duration::from_secs(600);
/// Gateways behind each other whose receipts are followed in evidence: the country has three on a way.
pub const RELAY_HOPS_MAX: usize = 8;
/// Attempts without an answer that make an outage; one that is missed is none.
pub const RELAY_OUTAGE_ATTEMPTS: u32 = 3;
/// Without a report or a sign of life, which comes every 15 s, the connection counts as broken.
pub const REPORTS_SILENCE_MAX: Duration = Duration::from_secs(45);

// ── content ────────────────────────────────────────────────────────────────────────────────────

/// A file that is only verified: as large as a scanned volume of a dossier; a submission takes more.
pub const VERIFY_SIZE_MAX: u64 = 1024 * 1024 * 1024;
/// Files that are verified at once: with [`VERIFY_SIZE_MAX`], 8 GiB of disk for what is not kept.
pub const VERIFICATIONS_MAX: usize = 8;
/// How long such a file may be on its way: 1 GiB at 2 MB/s. The places are few, so none is held by a
/// trickle.
pub const VERIFY_DEADLINE: Duration = Duration::from_secs(600);
/// Content up to this size goes into shared volume files; larger content gets a file of its own.
pub const VOLUME_BLOB_SIZE_MAX: u64 = 4 * 1024 * 1024;
/// A volume file is closed at this size: small enough to copy, large enough to be few.
pub const VOLUME_SIZE_MAX: u64 = 1024 * 1024 * 1024;
/// Bodies that the kernel may keep in its cache behind the writer: 2,600 documents of 100 KB.
pub const VOLUME_CACHED: u64 = 256 * 1024 * 1024;
/// Steps in which it forgets older ones: small, because the writer waits meanwhile.
pub const VOLUME_STEP: u64 = 4 * 1024 * 1024;
/// Requests that wait for the content writer: four groups of 256 single pieces.
pub const CONTENT_QUEUE_MAX: usize = 1_024;
/// Open handles of volumes for reading: 64 GiB of the newest bodies without opening a file.
pub const VOLUME_HANDLES_MAX: usize = 64;
/// Bodies remembered so that the same one is not written twice within a few seconds.
pub const RECENT_CONTENTS_MAX: usize = 4_096;
/// Uploads that one system may have staged: four documents with all their parts.
pub const STAGED_MAX: usize = 4 * PARTS_MAX;
/// Bytes that a system may stage and have kept in a day if its quota is not configured: 10 million
/// documents of 100 KiB.
pub const QUOTA_PER_DAY: u64 = 1 << 40;
/// How often the day's sums are written: so much work is forgiven by a crash.
pub const QUOTA_NOTED_EVERY: Duration = Duration::from_secs(1);
/// An upload that nobody touched for a week is given up: longer than any holiday weekend.
pub const UPLOAD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

// ── signatures ─────────────────────────────────────────────────────────────────────────────────

/// Signatures judged in one document.
pub const SIGNATURES_MAX: usize = 64;
/// A CMS signature inside a document, DER; real ones with long CRLs inside reach 2 MiB.
pub const CMS_SIZE_MAX: usize = 8 * 1024 * 1024;
/// Nesting of ASN.1 values.
pub const ASN1_DEPTH_MAX: usize = 32;
/// Certificates on one path, anchor included (RFC 5280 sets none; real ones have 2–4).
pub const PATH_DEPTH_MAX: usize = 8;
/// Signature checks spent on building one path (webpki's budget is 100).
pub const PATH_CHECKS_MAX: usize = 100;
/// Cross-reference sections followed in one PDF (each incremental update adds one).
pub const PDF_REVISIONS_MAX: usize = 1_024;
/// Objects in one PDF (ISO 32000-1 annex C: 8,388,607).
pub const PDF_OBJECTS_MAX: usize = 1_000_000;
/// Objects visited in one PDF, over all its signatures: each compares its own revision with the
/// last. Five signatures in a file of a million objects.
pub const PDF_STEPS_MAX: usize = 10 * PDF_OBJECTS_MAX;
/// Nesting of PDF arrays and dictionaries.
pub const PDF_DEPTH_MAX: usize = 64;
/// All CMS signatures of one PDF together: 64 of 128 KiB.
pub const PDF_SIGNATURES_SIZE_MAX: usize = CMS_SIZE_MAX;
/// Bytes that are inflated in one PDF, some of them again: half a second.
pub const PDF_INFLATED_MAX: usize = 128 * 1024 * 1024;
/// One inflated stream of structure: a cross-reference stream of a million rows has 8 MiB.
pub const PDF_INFLATED_STREAM_MAX: usize = 12 * 1024 * 1024;
/// Object streams that are kept inflated; beyond it they are inflated again.
pub const PDF_CACHED_SIZE_MAX: usize = 12 * 1024 * 1024;
/// Values of objects that are kept; beyond it they are read again. One takes up to 60 bytes.
pub const PDF_CACHED_VALUES_MAX: usize = 200_000;
/// References that wait to be followed, 8 bytes each.
pub const PDF_WAITING_MAX: usize = 2 * PDF_OBJECTS_MAX;
/// Sections of a PDF that are looked through one by one; what is older is put together.
pub const PDF_VIEW_LAYERS_MAX: usize = 8;
/// Values (numbers, names, keys, strings, …) read from one PDF, some of them again: real files of
/// 100 MB have up to 1 M values and as many keys.
pub const PDF_VALUES_MAX: usize = 10_000_000;
/// Values of one object: an array of small numbers costs twenty times its size in memory, so bytes
/// alone do not bound it. The largest real ones are lists of 100,000 pages; a CMS of 8 MiB counts
/// 131,072.
pub const PDF_OBJECT_VALUES_MAX: usize = 400_000;
/// Bytes of a string or name that count like another value.
pub const PDF_STRING_STEP: usize = 64;
/// One object of a PDF without its stream; a signature's hexadecimal /Contents is the largest.
pub const PDF_OBJECT_SIZE_MAX: usize = 2 * CMS_SIZE_MAX + 64 * 1024;
/// A PDF up to this size is read into memory at once; a larger one through reads of its objects.
pub const PDF_MEMORY_MAX: u64 = 8 * 1024 * 1024;
/// Bytes hashed at a time when the content is not in memory (fits the second-level cache).
pub const HASH_WINDOW_SIZE: usize = 256 * 1024;
/// Bytes between two states of SHA-256 that are kept of content in memory: some 200 bytes each, and
/// half of this is hashed again, 2 us, for each signature.
pub const HASH_STATE_EVERY: usize = 8 * 1024;
/// Signed bytes of a CMS without signed attributes; ring verifies only over the whole message.
pub const PLAIN_MESSAGE_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// One certificate; real ones have 1–4 KiB, post-quantum ones up to 50 KiB.
pub const CERTIFICATE_SIZE_MAX: usize = 64 * 1024;
/// Certificates taken from one CMS signature; real ones carry up to 10.
pub const CERTIFICATES_MAX: usize = 64;
/// Attributes of one CMS signer; real ones have up to 12.
pub const ATTRIBUTES_MAX: usize = 64;
/// RSA keys below this are verified by ring's functions for old signatures.
pub const RSA_BITS_MIN: usize = 2_048;
/// RSA keys above this are not verified (ring's bound; time grows with the square).
pub const RSA_BITS_MAX: usize = 8_192;
/// RSA keys below this are not read (ring's bound); those up to [`RSA_BITS_MIN`] fit, but are weak.
pub const RSA_BITS_READABLE_MIN: usize = 1_024;
/// Bits of an RSA public exponent (ring's bound); real ones have 2 or 17.
pub const RSA_EXPONENT_BITS_MAX: usize = 33;
/// Lines of an algorithm table; TS 119 312 names some thirty algorithms and sizes.
pub const ALGORITHM_ROWS_MAX: usize = 256;
/// Remembered checks between certificates; an entry costs about 100 bytes.
pub const TRUST_LINKS_MAX: usize = 65_536;
/// How far a claimed signing time may lie in the future: local time written as UTC (UTC+7).
pub const CLAIMED_TIME_AHEAD_MAX: Duration = Duration::from_secs(7 * 3600);
/// Nesting of form fields in a PDF; real forms have 2–4.
pub const PDF_FIELD_DEPTH_MAX: usize = 16;
/// Form fields of a PDF that are looked through; the largest tax forms have about 10,000.
pub const PDF_FIELDS_MAX: usize = 100_000;
/// The picture of a signature, in square points: half an A4 page (595 × 842). A seal has 36 mm.
pub const SIGNATURE_AREA_MAX: f64 = 250_000.0;
/// Parsed certificates from documents that are remembered; an entry costs about 8 KiB.
pub const CERTIFICATES_KEPT_MAX: usize = 4_096;
/// Hashes in the trees of one evidence record: 16 time-stamps, each over a tree of 2^20 documents whose
/// nodes have four children, need 500.
pub const EVIDENCE_HASHES_MAX: usize = 10_000;
/// Time-stamps judged on one signature; archives that are renewed yearly reach 10.
pub const TIMESTAMPS_MAX: usize = 16;
/// CRLs and OCSP responses taken from one document; real ones carry up to 30.
pub const EMBEDDED_REVOCATIONS_MAX: usize = 256;
/// All of them together. A list takes five times its size once it is read; real ones have up to 1 MiB.
pub const EMBEDDED_REVOCATIONS_SIZE_MAX: usize = 6 * 1024 * 1024;
/// Answers read from one OCSP response; real ones have 1 (RFC 5019 §2.2.1).
pub const OCSP_ANSWERS_MAX: usize = 64;
/// Certificates tried as the signer of one OCSP response; there is one, or two while keys change.
pub const OCSP_RESPONDERS_MAX: usize = 4;
/// Looks into pieces of revocation data in one document, each of at most nine signature checks; an
/// archive with 10 time-stamps and 30 pieces needs 30 looks for each certificate, 1,000 in all.
pub const REVOCATION_CHECKS_MAX: usize = 2_000;
/// How long an OCSP answer without nextUpdate says anything: newer information is always at hand
/// there (RFC 6960 §4.2.2.1), so it is good for the day on which it was given.
pub const OCSP_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How far the clock of a time-stamping authority or responder may be ahead of ours (the skew that
/// Kerberos allows, RFC 4120 §8.2).
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);
/// Slack around seven hours that still looks like local time written as UTC.
pub const LOCAL_TIME_SLACK: Duration = Duration::from_secs(15 * 60);
/// Names or mappings in one policy extension; real certificates have up to ten.
pub const POLICIES_MAX: usize = 32;
/// Distribution points of one certificate; real ones have up to four, PKITS up to two.
pub const DISTRIBUTION_POINTS_MAX: usize = 32;
/// Comparisons of names with name constraints on one path (webpki's budget).
pub const NAME_COMPARISONS_MAX: usize = 250_000;
/// Paths within paths: the signer of a CRL has a path, whose CRLs have signers. Two are usual.
pub const CRL_PATHS_MAX: usize = 3;
/// One CRL: 4 million entries of 37 bytes.
pub const CRL_SIZE_MAX: usize = 160 * 1024 * 1024;
/// DSA parameters above this are not read (FIPS 186-4 §4.2 ends at 3072).
pub const DSA_BITS_MAX: usize = 3_072;

// ── the National Public Service Portal ─────────────────────────────────────────────────────────

/// A message to the portal; a dossier with its 23 fields and 100 papers has 30 KiB.
pub const PORTAL_MESSAGE_SIZE_MAX: u64 = 256 * 1024;
/// An answer of the portal; its catalogue of some 6,000 procedures with their names has 2 MiB.
pub const PORTAL_ANSWER_SIZE_MAX: usize = 8 * 1024 * 1024;
/// How long the portal may take for an answer; its known clients wait 60 s.
pub const PORTAL_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a user name and password that were not taken rest, unless they change.
pub const PORTAL_CREDENTIALS_PAUSE: Duration = Duration::from_secs(3600);
/// How often it is looked whether they have changed.
pub const PORTAL_CREDENTIALS_LOOK: Duration = Duration::from_secs(2);
/// How long an entry of the catalogue is good; procedures change by decision, not by the hour.
pub const PORTAL_PROCEDURE_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Entries of the catalogue that are remembered; the country has some 6,000 procedures.
pub const PORTAL_PROCEDURES_MAX: usize = 10_000;
/// Messages that are known to wait; an item costs some 200 bytes. More stay in the mailbox for later.
pub const PORTAL_WAITING_MAX: usize = 100_000;
/// Dossiers that the stand-in of the portal remembers: what a test sends in a minute.
pub const PORTAL_STAND_IN_DOSSIERS_MAX: usize = 100_000;
/// Sessions that a server of the portal's API remembers; its known clients hold one each.
pub const PORTAL_SESSIONS_MAX: usize = 1_000;
/// Connections that the portal may have open to us: one for each call that it makes at once.
pub const PORTAL_CONNECTIONS_MAX: usize = 64;
/// One of them may pause so long between two calls.
pub const PORTAL_CONNECTION_PAUSE_MAX: Duration = Duration::from_secs(60);
/// After so long it is ended behind the call that is under way, so that none keeps its place by not
/// reading; another one costs a millisecond.
pub const PORTAL_CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// A call of the portal, body and answer: less than the 60 s for which its known clients wait for it.
pub const PORTAL_CALL_TIME_MAX: Duration = Duration::from_secs(50);
/// Bytes of a call: a hundred dossiers of 30 KiB, or some of the largest.
pub const PORTAL_CALL_SIZE_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a log-in: a user name and a password.
pub const PORTAL_LOGIN_SIZE_MAX: usize = 4 * 1024;
/// Records in one call; each is a document and an entry, some 10 ms one after the other.
pub const PORTAL_RECORDS_MAX: usize = 100;
/// How long a session of the portal's lasts with us: it is renewed by itself, and one that leaks is
/// worthless soon.
pub const PORTAL_SESSION_AGE_MAX: Duration = Duration::from_secs(1800);
/// A user name and password that are wrong are answered after so long: with the connections above, 64
/// guesses a second at most.
pub const PORTAL_LOGIN_PAUSE: Duration = Duration::from_secs(1);
/// Messages of the portal about one dossier: as many documents as a dossier is traced through.
pub const PORTAL_DOSSIER_MESSAGES_MAX: usize = 1_000;
/// Dossiers of which it is remembered what the portal has said, so that it is not read again: some 30
/// KiB each.
pub const PORTAL_DOSSIERS_REMEMBERED_MAX: usize = 1_024;
/// Bytes of all of them: some 16 messages of the largest size for each lock. A dossier with more is read
/// again.
pub const PORTAL_REMEMBERED_SIZE_MAX: usize = 256 * 1024 * 1024;
/// Questions that the portal gives at once and that are remembered: its answer has room for some thousands.
pub const PORTAL_QUESTIONS_MAX: usize = 10_000;
/// Steps that are told and not yet handed over; one takes some 300 bytes, and its place 30 in a file.
pub const PORTAL_STEPS_AHEAD_MAX: usize = 10_000;
/// Dossiers of which it is remembered who received them, some 100 bytes each; another is asked for again.
pub const PORTAL_RECEPTIONS_MAX: usize = 10_000;
/// Names of agencies that are remembered for steps; a province has some hundreds.
pub const PORTAL_NAMES_MAX: usize = 10_000;
/// How long such a name is good; it changes by decree.
pub const PORTAL_NAME_AGE_MAX: Duration = Duration::from_secs(3600);
/// Failures in a row that make an outage, and no longer the trouble of single dossiers.
pub const PORTAL_OUTAGE_FAILURES: u32 = 3;
/// The longest that a dossier with which the portal has trouble waits for its next turn.
pub const PORTAL_HOLD_MAX: Duration = Duration::from_secs(3600);

// ── XML signatures ─────────────────────────────────────────────────────────────────────────────

/// An XML document that is judged, which is held in memory; edXML and e-invoices stay below 10 MiB.
pub const XML_SIZE_MAX: usize = 32 * 1024 * 1024;
/// `<` or `=` in it: tags and attributes cost some 100 bytes each in memory.
pub const XML_MARKS_MAX: usize = 1_000_000;
/// Elements within elements; libxml2 allows 256.
pub const XML_DEPTH_MAX: usize = 256;
/// Attributes of one element, namespaces among them; each is compared with the others.
pub const XML_ATTRIBUTES_MAX: usize = 128;
/// Namespaces in scope of one element; XBRL reaches 100.
pub const XML_NAMESPACES_MAX: usize = 256;
/// Comparisons of namespace declarations with those in scope, over the whole document.
pub const XML_SCOPES_MAX: usize = 8_000_000;
/// One canonical form: that of a document of XML_SIZE_MAX, with its characters escaped.
pub const XML_CANONICAL_MAX: usize = 2 * XML_SIZE_MAX;
/// Nodes and pieces of 64 bytes that are canonicalized in one document: five signatures, each over
/// a whole document at its bounds.
pub const XML_WORK_MAX: usize = 10_000_000;
/// References of one signature or manifest; an OOXML package of 1,000 parts has as many.
pub const XML_REFERENCES_MAX: usize = 4_096;
/// Transforms of one reference; real ones have up to three.
pub const XML_TRANSFORMS_MAX: usize = 8;
/// Certificates tried as the one whose key made a value; KeyInfo need not say which it is.
pub const XML_SIGNERS_MAX: usize = 8;
/// Manifests of one signature; OOXML has one.
pub const XML_MANIFESTS_MAX: usize = 4;
/// Objects of one signature; real ones have up to five.
pub const XML_OBJECTS_MAX: usize = 64;

// ── signed packages ────────────────────────────────────────────────────────────────────────────

/// Entries of one ZIP package; large spreadsheets have some hundreds.
pub const PACKAGE_ENTRIES_MAX: u64 = 10_000;
/// The central directory of one package: every entry with 1,600 bytes of name and extra fields.
pub const PACKAGE_DIRECTORY_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Oddities of one package that are told.
pub const PACKAGE_ANOMALIES_MAX: usize = 32;
/// Inflated bytes for each packed one; deflate ends at 1,032, spreadsheets reach 60.
pub const PACKAGE_RATIO_MAX: u64 = 200;
/// Inflated bytes that need no such relation: a small file of zeros is no bomb.
pub const PACKAGE_INFLATED_FREE: u64 = 16 * 1024 * 1024;
/// How often everything in a package may be read: for checksums, and for each hash algorithm.
pub const PACKAGE_PASSES_MAX: u64 = 4;
/// One manifest or relationship part; with 10,000 entries it has 3 MiB.
pub const PACKAGE_XML_SIZE_MAX: usize = 4 * 1024 * 1024;
/// All of them together: a spreadsheet of 1,000 sheets has a relationship part of 1 KiB for each.
pub const PACKAGE_STRUCTURE_MAX: usize = 4 * PACKAGE_XML_SIZE_MAX;
/// Nodes of such a part: 10,000 references with their elements and the blanks between them.
pub const PACKAGE_XML_NODES_MAX: u32 = 200_000;

// ── signing ────────────────────────────────────────────────────────────────────────────────────

/// The image of a seal or signature, as a file; a scan of 36 mm at 600 dpi has about 1 MiB.
pub const IMAGE_SIZE_MAX: usize = 8 * 1024 * 1024;
/// Its pixels: 100 mm square at 1,000 dpi.
pub const IMAGE_PIXELS_MAX: usize = 16 * 1024 * 1024;
/// A font file; the largest with Vietnamese letters have about 20 MiB (CJK collections).
pub const FONT_SIZE_MAX: usize = 32 * 1024 * 1024;
/// An answer of a time-stamping authority; real ones have 4–8 KiB with their certificates.
pub const TIMESTAMP_ANSWER_SIZE_MAX: usize = 64 * 1024;
/// Room for a time-stamp token in the signature of a PDF.
pub const TIMESTAMP_TOKEN_ROOM: usize = 24 * 1024;
/// How long a time-stamping authority may take in all; the government's was seen to take 131 s.
pub const TIMESTAMP_WAIT_MAX: Duration = Duration::from_secs(150);
/// A PDF that is signed: it is held in memory twice.
pub const SIGNED_PDF_SIZE_MAX: u64 = 512 * 1024 * 1024;
/// Rounds of PBKDF2 for one key file: 4 s here; OWASP asked for 600,000 in 2023.
pub const KEY_ITERATIONS_MAX: u32 = 10_000_000;
/// PEM files with a key or certificates, and files with a PIN.
pub const KEY_FILE_SIZE_MAX: u64 = 1024 * 1024;
