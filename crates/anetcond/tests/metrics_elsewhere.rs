//! Metrics over TCP and in a file: they are what the configuration says, at every moment, and nothing else is there.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not right")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

mod metrics_kit;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::http::{self, Response};
use anetcon_testkit::netns::{Netns, wait_until};

use self::metrics_kit::*;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// The file is written every 15 seconds.
const WRITTEN: Duration = Duration::from_secs(60);

const LOCAL: &str = "127.0.0.1:9842";
const OTHER_LOCAL: &str = "127.0.0.2:9842";
const EVERYWHERE: &str = "0.0.0.0:9842";

/// An agent in a namespace of its own, whose ports are nobody else's.
struct Inside {
    netns: Netns,
    agent: Agent,
}

impl Inside {
    fn prepared(label: &str, listen: &str) -> Self {
        let netns = Netns::new(label);
        netns.bring_lo_up();
        let mut configuration = Configuration::auditing(&[netns.name()]);
        configuration.metrics_listen = listen.to_owned();
        let mut agent = Agent::prepared(Path::new(ANETCOND), configuration);
        agent.run_inside(&netns);
        Self { netns, agent }
    }

    fn new(label: &str, listen: &str) -> Self {
        let mut inside = Self::prepared(label, listen);
        inside.agent.start_again();
        inside.agent.wait_audited(1);
        inside
    }

    fn request(&self, address: &str, method: &str, path: &str) -> std::io::Result<Response> {
        let address: SocketAddr = address.parse().unwrap();
        self.netns.run(|| http::request_tcp(address, method, path))
    }

    /// Whether the page is there.
    fn serves(&self, address: &str) -> bool {
        self.request(address, "GET", "/metrics").is_ok_and(|answer| {
            answer.code == 200 && answer.body.contains("\nanetcon_unaudited_seconds_total ")
        })
    }

    fn occupy(&self, address: &str) -> TcpListener {
        self.netns.run(|| TcpListener::bind(address)).unwrap()
    }

    /// Asks for another address, and says what came of it.
    fn move_to(&mut self, listen: &str) -> Response {
        self.agent.configure(|configuration| configuration.metrics_listen = listen.to_owned());
        self.agent.request("POST", "/v1/reload").unwrap()
    }
}

#[test]
fn over_tcp_there_are_metrics_and_nothing_else() {
    let inside = Inside::new("mettcp", LOCAL);
    let page = inside.request(LOCAL, "GET", "/metrics").unwrap();
    assert_eq!(page.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(Page::parse(&page.body).names(), Page::of(&inside.agent).names());
    for (method, path, code) in [
        ("GET", "/", 404),
        ("GET", "/v1/status", 404),
        ("POST", "/v1/reload", 404),
        ("GET", "/v1/watch", 404),
        ("POST", "/metrics", 405),
    ] {
        assert_eq!(inside.request(LOCAL, method, path).unwrap().code, code, "{method} {path}");
    }
    assert!(!inside.serves(OTHER_LOCAL), "only where it was told to");
    assert_eq!(inside.agent.status()["metrics"]["listen"], LOCAL);
}

#[test]
fn without_an_address_nobody_listens() {
    let inside = Inside::new("metnotcp", "");
    let listening = inside.netns.command("ss").args(["-Htln"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listening.stdout), "");
}

#[test]
fn a_reload_moves_it_also_on_the_same_port_and_ends_it() {
    let mut inside = Inside::new("metmove", LOCAL);
    for listen in [EVERYWHERE, OTHER_LOCAL, LOCAL, "127.0.0.1:9843"] {
        let answer = inside.move_to(listen);
        assert_eq!(answer.code, 200, "{}", answer.body);
        let reached = if listen == EVERYWHERE { OTHER_LOCAL } else { listen };
        assert!(inside.serves(reached), "{listen}");
    }
    assert!(!inside.serves(LOCAL), "the one before is closed");
    assert_eq!(inside.move_to("").code, 200);
    assert!(!inside.serves("127.0.0.1:9843"));
    assert_eq!(inside.move_to("[::1]:9842").code, 200);
    assert!(inside.serves("[::1]:9842"));
}

#[test]
fn an_address_that_cannot_be_had_refuses_the_reload_as_a_whole() {
    let mut inside = Inside::new("metrefused", LOCAL);
    let _taken = [inside.occupy("127.0.0.1:9843"), inside.occupy("127.0.0.3:9842")];
    for (listen, why) in [
        ("127.0.0.1:9843", "give it another port"),
        // Ours has to be closed to try this one.
        (EVERYWHERE, "give it another port"),
        ("192.0.2.1:9842", "no such address"),
    ] {
        inside.agent.configure(|configuration| configuration.period = 77);
        let answer = inside.move_to(listen);
        assert_eq!(answer.code, 422, "{listen}: {}", answer.body);
        assert!(answer.body.contains("metrics.listen") && answer.body.contains(why), "{answer:?}");
        assert!(inside.serves(LOCAL), "after {listen} the one before is served");
        let status = inside.agent.status();
        assert_eq!(status["period_seconds"], 3600, "nothing of it is in force");
        assert_eq!(status["metrics"]["listen"], LOCAL);
    }
}

#[test]
fn an_address_that_cannot_be_had_is_an_error_at_the_start() {
    let mut inside = Inside::prepared("metstart", LOCAL);
    let taken = inside.occupy(LOCAL);
    inside.agent.spawn();
    let ended = inside.agent.wait_for_exit();
    assert_eq!(ended.code(), Some(1));
    let said = inside.agent.stderr();
    assert!(said.contains(&format!("`metrics.listen`: cannot listen on {LOCAL}")), "{said}");
    drop(taken);
    inside.agent.start_again();
    assert!(inside.serves(LOCAL));
}

#[test]
fn a_client_that_stalls_or_talks_nonsense_disturbs_nobody() {
    let inside = Inside::new("metstall", LOCAL);
    let address: SocketAddr = LOCAL.parse().unwrap();
    let _stalled: Vec<_> = inside
        .netns
        .run(|| (0..16).map(|_| std::net::TcpStream::connect(address).unwrap()).collect());
    inside.netns.run(|| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // The agent may have hung up before all is written.
        let _ = std::io::Write::write_all(&mut stream, &[0xff; 100_000]);
    });
    assert!(inside.serves(LOCAL));
}

/// An agent that writes the file `m.prom` in its folder.
fn writing(netns: &Netns, name: &str) -> Agent {
    let mut configuration = Configuration::auditing(&[netns.name()]);
    configuration.metrics_textfile = Some(name.to_owned());
    let agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(1);
    agent
}

fn read(agent: &Agent, name: &str) -> Option<String> {
    fs::read_to_string(agent.folder().join(name)).ok()
}

fn wait_file(agent: &Agent, name: &str) -> String {
    wait_until(&format!("{name} is written"), WRITTEN, || read(agent, name))
}

#[test]
fn the_file_holds_the_page_and_promtool_is_content() {
    let netns = Netns::new("metfile");
    let mut agent = writing(&netns, "m.prom");
    let text = wait_file(&agent, "m.prom");
    assert_eq!(lint(&text), "");
    let mut names = Page::of(&agent).names();
    names.retain(|name| name.starts_with("anetcon_"));
    assert_eq!(Page::parse(&text).names(), names, "node_exporter has process_* of its own");
    let metadata = fs::metadata(agent.folder().join("m.prom")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o644);

    agent.configure(|configuration| configuration.metrics_textfile = Some("other.prom".to_owned()));
    assert_eq!(agent.request("POST", "/v1/reload").unwrap().code, 200);
    wait_file(&agent, "other.prom");
    assert_eq!(read(&agent, "m.prom"), None, "old numbers look like new ones");
    assert!(agent.stop().success());
    assert_eq!(read(&agent, "other.prom"), None, "nobody writes it any more");
    let left = fs::read_dir(agent.folder()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".anetcon-")));
}

#[test]
fn a_file_that_cannot_be_written_is_a_problem_until_it_can_be() {
    let netns = Netns::new("metnofile");
    let agent = writing(&netns, "missing/m.prom");
    let status = agent
        .wait_for_status("the problem is told", |status| status["metrics"]["error"].is_string());
    assert_eq!(status["verdict"]["ok"], false);
    let problems = status["verdict"]["problems"].to_string();
    assert!(problems.contains("metrics are not told: cannot write "), "{problems}");
    fs::create_dir(agent.folder().join("missing")).unwrap();
    wait_file(&agent, "missing/m.prom");
    agent.wait_for_status("all is well", |status| status["metrics"]["error"].is_null());
    let told = agent.stderr().matches("metrics are not written to their file").count();
    assert_eq!(told, 1, "once");
}
