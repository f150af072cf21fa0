//! Connections of a listener, one task each, with bounds that a slow or idle client cannot pass: their number, the time for TLS, for the
//! head of a request, and for the end. Not for what is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Connections at the same time; further ones wait to be accepted.
const CONNECTIONS: usize = 256;
/// The head of a request, or the next one on a connection, comes within this time.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// TLS is agreed on within this time.
const TLS_TIME: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken (no file descriptors are left).
const BREATH: Duration = Duration::from_millis(100);

/// Serves until told to stop; answers under way are finished by whoever runs the runtime, if they are soon.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stopped = stop.clone();
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => attend(stream, peer, router, stop).await,
                Some(tls) => match tokio::time::timeout(TLS_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => attend(stream, peer, router, stop).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS was not agreed on"),
                    Err(_) => tracing::debug!(%peer, "TLS took too long"),
                },
            }
        });
    }
    // Every place is free again once every connection has ended.
    let _ = room.acquire_many(u32::try_from(CONNECTIONS).expect("small")).await;
}

async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => {
            if let Err(error) = served {
                tracing::debug!(%peer, %error, "a connection ended badly");
            }
            return;
        }
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
