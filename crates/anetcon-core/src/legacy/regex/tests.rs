//! Patterns of grep and what becomes of them; `tests/legacy_properties.rs` compares with grep itself.

use super::*;

#[test]
fn what_both_can_say_is_said() {
    let cases = [
        ("^qrouter-.*$", "^qrouter-.*$"),
        (r"^qrouter-\(a\|b\)$", "^qrouter-(a|b)$"),
        ("a+b?{2}(c)|d", r"a\+b\?\{2\}\(c\)\|d"),
        (r"a\+b\?c\{2,3\}", "a+b?c{2,3}"),
        (r"a\{,3\}", "a{0,3}"),
        ("*a", r"\*a"),
        ("^*a", r"^\*a"),
        (r"\(*a\)", r"(\*a)"),
        ("a^b$c", r"a\^b\$c"),
        (r"\(^a$\)", "(^a$)"),
        (r"a*\?", "(a*)?"),
        (r"\<a\>\.", r"\<a\>\."),
        ("[[:alpha:]_-]", r"[[:alpha:]_\-]"),
        ("", ".*"),
    ];
    for (old, new) in cases {
        assert_eq!(translate(old).as_deref(), Ok(new), "{old}");
    }
}

#[test]
fn what_we_cannot_say_is_refused() {
    let cases = [
        (r"\(a\)\1", 5),
        (r"\(a", 0),
        (r"a\)", 1),
        (r"a\{x\}", 1),
        (r"a\{3,1\}", 1),
        (r"a\{1", 1),
        (r"\{1\}", 0),
        (r"\+", 0),
        (r"a\", 1),
        (r"a\d", 1),
        (r"a\B", 1),
        (r"\<*", 2),
        ("a[b", 1),
        ("-a", 0),
        ("a\nb", 1),
        (r"a\}", 1),
        ("$|a", 0),
        ("a|^b", 2),
    ];
    for (pattern, at) in cases {
        assert_eq!(translate(pattern).map_err(|refused| refused.at), Err(at), "{pattern}");
    }
}
