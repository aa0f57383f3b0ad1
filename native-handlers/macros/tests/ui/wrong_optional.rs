use bimetal::prelude::*;

#[native_handler]
fn get_user(user_id: Option<Path<i64>>) -> String {
    format!("{user_id:?}")
}

fn main() {}
