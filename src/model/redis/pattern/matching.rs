//! Matching a key.
//!
//! One pass from left to right takes each capture as short as the next literal allows. In nearly every
//! pattern that is decided by the bytes a capture excludes, so a failed pass is the answer. Only where
//! an earlier capture could have been longer, a table of the positions from which the rest can still
//! match is made, in time linear in the key for each byte of the pattern.

use super::{Class, MAX_CAPTURES, Part, Pattern};

type Spans = [Option<(usize, usize)>; MAX_CAPTURES];

/// Positions tried for captures that are used twice, beyond some for each byte of the key. Such
/// patterns have no linear match; past the bound a key counts as not matched, and so comes up as a
/// key that nothing accounts for.
const TRIES: usize = 1 << 20;
/// Bytes of a repeated capture whose comparison counts as one more try.
const BYTES_A_TRY: usize = 32;

/// What a pattern captured in one key.
#[derive(Debug, Clone)]
pub struct Captures<'a> {
    key: &'a [u8],
    pattern: &'a Pattern,
    spans: Spans,
}

impl<'a> Captures<'a> {
    /// The bytes captured under `name`, or nothing where the pattern has no such capture.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let slot = self.pattern.names.iter().position(|known| known == name)?;
        self.spans[slot].map(|(start, end)| &self.key[start..end])
    }

    /// The whole key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Names and bytes, in the order of the names' first use.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.pattern
            .names
            .iter()
            .zip(&self.spans)
            .filter_map(|(name, span)| {
                let (start, end) = (*span)?;
                Some((name.as_str(), &self.key[start..end]))
            })
    }
}

enum Pass {
    Matched,
    No,
    Undecided,
}

impl Pattern {
    /// The captures, if the whole of `key` matches. Allocates nothing unless the pattern leaves a
    /// capture's end open.
    pub fn captures<'a>(&'a self, key: &'a [u8]) -> Option<Captures<'a>> {
        if !self.frames(key) {
            return None;
        }
        let mut spans = [None; MAX_CAPTURES];
        match self.pass(key, &mut spans) {
            Pass::Matched => {}
            Pass::No => return None,
            Pass::Undecided => spans = self.search(key)?,
        }
        Some(Captures {
            key,
            pattern: self,
            spans,
        })
    }

    /// Whether the whole of `key` matches.
    pub fn matches(&self, key: &[u8]) -> bool {
        self.captures(key).is_some()
    }

    /// A cheap no for most keys: the length, and the literals at both ends.
    fn frames(&self, key: &[u8]) -> bool {
        key.len() >= self.shortest
            && !matches!(self.parts.first(), Some(Part::Literal(bytes)) if !key.starts_with(bytes))
            && !matches!(self.parts.last(), Some(Part::Literal(bytes)) if !key.ends_with(bytes))
    }

    /// Takes each capture as short as the next literal allows, into empty `spans`.
    fn pass(&self, key: &[u8], spans: &mut Spans) -> Pass {
        let mut at = 0;
        let mut open = false;
        for (index, part) in self.parts.iter().enumerate() {
            let end = match part {
                Part::Literal(bytes) => key[at..].starts_with(bytes).then_some(at + bytes.len()),
                Part::Capture { slot, class } => match spans[*slot] {
                    Some(span) => again(key, at, span, *class),
                    None => {
                        let end = self.end_of(key, at, index, *class);
                        if let Some((end, decided)) = end {
                            spans[*slot] = Some((at, end));
                            open |= !decided;
                        }
                        end.map(|(end, _)| end)
                    }
                },
            };
            match end {
                Some(end) => at = end,
                None if open => return Pass::Undecided,
                None => return Pass::No,
            }
        }
        match at == key.len() {
            true => Pass::Matched,
            false if open => Pass::Undecided,
            false => Pass::No,
        }
    }

    /// The first place where the capture that starts at `at` may end, and whether it is the only one.
    fn end_of(&self, key: &[u8], at: usize, index: usize, class: Class) -> Option<(usize, bool)> {
        let first = at + class.shortest();
        let next = match self.parts.get(index + 1) {
            Some(Part::Literal(bytes)) => bytes.as_slice(),
            _ => b"",
        };
        if index + 2 >= self.parts.len() {
            let end = key.len().checked_sub(next.len())?;
            let fits = first <= end && key[at..end].iter().all(|byte| class.admits(*byte));
            return fits.then_some((end, true));
        }
        let reach = match class {
            Class::Any => key.len(),
            _ => key[at..]
                .iter()
                .position(|byte| !class.admits(*byte))
                .map_or(key.len(), |taken| at + taken),
        };
        if next.first().is_some_and(|byte| !class.admits(*byte)) {
            return (first <= reach && key[reach..].starts_with(next)).then_some((reach, true));
        }
        (first..=reach)
            .find(|end| key[*end..].starts_with(next))
            .map(|end| (end, false))
    }

    /// The match by a table of what can still match; only for keys that the pass left undecided.
    fn search(&self, key: &[u8]) -> Option<Spans> {
        let table = Table::new(&self.parts, key);
        let mut search = Search {
            parts: &self.parts,
            key,
            table,
            spans: [None; MAX_CAPTURES],
            tries: TRIES.saturating_add(16 * key.len()),
        };
        (search.table.may(0, 0) && search.from(0, 0)).then_some(search.spans)
    }
}

/// The end of a capture used before, if the same bytes stand at `at`.
fn again(key: &[u8], at: usize, (start, end): (usize, usize), class: Class) -> Option<usize> {
    let bytes = &key[start..end];
    let same = bytes.len() >= class.shortest() && key[at..].starts_with(bytes);
    (same && bytes.iter().all(|byte| class.admits(*byte))).then_some(at + bytes.len())
}

/// For each part and position, whether the parts from there on can match the rest of the key, were
/// repeated captures independent.
struct Table {
    rows: Vec<Vec<u64>>,
}

impl Table {
    fn new(parts: &[Part], key: &[u8]) -> Self {
        let words = key.len() / 64 + 1;
        let mut rows = vec![vec![0; words]; parts.len() + 1];
        set(&mut rows[parts.len()], key.len());
        for (index, part) in parts.iter().enumerate().rev() {
            let (here, after) = rows.split_at_mut(index + 1);
            let (here, after) = (&mut here[index], &after[0]);
            match part {
                Part::Literal(bytes) => {
                    for at in 0..=key.len().saturating_sub(bytes.len()) {
                        if get(after, at + bytes.len()) && key[at..].starts_with(bytes) {
                            set(here, at);
                        }
                    }
                }
                Part::Capture { class, .. } => {
                    let mut open = false;
                    for at in (0..=key.len()).rev() {
                        let longer = open && key.get(at).is_some_and(|byte| class.admits(*byte));
                        open = longer || get(after, at);
                        if longer || (open && class.shortest() == 0) {
                            set(here, at);
                        }
                    }
                }
            }
        }
        Self { rows }
    }

    fn may(&self, part: usize, at: usize) -> bool {
        get(&self.rows[part], at)
    }
}

fn set(row: &mut [u64], at: usize) {
    row[at / 64] |= 1 << (at % 64);
}

fn get(row: &[u64], at: usize) -> bool {
    row.get(at / 64)
        .is_some_and(|word| word & (1 << (at % 64)) != 0)
}

struct Search<'a> {
    parts: &'a [Part],
    key: &'a [u8],
    table: Table,
    spans: Spans,
    tries: usize,
}

impl Search<'_> {
    /// Whether the parts from `part` on match from `at`, which the table allows. No deeper than a
    /// pattern has parts.
    fn from(&mut self, part: usize, at: usize) -> bool {
        match self.parts.get(part) {
            None => true,
            Some(Part::Literal(bytes)) => self.from(part + 1, at + bytes.len()),
            Some(Part::Capture { slot, class }) => {
                let (slot, class) = (*slot, *class);
                if let Some(span) = self.spans[slot] {
                    self.tries = self.tries.saturating_sub((span.1 - span.0) / BYTES_A_TRY);
                    return again(self.key, at, span, class).is_some_and(|end| {
                        self.table.may(part + 1, end) && self.from(part + 1, end)
                    });
                }
                let mut end = at + class.shortest();
                while end <= self.key.len()
                    && self.key[at..end]
                        .last()
                        .is_none_or(|byte| class.admits(*byte))
                {
                    if self.tries == 0 {
                        return false;
                    }
                    self.tries -= 1;
                    if self.table.may(part + 1, end) {
                        self.spans[slot] = Some((at, end));
                        if self.from(part + 1, end) {
                            return true;
                        }
                        self.spans[slot] = None;
                    }
                    end += 1;
                }
                false
            }
        }
    }
}
