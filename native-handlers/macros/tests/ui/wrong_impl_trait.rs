use bimetal::prelude::*;

#[native_handler]
fn get_user(Path(id): Path<i64>) -> impl IntoResponse {
    id.to_string()
}

fn main() {}
