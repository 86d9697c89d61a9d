//! Drop-ins of the configuration in a whole Debian 12, as the service reads them: from inside its sandbox, over reloads and restarts.
#![allow(clippy::disallowed_methods, reason = "systemd and nft are what this is tested with")]

#[path = "../machine_wide_systemd/machine.rs"]
mod machine;
#[path = "../machine_wide_package/package.rs"]
mod package;
#[path = "../machine_wide_systemd/system.rs"]
mod system;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use machine::{Machine, said};
use package::{Package, add_router, install};

/// A machine that audits one router, and what its rules say.
struct Scene {
    machine: Machine,
    router: String,
}

impl Scene {
    fn new() -> Self {
        let package = Package::built();
        let machine = Machine::boot_whole(&system::bookworm(), &[package.path()]);
        let router = add_router(&machine);
        install(&machine, package.name());
        Self { machine, router }
    }

    fn place(&self, folder: &str, name: &str) -> PathBuf {
        let folder = self.machine.path(folder).join("anetcon/anetcon.toml.d");
        fs::create_dir_all(&folder).expect("a folder");
        folder.join(name)
    }

    /// A drop-in that asks for a prefix.
    fn drop_in(&self, folder: &str, name: &str, prefix: &str) {
        fs::write(self.place(folder, name), format!("log.prefix = '[{prefix}]'\n"))
            .expect("written");
    }

    /// The prefix in the kernel, after the service did this.
    fn prefix_after(&self, verb: &str) -> String {
        self.machine.service(verb);
        let table = self.machine.nft(&self.router, "list table inet anetcon").expect("a table");
        let (_, prefix) = table.split_once("log prefix \"[").expect("a log rule");
        prefix.split(']').next().expect("the first part of it").to_owned()
    }
}

#[test]
fn each_folder_is_put_over_the_weaker_ones_in_the_order_of_the_names() {
    let scene = Scene::new();
    assert_eq!(scene.prefix_after("reload"), "ANETCON");
    for (folder, name, prefix) in [
        ("/usr/lib", "10-one.toml", "vendor"),
        ("/run", "10-one.toml", "now"),
        ("/etc", "10-one.toml", "admin"),
        ("/usr/lib", "20-two.toml", "later"),
    ] {
        scene.drop_in(folder, name, prefix);
        assert_eq!(scene.prefix_after("reload"), prefix);
    }
    symlink("/dev/null", scene.place("/run", "20-two.toml")).expect("a link");
    assert_eq!(scene.prefix_after("reload"), "admin", "masked");
    let shown = scene.machine.run(&["anetconctl", "config", "show", "--origin"]);
    assert!(shown.contains("# /etc/anetcon/anetcon.toml.d/10-one.toml:1"), "{shown}");

    // What was made at run time is kept until the machine ends, not until the service does.
    fs::remove_file(scene.place("/etc", "10-one.toml")).expect("it is there");
    for verb in ["restart", "stop", "start"] {
        match verb {
            "stop" => scene.machine.service(verb),
            _ => assert_eq!(scene.prefix_after(verb), "now", "{verb}"),
        }
    }
}

#[test]
fn a_bad_drop_in_fails_the_reload_and_changes_nothing() {
    let scene = Scene::new();
    scene.drop_in("/etc", "10-good.toml", "good");
    assert_eq!(scene.prefix_after("reload"), "good");
    fs::write(scene.place("/etc", "50-bad.toml"), "log.prefix = '[bad]'\nperoid = 5\n")
        .expect("written");
    assert!(!scene.machine.systemctl("reload").status.success());
    let journal = scene.machine.journal();
    for words in ["/etc/anetcon/anetcon.toml.d/50-bad.toml:2:1", "peroid", "period"] {
        assert!(journal.contains(words), "{words}: {journal}");
    }
    let status = scene.machine.command("anetconctl").arg("status").output().expect("it runs");
    assert!(said(&status).contains("could not be reloaded"), "{}", said(&status));
    fs::remove_file(scene.place("/etc", "50-bad.toml")).expect("it is there");
    assert_eq!(scene.prefix_after("reload"), "good");
}
