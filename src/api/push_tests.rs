//! Push over a real socket: who is let in, what is answered, and what is then in the spool.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path as FilePath;

use super::*;
use crate::api::{Server, serve_push};
use crate::metrics::Metrics;
use crate::source::Spool;

const BODY: usize = 64 << 10;

struct House {
    server: Server,
    metrics: Metrics,
    folder: tempfile::TempDir,
}

fn house_with_spools_of(bytes: u64) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = Metrics::new();
    let secret = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, "s3cret\n").expect("written");
        path.to_string_lossy().into_owned()
    };
    let entrance = |name: &str, door: Door| Entrance {
        inlet: Inlet::new(name, "push", Spool::open(folder.path(), name, bytes).expect("opened"), &metrics),
        door,
        max_line: 1 << 10,
        trusted_proxies: Vec::new(),
    };
    let token = Token::Credential(secret("token"));
    let signature = Some((Signature::Jiandaoyun, secret("signature")));
    let entrances = vec![
        entrance("crm", Door { token, signature: None }),
        entrance("open", Door { token: Token::NotAsked, signature: None }),
        entrance("jdy", Door { token: Token::NotAsked, signature }),
    ];
    let push = Push::new(entrances, BODY, || 1_498_586_609_000);
    let server = serve_push(SocketAddr::from(([127, 0, 0, 1], 0)), None, push).expect("listening");
    House { server, metrics, folder }
}

fn house() -> House {
    house_with_spools_of(1 << 20)
}

const TOKEN: &str = "Authorization: Bearer s3cret\r\n";

impl House {
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.server.address()).expect("connected");
        stream.write_all(request).expect("asked");
        let mut answer = String::new();
        // A server that refused before it had read everything may reset the connection behind its answer.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn post(&self, path: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "POST /api/v1/push/{path} HTTP/1.1\r\nHost: logs.example.com\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.ask(&[head.as_bytes(), body].concat())
    }

    fn spooled(&self, source: &str) -> Vec<String> {
        spooled(self.folder.path(), source)
    }
}

/// Peer and payload of each record, as the file has them.
fn spooled(state_dir: &FilePath, source: &str) -> Vec<String> {
    let files = glob::glob(&Spool::pattern(state_dir, source)).expect("a pattern").map(|path| path.expect("readable"));
    let text: String = files.map(|path| std::fs::read_to_string(path).expect("read")).collect();
    text.lines().map(|line| line.split_once(' ').expect("a mark").1.to_owned()).collect()
}

#[track_caller]
fn answers(answer: &str, status: u16, body: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.ends_with(body), "{answer}");
}

#[test]
fn what_is_acknowledged_is_in_the_spool_byte_for_byte() {
    let house = house();
    answers(&house.post("crm", TOKEN, b"[{\"a\" :1},{\"b\":\"\xe4\xb8\xad\"}]"), 200, "{\"accepted\":2}");
    answers(
        &house.post("crm", &format!("{TOKEN}Content-Type: text/plain\r\n"), b"one\ntwo\\\r\n\n"),
        200,
        "{\"accepted\":2}",
    );
    answers(&house.post("crm", TOKEN, b""), 200, "{\"accepted\":0}");
    answers(&house.post("crm", TOKEN, b"{\"c\":\n[1"), 200, "{\"accepted\":2,\"broken_at\":0}");
    let long = vec![b'x'; 1_030];
    answers(
        &house.post("crm", &format!("{TOKEN}X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n"), &long),
        200,
        "{\"accepted\":1}",
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"z\":1}\n{\"z\":2}").expect("packed");
    let packed = gzip.finish().expect("packed");
    let headers = format!("{TOKEN}Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n");
    answers(&house.post("crm", &headers, &packed), 200, "{\"accepted\":2}");
    let cut = format!("203.0.113.9+cut=6 {}", "x".repeat(1_024));
    let here = |payload: &str| format!("127.0.0.1 {payload}");
    assert_eq!(
        house.spooled("crm"),
        [
            here("{\"a\" :1}"),
            here("{\"b\":\"中\"}"),
            here("one"),
            here("two\\\\"),
            here("{\"c\":"),
            here("[1"),
            cut,
            here("{\"z\":1}"),
            here("{\"z\":2}"),
        ]
    );
    let text = house.metrics.gather_text();
    assert!(text.contains("crmwatch_received_total{source=\"crm\",transport=\"push\"} 9"), "{text}");
}

#[test]
fn nobody_gets_in_without_what_is_asked_for() {
    let house = house();
    answers(&house.post("crm", "", b"x"), 401, "}");
    assert!(house.post("crm", "", b"x").contains("www-authenticate: Bearer"));
    answers(&house.post("crm", "Authorization: Basic czNjcmV0\r\n", b"x"), 401, "}");
    for wrong in ["", "s3cre", "s3cretx", "S3CRET", "s3cret s3cret"] {
        answers(&house.post("crm", &format!("Authorization: Bearer {wrong}.\r\n"), b"x"), 403, "}");
    }
    answers(&house.post("nobody", TOKEN, b"x"), 404, "}");
    answers(&house.ask(b"GET /api/v1/push/crm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 405, "");
    answers(&house.post("open", "", b"x"), 200, "{\"accepted\":1}");
    answers(&house.post("open", "Origin: https://evil.example\r\n", b"x"), 403, "}");
    answers(&house.post("open", "Sec-Fetch-Site: cross-site\r\n", b"x"), 403, "}");
    assert_eq!(house.spooled("crm"), [""; 0]);
    assert_eq!(house.spooled("open"), ["127.0.0.1 x"]);
    let text = house.metrics.gather_text();
    assert!(text.contains("crmwatch_refused_total{cause=\"token\",source=\"crm\"} 8"), "{text}");
}

#[test]
fn a_token_that_was_changed_counts_at_once_and_one_that_is_gone_opens_nothing() {
    let house = house();
    let path = house.folder.path().join("token");
    std::fs::write(&path, "renewed").expect("written");
    answers(&house.post("crm", TOKEN, b"x"), 403, "}");
    answers(&house.post("crm", "Authorization: Bearer renewed\r\n", b"x"), 200, "{\"accepted\":1}");
    std::fs::remove_file(&path).expect("removed");
    answers(&house.post("crm", "Authorization: Bearer renewed\r\n", b"x"), 503, "}");
}

#[test]
fn a_signed_delivery_is_proved_and_kept_with_what_came_beside_it() {
    let house = house();
    let body = br#"{"op":"data_create","data":{}}"#;
    let headers = "Content-Type: application/json\r\nX-JDY-DeliverId: d-1\r\nX-JDY-Signature: ae9d3cf92f080668cfa81aa203cb1ed7ad39f5f1\r\n";
    let path = "jdy?nonce=abc123&timestamp=1498586609";
    answers(&house.post(path, headers, body), 200, "{\"accepted\":1}");
    answers(&house.post(path, headers, b"{\"op\":\"data_remove\",\"data\":{}}"), 403, "}");
    answers(&house.post("jdy?nonce=abc123&timestamp=1498586610", headers, body), 403, "}");
    answers(&house.post(path, "", body), 401, "}");
    let spooled = house.spooled("jdy");
    assert_eq!(spooled.len(), 1);
    let line = spooled[0].split_once(' ').expect("a peer").1.replace("\\\\", "\\");
    let envelope: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(envelope["body"], String::from_utf8_lossy(body).as_ref());
    assert_eq!(envelope["headers"]["x-jdy-deliverid"], "d-1");
    assert_eq!(envelope["query"]["timestamp"], "1498586609");
    assert_eq!(envelope["received_at"], 1_498_586_609_000_i64);
}

#[test]
fn bodies_that_are_too_large_or_of_another_kind_are_refused_and_nothing_of_them_is_kept() {
    let house = house();
    let large = vec![b'x'; BODY + 1];
    answers(&house.post("crm", TOKEN, &large), 413, "}");
    let chunked = format!(
        "POST /api/v1/push/crm HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{TOKEN}\r\n{:x}\r\n",
        large.len()
    );
    answers(&house.ask(&[chunked.as_bytes(), &large, b"\r\n0\r\n\r\n"].concat()), 413, "}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&large).expect("packed");
    let bomb = gzip.finish().expect("packed");
    let packed = format!("{TOKEN}Content-Encoding: gzip\r\n");
    answers(&house.post("crm", &packed, &bomb), 413, "}");
    answers(&house.post("crm", &packed, b"no gzip"), 400, "}");
    answers(&house.post("crm", &format!("{TOKEN}Content-Encoding: br\r\n"), b"x"), 415, "}");
    answers(&house.post("crm", &format!("{TOKEN}Content-Type: application/x-www-form-urlencoded\r\n"), b"x"), 415, "}");
    assert_eq!(house.spooled("crm"), [""; 0]);
}

#[test]
fn a_full_spool_is_told_with_when_to_come_again() {
    let house = house_with_spools_of(2_000);
    let body = "x".repeat(900);
    answers(&house.post("crm", TOKEN, body.as_bytes()), 200, "{\"accepted\":1}");
    answers(&house.post("crm", TOKEN, body.as_bytes()), 200, "{\"accepted\":1}");
    let refused = house.post("crm", TOKEN, body.as_bytes());
    answers(&refused, 503, "}");
    assert!(refused.contains("retry-after: 10"), "{refused}");
    assert_eq!(house.spooled("crm").len(), 2);
    let text = house.metrics.gather_text();
    assert!(text.contains("crmwatch_refused_total{cause=\"full\",source=\"crm\"} 1"), "{text}");
}

#[test]
fn senders_that_stop_in_the_middle_hold_up_nobody() {
    let house = house();
    let held: Vec<TcpStream> = (0..40)
        .map(|number| {
            let mut stream = TcpStream::connect(house.server.address()).expect("connected");
            let half = if number % 2 == 0 {
                "POST /api/v1/push/crm HT".to_owned()
            } else {
                format!("POST /api/v1/push/crm HTTP/1.1\r\nHost: a\r\n{TOKEN}Content-Length: 900\r\n\r\nhalf")
            };
            stream.write_all(half.as_bytes()).expect("half a request");
            stream
        })
        .collect();
    answers(&house.post("crm", TOKEN, b"whole"), 200, "{\"accepted\":1}");
    assert_eq!(house.spooled("crm"), ["127.0.0.1 whole"]);
    drop(held);
    house.server.stop();
}
