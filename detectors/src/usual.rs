//! The addresses an account has long logged in from. Learned from successes only, and only what has been so for a while counts:
//! what an attacker's own success teaches is not believed the same day. Not for places or distances.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::event::Millis;

/// How many addresses of one account are remembered; the one longest unused goes first.
const ROOM: usize = 16;
/// A sighting this soon after the last adds nothing worth saving.
const REFRESH: Millis = 6 * 3_600_000;

/// Addresses with their first and last success.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UsualAddresses(Vec<(IpAddr, Millis, Millis)>);

/// IPv6 hosts change the lower half of their address daily.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
    }
}

impl UsualAddresses {
    /// Whether a success would change anything.
    pub fn would_learn(&self, address: IpAddr, time: Millis) -> bool {
        let address = network(address);
        !self.0.iter().any(|one| one.0 == address && time >= one.1 && time < one.2.saturating_add(REFRESH))
    }

    /// Remembers a success.
    pub fn learn(&mut self, address: IpAddr, time: Millis) {
        let address = network(address);
        match self.0.iter_mut().find(|one| one.0 == address) {
            Some(known) => {
                known.1 = known.1.min(time);
                known.2 = known.2.max(time);
            }
            None => {
                self.0.push((address, time, time));
                if self.0.len() > ROOM {
                    // The newcomer stays; of the others the one longest unused goes.
                    let oldest = (0..ROOM).min_by_key(|index| (self.0[*index].2, self.0[*index].0));
                    self.0.remove(oldest.unwrap_or(0));
                }
            }
        }
    }

    /// Whether a login from there, at that time, is what has been usual for at least `age`.
    pub fn knows(&self, address: IpAddr, time: Millis, age: Millis) -> bool {
        let address = network(address);
        self.0.iter().any(|one| one.0 == address && one.1 <= time.saturating_sub(age))
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_usual_only_after_a_while_and_ipv6_by_its_network() {
        let mut usual = UsualAddresses::default();
        let home: IpAddr = "2001:db8:1:2:3:4:5:6".parse().expect("an address");
        let next_day: IpAddr = "2001:db8:1:2:aaaa::1".parse().expect("an address");
        usual.learn(home, 0);
        assert!(!usual.knows(home, 10, 100));
        assert!(usual.knows(next_day, 100, 100));
        assert!(!usual.would_learn(next_day, 100));
        assert!(usual.would_learn(next_day, REFRESH));
        for number in 0..100u8 {
            usual.learn(IpAddr::from([203, 0, 113, number]), 1_000 + Millis::from(number));
        }
        assert_eq!(usual.0.len(), ROOM);
        assert!(!usual.knows(home, 10_000, 100));
    }
}
