//! Syslog from the network: UDP, TCP and TLS, written to the source's spool and tailed from there. Not for what a message says
//! (`parse::syslog`), nor for starting threads (`pipeline`).

mod batch;
mod endpoint;
mod framing;
mod serve;
mod spooling;
mod stream;
pub mod tls;
mod udp;

pub use endpoint::{Endpoint, Transport};
pub use framing::{Deframer, Frame};
pub use serve::{ListenError, Listener, serve};
