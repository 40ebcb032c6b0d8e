//! Passwords that are not part of the address: `PGPASSWORD` and the password file of libpq.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The password for a connection, from the environment or the password file; `None` where neither has one.
pub(super) fn find(
    config: &Config,
    passfile: Option<String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    if let Some(password) = env("PGPASSWORD").filter(|p| !p.is_empty()) {
        return Some(password);
    }
    let file = passfile
        .or_else(|| env("PGPASSFILE").filter(|p| !p.is_empty()))
        .map(PathBuf::from)
        .or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass")))?;
    // As libpq does: a password file that others may read is not used.
    if fs::metadata(&file).ok()?.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config
        .get_ports()
        .first()
        .copied()
        .unwrap_or(5432)
        .to_string();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    lookup(&text, [&host, &port, database, user])
}

/// The password of the first line that fits host, port, database and user.
fn lookup(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = fields(line);
            let (password, fields) = fields.split_last()?;
            let fits = fields.len() == 4
                && fields
                    .iter()
                    .zip(wanted)
                    .all(|(field, wanted)| field == "*" || field == wanted);
            fits.then(|| password.clone())
        })
}

/// Five fields between colons; a backslash takes the meaning from a colon or backslash.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == ':' && fields.len() < 5 {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(if c == '\\' {
                chars.next().unwrap_or(c)
            } else {
                c
            });
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# comment\nother:*:*:*:no\ndb:5432:app:u:a\\:b\\\\c\n*:*:*:*:last";
        assert_eq!(
            lookup(text, ["db", "5432", "app", "u"]).as_deref(),
            Some("a:b\\c")
        );
        assert_eq!(
            lookup(text, ["db", "5433", "app", "u"]).as_deref(),
            Some("last")
        );
        assert_eq!(lookup("db:5432:app:u", ["db", "5432", "app", "u"]), None);
        assert_eq!(lookup("", ["db", "5432", "app", "u"]), None);
    }

    #[test]
    fn c16_a_file_that_others_may_read_is_not_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "*:*:*:*:pw\n").unwrap();
        let path = file.path().to_str().map(str::to_owned);
        for (mode, found) in [(0o600, Some("pw")), (0o640, None), (0o604, None)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let password = find(&Config::new(), path.clone(), &|_| None);
            assert_eq!(password.as_deref(), found, "{mode:o}");
        }
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let env = |name: &str| (name == "PGPASSWORD").then(|| "from env".to_owned());
        assert_eq!(
            find(&Config::new(), None, &env).as_deref(),
            Some("from env")
        );
        assert_eq!(find(&Config::new(), None, &|_| None), None);
    }
}
