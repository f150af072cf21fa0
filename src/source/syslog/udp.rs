//! Syslog by datagrams: one datagram, one message. UDP asks nobody whether there is room: what the kernel drops is counted here, since
//! nothing else can be done about it. Not for streams.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

use super::batch::Batch;
use super::framing::Frame;
use super::serve::{Ending, now};
use super::spooling::Chute;
use crate::source::Inlet;

/// Asked of the kernel for what has arrived and is not read: about 10,000 messages. Without privileges it gives what
/// `net.core.rmem_max` allows.
const RECEIVE: usize = 8 << 20;
/// No datagram is larger.
const LARGEST: usize = 64 << 10;
/// So much is handed on together.
const TOGETHER: usize = 64 << 10;
/// How often the kernel is asked what it dropped.
const LOOK: Duration = Duration::from_secs(2);
/// At the end, what is in the kernel's buffer is taken in, but for no longer: senders never stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// At the end: nothing for so long means that nothing has arrived.
const QUIET: Duration = Duration::from_millis(50);

/// Opens the socket.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE);
    }
    Ok(socket)
}

/// Takes in datagrams until the end, and then what has already arrived.
pub(super) async fn receive(socket: UdpSocket, longest: usize, chute: Chute, inlet: Inlet, mut ending: Ending) {
    let mut drops = Drops::of(&socket);
    let mut bytes = vec![0; LARGEST];
    let mut looked = Instant::now();
    loop {
        match ending.unless(timeout(LOOK, socket.readable())).await {
            Some(Ok(Ok(()))) => chute.send(datagrams(&socket, &mut bytes, longest)).await,
            Some(Ok(Err(error))) => {
                tracing::error!(source = inlet.source(), %error, "the socket cannot be read");
                sleep(LOOK).await;
            }
            // Nothing came.
            Some(Err(_)) => {}
            None => break,
        }
        if looked.elapsed() >= LOOK {
            drops.tell(&inlet);
            looked = Instant::now();
        }
    }
    let until = Instant::now() + FAREWELL;
    while Instant::now() < until
        && let Ok(Ok(())) = timeout(QUIET, socket.readable()).await
    {
        chute.send(datagrams(&socket, &mut bytes, longest)).await;
    }
    drops.tell(&inlet);
}

/// What has arrived.
fn datagrams(socket: &UdpSocket, bytes: &mut [u8], longest: usize) -> Batch {
    let mut batch = Batch::new(now());
    while batch.bytes() < TOGETHER {
        match socket.try_recv_from(bytes) {
            Ok((length, peer)) => {
                let message = &bytes[..length];
                let end =
                    message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |last| last + 1);
                let kept = end.min(longest);
                if kept > 0 {
                    let frame = Frame { message: &message[..kept], cut: (end - kept) as u64, partial: false };
                    batch.add(canonical(peer), frame);
                }
            }
            // Nothing is there, or an error a datagram of ours never caused: the next one is as good.
            Err(_) => break,
        }
    }
    batch
}

/// An IPv4 sender is one on a socket for IPv6, too.
pub(super) fn canonical(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// What the kernel dropped for want of room, as `/proc` says it of the socket.
struct Drops {
    inode: Option<u64>,
    told: u64,
}

impl Drops {
    fn of(socket: &UdpSocket) -> Drops {
        Drops { inode: rustix::fs::fstat(socket).ok().map(|stat| stat.st_ino), told: 0 }
    }

    fn tell(&mut self, inlet: &Inlet) {
        let Some(inode) = self.inode else { return };
        let now = ["/proc/self/net/udp", "/proc/self/net/udp6"].iter().find_map(|path| {
            let table = std::fs::read_to_string(path).ok()?;
            dropped(&table, inode)
        });
        let Some(now) = now else { return };
        if now > self.told {
            let count = now - self.told;
            inlet.refuse("kernel", count);
            tracing::warn!(
                source = inlet.source(),
                datagrams = count,
                "the kernel had no room for datagrams; they are lost"
            );
            self.told = now;
        }
    }
}

/// The last column of the socket's line.
fn dropped(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace());
    lines.find_map(|mut columns| if columns.nth(9) == Some(&inode) { columns.last()?.parse().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_dropped_stands_in_the_sockets_line() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n\
                     123: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41412 2 0000000000000000 17        \n\
                     124: 00000000:0203 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41413 2 0000000000000000 0         \n";
        assert_eq!(dropped(table, 41412), Some(17));
        assert_eq!(dropped(table, 41413), Some(0));
        assert_eq!(dropped(table, 41414), None);
    }
}
