use bimetal::prelude::*;

#[native_handler(blocking)]
async fn get_user(Path(id): Path<i64>) -> String {
    id.to_string()
}

fn main() {}
