//! Where connections are cut, byte after byte, over any number of runs: a campaign that reaches every byte of
//! whatever is sent and answered, at the price of many cuts in one run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::proxy::{Cut, Harm, Protocol};

/// Cuts close to one another, before some messages have to pass. A run that is cut off more often waits longer and
/// longer, comes to the end of its patience, and never to its later steps.
const IN_A_ROW: usize = 5;
/// How many have to pass.
const APART: usize = 8;
/// Cuts while a plan is carried out, over all of its runs. After them it may come to its end, and is judged.
const IN_ALL: usize = 100;
/// Cuts that were to bring about a kind of message, and did not, before it is left alone.
const IN_VAIN: usize = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    ToServer,
    ToClient,
}

/// A kind of message, by its name without what differs from run to run, or the answer to it.
type Kind = (Direction, String);

/// A cut that was made: where, and after how many bytes.
type Made = (Kind, usize);

/// The next byte to cut for each kind. Runs that go on side by side share it.
pub struct Cuts {
    step: usize,
    from: usize,
    /// What runs send that nothing disturbs.
    undisturbed: BTreeSet<String>,
    next: Mutex<BTreeMap<Kind, Next>>,
}

#[derive(Default, Clone)]
struct Next {
    byte: usize,
    cuts: usize,
    /// The longest that was seen.
    length: usize,
    /// The last cut before it was sent.
    after: Option<Made>,
    in_vain: usize,
    /// Bytes of answers that runs are to be cut at now.
    taken: BTreeSet<usize>,
    /// Bytes that an answer did not have after all, and a longer one has.
    owed: BTreeSet<usize>,
}

impl Next {
    fn is_left(&self) -> bool {
        self.byte < self.length || !self.owed.is_empty()
    }

    /// The next byte of a message of this length, if there is one.
    fn take_of(&mut self, length: usize, step: usize) -> Option<usize> {
        let byte = self.byte;
        (byte < length).then(|| {
            self.byte += step;
            self.was_cut();
            byte
        })
    }

    fn was_cut(&mut self) {
        self.cuts += 1;
        self.in_vain = 0;
    }

    /// The next byte of an answer; nobody else gets it.
    fn take(&mut self, step: usize) -> usize {
        let byte = self.owed.pop_first().unwrap_or_else(|| {
            self.byte += step;
            self.byte - step
        });
        self.taken.insert(byte);
        byte
    }

    /// An answer was cut there; a cut that only led to others is not counted.
    fn answer_was_cut(&mut self, byte: usize) {
        if self.taken.remove(&byte) {
            self.was_cut();
        }
    }

    /// Nothing was cut there.
    fn give_back(&mut self, byte: usize) {
        if !self.taken.remove(&byte) {
            return;
        }
        if byte < self.length {
            self.owed.insert(byte);
        } else {
            self.byte = self.byte.min(byte);
        }
    }
}

impl Cuts {
    /// Every `step`th byte of each kind, from one of the first ones on: with each `from` below `step` another one, so
    /// that together they come to every byte. `undisturbed` are the names of what runs send anyway.
    pub fn every<'a>(
        step: usize,
        from: usize,
        undisturbed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let nameless = [Protocol::Postgres, Protocol::Redis].map(|protocol| kind(protocol, None));
        let named = undisturbed.into_iter().map(kind_of);
        Self {
            step,
            from,
            undisturbed: named.chain(nameless).collect(),
            next: Mutex::default(),
        }
    }

    /// Cuts so far.
    pub fn made(&self) -> usize {
        self.lock().values().map(|next| next.cuts).sum()
    }

    /// Whether a kind may still be cut that would not be sent without other cuts.
    pub fn wants(&self) -> bool {
        !self.provoking(&self.lock()).is_empty()
    }

    /// For each direction: kinds, their bytes together, and the cuts. Kinds that were not cut to their end.
    pub fn summary(&self) -> (String, Vec<String>) {
        let all = self.lock();
        let mut parts = Vec::new();
        for (direction, what) in [
            (Direction::ToServer, "messages"),
            (Direction::ToClient, "answers"),
        ] {
            let of: Vec<&Next> = all
                .iter()
                .filter(|((of, _), _)| *of == direction)
                .map(|(_, next)| next)
                .collect();
            let bytes: usize = of.iter().map(|next| next.length).sum();
            let cuts: usize = of.iter().map(|next| next.cuts).sum();
            parts.push(format!(
                "{} kinds of {what} with {bytes} bytes cut {cuts} times",
                of.len()
            ));
        }
        let left =
            all.iter()
                .filter(|(_, next)| next.is_left())
                .map(|((direction, kind), next)| {
                    let left = next.length.saturating_sub(next.byte).div_ceil(self.step);
                    let left = left + next.owed.len();
                    format!("{direction:?} {kind}: {left} of {} bytes", next.length)
                });
        (parts.join(", "), left.collect())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Next>> {
        self.next.lock().expect("no panic")
    }

    /// What is known of a kind so far.
    fn known<'a>(&self, all: &'a mut BTreeMap<Kind, Next>, kind: &Kind) -> &'a mut Next {
        // Another byte for each kind, and the same one in every campaign.
        let letters: usize = kind.1.bytes().map(usize::from).sum();
        all.entry(kind.clone()).or_insert_with(|| Next {
            byte: (letters + self.from) % self.step,
            ..Next::default()
        })
    }

    /// The cuts that lead to kinds which are not cut to their end, or to another cut that does.
    fn provoking(&self, all: &BTreeMap<Kind, Next>) -> BTreeSet<Made> {
        let mut found = BTreeSet::new();
        let mut wanted: Vec<&Next> = all
            .iter()
            .filter(|((_, name), _)| !self.undisturbed.contains(name))
            .map(|(_, next)| next)
            .filter(|next| next.is_left() && next.in_vain < IN_VAIN)
            .collect();
        while let Some(next) = wanted.pop() {
            if let Some(made) = &next.after
                && found.insert(made.clone())
                && !self.undisturbed.contains(&made.0.1)
            {
                wanted.extend(all.get(&made.0));
            }
        }
        found
    }
}

/// One plan that is carried out, run after run, while its connections are cut.
pub struct Course {
    cuts: Arc<Cuts>,
    /// Whether cuts are made that only lead to others.
    provokes: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    /// The cuts of this plan.
    made: Vec<Made>,
    in_a_row: usize,
    /// Messages since the last cut.
    since: usize,
    /// Whether the last choice was for a cut that leads to others.
    provoked: bool,
}

impl Course {
    pub fn new(cuts: Arc<Cuts>, provokes: bool) -> Self {
        Self {
            cuts,
            provokes,
            so_far: Mutex::default(),
        }
    }

    /// What was cut so far, a line each.
    pub fn log(&self) -> String {
        let so_far = self.so_far.lock().expect("no panic");
        let lines = so_far.made.iter();
        let lines = lines
            .map(|((direction, kind), bytes)| format!("{direction:?} {kind}: after {bytes} bytes"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether cuts were left over: what is left to cut comes seldom.
    pub fn found_few(&self) -> bool {
        self.so_far.lock().expect("no panic").made.len() < IN_ALL
    }

    fn with_answer(&self, protocol: Protocol, name: Option<&str>, change: impl FnOnce(&mut Next)) {
        let kind = (Direction::ToClient, kind(protocol, name));
        if let Some(next) = self.cuts.lock().get_mut(&kind) {
            change(next);
        }
    }

    /// The message byte by byte, then its answer; and where it leads to others, they are led to.
    fn choose(
        &self,
        all: &mut BTreeMap<Kind, Next>,
        so_far: &mut SoFar,
        to_server: &Kind,
        to_client: &Kind,
        length: usize,
    ) -> Cut {
        let step = self.cuts.step;
        let request = self.cuts.known(all, to_server).take_of(length, step);
        if let Some(bytes) = request {
            return Cut::Request(bytes);
        }
        // In turn with cuts of the answer, of which some may be left for ever: answers differ in length.
        let answer_is_next = so_far.provoked && self.cuts.known(all, to_client).is_left();
        let provoked = (self.provokes && !answer_is_next)
            .then(|| self.provoked(all, to_server, to_client, length))
            .flatten();
        so_far.provoked = provoked.is_some();
        provoked.unwrap_or_else(|| Cut::Answer(self.cuts.known(all, to_client).take(step)))
    }

    /// A cut that leads to others, again; what else leads there is that the process ends.
    fn provoked(
        &self,
        all: &mut BTreeMap<Kind, Next>,
        to_server: &Kind,
        to_client: &Kind,
        length: usize,
    ) -> Option<Cut> {
        let provoking = self.cuts.provoking(all);
        let made = provoking
            .iter()
            .find(|(kind, _)| kind == to_server || kind == to_client)?;
        let mut kills = false;
        for next in all.values_mut().filter(|next| next.is_left()) {
            if next.after.as_ref() == Some(made) {
                next.in_vain += 1;
                kills |= next.in_vain.is_multiple_of(2);
            }
        }
        Some(match made {
            ((Direction::ToServer, _), _) if kills => Cut::KillBefore,
            ((Direction::ToClient, _), _) if kills => Cut::KillAfter,
            ((Direction::ToServer, _), bytes) => Cut::Request((*bytes).min(length)),
            ((Direction::ToClient, _), bytes) => Cut::Answer(*bytes),
        })
    }
}

impl Harm for Course {
    fn decide(&self, protocol: Protocol, name: Option<&str>, length: usize) -> Option<Cut> {
        let mut so_far = self.so_far.lock().expect("no panic");
        so_far.meets(name.is_some());
        let kind = kind(protocol, name);
        let to_server = (Direction::ToServer, kind.clone());
        let to_client = (Direction::ToClient, kind.clone());
        let mut all = self.cuts.lock();
        for both in [&to_server, &to_client] {
            let next = self.cuts.known(&mut all, both);
            if *both == to_server {
                next.length = next.length.max(length);
            }
            if let Some(last) = so_far.made.last().filter(|(last, _)| last.1 != kind) {
                next.after = Some(last.clone());
            }
        }
        let cut = so_far
            .may_be_cut()
            .then(|| self.choose(&mut all, &mut so_far, &to_server, &to_client, length));
        drop(all);
        match cut {
            Some(Cut::Request(bytes)) => so_far.cut((to_server, bytes)),
            Some(Cut::KillBefore) => so_far.cut((to_server, 0)),
            Some(Cut::KillAfter) => so_far.cut((to_client, 0)),
            Some(Cut::Answer(_)) | None => {}
        }
        cut
    }

    fn answered(&self, protocol: Protocol, name: Option<&str>, length: usize) {
        self.with_answer(protocol, name, |next| {
            next.length = next.length.max(length);
        });
    }

    fn cut_answer(&self, protocol: Protocol, name: Option<&str>, bytes: usize) {
        let mut so_far = self.so_far.lock().expect("no panic");
        self.with_answer(protocol, name, |next| next.answer_was_cut(bytes));
        so_far.cut(((Direction::ToClient, kind(protocol, name)), bytes));
    }

    fn give_back(&self, protocol: Protocol, name: Option<&str>, bytes: usize) {
        self.with_answer(protocol, name, |next| next.give_back(bytes));
    }
}

impl SoFar {
    fn meets(&mut self, counts: bool) {
        self.since += usize::from(counts);
        if self.since > APART {
            self.in_a_row = 0;
        }
    }

    fn may_be_cut(&self) -> bool {
        self.made.len() < IN_ALL && self.in_a_row < IN_A_ROW
    }

    fn cut(&mut self, made: Made) {
        self.made.push(made);
        self.in_a_row += 1;
        self.since = 0;
    }
}

/// The kind of a message.
fn kind(protocol: Protocol, name: Option<&str>) -> String {
    match name {
        Some(name) => kind_of(&format!("{protocol:?}: {name}")),
        None => format!("{protocol:?}: opens or ends a connection"),
    }
}

/// The name without chance, and without the step of a script that all steps use.
fn kind_of(name: &str) -> String {
    let without = without_chance(name);
    let words = without
        .split(' ')
        .filter(|word| !word.starts_with("redis/"));
    let mut words: Vec<&str> = words.collect();
    // The text of a script is most of what is sent of it.
    if words.get(1) == Some(&"EVAL") {
        words.truncate(3);
    }
    words.join(" ")
}

/// The name without what differs from run to run: numbers, what is drawn by lot, and the order of the keys of a page.
pub fn without_chance(name: &str) -> String {
    // The owner of the lease comes last, where a name is long enough for it.
    let words = name.split(' ').filter(|word| !word.starts_with("{\""));
    let mut words: Vec<String> = words.map(without_lot).collect();
    let first_key = 4 + usize::from(words.get(1).is_some_and(|word| word.starts_with("redis/")));
    if name.starts_with("Redis") && words.len() > first_key {
        words[first_key..].sort();
        words.dedup();
    }
    words.join(" ")
}

fn without_lot(word: &str) -> String {
    if word.len() >= 28 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "…".to_owned();
    }
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let drawn = word
        .find('-')
        .filter(|at| *at >= 8 && word.is_char_boundary(at - 8) && is_hex(&word[at - 8..*at]));
    let word = drawn.map_or(word, |at| &word[..at - 8]);
    let mut text = String::new();
    for letter in word.chars() {
        let shown = if letter.is_ascii_digit() { '#' } else { letter };
        if shown != '#' || !text.ends_with('#') {
            text.push(shown);
        }
    }
    text
}
