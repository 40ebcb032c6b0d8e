//! From what the driver and the server say to what it means.

use redis::{ErrorKind, RedisError};

use crate::store::StoreErrorKind;
use crate::store::tls::TlsProblem;

/// Error codes of a server that is there and cannot do it now.
const NOT_READY: [&str; 9] = [
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
    "CLUSTERDOWN",
    "TRYAGAIN",
];

/// Sorts an error; `doing` names what was tried.
pub(super) fn classify(error: &RedisError, doing: &str) -> StoreErrorKind {
    let reason = words(error);
    if let Some(code) = code(error) {
        return match code.as_str() {
            // Who sends a password hears WRONGPASS of it.
            "NOAUTH" => StoreErrorKind::NoPassword,
            "WRONGPASS" => StoreErrorKind::Authentication { reason },
            "NOPERM" => StoreErrorKind::Permission {
                doing: doing.to_owned(),
                reason,
            },
            "LEASELOST" => StoreErrorKind::LeaseLost,
            code if NOT_READY.contains(&code) => StoreErrorKind::NotReady { reason },
            _ if is_script_without_right(&reason) => StoreErrorKind::Permission {
                doing: doing.to_owned(),
                reason,
            },
            _ => StoreErrorKind::Server {
                doing: doing.to_owned(),
                reason,
            },
        };
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => StoreErrorKind::Authentication { reason },
        _ if is_broken(error) => StoreErrorKind::Disconnected { reason },
        _ => StoreErrorKind::Server {
            doing: doing.to_owned(),
            reason,
        },
    }
}

/// Whether a script met a command that the user may not run, in the words of Redis 7 or of later servers.
fn is_script_without_right(reason: &str) -> bool {
    ["user executing the script can't", "ACL failure in script"]
        .iter()
        .any(|words| reason.contains(words))
}

/// The error in words, with the server's own code: the driver's names for codes are not the server's.
fn words(error: &RedisError) -> String {
    let text = error.to_string();
    if error.kind() == ErrorKind::Parse {
        let text = text.lines().collect::<Vec<_>>().join(", ");
        return format!("the answer is not in Redis's protocol: {text}");
    }
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) if !text.contains(code) => format!("{code} {detail}"),
        _ => text,
    }
}

/// The server's error code. Before Redis 7 an error inside a script hides it behind a dash in the text.
pub(super) fn code(error: &RedisError) -> Option<String> {
    let code = error.code()?;
    let text = error.to_string();
    // What kept a transaction from being carried out stands behind it.
    if code == "EXECABORT" && text.contains("NOPERM") {
        return Some("NOPERM".to_owned());
    }
    if code != "ERR" {
        return Some(code.to_owned());
    }
    let hidden = ["LEASELOST", "NOPERM", "WRONGTYPE"]
        .into_iter()
        .chain(NOT_READY);
    let inner = hidden
        .into_iter()
        .find(|code| text.contains(&format!("-{code} ")));
    Some(inner.unwrap_or("ERR").to_owned())
}

/// Whether the connection is of no use any more.
pub(super) fn is_broken(error: &RedisError) -> bool {
    // An answer that cannot be read was cut off in the middle: what comes after it is not known either.
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.kind() == ErrorKind::Parse
}

/// Whether a connection ended that had come about.
fn is_cut_off(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

/// Whether the same request may well succeed in a moment.
pub(super) fn is_passing(kind: &StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::Disconnected { .. } => true,
        StoreErrorKind::NotReady { reason } => {
            ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"]
                .iter()
                .any(|code| reason.contains(code))
        }
        _ => false,
    }
}

/// From an error while connecting to this database, with TLS or without. `password` is what the server was told:
/// one that does not know `HELLO` or `AUTH` may say it back.
pub(super) fn connecting(
    error: &RedisError,
    tls: bool,
    password: Option<&str>,
    database: i64,
) -> StoreErrorKind {
    if let Some(problem) = TlsProblem::cause_of(error) {
        return StoreErrorKind::Tls(problem);
    }
    match without_login(classify(error, "connecting"), password) {
        StoreErrorKind::Server { reason, .. } if reason.contains("HELLO") => {
            StoreErrorKind::Unreachable {
                reason: format!("{reason}; a server of that age takes a url without protocol"),
            }
        }
        // What either kind of port does with the other's first words.
        StoreErrorKind::Disconnected { reason } if tls && error.is_timeout() => {
            StoreErrorKind::Unreachable {
                reason: format!("{reason}; a port without TLS does not answer rediss://"),
            }
        }
        StoreErrorKind::Disconnected { reason } if !tls && is_cut_off(error) => {
            StoreErrorKind::Unreachable {
                reason: format!("{reason}; a port for TLS takes rediss:// alone"),
            }
        }
        StoreErrorKind::Disconnected { reason } => StoreErrorKind::Unreachable { reason },
        StoreErrorKind::Server { reason, .. } if reason.contains("DB index is out of range") => {
            StoreErrorKind::NoDatabase {
                database: database.to_string(),
            }
        }
        StoreErrorKind::Server { reason, .. }
            if reason.contains("AUTH") || reason.contains("assword") =>
        {
            StoreErrorKind::Authentication { reason }
        }
        kind => kind,
    }
}

/// The same without the arguments of a command that was not understood, which are cut off anywhere, and
/// without the password wherever else it is repeated.
fn without_login(mut kind: StoreErrorKind, password: Option<&str>) -> StoreErrorKind {
    const REPEATED: &str = ", with args beginning with";
    if let StoreErrorKind::Authentication { reason }
    | StoreErrorKind::Disconnected { reason }
    | StoreErrorKind::NotReady { reason }
    | StoreErrorKind::Permission { reason, .. }
    | StoreErrorKind::Server { reason, .. } = &mut kind
    {
        if let Some(at) = reason.find(REPEATED) {
            reason.truncate(at);
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            *reason = reason.replace(password, "***");
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(text: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        answer.extract_error().unwrap_err()
    }

    #[test]
    fn c16_a_server_that_says_the_password_back_is_not_quoted() {
        for text in [
            "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'hunter2'",
            "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `u`, `hunter2`",
            "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'hunt",
            "WRONGPASS hunter2 is not the password",
            "NOAUTH not hunter2",
            "NOPERM not for hunter2",
            "LOADING soon, hunter2",
            "ERR what is hunter2?",
        ] {
            let shown = connecting(&said(text), false, Some("hunter2"), 0).to_string();
            assert!(!shown.contains("hunt"), "{shown}");
        }
        let unknown = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'pw'";
        let shown = connecting(&said(unknown), false, Some("pw"), 0).to_string();
        assert!(shown.contains("unknown command 'HELLO'; "), "{shown}");
        let plain = connecting(&said("ERR no"), false, Some(""), 0).to_string();
        assert!(plain.contains("no"), "{plain}");
    }

    #[test]
    fn a_right_that_a_script_lacks_is_one_in_the_words_of_every_version() {
        for text in [
            "NOPERM this user has no permissions to run the 'restore' command",
            "ERR The user executing the script can't run this command or subcommand script: 02fe, on @user_script:22.",
            "ERR ACL failure in script: User few has no permissions to run the 'restore' command script: 02fe, on @user_script:22.",
            "ERR Error running script (call to f_02fe): @user_script:22: -NOPERM this user has no permissions",
        ] {
            assert!(
                matches!(
                    classify(&said(text), "writing"),
                    StoreErrorKind::Permission { .. }
                ),
                "{text}"
            );
        }
    }
}
