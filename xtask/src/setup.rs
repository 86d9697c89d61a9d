//! `cargo xtask setup`: the system packages that building and testing need.
//!
//! Every package is named with its reason before anything is installed.

pub mod python;
pub mod systems;

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::process::{self, Elevation};

/// One system package, why we need it, and how to see it where there is no dpkg.
pub struct Package {
    name: &'static str,
    reason: &'static str,
    seen: Seen,
}

/// What shows that a package's content is there, whoever installed it.
enum Seen {
    Program(&'static str),
    /// Its name for pkg-config and the version that has every function we call.
    Library(&'static str, &'static str),
    /// A part of rsyslog that can be loaded.
    RsyslogModule(&'static str),
}

/// What building the binaries needs.
pub const BUILD: &[Package] = &[
    Package::library("libnftnl-dev", "the agent speaks to nf_tables with it", "libnftnl", "1.2.4"),
    Package::library("libmnl-dev", "netlink messages under libnftnl", "libmnl", "1.0.4"),
    Package::program("pkg-config", "finds both libraries for the build", "pkg-config"),
    Package::program("gcc", "rustc links with it", "cc"),
];

/// What the tests need besides: the other implementations that check what we write.
pub const TEST: &[Package] = &[
    Package::program("nftables", "nft reads back the rules we write", "nft"),
    Package::program("iproute2", "ip shows the namespaces and links of the tests", "ip"),
    Package::program("iptables", "other people's NAT rules beside ours", "iptables"),
    Package::program("conntrack", "shows the connections that the log must name", "conntrack"),
    Package::program("rsyslog", "sorts kernel lines with the shipped configuration", "rsyslogd"),
    Package::rsyslog_module("rsyslog-relp", "carries lines to a central rsyslog", "omrelp.so"),
    Package::program("openssl", "makes the certificates of nodes and central machine", "openssl"),
    Package::program("logrotate", "rotates the log files with the shipped stanza", "logrotate"),
    Package::program("systemd", "checks the unit and runs the agent under it", "systemd-analyze"),
    Package::program("clickhouse-server", "answers the CLI's question", "clickhouse-server"),
    Package::program("python3-venv", "keeps the tests' Python package to itself", "python3"),
    Package::program("zstd", "packs rotated files as some logrotate configurations do", "zstd"),
    Package::program("lintian", "looks for mistakes in the Debian package", "lintian"),
    Package::program("mandoc", "looks for mistakes in the manual pages", "mandoc"),
    Package::program("acl", "lets one more user write in a folder, as the doctor says", "setfacl"),
    Package::program("faketime", "lets two hours go by for the doctor", "faketime"),
    Package::program("adjtimex", "asks the kernel about its clock as the doctor does", "adjtimex"),
    Package::program("mmdebstrap", "makes the Debian 12 and 13 that tests boot", "mmdebstrap"),
    Package::program("strace", "shows that the agent starts no process", "strace"),
    Package::program("prometheus", "its promtool judges metrics and alert rules", "promtool"),
];

/// Packages that we want for a tool, and whose server nobody asked for. systemd would start it at once, and at each boot.
const UNWANTED: &[(&str, &str)] = &[("prometheus", "prometheus.service")];

impl Package {
    /// A package with a program.
    pub const fn program(name: &'static str, reason: &'static str, program: &'static str) -> Self {
        Self { name, reason, seen: Seen::Program(program) }
    }

    const fn rsyslog_module(name: &'static str, reason: &'static str, file: &'static str) -> Self {
        Self { name, reason, seen: Seen::RsyslogModule(file) }
    }

    const fn library(
        name: &'static str,
        reason: &'static str,
        library: &'static str,
        version: &'static str,
    ) -> Self {
        Self { name, reason, seen: Seen::Library(library, version) }
    }
}

/// Arguments of `cargo xtask setup`.
#[derive(Args)]
pub struct Setup {
    /// Only what the build needs, not what the tests need.
    #[arg(long)]
    build: bool,
}

impl Setup {
    /// Installs what is missing.
    pub fn run(self) -> Result<()> {
        let elevation = Elevation::detect();
        install(BUILD, elevation)?;
        if !self.build {
            install(TEST, elevation)?;
            python::install()?;
            systems::make(elevation)?;
        }
        println!("set-up: every package is there");
        Ok(())
    }
}

/// Installs those of `packages` that are missing, saying first which and why.
///
/// # Errors
/// When something is missing and cannot be installed here; the error says what to do by hand.
pub fn install(packages: &[Package], elevation: Elevation) -> Result<()> {
    let debian = debian_like();
    let missing: Vec<&Package> = packages
        .iter()
        .filter(|package| !if debian { installed(package.name) } else { package.seen.here() })
        .collect();
    if missing.is_empty() {
        return new_enough(packages);
    }
    println!("missing system packages:");
    for package in &missing {
        println!("  {:<14} {}", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !debian {
        bail!(
            "this is not Debian or Ubuntu: please install what your system calls {}",
            names.join(", ")
        );
    }
    let servers = Servers::keep_down(&names, elevation)?;
    let installed = apt(&names, elevation);
    servers.release(elevation)?;
    installed?;
    new_enough(packages)
}

/// Servers that an installation must not start. They are masked until the next boot at the latest.
struct Servers(Vec<&'static str>);

impl Servers {
    fn keep_down(names: &[&str], elevation: Elevation) -> Result<Self> {
        let systemd = Path::new("/run/systemd/system").exists();
        let servers = Self(if systemd { unwanted(names) } else { Vec::new() });
        servers.systemctl(&["mask", "--runtime"], elevation)?;
        Ok(servers)
    }

    /// From now on it is started by whoever wants it.
    fn release(self, elevation: Elevation) -> Result<()> {
        self.systemctl(&["unmask", "--runtime"], elevation)?;
        self.systemctl(&["disable"], elevation)
    }

    fn systemctl(&self, what: &[&str], elevation: Elevation) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut command = elevation.command("systemctl").context("installing needs root")?;
        command.arg("--quiet").args(what).args(&self.0);
        println!("running: {}", process::shown(&command));
        process::run(&mut command)
    }
}

fn unwanted(names: &[&str]) -> Vec<&'static str> {
    let wanted_for_a_tool = UNWANTED.iter().filter(|(package, _)| names.contains(package));
    wanted_for_a_tool.map(|(_, unit)| *unit).collect()
}

/// Older systems have the libraries, but the build would end in a page of linker errors.
fn new_enough(packages: &[Package]) -> Result<()> {
    for package in packages {
        let Seen::Library(name, version) = &package.seen else {
            continue;
        };
        ensure!(
            library(&format!("--atleast-version={version}"), name),
            "{name} is older than {version}, which we need: Debian 12 and Ubuntu 24.04 have it"
        );
    }
    Ok(())
}

fn apt(names: &[&str], elevation: Elevation) -> Result<()> {
    let by_hand = format!("apt-get install --no-install-recommends {}", names.join(" "));
    if elevation == Elevation::Impossible {
        bail!(
            "installing needs root, and neither root nor sudo is at hand: run as root `{by_hand}`"
        );
    }
    // A machine fresh from its image has no package lists, or none that name these packages.
    let mut updated = false;
    if !names.iter().all(|name| known(name)) {
        apt_get(&["update"], elevation)?;
        updated = true;
    }
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(names);
    match apt_get(&install, elevation) {
        // Old lists name versions that the mirror no longer has.
        Err(_) if !updated => {
            apt_get(&["update"], elevation)?;
            apt_get(&install, elevation)
        }
        result => result,
    }
    .with_context(|| format!("cannot install; try by hand as root `{by_hand}`"))
}

fn apt_get(arguments: &[&str], elevation: Elevation) -> Result<()> {
    // sudo drops the environment, so the variable travels as an argument of env.
    let mut command = elevation.command("env").context("installing needs root")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]).args(arguments);
    let by = if elevation == Elevation::Sudo { "as root by sudo" } else { "as root" };
    println!("running {by}: {}", process::shown(&command));
    process::run(&mut command)
}

fn debian_like() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_debian(&release) && Seen::Program("dpkg-query").here()
}

/// Whether the text of `/etc/os-release` names Debian or a system made from it.
fn is_debian(release: &str) -> bool {
    release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|word| matches!(word, "debian" | "ubuntu"))
}

fn installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}\n", name]).stderr(Stdio::null());
    // One line per architecture: any installed one will do.
    query.output().is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "installed")
    })
}

fn known(name: &str) -> bool {
    let mut show = Command::new("apt-cache");
    show.args(["show", name]).stdout(Stdio::null()).stderr(Stdio::null());
    show.status().is_ok_and(|status| status.success())
}

impl Seen {
    fn here(&self) -> bool {
        match self {
            Self::Program(name) => in_path(name),
            Self::Library(name, _) => library("--exists", name),
            Self::RsyslogModule(file) => rsyslog_module(file),
        }
    }
}

/// What pkg-config answers to a question about a library.
fn library(question: &str, name: &str) -> bool {
    let mut query = Command::new("pkg-config");
    query.args([question, name]).stderr(Stdio::null());
    query.status().is_ok_and(|status| status.success())
}

/// Looks where distributions put them: /usr/lib64/rsyslog, or below the name of the architecture.
fn rsyslog_module(file: &str) -> bool {
    let folders =
        fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders
        .chain(["/usr/lib", "/usr/lib64"].map(Into::into))
        .any(|folder| folder.join("rsyslog").join(file).is_file())
}

/// Looks also where users' PATH does not lead but root's does.
fn in_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|folder| Path::new(&folder).join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::{is_debian, unwanted};

    #[test]
    fn a_server_is_kept_down_only_where_its_package_is_new() {
        assert_eq!(unwanted(&["nftables", "prometheus"]), ["prometheus.service"]);
        assert_eq!(unwanted(&["nftables"]), Vec::<&str>::new());
    }

    #[test]
    fn os_release_of_known_systems() {
        let cases = [
            ("PRETTY_NAME=\"Debian\"\nID=debian\n", true),
            ("ID=ubuntu\nID_LIKE=debian\n", true),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", false),
            ("NAME=debian\n", false),
            ("", false),
        ];
        for (text, wanted) in cases {
            assert_eq!(is_debian(text), wanted, "{text:?}");
        }
    }
}
