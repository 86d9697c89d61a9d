//! `doctor`: what an audit depends on besides the agent, and how to mend it. Works without the agent.

use anetcon_api::{Client, Error};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::context::Context;
use crate::doctor::{self, Finding, State};
use crate::exit::{Exit, Failure};
use crate::{machine, view};

const HELP: &str = "\
Examples:
  anetconctl doctor
  anetconctl doctor --json | jq -r '.findings[] | select(.state == \"wrong\") | .fix'
  anetconctl doctor --print rsyslog > /etc/rsyslog.d/30-anetcon.conf

Exit codes:
  0   nothing is wrong, as far as can be told
  1   something is wrong
  2   wrong usage
  4   no permission to look into the namespaces
  78  the configuration is bad";

/// Check everything that an audit depends on, and tell how to mend it
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// Only print a file as it must be for the configuration
    #[arg(long, value_name = "FILE")]
    print: Option<Shipped>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shipped {
    /// What sorts our lines into their files
    Rsyslog,
    /// What rotates the files
    Logrotate,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = context.configuration()?;
    if let Some(file) = arguments.print {
        let text = match file {
            Shipped::Rsyslog => doctor::rsyslog(&config),
            Shipped::Logrotate => doctor::logrotate(&config),
        };
        let _ = context.output.print(&text)?;
        return Ok(Exit::Fine);
    }
    let host = machine::open(&config)?;
    let existing = machine::namespaces(&host)?;
    let agent = agent(context, &context.client()?)?;
    let facts = doctor::gather(config, &host, &existing.names, agent);
    let findings = doctor::diagnose(&facts);
    let _ = if context.json() {
        context.output.json(&json!({ "schema": 1, "findings": findings }))?
    } else {
        context.output.print(&view::doctor(&findings))?
    };
    let wrong = |finding: &Finding| finding.state == State::Wrong;
    Ok(Exit::fine_if(!findings.iter().any(wrong)))
}

/// The process id of the agent, if one answers.
fn agent(context: &Context, client: &Client) -> Result<Option<u32>, Failure> {
    context.ask(async { Ok::<_, Error>(client.status().await.ok().map(|status| status.pid)) })
}
