"""Carrying out compiled plans: what a request goes through between the Rust lanes and the application's functions.

| module | its one job |
|---|---|
| `operation` | one path operation: body, steps, response, errors, exits |
| `exchange` | one request of it: where it runs, its `Request`, sending its response |
| `solve` | the steps: arguments, dependencies, the cache, validation errors |
| `body` | the request's body, as FastAPI reads it |
| `exits` | generators that end with the request |
| `stack`, `inner` | the application's middleware around operations; the layers inside a `dispatch` |
| `entry` | the application as the server calls it, without the middleware that the edge does |
| `tracing` | FastAPI's own telemetry around an operation |
| `errors` | exceptions to responses, as the application's handlers have it |

An operation is a coroutine that starts on a runner thread of the `sync` lane or on the event loop. On a runner it calls
functions directly and never waits; whatever needs the loop is preceded by `Exchange.enter_loop`, after which the same
coroutine goes on there as a task, and functions are called on runners.
"""
