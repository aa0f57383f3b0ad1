use super::{Announced, Gate, HeadLimits, Verdict};
use crate::http::Refusal;

const LIMITS: HeadLimits = HeadLimits { size: 1000, line: 100, fields: 5 };
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n";

/// Feeds `bytes` cut into pieces of `size`; what passes before the gate shuts.
fn passed(gate: &mut Gate, bytes: &[u8], size: usize) -> usize {
    let mut total = 0;
    for piece in bytes.chunks(size) {
        let Verdict::Pass(length) = gate.pass(piece, true, &LIMITS) else {
            panic!("{piece:?} does not pass")
        };
        total += length;
        if length < piece.len() || gate.is_shut() {
            break;
        }
    }
    total
}

fn past_head(body: Announced) -> Gate {
    let mut gate = Gate::default();
    assert_eq!(gate.pass(HEAD, false, &LIMITS), Verdict::Pass(HEAD.len()));
    gate.announce(body);
    gate
}

#[test]
fn a_head_passes_when_it_is_whole() {
    let wire = [HEAD, HEAD].concat();
    for length in 1..HEAD.len() {
        let mut gate = Gate::default();
        assert_eq!(gate.pass(&wire[..length], false, &LIMITS), Verdict::More, "{length}");
        assert_eq!(gate, Gate::Head);
    }
    let mut gate = Gate::default();
    assert_eq!(gate.pass(&wire, false, &LIMITS), Verdict::Pass(HEAD.len()));
    assert_eq!(gate, Gate::Parsed);
    assert_eq!(gate.pass(b"\n\n", false, &LIMITS), Verdict::Pass(0));
}

#[test]
fn a_head_that_is_not_fit_to_be_parsed_does_not_pass() {
    let mut gate = Gate::default();
    assert_eq!(gate.pass(b"GET / HTTP/1.1\n\n", false, &LIMITS), Verdict::Refuse(Refusal::LineEnd));
    assert!(gate.is_shut());
}

#[test]
fn the_next_head_waits_for_the_body_and_the_answer() {
    let chunks = b"3\r\nabc\r\n0\r\n\r\n";
    let cases: [(Announced, &[u8]); 4] = [
        (Announced::Nothing, b""),
        (Announced::Length(0), b""),
        (Announced::Length(5), b"12345"),
        (Announced::Chunked, chunks),
    ];
    for (body, wire) in cases {
        for size in [1, 3, 100] {
            let mut gate = past_head(body);
            assert_eq!(
                passed(&mut gate, &[wire, b"\r\nGET /"].concat(), size),
                wire.len(),
                "{body:?} by {size}"
            );
            assert_eq!(gate.pass(HEAD, true, &LIMITS), Verdict::Pass(0));
            gate.answered();
            assert_eq!(gate.pass(HEAD, false, &LIMITS), Verdict::Pass(HEAD.len()));
        }
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_leaves_the_body_to_pass() {
    for (body, first, second) in
        [(Announced::Length(5), "123", "45"), (Announced::Chunked, "3\r\na", "bc\r\n0\r\n\r\n")]
    {
        let mut gate = past_head(body);
        assert_eq!(gate.pass(first.as_bytes(), true, &LIMITS), Verdict::Pass(first.len()));
        gate.answered();
        let wire = format!("{second}\r\n\r\nGET");
        assert_eq!(gate.pass(wire.as_bytes(), false, &LIMITS), Verdict::Pass(second.len()));
        assert_eq!(gate, Gate::Head);
    }
}

#[test]
fn a_body_that_breaks_its_framing_ends_there() {
    let mut gate = past_head(Announced::Chunked);
    assert_eq!(gate.pass(b"3\r\nabcd", true, &LIMITS), Verdict::Broken(Refusal::Chunk));
}

#[test]
fn a_body_without_an_end_opens_the_gate_for_good() {
    let mut gate = past_head(Announced::Unknown);
    gate.answered();
    let rest = b"\n\nGET / HTTP/1.1\r\n\r\nHEAD /";
    assert_eq!(gate.pass(rest, true, &LIMITS), Verdict::Pass(rest.len()));
}
