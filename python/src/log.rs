//! The process's log.

use std::io::IsTerminal;
use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, Layer};

static SET: OnceLock<()> = OnceLock::new();

/// Sets up the log, to standard error, once a process: later calls change nothing.
#[pyfunction]
pub(crate) fn set_log(level: &str, format: &str) -> PyResult<()> {
    let level: LevelFilter = level.parse().map_err(|_| {
        PyValueError::new_err(format!(
            "there is no log level {level:?}; use off, error, warn, info, debug or trace"
        ))
    })?;
    let json = match format {
        "json" => true,
        "text" => false,
        other => {
            return Err(PyValueError::new_err(format!("there is no log format {other:?}; use text or json")))
        }
    };
    SET.get_or_init(|| {
        // The HTTP parser reports each malformed request as an error. It is the client's, who is told; not ours to log.
        let parser = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
        let targets = Targets::new().with_default(level).with_target("actix_http", parser);
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
        // A log that an embedding program has set up already stays.
        let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
    });
    Ok(())
}
