//! The JSON that scripts rely on: each document here must read and write exactly as it stands.

use std::fmt::Debug;

use anetcon_api::{Diff, Event, NamespaceDetail, Namespaces, Refusal, Reload, Rotated, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(document: Value) {
    let read: T = serde_json::from_value(document.clone()).expect("the document should be read");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), document);
}

fn namespace() -> Value {
    json!({
        "name": "qrouter-1", "hash": "d48368ae", "cookie": "1003", "state": "repairing",
        "since": "2026-11-23T16:00:00Z", "connections": {"float": 1, "nat": 2}, "repairs": 3,
        "last_repair": "2026-11-23T16:00:00Z", "error": null, "fighting": false, "protection": "plain",
        "balance": {
            "lines": {"float": 0, "nat": 0}, "records": {"float": 0, "nat": 0},
            "unaccounted_lines": 0, "unaccounted_records": 0,
        },
        "records": {"following": true, "overruns": 1, "malformed": 0, "error": null},
    })
}

#[test]
fn status() {
    stable::<Status>(json!({
        "schema": 1, "version": "0.1.0", "pid": 4242, "started": "2026-11-23T16:00:00Z",
        "verdict": {"ok": false, "problems": ["1 namespace is not audited"]},
        "configuration": {"file": null, "drop_ins": [], "loaded": "2026-11-23T16:00:00Z", "last_error": null},
        "namespaces": {"selected": 3, "audited": 2, "failed": 1, "fighting": 0},
        "failed": [{"name": "qrouter-9", "state": "failed", "error": "EPERM", "since": "2026-11-23T16:00:00Z"}],
        "repairs": {"total": 1, "last": [{
            "time": "2026-11-23T16:00:00Z", "namespace": "qrouter-1", "reasons": ["table missing"],
            "took_us": 410, "authors": [{"name": "nft", "tid": 3173}], "kind": "repaired",
        }]},
        "connections": {"float": 1, "nat": 2},
        "nf_log_all_netns": {"value": 1, "ok": true, "set_by_us": true, "resets": 0, "error": null},
        "log": {
            "writer": "rsyslog", "directory": "/var/log/anetcon", "float_lines": null, "nat_lines": null,
            "kernel_lines_lost": null, "unwritable_lines": null, "last_error": null, "since": null,
        },
        "records": {
            "enabled": true, "file": "/var/log/anetcon/anetcon.sessions.ndjson",
            "since": "2026-11-23T16:00:00Z", "namespaces": 2, "written": 7, "repeated": 1,
            "waiting": 0, "unwritten": 0, "dropped": 0, "overruns": 1, "malformed": 0, "last_seq": 7,
            "last_record": "2026-11-23T16:00:00Z", "error": null,
        },
        "unaccounted": {"lines": 0, "records": 0},
        "ledger": {"open": 0, "error": null},
        "metrics": {"listen": null, "textfile": "/srv/anetcon.prom", "error": null},
        "manifest": {"entries": 0, "head": null, "error": null}, "protection": "plain", "period_seconds": 30, "socket": "/run/anetcon/anetcon.sock",
    }));
}

#[test]
fn namespaces() {
    stable::<Namespaces>(json!({"schema": 1, "namespaces": [namespace()]}));
}

#[test]
fn namespace_detail() {
    stable::<NamespaceDetail>(json!({
        "schema": 1, "namespace": namespace(), "rules": "table inet anetcon {\n}\n",
        "counters": [{"comment": "anetcon float", "packets": 1, "bytes": 60}],
        "networks": ["10.0.0.0/8"], "prefixes": ["[ANETCON][D][d48368ae] "],
        "links": [{
            "index": 2, "name": "qg-1", "kind": "veth", "up": true, "mac": "fa:16:3e:00:00:01",
            "addresses": ["203.0.113.10/32"],
        }],
        "unreadable": [],
    }));
}

#[test]
fn diff_reload_and_refusal() {
    stable::<Diff>(json!({"schema": 1, "namespaces": [
        {"namespace": "qrouter-1", "in_force": false, "text": "+table inet anetcon {\n", "error": null},
    ]}));
    stable::<Reload>(json!({
        "schema": 1, "file": "/etc/anetcon/anetcon.toml", "loaded": "2026-11-23T16:00:00Z",
        "changes": [], "added": ["qrouter-1"], "removed": [],
    }));
    stable::<Rotated>(json!({"schema": 1, "files": ["/var/log/anetcon/anetcon.sessions.ndjson"]}));
    stable::<Refusal>(json!({"schema": 1, "error": {"message": "root only", "help": null}}));
}

#[test]
fn events() {
    let events = [
        json!({"type": "appeared", "namespace": "qrouter-1"}),
        json!({"type": "vanished", "namespace": "qrouter-1"}),
        json!({"type": "audited", "namespace": "qrouter-1", "took_us": 900}),
        json!({
            "type": "repaired", "namespace": "qrouter-1", "reasons": ["table missing"], "took_us": 410,
            "authors": [{"name": "nft", "tid": 3173}], "kind": "repaired",
        }),
        json!({"type": "failed", "namespace": "qrouter-1", "error": "EPERM"}),
        json!({"type": "recovered", "namespace": "qrouter-1"}),
        json!({"type": "fighting", "namespace": "qrouter-1", "delay_ms": 8, "authors": []}),
        json!({"type": "fighting_ended", "namespace": "qrouter-1"}),
        json!({"type": "reloaded", "changes": ["period: 30 -> 60"]}),
        json!({"type": "reload_failed", "error": "bad"}),
        json!({"type": "nf_log_all_netns", "value": 0, "ok": false, "error": null}),
        json!({"type": "kernel_lines_lost", "lines": 12}),
        json!({"type": "log_write_error", "error": "ENOSPC"}),
        json!({"type": "log_write_recovered", "unwritable_lines": 3}),
        json!({"type": "events_missed", "count": 5}),
    ];
    for mut event in events {
        event["schema"] = json!(1);
        event["time"] = json!("2026-11-23T16:00:00.123456Z");
        stable::<Event>(event);
    }
}

#[test]
fn another_schema_is_refused_and_new_fields_are_not() {
    let refusal =
        |schema| json!({"schema": schema, "error": {"message": "m", "help": null}, "new": 1});
    assert!(serde_json::from_value::<Refusal>(refusal(1)).is_ok());
    assert!(serde_json::from_value::<Refusal>(refusal(2)).is_err());
}
