use bimetal::prelude::*;

#[native_handler]
fn numbered() -> ([(&'static str, i64); 1], Json<i64>) {
    ([("x-number", 1)], Json(1))
}

fn main() {}
