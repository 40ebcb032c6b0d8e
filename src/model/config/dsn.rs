//! Postgres connection strings of keywords: `host=db user=app dbname='my app'`.

/// The keywords and their values, in order; `None` when the text is not such a list.
///
/// By the rules of libpq: white space between pairs and around `=`, values in single quotes where needed,
/// a backslash before a quote or backslash.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut chars = text.chars().peekable();
    let mut out = Vec::new();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if key.is_empty() || chars.next() != Some('=') {
            return None;
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\\') => value.push(chars.next()?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return None,
                None => break,
            }
        }
        out.push((key, value));
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn keywords_are_read_by_the_rules_of_libpq() {
        for (text, expected) in [
            ("host=h", Some(vec![("host", "h")])),
            (
                " host = h  user=u ",
                Some(vec![("host", "h"), ("user", "u")]),
            ),
            (r"a='x y' b=c\ d", Some(vec![("a", "x y"), ("b", "c d")])),
            (r"a='it\'s' b=''", Some(vec![("a", "it's"), ("b", "")])),
            ("a=", Some(vec![("a", "")])),
            ("", None),
            ("host", None),
            ("host h", None),
            ("=x", None),
            ("a='x", None),
            ("a=\\", None),
        ] {
            let read = pairs(text);
            let read = read.as_ref().map(|list| {
                list.iter()
                    .map(|(k, v)| (k.as_str(), v.as_str()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(read, expected, "{text}");
        }
    }
}
