//! The configuration from several files, as an operator asks for it.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;

use anetcon_testkit::patched::Patched;

fn machine() -> Patched<'static> {
    let programs = Path::new(env!("CARGO_BIN_EXE_anetconctl")).parent().unwrap();
    let mut machine =
        Patched::new(programs, "period = 10\n[networks]\nqrouter-1 = ['10.0.0.0/8']\n");
    let run = machine.folder().join("run");
    std::fs::create_dir_all(run.join("anetcon/anetcon.toml.d")).unwrap();
    machine.before(&format!("mount --bind {} /run", run.display()));
    machine
}

fn shown(machine: &Patched<'_>, line: &str) -> String {
    let output = machine.shell(line);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_value_is_shown_with_its_file_and_line() {
    let machine = machine();
    let etc = "mkdir -p /etc/anetcon/anetcon.toml.d; cd /etc/anetcon/anetcon.toml.d";
    shown(
        &machine,
        &format!(
            "{etc}; printf '\\nperiod = 20\\n' > 50-period.toml; ln -s /dev/null 60-masked.toml"
        ),
    );
    let run = "cd /run/anetcon/anetcon.toml.d";
    shown(
        &machine,
        &format!(
            "{run}; echo 'period = 5' > 60-masked.toml; echo 'debug = true' > 40-debug.toml; echo 'period = 7' > 50-period.toml"
        ),
    );
    shown(
        &machine,
        &format!("{run}; echo 'networks.qrouter-2 = [\"10.2.0.0/16\"]' > 70-more.toml"),
    );

    let told = shown(&machine, "anetconctl config show --origin | tr -s ' '");
    for line in [
        "period = 20 # /etc/anetcon/anetcon.toml.d/50-period.toml:2",
        "debug = true # /run/anetcon/anetcon.toml.d/40-debug.toml:1",
        "networks.\"qrouter-1\" = [\"10.0.0.0/8\"] # /etc/anetcon/anetcon.toml:3",
        "networks.\"qrouter-2\" = [\"10.2.0.0/16\"] # /run/anetcon/anetcon.toml.d/70-more.toml:1",
        "rules.priority = -150 # default",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
    }
    // What is shown is a file that means the same.
    let again = "anetconctl config show > /etc/all.toml; anetconctl -c /etc/all.toml config show";
    assert_eq!(shown(&machine, again), shown(&machine, "anetconctl config show"));

    shown(&machine, &format!("{etc}; printf 'debgu = 1\\n' > 80-bad.toml"));
    let refused = machine.shell("anetconctl check");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("--> /etc/anetcon/anetcon.toml.d/80-bad.toml:1:1"), "{said}");
}
