use super::{Announced, Gate};

/// Feeds `bytes` cut into pieces of `size`; what passes before the gate shuts.
fn passed(gate: &mut Gate, bytes: &[u8], size: usize) -> usize {
    let mut total = 0;
    for piece in bytes.chunks(size) {
        let length = gate.pass(piece, true);
        total += length;
        if length < piece.len() || gate.is_shut() {
            break;
        }
    }
    total
}

#[test]
fn a_head_passes_to_its_blank_line_however_it_is_cut() {
    let heads = [
        "GET / HTTP/1.1\r\nhost: t\r\n\r\n",
        "GET / HTTP/1.1\nhost: t\n\n",
        "GET / HTTP/1.1\nhost: t\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n",
        "\n\nGET / HTTP/1.1\r\n\n",
    ];
    for head in heads {
        let wire = format!("{head}HEAD / HTTP/1.1\r\n\r\n");
        for size in 1..=wire.len() {
            let mut gate = Gate::default();
            assert_eq!(passed(&mut gate, wire.as_bytes(), size), head.len(), "{head:?} by {size}");
            assert_eq!(gate, Gate::Parsed);
        }
    }
}

#[test]
fn the_next_head_waits_for_the_body_and_the_answer() {
    let next = b"GET / HTTP/1.1\r\n\r\n";
    for (body, wire) in [(Announced::Nothing, 0), (Announced::Length(0), 0), (Announced::Length(5), 5)] {
        let mut gate = Gate::default();
        gate.pass(next, false);
        gate.announce(body);
        assert_eq!(passed(&mut gate, b"12345GET /", 3), wire);
        assert_eq!(gate.pass(next, true), 0);
        gate.answered();
        assert_eq!(gate.pass(next, false), next.len());
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_leaves_the_body_to_pass() {
    let mut gate = Gate::default();
    gate.pass(b"POST / HTTP/1.1\r\n\r\n", false);
    gate.announce(Announced::Length(5));
    assert_eq!(gate.pass(b"123", true), 3);
    gate.answered();
    assert_eq!(gate.pass(b"45\n\nGET", false), 2);
    assert_eq!(gate, Gate::default());
}

#[test]
fn a_body_without_a_known_end_opens_the_gate_for_good() {
    let mut gate = Gate::default();
    gate.pass(b"POST / HTTP/1.1\r\n\r\n", false);
    gate.announce(Announced::Unknown);
    gate.answered();
    let rest = b"0\r\n\r\nGET / HTTP/1.1\r\n\r\nHEAD /";
    assert_eq!(gate.pass(rest, true), rest.len());
}
