//! Which kernel log records are ours, and of which kind.
//!
//! Pure. Three things make a record ours: the kernel wrote it, it starts with one of our prefix stems, and the packet
//! follows at once. The last matters because other kernel messages start with text that a local user chooses: a
//! process named `[ANETCON][D]` that crashes gives `[ANETCON][D][4711]: segfault at ...`.

use anetcon_core::prefix::{Kind, Prefixes};

use crate::kmsg::{FACILITY_KERN, Record};

/// What follows the prefix in every line of the kernel's `nf_log_dump_packet_common`.
const PACKET: &str = " IN=";

/// Sorts records by the stems of one or more configurations.
#[derive(Debug, Clone, Default)]
pub struct Sorter {
    /// Longest first, so that `[A][D]x` is not taken for `[A][D]`.
    stems: Vec<(String, Kind)>,
}

impl Sorter {
    /// A sorter that knows the prefixes of one configuration.
    pub fn new(prefixes: &Prefixes) -> Self {
        let mut sorter = Self::default();
        sorter.learn(prefixes);
        sorter
    }

    /// Adds the prefixes of a newer configuration. The old ones stay known: after a reload their lines are still in the
    /// kernel's ring, and the rules that write them are replaced namespace by namespace.
    pub fn learn(&mut self, prefixes: &Prefixes) {
        for kind in Kind::ALL {
            self.learn_stem(prefixes.stem(kind), kind);
        }
    }

    /// Adds one stem. What was known of the same stem is forgotten: the newer configuration is right.
    pub fn learn_stem(&mut self, stem: String, kind: Kind) {
        self.stems.retain(|(known, _)| *known != stem);
        self.stems.push((stem, kind));
        self.stems.sort_by_key(|(stem, _)| std::cmp::Reverse(stem.len()));
    }

    /// Every stem known of this kind.
    pub fn stems(&self, kind: Kind) -> Vec<String> {
        let of_kind = self.stems.iter().filter(|(_, known)| *known == kind);
        of_kind.map(|(stem, _)| stem.clone()).collect()
    }

    /// The kind of a record of ours, and what its prefix says about the namespace; `None` for everybody else's.
    pub fn sort<'a>(&self, record: &'a Record) -> Option<(Kind, &'a str)> {
        if record.facility != FACILITY_KERN {
            return None;
        }
        self.stems.iter().find_map(|(stem, kind)| {
            let rest = record.message.strip_prefix(stem.as_str())?;
            Some((*kind, tag_before_packet(rest)?))
        })
    }
}

/// Whether the rest after the stem is an optional `[tag]` and then the packet. A tag may be any namespace name, so it
/// is only asked not to look like the start of another message.
fn tag_before_packet(rest: &str) -> Option<&str> {
    let (tag, _) = rest.split_once(PACKET)?;
    match tag.strip_prefix('[').and_then(|tag| tag.strip_suffix(']')) {
        Some(name) => (!name.contains("] ") && !name.contains(": ")).then_some(name),
        None => tag.is_empty().then_some(tag),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anetcon_core::prefix::NamespaceTag;

    use super::*;

    fn prefixes(base: &str, dnat: &str, other: &str) -> Prefixes {
        Prefixes {
            base: base.into(),
            dnat: dnat.into(),
            other: other.into(),
            namespace: NamespaceTag::Hash,
        }
    }

    fn record(message: &str) -> Record {
        Record {
            sequence: 1,
            monotonic: Duration::ZERO,
            facility: FACILITY_KERN,
            level: 4,
            message: message.into(),
        }
    }

    #[test]
    fn records_go_to_their_kind() {
        let sorter = Sorter::new(&prefixes("[ANETCON]", "[D]", "[X]"));
        let cases: &[(&str, Option<Kind>)] = &[
            ("[ANETCON][D][1a2b3c4d] IN=a OUT=b ", Some(Kind::Float)),
            ("[ANETCON][X][1a2b3c4d] IN=a OUT=b ", Some(Kind::Nat)),
            ("[ANETCON][X] IN= OUT=b ", Some(Kind::Nat)),
            ("[ANETCON][X][qrouter-a] IN= OUT=b ", Some(Kind::Nat)),
            ("[ANETCON][X][an odd ]name] IN= OUT=b ", Some(Kind::Nat)),
            ("x [ANETCON][X][1a2b3c4d] IN=a", None),
            ("[ANETCON][Y][1a2b3c4d] IN=a", None),
            ("[ANETCON][D]", None),
            ("[ANETCON][D] IN", None),
            ("", None),
            // Messages that begin with the name of a process.
            ("[ANETCON][D][4711]: segfault at 0 ip 0 sp 0 error 4 in x] IN=a OUT=b[1+2]", None),
            ("[ANETCON][D][4711] bad frame in rt_sigreturn frame:0 in x] IN=a[1+2]", None),
            ("[ANETCON][D] IN[4711]: segfault at 0 in IN=[1+2]", None),
            ("[ANETCON][D] (4711): drop_caches: 3", None),
        ];
        for (message, kind) in cases {
            let sorted = record(message);
            assert_eq!(sorter.sort(&sorted).map(|(kind, _)| kind), *kind, "{message}");
        }
    }

    #[test]
    fn a_userspace_record_is_nobodys() {
        let sorter = Sorter::new(&prefixes("[ANETCON]", "[D]", "[X]"));
        let forged = Record { facility: 1, ..record("[ANETCON][D][1a2b3c4d] IN=a OUT=b ") };
        assert_eq!(sorter.sort(&forged), None);
    }

    #[test]
    fn the_longest_stem_wins() {
        let sorter = Sorter::new(&prefixes("A", "", "[X]"));
        let tag = "1a2b3c4d";
        assert_eq!(sorter.sort(&record("A[X][1a2b3c4d] IN=a")), Some((Kind::Nat, tag)));
        assert_eq!(sorter.sort(&record("A[1a2b3c4d] IN=a")), Some((Kind::Float, tag)));
    }

    #[test]
    fn a_newer_configuration_wins_and_the_old_one_stays_known() {
        let mut sorter = Sorter::new(&prefixes("A", "[D]", "[X]"));
        sorter.learn(&prefixes("A", "[X]", "[N]"));
        let sort = |message| sorter.sort(&record(message)).map(|(kind, _)| kind);
        assert_eq!(sort("A[X] IN=a"), Some(Kind::Float));
        assert_eq!(sort("A[N] IN=a"), Some(Kind::Nat));
        assert_eq!(sort("A[D] IN=a"), Some(Kind::Float));
    }
}
