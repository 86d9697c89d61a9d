//! Every connection is on record once, with both sides of its translation, as `conntrack -E` tells them; and limits,
//! switches and ends are as configured.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "what an operator would type is typed here")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod records_kit;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::beside::Beside;
use anetcon_testkit::beside::listens;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::{unique, wait_until};
use anetcon_testkit::topology::{Addresses, Family, Router};
use anetcon_testkit::traffic::{Connection, Path};
use records_kit::*;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// A router, the agent that audits it, and `conntrack -E` beside it.
struct Recorded {
    beside: Beside,
    agent: Agent,
    router: Router,
}

impl Recorded {
    fn new(router: Router, change: impl FnOnce(&mut Configuration)) -> Self {
        let agent = auditing(&[&router.netns], change);
        Self { beside: Beside::start(&router.netns, "NEW"), agent, router }
    }

    /// Compares all records with what was made and with what `conntrack -E` tells of the same protocols.
    fn check(&self, protocols: &[&str], made: &[(&str, Connection)]) -> Vec<Value> {
        let mut records = settled(&self.agent, &self.router.netns);
        assert_no_holes(&read(&file(&self.agent)));
        assert_valid(&records);
        records.retain(|record| record["source"]["port"].is_number());
        let expected = made.iter().map(|(kind, connection)| (sides_of(connection), *kind));
        let found = records.iter().map(|record| (sides(record), action(record)));
        assert_eq!(sorted(found.collect()), sorted(expected.collect()));

        let beside = told_connections(&self.beside, protocols, made.len());
        let id = |record: &Value| record["anetcon"]["conntrack_id"].as_u64().unwrap();
        let found = records.iter().map(|record| (sides(record), id(record)));
        assert_eq!(sorted(found.collect()), beside);
        for (_, connection) in made {
            self.who(connection);
        }
        records
    }

    /// Asks who it was, as somebody outside would: he knows the outside address and port, and his own.
    fn who(&self, connection: &Connection) {
        // The outer of both ends is the translated one; without translation the client's.
        let incoming = connection.dialled != connection.server;
        let (outside, other) = match incoming {
            true => (connection.dialled, connection.seen_client),
            false => (connection.seen_client, connection.dialled),
        };
        let folder = self.agent.folder().join("log");
        let arguments = ["--json", "--peer", &other.to_string(), "--dir"].map(OsString::from);
        let output = Command::new(anetconctl())
            .args(["who".into(), OsString::from(outside.to_string())].iter().chain(&arguments))
            .arg(folder)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let first = found.first().unwrap_or_else(|| panic!("nobody was {outside}: {output:?}"));
        assert_eq!(first["anetcon"]["rank"], 1);
        assert_eq!(first["anetcon"]["namespace"], self.router.netns.name());
        assert_eq!(sides(first), sides_of(connection), "who {outside} --peer {other}: {text}");
    }
}

fn anetconctl() -> PathBuf {
    let tool = std::path::Path::new(ANETCOND).with_file_name("anetconctl");
    assert!(tool.exists(), "{} is missing: `cargo build -p anetconctl` makes it", tool.display());
    tool
}

fn translating(nat: Nat) -> Router {
    let router = Router::named(&format!("qrouter-{}", unique("rec")));
    nat.install(&router);
    router
}

/// Out from each instance, and in to the floating address.
fn in_and_out(router: &Router) -> Vec<(&'static str, Connection)> {
    let mut made = Vec::new();
    for family in Family::ALL {
        let Addresses { floating_instance, instance, second_instance, .. } = *family.addresses();
        for source in [floating_instance, instance, second_instance] {
            made.push(("nat", router.outgoing_from(family, source).connect()));
        }
        let incoming = router.to_floating(family).connect_many(3);
        made.extend(incoming.into_iter().map(|connection| ("float", connection)));
    }
    made
}

#[test]
fn once_where_iptables_nft_translates() {
    let recorded = Recorded::new(translating(Nat::IptablesNft), |_| {});
    let made = in_and_out(&recorded.router);
    // Not tcp, so not recorded by default.
    recorded.router.outgoing(Family::V4).exchange_datagrams();
    recorded.check(&["tcp"], &made);
}

#[test]
fn once_where_iptables_legacy_translates() {
    let recorded = Recorded::new(translating(Nat::IptablesLegacy), |_| {});
    let made = in_and_out(&recorded.router);
    recorded.check(&["tcp"], &made);
}

/// Everything that a router with a native table can be asked for.
#[test]
fn every_way_through_a_native_table() {
    let router = translating(Nat::NativeEarly);
    run(
        &router.netns,
        "nft",
        &["add table inet second; \
           add chain inet second after { type nat hook postrouting priority -110; }; \
           add rule inet second after ip saddr 10.8.0.20 ip daddr 10.7.0.10 snat ip to 203.0.113.11; \
           add rule inet second after ip6 saddr fd00:8::20 ip6 daddr fd00:7::10 snat ip6 to 2001:db8:203::11"],
    );
    let recorded = Recorded::new(router, |configuration| {
        configuration.protocols = ["tcp", "udp", "icmp"].map(str::to_owned).into();
    });
    let router = &recorded.router;
    let mut made = in_and_out(router);
    let mut still_open = Vec::new();
    for family in Family::ALL {
        made.push(("nat", router.outgoing(family).exchange_datagrams()));
        made.push(("float", router.to_floating(family).exchange_datagrams()));
        made.extend(hairpin(router, family).connect_many(2).into_iter().map(|one| ("float", one)));
        let (ends, both) = one_source_port(router, family);
        still_open.extend(ends);
        made.extend(both.map(|one| ("nat", one)));
    }
    let echoes = Family::ALL.map(|family| router.outgoing(family).echo());
    recorded.check(&["tcp", "udp"], &made);

    let records = settled(&recorded.agent, &recorded.router.netns);
    let echoed: Vec<_> = records.iter().filter(|r| !r["anetcon"]["icmp"].is_null()).collect();
    assert_eq!(echoed.len(), echoes.len(), "{echoed:#?}");
    for (family, echo) in Family::ALL.into_iter().zip(echoes) {
        let id = echo.client.port();
        let record = echoed.iter().find(|record| record["anetcon"]["icmp"]["id"] == id);
        let record = record.unwrap_or_else(|| panic!("no echo {id} in {echoed:#?}"));
        let outside = [echo.client.ip(), echo.server.ip(), family.addresses().external];
        let told = [&record["source"], &record["destination"], &record["source"]["nat"]];
        assert_eq!(told.map(|end| end["ip"].as_str().unwrap()), outside.map(|ip| ip.to_string()));
        assert_eq!(action(record), "nat");
    }
}

/// Between two floating addresses of one router.
fn hairpin(router: &Router, family: Family) -> Path<'_> {
    let addresses = family.addresses();
    Path {
        client: &router.inside,
        source: addresses.second_instance,
        server: &router.inside,
        listen: addresses.floating_instance,
        dial: addresses.floating,
    }
}

/// Two instances whose connections differ only by their own address: the second gets another port outside.
fn one_source_port(router: &Router, family: Family) -> (Vec<TcpStream>, [Connection; 2]) {
    let Addresses { remote, instance, second_instance, .. } = *family.addresses();
    let listener = router.outside.run(|| TcpListener::bind((remote, 0))).unwrap();
    let mut ends = Vec::new();
    let both = [instance, second_instance].map(|address| {
        let (pair, connection) = connect_from(router, address, &listener);
        ends.extend(pair);
        connection
    });
    let ports = both.map(|connection| connection.seen_client.port());
    assert!(ports[0] == SOURCE_PORT && ports[1] != SOURCE_PORT, "no port was changed: {ports:?}");
    (ends, both)
}

const SOURCE_PORT: u16 = 40_000;

fn connect_from(
    router: &Router,
    address: IpAddr,
    listener: &TcpListener,
) -> ([TcpStream; 2], Connection) {
    let (source, server) = (SocketAddr::new(address, SOURCE_PORT), listener.local_addr().unwrap());
    let near = router.inside.run(|| {
        let socket = Socket::new(Domain::for_address(source), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect_timeout(&server.into(), PATIENCE).unwrap();
        TcpStream::from(socket)
    });
    let (far, seen_client) = listener.accept().unwrap();
    let connection = Connection { client: source, dialled: server, seen_client, server };
    ([near, far], connection)
}

#[test]
fn without_translation_it_is_direct() {
    let router = Router::named(&format!("qrouter-{}", unique("rec")));
    run(&router.outside, "ip", &["route", "add", "10.7.0.0/24", "via", "198.51.100.1"]);
    run(&router.outside, "ip", &["route", "add", "fd00:7::/64", "via", "2001:db8:51::1"]);
    let recorded = Recorded::new(router, |_| {});
    let made: Vec<_> = Family::ALL
        .into_iter()
        .flat_map(|family| recorded.router.outgoing(family).connect_many(2))
        .map(|connection| ("direct", connection))
        .collect();
    let records = recorded.check(&["tcp"], &made);
    for record in records {
        assert_eq!(record["source"]["nat"], Value::Null);
        assert_eq!(record["destination"]["nat"], Value::Null);
        assert_eq!(record["network"]["community_id"], record["anetcon"]["outside_community_id"]);
    }
}

#[test]
fn a_record_says_where_it_is_from() {
    let id = format!("a4fadad3-e529-4329-a086-{:012x}", std::process::id());
    let router = Router::named(&format!("qrouter-{id}"));
    Nat::NativeEarly.install(&router);
    let recorded = Recorded::new(router, |_| {});
    let made = recorded.router.outgoing(Family::V4).connect();
    let records = recorded.check(&["tcp"], &[("nat", made)]);
    let record = &records[0];
    let shown = recorded.agent.get("/v1/namespaces");
    assert_eq!(record["anetcon"]["namespace"], format!("qrouter-{id}"));
    assert_eq!(record["anetcon"]["router_id"], id);
    assert_eq!(record["anetcon"]["cookie"], shown["namespaces"][0]["cookie"], "{shown:#}");
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(record["anetcon"]["boot_id"], boot_id.trim());
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(record["observer"]["hostname"], hostname.trim());
}

/// Makes connections of both kinds from and to every instance, the chosen ones last, and compares records with the
/// lines that the kernel logged.
///
/// The kernel's ring is shared by all tests. Where one of them overran it, nothing was shown.
fn limited(networks: [&'static str; 2], scope: &str, chosen: [&[IpAddr]; 2], mark: &str) {
    let shown = (0..5).any(|_| try_limited(networks, scope, chosen, mark));
    assert!(shown, "the kernel log was overrun five times");
}

/// Whether the kernel log was ours to read from end to end.
fn try_limited(
    networks: [&'static str; 2],
    scope: &str,
    [floats, outs]: [&[IpAddr]; 2],
    mark: &str,
) -> bool {
    let router = translating(Nat::NativeEarly);
    let name = router.netns.name().to_owned();
    let recorded = Recorded::new(router, |configuration| {
        configuration.networks.insert(name, networks.map(str::to_owned).into());
        configuration.networks_scope = scope.to_owned();
    });
    let made: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|chosen| both_kinds(&recorded.router, chosen, floats, outs))
        .collect();
    settle_as(&recorded.agent, &recorded.router.netns, mark);
    let records = without_marks(read(&file(&recorded.agent)));
    assert_once(&records, &made);

    for (kind, actions) in [("float", ["float"; 2]), ("nat", ["nat", "direct"])] {
        let recorded_as = records.iter().filter(|record| actions.contains(&action(record)));
        let ports: Vec<_> = recorded_as.map(sides).collect();
        let overrun = || recorded.agent.status()["log"]["kernel_lines_lost"] != 0;
        let logged = wait_until("the kernel's lines are in the files", PATIENCE, || {
            let lines = recorded.agent.log_lines(kind);
            (lines.len() >= ports.len() || overrun()).then_some(lines)
        });
        if overrun() {
            return false;
        }
        assert_eq!(logged.len(), ports.len(), "{kind}: {logged:#?}");
        for [client, _, server, _] in ports {
            let mark = format!(" SPT={} DPT={} ", client.port(), server.port());
            assert_eq!(logged.iter().filter(|line| line.contains(&mark)).count(), 1, "{mark}");
        }
    }
    true
}

/// Connections to the floating addresses and from the instances; of those that are `chosen`, or of those that are not.
fn both_kinds(router: &Router, chosen: bool, floats: &[IpAddr], outs: &[IpAddr]) -> Vec<Sides> {
    let mut made = Vec::new();
    for family in Family::ALL {
        let Addresses { instance, second_instance, floating, .. } = *family.addresses();
        for source in [instance, second_instance] {
            if outs.contains(&source) == chosen {
                made.push(sides_of(&router.outgoing_from(family, source).connect()));
            }
        }
        if floats.contains(&floating) == chosen {
            made.push(sides_of(&router.to_floating(family).connect()));
        }
    }
    if chosen { made } else { Vec::new() }
}

const V4: &Addresses = Family::V4.addresses();
const V6: &Addresses = Family::V6.addresses();

#[test]
fn only_listed_networks_are_on_record() {
    let networks = [V4.second_subnet, V6.second_subnet];
    limited(networks, "both", [&[], &[V4.second_instance, V6.second_instance]], MARKS[1]);
}

#[test]
fn a_floating_connection_is_limited_by_its_instance() {
    let networks = [V4.subnet, V6.subnet];
    let outs = [V4.instance, V6.instance];
    limited(networks, "both", [&[V4.floating, V6.floating], &outs], MARKS[0]);
}

#[test]
fn with_scope_outgoing_every_floating_connection_is_on_record() {
    let networks = [V4.second_subnet, "fd00:99::/64"];
    let floats = [V4.floating, V6.floating];
    limited(networks, "outgoing", [&floats, &[V4.second_instance]], MARKS[1]);
}

#[test]
fn the_remote_end_can_be_left_out() {
    let router = translating(Nat::NativeEarly);
    let agent =
        auditing(&[&router.netns], |configuration| configuration.record_destinations = false);
    let out = router.outgoing(Family::V4).connect();
    let float = router.to_floating(Family::V6).connect();
    let records = settled(&agent, &router.netns);
    assert_valid(&records);
    let [nat, floated] = records.as_slice() else { panic!("two records, not {records:#?}") };
    assert_eq!(nat["source"]["ip"], out.client.ip().to_string());
    assert_eq!(nat["source"]["nat"]["port"], out.seen_client.port());
    assert_eq!(floated["destination"]["ip"], float.dialled.ip().to_string());
    assert_eq!(floated["destination"]["nat"]["ip"], float.server.ip().to_string());
    let text = std::fs::read_to_string(file(&agent)).unwrap();
    for remote in [V4.remote, V6.remote] {
        assert!(!text.contains(&remote.to_string()), "{remote} is in {text}");
    }
    // From which it could be found by trying.
    assert!(!text.contains("community_id"), "{text}");
}

#[test]
fn nothing_is_listened_to_where_records_are_disabled() {
    let router = translating(Nat::NativeEarly);
    let mut agent = prepared(&[&router.netns], |configuration| configuration.records = false);
    agent.start_again();
    agent.wait_audited(1);
    let connection = router.outgoing(Family::V4).connect();
    let mark = format!(" SPT={} DPT=", connection.client.port());
    wait_until("the kernel's line is in the file", PATIENCE, || {
        agent.log_lines("nat").iter().any(|line| line.contains(&mark))
    });
    assert!(!listens(&router.netns, agent.pid(), 1 | 4));
    assert!(!file(&agent).exists());
    let status = agent.status();
    assert_eq!(status["records"]["enabled"], false, "{status:#}");
    assert!(!status["verdict"]["problems"].to_string().contains("record"), "{status:#}");

    // That it would be seen.
    reload(&mut agent, |configuration| configuration.records = true);
    wait_until("it listens", PATIENCE, || listens(&router.netns, agent.pid(), 1));
    assert!(!listens(&router.netns, agent.pid(), 4));
}

#[test]
fn ends_tell_how_long_and_how_much() {
    let router = translating(Nat::NativeEarly);
    for setting in ["nf_conntrack_acct", "nf_conntrack_timestamp"] {
        set(&router.netns, setting, "1");
    }
    let agent = auditing(&[&router.netns], |configuration| configuration.record_ends = true);
    let beside = Beside::start(&router.netns, "DESTROY");
    let made: Vec<_> = in_and_out(&router).iter().map(|(_, one)| sides_of(one)).collect();
    run(&router.netns, "conntrack", &["-F"]);
    let destroyed = told(&beside, &["tcp"], made.len());
    let mut records = settled(&agent, &router.netns);
    assert_valid(&records);
    let ended: Vec<Value> = records.extract_if(.., |record| action(record) == "end").collect();
    assert_once(&records, &made);
    assert_once(&ended, &made);

    for end in &ended {
        let began = records.iter().find(|record| sides(record) == sides(end)).unwrap();
        for key in ["kind", "conntrack_id", "cookie"] {
            assert_eq!(began["anetcon"][key], end["anetcon"][key], "{key}");
        }
        let duration = end["event"]["duration"].as_u64().unwrap();
        assert!(duration > 0 && duration < 60_000_000_000, "{end:#}");
        assert_eq!(end["event"]["start"].as_str().unwrap().len(), 27, "{end:#}");
        let id = end["anetcon"]["conntrack_id"].to_string();
        let line = destroyed.iter().find(|line| line.contains(&("id".into(), id.clone()))).unwrap();
        let counted = |key: &str| -> Vec<u64> {
            let of_key = line.iter().filter(|(name, _)| name == key);
            of_key.map(|(_, value)| value.parse().unwrap()).collect()
        };
        for key in ["packets", "bytes"] {
            let both = counted(key);
            assert_eq!(end["source"][key], both[0], "{end:#}");
            assert_eq!(end["destination"][key], both[1], "{end:#}");
            assert_eq!(end["network"][key], both[0] + both[1], "{end:#}");
        }
    }
}

#[test]
fn without_accounting_an_end_has_no_counts() {
    let router = translating(Nat::NativeEarly);
    let agent = auditing(&[&router.netns], |configuration| configuration.record_ends = true);
    router.outgoing(Family::V4).connect();
    run(&router.netns, "conntrack", &["-F"]);
    let records = settled(&agent, &router.netns);
    assert_valid(&records);
    assert_eq!(records.iter().map(action).collect::<Vec<_>>(), ["nat", "end"]);
    assert_eq!(records[1]["network"]["bytes"], Value::Null);
    assert_eq!(records[1]["source"]["packets"], Value::Null);
    // The agent saw both.
    assert!(records[1]["event"]["duration"].as_u64().unwrap() > 0);
}
