//! What is measured.

use clap::ValueEnum;

use super::dataset::{KEYS_PER_TENANT, RECORDS_PER_TENANT};
use super::server::State;

/// A piece of work that the reference and Outpost both do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Job {
    /// redis/0001_hash_tags: every legacy key gets a copy in the new form.
    Copy,
    /// redis/0002_timestamps: two fields of each record become numbers.
    Convert,
    /// redis/0003_entity: each record gets a field.
    Set,
    /// All three, from the legacy keys.
    Together,
}

impl Job {
    /// In the order of the tables.
    pub const ALL: [Self; 4] = [Self::Convert, Self::Set, Self::Copy, Self::Together];

    /// As the command line and the tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Convert => "convert",
            Self::Set => "set",
            Self::Together => "together",
        }
    }

    /// What is there before.
    pub fn before(self) -> State {
        match self {
            Self::Copy | Self::Together => State::Legacy,
            Self::Convert | Self::Set => State::Tagged,
        }
    }

    /// The version of the project that it leads to.
    pub fn version(self) -> &'static str {
        match self {
            Self::Copy => "tags",
            Self::Convert => "times",
            Self::Set => "entity",
            Self::Together => "all",
        }
    }

    /// The keys that it is about; together, the legacy keys.
    pub fn keys(self, tenants: u64) -> u64 {
        match self {
            Self::Copy | Self::Together => tenants * KEYS_PER_TENANT,
            Self::Convert | Self::Set => tenants * RECORDS_PER_TENANT,
        }
    }

    /// The writes that are done at its end, counting a key once for each migration.
    pub fn changes(self, tenants: u64) -> u64 {
        match self {
            Self::Together => [Self::Copy, Self::Convert, Self::Set]
                .iter()
                .map(|job| job.keys(tenants))
                .sum(),
            _ => self.keys(tenants),
        }
    }
}
