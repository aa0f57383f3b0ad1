//! Transactions: a connection held from `BEGIN` to its end; savepoints within.

use std::sync::Arc;

use deadpool::managed::Object;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::connection::Manager;
use crate::copy::{CopyIn, CopyOut};
use crate::error::{Error, ErrorKind};
use crate::pool::{closed, give_back, Place, Pool, Reply, Running};
use crate::query::GRACE;
use crate::rows::Rows;
use crate::value::Value;

/// What a transaction begins with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Begin {
    /// `SERIALIZABLE`, `REPEATABLE READ`, `READ COMMITTED`, or the server's default.
    pub isolation: Option<&'static str>,
    /// It changes nothing.
    pub read_only: bool,
    /// It waits until it can run without being disturbed; with `SERIALIZABLE` and `read_only`.
    pub deferrable: bool,
}

/// The connection of a transaction. Dropped before the end, it is closed, and the server rolls back.
pub(crate) struct Held {
    pub(crate) object: Arc<tokio::sync::Mutex<Option<Object<Manager>>>>,
    /// The first statement that failed since the transaction, or its last savepoint that was rolled back, began.
    failure: Mutex<Option<String>>,
    /// It counts as running until it is over, whoever still has a reference to it.
    running: Mutex<Option<Running>>,
}

impl Held {
    pub(crate) fn note_failure(&self, error: &Error) {
        if error.kind() == ErrorKind::Database {
            self.failure.lock().get_or_insert_with(|| error.to_string());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A job that runs has a reference of its own.
        if let Ok(mut object) = self.object.try_lock() {
            if let Some(object) = object.take() {
                drop(Object::take(object));
            }
        }
    }
}

/// A transaction, or a savepoint within one.
pub struct Transaction {
    place: Place,
    /// 0, or the number of the savepoint.
    level: usize,
}

impl Pool {
    /// Begins a transaction on a connection that is free.
    pub fn begin(&self, begin: Begin) -> Result<Reply<Transaction>, Error> {
        let mut sql = String::from("BEGIN");
        if let Some(isolation) = begin.isolation {
            sql.push_str(" ISOLATION LEVEL ");
            sql.push_str(isolation);
        }
        if begin.read_only {
            sql.push_str(" READ ONLY");
        }
        if begin.deferrable {
            sql.push_str(" DEFERRABLE");
        }
        let shared = Arc::clone(&self.place().shared);
        let running = shared.admit(false)?;
        let (mut answer, reply) = oneshot::channel();
        let place_shared = Arc::clone(&shared);
        shared.spawn(async move {
            let begun = async {
                let object = place_shared.checkout().await?;
                // Closed where this is given up, or fails.
                let held = Held {
                    object: Arc::new(tokio::sync::Mutex::new(Some(object))),
                    failure: Mutex::new(None),
                    running: Mutex::new(Some(running)),
                };
                {
                    let object = held.object.lock().await;
                    let connection = object.as_ref().ok_or_else(closed)?;
                    connection
                        .client
                        .batch_execute(&sql)
                        .await
                        .map_err(|error| Error::from_postgres(&error))?;
                }
                let place = Place { shared: Arc::clone(&place_shared), held: Some(Arc::new(held)) };
                Ok::<_, Error>(Transaction { place, level: 0 })
            };
            let begun = tokio::select! {
                begun = begun => begun,
                () = answer.closed() => return,
            };
            let _ = answer.send(begun);
        })?;
        Ok(Reply::new(reply))
    }

    /// Begins `COPY ... FROM STDIN`.
    pub fn copy_in(&self, sql: Arc<str>) -> Result<CopyIn, Error> {
        CopyIn::begin(self.place(), sql)
    }

    /// Begins `COPY ... TO STDOUT`.
    pub fn copy_out(&self, sql: Arc<str>) -> Result<CopyOut, Error> {
        CopyOut::begin(self.place(), sql)
    }
}

impl Transaction {
    /// As [`Pool::query`], on the connection of the transaction.
    pub fn query<T: Send + 'static>(
        &self,
        sql: Arc<str>,
        arguments: Vec<Value>,
        finish: fn(Rows) -> Result<T, Error>,
    ) -> Result<Reply<T>, Error> {
        self.place.query(sql, arguments, finish)
    }

    /// As [`Pool::copy_in`].
    pub fn copy_in(&self, sql: Arc<str>) -> Result<CopyIn, Error> {
        CopyIn::begin(&self.place, sql)
    }

    /// As [`Pool::copy_out`].
    pub fn copy_out(&self, sql: Arc<str>) -> Result<CopyOut, Error> {
        CopyOut::begin(&self.place, sql)
    }

    /// A savepoint.
    pub fn savepoint(&self) -> Result<Reply<Transaction>, Error> {
        let (place, level) = (self.place.clone(), self.level + 1);
        self.control(format!("SAVEPOINT bimetal_{level}"), End::Goes, move || Transaction { place, level })
    }

    /// Makes what it has done last. A transaction in which a statement has failed is rolled back, and that is an error.
    pub fn commit(&self) -> Result<Reply<()>, Error> {
        if let Some(failure) = self.failure() {
            let refused = Error::new(
                ErrorKind::Usage,
                format!("the transaction is rolled back, because a statement in it has failed: {failure}"),
            );
            return self.end(self.undo(), End::After(Some(refused)));
        }
        match self.level {
            0 => self.end("COMMIT".into(), End::After(None)),
            level => self.end(format!("RELEASE SAVEPOINT bimetal_{level}"), End::Goes),
        }
    }

    /// Undoes what it has done.
    pub fn rollback(&self) -> Result<Reply<()>, Error> {
        let end = if self.level == 0 { End::After(None) } else { End::Goes };
        self.end(self.undo(), end)
    }

    fn failure(&self) -> Option<String> {
        self.place.held.as_ref().and_then(|held| held.failure.lock().clone())
    }

    fn undo(&self) -> String {
        match self.level {
            0 => "ROLLBACK".into(),
            level => format!("ROLLBACK TO SAVEPOINT bimetal_{level}; RELEASE SAVEPOINT bimetal_{level}"),
        }
    }

    fn end(&self, sql: String, end: End) -> Result<Reply<()>, Error> {
        self.control(sql, end, || ())
    }

    /// Runs a statement that begins or ends something. It is run to its end, whoever waits for it.
    fn control<T: Send + 'static>(
        &self,
        sql: String,
        end: End,
        made: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Reply<T>, Error> {
        let (shared, held) = (Arc::clone(&self.place.shared), self.place.held.clone().ok_or_else(closed)?);
        let running = shared.admit(true)?;
        let is_outermost = self.level == 0;
        let limit = shared.config.statement_timeout.map(|limit| limit + GRACE);
        let (answer, reply) = oneshot::channel();
        shared.spawn(async move {
            let mut object = held.object.lock().await;
            let result = match object.as_ref() {
                None => Err(Error::new(ErrorKind::Usage, "the transaction is over")),
                Some(connection) => {
                    let work = async {
                        connection
                            .client
                            .batch_execute(&sql)
                            .await
                            .map_err(|error| Error::from_postgres(&error))
                    };
                    let done = match limit {
                        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                            Err(Error::new(ErrorKind::Unavailable, "PostgreSQL has not answered in time"))
                        }),
                        None => work.await,
                    };
                    if done.is_err() && is_outermost {
                        connection.spoil();
                    }
                    done
                }
            };
            if sql.starts_with("ROLLBACK") && result.is_ok() {
                *held.failure.lock() = None;
            }
            let result = match end {
                End::Goes => result,
                End::After(refused) => {
                    if is_outermost {
                        if let Some(object) = object.take() {
                            give_back(object);
                        }
                        held.running.lock().take();
                    }
                    result.and_then(|()| refused.map_or(Ok(()), Err))
                }
            };
            drop(object);
            drop((held, running));
            let _ = answer.send(result.map(|()| made()));
        })?;
        Ok(Reply::new(reply))
    }
}

/// What becomes of a transaction after a statement.
enum End {
    /// It goes on.
    Goes,
    /// It is over, with that error in place of success.
    After(Option<Error>),
}
