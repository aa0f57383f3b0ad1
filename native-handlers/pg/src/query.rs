//! One statement on one connection, and giving it up.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::rows::Rows;
use crate::value::{type_name, Param, Value};

/// How long the end of a statement that nobody waits for is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the server has, beyond the time for a statement, to say that it is over.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Runs a statement and collects its rows. `again`: it is prepared anew and run again where what it is about has changed since.
pub(crate) async fn run(
    connection: &Connection,
    sql: &Arc<str>,
    arguments: &[Value],
    max_result: usize,
    again: bool,
) -> Result<Rows, Error> {
    match once(connection, sql, arguments, max_result).await {
        // A result of other columns than it was prepared for; prepared by a connection that a pooler has put another in the place of.
        Err(error) if matches!(error.sqlstate(), "0A000" | "26000") => {
            connection.forget(sql);
            if !again
                || !error.to_string().contains("must not change result type") && error.sqlstate() == "0A000"
            {
                return Err(error);
            }
            once(connection, sql, arguments, max_result).await
        }
        other => other,
    }
}

async fn once(
    connection: &Connection,
    sql: &Arc<str>,
    arguments: &[Value],
    max_result: usize,
) -> Result<Rows, Error> {
    let prepared = connection.prepare(sql).await?;
    let wanted = prepared.statement.params();
    if wanted.len() != arguments.len() {
        return Err(wrong_number(wanted, arguments.len()));
    }
    let params = arguments.iter().enumerate().map(|(index, value)| Param(index + 1, value));
    let stream = connection
        .client
        .query_raw(&prepared.statement, params)
        .await
        .map_err(|error| Error::from_postgres(&error))?;
    let mut stream = pin!(stream);
    let (mut rows, mut size) = (Vec::new(), 0);
    while let Some(row) = stream.try_next().await.map_err(|error| Error::from_postgres(&error))? {
        size += row.raw_size_bytes();
        if size > max_result {
            connection.spoil();
            return Err(Error::new(
                ErrorKind::Value,
                format!("the result is larger than max_result, {max_result} bytes; give it a LIMIT, or use copy_out"),
            ));
        }
        rows.push(row);
    }
    let affected = stream.rows_affected().unwrap_or(0);
    Ok(Rows { columns: Arc::clone(&prepared.columns), rows, affected })
}

#[cold]
fn wrong_number(wanted: &[tokio_postgres::types::Type], given: usize) -> Error {
    let names: Vec<String> =
        wanted.iter().enumerate().map(|(index, ty)| format!("${} {}", index + 1, type_name(ty))).collect();
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    Error::new(
        ErrorKind::Argument,
        format!(
            "the statement has {} parameter{}{names}, and was given {given} argument{}",
            wanted.len(),
            plural(wanted.len()),
            plural(given)
        ),
    )
}

/// Waits for `work` until `gone` says that nobody wants its result any more. Then the server is told to end the statement, and the
/// connection is closed. The end of `limit` spoils it as well: the server does not answer.
pub(crate) async fn attended<T>(
    connection: &Connection,
    work: impl Future<Output = Result<T, Error>>,
    gone: impl Future<Output = ()>,
    limit: Option<Duration>,
) -> Option<Result<T, Error>> {
    let mut work = pin!(work);
    let overdue = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit + GRACE).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        result = &mut work => Some(result),
        () = gone => {
            // A request to cancel has a way of its own to the server, which signals twice. The second may come when the statement has
            // ended by the first, and would end somebody else's.
            connection.spoil();
            let end = async {
                let _ = connection.client.cancel_token().cancel_query(connection.tls.clone()).await;
                let _ = work.await;
            };
            let _ = tokio::time::timeout(PATIENCE, end).await;
            None
        }
        () = overdue => {
            connection.spoil();
            Some(Err(Error::new(
                ErrorKind::Unavailable,
                "PostgreSQL has not answered in the time for a statement; its connection is given up",
            )))
        }
    }
}

/// Why a statement cannot be run on a connection that goes to somebody else afterwards.
pub(crate) fn refuse_control(sql: &str) -> Result<(), Error> {
    let mut rest = sql;
    let word = loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            break rest.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        }
    };
    const CONTROL: [&str; 8] =
        ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"];
    if CONTROL.iter().any(|control| word.eq_ignore_ascii_case(control)) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "{word} here would leave a transaction to whoever has the connection next; use transaction()"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::{refuse_control, wrong_number};

    #[test]
    fn statements_that_begin_and_end_transactions_are_refused() {
        for sql in ["BEGIN", " begin;", "-- now\nCommit", "/* x */ROLLBACK TO a", "START TRANSACTION", "end"]
        {
            assert!(refuse_control(sql).is_err(), "{sql}");
        }
        for sql in ["SELECT 1", "", "-- begin", "INSERT INTO begin VALUES (1)", "/* open", "beginning"] {
            assert!(refuse_control(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn parameters_are_named_where_their_number_is_wrong() {
        assert_eq!(
            wrong_number(&[Type::INT4, Type::TEXT_ARRAY], 1).to_string(),
            "the statement has 2 parameters ($1 int4, $2 text[]), and was given 1 argument"
        );
        assert_eq!(
            wrong_number(&[], 2).to_string(),
            "the statement has 0 parameters, and was given 2 arguments"
        );
    }
}
