//! What a pool is made from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode};

use crate::error::{chain, Error, ErrorKind};
use crate::tls::{Trust, Verify};

/// The settings of a pool.
#[derive(Clone)]
pub struct PoolConfig {
    /// Where the database is: `postgresql://user:password@host:5432/name?sslmode=verify-full`, or `host=... dbname=...`.
    pub dsn: String,
    /// Connections that are opened at the start and kept.
    pub min_size: usize,
    /// Connections at most.
    pub max_size: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long a statement waits for a connection, a new one included.
    pub checkout_timeout: Duration,
    /// How long a statement may take: the server ends it then.
    pub statement_timeout: Option<Duration>,
    /// After how long an unused connection is closed, where there are more than `min_size`.
    pub idle_timeout: Duration,
    /// Statements that each connection keeps prepared at most.
    pub statement_cache: usize,
    /// Statements at most that run or wait for a connection.
    pub max_waiting: usize,
    /// The largest result, in bytes as the server sends it.
    pub max_result: usize,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            dsn: String::new(),
            min_size: 1,
            max_size: 10,
            connect_timeout: Duration::from_secs(2),
            checkout_timeout: Duration::from_secs(2),
            statement_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Duration::from_secs(300),
            statement_cache: 256,
            max_waiting: 4096,
            max_result: 256 * 1024 * 1024,
            application_name: "bimetal".into(),
        }
    }
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the DSN, which has the password.
        f.debug_struct("PoolConfig")
            .field("min_size", &self.min_size)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}

/// A DSN, read: what tokio-postgres takes, and what it does not know.
pub(crate) struct Target {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) trust: Trust,
    /// Where it is, for messages: never the password.
    pub(crate) place: String,
}

impl PoolConfig {
    /// Whether a pool can be made from it, without making one.
    pub fn check(&self) -> Result<(), Error> {
        crate::tls::Tls::new(&self.target()?.trust).map(drop)
    }

    /// Reads the DSN and checks the bounds.
    pub(crate) fn target(&self) -> Result<Target, Error> {
        let bad = |what: String| Error::new(ErrorKind::Config, what);
        if self.max_size == 0 || self.min_size > self.max_size {
            return Err(bad(format!(
                "min_size={} and max_size={} are no bounds of a pool: 0 <= min_size <= max_size, and max_size >= 1",
                self.min_size, self.max_size
            )));
        }
        if self.statement_cache == 0 || self.max_waiting == 0 {
            return Err(bad("statement_cache and max_waiting have to be 1 at least".into()));
        }
        let mut trust = Trust::default();
        let plain = take_options(&self.dsn, &mut trust)?;
        let mut config: tokio_postgres::Config = plain.parse().map_err(|error: tokio_postgres::Error| {
            bad(format!("the DSN is not that of a PostgreSQL database: {}", chain(&error)))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("the DSN names no host: postgresql://user:password@HOST:5432/database".into()));
        }
        if config.get_user().is_none() {
            return Err(bad("the DSN names no user: postgresql://USER:password@host:5432/database".into()));
        }
        if trust.verify != Verify::Nothing {
            config.ssl_mode(SslMode::Require);
        }
        trust.is_used = config.get_ssl_mode() != SslMode::Disable;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(self.connect_timeout);
        }
        if config.get_application_name().is_none() {
            config.application_name(&self.application_name);
        }
        if let Some(timeout) = self.statement_timeout {
            let before = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
            config.options(format!("{before}-c statement_timeout={}", timeout.as_millis().max(1)));
        }
        let place = place(&config);
        Ok(Target { config, trust, place })
    }
}

fn place(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    let hosts = if hosts.is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        hosts
    };
    format!(
        "PostgreSQL at {} (database {:?}, user {:?})",
        hosts.join(","),
        config.get_dbname().or(config.get_user()).unwrap_or_default(),
        config.get_user().unwrap_or_default()
    )
}

/// Takes out of a DSN what tokio-postgres does not read: the options about certificates.
fn take_options(dsn: &str, trust: &mut Trust) -> Result<String, Error> {
    if !(dsn.starts_with("postgres://") || dsn.starts_with("postgresql://")) {
        let mut rest = Vec::new();
        for word in words(dsn) {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            if !trust.set(name.trim(), unquoted(value.trim()))? {
                rest.push(word);
            }
        }
        return Ok(rest.join(" "));
    }
    let Some((before, query)) = dsn.split_once('?') else { return Ok(dsn.to_owned()) };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !trust.set(name, &percent_decode_str(value).decode_utf8_lossy())? {
            rest.push(pair);
        }
    }
    let separator = if rest.is_empty() { "" } else { "?" };
    Ok(format!("{before}{separator}{}", rest.join("&")))
}

/// The settings of a DSN of the form `name=value name='a value'`.
fn words(dsn: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for letter in dsn.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            _ => {}
        }
        if letter.is_whitespace() && !quoted && !escaped {
            // `name = value` is one setting.
            if !word.is_empty() && !word.ends_with('=') {
                words.push(std::mem::take(&mut word));
            }
        } else if letter == '=' && word.is_empty() && !words.is_empty() {
            word = words.pop().unwrap_or_default() + "=";
        } else {
            word.push(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value)
}

impl Trust {
    /// Takes an option of a DSN; whether it is one of those.
    fn set(&mut self, name: &str, value: &str) -> Result<bool, Error> {
        match (name, value) {
            ("sslmode", "verify-ca") => self.verify = Verify::Chain,
            ("sslmode", "verify-full") => self.verify = Verify::Name,
            ("sslmode", "disable" | "prefer" | "require") => return Ok(false),
            ("sslmode", other) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "sslmode={other} is unknown; use disable, prefer, require, verify-ca or verify-full"
                    ),
                ))
            }
            ("sslrootcert", path) => self.roots = Some(PathBuf::from(path)),
            ("sslcert", path) => self.certificate = Some(PathBuf::from(path)),
            ("sslkey", path) => self.key = Some(PathBuf::from(path)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::SslMode;

    use super::PoolConfig;
    use crate::tls::Verify;

    fn target(dsn: &str) -> Result<super::Target, String> {
        PoolConfig { dsn: dsn.into(), ..PoolConfig::default() }.target().map_err(|error| error.to_string())
    }

    #[test]
    fn options_about_certificates_are_taken_from_both_forms() {
        for dsn in [
            "postgresql://app:secret@db:6000/shop?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&application_name=x",
            "host=db port=6000 user=app password='se cret' dbname=shop sslmode = verify-full sslrootcert='/etc/ca.pem'",
        ] {
            let target = target(dsn).unwrap();
            assert_eq!(target.trust.verify, Verify::Name);
            assert_eq!(target.trust.roots.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
            assert_eq!(target.config.get_ssl_mode(), SslMode::Require);
            assert_eq!(target.place, "PostgreSQL at db:6000 (database \"shop\", user \"app\")");
        }
        assert_eq!(target("host=db user='a b'").unwrap().config.get_user(), Some("a b"));
    }

    #[test]
    fn a_dsn_that_cannot_be_used_says_why_without_the_password() {
        for (dsn, why) in [
            ("", "names no host"),
            ("mysql://app:secret@db/shop", "not that of a PostgreSQL database"),
            ("postgresql://app:secret@db:port/shop", "not that of a PostgreSQL database"),
            ("postgresql://db/shop", "names no user"),
            ("postgresql://app:secret@db/shop?sslmode=maybe", "sslmode=maybe is unknown"),
            ("postgresql://app:secret@db/shop?colour=red", "colour"),
        ] {
            let error = target(dsn).err().unwrap();
            assert!(error.contains(why) && !error.contains("secret"), "{dsn}: {error}");
        }
        let bounds =
            PoolConfig { dsn: "host=db user=a".into(), min_size: 3, max_size: 2, ..PoolConfig::default() };
        assert!(bounds.target().err().unwrap().to_string().contains("min_size=3"));
    }
}
