use bimetal::prelude::*;

#[native_handler]
struct Users;

fn main() {}
