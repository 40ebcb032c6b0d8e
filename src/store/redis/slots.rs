//! Slots of a cluster that are being moved: while one is, a script may find a part of its keys gone.

use std::time::Duration;

use super::RedisStore;
use super::link::Session;
use crate::store::{StoreError, StoreErrorKind};

/// How often is looked whether a move is over, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 120;

impl RedisStore {
    /// Waits until no slot is being moved.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotReady`] where a move does not end within a minute.
    pub(super) async fn refuse_open_slots(&self, session: Session<'_>) -> Result<(), StoreError> {
        let mut look = 1;
        loop {
            let open = self.open_slots(session).await?;
            let Some(first) = open.first() else {
                return Ok(());
            };
            if look == LOOKS {
                return Err(session.error(StoreErrorKind::NotReady {
                    reason: format!(
                        "slot {first} is being moved to another node, and {} others; finish the move first",
                        open.len() - 1
                    ),
                }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
            look += 1;
        }
    }

    /// The slots that some master is giving away or taking over.
    async fn open_slots(&self, session: Session<'_>) -> Result<Vec<u16>, StoreError> {
        let mut open = Vec::new();
        for node in session.masters().await? {
            let nodes: String = session
                .on(&node)
                .query(
                    "asking for the cluster's nodes",
                    redis::cmd("CLUSTER").arg("NODES"),
                )
                .await?;
            open.extend(open_in(&nodes));
        }
        open.sort_unstable();
        open.dedup();
        Ok(open)
    }
}

/// From the answer to CLUSTER NODES: a node tells its own moves as `[slot->-node]` and `[slot-<-node]`.
fn open_in(nodes: &str) -> Vec<u16> {
    nodes
        .lines()
        .filter(|line| line.split(' ').nth(2).is_some_and(|f| f.contains("myself")))
        .flat_map(|line| line.split(' ').skip(8))
        .filter_map(|range| range.strip_prefix('[')?.split('-').next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_read_from_the_line_of_the_node_itself() {
        let nodes = "07c3 127.0.0.1:30004@31004 master - 0 1 4 connected 0-9 [93-<-other]\n\
                     67ed 127.0.0.1:30002@31002 myself,master - 0 1 2 connected 10-20 77 [80->-other] [81-<-other]\n";
        assert_eq!(open_in(nodes), [80, 81]);
        assert_eq!(
            open_in("a b myself,master - 0 0 1 connected 0-5\n"),
            [] as [u16; 0]
        );
    }
}
