//! The shape of session records, as they stand in the file, against the schema that ships and against what is known of each
//! connection.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod sessions;

use anetcon_core::session::{Count, Counters, Event, EventKind};
use serde_json::{Value, json};
use sessions::*;

/// The records of some connections; all are as the schema says.
fn written(
    destination: bool,
    end: bool,
    events: Vec<(Event, anetcon_core::session::Action)>,
) -> Vec<Value> {
    let folder = Folder::new();
    let mut config = folder.config();
    config.run.destination = destination;
    config.end = end;
    let records = folder.write(config, events);
    let schema = schema();
    records.iter().for_each(|record| assert_valid(&schema, record));
    records
}

#[test]
fn a_record_holds_every_field_it_should() {
    let at = time("2026-11-23T14:03:10.123456Z");
    let records = written(true, false, vec![new_at(nat(4711), at)]);
    let mut record = records[0].clone();
    // It was read now, long after it happened.
    assert!(record["event"].as_object_mut().unwrap().remove("created").is_some());
    record["agent"]["ephemeral_id"] = "a0".into();
    let expected = json!({
        "@timestamp": "2026-11-23T14:03:10.123456Z",
        "ecs": {"version": "8.11.0"},
        "event": {
            "kind": "event", "category": ["network"], "type": ["connection", "start"], "action": "nat",
        },
        "network": {
            "transport": "tcp", "type": "ipv4", "community_id": record["network"]["community_id"],
        },
        "source": {
            "ip": "10.7.0.5", "port": 51234, "nat": {"ip": "203.0.113.7", "port": 41022},
        },
        "destination": {"ip": "198.51.100.9", "port": 443},
        "observer": {"hostname": "net1"},
        "agent": {"ephemeral_id": "a0"},
        "anetcon": {
            "namespace": ROUTER, "router_id": "a4fadad3-e529-4329-a086-010b84363596",
            "cookie": "1003", "boot_id": BOOT, "kind": "nat", "conntrack_id": 4711, "zone": 0,
            "seq": 1, "clock": "kernel",
            "outside_community_id": record["anetcon"]["outside_community_id"],
        },
    });
    assert_eq!(record, expected);
}

#[test]
fn each_kind_of_translation_has_its_fields() {
    let cases = [
        (nat(1), "nat", "10.7.0.5", Some("203.0.113.7"), "198.51.100.9", None),
        (float(2), "float", "198.51.100.9", None, "203.0.113.10", Some("10.7.0.10")),
        (hairpin(3), "float", "10.7.0.5", Some("203.0.113.5"), "203.0.113.10", Some("10.7.0.10")),
        (direct(4), "direct", "2001:db8:7::5", None, "2001:db8:9::9", None),
    ];
    let events = cases.iter().map(|case| new(case.0.clone())).collect();
    for (record, case) in written(true, false, events).iter().zip(cases) {
        let (_, action, source, source_nat, destination, destination_nat) = case;
        assert_eq!(record["event"]["action"], action);
        assert_eq!(record["anetcon"]["kind"], action);
        assert_eq!(record["anetcon"]["clock"], "agent");
        assert_eq!(record["source"]["ip"], source);
        assert_eq!(record["source"]["nat"]["ip"], json!(source_nat), "{action}");
        assert_eq!(record["destination"]["ip"], destination);
        assert_eq!(record["destination"]["nat"]["ip"], json!(destination_nat), "{action}");
        let inside = &record["network"]["community_id"];
        let outside = &record["anetcon"]["outside_community_id"];
        assert_eq!(inside == outside, action == "direct", "{record:#}");
    }
}

#[test]
fn the_two_ids_are_those_of_the_inside_and_the_outside_tuple() {
    // Computed with Python's hashlib from the specification's words: SHA-1 over seed 0, the smaller address, the other,
    // protocol, a zero byte and the two ports.
    let records = written(true, false, vec![new(nat(1))]);
    assert_eq!(records[0]["network"]["community_id"], "1:KtjeD7Y8B/axqRbu+8b3KRNEDKI=");
    assert_eq!(records[0]["anetcon"]["outside_community_id"], "1:XIH8pXqHfCw5vd7/ISd9khbhM5s=");
}

#[test]
fn icmp_has_identifiers_instead_of_ports() {
    let record = &written(true, false, vec![new(ping(1))])[0];
    assert_eq!(record["network"]["transport"], "icmp");
    assert_eq!(record["source"], json!({"ip": "10.7.0.5", "nat": {"ip": "203.0.113.7"}}));
    assert_eq!(record["anetcon"]["icmp"], json!({"type": 8, "code": 0, "id": 77, "nat_id": 78}));
}

#[test]
fn the_end_has_its_length_and_what_passed() {
    let mut flow = nat(1);
    let start = time("2026-11-23T14:03:10Z");
    flow.start = Some(nanoseconds(start));
    flow.stop = Some(nanoseconds(start) + 1_500_000_000);
    let count = |packets, bytes| Count { packets, bytes };
    flow.counters = Some(Counters { original: count(3, 300), reply: count(4, 4000) });
    let record = &written(true, true, vec![destroyed(flow)])[0];
    assert_eq!(record["event"]["action"], "end");
    assert_eq!(record["event"]["type"], json!(["connection", "end"]));
    assert_eq!(record["event"]["duration"], 1_500_000_000);
    assert_eq!(record["@timestamp"], "2026-11-23T14:03:11.500000Z");
    assert_eq!(record["network"]["bytes"], 4300);
    assert_eq!(record["network"]["packets"], 7);
    assert_eq!(record["source"]["bytes"], 300);
    assert_eq!(record["destination"]["packets"], 4);
    assert_eq!(record["anetcon"]["kind"], "nat");
}

#[test]
fn the_agent_remembers_when_a_connection_began_if_the_kernel_does_not() {
    let start = time("2026-11-23T14:03:10Z");
    let records = written(true, true, vec![new_at(nat(1), start), destroyed(nat(1))]);
    assert_eq!(records[1]["event"]["start"], "2026-11-23T14:03:10.000000Z");
    assert!(records[1]["event"]["duration"].as_u64().is_some_and(|length| length > 0));
}

#[test]
fn ends_are_not_written_unless_asked_for() {
    assert_eq!(written(true, false, vec![new(nat(1)), destroyed(nat(1))]).len(), 1);
}

#[test]
fn the_remote_end_can_be_left_out() {
    let events = [nat(1), float(2), hairpin(3), direct(4)].map(new).to_vec();
    let records = written(false, false, events);
    let [nat, float, hairpin, direct] = records.as_slice() else { unreachable!() };
    assert_eq!((&nat["destination"], &float["source"]), (&Value::Null, &Value::Null));
    assert_eq!(nat["source"]["nat"]["port"], 41022);
    assert_eq!(float["destination"]["nat"]["ip"], "10.7.0.10");
    assert_eq!(hairpin["source"]["ip"], "10.7.0.5", "both ends are ours");
    assert_eq!(direct["destination"], Value::Null);
    for record in &records {
        let text = record.to_string();
        assert!(!text.contains("198.51.100") && !text.contains("community_id"), "{text}");
    }
}

#[test]
fn the_time_is_the_kernels_where_it_gives_one_and_a_late_record_says_so() {
    let at = jiff::Timestamp::now();
    let old = at - jiff::SignedDuration::from_secs(90);
    let records = written(true, false, vec![new_at(nat(1), at), new_at(nat(2), old), new(nat(3))]);
    let clocks: Vec<&Value> = records.iter().map(|record| &record["anetcon"]["clock"]).collect();
    assert_eq!(clocks, ["kernel", "kernel", "agent"]);
    let created: Vec<bool> =
        records.iter().map(|record| record["event"]["created"].is_string()).collect();
    assert_eq!(created, [false, true, false]);
}

#[test]
fn a_connection_found_open_says_when_it_began() {
    let mut flow = nat(1);
    flow.start = Some(nanoseconds(time("2026-11-20T10:00:00Z")));
    let record = &written(true, false, vec![judged(event(EventKind::Seen, flow))])[0];
    assert_eq!(record["event"]["action"], "seen");
    assert_eq!(record["event"]["start"], "2026-11-20T10:00:00.000000Z");
    assert_eq!(record["anetcon"]["kind"], "nat");
}

#[test]
fn the_schema_refuses_what_is_no_record() {
    let record = written(true, false, vec![new(nat(1))]).remove(0);
    let schema = schema();
    let breaks: [fn(&mut Value); 6] = [
        |record| record["@timestamp"] = "2026-11-23 14:03:10".into(),
        |record| record["source"]["port"] = 65536.into(),
        |record| record["source"]["ip"] = "10.7.0.500".into(),
        |record| record["anetcon"]["seq"] = 0.into(),
        |record| record["anetcon"]["more"] = 0.into(),
        |record| record["network"] = Value::Null,
    ];
    for broken in breaks {
        let mut record = record.clone();
        broken(&mut record);
        assert!(!schema.is_valid(&record), "{record:#}");
    }
}

#[test]
fn only_a_uuid_at_the_end_of_the_name_is_the_router() {
    let uuid = "a4fadad3-e529-4329-a086-010b84363596";
    let cases = [
        (format!("qrouter-{uuid}"), Some(uuid)),
        (uuid.to_owned(), Some(uuid)),
        (format!("x{uuid}"), None),
        ("default".to_owned(), None),
        ("qrouter-a4fadad3-e529-4329-a086-010b8436359x".to_owned(), None),
        (format!("ü{}", &uuid[1..]), None),
    ];
    let folder = Folder::new();
    let log = folder.start();
    for (index, (name, _)) in cases.iter().enumerate() {
        let origin = anetcon_records::session::Origin::new(name.as_str(), "1");
        log.push(&origin.into(), [new(nat(index as u32))]);
    }
    log.stop().unwrap();
    for (record, (name, expected)) in records(&folder.live()).iter().zip(cases) {
        assert_eq!(record["anetcon"]["router_id"], json!(expected), "{name}");
    }
}
