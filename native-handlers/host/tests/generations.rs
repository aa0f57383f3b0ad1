//! How many libraries a process loads. One test, since the limit is the process's.

mod support;

use std::fs;

use bimetal_host::{ErrorKind, Host};
use support::{c_plugin, Served};

#[test]
fn after_64_libraries_a_further_one_is_refused() {
    let library = c_plugin("many", &["PLUGIN_NAME=\"many\""]);
    let bytes = fs::read(&library).unwrap();
    let host = Host::new();
    host.load(&library, None).unwrap();
    let mut server = Served::start(&host, &[("/hello", "many.hello")]);
    // Another hash, the same code: bytes behind the end of an ELF file mean nothing.
    let build = |number: usize| fs::write(&library, [&bytes[..], &vec![0; number]].concat()).unwrap();
    for number in 1..64 {
        build(number);
        assert_eq!(server.reload().unwrap().len(), 1);
        assert_eq!(server.get("/hello").status, 200);
    }
    build(64);
    let error = server.reload().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Generations,
            &*format!(
                "plugin `{}`: load: this process has loaded 64 libraries, and cannot unload any; recycle the worker (start this \
                 server process anew) to load another one",
                library.display()
            )
        )
    );
    assert_eq!(server.get("/hello").status, 200);
    // One that is mapped already costs nothing.
    build(3);
    assert_eq!(server.reload().unwrap().len(), 1);
    assert_eq!(server.get("/hello").status, 200);
}
