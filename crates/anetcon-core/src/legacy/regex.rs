//! A basic regular expression of GNU grep in the syntax of the regex crate, where both mean exactly the same.
//!
//! What cannot be said exactly is refused, and so is what two parts of grep itself read differently.

use super::bracket;
use super::refused::Inexact;

/// The most repetitions that grep takes (`RE_DUP_MAX`).
const MAX_REPETITIONS: u32 = 32_767;

/// The same pattern in our syntax.
pub(super) fn translate(pattern: &str) -> Result<String, Inexact> {
    if pattern.is_empty() {
        // grep finds the empty text in every line.
        return Ok(".*".to_owned());
    }
    if pattern.starts_with('-') {
        return Err(Inexact::new(
            0,
            1,
            "grep takes it for an option",
            "begin it with `^` or another part of the name",
        ));
    }
    let mut bre = Bre {
        pattern,
        at: 0,
        out: String::new(),
        last: Last::Beginning,
        atom: None,
        repeated: false,
        open: Vec::new(),
    };
    while let Some(c) = bre.peek() {
        bre.next(c)?;
    }
    match bre.open.first() {
        Some((at, _)) => {
            Err(Inexact::new(*at, 2, "`\\(` is never closed", "close the group with `\\)`"))
        }
        None => Ok(bre.out),
    }
}

/// What came last, as far as it decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The beginning of the pattern, of a group or of an alternative: nothing can be repeated yet.
    Beginning,
    /// `^` as an anchor.
    Anchor,
    /// `\<`, `\>`, `\b`.
    Assertion,
    /// Something that can be repeated.
    Atom,
}

struct Bre<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    last: Last,
    /// Where the last atom begins in `out`.
    atom: Option<usize>,
    /// Whether it is repeated already.
    repeated: bool,
    /// The open groups: their place in the pattern and in `out`.
    open: Vec<(usize, usize)>,
}

impl Bre<'_> {
    fn rest(&self) -> &str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self, c: char) -> Result<(), Inexact> {
        match c {
            '\\' => return self.escape(),
            '[' => return self.bracket(),
            '*' => return self.star(),
            '\n' => {
                return Err(self.refuse(
                    1,
                    "grep takes each line for a pattern of its own",
                    "write each pattern as an element of the list",
                ));
            }
            '^' if self.last == Last::Beginning => {
                self.out.push('^');
                self.last = Last::Anchor;
            }
            '$' if self.ends() => {
                self.out.push('$');
                self.last = Last::Assertion;
            }
            '^' | '$' if self.beside_bar(c) => {
                return Err(self.refuse(
                    1,
                    "grep reads this beside a literal `|` or bracket in more than one way",
                    "put it in brackets, as `[$]` or `[|]`; alternatives are `a\\|b`",
                ));
            }
            '.' => self.atom("."),
            _ => self.literal(c),
        }
        self.at += c.len_utf8();
        Ok(())
    }

    /// Whether the dollar sign here is an anchor.
    fn ends(&self) -> bool {
        let behind = self.rest().get(1..).unwrap_or_default();
        behind.is_empty() || behind.starts_with("\\)") || behind.starts_with("\\|")
    }

    /// Whether `^` or `$` would be an anchor if the character beside it were no literal one.
    fn beside_bar(&self, c: char) -> bool {
        let (before, behind) = self.pattern.split_at_checked(self.at).unwrap_or_default();
        match c {
            '^' => before.ends_with(['|', '(']),
            _ => behind.get(1..).is_some_and(|behind| behind.starts_with(['|', ')'])),
        }
    }

    fn atom(&mut self, text: &str) {
        (self.atom, self.repeated, self.last) = (Some(self.out.len()), false, Last::Atom);
        self.out.push_str(text);
    }

    fn literal(&mut self, c: char) {
        let special = "\\.+*?()|[]{}^$".contains(c);
        self.atom(&if special { format!("\\{c}") } else { c.to_string() });
    }

    fn refuse(&self, length: usize, what: impl Into<String>, help: &'static str) -> Inexact {
        Inexact::new(self.at, length, what, help)
    }

    fn bracket(&mut self) -> Result<(), Inexact> {
        let (class, length) = bracket::translate(self.rest())
            .map_err(|refused| Inexact { at: refused.at + self.at, ..refused })?;
        self.atom(&class);
        self.at += length;
        Ok(())
    }

    /// Where nothing can be repeated, a star is a star.
    fn star(&mut self) -> Result<(), Inexact> {
        match self.last {
            Last::Beginning | Last::Anchor => self.literal('*'),
            _ => self.repeat("*", 1)?,
        }
        self.at += 1;
        Ok(())
    }

    /// A repetition of a repetition gets brackets, because two signs together mean something else to us.
    fn repeat(&mut self, sign: &str, length: usize) -> Result<(), Inexact> {
        let Some(atom) = self.atom.filter(|_| self.last == Last::Atom) else {
            return Err(self.refuse(
                length,
                "nothing stands before this that could be repeated",
                "remove it, or put a backslash or brackets around what is meant literally",
            ));
        };
        if self.repeated {
            self.out.insert(atom, '(');
            self.out.push(')');
        }
        self.out.push_str(sign);
        self.repeated = true;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Inexact> {
        let Some(c) = self.rest().chars().nth(1) else {
            return Err(self.refuse(
                1,
                "a backslash at the end takes nothing",
                "write two of them for the backslash itself",
            ));
        };
        match c {
            '(' => {
                self.open.push((self.at, self.out.len()));
                self.out.push('(');
                (self.last, self.atom) = (Last::Beginning, None);
            }
            ')' => self.close()?,
            '|' => {
                self.out.push('|');
                (self.last, self.atom) = (Last::Beginning, None);
            }
            '+' => self.repeat("+", 2)?,
            '?' => self.repeat("?", 2)?,
            '{' => return self.interval(),
            '<' | '>' | 'b' => {
                self.out.extend(['\\', c]);
                self.last = Last::Assertion;
            }
            'w' | 'W' | 's' | 'S' => self.atom(&format!("\\{c}")),
            _ => self.escaped(c)?,
        }
        self.at += 1 + c.len_utf8();
        Ok(())
    }

    /// Punctuation is taken literally; with letters grep means more than we can say, or warns.
    fn escaped(&mut self, c: char) -> Result<(), Inexact> {
        let (what, help) = match c {
            '1'..='9' => (
                "a back-reference, which cannot be matched in linear time",
                "list the names that are wanted",
            ),
            '}' => ("`\\}` closes what was not opened", "remove the backslash"),
            '`' | '\'' => ("an anchor of the whole buffer", "write `^` or `$`"),
            'B' => (
                "`\\B` has no exact translation",
                "write what may stand there, such as `[[:alnum:]]`",
            ),
            _ if c.is_alphanumeric() => (
                "a backslash before this says nothing to grep",
                "remove the backslash; a digit is `[0-9]`",
            ),
            _ => {
                self.literal(c);
                return Ok(());
            }
        };
        Err(self.refuse(1 + c.len_utf8(), what, help))
    }

    fn close(&mut self) -> Result<(), Inexact> {
        let Some((_, begin)) = self.open.pop() else {
            return Err(self.refuse(
                2,
                "`\\)` closes what was not opened",
                "remove it, or open the group with `\\(`",
            ));
        };
        self.out.push(')');
        (self.atom, self.repeated, self.last) = (Some(begin), false, Last::Atom);
        Ok(())
    }

    fn interval(&mut self) -> Result<(), Inexact> {
        const FORM: &str =
            "write it as `\\{2\\}`, `\\{2,\\}` or `\\{2,5\\}`, with numbers up to 32767";
        let Some((inner, _)) = self.rest().get(2..).and_then(|rest| rest.split_once("\\}")) else {
            return Err(self.refuse(2, "`\\{` is never closed", FORM));
        };
        let length = inner.len() + 4;
        let Some(sign) = counts(inner) else {
            return Err(self.refuse(length, "these are no numbers of repetitions", FORM));
        };
        self.repeat(&sign, length)?;
        self.at += length;
        Ok(())
    }
}

/// `2`, `2,`, `,5` or `2,5` in our syntax.
fn counts(inner: &str) -> Option<String> {
    let number = |digits: &str| {
        let digits =
            Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u32>().ok().filter(|number| *number <= MAX_REPETITIONS)
    };
    match inner.split_once(',') {
        None => Some(format!("{{{}}}", number(inner)?)),
        Some((least, most)) => {
            let least = if least.is_empty() { 0 } else { number(least)? };
            if most.is_empty() {
                return Some(format!("{{{least},}}"));
            }
            let most = number(most).filter(|most| *most >= least)?;
            Some(format!("{{{least},{most}}}"))
        }
    }
}

#[cfg(test)]
mod tests;
