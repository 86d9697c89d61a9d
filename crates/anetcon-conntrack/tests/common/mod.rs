//! What the kernel tests share: a router with our socket in it, and `conntrack` beside us as a second reader.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up ends here")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anetcon_conntrack::{Conntrack, Dumped, Event, Filter};
use anetcon_core::session::{EventKind, Flow, Tuple};
use anetcon_testkit::beside::Beside;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::topology::Router;
use anetcon_testkit::traffic::Connection;
use socket2::{Domain, Socket, Type};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;
/// As the configuration's default.
pub const BUFFER: usize = 16 << 20;
/// Ends a broken test.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn filter(protocols: &[u8]) -> Filter {
    Filter { protocols: protocols.to_vec(), end: false }
}

pub fn open(netns: &Netns, filter: &Filter) -> Conntrack {
    netns.run(|| Conntrack::open(filter, BUFFER)).unwrap()
}

/// A router that translates.
pub fn router(label: &str) -> Router {
    let router = Router::new(label);
    Nat::NativeEarly.install(&router);
    router
}

/// Reads until this many events came, and makes sure that no more follow.
pub fn events(conntrack: &mut Conntrack, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    wait_until(&format!("{count} events"), PATIENCE, || {
        let drained = conntrack.drain(1000, &mut |event| events.push(event)).unwrap();
        assert!(!drained.lost && drained.malformed == 0, "{drained:?}");
        events.len() >= count
    });
    assert_eq!(events.len(), count, "{events:#?}");
    events
}

pub fn dump(conntrack: &mut Conntrack) -> Vec<Event> {
    let mut events = Vec::new();
    let mut dumped = Dumped::default();
    conntrack.dump(&mut |event| events.push(event), &mut dumped).unwrap();
    assert!(!dumped.lost && dumped.malformed == 0, "{dumped:?}");
    events
}

/// Whether an event tells of a connection as both of its sides saw it.
pub fn tells_of(event: &Event, connection: &Connection) -> bool {
    let Flow { original, reply, .. } = event.flow;
    [original.source, original.destination, reply.source, reply.destination]
        == [connection.client, connection.dialled, connection.server, connection.seen_client]
}

/// The one event of a connection.
pub fn event_of<'a>(events: &'a [Event], connection: &Connection) -> &'a Event {
    let found: Vec<&Event> = events.iter().filter(|event| tells_of(event, connection)).collect();
    match found.as_slice() {
        [event] => event,
        _ => panic!("{connection:?} is told of {} times in {events:#?}", found.len()),
    }
}

/// A connection as `conntrack -o extended,id` writes it, from what we read.
pub fn line(event: &Event) -> String {
    let Flow { id, original, reply, counters, .. } = &event.flow;
    let counters = counters.unwrap_or_default();
    let counted = event.flow.counters.is_some();
    let count = |count: anetcon_core::session::Count| match counted {
        true => format!(" packets={} bytes={}", count.packets, count.bytes),
        false => String::new(),
    };
    format!(
        "{} {}{} {}{} id={id}",
        original.protocol,
        direction(original),
        count(counters.original),
        direction(reply),
        count(counters.reply),
    )
}

fn direction(tuple: &Tuple) -> String {
    let Tuple { source, destination, icmp, .. } = tuple;
    let above = match icmp {
        Some(icmp) => format!("type={} code={} id={}", icmp.kind, icmp.code, icmp.id),
        None => format!("sport={} dport={}", source.port(), destination.port()),
    };
    format!("src={} dst={} {above}", source.ip(), destination.ip())
}

pub fn lines(events: &[Event]) -> BTreeSet<String> {
    let lines: BTreeSet<String> = events.iter().map(line).collect();
    assert_eq!(lines.len(), events.len(), "something came twice: {events:#?}");
    lines
}

/// A line of `conntrack` with only what [`line`] has, and its protocol.
fn normal(line: &str, protocol_at: usize) -> Option<(u8, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let protocol = words.get(protocol_at)?.parse().ok()?;
    const KEYS: [&str; 9] =
        ["src", "dst", "sport", "dport", "type", "code", "id", "packets", "bytes"];
    let pairs = words
        .iter()
        .filter(|word| word.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key)));
    let text: Vec<&str> = pairs.copied().collect();
    Some((protocol, format!("{protocol} {}", text.join(" "))))
}

/// What `conntrack -E` wrote about these protocols, once that is `count` connections.
pub fn told(beside: &Beside, protocols: &[u8], count: usize) -> BTreeSet<String> {
    wait_until(&format!("conntrack -E wrote {count} lines"), PATIENCE, || {
        let lines = beside.lines();
        let found: Vec<String> = lines
            .iter()
            .filter_map(|line| normal(line, 4))
            .filter(|(protocol, _)| protocols.contains(protocol))
            .map(|(_, line)| line)
            .collect();
        (found.len() >= count).then(|| found.into_iter().collect())
    })
}

/// What `conntrack -L` finds open.
pub fn listed(netns: &Netns, protocols: &[u8]) -> BTreeSet<String> {
    let list = |family| {
        let mut command = netns.command("conntrack");
        let output = command.args(["-L", "-f", family, "-o", "extended,id"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = list("ipv4") + &list("ipv6");
    text.lines()
        .filter_map(|line| normal(line, 3))
        .filter(|(protocol, _)| protocols.contains(protocol))
        .map(|(_, line)| line)
        .collect()
}

/// Runs a program in the namespace, which must succeed.
pub fn run(netns: &Netns, program: &str, arguments: &[&str]) {
    let output = netns.command(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// Sets a setting of the namespace, below `/proc/sys/net/netfilter`.
pub fn set(netns: &Netns, name: &str, value: &str) {
    netns.run(|| fs::write(format!("/proc/sys/net/netfilter/{name}"), value)).unwrap();
}

/// A TCP connection from a port of choice, which stays open while both ends live.
pub fn connect_from(
    router: &Router,
    source: SocketAddr,
    listener: &TcpListener,
    dial: IpAddr,
) -> ([TcpStream; 2], Connection) {
    let server = listener.local_addr().unwrap();
    let dialled = SocketAddr::new(dial, server.port());
    let near = router.inside.run(|| {
        let socket = Socket::new(Domain::for_address(source), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect_timeout(&dialled.into(), PATIENCE).unwrap();
        TcpStream::from(socket)
    });
    let (far, seen_client) = listener.accept().unwrap();
    let connection =
        Connection { client: near.local_addr().unwrap(), dialled, seen_client, server };
    ([near, far], connection)
}

/// Of the given kind, all of them.
pub fn assert_kind(events: &[Event], kind: EventKind) {
    assert!(events.iter().all(|event| event.kind == kind), "{events:#?}");
}
