//! `migrate` without a kernel: what it prints, what it writes, and what it never does.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Ran, ran, tool, write};
use serde_json::Value;

const OLD: &str = "# Our routers.\nNAMESPACES=( '^qrouter-\\(a\\|b\\)' )\nPERIOD=45\n";
const NEW: &str = "# Our routers.\nnamespaces = [\"^qrouter-(a|b)\"]\nperiod = 45\n";

/// An old file in a folder of its own.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "anetcon.conf", text);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn migrate(&self, arguments: &[&str]) -> Ran {
        let mut command = tool(&["migrate"]);
        command.arg(self.path("anetcon.conf")).args(arguments);
        ran(command)
    }

    fn write_to(&self, name: &str) -> String {
        format!("--write={}", self.path(name).display())
    }
}

#[test]
fn the_toml_is_data_and_the_changes_are_talk() {
    let scene = Scene::new(OLD);
    let migrated = scene.migrate(&[]);
    assert_eq!((migrated.code, migrated.stdout.as_str()), (Some(0), NEW), "{migrated:?}");
    let translated =
        r#"- line 2: the pattern "^qrouter-\(a\|b\)" of grep is "^qrouter-(a|b)" in our syntax"#;
    assert!(migrated.stderr.contains(translated), "{migrated:?}");
    assert_eq!(fs::read_dir(scene.folder.path()).expect("a folder").count(), 1);
}

#[test]
fn json_holds_both() {
    let scene = Scene::new(OLD);
    let migrated = scene.migrate(&["--json"]);
    let document: Value = serde_json::from_str(&migrated.stdout).expect("JSON");
    assert_eq!(document["schema"], 1);
    assert_eq!(document["toml"], NEW);
    assert_eq!(document["changes"][0]["line"], 2);
    assert_eq!(document["written"], Value::Null);
}

#[test]
fn what_is_written_is_good_and_never_replaces_a_file_unasked() {
    let scene = Scene::new(OLD);
    let to = scene.write_to("etc/anetcon.toml");
    let written = scene.migrate(&[&to]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{written:?}");
    assert!(written.stderr.contains("anetcon.toml is written."), "{written:?}");
    let file = scene.path("etc/anetcon.toml");
    assert_eq!(fs::read_to_string(&file).expect("a file"), NEW);
    let checked = ran(tool(&["check", &file.to_string_lossy()]));
    assert_eq!(checked.code, Some(0), "{checked:?}");

    fs::write(&file, "mine").expect("a file");
    let refused = scene.migrate(&[&to]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("exists already") && refused.stderr.contains("--force"));
    assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    assert_eq!(scene.migrate(&[&to, "--force"]).code, Some(0));
    assert_eq!(fs::read_to_string(&file).expect("a file"), NEW);
    assert_eq!(scene.migrate(&["--force"]).code, Some(2));

    // The package's own file is nobody's work.
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../conf/anetcon.toml"), &file)
        .expect("a file");
    assert_eq!(scene.migrate(&[&to]).code, Some(0));
    assert_eq!(fs::read_to_string(&file).expect("a file"), NEW);
}

#[test]
fn nothing_in_the_file_is_executed() {
    let scene = Scene::new("");
    let trap = scene.path("trap");
    let shown = trap.display();
    let hostile = [
        format!("touch {shown}\n"),
        format!("PERIOD=$(touch {shown})\n"),
        format!("PERIOD=`touch {shown}`\n"),
        format!("PERIOD=30; touch {shown}\n"),
        format!("PERIOD=30 > {shown}\n"),
        format!("NAMESPACES=( <(touch {shown}) )\n"),
        format!("NETS[$(touch {shown})]=x\n"),
        format!("LOG_PREFIX=\"${{x:=$(touch {shown})}}\"\n"),
    ];
    for text in hostile {
        write(scene.folder.path(), "anetcon.conf", &text);
        let to = scene.write_to("anetcon.toml");
        let refused = scene.migrate(&[&to]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(78), ""), "{text}: {refused:?}");
        assert!(refused.stderr.contains("anetcon.conf:1:"), "{refused:?}");
        assert!(!trap.exists(), "{text} was executed");
        assert!(!scene.path("anetcon.toml").exists(), "{text}: half of it was written");
        let refused = scene.migrate(&["--json"]);
        let document: Value = serde_json::from_str(&refused.stdout).expect("JSON");
        assert_eq!((refused.code, &document["errors"][0]["line"]), (Some(78), &Value::from(1)));
    }
}

#[test]
fn what_is_no_old_file_is_told_so() {
    let scene = Scene::new("period = 30\n");
    let toml = scene.migrate(&[]);
    assert_eq!(toml.code, Some(78), "{toml:?}");
    assert!(toml.stderr.contains("anetcon.conf is TOML already"), "{toml:?}");
    let absent = ran(tool(&["migrate", "/no/such/anetcon.conf"]));
    assert_eq!(absent.code, Some(78), "{absent:?}");
    assert!(absent.stderr.contains("cannot read /no/such/anetcon.conf"), "{absent:?}");
}

#[test]
fn the_old_file_is_checked_as_it_is() {
    let scene = Scene::new(OLD);
    let file = scene.path("anetcon.conf");
    let file = file.to_string_lossy();
    let good = ran(tool(&["check", &file]));
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.contains("^qrouter-(a|b)"), "{good:?}");
    write(scene.folder.path(), "anetcon.conf", "PERIOD=$X\n");
    let bad = ran(tool(&["check", &file]));
    assert_eq!(bad.code, Some(78), "{bad:?}");
    assert!(bad.stderr.contains("anetcon.conf:1:8"), "{bad:?}");
}
