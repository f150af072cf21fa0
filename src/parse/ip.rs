//! Addresses in every spelling logs use. Not for what an address means (`enrich`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crmwatch_detectors::{Event, Field};

/// Reads IPv4, IPv6, `[v6]:port`, `v4:port`, a mapped IPv4 (becomes IPv4), a zone (`fe80::1%3`), upper case. With the port where there is one.
pub fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if after.is_empty() => None,
            None => return None,
        };
        return Some((v6(inner)?, port));
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some((ip.into(), None));
    }
    if let Some(ip) = v6(text) {
        return Some((ip, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    // `2001:db8::1:58430`, as HAProxy writes it: no address with the last part, one without it.
    let ip = host.trim_end().parse::<Ipv4Addr>().ok().map(IpAddr::from).or_else(|| v6(host))?;
    Some((ip, Some(port)))
}

fn v6(text: &str) -> Option<IpAddr> {
    let text = text.split_once('%').map_or(text, |(ip, _zone)| ip);
    text.parse::<Ipv6Addr>().ok().map(|ip| IpAddr::from(ip).to_canonical())
}

/// `10.0.0.0/8`, or one address.
pub fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = match text.split_once('/') {
        Some((ip, length)) => (ip.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?),
        None => {
            let ip = text.parse::<IpAddr>().ok()?;
            (ip, if ip.is_ipv4() { 32 } else { 128 })
        }
    };
    let limit = if ip.is_ipv4() { 32 } else { 128 };
    (length <= limit).then_some((ip, length))
}

/// Whether an address lies in a network.
pub fn within(ip: IpAddr, (network, length): (IpAddr, u8)) -> bool {
    match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            length == 0 || (u32::from(ip) ^ u32::from(network)) >> (32 - u32::from(length.min(32))) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            length == 0 || (u128::from(ip) ^ u128::from(network)) >> (128 - u32::from(length.min(128))) == 0
        }
        _ => false,
    }
}

/// Puts a client's address into the event: `source.ip` and port where it is one, `source.address` where it is not, nothing where it says nothing.
pub fn set_source(event: &mut Event, raw: &str, text: &str) {
    if super::absent(text) {
        return;
    }
    match address(text) {
        Some((ip, port)) => {
            event.set_ip(Field::SourceIp, ip);
            if let Some(port) = port.filter(|port| *port != 0) {
                event.set_integer(Field::SourcePort, port.into());
            }
        }
        None => event.set_part(Field::SourceAddress, raw, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_read() {
        for (text, ip, port) in [
            ("1.2.3.4", "1.2.3.4", None),
            ("1.2.3.4:63070", "1.2.3.4", Some(63070)),
            ("::ffff:1.2.3.4", "1.2.3.4", None),
            ("FE80::1%3", "fe80::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("1.1.1.1 :42114", "1.1.1.1", Some(42114)),
        ] {
            assert_eq!(address(text), Some((ip.parse().expect("an address"), port)), "{text}");
        }
        for text in ["", "Salesforce.com IP", "1.2.3", "999.1.1.1", "host:80", "[::1", "1.2.3.4:x", "::1]"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let inside = |ip: &str, network: &str| within(ip.parse().expect("ip"), cidr(network).expect("network"));
        assert!(
            inside("10.1.2.3", "10.0.0.0/8")
                && inside("1.2.3.4", "0.0.0.0/0")
                && inside("2001:db8::5", "2001:db8::/32")
        );
        assert!(!inside("11.1.2.3", "10.0.0.0/8") && !inside("::1", "0.0.0.0/0"));
        assert_eq!(cidr("10.0.0.0/33"), None);
    }
}
