//! The process's log.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, Layer};

/// Where the access log comes from.
const ACCESS: &str = "bimetal::access";

/// Lines of it that may wait to be written; those beyond are dropped, and counted.
const WAITING: usize = 16_384;

/// Bytes that are written at once, about.
const BATCH: usize = 64 * 1024;

/// How long a server that stops waits until the lines of its requests are written.
const FLUSH: Duration = Duration::from_secs(1);

static SET: OnceLock<()> = OnceLock::new();

/// Lines that were not written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Sets up the log, to standard error, once a process: later calls change nothing.
#[pyfunction]
#[pyo3(signature = (level, format, access_format = None))]
pub(crate) fn set_log(level: &str, format: &str, access_format: Option<&str>) -> PyResult<()> {
    let level: LevelFilter = level.parse().map_err(|_| {
        PyValueError::new_err(format!(
            "there is no log level {level:?}; use off, error, warn, info, debug or trace"
        ))
    })?;
    let json = is_json(format)?;
    let access_json = is_json(access_format.unwrap_or(format))?;
    SET.get_or_init(|| {
        // The HTTP parser reports each malformed request as an error. It is the client's, who is told; not ours to log.
        let parser = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
        let targets = Targets::new()
            .with_default(level)
            .with_target("actix_http", parser)
            .with_target(ACCESS, LevelFilter::OFF);
        let is_terminal = io::stderr().is_terminal();
        let lines = fmt::layer().with_writer(io::stderr).with_ansi(is_terminal);
        let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
        // I/O workers write it: not where whoever reads it may keep them waiting.
        let access = fmt::layer().with_writer(Queued).with_ansi(is_terminal);
        let access = if access_json { access.json().flatten_event(true).boxed() } else { access.boxed() };
        // Whoever asks for it has it, whatever else is logged.
        let only = Targets::new().with_target(ACCESS, LevelFilter::INFO);
        // A log that an embedding program has set up already stays.
        let _ = tracing_subscriber::registry()
            .with(lines.with_filter(targets))
            .with(access.with_filter(only))
            .try_init();
    });
    Ok(())
}

fn is_json(format: &str) -> PyResult<bool> {
    match format {
        "json" => Ok(true),
        "text" => Ok(false),
        other => Err(PyValueError::new_err(format!("there is no log format {other:?}; use text or json"))),
    }
}

/// How many lines of the access log have been dropped because whoever reads them was too slow.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits a moment until the lines so far are written.
pub(crate) fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let (written, wait) = sync_channel(1);
    if queue.try_send(Line::Flush(written)).is_ok() {
        let _ = wait.recv_timeout(FLUSH);
    }
}

enum Line {
    Text(Vec<u8>),
    /// Says when all before is written.
    Flush(SyncSender<()>),
}

/// The thread that writes begins with the first line.
static QUEUE: OnceLock<SyncSender<Line>> = OnceLock::new();

/// Where lines go that are written by a thread of their own.
#[derive(Clone, Copy)]
struct Queued;

impl<'a> MakeWriter<'a> for Queued {
    type Writer = Queued;

    fn make_writer(&'a self) -> Queued {
        Queued
    }
}

impl Write for Queued {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let queue = QUEUE.get_or_init(|| {
            let (queue, lines) = sync_channel(WAITING);
            // Where it cannot be started, its end of the queue is gone, and lines are dropped.
            let _ = thread::Builder::new().name("bimetal-access-log".to_owned()).spawn(move || write(&lines));
            queue
        });
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            queue.try_send(Line::Text(line.to_vec()))
        {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(lines: &Receiver<Line>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = lines.recv() {
        let mut flushes = Vec::new();
        let mut next = Some(first);
        while let Some(line) = next {
            match line {
                Line::Text(text) => batch.extend_from_slice(&text),
                Line::Flush(written) => flushes.push(written),
            }
            next = if batch.len() < BATCH { lines.try_recv().ok() } else { None };
        }
        // Nobody is left to be told that standard error is gone.
        let _ = io::stderr().lock().write_all(&batch);
        batch.clear();
        for written in flushes {
            let _ = written.try_send(());
        }
    }
}
