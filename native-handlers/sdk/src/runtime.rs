//! The plugin's own tokio runtime, if the feature `tokio` asks for one. It cannot be shared with the host: two libraries have
//! two copies of tokio.

/// Runs `step` within the runtime, so that tokio's timers, sockets and `spawn` work in it.
#[cfg(feature = "tokio")]
pub(crate) fn within<R>(step: impl FnOnce() -> R) -> R {
    use std::sync::OnceLock;

    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("bimetal-plugin-tokio")
            .enable_all()
            .build();
        built.unwrap_or_else(|error| panic!("the plugin's tokio runtime cannot start: {error}"))
    });
    let _entered = runtime.enter();
    step()
}

/// Runs `step`.
#[cfg(not(feature = "tokio"))]
pub(crate) fn within<R>(step: impl FnOnce() -> R) -> R {
    step()
}
