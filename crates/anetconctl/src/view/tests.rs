//! Snapshots of what is printed, for the fine, the broken and the empty state.

use anetcon_api::{
    Author, ConfigurationStatus, Connections, Diff, FailedNamespace, Link, LogStatus, LogWriter,
    Namespace, NamespaceCounts, NamespaceDetail, NamespaceDiff, NamespaceRecords, NamespaceState,
    NfLogAllNetns, Protection, RecordsStatus, Reload, Repair, RepairKind, Repairs, RuleCounter,
    Schema, Status, Verdict,
};
use jiff::Timestamp;

use super::{Purged, PurgedNamespace};

const ROUTER: &str = "qrouter-a4fadad3-e529-4329-a086-010b84363596";

fn now() -> Timestamp {
    "2026-11-23T16:00:00Z".parse().unwrap()
}

fn at(time: &str) -> String {
    format!("2026-11-23T{time}Z")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn fine() -> Status {
    Status {
        schema: Schema,
        version: "0.1.0".into(),
        pid: 4242,
        started: at("12:47:59"),
        verdict: Verdict { ok: true, problems: vec![] },
        configuration: ConfigurationStatus {
            file: Some("/etc/anetcon/anetcon.toml".into()),
            drop_ins: vec![],
            loaded: at("12:47:59"),
            last_error: None,
        },
        namespaces: NamespaceCounts { selected: 214, audited: 214, failed: 0, fighting: 0 },
        failed: vec![],
        repairs: Repairs {
            total: 1,
            last: vec![Repair {
                time: at("15:59:58.123456"),
                namespace: ROUTER.into(),
                reasons: vec!["chain flushed".into()],
                took_us: 410,
                authors: vec![Author { name: "nft".into(), tid: 3173 }],
                kind: RepairKind::Repaired,
            }],
        },
        connections: Connections { float: 120, nat: 34567 },
        nf_log_all_netns: NfLogAllNetns {
            value: Some(1),
            ok: true,
            set_by_us: true,
            resets: 0,
            error: None,
        },
        log: LogStatus {
            writer: LogWriter::Agent,
            directory: "/var/log/anetcon".into(),
            float_lines: Some(120),
            nat_lines: Some(34567),
            kernel_lines_lost: Some(0),
            unwritable_lines: Some(0),
            last_error: None,
            since: Some(at("12:47:59")),
        },
        records: records(),
        unaccounted: anetcon_api::Unaccounted::default(),
        ledger: anetcon_api::LedgerStatus::default(),
        manifest: anetcon_api::ManifestStatus::default(),
        metrics: anetcon_api::MetricsStatus::default(),
        protection: Protection::Plain,
        period_seconds: 30,
        socket: "/run/anetcon/anetcon.sock".into(),
    }
}

fn broken() -> Status {
    let mut status = fine();
    status.verdict = Verdict {
        ok: false,
        problems: vec![
            "nf_log_all_netns is 0: the kernel logs nothing outside the root namespace".into(),
            "7 of 214 namespaces are not audited".into(),
            "the configuration could not be reloaded".into(),
        ],
    };
    status.namespaces = NamespaceCounts { selected: 214, audited: 207, failed: 6, fighting: 1 };
    status.failed = (1..=7)
        .map(|number| FailedNamespace {
            name: format!("qrouter-{number}"),
            state: if number < 7 { NamespaceState::Failed } else { NamespaceState::Waiting },
            error: (number < 7).then(|| "cannot enter: EPERM\x1b[31m".into()),
            since: at("15:57:00"),
        })
        .collect();
    status.configuration.last_error =
        Some("error: unknown key `perod`\n --> /etc/anetcon/anetcon.toml:3:1".into());
    status.records.error = Some("No space left on device".into());
    status.records.unwritten = 12;
    status.records.overruns = 1;
    status.nf_log_all_netns = NfLogAllNetns {
        value: Some(0),
        ok: false,
        set_by_us: true,
        resets: 3,
        error: Some("Read-only file system".into()),
    };
    status.log.kernel_lines_lost = Some(77);
    status.log.last_error = Some("No space left on device".into());
    status
}

fn empty() -> Status {
    let mut status = fine();
    status.namespaces = NamespaceCounts::default();
    status.repairs = Repairs::default();
    status.connections = Connections::default();
    status.configuration.file = None;
    status.nf_log_all_netns.set_by_us = false;
    status.log = LogStatus {
        writer: LogWriter::Rsyslog,
        float_lines: None,
        nat_lines: None,
        kernel_lines_lost: None,
        unwritable_lines: None,
        since: None,
        ..status.log
    };
    status
}

fn namespace(name: &str, state: NamespaceState) -> Namespace {
    Namespace {
        name: name.into(),
        hash: "d48368ae".into(),
        cookie: Some("1003".into()),
        state,
        since: at("15:00:00"),
        connections: Connections { float: 12, nat: 345 },
        repairs: 0,
        last_repair: None,
        error: None,
        fighting: false,
        balance: anetcon_api::Balance::default(),
        protection: Protection::Plain,
        records: NamespaceRecords { following: true, ..NamespaceRecords::default() },
    }
}

fn records() -> RecordsStatus {
    RecordsStatus {
        enabled: true,
        file: "/var/log/anetcon/anetcon.sessions.ndjson".into(),
        since: Some("2026-11-20T08:00:00.000000Z".into()),
        namespaces: 214,
        written: 91_000,
        ..RecordsStatus::default()
    }
}

#[test]
fn status() {
    insta::assert_snapshot!("status_fine", plain(&super::status(&fine(), now())));
    insta::assert_snapshot!("status_broken", plain(&super::status(&broken(), now())));
    insta::assert_snapshot!("status_empty", plain(&super::status(&empty(), now())));
}

#[test]
fn brief_is_one_line() {
    let lines: String = [fine(), broken(), empty()].iter().map(super::brief).collect();
    assert_eq!(lines.lines().count(), 3);
    insta::assert_snapshot!("brief", plain(&lines));
}

#[test]
fn list() {
    let mut failed = namespace("qrouter-z", NamespaceState::Failed);
    failed.error = Some("cannot enter: EPERM".into());
    let mut fighting = namespace("qrouter-y", NamespaceState::Audited);
    fighting.fighting = true;
    fighting.repairs = 1234;
    let namespaces = [
        namespace(ROUTER, NamespaceState::Audited),
        fighting,
        namespace("evil\x1b[2J\nname", NamespaceState::Waiting),
        failed,
    ];
    insta::assert_snapshot!("list", plain(&super::list(&namespaces, true)));
    insta::assert_snapshot!("list_no_legend", plain(&super::list(&namespaces, false)));
    assert_eq!(super::list(&[], true), "No namespace is selected\n");
    assert_eq!(super::list(&[], false), "");
}

fn detail() -> NamespaceDetail {
    let link = |index, name: &str, up, addresses: &[&str]| Link {
        index,
        name: name.into(),
        kind: (index > 1).then(|| "veth".into()),
        up,
        mac: (index > 1).then(|| "fa:16:3e:00:00:01".into()),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    let counter = |comment: &str, packets| RuleCounter {
        comment: Some(comment.into()),
        packets,
        bytes: packets * 60,
    };
    let mut namespace = namespace(ROUTER, NamespaceState::Audited);
    namespace.repairs = 2;
    namespace.last_repair = Some(at("15:59:58.123456"));
    NamespaceDetail {
        schema: Schema,
        namespace,
        rules: Some("table inet anetcon {\n\tchain anetcon {\n\t}\n}\n".into()),
        counters: vec![counter("anetcon float", 12), counter("anetcon nat", 345)],
        networks: vec!["10.0.0.0/8".into(), "fd00::/8".into()],
        prefixes: vec!["[ANETCON][D][d48368ae] ".into(), "[ANETCON][X][d48368ae] ".into()],
        links: vec![
            link(1, "lo", true, &["127.0.0.1/8", "::1/128"]),
            link(17, "qg-0a1b2c3d-4e", true, &["203.0.113.1/24", "203.0.113.10/32"]),
            link(18, "qr-0a1b2c3d-4e", false, &[]),
        ],
        unreadable: vec![],
    }
}

#[test]
fn show() {
    insta::assert_snapshot!("show", plain(&super::show(&detail(), None, now())));
    let mut failed = detail();
    failed.namespace.state = NamespaceState::Failed;
    failed.namespace.error = Some("cannot enter: EPERM".into());
    failed.namespace.cookie = None;
    failed.namespace.fighting = true;
    failed.rules = None;
    failed.counters.clear();
    failed.networks.clear();
    failed.links.clear();
    failed.unreadable.push("links: Permission denied".into());
    insta::assert_snapshot!("show_failed", plain(&super::show(&failed, None, now())));
}

#[test]
fn a_searched_address_stands_out() {
    let searched = "203.0.113.10".parse().unwrap();
    let shown = super::show(&detail(), Some(searched), now());
    assert!(shown.contains("m203.0.113.10/32\x1b["), "{shown:?}");
    assert!(shown.contains(" 203.0.113.1/24"), "{shown:?}");
    let holders: Vec<bool> =
        detail().links.iter().map(|link| super::holds(link, searched)).collect();
    assert_eq!(holders, [false, true, false]);
}

#[test]
fn diff() {
    let netns = |name: &str, in_force, text: &str, error: Option<&str>| NamespaceDiff {
        namespace: name.into(),
        in_force,
        text: text.into(),
        error: error.map(str::to_owned),
    };
    let show = |namespaces| plain(&super::diff(&Diff { schema: Schema, namespaces }));
    let mixed = vec![
        netns("qrouter-1", false, " table inet anetcon {\n-\tgone\n+\tnew\n }\n", None),
        netns("qrouter-2", true, "", None),
        netns("qrouter-3", false, "", Some("cannot enter: EPERM")),
    ];
    insta::assert_snapshot!("diff", show(mixed));
    let fine = vec![netns("qrouter-1", true, "", None)];
    assert_eq!(show(fine), "1 namespace holds exactly what is wanted.\n");
    assert_eq!(show(vec![]), "No namespace is selected.\n");
}

#[test]
fn reload() {
    let mut document = Reload {
        schema: Schema,
        file: Some("/etc/anetcon/anetcon.toml".into()),
        loaded: at("16:00:00"),
        changes: vec!["period: 30 -> 60".into()],
        added: vec!["qrouter-1".into(), "default".into()],
        removed: vec!["qrouter-2".into()],
    };
    insta::assert_snapshot!("reload", plain(&super::reload(&document)));
    document.changes.clear();
    document.added.clear();
    document.removed.clear();
    document.file = None;
    assert_eq!(plain(&super::reload(&document)), "In force: the defaults\nNothing changed\n");
}

#[test]
fn purge() {
    let netns = |name: &str, removed, error: Option<&str>| PurgedNamespace {
        namespace: name.into(),
        removed,
        error: error.map(str::to_owned),
    };
    let show = |dry_run, namespaces| {
        let table = "anetcon".into();
        plain(&super::purge(&Purged { schema: Schema, table, dry_run, examined: 5, namespaces }))
    };
    let removed = vec![netns("default", true, None), netns("qrouter-1", false, Some("EPERM"))];
    insta::assert_snapshot!("purge", show(false, removed));
    insta::assert_snapshot!("purge_dry_run", show(true, vec![netns("default", false, None)]));
    assert_eq!(show(false, vec![]), "Table inet anetcon removed in 0 of 5 namespaces.\n");
}
