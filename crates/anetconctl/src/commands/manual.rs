//! `manual`: the manual pages, made from the same words as `--help`.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl manual who | man -l -
  anetconctl manual --directory /usr/local/share/man/man1

Exit codes:
  0   printed or written
  2   wrong usage, or there is no such command
  4   a file cannot be written";

/// Print a page of the manual
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The command whose page it is [default: anetconctl itself]
    command: Option<String>,
    /// Write all pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    directory: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let pages = pages();
    if let Some(directory) = &arguments.directory {
        for page in &pages {
            let file = directory.join(format!("{}.1", page.get_name()));
            text(page)
                .and_then(|text| fs::write(&file, text))
                .with_context(|| format!("cannot write {}", file.display()))
                .map_err(|error| Failure::new(Exit::CannotTell, error))?;
        }
        return Ok(Exit::Fine);
    }
    let name = arguments.command.as_ref();
    let name = name.map_or_else(|| "anetconctl".to_owned(), |name| format!("anetconctl-{name}"));
    let page = pages.iter().find(|page| page.get_name() == name).ok_or_else(|| {
        let unknown = anyhow::anyhow!("there is no page {name}(1)");
        Failure::new(Exit::Usage, unknown).help("`anetconctl --help` lists the commands")
    })?;
    let text = text(page).map_err(|error| Failure::new(Exit::CannotTell, error))?;
    let _ = context.output.print(&text)?;
    Ok(Exit::Fine)
}

/// The whole command line, and each command with the options that it inherits; named as their pages.
fn pages() -> Vec<Command> {
    let mut root = crate::arguments::Arguments::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, root.get_name(), &mut pages);
    pages
}

/// A command before those in it, as `anetconctl-manifest` is before `anetconctl-manifest-verify`.
fn collect(command: &Command, name: &str, pages: &mut Vec<Command>) {
    pages.push(command.clone().name(name.to_owned()));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages);
    }
}

fn text(page: &Command) -> io::Result<String> {
    let others: Vec<String> = match page.get_name() {
        "anetconctl" => {
            pages().into_iter().skip(1).map(|page| page.get_name().to_owned()).collect()
        }
        name => name.rsplit_once('-').map(|(outer, _)| outer.to_owned()).into_iter().collect(),
    };
    view::manual(page, &others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples_and_exit_codes() {
        let pages = pages();
        let commands = crate::arguments::Arguments::command();
        for command in commands.get_subcommands() {
            let name = format!("anetconctl-{}", command.get_name());
            let page = pages.iter().find(|page| page.get_name() == name).unwrap();
            let text = text(page).unwrap();
            for heading in [".SH EXAMPLES", ".SH \"EXIT STATUS\""] {
                assert!(text.contains(heading), "{heading} is not in {text}");
            }
        }
    }

    /// A page that is named on another is there.
    #[test]
    fn no_page_leads_nowhere() {
        let names: Vec<String> = pages().iter().map(|page| page.get_name().to_owned()).collect();
        for page in pages() {
            let text = text(&page).unwrap().replace("\\-", "-");
            let mut named = text.split("anetconctl-").skip(1).filter_map(|rest| {
                let (name, _) = rest.split_once("(1)")?;
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-').then_some(name)
            });
            let missing = named.find(|name| !names.contains(&format!("anetconctl-{name}")));
            assert_eq!(missing, None, "on {}", page.get_name());
        }
    }
}
