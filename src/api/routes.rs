//! One function per path. Not for who may ask (`mod.rs`).

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use crmwatch_detectors::{Millis, Severity};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiState;
use crate::ledger::{IncidentFilter, IncidentState, Ledger, LedgerError};

/// Rows answered when nobody says how many.
const USUAL: usize = 1_000;
/// Rows answered at most.
const MOST: usize = 10_000;

pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.gather_text()).into_response()
}

pub(super) async fn healthz(State(state): State<ApiState>) -> Response {
    verdict(state.health.ailment(now()))
}

pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    verdict(state.health.unready(now()))
}

fn verdict(trouble: Option<String>) -> Response {
    match trouble {
        None => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

/// What may be asked of incidents and findings. Times are RFC 3339 or milliseconds since 1970.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    from: Option<String>,
    to: Option<String>,
    severity: Option<String>,
    state: Option<String>,
    rule: Option<String>,
    locale: Option<String>,
    limit: Option<usize>,
    /// `json` (one array) or `jsonl` (one object a line).
    format: Option<String>,
}

impl Wanted {
    fn severity(&self) -> Result<Severity, Refusal> {
        match &self.severity {
            None => Ok(Severity::Low),
            Some(word) => Severity::from_word(word)
                .ok_or_else(|| Refusal::Wrong("severity is low, medium, high or critical".to_owned())),
        }
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).min(MOST)
    }

    fn answer(&self, rows: &[Value]) -> Result<Response, Refusal> {
        match self.format.as_deref() {
            None | Some("json") => Ok(axum::Json(rows).into_response()),
            Some("jsonl") => {
                let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
                Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
            }
            Some(_) => Err(Refusal::Wrong("format is json or jsonl".to_owned())),
        }
    }
}

fn time(text: Option<&str>, default: Millis) -> Result<Millis, Refusal> {
    let Some(text) = text else { return Ok(default) };
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    // A plus that was not encoded arrives as a blank.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .map(|time| time.timestamp_millis())
        .map_err(|_| Refusal::Wrong("times are written 2026-03-02T09:14:07Z or as milliseconds since 1970".to_owned()))
}

type Asked = Result<Query<Wanted>, QueryRejection>;

fn wanted(asked: Asked) -> Result<Wanted, Refusal> {
    asked.map(|Query(wanted)| wanted).map_err(|error| Refusal::Wrong(error.body_text()))
}

pub(super) async fn findings(State(state): State<ApiState>, asked: Asked) -> Result<Response, Refusal> {
    let wanted = wanted(asked)?;
    let from = time(wanted.from.as_deref(), Millis::MIN)?;
    let to = time(wanted.to.as_deref(), Millis::MAX)?;
    let (severity, limit, rule) = (wanted.severity()? as u8, wanted.limit(), wanted.rule.clone());
    let locale = wanted.locale.clone().unwrap_or_else(|| state.locale.clone());
    let rows = read(state, move |ledger| {
        let rows = ledger.findings_where(
            "time >= ?1 AND time < ?2 AND severity >= ?3 AND (?4 IS NULL OR rule = ?4) ORDER BY time, id LIMIT ?5",
            (from, to, severity, rule, limit),
        )?;
        Ok(rows.iter().map(|row| row.to_json(&locale)).collect::<Vec<_>>())
    })
    .await?;
    wanted.answer(&rows)
}

pub(super) async fn incidents(State(state): State<ApiState>, asked: Asked) -> Result<Response, Refusal> {
    let wanted = wanted(asked)?;
    let only = match wanted.state.as_deref() {
        None | Some("all") => None,
        Some(word) => Some(IncidentState::from_word(word).ok_or_else(|| {
            Refusal::Wrong("state is open, acknowledged, closed or all; without it, those not closed".to_owned())
        })?),
    };
    let filter = IncidentFilter {
        state: only,
        all: wanted.state.as_deref() == Some("all"),
        since: Some(time(wanted.from.as_deref(), Millis::MIN)?),
        severity: Some(wanted.severity()?),
        limit: wanted.limit(),
    };
    let locale = wanted.locale.clone().unwrap_or_else(|| state.locale.clone());
    let rows = read(state, move |ledger| {
        Ok(ledger.incidents(&filter)?.iter().map(|incident| incident.to_json(None, &locale)).collect::<Vec<_>>())
    })
    .await?;
    wanted.answer(&rows)
}

pub(super) async fn incident(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let locale = wanted(asked)?.locale.unwrap_or_else(|| state.locale.clone());
    let found = read(state, move |ledger| {
        let Some(incident) = ledger.incident(id)? else { return Ok(None) };
        let findings = ledger.findings_of(id)?;
        let mut object = incident.to_json(Some(&findings), &locale);
        object["history"] = json!(ledger.history(id)?);
        Ok(Some(object))
    })
    .await?;
    found.map(|object| axum::Json(object).into_response()).ok_or(Refusal::Missing)
}

/// Why there is no answer.
pub(super) enum Refusal {
    Wrong(String),
    Missing,
    Trouble(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Refusal::Wrong(text) => (StatusCode::BAD_REQUEST, text),
            Refusal::Missing => (StatusCode::NOT_FOUND, "there is none of that number".to_owned()),
            Refusal::Trouble(text) => (StatusCode::INTERNAL_SERVER_ERROR, text),
        };
        (status, axum::Json(json!({ "error": text }))).into_response()
    }
}

async fn read<T: Send + 'static>(
    state: ApiState,
    work: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(move || Ledger::open(&state.state_dir).and_then(|ledger| work(&ledger)));
    match done.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "a request could not be answered");
            Err(Refusal::Trouble(error.to_string()))
        }
        Err(_) => Err(Refusal::Trouble("the request could not be answered; the daemon's log says why".to_owned())),
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
