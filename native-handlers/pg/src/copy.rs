//! `COPY`: bytes into a table and out of one, through bounded channels.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot, Mutex};

use crate::error::{Error, ErrorKind};
use crate::pool::{closed, wait_for, Place, Reply};
use crate::query;

/// Chunks on their way, each direction.
const AHEAD: usize = 8;
/// How large chunks are, about.
const CHUNK: usize = 64 * 1024;

enum Part {
    Data(Bytes),
    End,
}

/// `COPY ... FROM STDIN` that goes on until [`CopyIn::finish`]; dropped before, it is undone.
pub struct CopyIn {
    parts: mpsc::Sender<Part>,
    reply: Reply<u64>,
}

impl CopyIn {
    pub(crate) fn begin(place: &Place, sql: Arc<str>) -> Result<CopyIn, Error> {
        let (running, place) = (place.shared.admit(place.held.is_some())?, place.clone());
        let (parts, receiver) = mpsc::channel(AHEAD);
        let (answer, reply) = oneshot::channel();
        Arc::clone(&place.shared).spawn(async move {
            let result = take_in(&place, &sql, receiver).await;
            if let (Err(error), Some(held)) = (&result, &place.held) {
                held.note_failure(error);
            }
            drop(running);
            let _ = answer.send(result);
        })?;
        Ok(CopyIn { parts, reply: Reply::new(reply) })
    }

    /// Sends a chunk. What this gives says whether the copy still goes on; if not, [`CopyIn::finish`] says why.
    pub fn send(&self, chunk: Bytes) -> impl std::future::Future<Output = bool> + Send + 'static {
        let parts = self.parts.clone();
        async move { parts.send(Part::Data(chunk)).await.is_ok() }
    }

    /// Ends it: how many rows there were.
    pub async fn finish(self) -> Result<u64, Error> {
        let _ = self.parts.send(Part::End).await;
        drop(self.parts);
        self.reply.await
    }

    /// Undoes it, and waits until that has happened.
    pub async fn abort(self) {
        drop(self.parts);
        let _ = self.reply.await;
    }
}

async fn take_in(place: &Place, sql: &str, mut parts: mpsc::Receiver<Part>) -> Result<u64, Error> {
    let lease = place.lease().await?;
    let connection = lease.connection()?;
    let lost = |error: tokio_postgres::Error| Error::from_postgres(&error);
    let copied = async {
        let sink = connection.client.copy_in::<str, Bytes>(sql).await.map_err(lost)?;
        let mut sink = pin!(sink);
        loop {
            match parts.recv().await {
                Some(Part::Data(mut chunk)) => {
                    // The server reads a message to its end before it looks at it.
                    while chunk.len() > CHUNK {
                        sink.feed(chunk.split_to(CHUNK)).await.map_err(lost)?;
                    }
                    sink.feed(chunk).await.map_err(lost)?;
                }
                Some(Part::End) => return sink.as_mut().finish().await.map_err(lost),
                None => return Err(Error::new(ErrorKind::Usage, "the copy was given up before its end")),
            }
        }
    };
    let copied = copied.await;
    if copied.is_err() {
        settle(connection).await;
    }
    lease.release();
    copied
}

/// Waits until a connection is at rest after a statement that has failed.
async fn settle(connection: &crate::connection::Connection) {
    let rest = tokio::time::timeout(Duration::from_secs(2), connection.client.check_connection()).await;
    if !matches!(rest, Ok(Ok(()))) {
        connection.spoil();
    }
}

/// `COPY ... TO STDOUT`, chunk by chunk; dropped before the end, the statement is cancelled.
#[derive(Clone)]
pub struct CopyOut {
    chunks: Arc<Mutex<mpsc::Receiver<Result<Bytes, Error>>>>,
}

impl CopyOut {
    pub(crate) fn begin(place: &Place, sql: Arc<str>) -> Result<CopyOut, Error> {
        let (running, place) = (place.shared.admit(place.held.is_some())?, place.clone());
        let (chunks, receiver) = mpsc::channel(AHEAD);
        Arc::clone(&place.shared).spawn(async move {
            let result = give_out(&place, &sql, &chunks).await;
            drop(running);
            if let Err(error) = result {
                if let Some(held) = &place.held {
                    held.note_failure(&error);
                }
                let _ = chunks.send(Err(error)).await;
            }
        })?;
        Ok(CopyOut { chunks: Arc::new(Mutex::new(receiver)) })
    }

    /// The next chunk; nothing at the end.
    pub async fn next(self) -> Result<Option<Bytes>, Error> {
        self.chunks.lock().await.recv().await.transpose()
    }

    /// The same, but blocks, for `limit` at most; `None` where there is no chunk yet.
    pub fn wait_for(&self, limit: Duration) -> Option<Result<Option<Bytes>, Error>> {
        let next = self.clone().next();
        wait_for(&mut Box::pin(next), limit)
    }
}

async fn give_out(
    place: &Place,
    sql: &str,
    chunks: &mpsc::Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    let lease = tokio::select! {
        biased;
        lease = place.lease() => lease?,
        () = chunks.closed() => return Err(closed()),
    };
    let connection = lease.connection()?;
    let lost = |error: tokio_postgres::Error| Error::from_postgres(&error);
    let work = async {
        let stream = connection.client.copy_out(sql).await.map_err(lost)?;
        let (mut stream, mut chunk) = (pin!(stream), BytesMut::with_capacity(CHUNK + 4096));
        let mut wanted = true;
        while let Some(row) = stream.try_next().await.map_err(lost)? {
            chunk.extend_from_slice(&row);
            if chunk.len() >= CHUNK {
                // What nobody takes any more is read to its end, which a cancelled statement has soon.
                wanted = wanted && chunks.send(Ok(chunk.split().freeze())).await.is_ok();
                chunk.clear();
                chunk.reserve(CHUNK + 4096);
            }
        }
        if !chunk.is_empty() {
            let _ = chunks.send(Ok(chunk.freeze())).await;
        }
        Ok(())
    };
    let result = query::attended(connection, work, chunks.closed(), None).await;
    if matches!(&result, Some(Err(_))) {
        settle(connection).await;
    }
    lease.release();
    result.unwrap_or(Ok(()))
}
