//! One log and the program that writes it: in pieces, with lines begun and finished later, rotated in every way there is.
//! Not for killing the daemon, nor for looking at what it made of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::durable::{Content, Durable};
use super::lines::{Attack, Format, Lines};
use super::numbers::Numbers;

/// Ways to rotate. Each is drawn for each rotation anew, so that a log sees all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// `.1` to `.2`, ..., the live one to `.1`; compressed one rotation later, as logrotate does it.
    Chain,
    /// Renamed to a name that stays; compressed at some time, or never.
    Dated,
    /// Copied, then truncated while nothing is written.
    CopyTruncate,
    /// Truncated and written anew from the start, once all of it is durable.
    Rewrite,
    /// Removed, once all of it is durable.
    Delete,
}

const STYLES: [Style; 8] = [
    Style::Chain,
    Style::Chain,
    Style::Chain,
    Style::Dated,
    Style::Dated,
    Style::CopyTruncate,
    Style::Rewrite,
    Style::Delete,
];

/// How long a writer waits for what it wrote to be durable before it rotates in another way.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rotated files left in the folder before durable ones are moved away.
const KEPT: usize = 14;
/// The longest chain of numbered names.
const CHAIN: usize = 4;

/// What every writer is told and tells.
#[derive(Debug, Default)]
pub struct Shared {
    /// Lines written by all.
    pub lines: AtomicU64,
    /// Bytes written by all.
    pub bytes: AtomicU64,
    /// Grows whenever the daemon is down for a while: each writer rotates several times then.
    pub storms: AtomicU64,
    /// Nothing more is to be written.
    pub give_up: AtomicBool,
    /// Logs are copied and truncated only once what they hold has been read and is durable.
    pub patient: AtomicBool,
}

/// What a writer has done.
#[derive(Debug, Default)]
pub struct Written {
    /// Lines.
    pub lines: u64,
    /// Attacks.
    pub attacks: Vec<Attack>,
    /// Rotations by style.
    pub rotations: BTreeMap<Style, u64>,
    /// Files compressed.
    pub compressed: u64,
    /// Files moved out of the folder.
    pub moved: u64,
}

/// A rotated file.
struct Rotated {
    path: PathBuf,
    /// Its place in the chain of numbers, from 1.
    chain: Option<usize>,
    compressed: bool,
    content: Content,
    /// Compressed at this time; nothing where it never is.
    due: Option<Instant>,
}

/// Where a log lies.
pub struct Place {
    /// The file that is written.
    pub live: PathBuf,
    /// The folder for what the daemon is done with; it does not look there.
    pub kept: PathBuf,
    /// The daemon's state.
    pub durable: Durable,
}

/// A log.
pub struct Log {
    live: PathBuf,
    kept: PathBuf,
    format: Format,
    lines: Lines,
    numbers: Numbers,
    durable: Durable,
    file: File,
    in_file: u64,
    rotated: Vec<Rotated>,
    /// What is still to be written of a line that was begun.
    held: Vec<u8>,
    names: u64,
    /// How many lines are to be written in all.
    last: u64,
    shared: Arc<Shared>,
    written: Written,
}

/// Opened as a logging program does.
fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Log {
    /// A log in a folder of its own; what the daemon is done with is kept in another.
    pub fn new(place: Place, lines: Lines, format: Format, numbers: Numbers, shared: Arc<Shared>) -> io::Result<Log> {
        let Place { live, kept, durable } = place;
        for folder in [live.parent(), Some(kept.as_path())].into_iter().flatten() {
            fs::create_dir_all(folder)?;
        }
        let mut file = open(&live)?;
        file.write_all(format.header().as_bytes())?;
        Ok(Log {
            live,
            kept,
            format,
            lines,
            numbers,
            durable,
            file,
            in_file: 0,
            rotated: Vec::new(),
            held: Vec::new(),
            names: 0,
            last: 0,
            shared,
            written: Written::default(),
        })
    }

    /// Writes so many lines over about a time, rotating about every so many.
    pub fn write(mut self, lines: u64, time: Duration, rotate: u64) -> io::Result<Written> {
        self.last = lines;
        let began = Instant::now();
        let mut storms = self.shared.storms.load(Ordering::Relaxed);
        let mut until_rotation = 1 + self.numbers.below(rotate * 2);
        while self.lines.number < lines && !self.shared.give_up.load(Ordering::Relaxed) {
            let share = (began.elapsed().as_secs_f64() / time.as_secs_f64()).min(1.0);
            let due = ((lines as f64 * share) as u64 + 1).saturating_sub(self.lines.number).min(5_000);
            // In fits and starts, as programs do.
            let burst = if due == 0 { 0 } else { 1 + self.numbers.below(due * 2) };
            self.burst(burst)?;
            let storm = self.shared.storms.load(Ordering::Relaxed);
            if storm != storms {
                storms = storm;
                for _ in 0..1 + self.numbers.below(3) {
                    self.rotate(true)?;
                    let few = self.numbers.below(40);
                    self.burst(few)?;
                }
            } else if self.in_file >= until_rotation {
                self.rotate(false)?;
                until_rotation = 1 + self.numbers.below(rotate * 2);
            }
            self.compress_due(false)?;
            sleep(self.numbers.between(Duration::from_millis(2), Duration::from_millis(25)));
        }
        self.finish_line()?;
        self.written.lines = self.lines.number;
        self.written.attacks = self.lines.attacks;
        Ok(self.written)
    }

    /// Writes lines, whole or in pieces; the last may be left unfinished.
    fn burst(&mut self, count: u64) -> io::Result<()> {
        let count = count.min(self.last - self.lines.number);
        let mut bytes = std::mem::take(&mut self.held);
        for _ in 0..count {
            // Nothing begins that would not be finished by the end.
            let calm = self.last - self.lines.number < 300;
            self.lines.push(now(), calm, &mut bytes);
        }
        self.in_file += count;
        self.shared.lines.fetch_add(count, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if count > 0 && self.numbers.once_in(8) {
            let from = bytes.len() - 1 - self.numbers.index((bytes.len() - 1).min(200));
            self.held = bytes.split_off(from);
        }
        if self.numbers.once_in(6) {
            let mut rest = &bytes[..];
            for _ in 0..10 {
                let (piece, after) = rest.split_at(self.numbers.index(rest.len() + 1));
                self.file.write_all(piece)?;
                rest = after;
                if self.numbers.once_in(4) {
                    sleep(Duration::from_millis(self.numbers.below(4)));
                }
            }
            self.file.write_all(rest)?;
        } else {
            self.file.write_all(&bytes)?;
        }
        if !self.held.is_empty() && self.numbers.once_in(40) {
            // Finished much later, perhaps by then to another daemon.
            sleep(Duration::from_millis(self.numbers.below(2_500)));
        }
        Ok(())
    }

    fn finish_line(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.file.write_all(&held)
    }

    /// Rotates once. In a storm the daemon is down, and nothing becomes durable.
    fn rotate(&mut self, storm: bool) -> io::Result<()> {
        let mut style = STYLES[self.numbers.index(STYLES.len())];
        let read_first = matches!(style, Style::Rewrite | Style::Delete)
            || (style == Style::CopyTruncate && self.shared.patient.load(Ordering::Relaxed));
        if read_first && (storm || !self.wait_until_durable()?) {
            style = Style::Chain;
        }
        match style {
            Style::Chain | Style::Dated => self.rename(style)?,
            Style::CopyTruncate => {
                self.finish_line()?;
                let content = Content::of(&self.live)?;
                let path = self.dated();
                fs::copy(&self.live, &path)?;
                self.file.set_len(0)?;
                self.keep(path, None, content);
            }
            Style::Rewrite => {
                self.names += 1;
                fs::copy(&self.live, self.kept.join(format!("rewritten.{}", self.names)))?;
                self.file.set_len(0)?;
            }
            Style::Delete => {
                self.names += 1;
                fs::copy(&self.live, self.kept.join(format!("deleted.{}", self.names)))?;
                fs::remove_file(&self.live)?;
                self.file = open(&self.live)?;
            }
        }
        self.file.write_all(self.format.header().as_bytes())?;
        self.in_file = 0;
        self.lines.rotated();
        *self.written.rotations.entry(style).or_default() += 1;
        self.compress_due(true)?;
        self.move_away()
    }

    fn wait_until_durable(&mut self) -> io::Result<bool> {
        self.finish_line()?;
        let content = Content::of(&self.live)?;
        let until = Instant::now() + PATIENCE;
        while !self.durable.has(&content) {
            if Instant::now() > until || self.shared.give_up.load(Ordering::Relaxed) {
                return Ok(false);
            }
            sleep(Duration::from_millis(100));
        }
        Ok(true)
    }

    fn dated(&mut self) -> PathBuf {
        self.names += 1;
        let name = self.live.file_name().unwrap_or_default().to_string_lossy();
        self.live.with_file_name(format!("{name}-20260101-{:06}", self.names))
    }

    fn rename(&mut self, style: Style) -> io::Result<()> {
        let (path, chain) = match style {
            Style::Chain => {
                self.shift()?;
                (numbered(&self.live, 1, false), Some(1))
            }
            _ => (self.dated(), None),
        };
        fs::rename(&self.live, &path)?;
        // A server goes on in its old file until it is told to open the new one.
        if self.numbers.once_in(2) {
            let few = self.numbers.below(20);
            self.burst(few)?;
            sleep(Duration::from_millis(self.numbers.below(30)));
        }
        self.finish_line()?;
        let content = Content::of(&path)?;
        self.file = open(&self.live)?;
        self.keep(path, chain, content);
        Ok(())
    }

    fn keep(&mut self, path: PathBuf, chain: Option<usize>, content: Content) {
        let due = match self.numbers.below(4) {
            0 => Some(Instant::now()),
            1 | 2 => Some(Instant::now() + Duration::from_millis(self.numbers.below(4_000))),
            _ => None,
        };
        // A link of the chain is compressed when the next one comes.
        let due = if chain.is_some() { None } else { due };
        self.rotated.push(Rotated { path, chain, compressed: false, content, due });
    }

    /// Makes room for a new `.1`; the last of the chain gets a name of its own.
    fn shift(&mut self) -> io::Result<()> {
        let mut order: Vec<usize> = (0..self.rotated.len()).filter(|at| self.rotated[*at].chain.is_some()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.rotated[*at].chain));
        for at in order {
            let place = self.rotated[at].chain.unwrap_or(0) + 1;
            let compressed = self.rotated[at].compressed;
            let to = if place > CHAIN {
                self.rotated[at].chain = None;
                let name = self.dated();
                if compressed { with_ending(&name, "gz") } else { name }
            } else {
                self.rotated[at].chain = Some(place);
                numbered(&self.live, place, compressed)
            };
            fs::rename(&self.rotated[at].path, &to)?;
            self.rotated[at].path = to;
        }
        Ok(())
    }

    /// Compresses what is due; `rotating`: the chain's second link, too.
    fn compress_due(&mut self, rotating: bool) -> io::Result<()> {
        for at in 0..self.rotated.len() {
            let one = &self.rotated[at];
            let due = one.due.is_some_and(|due| due <= Instant::now()) || (rotating && one.chain == Some(2));
            if one.compressed || !due {
                continue;
            }
            let gzip = one.chain.is_some() || self.numbers.once_in(2);
            let to = with_ending(&one.path, if gzip { "gz" } else { "zst" });
            compress(&one.path, &to, gzip, self.numbers.once_in(4))?;
            fs::remove_file(&self.rotated[at].path)?;
            self.rotated[at].path = to;
            self.rotated[at].compressed = true;
            self.written.compressed += 1;
        }
        Ok(())
    }

    /// Moves the oldest out of the folder where there are many, if it is durable.
    fn move_away(&mut self) -> io::Result<()> {
        while self.rotated.len() > KEPT {
            let Some(at) = self.rotated.iter().position(|one| one.chain.is_none()) else { return Ok(()) };
            if !self.durable.has(&self.rotated[at].content) {
                return Ok(());
            }
            let one = self.rotated.remove(at);
            let name = one.path.file_name().unwrap_or_default();
            fs::rename(&one.path, self.kept.join(name))?;
            self.written.moved += 1;
        }
        Ok(())
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn numbered(live: &Path, place: usize, compressed: bool) -> PathBuf {
    let path = with_ending(live, &place.to_string());
    if compressed { with_ending(&path, "gz") } else { path }
}

/// Takes a part of the text; nothing ends it.
type Encode = Box<dyn FnMut(Option<&[u8]>) -> io::Result<()>>;

/// Compresses a file beside it; `slowly`: what is there meanwhile is not whole.
fn compress(from: &Path, to: &Path, gzip: bool, slowly: bool) -> io::Result<()> {
    let bytes = fs::read(from)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let file = File::create(to)?;
    let mut encode: Encode = if gzip {
        let mut encoder = Some(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
        Box::new(move |part| match (part, &mut encoder) {
            (Some(part), Some(encoder)) => encoder.write_all(part).and_then(|()| encoder.flush()),
            _ => encoder.take().map_or(Ok(()), |encoder| encoder.finish().map(drop)),
        })
    } else {
        let mut encoder = Some(zstd::Encoder::new(file, 1)?);
        Box::new(move |part| match (part, &mut encoder) {
            (Some(part), Some(encoder)) => encoder.write_all(part).and_then(|()| encoder.flush()),
            _ => encoder.take().map_or(Ok(()), |encoder| encoder.finish().map(drop)),
        })
    };
    encode(Some(first))?;
    if slowly {
        sleep(Duration::from_millis(150));
    }
    encode(Some(second))?;
    encode(None)
}
