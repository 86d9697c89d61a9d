//! The bracket expressions of grep: `[abc]`, `[^a-z]`, `[[:alpha:]_]`. A backslash in one is a backslash.

use super::refused::Inexact;

/// The classes that both know.
const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

const BETWEEN: &str = "put a literal `-` first or last in the brackets";

/// The bracket expression with which `rest` begins, in our syntax, and its length in bytes.
pub(super) fn translate(rest: &str) -> Result<(String, usize), Inexact> {
    let mut list = Bracket { rest, at: 1, out: "[".to_owned(), begin: 1 };
    if list.follows("^") {
        list.take(1);
        list.out.push('^');
        list.begin = 2;
    }
    loop {
        match list.peek() {
            None => {
                return Err(Inexact::new(
                    0,
                    1,
                    "`[` is never closed",
                    "close it with `]`, or write `\\[` for the bracket itself",
                ));
            }
            Some(']') if list.at > list.begin => break,
            Some('[') if list.follows("[:") => list.class()?,
            Some('[') if list.follows("[.") || list.follows("[=") => {
                return Err(list.refuse(
                    2,
                    "a collating element depends on the locale",
                    "write the characters themselves",
                ));
            }
            Some(c) => list.characters(c)?,
        }
    }
    let whole = rest.get(..=list.at).unwrap_or(rest);
    if whole.starts_with("[:") && whole.ends_with(":]") {
        return Err(Inexact::new(
            0,
            whole.len(),
            "a class stands in two pairs of brackets",
            "write it as `[[:alpha:]]`",
        ));
    }
    Ok((list.out + "]", whole.len()))
}

struct Bracket<'r> {
    rest: &'r str,
    at: usize,
    out: String,
    /// Where a `]` would still be literal.
    begin: usize,
}

impl Bracket<'_> {
    fn left(&self) -> &str {
        self.rest.get(self.at..).unwrap_or_default()
    }

    fn follows(&self, text: &str) -> bool {
        self.left().starts_with(text)
    }

    fn peek(&self) -> Option<char> {
        self.left().chars().next()
    }

    fn take(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn refuse(&self, length: usize, what: impl Into<String>, help: &'static str) -> Inexact {
        Inexact::new(self.at, length, what, help)
    }

    /// `[:alpha:]`
    fn class(&mut self) -> Result<(), Inexact> {
        let inner = self.left().get(2..).and_then(|left| left.split_once(":]"));
        let known = inner.and_then(|(name, _)| CLASSES.iter().find(|class| **class == name));
        let Some(class) = known else {
            return Err(self.refuse(
                2,
                "this class is not known",
                "write the characters themselves",
            ));
        };
        self.out += &format!("[:{class}:]");
        self.take(class.len() + 4);
        self.no_range()
    }

    /// A character, or the range that it begins.
    fn characters(&mut self, first: char) -> Result<(), Inexact> {
        self.take(first.len_utf8());
        let mut behind = self.left().chars();
        let (dash, last) = (behind.next(), behind.next());
        let Some(last) = last.filter(|last| dash == Some('-') && *last != ']') else {
            self.out += &escaped(first);
            return Ok(());
        };
        if last == '[' && [':', '.', '='].iter().any(|sign| behind.as_str().starts_with(*sign)) {
            return Err(self.refuse(2, "a range cannot end with a class", BETWEEN));
        }
        if first > last {
            return Err(self.refuse(
                1 + last.len_utf8(),
                "this range ends before it begins",
                BETWEEN,
            ));
        }
        self.out += &format!("{}-{}", escaped(first), escaped(last));
        self.take(1 + last.len_utf8());
        self.no_range()
    }

    /// A dash after a range or class is literal only at the end.
    fn no_range(&self) -> Result<(), Inexact> {
        match self.follows("-") && !self.follows("-]") {
            true => Err(self.refuse(1, "this `-` has no clear meaning", BETWEEN)),
            false => Ok(()),
        }
    }
}

/// A character as it is written within brackets of ours.
fn escaped(c: char) -> String {
    if "\\[]^-&~".contains(c) { format!("\\{c}") } else { c.to_string() }
}
