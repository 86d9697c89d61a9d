//! Two ClickHouse engines: a current one (chdb, from the Python package index) and Debian's server of 2018. What the first reads
//! from the shipped SQL is given to the second, which knows none of its types.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up ends here")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anetcon_testkit::netns::wait_until;

/// Ends a broken test.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user that [`Engine::debian`] knows, and the password.
pub const LOGIN: (&str, &str) = ("auditor", "kept from the command line");

/// A running engine with a folder of its own.
pub struct Engine {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Engine {
    /// A current engine; `cargo xtask setup` installs it.
    pub fn current() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chdb/bin/python");
        let bridge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet_kit/bridge.py");
        let mut command = Command::new(&python);
        command.arg(bridge).arg(folder.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}: `cargo xtask setup` makes it", python.display())
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the bridge tells its port");
        Self { child, port, _folder: folder }
    }

    /// Debian's server, started by hand.
    pub fn debian() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, native] = free_ports();
        let path = folder.path().display();
        let config = format!(
            "<yandex><logger><level>error</level><log>{path}/log</log><errorlog>{path}/errors</errorlog></logger>\
             <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port><tcp_port>{native}</tcp_port>\
             <path>{path}/data/</path><tmp_path>{path}/tmp/</tmp_path><users_config>users.xml</users_config>\
             <default_profile>default</default_profile><default_database>default</default_database>\
             <mark_cache_size>1000000</mark_cache_size></yandex>"
        );
        let (name, password) = LOGIN;
        let rights =
            "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>";
        let users = format!(
            "<yandex><profiles><default/></profiles><quotas><default/></quotas>\
             <users><default><password>for nobody</password>{rights}</default>\
             <{name}><password>{password}</password>{rights}</{name}></users></yandex>"
        );
        fs::write(folder.path().join("config.xml"), config).unwrap();
        fs::write(folder.path().join("users.xml"), users).unwrap();
        for name in ["data", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut command = Command::new("clickhouse-server");
        command.arg(format!("--config-file={path}/config.xml")).current_dir(folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let engine = Self { child, port, _folder: folder };
        wait_until("the server answers", DEADLINE, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        engine
    }

    /// What `--clickhouse` takes.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs SQL, which must succeed.
    pub fn run(&self, statement: &str) -> String {
        self.post("/", statement)
    }

    /// Runs SQL with values for its parameters; `data` follows it, as with INSERT.
    pub fn run_with(&self, statement: &str, values: &[(&str, &str)], data: &str) -> String {
        let mut path = format!("/?query={}", encoded(statement));
        for (name, value) in values {
            path += &format!("&param_{name}={}", encoded(value));
        }
        self.post(&path, data)
    }

    /// HTTP/1.0, so that the answer ends where the connection does.
    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let (name, password) = LOGIN;
        let head = format!(
            "POST {path} HTTP/1.0\r\nX-ClickHouse-User: {name}\r\nX-ClickHouse-Key: {password}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.split(' ').nth(1), Some("200"), "{path}: {answer}");
        body.to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A file of conf/fleet.
pub fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/fleet");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The shipped tables as the server of 2018 can have them, one statement each: addresses as text, times in seconds, nothing
/// packed or thrown away, and no views: it cannot take JSON apart.
pub fn old_tables() -> Vec<String> {
    let mut text = shipped("clickhouse.sql");
    for (new, old) in [
        ("DateTime64(6, 'UTC')", "DateTime('UTC')"),
        ("LowCardinality(String)", "String"),
        ("IPv6", "String"),
        (" CODEC(DoubleDelta, ZSTD)", ""),
        (" CODEC(Delta, ZSTD)", ""),
        (" CODEC(ZSTD(3))", ""),
        ("\nTTL toDateTime(time) + INTERVAL 100 DAY", ""),
    ] {
        assert!(text.contains(new), "{new} is in no table");
        text = text.replace(new, old);
    }
    let statements = text.split(";\n").filter(|text| !text.contains("MATERIALIZED VIEW"));
    statements.map(str::to_owned).filter(|text| text.contains("CREATE ")).collect()
}

/// Gives the second engine what the first one has.
pub fn copy(from: &Engine, to: &Engine) {
    for table in ["sessions", "addresses"] {
        let rows = from.run(&format!(
            "SELECT * REPLACE (toDateTime(time, 'UTC') AS time) FROM anetcon.{table}"
        ));
        to.run_with(&format!("INSERT INTO anetcon.{table} FORMAT TabSeparated"), &[], &rows);
    }
}
