//! Every syslog listener of the program in one thread: opens them, accepts, and at the end takes in what had arrived. Not for framing.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use crmwatch_detectors::Millis;
use prometheus::IntGauge;
use rustix::net::sockopt;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::spooling::{Chute, spooling};
use super::stream::converse;
use super::tls::{TlsError, server_config};
use super::udp;
use super::{Endpoint, Transport};
use crate::config::Syslog;
use crate::metrics::Metrics;
use crate::source::Inlet;

/// Connections of one source at the same time.
const CONNECTIONS: usize = 1_000;
/// Of one address: a relay has a few, and no peer can take all.
const OF_ONE_ADDRESS: usize = 250;
/// Connections the kernel keeps for us to accept.
const BACKLOG: i32 = 1_024;
/// A TLS handshake is done by then, or never.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Syslog connections are quiet for hours; the kernel asks whether the other end is still there.
const ALIVE: Duration = Duration::from_secs(60);
/// How often the flag that ends everything is looked at.
const TICK: Duration = Duration::from_millis(50);
/// After an error that accepting anew would only meet again (no file descriptors left).
const BREATH: Duration = Duration::from_millis(500);

/// Why a source cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, not this machine's, or not ours to take.
    #[error("source {name:?} cannot listen on syslog = \"{endpoint}\": {error}")]
    Address {
        /// The source.
        name: String,
        /// As configured.
        endpoint: Endpoint,
        /// Why.
        error: io::Error,
    },
    /// Certificate, key or authority.
    #[error("source {name:?}: {error}")]
    Tls {
        /// The source.
        name: String,
        /// Which of them, and why.
        error: Box<TlsError>,
    },
    /// The configuration lets none through.
    #[error("source {name:?} listens with TLS and has no tls_certificate and tls_key")]
    NoCertificate {
        /// The source.
        name: String,
    },
}

/// An open socket of a source, not read yet.
pub struct Listener {
    socket: Socket,
    address: SocketAddr,
    longest: usize,
    inlet: Inlet,
    connections: IntGauge,
}

enum Socket {
    Datagrams(std::net::UdpSocket),
    Streams(std::net::TcpListener, Option<Arc<ServerConfig>>),
}

impl Listener {
    /// Opens the source's socket. Messages are kept up to `longest` bytes.
    pub fn bind(syslog: &Syslog, longest: usize, inlet: Inlet, metrics: &Metrics) -> Result<Listener, ListenError> {
        let name = || inlet.source().to_owned();
        let endpoint = &syslog.endpoint;
        let open = || {
            let mut addresses = (endpoint.host.as_str(), endpoint.port).to_socket_addrs()?;
            let address = addresses.next().ok_or_else(|| io::Error::other("the name has no address"))?;
            if endpoint.transport == Transport::Udp {
                let socket = udp::bind(address)?;
                let address = socket.local_addr()?;
                return Ok((Socket::Datagrams(socket), address));
            }
            let socket = std::net::TcpListener::bind(address)?;
            rustix::net::listen(&socket, BACKLOG)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((Socket::Streams(socket, None), address))
        };
        let (mut socket, address) =
            open().map_err(|error| ListenError::Address { name: name(), endpoint: endpoint.clone(), error })?;
        if let (Transport::Tls, Socket::Streams(_, tls)) = (endpoint.transport, &mut socket) {
            let (Some(certificate), Some(key)) = (&syslog.certificate, &syslog.key) else {
                return Err(ListenError::NoCertificate { name: name() });
            };
            let config = server_config(certificate, key, syslog.client_ca.as_deref());
            *tls = Some(config.map_err(|error| ListenError::Tls { name: name(), error: Box::new(error) })?);
        }
        // What cannot ever be in the spool must not be waited for.
        let room = usize::try_from(inlet.spool().max_bytes() / 4).unwrap_or(usize::MAX);
        let longest = longest.min(room);
        let connections = metrics.connections.with_label_values(&[inlet.source()]);
        Ok(Listener { socket, address, longest, inlet, connections })
    }

    /// Where it listens; of use where the configuration left the port open.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    async fn run(self, ending: Ending) {
        let Listener { socket, address, longest, inlet, connections } = self;
        tracing::info!(source = inlet.source(), %address, "receiving syslog");
        let (chute, spooling) = spooling(inlet.clone());
        let writing = tokio::task::spawn_local(spooling.run(ending.flag.clone()));
        match socket {
            Socket::Datagrams(socket) => match UdpSocket::from_std(socket) {
                Ok(socket) => udp::receive(socket, longest, chute, inlet, ending).await,
                Err(error) => tracing::error!(source = inlet.source(), %error, "the socket cannot be used"),
            },
            Socket::Streams(socket, tls) => match TcpListener::from_std(socket) {
                Ok(socket) => {
                    let (guests, tls) = (Guests::new(connections), tls.map(TlsAcceptor::from));
                    let (crowd, strangers) = Default::default();
                    let door = Door { tls, longest, inlet, chute, guests, crowd, strangers };
                    Rc::new(door).accept(socket, ending).await;
                }
                Err(error) => tracing::error!(source = inlet.source(), %error, "the socket cannot be used"),
            },
        }
        // With the last sender gone it writes what is left, and ends.
        let _ = writing.await;
    }
}

/// Receives until `stop` is set; comes back when everything that had arrived is in the spool, or after a few seconds.
pub fn serve(listeners: Vec<Listener>, stop: &AtomicBool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async {
        let (end, flag) = watch::channel(false);
        let ending = Ending { flag };
        let running: Vec<_> =
            listeners.into_iter().map(|listener| tokio::task::spawn_local(listener.run(ending.clone()))).collect();
        while !stop.load(Ordering::Relaxed) && !running.iter().any(|task| task.is_finished()) {
            sleep(TICK).await;
        }
        let asked = stop.load(Ordering::Relaxed);
        let _ = end.send(true);
        for task in running {
            task.await.map_err(io::Error::other)?;
        }
        if asked { Ok(()) } else { Err(io::Error::other("a syslog listener ended though nobody asked it to")) }
    })
}

/// Tells everybody that the end has come.
#[derive(Clone)]
pub(super) struct Ending {
    flag: watch::Receiver<bool>,
}

impl Ending {
    /// What the work gives, unless the end comes first.
    pub(super) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut ended = pin!(self.flag.wait_for(|ended| *ended));
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(given) => Poll::Ready(Some(given)),
            Poll::Pending => ended.as_mut().poll(context).map(|_| None),
        })
        .await
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Where connections of one source come in.
struct Door {
    tls: Option<TlsAcceptor>,
    longest: usize,
    inlet: Inlet,
    chute: Chute,
    guests: Guests,
    crowd: Seldom,
    strangers: Seldom,
}

impl Door {
    async fn accept(self: Rc<Self>, listener: TcpListener, mut ending: Ending) {
        let talks = Rc::new(Talks::default());
        while let Some(accepted) = ending.unless(listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok((stream, peer)) => (stream, udp::canonical(peer)),
                Err(error) => {
                    tracing::warn!(source = self.inlet.source(), %error, "a connection cannot be accepted");
                    sleep(BREATH).await;
                    continue;
                }
            };
            let Some(guest) = self.guests.admit(peer) else {
                self.inlet.refuse("connections", 1);
                if self.crowd.again() {
                    tracing::warn!(source = self.inlet.source(), %peer, "too many connections; this one is closed");
                }
                continue;
            };
            let (door, ending, talk) = (Rc::clone(&self), ending.clone(), talks.begin());
            tokio::task::spawn_local(async move {
                door.talk(stream, peer, ending).await;
                drop((guest, talk));
            });
        }
        // First nobody can come in any more: who is turned away tries the next program that listens here.
        drop(listener);
        talks.over().await;
    }

    async fn talk(&self, stream: TcpStream, peer: IpAddr, mut ending: Ending) {
        let _ = sockopt::set_socket_keepalive(&stream, true);
        let _ = sockopt::set_tcp_keepidle(&stream, ALIVE);
        let _ = sockopt::set_tcp_keepintvl(&stream, ALIVE / 3);
        let _ = sockopt::set_tcp_keepcnt(&stream, 4);
        let Some(tls) = &self.tls else {
            return converse(stream, peer, self.longest, self.chute.clone(), ending).await;
        };
        match ending.unless(timeout(HANDSHAKE, tls.accept(stream))).await {
            Some(Ok(Ok(stream))) => converse(stream, peer, self.longest, self.chute.clone(), ending).await,
            Some(Ok(Err(error))) => self.no_handshake(peer, &error.to_string()),
            Some(Err(_)) => self.no_handshake(peer, "it was not done in time"),
            None => {}
        }
    }

    fn no_handshake(&self, peer: IpAddr, error: &str) {
        self.inlet.refuse("handshake", 1);
        if self.strangers.again() {
            tracing::warn!(source = self.inlet.source(), %peer, error, "a TLS handshake failed");
        }
    }
}

/// Keeps what a stranger can cause at will from filling the log: the metric counts every one, the log names one a minute.
#[derive(Default)]
struct Seldom(Cell<Option<Instant>>);

impl Seldom {
    fn again(&self) -> bool {
        let due = self.0.get().is_none_or(|last| last.elapsed() >= Duration::from_secs(60));
        if due {
            self.0.set(Some(Instant::now()));
        }
        due
    }
}

/// Who is connected.
struct Guests {
    by_address: Rc<RefCell<HashMap<IpAddr, usize>>>,
    count: Rc<Cell<usize>>,
    gauge: IntGauge,
}

/// One connection; counted as long as it lives.
struct Guest {
    peer: IpAddr,
    by_address: Rc<RefCell<HashMap<IpAddr, usize>>>,
    count: Rc<Cell<usize>>,
    gauge: IntGauge,
}

impl Guests {
    fn new(gauge: IntGauge) -> Guests {
        Guests { by_address: Rc::default(), count: Rc::default(), gauge }
    }

    fn admit(&self, peer: IpAddr) -> Option<Guest> {
        let mut by_address = self.by_address.borrow_mut();
        let of_peer = by_address.get(&peer).copied().unwrap_or(0);
        if self.count.get() >= CONNECTIONS || of_peer >= OF_ONE_ADDRESS {
            return None;
        }
        by_address.insert(peer, of_peer + 1);
        self.count.set(self.count.get() + 1);
        self.gauge.inc();
        let (by_address, count) = (Rc::clone(&self.by_address), Rc::clone(&self.count));
        Some(Guest { peer, by_address, count, gauge: self.gauge.clone() })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut by_address = self.by_address.borrow_mut();
        if let Some(of_peer) = by_address.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                by_address.remove(&self.peer);
            }
        }
        self.count.set(self.count.get() - 1);
        self.gauge.dec();
    }
}

/// Knows when the last conversation is over.
struct Talks {
    open: watch::Sender<usize>,
}

struct Talk(watch::Sender<usize>);

impl Default for Talks {
    fn default() -> Talks {
        Talks { open: watch::Sender::new(0) }
    }
}

impl Talks {
    fn begin(&self) -> Talk {
        self.open.send_modify(|open| *open += 1);
        Talk(self.open.clone())
    }

    async fn over(&self) {
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
