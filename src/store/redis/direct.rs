//! Steps over hash fields that the server decides by itself, without anything being read first. Those of
//! several migrations that meet on a key are carried out together, by one script call.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::Value;

use super::calls::flag;
use super::deed::{DOING, Deed, Direction};
use super::link::slot;
use super::member::Member;
use super::scripts;
use crate::model::redis::convert::Format;
use crate::model::redis::op::{Conversions, Item, Op};
use crate::store::StoreError;

/// Keys of a page, each with the steps that are due on it, in the plan's order.
#[derive(Default)]
pub(super) struct Bundle<'d> {
    due: Vec<Due<'d>>,
    /// Where a key is among those.
    places: HashMap<Vec<u8>, usize>,
    /// The fields that each member's steps so far are about.
    fields: BTreeMap<usize, BTreeSet<String>>,
}

/// What is due on one key, each of another member.
type Due<'d> = Vec<(usize, Item<'d>)>;

impl<'d> Bundle<'d> {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Whether another member's step is about the same field: then that one has to be over first. Two steps
    /// of one member never meet on a key.
    pub(super) fn collides(&self, member: usize, op: &Op) -> bool {
        let fields = op.fields();
        self.fields
            .iter()
            .filter(|(other, _)| **other != member)
            .any(|(_, theirs)| fields.iter().any(|field| theirs.contains(*field)))
    }

    /// Adds keys of one member's step.
    pub(super) fn add(&mut self, member: usize, op: &Op, items: Vec<Item<'d>>) {
        let fields = op.fields().into_iter().map(str::to_owned);
        self.fields.entry(member).or_default().extend(fields);
        for item in items {
            match self
                .places
                .get(&item.key)
                .and_then(|at| self.due.get_mut(*at))
            {
                Some(due) if due.iter().any(|(other, _)| *other == member) => {}
                Some(due) => due.push((member, item)),
                None => {
                    self.places.insert(item.key.clone(), self.due.len());
                    self.due.push(vec![(member, item)]);
                }
            }
        }
    }
}

/// Which steps of which members are due on a key.
fn steps<'s>(due: &'s [(usize, Item<'_>)]) -> impl Iterator<Item = (usize, usize)> + 's {
    due.iter().map(|(member, item)| (*member, item.step.number))
}

/// What a script calls the step; `None` for one that it cannot decide.
fn kind(op: &Op) -> Option<&'static str> {
    match op {
        Op::Set(set) if !set.overwrite => Some("set"),
        Op::Convert(convert) => match &convert.what {
            Conversions::Values(values) => {
                match (values.conversion.from(), values.conversion.to()) {
                    (Format::Rfc3339, Format::UnixMs) => Some("unix_ms"),
                    (Format::Rfc3339, Format::UnixS) => Some("unix_s"),
                    _ => None,
                }
            }
            Conversions::Members(_) => None,
        },
        _ => None,
    }
}

impl Deed<'_> {
    /// Whether the server can decide this step by itself.
    pub(super) fn is_direct(&self, op: &Op) -> bool {
        self.direction == Direction::Forward && self.allow_lossy && kind(op).is_some()
    }
}

/// Carries out a bundle.
pub(super) async fn carry_out(
    members: &[Member<'_>],
    bundle: Bundle<'_>,
) -> Result<(), StoreError> {
    // Keys on which the same steps are due go together: the steps are said once.
    let mut alike: Vec<Vec<Due<'_>>> = Vec::new();
    for due in bundle.due {
        let same = |keys: &&mut Vec<Due<'_>>| {
            keys.first()
                .is_some_and(|first| steps(first).eq(steps(&due)))
        };
        match alike.iter_mut().find(same) {
            Some(keys) => keys.push(due),
            None => alike.push(vec![due]),
        }
    }
    for keys in alike {
        let doers: Vec<&Member<'_>> = keys
            .first()
            .into_iter()
            .flatten()
            .filter_map(|(member, _)| members.get(*member))
            .collect();
        let mut rest = keys.as_slice();
        while let Some(first) = doers.first().filter(|_| !rest.is_empty()) {
            let size = first.deed.batch_size(rest.len());
            let (batch, after) = rest.split_at(size);
            first.deed.wait_for(size).await?;
            let outcome = run(&doers, batch).await;
            for doer in &doers {
                doer.own(outcome.clone())?;
            }
            rest = after;
        }
    }
    Ok(())
}

/// Runs a batch of keys on which the same steps are due.
async fn run(doers: &[&Member<'_>], batch: &[Due<'_>]) -> Result<(), StoreError> {
    let (Some(first), Some(pattern)) = (doers.first(), batch.first()) else {
        return Ok(());
    };
    let deed = &first.deed;
    let mut by_slot: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
    for (place, due) in batch.iter().enumerate() {
        let key = due.first().map_or(&[][..], |(_, item)| item.key.as_slice());
        let slot = deed.store.link.is_cluster().then(|| slot(key));
        by_slot.entry(slot).or_default().push(place);
    }
    let mut calls = Vec::with_capacity(by_slot.len());
    let mut places = Vec::with_capacity(by_slot.len());
    for (slot, here) in by_slot {
        let mut call = deed
            .on_keys(&scripts::DIRECT, slot)
            .arg(flag(deed.field_ttls))
            .arg(pattern.len().to_string());
        for (_, item) in pattern {
            let fields = item.step.op.fields();
            call = call
                .arg(kind(&item.step.op).unwrap_or_default())
                .arg(fields.len().to_string());
            for field in fields {
                call = call.arg(field);
            }
        }
        for due in here.iter().filter_map(|place| batch.get(*place)) {
            for (index, (_, item)) in due.iter().enumerate() {
                if index == 0 {
                    call = call.key(item.key.as_slice());
                }
                for value in &item.values {
                    call = call.arg(value.as_slice());
                }
            }
        }
        calls.push(call);
        places.push(here);
    }
    let values = deed.timed(batch.len(), &calls).await?;
    let mut letters = vec![&b""[..]; batch.len()];
    for (here, value) in places.iter().zip(&values) {
        let all = match value {
            Value::BulkString(all) if all.len() == here.len() * doers.len() => all,
            _ => {
                return Err(deed
                    .session
                    .unexpected(DOING, &"not a letter for each step"));
            }
        };
        for (place, some) in here.iter().zip(all.chunks(doers.len())) {
            if let Some(known) = letters.get_mut(*place) {
                *known = some;
            }
        }
    }
    for (index, member) in doers.iter().enumerate() {
        let mut written = 0;
        let mut odd = Vec::new();
        for (due, letters) in batch.iter().zip(&letters) {
            match letters.get(index) {
                Some(b'W') => written += 1,
                Some(b'D' | b'G') => {}
                _ => odd.extend(due.get(index).map(|(_, item)| item.clone())),
            }
        }
        member.deed.tally().written += written;
        member.deed.keys(&odd).await?;
    }
    Ok(())
}
