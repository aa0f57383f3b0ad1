//! Times what a runner does once a batch: attaching to the interpreter.

// The file itself, not a copy: what is timed is what runs.
#[path = "../../../../python/src/interpreter.rs"]
#[allow(dead_code, reason = "the extension uses all of it")]
mod interpreter;

use std::thread;
use std::time::Instant;

use pyo3::prelude::*;

/// Nanoseconds for each of `times` attachments of a thread that keeps its thread state, as runners do.
#[pyfunction]
fn kept(py: Python<'_>, times: u32) -> f64 {
    on_a_thread(py, move || {
        let mut each = 0.0;
        interpreter::keep_thread_state(|_| {}, || each = timed(times));
        each
    })
}

/// The same for a thread that keeps none: one is made for each attachment.
#[pyfunction]
fn anew(py: Python<'_>, times: u32) -> f64 {
    on_a_thread(py, move || timed(times))
}

fn timed(times: u32) -> f64 {
    let began = Instant::now();
    for _ in 0..times {
        interpreter::attach(|_| {});
    }
    began.elapsed().as_nanos() as f64 / f64::from(times)
}

/// Runs `work` on a thread of its own, with nobody else attached.
fn on_a_thread(py: Python<'_>, work: impl FnOnce() -> f64 + Send + 'static) -> f64 {
    py.detach(|| thread::spawn(work).join().unwrap_or(f64::NAN))
}

#[pymodule(gil_used = false)]
fn attachment(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kept, module)?)?;
    module.add_function(wrap_pyfunction!(anew, module)?)
}
