//! Configuration files for an agent that shares the machine with other agents: own folders, table, prefix.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::netns::{DIRECTORY, unique};

/// What a test wants to say in `anetcon.toml`; every path comes from the folder the agent runs in.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// `namespaces`.
    pub namespaces: Vec<String>,
    /// `namespace_directories`.
    pub namespace_directories: Vec<PathBuf>,
    /// `period`.
    pub period: u64,
    /// `protocols`.
    pub protocols: Vec<String>,
    /// `networks_scope`.
    pub networks_scope: String,
    /// `[networks]`.
    pub networks: BTreeMap<String, Vec<String>>,
    /// `rules.table`; the chain has the same name.
    pub table: String,
    /// `rules.protect`; off, for most tests do what a protected table would not let them do.
    pub protect: String,
    /// `log.prefix`.
    pub prefix: String,
    /// `log.prefix_dnat`.
    pub prefix_dnat: String,
    /// `log.prefix_other`.
    pub prefix_other: String,
    /// `log.namespace`.
    pub namespace_tag: String,
    /// `log.writer`.
    pub writer: String,
    /// `records.enabled`.
    pub records: bool,
    /// `records.end`.
    pub record_ends: bool,
    /// `records.destination`.
    pub record_destinations: bool,
    /// The name of `records.file`, in the folder `log`.
    pub record_file: String,
    /// `records.buffer`.
    pub record_buffer: u64,
    /// `control.socket`, where it is not the one in the agent's own folder.
    pub socket: Option<PathBuf>,
    /// `metrics.listen`.
    pub metrics_listen: String,
    /// The name of `metrics.textfile`, in the agent's own folder.
    pub metrics_textfile: Option<String>,
    /// `metrics.namespaces`.
    pub metrics_namespaces: bool,
}

impl Configuration {
    /// Audits exactly the namespaces with these names, and writes the log files itself. Table and prefix
    /// are like nobody else's. The period is so long that only events can have done what a test sees.
    pub fn auditing(names: &[&str]) -> Self {
        let own = unique("c");
        Self {
            namespaces: names.iter().map(|name| format!("^{name}$")).collect(),
            namespace_directories: vec![DIRECTORY.into()],
            period: 3600,
            protocols: vec!["tcp".into()],
            networks_scope: "both".into(),
            networks: BTreeMap::new(),
            table: own.replace('-', "_"),
            protect: "off".into(),
            prefix: format!("[{own}]"),
            prefix_dnat: "[D]".into(),
            prefix_other: "[X]".into(),
            namespace_tag: "hash".into(),
            writer: "agent".into(),
            socket: None,
            metrics_listen: String::new(),
            metrics_textfile: None,
            metrics_namespaces: false,
            records: true,
            record_ends: false,
            record_destinations: true,
            record_file: "anetcon.sessions.ndjson".into(),
            record_buffer: 16 << 20,
        }
    }

    /// The text of the file for an agent that lives in this folder.
    pub fn to_toml(&self, folder: &Path) -> String {
        let text = |name: &str| quoted(&folder.join(name).display());
        let socket = self.socket.clone().unwrap_or_else(|| folder.join("anetcon.sock"));
        let directories = self.namespace_directories.iter().map(|path| path.display());
        let mut toml = format!(
            "namespaces = {}\n\
             namespace_directories = {}\n\
             period = {}\n\
             protocols = {}\n\
             networks_scope = {}\n\
             [rules]\ntable = {table}\nchain = {table}\nprotect = {protect}\n\
             [log]\nprefix = {}\nprefix_dnat = {}\nprefix_other = {}\nnamespace = {}\nwriter = {}\ndirectory = {}\n\
             [state]\ndirectory = {}\nhash_file = {}\n\
             [control]\nsocket = {}\n\
             [records]\nenabled = {}\nend = {}\ndestination = {}\nfile = {}\nbuffer = {}\n\
             [metrics]\nlisten = {}\ntextfile = {}\nnamespaces = {}\n\
             [networks]\n",
            list(&self.namespaces),
            list(directories),
            self.period,
            list(&self.protocols),
            quoted(&self.networks_scope),
            quoted(&self.prefix),
            quoted(&self.prefix_dnat),
            quoted(&self.prefix_other),
            quoted(&self.namespace_tag),
            quoted(&self.writer),
            text("log"),
            text("state"),
            text("state/namespace.hash"),
            quoted(&socket.display()),
            self.records,
            self.record_ends,
            self.record_destinations,
            text(&format!("log/{}", self.record_file)),
            self.record_buffer,
            quoted(&self.metrics_listen),
            self.metrics_textfile.as_deref().map_or_else(|| quoted(&""), text),
            self.metrics_namespaces,
            table = quoted(&self.table),
            protect = quoted(&self.protect),
        );
        for (namespace, networks) in &self.networks {
            // Writing into a String cannot fail.
            let _ = writeln!(toml, "{} = {}", quoted(namespace), list(networks));
        }
        toml
    }
}

/// A JSON string is a TOML basic string as well.
fn quoted(text: &impl ToString) -> String {
    Value::from(text.to_string()).to_string()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| quoted(&item)).collect();
    format!("[{}]", items.join(", "))
}
