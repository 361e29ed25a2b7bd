//! What sites of WordPress answer in the place of JSON, and what to do about it.

use crate::source::http::Hints;

pub(super) const HINTS: Hints = Hints {
    clutter: php_warning,
    page: "Check base_url; a maintenance page, a login page, a security plugin, or plain permalinks of WordPress can be the \
           cause as well.",
    nothing_here: "Check base_url; WordPress needs permalinks other than \"plain\" (or api_path with /index.php in front).",
};

fn php_warning(head: &str) -> Option<(&'static str, &'static str)> {
    let words = ["warning", "notice", "deprecated", "fatal error", "parse error"];
    let head: String = head.chars().take(200).collect();
    let says = |word: &&str| head.contains(&format!("{word}</b>:")) || head.contains(&format!("{word}: "));
    let is_one = (head.starts_with("<br") || !head.starts_with('<')) && words.iter().any(says);
    is_one.then_some((
        "PHP warnings ahead of its answer",
        "Turn display_errors off on the remote, and look at its PHP error log.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_php_are_told_from_pages() {
        for (head, is_one) in [
            ("<br />\n<b>warning</b>:  undefined variable $x in <b>/var/www/x.php</b> on line <b>12</b><br />\n[]", true),
            ("notice: undefined index: x in /var/www/x.php on line 1\n[]", true),
            ("<html><b>warning</b>: x", false),
            ("[]", false),
        ] {
            assert_eq!((HINTS.clutter)(head).is_some(), is_one, "{head}");
        }
    }
}
