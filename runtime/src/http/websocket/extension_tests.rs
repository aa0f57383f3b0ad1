use super::*;

/// What the response says to a field of the request.
fn answer(field: &str) -> Option<String> {
    let offers = offers(field).expect("the field is well-formed");
    offers.iter().find_map(Agreement::of).map(|agreement| agreement.to_string())
}

#[test]
fn an_offer_is_taken_with_what_it_asks_for() {
    for (field, answered) in [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            " permessage-deflate ;client_max_window_bits=\"10\";\tserver_max_window_bits = 9",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=8",
        ),
        // The second of two, because the first cannot be honoured.
        (
            "x-other;a=b, ,permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate; server_max_window_bits=12",
        ),
    ] {
        assert_eq!(answer(field).as_deref(), Some(answered), "{field}");
    }
}

#[test]
fn an_offer_that_cannot_be_honoured_is_declined() {
    for field in [
        "",
        ",,",
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=300",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    ] {
        assert_eq!(answer(field), None, "{field}");
    }
}

#[test]
fn a_field_that_is_malformed_is_seen() {
    for field in [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"b c\"",
        "permessage-deflate; a=\"\"",
        "permessage deflate",
        "@",
    ] {
        assert_eq!(offers(field), Err(Malformed), "{field}");
    }
}
