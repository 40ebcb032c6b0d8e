//! The keys of all masters, side by side, page by page: pages are worked on while the next ones are on
//! their way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, poll_fn, try_join_all};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use redis::Value;

use super::RedisStore;
use super::link::{Node, Session};
use super::pace;
use crate::store::{StoreError, StoreErrorKind};

/// Keys that the server looks at for one answer: more would hold it up for longer, fewer cost round trips.
const COUNT: usize = 200;
/// Keys that are worked on together, if there are so many: each batch costs the server something of its own, and
/// more at once would keep the client from sending the next batch in time.
const WORTH_WORKING: usize = 200;
/// Walks that a topology may spoil before the keys are given up on.
const WALKS: u32 = 5;

/// One answer of SCAN.
pub(super) struct Page {
    /// Where the next page begins; 0 after the last.
    cursor: u64,
    /// Keys that match the glob; SCAN may give some of them again.
    keys: Vec<Vec<u8>>,
    /// How often the walk had begun anew by then.
    beginnings: u32,
}

/// Where a walk is on one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) node: Node,
    /// The run of the server that the cursor belongs to, where the user may ask for it.
    pub(super) run_id: Option<String>,
    /// Every key before it was worked on; 0 at the beginning, and again at the end.
    pub(super) cursor: u64,
    pub(super) ended: bool,
    /// How often the walk began anew here.
    beginnings: u32,
    /// The state of the connections that the run id was asked on.
    generation: u64,
}

/// What is done with the keys of a page.
pub(super) type Work<'w> =
    dyn Fn(Vec<Vec<u8>>) -> BoxFuture<'w, Result<(), StoreError>> + Send + Sync + 'w;
/// What is done when all pages up to a place were worked on.
pub(super) type Reached<'w> = dyn Fn() -> BoxFuture<'w, Result<(), StoreError>> + Send + Sync + 'w;

/// One walk over all keys.
pub(super) struct Walk {
    glob: Vec<u8>,
    positions: Mutex<BTreeMap<Node, Position>>,
    /// Whether a master came, went or began anew, so that keys may have been missed.
    disturbed: AtomicBool,
    /// How long an answer takes from a server that has nothing to do.
    pub(super) way: Duration,
}

impl Walk {
    /// Where the walk is on every master.
    pub(super) fn positions(&self) -> Vec<Position> {
        self.lock().values().cloned().collect()
    }

    /// Whether keys may have been missed.
    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Node, Position>> {
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a walk over one master waits for.
enum Next {
    /// The next page; none where the node is no master any more.
    Page(Option<Page>),
    /// A page was worked on: where the next one begins, and how often the walk had begun anew.
    Worked((u64, u32)),
    /// How far the walk is was told.
    Told,
    /// There is nothing left to wait for.
    End,
}

/// Polls what may not be there.
fn poll<T>(future: &mut Option<BoxFuture<'_, T>>, context: &mut Context<'_>) -> Option<Poll<T>> {
    Some(future.as_mut()?.as_mut().poll(context))
}

/// Asks for page after page, beginning with the one at the cursor `from`; works on as many as `most` at a time; and
/// tells how far it is.
async fn side_by_side<'a, 'w, 'r>(
    most: usize,
    from: u64,
    ask: impl Fn(u64) -> BoxFuture<'a, Result<Option<Page>, StoreError>>,
    work: &Work<'w>,
    mark: impl Fn((u64, u32)),
    reached: &Reached<'r>,
) -> Result<(), StoreError> {
    let mut cursor = Some(from);
    let mut under_way: FuturesOrdered<BoxFuture<'_, Result<(u64, u32), StoreError>>> =
        FuturesOrdered::new();
    // One page more lies ready, so that the server has work also while the next one is asked for.
    let mut ready: Option<Page> = None;
    let mut asked: Option<BoxFuture<'_, Result<Option<Page>, StoreError>>> = None;
    let mut telling: Option<BoxFuture<'_, Result<(), StoreError>>> = None;
    let mut untold = false;
    loop {
        if under_way.len() < most
            && let Some(page) = ready.take()
        {
            let place = (page.cursor, page.beginnings);
            let work = work(page.keys);
            under_way.push_back(Box::pin(async move { work.await.map(|()| place) }));
        }
        if let (None, None, Some(from)) = (&ready, &asked, cursor) {
            asked = Some(ask(from));
        }
        if untold && telling.is_none() {
            untold = false;
            telling = Some(reached());
        }
        // All of them go on while any is waited for. One that was left alone might hold, or be next in line
        // for, the connection that the others are waiting for.
        let next = poll_fn(|context| {
            if let Some(Poll::Ready(told)) = poll(&mut telling, context) {
                return Poll::Ready(told.map(|()| Next::Told));
            }
            if let Some(Poll::Ready(page)) = poll(&mut asked, context) {
                return Poll::Ready(page.map(Next::Page));
            }
            match under_way.poll_next_unpin(context) {
                Poll::Ready(Some(worked)) => Poll::Ready(worked.map(Next::Worked)),
                Poll::Ready(None) if asked.is_none() && telling.is_none() => {
                    Poll::Ready(Ok(Next::End))
                }
                _ => Poll::Pending,
            }
        });
        match next.await? {
            Next::Page(page) => {
                asked = None;
                let next = page.as_ref().map_or(0, |page| page.cursor);
                cursor = (next != 0).then_some(next);
                ready = page;
            }
            Next::Worked(place) => {
                mark(place);
                untold = true;
            }
            Next::Told => telling = None,
            Next::End => return Ok(()),
        }
    }
}

impl RedisStore {
    /// Gets ready to walk over all keys that match a glob. `cursors` are those of an earlier walk, by the
    /// run of the server that gave them.
    pub(super) async fn walk(
        &self,
        session: Session<'_>,
        glob: Vec<u8>,
        cursors: &BTreeMap<String, u64>,
    ) -> Result<Walk, StoreError> {
        let generation = self.link.generation();
        let mut positions = BTreeMap::new();
        let mut way = Duration::MAX;
        for node in session.masters().await? {
            let here = session.on(&node);
            let run_id = self.run_id(here).await?;
            let cursor = run_id.as_ref().and_then(|run_id| cursors.get(run_id));
            let position = Position {
                node: node.clone(),
                cursor: cursor.copied().unwrap_or_default(),
                run_id,
                ended: false,
                beginnings: 0,
                generation,
            };
            for _ in 0..3 {
                let sent = Instant::now();
                here.query::<Value>("asking for an answer", &redis::cmd("PING"))
                    .await?;
                way = way.min(sent.elapsed());
            }
            positions.insert(node, position);
        }
        Ok(Walk {
            glob,
            positions: Mutex::new(positions),
            disturbed: AtomicBool::new(false),
            way,
        })
    }

    /// Walks over all masters, side by side.
    pub(super) async fn go(
        &self,
        session: Session<'_>,
        walk: &Walk,
        work: &Work<'_>,
        reached: &Reached<'_>,
    ) -> Result<(), StoreError> {
        let before = self.link.known_topology().await;
        let positions = walk.positions();
        let mut masters: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
        for position in &positions {
            masters.push(Box::pin(
                self.go_one(session, walk, position, work, reached),
            ));
        }
        try_join_all(masters).await?;
        if self.link.is_cluster() {
            // Slots may have moved without a single one of our requests being redirected.
            self.link.forget_topology().await;
            session.masters().await?;
            if self.link.known_topology().await != before {
                walk.disturbed.store(true, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// Walks over all keys, again where the topology changed meanwhile. `reset` forgets what was counted.
    pub(super) async fn go_undisturbed(
        &self,
        session: Session<'_>,
        glob: Vec<u8>,
        work: &Work<'_>,
        reset: &(dyn Fn() + Send + Sync),
    ) -> Result<(), StoreError> {
        for _ in 0..WALKS {
            let walk = self.walk(session, glob.clone(), &BTreeMap::new()).await?;
            self.go(session, &walk, work, &|| Box::pin(async { Ok(()) }))
                .await?;
            if !walk.is_disturbed() {
                return Ok(());
            }
            reset();
        }
        Err(session.error(StoreErrorKind::NotReady {
            reason: "the servers changed each time that all keys were read".to_owned(),
        }))
    }

    /// The first answers of SCAN of each master, one after the other.
    pub(super) async fn first_pages(
        &self,
        session: Session<'_>,
        glob: Vec<u8>,
        pages: usize,
        mut take: impl FnMut(&[Vec<u8>]) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let walk = self.walk(session, glob, &BTreeMap::new()).await?;
        for Position { node, .. } in walk.positions() {
            let mut cursor = 0;
            for _ in 0..pages {
                let page = self.page(session, &walk, &node, cursor, 0).await?;
                let Some(page) = page else { break };
                take(&page.keys)?;
                cursor = page.cursor;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn go_one(
        &self,
        session: Session<'_>,
        walk: &Walk,
        position: &Position,
        work: &Work<'_>,
        reached: &Reached<'_>,
    ) -> Result<(), StoreError> {
        let node = &position.node;
        side_by_side(
            pace::under_way(walk.way),
            position.cursor,
            |from| Box::pin(self.next_page(session, walk, node, from)),
            work,
            |place| self.mark(walk, node, place),
            reached,
        )
        .await
    }

    /// Says that all pages up to a cursor were worked on. One from before the walk began anew says nothing
    /// of where it is now.
    fn mark(&self, walk: &Walk, node: &Node, (cursor, beginnings): (u64, u32)) {
        if let Some(position) = walk.lock().get_mut(node)
            && position.beginnings == beginnings
        {
            position.cursor = cursor;
            position.ended = cursor == 0;
        }
    }

    /// The next keys, out of as many answers as it takes to be worth a batch; `None` where the node is no
    /// master any more.
    async fn next_page(
        &self,
        session: Session<'_>,
        walk: &Walk,
        node: &Node,
        mut cursor: u64,
    ) -> Result<Option<Page>, StoreError> {
        let mut gathered: Option<Page> = None;
        loop {
            let beginnings;
            (cursor, beginnings) = self.still_valid(session, walk, node, cursor).await;
            let page = self.page(session, walk, node, cursor, beginnings).await?;
            let Some(mut page) = page else {
                return Ok(gathered);
            };
            if let Some(before) = gathered {
                page.keys.splice(0..0, before.keys);
            }
            if page.cursor == 0 || page.keys.len() >= WORTH_WORKING {
                return Ok(Some(page));
            }
            cursor = page.cursor;
            gathered = Some(page);
        }
    }

    /// The page that begins at a cursor; `None` where the node is no master any more.
    async fn page(
        &self,
        session: Session<'_>,
        walk: &Walk,
        node: &Node,
        cursor: u64,
        beginnings: u32,
    ) -> Result<Option<Page>, StoreError> {
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor)
            .arg("MATCH")
            .arg(walk.glob.as_slice())
            .arg("COUNT")
            .arg(COUNT);
        match session.on(node).query("scanning keys", &command).await {
            Ok((cursor, keys)) => Ok(Some(Page {
                cursor,
                keys,
                beginnings,
            })),
            Err(error) => {
                // Its keys are where the slots are now; another walk meets them there.
                if self.link.is_single() || session.masters().await?.contains(node) {
                    return Err(error);
                }
                walk.disturbed.store(true, Ordering::SeqCst);
                Ok(None)
            }
        }
    }

    /// The cursor, or the beginning where it belongs to an earlier run of the server: another run orders its
    /// keys otherwise, so going on would miss some. With it, how often the walk began anew.
    async fn still_valid(
        &self,
        session: Session<'_>,
        walk: &Walk,
        node: &Node,
        cursor: u64,
    ) -> (u64, u32) {
        let generation = self.link.generation();
        let known = walk.lock().get(node).cloned();
        let Some(known) = known else {
            return (cursor, 0);
        };
        if generation == known.generation || cursor == 0 {
            return (cursor, known.beginnings);
        }
        let Ok(run_id) = self.run_id(session.on(node)).await else {
            // Why it does not answer is found out by asking for the page.
            return (cursor, known.beginnings);
        };
        let same = run_id.is_some() && run_id == known.run_id;
        let mut positions = walk.lock();
        if let Some(position) = positions.get_mut(node) {
            position.generation = generation;
            if !same {
                position.run_id = run_id;
                position.cursor = 0;
                position.beginnings += 1;
                return (0, position.beginnings);
            }
        }
        (cursor, known.beginnings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::sync::Arc;

    use tokio::sync::Mutex as Connection;

    use super::*;

    /// What takes a while and needs the one connection for it, as to make it anew does.
    async fn hold(connection: &Connection<()>) {
        let _held = connection.lock().await;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn u34_nothing_waits_for_a_connection_that_is_held_by_what_nobody_polls() {
        const PAGES: u64 = 50;
        for most in 1..4 {
            let connection = Arc::new(Connection::new(()));
            let marks = Mutex::new(Vec::new());
            let told = std::sync::atomic::AtomicU32::new(0);
            let ask = |from: u64| -> BoxFuture<'_, Result<Option<Page>, StoreError>> {
                let connection = connection.clone();
                Box::pin(async move {
                    hold(&connection).await;
                    let cursor = (from + 1) % PAGES;
                    Ok(Some(Page {
                        cursor,
                        keys: Vec::new(),
                        beginnings: 0,
                    }))
                })
            };
            let work = |_| -> BoxFuture<'_, Result<(), StoreError>> {
                let connection = connection.clone();
                Box::pin(async move {
                    hold(&connection).await;
                    Ok(())
                })
            };
            let reached = || -> BoxFuture<'_, Result<(), StoreError>> {
                let connection = connection.clone();
                let told = &told;
                Box::pin(async move {
                    hold(&connection).await;
                    told.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            let all = side_by_side(
                most,
                0,
                ask,
                &work,
                |place| marks.lock().unwrap().push(place.0),
                &reached,
            );
            tokio::time::timeout(Duration::from_secs(60), all)
                .await
                .expect("nothing went on")
                .unwrap();
            // Every page in its order, and the last one was told.
            let expected: Vec<u64> = (1..=PAGES).map(|page| page % PAGES).collect();
            assert_eq!(*marks.lock().unwrap(), expected);
            assert!(told.load(Ordering::Relaxed) > 0);
        }
    }
}
