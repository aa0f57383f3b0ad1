use bimetal::prelude::*;

#[derive(Serialize, JsonSchema)]
struct User {
    id: i64,
}

#[native_handler]
fn get_user(Path(id): Path<i64>) -> User {
    User { id }
}

fn main() {}
