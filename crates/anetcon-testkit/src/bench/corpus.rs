//! Session records as a busy network node has them, made up but always the same, and spread over rotated files.
//!
//! The lines have the shape of real ones, field by field (`anetcon-records::session::record`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::stage::Stage;

/// The live file's name.
pub(super) const NAME: &str = "anetcon.sessions.ndjson";

/// All records lie in one day, evenly.
const DAY: u64 = 86_400_000_000;

/// Routers of the node, each with one address outside.
const ROUTERS: u64 = 40;

/// So many records, in so many files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corpus {
    pub(super) records: u64,
    pub(super) files: u32,
}

/// What one record is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The address outside.
    pub(super) address: Ipv4Addr,
    pub(super) port: u16,
    microsecond: u64,
}

impl Corpus {
    /// The text of a record, with its newline, after what is in `line`.
    pub(super) fn write(&self, number: u64, line: &mut String) {
        let seq = number + 1;
        let random = mixed(number);
        let (router, wanted) = (random % ROUTERS, self.wanted(number));
        let id = format!("{:08x}-5d3a-4c1e-9b7f-{:012x}", mixed(router) >> 32, mixed(router) >> 16);
        let inside = Ipv4Addr::new(10, 7, byte(router), byte(random >> 8));
        let remote = Ipv4Addr::from((0x2d00_0000 | (random >> 16 & 0x00ff_ffff)) as u32);
        let (time, port, source_port) = (self.time(number), wanted.port, 32_768 + random % 28_000);
        let remote_port =
            [443, 443, 443, 80, 53, 8443].get((random >> 40) as usize % 6).unwrap_or(&22);
        let conntrack_id = mixed(number ^ 0x5555) as u32;
        let communities = [1, 2].map(|which| community(mixed(number.wrapping_mul(2) + which)));
        // One in five comes in for a floating address, the others go out.
        let float = number % 5 == 4;
        let (action, source, destination) = if float {
            (
                "float",
                format!("\"ip\":\"{remote}\",\"port\":{source_port}"),
                format!(
                    "\"ip\":\"203.0.113.{}\",\"port\":443,\"nat\":{{\"ip\":\"{inside}\",\"port\":443}}",
                    byte(router)
                ),
            )
        } else {
            (
                "nat",
                format!(
                    "\"ip\":\"{inside}\",\"port\":{source_port},\"nat\":{{\"ip\":\"{}\",\"port\":{port}}}",
                    wanted.address
                ),
                format!("\"ip\":\"{remote}\",\"port\":{remote_port}"),
            )
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            line,
            "{{\"@timestamp\":\"{time}\",\"ecs\":{{\"version\":\"8.11.0\"}},\
             \"event\":{{\"kind\":\"event\",\"category\":[\"network\"],\"type\":[\"connection\",\"start\"],\"action\":\"{action}\"}},\
             \"network\":{{\"transport\":\"tcp\",\"type\":\"ipv4\",\"community_id\":\"{}\"}},\
             \"source\":{{{source}}},\"destination\":{{{destination}}},\
             \"observer\":{{\"hostname\":\"net-node-07.example.org\"}},\"agent\":{{\"ephemeral_id\":\"187a9d3e5c2b1f00\"}},\
             \"anetcon\":{{\"namespace\":\"qrouter-{id}\",\"router_id\":\"{id}\",\"cookie\":\"{:x}\",\
             \"boot_id\":\"3f6c2d9e-7a41-4f58-8c0b-1d2e3f4a5b6c\",\"kind\":\"{action}\",\"conntrack_id\":{conntrack_id},\
             \"zone\":0,\"seq\":{seq},\"clock\":\"agent\",\"outside_community_id\":\"{}\"}}}}",
            communities[0],
            4096 + router,
            communities[1],
        );
    }

    /// What to ask for to find a record that goes out.
    pub(super) fn wanted(&self, number: u64) -> Wanted {
        let random = mixed(number);
        let address = Ipv4Addr::new(198, 51, 100, byte(1 + random % ROUTERS));
        let port = 1024 + u16::try_from(random >> 24 & 0x7fff).unwrap_or_default();
        Wanted { address, port, microsecond: self.microsecond(number) }
    }

    /// Writes the files, the newest as the live one. Returns them, oldest first.
    pub(super) fn make(&self, stage: &Stage, folder: &Path) -> Result<Vec<PathBuf>> {
        let (files, mut paths) = (u64::from(self.files), Vec::new());
        for file in 0..files {
            let age = files - 1 - file;
            let name = if age == 0 { NAME.to_owned() } else { format!("{NAME}.{age}") };
            let path = folder.join(name);
            let mut output = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            let mut line = String::new();
            for number in self.records * file / files..self.records * (file + 1) / files {
                line.clear();
                self.write(number, &mut line);
                output.write_all(line.as_bytes())?;
                if number % 65_536 == 0 {
                    stage.check()?;
                }
            }
            output.flush()?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn microsecond(&self, number: u64) -> u64 {
        u64::try_from(u128::from(DAY) * u128::from(number) / u128::from(self.records.max(1)))
            .unwrap_or_default()
    }

    fn time(&self, number: u64) -> String {
        time(self.microsecond(number))
    }
}

impl Wanted {
    pub(super) fn time(&self) -> String {
        time(self.microsecond)
    }
}

/// RFC 3339 of a microsecond of the day.
fn time(microsecond: u64) -> String {
    let (second, micros) = (microsecond / 1_000_000, microsecond % 1_000_000);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("2026-11-20T{hour:02}:{minute:02}:{:02}.{micros:06}Z", second % 60)
}

/// The shape of a Community ID: base64 of 20 bytes.
fn community(random: u64) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |place: u64| {
        let six = mixed(random + place) % 64;
        char::from(*DIGITS.get(six as usize).unwrap_or(&b'A'))
    };
    format!("1:{}=", (0..27).map(digit).collect::<String>())
}

fn byte(value: u64) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

/// The finaliser of splitmix64: neighbours become well spread numbers.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const CORPUS: Corpus = Corpus { records: 1000, files: 3 };

    fn line(number: u64) -> String {
        let mut line = String::new();
        CORPUS.write(number, &mut line);
        line
    }

    #[test]
    fn records_are_json_and_say_what_is_wanted() {
        for number in 0..100 {
            let record: Value = serde_json::from_str(&line(number)).expect("JSON");
            assert_eq!(record.pointer("/anetcon/seq"), Some(&Value::from(number + 1)));
            let wanted = CORPUS.wanted(number);
            assert_eq!(record.get("@timestamp"), Some(&Value::from(wanted.time())));
            let outside = if number % 5 == 4 { None } else { Some(Value::from(wanted.port)) };
            assert_eq!(record.pointer("/source/nat/port"), outside.as_ref());
        }
    }

    #[test]
    fn files_hold_every_record_once_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::open().unwrap();
        let files = CORPUS.make(&stage, folder.path()).unwrap();
        assert_eq!(files.len(), 3);
        assert_eq!(files[2].file_name().unwrap(), NAME);
        let text: String =
            files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let wanted: String = (0..1000).map(line).collect();
        assert!(text == wanted);
        let times: Vec<&str> = text.lines().map(|line| &line[..50]).collect();
        assert!(times.is_sorted());
    }
}
