//! `manifest`: whether rotated files are what they were. Reads them itself; the agent need not run.

use std::path::{Path, PathBuf};

use anetcon_records::manifest::{Chain, FILE_NAME, Hash, verify};
use anetcon_records::search::Sources;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
The agent lists each rotated file with the SHA-256 of its unpacked content; every entry holds the hash of the one before. The hash of
the last one is the head: it is in the agent's own log too. Keep it on another machine, and --head finds that the end was cut off.

Examples:
  anetconctl manifest verify
  anetconctl manifest verify --dir /evidence/net1 --head 5f2c...
  anetconctl manifest list --json | jq -r '[.file, .sha256] | @tsv'

Exit codes:
  0   nothing was altered, removed or added
  1   something was
  2   wrong usage
  4   it cannot be read
  78  the configuration is bad";

/// Tell whether rotated files were altered, removed or added
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compare every rotated file with the manifest
    Verify {
        /// The folder of the files and the manifest [default: where the configuration puts them]
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// The manifest [default: manifest.ndjson in --dir or in the state directory]
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// The hash of an entry that was the last one once, from the agent's log or from `list`
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<Hash>,
    },
    /// Print the entries, and the head
    List {
        /// The folder of the manifest [default: the state directory]
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.what {
        What::Verify { dir, manifest, head } => {
            check(context, dir.as_deref(), manifest.as_deref(), *head)
        }
        What::List { dir } => list(context, dir.as_deref()),
    }
}

fn check(
    context: &Context,
    dir: Option<&Path>,
    manifest: Option<&Path>,
    head: Option<Hash>,
) -> Result<Exit, Failure> {
    let config = context.configuration_or_default()?;
    let sources = match dir {
        Some(dir) => Sources::in_folder(dir, &config.records.file),
        None => Sources::configured(&config),
    };
    let usual = dir.unwrap_or(&config.state.directory).join(FILE_NAME);
    let path = manifest.unwrap_or(&usual);
    if !path.exists() {
        let error = anyhow!("there is no manifest {}", path.display());
        return Err(Failure::new(Exit::CannotTell, error));
    }
    let report = verify(path, &sources.files(), head).map_err(|error| {
        Failure::new(Exit::CannotTell, error).context("cannot read the manifest or a folder")
    })?;
    let _ = if context.json() {
        let lines = report.findings.iter().map(|finding| {
            json!({
                "schema": 1,
                "file": finding.file,
                "state": view::state_word(&finding.state),
                "entry": finding.entry,
            })
        });
        context.output.note(&view::manifest_verdict(&report));
        context.output.print(&lines.map(|line| format!("{line}\n")).collect::<String>())?
    } else {
        context.output.print(&view::manifest_report(&report))?
    };
    Ok(if report.is_intact() { Exit::Fine } else { Exit::Wrong })
}

fn list(context: &Context, dir: Option<&Path>) -> Result<Exit, Failure> {
    let folder = super::gaps::state_folder(context, dir)?;
    let path = folder.join(FILE_NAME);
    let chain = Chain::read(&path).map_err(|error| {
        let text = format!("cannot read {}", path.display());
        Failure::new(Exit::CannotTell, error).context(text)
    })?;
    let warnings: Vec<String> = chain.faults.iter().map(ToString::to_string).collect();
    context.output.warnings(&warnings);
    let _ = if context.json() {
        let lines = chain.entries.iter().filter_map(|entry| serde_json::to_string(entry).ok());
        context.output.print(&lines.map(|line| line + "\n").collect::<String>())?
    } else {
        context.output.print(&view::manifest_list(&chain))?
    };
    Ok(if chain.faults.is_empty() { Exit::Fine } else { Exit::Wrong })
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "not a SHA-256: 64 hex digits".to_owned())
}
