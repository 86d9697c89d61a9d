//! Which server, and as whom: from the command line, the environment and a file.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use anetcon_records::search::Refused;
use clap::Args;
use hyper::Uri;
use hyper::header::HeaderValue;

use crate::exit::{Exit, Failure};
use crate::times::failure;

/// ClickHouse's port for HTTP.
const PORT: u16 = 8123;
const EXAMPLE: &str = "for example http://clickhouse.example:8123";
const TUNNEL: &str = "TLS is not spoken here: make a tunnel, for example \
                      `ssh -N -L 8123:localhost:8123 HOST`, and ask http://localhost:8123";
const PASSWORD: &str = "name the user with --clickhouse-user; the password is read from the variable CLICKHOUSE_PASSWORD or \
                        from the file of --clickhouse-password-file, as everybody on this machine sees the command line";

/// A server with the records of many nodes.
#[derive(Debug, Args)]
pub struct Database {
    /// Ask a ClickHouse server that has the records of the whole fleet, instead of files
    #[arg(long = "clickhouse", value_name = "URL", conflicts_with = "dir")]
    url: Option<String>,
    /// As this user of it [default: the variable CLICKHOUSE_USER, else `default`]
    #[arg(long = "clickhouse-user", value_name = "NAME", requires = "url")]
    user: Option<String>,
    /// The file with the user's password [default: the variable CLICKHOUSE_PASSWORD]
    #[arg(long = "clickhouse-password-file", value_name = "FILE", requires = "url")]
    password_file: Option<PathBuf>,
}

/// Where to connect to, and what to say there.
#[derive(Debug)]
pub struct Server {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// The value of the header `Host`.
    pub authority: HeaderValue,
    pub user: Option<HeaderValue>,
    pub password: Option<HeaderValue>,
}

impl Database {
    /// The server, if one is named.
    ///
    /// # Errors
    /// The URL is not understood, or the password cannot be read or sent.
    pub fn server(&self) -> Result<Option<Server>, Failure> {
        let Some(url) = &self.url else { return Ok(None) };
        let server = Server::parse(url).map_err(|refused| failure(("--clickhouse", refused)))?;
        let user = self.user.clone().or_else(|| variable("CLICKHOUSE_USER"));
        let user = user.map(|user| sent("the name of the user", user.as_bytes())).transpose()?;
        let password = self.password()?;
        Ok(Some(Server { user, password, ..server }))
    }

    fn password(&self) -> Result<Option<HeaderValue>, Failure> {
        let password = match &self.password_file {
            None => variable("CLICKHOUSE_PASSWORD").map(String::into_bytes),
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                let text = format!("cannot read the password in {}", path.display());
                Failure::new(Exit::CannotTell, error).context(text)
            })?),
        };
        let Some(password) = password else { return Ok(None) };
        let mut password = sent("the password", password.trim_ascii_end())?;
        password.set_sensitive(true);
        Ok(Some(password))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn sent(what: &str, bytes: &[u8]) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(bytes).map_err(|_| {
        let error = anyhow::anyhow!("{what} holds a character that cannot be sent over HTTP");
        Failure::new(Exit::Usage, error)
    })
}

impl Server {
    /// Reads `http://HOST[:PORT]`.
    fn parse(text: &str) -> Result<Self, Refused> {
        let refused = |part: Range<usize>, message: &str, help: &str| Refused {
            text: text.to_owned(),
            part,
            message: message.to_owned(),
            help: Some(help.to_owned()),
        };
        let whole = || 0..text.len();
        if text.starts_with("https://") {
            return Err(refused(0..5, "only http can be asked", TUNNEL));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(refused(whole(), "a URL begins with http://", EXAMPLE));
        };
        let start = text.len() - rest.len();
        let end = rest.find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        if !matches!(text.get(end..), Some("" | "/")) {
            return Err(refused(end..text.len(), "nothing may follow the port", EXAMPLE));
        }
        if let Some(at) = text.get(start..end).and_then(|authority| authority.rfind('@')) {
            return Err(refused(start..start + at, "the URL holds no user and password", PASSWORD));
        }
        let wrong = || refused(start..end, "this is no host with a port", EXAMPLE);
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|one| !one.host().is_empty()).ok_or_else(wrong)?;
        let digits = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let port = match digits.strip_prefix(':') {
            None => PORT,
            Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
        Ok(Self { host, port, authority, user: None, password: None })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "http://[{}]:{}", self.host, self.port),
            false => write!(f, "http://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let cases = [
            ("http://clickhouse.example", "http://clickhouse.example:8123"),
            ("http://clickhouse.example:80/", "http://clickhouse.example:80"),
            ("http://[2001:db8::1]:8124", "http://[2001:db8::1]:8124"),
            ("http://192.0.2.1", "http://192.0.2.1:8123"),
        ];
        for (text, shown) in cases {
            assert_eq!(Server::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn the_wrong_part_is_marked() {
        let cases = [
            ("https://clickhouse.example", "https", "only http"),
            ("clickhouse.example:8123", "clickhouse.example:8123", "begins with http://"),
            ("", "", "begins with http://"),
            ("http://", "", "no host"),
            ("http://:8123", ":8123", "no host"),
            ("http://a b", "a b", "no host"),
            ("http://host:0", "host:0", "no host"),
            ("http://host:99999", "host:99999", "no host"),
            ("http://me:secret@host", "me:secret", "no user and password"),
            ("http://host/?query=1", "/?query=1", "nothing may follow"),
        ];
        for (text, part, message) in cases {
            let refused = Server::parse(text).expect_err(text);
            assert_eq!(&text[refused.part.clone()], part, "{refused:?}");
            assert!(refused.message.contains(message), "{refused:?}");
        }
    }
}
