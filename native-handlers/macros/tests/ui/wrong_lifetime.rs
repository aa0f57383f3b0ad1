use bimetal::prelude::*;

#[native_handler]
async fn keeps(request: RequestParts<'static>) -> &'static str {
    request.path()
}

fn main() {}
