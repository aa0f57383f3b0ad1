//! The process's log.

use std::io::IsTerminal;
use std::sync::OnceLock;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

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
        let builder = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(level)
            .with_span_events(FmtSpan::NONE)
            .with_ansi(std::io::stderr().is_terminal());
        // A log that an embedding program has set up already stays.
        let _ = if json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    });
    Ok(())
}
