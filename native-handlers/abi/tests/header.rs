//! `bimetal.h` against the Rust types: a C compiler prints sizes and offsets, Rust compares. Without a C compiler (`CC` or
//! `cc`) there is nothing to compare, and the test says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bimetal_abi as abi;

macro_rules! layouts {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        /// Every size and offset as Rust sees it; the key is a C expression that gives the same.
        fn of_rust() -> BTreeMap<String, u64> {
            let mut all = BTreeMap::new();
            $(
                all.insert(format!("sizeof({})", stringify!($name)), size_of::<abi::$name>() as u64);
                $(all.insert(
                    format!("offsetof({}, {})", stringify!($name), stringify!($field)),
                    offset_of!(abi::$name, $field) as u64,
                );)*
            )*
            all
        }
    };
}

layouts! {
    BmSlice { ptr, len }
    BmRequest { size, n_params, method, path, query, body, params, ctx, deadline_ns }
    BmHeader { name, value }
    BmResponse {
        size, status, kind, n_headers, content_type, headers, buf, cap, len, lease, owner, release, next,
    }
    BmChunk { size, reserved, bytes, owner, release }
    BmWaker { data, meta }
    BmWakerVtable { clone, wake, wake_by_ref, drop }
    BmFuture { data, poll, drop }
    BmHost {
        size, abi_minor, caps, waker, log, header_get, header_each, response_grow, server_state, now_ns, spawn_blocking,
        call_route, task_poll, task_wait, task_reply, task_drop, waker_new, metric_register, metric_add, metric_set,
        metric_observe, metrics_text,
    }
    BmJob { size, reserved, data, run, drop }
    BmCall { size, n_headers, method, target, headers, body }
    BmReply { size, status, failure, n_headers, headers, body, error }
    BmMetric { size, kind, n_labels, n_bounds, name, help, labels, bounds }
    BmHandler {
        name, flags, n_params, params, meta_json, schema_hash, future_size, future_align, data, call, start,
    }
    BmInit { size, reserved, state, error, error_owner, release_error }
    BmPlugin {
        magic, abi_major, abi_minor, size, handler_stride, required_caps, provided_caps, name, version, sdk, rustc,
        target, panic_mode, n_handlers, handlers, init, retire,
    }
}

/// The constants both sides define; the key is the C name.
fn constants() -> BTreeMap<String, u64> {
    [
        ("BM_MAGIC", abi::MAGIC),
        ("BM_ABI_MAJOR", abi::ABI_MAJOR.into()),
        ("BM_ABI_MINOR", abi::ABI_MINOR.into()),
        ("BM_CAP_HEADERS", abi::CAP_HEADERS),
        ("BM_CAP_RESPONSE_GROW", abi::CAP_RESPONSE_GROW),
        ("BM_CAP_LOG", abi::CAP_LOG),
        ("BM_CAP_WAKER", abi::CAP_WAKER),
        ("BM_CAP_SERVER_STATE", abi::CAP_SERVER_STATE),
        ("BM_CAP_DEADLINE", abi::CAP_DEADLINE),
        ("BM_CAP_SPAWN_BLOCKING", abi::CAP_SPAWN_BLOCKING),
        ("BM_CAP_CALL_ROUTE", abi::CAP_CALL_ROUTE),
        ("BM_CAP_METRICS", abi::CAP_METRICS),
        ("BM_CAP_RESPONSE_STREAM", abi::CAP_RESPONSE_STREAM),
        ("BM_RESULT_OK", abi::RESULT_OK.into()),
        ("BM_RESULT_PANIC", abi::RESULT_PANIC.into()),
        ("BM_RESULT_PENDING", abi::RESULT_PENDING.into()),
        ("BM_RESULT_FAILED", abi::RESULT_FAILED.into()),
        ("BM_RESULT_ABSENT", abi::RESULT_ABSENT.into()),
        ("BM_PANIC_UNWIND", abi::PANIC_UNWIND.into()),
        ("BM_PANIC_ABORT", abi::PANIC_ABORT.into()),
        ("BM_PANIC_NONE", abi::PANIC_NONE.into()),
        ("BM_HANDLER_KIND_MASK", abi::HANDLER_KIND_MASK.into()),
        ("BM_HANDLER_SYNC", abi::HANDLER_SYNC.into()),
        ("BM_HANDLER_BLOCKING", abi::HANDLER_BLOCKING.into()),
        ("BM_HANDLER_ASYNC", abi::HANDLER_ASYNC.into()),
        ("BM_HANDLER_READS_BODY", abi::HANDLER_READS_BODY.into()),
        ("BM_RESPONSE_LEASED", abi::RESPONSE_LEASED.into()),
        ("BM_RESPONSE_OWNED", abi::RESPONSE_OWNED.into()),
        ("BM_RESPONSE_STATIC", abi::RESPONSE_STATIC.into()),
        ("BM_RESPONSE_STREAM", abi::RESPONSE_STREAM.into()),
        ("BM_LOG_ERROR", abi::LOG_ERROR.into()),
        ("BM_LOG_WARN", abi::LOG_WARN.into()),
        ("BM_LOG_INFO", abi::LOG_INFO.into()),
        ("BM_LOG_DEBUG", abi::LOG_DEBUG.into()),
        ("BM_LOG_TRACE", abi::LOG_TRACE.into()),
        ("BM_SERVER_STARTING", abi::SERVER_STARTING.into()),
        ("BM_SERVER_READY", abi::SERVER_READY.into()),
        ("BM_SERVER_DRAINING", abi::SERVER_DRAINING.into()),
        ("BM_CALL_OK", abi::CALL_OK.into()),
        ("BM_CALL_INVALID", abi::CALL_INVALID.into()),
        ("BM_CALL_UPGRADE", abi::CALL_UPGRADE.into()),
        ("BM_CALL_TOO_DEEP", abi::CALL_TOO_DEEP.into()),
        ("BM_CALL_STOPPED", abi::CALL_STOPPED.into()),
        ("BM_CALL_TIMED_OUT", abi::CALL_TIMED_OUT.into()),
        ("BM_CALL_TOO_LARGE", abi::CALL_TOO_LARGE.into()),
        ("BM_CALL_CUT_SHORT", abi::CALL_CUT_SHORT.into()),
        ("BM_METRIC_COUNTER", abi::METRIC_COUNTER.into()),
        ("BM_METRIC_GAUGE", abi::METRIC_GAUGE.into()),
        ("BM_METRIC_HISTOGRAM", abi::METRIC_HISTOGRAM.into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The C compiler, where the machine has one.
fn compiler() -> Option<String> {
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let found = Command::new(&cc).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then_some(cc)
}

fn out_dir() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header");
    std::fs::create_dir_all(&dir).expect("the target folder is writable");
    dir
}

#[test]
fn the_c_header_has_the_layout_of_the_rust_types() {
    let Some(cc) = compiler() else {
        eprintln!("skipped: no C compiler (CC or cc) on this machine");
        return;
    };
    let mut expected = of_rust();
    expected.extend(constants());

    let mut source = String::from("#include \"bimetal.h\"\n#include <stdio.h>\nint main(void) {\n");
    for expression in expected.keys() {
        writeln!(source, "    printf(\"%s=%llu\\n\", \"{expression}\", (unsigned long long)({expression}));")
            .unwrap();
    }
    source.push_str("    return 0;\n}\n");

    let dir = out_dir();
    let (c_file, program) = (dir.join("layout.c"), dir.join("layout"));
    std::fs::write(&c_file, source).unwrap();
    let built = Command::new(&cc)
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-I",
            env!("CARGO_MANIFEST_DIR"),
            "-o",
        ])
        .args([&program, &c_file])
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "bimetal.h does not compile:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let printed = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    let of_c: BTreeMap<String, u64> = printed
        .lines()
        .map(|line| line.split_once('=').expect("name=number"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect();
    assert_eq!(of_c, expected);
}

#[test]
fn the_header_names_every_struct_field() {
    let header = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bimetal.h")).unwrap();
    for key in of_rust().keys() {
        assert!(header.contains(&format!("BM_ASSERT({key} == ")), "bimetal.h does not assert {key}");
    }
}
