//! Where a syslog source listens, as it stands in the configuration: `udp://0.0.0.0:514`, `tcp://[::]:601`, `tls://logs.example.com:6514`.
//! Not for opening it.

use std::fmt;

/// How messages arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram, one message (RFC 5426); what the kernel has no room for is gone.
    Udp,
    /// A stream in the clear (RFC 6587).
    Tcp,
    /// A stream under TLS (RFC 5425).
    Tls,
}

impl Transport {
    /// The word in the address and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    /// The port where none is named: 514, 601 (RFC 3195's, as rsyslog and syslog-ng use it), 6514 (RFC 5425).
    fn port(self) -> u16 {
        match self {
            Transport::Udp => 514,
            Transport::Tcp => 601,
            Transport::Tls => 6514,
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How messages arrive.
    pub transport: Transport,
    /// A name or an address, without brackets.
    pub host: String,
    /// 0 lets the system choose one.
    pub port: u16,
}

impl Endpoint {
    /// Some port of this machine.
    pub fn here(transport: Transport) -> Endpoint {
        Endpoint { transport, host: "127.0.0.1".to_owned(), port: 0 }
    }

    /// Reads the address; the error says in words what is wrong with it and what mends it.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let form = "write udp://, tcp:// or tls://, an address and a port, e.g. \"tls://0.0.0.0:6514\"";
        let Some((scheme, rest)) = text.split_once("://") else { return Err(form.to_owned()) };
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(format!("there is no way {scheme:?} to receive syslog: {form}")),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or_else(|| format!("the bracket is not closed: {form}"))?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| format!("{port:?} is no port: {form}"))?,
            None if port.is_empty() => transport.port(),
            None => return Err(form.to_owned()),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%');
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(format!("{host:?} is no host to listen on: {form}"));
        }
        Ok(Endpoint { transport, host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(out, "{}://{open}{}{close}:{}", self.transport.word(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_printed_back() {
        for text in ["udp://0.0.0.0:514", "tcp://[::]:10514", "tls://logs.example.com:6514"] {
            assert_eq!(Endpoint::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(Endpoint::parse("tls://[::1]").expect("read").to_string(), "tls://[::1]:6514");
        assert_eq!(Endpoint::parse("udp://localhost").expect("read").port, 514);
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_would_be_one() {
        for text in
            ["", "0.0.0.0:514", "http://x:1", "udp://:514", "tcp://a:b", "tcp://[::1", "tcp://::1:514", "tls://a b:1"]
        {
            let error = Endpoint::parse(text).expect_err(text);
            assert!(error.contains("tls://0.0.0.0:6514"), "{text}: {error}");
        }
    }
}
