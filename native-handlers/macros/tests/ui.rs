//! What the compiler says to someone who wrote a handler wrongly. `TRYBUILD=overwrite cargo test -p bimetal-macros` writes the
//! snapshots anew.

#[test]
fn a_wrong_signature_says_what_to_write() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/right.rs");
    cases.compile_fail("tests/ui/wrong_*.rs");
}
