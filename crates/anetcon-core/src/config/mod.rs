//! The configuration: TOML text in, a checked [`Config`] or every error of the text out.
//!
//! Which files there are is anetcon-config's work, and what to do with a bad one is that of the agent and the CLI.

mod check;
pub(crate) mod diagnostic;
mod exposition;
mod merge;
mod names;
mod networks;
mod origin;
mod paths;
mod patterns;
mod prefixes;
pub(crate) mod raw;
pub(crate) mod section;
mod show;
pub(crate) mod sources;
pub(crate) mod suggest;
mod syntax;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use self::diagnostic::Errors;
pub use self::diagnostic::{ConfigErrors, Diagnostic};
pub use self::origin::{Origin, origins};
use self::raw::{Placed, Raw, Text};
pub use self::show::{Shown, values};
pub use self::sources::{Source, Sources};
pub use self::values::{LogLevel, NetworksScope, Protocol, Writer};
use crate::prefix::{NamespaceTag, Prefixes};
use crate::protect::Protect;
use crate::select::{Pattern, Selection};

/// A configuration that has been checked completely: every value in it can be put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `namespaces`: which namespaces are audited.
    pub selection: Selection,
    /// `namespace_directories`: absolute folders in which named namespaces are mounted.
    pub namespace_directories: Vec<PathBuf>,
    /// `period`: how often every namespace is compared without being asked to, in whole seconds.
    pub period: Duration,
    /// `debug`: log what is done and why.
    pub debug: bool,
    /// `protocols`: what is audited: sorted, without repetition, never empty.
    pub protocols: Vec<Protocol>,
    /// `networks_scope`: which kind of connection `networks` limits.
    pub networks_scope: NetworksScope,
    /// `networks`: for a namespace named here, the only networks audited, IPv4 and IPv6 together.
    /// Each list is sorted, merged, without host bits and never empty.
    pub networks: BTreeMap<String, Vec<IpNet>>,
    /// `[rules]`.
    pub rules: Rules,
    /// `[log]`.
    pub log: Log,
    /// `[state]`.
    pub state: State,
    /// `[control]`.
    pub control: Control,
    /// `[records]`.
    pub records: Records,
    /// `[metrics]`.
    pub metrics: Metrics,
}

/// `[rules]`: where our rules live in each namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The table of family inet, ours alone.
    pub table: String,
    /// Its one chain.
    pub chain: String,
    /// The chain's priority at postrouting, from -199 to 99.
    pub priority: i32,
    /// Whether others are kept from wiping the table.
    pub protect: Protect,
}

/// `[log]`: how a line looks and who writes it to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `prefix`, `prefix_dnat`, `prefix_other` and `namespace`.
    pub prefixes: Prefixes,
    /// The level at which the kernel logs.
    pub level: LogLevel,
    /// Who sorts kernel lines into the two files.
    pub writer: Writer,
    /// The absolute folder of the two files.
    pub directory: PathBuf,
}

/// `[state]`: what is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The absolute folder of the agent's own state.
    pub directory: PathBuf,
    /// The file that maps each hash to its namespace; `None` (`""` in the file): it is not stored.
    pub hash_file: Option<PathBuf>,
}

/// `[control]`: how the agent is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The absolute path of the Unix socket.
    pub socket: PathBuf,
}

/// `[records]`: one record per connection, with both sides of its translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// Whether there are records at all.
    pub enabled: bool,
    /// The absolute path of the file that they are written to.
    pub file: PathBuf,
    /// How many bytes of events may wait in the kernel for each namespace. A limit, not an allocation.
    pub buffer: usize,
    /// Whether the end of a connection is recorded too.
    pub end: bool,
    /// Whether a record holds the address of the remote end (RFC 6888, REQ-12, asks that it can be left out).
    pub destination: bool,
}

/// `[metrics]`: where metrics are besides on the control socket, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// The TCP address at which they are served; `None` (`""` in the file): at none.
    pub listen: Option<SocketAddr>,
    /// The absolute path of the file for node_exporter; `None` (`""` in the file): there is none.
    pub textfile: Option<PathBuf>,
    /// Whether there are series for each namespace besides those of all.
    pub namespaces: bool,
}

impl Default for Config {
    fn default() -> Self {
        let qrouters =
            Pattern::new("^qrouter-.*$").expect("the default pattern is a regular expression");
        Self {
            selection: Selection { patterns: vec![qrouters] },
            namespace_directories: vec!["/run/netns".into()],
            period: Duration::from_secs(30),
            debug: false,
            protocols: vec![Protocol::Tcp],
            networks_scope: NetworksScope::Both,
            networks: BTreeMap::new(),
            rules: Rules {
                table: "anetcon".into(),
                chain: "anetcon".into(),
                priority: -150,
                protect: Protect::Auto,
            },
            log: Log {
                prefixes: Prefixes {
                    base: "[ANETCON]".into(),
                    dnat: "[D]".into(),
                    other: "[X]".into(),
                    namespace: NamespaceTag::Hash,
                },
                level: LogLevel::Warning,
                writer: Writer::Rsyslog,
                directory: "/var/log/anetcon".into(),
            },
            state: State {
                directory: "/var/lib/anetcon".into(),
                hash_file: Some("/var/lib/anetcon/namespace.hash".into()),
            },
            control: Control { socket: "/run/anetcon/anetcon.sock".into() },
            records: Records {
                enabled: true,
                file: "/var/log/anetcon/anetcon.sessions.ndjson".into(),
                buffer: 16 << 20,
                end: false,
                destination: true,
            },
            metrics: Metrics::default(),
        }
    }
}

/// Reads and checks a whole file. A key that is absent has its default; an empty text is
/// [`Config::default`].
///
/// # Errors
/// Everything that is wrong with the text, in its order; after a syntax error only the syntax.
pub fn parse(text: &str) -> Result<Config, ConfigErrors> {
    parse_all(&Sources::one("", text.as_bytes()))
}

/// As [`parse`], a main file with its drop-ins over it.
///
/// # Errors
/// Everything that is wrong with any of the texts.
pub fn parse_all(sources: &Sources) -> Result<Config, ConfigErrors> {
    let mut errors = Errors::default();
    let raw = sources.read(&mut errors);
    checked(&raw, errors)
}

/// The configuration that another format says, with the errors found on the way to it.
pub(crate) fn checked(raw: &Raw, mut errors: Errors) -> Result<Config, ConfigErrors> {
    let config = check::check(raw, &mut errors);
    errors.or(config)
}

/// What the agent's command line puts over the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `-n REGEX`, as often as given: replaces `namespaces` if not empty.
    pub namespaces: Vec<String>,
    /// `-p SECONDS`: replaces `period`.
    pub period: Option<u64>,
    /// `-v`: turns `debug` on; it cannot turn it off.
    pub debug: bool,
}

impl Config {
    /// The numbers (`IPPROTO_*`) of `protocols`: sorted, without repetition.
    pub fn protocol_numbers(&self) -> Vec<u8> {
        let mut numbers: Vec<u8> =
            self.protocols.iter().flat_map(|protocol| protocol.numbers()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// This configuration with the command line over it.
    ///
    /// # Errors
    /// Everything that is wrong with the command line's values, without a place in any text.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        if !overrides.namespaces.is_empty() {
            let texts = overrides.namespaces.iter().map(|text| Text::without_place(text));
            let list = Placed { value: texts.collect(), span: None };
            self.selection = check::selection("-n", &list, &mut errors);
        }
        let period = overrides.period.map(|seconds| Placed { value: seconds.into(), span: None });
        self.period = errors.value("-p", &period, check::period, self.period);
        self.debug |= overrides.debug;
        errors.or(self)
    }
}

#[cfg(test)]
mod tests;
