//! Clients' numbers in a Redis, for servers on several machines.
//!
//! One thread of the process has the connection; I/O workers send it what they ask and wait for the answer, but not for long. What many ask
//! at a time goes to Redis together. While Redis does not answer, nobody waits for it: the thread looks after it, and workers
//! are told at once.
//!
//! The connection is made anew here, and not by the library's manager: a command that is given to that one while Redis is gone waits until it is back,
//! and a Redis that hangs is one that is there.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{mpsc as blocking, Arc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind as RedisErrorKind, Pipeline, RedisError, Script, ServerErrorKind,
};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::key::is_said;
use super::rate::GRAIN;
use super::{Rate, Standing, Table};
use crate::{Error, ErrorKind};

const TAKE: &str = include_str!("take.lua");

/// Questions that may wait to be sent; beyond, Redis counts as slow.
const WAITING: usize = 8192;

/// Questions that go out together, and how many such batches may be on their way.
const BATCH: usize = 128;
const ON_THEIR_WAY: usize = 16;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(2);

/// Batches in a row that come too late, after which Redis is given up for now.
const TOO_LATE: u32 = 3;

/// How long it is left alone then, at first and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A timer of tokio's fires within the millisecond after its time.
const TICK: Duration = Duration::from_millis(1);

/// What becomes of requests while Redis does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// They are held to the same rate by this process, or by this machine, alone.
    Open,
    /// They are refused.
    Closed,
}

/// Which Redis, and how it is used.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS, `unix:///path` for a Unix socket.
    pub url: String,
    /// What all keys begin with.
    pub prefix: String,
    /// How long a request waits for Redis.
    pub timeout: Duration,
    /// What becomes of requests while Redis does not answer.
    pub on_error: OnError,
    /// Whether it has to answer at the start.
    pub required: bool,
}

/// Clients' numbers in a Redis. [`close`](RedisStore::close) ends its thread.
pub struct RedisStore {
    prefix: String,
    patience: Duration,
    on_error: OnError,
    /// What Redis has last said of the clients, for as long as it says nothing.
    local: Arc<Table>,
    asks: mpsc::Sender<Ask>,
    state: Arc<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and the workers both know.
#[derive(Default)]
struct State {
    up: AtomicBool,
    unanswered: AtomicU64,
    closed: CancellationToken,
}

/// A question.
struct Ask {
    key: String,
    cost: f64,
    tolerance: f64,
    reply: oneshot::Sender<Standing>,
}

impl RedisStore {
    /// Connects; on a thread that may block. Where Redis does not answer, clients are counted in `local`.
    ///
    /// # Errors
    ///
    /// Of kind `Config`, where the URL is none of a Redis, and where Redis is `required` and does not answer within two seconds. It names
    /// the URL, without its password.
    pub fn connect(options: RedisOptions, local: Arc<Table>) -> Result<RedisStore, Error> {
        let shown = without_secrets(&options.url);
        let failed = |why: String| {
            Error::new(ErrorKind::Config, format!("rate limits: the Redis at {shown} cannot be used: {why}"))
        };
        let client = Client::open(options.url.as_str()).map_err(|error| {
            failed(format!("{error}; write it like redis://user:password@host:6379/0, rediss:// for TLS"))
        })?;
        let (asks, asked) = mpsc::channel(WAITING);
        let state = Arc::<State>::default();
        let line = Line {
            client,
            shown: shown.clone(),
            script: Script::new(TAKE),
            patience: options.timeout,
            state: Arc::clone(&state),
        };
        let (started, outcome) = blocking::channel();
        let required = options.required;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let thread = runtime.and_then(|runtime| {
            let work = move || runtime.block_on(line.serve(asked, started));
            thread::Builder::new().name("bimetal-limits".to_owned()).spawn(work)
        });
        let thread = thread.map_err(|error| failed(format!("cannot start a thread: {error}")))?;
        let store = RedisStore {
            prefix: options.prefix,
            patience: options.timeout.saturating_sub(TICK).max(TICK),
            on_error: options.on_error,
            local,
            asks,
            state,
            thread: Mutex::new(Some(thread)),
        };
        let outcome = outcome.recv().unwrap_or_else(|_| Err("its thread has ended".to_owned()));
        if let (Err(why), true) = (outcome, required) {
            store.close();
            return Err(failed(format!(
                "{why}; start it, correct the URL, or let the server start without it (required=False)"
            )));
        }
        Ok(store)
    }

    /// Decides on a request of the client `who` of the limit `scope`. `None` where nobody can tell.
    pub(crate) async fn take(&self, rate: &Rate, scope: &str, who: &[u8]) -> Option<Standing> {
        let client = self.local.hash(scope, who);
        if let Some(standing) = self.ask(rate, scope, who).await {
            self.local.note(client, standing.owed);
            return Some(standing);
        }
        self.state.unanswered.fetch_add(1, Ordering::Relaxed);
        match self.on_error {
            OnError::Open => Some(self.local.take(rate, client)),
            OnError::Closed => None,
        }
    }

    async fn ask(&self, rate: &Rate, scope: &str, who: &[u8]) -> Option<Standing> {
        if !self.is_up() {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let key = self.key(scope, who);
        let microseconds = |duration: Duration| duration.as_nanos() as f64 / 1000.0;
        let (cost, tolerance) = (microseconds(rate.interval()), microseconds(rate.window()));
        self.asks.try_send(Ask { key, cost, tolerance, reply }).ok()?;
        timeout(self.patience, answer).await.ok()?.ok()
    }

    /// What a client is called in Redis. What it has said of itself may be a secret.
    fn key(&self, scope: &str, who: &[u8]) -> String {
        // Braces would say which part of the key a cluster goes by.
        let mut key = format!("{}:{}:", self.prefix, scope.replace('{', "<").replace('}', ">"));
        if is_said(who) {
            for byte in &Sha256::digest(who)[..16] {
                // A String takes all that is written.
                let _ = write!(key, "{byte:02x}");
            }
        } else {
            key.push_str(&String::from_utf8_lossy(who));
        }
        key
    }

    /// Whether Redis answers.
    pub fn is_up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed)
    }

    /// Requests that Redis has not decided on, since the start.
    pub fn unanswered(&self) -> u64 {
        self.state.unanswered.load(Ordering::Relaxed)
    }

    /// Ends the connection and its thread; on a thread that may block.
    pub fn close(&self) {
        self.state.closed.cancel();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            if thread.join().is_err() {
                tracing::error!(target: "bimetal::limit", "the thread of the rate limits has panicked");
            }
        }
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        // Perhaps on an I/O worker, which waits for nobody.
        self.state.closed.cancel();
    }
}

/// The thread's side.
struct Line {
    client: Client,
    shown: String,
    script: Script,
    patience: Duration,
    state: Arc<State>,
}

impl Line {
    /// Answers what is `asked` until the store is closed. `started` hears how the first try to connect has ended.
    async fn serve(self, mut asked: mpsc::Receiver<Ask>, started: blocking::Sender<Result<(), String>>) {
        let closed = self.state.closed.clone();
        tokio::select! {
            () = closed.cancelled() => {}
            () = self.connections(&mut asked, started) => {}
        }
        self.state.up.store(false, Ordering::Relaxed);
    }

    async fn connections(
        &self,
        asked: &mut mpsc::Receiver<Ask>,
        started: blocking::Sender<Result<(), String>>,
    ) {
        let (mut started, mut pause, mut told) = (Some(started), PAUSE, false);
        loop {
            let why = match self.connect().await {
                Ok(connection) => {
                    self.state.up.store(true, Ordering::Relaxed);
                    if let Some(started) = started.take() {
                        let _ = started.send(Ok(()));
                    }
                    if std::mem::take(&mut told) {
                        tracing::info!(target: "bimetal::limit", redis = %self.shown, "Redis answers again");
                    }
                    pause = PAUSE;
                    let Err(why) = self.exchange(connection, asked).await else { return };
                    why
                }
                Err(why) => why,
            };
            self.state.up.store(false, Ordering::Relaxed);
            if let Some(started) = started.take() {
                let _ = started.send(Err(why.clone()));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    target: "bimetal::limit", redis = %self.shown,
                    "Redis does not answer, rate limits are kept without it: {why}"
                );
            }
            // Whoever has asked meanwhile hears that there is no answer.
            while asked.try_recv().is_ok() {}
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection that knows the script and answers in time.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let ready = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            self.script.load_async(&mut connection).await?;
            Ok(connection)
        };
        let connected: Result<MultiplexedConnection, RedisError> = match timeout(CONNECTING, ready).await {
            Ok(connected) => connected,
            Err(_) => return Err(format!("no answer within {} s", CONNECTING.as_secs())),
        };
        let mut connection = connected.map_err(|error| error.to_string())?;
        // One that is only slow would be given up again at once.
        let ping = redis::cmd("PING");
        for _ in 0..TOO_LATE {
            if let Ok(answered) = timeout(self.patience, ping.exec_async(&mut connection)).await {
                return answered.map(|()| connection).map_err(|error| error.to_string());
            }
        }
        Err(self.slow())
    }

    fn slow(&self) -> String {
        format!("no answer within {} ms, {TOO_LATE} times in a row", self.patience.as_millis())
    }

    /// Passes questions and answers on until the connection is no good any more, and says why; `Ok` when nobody asks any more.
    async fn exchange(
        &self,
        connection: MultiplexedConnection,
        asked: &mut mpsc::Receiver<Ask>,
    ) -> Result<(), String> {
        let mut on_their_way = JoinSet::new();
        let (mut batch, mut late) = (Vec::new(), 0);
        loop {
            tokio::select! {
                count = asked.recv_many(&mut batch, BATCH), if on_their_way.len() < ON_THEIR_WAY => {
                    if count == 0 {
                        return Ok(());
                    }
                    // Who does not wait any more must not be counted for it.
                    batch.retain(|ask| !ask.reply.is_closed());
                    if batch.is_empty() {
                        continue;
                    }
                    let (connection, script) = (connection.clone(), self.script.clone());
                    let answers = answer(connection, script, std::mem::take(&mut batch));
                    on_their_way.spawn(timeout(self.patience, answers));
                }
                Some(answered) = on_their_way.join_next() => match answered {
                    Ok(Ok(Ok(()))) => late = 0,
                    Ok(Ok(Err(error))) => return Err(error.to_string()),
                    Ok(Err(_)) => {
                        late += 1;
                        if late == TOO_LATE {
                            return Err(self.slow());
                        }
                    }
                    Err(error) => return Err(error.to_string()),
                },
            }
        }
    }
}

/// Has Redis decide on a batch.
async fn answer(
    mut connection: MultiplexedConnection,
    script: Script,
    batch: Vec<Ask>,
) -> Result<(), RedisError> {
    let (left, failure) = decide(&mut connection, &script, batch).await?;
    if left.is_empty() {
        return failure.map_or(Ok(()), Err);
    }
    // Its scripts have been flushed.
    script.load_async(&mut connection).await?;
    let (_, failure) = decide(&mut connection, &script, left).await?;
    failure.map_or(Ok(()), Err)
}

/// Passes on what Redis says. Gives back the questions for which it does not know the script, and the last of its complaints.
async fn decide(
    connection: &mut MultiplexedConnection,
    script: &Script,
    batch: Vec<Ask>,
) -> Result<(Vec<Ask>, Option<RedisError>), RedisError> {
    let mut pipeline = Pipeline::with_capacity(batch.len());
    for ask in &batch {
        let pipeline = pipeline.cmd("EVALSHA").arg(script.get_hash()).arg(1);
        pipeline.arg(&ask.key).arg(ask.cost).arg(ask.tolerance);
    }
    pipeline.ignore_errors();
    let answers: Vec<Result<(bool, u64), RedisError>> = pipeline.query_async(connection).await?;
    let (mut left, mut failure) = (Vec::new(), None);
    for (ask, answer) in batch.into_iter().zip(answers) {
        match answer {
            Ok((allowed, eighths)) => {
                let _ = ask.reply.send(Standing { allowed, owed: eighths.saturating_mul(GRAIN) });
            }
            Err(error) => {
                if error.kind() == RedisErrorKind::Server(ServerErrorKind::NoScript) {
                    left.push(ask);
                }
                failure = Some(error);
            }
        }
    }
    Ok((left, failure))
}

/// A URL as it may be shown.
fn without_secrets(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}***{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{without_secrets, OnError, RedisOptions, RedisStore};
    use crate::limit::Table;

    fn connect(url: &str) -> Result<RedisStore, String> {
        let options = RedisOptions {
            url: url.to_owned(),
            prefix: "test".to_owned(),
            timeout: Duration::from_millis(5),
            on_error: OnError::Open,
            required: true,
        };
        RedisStore::connect(options, Arc::new(Table::new(10))).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(without_secrets("redis://ann:p@ss@host:1/0"), "redis://***@host:1/0");
        assert_eq!(without_secrets("redis://host:1/0"), "redis://host:1/0");
        assert_eq!(without_secrets("nonsense"), "nonsense");
    }

    #[test]
    fn a_url_that_leads_nowhere_is_named() {
        let error = |url: &str| connect(url).err().unwrap_or_default();
        assert!(error("http://:secret@host/").contains("http://***@host/ cannot be used"));
        assert!(!error("http://:secret@host/").contains("secret"));
        assert!(error("redis://127.0.0.1:1/").contains("redis://127.0.0.1:1/ cannot be used"));
    }
}
