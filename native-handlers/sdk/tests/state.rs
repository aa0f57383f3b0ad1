//! A handler that wants another state than the plugin has.

use bimetal::prelude::*;

fn init(_config: Option<u8>) -> Result<u8, String> {
    Ok(1)
}

bimetal::plugin! { name: "stateful", init: init }

#[native_handler]
fn right(State(number): State<u8>) -> String {
    number.to_string()
}

#[native_handler]
fn wrong(State(number): State<u16>) -> String {
    number.to_string()
}

#[test]
fn another_state_is_an_error_in_the_handlers_metadata() {
    let [plugin] = bimetal::registry::plugins().unwrap()[..] else {
        panic!("one plugin is linked into this test")
    };
    // SAFETY: the table and its text are static.
    let meta: Vec<&str> = unsafe {
        std::slice::from_raw_parts(plugin.handlers, plugin.n_handlers as usize)
            .iter()
            .map(|handler| handler.meta_json.text().unwrap())
            .collect()
    };
    assert!(!meta[0].contains("\"error\""), "{}", meta[0]);
    let expected = "it wants `State<u16>`, the plugin's state is `u8`; write `init:` in `bimetal::plugin!` with a function that \
                    returns it";
    assert!(meta[1].contains(&format!("\"error\":\"{expected}\"")), "{}", meta[1]);
}
