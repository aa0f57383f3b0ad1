use bimetal::prelude::*;

struct Users;

impl Users {
    #[native_handler]
    fn get_user(&self, Path(id): Path<i64>) -> String {
        id.to_string()
    }
}

fn main() {}
