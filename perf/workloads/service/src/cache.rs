//! Rendered pages kept in redis.

use redis::AsyncCommands;
use redis::aio::ConnectionManager;

const KEEP_SECONDS: u64 = 60;

/// A connection to a redis server that is made when it is first used.
pub struct Cache(ConnectionManager);

impl Cache {
    /// Prepares a connection to the server at `address` (`redis://host:port/`).
    pub fn open(address: &str) -> anyhow::Result<Cache> {
        let client = redis::Client::open(address)?;
        Ok(Cache(client.get_connection_manager_lazy(Default::default())?))
    }

    /// The page kept under `name`, if any.
    pub async fn get(&self, name: &str) -> anyhow::Result<Option<String>> {
        Ok(self.0.clone().get(name).await?)
    }

    /// Keeps `page` under `name` for a minute.
    pub async fn put(&self, name: &str, page: &str) -> anyhow::Result<()> {
        let () = self.0.clone().set_ex(name, page, KEEP_SECONDS).await?;
        Ok(())
    }
}
