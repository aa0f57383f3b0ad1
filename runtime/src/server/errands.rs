//! A worker's part in errands: it answers them as it answers requests that come by a connection.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use actix_http::body::{BodySize, MessageBody};
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use super::handle::{ErrandError, ErrandReply, Sent};
use super::service;
use super::worker::Worker;
use crate::http::Unfit;

/// The largest body of an answer, as a multiple of the largest body of a request.
const REPLY_FACTOR: usize = 4;

/// Answers what comes, each errand in a task of its own.
pub(super) async fn answer(worker: Rc<Worker>, mut errands: mpsc::Receiver<Sent>) {
    while let Some(sent) = errands.recv().await {
        spawn_local(answer_one(worker.clone(), sent));
    }
}

async fn answer_one(worker: Rc<Worker>, sent: Sent) {
    let Sent { errand, local, mut respond } = sent;
    let deadline = errand.deadline;
    let answered = async {
        let request = errand.into_request(local).map_err(|unfit| match unfit {
            Unfit::Target(why) => ErrandError::Target(why),
            Unfit::Upgrade => ErrandError::Upgrade,
        })?;
        reply(&worker, request).await
    };
    let bounded = async {
        match deadline {
            Some(deadline) => {
                timeout_at(deadline.into(), answered).await.unwrap_or(Err(ErrandError::TimedOut))
            }
            None => answered.await,
        }
    };
    let outcome = tokio::select! {
        biased;
        // Nobody waits any more: the handler's future is dropped, as it is when a client goes away.
        () = respond.closed() => return,
        outcome = bounded => outcome,
    };
    let _ = respond.send(outcome);
}

async fn reply(worker: &Rc<Worker>, request: actix_http::Request) -> Result<ErrandReply, ErrandError> {
    let limit = worker.config().max_body_size.saturating_mul(REPLY_FACTOR);
    let Ok(framed) = service::serve(worker, request).await;
    let (head, body) = framed.into_parts();
    let headers = head.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let expected = match body.size() {
        BodySize::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
        BodySize::None | BodySize::Stream => 0,
    };
    let mut body = pin!(body);
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let chunk = chunk.map_err(|error| ErrandError::CutShort(error.to_string()))?;
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(ErrandError::TooLarge(limit));
        }
        // One chunk, the usual case, is not copied.
        if first.is_empty() && rest.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(expected.min(limit));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&chunk);
    }
    let body = if rest.is_empty() { first } else { rest.freeze() };
    Ok(ErrandReply { status: head.status(), headers, body })
}
