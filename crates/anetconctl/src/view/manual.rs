//! A manual page (man-pages(7)) from a command's own help.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Headings of our help texts, and what a manual page calls them.
const HEADINGS: [(&str, &str); 2] = [("Examples:", "EXAMPLES"), ("Exit codes:", "EXIT STATUS")];

/// When the words of the command line were changed last.
const CHANGED: &str = "2026-11-27";

/// What belongs to the agent, for the end of each page.
const PRODUCT: [(&str, &str); 2] = [("anetcond", "8"), ("anetcon.toml", "5")];

/// The page of a command in section 1, which names `others` of that section at its end.
///
/// # Errors
/// None: what is written to is memory.
pub fn manual(command: &Command, others: &[String]) -> io::Result<String> {
    let name = command.get_name().to_owned();
    let version = command.get_version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let usage = name.replace('-', " ");
    let mut bare = command.clone().after_help(None).bin_name(&usage).display_name(&name);
    if bare.find_subcommand("help").is_some() {
        // It has no page: it is this page.
        bare = bare.mut_subcommand("help", |help| help.hide(true));
    }
    let page = Man::new(bare)
        .title(name.to_uppercase())
        .section("1")
        .date(CHANGED)
        .source(format!("anetcon {version}"))
        .manual("anetcon");
    let mut bytes = Vec::new();
    page.render_title(&mut bytes)?;
    page.render_name_section(&mut bytes)?;
    page.render_synopsis_section(&mut bytes)?;
    page.render_description_section(&mut bytes)?;
    page.render_options_section(&mut bytes)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut bytes)?;
    }
    let mut roff = Roff::new();
    sections(&mut roff, &help);
    see_also(&mut roff, others);
    roff.to_writer(&mut bytes)?;
    Ok(without_void_breaks(&String::from_utf8_lossy(&bytes)))
}

/// Line breaks beside an empty line do nothing, and mandoc says so.
fn without_void_breaks(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    let is_space = |place: Option<usize>| place.and_then(|at| lines.get(at)) == Some(&"");
    let is_void = |at: usize| is_space(at.checked_sub(1)) || is_space(Some(at + 1));
    let kept = lines.iter().enumerate().filter(|(at, line)| **line != ".br" || !is_void(*at));
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

/// The paragraphs of a help text, each under its heading and with its lines as they are.
fn sections(roff: &mut Roff, help: &str) {
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let heading = HEADINGS.iter().find(|(ours, _)| *ours == first);
        match heading {
            Some((_, heading)) => {
                roff.control("SH", [*heading]);
                as_it_is(roff, rest);
            }
            None => {
                roff.control("SH", ["NOTES"]);
                as_it_is(roff, paragraph);
            }
        }
    }
}

fn as_it_is(roff: &mut Roff, lines: &str) {
    roff.control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
}

fn see_also(roff: &mut Roff, others: &[String]) {
    roff.control("SH", ["SEE ALSO"]);
    let others = others.iter().map(|name| (name.as_str(), "1")).chain(PRODUCT);
    let others: Vec<_> = others.collect();
    for (place, (name, section)) in others.iter().enumerate() {
        let end = if place + 1 == others.len() { "" } else { "," };
        roff.text([bold(*name), roman(format!("({section}){end}"))]);
    }
}
