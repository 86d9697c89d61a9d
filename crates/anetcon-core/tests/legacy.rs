//! Every `legacy/NAME.conf` is read as `NAME.toml` and told of as in `NAME.txt`, or is refused in the words of `NAME.txt`.
//!
//! What is read is compared with what a real bash and a real grep make of the same file. A new case needs no code: add `NAME.conf`,
//! run the test once with `ANETCON_BLESS=1`, which writes what is missing or changed, and read what it wrote.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be read or found fails the test"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "bash and grep are the implementations compared with"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anetcon_core::config::{self, Config, NetworksScope};
use anetcon_core::legacy::{self, Migration};
use anetcon_core::netns::NetnsName;
use anetcon_core::prefix::NamespaceTag;
use ipnet::IpNet;

/// Names that the patterns of the fixtures tell apart.
const NAMES: &str = "qrouter-1 qrouter-2 qrouter-a4fadad3-e529-4329-a086-010b84363596 snat-0a1b2c3d-x snat+ snat fip-a fip-b q1 q2 \
                     abc x.y xzy ^d.e dollar dollarx onetwo xqrouter-1 *x ax two";

#[test]
fn every_old_file_is_read_or_refused_as_expected() {
    let cases = cases();
    let good = cases.iter().filter(|case| !is_bad(case)).count();
    assert!(good >= 12 && cases.len() - good >= 50, "{good} of {} are good", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_expectation_has_its_file() {
    for file in files() {
        assert!(file.with_extension("conf").exists(), "{} has no .conf", file.display());
    }
}

#[test]
fn the_toml_means_what_was_read() {
    for (name, migration) in good() {
        let again = config::parse(&migration.toml);
        let again = again.unwrap_or_else(|errors| {
            panic!("{name}\n{}", errors.render(&name, &migration.toml, false))
        });
        assert_eq!(again, migration.config, "{name}");
    }
}

#[test]
fn no_comment_is_lost() {
    // What TOML takes in no comment is written as its number.
    let good = good().into_iter().filter(|(name, _)| name != "control_in_comment.conf");
    for (name, migration) in good {
        let old = fs::read_to_string(folder().join(&name)).unwrap();
        let words = |text: &str| -> Vec<String> {
            let comments = text
                .lines()
                .filter_map(|line| line.split_once("# "))
                .map(|(_, words)| words.trim().to_owned());
            let mut comments: Vec<String> = comments.collect();
            comments.sort();
            comments
        };
        assert_eq!(words(&old), words(&migration.toml), "{name}:\n{}", migration.toml);
    }
}

#[test]
fn a_real_bash_reads_the_same() {
    for (name, migration) in good() {
        let bash = bash(&folder().join(&name));
        let config = &migration.config;
        assert_eq!(config.debug, !bash.value("DEBUG").is_empty(), "{name}");
        assert_eq!(seconds(bash.value("PERIOD")), config.period.as_secs(), "{name}");
        assert_eq!(config.rules.chain, bash.value("CHAIN_NAME"), "{name}");
        assert_eq!(config.rules.table, bash.value("CHAIN_NAME"), "{name}");
        let prefixes = &config.log.prefixes;
        assert_eq!(prefixes.base, bash.value("LOG_PREFIX"), "{name}");
        assert_eq!(prefixes.dnat, bash.value("LOG_PREFIX_DNAT"), "{name}");
        assert_eq!(prefixes.other, bash.value("LOG_PREFIX_OTHER"), "{name}");
        let tag = if bash.value("LOG_NAMESPACE_HASH") == "true" {
            NamespaceTag::Hash
        } else {
            NamespaceTag::None
        };
        assert_eq!(prefixes.namespace, tag, "{name}");
        let file = config.state.hash_file.as_ref().map(|path| path.to_str().unwrap());
        assert_eq!(file.unwrap_or_default(), bash.value("NAMESPACE_HASH_FILE"), "{name}");
        assert_eq!(selected(config), bash.selected, "{name}");
        assert_eq!(config.networks, bash.networks, "{name}");
        assert_eq!(
            config.networks.is_empty(),
            config.networks_scope != NetworksScope::Outgoing,
            "{name}"
        );
    }
}

/// What a real bash and grep say.
struct Bash {
    values: BTreeMap<String, String>,
    selected: Vec<String>,
    networks: BTreeMap<String, Vec<IpNet>>,
}

impl Bash {
    fn value(&self, name: &str) -> &str {
        &self.values[name]
    }
}

/// The defaults are the script's; patterns go to grep, and lists are walked as the script did it.
const QUESTIONS: &str = r#"
DEBUG= NAMESPACES=(default) PERIOD=60 CHAIN_NAME=anetcon LOG_PREFIX="[ANETCON]" LOG_PREFIX_DNAT="[D]" LOG_PREFIX_OTHER="[X]"
LOG_NAMESPACE_HASH=true NAMESPACE_HASH_FILE=/var/lib/anetcon/namespace.hash
. "$1"
for name in DEBUG PERIOD CHAIN_NAME LOG_PREFIX LOG_PREFIX_DNAT LOG_PREFIX_OTHER LOG_NAMESPACE_HASH NAMESPACE_HASH_FILE; do
    printf 'value\t%s\t%s\n' "$name" "${!name}"
done
for pattern in "${NAMESPACES[@]}"; do
    for name in $2; do
        if [ "$pattern" = default ]; then found=default
        else found="$(echo "$name" | grep "$pattern")"; fi
        [ -z "$found" ] || printf 'selected\t%s\n' "$found"
    done
done
if [[ "$(declare -p NETS 2> /dev/null)" = "declare -A"* ]]; then
    for name in "${!NETS[@]}"; do printf 'networks\t%s\t%s\n' "$name" "${NETS[$name]//$'\t'/ }"; done
else
    for ((i = 0; i < ${#NETS[@]}; i += 2)); do
        printf 'networks\t%s\t%s\n' "${NETS[i]}" "${NETS[i + 1]}"
    done
fi
"#;

fn bash(file: &Path) -> Bash {
    let mut asked = Command::new("bash");
    asked.args(["--noprofile", "--norc", "-c", QUESTIONS, "bash"]).arg(file).arg(NAMES);
    asked.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    let answer = asked.output().unwrap();
    assert!(answer.status.success() && answer.stderr.is_empty(), "{}: {answer:?}", file.display());
    let output = String::from_utf8(answer.stdout).unwrap();
    let mut bash =
        Bash { values: BTreeMap::new(), selected: Vec::new(), networks: BTreeMap::new() };
    for line in output.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["value", name, value] => _ = bash.values.insert(name.to_owned(), value.to_owned()),
            ["selected", name] => bash.selected.push(name.to_owned()),
            ["networks", name, list] => {
                let networks: Vec<IpNet> =
                    list.split(' ').filter(|word| !word.is_empty()).map(network).collect();
                if !networks.is_empty() {
                    bash.networks
                        .entry(name.to_owned())
                        .or_insert_with(|| IpNet::aggregate(&networks));
                }
            }
            _ => panic!("bash said {line:?}"),
        }
    }
    bash.selected.sort();
    bash.selected.dedup();
    bash
}

/// The script wrote networks for iptables, which takes a netmask too.
fn network(word: &str) -> IpNet {
    let (address, length) = word.split_once('/').unwrap();
    let length = length
        .parse()
        .unwrap_or_else(|_| ipnet::ip_mask_to_prefix(length.parse().unwrap()).unwrap());
    IpNet::new(address.parse().unwrap(), length).unwrap()
}

/// As sleep(1) takes it.
fn seconds(text: &str) -> u64 {
    let (digits, factor) = text.strip_suffix('m').map_or((text, 1), |digits| (digits, 60));
    digits.parse::<u64>().unwrap() * factor
}

/// Which of the names are audited, and whether the root namespace is.
fn selected(config: &Config) -> Vec<String> {
    let named = NAMES.split_whitespace().map(|name| NetnsName::named(name).unwrap());
    let all = named.chain([NetnsName::root()]);
    let mut selected: Vec<String> =
        all.filter(|name| config.selection.matches(name)).map(|name| name.to_string()).collect();
    selected.sort();
    selected
}

/// What is wrong with one case.
fn check(case: &Path) -> Vec<String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(case).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (toml, told) = match legacy::read(&bytes) {
        Ok(_) if is_bad(case) => return vec![format!("{name} was accepted")],
        Ok(migration) => {
            let told = migration.changes.iter().map(|change| format!("{change}\n")).collect();
            (Some(migration.toml), told)
        }
        Err(errors) => {
            let told = format!("{}\n", errors.render(name, &text, false));
            if !is_bad(case) {
                return vec![format!("{name} was refused:\n{told}")];
            }
            for diagnostic in &errors.diagnostics {
                let complete = diagnostic.span.is_some() && diagnostic.help.is_some();
                assert!(complete, "{name} has an error without a place or remedy: {diagnostic:?}");
            }
            (None, told)
        }
    };
    let toml = toml.and_then(|toml| compare(&case.with_extension("toml"), &toml));
    toml.into_iter().chain(compare(&case.with_extension("txt"), &told)).collect()
}

fn compare(file: &Path, found: &str) -> Option<String> {
    let expected = fs::read_to_string(file).unwrap_or_default();
    if found == expected {
        return None;
    }
    if std::env::var_os("ANETCON_BLESS").is_some() {
        fs::write(file, found).unwrap();
        return None;
    }
    Some(format!("{}: expected\n{expected}\nfound\n{found}", file.display()))
}

fn good() -> Vec<(String, Migration)> {
    let cases = cases().into_iter().filter(|case| !is_bad(case));
    let read = |case: PathBuf| {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let migration = legacy::read(&fs::read(&case).unwrap());
        let migration = migration.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        (name, migration)
    };
    cases.map(read).collect()
}

fn is_bad(case: &Path) -> bool {
    case.file_name().unwrap().to_str().unwrap().starts_with("bad_")
}

fn cases() -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "conf")).collect()
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/legacy")
}
