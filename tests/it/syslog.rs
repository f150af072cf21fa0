//! Syslog over loopback: what a sender has sent is in the spool, whatever becomes of connection and program. Not for parsing, nor for real
//! senders (`tests/e2e/test_syslog.py`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crmwatch::config::Syslog;
use crmwatch::metrics::Metrics;
use crmwatch::source::syslog::{Endpoint, ListenError, Listener, serve};
use crmwatch::source::{Inlet, Spool};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const SOURCE: &str = "relay";

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn settings(url: &str) -> Syslog {
    let endpoint = Endpoint::parse(url).expect("an address");
    let file = |name| url.starts_with("tls").then(|| tls_file(name));
    Syslog { endpoint, certificate: file("server.pem"), key: file("server.key"), client_ca: None }
}

/// A listener at work, with a spool of its own.
struct Receiving {
    folder: tempfile::TempDir,
    metrics: Metrics,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiving {
    fn at(url: &str) -> Receiving {
        Receiving::with(&settings(url), 1_000, 1 << 30)
    }

    fn with(settings: &Syslog, longest: usize, max_bytes: u64) -> Receiving {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let spool = Spool::open(folder.path(), SOURCE, max_bytes).expect("a spool");
        let inlet = Inlet::new(SOURCE, settings.endpoint.transport.word(), spool, &metrics);
        let listener = Listener::bind(settings, longest, inlet, &metrics).expect("bound");
        let address = listener.address();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(vec![listener], &flag).expect("ended when asked"));
        Receiving { folder, metrics, address, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("connected")
    }

    /// What is in the spool, as it stands behind the time, without the marks of writes.
    fn spooled(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path().join("spool").join(SOURCE))
            .expect("the spool's folder")
            .map(|entry| entry.expect("readable").path())
            .collect();
        files.sort();
        // A file gets its name once it is begun.
        let read = |path: &PathBuf| match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.expect("text"),
        };
        let text: String = files.iter().map(read).collect();
        text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect()
    }

    fn until(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let spooled = self.spooled();
            if spooled.len() >= count {
                return spooled;
            }
            assert!(Instant::now() < end, "{count} messages have not come; there are {spooled:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn shows(&self, sample: &str) -> bool {
        self.metrics.gather_text().lines().any(|line| line == sample)
    }

    fn comes_to_show(&self, sample: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.shows(sample) {
            assert!(Instant::now() < end, "{sample} is not in\n{}", self.metrics.gather_text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask_to_end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn end(&mut self) {
        self.ask_to_end();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.end();
    }
}

/// A client that trusts the authority of the tests.
fn secure(stream: TcpStream, own: Option<&str>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(tls_file("ca.pem")).expect("an authority")).expect("added");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match own {
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(tls_file(&format!("{name}.pem"))).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(tls_file(&format!("{name}.key"))).expect("a key");
            builder.with_client_auth_cert(vec![certificate], key).expect("they fit")
        }
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), stream)
}

#[test]
fn each_datagram_is_a_message_with_its_sender() {
    let receiving = Receiving::at("udp://127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for message in ["<13>one\n", "<13>two\nlines", "", "7 <13>no count"] {
        socket.send_to(message.as_bytes(), receiving.address).expect("sent");
    }
    let spooled = receiving.until(3);
    assert_eq!(spooled, ["127.0.0.1 <13>one", "127.0.0.1 <13>two\\nlines", "127.0.0.1 7 <13>no count"]);
    receiving.comes_to_show("crmwatch_received_total{source=\"relay\",transport=\"udp\"} 3");
}

#[test]
fn streams_are_taken_apart_and_what_was_unfinished_is_marked() {
    let receiving = Receiving::at("tcp://127.0.0.1:0");
    let mut stream = receiving.connect();
    stream.write_all(b"8 <13>a\nbc<13>two\n<13>unfin").expect("sent");
    receiving.until(2);
    receiving.comes_to_show("crmwatch_connections{source=\"relay\"} 1");
    stream.write_all(b"ished").expect("sent");
    drop(stream);
    let spooled = receiving.until(3);
    assert_eq!(spooled, ["127.0.0.1 <13>a\\nbc", "127.0.0.1 <13>two", "127.0.0.1+partial <13>unfinished"]);
    receiving.comes_to_show("crmwatch_connections{source=\"relay\"} 0");
}

#[test]
fn a_message_that_is_too_long_is_cut_and_the_next_is_whole() {
    let receiving = Receiving::at("tcp://127.0.0.1:0");
    let mut stream = receiving.connect();
    stream.write_all(format!("<13>{}\n<13>next\n", "x".repeat(5_000_000)).as_bytes()).expect("sent");
    let spooled = receiving.until(2);
    assert_eq!(spooled[0], format!("127.0.0.1+cut=4999004 <13>{}", "x".repeat(996)));
    assert_eq!(spooled[1], "127.0.0.1 <13>next");
}

#[test]
fn a_clean_end_takes_in_what_was_on_its_way_and_tells_the_sender_first() {
    let mut receiving = Receiving::at("tcp://127.0.0.1:0");
    let mut stream = receiving.connect();
    stream.write_all(b"<13>0\n").expect("sent");
    receiving.until(1);
    receiving.ask_to_end();
    // The sender goes on until it sees that the other end has closed, as rsyslog does.
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
    let mut sent = 1;
    while !matches!(stream.read(&mut [0; 1]), Ok(0)) {
        stream.write_all(format!("<13>{sent}\n").as_bytes()).expect("still read");
        sent += 1;
    }
    stream.write_all(format!("<13>{sent}\n<13>the last").as_bytes()).expect("still read");
    drop(stream);
    receiving.end();
    let spooled = receiving.spooled();
    assert_eq!(spooled.len(), sent + 2);
    assert_eq!(spooled[sent + 1], "127.0.0.1+partial <13>the last");
    assert!(TcpStream::connect(receiving.address).is_err(), "nobody listens any more");
}

#[test]
fn a_clean_end_takes_in_the_datagrams_that_have_arrived() {
    let mut receiving = Receiving::at("udp://127.0.0.1:0");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..100 {
        socket.send_to(format!("<13>{number}").as_bytes(), receiving.address).expect("sent");
    }
    receiving.end();
    assert_eq!(receiving.spooled().len(), 100);
}

#[test]
fn over_tls_the_same_comes_through_and_no_ticket_hides_the_end() {
    let mut receiving = Receiving::at("tls://127.0.0.1:0");
    let mut stream = secure(receiving.connect(), None);
    stream.write_all(b"7 <13>one7 <13>two").expect("sent");
    let spooled = receiving.until(2);
    assert_eq!(spooled, ["127.0.0.1 <13>one", "127.0.0.1 <13>two"]);
    // Nothing lies in the sender's buffer that it would take for a sign of life.
    stream.sock.set_nonblocking(true).expect("set");
    let peeked = stream.sock.peek(&mut [0; 1]);
    assert_eq!(peeked.expect_err("nothing to read").kind(), std::io::ErrorKind::WouldBlock);
    stream.sock.set_nonblocking(false).expect("set");
    receiving.ask_to_end();
    assert_eq!(stream.sock.peek(&mut [0; 1]).expect("closed"), 0);
    stream.write_all(b"7 <13>end").expect("still read");
    drop(stream);
    receiving.end();
    assert_eq!(receiving.spooled().last().map(String::as_str), Some("127.0.0.1 <13>end"));
}

#[test]
fn who_shows_no_certificate_of_the_authority_gets_nothing_in() {
    let settings = Syslog { client_ca: Some(tls_file("ca.pem")), ..settings("tls://127.0.0.1:0") };
    let receiving = Receiving::with(&settings, 1_000, 1 << 30);
    let mut stranger = secure(receiving.connect(), None);
    // TLS 1.3 tells the client only after it has begun to send.
    let _ = stranger.write_all(b"<13>stranger\n");
    let _ = stranger.flush();
    receiving.comes_to_show("crmwatch_refused_total{cause=\"handshake\",source=\"relay\"} 1");
    let mut plain = receiving.connect();
    plain.write_all(b"<13>in the clear\n").expect("sent");
    receiving.comes_to_show("crmwatch_refused_total{cause=\"handshake\",source=\"relay\"} 2");
    let mut known = secure(receiving.connect(), Some("client"));
    known.write_all(b"<13>known\n").expect("sent");
    assert_eq!(receiving.until(1), ["127.0.0.1 <13>known"]);
}

#[test]
fn no_address_takes_all_connections() {
    let receiving = Receiving::at("tcp://127.0.0.1:0");
    let streams: Vec<TcpStream> = (0..260).map(|_| receiving.connect()).collect();
    receiving.comes_to_show("crmwatch_connections{source=\"relay\"} 250");
    receiving.comes_to_show("crmwatch_refused_total{cause=\"connections\",source=\"relay\"} 10");
    drop(streams);
    receiving.comes_to_show("crmwatch_connections{source=\"relay\"} 0");
    receiving.connect().write_all(b"<13>again\n").expect("sent");
    receiving.until(1);
}

#[test]
fn while_the_spool_is_full_senders_wait_and_nothing_is_lost() {
    // Nobody reads the spool here, so it stays full; a sender that does not block sees that it cannot go on.
    let receiving = Receiving::with(&settings("tcp://127.0.0.1:0"), 1_000, 100_000);
    let mut stream = receiving.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("set");
    let message = format!("<13>{}\n", "x".repeat(995));
    let mut sent = 0;
    while stream.write_all(message.as_bytes()).is_ok() {
        sent += 1;
        assert!(sent < 100_000, "it reads on without end");
    }
    let spooled = receiving.spooled().len();
    assert!((80..100).contains(&spooled), "{spooled}");
    assert!(!receiving.metrics.gather_text().contains("crmwatch_refused_total{"), "nothing was refused");
}

#[test]
fn connections_take_little_memory_however_much_they_leave_unfinished() {
    let receiving = Receiving::with(&settings("tcp://127.0.0.1:0"), 16 << 20, 1 << 30);
    let before = memory();
    let begun = vec![b'x'; 1 << 20];
    let mut streams: Vec<TcpStream> = (0..200).map(|_| receiving.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"<13>").expect("sent");
        stream.write_all(&begun).expect("sent");
    }
    receiving.comes_to_show("crmwatch_connections{source=\"relay\"} 200");
    std::thread::sleep(Duration::from_millis(200));
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 200 messages of a megabyte that are not finished");
    for stream in &mut streams {
        stream.write_all(b"\n").expect("sent");
    }
    assert_eq!(receiving.until(200).len(), 200);
}

/// Anonymous memory of this process, in bytes; other tests run beside, and take theirs.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("said");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

#[test]
fn what_cannot_be_opened_is_told_with_source_key_and_reason() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let tell = |settings: &Syslog| -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path(), SOURCE, 1 << 20).expect("a spool");
        let metrics = Metrics::new();
        let bound: Result<Listener, ListenError> =
            Listener::bind(settings, 1_000, Inlet::new(SOURCE, "tcp", spool, &metrics), &metrics);
        bound.err().expect("refused").to_string()
    };
    let said = tell(&settings(&format!("tcp://127.0.0.1:{port}")));
    assert!(
        said.starts_with(&format!("source \"relay\" cannot listen on syslog = \"tcp://127.0.0.1:{port}\": ")),
        "{said}"
    );
    let other = Syslog { key: Some(tls_file("client.key")), ..settings("tls://127.0.0.1:0") };
    assert!(tell(&other).contains("cannot be used together"), "{}", tell(&other));
    let absent = Syslog { key: Some(tls_file("absent.key")), ..settings("tls://127.0.0.1:0") };
    assert!(tell(&absent).contains("absent.key cannot be read"), "{}", tell(&absent));
    let empty = Syslog { client_ca: Some(tls_file("client.key")), ..settings("tls://127.0.0.1:0") };
    assert!(tell(&empty).contains("client authority"), "{}", tell(&empty));
}
