//! Threads of a plugin's own tokio runtime end with the plugin. One test, since it counts the threads of the process.

mod support;

use std::fs;
use std::path::Path;

use bimetal_host::Host;
use support::{eventually, Served, HANG};

/// The threads whose names begin so, as the system cuts them.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir(Path::new("/proc/self/task")).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == &name[..name.len().min(15)]).count()
}

#[test]
fn the_threads_of_a_plugin_end_when_it_is_retired() {
    let runtime = "bimetal-plugin-tokio";
    let (host, probe) = (Host::new(), support::probe());
    for _ in 0..3 {
        host.load(&probe, None).unwrap();
        let server = Served::start(&host, &[("/later/{rest:path}", "probe.echo_later")]);
        assert_eq!(server.get("/later/x").status, 200);
        assert_eq!(threads(runtime), 1);
        assert!(server.stop());
        assert!(host.retire(HANG));
        // It has been joined; the system may take a moment longer to forget it.
        eventually("the end of the runtime's threads", || (threads(runtime) == 0).then_some(()));
    }
}
