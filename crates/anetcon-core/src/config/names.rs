//! The names of our table and chain: what `nft` can also read and an operator can also type.

use super::diagnostic::Diagnostic;
use super::raw::Text;

/// The longest name. The kernel takes 255 bytes (`NFT_NAME_MAXLEN`), but before 4.14 it took 31 and
/// long names make listings unreadable; 128 leaves room for any naming scheme.
const MAX_NAME: usize = 128;

/// A table or chain name.
pub(super) fn name(key: &str, text: &Text) -> Result<String, Diagnostic> {
    let value = &text.value;
    let refuse = |message: String| Err(Diagnostic::new(message, text.span.clone()));
    if value.is_empty() {
        return refuse(format!("`{key}` is empty"))
            .map_err(|refused| refused.help("leave the key out for the default, `anetcon`"));
    }
    if let Some((at, odd)) = odd_character(value) {
        let message = format!("`{key}` holds {odd:?}, which `nft` cannot read in a name");
        let help = "a name is a letter or `_`, then letters, digits, `_`, `-`, `.` or `/`";
        return Err(Diagnostic::new(message, text.part(at..at + odd.len_utf8())).help(help));
    }
    if value.len() > MAX_NAME {
        let length = value.len();
        return refuse(format!("`{key}` is {length} bytes long; at most {MAX_NAME} are allowed"))
            .map_err(|refused| refused.help("choose a shorter name"));
    }
    if NFT_WORDS.contains(&value.as_str()) {
        let message = format!(
            "`{key}`: {value:?} is a word of nft's own language, which `nft` cannot read as a name"
        );
        let help = format!("choose another name, such as `anetcon_{value}`");
        return Err(Diagnostic::new(message, text.span.clone()).help(help));
    }
    Ok(value.clone())
}

fn odd_character(name: &str) -> Option<(usize, char)> {
    name.char_indices().find(|&(at, c)| {
        let everywhere = c.is_ascii_alphabetic() || c == '_';
        let later = c.is_ascii_digit() || matches!(c, '-' | '.' | '/');
        !(everywhere || (at > 0 && later))
    })
}

/// Words that nft 1.0.6 refuses as the name of a table (tried one by one), and `destroy`, which
/// 1.0.7 added.
#[rustfmt::skip]
const NFT_WORDS: &[&str] = &[
    "accept", "add", "ah", "all", "and", "arp", "auto-merge", "bridge", "cgroup", "chain",
    "comment", "comp", "constant", "continue", "counter", "cpu", "create", "ct", "day", "dccp",
    "define", "delete", "describe", "destroy", "device", "devices", "dnat", "drop", "dst", "dup",
    "dynamic", "ecn", "element", "elements", "eq", "esp", "ether", "exists", "expires", "export",
    "exthdr", "fib", "flags", "flow", "flowtable", "flush", "frag", "fwd", "gc-interval", "ge",
    "get", "goto", "gt", "handle", "hbh", "hook", "hour", "ibriport", "ibrname", "icmp", "icmpv6",
    "igmp", "iif", "iifgroup", "iifname", "iiftype", "import", "include", "index", "inet",
    "insert", "interval", "ip", "ip6", "ipsec", "jhash", "jump", "le", "limit", "list", "log",
    "lshift", "lt", "map", "mark", "masquerade", "meta", "meter", "mh", "missing", "monitor",
    "ne", "netdev", "nftrace", "not", "notrack", "numgen", "obriport", "obrname", "offload",
    "oif", "oifgroup", "oifname", "oiftype", "or", "osf", "pkttype", "policy", "position",
    "priority", "queue", "quota", "random", "redefine", "redirect", "reject", "rename", "replace",
    "reset", "return", "rshift", "rt", "rt0", "rt2", "rtclassid", "rule", "ruleset", "sctp",
    "secmark", "set", "size", "skgid", "skuid", "snat", "socket", "srh", "symhash", "synproxy",
    "table", "tcp", "th", "time", "timeout", "tproxy", "type", "typeof", "udp", "udplite",
    "undefine", "update", "vlan", "vmap", "xor",
];
