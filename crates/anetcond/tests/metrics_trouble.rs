//! What goes wrong moves its own number: buffers that run over, files that cannot be written, a fight, an agent that must be restarted.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not right")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

mod metrics_kit;
mod records_kit;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::netns::{Netns, unique, wait_until};
use anetcon_testkit::ruleset::{Owner, nft};
use nix::sys::signal::Signal;
use records_kit::{auditing, file, open, settle};

use self::metrics_kit::*;

const RULE_OVERRUNS: &str = "anetcon_netlink_overruns_total{socket=\"rules\"}";
const CONNECTION_OVERRUNS: &str = "anetcon_netlink_overruns_total{socket=\"connections\"}";
const UNWRITABLE: &str = "anetcon_records_lost_total{reason=\"unwritable\"}";

/// Far more ruleset events than a socket's buffer holds, in one nft process.
fn flood_of_events(netns: &Netns) {
    let mut command = netns.command("nft");
    let mut child = command.arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let script = "add table inet other\ndelete table inet other\n".repeat(3000);
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Does something while the agent can do nothing.
fn while_stopped<T>(agent: &Agent, what: impl FnOnce() -> T) -> T {
    agent.signal(Signal::SIGSTOP);
    let done = what();
    agent.signal(Signal::SIGCONT);
    done
}

#[test]
fn lost_ruleset_events_are_an_overrun_and_a_comparison() {
    let netns = Netns::new("metrules");
    let agent = auditing(&[&netns], |_| {});
    while_stopped(&agent, || flood_of_events(&netns));
    // The comparison follows the overrun, and may end after a page that tells of it.
    let page = wait_page(&agent, "the overrun and the comparison", |page| {
        page.get(RULE_OVERRUNS) > 0.0 && page.get("anetcon_resync_total{reason=\"overrun\"}") > 0.0
    });
    assert!(page.get(CONNECTION_OVERRUNS) < 1.0);
}

#[test]
fn lost_connection_events_are_an_overrun_of_the_other_socket() {
    let netns = Netns::new("metconns");
    let agent = auditing(&[&netns], |configuration| configuration.record_buffer = 64 << 10);
    while_stopped(&agent, || drop(open(&netns, 100..3000)));
    let page = wait_page(&agent, "the overrun", |page| page.get(CONNECTION_OVERRUNS) > 0.0);
    assert!(page.get(RULE_OVERRUNS) < 1.0);
    wait_page(&agent, "the gap", |page| {
        page.get("anetcon_gaps_total{cause=\"record_overrun\"}") > 0.0
    });
}

#[test]
fn records_that_cannot_be_written_are_lost() {
    let netns = Netns::new("metfull");
    let agent = auditing(&[&netns], |_| {});
    open(&netns, 0..3);
    settle(&agent, &netns);
    // No file can be made where there is a folder.
    fs::remove_file(file(&agent)).unwrap();
    fs::create_dir(file(&agent)).unwrap();
    open(&netns, 10..13);
    let lost = wait_page(&agent, "they are lost", |page| page.get(UNWRITABLE) >= 3.0);
    assert!((lost.get(UNWRITABLE) - 3.0).abs() < f64::EPSILON);
    wait_page(&agent, "the gap is open", |page| page.get("anetcon_gaps_open") > 0.0);
    fs::remove_dir(file(&agent)).unwrap();
    open(&netns, 20..23);
    wait_page(&agent, "it is over", |page| page.get("anetcon_gaps_open") < 1.0);
}

#[test]
fn a_fight_is_told_while_it_lasts() {
    let netns = Netns::new("metfight");
    let agent = auditing(&[&netns], |_| {});
    let flush = format!("flush table inet {}", agent.configuration().table);
    wait_until("repairs are slowed down", PATIENCE, || {
        nft(&netns, &flush);
        Page::of(&agent).get("anetcon_namespaces_fighting") > 0.0
    });
    wait_page(&agent, "nobody fights any more", |page| {
        page.get("anetcon_namespaces_fighting") < 1.0
            && page.get("anetcon_namespaces{state=\"audited\"}") > 0.0
    });
}

#[test]
fn a_namespace_at_rest_is_looked_at_with_each_sweep() {
    let netns = Netns::new("metsweep");
    let agent = auditing(&[&netns], |configuration| configuration.period = 1);
    let last = "anetcon_last_reconcile_timestamp_seconds";
    let first = Page::of(&agent).get(last);
    wait_page(&agent, "three sweeps later", |page| page.get(last) > first + 2.5);
}

/// Rules that stood while no agent ran were in force; rules that were wiped meanwhile were not.
#[test]
fn a_start_counts_only_the_time_in_which_rules_were_missing() {
    let netns = Netns::new("metstood");
    let mut agent = auditing(&[&netns], |_| {});
    let unaudited = "anetcon_unaudited_seconds_total";
    agent.kill();
    agent.start_again();
    agent.wait_audited(1);
    let stood = Page::of(&agent).get(unaudited);
    assert!(stood.abs() < f64::EPSILON, "{stood} s without rules that stood");
    agent.kill();
    nft(&netns, "flush ruleset");
    agent.start_again();
    agent.wait_audited(1);
    let wiped = Page::of(&agent).get(unaudited);
    assert!(wiped > 0.0 && wiped < PATIENCE.as_secs_f64(), "{wiped} s");
}

#[test]
fn a_namespace_that_comes_and_cannot_be_programmed_counts_from_its_coming() {
    let (first, later) = (Netns::new("metfirst"), unique("metlater"));
    let agent = auditing(&[&first], |configuration| {
        configuration.namespaces.push(format!("^{later}$"));
    });
    let unaudited = "anetcon_unaudited_seconds_total";
    // So that the other one comes first.
    let (_netns, owner) = while_stopped(&agent, || {
        let netns = Netns::named(&later);
        let owner = Owner::of(&netns, &agent.configuration().table);
        (netns, owner)
    });
    let failed = wait_page(&agent, "it fails", |page| {
        page.get("anetcon_namespaces{state=\"failed\"}") > 0.0
    });
    wait_page(&agent, "it grows", |page| page.get(unaudited) > failed.get(unaudited) + 0.3);
    drop(owner);
    agent.wait_audited(2);
    let whole = Page::of(&agent).get(unaudited);
    assert!((Page::of(&agent).get(unaudited) - whole).abs() < f64::EPSILON, "it stands");
}
