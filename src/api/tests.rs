//! The HTTP face over a real socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use crmwatch_detectors::{EventId, Finding, Identities, Sentence, Severity};

use super::*;
use crate::ledger::{Batch, Ledger};

struct House {
    server: Server,
    health: Health,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = Ledger::open(folder.path()).expect("made");
    let mut entity = Identities::default();
    entity.add("user.name", "王小明");
    let finding = Finding {
        id: EventId(7),
        rule: "bulk-export".into(),
        severity: Severity::High,
        time: 1_772_442_847_000,
        last_time: 1_772_442_847_000,
        entity,
        primary: "user.name".into(),
        summary: Sentence::new("an export", "导出"),
        observed: Sentence::default(),
        expected: Sentence::default(),
        window: (1_772_442_847_000, 1_772_442_847_000),
        evidence: crmwatch_detectors::finding::Evidence::default(),
        techniques: Vec::new(),
        parts: Vec::new(),
    };
    let batch = Batch { number: 1, read_at: 1_772_442_847_000, segments: Vec::new() };
    ledger.record_batch(&batch, &[], &[], &[(finding, 0)]).expect("recorded");
    let health = Health::new();
    let state = ApiState {
        metrics: Metrics::new(),
        health: health.clone(),
        state_dir: folder.path().to_owned(),
        locale: "en".to_owned(),
        push: None,
    };
    let server = serve(SocketAddr::from(([127, 0, 0, 1], 0)), state).expect("listening");
    House { server, health, _folder: folder }
}

impl House {
    fn get_as(&self, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    fn get(&self, path: &str) -> String {
        self.get_as(&self.server.address().to_string(), path)
    }
}

#[test]
fn metrics_are_shown_with_headers_that_keep_browsers_quiet() {
    let house = house();
    let answer = house.get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for part in [
        "content-type: text/plain; version=0.0.4",
        "crmwatch_build_info",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(answer.contains(part), "{part} is not in\n{answer}");
    }
    assert!(!answer.contains("access-control-allow"), "{answer}");
    house.server.stop();
}

#[test]
fn a_name_that_was_rebound_to_this_machine_gets_nothing() {
    let house = house();
    for host in [
        "evil.example.com",
        "127.0.0.1.evil.example.com",
        "localhost.evil.example.com:8787",
        "[::1].evil:1",
        "192.0.2.1",
        "",
    ] {
        let answer = house.get_as(host, "/metrics");
        assert!(!answer.starts_with("HTTP/1.1 200") && !answer.contains("crmwatch_build_info"), "{host}: {answer}");
    }
    for host in ["localhost", "LOCALHOST:8787", "127.0.0.1:1", "[::1]:8787", "[::1]"] {
        assert!(house.get_as(host, "/metrics").starts_with("HTTP/1.1 200"), "{host}");
    }
}

#[test]
fn health_follows_the_pipeline() {
    let house = house();
    assert!(house.get("/healthz").starts_with("HTTP/1.1 503"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    house.health.beat(i64::try_from(now).expect("small"));
    assert!(house.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(house.get("/readyz").contains("takes no events"));
    house.health.set_index_writable(true);
    house.health.set_caught_up(true);
    assert!(house.get("/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn findings_are_answered_by_time_severity_and_language() {
    let house = house();
    let english = house.get("/api/v1/findings?from=2026-03-02T09:14:07Z&to=2026-03-02T09:14:08Z");
    assert!(english.contains("\"summary\":\"an export\"") && english.contains("\"historic\":null"), "{english}");
    let chinese = house.get("/api/v1/findings?locale=zh-CN&format=jsonl&from=1772442847000");
    assert!(chinese.contains("application/x-ndjson") && chinese.contains("\"summary\":\"导出\""), "{chinese}");
    assert!(house.get("/api/v1/findings?severity=critical").ends_with("\r\n\r\n[]"));
    assert!(house.get("/api/v1/findings?to=2026-03-02T09:14:07Z").ends_with("\r\n\r\n[]"));
    for wrong in ["severity=bad", "from=yesterday", "unknown=1", "format=xml", "limit=-1"] {
        let answer = house.get(&format!("/api/v1/findings?{wrong}"));
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"error\""), "{wrong}: {answer}");
    }
    assert!(house.get("/api/v1/incidents").ends_with("\r\n\r\n[]"));
    assert!(house.get("/api/v1/incidents/1").starts_with("HTTP/1.1 404"));
}

#[test]
fn it_stops_within_moments_also_while_somebody_holds_a_connection() {
    let house = house();
    let mut held = TcpStream::connect(house.server.address()).expect("connected");
    write!(held, "GET /metrics HTTP/1.1\r\n").expect("half a request");
    let begun = std::time::Instant::now();
    house.server.stop();
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
