//! Variants of a file that are packed already: which one a client takes.

use crate::http::HeaderValue;

/// A way to pack a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// All of them, the one that is preferred first.
    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// What the variant's name ends with.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Coding::Zstd => ".zst",
            Coding::Brotli => ".br",
            Coding::Gzip => ".gz",
        }
    }

    /// What it is called in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    fn is_named(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name())
            || (self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// The codings that an `Accept-Encoding` prefers to none, the best first.
pub(super) fn preferred(accepted: Option<&HeaderValue>) -> Vec<Coding> {
    let Some(text) = accepted.and_then(|value| value.to_str().ok()) else { return Vec::new() };
    let listed: Vec<(&str, u16)> = text.split(',').filter_map(weighed).collect();
    let weight = |is_meant: &dyn Fn(&str) -> bool| {
        let named = listed.iter().find(|(name, _)| is_meant(name));
        named.or_else(|| listed.iter().find(|(name, _)| *name == "*")).map(|(_, weight)| *weight)
    };
    let identity = listed.iter().find(|(name, _)| name.eq_ignore_ascii_case("identity"));
    let least = identity.map_or(1, |(_, weight)| (*weight).max(1));
    let mut codings: Vec<(u16, Coding)> = Coding::ALL
        .into_iter()
        .filter_map(|coding| Some((weight(&|name| coding.is_named(name))?, coding)))
        .filter(|(weight, _)| *weight >= least)
        .collect();
    // Stable: among equals it is the server's order.
    codings.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    codings.into_iter().map(|(_, coding)| coding).collect()
}

/// A coding and its weight in thousandths; `None` for what cannot be read.
fn weighed(part: &str) -> Option<(&str, u16)> {
    let mut pieces = part.split(';').map(str::trim);
    let name = pieces.next().filter(|name| !name.is_empty())?;
    for piece in pieces {
        if let Some(weight) = piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")) {
            let weight: f32 = weight.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            return Some((name, (weight * 1000.0) as u16));
        }
    }
    Some((name, 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_and_then_the_server() {
        use Coding::{Brotli, Gzip, Zstd};
        for (accepted, codings) in [
            ("gzip, deflate, br, zstd", vec![Zstd, Brotli, Gzip]),
            ("gzip", vec![Gzip]),
            ("X-GZIP", vec![Gzip]),
            ("br;q=0.5, gzip", vec![Gzip, Brotli]),
            ("br;q=0, *", vec![Zstd, Gzip]),
            ("*;q=0", vec![]),
            ("identity, gzip;q=0.5", vec![]),
            ("identity;q=0.5, gzip;q=0.5", vec![Gzip]),
            ("identity;q=0, gzip", vec![Gzip]),
            ("deflate", vec![]),
            ("gzip;q=2, br;q=x, zstd;q=", vec![]),
            ("", vec![]),
            (",;q=1, ,", vec![]),
        ] {
            assert_eq!(preferred(Some(&HeaderValue::from_static(accepted))), codings, "{accepted:?}");
        }
        assert_eq!(preferred(None), []);
        assert_eq!(preferred(Some(&HeaderValue::from_bytes(b"\xff").unwrap())), []);
    }
}
