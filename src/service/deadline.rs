//! Deadlines and sizes answered by their right codes: tonic itself answers a passed deadline with
//! CANCELLED and an oversized message with OUT_OF_RANGE (ecosystem survey §0.4).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::status::to_status;
use crate::limits::{CALL_DEADLINE, MESSAGE_SIZE_MAX, VERIFY_DEADLINE};
use crate::refusal::{Reason, Refusal};

/// tonic's own timer runs beside ours and must not be first.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(2);

/// Puts a deadline around every call of a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

/// Ends calls at their deadline, and gives tonic's answers the right codes.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let deadline = deadline(request.uri().path(), request.headers());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = match deadline {
                None => answer.await?,
                Some(deadline) => match tokio::time::timeout(deadline, answer).await {
                    Ok(response) => response?,
                    Err(_) => {
                        let refusal = Refusal::new(Reason::DeadlineExceeded);
                        to_status(refusal.with("deadline_ms", deadline.as_millis())).into_http()
                    }
                },
            };
            Ok(undecoded(&response).unwrap_or(response))
        })
    }
}

fn deadline(path: &str, headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
    let longest = match path {
        // Lasts as long as bytes keep coming; pauses are limited in the call itself.
        "/vanthu.v1.SubmissionService/Upload" => None,
        "/vanthu.v1.SignatureService/Verify" => Some(VERIFY_DEADLINE),
        _ => Some(CALL_DEADLINE),
    };
    match asked {
        Some(asked) => {
            let granted = longest.map_or(asked, |longest| asked.min(longest));
            Some(granted.saturating_sub(AHEAD_OF_TONIC))
        }
        None => longest,
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// What tonic answers to a message that it could not take, in our words.
fn undecoded(response: &Response<Body>) -> Option<Response<Body>> {
    let status = tonic::Status::from_header_map(response.headers())?;
    let refusal = match status.code() {
        tonic::Code::OutOfRange if status.message().contains("message length too large") => {
            Refusal::new(Reason::MessageTooLarge).with("limit", MESSAGE_SIZE_MAX)
        }
        tonic::Code::Internal if status.message().contains("failed to decode Protobuf") => {
            Refusal::new(Reason::MessageMalformed)
        }
        _ => return None,
    };
    Some(to_status(refusal).into_http())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_may_last_as_long_as_its_caller_waits_and_other_calls_a_minute() {
        let upload = "/vanthu.v1.SubmissionService/Upload";
        let submit = "/vanthu.v1.SubmissionService/Submit";
        let mut headers = HeaderMap::new();
        assert_eq!(deadline(upload, &headers), None);
        assert_eq!(deadline(submit, &headers), Some(CALL_DEADLINE));
        let verify = "/vanthu.v1.SignatureService/Verify";
        assert_eq!(deadline(verify, &headers), Some(VERIFY_DEADLINE));
        headers.insert("grpc-timeout", http::HeaderValue::from_static("2H"));
        let asked = Duration::from_secs(2 * 3600);
        assert_eq!(deadline(upload, &headers), Some(asked - AHEAD_OF_TONIC));
        assert_eq!(deadline(submit, &headers), Some(CALL_DEADLINE - AHEAD_OF_TONIC));
        assert_eq!(deadline(verify, &headers), Some(VERIFY_DEADLINE - AHEAD_OF_TONIC));
    }

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "5", "-5S", "123456789S", "5s"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }
}
