//! What the metrics say is what really happened, and promtool finds nothing to complain about.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not right")]

mod metrics_kit;

use std::collections::BTreeSet;
use std::path::Path;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::http;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::{Owner, nft};
use anetcon_testkit::topology::{Family, Router};

use self::metrics_kit::*;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

const UNAUDITED: &str = "anetcon_unaudited_seconds_total";
const REPAIRS: &str = "anetcon_repair_duration_seconds_count";

/// An agent with the series of each namespace.
fn detailed(names: &[&str]) -> Agent {
    let mut configuration = Configuration::auditing(names);
    configuration.metrics_namespaces = true;
    let agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(names.len() as u64);
    agent
}

fn plain(netns: &Netns) -> Agent {
    let agent = Agent::start(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    agent.wait_audited(1);
    agent
}

#[test]
fn both_formats_hold_the_same_series_and_promtool_is_content() {
    let netns = Netns::new("metformats");
    let agent = detailed(&[netns.name()]);
    let open = agent.request("GET", "/metrics").unwrap();
    assert_eq!(
        (open.code, open.content_type.as_str()),
        (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
    let text = http::get_accepting(&agent.socket(), "/metrics", TEXT).unwrap();
    assert_eq!((text.code, text.content_type.starts_with("text/plain")), (200, true));
    let series = |body: &str| -> BTreeSet<String> {
        // The bounds of buckets are written `1.0` in the one and `1` in the other.
        let keys = Page::parse(body).0.into_keys();
        keys.map(|series| series.replace(".0\"}", "\"}")).collect()
    };
    assert_eq!(series(&open.body), series(&text.body));
    assert_eq!(lint(&text.body), "");
    assert_ne!(lint(&text.body.replace("anetcon_gaps_total", "anetcon_gaps")), "", "it judges");
}

#[test]
fn an_agent_at_rest_says_that_all_is_well() {
    let netns = Netns::new("metrest");
    let agent = plain(&netns);
    let page = Page::of(&agent);
    let cases = [
        ("anetcon_namespaces{state=\"audited\"}", 1.0),
        ("anetcon_namespaces{state=\"failed\"}", 0.0),
        ("anetcon_namespaces_fighting", 0.0),
        ("anetcon_config_last_reload_successful", 1.0),
        ("anetcon_nf_log_all_netns", 1.0),
        ("anetcon_sweep_period_seconds", 3600.0),
        ("anetcon_rules_repairs_total{reason=\"deleted\"}", 0.0),
        (REPAIRS, 0.0),
        ("anetcon_gaps_total{cause=\"wiped\"}", 0.0),
        ("anetcon_build_info{version=\"0.1.0\"}", 1.0),
    ];
    for (series, value) in cases {
        assert!((page.get(series) - value).abs() < f64::EPSILON, "{series}");
    }
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    for series in [
        "anetcon_last_reconcile_timestamp_seconds",
        "anetcon_config_last_reload_success_timestamp_seconds",
        "process_start_time_seconds",
    ] {
        let age = now - page.get(series);
        assert!((0.0..PATIENCE.as_secs_f64()).contains(&age), "{series} is {age} s old");
    }
    assert!(page.get("process_resident_memory_bytes") > 1e6);
}

#[test]
fn a_wipe_moves_the_numbers_of_repairs() {
    let netns = Netns::new("metwipe");
    let agent = detailed(&[netns.name()]);
    let before = Page::of(&agent);
    nft(&netns, "flush ruleset");
    let of_this = format!("anetcon_namespace_repairs_total{{namespace=\"{}\"}}", netns.name());
    let counts = [
        "anetcon_rules_repairs_total{reason=\"deleted\"}",
        REPAIRS,
        "anetcon_repair_duration_seconds_bucket{le=\"+Inf\"}",
        &of_this,
    ];
    // A page may be made between two of them.
    let after = wait_page(&agent, "the repair is counted", |page| {
        let grown = |series: &str| page.get(series) > before.get(series);
        counts.into_iter().all(grown) && grown(UNAUDITED)
    });
    for series in counts {
        let grown = after.get(series) - before.get(series);
        assert!((grown - 1.0).abs() < f64::EPSILON, "{series} grew by {grown}");
    }
    let took = after.get("anetcon_repair_duration_seconds_sum");
    assert!(took > 0.0 && took < 10.0, "{took}");
    let gap = after.get(UNAUDITED) - before.get(UNAUDITED);
    assert!(gap > 0.0 && gap < 10.0, "{gap}");
    let flush = format!("flush table inet {}", agent.configuration().table);
    nft(&netns, &flush);
    wait_page(&agent, "a flush is another reason", |page| {
        page.get("anetcon_rules_repairs_total{reason=\"flushed\"}") > 0.0
    });
    wait_page(&agent, "the ledger was told", |page| {
        page.get("anetcon_gaps_total{cause=\"wiped\"}") > 1.0
    });
}

#[test]
fn unaudited_seconds_grow_while_a_namespace_cannot_be_programmed_and_stand_afterwards() {
    let netns = Netns::new("metowned");
    let configuration = Configuration::auditing(&[netns.name()]);
    let mut agent = Agent::prepared(Path::new(ANETCOND), configuration);
    let owner = Owner::of(&netns, &agent.configuration().table);
    agent.start_again();
    let failed = |page: &Page| page.get("anetcon_namespaces{state=\"failed\"}") > 0.0;
    let first = wait_page(&agent, "the namespace fails", failed);
    // Between two attempts, for during one it is not failed.
    let second = wait_page(&agent, "it grows", |page| {
        page.get(UNAUDITED) > first.get(UNAUDITED) + 0.3 && failed(page)
    });
    wait_page(&agent, "the gap is told", |page| page.get("anetcon_gaps_open") > 0.0);
    drop(owner);
    agent.wait_audited(1);
    let whole = Page::of(&agent).get(UNAUDITED);
    assert!(whole >= second.get(UNAUDITED));
    let started = Page::of(&agent).get("process_start_time_seconds");
    let lived = jiff::Timestamp::now().as_duration().as_secs_f64() - started;
    assert!(whole < lived, "{whole} of {lived} seconds");
    wait_page(&agent, "the gap is over", |page| page.get("anetcon_gaps_open") < 1.0);
    assert!((Page::of(&agent).get(UNAUDITED) - whole).abs() < f64::EPSILON, "nothing is missing");
}

#[test]
fn what_a_namespace_that_is_gone_has_counted_stays() {
    let (kept, gone) = (Netns::new("metkept"), Netns::new("metgone"));
    let agent = detailed(&[kept.name(), gone.name()]);
    nft(&gone, "flush ruleset");
    let before = wait_page(&agent, "the repair", |page| page.get(REPAIRS) > 0.0);
    drop(gone);
    let after = wait_page(&agent, "it is let go", |page| {
        page.get("anetcon_namespaces{state=\"audited\"}") < 2.0
    });
    assert_never_fell(&before, &after);
    assert!(after.get(UNAUDITED) > 0.0);
    let named = after.0.keys().filter(|series| series.contains("namespace=")).count();
    assert_eq!(named, 4, "only those of the one that is left");
}

/// Of counters and histograms, but for those of single namespaces, which can go.
fn assert_never_fell(before: &Page, after: &Page) {
    let counts = |series: &str| {
        let name = series.split('{').next().unwrap_or_default();
        ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
            && !series.contains("namespace=")
    };
    for (series, value) in before.0.iter().filter(|(series, _)| counts(series)) {
        assert!(after.get(series) >= *value, "{series} fell from {value} to {}", after.get(series));
    }
}

#[test]
fn connections_lines_and_records_are_counted_and_no_reload_takes_them_back() {
    let router = Router::new("mettraffic");
    Nat::IptablesNft.install(&router);
    let mut agent = plain(&router.netns);
    wait_page(&agent, "followed", |page| page.get("anetcon_namespaces_recorded") > 0.0);
    drop(router.outgoing(Family::V4).connect_many(3));
    let told = |page: &Page| {
        [
            "anetcon_logged_connections_total{kind=\"nat\"}",
            "anetcon_log_lines_total{kind=\"nat\"}",
            "anetcon_records_total",
        ]
        .iter()
        .all(|series| page.get(series) >= 3.0)
    };
    let before = wait_page(&agent, "all are told of", told);
    // Another thread writes the records, and no longer anybody of ours the lines.
    agent.configure(|configuration| {
        configuration.record_file = "other.ndjson".to_owned();
        configuration.writer = "rsyslog".to_owned();
    });
    agent.reload();
    agent.wait_for_status("reloaded", |status| status["log"]["writer"] == "rsyslog");
    let after = Page::of(&agent);
    assert_never_fell(&before, &after);
    assert!(told(&after), "{after:#?}");
}

#[test]
fn a_reload_that_fails_shows_until_one_works() {
    let netns = Netns::new("metreload");
    let mut agent = plain(&netns);
    let successful = "anetcon_config_last_reload_successful";
    let loaded = "anetcon_config_last_reload_success_timestamp_seconds";
    let before = Page::of(&agent);
    std::fs::write(agent.configuration_path(), "period = 0\n").unwrap();
    agent.reload();
    let failed = wait_page(&agent, "refused", |page| page.get(successful) < 1.0);
    assert!((failed.get(loaded) - before.get(loaded)).abs() < f64::EPSILON);
    agent.configure(|configuration| configuration.period = 77);
    agent.reload();
    let mended = wait_page(&agent, "taken", |page| page.get(successful) > 0.0);
    assert!(mended.get(loaded) > before.get(loaded));
    assert!((mended.get("anetcon_sweep_period_seconds") - 77.0).abs() < f64::EPSILON);
}

#[test]
fn fifty_namespaces_have_no_more_series_than_one_unless_asked_for() {
    let one = Netns::new("metmany");
    let mut configuration = Configuration::auditing(&[one.name()]);
    let prefix = anetcon_testkit::netns::unique("metmany");
    configuration.namespaces.push(format!("^{prefix}-"));
    let mut agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(1);
    let before = Page::of(&agent).get(UNAUDITED);
    let alone: BTreeSet<String> = Page::of(&agent).0.into_keys().collect();
    let _many: Vec<Netns> =
        (0..49).map(|number| Netns::named(&format!("{prefix}-{number}"))).collect();
    agent.wait_audited(50);
    let together: BTreeSet<String> = Page::of(&agent).0.into_keys().collect();
    assert_eq!(alone, together);
    let born = Page::of(&agent).get(UNAUDITED) - before;
    assert!(born > 0.0 && born < 10.0, "{born} s until all had their rules");
    agent.configure(|configuration| configuration.metrics_namespaces = true);
    agent.reload();
    let each = wait_until("each has its own", PATIENCE, || {
        let page = Page::of(&agent);
        (page.0.len() > together.len()).then_some(page)
    });
    assert_eq!(each.0.len(), together.len() + 4 * 50);
}
