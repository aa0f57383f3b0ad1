//! The header with which a proxy begins a connection: for whom it speaks.

use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// As much as both versions have at least.
const START: usize = 12;
const V1: &[u8] = b"PROXY ";
/// The longest header of version 1, by its specification.
const V1_LIMIT: usize = 107;
/// What comes before the addresses in version 2.
const V2_FIXED: usize = 16;
/// The longest addresses and extensions that are read; what proxies send is a tenth of it.
const V2_LIMIT: usize = 4096;

/// The ends of the client's connection to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// Reads the header, and nothing of what follows it; `None` where the proxy speaks for itself or does not know for whom.
///
/// An error of kind `InvalidData` says what is wrong with the header; of kind `UnexpectedEof` that there was none to read.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Ends>> {
    let mut header = vec![0; START];
    stream.read_exact(&mut header).await?;
    if header.starts_with(V1) {
        while !header.ends_with(b"\n") {
            if header.len() == V1_LIMIT {
                return Err(invalid("its line is too long"));
            }
            // What comes behind it is not for here.
            header.push(stream.read_u8().await?);
        }
        return ends_v1(&header);
    }
    if header != v2::PROTOCOL_PREFIX {
        return Err(invalid("there is none"));
    }
    header.resize(V2_FIXED, 0);
    stream.read_exact(&mut header[START..]).await?;
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > V2_LIMIT {
        return Err(invalid("it is too long"));
    }
    header.resize(V2_FIXED + length, 0);
    stream.read_exact(&mut header[V2_FIXED..]).await?;
    ends_v2(&header)
}

fn ends_v1(header: &[u8]) -> io::Result<Option<Ends>> {
    let parsed = v1::Header::try_from(header).map_err(|error| invalid(&error.to_string()))?;
    Ok(match parsed.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ends) => Some(Ends {
            client: (ends.source_address, ends.source_port).into(),
            server: (ends.destination_address, ends.destination_port).into(),
        }),
        v1::Addresses::Tcp6(ends) => Some(Ends {
            client: (ends.source_address, ends.source_port).into(),
            server: (ends.destination_address, ends.destination_port).into(),
        }),
    })
}

fn ends_v2(header: &[u8]) -> io::Result<Option<Ends>> {
    let parsed = v2::Header::try_from(header).map_err(|error| invalid(&error.to_string()))?;
    if parsed.command == v2::Command::Local {
        return Ok(None);
    }
    if parsed.protocol == v2::Protocol::Datagram {
        return Err(invalid("it is of a datagram, and this is a stream"));
    }
    Ok(match parsed.addresses {
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        v2::Addresses::IPv4(ends) => Some(Ends {
            client: (ends.source_address, ends.source_port).into(),
            server: (ends.destination_address, ends.destination_port).into(),
        }),
        v2::Addresses::IPv6(ends) => Some(Ends {
            client: (ends.source_address, ends.source_port).into(),
            server: (ends.destination_address, ends.destination_port).into(),
        }),
    })
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the header of the PROXY protocol: {why}"))
}

#[cfg(test)]
#[path = "proxy_protocol_tests.rs"]
mod tests;
