//! HTTP: metrics, health, findings and incidents. Not for what they mean, and not for changing anything: every answer is to a GET.
//!
//! It listens on loopback. A web page in an administrator's browser must not reach it through a name that suddenly points there (DNS
//! rebinding): a request whose `Host` is not this machine is refused. There is no CORS, so no page can read an answer.

mod connections;
pub mod desk;
mod health;
mod push;
mod push_body;
mod push_proof;
mod routes;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

pub use health::{ALIVE_FOR, Health};
pub use push::{Entrance, Push};
pub use push_proof::secret;

use crate::metrics::Metrics;

/// What the answers are made from.
#[derive(Clone)]
pub struct ApiState {
    /// `/metrics`.
    pub metrics: Metrics,
    /// `/healthz`, `/readyz`.
    pub health: Health,
    /// Where the ledger is; each request that needs it opens it for itself.
    pub state_dir: PathBuf,
    /// The language of findings, unless a request asks for another.
    pub locale: String,
    /// Sources that are pushed to here.
    pub push: Option<Push>,
}

/// Requests that read the ledger at the same time; more wait.
const READERS: usize = 4;
/// How long answers under way may take when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// The HTTP face at work.
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it; answers under way are finished, for two seconds at most.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the HTTP face ended badly");
        }
    }
}

/// Listens at once, so that a port that is taken is an error of the start, and serves in a thread of its own.
pub fn serve(listen: SocketAddr, state: ApiState) -> io::Result<Server> {
    start("crmwatch-http", listen, None, |address| router(state, address.ip()))
}

/// As [`serve`], but for push alone, and with TLS if wanted.
pub fn serve_push(listen: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>, push: Push) -> io::Result<Server> {
    start("crmwatch-push", listen, tls.map(tokio_rustls::TlsAcceptor::from), |_| push.router())
}

fn start(
    name: &str,
    listen: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
    router: impl FnOnce(SocketAddr) -> Router,
) -> io::Result<Server> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(READERS + push::WRITERS)
        .thread_name("crmwatch-api")
        .build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(address);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (say_farewell, mut farewell) = tokio::sync::watch::channel(false);
            let ending = async move {
                // An answer or a dropped sender: both mean stop.
                stopped.await.ok();
                say_farewell.send_replace(true);
            };
            let serving = connections::serve(listener, tls, router, farewell.clone());
            let telling = async {
                ending.await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = serving => {}
                () = telling => {}
                () = async {
                    farewell.wait_for(|said| *said).await.ok();
                    tokio::time::sleep(FAREWELL).await;
                } => {}
            }
            io::Result::Ok(())
        });
        if let Err(error) = served {
            tracing::error!(%error, "the HTTP face stopped: no metrics until the next start");
        }
        runtime.shutdown_timeout(FAREWELL);
    })?;
    Ok(Server { address, stop, thread })
}

fn router(state: ApiState, bound: IpAddr) -> Router {
    let push = state.push.clone().map_or_else(Router::new, Push::router);
    let api = Router::new()
        .route("/metrics", get(routes::metrics))
        .route("/healthz", get(routes::healthz))
        .route("/readyz", get(routes::readyz))
        .route("/api/v1/incidents", get(routes::incidents))
        .route("/api/v1/incidents/{id}", get(routes::incident))
        .route("/api/v1/findings", get(routes::findings))
        .with_state(state)
        .layer(from_fn_with_state(bound, guard));
    api.merge(push)
}

/// Refuses what did not mean this machine, and tells browsers to do nothing with an answer but show it.
async fn guard(State(bound): State<IpAddr>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if bound.is_loopback() && !host.is_some_and(is_loopback_host) {
        (StatusCode::MISDIRECTED_REQUEST, "this is only reachable as localhost or by a loopback address\n")
            .into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// `localhost`, `127.0.0.1`, `[::1]`, with or without a port.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, after)) if after.is_empty() || is_port(after) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_port(after: &str) -> bool {
    after.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
