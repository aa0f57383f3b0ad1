use bytes::Bytes;

use super::*;
use crate::edge::head_fixture::shown;
use crate::edge::CorsOptions;
use crate::http::{Method, StatusCode};

fn edge(layers: Vec<Layer>) -> Arc<Edge> {
    Arc::new(Edge::new(layers.into_iter().map(Arc::new).collect(), ""))
}

fn cors() -> Layer {
    let options = CorsOptions { allow_origins: vec!["*".to_owned()], ..CorsOptions::default() };
    Layer::Cors(Cors::new(options).unwrap().into())
}

fn gzip() -> Layer {
    Layer::Compression(Compression::new(1, 9, &[""; 0]))
}

fn hosts() -> Layer {
    Layer::Hosts(Hosts::new(&["good".to_owned()], true).unwrap())
}

fn request(host: &str) -> Request {
    let headers = [("host", host), ("origin", "https://a"), ("accept-encoding", "gzip")];
    Request::synthetic(Method::GET, "/", &headers, Bytes::new())
}

fn names(response: Response) -> Vec<String> {
    let mut fields = shown(response).1;
    fields.retain(|field| !field.starts_with("content-length"));
    fields
}

#[test]
fn responses_pass_from_the_innermost_layer_to_the_outermost() {
    for (layers, vary) in [
        (vec![cors(), gzip()], "vary: Accept-Encoding, Origin"),
        (vec![gzip(), cors()], "vary: Origin, Accept-Encoding"),
        (vec![gzip(), hosts(), cors()], "vary: Origin, Accept-Encoding"),
    ] {
        let (passage, answer) = edge(layers).enter(&request("good"));
        assert!(answer.is_none());
        let fields = names(passage.leave(Response::new(StatusCode::OK).with_body("text")));
        assert!(fields.contains(&vary.to_owned()), "{fields:?}");
        assert!(fields.contains(&"content-encoding: gzip".to_owned()), "{fields:?}");
    }
}

#[test]
fn an_answer_passes_the_layers_outside_the_one_that_gave_it() {
    for (layers, fields) in [
        (vec![hosts(), cors()], &["content-type: text/plain; charset=utf-8"][..]),
        (
            vec![cors(), hosts(), gzip()],
            &["content-type: text/plain; charset=utf-8", "access-control-allow-origin: *", "vary: Origin"],
        ),
    ] {
        let (passage, answer) = edge(layers).enter(&request("bad"));
        assert_eq!(names(passage.leave(answer.unwrap())), fields);
    }
}

#[test]
fn what_nobody_handled_passes_no_layer() {
    let (passage, _) = edge(vec![cors(), gzip()]).enter(&request("good"));
    let response = Response::new(StatusCode::INTERNAL_SERVER_ERROR).with_body("text").unhandled();
    assert_eq!(shown(passage.leave(response)), (500, vec![], b"text".to_vec()));
}

#[test]
fn websockets_are_checked_and_their_answers_left_alone() {
    let socket = |host: &str| {
        let headers =
            [("host", host), ("connection", "upgrade"), ("upgrade", "websocket"), ("origin", "https://a")];
        Request::synthetic(Method::GET, "/", &headers, Bytes::new())
    };
    let (passage, answer) = edge(vec![cors(), hosts()]).enter(&socket("good"));
    assert!(answer.is_none());
    assert_eq!(names(passage.leave(Response::new(StatusCode::FORBIDDEN))), [""; 0]);
    let (passage, answer) = edge(vec![cors(), hosts()]).enter(&socket("bad"));
    assert_eq!(names(passage.leave(answer.unwrap())), ["content-type: text/plain; charset=utf-8"]);
}

#[test]
fn urls_name_the_path_the_client_asked_for() {
    let layers = vec![Arc::new(Layer::HttpsRedirect(HttpsRedirect))];
    let (_, answer) = Arc::new(Edge::new(layers, "/api")).enter(&request("a"));
    assert_eq!(names(answer.unwrap()), ["location: https://a/api/"]);
}
