//! `POST /api/v1/push/<source>`: records by HTTP. An answer of 200 means that they are on the disk. Not for cutting bodies into records
//! (`push_body`), nor for the proofs themselves (`push_proof`).
//!
//! Whose `Host` a request names does not matter here, other than for the rest of the API: it comes through proxies, and a page in a browser
//! has no token. Where none is asked for, what a browser sends for a page is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use crmwatch_detectors::Millis;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::push_body::{Packing, Shape, Unpacking, records, unpack};
use super::push_proof::{Signed, same, secret};
use crate::config::{Door, Signature, Token};
use crate::parse::ip;
use crate::source::{Inlet, Received, SpoolError};

/// A body must be there after so long.
const BODY_TIME: Duration = Duration::from_secs(60);
/// A body that is signed is only proved once it is there: it is bounded more tightly.
const SIGNED_BODY: usize = 2 << 20;
/// Bodies held in memory at the same time: so many of the largest.
const BODIES: usize = 4;
/// Pushes unpacked and written at the same time; they share the spool's syncs.
pub(super) const WRITERS: usize = 16;

/// A source that is pushed to.
pub struct Entrance {
    /// The way into its spool.
    pub inlet: Inlet,
    /// Who may.
    pub door: Door,
    /// A longer record is cut, marked and counted.
    pub max_line: usize,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
}

/// All sources that are pushed to. Cheap to clone.
#[derive(Clone)]
pub struct Push {
    entrances: Arc<BTreeMap<String, Entrance>>,
    max_body: usize,
    /// Memory for bodies, in KiB.
    room: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    now: fn() -> Millis,
}

impl Push {
    /// `max_body` bounds a body, packed and unpacked.
    pub fn new(entrances: Vec<Entrance>, max_body: usize, now: fn() -> Millis) -> Push {
        let entrances = entrances.into_iter().map(|one| (one.inlet.source().to_owned(), one)).collect();
        Push {
            entrances: Arc::new(entrances),
            max_body,
            room: Arc::new(Semaphore::new(kib(max_body) * BODIES)),
            writers: Arc::new(Semaphore::new(WRITERS)),
            now,
        }
    }

    /// Its one path.
    pub(super) fn router(self) -> Router {
        Router::new().route("/api/v1/push/{source}", post(receive)).with_state(self)
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1 << 10)
}

/// Why a push is not taken.
struct Refusal {
    status: StatusCode,
    cause: &'static str,
    text: String,
}

fn refusal(status: StatusCode, cause: &'static str, text: impl Into<String>) -> Refusal {
    Refusal { status, cause, text: text.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(json!({ "error": self.text }))).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10")))
            }
            StatusCode::TOO_MANY_REQUESTS => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        response
    }
}

async fn receive(State(push): State<Push>, Path(name): Path<String>, request: Request) -> Response {
    if !push.entrances.contains_key(&name) {
        let text = format!("no source {name:?} is pushed to");
        return refusal(StatusCode::NOT_FOUND, "unknown", text).into_response();
    }
    match take(&push, &name, request).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(refusal) => {
            // The inlet has counted what the spool did not take.
            if refusal.cause != "spool" {
                push.entrances[&name].inlet.refuse(refusal.cause, 1);
            }
            refusal.into_response()
        }
    }
}

async fn take(push: &Push, name: &str, request: Request) -> Result<Value, Refusal> {
    let entrance = &push.entrances[name];
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    admit(&entrance.door, headers)?;
    let shape = Shape::of(text(headers, header::CONTENT_TYPE)).ok_or_else(|| {
        refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "type",
            "records are sent as application/json, application/x-ndjson or text/plain: say so in Content-Type",
        )
    })?;
    let packing = Packing::of(text(headers, header::CONTENT_ENCODING)).ok_or_else(|| {
        refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoding",
            "a body is packed as gzip, deflate or zstd, or not at all",
        )
    })?;
    let most = if entrance.door.signature.is_some() { push.max_body.min(SIGNED_BODY) } else { push.max_body };
    let (bytes, room) = read(push, headers, body, most).await?;
    let writer = Arc::clone(&push.writers).acquire_owned().await.expect("never closed");
    let (push, name) = (push.clone(), name.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let (_room, _writer) = (room, writer);
        write(&push, &push.entrances[&name], &parts, bytes, (shape, packing, most))
    });
    written.await.unwrap_or_else(|_| {
        Err(refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "defect",
            "the push could not be taken; the daemon's log says why",
        ))
    })
}

/// What can be proved without the body.
fn admit(door: &Door, headers: &HeaderMap) -> Result<(), Refusal> {
    let Token::Credential(credential) = &door.token else {
        let by_a_page = [header::ORIGIN.as_str(), "sec-fetch-site"].iter().any(|name| headers.contains_key(*name));
        return match door.signature {
            None if by_a_page => Err(refusal(StatusCode::FORBIDDEN, "page", "a page in a browser may not push here")),
            _ => Ok(()),
        };
    };
    let right = secret(credential).map_err(|error| {
        tracing::error!(%error, "the token of a push cannot be read; nobody is let in");
        refusal(StatusCode::SERVICE_UNAVAILABLE, "credential", "the token cannot be checked now")
    })?;
    let told = text(headers, header::AUTHORIZATION).and_then(|told| told.split_once(' '));
    match told.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        None => Err(refusal(StatusCode::UNAUTHORIZED, "token", "a token is asked for: Authorization: Bearer …")),
        Some((_, told)) if same(told.trim().as_bytes(), &right) => Ok(()),
        Some(_) => Err(refusal(StatusCode::FORBIDDEN, "token", "this token opens nothing here")),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Reads the body, within bounds of size, memory and time.
async fn read(
    push: &Push,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
    let too_large = || refusal(StatusCode::PAYLOAD_TOO_LARGE, "size", format!("a body has {most} bytes at most"));
    let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let wanted = u32::try_from(kib(length.unwrap_or(most)).max(1)).unwrap_or(u32::MAX);
    let room = Arc::clone(&push.room)
        .try_acquire_many_owned(wanted)
        .map_err(|_| refusal(StatusCode::TOO_MANY_REQUESTS, "busy", "too many pushes at once; send it again"))?;
    match tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok((bytes.into(), room)),
        Ok(Err(error)) if error.to_string().contains("length limit") => Err(too_large()),
        // It will not read this.
        Ok(Err(_)) => Err(refusal(StatusCode::BAD_REQUEST, "broken_off", "the body ended before its end")),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "slow", "the body took too long")),
    }
}

/// Proves the signature, cuts the body into records, and puts them into the spool.
fn write(
    push: &Push,
    entrance: &Entrance,
    parts: &Parts,
    bytes: Vec<u8>,
    (shape, packing, most): (Shape, Packing, usize),
) -> Result<Value, Refusal> {
    let at = (push.now)();
    let mut envelope = None;
    if let Some((Signature::Jiandaoyun, credential)) = &entrance.door.signature {
        prove(parts, &bytes, credential, at)?;
        envelope = Some(wrap(parts, at));
    }
    let mut body = unpack(bytes, packing, most).map_err(|error| match error {
        Unpacking::TooLarge => {
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "size", format!("a body has {most} bytes at most, unpacked"))
        }
        Unpacking::Broken => {
            refusal(StatusCode::BAD_REQUEST, "encoding", "the body is not packed as Content-Encoding says")
        }
    })?;
    let found = match envelope {
        Some(mut envelope) => {
            if std::str::from_utf8(&body).is_err() {
                let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
                envelope.insert("body_hex".to_owned(), hex.into());
            }
            envelope.insert("body".to_owned(), String::from_utf8_lossy(&body).into());
            body = Value::Object(envelope).to_string().into_bytes();
            records(&body, Shape::Lines)
        }
        None => records(&body, shape),
    };
    let peer = peer(parts, &entrance.trusted_proxies);
    let received: Vec<Received<'_>> = found
        .spans
        .iter()
        .map(|span| {
            let payload = &body[span.clone()];
            let kept = payload.len().min(entrance.max_line);
            Received { cut: (payload.len() - kept) as u64, ..Received::new(at, peer, &payload[..kept]) }
        })
        .collect();
    entrance.inlet.take(&received).map_err(|error| match error {
        SpoolError::Full { .. } => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, "spool", "the spool is full; send it again later")
        }
        SpoolError::Io(_) => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, "spool", "the spool cannot be written; send it again later")
        }
    })?;
    let mut answer = json!({ "accepted": received.len() });
    if let Some(at) = found.broken_at {
        answer["broken_at"] = at.into();
    }
    Ok(answer)
}

fn prove(parts: &Parts, body: &[u8], credential: &str, now: Millis) -> Result<(), Refusal> {
    let secret = secret(credential).map_err(|error| {
        tracing::error!(%error, "the secret of a signature cannot be read; nobody is let in");
        refusal(StatusCode::SERVICE_UNAVAILABLE, "credential", "the signature cannot be checked now")
    })?;
    let query = query(parts);
    let part = |name: &str| query.get(name).and_then(Value::as_str).unwrap_or_default();
    let signature = parts.headers.get("x-jdy-signature").and_then(|value| value.to_str().ok());
    let Some(signature) = signature else {
        return Err(refusal(StatusCode::UNAUTHORIZED, "signature", "a signature is asked for: X-JDY-Signature"));
    };
    let signed = Signed { signature, nonce: part("nonce"), timestamp: part("timestamp") };
    if signed.holds(body, &secret, now) {
        Ok(())
    } else {
        Err(refusal(StatusCode::FORBIDDEN, "signature", "the signature does not hold, or its stamp is minutes off"))
    }
}

fn query(parts: &Parts) -> Map<String, Value> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    pairs.map(|query| query.0.into_iter().map(|(name, value)| (name, value.into())).collect()).unwrap_or_default()
}

/// What a signed delivery carries beside its body; the body comes last.
fn wrap(parts: &Parts, at: Millis) -> Map<String, Value> {
    let headers: Map<String, Value> = parts
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-jdy-") || *name == header::USER_AGENT)
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut envelope = Map::new();
    envelope.insert("received_at".to_owned(), at.into());
    envelope.insert("query".to_owned(), query(parts).into());
    envelope.insert("headers".to_owned(), headers.into());
    envelope
}

/// Who sent it: behind a proxy on this machine or a trusted one, the nearest address that is none.
fn peer(parts: &Parts, trusted: &[(IpAddr, u8)]) -> Option<IpAddr> {
    let ConnectInfo(direct) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let believed = |ip: IpAddr| ip.is_loopback() || trusted.iter().any(|network| ip::within(ip, *network));
    let direct = direct.ip().to_canonical();
    if !believed(direct) {
        return Some(direct);
    }
    let said: Vec<&str> =
        parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = said.iter().flat_map(|line| line.split(',')).filter_map(|hop| ip::address(hop.trim()));
    let hops: Vec<IpAddr> = hops.map(|(ip, _)| ip).collect();
    hops.into_iter().rev().find(|hop| !believed(*hop)).or(Some(direct))
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
