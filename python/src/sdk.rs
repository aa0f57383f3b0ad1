//! The sources of the SDK, as they were when this extension was built.

use pyo3::prelude::*;
use pyo3::types::PyDict;

include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// The sources of the crates that plugins are built with: path below the repository's root to text.
#[pyfunction]
pub(crate) fn sdk_sources(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let sources = PyDict::new(py);
    for (path, text) in FILES {
        sources.set_item(path, text)?;
    }
    Ok(sources)
}
