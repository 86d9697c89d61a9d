//! Where metrics can be read: a TCP address, a file for node_exporter.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::diagnostic::Diagnostic;
use super::paths;
use super::raw::Text;
use super::suggest::quote;

/// What node_exporter's textfile collector reads; every other file it leaves alone.
const SUFFIX: &str = ".prom";

/// Stands for the port in remedies.
const EXAMPLE_PORT: u16 = 9842;

/// An address with its port; nothing for `""`.
pub(super) fn listen(key: &str, text: &Text) -> Result<Option<SocketAddr>, Diagnostic> {
    let value = text.value.as_str();
    if value.is_empty() {
        return Ok(None);
    }
    match value.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(Some(address)),
        _ => {
            let message = format!("`{key}`: {} is not an address with a port", quote(value));
            Err(Diagnostic::new(message, text.span.clone()).help(remedy(value)))
        }
    }
}

/// The path of a file that node_exporter reads; nothing for `""`.
pub(super) fn textfile(key: &str, text: &Text) -> Result<Option<PathBuf>, Diagnostic> {
    if text.value.is_empty() {
        return Ok(None);
    }
    let path = paths::file(key, text)?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if !name.ends_with(SUFFIX) || name.len() == SUFFIX.len() {
        let message = format!(
            "`{key}`: the file's name must be something and {SUFFIX}, not {}",
            quote(&name)
        );
        let help = format!("node_exporter reads only files such as \"anetcon{SUFFIX}\"");
        return Err(Diagnostic::new(message, text.span.clone()).help(help));
    }
    Ok(Some(path))
}

/// How the address is written rightly, as far as one can guess what was meant.
fn remedy(value: &str) -> String {
    let (host, port) = value.rsplit_once(':').unwrap_or((value, ""));
    let bare = value.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let port_is_wrong = !port.parse::<u16>().is_ok_and(|port| port > 0);
    match (bare, host) {
        (Some(address), _) => {
            format!("add a port: {:?}", SocketAddr::new(address, EXAMPLE_PORT).to_string())
        }
        (None, "" | "*") => format!(
            "name the address too: \"127.0.0.1:{EXAMPLE_PORT}\" is for this machine alone, \"[::]:{EXAMPLE_PORT}\" for all"
        ),
        (None, host) if is_address(host) && port_is_wrong => {
            "a port is a number from 1 to 65535".to_owned()
        }
        (None, _) => format!(
            "names are not looked up: write an address and a port, such as \"127.0.0.1:{EXAMPLE_PORT}\" or \"[::1]:{EXAMPLE_PORT}\""
        ),
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}
