//! The routes of the comparison in actix-web alone: what the framework below Bimetal does by itself.

use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes, Path, Query};
use actix_web::{App, HttpResponse, HttpServer};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

#[derive(Serialize)]
struct User {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Search {
    q: String,
    #[serde(default = "ten")]
    limit: i64,
}

fn ten() -> i64 {
    10
}

#[derive(Serialize)]
struct Found {
    q: String,
    limit: i64,
}

#[derive(Deserialize, Serialize)]
struct Item {
    name: String,
    price: f64,
    #[serde(default)]
    tags: Vec<String>,
}

fn json(value: &impl Serialize) -> HttpResponse {
    match sonic_rs::to_vec(value) {
        Ok(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn health() -> HttpResponse {
    json(&Status { status: "ok" })
}

async fn user(id: Path<i64>) -> HttpResponse {
    let id = id.into_inner();
    json(&User { id, name: format!("user{id}") })
}

async fn search(query: Query<Search>) -> HttpResponse {
    let Search { q, limit } = query.into_inner();
    json(&Found { q, limit })
}

async fn item(body: Bytes) -> HttpResponse {
    match sonic_rs::from_slice::<Item>(&body) {
        Ok(item) => json(&item),
        Err(error) => HttpResponse::UnprocessableEntity().body(error.to_string()),
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8000);
    let more: usize = std::env::var("LOAD_ROUTES").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let server = HttpServer::new(move || {
        let app = (0..more).fold(App::new(), |app, number| {
            app.route(&format!("/area{number}/{{user_id}}/parts"), web::get().to(user))
        });
        app.route("/health", web::get().to(health))
            .route("/users/{user_id}", web::get().to(user))
            .route("/search", web::get().to(search))
            .route("/items", web::post().to(item))
    });
    server.workers(1).keep_alive(Duration::from_secs(75)).bind(("127.0.0.1", port))?.run().await
}
