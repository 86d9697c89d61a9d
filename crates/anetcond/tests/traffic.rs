//! Real connections through a real router: which of them are logged, how often, and in which file.
//!
//! Nothing is waited for by luck: after the connections under test one more of each kind is made, and when
//! those two have arrived in the files, everything before them has arrived too.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::{unique, wait_until};
use anetcon_testkit::topology::{Addresses, Family, Router};
use anetcon_testkit::traffic::Connection;

/// A translating router and the agent that audits it.
struct Audited {
    router: Router,
    agent: Agent,
}

/// The lines of the two files since the agent started, sentinels left out.
struct Logged {
    float: Vec<String>,
    nat: Vec<String>,
}

impl Audited {
    fn new(nat: Nat, change: impl FnOnce(&mut Configuration, &str)) -> Self {
        let router = Router::named(&format!("qrouter-{}", unique("traffic")));
        nat.install(&router);
        let mut configuration = Configuration::auditing(&[router.netns.name()]);
        change(&mut configuration, router.netns.name());
        let agent = Agent::start(Path::new(env!("CARGO_BIN_EXE_anetcond")), configuration);
        agent.wait_audited(1);
        Self { router, agent }
    }

    /// Everything logged so far. Makes one connection of each kind that must be logged, as the mark to
    /// read up to: from the instance with this address, and to the floating IP if that is audited.
    fn logged(&self, instance: IpAddr, floating: bool) -> Logged {
        let out = self.router.outgoing_from(Family::V4, instance).connect();
        let float = floating.then(|| self.router.to_floating(Family::V4).connect());
        Logged {
            float: float.map_or_else(|| self.agent.log_lines("float"), |c| self.up_to("float", &c)),
            nat: self.up_to("nat", &out),
        }
    }

    fn up_to(&self, kind: &str, sentinel: &Connection) -> Vec<String> {
        let what = format!("{sentinel:?} shows up in anetcon.{kind}.log");
        let mut lines = wait_until(&what, Duration::from_secs(10), || {
            let lines = self.agent.log_lines(kind);
            lines.iter().any(|line| tells_of(line, sentinel)).then_some(lines)
        });
        lines.retain(|line| !tells_of(line, sentinel));
        lines
    }
}

/// Addresses and ports in a kernel log line are those after DNAT and before SNAT.
fn tells_of(line: &str, connection: &Connection) -> bool {
    let (from, to) = (connection.client, connection.server);
    line.contains(&addresses_logged(from, to))
        && line.contains(&format!(" SPT={} DPT={} ", from.port(), to.port()))
}

/// As `nf_log_syslog` prints them: IPv6 addresses in full.
fn addresses_logged(from: SocketAddr, to: SocketAddr) -> String {
    let text = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.segments().map(|group| format!("{group:04x}")).join(":"),
    };
    format!(" SRC={} DST={} ", text(from.ip()), text(to.ip()))
}

/// Each connection has exactly one line, in any order, and there is no other line.
fn assert_one_line_each(lines: &[String], connections: &[Connection]) {
    for connection in connections {
        let count = lines.iter().filter(|line| tells_of(line, connection)).count();
        assert_eq!(count, 1, "lines of {connection:?} in {lines:#?}");
    }
    assert_eq!(lines.len(), connections.len(), "a line of no connection in {lines:#?}");
}

fn plain(_: &mut Configuration, _: &str) {}

fn every_connection_is_logged_once(nat: Nat) {
    let audited = Audited::new(nat, plain);
    let (mut floats, mut outs) = (Vec::new(), Vec::new());
    for family in Family::ALL {
        let Addresses { floating_instance, second_instance, .. } = *family.addresses();
        let router = &audited.router;
        floats.extend(router.to_floating(family).connect_many(3));
        outs.extend(router.outgoing(family).connect_many(3));
        outs.push(router.outgoing_from(family, floating_instance).connect());
        outs.push(router.outgoing_from(family, second_instance).connect());
        // Not tcp, so not audited by default.
        router.outgoing(family).exchange_datagrams();
        router.to_floating(family).echo();
    }
    let logged = audited.logged(Family::V4.addresses().instance, true);
    assert_one_line_each(&logged.float, &floats);
    assert_one_line_each(&logged.nat, &outs);
}

#[test]
fn once_where_iptables_nft_translates() {
    every_connection_is_logged_once(Nat::IptablesNft);
}

#[test]
fn once_where_iptables_legacy_translates() {
    every_connection_is_logged_once(Nat::IptablesLegacy);
}

#[test]
fn once_where_a_native_table_translates_early() {
    every_connection_is_logged_once(Nat::NativeEarly);
}

#[test]
fn once_where_a_table_made_over_netlink_translates() {
    every_connection_is_logged_once(Nat::Netlink);
}

#[test]
fn the_kernel_log_itself_holds_one_line_each() {
    let audited = Audited::new(Nat::IptablesNft, |configuration, _| {
        configuration.writer = "rsyslog".into();
    });
    let prefix = &audited.agent.configuration().prefix;
    let mut log = KernelLog::follow(prefix);
    let (mut floats, mut outs) = (Vec::new(), Vec::new());
    for family in Family::ALL {
        floats.extend(audited.router.to_floating(family).connect_many(3));
        outs.extend(audited.router.outgoing(family).connect_many(3));
    }
    let lines = log.settled();
    let of = |kind: &str| -> Vec<String> {
        let start = format!("{prefix}{kind}");
        lines.iter().filter(|line| line.starts_with(&start)).cloned().collect()
    };
    assert_one_line_each(&of("[D]"), &floats);
    assert_one_line_each(&of("[X]"), &outs);
    assert_eq!(lines.len(), floats.len() + outs.len(), "{lines:#?}");
    assert!(audited.agent.log_lines("float").is_empty(), "rsyslog was to write the files");
}

#[test]
fn only_listed_networks_are_logged() {
    let audited = Audited::new(Nat::Netlink, |configuration, netns| {
        let listed = Family::ALL.map(|family| family.addresses().second_subnet.to_owned());
        configuration.networks.insert(netns.to_owned(), listed.into());
    });
    let mut listed = Vec::new();
    for family in Family::ALL {
        let second = family.addresses().second_instance;
        listed.push(audited.router.outgoing_from(family, second).connect());
        audited.router.outgoing(family).connect();
        audited.router.to_floating(family).connect();
    }
    let logged = audited.logged(Family::V4.addresses().second_instance, false);
    assert_one_line_each(&logged.nat, &listed);
    assert_one_line_each(&logged.float, &[]);
}

#[test]
fn a_floating_connection_is_limited_by_its_instance() {
    let audited = Audited::new(Nat::Netlink, |configuration, netns| {
        let listed = Family::ALL.map(|family| family.addresses().subnet.to_owned());
        configuration.networks.insert(netns.to_owned(), listed.into());
    });
    let mut floats = Vec::new();
    for family in Family::ALL {
        floats.push(audited.router.to_floating(family).connect());
        let second = family.addresses().second_instance;
        audited.router.outgoing_from(family, second).connect();
    }
    let logged = audited.logged(Family::V4.addresses().instance, true);
    assert_one_line_each(&logged.float, &floats);
    assert_one_line_each(&logged.nat, &[]);
}

#[test]
fn with_scope_outgoing_every_floating_connection_is_logged() {
    let audited = Audited::new(Nat::Netlink, |configuration, netns| {
        let listed = Family::ALL.map(|family| family.addresses().second_subnet.to_owned());
        configuration.networks.insert(netns.to_owned(), listed.into());
        configuration.networks_scope = "outgoing".into();
    });
    let mut floats = Vec::new();
    for family in Family::ALL {
        floats.push(audited.router.to_floating(family).connect());
        audited.router.outgoing(family).connect();
    }
    let logged = audited.logged(Family::V4.addresses().second_instance, true);
    assert_one_line_each(&logged.float, &floats);
    assert_one_line_each(&logged.nat, &[]);
}

#[test]
fn a_list_of_ipv4_networks_leaves_ipv6_out() {
    let audited = Audited::new(Nat::Netlink, |configuration, netns| {
        let listed = Family::V4.addresses().subnet.to_owned();
        configuration.networks.insert(netns.to_owned(), vec![listed]);
    });
    audited.router.outgoing(Family::V6).connect();
    audited.router.to_floating(Family::V6).connect();
    let out = audited.router.outgoing(Family::V4).connect();
    let logged = audited.logged(Family::V4.addresses().instance, true);
    assert_one_line_each(&logged.nat, &[out]);
    assert_one_line_each(&logged.float, &[]);
}

#[test]
fn other_protocols_are_logged_where_asked_for() {
    let audited = Audited::new(Nat::IptablesNft, |configuration, _| {
        configuration.protocols = ["tcp", "udp", "icmp"].map(str::to_owned).into();
    });
    let (mut floats, mut outs) = (Vec::new(), Vec::new());
    let (mut pinged, mut pinging) = (Vec::new(), Vec::new());
    for family in Family::ALL {
        let (float, out) = (audited.router.to_floating(family), audited.router.outgoing(family));
        floats.extend([float.connect(), float.exchange_datagrams()]);
        outs.extend([out.connect(), out.exchange_datagrams()]);
        pinged.push(float.echo());
        pinging.push(out.echo());
    }
    let logged = audited.logged(Family::V4.addresses().instance, true);
    for (lines, with_ports, echoes) in [(logged.float, floats, pinged), (logged.nat, outs, pinging)]
    {
        let (icmp, rest): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.contains(" PROTO=ICMP"));
        assert_one_line_each(&rest, &with_ports);
        for echo in &echoes {
            let (from, to) = (echo.client, echo.server);
            let tells = |line: &&String| {
                line.contains(&addresses_logged(from, to))
                    && line.contains(&format!(" ID={} SEQ=0", from.port()))
            };
            assert_eq!(icmp.iter().filter(tells).count(), 1, "lines of {echo:?} in {icmp:#?}");
        }
        assert_eq!(icmp.len(), echoes.len(), "{icmp:#?}");
    }
}

/// Makes a connection of each kind and checks what its line says about the namespace.
fn lines_are_tagged(setting: &str, tag: impl FnOnce(&str) -> String) {
    let audited = Audited::new(Nat::Netlink, |configuration, _| {
        configuration.namespace_tag = setting.to_owned();
    });
    audited.router.to_floating(Family::V4).connect();
    audited.router.outgoing(Family::V4).connect();
    let logged = audited.logged(Family::V4.addresses().instance, true);
    let tag = tag(audited.router.netns.name());
    let prefix = &audited.agent.configuration().prefix;
    for (kind, lines) in [("[D]", logged.float), ("[X]", logged.nat)] {
        let whole = format!("{prefix}{kind}{tag} IN=");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines.iter().all(|line| line.contains(&whole)), "no {whole:?} in {lines:#?}");
    }
}

#[test]
fn a_line_names_its_namespace_by_hash() {
    lines_are_tagged("hash", |name| format!("[{}]", md5sum(name).get(..8).unwrap()));
}

#[test]
fn a_line_names_its_namespace_by_name() {
    lines_are_tagged("name", |name| format!("[{name}]"));
}

#[test]
fn a_line_names_no_namespace() {
    lines_are_tagged("none", |_| String::new());
}

#[allow(clippy::disallowed_methods, reason = "the hash must not come from the code under test")]
fn md5sum(text: &str) -> String {
    let mut child =
        Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
