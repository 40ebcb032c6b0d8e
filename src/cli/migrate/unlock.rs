use clap::Args;

use crate::cli::args::{Format, Globals};
use crate::cli::context::{Target, block_on, store_name};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::prompt;
use crate::model::id::StoreKind;
use crate::render;
use crate::store::redis::Limits;

/// Show who holds the lease, or break a dead run's lease
///
/// Without an id it shows the leases and their ids. One run holds a lease with the same id in each store that it
/// writes to. A lease expires by itself 30 seconds after its holder's last sign of
/// life, so this is seldom needed. A holder whose lease is broken writes nothing more.
#[derive(Debug, Args)]
pub(in crate::cli) struct Unlock {
    /// The id of the lease to break, as `outpost migrate unlock` alone shows it; not the name of a store
    #[arg(value_name = "LEASE_ID")]
    id: Option<String>,

    /// Break it even though its holder is alive
    #[arg(long, requires = "id")]
    force: bool,

    /// Do not ask
    #[arg(long, requires = "id")]
    yes: bool,

    /// How to print the leases
    #[arg(long, default_value = "text")]
    format: Format,
}

impl Unlock {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let target = Target::load(globals, Limits::default())?;
        let leases = block_on(async {
            let mut leases = Vec::new();
            for (kind, store) in target.stores.iter() {
                leases.push((kind, store.lease().await?));
            }
            Ok(leases)
        })?;
        output.print(|out, style| match self.format {
            Format::Text => render::leases(out, style, &leases),
            Format::Json => render::leases_json(out, &leases),
        })?;
        let Some(id) = &self.id else {
            return Ok(Exit::Done);
        };
        let held: Vec<_> = leases
            .iter()
            .filter_map(|(kind, lease)| Some((*kind, lease.as_ref().filter(|l| l.id == *id)?)))
            .collect();
        if held.is_empty() {
            if let Ok(store) = id.parse::<StoreKind>() {
                let held = leases.iter().find(|(kind, _)| *kind == store);
                return Err(CliError::StoreForLease {
                    store,
                    id: held.and_then(|(_, lease)| Some(lease.as_ref()?.id.clone())),
                });
            }
            return Err(match leases.iter().all(|(_, lease)| lease.is_none()) {
                true => CliError::NotLocked {
                    store: leases
                        .iter()
                        .map(|(k, _)| store_name(*k))
                        .collect::<Vec<_>>()
                        .join(" and "),
                },
                false => CliError::UnknownLease(id.clone()),
            });
        }
        if let Some((_, alive)) = held
            .iter()
            .find(|(_, l)| !self.force && l.holder.is_some() && l.being_renewed())
        {
            return Err(CliError::LeaseAlive {
                id: id.clone(),
                holder: alive
                    .holder
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            });
        }
        if !self.yes {
            prompt::confirm(output, "Break this lease?")?;
        }
        block_on(async {
            for (kind, _) in &held {
                if let Some(store) = target.stores.get(*kind) {
                    store.break_lease(id).await?;
                }
            }
            Ok(())
        })?;
        if self.format == Format::Text {
            output.print(|out, style| render::unlocked(out, style, id))?;
        }
        Ok(Exit::Done)
    }
}
