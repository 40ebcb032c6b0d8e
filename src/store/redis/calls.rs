//! The script calls of each operation, in each direction.

use std::collections::BTreeMap;

use super::deed::{Deed, Direction};
use super::keys::SourceDigest;
use super::link::slot;
use super::scripts::{self, Call, KeyScript};
use crate::model::redis::op::{Copy, Item, KeyType, Must, Op, Set};

/// A call, and the places of its items in the batch.
pub(super) struct Part {
    pub(super) call: Call,
    pub(super) places: Vec<usize>,
}

impl Deed<'_> {
    /// The calls for a batch of one step's items: one, or on a cluster one for each slot. None where this
    /// direction has nothing to do.
    pub(super) fn calls(&self, items: &[Item<'_>]) -> Vec<Part> {
        self.by_slot(items)
            .into_iter()
            .filter_map(|(slot, places)| {
                let some: Vec<&Item<'_>> = places.iter().filter_map(|p| items.get(*p)).collect();
                let call = self.call(slot, &some)?;
                Some(Part { call, places })
            })
            .collect()
    }

    /// The places of items whose keys a script may write together.
    pub(super) fn by_slot(&self, items: &[Item<'_>]) -> BTreeMap<Option<u16>, Vec<usize>> {
        let mut places: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            places
                .entry(self.slot_of(&item.key))
                .or_default()
                .push(place);
        }
        places
    }

    /// The slot that a script for a key has to name; `None` where there are no slots.
    pub(super) fn slot_of(&self, key: &[u8]) -> Option<u16> {
        self.store.link.is_cluster().then(|| slot(key))
    }

    /// A call of a script that writes keys of a slot.
    pub(super) fn on_keys(&self, script: &'static KeyScript, slot: Option<u16>) -> Call {
        Call::on_keys(script, &self.store.keys, self.run.lease, slot).counted(&self.ours)
    }

    fn call(&self, slot: Option<u16>, items: &[&Item<'_>]) -> Option<Call> {
        use Direction::{Back, Clean, Forward};
        let op = &items.first()?.step.op;
        let call = |script| self.on_keys(script, slot);
        let on_all = |script| {
            items
                .iter()
                .fold(call(script), |call, item| call.key(item.key.as_slice()))
        };
        Some(match (op, self.direction) {
            (Op::Copy(op), Forward) => self.copy(op, call(&scripts::COPY), items),
            (Op::Copy(_), Back) => self.copied(call(&scripts::UNCOPY), items),
            (Op::Copy(_), Clean) => self.copied(call(&scripts::CLEAN), items),
            (Op::Rename(op), Forward | Back) => {
                let call = call(&scripts::RENAME).arg(named(op.kind));
                items.iter().fold(call, |call, item| {
                    call.key(item.key.as_slice())
                        .key(item.target.as_deref().unwrap_or_default())
                })
            }
            (Op::Set(op), Forward) => self.set(op, on_all(&scripts::SET), items),
            (Op::Set(op), Back) => self.set(op, on_all(&scripts::UNSET), items),
            (Op::RenameField(op), Forward | Back) => on_all(&scripts::FIELDS)
                .arg(flag(self.field_ttls))
                .arg(op.from.as_str())
                .arg(op.to.as_str()),
            (Op::RemoveField(op), Forward) => on_all(&scripts::FIELDS)
                .arg(flag(self.field_ttls))
                .arg(op.field.as_str())
                .arg(""),
            (Op::Expire(op), Forward) => on_all(&scripts::EXPIRY).arg(op.ttl_ms.to_string()),
            (Op::Persist(_), Forward) => on_all(&scripts::EXPIRY).arg(""),
            (Op::Delete(op), Forward) => on_all(&scripts::DELETE).arg(named(op.kind)),
            _ => return None,
        })
    }

    fn copy(&self, op: &Copy, mut call: Call, items: &[&Item<'_>]) -> Call {
        call = call
            .arg(named(op.kind))
            .arg(op.on_conflict.name())
            .arg(op.guards.len().to_string());
        for guard in &op.guards {
            let sign = match guard.must {
                Must::Be => '=',
                Must::NotBe => '!',
            };
            call = call.arg(format!("{sign}{}", guard.field));
        }
        for item in items {
            let (with_keys, digest) = self.pair(call, item);
            call = with_keys.arg(digest.member());
            for value in &item.values {
                call = call.arg(value.as_slice());
            }
        }
        call
    }

    /// About copies that were made: for each its keys and its digest.
    fn copied(&self, call: Call, items: &[&Item<'_>]) -> Call {
        items.iter().fold(call, |call, item| {
            let (call, digest) = self.pair(call, item);
            call.arg(digest.member())
        })
    }

    fn set(&self, op: &Set, call: Call, items: &[&Item<'_>]) -> Call {
        let mut call = call
            .arg(flag(self.field_ttls))
            .arg(flag(op.overwrite))
            .arg(op.fields.len().to_string());
        let fields = op.fields.iter().map(|(field, _)| field.as_bytes());
        let values = items
            .iter()
            .flat_map(|item| item.values.iter().map(Vec::as_slice));
        for part in fields.chain(values) {
            call = call.arg(part);
        }
        call
    }

    /// Adds a copy's source, target and bucket.
    fn pair(&self, call: Call, item: &Item<'_>) -> (Call, SourceDigest) {
        let digest = SourceDigest::of(&item.key);
        let target = item.target.as_deref().unwrap_or_default();
        let bucket = self.bucket(&digest, target);
        let call = call.key(item.key.as_slice()).key(target).key(bucket);
        (call, digest)
    }

    /// The bucket of the record of copies that a target's source is in.
    pub(super) fn bucket(&self, digest: &SourceDigest, target: &[u8]) -> String {
        let number = digest.bucket(self.buckets.unwrap_or(1));
        self.store.keys.bucket(self.id, number, target)
    }
}

/// How a script is told yes or no.
pub(super) fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

/// A type as a script is told it; nothing for any.
pub(super) fn named(kind: Option<KeyType>) -> &'static str {
    kind.map_or("", KeyType::name)
}
