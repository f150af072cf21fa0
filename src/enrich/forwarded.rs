//! The client behind the operator's own proxies: where the peer is a proxy he trusts, the rightmost address of X-Forwarded-For that is
//! no such proxy. What stands left of it was written by whoever it names and proves nothing. Not for reading the header (`parse`).

use std::net::IpAddr;

use crmwatch_detectors::{Event, Field, Value};

use crate::parse::ip;

/// More hops than this are not followed: no real chain is that long.
const MOST_HOPS: usize = 32;

/// Puts the client's address in the place of a trusted proxy's.
pub fn enrich(event: &mut Event, trusted: &[(IpAddr, u8)]) {
    let Some(peer) = event.ip(Field::SourceIp) else { return };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| ip::within(ip, *network));
    if !is_trusted(peer) {
        return;
    }
    let Some((client, port)) = client(event, is_trusted) else { return };
    if client == peer {
        return;
    }
    event.set_ip(Field::SourceIp, client);
    match port {
        Some(port) if port != 0 => event.set_integer(Field::SourcePort, port.into()),
        // The port was the proxy's.
        _ if event.has(Field::SourcePort) => event.remove(Field::SourcePort),
        _ => {}
    }
}

fn client(event: &Event, is_trusted: impl Fn(IpAddr) -> bool) -> Option<(IpAddr, Option<u16>)> {
    let headers: Vec<Value<'_>> = event.all(Field::ForwardedIp).collect();
    let mut farthest = None;
    let mut hops = 0;
    for header in headers.iter().rev() {
        let written;
        let text = match header {
            Value::Text(text) => *text,
            other => {
                written = other.to_string();
                written.as_str()
            }
        };
        for hop in text.rsplit(',') {
            hops += 1;
            // A hop that is no address ends what can be believed: the proxy itself did not know.
            let Some((ip, port)) = ip::address(hop.trim().trim_matches('"')) else { return farthest };
            farthest = Some((ip, port));
            if hops == MOST_HOPS || !is_trusted(ip) {
                return farthest;
            }
        }
    }
    farthest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(peer: &str, header: &str) -> String {
        let mut event = Event::new("");
        event.set_ip(Field::SourceIp, peer.parse().expect("an address"));
        event.set_integer(Field::SourcePort, 40_000);
        event.set(Field::ForwardedIp, header);
        enrich(&mut event, &[ip::cidr("10.0.0.0/8").expect("a network")]);
        format!("{} {:?}", event.ip(Field::SourceIp).expect("kept"), event.integer(Field::SourcePort))
    }

    #[test]
    fn a_forged_header_moves_nobody() {
        assert_eq!(through("203.0.113.9", "8.8.8.8"), "203.0.113.9 Some(40000)");
        assert_eq!(through("10.0.0.1", "8.8.8.8, 198.51.100.4"), "198.51.100.4 None");
    }

    #[test]
    fn chains_of_own_proxies_are_followed_to_the_client() {
        assert_eq!(through("10.0.0.1", "198.51.100.4, 10.2.0.1, 10.1.0.1"), "198.51.100.4 None");
        assert_eq!(through("10.0.0.1", "10.9.9.9, 10.1.0.1"), "10.9.9.9 None");
        assert_eq!(through("10.0.0.1", "\"[2001:db8::5]:443\""), "2001:db8::5 Some(443)");
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        assert_eq!(through("10.0.0.1", "unknown"), "10.0.0.1 Some(40000)");
        assert_eq!(through("10.0.0.1", "8.8.8.8, unknown, 10.1.0.1"), "10.1.0.1 None");
        assert_eq!(through("10.0.0.1", ""), "10.0.0.1 Some(40000)");
        assert_eq!(through("10.0.0.1", &"10.0.0.2,".repeat(100_000)), "10.0.0.1 Some(40000)");
    }

    #[test]
    fn several_headers_are_one_chain() {
        let mut event = Event::new("");
        event.set_ip(Field::SourceIp, "10.0.0.1".parse().expect("an address"));
        event.push(Field::ForwardedIp, "8.8.8.8, 198.51.100.4");
        event.push(Field::ForwardedIp, "10.1.0.1");
        enrich(&mut event, &[ip::cidr("10.0.0.0/8").expect("a network")]);
        assert_eq!(event.ip(Field::SourceIp), Some("198.51.100.4".parse().expect("an address")));
    }
}
