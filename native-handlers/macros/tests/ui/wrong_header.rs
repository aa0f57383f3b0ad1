use bimetal::prelude::*;

#[native_handler]
fn token(Header(x_token): Header<&str>) -> String {
    x_token.to_owned()
}

fn main() {}
