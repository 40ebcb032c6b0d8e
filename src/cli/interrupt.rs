//! SIGINT and SIGTERM: the first one stops the run in order, a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Listens for signals while a command runs.
pub(super) struct Interrupt {
    cancel: CancellationToken,
    received: Arc<AtomicI32>,
}

impl Interrupt {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, CliError> {
        let cancel = CancellationToken::new();
        let received = Arc::new(AtomicI32::new(0));
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut stream = signal(kind).map_err(CliError::Signals)?;
            let (cancel, received) = (cancel.clone(), received.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    let number = kind.as_raw_value();
                    if received.swap(number, Ordering::SeqCst) != 0 {
                        std::process::exit(i32::from(signal_exit(number).code()));
                    }
                    cancel.cancel();
                }
            });
        }
        Ok(Self { cancel, received })
    }

    /// Cancelled by the first signal.
    pub(super) fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// The exit code that a signal asks for, if one came.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            number => Some(signal_exit(number)),
        }
    }
}

fn signal_exit(number: i32) -> Exit {
    Exit::Signal(u8::try_from(number).unwrap_or(2))
}
