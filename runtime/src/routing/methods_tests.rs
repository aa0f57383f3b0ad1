use super::Methods;
use crate::http::Method;

fn known() -> Vec<Method> {
    ["OPTIONS", "GET", "POST", "PUT", "DELETE", "HEAD", "TRACE", "CONNECT", "PATCH"]
        .map(|name| name.parse().expect("a method"))
        .into()
}

#[test]
fn each_method_meets_itself_and_no_other() {
    for one in known() {
        for other in known() {
            assert_eq!(Methods::of(std::slice::from_ref(&one)).meets(Methods::one(&other)), one == other);
        }
        assert!(!Methods::one(&one).is_others());
    }
}

#[test]
fn no_methods_are_all_of_them() {
    let brew = "BREW".parse().expect("a method");
    for method in known().iter().chain([&brew]) {
        assert!(Methods::of(&[]).meets(Methods::one(method)));
    }
}

#[test]
fn methods_without_a_bit_share_one() {
    let [brew, propfind] = ["BREW", "PROPFIND"].map(|name| name.parse::<Method>().expect("a method"));
    let routes = Methods::of(&[Method::GET, brew]);
    assert!(routes.meets(Methods::one(&propfind)) && Methods::one(&propfind).is_others());
    assert!(routes.meets(Methods::one(&Method::GET)) && !routes.meets(Methods::one(&Method::POST)));
}
