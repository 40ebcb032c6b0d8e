//! Finds passwords in text that may not even be a valid URL: it errs on the side of finding one.

/// The password in a store's address, whether a URL or a list of keywords, as written (not decoded).
pub(super) fn password_in(address: &str) -> Option<&str> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    in_userinfo(rest)
        .or_else(|| in_parameters(address))
        .filter(|password| !password.is_empty())
}

/// Whether text holds a URL with a user or password in it, or a `password=` parameter.
pub(super) fn holds_credentials(text: &str) -> bool {
    let in_urls = text.split("://").skip(1).any(|rest| {
        let url = until(rest, |c| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
        let authority = until(url, |c| matches!(c, '/' | '?' | '#'));
        authority.contains('@') || in_userinfo(url).is_some_and(|password| !password.is_empty())
    });
    in_urls || in_parameters(text).is_some_and(|password| !password.is_empty())
}

fn in_userinfo(rest: &str) -> Option<&str> {
    let (userinfo, _) = rest.rsplit_once('@')?;
    userinfo.split_once(':').map(|(_, password)| password)
}

/// The value of the first of `password`, `passwd`, `pass`, `pwd` and `sslpassword` that has one.
fn in_parameters(text: &str) -> Option<&str> {
    const NAMES: [&str; 5] = ["password", "passwd", "pass", "pwd", "sslpassword"];
    text.match_indices('=').find_map(|(at, _)| {
        let before = text[..at].trim_end();
        let start = before
            .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(0, |i| {
                i + before[i..].chars().next().map_or(1, char::len_utf8)
            });
        let name = before[start..].to_ascii_lowercase();
        if !NAMES.contains(&name.as_str()) {
            return None;
        }
        let value = text[at + 1..].trim_start();
        let value = match value.strip_prefix('\'') {
            Some(quoted) => until(quoted, |c| c == '\''),
            None => until(value, |c| c.is_whitespace() || c == '&'),
        };
        (!value.is_empty()).then_some(value)
    })
}

fn until(text: &str, stop: impl Fn(char) -> bool) -> &str {
    text.find(stop).map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c16_passwords_are_found_in_every_form() {
        for (address, password) in [
            ("postgres://u:pw@h/d", Some("pw")),
            ("postgres://u:p/w@h/d", Some("p/w")),
            ("postgres://u:p@w@h/d", Some("p@w")),
            ("redis://:pw@h", Some("pw")),
            ("u:pw@h", Some("pw")),
            ("postgres://h/d?user=u&password=pw&x=y", Some("pw")),
            ("redis+unix:///s?pass=pw", Some("pw")),
            ("host=h password=pw user=u", Some("pw")),
            ("host=h password = 'p w'", Some("p w")),
            ("host=h PASSWORD=pw", Some("pw")),
            ("host=h passfile=/x", None),
            ("host=h password='' user=u", None),
            ("postgres://u@h:5432/d", None),
            ("postgres://u:@h/d", None),
            ("redis://h:6379", None),
            ("", None),
        ] {
            assert_eq!(password_in(address), password, "{address}");
        }
    }

    #[test]
    fn text_with_a_credential_in_it_is_told_from_text_without() {
        for (text, expected) in [
            ("see postgres://u:pw@h/d now", true),
            ("https://token@h/x", true),
            ("redis://:p/w@h", true),
            ("host=h password=pw", true),
            ("https://h/x?a=b@c", false),
            ("http://h 10:30@noon", false),
            ("ops@example.com", false),
            ("a:b@c", false),
            ("pass", false),
            ("é=1", false),
        ] {
            assert_eq!(holds_credentials(text), expected, "{text}");
        }
    }
}
