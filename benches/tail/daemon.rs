//! A whole daemon in this process: what it costs when nothing happens, how soon it reads a new line, how soon it starts.
//! Not for throughput (`end_to_end`).

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crmwatch::config::Config;
use crmwatch::pipeline::{Running, spawn};
use crmwatch::store::{Payload, Store, StoreOptions};
use crmwatch_detectors::{Event, EventId};

use super::Outcome;

const FILES: usize = 10_000;
const PARTITIONS: u64 = 400;
/// Lines timed.
const LINES: usize = 300;

fn configuration(folder: &Path, watch: &str) -> Result<Config, Box<dyn std::error::Error>> {
    let text = format!(
        "state_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[retention]\nmin_free_bytes = \"1MB\"\n[[source]]\nname = \"bench\"\npaths = [{:?}]\nformat = \"json\"\nwatch = \"{watch}\"\n",
        folder.join("state"),
        folder.join("logs/*.log"),
    );
    Ok(Config::parse(&folder.join("crmwatch.toml"), &text)?)
}

fn line(number: usize) -> String {
    let stamp = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("{{\"@timestamp\":\"{stamp}\",\"user.name\":\"u{number}\",\"event.action\":\"view\"}}\n")
}

fn log(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("logs/{number:05}.log"))
}

/// A line in each of so many files.
fn write(folder: &Path, files: usize) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("logs"))?;
    (0..files).try_for_each(|number| fs::write(log(folder, number), line(number)))
}

fn read(running: &Running) -> u64 {
    running.started.metrics.source("bench").lines_read.get()
}

fn wait_for(running: &Running, lines: u64) -> Outcome {
    let until = Instant::now() + Duration::from_secs(120);
    while read(running) < lines {
        if running.has_ended() || Instant::now() > until {
            return Err(format!("{} of {lines} lines were read", read(running)).into());
        }
        sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Seconds of the processor this process has used, by all threads.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |at: usize| after_name.split(' ').nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // utime and stime, the 14th and 15th of all; Linux counts them in hundredths wherever this runs.
    (ticks(11) + ticks(12)) / 100.0
}

/// Ten thousand quiet files.
pub fn idle(folder: &Path) -> Outcome {
    write(folder, FILES)?;
    let running = spawn(configuration(folder, "auto")?)?;
    wait_for(&running, FILES as u64)?;
    // What comes after reading, too, must be done.
    sleep(Duration::from_secs(8));
    let (before, time) = (processor(), Duration::from_secs(20));
    sleep(time);
    let share = (processor() - before) / time.as_secs_f64();
    println!("idle: {FILES} quiet files, 20 s: {:.1} % of a core", share * 100.0);
    running.end()?;
    Ok(())
}

/// From the write to the reader's count.
pub fn wake(folder: &Path) -> Outcome {
    println!("wake: from a line written to the line read     p50 ms    p99 ms    most");
    for (watch, lines) in [("auto", LINES), ("poll", LINES / 5)] {
        let place = folder.join(watch);
        write(&place, 20)?;
        let running = spawn(configuration(&place, watch)?)?;
        wait_for(&running, 20)?;
        sleep(Duration::from_secs(2));
        let mut times = Vec::new();
        let mut count = read(&running);
        for number in 0..lines {
            let mut file = File::options().append(true).open(log(&place, number % 20))?;
            // Not in step with the reader's own beats.
            sleep(Duration::from_millis(37 + (number * 61 % 97) as u64));
            let at = Instant::now();
            file.write_all(line(number).as_bytes())?;
            count += 1;
            wait_for(&running, count)?;
            times.push(at.elapsed());
        }
        times.sort_unstable();
        let ms = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1_000.0;
        let (half, most) = (times.len() / 2, times.len());
        println!(
            "{:<46} {:>8.1} {:>9.1} {:>7.1}",
            format!("watch = {watch:?}, {lines} lines"),
            ms(half),
            ms(most * 99 / 100),
            ms(most)
        );
        running.end()?;
    }
    Ok(())
}

/// With a state that has grown, to the first line that is new.
pub fn start(folder: &Path) -> Outcome {
    write(folder, FILES)?;
    let running = spawn(configuration(folder, "auto")?)?;
    wait_for(&running, FILES as u64)?;
    sleep(Duration::from_secs(3));
    running.end()?;
    partitions(&folder.join("state"))?;
    File::options().append(true).open(log(folder, FILES / 2))?.write_all(line(0).as_bytes())?;
    for round in 1..=2 {
        let began = Instant::now();
        let running = spawn(configuration(folder, "auto")?)?;
        let listening = began.elapsed();
        if round == 1 {
            wait_for(&running, 1)?;
            println!(
                "start: {PARTITIONS} partitions, {FILES} files: listening after {:.2} s, the first new line read after {:.2} s",
                listening.as_secs_f64(),
                began.elapsed().as_secs_f64()
            );
        } else {
            // Again, with everything in the page cache.
            let mut file = File::options().append(true).open(log(folder, 7))?;
            file.write_all(line(1).as_bytes())?;
            wait_for(&running, 1)?;
            println!("start: once more: the first new line read after {:.2} s", began.elapsed().as_secs_f64());
        }
        sleep(Duration::from_secs(2));
        running.end()?;
    }
    Ok(())
}

/// Goes on from the daemon's own last commit, an event a partition.
fn partitions(state: &Path) -> Outcome {
    let store = Store::open(state, StoreOptions { threads: 1, partition_events: 1, ..StoreOptions::default() })?;
    let payload: Payload = store.payload().ok_or("the daemon has committed")?;
    let mut writer = store.writer()?;
    let now = crmwatch::pipeline::now();
    while (store.statistics().partitions as u64) < PARTITIONS {
        let number = store.statistics().partitions;
        let mut event = Event::new("an event of another day");
        event.id = EventId(number as u128);
        event.time = now - number as i64 * 86_400_000;
        writer.add(&event)?;
        writer.commit(&payload, now)?;
    }
    Ok(())
}
