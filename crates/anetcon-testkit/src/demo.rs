//! The demo: a router with SNAT and a floating IP in throw-away namespaces, audited by the agent.
//!
//! What the spectator sees is printed to stdout. Nothing may stay behind, also when interrupted.

mod screen;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anetcon_api::{Namespaces, Repair, RepairKind, Status, paths};
use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::geteuid;

use self::screen::Screen;
use crate::agent::Agent;
use crate::configuration::Configuration;
use crate::nat::Nat;
use crate::nat_netlink;
use crate::netns::Netns;
use crate::topology::{Family, Router};
use crate::traffic::{Connection, Path as Traffic};

/// Runs the whole demo with `anetcond` and `anetconctl` from the folder `binaries`; needs root.
///
/// # Errors
/// When a step does not do what the demo promises, with the step's name.
pub fn run(binaries: &Path) -> Result<()> {
    ensure!(geteuid().is_root(), "the demo makes network namespaces: run it as root");
    // Whoever started us may be killed alone; that must not leave a router behind.
    prctl::set_pdeathsig(Some(Signal::SIGTERM))?;
    let mut screen = Screen::open()?;
    // The parts of the testkit end a failed test by a panic; here it becomes an error with its words.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| play(&mut screen, binaries)));
    panic::set_hook(hook);
    if screen.interrupted() {
        bail!("interrupted; namespaces, agent and temporary folder are gone");
    }
    outcome.unwrap_or_else(|panic| Err(anyhow!(words_of(&*panic))))
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a step failed without a word").to_owned()
}

/// What has to go at the end. The agent goes first: it sets the machine-wide sysctl back.
struct Stage {
    agent: Agent,
    router: Router,
    control_program: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.agent.end();
    }
}

fn play(screen: &mut Screen, binaries: &Path) -> Result<()> {
    let start = Instant::now();
    let router = build_router(screen)?;
    let mut stage = Stage {
        agent: Agent::prepared(&binaries.join("anetcond"), configuration(&router)),
        router,
        control_program: binaries.join("anetconctl"),
    };
    let played = stage.start_agent(screen).and_then(|()| {
        stage.connect(screen)?;
        stage.wipe(screen)?;
        stage.show_status(screen)?;
        stage.ask_who(screen)
    });
    if let Err(error) = played {
        if !screen.interrupted() {
            screen.say("The demo failed. What the agent said:")?;
            screen.show(&stage.agent.stderr())?;
        }
        return Err(error);
    }
    clean_up(screen, stage)?;
    screen.say(&format!("That took {:.1} s.", start.elapsed().as_secs_f64()))
}

/// Its name does not begin like a real router's: an agent of this machine shall not audit it as well.
fn build_router(screen: &mut Screen) -> Result<Router> {
    screen.step("A router in throw-away network namespaces")?;
    let router = Router::named(&format!("demo-qrouter-{}", std::process::id()));
    Nat::Netlink.install(&router);
    let a = Family::V4.addresses();
    let facts = [
        ("namespace", router.netns.name().to_owned()),
        ("subnet", format!("{}, hidden behind {}", a.subnet, a.external)),
        ("floating IP", format!("{}, for instance {}", a.floating, a.floating_instance)),
        ("remote host", format!("{}, in a namespace of its own", a.remote)),
    ];
    screen.say("Made over netlink, as an OpenStack network node has it. IPv6 likewise.")?;
    screen.show(&table(&facts))?;
    Ok(router)
}

fn configuration(router: &Router) -> Configuration {
    Configuration {
        table: "anetcon_demo".into(),
        prefix: "[ANETCON-DEMO]".into(),
        ..Configuration::auditing(&[router.netns.name()])
    }
}

fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

impl Stage {
    fn start_agent(&mut self, screen: &mut Screen) -> Result<()> {
        screen.step("The agent finds it and puts its rules there")?;
        let start = Instant::now();
        self.agent.spawn();
        let status = screen.wait("the agent audits the router", || self.audited())?;
        let took = start.elapsed().as_secs_f64() * 1000.0;
        screen.say(&format!("anetcond started and audits the router after {took:.0} ms."))?;
        if status.nf_log_all_netns.set_by_us {
            screen.say("It set net.netfilter.nf_log_all_netns to 1 and will set it back.")?;
        }
        let name = self.router.netns.name();
        let detail = self.agent.get(&format!("{}/{name}", paths::NAMESPACES));
        if let Some(rules) = detail.get("rules").and_then(|rules| rules.as_str()) {
            screen.say("The rules, as nft would list them:")?;
            screen.show(rules.trim_end())?;
        }
        let namespaces: Namespaces = serde_json::from_value(self.agent.get(paths::NAMESPACES))?;
        let namespace = namespaces.namespaces.first().context("the agent lists no namespace")?;
        screen.say(&format!("{} in a log line stands for {name}.", namespace.hash))
    }

    /// The status, once it says that the router is audited.
    fn audited(&mut self) -> Result<Option<Status>> {
        if let Some(status) = self.agent.exit_status() {
            bail!("the agent ended with {status}");
        }
        match self.agent.request("GET", paths::STATUS) {
            Ok(response) if response.code == 200 => {
                let status: Status = serde_json::from_str(&response.body)?;
                Ok((status.namespaces.audited == 1).then_some(status))
            }
            // Not there yet.
            _ => Ok(None),
        }
    }

    fn connect(&self, screen: &mut Screen) -> Result<()> {
        screen.step("Real connections, one line each")?;
        let router = &self.router;
        let (v4, v6) = (Family::V4, Family::V6);
        let cases = [
            ("The remote host connects to the floating IP.", "float", router.to_floating(v4)),
            (
                "An instance without a floating IP connects to the remote host.",
                "nat",
                router.outgoing(v4),
            ),
            (
                "The remote host connects to the floating IP, over IPv6.",
                "float",
                router.to_floating(v6),
            ),
        ];
        for (sentence, kind, traffic) in cases {
            screen.say(sentence)?;
            self.connect_and_show(screen, kind, &traffic)?;
        }
        screen.say("Each of these was a dozen packets or more; only the first one is logged.")
    }

    fn connect_and_show(
        &self,
        screen: &mut Screen,
        kind: &str,
        traffic: &Traffic<'_>,
    ) -> Result<()> {
        let connection = traffic.try_connect()?;
        let line = self.line_of(screen, kind, &connection)?;
        screen.show(&format!(
            "{} -> {}\nin anetcon.{kind}.log:\n{line}",
            connection.client, connection.dialled
        ))
    }

    fn line_of(&self, screen: &Screen, kind: &str, connection: &Connection) -> Result<String> {
        let ports = format!(" SPT={} DPT={} ", connection.client.port(), connection.server.port());
        let what = format!("a line of {} in anetcon.{kind}.log", connection.client);
        screen.wait(&what, || {
            Ok(self.agent.log_lines(kind).into_iter().find(|line| line.contains(&ports)))
        })
    }

    fn wipe(&self, screen: &mut Screen) -> Result<()> {
        screen.step("Somebody wipes the rules")?;
        let table = &self.agent.configuration().table;
        screen.say(&format!("The same as `nft delete table inet {table}` in the router:"))?;
        self.router.netns.run(|| nat_netlink::delete_table(table))?;
        let repair = screen.wait("the agent reports the repair", || {
            let last = self.status()?.repairs.last;
            Ok(last.into_iter().find(|repair| repair.kind == RepairKind::Repaired))
        })?;
        screen.show(&report(&repair))?;
        screen.say("The next connection is logged again:")?;
        self.connect_and_show(screen, "float", &self.router.to_floating(Family::V4))
    }

    fn show_status(&self, screen: &mut Screen) -> Result<()> {
        screen.step("anetconctl status")?;
        let output = control_command(&self.control_program)
            .arg("--socket")
            .arg(self.agent.socket())
            .arg("status")
            .output()
            .with_context(|| format!("cannot start {}", self.control_program.display()))?;
        screen.show(String::from_utf8_lossy(&output.stdout).trim_end())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "anetconctl status ended with {}: {said}", output.status);
        Ok(())
    }

    fn ask_who(&self, screen: &mut Screen) -> Result<()> {
        screen.step("Who was that?")?;
        let connection = self.router.outgoing(Family::V4).try_connect()?;
        let outside = connection.seen_client;
        let remote = connection.dialled;
        screen.say(&format!(
            "An instance connects to {remote}, which sees {outside}: the address of the router.\n\
             Its owner complains and asks who that was. `anetconctl who {outside} --at now`:"
        ))?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
        let log = self.agent.folder().join("log");
        let port = format!("\"port\":{}", outside.port());
        screen.wait("the connection is on record", || {
            let records = fs::read_to_string(log.join("anetcon.sessions.ndjson"));
            Ok(records.is_ok_and(|records| records.contains(&port)).then_some(()))
        })?;
        let output = control_command(&self.control_program)
            .arg("--config")
            .arg(self.agent.configuration_path())
            .args(["who", &outside.to_string(), "--at", &at])
            .output()
            .with_context(|| format!("cannot start {}", self.control_program.display()))?;
        screen.show(String::from_utf8_lossy(&output.stdout).trim_end())?;
        ensure!(output.status.success(), "anetconctl who ended with {}", output.status);
        Ok(())
    }

    fn status(&self) -> Result<Status> {
        serde_json::from_value(self.agent.get(paths::STATUS)).context("the status is not one")
    }
}

#[allow(clippy::disallowed_methods, reason = "the demo shows what an operator would type")]
fn control_command(program: &Path) -> Command {
    Command::new(program)
}

fn report(repair: &Repair) -> String {
    let authors: Vec<_> = repair
        .authors
        .iter()
        .map(|author| format!("{} (thread {})", author.name, author.tid))
        .collect();
    table(&[
        ("what", repair.reasons.join(", ")),
        ("who", authors.join(", ")),
        ("back after", format!("{:.2} ms", repair.took_us as f64 / 1000.0)),
    ])
}

fn clean_up(screen: &mut Screen, mut stage: Stage) -> Result<()> {
    screen.step("Everything goes away again")?;
    let status = stage.agent.stop();
    let folder = stage.agent.folder().to_owned();
    let paths = [&stage.router.inside, &stage.router.netns, &stage.router.outside]
        .map(|netns: &Netns| netns.path().to_owned());
    drop(stage);
    let left: Vec<_> = paths.iter().chain([&folder]).filter(|path| path.exists()).collect();
    ensure!(left.is_empty(), "still there: {left:?}");
    ensure!(status.success(), "the agent ended with {status}");
    let value = fs::read_to_string("/proc/sys/net/netfilter/nf_log_all_netns").unwrap_or_default();
    screen.say(&format!(
        "The agent stopped; namespaces and temporary folder are removed.\n\
         net.netfilter.nf_log_all_netns is {}. Only the kernel log keeps the lines above.",
        value.trim()
    ))
}
