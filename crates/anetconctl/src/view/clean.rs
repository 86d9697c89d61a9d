//! Names from outside made safe for a terminal.

/// One word or sentence: every character that could move the cursor, forge a line or reverse the
/// reading order is written as its escape.
pub fn word(text: &str) -> String {
    keep(text, |_| false)
}

/// As [`word`], but line ends and tabs stay.
pub fn lines(text: &str) -> String {
    keep(text, |character| matches!(character, '\n' | '\t'))
}

fn keep(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if allowed(character) || !dangerous(character) {
            clean.push(character);
        } else {
            clean.extend(character.escape_default());
        }
    }
    clean
}

fn dangerous(character: char) -> bool {
    // Line and paragraph separators, and the overrides and isolates of bidirectional text.
    let invisible = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    invisible || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_act_on_the_terminal() {
        let cases = [
            ("qrouter-1", "qrouter-1"),
            ("\x1b[2Jnft", "\\u{1b}[2Jnft"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{9b}1m", "\\u{9b}1m"),
            ("\u{202e}tfn", "\\u{202e}tfn"),
            ("Zürich", "Zürich"),
        ];
        for (text, clean) in cases {
            assert_eq!(word(text), clean);
        }
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\\r");
    }
}
