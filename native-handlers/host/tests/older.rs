//! Plugins of another minor version of the ABI: built with the SDK and the header of 1.0, or newer than this host.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bimetal_host::{check, ErrorKind, Host, HostStats};
use support::{compile_against, eventually, folder, Served};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Unpacks the SDK of 1.0 into a folder of this test's own.
fn unpack(name: &str) -> PathBuf {
    let stage = folder(name);
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(fixtures().join("older/sdk-1.0.tar.gz"))
        .arg("-C")
        .arg(&stage)
        .output()
        .expect("tar runs");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    stage
}

/// Builds the plugin in `fixtures/older` with the SDK of 1.0: in a workspace of what the archive holds, with the versions of
/// all other crates that this repository has locked.
fn older() -> PathBuf {
    let stage = unpack("older");
    fs::create_dir_all(stage.join("older/src")).unwrap();
    for file in ["older/Cargo.toml", "older/src/lib.rs"] {
        fs::copy(fixtures().join(file), stage.join(file)).unwrap();
    }
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"), stage.join("Cargo.lock"))
        .unwrap();
    let manifest = fs::read_to_string(stage.join("Cargo.toml")).unwrap();
    let is_absent = |line: &str| {
        let member = line.trim().strip_prefix('"').and_then(|line| line.strip_suffix("\","));
        member.is_some_and(|member| !stage.join(member).exists())
    };
    let members: Vec<&str> = manifest.lines().filter(|line| !is_absent(line)).collect();
    let manifest = members.join("\n").replacen("members = [", "members = [\n    \"older\",", 1);
    fs::write(stage.join("Cargo.toml"), manifest).unwrap();
    support::cargo_plugin(stage.join("older/Cargo.toml").to_str().unwrap(), "libolder.so")
}

#[test]
fn a_plugin_built_with_the_sdk_of_1_0_works() {
    let built = older();
    let place = folder("older_loaded");
    let (library, journal) = (place.join("libolder.so"), place.join("journal"));
    fs::copy(&built, &library).unwrap();
    let journal_lines = || fs::read_to_string(&journal).unwrap().lines().collect::<Vec<_>>().join(", ");
    assert_eq!(check(&library).unwrap().abi, (1, 0));

    let host = Host::new();
    host.load(&library, Some(&format!("{{\"journal\": \"{}\"}}", journal.display()))).unwrap();
    let mut server = Served::start(
        &host,
        &[
            ("/ping", "older.ping"),
            ("/wait/{name}", "older.wait"),
            ("/block", "older.block"),
            ("/search/{b}/{a}", "older.search"),
            ("/items", "older.create"),
            ("/echo", "older.echo"),
            ("/owned/{size}", "older.owned"),
            ("/numbers/{count}", "older.numbers"),
            ("/state", "older.state"),
            ("/panics", "older.panics"),
            ("/panics/later", "older.panics_later"),
        ],
    );
    let mut client = server.client();
    let ping = client.get("/ping");
    assert_eq!(
        (ping.status, ping.text(), ping.header("content-type")),
        (200, "pong", Some("text/plain; charset=utf-8"))
    );
    assert_eq!(client.get("/wait/you%20there").text(), "you there /wait/you there");
    client.send("GET", "/block", &["X-Probe: here"], b"");
    assert_eq!(client.receive().text(), "here");
    assert_eq!(client.get("/search/b%20c/7?q=abc&limit=3").text(), r#"[7,"b c","abc",3]"#);
    let refused = client.get("/search/b/x?q=a");
    assert_eq!(refused.status, 422);
    for part in
        [r#""type":"int_parsing","loc":["path","a"]"#, r#""type":"string_too_short","loc":["query","q"]"#]
    {
        assert!(refused.text().contains(part), "{part} in {}", refused.text());
    }
    let created = client.post_json("/items", r#"{"name":"bolt","price":"1.5"}"#);
    assert_eq!(
        (created.status, created.text(), created.header("x-name")),
        (201, r#"{"name":"bolt","price":1.5}"#, Some("bolt"))
    );
    let conflict = client.post_json("/items", r#"{"name":"bolt","price":-1}"#);
    assert_eq!(
        (conflict.status, conflict.text(), conflict.header("x-why")),
        (409, r#"{"detail":"too cheap"}"#, Some("price"))
    );
    assert_eq!(client.post_json("/items", "{}").status, 422);
    client.send("POST", "/echo", &["x-two: 2", "x-one: 1"], b"the body");
    assert_eq!(client.receive().text(), "POST x-one=1,x-two=2 the body");
    for size in [0, 10, 2_000_000] {
        let owned = client.get(&format!("/owned/{size}"));
        assert_eq!((owned.body.len(), owned.header("x-size")), (size, Some(&*size.to_string())));
    }
    assert_eq!(client.get("/numbers/100000").body.len(), 588_891);
    assert_eq!(client.get("/state").text(), "Ready");
    for target in ["/panics", "/panics/later"] {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.text()), (500, r#"{"detail":"Internal Server Error"}"#));
    }
    assert_eq!(host.stats(), HostStats { panics: 2, ..HostStats::default() });

    // Replaced by other bytes that are the same code; the first generation is retired.
    assert_eq!(journal_lines(), "begun, blocked");
    fs::write(&library, [&fs::read(&built).unwrap()[..], b"again"].concat()).unwrap();
    assert_eq!(server.reload().unwrap().len(), 1);
    eventually("the first generation's end", || {
        (journal_lines() == "begun, blocked, begun, retired").then_some(())
    });
    assert_eq!(client.get("/ping").text(), "pong");
    assert!(server.stop());
}

#[test]
fn a_c_plugin_built_with_the_header_of_1_0_works() {
    let include = unpack("older_header").join("native-handlers/abi");
    let library = folder("older_c").join("libolderc.so");
    compile_against(&include, &fixtures().join("plugin.c"), &library, &["PLUGIN_NAME=\"olderc\""]);
    assert_eq!(check(&library).unwrap().abi, (1, 0));
    let host = Host::new();
    host.load(&library, None).unwrap();
    let server = Served::start(&host, &[("/hello", "olderc.hello"), ("/broken/{rule}", "olderc.second")]);
    assert_eq!(server.get("/hello").text(), "hello from C, nobody");
    // Also what it does wrong is caught as before.
    assert_eq!(server.get("/broken/d").status, 500);
    assert_eq!(server.get("/broken/-").status, 200);
}

#[test]
fn a_plugin_newer_than_the_host_works_if_it_needs_no_more() {
    let name = "PLUGIN_NAME=\"newer\"";
    let library = support::c_plugin("newer", &[name, "MINOR=99", "GROWN"]);
    assert_eq!(check(&library).unwrap().abi, (1, 99));
    let host = Host::new();
    host.load(&library, None).unwrap();
    let server = Served::start(&host, &[("/hello", "newer.hello"), ("/broken/{rule}", "newer.second")]);
    assert_eq!(server.get("/hello").text(), "hello from C, nobody");
    assert_eq!(server.get("/broken/-").status, 200);

    let caps = "CAPS=(BM_CAP_LOG|(UINT64_C(1)<<50)|(UINT64_C(1)<<51))";
    let library = support::c_plugin("needier", &[name, "MINOR=99", "GROWN", caps]);
    let error = host.load(&library, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Abi);
    assert!(
        error.message().contains(
            "handshake: needs capabilities this host lacks (0x4000000000000, which it does not know, 0x8000000000000, which it \
             does not know), it has "
        ),
        "{error}"
    );
}
