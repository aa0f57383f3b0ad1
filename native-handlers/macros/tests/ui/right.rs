//! Everything a handler may look like, with names that clash with what the macro might write.

use bimetal::prelude::*;

#[derive(Deserialize, Serialize, JsonSchema)]
struct Item {
    name: String,
}

struct Handler;

#[native_handler]
fn describe() {}

#[native_handler(name = "users.get")]
async fn start(Path((a, mut b)): Path<(i64, String)>, Query(page): Query<Option<i64>>) -> Result<String, HttpError> {
    let _ = Handler;
    b.push_str(&format!("{a} {page:?}"));
    Ok(b)
}

#[native_handler(blocking)]
pub(crate) fn call(State(state): State<u8>, Json(item): Json<Item>) -> (u16, Json<Item>) {
    (200 + u16::from(state), Json(item))
}

#[native_handler(blocking, name = "x", status = 202)]
fn request(request: RequestParts<'_>, body: &[u8], _: ServerState) -> Response {
    Response::text(200, format!("{} {}", request.path(), body.len()))
}

#[native_handler(status = 201)]
async fn r#type(request: RequestParts<'_>, item: Option<Json<Item>>) -> Json<Option<Item>> {
    let _ = request.method();
    Json(item.map(|Json(item)| item))
}

#[native_handler]
fn header(
    Header(x_token): Header<String>,
    item: Option<Header<Item>>,
    Cookie(id): Cookie<i64>,
    form: Option<Form<Item>>,
    page: Option<Query<i64>>,
) -> (u16, [(&'static str, String); 1], &'static str) {
    let _ = (item.is_none(), form.is_none(), page.is_none());
    (200, [("x-token", format!("{x_token} {id}"))], "ok")
}

#[native_handler]
fn slots(body: Option<&[u8]>) -> Result<Redirect, HttpError> {
    body.map(|_| Redirect::temporary("/")).ok_or_else(|| HttpError::not_found("no body"))
}

/// Nothing, in no chunks.
struct Nothing;

impl futures_core::Stream for Nothing {
    type Item = Result<Vec<u8>, std::convert::Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(None)
    }
}

#[native_handler(content_type = "text/csv; charset=utf-8", status = 206)]
async fn response() -> Result<Body, HttpError> {
    Ok(Body::from_stream(Nothing))
}

fn init(_config: Option<u8>) -> Result<u8, String> {
    Ok(1)
}

bimetal::plugin! { name: "right", init: init }

fn main() {
    describe();
}
