//! anetcon.toml(5), made from the shipped configuration: its comments, and its values, which are the defaults.

/// What the page says before the first key.
const HEAD: &str = "\
.SH NAME
anetcon.toml - configuration of the agent that audits new network connections
.SH SYNOPSIS
.I /etc/anetcon/anetcon.toml
.br
.I /etc/anetcon/anetcon.toml.d/*.toml
.SH DESCRIPTION
";

/// The rest of the page.
const TAIL: &str = "\
.SH FILES
The main file is the first that there is of
.IR /etc/anetcon/anetcon.toml ,
.IR /run/anetcon/anetcon.toml ,
.IR /usr/lib/anetcon/anetcon.toml .
.PP
Drop-ins are the files that end in .toml in the folder
.I anetcon.toml.d
beside each of these. They are put over the main file in the order of their names, whatever their folders; of one name only the file in the
first folder counts, and a link to
.I /dev/null
there masks the others. A key replaces a key and a list a list; networks are merged by namespace.
.B anetconctl config show \\-\\-origin
prints what counts and where it is from.
.PP
A file named on the command line has its own drop-ins, in the folder of its name with .d, and no others count.
.SH SEE ALSO
.BR anetcond (8),
.BR anetconctl (1)
";

/// The page, with a date and a version in its frame.
pub fn anetcon_toml(configuration: &str, date: &str, version: &str) -> String {
    let mut page = format!(".TH ANETCON.TOML 5 {date} \"anetcon {version}\" anetcon\n{HEAD}");
    let mut words: Vec<&str> = Vec::new();
    let mut keys = false;
    for line in configuration.lines() {
        match line.strip_prefix('#') {
            Some(comment) => words.push(comment.trim()),
            None if line.is_empty() && keys => page.push_str(&example(&words.split_off(0))),
            None if line.is_empty() => page.push_str(&text(&words.split_off(0))),
            None => {
                if !std::mem::replace(&mut keys, true) && !line.starts_with('[') {
                    page.push_str(".SH KEYS\n");
                }
                page.push_str(&heading(line));
                page.push_str(&text(&words.split_off(0)));
            }
        }
    }
    page + TAIL
}

/// A section or a key with its default.
fn heading(line: &str) -> String {
    match line.split_once(" = ") {
        Some((key, value)) => format!(".TP\n.BR {} \" = {}\"\n", escaped(key), escaped(value)),
        None => format!(".SH {line}\n"),
    }
}

/// Lines after a key are lines as they may stand in the file.
fn example(lines: &[&str]) -> String {
    match lines {
        [] => String::new(),
        lines => format!(".PP\nExample:\n.PP\n.nf\n{}.fi\n", text(lines)),
    }
}

fn text(lines: &[&str]) -> String {
    lines.iter().filter(|line| !line.is_empty()).map(|line| escaped(line) + "\n").collect()
}

/// Nothing in it has a meaning for roff.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_section_of_the_shipped_file_is_on_the_page() {
        let configuration = include_str!("../../../conf/anetcon.toml");
        let page = anetcon_toml(configuration, "2026-11-27", "1");
        let lines = configuration.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            assert!(page.contains(&heading(line)), "{line} is not on the page:\n{page}");
        }
        assert!(page.contains("is\nonly the fallback") || page.contains("only the fallback"));
    }
}
