//! The one catalogue of refusals: why something is not accepted, in words for people and for
//! programs. `service/status.rs` turns a refusal into a gRPC status; the log keeps its code.
//!
//! A refusal is the caller's to mend and is final for the same input. What is *our* trouble is a
//! fault (`gateway::Fault`), never a refusal.

use std::fmt;
use std::time::Duration;

/// What kind of no it is; decides the gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The caller is not who the call needs (UNAUTHENTICATED).
    Unknown,
    /// The caller may not do this (PERMISSION_DENIED).
    Forbidden,
    /// A field is wrong (INVALID_ARGUMENT).
    Invalid,
    /// The named thing does not exist (NOT_FOUND).
    Missing,
    /// The state of things forbids it (FAILED_PRECONDITION).
    State,
    /// The same name was used for something else (ALREADY_EXISTS).
    Conflict,
    /// Too large or too many (RESOURCE_EXHAUSTED).
    TooMuch,
    /// Bytes were lost or changed on the way (DATA_LOSS).
    Damaged,
    /// A range lies outside the thing (OUT_OF_RANGE).
    Range,
    /// The call took longer than its deadline (DEADLINE_EXCEEDED).
    Late,
}

macro_rules! catalogue {
    ($($name:ident $class:ident $code:literal, $english:literal, $vietnamese:literal, $remedy:literal;)*) => {
        /// Why something was refused. The code is stable; it stands in `ErrorInfo.reason`, in the
        /// log and in evidence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $english] $name,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The stable code, `[A-Z][A-Z0-9_]+`, at most 63 characters (AIP-193).
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// What kind of no it is.
            pub fn class(self) -> Class {
                match self { $(Reason::$name => Class::$class,)* }
            }

            /// One English sentence.
            pub fn english(self) -> &'static str {
                match self { $(Reason::$name => $english,)* }
            }

            /// One Vietnamese sentence.
            pub fn vietnamese(self) -> &'static str {
                match self { $(Reason::$name => $vietnamese,)* }
            }

            /// What the caller can do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Reason::$name => $remedy,)* }
            }
        }
    };
}

catalogue! {
    CertificateMissing Unknown "CERTIFICATE_MISSING",
        "no client certificate was presented", "chưa xuất trình chứng thư số của hệ thống",
        "connect with the certificate of your system";
    CertificateUnknown Unknown "CERTIFICATE_UNKNOWN",
        "the certificate belongs to no registered system", "chứng thư số không thuộc hệ thống nào đã đăng ký",
        "ask the operator to register your system in the directory";
    CertificateExpired Unknown "CERTIFICATE_EXPIRED",
        "the client certificate is outside its validity period", "chứng thư số đã hết hạn hoặc chưa có hiệu lực",
        "renew the certificate of your system";
    CertificateRevoked Unknown "CERTIFICATE_REVOKED",
        "the client certificate has been revoked", "chứng thư số đã bị thu hồi",
        "obtain a new certificate from your provider";
    RoleNotAllowed Forbidden "ROLE_NOT_ALLOWED",
        "the role of this system does not allow this call", "vai trò của hệ thống không được phép thực hiện lệnh này",
        "use a system that has the right role";
    AgencyNotYours Forbidden "AGENCY_NOT_YOURS",
        "this system may not speak for that agency", "hệ thống không được phép đại diện cho cơ quan này",
        "name an agency that the directory assigns to your system";
    NeighbourUnknown Forbidden "NEIGHBOUR_UNKNOWN",
        "this gateway does not have yours as a neighbour", "cổng này chưa khai báo cổng của hệ thống là cổng lân cận",
        "ask the operator to add your gateway with the key of its log";
    RelaySenderNotYours Forbidden "RELAY_SENDER_NOT_YOURS",
        "the sender is not behind your gateway", "nơi gửi không thuộc cổng của hệ thống",
        "compare the directories of both gateways";
    RouteForbidden Forbidden "ROUTE_FORBIDDEN",
        "a rule of the directory forbids to send this there", "quy tắc định tuyến không cho phép gửi văn bản này tới nơi nhận",
        "ask the operator about the named rule";
    DossierStepNotYours Forbidden "DOSSIER_STEP_NOT_YOURS",
        "another agency takes this step of the dossier", "bước xử lý này thuộc cơ quan khác",
        "read who has the dossier and who received it";
    NotAParty Forbidden "NOT_A_PARTY",
        "this system hosts neither the sender nor a recipient of the document", "hệ thống không phải bên gửi hoặc bên nhận văn bản",
        "ask one of the parties or an auditor";

    EnvelopeMalformed Invalid "ENVELOPE_MALFORMED",
        "the envelope bytes cannot be read", "không đọc được phong bì văn bản",
        "send the serialized vanthu.v1.Envelope";
    MessageMalformed Invalid "MESSAGE_MALFORMED",
        "the message of the call cannot be read", "không đọc được thông điệp",
        "generate the client from the protos of this version";
    FieldMissing Invalid "FIELD_MISSING",
        "a required field is empty", "thiếu trường bắt buộc",
        "fill in the field";
    FieldTooLong Invalid "FIELD_TOO_LONG",
        "a field is longer than allowed", "trường vượt quá độ dài cho phép",
        "shorten the field";
    FieldMalformed Invalid "FIELD_MALFORMED",
        "a field does not have the form it needs", "trường không đúng định dạng",
        "correct the field";
    CharacterForbidden Invalid "CHARACTER_FORBIDDEN",
        "a field holds control characters or line breaks", "trường chứa ký tự điều khiển hoặc xuống dòng",
        "remove the characters";
    DateInFuture Invalid "DATE_IN_FUTURE",
        "the issue date lies in the future", "ngày ban hành ở tương lai",
        "correct the issue date";
    DueDateBeforeIssue Invalid "DUE_DATE_BEFORE_ISSUE",
        "the due date lies before the issue date", "hạn xử lý trước ngày ban hành",
        "correct the due date";
    StateSecret Invalid "STATE_SECRET",
        "state secrets may not enter this gateway", "không được gửi tài liệu bí mật nhà nước qua hệ thống này",
        "use the channel for secret documents (QĐ 28/2018 Art. 1.2)";
    FieldNotOfStep Invalid "FIELD_NOT_OF_STEP",
        "this step does not have the field", "bước xử lý này không có trường đã nêu",
        "leave the field empty";
    DossierDateOutside Invalid "DOSSIER_DATE_OUTSIDE",
        "the date is not later than now and than the date before, or is too far away", "ngày hẹn phải sau hiện tại và sau ngày hẹn trước, không quá xa",
        "name a date between the two that are named";
    OpinionDaysOutside Invalid "OPINION_DAYS_OUTSIDE",
        "the working days for the opinion are none or too many", "số ngày làm việc để cho ý kiến không hợp lệ",
        "name a number between the limits";
    DossierCodeMalformed Invalid "DOSSIER_CODE_MALFORMED",
        "the dossier code is not AGENCY-DATE-SERIAL", "mã hồ sơ không đúng dạng",
        "use the code that the one-stop system issued";
    RecipientsMissing Invalid "RECIPIENTS_MISSING",
        "the document names no recipient", "văn bản không có nơi nhận",
        "name at least one recipient or group";
    RecipientDuplicate Invalid "RECIPIENT_DUPLICATE",
        "a recipient is named twice", "nơi nhận bị trùng",
        "name each recipient once";
    RecipientIsSender Invalid "RECIPIENT_IS_SENDER",
        "the sender is also a recipient", "nơi gửi trùng nơi nhận",
        "remove the sender from the recipients";
    GroupEmpty Invalid "GROUP_EMPTY",
        "no agency lies below the named group", "nhóm nơi nhận không có cơ quan nào",
        "check the code of the group";
    PartsMissing Invalid "PARTS_MISSING",
        "the document has no part", "văn bản không có tệp nào",
        "add at least one part";
    PartNameDuplicate Invalid "PART_NAME_DUPLICATE",
        "two parts have the same name", "hai tệp trùng tên",
        "give each part its own name";
    PartEmpty Invalid "PART_EMPTY",
        "a part has no bytes", "tệp rỗng",
        "remove the part or send its content";
    MainPartCount Invalid "MAIN_PART_COUNT",
        "exactly one part must be the main document", "phải có đúng một tệp văn bản chính",
        "mark one part as PART_ROLE_MAIN";
    SignatureTargetUnknown Invalid "SIGNATURE_TARGET_UNKNOWN",
        "a detached signature names no other part", "chữ ký tách rời không chỉ ra tệp được ký",
        "set signs to the name of the signed part";
    RequestIdMalformed Invalid "REQUEST_ID_MALFORMED",
        "the request id is not a UUID", "request_id không phải UUID",
        "send a UUID (RFC 9562) and keep it for retries";
    PageTokenMalformed Invalid "PAGE_TOKEN_MALFORMED",
        "the page token or cursor is not one of ours", "mã trang không hợp lệ",
        "send the token back as it was received";
    StatusNotReportable Invalid "STATUS_NOT_REPORTABLE",
        "this status cannot be reported with this call", "mã trạng thái không được báo bằng lệnh này",
        "report 01, 04, 05 or 06; use Acknowledge for 03 and Refuse for 02";
    PartsDoNotMatch Invalid "PARTS_DO_NOT_MATCH",
        "the parts sent are not those that the envelope lists", "các tệp gửi kèm không khớp danh sách trong phong bì",
        "send each listed part once, in the order of the envelope";
    ChunkOrder Invalid "CHUNK_ORDER",
        "the upload does not begin with a header or a chunk has the wrong offset", "thứ tự dữ liệu tải lên không đúng",
        "send the header first, then chunks from the offset that Announce named";
    RelayReceiptInvalid Invalid "RELAY_RECEIPT_INVALID",
        "the receipt does not prove that your gateway accepted this document", "biên nhận không chứng minh cổng gửi đã tiếp nhận văn bản này",
        "send the receipt of its SubmissionAcceptance, signed with the key that this gateway knows";
    RelayRecipientsDiffer Invalid "RELAY_RECIPIENTS_DIFFER",
        "the recipients are not those that the receipt promises", "nơi nhận không khớp với biên nhận",
        "send all promised codes, and the recipients among them, in ascending order";
    SearchEmpty Invalid "SEARCH_EMPTY",
        "the search names nothing to look for", "chưa nêu tiêu chí tra cứu",
        "set exactly one of the search fields";

    SignatureFailed Invalid "SIGNATURE_FAILED",
        "a signature on the document is not valid", "chữ ký số trên văn bản không hợp lệ",
        "sign the document again; it was changed or badly signed";
    SignatureRefused Invalid "SIGNATURE_REFUSED",
        "a signature cannot be accepted under this gateway's policy", "chữ ký số không được chấp nhận theo chính sách",
        "sign the final document, with a certificate that is valid and not revoked";

    NotARecipient Missing "NOT_A_RECIPIENT",
        "this document was not sent to this agency", "văn bản này không được gửi đến đơn vị này",
        "name recipients of the document, or none for all of them";
    RecipientUnknown Missing "RECIPIENT_UNKNOWN",
        "a recipient is not in the directory", "nơi nhận không có trong danh mục cơ quan",
        "check the agency code";
    SenderUnknown Missing "SENDER_UNKNOWN",
        "the sender is not in the directory", "nơi gửi không có trong danh mục cơ quan",
        "check the agency code";
    AgencyUnknown Missing "AGENCY_UNKNOWN",
        "the agency is not in the directory", "cơ quan không có trong danh mục",
        "check the agency code";
    ConsignmentUnknown Missing "CONSIGNMENT_UNKNOWN",
        "no such consignment", "không tìm thấy văn bản đã gửi",
        "check the consignment id";
    DossierUnknown Missing "DOSSIER_UNKNOWN",
        "no such dossier", "không tìm thấy hồ sơ",
        "check the dossier code";
    PartUnknown Missing "PART_UNKNOWN",
        "the consignment has no such part", "văn bản không có tệp này",
        "name a part from the envelope";
    EntryUnknown Missing "ENTRY_UNKNOWN",
        "the log has no such entry", "nhật ký không có mục này",
        "name an entry below the size of the checkpoint";
    DirectoryVersionUnknown Missing "DIRECTORY_VERSION_UNKNOWN",
        "the log names no such version of the directory", "nhật ký không có phiên bản danh mục này",
        "ask for a version from 1 to the latest; there is none until the operator approves a directory";
    NothingFound Missing "NOTHING_FOUND",
        "nothing in the log matches the search", "không tìm thấy kết quả phù hợp",
        "check the spelling, or ask for another identifier";

    ListUnknown Missing "LIST_UNKNOWN",
        "no list of recipients has this name", "không có danh sách nơi nhận với tên này",
        "check the name of the list";

    AgencyNotOpen State "AGENCY_NOT_OPEN",
        "a recipient's code is not valid yet", "mã cơ quan nhận chưa có hiệu lực",
        "send it from the named day on";
    AgencyClosed State "AGENCY_CLOSED",
        "a recipient's code is closed", "mã cơ quan nhận đã đóng",
        "send to the successor named in the metadata";
    SenderClosed State "SENDER_CLOSED",
        "the sender's code is closed", "mã cơ quan gửi đã đóng",
        "send under the successor's code";
    MailboxMissing State "MAILBOX_MISSING",
        "no system hosts the recipient's mailbox", "chưa có hệ thống tiếp nhận cho nơi nhận",
        "ask the operator to assign a system";
    UploadIncomplete State "UPLOAD_INCOMPLETE",
        "a listed part has not been uploaded", "chưa tải lên đủ các tệp",
        "announce again and upload what is missing";
    AlreadyAnswered State "ALREADY_ANSWERED",
        "the recipient has already acknowledged or refused this document", "nơi nhận đã tiếp nhận hoặc từ chối văn bản này",
        "read the state of the delivery";
    DocumentWithdrawn State "DOCUMENT_WITHDRAWN",
        "the sender took this document back, as the named entry says", "nơi gửi đã thu hồi văn bản này theo mục nhật ký nêu kèm",
        "destroy what you have of it; its history stays readable";
    DocumentRedirected State "DOCUMENT_REDIRECTED",
        "this document waits for the successor of this agency", "văn bản này đã được chuyển cho đơn vị kế thừa",
        "look into the mailbox of the successor";
    OrderWaits State "ORDER_WAITS",
        "an earlier order about this document has no answer yet", "yêu cầu trước về văn bản này chưa được trả lời",
        "wait for the recipient's answer, which comes as a notice";
    OrderPointless State "ORDER_POINTLESS",
        "the recipient does not have this document any more", "nơi nhận không còn giữ văn bản này",
        "read the state of the delivery";
    OrderUnknown State "ORDER_UNKNOWN",
        "no order about this document waits for an answer", "không có yêu cầu nào về văn bản này đang chờ trả lời",
        "read the state of the delivery";
    ReplacementNotSent State "REPLACEMENT_NOT_SENT",
        "the document that updates or replaces this one was not sent to this recipient", "văn bản cập nhật hoặc thay thế chưa được gửi đến nơi nhận này",
        "send it to this recipient first";
    DossierStepNotAllowed State "DOSSIER_STEP_NOT_ALLOWED",
        "the state of the dossier does not allow this step", "trạng thái hồ sơ không cho phép bước xử lý này",
        "read the dossier and take a step that its state allows";
    DossierOpinionWaits State "DOSSIER_OPINION_WAITS",
        "this agency was asked before and has not answered", "cơ quan này đã được xin ý kiến và chưa trả lời",
        "wait for its opinion";
    DossierGraded State "DOSSIER_GRADED",
        "the citizen has graded how this dossier was handled", "hồ sơ này đã được đánh giá mức độ hài lòng",
        "record further words as feedback";
    DossierResultMissing State "DOSSIER_RESULT_MISSING",
        "the result of this procedure must be a signed electronic document", "kết quả của thủ tục này phải là văn bản điện tử đã ký số",
        "send the signed result and name its consignment";
    DossierResultUnfit State "DOSSIER_RESULT_UNFIT",
        "the named document is not a signed result of this dossier", "văn bản đã nêu không phải kết quả đã ký số của hồ sơ này",
        "send the result with the code of the dossier, signed by the competent person and the agency";
    LeaseLost State "LEASE_LOST",
        "the lease on this item has expired or belongs to another", "quyền xử lý mục này đã hết hạn hoặc thuộc phiên khác",
        "watch or list again and use the new lease";

    ContentErased State "CONTENT_ERASED",
        "the bodies of this document were erased, as the named entry says", "nội dung văn bản đã được hủy theo mục nhật ký nêu kèm",
        "ask the parties for their copies; receipts and evidence stay valid";
    ContentHeld State "CONTENT_HELD",
        "the bodies of this document must be kept, as the named entry says", "nội dung văn bản đang được yêu cầu lưu giữ",
        "release the hold first";
    HoldUnknown State "HOLD_UNKNOWN",
        "no hold for this reason lasts", "không có yêu cầu lưu giữ với lý do này",
        "name the reason of a hold that lasts";
    HoldsTooMany TooMuch "HOLDS_TOO_MANY",
        "too many holds last on this document", "văn bản có quá nhiều yêu cầu lưu giữ",
        "release one of them";

    RelayLoop Conflict "RELAY_LOOP",
        "the document would go back, or came here on another way before", "văn bản bị chuyển vòng hoặc đã đến cổng này theo đường khác",
        "compare the directories of all gateways on the way";
    RelayedWithout Conflict "RELAYED_WITHOUT",
        "this document was accepted from your gateway before without this recipient", "văn bản đã được tiếp nhận từ cổng gửi nhưng không có nơi nhận này",
        "send the document again to this recipient with a new request id";
    RequestIdReused Conflict "REQUEST_ID_REUSED",
        "this request id was used before with other content", "request_id đã dùng cho nội dung khác",
        "use a new request id for new content";

    EnvelopeTooLarge TooMuch "ENVELOPE_TOO_LARGE",
        "the envelope is too large", "phong bì vượt quá kích thước cho phép",
        "use groups instead of explicit recipients";
    PartTooLarge TooMuch "PART_TOO_LARGE",
        "a part is larger than this gateway takes", "tệp vượt quá kích thước cho phép",
        "split the part";
    DocumentTooLarge TooMuch "DOCUMENT_TOO_LARGE",
        "the parts together are larger than this gateway takes", "tổng dung lượng vượt quá mức cho phép",
        "send several documents";
    PartsTooMany TooMuch "PARTS_TOO_MANY",
        "the document has too many parts", "văn bản có quá nhiều tệp",
        "combine parts or send several documents";
    RecipientsTooMany TooMuch "RECIPIENTS_TOO_MANY",
        "the document has too many recipients", "văn bản có quá nhiều nơi nhận",
        "send it in several submissions";
    DossierFull TooMuch "DOSSIER_FULL",
        "the dossier has too many steps, agencies, open opinions or feedback", "hồ sơ có quá nhiều bước, cơ quan, ý kiến đang chờ hoặc phản ánh",
        "end it, or wait for the opinions";
    LinksTooMany TooMuch "LINKS_TOO_MANY",
        "the document links to too many others", "văn bản liên kết quá nhiều văn bản khác",
        "keep the most important links";
    MessageTooLarge TooMuch "MESSAGE_TOO_LARGE",
        "one message of the call is too large", "thông điệp vượt quá kích thước cho phép",
        "use Announce, Upload and Submit for large documents";
    VerificationsTooMany TooMuch "VERIFICATIONS_TOO_MANY",
        "too many files are being verified", "có quá nhiều tệp đang được kiểm tra chữ ký",
        "wait a moment and try again";
    UploadsTooMany TooMuch "UPLOADS_TOO_MANY",
        "this system has too many unfinished uploads", "hệ thống có quá nhiều tệp đang tải dở",
        "finish or wait for the earlier uploads";
    QuotaExceeded TooMuch "QUOTA_EXCEEDED",
        "the document does not fit into what this system may add today", "vượt hạn mức dung lượng trong ngày của hệ thống",
        "submit or wait for the uploads that are staged, wait for the next day in Vietnam, or ask the operator for more";
    DirectoryWatchersTooMany TooMuch "DIRECTORY_WATCHERS_TOO_MANY",
        "too many systems watch the directory", "có quá nhiều hệ thống đang theo dõi danh mục",
        "wait a moment and try again, or fetch the snapshot";
    WatchersTooMany TooMuch "WATCHERS_TOO_MANY",
        "this system has too many open watches", "hệ thống mở quá nhiều luồng theo dõi",
        "close a watch before opening another";
    PollsTooMany TooMuch "POLLS_TOO_MANY",
        "this system looks into its mailboxes too often", "hệ thống truy vấn hộp thư quá dày",
        "wait as RetryInfo says; keep a watch open, or let ListItems wait";

    DigestMismatch Damaged "DIGEST_MISMATCH",
        "the bytes received do not have the announced SHA-256", "dữ liệu nhận được không khớp mã băm đã khai báo",
        "upload the part again from the beginning";
    SizeMismatch Damaged "SIZE_MISMATCH",
        "the bytes received do not have the announced size", "dữ liệu nhận được không khớp kích thước đã khai báo",
        "upload the part again from the named offset";

    RangeOutside Range "RANGE_OUTSIDE",
        "the requested range lies outside the part or the log", "khoảng yêu cầu nằm ngoài phạm vi",
        "ask for a range within the size";

    DeadlineExceeded Late "DEADLINE_EXCEEDED",
        "the call was not finished within its deadline", "lệnh không hoàn thành trong thời hạn",
        "retry with the same request id and a longer deadline";
    UploadStalled Late "UPLOAD_STALLED",
        "no bytes arrived for too long", "quá lâu không nhận được dữ liệu",
        "announce again and resume from the named offset";
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

/// A refusal: the reason, the field at fault, and the values that explain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The field or part at fault, as a path such as `recipients[3].code`; empty if none.
    pub field: String,
    /// Values that the sentence needs, by name; also machine-readable for the client.
    pub metadata: Vec<(&'static str, String)>,
    /// When the same may be asked again, if time alone mends it.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that no field is to blame for.
    pub fn new(reason: Reason) -> Self {
        Self::of_field(reason, "")
    }

    /// A refusal because of `field`.
    pub fn of_field(reason: Reason, field: impl Into<String>) -> Self {
        Self { reason, field: field.into(), metadata: Vec::new(), retry_after: None }
    }

    /// Adds a value that explains.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.push((name, value.to_string()));
        self
    }

    /// Says when the same may be asked again.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The value called `name`, if there is one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.english())?;
        if !self.field.is_empty() {
            write!(f, " ({})", self.field)?;
        }
        for (index, (name, value)) in self.metadata.iter().enumerate() {
            write!(f, "{} {name}={value}", if index == 0 { ":" } else { "," })?;
        }
        write!(f, "; {}", self.reason.remedy())
    }
}

impl std::error::Error for Refusal {}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_have_the_form_of_aip_193() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "{code} twice");
            assert!(code.len() <= 63 && code.starts_with(|first: char| first.is_ascii_uppercase()));
            let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(code.chars().all(allowed), "{code}");
            assert_eq!(Reason::from_code(code), Some(*reason));
        }
    }

    #[test]
    fn a_refusal_says_what_where_with_which_value_and_what_to_do() {
        let refusal =
            Refusal::of_field(Reason::FieldTooLong, "subject").with("size", 501).with("limit", 500);
        assert_eq!(
            refusal.to_string(),
            "a field is longer than allowed (subject): size=501, limit=500; shorten the field"
        );
    }
}
