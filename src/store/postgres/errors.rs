//! What the driver's errors mean. Nothing here shows an address with its password: the driver's errors
//! never hold one, and its complaints about an address are not passed on.

use std::error::Error as _;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::model::id::StoreKind;
use crate::store::tls::TlsProblem;
use crate::store::{StoreError, StoreErrorKind};

/// Raised by our own checks inside a transaction; class `OP` belongs to nobody.
pub(super) mod private {
    /// The lease's token is not in the ledger any more, or has expired.
    pub(crate) const LEASE_LOST: &str = "OP001";
    /// golang-migrate holds its advisory lock.
    pub(crate) const GOLANG_LOCK: &str = "OP002";
    /// golang-migrate's row is not what it should be.
    pub(crate) const GOLANG_ROW: &str = "OP003";
    /// A statement of the migration ended the transaction.
    pub(crate) const TRANSACTION_ENDED: &str = "OP004";
    /// The ledger has no entry where one must be.
    pub(crate) const NO_ENTRY: &str = "OP005";
}

/// An error of the Postgres store.
pub(super) fn at(address: &str, kind: StoreErrorKind) -> StoreError {
    StoreError {
        store: StoreKind::Sql,
        address: address.to_owned(),
        kind,
    }
}

/// Whether the same transaction may succeed if it is tried again.
pub(super) fn is_passing(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        [
            &SqlState::LOCK_NOT_AVAILABLE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            &SqlState::T_R_SERIALIZATION_FAILURE,
        ]
        .contains(&code)
    })
}

/// Whether the connection ended, so that nobody knows what became of what was sent.
pub(super) fn is_broken(error: &Error) -> bool {
    match error.as_db_error() {
        // An administrator, a crash or a time-out ends the session after such a message.
        Some(db) => matches!(
            db.code().code(),
            "57P01" | "57P02" | "57P05" | "25P03" | "08006" | "08003"
        ),
        None => error.is_closed() || io_error(error).is_some(),
    }
}

/// The private condition that was raised, if it is one of ours.
pub(super) fn private_code(error: &Error) -> Option<&str> {
    error
        .code()
        .map(SqlState::code)
        .filter(|code| code.starts_with("OP"))
}

/// Whether a cancel request, or `statement_timeout`, ended it.
pub(super) fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// The server's words: message, detail and hint.
pub(super) fn words(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => db_words(db),
        None => causes(error),
    }
}

fn db_words(db: &DbError) -> String {
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn io_error(error: &Error) -> Option<&std::io::Error> {
    error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
}

/// What an error means while a connection is made.
pub(super) fn while_connecting(error: &Error, database: &str) -> StoreErrorKind {
    if let Some(db) = error.as_db_error() {
        return from_server(db, "connecting", database);
    }
    let reason = causes(error);
    // The driver tells its kinds apart by their words alone.
    let kind = error.to_string();
    if let Some(problem) = TlsProblem::cause_of(error) {
        StoreErrorKind::Tls(problem)
    } else if reason.contains("server does not support TLS") {
        StoreErrorKind::Tls(TlsProblem::NotOffered)
    } else if reason.contains("no hostname provided") {
        StoreErrorKind::Tls(TlsProblem::NoName)
    } else if kind.starts_with("error performing TLS") {
        StoreErrorKind::Tls(TlsProblem::Other { reason })
    } else if reason.contains("password missing") {
        StoreErrorKind::NoPassword
    } else if kind.starts_with("authentication error") {
        StoreErrorKind::Authentication { reason }
    } else {
        StoreErrorKind::Unreachable { reason }
    }
}

/// Something took the connection and said nothing for that long.
pub(super) fn no_answer(waited: Duration) -> StoreErrorKind {
    StoreErrorKind::Unreachable {
        reason: format!(
            "it does not answer as Postgres does, within {} s",
            waited.as_secs()
        ),
    }
}

/// What an error means once there is a connection. `doing` completes "while ...".
pub(super) fn while_doing(error: &Error, doing: &str, database: &str) -> StoreErrorKind {
    match error.as_db_error() {
        _ if is_broken(error) => StoreErrorKind::Disconnected {
            reason: words(error),
        },
        Some(db) => from_server(db, doing, database),
        None => StoreErrorKind::Server {
            doing: doing.to_owned(),
            reason: causes(error),
        },
    }
}

fn from_server(db: &DbError, doing: &str, database: &str) -> StoreErrorKind {
    let reason = db_words(db);
    let doing = doing.to_owned();
    match db.code().code() {
        // The code says no more than that the rules for logins let nobody like this in.
        "28000" if db.message().ends_with(", no encryption") => {
            StoreErrorKind::Tls(TlsProblem::Demanded { reason })
        }
        "28000" if db.message().contains("requires a valid client certificate") => {
            StoreErrorKind::Tls(TlsProblem::ClientWanted)
        }
        "28000"
            if db
                .message()
                .starts_with("certificate authentication failed") =>
        {
            StoreErrorKind::Tls(TlsProblem::ClientRefused { reason })
        }
        "28P01" | "28000" => StoreErrorKind::Authentication { reason },
        "3D000" => StoreErrorKind::NoDatabase {
            database: database.to_owned(),
        },
        "42501" => StoreErrorKind::Permission { doing, reason },
        "25006" | "57P01" | "57P02" | "57P03" | "53300" => StoreErrorKind::NotReady { reason },
        "55P03" => StoreErrorKind::SchemaLocked { reason },
        // pgbouncer has no codes of its own for these.
        "08P01" if db.message().contains("no such database") => StoreErrorKind::NoDatabase {
            database: database.to_owned(),
        },
        "08P01" if db.message().contains("auth") => StoreErrorKind::Authentication { reason },
        _ => StoreErrorKind::Server { doing, reason },
    }
}
