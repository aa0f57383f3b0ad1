//! What stands in the parentheses of `#[native_handler(...)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitInt, LitStr, Result, Token};

/// The options of the attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) blocking: Option<Ident>,
    pub(crate) status: Option<u16>,
    pub(crate) content_type: Option<LitStr>,
}

const KNOWN: &str =
    "`#[native_handler]` knows `name = \"...\"`, `status = 201`, `content_type = \"...\"` and `blocking`";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            if option == "name" {
                input.parse::<Token![=]>()?;
                let name: LitStr = input.parse()?;
                if !is_name(&name.value()) {
                    return Err(Error::new(
                        name.span(),
                        "a handler's name has letters, digits, `_`, `-` and `.` only",
                    ));
                }
                if options.name.replace(name).is_some() {
                    return Err(Error::new(option.span(), "`name` is given twice"));
                }
            } else if option == "status" {
                input.parse::<Token![=]>()?;
                if options.status.replace(status(input)?).is_some() {
                    return Err(Error::new(option.span(), "`status` is given twice"));
                }
            } else if option == "content_type" {
                input.parse::<Token![=]>()?;
                let content_type: LitStr = input.parse()?;
                if !is_content_type(&content_type.value()) {
                    return Err(Error::new(
                        content_type.span(),
                        "a content type is two words and a slash: write `content_type = \"text/csv; charset=utf-8\"`",
                    ));
                }
                if options.content_type.replace(content_type).is_some() {
                    return Err(Error::new(option.span(), "`content_type` is given twice"));
                }
            } else if option == "blocking" {
                options.blocking = Some(option);
            } else {
                return Err(Error::new(option.span(), format!("unknown option `{option}`: {KNOWN}")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn status(input: ParseStream<'_>) -> Result<u16> {
    let wrong = |span| Error::new(span, "a status code is a number from 200 to 599: write `status = 201`");
    let code: LitInt = input.parse().map_err(|error| wrong(error.span()))?;
    let number = code.base10_parse().ok().filter(|number| (200..=599).contains(number));
    number.ok_or_else(|| wrong(code.span()))
}

/// Visible ASCII with spaces between, of the form `type/subtype` before the parameters.
fn is_content_type(text: &str) -> bool {
    let kind = text.split(';').next().unwrap_or_default().trim();
    let parts = kind.split_once('/');
    parts.is_some_and(|(main, sub)| !main.is_empty() && !sub.is_empty() && !kind.contains(' '))
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
