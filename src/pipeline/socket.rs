//! The daemon's socket in the state directory: one question a connection, answered in JSON lines. Who may ask is decided by the file's
//! mode; who asked is known from the kernel. Not for what can be asked (`api::desk`).

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::RunError;
use crate::api::desk::{self, Answer, Question};
use crate::store::Store;

/// The socket's name in the state directory.
pub const NAME: &str = "crmwatch.sock";
/// Questions answered at the same time; more are asked to come again.
const AT_ONCE: usize = 8;
/// A question is no longer than this.
const LONGEST: u64 = 1 << 20;
/// Somebody who says or takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(60);

/// The socket at work.
pub(super) struct Socket {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Socket {
    /// Opens it, readable by owner and group.
    pub(super) fn open(state_dir: &Path, locale: &str, store: &Store) -> Result<Socket, RunError> {
        let path = state_dir.join(NAME);
        let wrong = |error| RunError::StateDir { path: path.clone(), error };
        // The lock is ours: a socket that is there was left by a killed daemon.
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(error)),
        }
        let listener = UnixListener::bind(&path).map_err(wrong)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).map_err(wrong)?;
        let stop = Arc::new(AtomicBool::new(false));
        let desk = Desk { state_dir: state_dir.to_owned(), locale: locale.to_owned(), store: store.clone() };
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("socket".to_owned())
            .spawn(move || serve(&listener, &Arc::new(desk), &flag))
            .map_err(RunError::Thread)?;
        Ok(Socket { path, stop, thread })
    }

    pub(super) fn close(self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread that waits for a connection.
        let _ = UnixStream::connect(&self.path);
        let _ = self.thread.join();
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Desk {
    state_dir: PathBuf,
    locale: String,
    store: Store,
}

fn serve(listener: &UnixListener, desk: &Arc<Desk>, stop: &AtomicBool) {
    let busy = Arc::new(AtomicUsize::new(0));
    for connection in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(connection) = connection else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if busy.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
            busy.fetch_sub(1, Ordering::AcqRel);
            let _ = say(&mut &connection, &Answer::Refused("too many questions at once; ask again".to_owned()));
            continue;
        }
        let (desk, count) = (Arc::clone(desk), Arc::clone(&busy));
        let place = Place(count);
        // Where no thread can be begun, the place is given back all the same.
        let _ = std::thread::Builder::new().name("question".to_owned()).spawn(move || {
            let _place = place;
            if let Err(error) = attend(&connection, &desk) {
                tracing::debug!(%error, "a question was not answered to its end");
            }
        });
    }
}

/// A place among the questions answered at once; free again also where answering ended by a defect.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn attend(connection: &UnixStream, desk: &Desk) -> std::io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let credentials = rustix::net::sockopt::socket_peercred(connection)?;
    let who = format!("uid {}", credentials.uid.as_raw());
    let mut line = String::new();
    BufReader::new(connection).take(LONGEST).read_line(&mut line)?;
    let mut out = BufWriter::new(connection);
    match serde_json::from_str::<Question>(&line) {
        Ok(question) => {
            tracing::info!(who, question = line.trim(), "a question was asked");
            desk::answer(&question, &desk.store, &desk.state_dir, &desk.locale, &who, &mut |answer| {
                say(&mut out, &answer)
            })?;
        }
        Err(error) => say(&mut out, &Answer::Refused(format!("this is no question the daemon knows: {error}")))?,
    }
    out.flush()
}

fn say(out: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")
}

/// Asks the running daemon. `Ok(false)` if none is running there.
pub fn ask(
    state_dir: &Path,
    question: &Question,
    take: &mut dyn FnMut(Answer) -> std::io::Result<()>,
) -> std::io::Result<bool> {
    let connection = match UnixStream::connect(state_dir.join(NAME)) {
        Ok(connection) => connection,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    (&connection).write_all(&text)?;
    for line in BufReader::new(&connection).lines() {
        take(serde_json::from_str(&line?)?)?;
    }
    Ok(true)
}
