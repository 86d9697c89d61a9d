//! What the agent tells the gap ledger, in the words of the workers and planes.
//!
//! Telling never waits and never fails: a ledger that cannot be written says so in the status, and auditing goes on.

use std::collections::BTreeMap;
use std::time::Instant;

use anetcon_api::LedgerStatus;
use anetcon_core::config::Config;
use anetcon_core::ledger::{Cause, Channel};
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_records::counters::{Event, Part};
use anetcon_records::ledger::{Facts, LedgerConfig, Place};
use anetcon_records::session::Run;
use anetcon_records::{ledger, system};
use jiff::{SignedDuration, Timestamp};

/// Both ways in which connections are told.
pub const BOTH: [Channel; 2] = [Channel::KernelLog, Channel::Records];

/// The ledger, or why there is none.
#[derive(Debug)]
pub struct Ledger(Result<ledger::Ledger, String>);

/// A gap of one namespace while it is told of.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// The namespace.
    pub name: &'a NetnsName,
    /// Its identity, if it was opened.
    pub cookie: Option<NetnsCookie>,
}

impl Ledger {
    /// Begins, in the state directory of a configuration, with the time in which no agent ran.
    pub fn start(config: &Config) -> Self {
        let opened = open(config);
        if let Err(error) = &opened {
            tracing::error!(error, "there is no gap ledger");
        }
        Self(opened)
    }

    /// A gap of a namespace begins.
    pub fn begin(
        &self,
        of: Of<'_>,
        cause: Cause,
        channels: &[Channel],
        from: Timestamp,
        why: &str,
    ) {
        let facts = Facts { reasons: vec![why.to_owned()], ..missing(channels) };
        self.tell(|ledger| ledger.begin(of.place(), cause, from, facts));
    }

    /// It is over.
    pub fn end(&self, of: Of<'_>, cause: Cause, channels: &[Channel], to: Timestamp) {
        self.tell(|ledger| ledger.end(of.place(), cause, to, missing(channels)));
    }

    /// It is over, and this is what is known about it.
    pub fn end_known(&self, of: Of<'_>, cause: Cause, to: Timestamp, facts: Facts) {
        self.tell(|ledger| ledger.end(of.place(), cause, to, facts));
    }

    /// A gap of a namespace that is over already.
    pub fn gap(&self, of: Of<'_>, cause: Cause, from: Timestamp, to: Timestamp, facts: Facts) {
        self.tell(|ledger| ledger.gap(of.place(), cause, from, to, facts));
    }

    /// A channel of a namespace that was there at the start works.
    pub fn came_up(&self, of: Of<'_>, channel: Channel, at: Timestamp, stood: bool) {
        self.tell(|ledger| ledger.came_up(of.place(), channel, at, stood));
    }

    /// Since when something may be so that was noticed then.
    pub fn since(&self, noticed: Instant) -> Timestamp {
        let noticed = wall(noticed);
        self.0.as_ref().map_or(noticed, |ledger| ledger.since(noticed))
    }

    /// Since when no agent had run when this one started.
    pub fn down_since(&self) -> Timestamp {
        self.0.as_ref().map_or_else(|_| Timestamp::now(), ledger::Ledger::down_since)
    }

    /// A namespace is gone.
    pub fn vanished(&self, name: &NetnsName) {
        self.tell(|ledger| ledger.vanished(name.as_str()));
    }

    /// Every namespace was looked at.
    pub fn ready(&self) {
        self.tell(ledger::Ledger::ready);
    }

    /// The agent is going to end.
    pub fn stopping(&self) {
        self.tell(ledger::Ledger::stopping);
    }

    /// Session records are elsewhere, or nowhere, from now on.
    pub fn configure(&self, config: &Config) {
        self.tell(|ledger| ledger.sessions(sessions(config)));
    }

    /// The kernel logs nothing outside the root namespace, or does so again.
    pub fn nf_log(&self, ok: bool) {
        let (place, now) = (Place::default(), Timestamp::now());
        let facts = missing(&[Channel::KernelLog]);
        self.tell(|ledger| match ok {
            true => ledger.end(place, Cause::NfLogOff, now, facts),
            false => ledger.begin(place, Cause::NfLogOff, now, facts),
        });
    }

    /// What the threads that write the files tell.
    pub fn files(&self, event: &Event) {
        let now = Timestamp::now();
        self.tell(|ledger| match event {
            Event::Lost { records, from, to, .. } => {
                let facts = Facts { lost: Some(*records), ..missing(&[Channel::KernelLog]) };
                let from = from.unwrap_or_else(|| ledger.down_since());
                ledger.gap(Place::default(), Cause::KernelLinesLost, from, *to, facts);
            }
            Event::Dropped { records, from } => {
                let facts = Facts { lost: Some(*records), ..missing(&[Channel::Records]) };
                ledger.gap(place_of("sessions"), Cause::DiskFull, *from, now, facts);
            }
            Event::Failed { part, error } => {
                let Some((place, channel)) = written_by(*part) else { return };
                let facts = Facts { reasons: vec![error.clone()], ..missing(&[channel]) };
                ledger.begin(place, Cause::DiskFull, now, facts);
            }
            Event::Recovered { part, unwritten, .. } => {
                let Some((place, channel)) = written_by(*part) else { return };
                let facts = Facts { lost: Some(*unwritten), ..missing(&[channel]) };
                ledger.end(place, Cause::DiskFull, now, facts);
            }
            Event::PositionVoid | Event::Reopened { .. } => {}
        });
    }

    /// How it goes.
    pub fn status(&self) -> LedgerStatus {
        match &self.0 {
            Ok(ledger) => {
                let status = ledger.status();
                LedgerStatus { open: status.open, error: status.error }
            }
            Err(error) => LedgerStatus { open: 0, error: Some(error.clone()) },
        }
    }

    /// Gaps that began since the agent started, by cause.
    pub fn begun(&self) -> BTreeMap<Cause, u64> {
        self.0.as_ref().map(|ledger| ledger.status().begun).unwrap_or_default()
    }

    /// Writes what waits and ends.
    pub fn close(&self) {
        self.tell(ledger::Ledger::close);
    }

    fn tell(&self, tell: impl FnOnce(&ledger::Ledger)) {
        if let Ok(ledger) = &self.0 {
            tell(ledger);
        }
    }
}

impl Of<'_> {
    fn place(self) -> Place {
        let cookie = self.cookie.map(|cookie| cookie.to_string());
        Place { namespace: Some(self.name.to_string()), cookie, file: None }
    }
}

/// The wall clock's time of a moment that the monotonic clock knows.
pub fn wall(moment: Instant) -> Timestamp {
    let ago = SignedDuration::try_from(moment.elapsed()).unwrap_or_default();
    Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN)
}

/// Facts of which only the channels are known.
pub fn missing(channels: &[Channel]) -> Facts {
    Facts { channels: channels.to_vec(), ..Facts::default() }
}

fn open(config: &Config) -> Result<ledger::Ledger, String> {
    let boot_id = system::boot_id().map_err(|error| format!("no boot id: {error}"))?;
    let run = Run::id_at(Timestamp::now());
    let settings = LedgerConfig {
        sessions: sessions(config),
        ..LedgerConfig::new(config.state.directory.clone(), boot_id, run)
    };
    let trouble = |error: Option<&str>| match error {
        Some(error) => tracing::error!(error, "the gap ledger cannot be written"),
        None => tracing::info!("the gap ledger is written again"),
    };
    ledger::Ledger::open(settings, trouble).map_err(|error| error.to_string())
}

fn sessions(config: &Config) -> Option<std::path::PathBuf> {
    config.records.enabled.then(|| config.records.file.clone())
}

/// What is missing while a part fails. The saved position is missed by nobody: the next start reads on from an older one.
fn written_by(part: Part) -> Option<(Place, Channel)> {
    match part {
        Part::KernelLog => Some((Place::default(), Channel::KernelLog)),
        Part::File(kind) => Some((place_of(kind.as_str()), Channel::KernelLog)),
        Part::Sessions => Some((place_of("sessions"), Channel::Records)),
        Part::Position => None,
    }
}

fn place_of(file: &str) -> Place {
    Place { file: Some(file.to_owned()), ..Place::default() }
}
