//! What the users of an organisation tell about an address and a country together. Not for one user's whereabouts (`traveller`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::baseline::Firsts;
use crate::keyed::Resident;
use crate::place::{Country, exit};

/// Who has been seen on an address: the hash of the user, first and last day, whether the visit was suspicious.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Egress {
    users: Vec<(u32, u16, u16, bool)>,
    /// Who was active here and at the same time too far away.
    remote: Vec<u32>,
}

impl Resident for Egress {
    fn rank(&self) -> u8 {
        self.users.len().min(8) as u8
    }
}

const EGRESS_USERS: usize = 16;

impl Egress {
    pub(super) fn note(&mut self, user: u32, day: u16, suspicious: bool) {
        if let Some(known) = self.users.iter_mut().find(|known| known.0 == user) {
            (known.1, known.2) = (known.1.min(day), known.2.max(day));
            known.3 |= suspicious;
        } else if self.users.len() < EGRESS_USERS {
            self.users.push((user, day, day, suspicious));
        }
    }

    /// Notes that a user was here and, impossibly, elsewhere.
    pub(super) fn note_remote(&mut self, user: u32) {
        if !self.remote.contains(&user) && self.remote.len() < EGRESS_USERS {
            self.remote.push(user);
        }
    }

    pub(super) fn is_remote(&self, user: u32) -> bool {
        self.remote.contains(&user) || self.remote.len() >= EGRESS_USERS
    }

    /// Whether it lets out people who are elsewhere, as a company's VPN does: of an office nearly everybody is there.
    pub(super) fn is_exit(&self, user: u32) -> bool {
        let others = self.remote.iter().filter(|known| **known != user).count();
        others >= 2 && others * 5 >= self.users.len()
    }

    /// Other users who are plainly at home here: never suspicious, or back on another day (a thief seldom is).
    pub(super) fn others(&self, user: u32) -> usize {
        self.users.iter().filter(|known| known.0 != user && (!known.3 || known.2 > known.1)).count()
    }
}

/// What is known of a whole organisation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Organisation {
    pub users: u64,
    pub countries: Firsts<Country>,
}

impl Resident for Organisation {}

/// The key of a way out: the address itself, or the network of one line where hosts choose their own addresses. Of a carrier's /24 three
/// colleagues prove nothing about the fourth.
pub(super) fn egress_key(ip: IpAddr) -> String {
    format!("{:x}", exit(ip))
}
