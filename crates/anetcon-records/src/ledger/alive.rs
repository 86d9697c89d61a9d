//! The sign of life: a small file with the time, so that the next start knows when this agent was killed.
//!
//! It is written some forty times a second into one page of memory; the disk sees it now and then. After a power cut the time on
//! disk may be older than the last beat, never younger: the gap is told as longer than it was.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// How often. A death is dated to this, and to what the scheduler adds; 50 ms are promised. Waking up is most of what an agent at rest
/// costs: some 50 µs each time where that leaves a virtual machine.
const EVERY: Duration = Duration::from_millis(25);

/// A step of the wall clock that is told. Slewing is slower by far.
const STEP: SignedDuration = SignedDuration::from_millis(100);

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// When.
    pub time: Timestamp,
    /// In which boot.
    pub boot_id: String,
}

/// After so long without a beat the whole agent stood still: stopped by a signal, or the machine was suspended.
const STOOD_STILL: SignedDuration = SignedDuration::from_millis(200);

/// How long after such a pause what is noticed may have happened in it.
const CATCHING_UP: SignedDuration = SignedDuration::from_secs(1);

/// The thread that beats.
#[derive(Debug)]
pub(super) struct Alive {
    pulse: Arc<Mutex<Pulse>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The last beat, and the last pause between two.
#[derive(Debug, Clone, Copy)]
struct Pulse {
    last: Timestamp,
    pause: Option<(Timestamp, Timestamp)>,
}

impl Beat {
    /// The last one. `None`: there was none, or it cannot be understood.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let mut words = text.split_whitespace();
        let time = words.next().and_then(|word| word.parse().ok());
        let boot_id = words.next().map(str::to_owned);
        Ok(time.zip(boot_id).map(|(time, boot_id)| Self { time, boot_id }))
    }

    /// Always as long as any other: it is written over the one before.
    fn line(&self) -> String {
        format!("{:.6} {}\n", self.time, self.boot_id)
    }
}

impl Alive {
    /// Beats from now on. `stepped` is told the wall clock's time before and after a step.
    pub(super) fn start(
        path: PathBuf,
        boot_id: String,
        mut stepped: impl FnMut(Timestamp, Timestamp) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let mut file = None;
        let mut clocks = Clocks::read();
        let pulse = Arc::new(Mutex::new(Pulse { last: clocks.wall, pause: None }));
        let felt = Arc::clone(&pulse);
        let thread = thread::Builder::new().name("anetcon-alive".into()).spawn(move || {
            loop {
                let now = Clocks::read();
                if let Some(expected) = clocks.step_to(&now) {
                    stepped(expected, now.wall);
                }
                felt.lock().unwrap_or_else(PoisonError::into_inner).beat(now.wall);
                let beat = Beat { time: now.wall, boot_id: boot_id.clone() };
                // What cannot be written now is written with the next beat; the ledger's own file tells of a full disk.
                if beat.write(&path, &mut file).is_err() {
                    file = None;
                }
                clocks = now;
                if over.load(Ordering::Relaxed) {
                    return;
                }
                thread::park_timeout(EVERY);
            }
        })?;
        Ok(Self { pulse, stop, thread: Some(thread) })
    }

    /// Since when what was noticed at a time may be so.
    pub(super) fn since(&self, noticed: Timestamp) -> Timestamp {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner).since(noticed)
    }
}

impl Pulse {
    fn beat(&mut self, now: Timestamp) {
        if now.duration_since(self.last) >= STOOD_STILL {
            self.pause = Some((self.last, now));
        }
        self.last = now;
    }

    fn since(&self, noticed: Timestamp) -> Timestamp {
        if noticed.duration_since(self.last) >= STOOD_STILL {
            return self.last;
        }
        match self.pause {
            Some((from, to)) if noticed.duration_since(to) < CATCHING_UP => noticed.min(from),
            _ => noticed,
        }
    }
}

impl Beat {
    fn write(&self, path: &Path, file: &mut Option<File>) -> io::Result<()> {
        let file = match file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                file.insert(
                    options.write(true).create(true).truncate(false).mode(0o640).open(path)?,
                )
            }
        };
        file.write_all_at(self.line().as_bytes(), 0)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic has been told where it happened.
            let _ = thread.join();
        }
    }
}

/// The wall clock, and one that nobody sets and that goes on in a suspend.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    wall: Timestamp,
    boot: Duration,
}

impl Clocks {
    fn read() -> Self {
        // CLOCK_BOOTTIME is there since Linux 2.6.39 and the call takes no other input, so it cannot fail.
        let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
        Self { wall: Timestamp::now(), boot }
    }

    /// What the wall clock would have said, if it was set since.
    fn step_to(&self, now: &Self) -> Option<Timestamp> {
        let passed = SignedDuration::try_from(now.boot.saturating_sub(self.boot)).ok()?;
        let expected = self.wall.checked_add(passed).ok()?;
        (now.wall.duration_since(expected).abs() >= STEP).then_some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_beat_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive");
        assert_eq!(Beat::read(&path).unwrap(), None);
        let before = Timestamp::now();
        drop(Alive::start(path.clone(), "boot".into(), |_, _| ()).unwrap());
        let beat = Beat::read(&path).unwrap().unwrap();
        let now = Timestamp::now();
        assert!(
            before <= beat.time + SignedDuration::from_micros(1) && beat.time <= now,
            "{beat:?}"
        );
        assert_eq!(beat.boot_id, "boot");
        fs::write(&path, "2026-11-").unwrap();
        assert_eq!(Beat::read(&path).unwrap(), None);
    }

    #[test]
    fn what_is_noticed_after_a_pause_may_have_happened_in_it() {
        let at = |ms: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms);
        let mut pulse = Pulse { last: at(0), pause: None };
        pulse.beat(at(25));
        assert_eq!(pulse.since(at(40)), at(40));
        assert_eq!(pulse.since(at(3000)), at(25), "noticed before the beat goes on");
        pulse.beat(at(3000));
        assert_eq!(pulse.since(at(3010)), at(25), "or after it");
        assert_eq!(pulse.since(at(20)), at(20), "or before the pause");
        pulse.beat(at(3025));
        assert_eq!(pulse.since(at(4100)), at(3025), "the beat is late again");
        pulse.beat(at(4100));
        pulse.beat(at(4125));
        for beat in 0..60 {
            pulse.beat(at(4125 + beat * 25));
        }
        assert_eq!(pulse.since(at(5610)), at(5610));
    }

    #[test]
    fn a_step_of_the_wall_clock_is_seen_and_slewing_is_not() {
        let wall = Timestamp::from_second(1_000).unwrap();
        let clocks = |wall_ms: i64, boot_ms: u64| Clocks {
            wall: wall + SignedDuration::from_millis(wall_ms),
            boot: Duration::from_millis(boot_ms),
        };
        let before = clocks(0, 0);
        for (wall_ms, boot_ms, step) in [
            (25, 25, false),
            (26, 25, false),
            (3_600_000, 3_600_000, false),
            (125, 25, true),
            (-75, 25, true),
        ] {
            let expected = before.step_to(&clocks(wall_ms, boot_ms));
            assert_eq!(expected.is_some(), step, "{wall_ms} {boot_ms}");
        }
        assert_eq!(before.step_to(&clocks(-75, 25)), Some(clocks(25, 0).wall));
    }
}
