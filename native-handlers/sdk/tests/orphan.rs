//! A program with a handler but without `plugin!`.

use bimetal::prelude::*;

#[native_handler]
fn alone() {}

#[test]
fn a_handler_without_a_plugin_is_an_error() {
    assert_eq!(
        bimetal::registry::plugins().unwrap_err().to_string(),
        "handler `alone` belongs to no plugin; write `bimetal::plugin! { name: \"...\" }` in crate `orphan`"
    );
}
