//! The records of an agent in a database: the shipped SQL takes them as they are, and `who` gives the answer that it gives of
//! the files, from a current engine and from the server that Debian has.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "what an operator would type is typed here")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod fleet_kit;
mod records_kit;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use anetcon_testkit::agent::Agent;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::unique;
use anetcon_testkit::topology::{Family, Router};
use anetcon_testkit::traffic::Connection;
use fleet_kit::{Engine, LOGIN, copy, old_tables, shipped};
use records_kit::{ANETCOND, auditing, file, settled};
use serde_json::Value;

/// A router whose connections were recorded, and what its agent wrote.
struct Node {
    router: Router,
    agent: Agent,
    made: Vec<Connection>,
    records: Vec<Value>,
}

impl Node {
    fn new() -> Self {
        let router = Router::named(&format!("qrouter-{}", unique("fleet")));
        Nat::NativeEarly.install(&router);
        let agent = auditing(&[&router.netns], |configuration| {
            configuration.protocols = vec!["tcp".into(), "icmp".into()];
        });
        let mut made = Vec::new();
        for family in Family::ALL {
            made.push(router.outgoing(family).connect());
            made.push(router.to_floating(family).connect());
            // A ping has no ports.
            router.outgoing(family).echo();
        }
        made.extend(router.outgoing(Family::V4).connect_many(3));
        let records = settled(&agent, &router.netns);
        Self { router, agent, made, records }
    }

    fn lines(&self) -> String {
        fs::read_to_string(file(&self.agent)).unwrap()
    }

    fn folder(&self) -> String {
        self.agent.folder().join("log").display().to_string()
    }

    /// All that can be asked about the connections: each address and port, with and without the other end and times.
    fn questions(&self) -> Vec<Vec<String>> {
        let mut questions = Vec::new();
        for connection in &self.made {
            let (outside, other) = outside(connection);
            let asked = |more: &[&str]| {
                let more = more.iter().copied().map(str::to_owned);
                [outside.to_string()].into_iter().chain(more).collect::<Vec<_>>()
            };
            questions.push(asked(&[]));
            questions.push(asked(&["--peer", &other.to_string(), "--at", "-1s"]));
            questions.push(asked(&["--from", "-1h", "--proto", "tcp"]));
            questions.push(vec![connection.client.to_string()]);
            questions.push(vec![connection.server.to_string(), "--to".into(), "now".into()]);
        }
        let inside = Family::V6.addresses().instance;
        questions.push(vec![inside.to_string(), "--proto".into(), "icmp".into()]);
        questions.push(vec![self.made[0].server.ip().to_string(), "--limit".into(), "2".into()]);
        questions.push(vec!["192.0.2.200:1".into()]);
        questions.push(vec![
            self.made[0].server.ip().to_string(),
            "--namespace".into(),
            "^no-such-router$".into(),
        ]);
        questions
    }

    /// `who --clickhouse` says what `who --dir` says, but for where it looked and what is known of gaps.
    fn assert_same(&self, engine: &Engine) {
        for question in self.questions() {
            for json in [&[][..], &["--json"]] {
                let folder = self.folder();
                let of_files = who(&question, &[json, &["--dir", &folder]].concat());
                let of_fleet = who(&question, &[json, &["--clickhouse", &engine.url()]].concat());
                assert_eq!(of_fleet.status.code(), of_files.status.code(), "{of_fleet:?}");
                let found = of_files.status.success();
                assert_eq!(answer(&of_fleet, found), answer(&of_files, found), "{question:?}");
            }
        }
    }
}

/// The address that the world saw, and who saw it.
fn outside(connection: &Connection) -> (SocketAddr, SocketAddr) {
    match connection.dialled == connection.server {
        true => (connection.seen_client, connection.dialled),
        false => (connection.dialled, connection.seen_client),
    }
}

fn who(question: &[String], arguments: &[&str]) -> Output {
    let tool = Path::new(ANETCOND).with_file_name("anetconctl");
    assert!(tool.exists(), "{} is missing: `cargo build -p anetconctl` makes it", tool.display());
    let (name, password) = LOGIN;
    let mut command = Command::new(tool);
    command.arg("who").args(question).args(arguments);
    command.env("CLICKHOUSE_USER", name).env("CLICKHOUSE_PASSWORD", password);
    command.output().unwrap()
}

/// What was printed, without the line about gaps; of nothing found only that.
fn answer(output: &Output, found: bool) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().filter(|line| {
        !line.contains("complete") && (found || line.starts_with("Nothing found: "))
    });
    // `--at -1s` is another time in each run.
    let same = |line: &str| line.split("; ").next().unwrap_or_default().to_owned();
    lines.map(same).collect::<Vec<_>>().join("\n")
}

fn loaded(node: &Node) -> Engine {
    let engine = Engine::current();
    engine.run(&shipped("clickhouse.sql"));
    // Once more does no harm: the tables are there.
    engine.run(&shipped("clickhouse.sql"));
    engine.run_with("INSERT INTO anetcon.incoming FORMAT LineAsString", &[], &node.lines());
    engine
}

#[test]
fn the_shipped_tables_take_the_lines_and_answer() {
    let node = Node::new();
    let engine = loaded(&node);
    let count = engine.run("SELECT count() FROM anetcon.sessions");
    assert_eq!(count.trim(), node.lines().lines().count().to_string());
    let kept =
        engine.run("SELECT record FROM anetcon.sessions ORDER BY seq FORMAT TabSeparatedRaw");
    assert_eq!(kept, node.lines(), "lines stay what they were");
    assert_in_order(&node, &engine);
    assert_who_sql(&node, &engine);
    node.assert_same(&engine);

    // A shipper that has lost an answer sends lines again.
    engine.run_with("INSERT INTO anetcon.incoming FORMAT LineAsString", &[], &node.lines());
    node.assert_same(&engine);
    engine.run("OPTIMIZE TABLE anetcon.sessions FINAL");
    assert_eq!(engine.run("SELECT count() FROM anetcon.sessions"), count, "kept once");
    assert_old_ones_go(&node, &engine);
}

/// Records from before the time that is kept come in, and go.
fn assert_old_ones_go(node: &Node, engine: &Engine) {
    let count = |table: &str| engine.run(&format!("SELECT count() FROM anetcon.{table}"));
    let year = format!("\"@timestamp\":\"{}-", jiff::Timestamp::now().strftime("%Y"));
    let old = node.lines().replace(&year, "\"@timestamp\":\"2020-");
    engine.run("SYSTEM STOP TTL MERGES");
    let before = ["sessions", "addresses"].map(count);
    engine.run_with("INSERT INTO anetcon.incoming FORMAT LineAsString", &[], &old);
    assert_ne!(["sessions", "addresses"].map(count), before, "they were taken");
    engine.run("SYSTEM START TTL MERGES");
    for table in ["sessions", "addresses"] {
        engine.run(&format!("OPTIMIZE TABLE anetcon.{table} FINAL"));
    }
    assert_eq!(count("sessions"), before[0], "records stay too long");
    let oldest = engine.run("SELECT toYear(min(time)) FROM anetcon.addresses");
    assert_ne!(oldest.trim(), "2020", "addresses stay too long");
}

/// The order of the table begins with what the world saw of each connection.
fn assert_in_order(node: &Node, engine: &Engine) {
    for connection in &node.made {
        let (outside, _) = outside(connection);
        let rows = engine.run(&format!(
            "SELECT count() FROM anetcon.sessions WHERE outside_ip = toIPv6('{}') AND outside_port = {}",
            outside.ip(),
            outside.port()
        ));
        assert_eq!(rows.trim(), "1", "{outside}");
    }
}

/// The SQL for people gives the instance first.
fn assert_who_sql(node: &Node, engine: &Engine) {
    for connection in &node.made {
        let (outside, _) = outside(connection);
        let values = [
            ("address", &*outside.ip().to_string()),
            ("port", &*outside.port().to_string()),
            ("from", "2020-01-01 00:00:00"),
            ("to", "2100-01-01 00:00:00"),
        ];
        let answer = engine.run_with(&shipped("who.sql"), &values, "");
        let first: Vec<&str> = answer.lines().next().unwrap().split('\t').collect();
        let plain = |text: &str| text.trim_start_matches("::ffff:").to_owned();
        assert_eq!(first[2], node.router.netns.name());
        let inside = match connection.dialled == connection.server {
            true => (connection.client, 5),
            false => (connection.server, 11),
        };
        let (instance, column) = inside;
        let told = (plain(first[column]), first[column + 1].to_owned());
        assert_eq!(told, (instance.ip().to_string(), instance.port().to_string()), "{answer}");
    }
}

/// The statement that Vector makes of its configuration, and the one that stands in fluentd's.
fn statements() -> [String; 2] {
    let vector: toml::Table = shipped("vector.toml").parse().unwrap();
    let sink = &vector["sinks"]["anetcon_clickhouse"];
    let [database, table] = ["database", "table"].map(|key| sink[key].as_str().unwrap());
    assert_eq!(sink["format"].as_str(), Some("json_each_row"));
    let source = vector["transforms"]["anetcon_lines"]["source"].as_str().unwrap();
    assert_eq!(source, ". = {\"record\": .message}");
    let fluentd = shipped("fluentd.conf");
    let (_, query) = fluentd.split_once("/?query=").unwrap();
    assert!(fluentd.contains("message_key record\n"));
    [
        format!("INSERT INTO {database}.{table} FORMAT JSONEachRow"),
        query.lines().next().unwrap().replace("%20", " "),
    ]
}

#[test]
fn what_vector_and_fluentd_send_is_taken() {
    let node = Node::new();
    let wrapped = |line: &str| serde_json::json!({ "record": line }).to_string() + "\n";
    for statement in statements() {
        let engine = Engine::current();
        engine.run(&shipped("clickhouse.sql"));
        let (lines, all) = (node.lines(), node.lines().lines().count());
        // The third one comes late.
        let early = lines.lines().enumerate().filter(|(index, _)| *index != 2);
        let early: String = early.map(|(_, line)| wrapped(line)).collect();
        engine.run_with(&statement, &[], &early);
        let holes = engine.run(&shipped("holes.sql"));
        assert!(holes.lines().count() == 1 && holes.ends_with("\t1\n"), "{holes}");
        engine.run_with(&statement, &[], &wrapped(lines.lines().nth(2).unwrap()));
        assert_eq!(engine.run(&shipped("holes.sql")), "");
        let count = engine.run("SELECT count() FROM anetcon.sessions");
        assert_eq!(count.trim(), all.to_string(), "{statement}");
        node.assert_same(&engine);
    }
}

#[test]
fn a_server_gives_the_answer_of_the_files() {
    let node = Node::new();
    let (current, server) = (loaded(&node), Engine::debian());
    assert_refused(&server, &[], "clickhouse.sql");
    for statement in old_tables() {
        server.run(&statement);
    }
    let nothing = who(&["192.0.2.1".into()], &["--clickhouse", &server.url()]);
    let text = String::from_utf8(nothing.stdout).unwrap();
    assert!(nothing.status.code() == Some(1) && text.contains(": none"), "{text}");
    copy(&current, &server);
    node.assert_same(&server);
    assert_eq!(node.records.len(), node.made.len() + Family::ALL.len());
    assert_logins(&server);
}

/// With a wrong password, without a user, with a file for the password, and where nobody listens.
fn assert_logins(server: &Engine) {
    let folder = tempfile::tempdir().unwrap();
    let (wrong, right) = (folder.path().join("wrong"), folder.path().join("right"));
    fs::write(&wrong, "guessed\n").unwrap();
    fs::write(&right, format!("{}\n", LOGIN.1)).unwrap();
    let file = |path: &Path| ["--clickhouse-password-file".to_owned(), path.display().to_string()];
    let [option, path] = file(&wrong);
    assert_refused(server, &[&option, &path], "--clickhouse-password-file");
    assert_refused(server, &["--clickhouse-user", "default"], "--clickhouse-user");
    let [option, path] = file(&right);
    let found = who(&["192.0.2.1".into()], &["--clickhouse", &server.url(), &option, &path]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = who(&["192.0.2.1".into()], &["--clickhouse", &format!("http://{closed}")]);
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!(nobody.status.code(), Some(4), "{said}");
    assert!(said.contains("cannot connect to http://127.0.0.1:"), "{said}");
}

fn assert_refused(server: &Engine, arguments: &[&str], remedy: &str) {
    let url = server.url();
    let refused = who(&["192.0.2.1".into()], &[&["--clickhouse", &url], arguments].concat());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(4), 0), "{said}");
    assert!(said.contains(remedy) && !said.contains(LOGIN.1), "{said}");
}
