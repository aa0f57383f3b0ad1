/* The C ABI between the Bimetal host and a library of native handlers. The rules (versions, ownership, threads) and the
 * meaning of each field are in the documentation of the Rust crate bimetal-abi, which has the same layout. In short:
 *
 * - Export `const BmPlugin *bimetal_plugin_v1(void)`; return static data that never changes.
 * - What lies in a BmRequest is the host's: valid until the call returns, or until an async handler's future is dropped.
 * - BmResponse.buf is lent for writing, `cap` bytes. Or point it at memory of your own and set `kind`: owned memory is
 *   given back through `release(owner)`, static memory must stay valid until the process ends. A stream (require
 *   BM_CAP_RESPONSE_STREAM) is asked for its chunks by `next(owner, ...)`.
 * - Nobody frees the other side's memory. The library is never unloaded.
 * - Tables only grow at their end: read a field of BmHost only if it lies within BmHost.size.
 */
#ifndef BIMETAL_H
#define BIMETAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define BM_ASSERT(cond) static_assert(cond, #cond)
#else
#define BM_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define BM_MAGIC UINT64_C(0x004c4154454d4942) /* "BIMETAL\0", little-endian */
#define BM_ABI_MAJOR 1u
#define BM_ABI_MINOR 1u

#define BM_CAP_HEADERS (UINT64_C(1) << 0)
#define BM_CAP_RESPONSE_GROW (UINT64_C(1) << 1)
#define BM_CAP_LOG (UINT64_C(1) << 2)
#define BM_CAP_WAKER (UINT64_C(1) << 3)
#define BM_CAP_SERVER_STATE (UINT64_C(1) << 4)
#define BM_CAP_DEADLINE (UINT64_C(1) << 5) /* since 1.1 */
#define BM_CAP_SPAWN_BLOCKING (UINT64_C(1) << 6) /* since 1.1 */
#define BM_CAP_CALL_ROUTE (UINT64_C(1) << 7) /* since 1.1 */
#define BM_CAP_METRICS (UINT64_C(1) << 8) /* since 1.1 */
#define BM_CAP_RESPONSE_STREAM (UINT64_C(1) << 16) /* since 1.1 */

#define BM_RESULT_OK 0u
#define BM_RESULT_PANIC 1u
#define BM_RESULT_PENDING 2u
#define BM_RESULT_FAILED 3u
#define BM_RESULT_ABSENT 4u

#define BM_PANIC_UNWIND 0u
#define BM_PANIC_ABORT 1u
#define BM_PANIC_NONE 2u

#define BM_HANDLER_KIND_MASK 3u
#define BM_HANDLER_SYNC 0u
#define BM_HANDLER_BLOCKING 1u
#define BM_HANDLER_ASYNC 2u
#define BM_HANDLER_READS_BODY 4u

#define BM_RESPONSE_LEASED 0u
#define BM_RESPONSE_OWNED 1u
#define BM_RESPONSE_STATIC 2u
#define BM_RESPONSE_STREAM 3u /* since 1.1 */

#define BM_LOG_ERROR 1u
#define BM_LOG_WARN 2u
#define BM_LOG_INFO 3u
#define BM_LOG_DEBUG 4u
#define BM_LOG_TRACE 5u

#define BM_SERVER_STARTING 0u
#define BM_SERVER_READY 1u
#define BM_SERVER_DRAINING 2u

#define BM_CALL_OK 0u
#define BM_CALL_INVALID 1u
#define BM_CALL_UPGRADE 2u
#define BM_CALL_TOO_DEEP 3u
#define BM_CALL_STOPPED 4u
#define BM_CALL_TIMED_OUT 5u
#define BM_CALL_TOO_LARGE 6u
#define BM_CALL_CUT_SHORT 7u

#define BM_METRIC_COUNTER 0u
#define BM_METRIC_GAUGE 1u
#define BM_METRIC_HISTOGRAM 2u

typedef struct BmSlice {
    const uint8_t *ptr;
    size_t len;
} BmSlice;

/* The bytes of a string literal. */
#define BM_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

typedef struct BmRequest {
    uint32_t size;
    uint32_t n_params;
    BmSlice method;
    BmSlice path;
    BmSlice query;
    BmSlice body;
    const BmSlice *params;
    const void *ctx;
    uint64_t deadline_ns;
} BmRequest;

typedef struct BmHeader {
    BmSlice name;
    BmSlice value;
} BmHeader;

typedef struct BmWaker {
    const void *data;
    const void *meta;
} BmWaker;

typedef struct BmChunk {
    uint32_t size;
    uint32_t reserved;
    BmSlice bytes;
    void *owner;
    void (*release)(void *owner);
} BmChunk;

typedef struct BmResponse {
    uint32_t size;
    uint32_t status;
    uint32_t kind;
    uint32_t n_headers;
    BmSlice content_type;
    const BmHeader *headers;
    uint8_t *buf;
    size_t cap;
    size_t len;
    void *lease;
    void *owner;
    void (*release)(void *owner);
    uint32_t (*next)(void *owner, const BmWaker *waker, BmChunk *chunk); /* since 1.1 */
} BmResponse;

typedef struct BmWakerVtable {
    BmWaker (*clone)(const BmWaker *waker);
    void (*wake)(BmWaker waker);
    void (*wake_by_ref)(const BmWaker *waker);
    void (*drop)(BmWaker waker);
} BmWakerVtable;

typedef struct BmFuture {
    void *data;
    uint32_t (*poll)(void *data, const BmWaker *waker, BmResponse *response);
    uint32_t (*drop)(void *data);
} BmFuture;

typedef void (*BmHeaderVisitor)(void *visitor, BmSlice name, BmSlice value);

/* Since 1.1: jobs, calls of routes, metrics. */
typedef struct BmJob {
    uint32_t size;
    uint32_t reserved;
    void *data;
    uint32_t (*run)(void *data);
    void (*drop)(void *data);
} BmJob;

typedef struct BmCall {
    uint32_t size;
    uint32_t n_headers;
    BmSlice method;
    BmSlice target;
    const BmHeader *headers;
    BmSlice body;
} BmCall;

typedef struct BmReply {
    uint32_t size;
    uint32_t status;
    uint32_t failure;
    uint32_t n_headers;
    const BmHeader *headers;
    BmSlice body;
    BmSlice error;
} BmReply;

typedef struct BmMetric {
    uint32_t size;
    uint32_t kind;
    uint32_t n_labels;
    uint32_t n_bounds;
    BmSlice name;
    BmSlice help;
    const BmHeader *labels;
    const double *bounds;
} BmMetric;

typedef void (*BmTextVisitor)(void *visitor, BmSlice text);

typedef struct BmHost {
    uint32_t size;
    uint32_t abi_minor;
    uint64_t caps;
    const BmWakerVtable *waker;
    void (*log)(uint32_t level, BmSlice target, BmSlice message);
    uint32_t (*header_get)(const void *ctx, BmSlice name, BmSlice *value);
    void (*header_each)(const void *ctx, BmHeaderVisitor visit, void *visitor);
    uint32_t (*response_grow)(BmResponse *response, size_t min_cap);
    uint32_t (*server_state)(const void *ctx);
    /* since 1.1 */
    uint64_t (*now_ns)(void);
    uint32_t (*spawn_blocking)(const void *ctx, const BmJob *job, void **task);
    uint32_t (*call_route)(const void *ctx, const BmCall *call, void **task);
    uint32_t (*task_poll)(void *task, const BmWaker *waker);
    uint32_t (*task_wait)(void *task);
    uint32_t (*task_reply)(void *task, BmReply *reply);
    void (*task_drop)(void *task);
    BmWaker (*waker_new)(void *data, void (*wake)(void *data), void (*drop)(void *data));
    uint32_t (*metric_register)(const BmMetric *metric, const void **handle, BmSlice *error);
    void (*metric_add)(const void *handle, uint64_t value);
    void (*metric_set)(const void *handle, double value, uint32_t relative);
    void (*metric_observe)(const void *handle, double value);
    void (*metrics_text)(const void *ctx, BmTextVisitor visit, void *visitor);
} BmHost;

typedef struct BmHandler {
    BmSlice name;
    uint32_t flags;
    uint32_t n_params;
    const BmSlice *params;
    BmSlice meta_json;
    uint64_t schema_hash;
    size_t future_size;
    size_t future_align;
    const void *data;
    uint32_t (*call)(void *state, const void *data, const BmRequest *request, BmResponse *response);
    uint32_t (*start)(void *state, const void *data, const BmRequest *request, void *place, BmFuture *out);
} BmHandler;

typedef struct BmInit {
    uint32_t size;
    uint32_t reserved;
    void *state;
    BmSlice error;
    void *error_owner;
    void (*release_error)(void *owner);
} BmInit;

typedef struct BmPlugin {
    uint64_t magic;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t size;
    uint32_t handler_stride;
    uint64_t required_caps;
    uint64_t provided_caps;
    BmSlice name;
    BmSlice version;
    BmSlice sdk;
    BmSlice rustc;
    BmSlice target;
    uint32_t panic_mode;
    uint32_t n_handlers;
    const BmHandler *handlers;
    uint32_t (*init)(const BmHost *host, BmSlice config, BmInit *out);
    uint32_t (*retire)(void *state);
} BmPlugin;

const BmPlugin *bimetal_plugin_v1(void);

#if UINTPTR_MAX == UINT64_MAX
BM_ASSERT(sizeof(BmSlice) == 16);
BM_ASSERT(offsetof(BmSlice, ptr) == 0);
BM_ASSERT(offsetof(BmSlice, len) == 8);
BM_ASSERT(sizeof(BmRequest) == 96);
BM_ASSERT(offsetof(BmRequest, size) == 0);
BM_ASSERT(offsetof(BmRequest, n_params) == 4);
BM_ASSERT(offsetof(BmRequest, method) == 8);
BM_ASSERT(offsetof(BmRequest, path) == 24);
BM_ASSERT(offsetof(BmRequest, query) == 40);
BM_ASSERT(offsetof(BmRequest, body) == 56);
BM_ASSERT(offsetof(BmRequest, params) == 72);
BM_ASSERT(offsetof(BmRequest, ctx) == 80);
BM_ASSERT(offsetof(BmRequest, deadline_ns) == 88);
BM_ASSERT(sizeof(BmHeader) == 32);
BM_ASSERT(offsetof(BmHeader, name) == 0);
BM_ASSERT(offsetof(BmHeader, value) == 16);
BM_ASSERT(sizeof(BmResponse) == 96);
BM_ASSERT(offsetof(BmResponse, size) == 0);
BM_ASSERT(offsetof(BmResponse, status) == 4);
BM_ASSERT(offsetof(BmResponse, kind) == 8);
BM_ASSERT(offsetof(BmResponse, n_headers) == 12);
BM_ASSERT(offsetof(BmResponse, content_type) == 16);
BM_ASSERT(offsetof(BmResponse, headers) == 32);
BM_ASSERT(offsetof(BmResponse, buf) == 40);
BM_ASSERT(offsetof(BmResponse, cap) == 48);
BM_ASSERT(offsetof(BmResponse, len) == 56);
BM_ASSERT(offsetof(BmResponse, lease) == 64);
BM_ASSERT(offsetof(BmResponse, owner) == 72);
BM_ASSERT(offsetof(BmResponse, release) == 80);
BM_ASSERT(offsetof(BmResponse, next) == 88);
BM_ASSERT(sizeof(BmChunk) == 40);
BM_ASSERT(offsetof(BmChunk, size) == 0);
BM_ASSERT(offsetof(BmChunk, reserved) == 4);
BM_ASSERT(offsetof(BmChunk, bytes) == 8);
BM_ASSERT(offsetof(BmChunk, owner) == 24);
BM_ASSERT(offsetof(BmChunk, release) == 32);
BM_ASSERT(sizeof(BmWaker) == 16);
BM_ASSERT(offsetof(BmWaker, data) == 0);
BM_ASSERT(offsetof(BmWaker, meta) == 8);
BM_ASSERT(sizeof(BmWakerVtable) == 32);
BM_ASSERT(offsetof(BmWakerVtable, clone) == 0);
BM_ASSERT(offsetof(BmWakerVtable, wake) == 8);
BM_ASSERT(offsetof(BmWakerVtable, wake_by_ref) == 16);
BM_ASSERT(offsetof(BmWakerVtable, drop) == 24);
BM_ASSERT(sizeof(BmFuture) == 24);
BM_ASSERT(offsetof(BmFuture, data) == 0);
BM_ASSERT(offsetof(BmFuture, poll) == 8);
BM_ASSERT(offsetof(BmFuture, drop) == 16);
BM_ASSERT(sizeof(BmHost) == 168);
BM_ASSERT(offsetof(BmHost, size) == 0);
BM_ASSERT(offsetof(BmHost, abi_minor) == 4);
BM_ASSERT(offsetof(BmHost, caps) == 8);
BM_ASSERT(offsetof(BmHost, waker) == 16);
BM_ASSERT(offsetof(BmHost, log) == 24);
BM_ASSERT(offsetof(BmHost, header_get) == 32);
BM_ASSERT(offsetof(BmHost, header_each) == 40);
BM_ASSERT(offsetof(BmHost, response_grow) == 48);
BM_ASSERT(offsetof(BmHost, server_state) == 56);
BM_ASSERT(offsetof(BmHost, now_ns) == 64);
BM_ASSERT(offsetof(BmHost, spawn_blocking) == 72);
BM_ASSERT(offsetof(BmHost, call_route) == 80);
BM_ASSERT(offsetof(BmHost, task_poll) == 88);
BM_ASSERT(offsetof(BmHost, task_wait) == 96);
BM_ASSERT(offsetof(BmHost, task_reply) == 104);
BM_ASSERT(offsetof(BmHost, task_drop) == 112);
BM_ASSERT(offsetof(BmHost, waker_new) == 120);
BM_ASSERT(offsetof(BmHost, metric_register) == 128);
BM_ASSERT(offsetof(BmHost, metric_add) == 136);
BM_ASSERT(offsetof(BmHost, metric_set) == 144);
BM_ASSERT(offsetof(BmHost, metric_observe) == 152);
BM_ASSERT(offsetof(BmHost, metrics_text) == 160);
BM_ASSERT(sizeof(BmJob) == 32);
BM_ASSERT(offsetof(BmJob, size) == 0);
BM_ASSERT(offsetof(BmJob, reserved) == 4);
BM_ASSERT(offsetof(BmJob, data) == 8);
BM_ASSERT(offsetof(BmJob, run) == 16);
BM_ASSERT(offsetof(BmJob, drop) == 24);
BM_ASSERT(sizeof(BmCall) == 64);
BM_ASSERT(offsetof(BmCall, size) == 0);
BM_ASSERT(offsetof(BmCall, n_headers) == 4);
BM_ASSERT(offsetof(BmCall, method) == 8);
BM_ASSERT(offsetof(BmCall, target) == 24);
BM_ASSERT(offsetof(BmCall, headers) == 40);
BM_ASSERT(offsetof(BmCall, body) == 48);
BM_ASSERT(sizeof(BmReply) == 56);
BM_ASSERT(offsetof(BmReply, size) == 0);
BM_ASSERT(offsetof(BmReply, status) == 4);
BM_ASSERT(offsetof(BmReply, failure) == 8);
BM_ASSERT(offsetof(BmReply, n_headers) == 12);
BM_ASSERT(offsetof(BmReply, headers) == 16);
BM_ASSERT(offsetof(BmReply, body) == 24);
BM_ASSERT(offsetof(BmReply, error) == 40);
BM_ASSERT(sizeof(BmMetric) == 64);
BM_ASSERT(offsetof(BmMetric, size) == 0);
BM_ASSERT(offsetof(BmMetric, kind) == 4);
BM_ASSERT(offsetof(BmMetric, n_labels) == 8);
BM_ASSERT(offsetof(BmMetric, n_bounds) == 12);
BM_ASSERT(offsetof(BmMetric, name) == 16);
BM_ASSERT(offsetof(BmMetric, help) == 32);
BM_ASSERT(offsetof(BmMetric, labels) == 48);
BM_ASSERT(offsetof(BmMetric, bounds) == 56);
BM_ASSERT(sizeof(BmHandler) == 96);
BM_ASSERT(offsetof(BmHandler, name) == 0);
BM_ASSERT(offsetof(BmHandler, flags) == 16);
BM_ASSERT(offsetof(BmHandler, n_params) == 20);
BM_ASSERT(offsetof(BmHandler, params) == 24);
BM_ASSERT(offsetof(BmHandler, meta_json) == 32);
BM_ASSERT(offsetof(BmHandler, schema_hash) == 48);
BM_ASSERT(offsetof(BmHandler, future_size) == 56);
BM_ASSERT(offsetof(BmHandler, future_align) == 64);
BM_ASSERT(offsetof(BmHandler, data) == 72);
BM_ASSERT(offsetof(BmHandler, call) == 80);
BM_ASSERT(offsetof(BmHandler, start) == 88);
BM_ASSERT(sizeof(BmInit) == 48);
BM_ASSERT(offsetof(BmInit, size) == 0);
BM_ASSERT(offsetof(BmInit, reserved) == 4);
BM_ASSERT(offsetof(BmInit, state) == 8);
BM_ASSERT(offsetof(BmInit, error) == 16);
BM_ASSERT(offsetof(BmInit, error_owner) == 32);
BM_ASSERT(offsetof(BmInit, release_error) == 40);
BM_ASSERT(sizeof(BmPlugin) == 152);
BM_ASSERT(offsetof(BmPlugin, magic) == 0);
BM_ASSERT(offsetof(BmPlugin, abi_major) == 8);
BM_ASSERT(offsetof(BmPlugin, abi_minor) == 12);
BM_ASSERT(offsetof(BmPlugin, size) == 16);
BM_ASSERT(offsetof(BmPlugin, handler_stride) == 20);
BM_ASSERT(offsetof(BmPlugin, required_caps) == 24);
BM_ASSERT(offsetof(BmPlugin, provided_caps) == 32);
BM_ASSERT(offsetof(BmPlugin, name) == 40);
BM_ASSERT(offsetof(BmPlugin, version) == 56);
BM_ASSERT(offsetof(BmPlugin, sdk) == 72);
BM_ASSERT(offsetof(BmPlugin, rustc) == 88);
BM_ASSERT(offsetof(BmPlugin, target) == 104);
BM_ASSERT(offsetof(BmPlugin, panic_mode) == 120);
BM_ASSERT(offsetof(BmPlugin, n_handlers) == 124);
BM_ASSERT(offsetof(BmPlugin, handlers) == 128);
BM_ASSERT(offsetof(BmPlugin, init) == 136);
BM_ASSERT(offsetof(BmPlugin, retire) == 144);
#endif

#ifdef __cplusplus
}
#endif

#endif /* BIMETAL_H */
