//! The one place where a refusal or a fault becomes a gRPC status (design D11).

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::gateway::{Error, Fault};
use crate::refusal::{Class, Refusal};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "vanthu";

/// The status of an error: code, English sentence, `ErrorInfo`, and what else applies.
pub fn to_status(error: impl Into<Error>) -> Status {
    match error.into() {
        Error::Refused(refusal) => refused(&refusal),
        Error::Fault(fault) => faulted(&fault),
    }
}

fn refused(refusal: &Refusal) -> Status {
    let mut metadata: HashMap<String, String> =
        refusal.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    if !refusal.field.is_empty() {
        metadata.insert("field".to_owned(), refusal.field.clone());
    }
    let mut details = ErrorDetails::with_error_info(refusal.reason.code(), DOMAIN, metadata);
    if refusal.reason.class() == Class::Invalid && !refusal.field.is_empty() {
        details.add_bad_request_violation(refusal.field.clone(), refusal.reason.english());
    }
    if let Some(wait) = refusal.retry_after {
        details.set_retry_info(Some(wait));
    }
    details.set_localized_message("vi", refusal.reason.vietnamese());
    Status::with_error_details(code(refusal.reason.class()), refusal.to_string(), details)
}

fn faulted(fault: &Fault) -> Status {
    let (reason, vietnamese) = match fault {
        Fault::Busy => ("BUSY", "hệ thống đang bận, vui lòng gửi lại sau"),
        Fault::Closing => ("CLOSING", "hệ thống đang khởi động lại, vui lòng gửi lại sau"),
        Fault::Full { .. } => ("DISK_FULL", "hệ thống tạm ngừng nhận vì hết dung lượng lưu trữ"),
        Fault::ReadOnly => {
            ("STORE_READ_ONLY", "hệ thống tạm ngừng nhận, kho lưu trữ chỉ cho phép đọc")
        }
        Fault::Stopped => ("LOG_STOPPED", "hệ thống tạm thời không ghi được nhật ký"),
        Fault::Store(_) => ("STORE_FAILED", "lỗi lưu trữ, vui lòng gửi lại sau"),
        Fault::Content(_) => ("CONTENT_FAILED", "lỗi lưu trữ nội dung, vui lòng gửi lại sau"),
    };
    match fault {
        Fault::Busy | Fault::Closing => tracing::info!(%fault, "answered with UNAVAILABLE"),
        _ => tracing::error!(%fault, "answered with UNAVAILABLE"),
    }
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_retry_info(Some(fault.retry_after()));
    details.set_localized_message("vi", vietnamese);
    let message = "the gateway cannot do this now; nothing happened, send the same request again";
    Status::with_error_details(Code::Unavailable, message, details)
}

fn code(class: Class) -> Code {
    match class {
        Class::Unknown => Code::Unauthenticated,
        Class::Forbidden => Code::PermissionDenied,
        Class::Invalid => Code::InvalidArgument,
        Class::Missing => Code::NotFound,
        Class::State => Code::FailedPrecondition,
        Class::Conflict => Code::AlreadyExists,
        Class::TooMuch => Code::ResourceExhausted,
        Class::Damaged => Code::DataLoss,
        Class::Range => Code::OutOfRange,
        Class::Late => Code::DeadlineExceeded,
    }
}
