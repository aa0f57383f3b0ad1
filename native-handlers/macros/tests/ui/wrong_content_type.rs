use bimetal::prelude::*;

#[native_handler(content_type = "csv")]
fn one_word() {}

#[native_handler(content_type = "text/plain\r\nx: y")]
fn two_lines() {}

#[native_handler(content_type = TEXT)]
fn constant() {}

fn main() {}
