//! What the bash script left in the kernel, namespace by namespace: taken away where that can be done, else told how.

use std::path::PathBuf;

use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;
use anetcon_core::ruleset::family;
use anetcon_core::takeover::{Kept, OldChain, Removal, program};
use anetcon_host::Host;
use anyhow::anyhow;

use crate::context::Context;
use crate::exit::Failure;
use crate::machine;
use crate::view::{Taken, TakenState, Takeover};

/// The legacy tables of the namespace in which it is read; without the kernel's module there is no such file.
const LEGACY: &str = "/proc/thread-self/net/ip_tables_names";
/// How a missing file is told of.
const MISSING: &str = "(os error 2)";

/// Looks into every selected namespace and, unless it is a dry run, takes away what the script left.
///
/// # Errors
/// The namespaces cannot be listed or entered at all.
pub fn take_over(context: &Context, config: &Config, dry_run: bool) -> Result<Takeover, Failure> {
    let host = machine::open(config)?;
    let existing = machine::namespaces(&host)?;
    context.output.warnings(&existing.skipped);
    let chain = config.rules.chain.as_str();
    let selected: Vec<&NetnsName> =
        existing.names.iter().filter(|name| config.selection.matches(name)).collect();
    let work = Work { host: &host, chain, dry_run };
    let taken = selected.iter().flat_map(|name| work.namespace(name)).collect();
    Ok(Takeover { chain: chain.to_owned(), dry_run, examined: selected.len(), taken })
}

struct Work<'a> {
    host: &'a Host,
    chain: &'a str,
    dry_run: bool,
}

impl Work<'_> {
    fn namespace(&self, name: &NetnsName) -> Vec<Taken> {
        let mut taken = match self.host.take_over(name, self.chain, self.dry_run) {
            Ok((removal, kept)) => self.tables(name, removal, kept),
            // A file on which nothing is mounted (yet), or one that is gone by now.
            Err(error) if machine::is_no_namespace(&error) || error.is_gone() => return Vec::new(),
            Err(error) => vec![failed(name, format!("{:#}", anyhow!(error)))],
        };
        taken.extend(self.legacy(name));
        taken
    }

    fn tables(&self, name: &NetnsName, removal: Option<Removal>, kept: Vec<Kept>) -> Vec<Taken> {
        let state = if self.dry_run { TakenState::Removable } else { TakenState::Removed };
        let removed = removal.iter().flat_map(|removal| &removal.chains);
        let removed = removed.map(|chain| taken(name, state, removed_text(chain), Vec::new()));
        let kept = kept.iter().map(|kept| {
            let (family, chain) = (family(kept.family), self.chain);
            let text = format!("the chain {chain} of {family} nat stays: {}", kept.why);
            taken(name, TakenState::Kept, text, self.commands(name, program(kept.family)))
        });
        removed.chain(kept).collect()
    }

    /// Netlink does not reach the tables of iptables-legacy; that there is one is all that can be seen.
    fn legacy(&self, name: &NetnsName) -> Option<Taken> {
        let read = self.host.read_within(name, [PathBuf::from(LEGACY)]);
        match read.map(|[names]| names) {
            Ok(Ok(names)) if names.lines().any(|line| line == "nat") => {
                let text = format!(
                    "there is a nat table of iptables-legacy, which only that program can read; if the first command shows the chain {}, \
                     the second removes it",
                    self.chain
                );
                Some(taken(name, TakenState::Legacy, text, self.commands(name, "iptables-legacy")))
            }
            Ok(Ok(_)) => None,
            Ok(Err(error)) if error.ends_with(MISSING) => None,
            Ok(Err(error)) => Some(failed(name, error)),
            Err(error) if machine::is_no_namespace(&error) || error.is_gone() => None,
            Err(error) => Some(failed(name, format!("{:#}", anyhow!(error)))),
        }
    }

    /// To look, and to remove.
    fn commands(&self, name: &NetnsName, program: &str) -> Vec<String> {
        let enter = match name.is_root() {
            true => String::new(),
            false => format!("ip netns exec {} ", quoted(name.as_str())),
        };
        let (chain, nat) = (quoted(self.chain), format!("{enter}{program} -t nat"));
        let remove =
            format!("{nat} -D POSTROUTING -j {chain} && {nat} -F {chain} && {nat} -X {chain}");
        vec![format!("{nat} -S {chain}"), remove]
    }
}

fn removed_text(chain: &OldChain) -> String {
    let jumps: Vec<String> =
        chain.jumps.iter().map(|(from, handle)| format!("{from} (handle {handle})")).collect();
    let jumps = match jumps.as_slice() {
        [] => "to which nothing jumps".to_owned(),
        jumps => format!("with the jump from {}", jumps.join(", ")),
    };
    let family = family(chain.family);
    format!(
        "the chain {} of {family} nat, its log rules ({}), {jumps}",
        chain.name,
        chain.rules.len()
    )
}

fn taken(name: &NetnsName, state: TakenState, text: String, run: Vec<String>) -> Taken {
    Taken { namespace: name.to_string(), state, text, run }
}

fn failed(name: &NetnsName, error: String) -> Taken {
    taken(name, TakenState::Failed, error, Vec::new())
}

/// A word as a shell takes it for itself.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted_for_the_shell() {
        assert_eq!(quoted("qrouter-1"), "qrouter-1");
        assert_eq!(quoted("a b;c"), "'a b;c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
