bimetal::plugin! { "hot" }

fn main() {}
