use bimetal::prelude::*;

struct Login {
    user: String,
}

#[native_handler]
fn login(Form(login): Form<Login>) -> String {
    login.user
}

fn main() {}
