//! The keys of a server, page by page, each page already on its way while the one before is worked on.

use super::RedisStore;
use super::link::Session;
use crate::store::StoreError;

/// Keys that the server looks at for one page: more would hold it up for longer, fewer cost round trips.
const COUNT: usize = 200;

/// One answer of SCAN.
pub(super) struct Page {
    /// Where the next page begins; 0 after the last.
    pub(super) cursor: u64,
    /// Keys that match the glob; SCAN may give some of them again.
    pub(super) keys: Vec<Vec<u8>>,
}

impl RedisStore {
    /// The page that begins at a cursor.
    pub(super) async fn page(
        &self,
        session: Session<'_>,
        cursor: u64,
        glob: &[u8],
    ) -> Result<Page, StoreError> {
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor)
            .arg("MATCH")
            .arg(glob)
            .arg("COUNT")
            .arg(COUNT);
        let (cursor, keys) = session.query("scanning keys", &command).await?;
        Ok(Page { cursor, keys })
    }

    /// The page after one, while `work` deals with that one.
    pub(super) async fn page_after<T>(
        &self,
        session: Session<'_>,
        cursor: u64,
        glob: &[u8],
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<(Option<Page>, T), StoreError> {
        if cursor == 0 {
            return Ok((None, work.await?));
        }
        let (page, done) = tokio::join!(self.page(session, cursor, glob), work);
        let done = done?;
        Ok((Some(page?), done))
    }
}
