//! What we print is what nft reads and prints: every table goes through a real kernel in a namespace of its
//! own and comes back as the same text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anetcon_core::netns::NetnsName;
use anetcon_core::table::{BaseChain, Chain, Table};
use anetcon_core::{config, desired, render};

#[test]
fn nft_prints_every_wanted_table_as_we_do() {
    let mut tables: Vec<Table> = cases().iter().map(|text| wanted(text)).collect();
    tables.dedup();
    assert!(tables.len() >= 10, "only {} tables", tables.len());
    for table in tables {
        let text = render::table(&table);
        assert_eq!(through_nft(&text, &table.name), text);
    }
}

/// Priorities have names, some of them at one hook only.
#[test]
fn nft_names_every_priority_as_we_do() {
    let hooks = 0..5_u32;
    let near =
        [-400, -311, -310, -300, -290, -289, -225, -200, -161, -160, -150, -149, -110, -100, -99];
    let far =
        [-50, -11, -10, -1, 0, 10, 11, 39, 40, 50, 60, 61, 89, 90, 99, 100, 101, 110, 111, 300];
    let mut chains = Vec::new();
    for hook in hooks {
        for priority in near.into_iter().chain(far) {
            let base = BaseChain { kind: "filter".into(), hook, priority, policy: hook % 2 };
            let name = format!("chain{:03}", chains.len());
            chains.push(Chain { name, base: Some(base), rules: Vec::new() });
        }
    }
    let table = Table {
        name: "priorities".into(),
        flags: 1,
        foreign_owner: None,
        sets: Vec::new(),
        chains,
    };
    let text = render::table(&table);
    assert_eq!(through_nft(&text, &table.name), text);
}

/// The configurations of all cases.
fn cases() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|case| case.unwrap().path().join("wanted.toml"))
        .collect();
    files.sort();
    files.into_iter().filter_map(|file| fs::read_to_string(file).ok()).collect()
}

fn wanted(text: &str) -> Table {
    let config = config::parse(text).unwrap();
    desired::table(&config, &NetnsName::named("qrouter-1").unwrap()).unwrap()
}

/// Loads a text in a fresh network namespace and returns what nft lists there, without counter values.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may run nft, in a namespace that ends with it"
)]
fn through_nft(text: &str, table: &str) -> String {
    let script = format!("nft -f - && nft list table inet {table}");
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare (util-linux) is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs root and nft: {error}\n{text}");
    String::from_utf8(output.stdout).unwrap().replace("counter packets 0 bytes 0", "counter")
}
