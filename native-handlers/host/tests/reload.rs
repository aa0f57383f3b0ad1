//! Replacing a library while it serves: what drains, what is retired and when, and what refuses the new version.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bimetal_host::{ErrorKind, Host, LoadPolicy, PluginInfo, Readiness};
use bimetal_runtime::http::Method;
use bimetal_runtime::{Answer, Body, Handler, Request};
use bytes::Bytes;
use support::{eventually, folder, Client, Served, HANG};

/// A library that changes on disk, under a name of its own, and the folder of its journal.
struct Changing {
    folder: PathBuf,
    name: String,
}

impl Changing {
    fn new(name: &str, version: &str, macros: &[&str]) -> Changing {
        let changing = Changing { folder: folder(name), name: name.to_owned() };
        changing.build(version, macros);
        changing
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("lib{}.so", self.name))
    }

    /// Puts another version in its place.
    fn build(&self, version: &str, macros: &[&str]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/generation.c");
        let (name, version) = (format!("NAME=\"{}\"", self.name), format!("VERSION=\"{version}\""));
        support::compile(&source, &self.path(), &[&[&*name, &version], macros].concat());
    }

    fn load(&self, host: &Host) {
        host.load(&self.path(), Some(&self.config())).unwrap();
    }

    fn config(&self) -> String {
        format!("{{\"folder\": \"{}\"}}", self.folder.display())
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.folder.join("journal"))
            .unwrap_or_default()
            .lines()
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn handler(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    fn go(&self) {
        fs::write(self.folder.join("go"), "").unwrap();
    }

    fn wait_for(&self, line: &str) {
        eventually(line, || self.journal().contains(line).then_some(()));
    }
}

#[test]
fn an_unchanged_library_is_left_as_it_is() {
    let (host, library) = (Host::new(), Changing::new("unchanged", "1", &[]));
    library.load(&host);
    for _ in 0..3 {
        let reload = host.prepare_reload().unwrap();
        assert!(reload.changes().is_empty());
        reload.commit();
    }
    assert_eq!(library.journal(), "init 1");
}

#[test]
fn a_new_version_answers_and_the_old_one_is_retired() {
    let (host, library) = (Host::new(), Changing::new("renewed", "1", &[]));
    library.load(&host);
    let mut server = Served::start(&host, &[("/version", &library.handler("version"))]);
    let mut client = server.client();
    assert_eq!(client.get("/version").text(), "1");

    library.build("2", &[]);
    let changes = server.reload().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((&*changes[0].plugin, &*changes[0].from.0, &*changes[0].to.0), ("renewed", "1", "2"));
    assert_ne!(changes[0].from.1, changes[0].to.1);
    // No request comes to the idle worker before this.
    library.wait_for("retire 1");
    assert_eq!((client.get("/version").text(), server.get("/version").text()), ("2", "2"));

    // Back again: the same library, mapped since, is initialised anew.
    library.build("1", &[]);
    server.reload().unwrap();
    library.wait_for("retire 2");
    assert_eq!(client.get("/version").text(), "1");
    assert_eq!(library.journal(), "init 1, init 2, retire 1, init 1, retire 2");
    // The plugin outlives its servers: another one may start.
    drop(server);
    assert_eq!(
        Served::start(&host, &[("/version", &library.handler("version"))]).get("/version").text(),
        "1"
    );
}

#[test]
fn slow_requests_span_a_reload() {
    let (host, library) = (Host::new(), Changing::new("slow", "1", &[]));
    library.load(&host);
    let (waits, blocks, version) =
        (library.handler("waits"), library.handler("blocks"), library.handler("version"));
    let mut server =
        Served::start(&host, &[("/waits", &waits), ("/blocks", &blocks), ("/version", &version)]);
    let mut slow = ["/waits", "/blocks"].map(|target| {
        let mut client = server.client();
        client.send("GET", target, &[], b"");
        client
    });
    library.wait_for("waits 1");
    library.wait_for("blocks 1");
    library.build("2", &[]);
    server.reload().unwrap();
    for _ in 0..20 {
        assert_eq!(server.get("/version").text(), "2");
    }
    assert!(!library.journal().contains("retire"), "{}", library.journal());
    library.go();
    for client in &mut slow {
        let reply = client.receive();
        assert_eq!((reply.status, reply.text()), (200, "1"));
        assert_eq!(client.get("/version").text(), "2");
    }
    library.wait_for("retire 1");
    let journal = library.journal();
    assert!(journal.ends_with("dropped 1, retire 1"), "{journal}");
}

#[test]
fn a_stream_spans_a_reload() {
    let (host, library) = (Host::new(), Changing::new("streaming", "1", &[]));
    library.load(&host);
    let (streams, version) = (library.handler("streams"), library.handler("version"));
    let mut server = Served::start(&host, &[("/streams", &streams), ("/version", &version)]);
    let mut client = server.client();
    client.send("GET", "/streams", &[], b"");
    assert_eq!(client.receive_head().status, 200);
    assert_eq!(client.chunk().unwrap().as_deref(), Some("1"));
    library.wait_for("streams 1");
    for version in ["2", "3"] {
        library.build(version, &[]);
        server.reload().unwrap();
        assert_eq!(server.get("/version").text(), version);
    }
    // The second generation has no stream: that it is retired says that the first would be by now.
    library.wait_for("retire 2");
    assert!(!library.journal().contains("retire 1"), "{}", library.journal());
    library.go();
    assert_eq!(client.chunks().unwrap(), "1");
    assert_eq!(client.get("/version").text(), "3");
    library.wait_for("retire 1");
    assert!(library.journal().ends_with("ended 1, retire 1"), "{}", library.journal());
}

#[test]
fn a_stream_keeps_no_other_library() {
    let host = Host::new();
    let (streaming, other) = (Changing::new("flowing", "1", &[]), Changing::new("beside", "1", &[]));
    streaming.load(&host);
    other.load(&host);
    let (streams, version) = (streaming.handler("streams"), other.handler("version"));
    let mut server = Served::start(&host, &[("/streams", &streams), ("/version", &version)]);
    let mut client = server.client();
    client.send("GET", "/streams", &[], b"");
    assert_eq!(client.receive_head().status, 200);
    streaming.wait_for("streams 1");
    other.build("2", &[]);
    server.reload().unwrap();
    other.wait_for("retire 1");
    streaming.go();
    assert_eq!(client.chunks().unwrap(), "11");
}

#[test]
fn an_owned_body_keeps_its_generation() {
    let (host, library) = (Host::new(), Changing::new("owning", "1", &[]));
    library.load(&host);
    let handler = host.bind(&library.handler("owned"), &["size".to_owned()], &Readiness::default()).unwrap();
    // Without parameters: the body has 100 bytes then.
    let request = Request::synthetic(Method::GET, "/owned", &[], Bytes::new());
    let Answer::Now(response) = handler.call(request) else { panic!("a sync handler answers at once") };
    let Body::Full(body) = response.body else { panic!("there is a body") };
    drop(handler);

    for version in ["2", "3"] {
        library.build(version, &[]);
        host.prepare_reload().unwrap().commit();
    }
    // The second generation has no body out: that it is retired says that the first would be by now.
    library.wait_for("retire 2");
    assert_eq!(body, [b'1'; 100][..]);
    assert_eq!(library.journal(), "init 1, init 2, init 3, retire 2");
    drop(body);
    library.wait_for("retire 1");
    assert_eq!(library.journal(), "init 1, init 2, init 3, retire 2, release 1, retire 1");
}

#[test]
fn a_reload_that_is_given_up_changes_nothing() {
    let (host, library) = (Host::new(), Changing::new("given_up", "1", &[]));
    library.load(&host);
    let server = Served::start(&host, &[("/version", &library.handler("version"))]);
    library.build("2", &[]);
    drop(host.prepare_reload().unwrap());
    library.wait_for("retire 2");
    assert_eq!(server.get("/version").text(), "1");
    assert_eq!(library.journal(), "init 1, init 2, retire 2");
}

#[test]
fn a_bad_new_version_leaves_the_old_one() {
    let (host, library) = (Host::new(), Changing::new("spoilt", "1", &[]));
    library.load(&host);
    let mut server = Served::start(&host, &[("/version", &library.handler("version"))]);
    let good = fs::read(library.path()).unwrap();
    let mut refused = |kind: ErrorKind, says: &str| {
        let error = server.reload().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
        assert_eq!(server.get("/version").text(), "1");
    };
    fs::remove_file(library.path()).unwrap();
    refused(ErrorKind::File, "file: there is none");
    fs::write(library.path(), &good[..good.len() - 1000]).unwrap();
    refused(ErrorKind::Format, "format: the file is cut short");
    fs::write(library.path(), "").unwrap();
    refused(ErrorKind::Format, "format: the file is empty");
    library.build("2", &["MAJOR=2"]);
    refused(ErrorKind::Abi, "handshake: built for plugin ABI 2.1, this host has 1.1");
    library.build("3", &["INIT_RESULT=BM_RESULT_FAILED"]);
    refused(ErrorKind::Init, "init: the price list is gone; check the plugin's config");
    library.build("4", &["INIT_RESULT=BM_RESULT_PANIC"]);
    refused(ErrorKind::Init, "init: panicked: the price list is gone; this is a fault of plugin `spoilt`");
    library.build("5", &["WITHOUT_VERSION"]);
    refused(ErrorKind::UnknownHandler, "native handler `spoilt.version` is unknown");
    library.wait_for("retire 5");
    assert!(!library.journal().contains("retire 1"));
    library.build("6", &[]);
    server.reload().unwrap();
    assert_eq!(server.get("/version").text(), "6");
}

#[test]
fn an_init_that_does_not_return_is_left_behind() {
    let (host, library) = (Host::new(), Changing::new("hanging", "1", &[]));
    library.load(&host);
    let mut server = Served::start(&host, &[("/version", &library.handler("version"))]);
    host.set_policy(LoadPolicy { init_timeout: Duration::from_millis(50), ..LoadPolicy::default() });
    library.build("2", &["INIT_WAITS"]);
    let error = server.reload().unwrap_err();
    let path = library.path().display().to_string();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Init,
            &*format!(
                "plugin `{path}`: init: did not return within 0.05 s; check what it waits for, or allow it more time with \
                 `plugin_init_timeout`"
            )
        )
    );
    assert_eq!(server.get("/version").text(), "1");
    let error = server.reload().unwrap_err();
    assert!(
        error.message().contains("init: the library's earlier `init` or `retire` has not returned"),
        "{error}"
    );
    // Both attempts return after all: nobody wants what they made.
    library.go();
    eventually("both late states are retired", || {
        (library.journal().matches("retire 2").count() == 2).then_some(())
    });
    host.set_policy(LoadPolicy::default());
    server.reload().unwrap();
    assert_eq!(server.get("/version").text(), "2");
}

#[test]
fn only_listed_libraries_are_loaded_and_reloaded() {
    let (host, library) = (Host::new(), Changing::new("listed", "1", &[]));
    let sha256 = |bytes: &[u8]| {
        use sha2::{Digest, Sha256};
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let allow = |hashes: Vec<String>| LoadPolicy { allowed_sha256: Some(hashes), ..LoadPolicy::default() };
    let first = sha256(&fs::read(library.path()).unwrap());
    host.set_policy(allow(vec!["0".repeat(64)]));
    let error = host.load(&library.path(), Some(&library.config())).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::NotAllowed,
            &*format!(
                "plugin `{}`: hash: its SHA-256 is {first}, which is not among the 1 that may be loaded; if this is the build you \
                 trust, add it to the list",
                library.path().display()
            )
        )
    );
    // Before its constructors could run, and before `init`.
    assert_eq!(library.journal(), "");
    host.set_policy(allow(vec!["0".repeat(64), first.to_uppercase()]));
    library.load(&host);
    library.build("2", &[]);
    assert_eq!(host.prepare_reload().err().unwrap().kind(), ErrorKind::NotAllowed);
    assert_eq!(library.journal(), "init 1");
}

#[test]
fn a_handler_without_an_answer_is_a_504_at_its_deadline() {
    let (host, library) = (Host::new(), Changing::new("late", "1", &[]));
    library.load(&host);
    let handlers = ["never", "blocks", "version"].map(|name| library.handler(name));
    let routes = [("/never", &*handlers[0]), ("/blocks", &*handlers[1]), ("/version", &*handlers[2])];
    let server = Served::with_deadline(&host, &routes, Duration::from_millis(50));
    let mut client: Client = server.client();
    for target in ["/never", "/blocks"] {
        let reply = client.get(target);
        assert_eq!(
            (reply.status, reply.text()),
            (504, r#"{"detail":"The handler did not answer in time"}"#),
            "{target}"
        );
    }
    library.wait_for("dropped 1");
    assert_eq!(client.get("/version").text(), "1");
    assert_eq!(host.stats().timeouts, 2);
    library.go();
}

#[test]
fn a_deadline_that_is_far_cuts_nothing() {
    let (host, library) = (Host::new(), Changing::new("punctual", "1", &[]));
    library.load(&host);
    let server = Served::with_deadline(&host, &[("/waits", &library.handler("waits"))], HANG * 1000);
    let mut client = server.client();
    client.send("GET", "/waits", &[], b"");
    library.wait_for("waits 1");
    library.go();
    assert_eq!(client.receive().text(), "1");
    assert_eq!(host.stats().timeouts, 0);
}

#[test]
fn nothing_is_left_of_the_private_copies() {
    let (host, library) = (Host::new(), Changing::new("staged", "1", &[]));
    library.load(&host);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let hash = {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(fs::read(library.path()).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let copy = maps.lines().find(|line| line.contains(&hash)).expect("the copy is mapped under its hash");
    assert!(copy.ends_with("(deleted)"), "{copy}");
    let _ = Arc::new(host);
}

/// Name, version and path of each, and the number of its handlers.
fn listed(plugins: Vec<PluginInfo>) -> Vec<(String, String, String, usize)> {
    plugins
        .into_iter()
        .map(|plugin| (plugin.name, plugin.version, plugin.source, plugin.handlers.len()))
        .collect()
}

#[test]
fn a_host_lists_the_plugins_it_has_now() {
    let (host, library, other) =
        (Host::new(), Changing::new("listing", "1", &[]), Changing::new("also_listed", "7", &[]));
    assert!(host.plugins().is_empty());
    let entry = |library: &Changing, version: &str, handlers: usize| {
        (library.name.clone(), version.to_owned(), library.path().display().to_string(), handlers)
    };

    // Loaded: sorted by name, once each, however often it was asked for.
    library.load(&host);
    other.load(&host);
    library.load(&host);
    let second = library.folder.join("another name.so");
    fs::copy(library.path(), &second).unwrap();
    host.load(&second, Some(&library.config())).unwrap();
    fs::remove_file(&second).unwrap();
    let first = [entry(&other, "7", 6), entry(&library, "1", 6)];
    assert_eq!(listed(host.plugins()), first);
    let plugin = host.plugins().remove(1);
    assert_eq!((plugin.abi, &*plugin.sdk, &*plugin.target), ((1, 1), "none", "native"));
    assert_eq!(plugin.sha256.len(), 64);
    let names: Vec<String> = plugin.handlers.into_iter().map(|handler| handler.name).collect();
    assert_eq!(
        names,
        ["blocks", "never", "owned", "streams", "version", "waits"].map(|name| library.handler(name))
    );

    // Failed: nothing is added, nothing is changed.
    let broken = Changing::new("never_listed", "1", &["INIT_RESULT=BM_RESULT_FAILED"]);
    assert_eq!(host.load(&broken.path(), None).unwrap_err().kind(), ErrorKind::Init);
    let rival = Changing::new("rival", "1", &["LAST=\"listing.waits\""]);
    assert_eq!(host.load(&rival.path(), Some(&rival.config())).unwrap_err().kind(), ErrorKind::Duplicate);
    assert_eq!(listed(host.plugins()), first);
    rival.wait_for("retire 1");

    // Reloaded: only once it is committed. (The copy under the other name is gone, so it has to come back for that.)
    fs::copy(library.path(), &second).unwrap();
    library.build("2", &["WITHOUT_VERSION"]);
    fs::copy(library.path(), &second).unwrap();
    let reload = host.prepare_reload().unwrap();
    assert_eq!(listed(host.plugins()), first);
    reload.commit();
    let renewed = [entry(&other, "7", 6), entry(&library, "2", 5)];
    assert_eq!(listed(host.plugins()), renewed);
    library.build("3", &["INIT_RESULT=BM_RESULT_PANIC"]);
    assert_eq!(host.prepare_reload().err().unwrap().kind(), ErrorKind::Init);
    assert_eq!(listed(host.plugins()), renewed);

    assert!(host.retire(HANG));
    assert!(host.plugins().is_empty() && host.handlers().is_empty());
}

#[test]
fn a_plugin_ends_with_the_last_host_that_has_it() {
    let (one, other, library) = (Host::new(), Host::new(), Changing::new("shared", "1", &[]));
    library.load(&one);
    library.load(&other);
    let server = Served::start(&other, &[("/version", &library.handler("version"))]);
    assert!(one.retire(HANG), "it is left to the other one");
    assert_eq!((library.journal(), server.get("/version").text()), ("init 1".to_owned(), "1"));
    // A generation that was replaced and has not drained is waited for, too.
    let mut server = Served::start(&other, &[("/waits", &library.handler("waits"))]);
    let mut slow = server.client();
    slow.send("GET", "/waits", &[], b"");
    library.wait_for("waits 1");
    drop(Served::start(&other, &[("/version", &library.handler("version"))]));
    library.build("2", &[]);
    server.reload().unwrap();
    assert!(!other.retire(Duration::from_millis(20)), "its handlers are still bound, and one is at work");
    assert!(!library.journal().contains("retire"), "{}", library.journal());
    library.go();
    assert_eq!(slow.receive().text(), "1");
    drop((server, slow));
    library.wait_for("retire 2");
}

#[test]
fn a_host_may_load_again_what_it_has_retired() {
    let (host, library) = (Host::new(), Changing::new("again", "1", &[]));
    for _ in 0..20 {
        library.load(&host);
        let server = Served::start(&host, &[("/version", &library.handler("version"))]);
        assert_eq!(server.get("/version").text(), "1");
        assert!(server.stop());
        assert!(host.retire(HANG));
    }
    assert_eq!(library.journal(), ["init 1, retire 1"; 20].join(", "));
}

#[test]
fn init_waits_for_the_retire_before_it() {
    let (host, library) = (Host::new(), Changing::new("ordered", "1", &["RETIRE_WAITS"]));
    library.load(&host);
    assert!(!host.retire(Duration::from_millis(20)), "its retire has not returned");
    library.wait_for("retiring 1");
    host.set_policy(LoadPolicy { init_timeout: Duration::from_millis(20), ..LoadPolicy::default() });
    let error = host.load(&library.path(), Some(&library.config())).unwrap_err();
    assert!(error.message().contains("earlier `init` or `retire` has not returned"), "{error}");
    library.go();
    host.set_policy(LoadPolicy::default());
    library.load(&host);
    let journal = library.journal();
    assert!(journal.starts_with("init 1, retiring 1, retire 1, init 1"), "{journal}");
}
