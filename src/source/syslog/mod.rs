//! Syslog from the network: UDP, TCP and TLS, written to the source's spool and tailed from there. Not for what a message says
//! (`parse::syslog`), nor for threads (`pipeline`).

mod endpoint;
mod framing;

pub use endpoint::{Endpoint, Transport};
pub use framing::{Deframer, Frame};
