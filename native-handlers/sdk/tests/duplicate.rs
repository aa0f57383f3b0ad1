//! A program with two handlers of one name.

use bimetal::prelude::*;

bimetal::plugin! { name: "twice" }

#[native_handler]
fn get() {}

mod other {
    use bimetal::prelude::*;

    #[native_handler(name = "get")]
    fn find() {}
}

#[test]
fn two_handlers_of_one_name_are_an_error() {
    let error = bimetal::registry::plugins().unwrap_err().to_string();
    assert!(
        error.starts_with("two handlers linked into this program are called `twice.get`, in `duplicate"),
        "{error}"
    );
    assert!(error.contains("`duplicate::other`") && error.ends_with("; rename one of them"), "{error}");
}
