//! What the kernel must be and be told.

use super::facts::Facts;
use super::finding::Finding;

/// What the agent's unit gives it (linux/capability.h).
const NEEDED: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// A ring that holds less than this is overwritten before a reader that was held up comes back.
const SHORTEST_RING: u64 = 10;

pub fn version(facts: &Facts) -> Finding {
    const CHECK: &str = "kernel";
    let release = &facts.release;
    let mut numbers = release.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let Some(version) = numbers.next().zip(numbers.next()) else {
        return Finding::cannot_tell(CHECK, format!("the release {release} is not understood"));
    };
    match version {
        (6, 9..) | (7.., _) => {
            Finding::ok(CHECK, format!("{release}: tables can be owned and persist"))
        }
        (5, 14..) | (6, _) => Finding::ok(
            CHECK,
            format!(
                "{release}: tables can be owned, and stay only with a service manager that keeps sockets"
            ),
        ),
        _ => Finding::wrong(
            CHECK,
            format!("{release} is older than 5.14, which tells namespaces apart (SO_NETNS_COOKIE)"),
            "install a kernel of 5.14 or later",
        ),
    }
}

pub fn capabilities(facts: &Facts) -> Finding {
    const CHECK: &str = "capabilities";
    let Some(effective) = facts.capabilities else {
        return Finding::cannot_tell(CHECK, "/proc does not tell");
    };
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(_, bit)| effective >> bit & 1 == 0).map(|(name, _)| *name).collect();
    match (missing.is_empty(), facts.agent) {
        (true, _) => Finding::ok(CHECK, "NET_ADMIN and SYS_ADMIN are there"),
        (false, true) => Finding::wrong(
            CHECK,
            format!("the agent lacks {}", missing.join(", ")),
            "systemctl revert anetcon.service && systemctl restart anetcon.service",
        ),
        (false, false) => Finding::cannot_tell(CHECK, "no agent runs, and this is not root"),
    }
}

pub fn nf_log_all_netns(facts: &Facts) -> Finding {
    const CHECK: &str = "nf_log_all_netns";
    match facts.nf_log_all_netns.as_deref().map(str::trim) {
        Ok("1") => Finding::ok(CHECK, "net.netfilter.nf_log_all_netns = 1"),
        Ok(_) if !facts.agent => Finding::ok(CHECK, "0, and no agent runs: it sets it to 1 itself"),
        Ok(value) => Finding::wrong(
            CHECK,
            format!(
                "net.netfilter.nf_log_all_netns = {value}: the kernel logs nothing outside the root namespace"
            ),
            "sysctl -w net.netfilter.nf_log_all_netns=1",
        ),
        Err(error) => Finding::wrong(CHECK, error.clone(), "modprobe nf_log_syslog"),
    }
}

/// `/proc/net/netfilter/nf_log`: family, the logger that is bound, and in brackets those that there are. `log` of nf_tables
/// takes the first of type LOG, bound or not (nf_log_packet; seen with 6.18).
pub fn log_backend(facts: &Facts) -> Finding {
    const CHECK: &str = "log_backend";
    let text = match &facts.log_backends {
        Ok(text) => text,
        Err(error) => return Finding::cannot_tell(CHECK, error.clone()),
    };
    let has = |family: &str, logger: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| line.starts_with(&format!("{family} ")) && line.contains(logger))
    };
    let missing: Vec<&str> = [("2", "nf_log_ipv4", "IPv4"), ("10", "nf_log_ipv6", "IPv6")]
        .into_iter()
        .filter(|(family, logger, _)| !has(family, logger) && !has(family, "nf_log_syslog"))
        .map(|(_, _, name)| name)
        .collect();
    match missing.is_empty() {
        true => Finding::ok(CHECK, "the kernel can log IPv4 and IPv6 packets"),
        false => Finding::wrong(
            CHECK,
            format!("the kernel has nothing that logs {} packets", missing.join(" and ")),
            "modprobe nf_log_syslog",
        ),
    }
}

/// Lines that also go to a console hold up the processor that writes them; a serial one takes 10 ms for a line.
pub fn console(facts: &Facts) -> Finding {
    const CHECK: &str = "console";
    let (printk, consoles) = match (&facts.printk, &facts.consoles) {
        (Ok(printk), Ok(consoles)) => (printk, consoles),
        (Err(error), _) | (_, Err(error)) => return Finding::cannot_tell(CHECK, error.clone()),
    };
    let Some(level) = printk.split_whitespace().next().and_then(|word| word.parse::<u32>().ok())
    else {
        return Finding::cannot_tell(CHECK, format!("kernel.printk is {}", printk.trim()));
    };
    let ours = facts.config.log.level.number();
    let serial = consoles.lines().any(|line| line.starts_with("ttyS") || line.starts_with("hvc"));
    if level <= ours || consoles.trim().is_empty() {
        return Finding::ok(
            CHECK,
            format!("console level {level}: our lines (level {ours}) stay off the console"),
        );
    }
    let what = if serial { "a serial console, some 10 ms each" } else { "the console" };
    Finding::wrong(
        CHECK,
        format!("console level {level}: our lines (level {ours}) are written to {what}"),
        format!("sysctl -w kernel.printk={ours}"),
    )
}

pub fn log_buffer(facts: &Facts) -> Finding {
    const CHECK: &str = "log_buffer";
    let ring = match &facts.ring {
        Ok(ring) => ring,
        Err(error) => return Finding::cannot_tell(CHECK, error.clone()),
    };
    let span = ring.span.as_secs();
    if !ring.full {
        return Finding::ok(CHECK, format!("never overwritten in this boot, {span} s"));
    }
    let found = format!("the kernel log holds the last {span} s, with {} lines of ours", ring.ours);
    match span < SHORTEST_RING && ring.ours > 0 {
        false => Finding::ok(CHECK, found),
        true => Finding::wrong(
            CHECK,
            format!("{found}: a reader that is held up loses lines"),
            "add log_buf_len=16M to the kernel's command line and restart the machine",
        ),
    }
}

pub fn clock(facts: &Facts) -> Finding {
    const CHECK: &str = "clock";
    match &facts.clock {
        Ok(true) => Finding::ok(CHECK, "synchronised"),
        Ok(false) => Finding::wrong(
            CHECK,
            "not synchronised: times of lines and records cannot be compared with others'",
            "timedatectl set-ntp true",
        ),
        Err(error) => Finding::cannot_tell(CHECK, error.clone()),
    }
}
