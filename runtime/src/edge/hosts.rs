//! Which `Host` headers are served: Starlette's `TrustedHostMiddleware`.

use super::answer::{invalid_host, redirect};
use super::{HostHeader, RequestHead, Url};
use crate::http::Response;
use crate::{Error, ErrorKind};

/// Answers requests for other hosts with 400.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// In lower case; one that begins with `*` allows every host that ends with its rest.
    allowed: Vec<String>,
    any: bool,
    www_redirect: bool,
}

impl Hosts {
    /// Serves the hosts in `allowed`: names, `*.example.com` for every name below one, `*` for all. A request for
    /// `example.com` where `www.example.com` is allowed is sent there, if `www_redirect`.
    ///
    /// An error of kind `Config` names the pattern that has a `*` elsewhere.
    pub fn new(allowed: &[String], www_redirect: bool) -> Result<Hosts, Error> {
        for pattern in allowed {
            let rest = pattern.strip_prefix('*').unwrap_or(pattern);
            if rest.contains('*')
                || (rest.len() < pattern.len() && !rest.is_empty() && !rest.starts_with('.'))
            {
                let message = format!("allowed host {pattern:?}: wildcards must be like '*.example.com'");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(Hosts {
            allowed: allowed.iter().map(|pattern| pattern.to_lowercase()).collect(),
            any: allowed.iter().any(|pattern| pattern == "*"),
            www_redirect,
        })
    }

    /// Whether it may answer with the URL of a request, and so with its scheme.
    pub fn redirects(&self) -> bool {
        !self.any && self.www_redirect && self.allowed.iter().any(|pattern| pattern.starts_with("www."))
    }

    /// Answers a request for a host that is not served.
    pub fn before(&self, head: &impl RequestHead) -> Option<Response> {
        if self.any {
            return None;
        }
        let Some(found) = head.header("host").and_then(HostHeader::parse) else {
            return Some(invalid_host());
        };
        let host = found.host.to_ascii_lowercase();
        let mut www = false;
        for pattern in &self.allowed {
            let below = pattern.strip_prefix('*').is_some_and(|suffix| host.ends_with(suffix));
            if below || host == *pattern {
                return None;
            }
            www |= pattern.strip_prefix("www.").is_some_and(|name| name == host);
        }
        if !(www && self.www_redirect) {
            return Some(invalid_host());
        }
        let url = Url::of(head);
        Some(redirect(&match url.netloc.as_deref() {
            Some(netloc) => Url { netloc: Some(format!("www.{netloc}")), ..url }.to_string(),
            // Starlette's answer where nobody names a host.
            None => format!("//www.{url}"),
        }))
    }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
