//! One connection, the statements it has prepared, and making one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};

use crate::error::{Error, ErrorKind};
use crate::rows::Columns;
use crate::tls::Tls;

/// A connection. Dropped, it is closed.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) tls: Tls,
    statements: Mutex<Statements>,
    task: JoinHandle<()>,
    /// It is in a state that nobody else shall meet.
    spoilt: AtomicBool,
}

/// A prepared statement.
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    pub(crate) columns: Arc<Columns>,
}

/// Those of one connection, the least recently used of which makes room.
struct Statements {
    by_text: HashMap<Arc<str>, (Arc<Prepared>, u64)>,
    bound: usize,
    clock: u64,
}

impl Statements {
    fn get(&mut self, sql: &str) -> Option<Arc<Prepared>> {
        self.clock += 1;
        let (prepared, used) = self.by_text.get_mut(sql)?;
        *used = self.clock;
        Some(Arc::clone(prepared))
    }

    fn insert(&mut self, sql: Arc<str>, prepared: Arc<Prepared>) {
        if self.by_text.len() >= self.bound {
            // Seldom, and a round trip to the server has just been paid for.
            let oldest =
                self.by_text.iter().min_by_key(|(_, (_, used))| *used).map(|(sql, _)| Arc::clone(sql));
            if let Some(oldest) = oldest {
                self.by_text.remove(&oldest);
            }
        }
        self.by_text.insert(sql, (prepared, self.clock));
    }
}

impl Connection {
    /// The prepared form of a statement.
    pub(crate) async fn prepare(&self, sql: &Arc<str>) -> Result<Arc<Prepared>, Error> {
        if let Some(prepared) = self.statements.lock().get(sql) {
            return Ok(prepared);
        }
        let statement = self.client.prepare(sql).await.map_err(|error| Error::from_postgres(&error))?;
        let columns = Arc::new(Columns::of(statement.columns()));
        let prepared = Arc::new(Prepared { statement, columns });
        self.statements.lock().insert(Arc::clone(sql), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Has a statement prepared anew the next time: what it is about has changed.
    pub(crate) fn forget(&self, sql: &str) {
        self.statements.lock().by_text.remove(sql);
        self.client.clear_type_cache();
    }

    /// Has it closed in place of being used again.
    pub(crate) fn spoil(&self) {
        self.spoilt.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.spoilt.load(Ordering::Relaxed) && !self.client.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closes the socket, whatever the server still sends.
        self.task.abort();
    }
}

/// Makes connections for the pool.
pub(crate) struct Manager {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: Tls,
    pub(crate) place: String,
    pub(crate) statement_cache: usize,
    pub(crate) connect_timeout: Duration,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let connecting = tokio::time::timeout(self.connect_timeout, self.config.connect(self.tls.clone()));
        let (client, connection) = match connecting.await {
            Ok(connected) => connected.map_err(|error| Error::connecting(&error, &self.place))?,
            Err(_) => {
                let what = format!("no connection to {} within {:?}", self.place, self.connect_timeout);
                return Err(Error::new(ErrorKind::Unavailable, what));
            }
        };
        let place = self.place.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = Error::from_postgres(&error);
                tracing::warn!(target: "bimetal::pg", "a connection to {place} ended: {error}");
            }
        });
        let statements = Statements { by_text: HashMap::new(), bound: self.statement_cache, clock: 0 };
        Ok(Connection {
            client,
            tls: self.tls.clone(),
            statements: Mutex::new(statements),
            task,
            spoilt: AtomicBool::new(false),
        })
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        if connection.is_usable() {
            Ok(())
        } else {
            Err(RecycleError::Backend(Error::new(ErrorKind::Unavailable, "the connection has ended")))
        }
    }
}
