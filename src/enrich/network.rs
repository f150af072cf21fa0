//! What kind of network an address belongs to (`crm.network.class`), by the ranges that the address registries set aside.
//! Only `public` addresses have a place. Not for which networks the operator trusts (`forwarded`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crmwatch_detectors::{Event, Field};

/// Sets the class and returns the address where it may have a place.
pub fn enrich(event: &mut Event) -> Option<IpAddr> {
    let ip = event.ip(Field::SourceIp)?;
    let class = class(ip);
    event.set(Field::NetworkClass, class);
    (class == "public").then_some(ip)
}

/// The word for an address's range.
pub fn class(ip: IpAddr) -> &'static str {
    match ip.to_canonical() {
        IpAddr::V4(ip) => class_v4(ip),
        IpAddr::V6(ip) => class_v6(ip),
    }
}

fn class_v4(ip: Ipv4Addr) -> &'static str {
    match ip.octets() {
        [127, ..] => "loopback",
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => "private",
        [100, 64..=127, ..] => "carrier",
        [169, 254, ..] => "link-local",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        // "This network", protocol assignments, benchmarks, multicast, future use.
        [0, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..] => "reserved",
        _ => "public",
    }
}

fn class_v6(ip: Ipv6Addr) -> &'static str {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // IPv4 behind a translator (RFC 6052) is what the IPv4 address is.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => class_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        [0xfc00..=0xfdff, ..] => "private",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x2000..=0x3fff, ..] => "public",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_set_aside_is_known() {
        for (ip, expected) in [
            ("8.8.8.8", "public"),
            ("10.255.0.1", "private"),
            ("172.15.0.1", "public"),
            ("172.16.0.1", "private"),
            ("172.32.0.1", "public"),
            ("192.168.1.1", "private"),
            ("127.8.8.8", "loopback"),
            ("100.63.255.255", "public"),
            ("100.64.0.1", "carrier"),
            ("100.128.0.0", "public"),
            ("169.254.1.1", "link-local"),
            ("192.0.2.1", "documentation"),
            ("198.51.100.7", "documentation"),
            ("203.0.113.7", "documentation"),
            ("203.0.114.7", "public"),
            ("0.0.0.0", "reserved"),
            ("224.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::1", "loopback"),
            ("::", "reserved"),
            ("::ffff:10.0.0.1", "private"),
            ("fd12::1", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "reserved"),
            ("2001:db8::7", "documentation"),
            ("2a00:1450:4001::1", "public"),
            ("64:ff9b::8.8.8.8", "public"),
            ("64:ff9b::10.0.0.1", "private"),
        ] {
            assert_eq!(class(ip.parse().expect("an address")), expected, "{ip}");
        }
    }

    #[test]
    fn only_a_public_address_may_have_a_place() {
        let mut event = Event::new("");
        assert_eq!(enrich(&mut event), None);
        assert!(!event.has(Field::NetworkClass));
        event.set_ip(Field::SourceIp, "203.0.113.7".parse().expect("an address"));
        assert_eq!(enrich(&mut event), None);
        assert_eq!(event.text(Field::NetworkClass), Some("documentation"));
    }
}
