//! What can be wrong with a plugin: each case is refused with one line that names file, stage, reason and fix.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bimetal_host::{check, ErrorKind, Host, Readiness};
use support::{c_plugin, compile, folder, HANG};

/// Loads and expects an error of this kind whose text is the path and then `expected`.
fn refused(path: &Path, kind: ErrorKind, expected: &str) {
    refused_with(path, None, kind, expected);
}

fn refused_with(path: &Path, config: Option<&str>, kind: ErrorKind, expected: &str) {
    let error = Host::new().load(path, config).expect_err(expected);
    assert_eq!((error.kind(), error.to_string()), (kind, format!("plugin `{}`: {expected}", path.display())));
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn files_that_cannot_be_plugins() {
    let folder = folder("files");
    refused(
        &folder.join("absent.so"),
        ErrorKind::File,
        "file: there is none; build it (`cargo build --release` in the plugin's crate) or correct the path",
    );
    refused(&folder, ErrorKind::File, "file: it is not a regular file; give the path of the library itself");

    let file = folder.join("file.so");
    let write = |bytes: &[u8], mode| {
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o664, 0o646, 0o777] {
        write(b"", mode);
        let expected = format!(
            "file: others can change it (mode {mode:04o}), and it would run with this server's rights; `chmod go-w {}`",
            file.display()
        );
        refused(&file, ErrorKind::File, &expected);
    }
    write(b"", 0o644);
    refused(&file, ErrorKind::Format, "format: the file is empty; build the plugin again");
    write(b"#!/bin/sh\n", 0o644);
    refused(
        &file,
        ErrorKind::Format,
        "format: not a shared library (no ELF header); give the path of the built library, like `target/release/libhot.so`",
    );

    let library = fs::read(c_plugin("whole", &["PLUGIN_NAME=\"whole\""])).unwrap();
    write(&library[..library.len() / 2], 0o644);
    refused(&file, ErrorKind::Format, "format: the file is cut short; copy or build it again");
    let mut foreign = library.clone();
    foreign[18] = 8;
    write(&foreign, 0o644);
    let error = Host::new().load(&file, None).unwrap_err();
    assert!(
        error.message().contains("format: built for another machine (ELF machine 8, this is "),
        "{error}"
    );
    let mut object = library;
    object[16] = 1;
    write(&object, 0o644);
    refused(
        &file,
        ErrorKind::Format,
        "format: not a shared library (it is an object file or a program); set `crate-type = [\"cdylib\"]`",
    );
}

#[test]
fn a_library_that_is_no_plugin_is_refused_before_its_code_runs() {
    let folder = folder("foreign");
    let (source, library, trace) =
        (folder.join("foreign.c"), folder.join("libforeign.so"), folder.join("ran"));
    let code = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void run(void) {{ fclose(fopen(\"{}\", \"w\")); }}\n",
        trace.display()
    );
    fs::write(&source, code).unwrap();
    compile(&source, &library, &[]);
    refused(
        &library,
        ErrorKind::Export,
        "export: not a Bimetal plugin, it does not export `bimetal_plugin_v1`; in a plugin's crate, write `bimetal::plugin! { \
         name: \"...\" }` and build without the feature `static`",
    );
    assert!(!trace.exists(), "the constructor ran");
}

#[test]
fn the_systems_loader_is_explained() {
    let folder = folder("dependency");
    let (source, library) = (folder.join("needy.c"), folder.join("libneedy.so"));
    fs::write(
        &source,
        "void absent_function(void); const void *bimetal_plugin_v1(void) { absent_function(); return 0; }\n",
    )
    .unwrap();
    compile(&source, &library, &[]);
    refused(
        &library,
        ErrorKind::Load,
        "load: the library: undefined symbol: absent_function; link the plugin against the library that has this symbol, or \
         build it on this system",
    );
}

#[test]
fn another_abi_is_named() {
    refused(
        &c_plugin("major2", &["ENTRY=bimetal_plugin_v2"]),
        ErrorKind::Abi,
        "export: built for plugin ABI 2, this host has 1; rebuild the plugin with the `bimetal` crate of this version of Bimetal",
    );
    refused(
        &c_plugin("major7", &["MAJOR=7"]),
        ErrorKind::Abi,
        "handshake: built for plugin ABI 7.1, this host has 1.1; rebuild the plugin with the `bimetal` crate of this version of \
         Bimetal",
    );
    refused(
        &c_plugin("small", &["SIZE=8"]),
        ErrorKind::Abi,
        "handshake: the table has 8 bytes, ABI 1.0 has 152; rebuild the plugin",
    );
    refused(
        &c_plugin("caps", &["CAPS=(BM_CAP_HEADERS|(UINT64_C(1)<<40))"]),
        ErrorKind::Abi,
        "handshake: needs capabilities this host lacks (0x10000000000, which it does not know), it has headers, \
         response_grow, log, waker, server_state, deadline, spawn_blocking, call_route, metrics, response_stream; update Bimetal, or build the plugin with an older SDK",
    );
    refused(
        &c_plugin("abort", &["PANIC_MODE=BM_PANIC_ABORT"]),
        ErrorKind::Abi,
        "handshake: built with panic=abort, so one panic would end the whole server; remove `panic = \"abort\"` from the plugin's \
         profile",
    );
}

#[test]
fn a_table_that_is_wrong_is_refused() {
    refused(
        &c_plugin("magic", &["PLUGIN_MAGIC=1"]),
        ErrorKind::Export,
        "handshake: the table's magic number is 0x0000000000000001, not 0x004c4154454d4942; this is not a Bimetal plugin",
    );
    refused(
        &c_plugin("null", &["NULL_TABLE"]),
        ErrorKind::Export,
        "handshake: the library could not describe itself (it returned no table, most likely after a panic); see standard error \
         for the panic's message",
    );
    refused(
        &c_plugin("name", &["PLUGIN_NAME=\"a b\""]),
        ErrorKind::Metadata,
        "handshake: `a b` is not a plugin name; use letters, digits, `_`, `-` and `.`",
    );
    refused(
        &c_plugin("meta", &["META=\"nope\""]),
        ErrorKind::Metadata,
        "handler `cplug.hello`: its metadata is not a JSON object (Invalid literal (`true`, `false`, or a `null`) while parsing at \
         line 1 column 4); rebuild the plugin",
    );
    refused(
        &c_plugin("problem", &["META=\"{\\\"error\\\": \\\"it is broken; mend it\\\"}\""]),
        ErrorKind::Metadata,
        "handler `cplug.hello`: it is broken; mend it",
    );
    refused(
        &c_plugin("twice", &["SECOND=\"cplug.hello\""]),
        ErrorKind::Duplicate,
        "handlers: `cplug.hello` is there twice; rename one of them",
    );
    refused(
        &c_plugin("none", &["COUNT=0"]),
        ErrorKind::Metadata,
        "handlers: there are none; add `#[native_handler]` to a function",
    );
    refused(
        &c_plugin("many", &["COUNT=100000000"]),
        ErrorKind::Metadata,
        "handlers: the list of 100000000 cannot be read; rebuild the plugin",
    );
    refused(
        &c_plugin("stride", &["STRIDE=16"]),
        ErrorKind::Metadata,
        "handlers: an entry has 16 bytes, ABI 1.0 has 96; rebuild the plugin",
    );
    refused(
        &c_plugin("kind", &["KIND=3"]),
        ErrorKind::Metadata,
        "handler `cplug.hello`: its kind 3 is unknown to this host; update Bimetal",
    );
    for (name, macros) in [("uncalled", &["NO_CALL"][..]), ("unstarted", &["KIND=2"][..])] {
        refused(
            &c_plugin(name, macros),
            ErrorKind::Metadata,
            "handler `cplug.hello`: it has no function to call; rebuild the plugin",
        );
    }
}

#[test]
fn an_init_that_fails_gives_its_reason() {
    let probe = support::probe();
    refused_with(
        &probe,
        Some(r#"{"fail": "error"}"#),
        ErrorKind::Init,
        "init: the database is not there; check the plugin's config",
    );
    refused_with(
        &probe,
        Some(r#"{"fail": "panic"}"#),
        ErrorKind::Init,
        "init: panicked: on purpose; this is a fault of plugin `probe`",
    );
    refused_with(
        &probe,
        Some(r#"{"fail": 3}"#),
        ErrorKind::Init,
        "init: the config does not fit: invalid type: integer `3`, expected a string; check the plugin's config",
    );
    refused(
        &c_plugin("failing", &["INIT_RESULT=BM_RESULT_FAILED"]),
        ErrorKind::Init,
        "init: it gives no reason; check the plugin's config",
    );
    refused(
        &c_plugin("senseless", &["INIT_RESULT=42"]),
        ErrorKind::Init,
        "init: returned 42, which means nothing; rebuild the plugin",
    );
    let hot = support::hot();
    refused_with(
        &hot,
        Some(r#"{"max_tags": 0}"#),
        ErrorKind::Init,
        "init: max_tags is 0, and must be at least 1; check the plugin's config",
    );
    // After a failure the same library can be loaded with a config that does.
    let host = Host::new();
    host.load(&hot, Some(r#"{"max_tags": 2}"#)).unwrap();
    refused_with(
        &hot,
        None,
        ErrorKind::Config,
        "config: this process has loaded the same library with another config (as plugin `hot`); give every server the same \
         config, or run them in separate processes",
    );
    // And with another one when nobody uses it any more.
    assert!(host.retire(HANG));
    host.load(&hot, None).unwrap();
}

#[test]
fn one_name_belongs_to_one_handler() {
    let host = Host::new();
    let (first, second) = (
        c_plugin("first", &["PLUGIN_NAME=\"same\"", "ONE"]),
        c_plugin("other", &["PLUGIN_NAME=\"same\"", "TWO"]),
    );
    host.load(&first, None).unwrap();
    // The macros differ and the bytes may not: the second copy must be another library.
    let mut bytes = fs::read(&second).unwrap();
    bytes.push(0);
    fs::write(&second, bytes).unwrap();
    let error = host.load(&second, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    assert_eq!(
        error.message(),
        format!(
            "plugin `same` ({}): handler `same.hello` exists already, in plugin `same` ({}); rename one of them",
            second.display(),
            first.display()
        )
    );
    assert_eq!(host.handlers().len(), 2);
}

#[test]
fn binding_explains_what_does_not_fit() {
    let host = Host::new();
    host.load(&c_plugin("bound", &["PLUGIN_NAME=\"bound\""]), None).unwrap();
    let bind = |name: &str, params: &[&str]| {
        let params: Vec<String> = params.iter().map(|name| (*name).to_owned()).collect();
        host.bind(name, &params, &Readiness::default()).map(|_| ())
    };
    let error = bind("bound.helo", &[]).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::UnknownHandler, "native handler `bound.helo` is unknown: did you mean `bound.hello`?")
    );
    let error = bind("bound.second", &["id", "other"]).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Parameters,
            "native handler `bound.second` wants path parameters `rule`, the route's path names `id`, `other`: give them the same \
             names"
        )
    );
    bind("bound.second", &["x", "rule"]).unwrap();
}

#[test]
fn check_explains_what_a_library_exports() {
    let info = check(&support::hot()).unwrap();
    assert_eq!((&*info.name, &*info.version, info.abi), ("hot", "0.1.0", (1, 1)));
    assert!(info.rustc.starts_with("rustc ") && info.sdk.starts_with("bimetal ") && !info.target.is_empty());
    assert_eq!(info.sha256.len(), 64);
    let handlers: Vec<String> =
        info.handlers.iter().map(|handler| format!("{} {}", handler.name, handler.kind.as_str())).collect();
    assert_eq!(
        handlers,
        ["hot.create_item sync", "hot.get_user sync", "hot.missing sync", "hot.ping sync", "hot.slow async"]
    );
    for part in [
        r#""name":"user_id","in":"path","required":true"#,
        r#""name":"verbose","in":"query","required":false"#,
        r#""summary":"A user by number""#,
    ] {
        assert!(info.handlers[1].meta_json.contains(part), "{part} in {}", info.handlers[1].meta_json);
    }
}

#[test]
fn a_plugin_written_in_c_answers() {
    let host = Host::new();
    host.load(&c_plugin("greeter", &["PLUGIN_NAME=\"greeter\""]), None).unwrap();
    let server = support::Served::start(&host, &[("/hello", "greeter.hello")]);
    let mut client = server.client();
    client.send("GET", "/hello", &["user-agent: tester"], b"");
    let reply = client.receive();
    assert_eq!((reply.status, reply.text()), (200, "hello from C, tester"));
    assert_eq!(client.get("/hello").text(), "hello from C, nobody");
}

#[test]
fn overwriting_the_file_does_not_touch_what_runs() {
    let host = Host::new();
    let library = c_plugin("overwritten", &["PLUGIN_NAME=\"overwritten\""]);
    host.load(&library, None).unwrap();
    let server = support::Served::start(&host, &[("/hello", "overwritten.hello")]);
    let length = fs::metadata(&library).unwrap().len() as usize;
    fs::write(&library, vec![0xcc; length]).unwrap();
    assert_eq!(server.get("/hello").text(), "hello from C, nobody");
}
