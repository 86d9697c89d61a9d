//! The page of metrics as Prometheus reads it, and promtool to judge it.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "promtool is what this is tested with")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::http;
use anetcon_testkit::netns::wait_until;

/// Ends a broken test; far longer than anything takes that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a client of the older format says that it takes.
pub const TEXT: &str = "text/plain;version=0.0.4";

/// Every series with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Page(pub BTreeMap<String, f64>);

impl Page {
    /// Reads either format.
    pub fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let numbers = series.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("{line:?} has no number"));
            (series.to_owned(), value)
        });
        Self(numbers.collect())
    }

    /// What the agent tells on its socket now.
    pub fn of(agent: &Agent) -> Self {
        Self::parse(&text(agent))
    }

    /// The number of a series, which must be there.
    pub fn get(&self, series: &str) -> f64 {
        let value = self.0.get(series).copied();
        value.unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.0.keys()))
    }

    /// The names of all metrics, as a query knows them.
    pub fn names(&self) -> BTreeSet<String> {
        let name = |series: &String| series.split('{').next().unwrap_or_default().to_owned();
        self.0.keys().map(name).collect()
    }
}

/// What the agent tells a client of the older format.
pub fn text(agent: &Agent) -> String {
    let answer = http::get_accepting(&agent.socket(), "/metrics", TEXT).unwrap();
    assert_eq!(answer.code, 200, "{}", answer.body);
    answer.body
}

/// Waits until the page is as wanted, and returns it.
pub fn wait_page(agent: &Agent, what: &str, wanted: impl Fn(&Page) -> bool) -> Page {
    wait_until(what, PATIENCE, || {
        let page = Page::of(agent);
        wanted(&page).then_some(page)
    })
}

/// What `promtool check metrics` says of a page in the older format: nothing, if all is well.
pub fn lint(text: &str) -> String {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// What promtool says on a file of ours, and whether it is content.
pub fn promtool(arguments: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new("promtool").args(arguments).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
