//! A route's handler with the cache in front of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;

use super::conditions::Conditions;
use super::flight::{Boarding, Brought, Key, Leader, Outcome};
use super::kept::{Kept, State, Unfit, Why, CACHE_STATUS};
use super::key::{marks, Asked};
use super::policy::Policy;
use super::stamps::{Mark, Marks, Target};
use super::store::{count, RouteCounts, Store};
use crate::http::{
    header, spawn_local, Errand, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
};
use crate::lane::{Answer, Handler};
use crate::server::ServerHandle;

/// How long a renewal in the background may take.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Header fields that a renewal does not ask with: they are about one client's copy, not about the answer.
const NOT_RENEWED_WITH: [HeaderName; 7] = [
    header::CACHE_CONTROL,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::PRAGMA,
    header::RANGE,
];

/// A route's handler with the cache in front of it.
///
/// A hit is answered on the I/O worker: the handler, whatever its lane, is not called. No lock is held while it is.
pub struct CachedHandler {
    cached: Arc<Cached>,
}

struct Cached {
    handler: Arc<dyn Handler>,
    policy: Policy,
    store: Arc<Store>,
    /// What all of its answers can be invalidated by.
    fixed: Marks,
    number: u64,
    counts: Arc<RouteCounts>,
    has_said: AtomicBool,
    /// Whom renewals are asked of; without it there are none, and what is stale is made anew.
    server: Option<ServerHandle>,
}

impl CachedHandler {
    /// The cache in front of `handler`, which answers the route with this pattern and name.
    pub fn new(
        handler: Arc<dyn Handler>,
        policy: Policy,
        store: &Arc<Store>,
        pattern: &str,
        name: &str,
        server: Option<ServerHandle>,
    ) -> CachedHandler {
        let targets = [Target::Pattern(pattern), Target::Name(name)];
        let fixed = std::iter::once(Mark::ALL).chain(targets.map(Mark::of)).collect();
        CachedHandler {
            cached: Arc::new(Cached {
                handler,
                policy,
                fixed,
                number: store.next_route(),
                counts: store.counts(pattern),
                has_said: AtomicBool::new(false),
                store: Arc::clone(store),
                server,
            }),
        }
    }

    /// What tells its answers from those of other handlers, its successors included: for [`Store::forget`].
    pub fn number(&self) -> u64 {
        self.cached.number
    }
}

impl Handler for CachedHandler {
    fn describe(&self) -> Option<String> {
        self.cached.handler.describe()
    }

    fn call(&self, request: Request) -> Answer {
        Cached::call(&self.cached, request)
    }
}

/// What is known of a request that looks for its answer.
struct Search {
    key: Key,
    marks: Marks,
    /// What is kept and may be given where the handler fails.
    last_resort: Option<Arc<Kept>>,
}

impl Cached {
    fn call(self: &Arc<Self>, mut request: Request) -> Answer {
        let Ok(asked) = Asked::of(&self.policy, self.number, &mut request) else {
            return self.past(request);
        };
        let now = self.store.now();
        let kept = self.store.get(&asked.key);
        let renews = request.renews();
        if let Some(kept) = kept.as_ref().filter(|_| !renews) {
            if kept.state(now) == State::Fresh && kept.is_nothing() {
                return self.alone(request, Key::from(&*asked.key));
            }
            if asked.range && kept.has_ranges() {
                return self.past(request);
            }
            if self.may_be_given(kept, now, &asked) {
                if let Some(answer) = self.given(kept, now, &request) {
                    return Answer::Now(answer);
                }
            }
        }
        if asked.wishes.only_if_cached {
            return Answer::Now(Response::detail(StatusCode::GATEWAY_TIMEOUT, "The answer is not cached"));
        }
        if asked.head_only || asked.range {
            // What it brings is not the whole answer.
            return self.past(request);
        }
        let key = Key::from(&*asked.key);
        let marks = marks(&self.policy, &self.fixed, &request);
        // A client that wants another answer than the one that is kept gets none in its place.
        let is_last_resort = |kept: &Arc<Kept>| {
            !kept.is_nothing()
                && !asked.wishes.no_cache
                && matches!(kept.state(now), State::Stale | State::LastResort)
        };
        let last_resort = kept.filter(is_last_resort);
        let stamps = &self.store.stamps;
        let boarding = self.store.flights.board(&key, stamps.now(), |stamp| stamps.is_valid(stamp, &marks));
        let search = Search { key, marks, last_resort };
        match boarding {
            Boarding::Lead(leader) => self.lead(leader, request, search),
            Boarding::Wait(waiting) => {
                let cached = Arc::clone(self);
                Answer::Later(Box::pin(async move {
                    match timeout(cached.policy.wait, waiting).await {
                        Ok(Outcome::Lead(leader)) => cached.lead(leader, request, search).settled().await,
                        Ok(Outcome::Ended(Brought::Landed(kept))) => {
                            match cached.collapsed(&kept, &request) {
                                Some(response) => response,
                                None => cached.alone(request, search.key).settled().await,
                            }
                        }
                        Ok(Outcome::Ended(Brought::Alone)) | Err(_) => {
                            cached.alone(request, search.key).settled().await
                        }
                    }
                }))
            }
        }
    }

    fn may_be_given(&self, kept: &Kept, now: u64, asked: &Asked) -> bool {
        if asked.wishes.no_cache || asked.wishes.max_age.is_some_and(|max_age| kept.age(now) > max_age) {
            return false;
        }
        match kept.state(now) {
            State::Fresh => true,
            State::Stale => self.server.is_some(),
            State::LastResort | State::Over => false,
        }
    }

    /// What is kept, as the answer to this request; where it is stale, one request has it renewed.
    fn given(&self, kept: &Arc<Kept>, now: u64, request: &Request) -> Option<Response> {
        let is_fresh = kept.state(now) == State::Fresh;
        let response = kept.response(now, self.policy.status_header, "hit")?;
        count(if is_fresh { &self.counts.hit } else { &self.counts.stale });
        if !is_fresh && kept.claim_renewal(now, RENEWAL_TIMEOUT) {
            self.renew(kept, request);
        }
        Some(Conditions::of(request).apply(response))
    }

    fn collapsed(&self, kept: &Kept, request: &Request) -> Option<Response> {
        let response =
            kept.response(self.store.now(), self.policy.status_header, "fwd=uri-miss; collapsed")?;
        count(&self.counts.collapsed);
        Some(Conditions::of(request).apply(response))
    }

    /// Has the answer made anew, by a request of the server to itself.
    fn renew(&self, kept: &Arc<Kept>, request: &Request) {
        let Some(server) = &self.server else { return };
        count(&self.counts.renewal);
        let keeps = |name: &HeaderName| {
            !NOT_RENEWED_WITH.contains(name)
                // Nobody takes the answer, so that it would be compressed for nothing.
                && (*name != header::ACCEPT_ENCODING || self.policy.varies_by(name))
        };
        let head = request.to_head();
        let target = match request.query() {
            "" => head.raw_path,
            query => format!("{}?{query}", head.raw_path),
        };
        let errand = Errand {
            method: Method::GET,
            target,
            headers: head.headers.into_iter().filter(|(name, _)| keeps(name)).collect(),
            body: Bytes::new(),
            client: head.peer,
            secure: head.secure,
            depth: 1,
            deadline: Some(Instant::now() + RENEWAL_TIMEOUT),
            renews: true,
        };
        let (reply, kept, store) = (server.call(errand), Arc::clone(kept), Arc::clone(&self.store));
        spawn_local(async move {
            // What it brings is kept by then.
            if let Err(error) = reply.await {
                tracing::warn!(%error, "a cached answer was not renewed");
            }
            kept.renewal_ended(store.now());
        });
    }

    /// Calls the handler for all who want this answer.
    fn lead(self: &Arc<Self>, leader: Leader<Arc<Kept>>, mut request: Request, search: Search) -> Answer {
        if !request.renews() {
            count(&self.counts.miss);
        }
        let conditions = Conditions::of(&request);
        request.remove_conditions();
        let stamp = self.store.stamps.now();
        // Where the handler panics, this is dropped, and the next one takes over.
        let voyage = Voyage { cached: Arc::clone(self), leader, conditions, stamp, search };
        answered(self.handler.call(request), move |response| voyage.end(response))
    }

    /// Calls the handler for this request alone. What it brings may be for others all the same.
    fn alone(self: &Arc<Self>, request: Request, key: Key) -> Answer {
        count(&self.counts.miss);
        let marks = marks(&self.policy, &self.fixed, &request);
        let (cached, stamp) = (Arc::clone(self), self.store.stamps.now());
        answered(self.handler.call(request), move |response| {
            let kept = cached.kept(&response, stamp, marks);
            let stored = kept.map(|kept| cached.keep(key, kept)).is_ok();
            cached.says(response, if stored { "fwd=uri-miss; stored" } else { "fwd=uri-miss" })
        })
    }

    /// Calls the handler for a request that has nothing to do with the cache.
    fn past(self: &Arc<Self>, request: Request) -> Answer {
        count(&self.counts.bypass);
        let answer = self.handler.call(request);
        if !self.policy.status_header {
            return answer;
        }
        let cached = Arc::clone(self);
        answered(answer, move |response| cached.says(response, "fwd=bypass"))
    }

    fn kept(&self, response: &Response, stamp: u64, marks: Marks) -> Result<Kept, Unfit> {
        let kept = Kept::of(response, &self.policy, self.store.largest(), stamp, marks, self.store.now());
        match kept {
            Ok(_) => {}
            Err(Unfit::Failed) => count(&self.counts.failed),
            Err(Unfit::NotForAll(why)) => {
                count(&self.counts.unfit);
                self.hears_of(why);
            }
        }
        kept
    }

    /// Says once for the route that its answers cannot be kept.
    fn hears_of(&self, why: Why) {
        if let Why::Odd(why) = why {
            if !self.has_said.swap(true, Ordering::Relaxed) {
                let route = self.counts.pattern.as_str();
                tracing::warn!(route, "an answer of a cached route is not kept: {why}");
            }
        }
    }

    fn keep(&self, key: Key, kept: Kept) -> Arc<Kept> {
        count(&self.counts.stored);
        let kept = Arc::new(kept);
        self.store.put(key, Arc::clone(&kept));
        kept
    }

    fn says(&self, mut response: Response, what: &str) -> Response {
        if self.policy.status_header {
            if let Ok(value) = HeaderValue::try_from(format!("bimetal; {what}")) {
                response.headers.push((CACHE_STATUS, value));
            }
        }
        response
    }
}

/// A call of the handler on behalf of all who want its answer.
struct Voyage {
    cached: Arc<Cached>,
    leader: Leader<Arc<Kept>>,
    conditions: Conditions,
    /// Taken before the call.
    stamp: u64,
    search: Search,
}

impl Voyage {
    fn end(self, response: Response) -> Response {
        let Voyage { cached, leader, conditions, stamp, search: Search { key, marks, last_resort } } = self;
        let response = match cached.kept(&response, stamp, marks.clone()) {
            Ok(kept) => {
                leader.end(&Brought::Landed(cached.keep(key, kept)));
                cached.says(response, "fwd=uri-miss; stored")
            }
            Err(Unfit::Failed) => match last_resort {
                Some(kept) => cached.in_place_of(response, leader, &kept),
                None => {
                    leader.fail();
                    cached.says(response, "fwd=uri-miss")
                }
            },
            Err(Unfit::NotForAll(_)) => {
                let nothing = Kept::nothing(&cached.policy, stamp, marks, cached.store.now());
                cached.store.put(key, Arc::new(nothing));
                leader.end(&Brought::Alone);
                cached.says(response, "fwd=uri-miss")
            }
        };
        conditions.apply(response)
    }
}

impl Cached {
    /// What is kept in place of the answer of a handler that has failed.
    fn in_place_of(&self, failed: Response, leader: Leader<Arc<Kept>>, kept: &Arc<Kept>) -> Response {
        let fwd_status = failed.status.as_u16();
        let says = format!("fwd=stale; fwd-status={fwd_status}");
        match kept.response(self.store.now(), self.policy.status_header, &says) {
            Some(mut response) => {
                count(&self.counts.stale);
                leader.end(&Brought::Landed(Arc::clone(kept)));
                response.phases = failed.phases;
                response
            }
            None => {
                leader.fail();
                failed
            }
        }
    }
}

/// The answer, with something done to the response.
fn answered(answer: Answer, then: impl FnOnce(Response) -> Response + 'static) -> Answer {
    match answer {
        Answer::Now(response) => Answer::Now(then(response)),
        Answer::Later(future) => Answer::Later(Box::pin(async move { then(future.await) })),
    }
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
