//! The layout, checked at compile time. `bimetal.h` holds the same numbers.

/// Refuses to compile when a struct's size or the offset of a field is not the number given.
macro_rules! layout {
    ($name:ident, $size:literal, { $($field:ident: $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(core::mem::size_of::<crate::$name>() == $size);
            $(assert!(core::mem::offset_of!(crate::$name, $field) == $offset);)*
        };
    };
}

#[cfg(target_pointer_width = "64")]
mod of_64_bit_targets {
    layout!(BmSlice, 16, { ptr: 0, len: 8 });
    layout!(BmRequest, 96, { size: 0, n_params: 4, method: 8, path: 24, query: 40, body: 56, params: 72, ctx: 80, deadline_ns: 88 });
    layout!(BmHeader, 32, { name: 0, value: 16 });
    layout!(BmResponse, 96, { size: 0, status: 4, kind: 8, n_headers: 12, content_type: 16, headers: 32, buf: 40, cap: 48, len: 56, lease: 64, owner: 72, release: 80, next: 88 });
    layout!(BmChunk, 40, { size: 0, reserved: 4, bytes: 8, owner: 24, release: 32 });
    layout!(BmWaker, 16, { data: 0, meta: 8 });
    layout!(BmWakerVtable, 32, { clone: 0, wake: 8, wake_by_ref: 16, drop: 24 });
    layout!(BmFuture, 24, { data: 0, poll: 8, drop: 16 });
    layout!(BmHost, 168, { size: 0, abi_minor: 4, caps: 8, waker: 16, log: 24, header_get: 32, header_each: 40, response_grow: 48, server_state: 56, now_ns: 64, spawn_blocking: 72, call_route: 80, task_poll: 88, task_wait: 96, task_reply: 104, task_drop: 112, waker_new: 120, metric_register: 128, metric_add: 136, metric_set: 144, metric_observe: 152, metrics_text: 160 });
    layout!(BmJob, 32, { size: 0, reserved: 4, data: 8, run: 16, drop: 24 });
    layout!(BmCall, 64, { size: 0, n_headers: 4, method: 8, target: 24, headers: 40, body: 48 });
    layout!(BmReply, 56, { size: 0, status: 4, failure: 8, n_headers: 12, headers: 16, body: 24, error: 40 });
    layout!(BmMetric, 64, { size: 0, kind: 4, n_labels: 8, n_bounds: 12, name: 16, help: 32, labels: 48, bounds: 56 });
    layout!(BmHandler, 96, { name: 0, flags: 16, n_params: 20, params: 24, meta_json: 32, schema_hash: 48, future_size: 56, future_align: 64, data: 72, call: 80, start: 88 });
    layout!(BmInit, 48, { size: 0, reserved: 4, state: 8, error: 16, error_owner: 32, release_error: 40 });
    layout!(BmPlugin, 152, { magic: 0, abi_major: 8, abi_minor: 12, size: 16, handler_stride: 20, required_caps: 24, provided_caps: 32, name: 40, version: 56, sdk: 72, rustc: 88, target: 104, panic_mode: 120, n_handlers: 124, handlers: 128, init: 136, retire: 144 });
}
