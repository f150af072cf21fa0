//! A daemon over a log in a folder of its own, for tests of starting, stopping, checking and recovering. Not for what is demanded of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crmwatch::ledger::Ledger;
use crmwatch::store::{Store, StoreOptions};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Ran, command};

/// Where it all lies; gone when dropped.
pub struct House {
    folder: tempfile::TempDir,
}

impl House {
    /// One source of JSON lines, and more configuration if wanted.
    pub fn new(more: &str) -> House {
        let house = House { folder: tempfile::tempdir().expect("a folder") };
        let text = format!(
            "state_dir = {:?}\n{more}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"0\"\ndays = 36500\n[[source]]\nname = \"app\"\nformat = \"json\"\npaths = [{:?}]\n",
            house.state(),
            house.log().with_extension("log*"),
        );
        fs::write(house.config(), text).expect("written");
        house
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn log(&self) -> PathBuf {
        self.path().join("app.log")
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("crmwatch.toml")
    }

    /// Writes numbered lines; an hour of views of one person, a second apart.
    pub fn append(&self, numbers: Range<u64>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.log()).expect("opened");
        let mut text = String::new();
        for number in numbers {
            let (minute, second) = (number / 60 % 60, number % 60);
            text.push_str(&format!(
                "{{\"@timestamp\":\"2026-03-02T09:{minute:02}:{second:02}Z\",\"event.action\":\"view\",\"user.name\":\"ann\",\"n\":{number}}}\n"
            ));
        }
        file.write_all(text.as_bytes()).expect("written");
    }

    /// Starts the daemon; its own log is kept.
    pub fn start(&self) -> Child {
        let own = OpenOptions::new().create(true).append(true).open(self.path().join("daemon.log")).expect("opened");
        command(&["run", "--config", self.config().to_str().expect("UTF-8")])
            .stdout(File::create("/dev/null").expect("opened"))
            .stderr(own)
            .spawn()
            .expect("started")
    }

    /// Starts it, and waits until it listens; it may be reading again what the ledger has and the index has not.
    pub fn start_to_listen(&self) -> Child {
        let before = self.told().matches("\"listening\"").count();
        let child = self.start();
        self.wait_until("it listens", || self.told().matches("\"listening\"").count() > before);
        child
    }

    /// Starts it, and waits until it reads what is new. Told to stop sooner, it leaves what it has to read again to the next start.
    pub fn start_and_wait(&self) -> Child {
        let before = self.told().matches("\"reading begins\"").count();
        let child = self.start_to_listen();
        self.wait_until("it reads", || self.told().matches("\"reading begins\"").count() > before);
        child
    }

    /// What the daemon has said so far.
    pub fn told(&self) -> String {
        fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default()
    }

    /// Lines the ledger has recorded.
    pub fn recorded(&self) -> u64 {
        Ledger::open(&self.state())
            .and_then(|ledger| ledger.positions())
            .map(|positions| positions.values().map(|position| position.line).sum())
            .unwrap_or(0)
    }

    pub fn wait_for(&self, lines: u64) {
        self.wait_until("the lines are read", || self.recorded() >= lines);
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !reached() {
            assert!(Instant::now() < deadline, "waited in vain until {what}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs the daemon until so many lines are read, then stops it.
    pub fn run_until(&self, lines: u64) {
        let mut child = self.start_and_wait();
        self.wait_for(lines);
        assert!(stop(&mut child).success(), "{}", self.told());
    }

    /// A command over this configuration.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = command(arguments);
        command.arg("--config").arg(self.config());
        command.output().expect("the program starts").into()
    }

    /// How often each numbered line is in the index.
    pub fn indexed(&self) -> BTreeMap<u64, u64> {
        let mut seen = BTreeMap::new();
        let store = Store::open(&self.state(), StoreOptions::default()).expect("opened");
        let each = |event: crmwatch_detectors::Event| {
            let number =
                event.raw().split("\"n\":").nth(1).and_then(|rest| rest.split(&[',', '}']).next()?.parse().ok());
            *seen.entry(number.unwrap_or_else(|| panic!("no number in {}", event.raw()))).or_default() += 1;
            true
        };
        store.replay(i64::MIN, i64::MAX, each).expect("read");
        seen
    }

    /// That each of these lines is in the index once, and nothing else is.
    #[track_caller]
    pub fn assert_once(&self, numbers: Range<u64>) {
        let seen = self.indexed();
        let wrong: Vec<_> =
            seen.iter().filter(|(number, times)| **times != 1 || !numbers.contains(number)).take(5).collect();
        let missing: Vec<_> = numbers.clone().filter(|number| !seen.contains_key(number)).take(5).collect();
        assert!(wrong.is_empty() && missing.is_empty(), "wrong {wrong:?}, missing {missing:?}\n{}", self.told());
    }
}

/// Sends a signal.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("told");
}

/// Asks it to stop, and waits.
pub fn stop(child: &mut Child) -> ExitStatus {
    signal(child, Signal::TERM);
    child.wait().expect("ended")
}

/// Copies a folder with all below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_none_or(|ending| ending != "sock") {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

/// Compares what is told with a golden file, which `UPDATE_GOLDEN=1` writes anew.
#[track_caller]
pub fn golden(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, told).expect("written");
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, wanted, "tests/golden/{name}.txt differs; UPDATE_GOLDEN=1 writes it anew");
}
