//! What a TLS listener shows and demands: its certificate and key, and where wanted the authority that clients' certificates come from.
//! For every listener of this program; not for sockets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Why a listener cannot speak TLS. The files are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not there, not readable, or no PEM.
    #[error("{what} {} cannot be read: {error}", path.display())]
    File {
        /// `certificate`, `key` or `client authority`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// The certificate belongs to another key, or is none that can be used.
    #[error("certificate {} and key {} cannot be used together: {error}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// Nothing can be checked against it.
    #[error("client authority {} cannot be used: {error}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

/// Reads PEM files: the certificate with its chain, its key, and the authority that clients must have a certificate of, if they must.
pub fn server_config(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let pair = |error| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), error };
    let chain = certificates("certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(file("key", key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match client_ca {
        Some(path) => {
            let wrong = |error: String| TlsError::Authority { path: path.to_owned(), error };
            let mut roots = RootCertStore::empty();
            for authority in certificates("client authority", path)? {
                roots.add(authority).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(error.to_string()))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, secret).map_err(pair)?;
    // Tickets to resume a session would lie unread in the buffers of senders that only send, and hide from them that the connection has
    // ended: rsyslog looks whether there is something to read, takes it for a sign of life, and sends on into nothing.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |error| TlsError::File { what, path, error }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(file(what, path))?.collect();
    let found = found.map_err(file(what, path))?;
    if found.is_empty() { Err(file(what, path)(pem::Error::NoItemsFound)) } else { Ok(found) }
}
