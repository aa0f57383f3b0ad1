//! A host of the smallest kind: it calls a linked handler through the ABI, as the real one does.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use bimetal_abi::{
    BmChunk, BmHandler, BmHeaderVisitor, BmHost, BmInit, BmPlugin, BmRequest, BmResponse, BmSlice, BmWaker,
    BmWakerVtable, RESPONSE_STREAM, RESULT_ABSENT, RESULT_FAILED, RESULT_OK, RESULT_PANIC,
};

/// A request.
#[derive(Default)]
pub struct Call<'a> {
    pub handler: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub params: &'a [&'a str],
    pub content_type: Option<&'a str>,
    /// Further header fields, names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// The size of a response of an earlier version; 0: this one's.
    pub response_size: u32,
}

/// What a handler answered.
#[derive(Debug)]
pub struct Answer {
    pub result: u32,
    pub status: u32,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The chunks of a stream, the last an error where it fails; `None` for a body that is whole.
    pub chunks: Option<Vec<Result<String, String>>>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Call<'_> {
    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.content_type.map(|value| ("content-type", value)).into_iter().chain(self.headers.iter().copied())
    }
}

unsafe extern "C" fn header_get(ctx: *const c_void, name: BmSlice, value: *mut BmSlice) -> u32 {
    // SAFETY: `ctx` is the `Call` that `call` passes on, `name` and `value` are the SDK's.
    unsafe {
        match (*ctx.cast::<Call<'_>>()).fields().find(|(known, _)| name.text() == Some(known)) {
            Some((_, field)) => {
                value.write(BmSlice::borrow_str(field));
                RESULT_OK
            }
            None => RESULT_ABSENT,
        }
    }
}

unsafe extern "C" fn header_each(ctx: *const c_void, visit: BmHeaderVisitor, visitor: *mut c_void) {
    // SAFETY: `ctx` is the `Call` that `call` passes on, the others are the SDK's.
    unsafe {
        for (name, value) in (*ctx.cast::<Call<'_>>()).fields() {
            visit(visitor, BmSlice::borrow_str(name), BmSlice::borrow_str(value));
        }
    }
}

unsafe extern "C" fn response_grow(response: *mut BmResponse, min_cap: usize) -> u32 {
    // SAFETY: `lease` is the vector that `call` passes on, of which `len` bytes are written.
    unsafe {
        let buffer = &mut *(*response).lease.cast::<Vec<u8>>();
        buffer.set_len((*response).len);
        buffer.reserve(min_cap - buffer.len());
        (*response).buf = buffer.as_mut_ptr();
        (*response).cap = buffer.capacity();
    }
    RESULT_OK
}

unsafe extern "C" fn log(_level: u32, _target: BmSlice, _message: BmSlice) {}

unsafe extern "C" fn server_state(_ctx: *const c_void) -> u32 {
    bimetal_abi::SERVER_READY
}

unsafe extern "C" fn waker_clone(waker: *const BmWaker) -> BmWaker {
    // SAFETY: the SDK passes a waker it was given.
    unsafe { *waker }
}

unsafe extern "C" fn waker_owned(_waker: BmWaker) {}

unsafe extern "C" fn waker_borrowed(_waker: *const BmWaker) {}

static WAKER: BmWakerVtable =
    BmWakerVtable { clone: waker_clone, wake: waker_owned, wake_by_ref: waker_borrowed, drop: waker_owned };

static HOST: BmHost = BmHost {
    size: size_of::<BmHost>() as u32,
    abi_minor: 0,
    caps: u64::MAX,
    waker: &raw const WAKER,
    log: Some(log),
    header_get: Some(header_get),
    header_each: Some(header_each),
    response_grow: Some(response_grow),
    server_state: Some(server_state),
    now_ns: None,
    spawn_blocking: None,
    call_route: None,
    task_poll: None,
    task_wait: None,
    task_reply: None,
    task_drop: None,
    waker_new: None,
    metric_register: None,
    metric_add: None,
    metric_set: None,
    metric_observe: None,
    metrics_text: None,
};

/// The plugin linked into this test, and its state.
pub fn plugin() -> (&'static BmPlugin, *mut c_void) {
    static PLUGIN: OnceLock<(&BmPlugin, usize)> = OnceLock::new();
    let (plugin, state) = *PLUGIN.get_or_init(|| {
        let [plugin] = bimetal::registry::plugins().unwrap()[..] else {
            panic!("one plugin is linked into a test")
        };
        // SAFETY: cleared, as the ABI wants it.
        let mut out: BmInit = unsafe { std::mem::zeroed() };
        // SAFETY: as the ABI says: the host's static table, no configuration, a place for the result.
        let result = unsafe { plugin.init.unwrap()(&HOST, BmSlice::EMPTY, &mut out) };
        // SAFETY: the text is the plugin's, which keeps it.
        assert_eq!(result, RESULT_OK, "{:?}", unsafe { out.error.text() });
        (plugin, out.state.expose_provenance())
    });
    (plugin, ptr::with_exposed_provenance_mut(state))
}

/// The handler called `name`.
pub fn handler(name: &str) -> &'static BmHandler {
    let (plugin, _) = plugin();
    // SAFETY: the table is static, and so is its text.
    let handlers: &'static [BmHandler] =
        unsafe { std::slice::from_raw_parts(plugin.handlers, plugin.n_handlers as usize) };
    // SAFETY: as above.
    let found = handlers.iter().find(|handler| unsafe { handler.name.text() } == Some(name));
    found.unwrap_or_else(|| panic!("no handler {name}"))
}

/// Calls a sync handler.
pub fn call(call: &Call<'_>) -> Answer {
    let (_, state) = plugin();
    let handler = handler(call.handler);
    assert_eq!(handler.n_params as usize, call.params.len(), "{}", call.handler);
    let params: Vec<BmSlice> = call.params.iter().map(|text| BmSlice::borrow_str(text)).collect();
    let request = BmRequest {
        size: size_of::<BmRequest>() as u32,
        n_params: handler.n_params,
        method: BmSlice::borrow_str(call.method),
        path: BmSlice::borrow_str(call.path),
        query: BmSlice::borrow_str(call.query),
        body: BmSlice::borrow(call.body),
        params: params.as_ptr(),
        ctx: ptr::from_ref(call).cast(),
        deadline_ns: 0,
    };
    let mut buffer: Vec<u8> = Vec::with_capacity(64);
    let mut response = BmResponse {
        size: if call.response_size == 0 { size_of::<BmResponse>() as u32 } else { call.response_size },
        status: 200,
        kind: bimetal_abi::RESPONSE_LEASED,
        n_headers: 0,
        content_type: BmSlice::EMPTY,
        headers: ptr::null(),
        buf: buffer.as_mut_ptr(),
        cap: buffer.capacity(),
        len: 0,
        lease: (&raw mut buffer).cast(),
        owner: ptr::null_mut(),
        release: None,
        next: None,
    };
    // SAFETY: as the ABI says; everything lives through the call.
    let result =
        unsafe { handler.call.expect("a sync handler")(state, handler.data, &request, &mut response) };
    // SAFETY: what the handler wrote is valid until `release`.
    let answer = unsafe {
        let headers = match response.n_headers {
            0 => &[][..],
            count => std::slice::from_raw_parts(response.headers, count as usize),
        };
        let text = |slice: BmSlice| slice.text().unwrap().to_owned();
        Answer {
            result,
            status: response.status,
            content_type: text(response.content_type),
            headers: headers.iter().map(|header| (text(header.name), text(header.value))).collect(),
            body: match response.kind {
                RESPONSE_STREAM => Vec::new(),
                _ => BmSlice { ptr: response.buf, len: response.len }.bytes().unwrap().to_vec(),
            },
            chunks: (response.kind == RESPONSE_STREAM).then(|| chunks(&response)),
        }
    };
    if let Some(release) = response.release {
        // SAFETY: once, and everything was copied.
        unsafe { release(response.owner) };
    }
    answer
}

/// Asks for every chunk. A panic is the error `panic`.
fn chunks(response: &BmResponse) -> Vec<Result<String, String>> {
    let waker = BmWaker { data: ptr::null(), meta: ptr::null() };
    let mut chunks = Vec::new();
    loop {
        // SAFETY: cleared, as the ABI wants it.
        let mut chunk: BmChunk = unsafe { std::mem::zeroed() };
        chunk.size = size_of::<BmChunk>() as u32;
        // SAFETY: as the ABI says; the response is not released.
        let result = unsafe { response.next.unwrap()(response.owner, &waker, &mut chunk) };
        // SAFETY: what the stream gives is valid until `release`.
        let text = unsafe { chunk.bytes.text() }.unwrap().to_owned();
        if let Some(release) = chunk.release {
            // SAFETY: once, and the text was copied.
            unsafe { release(chunk.owner) };
        }
        match result {
            RESULT_OK => chunks.push(Ok(text)),
            RESULT_ABSENT => return chunks,
            RESULT_FAILED => chunks.push(Err(text)),
            RESULT_PANIC => chunks.push(Err("panic".to_owned())),
            other => panic!("{other}"),
        }
        if result != RESULT_OK {
            return chunks;
        }
    }
}
