use bimetal::prelude::*;

#[native_handler]
fn get_user(user_id: i64) -> String {
    user_id.to_string()
}

fn main() {}
