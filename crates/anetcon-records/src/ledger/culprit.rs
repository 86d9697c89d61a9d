//! Who changed the rules: what /proc still knows of a thread that the kernel named.

use std::fs;

use anetcon_core::ledger::Culprit;

/// A command line is cut after this: it may hold a whole script.
const LONGEST: usize = 512;

/// Looks at once: `nft` is gone some milliseconds after its batch was taken in, and its number may come again.
pub(super) fn look_up(process: String, tid: u32) -> Culprit {
    let read = |name: &str| fs::read(format!("/proc/{tid}/{name}")).ok();
    let is_it = || {
        let comm = read("comm")?;
        (comm.trim_ascii_end() == process.as_bytes()).then_some(())
    };
    let command = is_it().and_then(|()| read("cmdline")).map(|text| command(&text));
    let uid = is_it().and_then(|()| read("status")).and_then(|text| uid(&text));
    Culprit { process, tid, command: command.filter(|command| !command.is_empty()), uid }
}

/// proc(5): the arguments, each with a NUL behind it.
fn command(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..LONGEST).unwrap_or(text)).into_owned();
    text.trim_end_matches('\0').replace('\0', " ")
}

/// proc(5): `Uid:` has the real one first.
fn uid(status: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(status);
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_lives_is_known_and_one_of_another_name_is_not() {
        let tid = std::process::id();
        let name = fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
        let culprit = look_up(name.clone(), tid);
        assert_eq!(culprit.uid, Some(nix::unistd::Uid::current().as_raw()));
        assert!(culprit.command.is_some_and(|command| command.contains("records")), "{name}");
        let other = look_up("nft".to_owned(), tid);
        assert_eq!((other.command, other.uid), (None, None));
    }
}
