use bimetal::prelude::*;

#[native_handler(threads = 4)]
fn get_user(Path(id): Path<i64>) -> String {
    id.to_string()
}

fn main() {}
