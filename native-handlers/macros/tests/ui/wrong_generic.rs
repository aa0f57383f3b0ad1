use bimetal::prelude::*;

#[native_handler]
fn get_user<T: ToString>(Path(id): Path<i64>, _other: Option<Json<T>>) -> String {
    id.to_string()
}

fn main() {}
