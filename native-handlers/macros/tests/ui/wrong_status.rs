use bimetal::prelude::*;

#[native_handler(status = 2001)]
fn too_large() {}

#[native_handler(status = 101)]
fn too_small() {}

#[native_handler(status = "201")]
fn text() {}

#[native_handler(status = CREATED)]
fn constant() {}

#[native_handler(status = 201, status = 202)]
fn twice() {}

#[native_handler(statuscode = 201)]
fn unknown() {}

fn main() {}
