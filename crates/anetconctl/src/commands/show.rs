//! `show`: one namespace in detail, found by its name or by an address it holds.

use std::net::IpAddr;

use anetcon_api::{Client, Error, NamespaceDetail, NamespaceState, Schema};
use anyhow::anyhow;
use clap::Args;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use crate::complete;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

/// How many namespaces are asked about at once: enough to hide the waiting, too few to crowd others out.
const AT_ONCE: usize = 8;

const HELP: &str = "\
Examples:
  anetconctl show qrouter-a4fadad3-e529-4329-a086-010b84363596
  anetconctl show 203.0.113.10   # which router holds this address?

Exit codes:
  0   it is audited
  1   it is not audited, or no audited namespace has this name or address
  2   wrong usage
  3   the agent is not running
  4   no permission, or the agent gives no usable answer";

/// Show one namespace: rules, counters, links and addresses
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// Its name, or an IP address that it holds
    #[arg(value_name = "NAME|ADDRESS", add = complete::namespaces())]
    wanted: String,
}

/// The answer to a search by address.
#[derive(Debug, Serialize)]
struct Found {
    schema: Schema,
    address: IpAddr,
    namespaces: Vec<NamespaceDetail>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let client = context.client()?;
    let wanted = arguments.wanted.as_str();
    // A name goes first: a namespace may be called like an address.
    match (context.ask(client.namespace(wanted)), wanted.parse()) {
        (Ok(detail), _) => named(context, &detail),
        (Err(Failure { exit: Exit::Wrong, .. }), Ok(address)) => search(context, &client, address),
        (Err(failure), _) => Err(failure),
    }
}

fn named(context: &Context, detail: &NamespaceDetail) -> Result<Exit, Failure> {
    let _ = if context.json() {
        context.output.json(detail)?
    } else {
        context.output.print(&view::show(detail, None, Timestamp::now()))?
    };
    Ok(Exit::fine_if(audited(detail)))
}

fn search(context: &Context, client: &Client, address: IpAddr) -> Result<Exit, Failure> {
    let (namespaces, unread) = context.ask(holders(client, address))?;
    for (name, error) in &unread {
        context.output.note(&format!("anetconctl: cannot look into {name}: {error}"));
    }
    let exit = match (namespaces.as_slice(), unread.as_slice()) {
        ([], []) => Exit::Wrong,
        ([], _) => Exit::CannotTell,
        (found, _) => Exit::fine_if(found.iter().all(audited)),
    };
    if context.json() {
        let _ = context.output.json(&Found { schema: Schema, address, namespaces })?;
        return Ok(exit);
    }
    if namespaces.is_empty() {
        return Err(Failure::new(exit, anyhow!("no audited namespace holds {address}")));
    }
    let now = Timestamp::now();
    let shown: Vec<String> =
        namespaces.iter().map(|detail| view::show(detail, Some(address), now)).collect();
    let _ = context.output.print(&shown.join("\n"))?;
    Ok(exit)
}

fn audited(detail: &NamespaceDetail) -> bool {
    detail.namespace.state == NamespaceState::Audited
}

type Unread = (String, Error);

/// The namespaces that hold an address, and those that could not be looked into.
async fn holders(
    client: &Client,
    address: IpAddr,
) -> Result<(Vec<NamespaceDetail>, Vec<Unread>), Error> {
    let names = client.namespaces().await?.namespaces.into_iter().map(|netns| netns.name);
    let mut answers = stream::iter(names)
        .map(|name| async move { (client.namespace(&name).await, name) })
        .buffered(AT_ONCE);
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    while let Some((answer, name)) = answers.next().await {
        match answer {
            Ok(detail) if detail.links.iter().any(|link| view::holds(link, address)) => {
                found.push(detail);
            }
            Ok(_) => {}
            // It was deleted while we asked.
            Err(Error::Refused { code: 404, .. }) => {}
            Err(error @ (Error::Refused { .. } | Error::NoAnswer { .. })) => {
                unread.push((name, error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, unread))
}
