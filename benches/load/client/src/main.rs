//! The client of `make bench-isolation`, `make bench-sleep` and of the soak tests.
//!
//!     load-client open ADDRESS PATH SECONDS TIMEOUT CONNECTIONS RATE
//!     load-client closed ADDRESS PATH SECONDS TIMEOUT CONNECTIONS
//!
//! `open` sends RATE requests a second on a schedule that no answer moves, so that a server that stands still is not
//! spared the requests it would have got meanwhile; `closed` sends the next one when the last is answered. SECONDS and
//! TIMEOUT are in seconds. 503 is a refusal, any other status but 200 an error. Prints one line of JSON.

mod client;
mod connection;
mod tally;

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use client::Client;
use tally::Tally;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(tally) => {
            println!("{}", tally.report());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<Tally, Box<dyn Error>> {
    let [mode, address, path, seconds, timeout, connections, ref rest @ ..] = *arguments else {
        return Err("load-client open|closed ADDRESS PATH SECONDS TIMEOUT CONNECTIONS [RATE]".into());
    };
    let (seconds, connections) = (number(seconds)?, number(connections)?);
    let client = Client::new(address.parse()?, path, Duration::from_secs_f64(number(timeout)?))?;
    match (mode, rest) {
        ("open", [rate]) => Ok(client.open_loop(number(rate)?, seconds, connections)?),
        ("closed", []) => Ok(client.closed_loop(seconds, connections)?),
        _ => Err("`open` has a rate, `closed` has none".into()),
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not the number that is wanted there"))
}
