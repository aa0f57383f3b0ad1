//! The native routes of the database example: `notes.get_note`, `notes.list_notes`, `notes.create_note`.
//!
//! Each request takes a connection from a pool of the plugin's own. Nothing of it touches Python, and no thread waits for the
//! database: while a query runs, the I/O worker answers other requests.

use std::time::Duration;

use bimetal::prelude::*;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::{NoTls, Row};

/// What the application gives where it loads the plugin: `app.load_plugin(path, config={"url": "postgresql://..."})`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the database is, as for `psql`.
    url: String,
    /// How many connections there are at most.
    #[serde(default = "Config::pool_size")]
    pool_size: usize,
    /// How long a request waits for a connection before it is answered 503, in seconds.
    #[serde(default = "Config::pool_timeout")]
    pool_timeout: f64,
}

impl Config {
    fn pool_size() -> usize {
        8
    }

    fn pool_timeout() -> f64 {
        5.0
    }
}

/// What all requests share. A clone is a reference to the same pool.
#[derive(Clone)]
struct Db(Pool);

impl Db {
    /// Makes the pool; connections are opened when they are first needed.
    fn from_config(config: Config) -> Result<Db, String> {
        let timeout = Duration::try_from_secs_f64(config.pool_timeout).map_err(|_| {
            format!("pool_timeout is {}, which is not a time in seconds", config.pool_timeout)
        })?;
        let server: tokio_postgres::Config = config
            .url
            .parse()
            .map_err(|error| format!("url is not that of a PostgreSQL database: {error}"))?;
        // A connection that the server has closed meanwhile is replaced instead of failing a request.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let pool = Pool::builder(Manager::from_config(server, NoTls, recycling))
            .max_size(config.pool_size)
            .wait_timeout(Some(timeout))
            .create_timeout(Some(timeout))
            .recycle_timeout(Some(timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Db(pool))
    }

    async fn connection(&self) -> Result<Object, HttpError> {
        self.0.get().await.map_err(|error: PoolError| {
            bimetal::log::error(format!("no connection to the database: {error}"));
            HttpError::unavailable("The database is not available")
        })
    }
}

bimetal::plugin! { name: "notes", init: Db::from_config }

#[derive(Serialize, JsonSchema)]
struct Note {
    id: i64,
    text: String,
}

impl From<Row> for Note {
    fn from(row: Row) -> Note {
        Note { id: row.get("id"), text: row.get("text") }
    }
}

/// A note by number.
#[native_handler]
async fn get_note(State(db): State<Db>, Path(note_id): Path<i64>) -> Result<Json<Note>, HttpError> {
    let connection = db.connection().await?;
    let statement =
        connection.prepare_cached("SELECT id, text FROM notes WHERE id = $1").await.map_err(failed)?;
    let row = connection.query_opt(&statement, &[&note_id]).await.map_err(failed)?;
    row.map(|row| Json(row.into())).ok_or_else(|| HttpError::not_found("There is no such note"))
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    /// How many notes to give at most.
    #[serde(default = "Page::limit")]
    limit: u16,
}

impl Page {
    fn limit() -> u16 {
        20
    }
}

/// The newest notes.
#[native_handler]
async fn list_notes(State(db): State<Db>, Query(page): Query<Page>) -> Result<Json<Vec<Note>>, HttpError> {
    let connection = db.connection().await?;
    let statement = connection
        .prepare_cached("SELECT id, text FROM notes ORDER BY id DESC LIMIT $1")
        .await
        .map_err(failed)?;
    let rows = connection.query(&statement, &[&i64::from(page.limit)]).await.map_err(failed)?;
    Ok(Json(rows.into_iter().map(Note::from).collect()))
}

#[derive(Deserialize, JsonSchema)]
struct NewNote {
    text: String,
}

/// Adds a note.
#[native_handler]
async fn create_note(
    State(db): State<Db>,
    Json(note): Json<NewNote>,
) -> Result<(u16, Json<Note>), HttpError> {
    let connection = db.connection().await?;
    let statement = connection
        .prepare_cached("INSERT INTO notes (text) VALUES ($1) RETURNING id, text")
        .await
        .map_err(failed)?;
    let row = connection.query_one(&statement, &[&note.text]).await.map_err(failed)?;
    Ok((201, Json(row.into())))
}

/// A query that failed: the log says why, the client does not learn it.
fn failed(error: tokio_postgres::Error) -> HttpError {
    bimetal::log::error(format!("a query failed: {error}"));
    if error.is_closed() {
        return HttpError::unavailable("The database is not available");
    }
    HttpError::internal("Internal Server Error")
}
