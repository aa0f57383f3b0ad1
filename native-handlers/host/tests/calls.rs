//! Handlers of a loaded plugin, called over sockets through a real server.

mod support;

use bimetal_host::{Host, HostStats, PoolConfig};
use support::{eventually, Served, HANG};

fn hot() -> Host {
    let host = Host::new();
    host.load(&support::hot(), None).unwrap();
    host
}

fn probe() -> Host {
    let host = Host::new();
    host.load(&support::probe(), None).unwrap();
    host
}

#[test]
fn the_example_plugin_answers_every_kind_of_request() {
    let server = Served::start(
        &hot(),
        &[
            ("/ping", "hot.ping"),
            ("/users/{user_id}", "hot.get_user"),
            ("/items", "hot.create_item"),
            ("/slow", "hot.slow"),
            ("/missing", "hot.missing"),
        ],
    );
    let mut client = server.client();
    let ping = client.get("/ping");
    assert_eq!((ping.status, ping.text()), (200, "pong"));
    assert_eq!(ping.header("content-type"), Some("text/plain; charset=utf-8"));

    let user = client.get("/users/7?verbose=yes");
    assert_eq!((user.status, user.text()), (200, r#"{"id":7,"name":"user7","email":"user7@example.com"}"#));
    assert_eq!(user.header("content-type"), Some("application/json"));
    assert_eq!(client.get("/users/%2B8").text(), r#"{"id":8,"name":"user8","email":null}"#);

    let item = client.post_json("/items", r#"{"name":"bolt","price":"9.5","tags":["a"]}"#);
    assert_eq!((item.status, item.text()), (200, r#"{"name":"bolt","price":9.5,"tags":["a"]}"#));

    let slow = client.get("/slow");
    assert_eq!((slow.status, slow.text()), (200, r#"{"waited_ms":5}"#));

    let missing = client.get("/missing");
    assert_eq!((missing.status, missing.text()), (404, r#"{"detail":"There is no such thing"}"#));
    assert!(server.stop());
}

#[test]
fn a_request_that_does_not_fit_gets_fastapis_422() {
    let server =
        Served::start(&hot(), &[("/users/{user_id}", "hot.get_user"), ("/items", "hot.create_item")]);
    let mut client = server.client();
    let user = client.get("/users/abc?verbose=maybe");
    assert_eq!(
        (user.status, user.text()),
        (
            422,
            concat!(
                r#"{"detail":[{"type":"int_parsing","loc":["path","user_id"],"msg":"Input should be a valid integer, unable to "#,
                r#"parse string as an integer","input":"abc"},{"type":"bool_parsing","loc":["query","verbose"],"msg":"Input "#,
                r#"should be a valid boolean, unable to interpret input","input":"maybe"}]}"#
            )
        )
    );
    let item = client.post_json("/items", r#"{"name":1}"#);
    assert_eq!(
        (item.status, item.text()),
        (
            422,
            concat!(
                r#"{"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":1},"#,
                r#"{"type":"missing","loc":["body","price"],"msg":"Field required","input":{"name":1}}]}"#
            )
        )
    );
    let cut = client.post_json("/items", "{");
    assert!(cut.text().contains(r#""type":"json_invalid","loc":["body",1]"#), "{}", cut.text());
}

#[test]
fn what_a_handler_borrows_is_what_was_sent() {
    let server = Served::start(
        &probe(),
        &[("/echo/{rest:path}", "probe.echo"), ("/later/{rest:path}", "probe.echo_later")],
    );
    for (path, later) in [("/echo/a%20b/c", "/echo/a b/c"), ("/later/a%20b/c", "/later/a b/c")] {
        let mut client = server.client();
        client.send("POST", &format!("{path}?x=1&y=%20"), &["X-One: 1", "x-two: zwei"], b"the body");
        let reply = client.receive();
        assert_eq!(
            (reply.status, reply.text()),
            (200, &*format!("POST {later} x=1&y=%20 x-one=1,x-two=zwei the body"))
        );
    }
}

#[test]
fn many_path_parameters_arrive_in_the_handlers_order() {
    let host = probe();
    let server = Served::start(
        &host,
        &[
            ("/n/{i}/{h}/{g}/{f}/{e}/{d}/{c}/{b}/{a}", "probe.nine"),
            ("/m/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "probe.nine"),
        ],
    );
    assert_eq!(server.get("/n/1/2/3/4/5/6/7/8/9").text(), "987654321");
    assert_eq!(server.get("/m/1/2/3/4/5/6/7/8/9").text(), "123456789");
}

#[test]
fn responses_of_every_size_and_kind_arrive_whole() {
    let server = Served::start(
        &probe(),
        &[
            ("/large/{size}", "probe.large"),
            ("/numbers/{count}", "probe.numbers"),
            ("/created", "probe.created"),
            ("/nothing", "probe.nothing"),
        ],
    );
    let mut client = server.client();
    for size in [0, 1, 1023, 1024, 1025, 32 * 1024, 70_000, 3_000_000] {
        let reply = client.get(&format!("/large/{size}"));
        assert_eq!((reply.status, reply.body.len()), (200, size));
        assert!(reply.body.iter().all(|b| *b == b'x'));
        assert_eq!(reply.header("x-size"), Some(&*size.to_string()));
        let json = client.get(&format!("/large/{size}?json=1"));
        assert_eq!((json.body.len(), json.header("content-type")), (size + 2, Some("application/json")));
    }
    for count in [0, 10, 500, 600, 5_000, 200_000] {
        let expected = format!("[{}]", (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        assert!(client.get(&format!("/numbers/{count}")).text() == expected, "{count} numbers");
    }
    let created = client.get("/created");
    assert_eq!((created.status, created.text(), created.header("location")), (201, "[1,2]", Some("/x")));
    let cookies: Vec<_> =
        created.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| &**value).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    let nothing = client.get("/nothing");
    assert_eq!((nothing.status, nothing.body.len(), nothing.header("content-type")), (200, 0, None));
}

#[test]
fn a_panic_is_a_500_and_the_server_goes_on() {
    let host = probe();
    let server = Served::start(
        &host,
        &[
            ("/panics", "probe.panics"),
            ("/later", "probe.panics_later"),
            ("/blocking", "probe.panics_blocking"),
            ("/echo/{rest}", "probe.echo"),
        ],
    );
    let mut client = server.client();
    for _ in 0..1_000 {
        let reply = client.get("/panics");
        assert_eq!((reply.status, reply.text()), (500, r#"{"detail":"Internal Server Error"}"#));
    }
    assert_eq!(client.get("/later").status, 500);
    assert_eq!(client.get("/blocking").status, 500);
    assert_eq!(host.stats(), HostStats { panics: 1_002, ..HostStats::default() });
    assert_eq!(client.get("/echo/x").status, 200);
}

#[test]
fn a_response_that_breaks_the_rules_is_a_500() {
    let host = probe();
    let c_plugin = support::c_plugin("broken", &["PLUGIN_NAME=\"broken\"", "SECOND=\"broken.response\""]);
    host.load(&c_plugin, None).unwrap();
    let server = Served::start(
        &host,
        &[
            ("/header", "probe.bad_header"),
            ("/status", "probe.bad_status"),
            ("/framing", "probe.framing_header"),
            ("/broken/{rule}", "broken.response"),
        ],
    );
    let mut client = server.client();
    let rules = "abcdefghijklm".chars().map(|rule| format!("/broken/{rule}"));
    let targets: Vec<String> =
        ["/header", "/status", "/framing"].map(str::to_owned).into_iter().chain(rules).collect();
    for target in &targets {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.text()), (500, r#"{"detail":"Internal Server Error"}"#), "{target}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    assert_eq!(host.stats().bad_responses, targets.len() as u64);
    assert_eq!(client.get("/broken/-").status, 200);
}

#[test]
fn async_handlers_wait_side_by_side_on_one_worker() {
    let server = Served::start(&probe(), &[("/meet", "probe.rendezvous")]);
    // None of the eight is answered before all eight are being served.
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send("GET", "/meet", &[], b""));
    let leaders =
        clients.iter_mut().map(support::Client::receive).filter(|reply| reply.text() == "true").count();
    assert_eq!(leaders, 1);
}

#[test]
fn a_client_that_goes_away_cancels_its_future() {
    let host = probe();
    let server = Served::start(
        &host,
        &[("/forever", "probe.forever"), ("/counts", "probe.counts"), ("/drop", "probe.panics_on_drop")],
    );
    let mut watcher = server.client();
    let mut client = server.client();
    client.send("GET", "/forever", &[], b"");
    eventually("the handler's start", || (watcher.get("/counts").text() == "1 0").then_some(()));
    drop(client);
    eventually("the future's end", || (watcher.get("/counts").text() == "1 1").then_some(()));

    let mut client = server.client();
    client.send("GET", "/drop", &[], b"");
    // Answered in order: the request before it on the same worker has begun by then.
    assert_eq!(watcher.get("/counts").status, 200);
    drop(client);
    eventually("the panic in the drop", || (host.stats().panics == 1).then_some(()));
    assert_eq!(watcher.get("/counts").status, 200);
}

#[test]
fn blocking_handlers_run_beside_the_worker_and_are_bounded() {
    let host = Host::with_pool(PoolConfig { threads: 2, queue: 1, idle: HANG });
    host.load(&support::probe(), None).unwrap();
    let server = Served::start(&host, &[("/gate/{name}", "probe.gate"), ("/open", "probe.open")]);
    let mut clients: Vec<_> = (0..4)
        .map(|index| {
            let mut client = server.client();
            client.send("GET", &format!("/gate/{index}"), &["x-probe: here"], b"");
            client
        })
        .collect();
    // Two run, one waits, one is too many: which one depends on the order of arrival.
    eventually("the refusal", || (host.stats().rejected == 1).then_some(()));
    let mut client = server.client();
    assert_eq!(client.get("/open").text(), "open");
    let mut refused = 0;
    for (index, client) in clients.iter_mut().enumerate() {
        let reply = client.receive();
        if reply.status == 503 {
            refused += 1;
            assert_eq!(reply.header("retry-after"), Some("1"));
            continue;
        }
        let text = reply.text();
        assert!(
            text.starts_with("bimetal-blockin ") && text.ends_with(&format!(" {index} GET here")),
            "{text}"
        );
    }
    assert_eq!(refused, 1);
    assert!(server.stop());
}

#[test]
fn handlers_linked_in_answer_the_same_way() {
    let host = Host::new();
    for plugin in bimetal_builtin::plugins().unwrap() {
        host.register_static(plugin).unwrap();
    }
    let names: Vec<String> =
        host.handlers().into_iter().map(|handler| format!("{} {}", handler.name, handler.source)).collect();
    assert_eq!(
        names,
        ["health builtin", "livez builtin", "metrics builtin", "readyz builtin", "startupz builtin"]
    );

    let server = Served::start(&host, &[("/health", "health"), ("/livez", "livez"), ("/readyz", "readyz")]);
    let mut client = server.client();
    for path in ["/health", "/livez"] {
        let reply = client.get(path);
        assert_eq!((reply.status, reply.text()), (200, r#"{"status":"ok"}"#));
    }
    for (state, status, text) in [
        (bimetal_host::ServerState::Ready, 200, r#"{"status":"ready"}"#),
        (bimetal_host::ServerState::Draining, 503, r#"{"status":"draining"}"#),
        (bimetal_host::ServerState::Starting, 503, r#"{"status":"starting"}"#),
    ] {
        server.readiness.set(state);
        let reply = client.get("/readyz");
        assert_eq!((reply.status, reply.text()), (status, text));
    }
}

#[test]
fn two_servers_share_a_plugin_and_tell_their_own_state() {
    let path = support::hot();
    let hosts = [Host::new(), Host::new()];
    for host in &hosts {
        assert_eq!(host.load(&path, None).unwrap().len(), 5);
        // Again on the same host: nothing changes.
        assert_eq!(host.load(&path, Some(" ")).unwrap().len(), 5);
        assert_eq!(host.handlers().len(), 5);
    }
    let servers = hosts.each_ref().map(|host| Served::start(host, &[("/ping", "hot.ping")]));
    assert_eq!(servers[0].get("/ping").text(), "pong");
    let [first, second] = servers;
    assert!(first.stop());
    drop(hosts);
    assert_eq!(second.get("/ping").text(), "pong");
}

#[test]
fn a_routes_status_is_that_of_responses_that_set_none() {
    let host = probe();
    host.load(&support::c_plugin("statuses", &["PLUGIN_NAME=\"statuses\""]), None).unwrap();
    let server = Served::with_status(
        &host,
        &[
            ("/echo/{rest:path}", "probe.echo"),
            ("/later/{rest:path}", "probe.echo_later"),
            ("/blocking", "probe.named"),
            ("/c", "statuses.hello"),
            ("/created", "probe.created"),
            ("/panics", "probe.panics"),
        ],
        202,
    );
    let mut client = server.client();
    for (target, status) in [
        ("/echo/x", 202),
        ("/later/x", 202),
        ("/blocking", 202),
        ("/c", 202),
        ("/created", 201),
        ("/panics", 500),
    ] {
        assert_eq!(client.get(target).status, status, "{target}");
    }
}
