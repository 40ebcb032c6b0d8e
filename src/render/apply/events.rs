//! Events as lines, where there is no terminal, and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use crate::model::event::{Event, Events};
use crate::model::id::MigrationId;
use crate::render::apply::words::words;
use crate::render::json;
use crate::render::style::Style;

/// A progress line each time this much more of a pass is done, percent: a log wants few.
const EVERY: u64 = 10;

/// Writes events as plain lines.
#[derive(Debug)]
pub struct Lines<W> {
    style: Style,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// The pass and the tenth of it that were written last.
    progress: BTreeMap<MigrationId, (u32, u64)>,
    error: Option<io::Error>,
}

impl<W: Write> State<W> {
    /// Writes, and remembers the first error: a run does not stop because nobody reads on.
    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).and_then(|()| self.out.flush()).err();
        }
    }

    fn finish(self) -> io::Result<W> {
        self.error.map_or(Ok(self.out), Err)
    }
}

impl<W: Write> Lines<W> {
    /// Lines that go to `out`.
    pub fn new(out: W, style: Style) -> Self {
        Self {
            style,
            state: Mutex::new(State {
                out,
                progress: BTreeMap::new(),
                error: None,
            }),
        }
    }

    /// Gives `out` back.
    ///
    /// # Errors
    /// The first error of a write; nothing was written after it.
    pub fn finish(self) -> io::Result<W> {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .finish()
    }
}

impl<W: Write + Send> Events for Lines<W> {
    fn emit(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Progress {
            id,
            done,
            total,
            pass,
            ..
        } = &event
        {
            let tenth = done.saturating_mul(100) / (*total).max(1) / EVERY;
            let before = state.progress.insert(id.clone(), (*pass, tenth));
            if tenth == 0 || before == Some((*pass, tenth)) {
                return;
            }
        }
        if let Some(text) = words(self.style, &event) {
            state.write(|out| writeln!(out, "{text}"));
        }
    }
}

/// Writes each event as a line of JSON.
#[derive(Debug)]
pub struct JsonLines<W> {
    state: Mutex<State<W>>,
}

impl<W: Write> JsonLines<W> {
    /// JSON that goes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            state: Mutex::new(State {
                out,
                progress: BTreeMap::new(),
                error: None,
            }),
        }
    }

    /// Gives `out` back.
    ///
    /// # Errors
    /// The first error of a write; nothing was written after it.
    pub fn finish(self) -> io::Result<W> {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .finish()
    }
}

impl<W: Write + Send> Events for JsonLines<W> {
    fn emit(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.write(|out| json::line(out, &event));
    }
}
